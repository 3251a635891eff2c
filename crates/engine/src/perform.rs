//! Each step of a plan, performed on the machine.

use std::collections::BTreeSet;
use std::fs;
use std::net::IpAddr;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};

use hostlet_kernel::{
    BoundPort, Kernel, OnLink, PortBook, Record, RecordFlags, SourceList, Tables,
};
use hostlet_model::{HostletId, Name, Owned};
use hostlet_platform::netlink::{self, AddressKind};
use hostlet_platform::sockdiag::Protocol;
use hostlet_platform::{cgroup, proc, sockdiag};
use hostlet_policy::{Action, Definition, KernelView, OwnFlags};
use hostlet_store as store;
use jiff::Timestamp;

use crate::attached;
use crate::error::{Error, Result};
use crate::execute::Perform;
use crate::machine::Machine;

/// The number of `lo`, the same in every network namespace.
const LOOPBACK: u32 = 1;
/// How long killed members may take to end.
const KILL_SECONDS: u64 = 10;
/// How long the end of a run waits for what was sent to be acknowledged.
const LINGER: Duration = Duration::from_secs(2);

impl Perform for Machine<'_> {
    fn perform(&mut self, action: &Action) -> Result<()> {
        self.forget_rows();
        // Neither of these makes or ends a socket.
        if !matches!(
            action,
            Action::DestroySockets { .. } | Action::MarkRemoving { .. } | Action::Close { .. }
        ) {
            self.listed = None;
        }
        match action {
            Action::Remember(d) => self.remember(d),
            Action::MarkLive { name } => {
                // From now on its addresses are in the history.
                Ok(self
                    .store
                    .set_state(name, store::State::Live, Timestamp::now())?)
            }
            Action::MarkRemoving { name } => {
                Ok(self
                    .store
                    .set_state(name, store::State::Removing, Timestamp::now())?)
            }
            Action::Redefine { new, .. } => {
                Ok(self
                    .store
                    .update(&new.spec.name, &new.spec, &new.entries, Timestamp::now())?)
            }
            Action::Unremember { name } => {
                self.store.delete(name, Timestamp::now())?;
                Ok(())
            }
            Action::AddAddress {
                ifindex,
                interface,
                addr,
                prefix_len,
            } => add_address(*ifindex, interface, *addr, *prefix_len),
            Action::DelAddress {
                ifindex,
                addr,
                prefix_len,
                ..
            } => {
                netlink::del_address(*ifindex, *addr, *prefix_len)?;
                Ok(())
            }
            Action::AddLocalPrefix { prefix } => match netlink::add_local_prefix(*prefix)? {
                true => Ok(()),
                false => Err(Error::Appeared {
                    address: prefix.to_string(),
                    interface: "lo".to_owned(),
                }),
            },
            Action::DelLocalPrefix { prefix } => {
                netlink::del_local_prefix(*prefix)?;
                Ok(())
            }
            Action::AddLoopback6 { id } => {
                netlink::add_address(LOOPBACK, id.loopback6().into(), 128, AddressKind::Loopback6)?;
                Ok(())
            }
            Action::DelLoopback6 { id } => {
                netlink::del_address(LOOPBACK, id.loopback6().into(), 128)?;
                Ok(())
            }
            Action::MakeCgroup { name } => {
                self.tree.create(name.as_str())?;
                Ok(())
            }
            Action::RemoveCgroup { name } => self.remove_cgroup(name),
            Action::Attach { name } => {
                let cgroups = self.cgroups(name)?;
                let kernel = self.kernel()?;
                for cgroup in &cgroups {
                    kernel.attach(cgroup.fd())?;
                }
                Ok(())
            }
            Action::Own {
                id,
                owned,
                flags,
                previous,
            } => self.own(*id, owned, *flags, *previous),
            Action::Disown { owned, .. } => match &self.kernel {
                Some(kernel) => Ok(kernel.disown(owned)?),
                None => Ok(()),
            },
            Action::Publish {
                name,
                view,
                previous,
            } => self.publish(name, view, previous.as_deref()),
            Action::Close { name, .. } => self.close(name),
            Action::Forget { id } => self.forget(*id),
            Action::DestroySockets { id, owned } => self.destroy_sockets(*id, owned),
            Action::KillMembers { name } => self.kill_members(name),
        }
    }
}

impl Machine<'_> {
    fn remember(&self, d: &Definition) -> Result<()> {
        Ok(self.store.insert(&store::Definition {
            id: d.id,
            name: d.spec.name.clone(),
            spec: d.spec.clone(),
            entries: d.entries.clone(),
            lifetime: d.lifetime.clone(),
            boot_id: self.boot_id.clone(),
            state: store::State::Pending,
            created: Timestamp::now(),
            program: self.stamp.program.clone(),
            uid: self.stamp.uid,
            user: self.stamp.user.clone(),
        })?)
    }

    fn own(
        &mut self,
        id: HostletId,
        owned: &Owned,
        flags: OwnFlags,
        _previous: Option<OwnFlags>,
    ) -> Result<()> {
        Ok(self
            .kernel()?
            .own(id.0, owned, flags.loopback, flags.many)?)
    }

    fn publish(
        &mut self,
        name: &Name,
        view: &KernelView,
        previous: Option<&KernelView>,
    ) -> Result<()> {
        let cgroups = self.cgroups(name)?;
        let kernel = self.kernel()?;
        let (old, new) = (previous.map(tables).unwrap_or_default(), tables(view));
        kernel.set_tables(view.id.0, &old, &new)?;
        let record = record(view, kernel.netns_cookie());
        for cgroup in cgroups {
            kernel.publish(cgroup.id(), &record)?;
        }
        self.published.insert(view.id.0, new);
        Ok(())
    }

    /// What this command wrote itself it takes out by name; for anything else whole tables are
    /// gone through.
    fn forget(&mut self, id: HostletId) -> Result<()> {
        let Some(kernel) = &self.kernel else {
            return Ok(());
        };
        match self.published.remove(&id.0) {
            Some(known) => Ok(kernel.set_tables(id.0, &known, &Tables::default())?),
            None => Ok(kernel.forget(id.0)?),
        }
    }

    /// Whatever is new is refused from now on; what is open goes on until it is destroyed.
    fn close(&self, name: &Name) -> Result<()> {
        let Some(kernel) = &self.kernel else {
            return Ok(());
        };
        for cgroup in self.cgroups(name)? {
            // A cgroup without programs has no record, and nothing to close.
            if let Some(mut record) = kernel.record(cgroup.id())? {
                record.flags = record.flags | RecordFlags::GONE;
                kernel.publish(cgroup.id(), &record)?;
            }
        }
        Ok(())
    }

    fn remove_cgroup(&self, name: &Name) -> Result<()> {
        for other in attached::all(self.paths, name)? {
            match cgroup::Cgroup::open_path(&other.dir) {
                Ok(cgroup) => {
                    if let Some(kernel) = &self.kernel {
                        kernel.detach(cgroup.fd())?;
                    }
                }
                Err(cgroup::CgroupError::Missing(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        attached::forget(self.paths, name)?;
        self.tree.remove(name.as_str())?;
        Ok(())
    }

    fn kill_members(&self, name: &Name) -> Result<()> {
        if self.tree.path_of(name.as_str()).exists() {
            self.tree.kill(name.as_str())?;
            let limit = Duration::from_secs(KILL_SECONDS);
            if !self.tree.wait_empty(name.as_str(), limit)? {
                let members = self.members(name)?;
                return Err(Error::Undead {
                    name: name.clone(),
                    members,
                    seconds: KILL_SECONDS,
                });
            }
        }
        for other in attached::all(self.paths, name)? {
            let kill = other.dir.join("cgroup.kill");
            fs::write(&kill, "1").map_err(|e| Error::file("kill the members through", &kill, e))?;
        }
        Ok(())
    }

    /// The sockets of a hostlet on one address. A wildcard socket stands on an address
    /// without being bound to it: it lives on unless the whole hostlet goes.
    fn destroy_sockets(&mut self, id: HostletId, owned: &Owned) -> Result<()> {
        let Some(row) = self.store.get_by_id(id)? else {
            return Ok(());
        };
        let on_it: Vec<_> = self
            .listed()?
            .iter()
            .filter(|s| owned.contains(s.local.ip().to_canonical()))
            .cloned()
            .collect();
        if on_it.is_empty() {
            return Ok(());
        }
        let all = row.state == store::State::Removing;
        let loopback = [IpAddr::V4(id.loopback4()), IpAddr::V6(id.loopback6())];
        let mine = self.cgroup_ids(&row.name)?;
        let held = self.held_inodes(&row.name)?;
        let book = self.kernel.as_ref().map(Kernel::port_book).transpose()?;
        let mut errors = Vec::new();
        for socket in on_it {
            // On its own loopback there is nobody else's. On another address may be one of the
            // host, made before; a member may hold one that was made outside.
            let ours = loopback.contains(&socket.local.ip().to_canonical())
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

    /// All sockets, as of the last time when something was done to them.
    fn listed(&mut self) -> Result<&[sockdiag::Socket]> {
        if self.listed.is_none() {
            self.listed = Some(sockdiag::sockets(&sockdiag::Filter {
                // The kernel cannot be told to destroy any other.
                protocols: vec![Protocol::Tcp, Protocol::Udp, Protocol::UdpLite],
                living: false,
            })?);
        }
        Ok(self.listed.as_deref().unwrap_or_default())
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
            if self.listed()?.iter().find(unsent).is_none() || Instant::now() > deadline {
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
    let protocol = match socket.protocol {
        sockdiag::Protocol::Tcp => libc::IPPROTO_TCP,
        sockdiag::Protocol::Udp => libc::IPPROTO_UDP,
        sockdiag::Protocol::UdpLite => libc::IPPROTO_UDPLITE,
        sockdiag::Protocol::Icmp | sockdiag::Protocol::Raw => return None,
    };
    book?.find(id.0, u8::try_from(protocol).unwrap_or(0), socket.local)
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

fn add_address(ifindex: u32, interface: &str, addr: IpAddr, prefix_len: u8) -> Result<()> {
    let full = if addr.is_ipv4() { 32 } else { 128 };
    let kind = if prefix_len == full {
        AddressKind::Plain
    } else {
        AddressKind::OnLink
    };
    if netlink::add_address(ifindex, addr, prefix_len, kind)? {
        return Ok(());
    }
    Err(Error::Appeared {
        address: addr.to_string(),
        interface: interface.to_owned(),
    })
}

fn tables(view: &KernelView) -> Tables {
    Tables {
        sources: view
            .sources
            .iter()
            .map(|s| SourceList {
                ipv6: s.ipv6,
                ifindex: s.ifindex,
                addrs: s.addrs.clone(),
            })
            .collect(),
        onlink: view
            .onlink
            .iter()
            .map(|o| OnLink {
                net: o.net,
                addr: o.addr,
                ifindex: o.ifindex,
            })
            .collect(),
        reach: view
            .reachable
            .iter()
            .map(|r| (r.addr, r.port))
            // Port 0 stands for a broadcast address that may be bound.
            .chain(view.broadcasts.iter().map(|b| (IpAddr::V4(*b), 0)))
            .collect(),
    }
}

fn record(view: &KernelView, netns: u64) -> Record {
    let flags = RecordFlags::default()
        .with(RecordFlags::V4, view.has_v4)
        .with(RecordFlags::V6, view.has_v6)
        .with(RecordFlags::MANY4, view.many4)
        .with(RecordFlags::MANY6, view.many6)
        .with(RecordFlags::PREFIX, view.prefix4 || view.prefix6)
        .with(RecordFlags::ROUTED4, view.routed4)
        .with(RecordFlags::ROUTED6, view.routed6)
        .with(RecordFlags::GUARD, view.guard)
        .with(RecordFlags::RAW, view.raw)
        .with(
            RecordFlags::REACH,
            !view.reachable.is_empty() || !view.broadcasts.is_empty(),
        );
    let (few4, few6) = hostlet_kernel::few(&view.owned, (view.primary4, view.primary6));
    Record {
        few4,
        few6,
        id: view.id.0,
        netns,
        flags,
        source: view.source,
        primary4: view.primary4,
        primary6: view.primary6,
        loop4: view.loop4,
        loop6: view.loop6,
    }
}
