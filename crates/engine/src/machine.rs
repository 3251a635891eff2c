//! Everything that a command works on, opened once.

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;

use hostlet_kernel::{Kernel, Limits, Sweep, Tables};
use hostlet_model::config::Config;
use hostlet_model::{Lifetime, Name, Paths};
use hostlet_platform::cgroup::{Cgroup, CgroupError, Tree};
use hostlet_platform::netlink::{self, Asking, Following};
use hostlet_platform::proc;
use hostlet_policy::{Existing, Observed};
use hostlet_store::{Definition, State};

use crate::destroy::Listed;
use crate::error::{Error, Result};
use crate::kept::{Inode, Keep, Opened, inode};
use crate::lock::Lock;
use crate::names::Basis;
use crate::observe::{Of, existing, observe};
use crate::{attached, bpffs, excluded};

/// In whose name a hostlet is made, and for what: it goes into the definition and the history (row B13).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stamp {
    /// The program it is made for, with its arguments; empty if for none.
    pub program: Vec<String>,
    /// The caller.
    pub uid: u32,
    /// The caller's name.
    pub user: String,
}

/// The state, the kernel part and the cgroups of one installation.
pub(crate) struct Machine<'p> {
    pub paths: &'p Paths,
    pub config: Config,
    pub store: Opened,
    pub tree: Tree,
    pub kernel: Option<Kernel>,
    pub boot_id: String,
    pub stamp: Stamp,
    /// What the user should know although nothing failed.
    pub warnings: Vec<String>,
    /// Hostlets that this command removed before it came to its own work: nobody needed them any more.
    pub healed_away: Vec<Name>,
    /// What this command itself wrote into the kernel's tables, by id.
    pub(crate) published: BTreeMap<u32, Tables>,
    /// A listing of sockets, until something else is done.
    pub(crate) listed: Option<Listed>,
    /// Whether what goes is looked for in whole tables: what a crash left may be anything; and where many go, it is quicker.
    pub(crate) sweeps: bool,
    /// What the kernel's tables hold of each hostlet, until something else is done.
    pub(crate) swept: Option<Sweep>,
    /// Hostlets that were closed and may reach services of the host, of which only the table says which.
    pub(crate) reaching: BTreeSet<u32>,
    /// Where what was opened goes for the next command, if this process stays.
    pub(crate) keep: &'p Keep,
    /// What names in hostlets stand for beside their addresses, as this command wrote it; and for how many hostlets.
    pub(crate) basis: Option<(Basis, usize)>,
    lock: Option<Lock>,
    /// The kernel part that is open while this one waits, by its directory.
    pins: Option<Inode>,
    /// The network's tables are asked for several times, and read once; none where the kernel does not tell of changes.
    _following: Option<Following>,
    _asking: Asking,
}

impl<'p> Machine<'p> {
    /// To change something: under the lock, and after healing.
    pub fn to_change(
        paths: &'p Paths,
        keep: &'p Keep,
        config: Config,
        stamp: Stamp,
    ) -> Result<Self> {
        let asking = Asking::begin();
        let tree = Tree::under_mount(&paths.cgroup_parent)?;
        let lock = Lock::take(paths)?;
        let store = keep.store(paths, true)?;
        let kernel = match keep.kernel(paths, true) {
            // Left by another version, and in nobody's way: the next hostlet brings this one's.
            Err(Error::Kernel(hostlet_kernel::Error::Layout { .. })) if store.is_empty()? => {
                bpffs::clear(paths)?;
                None
            }
            kernel => kernel?,
        };
        let mut machine = Self {
            paths,
            config,
            store,
            tree,
            kernel,
            boot_id: boot_id()?,
            stamp,
            warnings: Vec::new(),
            healed_away: Vec::new(),
            published: BTreeMap::new(),
            listed: None,
            sweeps: false,
            swept: None,
            reaching: BTreeSet::new(),
            keep,
            basis: None,
            lock: Some(lock),
            pins: None,
            _following: Following::begin().ok(),
            _asking: asking,
        };
        crate::heal::heal(&mut machine)?;
        Ok(machine)
    }

    /// To read: without the lock, and nothing is changed.
    pub fn to_read(paths: &'p Paths, keep: &'p Keep, config: Config) -> Result<Self> {
        let mut machine = Self::without_tables(paths, keep)?;
        machine.config = config;
        machine.kernel = keep.kernel(paths, false)?;
        Ok(machine)
    }

    /// To read what is remembered, as where there is no kernel part.
    pub fn without_tables(paths: &'p Paths, keep: &'p Keep) -> Result<Self> {
        let store = keep.store(paths, false)?;
        Ok(Self {
            paths,
            config: Config::default(),
            store,
            tree: Tree::under_mount(&paths.cgroup_parent)?,
            kernel: None,
            boot_id: boot_id()?,
            stamp: Stamp::default(),
            warnings: Vec::new(),
            healed_away: Vec::new(),
            published: BTreeMap::new(),
            listed: None,
            sweeps: false,
            swept: None,
            reaching: BTreeSet::new(),
            keep,
            basis: None,
            lock: None,
            pins: None,
            _following: None,
            _asking: Asking::begin(),
        })
    }

    /// Fails where the sockets of this installation's network namespace cannot be seen.
    pub fn must_be_here(&self) -> Result<()> {
        match &self.kernel {
            Some(kernel) if crate::namespace::differs(kernel.netns_cookie())? => {
                Err(Error::OtherNamespace)
            }
            _ => Ok(()),
        }
    }

    /// Fails where hostlets live and their tables are gone: from nothing nothing is told.
    pub fn must_have_tables(&self) -> Result<()> {
        // What another command has just brought there is there.
        if self.kernel.is_some() || self.paths.pins.exists() {
            return Ok(());
        }
        let mut all = self.store.all()?.into_iter();
        match all.find(|d| state_of(d, &self.boot_id) == "live") {
            Some(row) => Err(Error::KernelGone {
                pins: self.paths.pins.clone(),
                name: row.name,
            }),
            None => Ok(()),
        }
    }

    /// Lets other commands work while this one waits.
    pub fn unlock(&mut self) {
        self.pins = inode(&self.paths.pins);
        self.lock = None;
    }

    /// Goes on working, with what others have changed meanwhile.
    pub fn relock(&mut self) -> Result<()> {
        // Who came to nothing before he would have waited has it still.
        if self.lock.is_none() {
            self.lock = Some(Lock::take(self.paths)?);
        }
        // Whoever took it away made others, with another directory.
        if self.kernel.is_none() || inode(&self.paths.pins) != self.pins {
            self.kernel = Kernel::open(&self.paths.pins)?;
        }
        Ok(())
    }

    /// The kernel part; the first hostlet brings it there.
    pub fn kernel(&mut self) -> Result<&Kernel> {
        if self.kernel.is_none() {
            let installed = self.install_kernel();
            if installed.is_err() {
                // Nobody else would take the mount away: there is no hostlet whose end does.
                bpffs::release(self.paths);
            }
            self.kernel = Some(installed?);
        }
        match &self.kernel {
            Some(kernel) => Ok(kernel),
            // It was put there just now.
            None => Err(Error::OtherNamespace),
        }
    }

    fn install_kernel(&self) -> Result<Kernel> {
        bpffs::ensure(self.paths)?;
        let kernel = Kernel::install(&self.paths.pins, &self.limits())?;
        let complete = excluded::fill(self.paths, &kernel).and_then(|()| {
            let nobodys = self.tree.create_ready()?;
            Ok(kernel.stay_ready(nobodys.fd())?)
        });
        if let Err(error) = complete {
            // Whoever opens it later would take it for complete.
            kernel.uninstall()?;
            self.tree.remove_ready()?;
            return Err(error);
        }
        Ok(kernel)
    }

    fn limits(&self) -> Limits {
        Limits {
            hostlets: self.config.limits.hostlets,
            sockets: self.config.limits.sockets,
            // Sixteen for each, its loopback pair included, as a mean.
            addresses: self.config.limits.hostlets.saturating_mul(16),
        }
    }

    /// Tables cannot grow: where the limits were changed, the kernel part is made anew,
    /// once no hostlet is left.
    pub fn fit_limits(&mut self) -> Result<()> {
        if self
            .kernel
            .as_ref()
            .is_none_or(|kernel| kernel.limits() == self.limits())
        {
            return Ok(());
        }
        if self.store.is_empty()?
            && let Some(kernel) = self.kernel.take()
        {
            kernel.uninstall()?;
        }
        Ok(())
    }

    /// The row of a hostlet that there must be.
    pub fn definition(&self, name: &Name) -> Result<Definition> {
        match self.store.get(name)? {
            Some(found) => Ok(found),
            None => {
                let known = self.store.all()?.into_iter().map(|d| d.name).collect();
                Err(hostlet_policy::Refusal::UnknownName {
                    name: name.clone(),
                    known,
                }
                .into())
            }
        }
    }

    /// The row of a hostlet that must be whole, to be entered or changed.
    pub fn live(&self, name: &Name) -> Result<Definition> {
        let found = self.definition(name)?;
        match state_of(&found, &self.boot_id) {
            "live" => Ok(found),
            state => Err(Error::NotLive {
                name: name.clone(),
                state,
            }),
        }
    }

    /// The processes in a hostlet, those in attached cgroups included; none if its cgroup is gone.
    pub fn members(&self, name: &Name) -> Result<Vec<u32>> {
        let mut members = match self.tree.members(name.as_str(), true) {
            Err(CgroupError::Missing(_)) => Vec::new(),
            other => other?,
        };
        for cgroup in attached::all(self.paths, name)? {
            match hostlet_platform::cgroup::members(&cgroup.dir, true) {
                Err(CgroupError::Missing(_)) => {}
                other => members.extend(other?),
            }
        }
        Ok(members)
    }

    /// The cgroups that carry a hostlet's rules: its own, and those attached.
    pub fn cgroups(&self, name: &Name) -> Result<Vec<Cgroup>> {
        let mut all = Vec::new();
        match self.tree.open(name.as_str()) {
            Err(CgroupError::Missing(_)) => {}
            own => all.push(own?),
        }
        for cgroup in attached::all(self.paths, name)? {
            match Cgroup::open_path(&cgroup.dir) {
                Err(CgroupError::Missing(_)) => {}
                other => all.push(other?),
            }
        }
        Ok(all)
    }

    /// The kernel part stays for the next hostlet; an empty directory of cgroups helps nobody.
    pub fn leave_no_directory(&self) -> Result<()> {
        if self.store.is_empty()? && self.tree.list()?.is_empty() {
            self.tree.remove_parent()?;
            self.leave_no_route()?;
        }
        Ok(())
    }

    /// Takes away the route to the IPv6 loopbacks of hostlets, of which there is none any more.
    pub(crate) fn leave_no_route(&self) -> Result<()> {
        netlink::del_local_prefix(self.paths.loopbacks6().into())?;
        Ok(())
    }

    /// Takes the kernel part away if no hostlet is left. Not after every `run`, nor where rules make
    /// hostlets: the next one would wait for the kernel to verify the programs again.
    pub fn tidy(&mut self) -> Result<()> {
        if !self.store.is_empty()? || !self.tree.list()?.is_empty() {
            return Ok(());
        }
        if self.config.rules.is_empty()
            && let Some(kernel) = self.kernel.take()
        {
            kernel.uninstall()?;
        }
        if self.kernel.is_none() {
            self.tree.remove_ready()?;
        }
        self.tree.remove_parent()?;
        self.leave_no_route()?;
        bpffs::release(self.paths);
        Ok(())
    }
}

impl Drop for Machine<'_> {
    fn drop(&mut self) {
        let kernel = self.kernel.take();
        // The lock is held yet, if it was taken.
        self.keep
            .put_back(self.paths, self.lock.is_some(), &mut self.store, kernel);
    }
}

/// How far a hostlet is, in a word.
pub(crate) fn state_of(d: &Definition, boot_id: &str) -> &'static str {
    match d.state {
        _ if d.boot_id != boot_id => "stale",
        State::Pending => "pending",
        State::Live => "live",
        State::Removing => "removing",
    }
}

/// Whether whoever a hostlet was made for is gone.
pub(crate) fn abandoned(machine: &Machine<'_>, d: &Definition) -> Result<bool> {
    match d.lifetime {
        Lifetime::Run { pid, start_ticks } => {
            Ok(!proc::alive(pid, start_ticks) && machine.members(&d.name)?.is_empty())
        }
        Lifetime::Kept | Lifetime::Declared => Ok(false),
    }
}

/// The configuration; nothing is declared where there is no file.
pub(crate) fn read_config(paths: &Paths) -> Result<Config> {
    match std::fs::read(&paths.config) {
        Ok(text) => Ok(Config::parse_bytes(
            &text,
            &paths.config.display().to_string(),
        )?),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Config::default()),
        Err(error) => Err(Error::file("read the configuration", &paths.config, error)),
    }
}

fn boot_id() -> Result<String> {
    proc::boot_id()
        .map_err(|error| Error::file("read", "/proc/sys/kernel/random/boot_id".as_ref(), error))
}

pub(crate) fn need_root(what: &'static str) -> Result<()> {
    if rustix::process::geteuid().is_root() {
        Ok(())
    } else {
        Err(Error::NotRoot { what })
    }
}

/// Sees the machine, with the members of declared hostlets: `apply` may remove these.
pub(crate) fn observe_declared(machine: &Machine<'_>) -> Result<Observed> {
    let mut seen = observe(machine, Of::All)?;
    for hostlet in seen
        .hostlets
        .iter_mut()
        .filter(|h| h.lifetime == Lifetime::Declared)
    {
        hostlet.members = machine.members(hostlet.name())?;
    }
    Ok(seen)
}

/// The hostlet of a row, with its members.
pub(crate) fn with_members(machine: &Machine<'_>, d: Definition) -> Result<Existing> {
    let members = machine.members(&d.name)?;
    Ok(Existing {
        members,
        ..existing(d)
    })
}
