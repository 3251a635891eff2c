//! Descriptors that go from one to another, and hostlets that end.

use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use hostlet_testkit::agent::Agent;
use hostlet_testkit::daemon::Daemon;
use hostlet_testkit::wait;

use super::bench::{Bench, USER};
use super::{Finding, Who};

/// So many changes at least, of a hostlet whose members fork without end.
const CHANGES: u32 = 10;
/// So many forks at least while it is changed: what goes through the members one by one is late then.
const FORKS: u64 = 10_000;
/// And so many a second (A3).
const RATE: f64 = 10_000.0;
/// How long it may take.
const FORKING: Duration = Duration::from_secs(60);

/// What a hostlet runs that is to end.
#[derive(Debug, Clone, Copy)]
pub(super) enum Program {
    /// Lines of a probe, which fork without end.
    Probe(&'static str),
    /// A script, which says `there are …` when it has made what it makes.
    Python(&'static str),
}

impl Bench {
    /// Has `giver` hand a socket to `taker`, who sends by it; what both steps said.
    pub fn hand_over(
        &mut self,
        giver: &str,
        socket: &str,
        taker: &str,
        place: &str,
    ) -> Result<(String, String)> {
        // Both are there before one waits for the other.
        self.ask(taker, "status Uid")?;
        let mut from = self.agents.remove(giver).context("a giver")?;
        let handing = format!("hand {socket} {place}");
        let giving = std::thread::spawn(move || {
            let said = from.ask(&handing);
            (from, said)
        });
        // The path is there once the giver listens.
        let there = wait::until("somebody who hands out", || {
            std::fs::set_permissions(place, PermissionsExt::from_mode(0o777)).is_ok()
        });
        let taken = there.and_then(|()| self.ask(taker, &format!("t = take {place}")));
        let (from, said) = giving
            .join()
            .map_err(|_| anyhow::anyhow!("the giver panicked"))?;
        self.agents.insert(giver.into(), from);
        said?;
        let sent = self.ask(taker, "sendto t 10.0.0.100:19999 x")?;
        self.flush()?;
        let came = self
            .at_peer
            .seen()
            .iter()
            .any(|s| s.port == 19_999 && self.is_foreign(s));
        Ok((taken?, if came { sent } else { "nothing came".into() }))
    }

    /// Waits for a packet with a foreign source to this port.
    pub(super) fn comes(&self, port: u16) -> bool {
        let came = || {
            self.at_peer
                .seen()
                .iter()
                .any(|s| s.port == port && self.is_foreign(s))
        };
        wait::until("a packet", came).is_ok()
    }

    /// Has a member lie in wait for whoever enters the hostlet; what it got hold of, if anything.
    pub(super) fn entering(&mut self, name: &str) -> Result<Option<String>> {
        // It is there, and so is nobody else who comes later.
        self.ask(name, "status Uid")?;
        let mut agent = self.agents.remove(name).context("a member")?;
        let line = format!("catch 4 {}/cgroup.procs", self.word("in-cgroup")?);
        let waiting = std::thread::spawn(move || {
            let said = agent.ask(&line);
            (agent, said)
        });
        while !waiting.is_finished() {
            let entered = self
                .install()?
                .output(self.lan.host(), &["enter", "in", "--", "true"])?;
            if !entered.status.success() {
                bail!("enter: {}", String::from_utf8_lossy(&entered.stderr));
            }
        }
        let (agent, said) = waiting
            .join()
            .map_err(|_| anyhow::anyhow!("who lay in wait panicked"))?;
        self.agents.insert(name.into(), agent);
        Ok(Some(said?).filter(|s| s != "nobody"))
    }

    /// A hostlet whose program does what it likes, while addresses come and go and until it is
    /// removed: what of it got out, or is left.
    pub(super) fn ending(&mut self, who: Who, program: Program, churn: bool) -> Result<Finding> {
        let port = self.next_port;
        self.next_port += 2;
        let at = (self.at_peer.seen().len(), self.at_host.seen().len());
        let host = self.lan.host();
        let install = self.install()?;
        // Addresses that the others can do without.
        host.ip([
            "address add 10.0.0.40/24 dev eth0",
            "address add 10.0.0.41/24 dev eth0",
        ])?;
        install.run(host, &["create", "doomed", "--address", "10.0.0.40"])?;
        let shown = install.json(host, &["show", "doomed"])?;
        let cgroup = shown["cgroup"].as_str().context("a cgroup")?.to_owned();
        let user = USER.to_string();
        let mut args = vec!["enter", "doomed"];
        if who == Who::User {
            args.extend(["--user", &user, "--group", &user]);
        }
        args.push("--");
        let text = match program {
            Program::Probe(line) | Program::Python(line) => line
                .replace("PORT", &port.to_string())
                .replace("NEXT", &(port + 1).to_string()),
        };
        let mut command = install.command(host, &args);
        command.current_dir("/");
        let mut what = String::new();
        let (mut script, mut agent) = match program {
            Program::Probe(_) => {
                command.arg(&self.probe);
                let mut agent = Agent::start("doomed", command)?;
                for line in text.lines() {
                    let said = agent.ask(line)?;
                    if said != "ok" {
                        bail!("{line}: {said}");
                    }
                }
                (None, Some(agent))
            }
            Program::Python(_) => {
                command.args(["/usr/bin/python3", "-c", &text]);
                let script = Daemon::start("doomed", command)?;
                what = script.log().wait("there are ")?;
                (Some(script), None)
            }
        };
        let mut lapse = None;
        if let (true, Some(agent)) = (churn, &mut agent) {
            (lapse, what) = self.changed_while_forking(agent, port + 1)?;
        }
        let removed = install.output(host, &["remove", "doomed", "--kill"])?;
        let left = std::path::Path::new(&cgroup).exists();
        // Whatever came of it, nothing of it outlives this attempt.
        if left {
            let _ = std::fs::write(format!("{cgroup}/cgroup.kill"), "1");
        }
        drop((script.take(), agent.take()));
        host.ip([
            "address del 10.0.0.40/24 dev eth0",
            "address del 10.0.0.41/24 dev eth0",
        ])?;
        self.flush()?;
        let mut out = lapse.or(self.foreign(port, at, false));
        if !removed.status.success() {
            out = Some(format!(
                "remove: {}",
                String::from_utf8_lossy(&removed.stderr).trim()
            ));
        } else if left {
            out = Some(format!("{cgroup} is left"));
        }
        Ok(Finding {
            out,
            refused: what,
            ..Finding::default()
        })
    }

    /// Grants and revokes while the members fork, until so many have that it proves something; ends while they still do. What
    /// was heard that must not be, and how many forks there were.
    fn changed_while_forking(
        &self,
        agent: &mut Agent,
        port: u16,
    ) -> Result<(Option<String>, String)> {
        let mut forks = || -> Result<u64> { Ok(agent.ask("links")?.parse()?) };
        let (begin, at_first) = (Instant::now(), forks()?);
        let (mut lapse, mut changes, mut during) = (None, 0, 0);
        while lapse.is_none() && (changes < CHANGES || during < FORKS) {
            ensure!(
                begin.elapsed() < wait::patience(FORKING),
                "only {during} forks during {changes} changes: this proves nothing"
            );
            let before = forks()?;
            lapse = self.granted_and_revoked("10.0.0.41", port)?;
            let more = forks()? - before;
            ensure!(
                more > 0,
                "nobody forked during a change: this proves nothing"
            );
            during += more;
            // Granted, and revoked.
            changes += 2;
        }
        let all = forks()? - at_first;
        let rate = all as f64 / begin.elapsed().as_secs_f64();
        // A machine whose processor is emulated cannot fork as often, whatever it runs.
        let emulated = wait::patience(FORKING) > FORKING;
        ensure!(
            emulated || rate >= RATE,
            "{rate:.0} forks a second, not {RATE}: this proves too little"
        );
        let last = forks()?;
        wait::until("more forks", || forks().is_ok_and(|now| now > last))?;
        let what = format!("{during} forks in {changes} changes, {rate:.0} a second");
        Ok((lapse, what))
    }

    /// An address that somebody tries to send from all the time comes and goes: while it is there it is heard,
    /// and after `revoke` nothing of it is; what was heard all the same.
    fn granted_and_revoked(&self, address: &str, port: u16) -> Result<Option<String>> {
        let from: IpAddr = address.parse()?;
        let heard = |start: usize| {
            let seen = self.at_peer.seen();
            seen.iter()
                .skip(start)
                .any(|s| s.port == port && s.from == from)
        };
        let (install, host) = (self.install()?, self.lan.host());
        let before = self.at_peer.seen().len();
        install.run(host, &["grant", "doomed", address])?;
        wait::until("a packet from what was granted", || heard(before))?;
        install.run(host, &["revoke", "doomed", address])?;
        self.flush()?;
        let after = self.at_peer.seen().len();
        // Time for them to try.
        install.run(host, &["list"])?;
        self.flush()?;
        Ok(heard(after).then(|| format!("from {address} after its revoke")))
    }
}
