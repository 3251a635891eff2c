//! Bind and connect, in each way.

use anyhow::Result;

use super::sides::Side;
use super::ways::Way;
use super::world::{Part, World};
use crate::report::{Against, Better, Row};
use crate::stage::{Stage, Talking, output};

const BINDS: &str = "4000";
const CONNECTS: &str = "1500";
const ROUNDS: usize = 10;
/// Where connections are taken.
const PORT: u16 = 7000;

/// Nanoseconds of each.
pub fn measure(stage: &Stage) -> Result<Vec<Row>> {
    let world = World::new(stage)?;
    let myself = stage.myself.display().to_string();
    let mut sink = world.client(&myself);
    sink.args(["work", "accept", &format!("0.0.0.0:{PORT}")]);
    let _sink = Talking::start(&mut sink)?;
    let mut rows = Vec::new();
    for (what, verb, count) in [
        ("bind 0.0.0.0, in each way", "bind", BINDS),
        ("connect, in each way", "connect", CONNECTS),
    ] {
        let words = |side: Option<&Side>| {
            let to = match (verb, side) {
                ("bind", _) => "0.0.0.0:8001".to_owned(),
                (_, Some(side)) => format!("{}:{PORT}", side.client()),
                (_, None) => format!("ADDRESS:{PORT}"),
            };
            ["work", "net", verb, &to, count].map(ToOwned::to_owned)
        };
        let command = format!("hostlet-bench {}", words(None).join(" "));
        let row = Row::new(what, "ns", Better::Less).command(command);
        let row = world.row(
            row,
            ROUNDS,
            |_| Part::Takes,
            |side, _| {
                let said = output(side.command(&myself).args(words(Some(side))))?;
                Ok(said.trim().parse()?)
            },
        )?;
        rows.push(row.against(Way::Native.name(), Against::More));
    }
    Ok(rows)
}
