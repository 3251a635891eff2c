//! The interface file, read by somebody else's parser, against the types and what the server takes.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};

use hostlet_wire::{DESCRIPTION, Error, INTERFACE, Limits, Open, Opened};
use serde_json::{Map, Value, json};
use zlink_idl::{CustomType, Interface, Type};

use crate::desk::{Desk, address, connect, lease, name, pool, session};

fn interface() -> Interface<'static> {
    Interface::try_from(DESCRIPTION).expect("the interface file is well formed")
}

/// The fields of an object with a value of each JSON type that the interface says.
type Fields<'a> = BTreeMap<String, Type<'a>>;

fn types() -> BTreeMap<String, Fields<'static>> {
    interface()
        .custom_types()
        .map(|custom| match custom {
            CustomType::Object(object) => (
                object.name().to_string(),
                object
                    .fields()
                    .map(|f| (f.name().to_string(), f.ty().clone()))
                    .collect(),
            ),
            CustomType::Enum(other) => panic!("{} has no Rust type", other.name()),
        })
        .collect()
}

/// Whether a value is of a type of the interface.
fn fits(value: &Value, kind: &Type<'_>) -> Result<(), String> {
    let fine = match kind {
        Type::Bool => value.is_boolean(),
        Type::Int => value.is_i64(),
        Type::String => value.is_string(),
        Type::Optional(inner) => {
            return if value.is_null() {
                Ok(())
            } else {
                fits(value, inner)
            };
        }
        Type::Array(inner) => {
            let all = value.as_array().ok_or("no array")?;
            return all.iter().try_for_each(|one| fits(one, inner));
        }
        Type::Custom(name) => return same(value, &types()[name.as_str()]),
        other => return Err(format!("{other} is not used")),
    };
    if fine {
        Ok(())
    } else {
        Err(format!("{value} is no {kind}"))
    }
}

/// Whether an object has exactly these fields.
fn same(value: &Value, fields: &Fields<'_>) -> Result<(), String> {
    let object = value.as_object().ok_or("no object")?;
    let (here, there): (Vec<_>, Vec<_>) = (object.keys().collect(), fields.keys().collect());
    if here.iter().any(|key| !fields.contains_key(*key))
        || there.iter().any(|key| !object.contains_key(*key))
    {
        return Err(format!("{here:?} is not {there:?}"));
    }
    for (key, value) in object {
        fits(value, &fields[key]).map_err(|why| format!("{key}: {why}"))?;
    }
    Ok(())
}

fn method(wanted: &str) -> (Fields<'static>, Fields<'static>) {
    let interface = interface();
    let method = interface
        .methods()
        .find(|m| m.name().as_str() == wanted)
        .unwrap_or_else(|| panic!("{wanted} is not in the interface"));
    let fields = |all: Vec<(String, Type<'static>)>| all.into_iter().collect();
    (
        fields(
            method
                .inputs()
                .map(|f| (f.name().to_string(), f.ty().clone()))
                .collect(),
        ),
        fields(
            method
                .outputs()
                .map(|f| (f.name().to_string(), f.ty().clone()))
                .collect(),
        ),
    )
}

#[test]
fn it_is_well_formed_and_every_part_is_documented() {
    let interface = interface();
    assert_eq!(interface.name().as_str(), INTERFACE);
    for method in interface.methods() {
        assert!(method.comments().next().is_some(), "{}", method.name());
    }
    for error in interface.errors() {
        assert!(error.comments().next().is_some(), "{}", error.name());
    }
    for custom in interface.custom_types() {
        let documented = match custom {
            CustomType::Object(object) => object.comments().next().is_some(),
            CustomType::Enum(names) => names.comments().next().is_some(),
        };
        assert!(documented, "{}", custom.name());
    }
}

#[test]
fn the_types_have_the_same_fields() {
    let types = types();
    let names: Vec<_> = types.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        ["Address", "Aside", "Lease", "Lent", "Pool", "Session"]
    );
    let check = |name: &str, value: Value| {
        same(&value, &types[name]).unwrap_or_else(|why| panic!("{name}: {why}"));
    };
    check("Address", json!(address()));
    check("Lease", json!(lease()));
    check("Pool", json!(pool()));
    check("Aside", json!(pool().asides[0]));
    check("Lent", json!(pool().lent[0]));
    check("Session", json!(session()));

    let (input, output) = method("Open");
    let full = Open {
        name: Some(name("web")),
        ..Open::new(vec![name("office")])
    };
    same(&json!(full), &input).unwrap();
    let opened = Opened {
        name: name("web"),
        addresses: vec![address()],
    };
    same(&json!(opened), &output).unwrap();
}

/// A value of a type of the interface.
fn example(field: &str, kind: &Type<'_>) -> Value {
    match kind {
        Type::Bool => json!(false),
        Type::Int => json!(1),
        Type::String if field == "source" => json!("random"),
        Type::String => json!("web"),
        Type::Optional(inner) => example(field, inner),
        Type::Array(_) if field == "request" => json!(["192.0.2.1"]),
        Type::Array(_) if field == "host_loopback" => json!(["127.0.0.1:53"]),
        Type::Array(_) if field == "pools" => json!(["office"]),
        Type::Array(inner) => json!([example(field, inner)]),
        other => panic!("{field}: {other}"),
    }
}

#[test]
fn the_server_has_every_method_takes_every_parameter_and_answers_as_it_says() {
    let interface = interface();
    let desk = Desk {
        leases: 1,
        ..Desk::default()
    };
    let (mut stream, _served) = connect(desk, Limits::default());
    let mut answers = BufReader::new(stream.try_clone().unwrap());
    let mut seen = 0;
    for described in interface.methods() {
        let (input, output) = method(described.name().as_str());
        let needed: Map<String, Value> = input
            .iter()
            .filter(|(_, kind)| kind.as_optional().is_none())
            .map(|(field, kind)| (field.clone(), example(field, kind)))
            .collect();
        let all: Map<String, Value> = input
            .iter()
            .map(|(field, kind)| (field.clone(), example(field, kind)))
            .collect();
        let name = format!("{INTERFACE}.{}", described.name());
        for parameters in [needed, all] {
            write!(
                stream,
                "{}\0",
                json!({"method": name, "parameters": parameters})
            )
            .unwrap();
            let mut answer = Vec::new();
            answers.read_until(0, &mut answer).unwrap();
            answer.pop();
            let answer: Value = serde_json::from_slice(&answer).unwrap();
            assert!(answer.get("error").is_none(), "{name}: {answer}");
            same(&answer["parameters"], &output).unwrap_or_else(|why| panic!("{name}: {why}"));
            seen += 1;
        }
    }
    assert_eq!(seen, 18, "nine methods, two calls each");
}

#[test]
fn the_errors_are_the_same() {
    let described: BTreeMap<String, Vec<String>> = interface()
        .errors()
        .map(|e| {
            (
                e.name().to_string(),
                e.fields().map(|f| f.name().to_string()).collect(),
            )
        })
        .collect();
    // A new variant does not compile here before it is in the list below.
    let named = |error: &Error| match error {
        Error::BadRequest(_) => ("BadRequest", vec!["message"]),
        Error::NotAllowed(_) => ("NotAllowed", vec!["message"]),
        Error::NoAddress { .. } => ("NoAddress", vec!["pool", "message"]),
        Error::NotFound(_) => ("NotFound", vec!["message"]),
        Error::Failed(_) => ("Failed", vec!["message"]),
    };
    let text = String::new;
    let all = [
        Error::BadRequest(text()),
        Error::NotAllowed(text()),
        Error::NoAddress {
            pool: text(),
            message: text(),
        },
        Error::NotFound(text()),
        Error::Failed(text()),
    ];
    assert_eq!(described.len(), all.len());
    for (name, fields) in all.iter().map(named) {
        assert_eq!(described[name], fields, "{name}");
    }
}
