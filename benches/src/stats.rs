//! What the kernel counts about BPF programs: runs and nanoseconds.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::fd::{FromRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::stage::output;

/// `BPF_ENABLE_STATS`, and its `BPF_STATS_RUN_TIME`.
const ENABLE_STATS: libc::c_long = 32;
const RUN_TIME: u32 = 0;

/// The kernel's BPF statistics, switched on for as long as this lives, or its process, however that ends.
#[derive(Debug)]
pub struct Counting {
    _on: OwnedFd,
}

impl Counting {
    /// Switches the statistics on; each program run costs about 20 ns more while they are.
    pub fn start() -> Result<Self> {
        let what = RUN_TIME;
        // SAFETY: the kernel reads four bytes of its structure, which live through the call.
        let fd = unsafe { libc::syscall(libc::SYS_bpf, ENABLE_STATS, &raw const what, 4_u32) };
        let fd = i32::try_from(fd).ok().filter(|fd| *fd >= 0);
        let fd = fd.ok_or_else(std::io::Error::last_os_error);
        let fd = fd.context("switch the kernel's statistics of BPF programs on")?;
        // SAFETY: the call has made it, and nobody else has it.
        let on = unsafe { OwnedFd::from_raw_fd(fd) };
        Ok(Self { _on: on })
    }
}

/// Runs and nanoseconds of one program.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Count {
    pub runs: u64,
    pub nanoseconds: u64,
}

impl Count {
    /// What came since an earlier reading.
    pub fn since(self, earlier: Self) -> Self {
        Self {
            runs: self.runs.saturating_sub(earlier.runs),
            nanoseconds: self.nanoseconds.saturating_sub(earlier.nanoseconds),
        }
    }

    /// Mean nanoseconds a run, if there was one.
    pub fn mean(self) -> Option<f64> {
        (self.runs > 0).then(|| self.nanoseconds as f64 / self.runs as f64)
    }
}

/// Counts by program name.
pub type Counts = BTreeMap<String, Count>;

/// What each program did between two readings.
pub fn between(earlier: &Counts, later: &Counts) -> Counts {
    later
        .iter()
        .map(|(name, count)| {
            let before = earlier.get(name).copied().unwrap_or_default();
            (name.clone(), count.since(before))
        })
        .collect()
}

/// What the kernel counts for a run of a program that does nothing, where this one of hostlet's is; of all together, where it did not run.
pub fn of_nothing(idle: &Counts, program: &str) -> f64 {
    let own = idle.get(program).and_then(|count| count.mean());
    own.or_else(|| total(idle).mean()).unwrap_or(0.0)
}

/// What programs took beyond what ones that do nothing took in the same work.
pub fn beyond(counts: &Counts, idle: &Counts) -> f64 {
    let each = counts
        .iter()
        .map(|(name, count)| count.nanoseconds as f64 - count.runs as f64 * of_nothing(idle, name));
    each.sum()
}

/// All programs together.
pub fn total(counts: &Counts) -> Count {
    let add = |sum: Count, count: &Count| Count {
        runs: sum.runs + count.runs,
        nanoseconds: sum.nanoseconds + count.nanoseconds,
    };
    counts.values().fold(Count::default(), add)
}

/// The programs pinned below a directory.
#[derive(Debug)]
pub struct Programs {
    ids: BTreeSet<u64>,
}

impl Programs {
    /// Finds them, by their own pins and by those of their links.
    pub fn pinned_below(dir: &Path) -> Result<Self> {
        let mut ids = BTreeSet::new();
        for path in files_below(dir)? {
            // A pin does not say what it is of; what bpftool refuses is something else.
            let program = bpftool(&["prog", "show", "pinned"], Some(&path)).ok();
            let link = bpftool(&["link", "show", "pinned"], Some(&path)).ok();
            ids.extend(program.and_then(|p| p["id"].as_u64()));
            ids.extend(link.and_then(|l| l["prog_id"].as_u64()));
        }
        if ids.is_empty() {
            bail!("no BPF program is pinned below {}", dir.display());
        }
        Ok(Self { ids })
    }

    /// Their counts now, by name.
    pub fn read(&self) -> Result<Counts> {
        let all = bpftool(&["prog", "show"], None)?;
        let mut counts = Counts::new();
        for program in all.as_array().context("bpftool printed no list")? {
            if !program["id"]
                .as_u64()
                .is_some_and(|id| self.ids.contains(&id))
            {
                continue;
            }
            let count = counts
                .entry(program["name"].as_str().unwrap_or("?").to_owned())
                .or_default();
            count.runs += program["run_cnt"].as_u64().unwrap_or(0);
            count.nanoseconds += program["run_time_ns"].as_u64().unwrap_or(0);
        }
        Ok(counts)
    }
}

fn bpftool(words: &[&str], path: Option<&Path>) -> Result<Value> {
    let mut command = Command::new("bpftool");
    command.arg("--json").args(words).args(path);
    serde_json::from_str(&output(&mut command)?).with_context(|| format!("read {command:?}"))
}

fn files_below(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut open = vec![dir.to_path_buf()];
    while let Some(dir) = open.pop() {
        let entries = fs::read_dir(&dir).with_context(|| format!("list {}", dir.display()))?;
        for entry in entries {
            let path = entry
                .with_context(|| format!("list {}", dir.display()))?
                .path();
            if path.is_dir() {
                open.push(path);
            } else {
                found.push(path);
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_program_is_compared_with_the_one_at_its_place() {
        let counts = |all: &[(&str, u64, u64)]| -> Counts {
            let one = |&(name, runs, nanoseconds): &(&str, u64, u64)| {
                (name.to_owned(), Count { runs, nanoseconds })
            };
            all.iter().map(one).collect()
        };
        let idle = counts(&[("hl_lookup", 10, 800), ("hl_egress", 30, 800)]);
        let ours = counts(&[("hl_lookup", 5, 1000), ("hl_learn", 2, 100)]);
        assert_eq!(of_nothing(&idle, "hl_lookup"), 80.0);
        assert_eq!(of_nothing(&idle, "hl_learn"), 40.0);
        assert_eq!(beyond(&ours, &idle), (1000.0 - 400.0) + (100.0 - 80.0));
        assert_eq!(of_nothing(&Counts::new(), "hl_learn"), 0.0);
    }
}
