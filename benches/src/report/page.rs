//! The page: every number on it is in the results.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::glance::glance;
use super::goals::goals;
use super::tables::{list, matrix};
use super::{Plot, Results, Section, overview, plot};

const INTRODUCTION: &str = "\
hostlet beside what people use instead: the same servers and clients, by turns, in one run. Everything here is made of
[`bench/results.json`](../bench/results.json) by the program that measured it (`make bench`, about 18 minutes; `make bench-quick`, about 2, writes its own
below `target/bench`).
";

const READING: &str = "\
## How to read this

**Shares.** Each way is measured in each round (the alternatives in each fifth), every other round in the opposite order, and compared with native within
its round: **0.98** is the median of the rounds' quotients. The bracket behind it holds the true median in 95 of 100 cases, by the order of the values alone; of
fewer than six rounds, as most alternatives have, it is the smallest and the largest. *Native again* is a second machine without anything: how far it is from 1 is what the method cannot tell. Where *n* is 1 there is one value, and how another run would come
out is not known. A 99th percentile of so few rounds shows whether hostlet shifts it by tenths, not by hundredths.

**Goals.** *Met*: the median is on the good side. *Missed within noise*: it is not, but its bracket reaches there (that of two to four rounds taken twice as
far to each side). *Missed*: not even that.

**The kernel's count** (`kernel.bpf_stats_enabled`) of hostlet's programs stands beside the wall clock: how many ran for one connection, request or packet, how
long they took together beyond what programs of one instruction take in the same work, and what share of native's speed that would leave if one processor did all of the work.
It hardly depends on what else the machine does, but lacks what the kernel does on the way to each program and back.

**The kernel's own part** has that: *programs that do nothing* are of one instruction, at every place where hostlet has one, with a seccomp filter that lets
everything pass, as the launcher's does for these calls. What is lost there no program can give back; between that line and hostlet's is what hostlet itself takes.
Of commands it is a program that makes nothing but the calls without which it cannot be done. Where that misses a goal too, by more than its bracket, the goal is not
hostlet's to reach, and the table of goals says so. From the nanoseconds of the hooks what the kernel counts of programs that do nothing is taken off already: what they miss is hostlet's own.

**The machines.** Client, server and whatever is between them (pasta, the supervisor) have a processor each. Each way has a machine of its own, a network
namespace with 32 addresses, at the other end of a wire (veth) from one client. The server has two of the addresses and listens on the wildcard; what it
sends leaves from an address of its own.

| way | what it is | what is different |
|---|---|---|
| native | the program on the machine as it is | has all 32 addresses, and leaves from the first |
| native again | the same on another machine | |
| hostlet | `hostlet create NAME --address A --address B` | |
| programs that do nothing | as native, with programs of one instruction at all of hostlet's places (each hook of a cgroup, `sk_lookup`, tcx) and a seccomp filter | confines nobody |
| preloaded library | [`bench/preload.c`](../bench/preload.c), which overrides bind and connect | a wildcard server has one address; no static binaries; not enforced |
| seccomp supervisor | [`bench/notify.c`](../bench/notify.c), which is asked by the kernel at each bind and connect | a wildcard server has one address |
| namespace, macvlan | a network namespace with a macvlan interface on the machine's | the machine itself does not reach it |
| namespace, bridge | a network namespace and a veth pair on a bridge | the machine's interface belongs to the bridge |
| namespace, routed | a network namespace and a veth pair, ip_forward and proxy_arp | |
| pasta | a network namespace whose packets a process translates to sockets | takes a port of all the machine's addresses; the server does not see which was asked |
| slirp4netns | the same, with a stack of its own | the server sees neither the client's address nor which was asked |
";

/// Writes `docs/performance.md` and its plots below the directory.
pub fn write_page(results: &Results, to: &Path) -> Result<()> {
    for (path, text) in files(results) {
        write(&to.join(path), &text)?;
    }
    Ok(())
}

/// Writes a file, and makes the directories that it lies in.
pub fn write(path: &Path, text: &str) -> Result<()> {
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir).with_context(|| format!("make {}", dir.display()))?;
    }
    fs::write(path, text).with_context(|| format!("write {}", path.display()))
}

/// Each file by its path below the directory.
pub fn files(results: &Results) -> Vec<(String, String)> {
    let mut files = Vec::new();
    let mut page = format!("# Performance\n\n{INTRODUCTION}\n");
    if results.quick {
        page += "**This was a quick run: too short to prove anything.**\n\n";
    }
    if let Some(svg) = overview::draw(results) {
        picture(
            &mut page,
            "overview",
            "hostlet as a share of native, by figure",
        );
        files.push(("docs/performance/overview.svg".to_owned(), svg));
    }
    glance(&mut page, results);
    goals(&mut page, results);
    page += READING;
    for section in &results.sections {
        // Writing to a string does not fail.
        let _ = write!(page, "\n## {}\n\n", section.title);
        if !section.about.is_empty() {
            let _ = write!(page, "{}\n\n", section.about);
        }
        if let Some(svg) = plot::draw(section) {
            picture(&mut page, &section.id, &section.title);
            files.push((format!("docs/performance/{}.svg", section.id), svg));
        }
        match section.plot {
            Plot::Shares => matrix(&mut page, section),
            _ => list(&mut page, section),
        }
        commands(&mut page, section);
    }
    machine(&mut page, results);
    files.insert(0, ("docs/performance.md".to_owned(), page));
    files
}

fn picture(page: &mut String, id: &str, title: &str) {
    let _ = write!(page, "![{title}](performance/{id}.svg)\n\n");
}

fn commands(page: &mut String, section: &Section) {
    let mut commands: Vec<&str> = Vec::new();
    for row in section.rows.iter().filter(|row| !row.command.is_empty()) {
        if !commands.contains(&row.command.as_str()) {
            commands.push(&row.command);
        }
    }
    if !commands.is_empty() {
        let _ = write!(
            page,
            "<details><summary>Commands</summary>\n\n```\n{}\n```\n\n</details>\n",
            commands.join("\n")
        );
    }
}

fn machine(page: &mut String, results: &Results) {
    *page += "\n## The machine\n\n| | |\n|---|---|\n";
    for (name, value) in results.machine.iter().chain(&results.versions) {
        let _ = writeln!(page, "| {name} | {value} |");
    }
    let minutes = results.took as f64 / 60.0;
    let _ = writeln!(
        page,
        "| the run | {minutes:.1} minutes, ended on {} |",
        day(results.date)
    );
}

/// The day of a time since the epoch, in UTC.
fn day(seconds: u64) -> String {
    let mut year = 1970;
    let mut days = seconds / 86_400;
    let leap = |year: u64| {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    while days >= 365 + u64::from(leap(year)) {
        days -= 365 + u64::from(leap(year));
        year += 1;
    }
    let february = 28 + u64::from(leap(year));
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30] {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    format!("{year}-{month:02}-{:02}", days + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_have_dates() {
        for (seconds, text) in [
            (0, "1970-01-01"),
            (951_782_400, "2000-02-29"),
            (1_798_675_200, "2026-12-31"),
            (1_798_761_600, "2027-01-01"),
        ] {
            assert_eq!(day(seconds), text);
        }
    }

    /// Whoever changes the page or the results makes the page anew: `scripts/bench page`.
    #[test]
    fn the_page_is_made_of_the_results() -> Result<()> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let results = fs::read_to_string(root.join(crate::RESULTS))?;
        let results: Results = serde_json::from_str(&results)?;
        assert!(
            !results.quick,
            "the results of a quick run are not to be kept"
        );
        for (path, text) in files(&results) {
            let is = fs::read_to_string(root.join(&path)).with_context(|| path.clone())?;
            assert!(
                is == text,
                "{path} is not what the results give: run `scripts/bench page`"
            );
        }
        Ok(())
    }
}
