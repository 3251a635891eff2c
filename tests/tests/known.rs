//! The table of known differences and the named cases hold each other to what they say.

use std::collections::BTreeSet;
use std::path::Path;

use hostlet_testkit::oracle::Script;
use hostlet_tests::cases::ALL;

/// The ids of the table: its first column.
fn listed() -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/known-differences.md");
    let text = std::fs::read_to_string(path).expect("the document can be read");
    let rows = text
        .lines()
        .skip_while(|l| !l.starts_with("| id |"))
        .skip(2);
    rows.take_while(|l| l.starts_with('|'))
        .map(|row| {
            let id = row.split('|').nth(1).unwrap_or("").trim();
            let id = id.strip_prefix('`').and_then(|id| id.strip_suffix('`'));
            id.unwrap_or_else(|| panic!("no id: {row}")).to_owned()
        })
        .collect()
}

fn scripts() -> Vec<(String, Script)> {
    let all = ALL
        .iter()
        .flat_map(|(file, cases)| cases.iter().map(move |c| (file, c)));
    all.map(|(file, case)| {
        let script = Script::parse(case.script);
        let name = format!("{file}::{}", case.name);
        let script = script.unwrap_or_else(|why| panic!("{name}: {why}"));
        (name, script)
    })
    .collect()
}

#[test]
fn every_difference_has_an_id_of_the_table() {
    let listed: BTreeSet<String> = listed().into_iter().collect();
    let mut wrong = Vec::new();
    for (name, script) in scripts() {
        for step in script.steps.iter().filter(|step| step.hostlet.is_some()) {
            match &step.known {
                Some(id) if listed.contains(id) => {}
                Some(id) => wrong.push(format!("{name}: {id} is not in the table")),
                None => wrong.push(format!("{name}: no id at `{}`", step.line)),
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_id_of_the_table_is_proven() {
    let listed = listed();
    assert!(listed.len() > 5, "found only {listed:?}");
    let scripts = scripts();
    let cited: BTreeSet<&str> = scripts.iter().flat_map(|(_, s)| s.cites()).collect();
    let unlisted: Vec<_> = hostlet_tests::generated::ids()
        .filter(|id| !listed.iter().any(|l| l == id))
        .collect();
    assert!(unlisted.is_empty(), "not in the table: {unlisted:?}");
    let unproven: Vec<_> = listed
        .iter()
        .filter(|id| !cited.contains(id.as_str()))
        .collect();
    assert!(unproven.is_empty(), "no named case cites {unproven:?}");
    let once: BTreeSet<_> = listed.iter().collect();
    assert_eq!(once.len(), listed.len(), "an id stands twice");
}

#[test]
fn every_rule_of_the_matrices_is_in_the_table() {
    let listed = listed();
    for id in hostlet_tests::matrix::ids() {
        assert!(listed.iter().any(|l| l == id), "{id} is not in the table");
    }
}
