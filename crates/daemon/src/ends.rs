//! Knowing when a hostlet's last process ended, without asking.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use anyhow::Result;
use hostlet_model::Name;
use hostlet_platform::cgroup::{EmptyWatch, Vacancy};
use rustix::event::epoll;

use crate::keeper::{listen, token};
use crate::log;

/// Stands between a hostlet's name and the path of a cgroup that was attached to it; no name has it.
const ATTACHED: char = '@';

/// Two things keep a hostlet of a run: the process that asked for it, and its members. The end of either is
/// a reason to look.
pub(crate) struct Ends {
    cgroups: EmptyWatch,
    /// The processes, by a number of ours.
    processes: BTreeMap<u64, (Name, OwnedFd)>,
    next: u64,
    /// What the cgroups that were attached to a hostlet are called.
    attached: BTreeMap<Name, BTreeSet<String>>,
}

impl Ends {
    pub fn new() -> Result<Self> {
        Ok(Self {
            cgroups: EmptyWatch::new()?,
            processes: BTreeMap::new(),
            next: 0,
            attached: BTreeMap::new(),
        })
    }

    /// What becomes readable when a cgroup is empty or gone.
    pub fn cgroups(&self) -> BorrowedFd<'_> {
        self.cgroups.as_fd()
    }

    /// Watches a hostlet's cgroup, and the process whose hostlet it is.
    pub fn watch(
        &mut self,
        epoll: &OwnedFd,
        hostlet: &Name,
        cgroup: &Path,
        process: Option<OwnedFd>,
    ) -> Result<()> {
        if let Some(process) = process {
            self.watch_process(epoll, hostlet, process)?;
        }
        let own = cgroup.file_name() == Some(OsStr::new(hostlet.as_str()));
        let name = if own {
            hostlet.to_string()
        } else {
            // There may be several: a hostlet's own, and those that were attached.
            let name = format!("{hostlet}{ATTACHED}{}", cgroup.display());
            let all = self.attached.entry(hostlet.clone()).or_default();
            all.insert(name.clone());
            name
        };
        Ok(self.cgroups.add(&name, cgroup)?)
    }

    /// Watches a process whose end may be the hostlet's.
    pub fn watch_process(
        &mut self,
        epoll: &OwnedFd,
        hostlet: &Name,
        process: OwnedFd,
    ) -> Result<()> {
        let number = self.next;
        self.next += 1;
        listen(epoll, &process, token::PROCESS + number)?;
        self.processes.insert(number, (hostlet.clone(), process));
        Ok(())
    }

    /// Stops watching.
    pub fn unwatch(&mut self, epoll: &OwnedFd, hostlet: &Name) {
        self.cgroups.remove(hostlet.as_str());
        for name in self.attached.remove(hostlet).unwrap_or_default() {
            self.cgroups.remove(&name);
        }
        self.processes.retain(|_, (name, process)| {
            if name == hostlet {
                forget(epoll, process);
            }
            name != hostlet
        });
    }

    /// The hostlets whose cgroup became empty, or went; and whether it went.
    pub fn ended(&mut self) -> Vec<(Name, bool)> {
        match self.cgroups.drain() {
            Ok(all) => all
                .iter()
                .filter_map(|(watched, how)| {
                    let gone = *how == Vacancy::Gone;
                    let Some((of, _)) = watched.split_once(ATTACHED) else {
                        return Some((watched.parse().ok()?, gone));
                    };
                    let hostlet: Name = of.parse().ok()?;
                    if let Some(all) = self.attached.get_mut(&hostlet).filter(|_| gone) {
                        all.remove(watched);
                    }
                    Some((hostlet, false))
                })
                .collect(),
            Err(error) => {
                log::warning(format_args!("cannot read which cgroups are empty: {error}"));
                Vec::new()
            }
        }
    }

    /// The hostlet of a process that ended.
    pub fn process_ended(&mut self, epoll: &OwnedFd, number: u64) -> Option<Name> {
        let (name, process) = self.processes.remove(&number)?;
        forget(epoll, &process);
        Some(name)
    }
}

/// Closing it would not do: the connection has another descriptor of the same process open.
fn forget(epoll: &OwnedFd, process: &OwnedFd) {
    if let Err(error) = epoll::delete(epoll, process) {
        log::warning(format_args!("cannot stop watching a process: {error}"));
    }
}
