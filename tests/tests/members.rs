//! A3, A4: every process of a hostlet is a member, from its first instruction to its
//! last. They need root.

use anyhow::{Context, Result, ensure};
use hostlet_testkit::lan::Lan;

#[test]
fn no_child_of_a_fork_storm_is_missed() -> Result<()> {
    let lan = Lan::hostlets("one", &[])?;
    let mut agent = lan.start("in")?;
    let said = agent.ask("storm 5000 10.0.0.1:5300")?;
    ensure!(said.starts_with("0 bound 5000 refused "), "{said}");
    println!("{said}");
    Ok(())
}

#[test]
fn members_are_listed_while_they_live_and_no_longer() -> Result<()> {
    let lan = Lan::hostlets("one", &[])?;
    let install = lan.install().context("hostlets")?;
    let mut agent = lan.start("in")?;
    let count = || -> Result<usize> {
        let members = install.json(lan.host(), &["members", "in"])?;
        Ok(members.as_array().context("an array")?.len())
    };
    let alone = count()?;
    for child in ["a", "b", "c"] {
        agent.ask(&format!("fork {child}"))?;
    }
    agent.ask("/a fork d")?;
    ensure!(count()? == alone + 4, "{} with four more", count()?);
    agent.ask("kill b")?;
    agent.ask("exit c")?;
    ensure!(count()? == alone + 2, "{} with two less", count()?);
    let status = agent.finish()?;
    ensure!(status.success(), "{status}");
    hostlet_testkit::wait::until("the hostlet to go with its last member", || {
        install
            .run(lan.host(), &["list"])
            .is_ok_and(|text| !text.contains(" in "))
    })
}
