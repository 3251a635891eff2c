//! Each step of a plan, performed on the machine.

use std::fs;
use std::time::Duration;

use hostlet_kernel::{RecordFlags, Tables};
use hostlet_model::{HostletId, Name};
use hostlet_platform::cgroup;
use hostlet_platform::netlink::{self, AddressKind};
use hostlet_policy::{Action, Definition, KernelView, kernel_view};
use hostlet_store as store;
use jiff::Timestamp;

use crate::error::{Error, Result};
use crate::execute::Perform;
use crate::machine::Machine;
use crate::published::{record, tables};
use crate::{attached, names};

/// The number of `lo`, the same in every network namespace.
const LOOPBACK: u32 = 1;
/// How long killed members may take to end.
const KILL_SECONDS: u64 = 10;

impl Perform for Machine<'_> {
    fn perform(&mut self, actions: &[Action]) -> (usize, Result<()>) {
        if let Some(done) = self.alike(actions) {
            return done;
        }
        match actions.first().map(|first| self.step(first)) {
            Some(Ok(())) => (1, Ok(())),
            failed => (0, failed.unwrap_or(Ok(()))),
        }
    }

    fn begin_together(&mut self) -> Result<()> {
        Ok(self.store.begin_together()?)
    }

    fn end_together(&mut self) -> Result<()> {
        Ok(self.store.end_together()?)
    }
}

impl Machine<'_> {
    fn step(&mut self, action: &Action) -> Result<()> {
        // Neither of these makes or ends a socket.
        if !matches!(
            action,
            Action::DestroySockets { .. }
                | Action::DestroyUnbound { .. }
                | Action::MarkRemoving { .. }
                | Action::Close { .. }
        ) {
            self.listed = None;
        }
        if !matches!(action, Action::Forget { .. }) {
            self.swept = None;
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
            Action::RouteLoopbacks6 => {
                netlink::add_local_prefix(self.paths.loopbacks6().into())?;
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
                    match kernel.attach(cgroup.fd()) {
                        // A session's cgroup that went this moment.
                        Err(_) if attached::is_gone(cgroup) => {}
                        done => done?,
                    }
                }
                Ok(())
            }
            Action::AddAddress { .. } | Action::Own { .. } | Action::Disown { .. } => {
                unreachable!("`alike` does these, however few there are")
            }
            Action::Publish {
                name,
                view,
                previous,
            } => self.publish(name, view, previous.as_deref()),
            Action::Close { name, .. } => self.close(name),
            Action::Forget { id } => self.forget(*id),
            Action::DestroySockets { id, owned } => self.destroy_sockets(*id, owned),
            Action::DestroyUnbound { id } => self.destroy_unbound(*id),
            Action::KillMembers { name } => self.kill_members(name),
        }
    }

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
            match kernel.publish(cgroup.id(), &record) {
                // A session's cgroup that went this moment.
                Err(_) if attached::is_gone(&cgroup) => {}
                done => done?,
            }
        }
        self.published.insert(view.id.0, new);
        names::write(self, name, view);
        Ok(())
    }

    /// What this command wrote itself it takes out by name; for anything else whole tables are
    /// gone through.
    fn forget(&mut self, id: HostletId) -> Result<()> {
        let Some(kernel) = &self.kernel else {
            return Ok(());
        };
        if let Some(known) = self.published.remove(&id.0) {
            kernel.set_tables(id.0, &known, &Tables::default())?;
            return Ok(kernel.forget_loopbacks(id.0)?);
        }
        let row = match self.sweeps {
            true => None,
            false => self.store.get_by_id(id)?,
        };
        if let Some(row) = row {
            // What was published for it last is what its row says: had a change been interrupted, it was healed before.
            let view = kernel_view(row.id, &row.spec, &row.entries, &[], true);
            kernel.set_tables(id.0, &tables(&view), &Tables::default())?;
            if self.reaching.contains(&id.0) {
                kernel.forget_reach(id.0)?;
            }
            return Ok(kernel.forget_loopbacks(id.0)?);
        }
        let swept = match &mut self.swept {
            Some(swept) => swept,
            none => none.insert(kernel.sweep()?),
        };
        Ok(kernel.forget(id.0, swept)?)
    }

    /// Whatever is new is refused from now on; what is open goes on until it is destroyed.
    fn close(&mut self, name: &Name) -> Result<()> {
        let Some(kernel) = &self.kernel else {
            return Ok(());
        };
        for cgroup in self.cgroups(name)? {
            // A cgroup without programs has no record, and nothing to close.
            if let Some(mut record) = kernel.record(cgroup.id())? {
                if record.flags.has(RecordFlags::REACH) {
                    self.reaching.insert(record.id);
                }
                record.flags = record.flags | RecordFlags::GONE;
                kernel.publish(cgroup.id(), &record)?;
            }
        }
        Ok(())
    }

    fn remove_cgroup(&self, name: &Name) -> Result<()> {
        for other in attached::all(self.paths, name)? {
            match cgroup::Cgroup::open_path(&other.dir) {
                // What was never put on it may be another's by now.
                Ok(_) if attached::owner_of(self.paths, &other.dir).as_ref() != Some(name) => {}
                Ok(cgroup) => {
                    if let Some(kernel) = &self.kernel {
                        match kernel.detach(cgroup.fd()) {
                            Err(_) if attached::is_gone(&cgroup) => {}
                            done => done?,
                        }
                    }
                }
                Err(cgroup::CgroupError::Missing(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        attached::forget(self.paths, name)?;
        names::remove(self.paths, &self.tree.path_of(name.as_str()))?;
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
            match fs::write(&kill, "1") {
                // It went with its last member.
                Err(_) if !other.dir.exists() => {}
                done => done.map_err(|e| Error::file("kill the members through", &kill, e))?,
            }
        }
        Ok(())
    }
}
