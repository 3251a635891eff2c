//! A4, A12, A16, B16: what `make endurance` does for long, in short. They need root.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use hostlet_testkit::lan::Lan;
use hostlet_testkit::residue::Residue;
use hostlet_tests::endurance::{churn, kills};

#[test]
fn hostlets_come_and_go_and_all_is_as_before() -> Result<()> {
    let done = churn::churn(&churn::Churn {
        time: None,
        steps: Some(120),
        hostlets: 40,
        seed: 5,
    })?;
    ensure!(
        done.made > 40 && done.changed > 20 && done.calls > 20 && done.crashed > 5,
        "too little was done: {done:?}"
    );
    Ok(())
}

#[test]
fn commands_and_hostletd_die_and_nobody_is_let_loose() -> Result<()> {
    let done = kills::kills(&kills::Kills { count: 15, seed: 5 })?;
    ensure!(
        done.commands > 5 && done.daemons > 0 && done.rounds > 20 && done.packets > 100,
        "too little was done: {done:?}"
    );
    Ok(())
}

/// What the two above compare sees what is left.
#[test]
fn what_is_left_behind_is_seen() -> Result<()> {
    let lan = Lan::hostlets("one", &[])?;
    let install = lan.install().context("hostlets")?;
    let before = Residue::of(install, lan.host())?;
    lan.host().ip(["route add local 10.20.7.0/24 dev lo"])?;
    let command = "create left --address 10.0.0.5 --address 10.20.7.0/24";
    install.run(lan.host(), &command.split(' ').collect::<Vec<_>>())?;
    lan.host().ip(["rule add from 10.0.0.5 table 77"])?;
    let seen = Residue::of(install, lan.host())?.same_as(&before);
    let text = seen.err().context("nothing was seen")?.to_string();
    for kind in [
        "cgroup",
        "pin",
        "entry of owners",
        // Its keys are the same with and without hostlets.
        "entry of prefixed",
        "rule of IPv4",
        "address",
    ] {
        ensure!(
            text.contains(&format!("left behind: {kind}")),
            "{kind}: {text}"
        );
    }
    install.run(lan.host(), &["remove", "left"])?;
    lan.host().ip([
        "rule del from 10.0.0.5 table 77",
        "route del local 10.20.7.0/24 dev lo",
    ])?;
    Residue::of(install, lan.host())?.same_as(&before)
}

/// Moments of kills follow how long commands are seen to take.
#[test]
fn kills_fall_within_the_time_that_a_command_takes() {
    let ms = Duration::from_millis;
    let mut verb = kills::Verb::default();
    verb.took(ms(100));
    verb.took(ms(40));
    assert_eq!(verb.lasts(), ms(40));
    verb.killed(ms(9));
    verb.killed(ms(39));
    assert_eq!(verb.lasts(), ms(44));
    verb.ended(ms(42), true);
    verb.ended(ms(1), false);
    assert_eq!(verb.lasts(), ms(42));
    assert_eq!(
        verb.to_string(),
        "2 killed, by quarters of its 42 ms: 1 0 0 1; 2 had ended"
    );
}
