//! The types of the interface.

use std::net::IpAddr;

use hostlet_model::{HostLoopback, Name, SourcePolicy};
use serde::{Deserialize, Serialize};

/// An address that a hostlet has been lent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address {
    /// The address.
    pub address: IpAddr,
    /// The length of the subnet that is on the link.
    pub prefix: u8,
    /// The pool it is from.
    pub pool: Name,
    /// The interface it is on.
    pub interface: String,
    /// When the lease ends if it is not renewed (RFC 3339).
    #[serde(default)]
    pub expires: Option<String>,
}

/// Who holds which address, and on whose word. Times are RFC 3339.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// The address.
    pub address: IpAddr,
    /// The length of the subnet that is on the link.
    pub prefix: u8,
    /// The pool it is from.
    pub pool: Name,
    /// The interface it is on.
    pub interface: String,
    /// The hostlet that has it.
    pub hostlet: Name,
    /// Who opened the hostlet.
    pub user: String,
    /// The same as a number.
    pub uid: u32,
    /// What the hostlet was opened for.
    pub program: Vec<String>,
    /// The number that stands for the holder in DHCP.
    pub holder: u32,
    /// Since when.
    pub since: String,
    /// `claimed` (being obtained), `held`, or `lost` (its hostlet is without it until there is another).
    pub state: String,
    /// What the DHCP server knows the holder by: a hardware address, or DUID and IAID.
    #[serde(default)]
    pub hardware: Option<String>,
    /// The DHCP server.
    #[serde(default)]
    pub server: Option<String>,
    /// When it is renewed at that server.
    #[serde(default)]
    pub renew: Option<String>,
    /// When any server is asked.
    #[serde(default)]
    pub rebind: Option<String>,
    /// When it ends.
    #[serde(default)]
    pub expires: Option<String>,
}

/// An address that is not lent for a while, for somebody else was found using it (B15).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Aside {
    /// The address.
    pub address: IpAddr,
    /// Until when (RFC 3339).
    pub until: String,
    /// Who was found.
    pub why: String,
}

/// How much of one family a pool lends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lent {
    /// `ipv4` or `ipv6`.
    pub family: String,
    /// How many addresses of it a static pool has, in decimal.
    #[serde(default)]
    pub size: Option<String>,
    /// How many of them are lent now.
    pub held: u64,
}

/// A pool of the configuration, and how it is used now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pool {
    /// Its name.
    pub name: Name,
    /// The interface its addresses go on.
    pub interface: String,
    /// `static` or `dhcp`.
    pub kind: String,
    /// `ipv4`, `ipv6`.
    pub families: Vec<String>,
    /// The ranges of a static pool.
    pub ranges: Vec<String>,
    /// How many addresses a static pool has, in decimal.
    #[serde(default)]
    pub size: Option<String>,
    /// How many are lent now.
    pub held: u64,
    /// Both, of each of its families; an older hostletd does not say it.
    #[serde(default)]
    pub lent: Vec<Lent>,
    /// Those that are not lent for a while.
    pub asides: Vec<Aside>,
    /// Who beside root may draw from it, as the configuration says it.
    pub may_use: Vec<String>,
}

/// What is asked for with `Open`. What the caller left out is filled in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Open {
    /// The hostlet's name; without, one is chosen.
    pub name: Option<Name>,
    /// Where the addresses are to come from: one of each family that a pool has.
    pub pools: Vec<Name>,
    /// Addresses that the caller wishes for (B7).
    pub request: Vec<IpAddr>,
    /// How the source is chosen among several addresses.
    pub source: SourcePolicy,
    /// Services on the host's loopback that members may reach; root's to choose.
    pub host_loopback: Vec<HostLoopback>,
    /// Whether every packet is checked; root's to switch off.
    pub guard: bool,
    /// Whether raw sockets are granted; root's to choose.
    pub raw: bool,
    /// Whether the hostlet stays until it is closed; root's to choose.
    pub keep: bool,
    /// What it is opened for, for the record (B13).
    pub program: Vec<String>,
}

impl Open {
    /// A hostlet with addresses out of these pools, and every option at its default.
    #[must_use]
    pub fn new(pools: Vec<Name>) -> Self {
        Self {
            name: None,
            pools,
            request: Vec::new(),
            source: SourcePolicy::default(),
            host_loopback: Vec::new(),
            guard: true,
            raw: false,
            keep: false,
            program: Vec::new(),
        }
    }
}

/// The hostlet that `Open` made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opened {
    /// Its name.
    pub name: Name,
    /// Its addresses.
    pub addresses: Vec<Address>,
}

/// A login, as the first process of its session tells it (B1).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Login {
    /// Who logs in.
    pub user: String,
    /// The PAM service, such as `sshd`.
    pub service: String,
    /// The terminal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tty: Option<String>,
    /// The host that the user comes from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remote: Option<String>,
}

/// What a session gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Decision {
    /// A hostlet: a `Join` by the same process, over the same connection, makes it a member.
    Hostlet,
    /// The machine's addresses.
    Machine,
    /// It is in a hostlet that no rule made, and belongs there.
    Stays,
    /// A rule gives it a hostlet, none is to be had, and it uses the machine's addresses instead.
    FallBack,
}

/// The answer to a [`Login`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoggedIn {
    /// What the session gets.
    pub decision: Decision,
    /// Its number, for `Logout`; none: nobody needs to hear of its end.
    #[serde(default)]
    pub session: Option<u64>,
    /// The hostlet.
    #[serde(default)]
    pub name: Option<Name>,
    /// The addresses of the hostlet.
    pub addresses: Vec<IpAddr>,
    /// The rule that decided.
    #[serde(default)]
    pub rule: Option<Name>,
    /// What the administrator should know, such as why it falls back.
    #[serde(default)]
    pub message: Option<String>,
}

/// A login session, and what a rule gave it (B1, B13).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// Its number.
    pub number: u64,
    /// The hostlet that it is in; none: it uses the machine's addresses.
    #[serde(default)]
    pub hostlet: Option<Name>,
    /// Whose it is.
    pub user: String,
    /// The same as a number.
    pub uid: u32,
    /// The PAM service through which it came.
    pub service: String,
    /// Its terminal.
    #[serde(default)]
    pub tty: Option<String>,
    /// The host that it came from.
    #[serde(default)]
    pub remote: Option<String>,
    /// Since when (RFC 3339).
    pub since: String,
    /// The process that opened it.
    pub leader: u32,
    /// The rule that decided.
    #[serde(default)]
    pub rule: Option<Name>,
    /// `open`, `ended` (logged out, processes are left), or `cut-off` (the same, without addresses).
    pub state: String,
    /// The addresses of its hostlet.
    pub addresses: Vec<IpAddr>,
    /// What runs in it.
    pub programs: Vec<String>,
}

/// Who answers (`org.varlink.service.GetInfo`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Info {
    /// Who makes the program.
    pub vendor: String,
    /// The program.
    pub product: String,
    /// Its version.
    pub version: String,
    /// Where it is described.
    pub url: String,
    /// The interfaces it serves.
    pub interfaces: Vec<String>,
}
