//! A program that does nothing, attached like ours: what any program costs on this machine.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use crate::stage::{CLIENT4, Place, Stage, output};
use crate::stats::{Programs, between};

const SOURCE: &str = r#"
char hl_license[] __attribute__((section("license"), used)) = "Dual BSD/GPL";
__attribute__((section("cgroup/sendmsg4"), used)) int hl_empty(void *ctx) { return 1; }
"#;

/// The empty program in a cgroup of its own; both go when this is dropped.
#[derive(Debug)]
pub struct Empty {
    cgroup: PathBuf,
    pins: PathBuf,
}

impl Empty {
    /// Compiles, loads and attaches it.
    pub fn load(stage: &Stage) -> Result<Self> {
        let source = stage.root.join("empty.c");
        let object = stage.root.join("empty.o");
        fs::write(&source, SOURCE).with_context(|| format!("write {}", source.display()))?;
        output(
            Command::new("clang-19")
                .args(["-target", "bpf", "-O2", "-g", "-c", "-o"])
                .args([&object, &source]),
        )?;
        let this = Self {
            cgroup: cgroup2()?.join(format!("hostlet-bench-{}", std::process::id())),
            pins: stage.root.join("bpf-empty"),
        };
        fs::create_dir(&this.cgroup).with_context(|| format!("make {}", this.cgroup.display()))?;
        fs::create_dir(&this.pins).with_context(|| format!("make {}", this.pins.display()))?;
        output(
            Command::new("mount")
                .args(["-t", "bpf", "bpf"])
                .arg(&this.pins),
        )?;
        let pin = this.pins.join("hl_empty");
        output(
            Command::new("bpftool")
                .args(["prog", "load"])
                .args([&object, &pin]),
        )?;
        output(
            Command::new("bpftool")
                .args(["cgroup", "attach"])
                .arg(&this.cgroup)
                .args(["sendmsg4", "pinned"])
                .arg(&pin),
        )?;
        Ok(this)
    }

    /// Its mean nanoseconds a run, once.
    pub fn cost(&self, stage: &Stage) -> Result<f64> {
        let programs = Programs::pinned_below(&self.pins)?;
        let before = programs.read()?;
        // The shell joins the cgroup and becomes the loop.
        output(
            stage
                .at(Place::Machine, "sh")
                .args([
                    "-c",
                    "echo $$ > \"$1/cgroup.procs\" && shift && exec \"$@\"",
                    "sh",
                ])
                .arg(&self.cgroup)
                .arg(&stage.myself)
                .args(["work", "send", &format!("{CLIENT4}:7001"), "20000"]),
        )?;
        between(&before, &programs.read()?)
            .values()
            .find_map(|count| count.mean())
            .context("the empty program never ran")
    }
}

impl Drop for Empty {
    fn drop(&mut self) {
        // Best effort: the mount goes with the namespace, the cgroup with the machine.
        let _ = Command::new("umount").arg(&self.pins).status();
        let _ = fs::remove_dir(&self.pins);
        let _ = fs::remove_dir(&self.cgroup);
    }
}

/// Where cgroup2 is mounted.
pub fn cgroup2() -> Result<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mounts").context("read /proc/self/mounts")?;
    mounts
        .lines()
        .map(|line| line.split(' ').collect::<Vec<_>>())
        .find(|fields| fields.get(2) == Some(&"cgroup2"))
        .map(|fields| PathBuf::from(fields[1]))
        .context("cgroup2 is not mounted")
}
