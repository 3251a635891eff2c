//! A machine and a client beside those of the stage, where there never was a hostlet: what is measured there, by turns with the
//! same on the stage, is what the same thing costs without hostlet.

use std::process::Command;

use anyhow::{Context, Result};
use hostlet_testkit::netns::NetNs;

use crate::net::Idle;
use crate::stage::{Place, Stage, Talking, addresses, output};
use crate::stats::Programs;

/// Where a loop runs.
#[derive(Debug, Clone, Copy)]
pub enum Side<'a> {
    /// On the stage.
    Ours(Place<'a>),
    /// On the machine without hostlet.
    Plain,
    /// There, in the cgroup of the programs that do nothing.
    Idle,
    /// On the client of that.
    PlainClient,
}

/// The two machines.
#[derive(Debug)]
pub struct Beside<'s> {
    stage: &'s Stage,
    machine: NetNs,
    client: NetNs,
    /// The last to be dropped: its programs are on the machine.
    idle: Option<Idle>,
}

impl<'s> Beside<'s> {
    /// They have the addresses and the wire of the stage's: among all of a machine's IPv6 addresses the kernel chooses each source, one
    /// by one.
    pub fn of(stage: &'s Stage) -> Result<Self> {
        let (machine, client) = (NetNs::new("plain")?, NetNs::new("plain-client")?);
        machine.join("eth0", &client, "eth0")?;
        machine.ip(addresses())?;
        client.ip([
            "address add 192.0.2.2/24 dev eth0",
            "address add 2001:db8::2/64 dev eth0 nodad",
        ])?;
        Ok(Self {
            stage,
            machine,
            client,
            idle: None,
        })
    }

    /// The same with programs that do nothing where hostlet has its own on the machine.
    pub fn with_idle_programs(stage: &'s Stage) -> Result<Self> {
        let mut this = Self::of(stage)?;
        this.idle = Some(Idle::on(&this.machine, &stage.root)?);
        Ok(this)
    }

    /// Runs one of the loops to its end; nanoseconds a round.
    pub fn work(&self, side: Side, words: &[&str]) -> Result<f64> {
        let printed = output(self.command(side)?.arg("work").args(words))?;
        let number = printed.trim().parse();
        number.with_context(|| format!("'{printed}' from work {words:?} is not a number"))
    }

    /// Starts one of the loops that talk over stdin and stdout.
    pub fn start(&self, side: Side, words: &[&str]) -> Result<Talking> {
        Talking::start(self.command(side)?.arg("work").args(words)).map(|(t, _)| t)
    }

    /// This program at a place of these machines.
    fn command(&self, side: Side) -> Result<Command> {
        let myself = &self.stage.myself;
        Ok(match side {
            Side::Ours(place) => self.stage.at(place, myself),
            Side::Plain => self.machine.command(myself),
            Side::PlainClient => self.client.command(myself),
            Side::Idle => {
                let mut command = self.idle()?.command(&self.machine);
                command.arg(myself);
                command
            }
        })
    }

    fn idle(&self) -> Result<&Idle> {
        let idle = self.idle.as_ref();
        idle.context("the machine has no programs that do nothing")
    }

    /// What the kernel counts of its programs that do nothing.
    pub fn idle_programs(&self) -> Result<Programs> {
        self.idle()?.programs()
    }

    /// How long a loop takes on this machine against another, done before and after that.
    pub fn share_of(&self, other: &Self, words: &[&str]) -> Result<f64> {
        let (before, one) = (
            self.work(Side::Plain, words)?,
            other.work(Side::Plain, words)?,
        );
        let (two, after) = (
            other.work(Side::Plain, words)?,
            self.work(Side::Plain, words)?,
        );
        Ok((before + after) / (one + two))
    }

    /// How long the one takes against the other, each done before and after the other.
    pub fn share(&self, of: (Side, &[&str]), against: (Side, &[&str])) -> Result<f64> {
        let mut took = [0.0, 0.0];
        for (at, (side, words)) in [(0, of), (1, against), (1, against), (0, of)] {
            took[at] += self.work(side, words)?;
        }
        Ok(took[0] / took[1])
    }
}
