//! What came of an attempt: where packets were seen, and what was read.

use std::net::{IpAddr, UdpSocket};
use std::time::Duration;

use anyhow::{Context, Result};
use hostlet_testkit::oracle;
use hostlet_testkit::sniffer::{Seen, Sniffer};
use hostlet_testkit::wait;

use super::expected::lines;
use super::{Attempt, Bench, Control, Finding, Said, Who};

/// What tells that something came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Judged {
    /// A packet with a foreign source, or a step.
    Packets,
    /// The same, where the address from which the host speaks by itself does not count.
    NamedPackets,
    /// A step.
    Steps,
}

/// Where all that RDS sends by TCP goes.
const RDS_TCP: u16 = 16_385;

/// Where what is sent says that everything before it has arrived.
const MARKER: u16 = 9;

impl Bench {
    /// Performs a script; `name` is who `in` is.
    pub fn script(&mut self, id: &str, text: &str, name: &str) -> Result<Finding> {
        // What the neighbour sends on its own loopback is its own; what counts is who reads it.
        let judged = if text.contains("other sendto") {
            Judged::Steps
        } else {
            Judged::Packets
        };
        self.judged(id, text, name, judged)
    }

    /// Has a process outside perform the script of an attempt.
    pub fn control(&mut self, attempt: &Attempt, text: &str) -> Result<Finding> {
        // Its packets may come from the host's address; where that proves nothing, others have to be seen.
        let named = text.contains("10.0.0.2") || text.contains("db8::2");
        let judged = match attempt.control {
            Control::Never(_) => Judged::Steps,
            _ if named => Judged::NamedPackets,
            _ => Judged::Packets,
        };
        self.judged(attempt.id, text, "outside", judged)
    }

    fn judged(&mut self, id: &str, text: &str, name: &str, judged: Judged) -> Result<Finding> {
        let port = self.next_port;
        self.next_port += 2;
        let at = (self.at_peer.seen().len(), self.at_host.seen().len());
        let uses_victims = text.contains("-pid}");
        if uses_victims {
            self.victims()?;
        }
        self.words.insert("P".into(), port.to_string());
        self.words.insert("Q".into(), (port + 1).to_string());
        // The kernel keeps such a connection: each has one of its own.
        let rds = match who(name) {
            None => "10.0.0.100",
            Some(Who::User) => "192.0.2.1",
            Some(Who::Root) => "10.1.0.100",
        };
        self.words.insert("rds".into(), rds.into());
        let mut finding = Finding::default();
        let mut actors: Vec<String> = Vec::new();
        for line in lines(text)? {
            let (actor, proof) = (line.actor, line.proof);
            let real = if actor == "in" { name } else { actor };
            let op = self.fill(line.op, name)?;
            if !actors.iter().any(|a| a == real) {
                actors.push(real.into());
            }
            let said = self.ask(real, &op).with_context(|| format!("{id}: {op}"))?;
            let failed = looks_failed(&said);
            if actor == "in" {
                let did = short(&op);
                if let (Some(who), None) = (who(name), &finding.surprise) {
                    let surprise = line.surprise(who, &said);
                    finding.surprise = surprise.map(|why| format!("{did}: {why}"));
                }
                if failed {
                    finding.refused = format!("{did}: {said}");
                }
                let said = said.clone();
                finding.steps.push(Said { op: did, said });
            }
            let read = actor == "in" && said.contains("secret");
            if finding.out.is_none() && (read || (proof && !failed)) {
                finding.out = Some(format!("{}: {said}", short(&op)));
            }
        }
        self.flush()?;
        if who(name).is_some() {
            finding.told = self.told()?;
        }
        if text.contains("{rds}") && finding.refused.is_empty() {
            finding.out = self.by_rds(rds.parse()?, at);
        }
        if finding.out.is_none() {
            finding.out = match judged {
                Judged::Packets => self.foreign(port, at, false),
                Judged::NamedPackets => self.foreign(port, at, true),
                Judged::Steps => None,
            };
        }
        if finding.out.is_none() && name != "outside" && judged == Judged::Packets {
            self.quiet.push((port, id.into()));
        }
        for actor in actors.iter().filter(|a| !a.ends_with("victim")) {
            if actor == "other" && self.words.contains_key("other-pid") {
                // Its socket is a victim's.
                continue;
            }
            self.ask(actor, "reset")?;
        }
        Ok(finding)
    }

    fn fill(&mut self, op: &str, name: &str) -> Result<String> {
        let mut op = op.to_owned();
        while let Some((before, rest)) = op.clone().split_once('{') {
            let (word, after) = rest.split_once('}').context("no end of {")?;
            let value = match word.split_once('.') {
                Some((actor, socket)) => {
                    let actor = if actor == "in" { name } else { actor };
                    self.ask(actor, &format!("raw-port {socket}"))?
                }
                None => self.word(word)?,
            };
            op = format!("{before}{value}{after}");
        }
        Ok(op)
    }

    /// Waits until everything that was sent has been seen.
    pub(super) fn flush(&self) -> Result<()> {
        let marked = |sniffer: &Sniffer| sniffer.seen().iter().filter(|s| s.port == MARKER).count();
        let before = (marked(&self.at_peer), marked(&self.at_host));
        self.lan.host().within(|| -> std::io::Result<()> {
            let socket = UdpSocket::bind("10.0.0.1:0")?;
            socket.send_to(b"marker", ("10.0.0.100", MARKER)).map(drop)
        })??;
        wait::until("the sniffers to come to the end", || {
            marked(&self.at_peer) > before.0 && marked(&self.at_host) > before.1
        })
    }

    /// Waits for what the kernel sends there for a socket of RDS, which it does when it comes to it.
    fn by_rds(&self, to: IpAddr, from: (usize, usize)) -> Option<String> {
        let mut out = None;
        let _ = wait::until_within(Duration::from_secs(5), "a packet of RDS", || {
            let seen = self.at_peer.seen();
            let mut new = seen.iter().skip(from.0);
            let sent =
                |seen: &&Seen| seen.port == RDS_TCP && seen.to == to && self.is_foreign(seen);
            out = new
                .find(sent)
                .map(|seen| format!("{} → {to} by RDS", seen.from));
            out.is_some()
        });
        out
    }

    /// What was seen for this port that is not the hostlet's; nor, if `named`, the address from which
    /// the host's own packets leave by themselves.
    pub(super) fn foreign(&self, port: u16, from: (usize, usize), named: bool) -> Option<String> {
        let usual: [IpAddr; 2] = [
            [10, 0, 0, 1].into(),
            [0x2001, 0xdb8, 0, 0, 0, 0, 0, 1].into(),
        ];
        let sides = [
            (&self.at_peer, from.0, "peer"),
            (&self.at_host, from.1, "host"),
        ];
        for (sniffer, start, side) in sides {
            for seen in sniffer.seen().iter().skip(start) {
                let meant = !named || !usual.contains(&seen.from);
                if (seen.port == port || seen.echo) && self.is_foreign(seen) && meant {
                    return Some(format!("{} → {} seen at {side}", seen.from, seen.to));
                }
            }
        }
        None
    }

    pub(super) fn is_foreign(&self, seen: &Seen) -> bool {
        let of_peer = |ip: &IpAddr| match ip {
            IpAddr::V4(ip) => ip.octets()[3] == 100,
            IpAddr::V6(ip) => ip.segments()[7] == 0x100,
        };
        !self.own.contains(&seen.from) && !of_peer(&seen.from)
    }

    /// What arrived after its attempt had been judged; none if all is well.
    pub fn late(&mut self) -> Result<Option<String>> {
        self.flush()?;
        let seen = [self.at_peer.seen(), self.at_host.seen()].concat();
        let late = self.quiet.iter().find(|(port, _)| {
            seen.iter()
                .any(|s| s.port == *port && !s.echo && self.is_foreign(s))
        });
        Ok(late.map(|(_, id)| id.clone()))
    }
}

/// The first words of an op.
fn short(op: &str) -> String {
    let words: Vec<&str> = op.split_whitespace().collect();
    let words = match words[..] {
        [_, "=", ref rest @ ..] => rest,
        ref all => all,
    };
    let count = if words
        .first()
        .is_some_and(|w| matches!(*w, "escape" | "call" | "command" | "socket"))
    {
        2
    } else {
        1
    };
    words[..count.min(words.len())].join(" ")
}

/// Which kind of member that actor is.
fn who(name: &str) -> Option<Who> {
    match name {
        "in-user" => Some(Who::User),
        "in-root" => Some(Who::Root),
        _ => None,
    }
}

/// Answers that are names of errors, or say that nothing happened.
pub(super) fn looks_failed(answer: &str) -> bool {
    matches!(answer, "quiet" | "killed" | "0")
        || answer.starts_with("exit ")
        || answer.starts_with("errno ")
        || oracle::looks_failed(answer)
}
