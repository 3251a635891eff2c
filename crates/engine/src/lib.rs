//! Observe, decide, act: the one executor of hostlet's decisions.
//!
//! A changing verb takes the lock, puts right what a crash left behind ([`heal`]), looks at the
//! machine ([`observe`]), asks `hostlet-policy` for a plan, and performs its steps one by one
//! ([`perform`]); when one fails, those before it are taken back ([`execute`]). A reading verb takes no
//! lock and changes nothing. While a program runs, the lock is free.

mod access;
mod attach;
mod attached;
mod bpffs;
mod caller;
mod change;
mod destroy;
mod doctor;
mod error;
mod events;
mod exec;
mod execute;
mod heal;
mod lend;
mod lock;
mod machine;
mod namespace;
mod network;
mod observe;
mod paths;
mod perform;
mod published;
mod read;
pub mod report;
mod run;
mod sockets;

pub use caller::caller_of;
pub use error::{Error, Result};
pub use exec::become_program;
pub use hostlet_platform::launch::{Ending, end_like};
pub use hostlet_store::{HistoryQuery, HistoryRow};
pub use machine::Stamp;
pub use paths::Paths;
pub use run::{LaunchOptions, Program};

/// One installation of hostlet, to be asked and changed.
pub struct Engine {
    paths: Paths,
    warn: fn(&str),
}

impl Engine {
    /// The installation at these paths. What the user should know although nothing failed is
    /// handed to `warn`.
    #[must_use]
    pub fn new(paths: Paths, warn: fn(&str)) -> Self {
        Self { paths, warn }
    }

    fn warn(&self, text: &str) {
        (self.warn)(text);
    }
}
