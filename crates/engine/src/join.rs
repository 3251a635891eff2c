//! A process that asked hostletd for it becomes a member.

use std::path::Path;

use hostlet_model::Name;
use hostlet_platform::cgroup::{self, Tree};
use hostlet_platform::peer::Peer;
use hostlet_platform::proc::{self, Process, Rights};

use crate::Engine;
use crate::attach::{fit, move_in};
use crate::error::{Error, Result};
use crate::machine::{Machine, Stamp};

/// How often the rights of a process are read. The kernel does not show them all at one moment, and an exec of a second
/// thread puts that into the place of the first: who wants to seem harmless has to hit the moment within each reading, and
/// exec between all of them.
const READINGS: usize = 3;

impl Engine {
    /// Moves the process that connected into a hostlet's cgroup, after seeing that its rules are in force there; gives
    /// that cgroup, as `/proc/self/cgroup` names it. Of users, only a process that cannot gain privileges is moved. `leaving` is
    /// the hostlet that it may come from.
    ///
    /// # Errors
    /// There is no such hostlet; or the process ended, is in another hostlet, in another network namespace, or may still become
    /// somebody else.
    pub fn join(&self, name: &Name, process: &Peer, leaving: Option<&Name>) -> Result<String> {
        let mut machine = self.machine("enter a hostlet", Stamp::default())?;
        let row = machine.live(name)?;
        let pid = process.pid;
        // The lock was waited for: what the caller found out before may be over.
        must_live(process)?;
        fit(pid)?;
        self.make_sure(&mut machine, &row)?;
        let members = machine.members(name)?;
        // Another connection of the same process may have brought it into one.
        if let Some(other) = self.hostlet_of(pid).filter(|other| Some(other) != leaving) {
            return Err(not(
                pid,
                format!("it is in hostlet '{other}' already; ask from outside of any hostlet"),
            ));
        }
        for _ in 0..READINGS {
            cannot_become_another(process)?;
        }
        // What was read above was this process's own, if it runs now.
        must_live(process)?;
        Goal::hostlet(&machine, name, members)?.reach(process)
    }
}

/// The cgroup that a process is moved to.
pub(crate) struct Goal {
    /// The whole hierarchy.
    all: Tree,
    /// The cgroup's path in it.
    path: String,
    /// Whether those below it belong there as well.
    whole: bool,
    /// Who is there already, and has his children there.
    members: Vec<u32>,
}

impl Goal {
    /// A hostlet's own cgroup.
    pub fn hostlet(machine: &Machine<'_>, name: &Name, members: Vec<u32>) -> Result<Goal> {
        let dir = machine.tree.path_of(name.as_str());
        Self::new(&dir, true, members)
    }

    /// A cgroup of others, by its path in the hierarchy.
    pub fn outside(path: &str) -> Result<Goal> {
        let dir = cgroup::find_mount()?.join(relative(path));
        let members = cgroup::members(&dir, false)?;
        Self::new(&dir, false, members)
    }

    fn new(dir: &Path, whole: bool, members: Vec<u32>) -> Result<Goal> {
        let mount = cgroup::find_mount()?;
        let path = dir.strip_prefix(&mount).unwrap_or(dir);
        Ok(Goal {
            path: format!("/{}", path.to_string_lossy()),
            all: Tree::at(mount),
            whole,
            members,
        })
    }

    /// Moves a process there, and gives the cgroup as `/proc/self/cgroup` names it.
    ///
    /// cgroup.procs takes a number and no pidfd. Until it is written the process may end, and its number be given to
    /// another: that is found out afterwards, and taken back.
    pub fn reach(&self, process: &Peer) -> Result<String> {
        let pid = process.pid;
        let before = proc::cgroup(pid);
        let moved = move_in(&self.all, relative(&self.path), pid)?;
        let cgroup = proc::cgroup(pid);
        if !moved || !process.lives() {
            self.take_back(process, before)?;
            return Err(ended(pid));
        }
        cgroup.ok_or_else(|| ended(pid))
    }

    fn has(&self, path: &str) -> bool {
        match path.strip_prefix(&self.path) {
            Some(rest) => rest.is_empty() || self.whole && rest.starts_with('/'),
            None => false,
        }
    }

    /// Moves whoever has the number of a process that ended back to where he was.
    fn take_back(&self, process: &Peer, before: Option<String>) -> Result<()> {
        if process.keeps_its_pid() {
            // What is there is what is left of itself.
            return Ok(());
        }
        let Some(stranger) = Process::read(process.pid) else {
            return Ok(());
        };
        // A member that has just been born has its place here, and would be let loose.
        if is_a_members(&stranger, &self.members) {
            return Ok(());
        }
        let own = proc::cgroup(stranger.pid);
        // It is young: where its parent is it was born.
        let home = proc::cgroup(stranger.parent).or(before);
        let (Some(own), Some(home)) = (own, home) else {
            return Ok(());
        };
        if !self.has(&own) || self.has(&home) {
            return Ok(());
        }
        let family = proc::descendants(stranger.pid)
            .map_err(|e| Error::file("list the processes in", Path::new("/proc"), e))?;
        for pid in std::iter::once(stranger.pid).chain(family) {
            if proc::cgroup(pid).is_some_and(|path| self.has(&path)) {
                move_in(&self.all, relative(&home), pid)?;
            }
        }
        Ok(())
    }
}

pub(crate) fn not(pid: u32, why: String) -> Error {
    Error::Process { pid, why }
}

pub(crate) fn ended(pid: u32) -> Error {
    not(pid, "it ended meanwhile".to_owned())
}

pub(crate) fn must_live(process: &Peer) -> Result<()> {
    if process.lives() {
        return Ok(());
    }
    Err(ended(process.pid))
}

/// Root's processes are root's affair. Of others hostletd would confine, and end with the hostlet, what the user himself
/// may not touch: a set-uid program that he started in this process, or will start in it or below it.
fn cannot_become_another(process: &Peer) -> Result<()> {
    let (pid, uid) = (process.pid, process.uid);
    if uid == 0 {
        return Ok(());
    }
    let Some(rights) = Rights::of(pid) else {
        return Err(ended(pid));
    };
    match obstacle(uid, &rights) {
        None => Ok(()),
        Some(why) => Err(not(pid, why)),
    }
}

fn obstacle(uid: u32, rights: &Rights) -> Option<String> {
    if rights.uids != [uid; 4] || rights.gids != [rights.gids[0]; 4] {
        return Some(format!(
            "it runs a set-uid or set-gid program, or is not user {uid}'s any more, who connected; join from a process that is only his"
        ));
    }
    if !rights.no_new_privs {
        return Some(
            "set-uid programs could still give it privileges: set no_new_privs before joining, as 'hostlet run' and 'hostlet enter' do (prctl PR_SET_NO_NEW_PRIVS, or 'setpriv --no-new-privs PROGRAM')".to_owned(),
        );
    }
    // Each thread has a no_new_privs of its own.
    (rights.threads != 1).then(|| {
        format!(
            "it has {} threads: join before the second one is started",
            rights.threads
        )
    })
}

fn relative(path: &str) -> &str {
    path.trim_start_matches('/')
}

/// Whether a process may be a child of one of these: of the same user, or of one that can be everybody. Of members that
/// are gone nobody knows.
fn is_a_members(stranger: &Process, members: &[u32]) -> bool {
    let Some(own) = Rights::of(stranger.pid) else {
        return false;
    };
    members.iter().any(|member| {
        Rights::of(*member)
            .is_none_or(|m| m.uids.iter().any(|uid| *uid == 0 || own.uids.contains(uid)))
    })
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command, Stdio};

    use super::*;

    const HARMLESS: Rights = Rights {
        uids: [7; 4],
        gids: [9; 4],
        threads: 1,
        no_new_privs: true,
    };

    #[test]
    fn only_the_harmless_join() {
        assert_eq!(obstacle(7, &HARMLESS), None);
        let is = |rights: Rights, says: &str| {
            let why = obstacle(7, &rights).unwrap();
            assert!(why.contains(says), "{why}");
        };
        for place in 0..4 {
            let mut rights = HARMLESS;
            rights.uids[place] = 0;
            is(rights, "set-uid");
            let mut rights = HARMLESS;
            rights.gids[place] = 0;
            is(rights, "set-gid");
        }
        is(
            Rights {
                no_new_privs: false,
                ..HARMLESS
            },
            "no_new_privs",
        );
        for threads in [0, 2] {
            is(
                Rights {
                    threads,
                    ..HARMLESS
                },
                "threads",
            );
        }
    }

    /// A hostlet's cgroup with a process in it, which has the number of one that is gone.
    struct Reused {
        tree: Tree,
        name: String,
        stranger: Child,
        gone: Peer,
    }

    impl Reused {
        fn new(name: &str) -> Reused {
            let parent = format!("hostlet-test-{name}-{:x}", std::process::id());
            let tree = Tree::under_mount(&parent).unwrap();
            tree.create(name).unwrap();
            let stranger = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
            tree.add(name, stranger.id()).unwrap();
            let mut child = Command::new("true").spawn().unwrap();
            let pid = rustix::process::Pid::from_child(&child);
            let flags = rustix::process::PidfdFlags::empty();
            let pidfd = rustix::process::pidfd_open(pid, flags).unwrap();
            child.wait().unwrap();
            let gone = Peer {
                pid: stranger.id(),
                uid: 7,
                start_ticks: 1,
                pidfd,
            };
            Reused {
                tree,
                name: name.to_owned(),
                stranger,
                gone,
            }
        }

        fn take_back(&self, members: &[u32]) -> Vec<u32> {
            let dir = self.tree.path_of(&self.name);
            let goal = Goal::new(&dir, true, members.to_vec()).unwrap();
            goal.take_back(&self.gone, None).unwrap();
            self.tree.members(&self.name, true).unwrap()
        }
    }

    impl Drop for Reused {
        fn drop(&mut self) {
            let _ = self.stranger.kill();
            let _ = self.stranger.wait();
            let _ = self.tree.remove(&self.name);
            let _ = self.tree.remove_parent();
        }
    }

    #[test]
    fn a_stranger_with_the_same_number_goes_home() {
        let reused = Reused::new("stranger");
        assert!(must_live(&reused.gone).is_err());
        assert!(reused.take_back(&[]).is_empty());
        let home = proc::cgroup(std::process::id());
        assert_eq!(proc::cgroup(reused.stranger.id()), home);
    }

    #[test]
    fn what_may_be_a_members_child_is_not_let_loose() {
        let reused = Reused::new("member");
        let members = [std::process::id()];
        assert_eq!(reused.take_back(&members), [reused.stranger.id()]);
    }

    #[test]
    fn whoever_may_be_a_members_child_stays() {
        let own = std::process::id();
        let stranger = Process::read(own).unwrap();
        assert!(is_a_members(&stranger, &[own]));
        // No pid is that high.
        assert!(is_a_members(&stranger, &[u32::MAX]));
        assert!(!is_a_members(&stranger, &[]));
    }
}
