//! B3 to B7, B13, B15, B16: addresses that hostletd lends, from pools and from real DHCP
//! servers, in namespaces. They need root.

mod callers;
mod clock;
mod dhcp;
mod faults;
mod joins;
mod links;
mod lost;
mod pools;
mod record;
mod restarts;
mod service;
mod stage;
