//! hostletd is killed while everything depends on it, as it seems: nothing does.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::lending::{Daemon, Lending};
use crate::report::{Better, Bound, Plot, Row, Section, grouped};
use crate::stage::{Place, Stage};

/// How many processes ask at once.
const CLIENTS: usize = 4;

/// All of them.
pub fn measure(stage: &Stage) -> Result<Section> {
    let lending = Lending::start(stage)?;
    // The client is in the network that is lent from.
    let address = "address replace 10.64.255.2/16 dev eth0";
    stage.client.ip([address])?;
    let request = Lending::request(crate::lending::RANGES, Some("served".to_owned()))?;
    let mut client = lending.client()?;
    let opened = client.open(&request)?;
    let address = opened.addresses.first().context("an address was lent")?;
    let result = killed(stage, lending, &address.address.to_string());
    // Whoever comes next takes over, and gives back what is held.
    let daemon = Daemon::alone(stage)?;
    let closed = daemon.client(stage)?.close(&opened.name, true);
    let row = result?;
    closed.context("close the hostlet")?;
    let about = "A server in a hostlet whose address hostletd lent, and clients that connect, ask, and are answered, as fast as they can; \
                 meanwhile hostletd is killed (SIGKILL), and started again.";
    Ok(Section::new("fault", "hostletd killed under load", about, Plot::None).with([row]))
}

fn killed(stage: &Stage, lending: Lending, address: &str) -> Result<Row> {
    let _server = stage.start(Place::Hostlet("served"), &["echo", "0.0.0.0:7002"])?;
    let third = Duration::from_secs(if stage.quick { 1 } else { 3 });
    let seconds = (third * 3).as_secs().to_string();
    let to = format!("{address}:7002");
    let words = ["ask", to.as_str(), seconds.as_str()];
    let mut askers = Vec::new();
    for _ in 0..CLIENTS {
        askers.push(stage.start(Place::Client, &words)?);
    }
    let begin = Instant::now();
    for asker in &mut askers {
        asker.nudge()?;
    }
    at(begin + third);
    lending.kill()?;
    at(begin + third * 2);
    let _daemon = Daemon::alone(stage)?;
    let (mut answered, mut failed) = (0, 0);
    for asker in &mut askers {
        let line = asker.line()?;
        let (a, f) = line.split_once(' ').context("two numbers")?;
        answered += a.parse::<u64>()?;
        failed += f.parse::<u64>()?;
    }
    anyhow::ensure!(
        answered > 100,
        "only {answered} requests were answered: nothing was tried"
    );
    let row = Row::new("failed requests", "requests", Better::Less)
        .command("kill -9 hostletd")
        .way("hostlet", [failed as f64])
        .note(
            "hostlet",
            format!("{} were answered", grouped(answered as f64)),
        );
    Ok(row.goal("hostlet", Bound::AtMost(0.0)))
}

#[expect(
    clippy::disallowed_methods,
    reason = "the load is to last, and nothing tells that it did but the time"
)]
fn at(when: Instant) {
    std::thread::sleep(when.saturating_duration_since(Instant::now()));
}
