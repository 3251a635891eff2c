//! B3: who may ask for what.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use hostlet_testkit::wait;

use crate::stage::{Stage, text};

/// Users that every system has.
const NOBODY: u32 = 65534;
const DAEMON: u32 = 1;

const CONFIG: &str = "[pool.office]\ninterface = \"eth0\"\n\
    ranges = [\"10.0.0.100-10.0.0.109\"]\nprobe = \"off\"\n\
    may-use = [\"user:nobody\"]\nlimit-per-user = 2\n";

#[test]
fn a_user_draws_as_he_may_and_no_other() -> Result<()> {
    let stage = Stage::new(CONFIG)?;
    let run = ["run", "--pool", "office", "--", "true"];
    let refused = stage.output_as(DAEMON, &run)?;
    let said = String::from_utf8_lossy(&refused.stderr);
    ensure!(refused.status.code() == Some(125), "{refused:?}");
    ensure!(
        said.contains("office") && said.contains("may-use"),
        "{said}"
    );

    // What is root's says so, and what to do instead.
    for (args, words) in [
        (
            &["create", "mine", "--pool", "office"][..],
            ["may not make hostlets that stay", "hostlet run --pool"],
        ),
        (&["reload"], ["may not reload", "sudo"]),
        (
            &["leases", "--pool", "lab"],
            ["no pool 'lab'", "hostlet pools"],
        ),
    ] {
        let refused = stage.output_as(NOBODY, args)?;
        let said = String::from_utf8_lossy(&refused.stderr);
        ensure!(refused.status.code() == Some(1), "{refused:?}");
        ensure!(words.iter().all(|word| said.contains(word)), "{said}");
    }

    let mut first = stage.hold_as(NOBODY, &["--pool", "office"])?;
    let address = stage.seen(&mut first, false)?;
    let leases = stage.leases()?;
    ensure!(leases.len() == 1, "{leases:?}");
    ensure!(text(&leases[0], "user")? == "nobody", "{}", leases[0]);
    ensure!(leases[0]["uid"] == NOBODY, "{}", leases[0]);
    ensure!(text(&leases[0], "address")? == address.to_string());

    let second = stage.hold_as(NOBODY, &["--pool", "office"])?;
    let third = stage.output_as(NOBODY, &run)?;
    let said = String::from_utf8_lossy(&third.stderr);
    ensure!(third.status.code() == Some(125), "{third:?}");
    ensure!(said.contains('2'), "the limit is not named: {said}");
    first.kill()?;
    second.finish()?;
    stage.nothing_left()?;
    let done = stage.output_as(NOBODY, &run)?;
    ensure!(done.status.success(), "{done:?}");
    Ok(())
}

/// His own hostlets a user ends himself, and nobody else's.
#[test]
fn a_user_removes_what_is_his() -> Result<()> {
    let stage = Stage::new(CONFIG)?;
    let mut mine = stage.hold_as(NOBODY, &["--pool", "office", "--name", "mine"])?;
    stage.seen(&mut mine, false)?;
    let remove = ["remove", "mine", "--kill"];
    let refused = stage.output_as(DAEMON, &remove)?;
    ensure!(refused.status.code() == Some(1), "{refused:?}");
    let refused = stage.output_as(NOBODY, &remove[..2])?;
    let said = String::from_utf8_lossy(&refused.stderr);
    ensure!(
        said.contains("'hostlet remove mine --kill'") && !said.contains("apply"),
        "{said}"
    );
    let done = stage.output_as(NOBODY, &remove)?;
    ensure!(done.status.success(), "{done:?}");
    stage.nothing_left()
}

#[test]
fn a_user_gets_nothing_that_is_roots() -> Result<()> {
    let stage = Stage::new(CONFIG)?;
    let run = ["run", "--pool", "office"];
    for option in [
        &["--raw"][..],
        &["--no-guard"],
        &["--host-loopback", "127.0.0.1:53"],
        &["--request-address", "10.0.0.105"],
    ] {
        let all = [&run[..], option, &["--", "true"]].concat();
        let done = stage.output_as(NOBODY, &all)?;
        ensure!(done.status.code() == Some(125), "{option:?}: {done:?}");
    }
    ensure!(stage.leases()?.is_empty());
    Ok(())
}

/// Not for a moment is an address anybody's because of a word that is wrong.
#[test]
fn a_user_draws_nothing_for_what_cannot_run() -> Result<()> {
    let stage = Stage::new(CONFIG)?;
    let run = ["run", "--pool", "office", "--workdir", "/nowhere"];
    let refused = stage.output_as(NOBODY, &[&run[..], &["--", "true"]].concat())?;
    let said = String::from_utf8_lossy(&refused.stderr);
    ensure!(refused.status.code() == Some(125), "{refused:?}");
    ensure!(said.contains("cannot start in /nowhere"), "{said}");
    let history = stage.install.run(&stage.host, &["history"])?;
    ensure!(history.contains("Nobody had an address"), "{history}");
    Ok(())
}

/// Whoever is in a hostlet already gets no other one.
#[test]
fn a_member_gets_nothing() -> Result<()> {
    let stage = Stage::new(CONFIG)?;
    let hostlet = hostlet_testkit::binaries::hostlet()?;
    let root = stage.install.root().display().to_string();
    let inner = [
        &hostlet.display().to_string(),
        "--root",
        &root,
        "run",
        "--pool",
        "office",
        "--",
        "true",
    ];
    let all = [&["run", "--pool", "office", "--"][..], &inner].concat();
    let done = stage.output_as(NOBODY, &all)?;
    ensure!(done.status.code() == Some(125), "{done:?}");
    stage.nothing_left()
}

/// Cgroups as systemd makes them for units, away with this.
struct Units(PathBuf);

impl Units {
    fn new() -> Result<Units> {
        // On a machine with both kinds the first is no cgroup, and anybody may have left a file there.
        let mounts = ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"].map(Path::new);
        let unified = |m: &&&Path| m.join("cgroup.controllers").exists();
        let mount = mounts.iter().find(unified).context("no cgroup2")?;
        let slice = mount.join(format!("hostlet-test-{:x}.slice", std::process::id()));
        fs::create_dir(&slice).with_context(|| format!("making {}", slice.display()))?;
        Ok(Units(slice))
    }

    /// One below it, such as `web.service`.
    fn unit(&self, path: &str) -> Result<PathBuf> {
        let unit = self.0.join(path);
        fs::create_dir_all(&unit).with_context(|| format!("making {}", unit.display()))?;
        Ok(unit)
    }
}

impl Drop for Units {
    fn drop(&mut self) {
        // The kernel takes no directory that has others: the deepest first.
        let _ = wait::until("the units to be empty", || {
            for inner in ["web.service/sub", "web.service", "db.service/web.service"] {
                let _ = fs::remove_dir(self.0.join(inner));
            }
            let _ = fs::remove_dir(self.0.join("db.service"));
            let _ = fs::remove_dir(&self.0);
            !self.0.exists()
        });
    }
}

/// Whoever is in the unit draws, and nobody else: not the same user outside of it, and not whoever has given the name to a
/// cgroup within another unit.
#[test]
fn a_unit_draws() -> Result<()> {
    let config = CONFIG.replace("user:nobody", "unit:web.service");
    let stage = Stage::new(&config)?;
    let units = Units::new()?;
    let office = ["--pool", "office"];
    for (uid, within) in [(NOBODY, "web.service"), (DAEMON, "web.service/sub")] {
        let mut agent = stage.hold_in(&units.unit(within)?, uid, &office)?;
        let address = stage.seen(&mut agent, false)?;
        let leases = stage.leases()?;
        ensure!(leases.len() == 1 && leases[0]["uid"] == uid, "{leases:?}");
        ensure!(text(&leases[0], "address")? == address.to_string());
        agent.finish()?;
        stage.nothing_left()?;
    }
    for without in ["db.service", "db.service/web.service"] {
        let refused = stage.hold_in(&units.unit(without)?, NOBODY, &office);
        let said = format!("{:#}", refused.err().context(without)?);
        ensure!(said.contains("may-use"), "{said}");
    }
    let outside = stage.hold_as(NOBODY, &office);
    let said = format!("{:#}", outside.err().context("outside")?);
    ensure!(said.contains("may-use"), "{said}");
    stage.nothing_left()
}

#[test]
fn without_hostletd_the_error_says_so() -> Result<()> {
    let mut stage = Stage::new(CONFIG)?;
    if let Some(daemon) = stage.daemon.take() {
        daemon.stop()?;
    }
    stage.refused(&["--pool", "office"], &["hostletd"])?;
    let said = stage.install.fail(&stage.host, 1, &["leases"])?;
    ensure!(said.contains("hostletd"), "{said}");
    Ok(())
}

/// Two hundred at once at a hundred addresses: a hundred are served, the others told.
#[test]
fn two_hundred_callers_at_a_hundred_addresses() -> Result<()> {
    let config = "[pool.hundred]\ninterface = \"eth0\"\n\
        ranges = [\"10.0.0.100-10.0.0.199\"]\nprobe = \"off\"\n";
    let stage = Stage::new(config)?;
    let results: Vec<_> = std::thread::scope(|scope| {
        let callers: Vec<_> = (0..200)
            .map(|_| scope.spawn(|| stage.hold(&["--pool", "hundred"])))
            .collect();
        callers.into_iter().map(|c| c.join()).collect()
    });
    let mut agents = Vec::new();
    let mut refused = 0;
    for result in results {
        match result.expect("no caller panics") {
            Ok(agent) => agents.push(agent),
            Err(why) => {
                let why = format!("{why:#}");
                ensure!(why.contains("hundred"), "{why}");
                refused += 1;
            }
        }
    }
    ensure!(agents.len() == 100 && refused == 100, "{}", agents.len());
    let held = stage.held()?;
    ensure!(held.len() == 100, "{} hold", held.len());
    ensure!(stage.placed()?.len() == 100);
    let mut seen = std::collections::BTreeSet::new();
    for agent in &mut agents {
        let address = stage.seen(agent, false)?;
        ensure!(seen.insert(address), "{address} is used by two");
    }
    drop(agents);
    stage.nothing_left()?;
    wait::until("the pool to be empty", || {
        stage.pool("hundred").is_ok_and(|p| p["held"] == 0)
    })
}
