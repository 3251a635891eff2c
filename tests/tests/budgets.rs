//! What the kernel part and the commands may cost, as counts that are the same on a busy machine as on an idle one: `budgets.txt` beside
//! this file has the numbers, and says how to raise one.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use hostlet_testkit::agent::Agent;
use hostlet_testkit::bpf::{Counting, counts};
use hostlet_testkit::dir::TestDir;
use hostlet_testkit::install::Installation;
use hostlet_testkit::netns::NetNs;

const TABLE: &str = "tests/tests/budgets.txt";

/// The lines of the table that begin with one of these words, each with its word and without remarks.
fn table(kinds: &[&'static str]) -> Result<Vec<(&'static str, String)>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(TABLE);
    let text = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    let mut found = Vec::new();
    for line in text.lines() {
        let line = line.split('#').next().unwrap_or_default().trim();
        let rest = |kind: &&str| {
            Some(
                line.strip_prefix(*kind)?
                    .strip_prefix(' ')?
                    .trim()
                    .to_owned(),
            )
        };
        found.extend(kinds.iter().find_map(|kind| Some((*kind, rest(kind)?))));
    }
    ensure!(
        !found.is_empty(),
        "{TABLE} has no line `{} …`",
        kinds.join(" …` or `")
    );
    Ok(found)
}

/// `WORD NUMBER`.
fn numbers(kind: &'static str) -> Result<BTreeMap<String, u64>> {
    let number = |(_, line): &(&str, String)| {
        let (word, number) = line
            .rsplit_once(' ')
            .with_context(|| format!("`{kind} {line}`"))?;
        let number = number.replace('_', "").parse();
        Ok((
            word.trim().to_owned(),
            number.with_context(|| format!("`{kind} {line}`"))?,
        ))
    };
    table(&[kind])?.iter().map(number).collect()
}

/// Fails with what is beyond its budget, or is not in the table, and with the lines to write there.
fn compare(
    kind: &'static str,
    unit: &str,
    counted: &BTreeMap<String, u64>,
    room: u64,
) -> Result<()> {
    let allowed = numbers(kind)?;
    let mut wrong = String::new();
    for (what, count) in counted {
        let line = format!("{kind} {what} {}", count + count * room / 100);
        match allowed.get(what) {
            Some(most) if count <= most => {}
            Some(most) => writeln!(
                wrong,
                "{what}: {count} {unit}, {most} are allowed; to allow it: {line}"
            )?,
            None => writeln!(
                wrong,
                "{what}: {count} {unit}, and it is not in the table; to allow it: {line}"
            )?,
        }
    }
    for what in allowed.keys().filter(|what| !counted.contains_key(*what)) {
        writeln!(
            wrong,
            "{what}: is in the table, and is no more; take its line away"
        )?;
    }
    ensure!(
        wrong.is_empty(),
        "beyond {TABLE}. If the change is worth that, say so in its commit.\n{wrong}"
    );
    Ok(())
}

/// A machine whose only interface is `lo`, so that nothing but what a test does passes any program.
fn machine() -> Result<(NetNs, Installation)> {
    let ns = NetNs::new("budgets")?;
    ns.ip([
        "address add 10.9.0.1/32 dev lo",
        "address add 10.9.0.2/32 dev lo",
        "address add 2001:db8:9::1/128 dev lo nodad",
    ])?;
    Ok((ns, Installation::new()?))
}

const ADDRESSES: [&str; 3] = [
    "--address=10.9.0.1",
    "--address=10.9.0.2",
    "--address=2001:db8:9::1",
];

/// The pins of the kernel part, by the programs' names.
fn programs(install: &Installation) -> Result<BTreeMap<String, PathBuf>> {
    let dir = install.root().join("bpf/hostlet/programs");
    let entries = fs::read_dir(&dir).with_context(|| format!("listing {}", dir.display()))?;
    let entry = |entry: std::io::Result<fs::DirEntry>| {
        let entry = entry?;
        Ok((
            entry.file_name().to_string_lossy().into_owned(),
            entry.path(),
        ))
    };
    entries.map(entry).collect()
}

#[test]
fn the_verifier_walks_no_more_than_is_allowed() -> Result<()> {
    let (ns, install) = machine()?;
    install.run(&ns, &[&["create", "it"], &ADDRESSES[..]].concat())?;
    let mut counted = BTreeMap::new();
    for (name, pin) in programs(&install)? {
        counted.insert(name, u64::from(counts(&pin)?.verified));
    }
    install.run(&ns, &["remove", "it"])?;
    // Kernels that are older do not tell.
    if counted.values().any(|count| *count == 0) {
        bail!(
            "this kernel does not say what its verifier walked: Linux 5.16 is the first that does"
        );
    }
    // Other kernels walk a little more, or less.
    compare("verified", "instructions", &counted, 50)
}

/// They run for packets. How many of these TCP sends is its own affair, once it is connected.
const OF_PACKETS: [&str; 4] = ["hl_egress", "hl_ingress", "hl_learn", "hl_ping"];

/// Every call runs exactly the programs that the table says.
#[test]
fn no_program_runs_more_often_than_is_allowed() -> Result<()> {
    let (ns, install) = machine()?;
    let probe = install.probe(&ns, &[&["run", "--name", "it"], &ADDRESSES[..]].concat())?;
    let mut agent = Agent::start("it", probe)?;
    let pins = programs(&install)?;
    let _counting = Counting::begin()?;
    let read = || -> Result<BTreeMap<&str, u64>> {
        let of = |(name, pin): (_, &PathBuf)| Ok((name, counts(pin)?.runs));
        pins.iter()
            .map(|(name, pin)| of((name.as_str(), pin)))
            .collect()
    };
    let mut wrong = String::new();
    for (kind, line) in table(&["runs", "packets"])? {
        let parts = line.rsplit_once('→');
        let (calls, wanted) = parts.with_context(|| format!("`{line}` has no arrow"))?;
        let before = read()?;
        for call in calls.split(';') {
            let answer = agent.ask(call.trim())?;
            ensure!(!answer.starts_with('E'), "{call}: {answer}");
        }
        let after = read()?;
        let ran: Vec<String> = after
            .iter()
            .filter(|(name, runs)| before[*name] != **runs)
            .filter(|(name, _)| kind == "packets" || !OF_PACKETS.contains(name))
            .map(|(name, runs)| format!("{name} {}", runs - before[name]))
            .collect();
        let ran = ran.join(", ");
        if ran != wanted.trim() {
            writeln!(
                wrong,
                "{kind} {} → {ran}\n  (it was: {})",
                calls.trim(),
                wanted.trim()
            )?;
        }
    }
    agent.finish()?;
    ensure!(
        wrong.is_empty(),
        "other programs ran than {TABLE} says. If the change is worth that, write there:\n{wrong}"
    );
    Ok(())
}

/// Requests to the kernel that take long, or grow with the number of hostlets: tables, netlink, the disk, mounts and processes.
const TRACED: &str =
    "bpf,sendto,sendmsg,fsync,fdatasync,pwrite64,umount2,clone3,fork,vfork,clone,unshare";

#[test]
fn commands_ask_the_kernel_no_more_than_is_allowed() -> Result<()> {
    let (ns, install) = machine()?;
    install.run(&ns, &["create", "stays", "--address=10.9.0.1"])?;
    let dir = TestDir::new("budgets")?;
    let mut counted = BTreeMap::new();
    let many: Vec<String> = (0..256).map(|n| format!("--address=10.9.1.{n}")).collect();
    let mut create_many = vec!["create", "many", "--assign=lo"];
    create_many.extend(many.iter().map(String::as_str));
    for (verb, words) in [
        ("create", vec!["create", "it", "--address=10.9.0.2"]),
        ("enter", vec!["enter", "it", "--", "/bin/true"]),
        ("remove", vec!["remove", "it"]),
        ("run", vec!["run", "--address=10.9.0.2", "--", "/bin/true"]),
        ("create of 256", create_many),
        ("remove of 256", vec!["remove", "many"]),
    ] {
        let log = dir.path().join(verb);
        let command = install.command(&ns, &words);
        let mut traced = ns.command("strace");
        traced
            .args(["-f", "-qq", "-e", "signal=none", "-e"])
            .arg(format!("trace={TRACED}"))
            .arg("-o")
            .arg(&log);
        traced.arg(command.get_program()).args(command.get_args());
        let done = traced.output().context("starting strace")?;
        ensure!(
            done.status.success(),
            "{words:?}: {}",
            String::from_utf8_lossy(&done.stderr)
        );
        let text = fs::read_to_string(&log)?;
        for call in TRACED.split(',') {
            let begins = |line: &&str| {
                let call_of = line.split_once(' ').map(|(_, rest)| rest.trim_start());
                call_of.is_some_and(|rest| {
                    rest.strip_prefix(call)
                        .is_some_and(|rest| rest.starts_with('('))
                })
            };
            let count = text.lines().filter(begins).count() as u64;
            let kind = match call {
                "fork" | "vfork" | "clone" | "clone3" => "processes and threads",
                "fsync" | "fdatasync" => "waits for the disk",
                "pwrite64" => "writes to the disk",
                "sendto" | "sendmsg" => "netlink requests",
                "umount2" => "waits for all processors",
                other => other,
            };
            // Whose change makes the log long enough to be written into the file is by chance, where changes are large.
            let verb = match (kind, verb.split_once(" of ")) {
                ("waits for the disk", Some((_, many))) => format!("create or remove of {many}"),
                _ => verb.to_owned(),
            };
            *counted.entry(format!("{verb}: {kind}")).or_default() += count;
        }
    }
    install.run(&ns, &["remove", "stays"])?;
    counted.retain(|_, count| *count > 0);
    compare("commands", "times", &counted, 10)
}
