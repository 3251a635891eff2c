//! The configuration file, `hostlet.toml`.
//!
//! ```toml
//! [defaults]                      # for every hostlet below
//! source = "primary"
//!
//! [limits]
//! hostlets = 4096
//! history-days = 90
//!
//! [hostlet.web]
//! addresses = ["10.0.0.5/24", "2001:db8::5/64"]
//! assign = "eth0"
//! may-start = ["user:alice", "group:ops"]
//!
//! [pool.office]
//! interface = "eth0"
//! ranges = ["192.0.2.100-192.0.2.199"]
//! may-use = ["group:staff"]
//!
//! [sessions]                      # for what rules make
//! exclude = ["/usr/bin/Xorg"]
//!
//! [[rule]]                        # the first that fits decides
//! name = "staff"
//! who = ["group:staff"]
//! per = "session"
//! pools = ["office"]
//! ```

#[macro_use]
mod words;

mod capability;
mod error;
mod pool;
mod pools;
mod read;
mod rule;
mod rules;
mod sessions;
mod time;
mod values;
mod who;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{HostletSpec, Name};

pub use crate::Unreachable;

pub use error::{ConfigError, Problem, place_of};
pub use pool::{
    DaemonOptions, DhcpOptions, DhcpPool, OnLoss, OnLossError, Pool, PoolSource, StaticPool,
};
pub use rule::{Per, PerError, ProgramPattern, Rule, Target, Unavailable, UnavailableError};
pub use sessions::{Exclude, ExcludeError, OwnName, OwnNameError, PathError, Sessions};
pub use who::{Who, WhoError};

/// The configuration: limits, the hostlets it declares, the pools, and the rules of logins and programs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Config {
    /// Limits of this installation.
    pub limits: Limits,
    /// Declared hostlets by name; the defaults are already worked in.
    pub hostlets: BTreeMap<Name, Declared>,
    /// What hostletd lends from, by name. No two have an address in common, and none has one that a hostlet declares.
    #[serde(default)]
    pub pools: BTreeMap<Name, Pool>,
    /// What holds for every lease by DHCP.
    #[serde(default)]
    pub dhcp: DhcpOptions,
    /// Limits of hostletd.
    #[serde(default)]
    pub daemon: DaemonOptions,
    /// What holds for all hostlets that rules make.
    #[serde(default)]
    pub sessions: Sessions,
    /// Who gets which hostlet, in the order of the file: the first that fits decides. No two have the same name.
    #[serde(default)]
    pub rules: Vec<Rule>,
}

impl Config {
    /// Reads a configuration. `file_name` is only named in errors.
    ///
    /// # Errors
    /// Everything that is wrong with the text, each with line and column.
    pub fn parse(text: &str, file_name: &str) -> Result<Config, ConfigError> {
        read::config(text, file_name)
    }

    /// The same of what a file has, which may be no text.
    ///
    /// # Errors
    /// As of [`Config::parse`]; or where it is no UTF-8.
    pub fn parse_bytes(bytes: &[u8], file_name: &str) -> Result<Config, ConfigError> {
        match std::str::from_utf8(bytes) {
            Ok(text) => Config::parse(text, file_name),
            Err(error) => Err(error::not_utf8(bytes, error.valid_up_to(), file_name)),
        }
    }
}

/// A hostlet that the configuration declares.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Declared {
    /// What it is to be.
    pub spec: HostletSpec,
    /// Who, beside root, may start programs in it.
    pub may_start: Vec<Who>,
    /// Who, beside root, may enter it while it runs.
    pub may_enter: Vec<Who>,
    /// How `hostlet start` runs programs in it.
    pub run: RunOptions,
}

/// How a program is run in a declared hostlet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunOptions {
    /// The user to run as; the caller if absent.
    pub user: Option<String>,
    /// The group to run as; the user's own if absent.
    pub group: Option<String>,
    /// The directory to run in.
    pub workdir: Option<String>,
    /// Variables set in the environment.
    pub env: Vec<(String, String)>,
    /// Capabilities that are kept, as `CAP_NAME`.
    pub keep_capabilities: Vec<String>,
}

/// Limits of an installation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// The most hostlets at one time; kernel tables are sized by it.
    pub hostlets: u32,
    /// The most bound sockets in all hostlets together.
    pub sockets: u32,
    /// How many days the history of addresses is kept.
    pub history_days: u32,
}

impl Limits {
    /// Bound sockets counted on for each hostlet when nothing is said.
    pub const SOCKETS_PER_HOSTLET: u32 = 16;
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            hostlets: 4096,
            sockets: 4096 * Self::SOCKETS_PER_HOSTLET,
            history_days: 90,
        }
    }
}
