//! An installation of the product of one test alone.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result, bail};

use crate::binaries;
use crate::dir::TestDir;
use crate::netns::NetNs;
use crate::sweep;

/// A `--root` directory and the commands that use it. What is left of it in the
/// kernel goes when this is dropped.
#[derive(Debug)]
pub struct Installation {
    root: TestDir,
    program: PathBuf,
}

impl Installation {
    /// An empty one.
    ///
    /// # Errors
    /// When the product is not built.
    pub fn new() -> Result<Installation> {
        Ok(Installation {
            root: TestDir::new("root")?,
            program: binaries::hostlet()?,
        })
    }

    /// Its directory.
    pub fn root(&self) -> &Path {
        self.root.path()
    }

    /// The cgroup that holds those of its hostlets, below the mount.
    pub fn cgroup_parent(&self) -> String {
        sweep::cgroup_parent(self.root.path())
    }

    /// `hostlet --root … ARGS` in the namespace, not yet started.
    pub fn command(&self, ns: &NetNs, args: &[&str]) -> Command {
        let mut command = ns.command(&self.program);
        command.arg("--root").arg(self.root.path()).args(args);
        command
    }

    /// Runs a command to its end.
    pub fn output(&self, ns: &NetNs, args: &[&str]) -> Result<Output> {
        let mut command = self.command(ns, args);
        command.stdin(Stdio::null());
        command
            .output()
            .with_context(|| format!("starting hostlet {}", args.join(" ")))
    }

    /// Runs a command, which must succeed; gives its standard output.
    pub fn run(&self, ns: &NetNs, args: &[&str]) -> Result<String> {
        let done = self.output(ns, args)?;
        if !done.status.success() {
            // What was found is on standard output.
            let said = [&done.stderr[..], &done.stdout].concat();
            let said = String::from_utf8_lossy(&said);
            bail!("hostlet {}: {}: {said}", args.join(" "), done.status);
        }
        Ok(String::from_utf8_lossy(&done.stdout).into_owned())
    }

    /// Runs a command, which must fail with this status; gives its standard error.
    pub fn fail(&self, ns: &NetNs, status: i32, args: &[&str]) -> Result<String> {
        let done = self.output(ns, args)?;
        let said = String::from_utf8_lossy(&done.stderr).into_owned();
        if done.status.code() != Some(status) {
            bail!(
                "hostlet {}: {}, not {status}: {said}",
                args.join(" "),
                done.status
            );
        }
        Ok(said)
    }

    /// The answer to a reading command with `--json`.
    pub fn json(&self, ns: &NetNs, args: &[&str]) -> Result<serde_json::Value> {
        let text = self.run(ns, &[args, &["--json"]].concat())?;
        serde_json::from_str(&text).with_context(|| format!("not JSON: {text}"))
    }

    /// The probe as the program of a verb: `run --name … --`, `enter NAME --`.
    pub fn probe(&self, ns: &NetNs, args: &[&str]) -> Result<Command> {
        let mut command = self.command(ns, args);
        command.arg("--").arg(binaries::probe()?);
        Ok(command)
    }
}

impl Drop for Installation {
    fn drop(&mut self) {
        // What outlives its test would make its directories and cgroups anew behind this.
        let _ = sweep::end_programs(self.root.path());
        // The product keeps the parent of its cgroups for the next hostlet, and a test that
        // fails keeps its hostlets.
        for cgroup in sweep::cgroups(self.root.path()) {
            let _ = sweep::remove_cgroup(&cgroup);
        }
    }
}
