//! The workspace's own rules, checked from `cargo metadata` and the files themselves.

mod licence;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// Which of our packages each package may use. Everything flows downwards: nothing here names a
/// package that is defined further down, so a cycle cannot be written.
const MAY_USE: &[(&str, &[&str])] = &[
    ("hostlet-model", &[]),
    ("hostlet-policy", &["hostlet-model"]),
    ("hostlet-lease", &["hostlet-model"]),
    ("hostlet-wire", &["hostlet-model"]),
    ("hostlet-kernel", &["hostlet-model"]),
    ("hostlet-platform", &["hostlet-model"]),
    ("hostlet-store", &["hostlet-model"]),
    ("hostlet-nss", &["hostlet-model"]),
    // Other people's programs load it: nothing in it may need libbpf.
    (
        "hostlet-pam",
        &[
            "hostlet-model",
            "hostlet-policy",
            "hostlet-platform",
            "hostlet-wire",
        ],
    ),
    (
        "hostlet-engine",
        &[
            "hostlet-model",
            "hostlet-policy",
            "hostlet-kernel",
            "hostlet-platform",
            "hostlet-store",
        ],
    ),
    (
        "hostlet",
        &[
            "hostlet-model",
            "hostlet-policy",
            "hostlet-engine",
            "hostlet-wire",
        ],
    ),
    (
        "hostlet-daemon",
        &[
            "hostlet-model",
            "hostlet-policy",
            "hostlet-lease",
            "hostlet-platform",
            "hostlet-store",
            "hostlet-engine",
            "hostlet-wire",
        ],
    ),
    // The oracle must not share code with what it judges.
    ("hostlet-testkit", &[]),
];

/// Packages that only test or measure may use everything above.
const MAY_USE_ALL: &[&str] = &["hostlet-tests", "hostlet-benches"];

/// Outside packages that only the named packages of ours may use, with the reason.
const RESERVED: &[(&str, &[&str], &str)] = &[
    (
        "libbpf-rs",
        &["hostlet-kernel"],
        "one crate speaks to the BPF subsystem",
    ),
    (
        "libbpf-sys",
        &["hostlet-kernel"],
        "one crate speaks to the BPF subsystem",
    ),
    (
        "libbpf-cargo",
        &["hostlet-kernel"],
        "one crate speaks to the BPF subsystem",
    ),
    ("rusqlite", &["hostlet-store"], "one crate owns the file"),
];

/// What tests of a package use of them all the same: those of the command look into the kernel part's tables from outside.
const TESTS_MAY_USE: &[(&str, &str)] = &[("hostlet", "libbpf-rs")];

/// Packages without I/O, and what would give them some.
const PURE: &[&str] = &["hostlet-model", "hostlet-policy", "hostlet-lease"];
const IO: &[&str] = &["libc", "rustix", "netlink-sys", "caps", "seccompiler"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the tests package lies in the workspace")
        .to_path_buf()
}

fn metadata() -> Value {
    // Only what is built here: of other platforms' packages nothing has been fetched.
    let platform = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    // The path at build time: under sudo the test may see neither CARGO nor the caller's PATH.
    let out = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked", "--offline"])
        .args(["--filter-platform", &platform])
        .current_dir(root())
        .output()
        .expect("cargo can be started");
    assert!(
        out.status.success(),
        "cargo metadata failed: {}",
        String::from_utf8_lossy(&out.stderr)
    );
    serde_json::from_slice(&out.stdout).expect("cargo metadata prints JSON")
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// Our packages, by name, each with (dependency, is it for tests only).
fn members(meta: &Value) -> BTreeMap<String, Vec<(String, bool)>> {
    let ids: BTreeSet<&str> = list(&meta["workspace_members"])
        .iter()
        .filter_map(Value::as_str)
        .collect();
    list(&meta["packages"])
        .iter()
        .filter(|p| ids.contains(text(p, "id")))
        .map(|p| {
            let uses = list(&p["dependencies"])
                .iter()
                .map(|d| (text(d, "name").to_owned(), text(d, "kind") == "dev"))
                .collect();
            (text(p, "name").to_owned(), uses)
        })
        .collect()
}

#[test]
fn dependencies_run_one_way() {
    let members = members(&metadata());
    assert!(members.len() >= MAY_USE.len(), "found only {members:?}");
    let mut wrong = Vec::new();
    for (name, uses) in &members {
        if MAY_USE_ALL.contains(&name.as_str()) {
            continue;
        }
        let Some((_, allowed)) = MAY_USE.iter().find(|(n, _)| n == name) else {
            wrong.push(format!("{name} has no row in MAY_USE"));
            continue;
        };
        for (used, for_tests) in uses.iter().filter(|(d, _)| members.contains_key(d)) {
            let fine =
                allowed.contains(&used.as_str()) || (*for_tests && used == "hostlet-testkit");
            if !fine {
                wrong.push(format!("{name} must not use {used}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_table_of_layers_has_no_way_up() {
    for (at, (name, allowed)) in MAY_USE.iter().enumerate() {
        for used in *allowed {
            let place = MAY_USE.iter().position(|(n, _)| n == used);
            assert!(
                place.is_some_and(|p| p < at),
                "{name} uses {used}, which is not below it"
            );
        }
    }
}

#[test]
fn reserved_dependencies_stay_where_they_belong() {
    let mut wrong = Vec::new();
    for (name, uses) in members(&metadata()) {
        for (used, for_tests) in uses {
            if for_tests && TESTS_MAY_USE.contains(&(name.as_str(), used.as_str())) {
                continue;
            }
            if let Some((_, owners, why)) = RESERVED.iter().find(|(d, _, _)| *d == used)
                && !owners.contains(&name.as_str())
            {
                wrong.push(format!("{name} uses {used}, but {why}"));
            }
            if PURE.contains(&name.as_str()) && IO.contains(&used.as_str()) {
                wrong.push(format!("{name} is pure, but uses {used}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn licences_of_dependencies_fit() {
    let mut wrong = Vec::new();
    for package in list(&metadata()["packages"]) {
        let name = text(package, "name");
        let said = text(package, "license");
        match licence::acceptable(said) {
            Ok(true) => {}
            Ok(false) => wrong.push(format!("{name}: {said:?} is not on the list")),
            Err(why) => wrong.push(format!("{name}: {said:?} cannot be read: {why}")),
        }
    }
    assert!(
        wrong.is_empty(),
        "licences that do not go with Apache-2.0 OR MIT:\n{}",
        wrong.join("\n")
    );
}

/// The project's own files of the given endings, build output excepted.
fn files(ending: &[&str]) -> Vec<PathBuf> {
    let mut open = vec![root()];
    let mut found = Vec::new();
    while let Some(dir) = open.pop() {
        for entry in std::fs::read_dir(&dir).expect("a directory of the workspace can be read") {
            let path = entry.expect("a directory entry can be read").path();
            let name = path.file_name().and_then(|n| n.to_str()).unwrap_or("");
            if path.is_dir() && !path.is_symlink() {
                if !name.starts_with('.') && name != "target" {
                    open.push(path);
                }
            } else if ending
                .iter()
                .any(|e| path.extension().is_some_and(|x| x == *e))
            {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

#[test]
fn kernel_sources_name_their_licence() {
    let sources = files(&["c", "h"]);
    assert!(!sources.is_empty(), "no C source was found");
    let mut wrong = Vec::new();
    for path in sources {
        let text = std::fs::read_to_string(&path).expect("a source file is text");
        let first = text.lines().next().unwrap_or("");
        let is_kernel = path.components().any(|c| c.as_os_str() == "bpf");
        let wanted = if is_kernel {
            "SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause"
        } else {
            "SPDX-License-Identifier: Apache-2.0 OR MIT"
        };
        if !first.contains(wanted) {
            wrong.push(format!("{}: first line lacks '{wanted}'", path.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn licence_texts_are_here() {
    for name in [
        "LICENSE-APACHE",
        "LICENSE-MIT",
        "LICENSES/Apache-2.0.txt",
        "LICENSES/MIT.txt",
        "LICENSES/GPL-2.0-only.txt",
        "LICENSES/BSD-2-Clause.txt",
    ] {
        let size = std::fs::metadata(root().join(name)).map_or(0, |m| m.len());
        assert!(size > 900, "{name} is missing or too short: {size} bytes");
    }
}

/// The names of the kernel part's tables, as `maps.h` defines them.
fn tables() -> BTreeSet<String> {
    let path = root().join("crates/kernel/bpf/maps.h");
    let text = std::fs::read_to_string(path).expect("maps.h");
    let name = |line: &str| {
        let short = line.strip_prefix("TABLE(").and_then(|l| l.split_once(','));
        let long = line.strip_prefix("} ");
        let long = long.and_then(|l| l.split_once(" SEC(\".maps\")"));
        short.or(long).map(|(name, _)| name.to_owned())
    };
    text.lines().filter_map(name).collect()
}

#[test]
fn architecture_tells_of_every_table() {
    let text = std::fs::read_to_string(root().join("ARCHITECTURE.md")).expect("ARCHITECTURE.md");
    let rows = text
        .lines()
        .skip_while(|line| !line.starts_with("| table |"))
        .skip(2);
    let cells = rows
        .take_while(|line| line.starts_with('|'))
        .filter_map(|row| row.split('|').nth(1));
    let told: BTreeSet<String> = cells
        .flat_map(|cell| cell.split('`').skip(1).step_by(2).map(str::to_owned))
        .collect();
    let tables = tables();
    assert!(tables.len() > 20, "{tables:?}");
    assert_eq!(told, tables);
}
