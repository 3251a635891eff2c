//! What reading verbs give back. The JSON of the command line is these types,
//! so their fields are a promise: add some, never rename or drop one.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use hostlet_model::{HostLoopback, Name, Owned, SourcePolicy};
use jiff::Timestamp;
use serde::Serialize;

/// One hostlet in full.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct HostletReport {
    /// Its name.
    pub name: Name,
    /// Its id in the kernel.
    pub id: u32,
    /// `live`, `pending`, `removing`, or `stale`: of another boot, the next change heals it. A living one that lost its
    /// addresses is `cut-off`, with its loopback alone, or `fallen-back`, with those of this machine.
    pub state: &'static str,
    /// Whether it has fallen back: its members use this machine's addresses until it ends.
    pub fallen_back: bool,
    /// `run`, `kept` or `declared`.
    pub lifetime: &'static str,
    /// The set.
    pub addresses: Vec<AddressReport>,
    /// The addresses that `127.0.0.1` and `::1` mean inside.
    pub loopback: Vec<IpAddr>,
    /// Further loopback addresses that its programs have named, and what stands for each.
    pub further_loopback: BTreeMap<Ipv4Addr, Ipv4Addr>,
    /// Which address an unbound socket leaves from.
    pub source: SourcePolicy,
    /// Services on the host's loopback that it may reach.
    pub host_loopback: Vec<HostLoopback>,
    /// Whether packets are checked too.
    pub guard: bool,
    /// Whether raw sockets are granted.
    pub raw: bool,
    /// When it was made.
    pub created: Timestamp,
    /// Who made it.
    pub uid: u32,
    /// That user's name at the time.
    pub user: String,
    /// What it was made for; empty for `create` and `apply`.
    pub program: Vec<String>,
    /// Its cgroup.
    pub cgroup: PathBuf,
    /// The number by which the kernel knows the cgroup; none if it is not there.
    pub cgroup_id: Option<u64>,
    /// Other cgroups that `attach --cgroup` put its rules on.
    pub attached_cgroups: Vec<PathBuf>,
    /// How many processes live in it.
    pub members: usize,
}

/// One address of a set.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AddressReport {
    /// The address or prefix.
    pub address: Owned,
    /// The interface that it is on.
    pub interface: String,
    /// The length of its subnet.
    pub onlink: u8,
    /// Whether hostlet put it there.
    pub assigned: bool,
    /// Whether the machine does not have it any more: somebody removed it, or its interface.
    pub missing: bool,
}

/// A process in a hostlet.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MemberReport {
    /// The hostlet.
    pub hostlet: Name,
    /// The process.
    pub pid: u32,
    /// Its user.
    pub uid: u32,
    /// Its short name.
    pub comm: String,
    /// Its command line.
    pub command: Vec<String>,
}

/// A process that has a socket open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HolderReport {
    /// The process.
    pub pid: u32,
    /// Its short name.
    pub comm: String,
}

/// A socket of a member.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SocketReport {
    /// The hostlet.
    pub hostlet: Name,
    /// `tcp`, `udp`, `udplite`, `raw`, `packet`, …
    pub protocol: String,
    /// `listen`, `established`, …; `-` where the protocol has none.
    pub state: String,
    /// Where it is bound, as the program sees it.
    pub local: String,
    /// Its peer, as the program sees it.
    pub remote: String,
    /// Where it is bound, as the kernel has it.
    pub kernel_local: String,
    /// Its peer, as the kernel has it.
    pub kernel_remote: String,
    /// Whether it stands for the wildcard.
    pub wildcard: bool,
    /// Its owner.
    pub uid: u32,
    /// Its inode.
    pub inode: u64,
    /// The kernel's number for it.
    pub cookie: u64,
    /// Who has it open; empty for one that only the kernel still has.
    pub processes: Vec<HolderReport>,
}

/// A socket of a member that lies outside policy; or an address that is gone, which has no socket's values.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Finding {
    /// The hostlet.
    pub hostlet: Name,
    /// Which rule it breaks.
    pub reason: Reason,
    /// That in a sentence, with what to do.
    pub text: String,
    /// As in [`SocketReport`].
    pub protocol: String,
    /// As in [`SocketReport`].
    pub state: String,
    /// As the kernel has it.
    pub local: String,
    /// As the kernel has it.
    pub remote: String,
    /// Its inode.
    pub inode: u64,
    /// Who has it open.
    pub processes: Vec<HolderReport>,
}

/// Why a socket lies outside policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// It is bound to an address that is not in the set.
    ForeignAddress,
    /// It was made in another cgroup: the hostlet's rules do not see its calls.
    ForeignCgroup,
    /// A raw socket, and the hostlet was not granted them.
    Raw,
    /// A packet socket: it sees every frame of an interface.
    Packet,
    /// No socket, but an address of the set that the machine does not have any more.
    AddressGone,
    /// The connection by which a user came in, which the login itself holds: normal, and told because it is outside.
    Login,
}

/// What `explain` says.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ExplainReport {
    /// The hostlet.
    pub hostlet: Name,
    /// The call.
    pub call: String,
    /// What happens.
    pub verdict: String,
    /// The rule that says so.
    pub rule: String,
    /// In a sentence.
    pub text: String,
    /// The row of the requirements.
    pub row: String,
}

/// What `events` tells, one after the other.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum EventLine {
    /// A refusal or a drop.
    Event(Box<EventReport>),
    /// There were others before the next one.
    Lost(LostReport),
}

/// Refusals and drops, of whichever hostlets, of which nothing is kept any more: others took their places.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct LostReport {
    /// How many.
    pub lost: u64,
    /// When the next one was that is kept.
    pub until: Timestamp,
}

/// A refusal or a drop.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EventReport {
    /// Its number; they have no gaps unless some are lost, or of other hostlets.
    pub seq: u64,
    /// When.
    pub time: Timestamp,
    /// The hostlet's name; its id as text if it is gone.
    pub hostlet: String,
    /// Who; 0 for a packet.
    pub pid: u32,
    /// Its short name.
    pub program: String,
    /// Its user.
    pub uid: u32,
    /// `bind`, `connect`, …
    pub call: String,
    /// `tcp`, `udp`, …
    pub protocol: String,
    /// The address asked for.
    pub address: String,
    /// The port asked for.
    pub port: u16,
    /// The other address, where there is one: the source of a packet.
    pub other: Option<String>,
    /// Why.
    pub reason: String,
    /// The error that the program got, or `dropped`.
    pub error: String,
    /// How many more of the same were not written.
    pub more: u64,
    /// For a port that a host socket holds: the program that holds it now, or its user; none if it is free by now.
    pub holder: Option<String>,
}

/// What the machine offers.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DoctorReport {
    /// Whether everything needed is there.
    pub usable: bool,
    /// One by one.
    pub features: Vec<FeatureReport>,
    /// What the tables hold.
    pub limits: LimitReport,
    /// Whether the kernel part is there now.
    pub installed: bool,
}

/// One thing that the kernel or the system may offer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FeatureReport {
    /// Its name.
    pub name: String,
    /// Whether it is there; null: could not be found out.
    pub present: Option<bool>,
    /// Whether hostlet can do without.
    pub needed: bool,
    /// What is lost without it, and what to do.
    pub costs: String,
}

/// What the tables hold.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LimitReport {
    /// The most hostlets.
    pub hostlets: u32,
    /// How many there are.
    pub hostlets_used: u32,
    /// The most bound sockets in all of them.
    pub sockets: u32,
    /// The most further loopback addresses in all of them.
    pub further_loopbacks: u32,
    /// How many there are.
    pub further_loopbacks_used: u32,
    /// The most in one hostlet.
    pub further_loopbacks_each: u32,
    /// What the kernel part takes now; null: not installed, or the kernel does not say.
    pub memory_bytes: Option<u64>,
}

/// One change of `apply`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ChangeReport {
    /// `create`, `grant`, `revoke`, `update` or `remove`.
    pub change: String,
    /// The hostlet.
    pub name: Name,
    /// In a line.
    pub text: String,
    /// What others than hostlet feel of it: addresses, routes, sockets and processes that come or end.
    pub actions: Vec<String>,
}

/// What `attach --pid` could not take along.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AttachReport {
    /// The hostlet.
    pub name: Name,
    /// The processes that are members now.
    pub attached: Vec<u32>,
    /// Sockets they already had, which stay outside.
    pub outside: Vec<Finding>,
}
