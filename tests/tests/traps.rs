//! The list of traps names only what there is.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use hostlet_tests::traps::{Proof, TRAPS};
use hostlet_tests::{bypass, cases};

#[test]
fn what_shows_that_a_trap_is_avoided_is_there() -> Result<()> {
    let mut known = BTreeSet::new();
    for (file, all) in cases::ALL {
        known.extend(all.iter().map(|case| format!("{file}::{}", case.name)));
    }
    let ways = bypass::ALL.iter().flat_map(|(_, ways)| *ways);
    let ways: BTreeSet<&str> = ways.map(|way| way.id).collect();
    let mut missing = Vec::new();
    for trap in TRAPS {
        ensure!(!trap.proofs.is_empty(), "nothing shows: {}", trap.what);
        for proof in trap.proofs {
            let there = match proof {
                Proof::Case(name) => known.contains(*name),
                Proof::Way(id) => ways.contains(id),
                Proof::Test(file, name) => is_test(file, name)?,
            };
            if !there {
                missing.push(format!("{}: {proof:?}", trap.what));
            }
        }
    }
    ensure!(missing.is_empty(), "there is no\n{}", missing.join("\n"));
    Ok(())
}

/// Is there such a test in the file?
fn is_test(file: &str, name: &str) -> Result<bool> {
    let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(file);
    let text = std::fs::read_to_string(&place).with_context(|| file.to_owned())?;
    let Some((before, _)) = text.split_once(&format!("fn {name}(")) else {
        return Ok(false);
    };
    // Its attributes are between what was before and it.
    let attributes = before.rsplit("\n\n").next().unwrap_or("");
    Ok(attributes.contains("#[test]"))
}
