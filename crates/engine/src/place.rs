//! Processes that a rule brings into a hostlet, and login sessions that carry one.
//!
//! Nobody is asked who may: hostletd has decided that by its rules, which are the administrator's.

use std::path::{Path, PathBuf};

use hostlet_model::{Lifetime, Name};
use hostlet_platform::cgroup::{Cgroup, CgroupError};
use hostlet_platform::peer::Peer;
use hostlet_platform::proc;

use crate::Engine;
use crate::attach::{fit, must_be_free, put_on, real};
use crate::attached;
use crate::error::{Error, Result};
use crate::join::{Goal, ended, must_live, not};
use crate::machine::Stamp;

impl Engine {
    /// Moves a process into a hostlet's cgroup because a rule says so, whatever privileges it has or may gain; gives that
    /// cgroup, as `/proc/self/cgroup` names it. `leaving` is the hostlet that it may come from; a process that is in the
    /// hostlet itself stays where it is there.
    ///
    /// # Errors
    /// There is no such hostlet; or the process ended, is in another hostlet, in another network namespace, or a part of
    /// the system itself.
    pub fn place(&self, name: &Name, process: &Peer, leaving: Option<&Name>) -> Result<String> {
        let mut machine = self.machine("bring a process into a hostlet", Stamp::default())?;
        let row = machine.live(name)?;
        let pid = process.pid;
        // The lock was waited for: what the caller found out before may be over.
        must_live(process)?;
        fit(pid)?;
        self.make_sure(&mut machine, &row)?;
        let members = machine.members(name)?;
        match self.hostlet_of(pid) {
            Some(there) if there == *name => {
                let cgroup = proc::cgroup(pid).ok_or_else(|| ended(pid))?;
                // What was read above was this process's own, if it runs now.
                must_live(process)?;
                return Ok(cgroup);
            }
            Some(other) if Some(&other) != leaving => {
                return Err(not(
                    pid,
                    format!("it is in hostlet '{other}', where no rule takes it away from"),
                ));
            }
            _ => {}
        }
        must_live(process)?;
        Goal::hostlet(&machine, name, members)?.reach(process)
    }

    /// Moves a process out of the hostlet that it is in, to the cgroup where it came from, as `/proc/self/cgroup` named it:
    /// what it was brought in for was given up. A process that is in no hostlet stays where it is.
    ///
    /// # Errors
    /// The process ended, or that cgroup is gone or cannot take it.
    pub fn place_back(&self, process: &Peer, cgroup: &str) -> Result<()> {
        let _machine = self.machine("take a process out of a hostlet", Stamp::default())?;
        must_live(process)?;
        if self.hostlet_of(process.pid).is_none() {
            return Ok(());
        }
        let no = |why: &str| {
            Err(Error::ForeignCgroup {
                dir: cgroup.into(),
                why: why.to_owned(),
            })
        };
        // Seen from a cgroup namespace of its own, a path may lead out of it.
        if !cgroup.starts_with('/') || cgroup.split('/').any(|part| part == "..") {
            return no("it is no path of a cgroup");
        }
        let goal = match Goal::outside(cgroup) {
            Err(Error::Cgroup(CgroupError::Missing(_))) => return no("it is gone"),
            goal => goal?,
        };
        must_live(process)?;
        goal.reach(process).map(|_| ())
    }

    /// Puts a hostlet's rules on a cgroup that others made (a session's scope, a user's slice), with all that is and comes
    /// to be in it. Again is no error.
    ///
    /// # Errors
    /// There is no such hostlet; or it is no cgroup, or has to do with another hostlet already.
    pub fn attach_scope(&self, name: &Name, dir: &Path) -> Result<()> {
        let mut machine = self.machine("attach a session's cgroup", Stamp::default())?;
        let row = machine.live(name)?;
        let dir = real(dir)?;
        attached::forget_gone(machine.paths, name)?;
        if attached::owner_of(machine.paths, &dir).as_ref() != Some(name) {
            must_be_free(&machine, &dir)?;
        }
        self.make_sure(&mut machine, &row)?;
        put_on(&mut machine, &row, &dir)?;
        self.tell(&mut machine);
        Ok(())
    }

    /// Takes a hostlet's rules off a cgroup that others made, which has nothing to do with it any more. One that has none of them is no
    /// error.
    ///
    /// # Errors
    /// The rules cannot be taken off.
    pub fn detach_scope(&self, name: &Name, dir: &Path) -> Result<()> {
        let machine = self.machine("detach a session's cgroup", Stamp::default())?;
        for attached in attached::all(machine.paths, name)? {
            if attached.dir != dir {
                continue;
            }
            let cgroup = match Cgroup::open_path(dir) {
                Err(CgroupError::Missing(_)) => None,
                other => Some(other?),
            };
            if let (Some(kernel), Some(cgroup)) = (&machine.kernel, &cgroup) {
                kernel.detach(cgroup.fd())?;
            }
            attached::forget_one(machine.paths, name, &attached)?;
        }
        Ok(())
    }

    /// Has the hostlet of a run live as long as this process does, or a member: one that is about to come in finds it there.
    ///
    /// # Errors
    /// There is no such hostlet any more, or the process ended.
    pub fn keep_for(&self, name: &Name, process: &Peer) -> Result<()> {
        let machine = self.machine("keep a hostlet", Stamp::default())?;
        let row = machine.live(name)?;
        must_live(process)?;
        if let Lifetime::Run { .. } = row.lifetime {
            let lifetime = Lifetime::Run {
                pid: process.pid,
                start_ticks: process.start_ticks,
            };
            machine.store.set_lifetime(name, &lifetime)?;
        }
        Ok(())
    }

    /// The directories of a hostlet's cgroups that are there: its own, and those attached. When the last process of all
    /// of them has ended, it has no members.
    #[must_use]
    pub fn cgroups_of(&self, name: &Name) -> Vec<PathBuf> {
        let attached = attached::all(&self.paths, name).unwrap_or_default();
        std::iter::once(self.cgroup_of(name))
            .chain(attached.into_iter().map(|cgroup| cgroup.dir))
            .filter(|dir| dir.is_dir())
            .collect()
    }
}
