//! Where an address comes from. Pure: no sockets, no files, no clock of their own.
//!
//! * [`choose`]: which address of a pool's ranges a holder gets.
//! * [`Client`]: a DHCP client as a state machine, [`dhcp4`] or [`dhcp6`]. Whoever drives it hands in what arrived and what time it
//!   is, and does what [`Client::poll`] asks for. One client is one lease; a thousand of them share one socket.
//!
//! Threat model: everything that arrives from the network may be forged, malformed, late or doubled. A message counts only when it
//! answers the exchange that is under way (transaction id, our own hardware address or DUID and IAID, the server that was chosen);
//! anything else is dropped without a trace. Messages are written with dhcproto and read by code of our own: its reader of DHCPv6 goes
//! as deep as a message says, and its reader of DHCPv4 stops at the first option that it does not understand. No input panics or makes a client allocate more than the message is long.

pub mod choose;
mod client;
pub mod dhcp4;
pub mod dhcp6;
mod hardware;
mod terms;
mod timing;

pub use client::{Client, Settings};
pub use hardware::{duid, hardware_address, hardware_prefix};
pub use terms::{Destination, LostReason, Output, Terms, TermsError, server_duid, server_v4};

/// A moment: how long after a start that the driver chose (hostletd: CLOCK_BOOTTIME, which goes on while the machine sleeps).
pub type Time = std::time::Duration;
