//! Who is at the other end of a connection.

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

use hostlet_engine::caller_of;
use hostlet_model::{Lifetime, Name};
use hostlet_platform::{peer, proc};
use hostlet_policy::Caller;
use hostlet_store::SessionKind;
use hostlet_wire::Error;

use crate::sessions::made_by_rule;
use crate::shared::Shared;

/// The process that connected, and for whom it speaks.
pub(crate) struct Peer {
    pub pid: u32,
    pub start_ticks: u64,
    pub caller: Caller,
    process: peer::Peer,
}

impl Peer {
    /// Asks the kernel, and for the user's name and groups the user database: that takes as long as that takes. Groups that
    /// the process has beyond those of its user do not count, nor does it help to have given one up.
    pub fn of(stream: &UnixStream) -> std::io::Result<Self> {
        let peer = peer::Peer::of(stream)?;
        let mut caller = caller_of(peer.uid);
        caller.units = proc::units(peer.pid);
        Ok(Self {
            pid: peer.pid,
            start_ticks: peer.start_ticks,
            caller,
            process: peer,
        })
    }

    /// A descriptor of the process, to wait for its end.
    pub fn watch(&self) -> Option<OwnedFd> {
        self.process.pidfd.try_clone().ok()
    }

    /// As long as it or a member lives.
    pub fn lifetime(&self) -> Lifetime {
        Lifetime::Run {
            pid: self.pid,
            start_ticks: self.start_ticks,
        }
    }

    /// The process itself, of which can be told whether its number still means it.
    pub fn process(&self) -> &peer::Peer {
        &self.process
    }

    /// The hostlet that it may leave by what hostletd does for it: that of a login session, which a rule gave to whoever asks now for
    /// another that he may use. None: it is in no hostlet.
    ///
    /// A member of any other would leave it by being moved.
    pub fn may_leave(&self, shared: &Shared) -> Result<Option<Name>, Error> {
        let Some(hostlet) = shared.engine.hostlet_of(self.pid) else {
            return Ok(None);
        };
        match made_by_rule(shared, &hostlet) {
            Some(SessionKind::Session | SessionKind::User) => Ok(Some(hostlet)),
            Some(SessionKind::Program) | None => Err(Error::NotAllowed(format!(
                "process {} is in hostlet '{hostlet}': ask from outside of any hostlet",
                self.pid
            ))),
        }
    }
}
