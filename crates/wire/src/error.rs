//! The errors of the interface.

use serde_json::{Value, json};

use crate::INTERFACE;

/// A no of hostletd's, with the reason. The messages are whole sentences for people.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The request contradicts itself, or a value in it is malformed.
    #[error("{0}")]
    BadRequest(String),
    /// The caller may not.
    #[error("{0}")]
    NotAllowed(String),
    /// The pool has no address for the caller (B3, B4).
    #[error("{message}")]
    NoAddress {
        /// The pool's name.
        pool: String,
        /// Why, and who holds what.
        message: String,
    },
    /// There is no such hostlet or pool.
    #[error("{0}")]
    NotFound(String),
    /// It did not work.
    #[error("{0}")]
    Failed(String),
}

impl Error {
    /// The error's name and parameters, as they go over the wire.
    pub(crate) fn to_wire(&self) -> (String, Value) {
        let (name, message) = match self {
            Self::BadRequest(message) => ("BadRequest", message),
            Self::NotAllowed(message) => ("NotAllowed", message),
            Self::NoAddress { message, .. } => ("NoAddress", message),
            Self::NotFound(message) => ("NotFound", message),
            Self::Failed(message) => ("Failed", message),
        };
        let mut parameters = json!({ "message": message });
        if let Self::NoAddress { pool, .. } = self {
            parameters["pool"] = json!(pool);
        }
        (format!("{INTERFACE}.{name}"), parameters)
    }

    /// The error that came over the wire; none if it is not one of the interface's, or says nothing.
    pub(crate) fn from_wire(name: &str, parameters: &Value) -> Option<Self> {
        let text = |key: &str| parameters[key].as_str().map(ToOwned::to_owned);
        let message = text("message").filter(|message| !message.is_empty())?;
        match name.strip_prefix(INTERFACE)?.strip_prefix('.')? {
            "BadRequest" => Some(Self::BadRequest(message)),
            "NotAllowed" => Some(Self::NotAllowed(message)),
            "NoAddress" => Some(Self::NoAddress {
                pool: text("pool")?,
                message,
            }),
            "NotFound" => Some(Self::NotFound(message)),
            "Failed" => Some(Self::Failed(message)),
            _ => None,
        }
    }
}
