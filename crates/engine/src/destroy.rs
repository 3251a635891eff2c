//! Ending sockets: those of an address that leaves, and all that a hostlet leaves behind.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::IpAddr;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};

use hostlet_kernel::{BoundPort, Ends, Kernel, KnownAs, KnownBook, PortBook};
use hostlet_model::{HostletId, Name, Owned};
use hostlet_platform::sockdiag::Protocol;
use hostlet_platform::{proc, sockdiag};
use hostlet_store as store;

use crate::error::{Error, Result};
use crate::machine::Machine;

/// How long the end of a run waits for what was sent to be acknowledged.
const LINGER: Duration = Duration::from_secs(2);

/// The sockets that there are, and what was noted of them.
#[derive(Debug, Default)]
pub(crate) struct Listed {
    sockets: Vec<sockdiag::Socket>,
    known: KnownBook,
}

impl Machine<'_> {
    /// The sockets of a hostlet on one address. A wildcard socket stands on an address
    /// without being bound to it: it lives on unless the whole hostlet goes.
    pub fn destroy_sockets(&mut self, id: HostletId, owned: &Owned) -> Result<()> {
        let loopback = [IpAddr::V4(id.loopback4()), IpAddr::V6(id.loopback6())];
        // With the loopback go the further addresses of it that programs have named.
        let further = match &self.kernel {
            Some(kernel) if owned.contains(loopback[0]) => kernel.further_loopbacks(id.0)?,
            _ => BTreeMap::new(),
        };
        let on_loopback = |ip: IpAddr| {
            loopback.contains(&ip) || matches!(ip, IpAddr::V4(v4) if further.contains_key(&v4))
        };
        let listed = self.listed()?;
        let on_it: Vec<_> = listed
            .sockets
            .iter()
            .filter(|s| {
                let ip = s.local.ip().to_canonical();
                owned.contains(ip)
                    || on_loopback(ip) && !loopback.contains(&ip)
                    || known_as(&listed.known, id, s).is_some_and(|k| owned.contains(k.shown))
            })
            .cloned()
            .collect();
        if on_it.is_empty() {
            return Ok(());
        }
        let Some(row) = self.store.get_by_id(id)? else {
            return Ok(());
        };
        // One that fell back gets no more for its wildcard; a socket on what it lost would be deaf for good.
        let all = row.state == store::State::Removing || row.spec.fallen_back;
        let mine = self.cgroup_ids(&row.name)?;
        let held = self.held_inodes(&row.name)?;
        let book = self.kernel.as_ref().map(Kernel::port_book).transpose()?;
        let mut errors = Vec::new();
        for socket in on_it {
            // On its own loopback there is nobody else's. On another address may be one of the
            // host, made before; a member may hold one that was made outside.
            let ours = on_loopback(socket.local.ip().to_canonical())
                || socket.cgroup_id.is_none_or(|cgroup| mine.contains(&cgroup))
                || (socket.inode != 0 && held.contains(&socket.inode));
            let idle = matches!(
                socket.state,
                sockdiag::State::Listen | sockdiag::State::Close
            );
            let wild = idle && bound(book.as_ref(), id, &socket).is_some_and(|port| port.wildcard);
            if ours && (all || !wild) {
                errors.extend(sockdiag::destroy(&socket).err().map(Error::from));
            }
        }
        Error::several(errors)
    }

    /// The sockets that the kernel put on the host's real wildcard, made in a hostlet: its programs keep the host's
    /// packets from them, also after it fell back. Their programs see one error, and get others.
    pub fn destroy_unbound(&mut self, id: HostletId) -> Result<()> {
        let Some(row) = self.store.get_by_id(id)? else {
            return Ok(());
        };
        let mine = self.cgroup_ids(&row.name)?;
        // The programs keep nothing from what passes.
        let passing = self.passing(&row.spec)?;
        let theirs = |s: &&sockdiag::Socket| {
            !passing.contains(&s.cookie)
                && s.local.ip().to_canonical().is_unspecified()
                && s.cgroup_id.is_some_and(|cgroup| mine.contains(&cgroup))
        };
        let unbound: Vec<_> = self
            .listed()?
            .sockets
            .iter()
            .filter(theirs)
            .cloned()
            .collect();
        let ended = unbound.iter().map(sockdiag::destroy);
        Error::several(ended.filter_map(Result::err).map(Error::from).collect())
    }

    /// All sockets, as of the last time when something was done to them.
    fn listed(&mut self) -> Result<&Listed> {
        let listed = match self.listed.take() {
            Some(listed) => listed,
            None => Listed {
                sockets: sockdiag::sockets(&sockdiag::Filter {
                    // The kernel cannot be told to destroy any other.
                    protocols: vec![Protocol::Tcp, Protocol::Udp, Protocol::UdpLite],
                    living: false,
                })?,
                known: self.known_book()?,
            },
        };
        Ok(self.listed.insert(listed))
    }

    /// What is noted of connections that are known by another address than the kernel has.
    pub fn known_book(&self) -> Result<KnownBook> {
        let book = self.kernel.as_ref().map(Kernel::known_book).transpose()?;
        Ok(book.unwrap_or_default())
    }

    /// Gives TCP a moment to deliver what the program has sent before it ended, as a machine
    /// that stays would.
    pub fn let_finish(&mut self, row: &store::Definition) -> Result<()> {
        let mine = self.cgroup_ids(&row.name)?;
        let deadline = Instant::now() + LINGER;
        loop {
            self.listed = None;
            let unsent = |s: &&sockdiag::Socket| {
                use sockdiag::State::{Closing, FinWait1, LastAck};
                matches!(s.state, FinWait1 | Closing | LastAck)
                    && s.cgroup_id.is_some_and(|id| mine.contains(&id))
            };
            if self.listed()?.sockets.iter().find(unsent).is_none() || Instant::now() > deadline {
                return Ok(());
            }
            // No event tells of an acknowledgement: look again soon.
            let soon = rustix::event::Timespec {
                tv_sec: 0,
                tv_nsec: 5_000_000,
            };
            let _ = rustix::event::poll(&mut [], Some(&soon));
        }
    }

    fn held_inodes(&self, name: &Name) -> Result<BTreeSet<u64>> {
        let mut inodes = BTreeSet::new();
        for pid in self.members(name)? {
            // One that ended meanwhile holds nothing.
            inodes.extend(proc::socket_inodes(pid).unwrap_or_default());
        }
        Ok(inodes)
    }

    /// The ids of all cgroups of a hostlet, those that its members made below included.
    pub fn cgroup_ids(&self, name: &Name) -> Result<BTreeSet<u64>> {
        let mut ids = BTreeSet::new();
        for cgroup in self.cgroups(name)? {
            collect_ids(cgroup.path(), &mut ids);
        }
        Ok(ids)
    }
}

/// What the kernel part knows of the place where a socket is bound.
pub(crate) fn bound(
    book: Option<&PortBook>,
    id: HostletId,
    socket: &sockdiag::Socket,
) -> Option<BoundPort> {
    book?.find(id.0, ends(socket)?.protocol, socket.local)
}

/// By what address its connection is known, if the kernel has another.
pub(crate) fn known_as(
    book: &KnownBook,
    id: HostletId,
    socket: &sockdiag::Socket,
) -> Option<KnownAs> {
    book.own(id.0, socket.cookie, &ends(socket)?)
}

/// None where it has no ports.
pub(crate) fn ends(socket: &sockdiag::Socket) -> Option<Ends> {
    let protocol = match socket.protocol {
        Protocol::Tcp => libc::IPPROTO_TCP,
        Protocol::Udp => libc::IPPROTO_UDP,
        Protocol::UdpLite => libc::IPPROTO_UDPLITE,
        Protocol::Icmp | Protocol::Raw => return None,
    };
    Some(Ends {
        protocol: u8::try_from(protocol).ok()?,
        local: socket.local,
        remote: socket.remote,
    })
}

fn collect_ids(dir: &Path, ids: &mut BTreeSet<u64>) {
    // One that went meanwhile is not there.
    let Ok(meta) = fs::metadata(dir) else { return };
    ids.insert(meta.ino());
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            collect_ids(&entry.path(), ids);
        }
    }
}
