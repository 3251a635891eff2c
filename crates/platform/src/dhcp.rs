//! Sockets for DHCP clients: messages in and out, whatever is in them.
//!
//! Each interface has one socket of each kind, for any number of clients: who a message is for is in
//! the message. Sockets belong to the network namespace of the thread that opened them.

mod v4;
mod v6;

#[cfg(feature = "fuzzing")]
pub(crate) use v4::message as message4;
pub use v4::{Received, SendTo, Socket4};
pub use v6::{Received6, Socket6};

/// Larger than any message that fits an interface, and than what a buffer must hold to lose none.
pub const BUFFER: usize = 64 * 1024;
