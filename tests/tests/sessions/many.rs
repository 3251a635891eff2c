//! B1, B15: two hundred people at the same time.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::stage::{Stage, rule, within};

const WIDE: &str = "[pool.wide]\ninterface = \"eth0\"\nprobe = \"off\"\n\
    ranges = [\"10.0.0.20-10.0.0.254\"]\n";
const MANY: usize = 200;

#[test]
fn two_hundred_log_in_at_the_same_time() -> Result<()> {
    // Each client takes a few descriptors of the test's, which may have 1,024 to begin with.
    let files = getrlimit(Resource::Nofile);
    let all = Rlimit {
        current: files.maximum,
        ..files
    };
    setrlimit(Resource::Nofile, all).context("raising the limit of open files")?;
    // The deadline is not what this is about: the machine is busy.
    let sessions = "[sessions]\ndeadline = \"100s\"\n";
    let stage = Stage::new(&format!("{sessions}{WIDE}{}", rule("wide", "")))?;
    let people: Vec<&str> = ["alice", "bob"].into_iter().cycle().take(MANY).collect();
    let mut all = stage.login_all(&people)?;
    let mut told = BTreeSet::new();
    for session in &mut all {
        let own = session.run("echo $HOSTLET_ADDRESS")?.parse()?;
        ensure!(
            within(own, "10.0.0.20", "10.0.0.254"),
            "{own} is not of the pool"
        );
        ensure!(told.insert(own), "{own} is held twice");
    }
    ensure!(
        stage.placed()? == told,
        "on the machine: {:?}",
        stage.placed()?
    );
    ensure!(
        stage.sessions()?.len() == MANY,
        "{} sessions",
        stage.sessions()?.len()
    );
    for session in all.iter_mut().step_by(20) {
        let own: std::net::IpAddr = session.run("echo $HOSTLET_ADDRESS")?.parse()?;
        ensure!(stage.seen(session, false)? == own, "not seen as {own}");
    }
    // All at once as well.
    std::thread::scope(|scope| {
        let ending: Vec<_> = all.into_iter().map(|s| scope.spawn(|| s.end())).collect();
        let ended =
            |t: std::thread::ScopedJoinHandle<'_, Result<_>>| t.join().is_ok_and(|e| e.is_ok());
        ensure!(ending.into_iter().all(ended), "not all ended");
        Ok(())
    })?;
    stage.nothing_left()
}
