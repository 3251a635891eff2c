//! A hostlet as it is remembered.

use std::ops::RangeInclusive;

use hostlet_model::{HostletId, HostletSpec, Lifetime, Name, SetEntry, is_routed};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// How far a hostlet has come. Anything but [`State::Live`] that no running
/// command is working on is half-made, and the next command takes it back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// The intention is written, the kernel may have part of it.
    Pending,
    /// All of it is in the kernel.
    Live,
    /// It is being taken away.
    Removing,
}

impl State {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            State::Pending => "pending",
            State::Live => "live",
            State::Removing => "removing",
        }
    }

    pub(crate) fn parse(text: &str) -> Option<State> {
        [State::Pending, State::Live, State::Removing]
            .into_iter()
            .find(|s| s.as_str() == text)
    }
}

/// Everything remembered about one hostlet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Definition {
    /// The id that the kernel programs know.
    pub id: HostletId,
    /// Its name.
    pub name: Name,
    /// What was asked for.
    pub spec: HostletSpec,
    /// What was placed, in the set's order.
    pub entries: Vec<SetEntry>,
    /// How long it is to live.
    pub lifetime: Lifetime,
    /// The boot in which the kernel got it; rows of another boot have no kernel state.
    pub boot_id: String,
    /// How far it has come.
    pub state: State,
    /// When it was made; kept to the microsecond.
    pub created: Timestamp,
    /// The program that it was made for; empty if for none.
    pub program: Vec<String>,
    /// Who made it.
    pub uid: u32,
    /// The name that `uid` had at that time: accounts are renamed and removed.
    pub user: String,
}

/// What there is to know of all hostlets at a glance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glance {
    /// How many there are.
    pub count: i64,
    /// The lowest and the highest number; of none, those of the first.
    pub ids: RangeInclusive<HostletId>,
    /// Some are not whole in this boot, or a command did not finish changing them.
    pub unsettled: bool,
    /// Some are of runs.
    pub runs: bool,
}

/// What the rules of hostlets depend on in the network, beside the addresses themselves: the least first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Follows {
    /// Nothing.
    Nothing,
    /// The routes.
    Routes,
    /// The routes, and what is local.
    RoutesAndLocals,
}

impl Follows {
    /// What those of a hostlet depend on.
    pub(crate) fn from(spec: &HostletSpec, entries: &[SetEntry]) -> Self {
        if spec.unreachable.is_some() {
            Self::RoutesAndLocals
        } else if is_routed(entries, true) || is_routed(entries, false) {
            Self::Routes
        } else {
            Self::Nothing
        }
    }

    pub(crate) fn of(number: u8) -> Self {
        match number {
            0 => Self::Nothing,
            1 => Self::Routes,
            _ => Self::RoutesAndLocals,
        }
    }
}

/// What a hostlet is before or after a change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Version {
    /// What was asked for.
    pub spec: HostletSpec,
    /// What was placed.
    pub entries: Vec<SetEntry>,
}

/// An address that hostlet itself put on an interface, and so must take away.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Assigned {
    /// For which hostlet.
    pub hostlet: Name,
    /// Its id.
    pub id: HostletId,
    /// The address, the on-link length, the interface.
    pub entry: SetEntry,
    /// In which boot: interfaces of another boot are not these.
    pub boot_id: String,
    /// The state of the hostlet.
    pub state: State,
}
