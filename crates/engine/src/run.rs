//! The verbs that start a program: make or find the hostlet, launch, clean up.

use std::ffi::OsString;
use std::os::fd::{AsFd, RawFd};
use std::path::PathBuf;

use hostlet_model::config::RunOptions;
use hostlet_model::{HostletSpec, Lifetime, Name};
use hostlet_platform::launch::{Ending, Extra, Launch, SignalHold, check, listen_fds, start};
use hostlet_platform::netlink::RouteWatch;
use hostlet_platform::proc;
use hostlet_store::Definition;

use crate::Engine;
use crate::access::{Access, Standing};
use crate::change::stamp;
use crate::error::{Error, Result};
use crate::machine::Machine;

/// A program and how to start it.
#[derive(Debug, Clone, Default)]
pub struct Program {
    /// Its path, or a name to look for in PATH.
    pub file: OsString,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// How.
    pub options: LaunchOptions,
}

/// How a program is started.
#[derive(Debug, Clone, Default)]
pub struct LaunchOptions {
    /// As whom.
    pub user: Option<String>,
    /// With which group.
    pub group: Option<String>,
    /// Where.
    pub workdir: Option<PathBuf>,
    /// Variables to set.
    pub env: Vec<(String, String)>,
    /// Capabilities not to drop.
    pub keep_capabilities: Vec<String>,
    /// Descriptors to leave open, by number or by name in LISTEN_FDNAMES.
    pub keep_fds: Vec<String>,
}

impl LaunchOptions {
    fn check(&self) -> Result<()> {
        let keep = keep_fds(&self.keep_fds)?;
        let (user, group) = (self.user.as_deref(), self.group.as_deref());
        let workdir = self.workdir.as_deref();
        Ok(check(user, group, workdir, &self.keep_capabilities, &keep)?)
    }
}

impl Program {
    /// Finds what is wrong with the words for it, before a hostlet is made or an address drawn.
    ///
    /// # Errors
    /// There is no such user, group, directory, capability or descriptor.
    pub fn check(&self) -> Result<()> {
        self.options.check()
    }

    fn words(&self) -> Vec<String> {
        let all = std::iter::once(&self.file).chain(&self.args);
        all.map(|word| word.to_string_lossy().into_owned())
            .collect()
    }
}

impl Engine {
    /// Runs a program in a hostlet of its own, and removes that afterwards.
    ///
    /// # Errors
    /// The hostlet could not be made, or the program not be started; then nothing is left.
    pub fn run(&self, spec: &HostletSpec, program: &Program) -> Result<Ending> {
        let what = "run a program in a hostlet";
        let mut machine = self.machine(what, stamp(&program.words()))?;
        machine.store.leave_log()?;
        program.check()?;
        let options = options_of(program, &Standing::Root, None);
        // From here on, and not while waiting for the lock, no signal ends this process before it
        // has cleaned up.
        let hold = SignalHold::new()?;
        let pid = std::process::id();
        let start_ticks = proc::start_ticks(pid).unwrap_or_default();
        self.create_in(&mut machine, spec, &Lifetime::Run { pid, start_ticks })?;
        let made = machine.definition(&spec.name)?;
        let launched = self.launch(&machine, &made, program, options);
        let ended = launched.and_then(|launch| {
            machine.unlock();
            self.wait(launch, &hold, || {
                // Where this fails, the log stays long, and the next command does it.
                let _ = machine.store.shorten_log();
            })
        });
        if let Err(error) = self.end_of_run(&mut machine, &made) {
            self.warn(&format!(
                "hostlet '{}' could not be removed: {error}",
                spec.name
            ));
        }
        ended
    }

    /// Runs a program in a hostlet that is there.
    ///
    /// # Errors
    /// There is no such hostlet, the caller may not, or the program cannot be started.
    pub fn enter(&self, name: &Name, program: &Program) -> Result<Ending> {
        let launch = {
            let mut machine = self.machine("enter a hostlet", stamp(&[]))?;
            let standing = Access::of_caller(&self.paths, &machine.config).enter(name)?;
            let row = machine.live(name)?;
            self.make_sure(&mut machine, &row)?;
            self.only_root_chooses(&standing, name, &program.options)?;
            let declared = machine.config.hostlets.get(name).map(|d| &d.run);
            // Root enters with what he says; who is admitted gets what is declared.
            let declared = declared.filter(|_| standing != Standing::Root);
            let options = options_of(program, &standing, declared);
            self.launch(&machine, &row, program, options)?
        };
        let hold = SignalHold::new()?;
        self.wait(launch, &hold, || {})
    }

    /// Runs a program in a declared hostlet, which is made if it is not there.
    ///
    /// # Errors
    /// It is not declared, the caller may not, or the program cannot be started.
    pub fn start(&self, name: &Name, program: &Program) -> Result<Ending> {
        let launch = {
            if !rustix::process::geteuid().is_root() {
                return Err(Error::NotRaised { name: name.clone() });
            }
            let mut machine = self.machine("start a declared hostlet", stamp(&[]))?;
            let Some(declared) = machine.config.hostlets.get(name).cloned() else {
                return Err(Error::NotDeclared {
                    name: name.clone(),
                    config: self.paths.config.clone(),
                });
            };
            let standing =
                Access::of_caller(&self.paths, &machine.config).start(name, &declared)?;
            self.only_root_chooses(&standing, name, &program.options)?;
            let options = options_of(program, &standing, Some(&declared.run));
            match standing {
                Standing::Root => options.check()?,
                // He does not learn by it which directories there are.
                Standing::Listed(_) => LaunchOptions {
                    workdir: None,
                    ..options.clone()
                }
                .check()?,
            }
            if machine.store.get(name)?.is_none() {
                self.create_in(&mut machine, &declared.spec, &Lifetime::Declared)?;
            }
            let row = machine.live(name)?;
            self.make_sure(&mut machine, &row)?;
            self.launch(&machine, &row, program, options)?
        };
        let hold = SignalHold::new()?;
        self.wait(launch, &hold, || {})
    }

    /// Entering a hostlet whose programs somebody detached would be worse than an error.
    pub(crate) fn make_sure(&self, machine: &mut Machine<'_>, row: &Definition) -> Result<()> {
        let cgroup = machine.tree.open(row.name.as_str())?;
        let kernel = machine.kernel()?;
        if !kernel.attached(cgroup.fd())? {
            kernel.attach(cgroup.fd())?;
        }
        if kernel
            .record(cgroup.id())?
            .is_none_or(|record| record.id != row.id.0)
        {
            crate::heal::republish(machine, row)?;
        }
        Ok(())
    }

    fn launch(
        &self,
        machine: &Machine<'_>,
        row: &Definition,
        program: &Program,
        mut options: LaunchOptions,
    ) -> Result<Launch> {
        let cgroup = machine.tree.open(row.name.as_str())?.try_clone_fd()?;
        if row.spec.raw {
            // Without it the grant would be an empty one.
            options.keep_capabilities.push("CAP_NET_RAW".to_owned());
        }
        Ok(Launch {
            args: program.args.clone(),
            env: options
                .env
                .into_iter()
                .map(|(k, v)| (k.into(), v.into()))
                .collect(),
            workdir: options.workdir,
            user: options.user,
            group: options.group,
            keep_capabilities: options.keep_capabilities,
            keep_fds: keep_fds(&options.keep_fds)?,
            // Whoever can open the lock could hold it.
            hide: vec![self.paths.run.clone()],
            // What his own name stands for is a member's affair.
            show: vec![self.paths.names()],
            read_only: self.frozen(),
            ..Launch::new(&program.file, cgroup)
        })
    }

    fn only_root_chooses(
        &self,
        standing: &Standing,
        name: &Name,
        options: &LaunchOptions,
    ) -> Result<()> {
        let Standing::Listed(caller) = standing else {
            return Ok(());
        };
        let chosen = [
            ("--user", options.user.is_some()),
            ("--group", options.group.is_some()),
            ("--keep-capability", !options.keep_capabilities.is_empty()),
        ];
        match chosen.into_iter().find(|(_, given)| *given) {
            None => Ok(()),
            Some((option, _)) => Err(Error::OptionDenied {
                user: caller.user.clone(),
                option,
                name: name.clone(),
                config: self.paths.config.clone(),
            }),
        }
    }

    /// The directories of the configuration and of the database: whoever can write there grants
    /// himself addresses. A directory, not its files: files are replaced, and come into being.
    fn frozen(&self) -> Vec<PathBuf> {
        if let Some(root) = &self.paths.root {
            return vec![root.clone()];
        }
        let parents = [&self.paths.config, &self.paths.db].map(|file| file.parent());
        let dirs: Vec<PathBuf> = parents.into_iter().flatten().map(Into::into).collect();
        for dir in &dirs {
            // What is not there, a member could make. Where this fails, so it does for a member.
            let _ = std::fs::create_dir_all(dir);
        }
        dirs
    }

    /// Waits for the end; meanwhile the kernel's picture of the network stays true. What can be done while the program runs comes first.
    fn wait(&self, launch: Launch, hold: &SignalHold, meanwhile: impl FnOnce()) -> Result<Ending> {
        let watch = RouteWatch::open()?;
        let child = start(launch, hold)?;
        meanwhile();
        let mut refresh = || match watch.drain() {
            Ok(false) => true,
            Ok(true) => {
                // What fails now is tried again with the next change of the network, or the next command.
                let _ = self.follow_network();
                true
            }
            Err(_) => false,
        };
        let extra = Extra {
            fd: watch.as_fd(),
            ready: &mut refresh,
        };
        Ok(child.wait(hold, &mut [extra])?)
    }

    /// Removes the hostlet of a run; what the program left running keeps it, until the
    /// command after its end.
    fn end_of_run(&self, machine: &mut Machine<'_>, made: &Definition) -> Result<()> {
        machine.relock()?;
        let row = match machine.store.get(&made.name)? {
            Some(row) if row.id == made.id && machine.members(&row.name)?.is_empty() => row,
            _ => return Ok(()),
        };
        if (&row.spec, &row.entries) != (&made.spec, &made.entries) {
            // Others changed it meanwhile, and its tables.
            machine.published.clear();
        }
        machine.let_finish(&row)?;
        self.remove_quietly(machine, row)?;
        machine.leave_no_directory()
    }
}

/// How a program is started: as was said, and as is declared.
fn options_of(
    program: &Program,
    standing: &Standing,
    declared: Option<&RunOptions>,
) -> LaunchOptions {
    let mut options = program.options.clone();
    if let Standing::Listed(caller) = standing {
        options.user = Some(caller.user.clone());
    }
    if let Some(declared) = declared {
        complete(&mut options, declared, standing);
    }
    options
}

/// What was not said on the command line is taken from the configuration. Who is
/// admitted by a list gets the configured user and no other.
fn complete(options: &mut LaunchOptions, declared: &RunOptions, standing: &Standing) {
    let declared = declared.clone();
    if *standing != Standing::Root && declared.user.is_some() {
        options.user = declared.user;
    } else {
        options.user = options.user.take().or(declared.user);
    }
    options.group = options.group.take().or(declared.group);
    options.workdir = options.workdir.take().or(declared.workdir.map(Into::into));
    // The last one of a name counts: those given here.
    let mut env = declared.env;
    env.append(&mut options.env);
    options.env = env;
    options.keep_capabilities.extend(declared.keep_capabilities);
}

/// The descriptors to keep, by number or by the name that the service manager gave.
pub(crate) fn keep_fds(given: &[String]) -> Result<Vec<RawFd>> {
    let passed = listen_fds();
    let mut kept = Vec::new();
    for text in given {
        if let Ok(fd) = text.parse::<RawFd>() {
            kept.push(fd);
            continue;
        }
        let named: Vec<RawFd> = passed
            .iter()
            .filter(|p| p.name == *text)
            .map(|p| p.fd)
            .collect();
        if named.is_empty() {
            let names: Vec<&str> = passed.iter().map(|p| p.name.as_str()).collect();
            let why = if names.is_empty() {
                "no descriptor was passed with a name (LISTEN_FDNAMES); give a number".to_owned()
            } else {
                format!(
                    "the names passed in LISTEN_FDNAMES are {}",
                    names.join(", ")
                )
            };
            return Err(Error::KeepFd {
                given: text.clone(),
                why,
            });
        }
        kept.extend(named);
    }
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn declared() -> RunOptions {
        RunOptions {
            user: Some("www-data".to_owned()),
            workdir: Some("/srv".to_owned()),
            env: vec![("A".to_owned(), "1".to_owned())],
            ..RunOptions::default()
        }
    }

    #[test]
    fn what_root_says_wins() {
        let mut options = LaunchOptions {
            user: Some("bob".to_owned()),
            env: vec![("A".to_owned(), "2".to_owned())],
            ..LaunchOptions::default()
        };
        complete(&mut options, &declared(), &Standing::Root);
        assert_eq!(options.user.as_deref(), Some("bob"));
        assert_eq!(options.workdir.unwrap(), PathBuf::from("/srv"));
        assert_eq!(options.env.last().unwrap().1, "2");
    }

    #[test]
    fn who_is_admitted_runs_as_declared() {
        let caller = hostlet_policy::Caller {
            uid: 7,
            user: "bob".to_owned(),
            groups: Vec::new(),
            units: Vec::new(),
        };
        let mut options = LaunchOptions {
            user: Some("bob".to_owned()),
            ..LaunchOptions::default()
        };
        complete(&mut options, &declared(), &Standing::Listed(caller));
        assert_eq!(options.user.as_deref(), Some("www-data"));
    }
}
