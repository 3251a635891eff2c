//! Leases: who holds which address of a pool, what is set aside, and who had what last.

use std::net::IpAddr;
use std::time::Duration;

use hostlet_model::Name;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::error::Result;

/// An address that is lent to a hostlet, or about to be (rows B3 to B5).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Lease {
    /// The address; no other lease has it.
    pub address: IpAddr,
    /// The length of the network on the link.
    pub prefix_len: u8,
    /// The pool it is of.
    pub pool: Name,
    /// The interface it is on.
    pub interface: String,
    /// The hostlet that has it.
    pub hostlet: Name,
    /// The number of the holder, from [`LeaseStore::holder`].
    pub holder: u32,
    /// The key of the holder.
    pub holder_key: String,
    /// The user it is lent to.
    pub uid: u32,
    /// The name that `uid` had when it was lent: accounts are renamed and removed.
    pub user: String,
    /// The program that it was lent for; empty if for none.
    pub program: Vec<String>,
    /// When it was claimed; kept to the microsecond.
    pub since: Timestamp,
    /// How far it has come.
    pub state: LeaseState,
    /// On which terms a server lent it; none for an address of the configuration.
    pub terms: Option<Terms>,
}

/// How far a lease has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LeaseState {
    /// The intention: nobody else gets the address, and its holder may not use it yet.
    Claimed,
    /// The holder may use it.
    Held,
}

impl LeaseState {
    /// The state in one word.
    pub fn as_str(self) -> &'static str {
        match self {
            LeaseState::Claimed => "claimed",
            LeaseState::Held => "held",
        }
    }

    pub(crate) fn parse(text: &str) -> Option<LeaseState> {
        [LeaseState::Claimed, LeaseState::Held]
            .into_iter()
            .find(|s| s.as_str() == text)
    }
}

/// On which terms a server lent an address.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Terms {
    /// The server: its address (DHCPv4) or its DUID (DHCPv6).
    pub server: String,
    /// When to ask this server to prolong it.
    pub renew: Timestamp,
    /// When to ask any server.
    pub rebind: Timestamp,
    /// When it ends; none: never.
    pub expires: Option<Timestamp>,
    /// As whom the server knows the holder: the hardware address (DHCPv4), or DUID and IAID (DHCPv6).
    pub hardware: String,
    /// The same moments by a clock that nobody sets; none: written down before that was done, or the machine has no such clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since_boot: Option<SinceBoot>,
}

/// The moments of [`Terms`] as time since the machine was started, sleep included. Within that boot they are what counts; in
/// another one they say how long the lease was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SinceBoot {
    /// Which boot it was.
    pub boot_id: String,
    /// When this was written.
    pub written: Duration,
    /// As [`Terms::renew`].
    pub renew: Duration,
    /// As [`Terms::rebind`].
    pub rebind: Duration,
    /// As [`Terms::expires`].
    pub expires: Option<Duration>,
}

/// What became of a claim.
#[derive(Debug, Clone, PartialEq)]
pub enum Claim {
    /// The address is the claimant's.
    Done,
    /// Another has it: this lease.
    Taken(Box<Lease>),
    /// It is not to be lent for now.
    SetAside {
        /// Until when.
        until: Timestamp,
        /// Why.
        why: String,
    },
}

/// An address that is not lent for a while, because somebody else was found to use it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Aside {
    /// The address.
    pub address: IpAddr,
    /// The pool it is of.
    pub pool: Name,
    /// Until when it is not lent; kept to the microsecond.
    pub until: Timestamp,
    /// Why.
    pub why: String,
}

/// The last address that a holder had of a pool and a family.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Remembered {
    /// The address; somebody else may hold it by now.
    pub address: IpAddr,
    /// Whose last it was.
    pub holder: u32,
    /// When it was released.
    pub released: Timestamp,
}

/// Where leases are kept.
///
/// Each call is atomic, also against other processes with the same store. What [`claim`](LeaseStore::claim),
/// [`hold`](LeaseStore::hold) and [`release`](LeaseStore::release) have done when they return survives a power failure.
/// Every call fails with [`StoreError`](crate::StoreError) if the store cannot be read or written; then it has changed nothing.
pub trait LeaseStore {
    /// The number of the holder with this key, 1 to [`MAX_HOLDER`]; a key that has none gets one. It stays the key's until it was
    /// not used for as long as [`prune`](LeaseStore::prune) says, or others of the same user take its place: of keys that begin
    /// with the same `UID/` at most [`MAX_IDLE`] are known that have no lease. The longest unused are forgotten first, with what
    /// they had; those that never had an address before all.
    fn holder(&self, key: &str) -> Result<u32>;

    /// The last address that the holder held and released of this pool and family.
    fn last(&self, holder: u32, pool: &Name, v6: bool) -> Result<Option<Remembered>>;

    /// Takes the address for this lease, unless another has it or it is set aside. To claim again what the same holder and hostlet
    /// have is no error: the lease becomes the one given.
    fn claim(&self, lease: &Lease, now: Timestamp) -> Result<Claim>;

    /// As [`claim`](LeaseStore::claim), but a power failure may undo it, until the next call that survives one. For an address
    /// that no server was asked for and nobody uses yet: a power failure takes it from its interface as well.
    fn claim_for_now(&self, lease: &Lease, now: Timestamp) -> Result<Claim> {
        self.claim(lease, now)
    }

    /// Says that the hostlet may use the address from now on, or that its terms are new.
    ///
    /// # Errors
    /// [`StoreError::NotLeased`](crate::StoreError::NotLeased) if the hostlet has no lease of this address.
    fn hold(&self, address: IpAddr, hostlet: &Name, terms: Option<&Terms>) -> Result<()>;

    /// Ends the lease of this address and gives it back; none: there was none. One that was held is remembered as its holder's last.
    fn release(&self, address: IpAddr, now: Timestamp) -> Result<Option<Lease>>;

    /// All leases, by address.
    fn leases(&self) -> Result<Vec<Lease>>;

    /// Remembers that a hostlet is without this lease, until it has another ([`found`](LeaseStore::found)) or ends. The address is
    /// anybody's.
    fn lose(&self, lease: &Lease) -> Result<()>;

    /// What hostlets are without.
    fn lost(&self) -> Result<Vec<Lease>>;

    /// The hostlet has another lease of this pool and family; none: it ended.
    fn found(&self, hostlet: &Name, of: Option<(&Name, bool)>) -> Result<()>;

    /// Sets an address aside, whether or not it is lent; what was said of it before is replaced.
    fn set_aside(&self, aside: &Aside) -> Result<()>;

    /// What is set aside at this time, by address; what no longer is gets forgotten.
    fn aside(&self, now: Timestamp) -> Result<Vec<Aside>>;

    /// The addresses of this pool that are someone's last, the longest released first; each once, with its latest release. Takes as long
    /// as there are such addresses, however many had them.
    fn remembered(&self, pool: &Name) -> Result<Vec<Remembered>>;

    /// Forgets what was released, was set aside until, or was numbered and not used since, before that time; says how many rows.
    fn prune(&self, before: Timestamp) -> Result<usize>;
}

/// The greatest number of a holder: what fits into the three bytes of a hardware address (row B6).
pub const MAX_HOLDER: u32 = 0xff_ffff;

/// How many holders of one user are known that have no lease.
pub const MAX_IDLE: u32 = 4096;
