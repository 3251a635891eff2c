//! The one vocabulary of change: what the executor performs.

use std::fmt;
use std::net::IpAddr;

use hostlet_model::{HostletId, HostletSpec, IpNet, Lifetime, Name, Owned, SetEntry};

use crate::KernelView;

/// What the store remembers of a hostlet, as far as it is decided here. The executor adds boot, time, program and caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Definition {
    /// Its id.
    pub id: HostletId,
    /// What was asked for.
    pub spec: HostletSpec,
    /// What was placed.
    pub entries: Vec<SetEntry>,
    /// How long it lives.
    pub lifetime: Lifetime,
}

/// What the kernel's table of owners says beside the id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct OwnFlags {
    /// It is a dedicated loopback address.
    pub loopback: bool,
    /// Its hostlet has more addresses of this family, so packets for it may need steering.
    pub many: bool,
}

/// One step. Each is complete in itself: the executor needs nothing but the step.
///
/// Unless said otherwise a step fails if things are not as expected (an address that is to be added is there already), so that two
/// who change the machine at once do not undo each other. Steps that take away succeed if the thing is gone already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Write the hostlet to the store, in state pending, before anything else is touched.
    Remember(Box<Definition>),
    /// Say in the store that all of it is there.
    MarkLive {
        /// The hostlet.
        name: Name,
    },
    /// Say in the store that it is being taken away.
    MarkRemoving {
        /// The hostlet.
        name: Name,
    },
    /// Replace what the store has of a hostlet: what was asked for and what is placed.
    Redefine {
        /// What is to be remembered.
        new: Box<Definition>,
        /// What was remembered before.
        old: Box<Definition>,
    },
    /// Remove the hostlet from the store. Its history stays.
    Unremember {
        /// The hostlet.
        name: Name,
    },
    /// Put an address on an interface.
    AddAddress {
        /// The interface.
        ifindex: u32,
        /// Its name.
        interface: String,
        /// The address.
        addr: IpAddr,
        /// The length of its subnet.
        prefix_len: u8,
    },
    /// Take an address from an interface. Only ever one that hostlet put there.
    DelAddress {
        /// The interface.
        ifindex: u32,
        /// Its name.
        interface: String,
        /// The address.
        addr: IpAddr,
        /// The length of its subnet.
        prefix_len: u8,
    },
    /// Add a route of type local on `lo`: every address of the prefix becomes the machine's own.
    AddLocalPrefix {
        /// The prefix.
        prefix: IpNet,
    },
    /// Remove that route.
    DelLocalPrefix {
        /// The prefix.
        prefix: IpNet,
    },
    /// Put the hostlet's IPv6 loopback address on `lo` (/128, without duplicate address detection, without a route, deprecated so
    /// that nobody else's source becomes it). IPv4 needs no such step: all of 127/8 is local. Succeeds if it is there.
    AddLoopback6 {
        /// Whose.
        id: HostletId,
    },
    /// Make the IPv6 loopback addresses of all hostlets the machine's own at once, by a route. It stays for the others. Succeeds if it
    /// is there.
    RouteLoopbacks6,
    /// Take it away.
    DelLoopback6 {
        /// Whose.
        id: HostletId,
    },
    /// Make the hostlet's cgroup.
    MakeCgroup {
        /// The hostlet.
        name: Name,
    },
    /// Remove it, with empty ones below. Fails while it has members.
    RemoveCgroup {
        /// The hostlet.
        name: Name,
    },
    /// Attach the kernel programs to the cgroup. They go with the cgroup; there is no step that detaches.
    Attach {
        /// The hostlet.
        name: Name,
    },
    /// Write an address or prefix into the kernel's table of owners. Fails if it has another owner.
    Own {
        /// The owner.
        id: HostletId,
        /// What is owned.
        owned: Owned,
        /// What else is to be said of it.
        flags: OwnFlags,
        /// The flags it had; none if the hostlet did not own it.
        previous: Option<OwnFlags>,
    },
    /// Remove it from the table of owners.
    Disown {
        /// The owner.
        id: HostletId,
        /// What was owned.
        owned: Owned,
        /// The flags it had.
        flags: OwnFlags,
    },
    /// Write the hostlet's record and its tables (sources, on-link subnets, what it may reach) into the kernel, whole. The calls of
    /// members are judged by it from then on.
    Publish {
        /// The hostlet.
        name: Name,
        /// What to write.
        view: Box<KernelView>,
        /// What was there; none for a new one.
        previous: Option<Box<KernelView>>,
    },
    /// Mark the record as going: every new bind, connect and send of a member is refused.
    Close {
        /// The hostlet.
        name: Name,
        /// Its id.
        id: HostletId,
    },
    /// Remove the record's tables from the kernel. The record itself goes with the cgroup.
    Forget {
        /// Whose.
        id: HostletId,
    },
    /// Destroy every socket that is bound to one of these addresses (SOCK_DESTROY), so that its holder sees an error at once.
    DestroySockets {
        /// Whose sockets.
        id: HostletId,
        /// Bound to what.
        owned: Owned,
    },
    /// Destroy the sockets of a hostlet that the kernel put on the host's real wildcard. The programs kept others' packets from
    /// them; for one that has fallen back these are its own.
    DestroyUnbound {
        /// Whose sockets.
        id: HostletId,
    },
    /// Kill every process in the cgroup and below, and wait for their end.
    KillMembers {
        /// The hostlet.
        name: Name,
    },
}

impl Action {
    /// Whether others than hostlet feel it: on an interface, in a route, by the end of a socket or a process.
    #[must_use]
    pub fn is_felt(&self) -> bool {
        match self {
            Action::AddAddress { .. }
            | Action::DelAddress { .. }
            | Action::AddLocalPrefix { .. }
            | Action::DelLocalPrefix { .. }
            | Action::KillMembers { .. } => true,
            // On its own loopback there are only its own, which end with it.
            Action::DestroySockets { id, owned } => {
                ![id.loopback4().into(), id.loopback6().into()].contains(&owned.first())
            }
            _ => false,
        }
    }

    /// The step that takes this one back; none if there is nothing to take back, or no way.
    pub fn undo(&self) -> Option<Action> {
        Some(match self.clone() {
            Action::Remember(d) => Action::Unremember { name: d.spec.name },
            Action::Redefine { new, old } => Action::Redefine { new: old, old: new },
            Action::AddAddress {
                ifindex,
                interface,
                addr,
                prefix_len,
            } => Action::DelAddress {
                ifindex,
                interface,
                addr,
                prefix_len,
            },
            Action::DelAddress {
                ifindex,
                interface,
                addr,
                prefix_len,
            } => Action::AddAddress {
                ifindex,
                interface,
                addr,
                prefix_len,
            },
            Action::AddLocalPrefix { prefix } => Action::DelLocalPrefix { prefix },
            Action::DelLocalPrefix { prefix } => Action::AddLocalPrefix { prefix },
            Action::AddLoopback6 { id } => Action::DelLoopback6 { id },
            Action::DelLoopback6 { id } => Action::AddLoopback6 { id },
            Action::MakeCgroup { name } => Action::RemoveCgroup { name },
            Action::Own {
                id,
                owned,
                flags,
                previous: None,
            } => Action::Disown { id, owned, flags },
            Action::Own {
                id,
                owned,
                flags,
                previous: Some(before),
            } => Action::Own {
                id,
                owned,
                flags: before,
                previous: Some(flags),
            },
            Action::Disown { id, owned, flags } => Action::Own {
                id,
                owned,
                flags,
                previous: None,
            },
            Action::Publish {
                name,
                view,
                previous: Some(before),
            } => Action::Publish {
                name,
                view: before,
                previous: Some(view),
            },
            Action::Publish {
                view,
                previous: None,
                ..
            } => Action::Forget { id: view.id },
            // A removal is not turned back: what is half gone goes on going with the next command.
            Action::MarkLive { .. }
            | Action::MarkRemoving { .. }
            | Action::RouteLoopbacks6
            | Action::Unremember { .. }
            | Action::RemoveCgroup { .. }
            | Action::Attach { .. }
            | Action::Close { .. }
            | Action::Forget { .. }
            | Action::DestroySockets { .. }
            | Action::DestroyUnbound { .. }
            | Action::KillMembers { .. } => return None,
        })
    }
}

impl fmt::Display for Action {
    /// One line, for people.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Action::Remember(d) => write!(f, "remember hostlet {} ({})", d.spec.name, d.lifetime),
            Action::MarkLive { name } => write!(f, "mark {name} as live"),
            Action::MarkRemoving { name } => write!(f, "mark {name} as being removed"),
            Action::Redefine { new, .. } => {
                write!(f, "remember {} with ", new.spec.name)?;
                for (i, e) in new.entries.iter().enumerate() {
                    write!(f, "{}{}", if i > 0 { ", " } else { "" }, e.owned)?;
                }
                Ok(())
            }
            Action::Unremember { name } => write!(f, "forget the definition of {name}"),
            Action::AddAddress {
                interface,
                addr,
                prefix_len,
                ..
            } => write!(f, "add {addr}/{prefix_len} to {interface}"),
            Action::DelAddress {
                interface,
                addr,
                prefix_len,
                ..
            } => write!(f, "remove {addr}/{prefix_len} from {interface}"),
            Action::AddLocalPrefix { prefix } => write!(f, "add a local route for {prefix}"),
            Action::DelLocalPrefix { prefix } => write!(f, "remove the local route for {prefix}"),
            Action::AddLoopback6 { id } => write!(f, "add loopback {} to lo", id.loopback6()),
            Action::RouteLoopbacks6 => write!(f, "add a local route for IPv6 loopbacks"),
            Action::DelLoopback6 { id } => write!(f, "remove loopback {} from lo", id.loopback6()),
            Action::MakeCgroup { name } => write!(f, "make cgroup {name}"),
            Action::RemoveCgroup { name } => write!(f, "remove cgroup {name}"),
            Action::Attach { name } => write!(f, "attach the kernel programs to cgroup {name}"),
            Action::Own { id, owned, .. } => write!(f, "make hostlet {id} the owner of {owned}"),
            Action::Disown { id, owned, .. } => {
                write!(f, "end hostlet {id}'s ownership of {owned}")
            }
            Action::Publish { name, .. } => write!(f, "publish {name} to the kernel"),
            Action::Close { name, .. } => write!(f, "refuse new calls in {name}"),
            Action::Forget { id } => write!(f, "clear the kernel tables of hostlet {id}"),
            Action::DestroySockets { owned, .. } => write!(f, "destroy open sockets on {owned}"),
            Action::DestroyUnbound { id } => {
                write!(f, "destroy sockets of hostlet {id} on the wildcard")
            }
            Action::KillMembers { name } => write!(f, "kill the members of {name}"),
        }
    }
}
