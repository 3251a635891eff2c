//! What hostletd asks for: hostlets whose addresses are lent, and processes that come in through it.
//!
//! None of this asks who may: hostletd has decided that, and says in whose name it acts. Each call is a command of
//! its own: it takes the lock, heals, and is whole or can be completed by the next one.

use std::net::IpAddr;
use std::path::PathBuf;

use hostlet_model::config::Config;
use hostlet_model::{AddressSpec, HostletSpec, Lifetime, Name, Owned};
use hostlet_platform::cgroup;
use hostlet_policy::{
    Existing, Observed, Refusal, Renewal, plan_fall_back, plan_lend, plan_replace,
};
use hostlet_store::{Definition, State, Store};

use crate::error::Result;
use crate::machine::{Stamp, abandoned, read_config, state_of};
use crate::observe::{Of, observe};
use crate::{Engine, Paths, names, network};

impl Engine {
    /// Where this installation keeps its things.
    #[must_use]
    pub fn paths(&self) -> &Paths {
        &self.paths
    }

    /// The configuration as it is now; that of an installation without a file is the default.
    ///
    /// # Errors
    /// The file cannot be read, or something in it is wrong.
    pub fn config(&self) -> Result<Config> {
        read_config(&self.paths)
    }

    /// The hostlets that are there, by name, as they are remembered; those of another boot included, which the next
    /// change brings back or forgets.
    ///
    /// # Errors
    /// The state cannot be read.
    pub fn hostlets(&self) -> Result<Vec<Definition>> {
        let mut rows = Store::open_read_only(&self.paths.db)?.all()?;
        rows.retain(|row| row.state == State::Live);
        Ok(rows)
    }

    /// The hostlet that has this address.
    ///
    /// # Errors
    /// The state cannot be read.
    pub fn holder_of(&self, address: IpAddr) -> Result<Option<Name>> {
        let store = Store::open_read_only(&self.paths.db)?;
        match store.owners_of(&Owned::Single(address))?.first() {
            Some(id) => Ok(store.get_by_id(*id)?.map(|row| row.name)),
            None => Ok(None),
        }
    }

    /// Puts right what a crash, a restart or somebody's hand left behind, as every changing command does first.
    ///
    /// # Errors
    /// The state cannot be read or written. What cannot be healed is a warning.
    pub fn heal(&self) -> Result<()> {
        self.machine("put hostlets right", Stamp::default())
            .map(|_| ())
    }

    /// The directory of a hostlet's cgroup, whether it is there or not.
    #[must_use]
    pub fn cgroup_of(&self, name: &Name) -> PathBuf {
        // Without a cgroup2 file system there is no hostlet either.
        let mount = cgroup::find_mount().unwrap_or_else(|_| "/sys/fs/cgroup".into());
        mount.join(&self.paths.cgroup_parent).join(name.as_str())
    }

    /// Makes a hostlet in somebody's name, of addresses that are on this machine already (rows B3, B4). Without any it is
    /// cut off from the start, as after the loss of the last one.
    ///
    /// # Errors
    /// Whatever is in the way; then nothing was changed.
    pub fn lend(&self, spec: &HostletSpec, lifetime: &Lifetime, by: &Stamp) -> Result<()> {
        let mut machine = self.machine("make a hostlet", by.clone())?;
        self.make_in(&mut machine, spec, lifetime, plan_lend, &mut |_| {})?;
        // Whoever lends watches for the end. Where that cannot be noted, each command looks whether it lives.
        if let Ok(made) = machine.definition(&spec.name) {
            let _ = self.keep.hear_of(made.id, &machine.store);
        }
        Ok(())
    }

    /// Exchanges addresses of a hostlet in one change: sockets on what is lost die, what is gained is on this machine
    /// already. The set may become empty; then its members have their loopback and nothing else. What is lost and not
    /// there, or gained and there, is no error.
    ///
    /// # Errors
    /// There is no such hostlet, it has fallen back, or something gained is not there or another's. What failed
    /// half-way is completed by the next command.
    pub fn replace(&self, name: &Name, lost: &[Owned], gained: &[AddressSpec]) -> Result<()> {
        self.renew(name, gained, |h, seen| plan_replace(h, lost, gained, seen))
    }

    /// Takes from a hostlet what is lost, with the sockets on it, and lets its members use this machine's addresses
    /// and loopback from now on until it ends. Again is no error.
    ///
    /// # Errors
    /// There is no such hostlet. What failed half-way is completed by the next command.
    pub fn fall_back(&self, name: &Name, lost: &[Owned]) -> Result<()> {
        self.renew(name, &[], |h, seen| plan_fall_back(h, lost, seen))
    }

    fn renew(
        &self,
        name: &Name,
        wishes: &[AddressSpec],
        plan: impl FnOnce(&Existing, &Observed) -> Result<Renewal, Refusal>,
    ) -> Result<()> {
        let mut machine = self.machine("change a hostlet", Stamp::default())?;
        machine.live(name)?;
        let seen = observe(
            &machine,
            Of::some(name, wishes.iter().map(|wish| wish.owned)),
        )?;
        let plan = plan(seen.hostlet(name)?, &seen)?;
        if plan.actions.is_empty() {
            return Ok(());
        }
        self.change_in(&mut machine, name, &plan.actions)
    }

    /// Removes the hostlet of a run if its process and all members are gone. True: it is gone, or never was; false: it
    /// is still somebody's, or is kept until it is removed.
    ///
    /// # Errors
    /// Steps failed, all others being done; the next command goes on with them.
    pub fn end(&self, name: &Name) -> Result<bool> {
        if self.is_used(name)? {
            return Ok(false);
        }
        // Opening heals, and so removes whatever is abandoned.
        let machine = self.machine("remove a hostlet", Stamp::default())?;
        match machine.store.get(name)? {
            None => {
                machine.leave_no_directory()?;
                Ok(true)
            }
            // What was in the way of healing was told as a warning.
            Some(row) => Ok(abandoned(&machine, &row)? && {
                drop(machine);
                self.close(name, false)?;
                true
            }),
        }
    }

    /// Whether a hostlet is whole and somebody's, as most are: then nobody need wait for the lock.
    fn is_used(&self, name: &Name) -> Result<bool> {
        let machine = self.reading("look at a hostlet")?;
        let Some(row) = machine.store.get(name)? else {
            return Ok(false);
        };
        let whole = state_of(&row, &machine.boot_id) == "live"
            && machine.kernel.is_some()
            && machine.tree.path_of(name.as_str()).exists();
        Ok(whole && !abandoned(&machine, &row)?)
    }

    /// Removes a hostlet, whoever it was made for; one that is not there is no error.
    ///
    /// # Errors
    /// It has members and `kill` is not given; or steps failed, all others being done.
    pub fn close(&self, name: &Name, kill: bool) -> Result<()> {
        let mut machine = self.machine("remove a hostlet", Stamp::default())?;
        if let Some(row) = machine.store.get(name)? {
            self.remove_in(&mut machine, row, kill)?;
        }
        machine.leave_no_directory()
    }

    /// Makes the kernel's picture of the network true, and what hostlets answer to the machine's own name: to be called
    /// when routes, interfaces or addresses changed. Takes the lock only if the machine's own addresses are others now.
    ///
    /// # Errors
    /// The network cannot be asked, or the tables not be written.
    pub fn follow_network(&self) -> Result<()> {
        let what = "follow the network";
        let seen = self.reading_by(self.config_now(what)?)?;
        network::refresh(&seen)?;
        if !names::settled(&seen)? {
            drop(seen);
            let mut machine = self.machine(what, Stamp::default())?;
            names::settle(&mut machine);
            self.tell(&mut machine);
        }
        Ok(())
    }
}
