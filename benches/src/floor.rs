//! What the kernel itself takes for what hostlet has it do: programs that make nothing but those calls.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use hostlet_model::Paths;
use hostlet_platform::cgroup;

use crate::stage::{Stage, compiled, output};
use crate::starting::took;

const CALLS: &str = include_str!("../../bench/floor.h");
const ONE: &str = include_str!("../../bench/floor.c");
const MANY: &str = include_str!("../../bench/many.c");

/// A program with what it includes.
fn with_calls(dir: &Path, name: &str, text: &str) -> Result<PathBuf> {
    let header = dir.join("floor.h");
    fs::write(&header, CALLS).with_context(|| format!("write {}", header.display()))?;
    compiled(dir, (&format!("{name}.c"), text), name, &[])
}

/// Where hostlets have their cgroups.
fn cgroups(paths: &Paths) -> Result<PathBuf> {
    Ok(cgroup::find_mount()?.join(&paths.cgroup_parent))
}

/// The calls of a command.
pub struct Floor {
    program: PathBuf,
    places: [PathBuf; 4],
}

impl Floor {
    /// The kernel part has to be there.
    pub fn new(stage: &Stage) -> Result<Self> {
        let paths = Paths::under(&stage.root);
        let cgroup = cgroups(&paths)?.join("floor");
        Ok(Self {
            program: with_calls(&stage.root, "floor", ONE)?,
            places: [paths.pins, cgroup, stage.root.clone(), paths.run],
        })
    }

    /// Milliseconds of `create`, `remove`, or `run`.
    pub fn took(&self, what: &str) -> Result<f64> {
        took(
            Command::new(&self.program)
                .arg(what)
                .args(&self.places)
                .arg("true"),
        )
    }
}

/// The calls of an `apply` of many.
pub struct Many {
    program: PathBuf,
    places: [PathBuf; 2],
}

impl Many {
    /// The kernel part has to be there.
    pub fn new(stage: &Stage) -> Result<Self> {
        let paths = Paths::under(&stage.root);
        let cgroup = cgroups(&paths)?.join("floor");
        Ok(Self {
            program: with_calls(&stage.root, "many", MANY)?,
            places: [paths.pins, cgroup],
        })
    }

    /// Milliseconds to make and to remove so many; the addresses of each are a number of them, or `prefix`.
    pub fn took(&self, many: u32, addresses: &str) -> Result<(f64, f64)> {
        let mut command = Command::new(&self.program);
        command.args(&self.places).arg(many.to_string());
        let said = output(command.arg(addresses))?;
        crate::net::pair(&said)
    }
}
