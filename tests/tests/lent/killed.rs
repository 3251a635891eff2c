//! hostletd is killed while it changes a hostlet.

use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use hostlet_engine::{Engine, Paths};
use hostlet_model::Lifetime;

use crate::stage::{Stage, name, owned, wishes};

/// What a killed exchange left is completed by the next command, whenever it was killed.
#[test]
fn an_exchange_that_is_killed_is_completed() -> Result<()> {
    let mut s = Stage::new()?;
    s.lend(&Lifetime::Kept, &["10.0.0.5"])?;
    let root = s.lan.install().context("hostlets")?.root().to_owned();
    let mut undone = 0;
    for round in 0..40_u32 {
        let mut changing = s.lan.host().command(std::env::current_exe()?);
        let mut changing = changing
            .args([
                "--nocapture",
                "--ignored",
                "--exact",
                "killed::exchanges_until_it_is_killed",
            ])
            .env("HOSTLET_LENT_ROOT", &root)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        // It says when it begins; each exchange takes a few milliseconds.
        let output = changing.stdout.take().context("its output")?;
        let mut lines = std::io::BufRead::lines(std::io::BufReader::new(output));
        while !lines.next().context("it ended")??.contains("begins") {}
        let until = Instant::now() + Duration::from_micros(u64::from(round) * 367 % 9000);
        while Instant::now() < until {
            std::hint::spin_loop();
        }
        changing.kill()?;
        ensure!(changing.wait()?.signal() == Some(libc::SIGKILL));
        s.engine(|e| e.heal())??;
        let shown = s.shown()?;
        let has = |a: &str| shown["addresses"].to_string().contains(a);
        undone += u32::from(has("10.0.0.6"));
        let inside = s.players.of("in")?;
        for address in ["10.0.0.5", "10.0.0.6"] {
            inside.ask("a = socket tcp4")?;
            let bound = inside.ask(&format!("bind a {address}:8080"))?;
            let wanted = if has(address) { "ok" } else { "EADDRNOTAVAIL" };
            ensure!(
                bound == wanted,
                "round {round}, {address}: {bound} in {shown}"
            );
            inside.ask("close a")?;
        }
    }
    ensure!((1..40).contains(&undone), "every round ended alike");
    s.engine(|e| e.close(&name("in"), true))??;
    Ok(())
}

/// A part of the test above.
#[test]
#[ignore = "is killed by another test"]
fn exchanges_until_it_is_killed() -> Result<()> {
    let root = std::env::var_os("HOSTLET_LENT_ROOT").context("HOSTLET_LENT_ROOT")?;
    let engine = Engine::new(Paths::under(root.as_ref()), |_| {});
    let sets = [["10.0.0.5"], ["10.0.0.6"], ["10.0.0.5"]];
    println!("begins");
    loop {
        for pair in sets.windows(2) {
            engine.replace(&name("in"), &owned(&pair[0])?, &wishes(&pair[1])?)?;
        }
    }
}
