//! The server component of the product, in a namespace.

use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use anyhow::{Result, bail};

use crate::binaries;
use crate::daemon::{Daemon, Log};
use crate::install::Installation;
use crate::netns::NetNs;

/// A running hostletd of an installation. Ended when dropped.
#[derive(Debug)]
pub struct Hostletd {
    daemon: Daemon,
    socket: PathBuf,
}

impl Hostletd {
    /// Starts it, and waits until it takes callers.
    ///
    /// # Errors
    /// When it is not built, or ends before; with what it said.
    pub fn start(install: &Installation, ns: &NetNs) -> Result<Hostletd> {
        let mut command = ns.command(binaries::hostletd()?);
        command.arg("--root").arg(install.root());
        let mut started = Hostletd {
            daemon: Daemon::start("hostletd", command)?,
            socket: install.root().join("run/hostletd.sock"),
        };
        let mut ended = false;
        let waited = crate::wait::until("hostletd to take callers", || {
            ended = !started.daemon.runs();
            ended || UnixStream::connect(&started.socket).is_ok()
        });
        if ended || waited.is_err() {
            let said = started.daemon.log().lines().join("\n");
            bail!("hostletd does not take callers: {said}");
        }
        Ok(started)
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.daemon.pid()
    }

    /// What it says.
    pub fn log(&self) -> &Log {
        self.daemon.log()
    }

    /// Does it still run?
    pub fn runs(&mut self) -> bool {
        self.daemon.runs()
    }

    /// Sends it a signal.
    ///
    /// # Errors
    /// When it has ended.
    pub fn signal(&mut self, signal: i32) -> Result<()> {
        self.daemon.signal(signal)
    }

    /// Ends it as a service manager does.
    ///
    /// # Errors
    /// When it does not end, or not well.
    pub fn stop(mut self) -> Result<()> {
        let status = self.daemon.stop()?;
        if !status.success() {
            let said = self.daemon.log().lines().join("\n");
            bail!("hostletd ended with {status}: {said}");
        }
        Ok(())
    }

    /// Kills it at whatever it does.
    ///
    /// # Errors
    /// When it cannot be waited for.
    pub fn kill(mut self) -> Result<()> {
        self.daemon.kill().map(drop)
    }
}
