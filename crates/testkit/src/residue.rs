//! What an installation has in the kernel and on the disk, so that before and after can
//! be compared: nothing may be left behind.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::bpf::{self, Object};
use crate::install::Installation;
use crate::netns::NetNs;
use crate::wait;

/// Tables of what passes: places of threads amid a bind, what was reported, what was found out and may be found out again.
const PASSING: [&str; 3] = ["binding", "events", "settled"];

/// Of the tables whose fields [`lasting`] knows: `HL_LAYOUT`.
const LAYOUT: u32 = 11;

/// Everything that there is, by kind.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Residue {
    things: BTreeMap<String, BTreeSet<String>>,
}

impl Residue {
    /// What there is now of the installation, and on the machine where it works.
    ///
    /// # Errors
    /// Without root, and when something cannot be read.
    pub fn of(install: &Installation, ns: &NetNs) -> Result<Residue> {
        wait::until("the kernel to have routes to all addresses", || {
            is_routed(ns).unwrap_or(false)
        })?;
        let mut all = Residue::default();
        for (kind, command) in [
            ("address", "-o address show"),
            ("rule of IPv4", "-4 rule show"),
            ("rule of IPv6", "-6 rule show"),
            ("route of IPv4", "-4 route show table all"),
            ("route of IPv6", "-6 route show table all"),
        ] {
            let words: Vec<&str> = command.split(' ').collect();
            let said = ns.run("ip", &words)?;
            all.add(kind, said.lines().map(settled));
        }
        for mount in ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"] {
            let parent = Path::new(mount).join(install.cgroup_parent());
            all.add("cgroup", directories(&parent));
            let ready = parent.with_extension("ready");
            all.add(
                "cgroup",
                ready.is_dir().then(|| ready.display().to_string()),
            );
        }
        for pin in pins(install) {
            all.add("pin", [pin.display().to_string()]);
            let name = pin.file_name().unwrap_or_default().to_string_lossy();
            let object = bpf::pinned(&pin).with_context(|| pin.display().to_string())?;
            if matches!(object, Object::Map(_)) && !PASSING.contains(&&*name) {
                all.add_entries(&pin, &name)?;
            }
        }
        all.add("process", processes(install.root()));
        Ok(all)
    }

    fn add(&mut self, kind: &str, things: impl IntoIterator<Item = String>) {
        self.things
            .entry(kind.to_owned())
            .or_default()
            .extend(things);
    }

    fn add_entries(&mut self, pin: &Path, name: &str) -> Result<()> {
        let entries = bpf::entries(pin).with_context(|| name.to_owned())?;
        let mut texts = Vec::new();
        for (key, mut value) in entries.into_iter().flatten() {
            lasting(name, &mut value)?;
            texts.push(format!("{} = {}", hex(&key), hex(&value)));
        }
        self.add(&format!("entry of {name}"), texts);
        Ok(())
    }

    /// How many things of a kind there are.
    pub fn count(&self, kind: &str) -> usize {
        self.things.get(kind).map_or(0, BTreeSet::len)
    }

    /// Must be as before.
    ///
    /// # Errors
    /// Naming what is left behind, and what is gone.
    pub fn same_as(&self, before: &Residue) -> Result<()> {
        let none = BTreeSet::new();
        let mut text = String::new();
        let kinds: BTreeSet<&String> = self.things.keys().chain(before.things.keys()).collect();
        for kind in kinds {
            let now = self.things.get(kind).unwrap_or(&none);
            let then = before.things.get(kind).unwrap_or(&none);
            for (word, some) in [
                ("left behind", now.difference(then).collect::<Vec<_>>()),
                ("gone", then.difference(now).collect()),
            ] {
                for thing in some.iter().take(5) {
                    let _ = writeln!(text, "{word}: {kind} {thing}");
                }
                if some.len() > 5 {
                    let _ = writeln!(text, "{word}: {kind} … {} in all", some.len());
                }
            }
        }
        ensure!(text.is_empty(), "not as before:\n{text}");
        Ok(())
    }
}

/// Zeroes what of a value only grows, whatever ends: that is no residue.
fn lasting(map: &str, value: &mut [u8]) -> Result<()> {
    let counts: &[(usize, usize)] = match map {
        // dropped_at, dropped: what the guard reported.
        "hostlets" => &[(232, 248)],
        "globals" => {
            let layout = value.get(24..28).context("the tables' layout")?;
            let layout = u32::from_ne_bytes(layout.try_into()?);
            ensure!(
                layout == LAYOUT,
                "the tables have layout {layout}, and residue.rs knows {LAYOUT}: see what of it is left out"
            );
            // events; known_ever; from abroad_at to the end: filters of what ever was.
            &[(8, 16), (44, 48), (56, value.len())]
        }
        _ => &[],
    };
    for (from, to) in counts {
        value
            .get_mut(*from..*to)
            .with_context(|| format!("a value of {map} is too short"))?
            .fill(0);
    }
    Ok(())
}

/// Has each IPv6 address the route that the kernel makes for it? It does so some time later.
fn is_routed(ns: &NetNs) -> Result<bool> {
    let addresses = ns.run("ip", &["-6", "-oneline", "address", "show"])?;
    let routes = ns.run("ip", &["-6", "route", "show", "table", "local"])?;
    let mut words = addresses.lines().map(|line| line.split_whitespace().nth(3));
    Ok(words.all(|word| {
        let address = word.and_then(|word| word.split('/').next());
        address.is_some_and(|a| routes.contains(&format!("local {a} dev")))
    }))
}

/// The objects that an installation has loaded, so that their end can be awaited.
pub fn objects(install: &Installation) -> Result<Vec<Object>> {
    let mut objects = Vec::new();
    for pin in pins(install) {
        match bpf::pinned(&pin).with_context(|| pin.display().to_string())? {
            Object::Other => {}
            object => objects.push(object),
        }
    }
    Ok(objects)
}

/// Without what counts down by itself, and the kernel's own choices.
fn settled(line: &str) -> String {
    let words = line.split_whitespace();
    let mut kept: Vec<&str> = Vec::new();
    let mut skip = false;
    for word in words {
        if !std::mem::take(&mut skip) {
            skip = matches!(word, "expires");
            if !skip {
                kept.push(word);
            }
        }
    }
    kept.join(" ")
}

fn pins(install: &Installation) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut ahead = vec![install.root().join("bpf/hostlet")];
    while let Some(directory) = ahead.pop() {
        for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => ahead.push(entry.path()),
                _ => found.push(entry.path()),
            }
        }
    }
    found.sort();
    found
}

fn directories(top: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut ahead = vec![top.to_path_buf()];
    while let Some(directory) = ahead.pop() {
        for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                found.push(entry.path().display().to_string());
                ahead.push(entry.path());
            }
        }
    }
    found
}

/// Processes of the product that work for this installation.
fn processes(root: &Path) -> Vec<String> {
    let root = root.display().to_string();
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter(|entry| {
            let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
            let line = String::from_utf8_lossy(&line);
            line.split('\0').any(|word| word == root)
        })
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
