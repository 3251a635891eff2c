//! Observe, decide, act: the one executor of hostlet's decisions.
//!
//! A changing verb takes the lock, puts right what a crash left behind ([`heal`]), looks at the
//! machine ([`observe`]), asks `hostlet-policy` for a plan, and performs its steps one by one
//! ([`perform`]); when one fails, those before it are taken back ([`execute`]). A reading verb takes no
//! lock and changes nothing. While a program runs, the lock is free.

mod access;
mod alike;
mod attach;
mod attached;
mod bpffs;
mod caller;
mod change;
mod destroy;
mod doctor;
mod doubts;
mod error;
mod events;
mod excluded;
mod exec;
mod execute;
mod gone;
mod heal;
mod join;
mod kept;
mod lend;
mod lock;
mod machine;
mod names;
mod namespace;
mod network;
mod observe;
mod perform;
mod place;
mod published;
mod read;
pub mod report;
mod run;
mod sockets;

use std::sync::{PoisonError, RwLock};

use hostlet_model::config::Config;

use machine::Machine;

pub use caller::{caller_named, caller_of};
pub use doubts::{doubts_of_hostlets, unknown_who};
pub use error::{Error, Result};
pub use exec::{become_program, give_up_new_privileges};
pub use hostlet_kernel::FileId;
pub use hostlet_model::Paths;
pub use hostlet_platform::launch::{Ending, end_like};
pub use hostlet_store::{HistoryQuery, HistoryRow};
pub use lock::is_inside;
pub use machine::Stamp;
pub use run::{LaunchOptions, Program};

/// One installation of hostlet, to be asked and changed.
pub struct Engine {
    paths: Paths,
    warn: fn(&str),
    /// What counts instead of the file, which may be half-written or wrong meanwhile.
    kept: RwLock<Option<Config>>,
    keep: kept::Keep,
}

impl Engine {
    /// The installation at these paths. What the user should know although nothing failed is
    /// handed to `warn`.
    #[must_use]
    pub fn new(paths: Paths, warn: fn(&str)) -> Self {
        Self {
            paths,
            warn,
            kept: RwLock::default(),
            keep: kept::Keep::default(),
        }
    }

    /// From now on the state and the kernel's tables stay open between commands, for a process that stays itself.
    pub fn stay(&self) {
        self.keep.stay();
    }

    /// From now on this configuration counts, whatever the file says: that of a daemon which takes over a new one whole or
    /// not at all.
    pub fn keep_config(&self, config: Config) {
        *self.kept.write().unwrap_or_else(PoisonError::into_inner) = Some(config);
    }

    /// Has the kernel part there before a hostlet needs it: the kernel takes a while to verify it, and a login
    /// would wait for that.
    ///
    /// # Errors
    /// The kernel refuses it, or what a crash left behind cannot be put right.
    pub fn prepare(&self) -> Result<()> {
        let mut machine = self.machine("load the kernel part", Stamp::default())?;
        machine.fit_limits()?;
        machine.kernel().map(drop)
    }

    /// The configuration for something that only root may do.
    fn config_now(&self, what: &'static str) -> Result<Config> {
        machine::need_root(what)?;
        let kept = self.kept.read().unwrap_or_else(PoisonError::into_inner);
        match &*kept {
            Some(config) => Ok(config.clone()),
            None => machine::read_config(&self.paths),
        }
    }

    /// A lost file is no wish to remove all that was declared. Whoever keeps a configuration has said so himself.
    fn need_config(&self, what: &'static str) -> Result<()> {
        machine::need_root(what)?;
        let kept = self.kept.read().unwrap_or_else(PoisonError::into_inner);
        if kept.is_none() && !self.paths.config.exists() {
            return Err(Error::NoConfig {
                config: self.paths.config.clone(),
            });
        }
        Ok(())
    }

    /// Everything, to be looked at. What there is does not depend on the configuration, and is seen also where that has a mistake.
    fn reading(&self, what: &'static str) -> Result<Machine<'_>> {
        machine::need_root(what)?;
        self.reading_by(Config::default())
    }

    /// The same, to be compared with what the configuration says.
    fn reading_by(&self, config: Config) -> Result<Machine<'_>> {
        // The kernel's tables are not to be seen from there, and without them all would seem well.
        if lock::is_shut_in(&self.paths) {
            return Err(Error::Inside);
        }
        Machine::to_read(&self.paths, &self.keep, config)
    }

    /// What is remembered and who is a member, to be looked at: it is to be seen also where the kernel's tables are another version's,
    /// so that those hostlets can be found and ended.
    fn remembering(&self, what: &'static str) -> Result<Machine<'_>> {
        let tables = match self.reading(what) {
            Err(error @ Error::Kernel(hostlet_kernel::Error::Layout { .. })) => error,
            read => return read,
        };
        self.warn(&tables.to_string());
        Machine::without_tables(&self.paths, &self.keep)
    }

    fn warn(&self, text: &str) {
        (self.warn)(text);
    }
}
