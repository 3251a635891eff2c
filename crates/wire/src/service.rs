//! What a server does for its callers.

use hostlet_model::Name;

use crate::{Error, Lease, LoggedIn, Login, Open, Opened, Pool, Session};

/// The methods of the interface, for one connection. Who is at its other end, the implementation knows.
///
/// A panic in one becomes [`Error::Failed`] for the caller; the connection goes on.
pub trait Service {
    /// Makes a hostlet with addresses out of pools (B3, B4, B5, B7).
    ///
    /// # Errors
    /// A no, with the reason.
    fn open(&mut self, request: Open) -> Result<Opened, Error>;

    /// Makes the calling process a member of a hostlet; gives back its cgroup, as `/proc/self/cgroup` names it (`/hostlet/web`).
    ///
    /// # Errors
    /// A no, with the reason.
    fn join(&mut self, name: Name) -> Result<String, Error>;

    /// What the rules give a login session whose first process is the calling one (B1). Where they give it a hostlet, `join` is to follow.
    ///
    /// # Errors
    /// A no, with the reason: the login is to be refused.
    fn login(&mut self, request: Login) -> Result<LoggedIn, Error>;

    /// A session was closed; its processes may go on.
    ///
    /// # Errors
    /// A no, with the reason.
    fn logout(&mut self, session: u64) -> Result<(), Error>;

    /// The sessions that the caller may see.
    ///
    /// # Errors
    /// A no, with the reason.
    fn sessions(&mut self) -> Result<Vec<Session>, Error>;

    /// Ends a hostlet and gives its addresses back; `kill`: its members are killed first.
    ///
    /// # Errors
    /// A no, with the reason.
    fn close(&mut self, name: Name, kill: bool) -> Result<(), Error>;

    /// The leases that the caller may see.
    ///
    /// # Errors
    /// A no, with the reason.
    fn leases(&mut self) -> Result<Vec<Lease>, Error>;

    /// The pools that the caller may see.
    ///
    /// # Errors
    /// A no, with the reason.
    fn pools(&mut self) -> Result<Vec<Pool>, Error>;

    /// Takes over the configuration as it is now, whole or not at all; gives back a line for each change. `dry_run`: only says them.
    ///
    /// # Errors
    /// A no, with the reason.
    fn reload(&mut self, dry_run: bool) -> Result<Vec<String>, Error>;

    /// The answer to the last call could not be handed over: the caller is gone, or does not read. What that call obtained for the
    /// caller (an [`Open`]) should be taken back if the caller cannot know of it. Not called for calls that want no answer.
    fn undelivered(&mut self) {}
}
