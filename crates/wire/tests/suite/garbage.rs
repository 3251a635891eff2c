//! Whatever comes over the socket, the server lives, and answers what is a call.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use hostlet_wire::{Client, ClientError, Ended, Limits, serve_connection};
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::desk::Desk;

/// Sends all of it in these pieces, closes, and gives back the answers and why the connection ended.
fn say(bytes: &[u8], pieces: &[usize]) -> (Vec<u8>, Ended) {
    let (mut here, there) = UnixStream::pair().unwrap();
    std::thread::scope(|scope| {
        let served = scope.spawn(move || {
            serve_connection(&there, &mut Desk::default(), &Limits::default())
            // Closed here, so that a writer below does not wait for ever.
        });
        let mut reader = here.try_clone().unwrap();
        let answers = scope.spawn(move || {
            let mut answers = Vec::new();
            // A server that closes with something unread resets the connection; what came before, came.
            let _ = reader.read_to_end(&mut answers);
            answers
        });
        let mut left = bytes;
        for piece in pieces {
            let (now, later) = left.split_at(left.len().min(*piece));
            if here.write_all(now).is_err() {
                break;
            }
            left = later;
        }
        let _ = here.write_all(left);
        let _ = here.shutdown(Shutdown::Write);
        (answers.join().unwrap(), served.join().unwrap())
    })
}

/// Any JSON, not too deep.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
        prop_oneof![
            Just("office"),
            Just("web"),
            Just("192.0.2.1"),
            Just("random")
        ]
        .prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 6, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..5).prop_map(Value::from),
            vec((any_key(), inner), 0..6).prop_map(|all| all.into_iter().collect::<Value>()),
        ]
    })
}

fn any_key() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => prop::sample::select(vec![
            "name", "pools", "request", "source", "host_loopback", "guard", "raw", "keep", "program", "kill", "dry_run", "interface",
        ]).prop_map(str::to_owned),
        1 => ".{0,8}",
    ]
}

fn any_method() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => prop::sample::select(vec![
            "io.hostlet.Open", "io.hostlet.Join", "io.hostlet.Close", "io.hostlet.Leases", "io.hostlet.Pools", "io.hostlet.Reload",
            "org.varlink.service.GetInfo", "org.varlink.service.GetInterfaceDescription",
        ]).prop_map(str::to_owned),
        1 => ".{0,20}",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn bytes(bytes in vec(prop_oneof![3 => any::<u8>(), 1 => Just(0_u8), 1 => Just(b'{')], 0..2000), pieces in vec(1_usize..700, 0..5)) {
        let (answers, ended) = say(&bytes, &pieces);
        prop_assert!(answers.is_empty(), "{:?}", String::from_utf8_lossy(&answers));
        prop_assert!(matches!(ended, Ended::Closed | Ended::Broken | Ended::Malformed(_)), "{ended}");
    }

    #[test]
    fn anything_that_is_a_call_has_one_answer(
        calls in vec((any_method(), any_json()), 1..8),
        pieces in vec(1_usize..200, 0..6),
    ) {
        let mut bytes = Vec::new();
        let mut expected = 0;
        let mut whole = true;
        for (method, parameters) in &calls {
            bytes.extend(json!({"method": method, "parameters": parameters}).to_string().into_bytes());
            bytes.push(0);
            // Parameters that are no object are no call.
            whole = whole && (parameters.is_object() || parameters.is_null());
            expected += usize::from(whole);
        }
        let (answers, ended) = say(&bytes, &pieces);
        let answers = messages(&answers);
        if whole {
            prop_assert!(matches!(ended, Ended::Closed), "{ended}");
            prop_assert_eq!(answers.len(), expected);
        } else {
            prop_assert!(matches!(ended, Ended::Malformed(_) | Ended::Broken), "{ended}");
            prop_assert!(answers.len() <= expected);
        }
        for answer in answers {
            let answer: Value = serde_json::from_slice(answer).unwrap();
            prop_assert!(answer["parameters"].is_object(), "{}", answer);
        }
    }
}

/// The messages that are in these bytes.
fn messages(bytes: &[u8]) -> Vec<&[u8]> {
    let mut parts: Vec<&[u8]> = bytes.split(|byte| *byte == 0).collect();
    // What is behind the last NUL.
    assert_eq!(parts.pop(), Some(&[][..]), "an answer has no end");
    parts
}

#[test]
fn a_deep_nest_is_no_call() {
    let mut nest = br#"{"method": "io.hostlet.Open", "parameters": {"pools": "#.to_vec();
    nest.extend(vec![b'['; 100_000]);
    nest.push(0);
    let (_, ended) = say(&nest, &[]);
    assert!(matches!(ended, Ended::Malformed(_)), "{ended}");
}

#[test]
fn a_refusal_that_says_nothing_is_not_understood() {
    let (here, mut there) = UnixStream::pair().unwrap();
    there
        .write_all(b"{\"error\": \"io.hostlet.NoAddress\", \"parameters\": {\"pool\": \"lan\"}}\0")
        .unwrap();
    let mut client = Client::over(here, Duration::from_secs(5));
    let error = client.sessions().unwrap_err();
    assert!(matches!(error, ClientError::Answer { .. }), "{error}");
    assert!(error.to_string().contains("NoAddress"), "{error}");
}
