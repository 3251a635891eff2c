//! Figures of the network: a server with two addresses, and a client with a fixed source, in each way that people do that.

mod calls;
mod idle;
mod latency;
mod loops;
mod sides;
mod throughput;
mod udp;
mod ways;
mod web;
mod world;

pub use calls::measure as calls;
pub use idle::Idle;
pub use latency::measure as latency;
pub use loops::run as work;
pub use throughput::measure as throughput;
pub use udp::{measure as udp, pair};
pub use web::measure as web;
