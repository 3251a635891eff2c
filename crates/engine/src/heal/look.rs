//! What there may be to heal.

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::ops::RangeInclusive;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use hostlet_model::{HostletId, Lifetime};
use hostlet_platform::proc;
use hostlet_store::{Definition, Version};

use crate::error::{Error, Result};
use crate::machine::Machine;

/// What went since the last command.
pub(super) struct Lost {
    /// The network namespace, with all addresses.
    pub namespace: bool,
    /// The pins of the kernel part.
    pub kernel: bool,
    /// Commands that were changing a hostlet, by its id, and between what.
    pub changing: BTreeMap<HostletId, Vec<Version>>,
}

/// How many hostlets, and how many processes of runs, are looked at closely by each command.
const CLOSELY: usize = 16;

/// A quick look for what there may be to heal. Of those that are well only a few are looked at by each command, however many
/// there are; but for the processes of runs, which cost a call each.
pub(super) struct Look {
    /// Hostlets that may ail.
    pub ailing: Vec<Definition>,
    /// Cgroups of no hostlet.
    pub strange: Vec<String>,
}

impl Look {
    pub fn at(machine: &Machine<'_>, lost: &mut Lost) -> Result<Self> {
        let mut look = Self {
            ailing: Vec::new(),
            strange: Vec::new(),
        };
        let store = &machine.store;
        let glance = store.glance(&machine.boot_id)?;
        if glance.unsettled {
            look.ailing = store.unsettled(&machine.boot_id)?;
            lost.changing = store.changing()?.into_iter().collect();
        }
        if lost.namespace || lost.kernel {
            look.ailing = store.all()?;
            look.compare(machine, None)?;
        } else if glance.count != cgroups_in(machine.tree.path())? {
            look.compare(machine, Some(store.all()?))?;
        } else {
            // As many as there should be. Somebody may have taken one away and made another: that is found in time.
            for name in store.some_from(by_chance(&glance.ids), CLOSELY)? {
                if !machine.tree.path_of(name.as_str()).exists() {
                    look.ailing.extend(store.get(&name)?);
                }
            }
        }
        let ended = match glance.runs {
            true => ended_runs(machine)?,
            false => Vec::new(),
        };
        for id in lost.changing.keys().copied().chain(ended) {
            look.ailing.extend(store.get_by_id(id)?);
        }
        look.ailing.sort_by(|a, b| a.name.cmp(&b.name));
        look.ailing.dedup_by(|a, b| a.id == b.id);
        Ok(look)
    }

    /// Compares hostlets with cgroups, one by one. Without rows, all of them ail already.
    fn compare(&mut self, machine: &Machine<'_>, rows: Option<Vec<Definition>>) -> Result<()> {
        let mut cgroups = names_in(machine.tree.path())?;
        let all = rows.as_ref().unwrap_or(&self.ailing);
        let lacks = |row: &&Definition| !cgroups.remove(row.name.as_str());
        let lacking: Vec<Definition> = all.iter().filter(lacks).cloned().collect();
        if rows.is_some() {
            self.ailing.extend(lacking);
        }
        self.strange = cgroups.into_iter().collect();
        Ok(())
    }
}

/// Where this command begins to look closely.
fn by_chance(ids: &RangeInclusive<HostletId>) -> HostletId {
    let clock = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let range = ids.end().0 - ids.start().0 + 1;
    HostletId(ids.start().0 + clock.tv_nsec as u32 % range)
}

/// The hostlets of runs whose process is gone. Another with its number, or a zombie, may be taken for it where there are many;
/// a later command finds out. Those whose end this process hears of without looking, if it stays, are looked at only in their turn.
fn ended_runs(machine: &Machine<'_>) -> Result<Vec<HostletId>> {
    let runs = machine.store.runs()?;
    let heard_of = machine.keep.heard_of();
    let clock = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let first = clock.tv_nsec as usize % runs.len().max(1);
    let mut known: BTreeMap<(u32, u64), bool> = BTreeMap::new();
    let mut ended = Vec::new();
    for (place, (id, lifetime)) in runs.iter().enumerate() {
        let closely = (place + runs.len() - first) % runs.len() < CLOSELY;
        let Lifetime::Run { pid, start_ticks } = *lifetime else {
            continue;
        };
        if !closely && heard_of.contains(id) {
            continue;
        }
        let lives = known
            .entry((pid, start_ticks))
            .or_insert_with(|| lives(closely, pid, start_ticks));
        if !*lives {
            ended.push(*id);
        }
    }
    Ok(ended)
}

fn lives(closely: bool, pid: u32, start_ticks: u64) -> bool {
    if closely {
        return proc::alive(pid, start_ticks);
    }
    let pid = rustix::process::Pid::from_raw(pid.cast_signed());
    pid.is_some_and(|pid| rustix::process::test_kill_process(pid) != Err(rustix::io::Errno::SRCH))
}

/// How many cgroups are right in one; none if it is not there. The file system counts a directory's entries as its links.
fn cgroups_in(dir: &Path) -> Result<i64> {
    match std::fs::metadata(dir) {
        Ok(meta) => Ok(meta.nlink().cast_signed() - 2),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(0),
        Err(error) => Err(Error::file("look at the cgroups in", dir, error)),
    }
}

/// The directories in one; none if it is not there.
fn names_in(dir: &Path) -> Result<BTreeSet<String>> {
    let failed = |error| Error::file("list the cgroups in", dir, error);
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(BTreeSet::new()),
        Err(error) => return Err(failed(error)),
    };
    let mut names = BTreeSet::new();
    for entry in entries {
        let entry = entry.map_err(failed)?;
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            names.extend(entry.file_name().into_string());
        }
    }
    Ok(names)
}
