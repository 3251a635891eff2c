//! The machines, one hostlet that stays all the time, and what there was before.

use anyhow::{Context, Result, ensure};
use hostlet_testkit::agent::Agent;
use hostlet_testkit::bpf;
use hostlet_testkit::install::Installation;
use hostlet_testkit::lan::Lan;
use hostlet_testkit::netns::NetNs;
use hostlet_testkit::residue::{Residue, objects};
use hostlet_testkit::wait;

/// The hostlet that keeps the tables loaded from the first look to the last.
const WITNESS: &str = "witness";

pub(super) struct Stage {
    pub(super) lan: Lan,
    /// What there is while nothing happens.
    before: Residue,
    /// What there is without any hostlet.
    bare: Residue,
}

impl Stage {
    pub(super) fn new() -> Result<Stage> {
        let lan = Lan::hostlets("one", &[])?;
        lan.peer().ip([
            "route add 10.20.0.0/16 dev br0",
            "route add 2001:db8:20::/64 dev br0",
        ])?;
        // The first of its network: were that a hostlet's, its end would take all others off for an instant (see troubleshooting).
        lan.host().ip(["address add 10.20.255.254/16 dev eth0"])?;
        let install = lan.install().context("hostlets")?;
        let bare = Residue::of(install, lan.host())?;
        install.run(lan.host(), &["create", WITNESS, "--address", "10.0.0.5"])?;
        let before = Residue::of(install, lan.host())?;
        ensure!(before.count("pin") > 0, "no tables are seen");
        Ok(Stage { lan, before, bare })
    }

    pub(super) fn install(&self) -> Result<&Installation> {
        self.lan.install().context("hostlets")
    }

    pub(super) fn host(&self) -> &NetNs {
        self.lan.host()
    }

    /// Runs a command, which must succeed.
    pub(super) fn run(&self, args: &[&str]) -> Result<String> {
        self.install()?.run(self.host(), args)
    }

    /// A probe in a hostlet that exists.
    pub(super) fn enter(&self, name: &str) -> Result<Agent> {
        let command = self.install()?.probe(self.host(), &["enter", name])?;
        Agent::start(name, command)
    }

    /// The addresses of a hostlet, as it says itself; none if it is not there.
    pub(super) fn addresses(&self, name: &str) -> Result<Vec<String>> {
        let all = self.list()?;
        let Some(one) = all.iter().find(|one| one["name"] == name) else {
            return Ok(Vec::new());
        };
        let addresses = one["addresses"].as_array().context("addresses")?;
        let texts = addresses.iter().map(|a| a["address"].as_str());
        texts
            .map(|text| text.map(Into::into).context("an address"))
            .collect()
    }

    /// The names of the hostlets that there are, but for the one that stays.
    pub(super) fn names(&self) -> Result<Vec<String>> {
        let all = self.list()?;
        let names = all.iter().filter_map(|one| one["name"].as_str());
        Ok(names
            .filter(|name| *name != WITNESS)
            .map(Into::into)
            .collect())
    }

    fn list(&self) -> Result<Vec<serde_json::Value>> {
        let all = self.install()?.json(self.host(), &["list"])?;
        all.as_array().cloned().context("a list")
    }

    /// With no hostlet but the one that stays, all is as it was before; without that one, nothing is left, nothing loaded.
    pub(super) fn clean(&self) -> Result<()> {
        let install = self.install()?;
        for name in self.names()? {
            // The one whose `run` was killed goes with the next command, which may be this one.
            let done = install.output(self.host(), &["remove", &name, "--kill"])?;
            let said = String::from_utf8_lossy(&done.stderr);
            let gone = done.status.success() || said.contains("there is no hostlet");
            ensure!(gone, "remove {name}: {said}");
        }
        // What the kernel takes away by itself (a cgroup's storage, a closed socket) may take a moment.
        let mut last = Ok(());
        let _ = wait::until("all to be as before", || {
            last = Residue::of(install, self.host()).and_then(|now| now.same_as(&self.before));
            last.is_ok()
        });
        last?;
        let loaded = objects(install)?;
        self.run(&["remove", WITNESS])?;
        Residue::of(install, self.host())?.same_as(&self.bare)?;
        wait::until("programs and tables to be unloaded", || {
            !loaded.iter().any(|object| bpf::lives(*object))
        })
    }
}
