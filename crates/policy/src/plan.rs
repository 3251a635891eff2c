//! From what is wanted and what is there to the steps.
//!
//! The order of the steps is the safety of the whole: the store knows of a thing before it exists, a socket can be bound only after
//! everything that confines it is in place, and an address leaves the kernel's tables before its last sockets are destroyed, so that
//! none is bound in between.

mod change;
mod make;

use hostlet_model::{HostLoopback, HostletId, HostletSpec, SetEntry};

use crate::{Action, Observed};

pub(crate) use change::revoke;
pub use change::{plan_grant, plan_remove, plan_revoke, plan_update};
pub(crate) use make::{gone, plan_put_back};
pub use make::{plan_create, plan_lend, plan_restore, plan_settle};

/// What is to be done to make a hostlet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Its id.
    pub id: HostletId,
    /// Its set.
    pub entries: Vec<SetEntry>,
    /// What it may reach of the host's loopback: given ones and the host's resolver stubs.
    pub host_loopback: Vec<HostLoopback>,
    /// The steps, in order.
    pub actions: Vec<Action>,
    /// What the user should know, although it is done.
    pub warnings: Vec<String>,
}

/// What is to be done to change a hostlet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Renewal {
    /// What it is to be.
    pub spec: HostletSpec,
    /// Its set afterwards.
    pub entries: Vec<SetEntry>,
    /// The steps, in order.
    pub actions: Vec<Action>,
    /// What the user should know, although it is done.
    pub warnings: Vec<String>,
}

/// What a hostlet may reach of the host's loopback: the services it was given, and name servers on a loopback address (port 53),
/// without which names would not resolve.
pub fn reachable_services(spec: &HostletSpec, seen: &Observed) -> Vec<HostLoopback> {
    let stubs = seen
        .resolvers
        .iter()
        .filter(|a| a.is_loopback())
        .map(|a| HostLoopback { addr: *a, port: 53 });
    let mut out: Vec<HostLoopback> = Vec::new();
    for s in spec.host_loopback.iter().copied().chain(stubs) {
        if !out.contains(&s) {
            out.push(s);
        }
    }
    out
}
