//! The kernel part: BPF programs, the shared header, loading, attaching, pins and typed tables.
//!
//! Everything here lives in the kernel and outlives the process that made it: the tables and
//! programs through pins in a bpffs, the attachments to a cgroup as long as the cgroup. A
//! [`Kernel`] is a handle on what is pinned; opening one changes nothing.

mod abi;
mod attach;
mod batch;
mod error;
mod events;
mod file_id;
mod install;
mod known;
mod loops;
mod memory;
mod owners;
mod passing;
mod port_book;
pub mod probe;
mod record;
mod tables;
mod watch;

pub use error::{Error, Result};
pub use events::{Call, Event, Reason, Watcher};
pub use file_id::FileId;
pub use install::{Kernel, Limits, netns_cookie};
pub use known::{Ends, KnownAs, KnownBook};
pub use loops::{EXTRAS, EXTRAS_EACH};
pub use owners::Holding;
pub use port_book::{BoundPort, PortBook};
pub use record::{Record, RecordFlags, all, few};
pub use tables::{OnLink, RouteEntry, SourceList, Sweep, Tables};
