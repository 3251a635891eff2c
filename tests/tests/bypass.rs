//! A16: every known way out is tried and judged where it would come out; the threat model
//! has one row for each. They need root.

use anyhow::{Context, Result, ensure};
use hostlet_tests::bypass::{ALL, Control, MAY_BE_ABSENT, Row, absent_table, perform, table};

/// Makes the attempts of a group, which must all end as documented.
fn group(name: &str) -> Result<()> {
    let (_, attempts) = ALL
        .iter()
        .find(|(group, _)| *group == name)
        .context("a group")?;
    let tally = perform(attempts, |row: &Row| {
        println!("{}: {} / {}", row.attempt.id, row.user, row.root);
    })?;
    ensure!(tally.failed == 0, "{tally}; see above");
    Ok(())
}

/// A test for each group.
macro_rules! groups {
    ($($name:ident)*) => {
        $(
            #[test]
            fn $name() -> Result<()> {
                group(stringify!($name))
            }
        )*

        const GROUPS: &[&str] = &[$(stringify!($name)),*];
    };
}

groups!(calls receiving loopbacks kinds cgroups processes kernel life waiting quarrels);

#[test]
fn every_group_is_tested() {
    let all: Vec<_> = ALL.iter().map(|(name, _)| *name).collect();
    assert_eq!(all, GROUPS);
}

#[test]
fn every_attempt_has_a_name_of_its_own() {
    let mut ids: Vec<_> = ALL
        .iter()
        .flat_map(|(_, all)| all.iter().map(|a| a.id))
        .collect();
    ids.sort_unstable();
    let count = ids.len();
    ids.dedup();
    assert_eq!(ids.len(), count);
}

/// Row by row: what is tried is documented, and what is documented is tried.
#[test]
fn the_threat_model_has_this_table() -> Result<()> {
    same_rows("| id | attempt |", &table()?)
}

/// And so for what may be missing on a machine.
#[test]
fn the_threat_model_has_what_may_not_be_there() -> Result<()> {
    same_rows("| id | what may be missing |", &absent_table())
}

fn same_rows(begin: &str, table: &str) -> Result<()> {
    let place = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/threat-model.md");
    let text = std::fs::read_to_string(place)?;
    let begin = text.find(begin).context("the table")?;
    let documented: Vec<_> = text[begin..]
        .lines()
        .take_while(|l| l.starts_with('|'))
        .collect();
    let tried: Vec<_> = table.lines().collect();
    for row in &tried {
        ensure!(
            documented.contains(row),
            "docs/threat-model.md lacks (`bypass --table`):\n{row}"
        );
    }
    for row in &documented {
        ensure!(
            tried.contains(row),
            "docs/threat-model.md has what nobody tries:\n{row}"
        );
    }
    Ok(())
}

/// What may be missing is so for an attempt that there is, and for one that works where it is not.
#[test]
fn what_may_not_be_there_is_tried() -> Result<()> {
    let mut ids: Vec<_> = MAY_BE_ABSENT.iter().map(|a| (a.id, a.what)).collect();
    for (id, _) in &ids {
        let attempt = ALL.iter().flat_map(|(_, all)| *all).find(|a| a.id == *id);
        let attempt = attempt.with_context(|| format!("nothing is called {id}"))?;
        ensure!(attempt.control == Control::Works, "{id} works nowhere");
    }
    ids.sort_unstable();
    ensure!(
        ids.windows(2).all(|two| two[0] != two[1]),
        "one is there twice"
    );
    Ok(())
}
