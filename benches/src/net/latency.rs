//! The time from a request to its response, at a fixed rate.

use anyhow::{Context, Result};

use super::sides::{ECHO, Side};
use super::udp::pair;
use super::ways::Way;
use super::world::World;
use crate::report::{Against, Better, Bound, Plot, Row, Section};
use crate::stage::{Stage, Talking, output};

const RATE: &str = "10000";
/// Seconds of each measurement, and where it has to be short.
const SPAN: [&str; 2] = ["2", "1"];
const ROUNDS: usize = 20;
/// The alternatives are measured in one round of so many.
const OTHERS_EVERY: usize = 5;

const ABOUT: &str = "10,000 requests a second of 64 bytes, each sent when it is due whether or not the one before was answered, and timed from \
when it was due: what has to wait counts as waiting. They go in turn, forth and back, over one TCP connection to each of the machines: native, hostlet, programs that do nothing and native again, and in \
each fifth round all. So what happens to the computer meanwhile, which moves a 99th percentile more than anything else, happens to all of them. Every \
other round asks at the second address.";

/// The median and the 99th percentile of a way.
type Times = (f64, f64);

/// All of them.
pub fn measure(stage: &Stage) -> Result<Section> {
    let world = World::new(stage)?;
    let mut servers = Vec::new();
    for side in world.made() {
        let mut server = side.command(&stage.myself.display().to_string());
        server.args(["work", "net", "echo", &format!("0.0.0.0:{ECHO}")]);
        servers.push(Talking::start(&mut server)?);
    }
    let all: Vec<Way> = world.made().map(|side| side.way).collect();
    // Those that are in every round.
    let main: Vec<Way> = all.iter().copied().filter(|way| way.judges()).collect();
    let mut rounds: Vec<Vec<(Way, Times)>> = Vec::new();
    let mut failure = "there was no round of it".to_owned();
    for round in 0..stage.rounds(ROUNDS) {
        let taken = match round % OTHERS_EVERY {
            0 => paced(stage, &world, &all, round).or_else(|why| {
                failure = format!("{why:#}");
                paced(stage, &world, &main, round)
            })?,
            _ => paced(stage, &world, &main, round)?,
        };
        rounds.push(taken);
    }
    let row = |what: &str, of: fn(Times) -> f64| {
        let mut row = Row::new(what, "µs", Better::Less).command(format!(
            "hostlet-bench work net pace ADDRESS:{ECHO},ADDRESS:{ECHO},… {RATE} {}",
            span(stage)
        ));
        for (way, side) in &world.sides {
            let time = |taken: &Vec<(Way, Times)>| {
                let mut found = taken.iter().filter(|(of, _)| of == way);
                found.next().map(|(_, times)| of(*times))
            };
            let values: Vec<Option<f64>> = rounds.iter().map(time).collect();
            row = match side {
                Err(why) => row.cannot(way.name(), why),
                Ok(_) if values.iter().all(Option::is_none) => row.cannot(way.name(), &failure),
                Ok(_) => row.rounds(way.name(), values),
            };
        }
        row.against(Way::Native.name(), Against::Share)
    };
    let rows = [
        row("median", |(median, _)| median),
        row("99th percentile", |(_, late)| late).goal(Way::Hostlet.name(), Bound::AtMost(1.03)),
    ];
    let section = Section::new("latency", "Latency", ABOUT, Plot::Shares);
    Ok(section.with(rows))
}

fn span(stage: &Stage) -> &'static str {
    SPAN[usize::from(stage.quick)]
}

/// Asks these ways in turn.
fn paced(stage: &Stage, world: &World, ways: &[Way], round: usize) -> Result<Vec<(Way, Times)>> {
    // Each has each place in the turn.
    let mut ways = ways.to_vec();
    let first = round % ways.len();
    ways.rotate_left(first);
    let address = |way: &Way| -> Result<String> {
        let side: Option<&Side> = world.made().find(|side| side.way == *way);
        let side = side.with_context(|| format!("{} was not made", way.name()))?;
        let second = way.has_both() && round % 2 == 1;
        Ok(format!("{}:{ECHO}", side.address(second)))
    };
    let addresses: Vec<String> = ways.iter().map(address).collect::<Result<_>>()?;
    let mut pace = world.client(&stage.myself.display().to_string());
    let said = output(pace.args([
        "work",
        "net",
        "pace",
        &addresses.join(","),
        RATE,
        span(stage),
    ]))?;
    let times: Vec<Times> = said.lines().map(pair).collect::<Result<_>>()?;
    anyhow::ensure!(times.len() == ways.len(), "it said: {said}");
    Ok(ways.into_iter().zip(times).collect())
}
