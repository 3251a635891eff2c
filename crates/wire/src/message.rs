//! Calls and replies of the protocol, and the parameters of calls.

use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::Error;

/// The interface that every Varlink service has.
pub(crate) const SERVICE: &str = "org.varlink.service";

/// A call.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Call {
    pub method: String,
    #[serde(default)]
    pub parameters: Option<Map<String, Value>>,
    /// No answer is wanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oneway: Option<bool>,
    /// Several answers would be welcome. There is one: that is allowed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub more: Option<bool>,
    /// The connection is to speak another protocol afterwards.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upgrade: Option<bool>,
}

/// An answer.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Reply {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    #[serde(default)]
    pub parameters: Value,
}

/// Why a call has no result.
#[derive(Debug)]
pub(crate) enum Fault {
    /// One of the interface's errors.
    Ours(Error),
    /// There is no such interface.
    Interface(String),
    /// There is no such method.
    Method(String),
    /// A parameter is missing, unknown, or of the wrong type.
    Parameter(String),
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Ours(error)
    }
}

impl From<Result<Value, Fault>> for Reply {
    fn from(result: Result<Value, Fault>) -> Self {
        let service = |name: &str, key: &str, value: String| {
            (format!("{SERVICE}.{name}"), json!({ key: value }))
        };
        let (error, parameters) = match result {
            Ok(parameters) => {
                return Self {
                    error: None,
                    parameters,
                };
            }
            Err(Fault::Ours(error)) => error.to_wire(),
            Err(Fault::Interface(name)) => service("InterfaceNotFound", "interface", name),
            Err(Fault::Method(name)) => service("MethodNotFound", "method", name),
            Err(Fault::Parameter(name)) => service("InvalidParameter", "parameter", name),
        };
        Self {
            error: Some(error),
            parameters,
        }
    }
}

/// The parameters of a call, to be taken out one by one. `null` is the same as not given.
pub(crate) struct Parameters(Map<String, Value>);

impl Parameters {
    pub(crate) fn of(call: &mut Call) -> Self {
        Self(call.parameters.take().unwrap_or_default())
    }

    fn take<T: serde::de::DeserializeOwned>(&mut self, name: &str) -> Result<Option<T>, Fault> {
        match self.0.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => serde_json::from_value(value)
                .map(Some)
                .map_err(|_| Fault::Parameter(name.to_owned())),
        }
    }

    pub(crate) fn flag(&mut self, name: &str) -> Result<Option<bool>, Fault> {
        self.take(name)
    }

    pub(crate) fn number(&mut self, name: &str) -> Result<Option<u64>, Fault> {
        self.take(name)
    }

    pub(crate) fn texts(&mut self, name: &str) -> Result<Vec<String>, Fault> {
        Ok(self.take(name)?.unwrap_or_default())
    }

    /// A text that means something.
    pub(crate) fn parsed<T>(&mut self, name: &str) -> Result<Option<T>, Fault>
    where
        T: FromStr<Err: std::fmt::Display>,
    {
        let text: Option<String> = self.take(name)?;
        text.map(|text| parse(name, &text)).transpose()
    }

    /// Several such.
    pub(crate) fn all_parsed<T>(&mut self, name: &str) -> Result<Vec<T>, Fault>
    where
        T: FromStr<Err: std::fmt::Display>,
    {
        let texts = self.texts(name)?;
        texts.iter().map(|text| parse(name, text)).collect()
    }

    /// One that must be there.
    pub(crate) fn needed<T>(name: &str, value: Option<T>) -> Result<T, Fault> {
        value.ok_or_else(|| Fault::Parameter(name.to_owned()))
    }

    /// What nobody took is nothing that this version knows: to ignore it could be to ignore a wish.
    pub(crate) fn end(self) -> Result<(), Fault> {
        match self.0.into_iter().find(|(_, value)| !value.is_null()) {
            None => Ok(()),
            Some((name, _)) => Err(Fault::Parameter(name)),
        }
    }
}

fn parse<T: FromStr<Err: std::fmt::Display>>(name: &str, text: &str) -> Result<T, Fault> {
    text.parse()
        .map_err(|error| Fault::Ours(Error::BadRequest(format!("{name}: {error}"))))
}
