//! B1: what cron runs for somebody is a session, where the service has the module.

use std::os::unix::fs::{PermissionsExt, chown};

use anyhow::{Context, Result, ensure};
use hostlet_testkit::daemon::Daemon;

use crate::stage::{OFFICE, Stage, fetch, ip, rule, within};

#[test]
fn what_cron_runs_has_an_address_of_its_own() -> Result<()> {
    let stage = Stage::new(&format!(
        "{OFFICE}{}",
        rule("office", "").replace("sshd", "cron")
    ))?;
    let group = std::fs::read_to_string(stage.people.etc("group"))?;
    let group = group.lines().find_map(|l| l.strip_prefix("crontab:x:"));
    let group = group.and_then(|l| l.split(':').next()?.parse().ok());
    let group: u32 = group.context("no group crontab: install cron")?;
    // At the start of the machine, which for this cron is now.
    let mut pages = Vec::new();
    stage.people.within(|| -> Result<()> {
        for (uid, person) in [(1001, "alice"), (1003, "carol")] {
            let (url, page) = stage.page(false);
            let path = format!("/var/spool/cron/crontabs/{person}");
            std::fs::write(&path, format!("@reboot {}\n", fetch("curl", &url)))?;
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
            chown(&path, Some(uid), Some(group))?;
            pages.push(page);
        }
        Ok(())
    })??;
    let mut command = stage.host.command("cron");
    command.args(["-f", "-L", "15"]);
    let _cron = Daemon::start("cron", command)?;
    let own = stage.asked_from(&pages[0])?;
    ensure!(
        within(own, "10.0.0.50", "10.0.0.99"),
        "alice's job is seen as {own}"
    );
    // Whom no rule names.
    let own = stage.asked_from(&pages[1])?;
    ensure!(own == ip("10.0.0.1"), "carol's job is seen as {own}");
    stage.nothing_left()
}
