//! Three machines beside each other, on which the same programs run: once three real ones
//! (namespaces), once two hostlets and the host that they are on.
//!
//! A scenario is performed on both. What it expects is expected of both, and the programs must
//! have written the same into their logs.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use super::ask::{Ask, Got};
use super::diary::Diary;
use super::recipe::{Recipe, Server};
use crate::daemon::Daemon;
use crate::lan::Lan;
use crate::netns::NetNs;

/// The machines on which programs run, by name, with their addresses.
pub const MACHINES: [(&str, &[&str]); 3] = [
    (
        "in",
        &["10.0.0.5", "10.0.0.6", "2001:db8::5", "2001:db8::6"],
    ),
    ("other", &["10.0.0.9", "2001:db8::9"]),
    ("host", &["10.0.0.1", "2001:db8::1"]),
];

/// The addresses of the machine from which clients come.
pub const PEER: [&str; 2] = ["10.0.0.100", "2001:db8::100"];

const LOOPBACK: [&str; 2] = ["127.0.0.1", "::1"];

/// The three machines and the peer, of one side.
pub struct Machines {
    lan: Lan,
    diaries: RefCell<Vec<Diary>>,
    words: RefCell<Vec<(String, String)>>,
    left: RefCell<Vec<Daemon>>,
}

impl Machines {
    /// Two hostlets and their host.
    ///
    /// # Errors
    /// Without root, or without the product.
    pub fn hostlets() -> Result<Machines> {
        let machines = Machines::on(Lan::hostlets("two", &[])?);
        let install = machines.lan.install().context("no hostlets")?;
        for (name, addresses) in &MACHINES[..2] {
            let mut args = vec!["create", name];
            for address in *addresses {
                args.extend(["--address", address]);
            }
            install.run(machines.lan.host(), &args)?;
        }
        Ok(machines)
    }

    /// Three real ones.
    ///
    /// # Errors
    /// Without root.
    pub fn real() -> Result<Machines> {
        Ok(Machines::on(Lan::real("two")?))
    }

    fn on(lan: Lan) -> Machines {
        Machines {
            lan,
            diaries: RefCell::default(),
            words: RefCell::default(),
            left: RefCell::default(),
        }
    }

    /// Are two of them hostlets of the third?
    pub fn confined(&self) -> bool {
        self.lan.install().is_some()
    }

    /// The network below, for what a test does to it.
    pub fn lan(&self) -> &Lan {
        &self.lan
    }

    /// A command on a machine.
    ///
    /// # Errors
    /// When there is no such machine.
    pub fn command(&self, machine: &str, program: &str) -> Result<Command> {
        self.command_as(machine, None, program)
    }

    /// A command on a machine as a user with the user's groups; none: as root.
    ///
    /// # Errors
    /// When there is no such machine.
    pub fn command_as(&self, machine: &str, user: Option<&str>, program: &str) -> Result<Command> {
        let ns = self.lan.machine(machine)?;
        let mut command = match (self.lan.install(), machine) {
            (Some(install), "in" | "other") => {
                let mut args = vec!["enter"];
                args.extend(user.iter().flat_map(|user| ["--user", user]));
                args.extend([machine, "--"]);
                let mut command = install.command(ns, &args);
                command.arg(program);
                command
            }
            _ => match user {
                None => ns.command(program),
                Some(user) => {
                    let mut command = ns.command("setpriv");
                    let group = super::recipe::account(user)?.1.to_string();
                    command.args(["--reuid", user, "--regid", &group, "--init-groups", program]);
                    command
                }
            },
        };
        // What a service manager gives: logs must not depend on who tests.
        command.env("LC_ALL", "C.UTF-8").env("TZ", "UTC");
        command.current_dir("/");
        Ok(command)
    }

    /// Runs a command on a machine, which must succeed; gives its standard output.
    ///
    /// # Errors
    /// When it does not, with what it said.
    pub fn run(&self, machine: &str, words: &[&str]) -> Result<String> {
        let done = self.output(machine, words)?;
        let said = String::from_utf8_lossy(&done.stderr);
        let out = String::from_utf8_lossy(&done.stdout).into_owned();
        ensure!(
            done.status.success(),
            "{words:?} on {machine}: {}: {said}{out}",
            done.status
        );
        Ok(out)
    }

    /// Runs a command on a machine to its end.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn output(&self, machine: &str, words: &[&str]) -> Result<std::process::Output> {
        let (program, args) = words.split_first().context("no command")?;
        let mut command = self.command(machine, program)?;
        command.args(args).stdin(std::process::Stdio::null());
        command
            .output()
            .with_context(|| format!("starting {program} on {machine}"))
    }

    /// From here on `@word@` in texts of recipes stands for this.
    pub fn word(&self, word: &str, meaning: &str) {
        let mut words = self.words.borrow_mut();
        words.retain(|(known, _)| *known != format!("@{word}@"));
        words.push((format!("@{word}@"), meaning.into()));
    }

    /// Starts a program on a machine, and waits until it is ready.
    ///
    /// # Errors
    /// When it does not become ready, with what it said.
    pub fn serve(&self, recipe: &'static Recipe, machine: &'static str) -> Result<Server<'_>> {
        let words = self.words.borrow().clone();
        let mut server = Server::prepare(self, recipe, machine, words)?;
        self.diaries.borrow_mut().push(server.diary());
        server.again()?;
        Ok(server)
    }

    /// Asks from everywhere at every address, and expects that an address is answered by its
    /// own machine if that is among `serving`, and by nobody if it is not.
    ///
    /// # Errors
    /// When something else is seen; all that differs is named.
    pub fn expect(&self, ask: &Ask, serving: &[&str]) -> Result<()> {
        let client = super::ask::client()?;
        let client = client.to_str().context("a path")?;
        let mut wrong = Vec::new();
        for (from, own) in MACHINES.iter().chain(&[("peer", &PEER[..])]) {
            // A datagram of the host's to an address that is on it leaves from that very address,
            // and what comes back to a hostlet's address is the hostlet's.
            if self.confined() && ask.udp && *from == "host" {
                continue;
            }
            let mut targets = Vec::new();
            for (machine, addresses) in MACHINES {
                targets.extend(addresses.iter().map(|address| (*address, machine)));
            }
            if *from != "peer" {
                targets.extend(LOOPBACK.map(|address| (address, *from)));
            }
            let addresses: Vec<_> = targets.iter().map(|(address, _)| *address).collect();
            let answers = ask.all(self.command(from, client)?, &addresses)?;
            for ((address, machine), got) in targets.into_iter().zip(answers) {
                let here = LOOPBACK.contains(&address);
                let right = match &got {
                    Got::Nobody(_) => !serving.contains(&machine) || ask.loopback && !here,
                    Got::Answer { who, source, by } => {
                        // All addresses are the host's own to who is not confined there.
                        let free = self.confined() && *from == "host";
                        let at_home = (here || free) && source == address
                            || !here && own.contains(&source.as_str());
                        // From where a datagram is answered that came to a further address is
                        // the route's choice on a real machine.
                        let same = by == address || !self.confined();
                        let served = serving.contains(&machine) && (here || !ask.loopback);
                        who == machine && served && at_home && same
                    }
                };
                if !right {
                    wrong.push(format!("{from} to {address} ({machine}): {got:?}"));
                }
            }
        }
        ensure!(
            wrong.is_empty(),
            "with {serving:?} serving:\n{}",
            wrong.join("\n")
        );
        Ok(())
    }

    /// Keeps a program until the scenario is over.
    pub(super) fn keep(&self, daemon: Option<Daemon>) {
        self.left.borrow_mut().extend(daemon);
    }

    /// What the programs wrote, and then what they write while they are ended.
    fn end(&self) -> Vec<Written> {
        let diaries = self.diaries.borrow();
        let before: Vec<_> = diaries.iter().map(Diary::read).collect();
        self.left.borrow_mut().clear();
        let all = diaries.iter().zip(before);
        all.map(|(diary, before)| Written {
            name: diary.name().to_owned(),
            before,
            all: diary.read(),
        })
        .collect()
    }
}

/// The lines that a program wrote, without what differs from run to run.
struct Written {
    name: String,
    /// Until the scenario was over.
    before: Vec<String>,
    /// These, and those at its end: they depend on the moment.
    all: Vec<String>,
}

impl Drop for Machines {
    /// Ends what programs left behind: whatever runs in the namespaces, which are of this test
    /// alone.
    fn drop(&mut self) {
        let names = ["in", "other", "host"];
        let spaces = names.map(|name| self.lan.machine(name).ok().and_then(inode));
        self.left.borrow_mut().clear();
        let mut kill = || {
            let mut any = false;
            for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
                let name = entry.file_name();
                let Some(pid) = name.to_str().and_then(|n| n.parse::<i32>().ok()) else {
                    continue;
                };
                let of = fs::metadata(entry.path().join("ns/net")).map(|m| m.ino());
                if of.is_ok_and(|of| spaces.contains(&Some(of))) {
                    any = true;
                    // SAFETY: takes no pointers; the process is in a namespace of this test.
                    unsafe { libc::kill(pid, libc::SIGKILL) };
                }
            }
            !any
        };
        let _ = crate::wait::until("what programs left to end", &mut kill);
        if let Some(install) = self.lan.install() {
            for (name, _) in &MACHINES[..2] {
                let _ = install.output(self.lan.host(), &["remove", name]);
            }
        }
    }
}

fn inode(ns: &NetNs) -> Option<u64> {
    fs::metadata(ns.path()).ok().map(|m| m.ino())
}

/// Performs the scenario on real machines and on hostlets, side by side, and compares what the
/// programs wrote into their logs. `differ`: lines that are not compared, each with its
/// reason beside it where the scenario is: a text that is in the line, or, with `*` for what may be anything,
/// the whole of what is found: `PROGRAM on MACHINE, only in a hostlet: LINE`, `… only on a real machine: …`.
///
/// # Errors
/// When either fails, or the logs differ.
pub fn on_both(scenario: impl Fn(&Machines) -> Result<()> + Sync, differ: &[&str]) -> Result<()> {
    let perform = |machines: Result<Machines>, side: &str| -> Result<_> {
        let machines = machines.with_context(|| format!("making {side}"))?;
        let done = scenario(&machines);
        let logs = machines.end();
        let done = done.with_context(|| {
            let mut text = format!("on {side}; the logs:");
            for Written { name, all, .. } in &logs {
                let tail = all.len().saturating_sub(25);
                text.push_str(&format!("\n== {name}\n{}", all[tail..].join("\n")));
            }
            text
        });
        done.map(|()| logs)
    };
    let (real, hostlets) = std::thread::scope(|scope| {
        // Each side on one thread from beginning to end: programs end with the thread that
        // started them.
        let real = scope.spawn(|| perform(Machines::real(), "real machines"));
        let hostlets = scope.spawn(|| perform(Machines::hostlets(), "hostlets"));
        (real.join(), hostlets.join())
    });
    let (Ok(real), Ok(hostlets)) = (real, hostlets) else {
        bail!("a side panicked");
    };
    compare(&real?, &hostlets?, differ)
}

fn compare(real: &[Written], hostlets: &[Written], differ: &[&str]) -> Result<()> {
    let mut found = BTreeSet::new();
    ensure!(real.len() == hostlets.len(), "the sides ran other programs");
    for (real, hostlet) in real.iter().zip(hostlets) {
        ensure!(real.name == hostlet.name, "the sides ran other programs");
        let mut only = |here: &Written, there: &Written, side: &str| {
            for line in &here.before {
                let whole = format!("{}, only {side}: {line}", here.name);
                let known = |text: &&str| match text.contains('*') {
                    true => fits(text, &whole),
                    false => line.contains(text),
                };
                if !differ.iter().any(known) && !there.all.contains(line) {
                    found.insert(whole);
                }
            }
        };
        only(hostlet, real, "in a hostlet");
        only(real, hostlet, "on a real machine");
    }
    let found: Vec<_> = found.into_iter().collect();
    ensure!(
        found.is_empty(),
        "the programs' logs differ:\n{}",
        found.join("\n")
    );
    Ok(())
}

/// Whether all of the text is like the pattern, in which `*` stands for anything.
fn fits(pattern: &str, text: &str) -> bool {
    let Some((begin, mut pattern)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let Some(mut text) = text.strip_prefix(begin) else {
        return false;
    };
    while let Some((part, rest)) = pattern.split_once('*') {
        let Some(at) = text.find(part) else {
            return false;
        };
        text = &text[at + part.len()..];
        pattern = rest;
    }
    text.ends_with(pattern)
}

#[cfg(test)]
mod tests {
    use super::fits;

    #[test]
    fn a_pattern_is_for_the_whole() {
        assert!(fits("a * on *: b", "a x on y: b"));
        assert!(fits("*b", "ab"));
        assert!(!fits("a * on *: b", "a x on y: bc"));
        assert!(!fits("a * on *: b", "za x on y: b"));
        assert!(!fits("a*on*b", "a b"));
        assert!(!fits("ab*ba", "aba"));
    }
}
