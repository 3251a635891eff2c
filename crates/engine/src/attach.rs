//! Processes and cgroups that were there before become members.

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use hostlet_model::Name;
use hostlet_platform::cgroup::{self, Cgroup, Tree};
use hostlet_platform::proc;
use hostlet_policy::kernel_view;
use hostlet_store::Definition;

use crate::Engine;
use crate::access::Access;
use crate::attached::{self, Attached};
use crate::change::stamp;
use crate::error::{Error, Result};
use crate::machine::Machine;
use crate::names;
use crate::report::AttachReport;
use crate::sockets::outside;

impl Engine {
    /// Moves processes with their descendants into a hostlet.
    ///
    /// # Errors
    /// A process is gone, a kernel thread, or in another network namespace.
    pub fn attach_pids(&self, name: &Name, pids: &[u32]) -> Result<AttachReport> {
        let machine = self.machine("attach processes", stamp(&[]))?;
        Access::of_caller(&self.paths, &machine.config).change(name)?;
        let row = machine.live(name)?;
        for pid in pids {
            fit(*pid)?;
        }
        let mut attached = BTreeSet::new();
        let mut taken: BTreeMap<Name, Vec<u32>> = BTreeMap::new();
        // A descendant born while its parent moved is found in the next round; the parent being
        // inside, no round after that finds any.
        loop {
            let before = attached.len();
            for pid in pids {
                let family = proc::descendants(*pid)
                    .map_err(|e| Error::file("list the processes in", "/proc".as_ref(), e))?;
                for member in std::iter::once(*pid).chain(family) {
                    if attached.contains(&member) {
                        continue;
                    }
                    let before = self.hostlet_of(member).filter(|before| before != name);
                    if move_in(&machine.tree, name.as_str(), member)? {
                        attached.insert(member);
                        if let Some(before) = before {
                            taken.entry(before).or_default().push(member);
                        }
                    }
                }
            }
            if attached.len() == before {
                break;
            }
        }
        for (before, members) in taken {
            let numbers: Vec<String> = members.iter().map(u32::to_string).collect();
            self.warn(&format!(
                "no member of hostlet '{before}' any more, but of '{name}': {}; what was opened in '{before}' stays bound to its addresses",
                numbers.join(" ")
            ));
        }
        let attached: Vec<u32> = attached.into_iter().collect();
        let outside = outside(&machine, row, Some(&attached))?;
        Ok(AttachReport {
            name: name.clone(),
            attached,
            outside,
        })
    }

    /// The hostlet that a process is in, be it by the hostlet's own cgroup or by one that was attached.
    #[must_use]
    pub fn hostlet_of(&self, pid: u32) -> Option<Name> {
        let path = proc::cgroup(pid)?;
        let mut parts = path
            .split('/')
            .skip_while(|part| *part != self.paths.cgroup_parent);
        if let Some(name) = parts.nth(1) {
            return name.parse().ok();
        }
        let mount = cgroup::find_mount().ok()?;
        attached::hostlet_of(&self.paths, &mount.join(path.trim_start_matches('/')))
    }

    /// Puts a hostlet's rules on a cgroup that others made.
    ///
    /// # Errors
    /// It is no cgroup, or belongs to a hostlet already.
    pub fn attach_cgroup(&self, name: &Name, dir: &Path) -> Result<AttachReport> {
        let mut machine = self.machine("attach a cgroup", stamp(&[]))?;
        Access::of_caller(&self.paths, &machine.config).change(name)?;
        let row = machine.live(name)?;
        let dir = real(dir)?;
        must_be_free(&machine, &dir)?;
        put_on(&mut machine, &row, &dir)?;
        self.tell(&mut machine);
        let attached = cgroup::members(&dir, true)?;
        let outside = outside(&machine, row, Some(&attached))?;
        Ok(AttachReport {
            name: name.clone(),
            attached,
            outside,
        })
    }
}

/// The directory itself, whatever way was given to it.
pub(crate) fn real(dir: &Path) -> Result<PathBuf> {
    dir.canonicalize().map_err(|e| match e.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => Error::ForeignCgroup {
            dir: dir.to_path_buf(),
            why: match cgroup::find_mount() {
                Ok(mount) => format!(
                    "there is no such directory; give the whole path of a cgroup below {}",
                    mount.display()
                ),
                Err(error) => error.to_string(),
            },
        },
        _ => Error::file("open the cgroup", dir, e),
    })
}

/// Whether no hostlet's rules are on a cgroup, above it, or below it.
pub(crate) fn must_be_free(machine: &Machine<'_>, dir: &Path) -> Result<()> {
    let not = |why: String| {
        Err(Error::ForeignCgroup {
            dir: dir.to_path_buf(),
            why,
        })
    };
    let mount = cgroup::find_mount()?;
    if !dir.starts_with(&mount) || dir == mount {
        return not(format!("it is no cgroup below {}", mount.display()));
    }
    if dir.starts_with(machine.tree.path()) || machine.tree.path().starts_with(dir) {
        return not("hostlets live there already".to_owned());
    }
    let paths = machine.paths;
    let above = dir
        .ancestors()
        .find_map(|dir| Some((dir.to_path_buf(), attached::owner_of(paths, dir)?)));
    match above.or_else(|| attached::below(paths, dir)) {
        Some((at, name)) => not(format!("hostlet '{name}' is attached to {}", at.display())),
        None => Ok(()),
    }
}

/// Puts a hostlet's rules on a cgroup that is free, or has them already.
pub(crate) fn put_on(machine: &mut Machine<'_>, row: &Definition, dir: &Path) -> Result<()> {
    let name = &row.name;
    let target = Cgroup::open_path(dir)?;
    let own = machine.tree.open(name.as_str())?;
    let paths = machine.paths;
    let kernel = machine.kernel()?;
    let Some(record) = kernel.record(own.id())? else {
        return Err(Error::NotLive {
            name: name.clone(),
            state: "without a record in the kernel",
        });
    };
    let attached = Attached {
        id: target.id(),
        dir: dir.to_path_buf(),
    };
    // Remembered first: what is attached and not remembered would never be detached.
    attached::remember(paths, name, &attached)?;
    let done = kernel
        .attach(target.fd())
        .and_then(|()| kernel.publish(target.id(), &record));
    if let Err(error) = done {
        let _ = kernel.detach(target.fd());
        attached::forget_one(paths, name, &attached)?;
        return Err(error.into());
    }
    let view = kernel_view(row.id, &row.spec, &row.entries, &[], true);
    names::write(machine, name, &view);
    Ok(())
}

/// Whether a process can be a member at all.
pub(crate) fn fit(pid: u32) -> Result<()> {
    let not = |why: &str| {
        Err(Error::Process {
            pid,
            why: why.to_owned(),
        })
    };
    let Some(process) = proc::Process::read(pid) else {
        return not("there is no such process; see 'ps -e'");
    };
    if pid == 1 || process.exe.is_none() && process.cmdline.is_empty() {
        return not(
            "it is the system's own (process 1 or a kernel thread); attach the service's cgroup with --cgroup",
        );
    }
    let theirs = proc::netns_ino(pid);
    if theirs.ok() != proc::own_netns_ino().ok() {
        return not(
            "it lives in another network namespace, where this hostlet's addresses are not",
        );
    }
    Ok(())
}

/// Moves one; false if it ended meanwhile.
pub(crate) fn move_in(tree: &Tree, name: &str, pid: u32) -> Result<bool> {
    match tree.add(name, pid) {
        Ok(()) => Ok(true),
        Err(cgroup::CgroupError::Io { source, .. })
            if source.raw_os_error() == Some(libc::ESRCH) =>
        {
            Ok(false)
        }
        Err(error) => Err(error.into()),
    }
}
