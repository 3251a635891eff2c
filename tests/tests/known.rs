//! The tables of known differences and what proves them hold each other to what they say: named cases, and of the table
//! of limits also tests whose comment says "Known difference", and the id.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use hostlet_testkit::oracle::Script;
use hostlet_tests::cases::ALL;

const CALLS: &str = "## Calls that end differently";
const LIMITS: &str = "## At limits";

/// The repository.
fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The ids of the table below that heading: its first column.
fn ids_below(heading: &str) -> Vec<String> {
    let path = top().join("docs/known-differences.md");
    let text = std::fs::read_to_string(path).expect("the document can be read");
    let rows = text
        .lines()
        .skip_while(|l| !l.starts_with(heading))
        .skip_while(|l| !l.starts_with("| id |"))
        .skip(2);
    let ids: Vec<String> = rows
        .take_while(|l| l.starts_with('|'))
        .map(|row| {
            let id = row.split('|').nth(1).unwrap_or("").trim();
            let id = id.strip_prefix('`').and_then(|id| id.strip_suffix('`'));
            id.unwrap_or_else(|| panic!("no id: {row}")).to_owned()
        })
        .collect();
    assert!(ids.len() > 5, "found only {ids:?} below {heading}");
    ids
}

/// The ids of both tables.
fn listed() -> Vec<String> {
    [ids_below(CALLS), ids_below(LIMITS)].concat()
}

/// The ids in sentences of tests' comments that begin so.
fn named_by_tests() -> BTreeSet<String> {
    let mut named = BTreeSet::new();
    let mut places = vec![top().join("tests/tests")];
    let crates = std::fs::read_dir(top().join("crates")).expect("the crates can be listed");
    places.extend(crates.map(|one| one.expect("a crate").path().join("tests")));
    while let Some(place) = places.pop() {
        let Ok(inside) = std::fs::read_dir(&place) else {
            continue;
        };
        for entry in inside {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                places.push(path);
            } else if path.extension().is_some_and(|end| end == "rs") {
                let text = std::fs::read_to_string(&path).expect("a source can be read");
                let comments = text.lines().map(str::trim_start);
                let comments: Vec<&str> = comments.filter_map(|l| l.strip_prefix("/// ")).collect();
                let comments = comments.join(" ").replace("Known diff", "known diff");
                for said in comments.split("known difference").skip(1) {
                    let sentence = said.split('.').next().unwrap_or("");
                    named.extend(sentence.split('`').skip(1).step_by(2).map(str::to_owned));
                }
            }
        }
    }
    named
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
    let scripts = scripts();
    let cited: BTreeSet<&str> = scripts.iter().flat_map(|(_, s)| s.cites()).collect();
    let unlisted: Vec<_> = hostlet_tests::generated::ids()
        .filter(|id| !listed.iter().any(|l| l == id))
        .collect();
    assert!(unlisted.is_empty(), "not in the table: {unlisted:?}");
    let unproven: Vec<_> = ids_below(CALLS)
        .into_iter()
        .filter(|id| !cited.contains(id.as_str()))
        .collect();
    assert!(unproven.is_empty(), "no named case cites {unproven:?}");
    let once: BTreeSet<_> = listed.iter().collect();
    assert_eq!(once.len(), listed.len(), "an id stands twice");
}

#[test]
fn every_limit_is_proven() {
    let scripts = scripts();
    let cited: BTreeSet<&str> = scripts.iter().flat_map(|(_, s)| s.cites()).collect();
    let named = named_by_tests();
    let unproven: Vec<_> = ids_below(LIMITS)
        .into_iter()
        .filter(|id| !cited.contains(id.as_str()) && !named.contains(id))
        .collect();
    assert!(
        unproven.is_empty(),
        "no case and no test names {unproven:?}"
    );
    let listed = listed();
    let unlisted: Vec<_> = named.iter().filter(|id| !listed.contains(id)).collect();
    assert!(unlisted.is_empty(), "tests name {unlisted:?}");
}

#[test]
fn every_rule_of_the_matrices_is_in_the_table() {
    let listed = listed();
    for id in hostlet_tests::matrix::ids() {
        assert!(listed.iter().any(|l| l == id), "{id} is not in the table");
    }
}
