//! ISC's relay agent.

use anyhow::Result;

use crate::daemon::{Daemon, Log};
use crate::netns::NetNs;

/// Carries what clients on one interface ask to a server elsewhere, and its answers
/// back. Ended when dropped.
#[derive(Debug)]
pub struct Relay(Daemon);

impl Relay {
    /// For IPv4: `below` is where the clients are and has an address in the network
    /// that they get theirs from; `above` is the way to `server`.
    ///
    /// # Errors
    /// When the program is missing or does not listen.
    pub fn start(ns: &NetNs, below: &str, above: &str, server: &str) -> Result<Relay> {
        let mut command = ns.command("dhcrelay");
        command.args(["-4", "-d", "--no-pid", "-id", below, "-iu", above, server]);
        // It sends by this one last, when it listens on all others.
        Ok(Relay(Daemon::ready(
            "dhcrelay",
            command,
            "Socket/fallback",
        )?))
    }

    /// For IPv6.
    ///
    /// # Errors
    /// As [`Relay::start`].
    pub fn start6(ns: &NetNs, below: &str, above: &str, server: &str) -> Result<Relay> {
        let mut command = ns.command("dhcrelay");
        command.args(["-6", "-d", "--no-pid", "-l", below, "-u"]);
        command.arg(format!("{server}%{above}"));
        Ok(Relay(Daemon::ready("dhcrelay", command, "Sending on")?))
    }

    /// What it says.
    pub fn log(&self) -> &Log {
        self.0.log()
    }

    /// Ends it.
    ///
    /// # Errors
    /// When it does not end.
    pub fn stop(&mut self) -> Result<()> {
        self.0.stop().map(drop)
    }
}
