//! What hostletd and its clients say to each other.
//!
//! The interface is `io.hostlet`, in [Varlink](https://varlink.org): JSON objects, each ended by a NUL byte, over a unix socket. Here are
//! its types, a [`Client`], and the server's side of one connection, [`serve_connection`], which calls a [`Service`]. Who listens,
//! who the peer is and what it may is not decided here.

mod client;
mod error;
mod frame;
mod message;
mod serve;
mod service;
mod types;

/// The words of the model that requests and answers are made of.
pub use hostlet_model::{HostLoopback, Name, SourcePolicy};

pub use client::{Client, ClientError, is_running};
pub use error::Error;
pub use serve::{Ended, Limits, refuse_connection, serve_connection};
pub use service::Service;
pub use types::{
    Address, Aside, Decision, Info, Lease, Lent, LoggedIn, Login, Open, Opened, Pool, Session,
};

/// The name of the interface.
pub const INTERFACE: &str = "io.hostlet";

/// The interface's definition, as `org.varlink.service.GetInterfaceDescription` gives it.
pub const DESCRIPTION: &str = include_str!("../io.hostlet.varlink");
