//! What hostlet remembers between two commands: the definitions of hostlets,
//! which addresses it put on an interface by itself, and who had which address
//! from when to when.
//!
//! The live truth is in the kernel; this file is the intention. A definition is
//! written as [`State::Pending`] before the kernel is touched and becomes
//! [`State::Live`] afterwards, so that a command that is killed in between leaves
//! something which the next one can recognise and take back.
//!
//! One SQLite file in WAL mode. A change is one transaction: it is there whole or
//! not at all. Commits are not flushed one by one (`synchronous=NORMAL`): after
//! a power failure the kernel's state is gone as well and the rows of another
//! boot are healed away. What must survive that calls [`Store::flush`].
//!
//! The same file has the leases, behind the trait [`LeaseStore`]. Other machines rely on what was said about
//! those, so each of their changes is flushed when it returns.

mod change;
mod definition;
mod error;
mod history;
mod holder;
mod latest;
mod lease;
mod leases;
mod private;
mod read;
mod schema;
mod session;
mod store;

pub use definition::{Assigned, Definition, Follows, Glance, State, Version};
pub use error::{Result, StoreError};
pub use history::{HistoryQuery, HistoryRow};
pub use lease::{
    Aside, Claim, Lease, LeaseState, LeaseStore, MAX_HOLDER, MAX_IDLE, Remembered, SinceBoot, Terms,
};
pub use session::{Session, SessionKind};
pub use store::Store;
