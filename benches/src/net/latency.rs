//! The time from a request to its response, at a fixed rate.

use std::cell::RefCell;

use anyhow::Result;

use super::sides::{ECHO, Side};
use super::udp::pair;
use super::ways::Way;
use super::world::{Part, World};
use crate::report::{Against, Better, Bound, Plot, Row, Section};
use crate::stage::{Stage, Talking, output};

const RATE: &str = "10000";
/// Seconds of each measurement.
const SPAN: &str = "0.5";
const ROUNDS: usize = 15;

const ABOUT: &str = "10,000 requests a second of 64 bytes on one TCP connection, each sent when it is due whether or not the one before was \
answered, and timed from when it was due: what has to wait counts as waiting. Every other round asks at the second address.";

/// All of them.
pub fn measure(stage: &Stage) -> Result<Section> {
    let world = World::new(stage)?;
    let mut servers = Vec::new();
    for side in world.made() {
        let mut server = side.command(&stage.myself.display().to_string());
        server.args(["work", "net", "echo", &format!("0.0.0.0:{ECHO}")]);
        servers.push(Talking::start(&mut server)?);
    }
    // The medians come from the same rounds.
    let medians: RefCell<Vec<(Way, usize, f64)>> = RefCell::default();
    let take = |side: &Side, round: usize| -> Result<f64> {
        let address = format!(
            "{}:{ECHO}",
            side.address(side.way.has_both() && round % 2 == 1)
        );
        let mut pace = world.client(&stage.myself.display().to_string());
        let (median, late) = pair(&output(
            pace.args(["work", "net", "pace", &address, RATE, SPAN]),
        )?)?;
        medians.borrow_mut().push((side.way, round, median));
        Ok(late)
    };
    let row = |what: &str| {
        Row::new(what, "µs", Better::Less).command(format!(
            "hostlet-bench work net pace ADDRESS:{ECHO} {RATE} {SPAN}"
        ))
    };
    let late = world.row(row("99th percentile"), ROUNDS, |_| Part::Takes, take)?;
    let mut median = row("median");
    for way in &late.ways {
        let of = Way::ALL.into_iter().find(|w| w.name() == way.name);
        let all = medians.borrow();
        let rounds = way.samples.as_ref().map_or(0, |s| s.values.len());
        let value = |round| {
            let mut all = all.iter().filter(|(w, r, _)| Some(*w) == of && *r == round);
            all.next().map(|(_, _, value)| *value)
        };
        median = match &way.note {
            Some(why) => median.cannot(&way.name, why),
            None => median.rounds(&way.name, (0..rounds).map(value).collect()),
        };
    }
    let rows = [median.against(Way::Native.name(), Against::Share), {
        let late = late.against(Way::Native.name(), Against::Share);
        late.goal(Way::Hostlet.name(), Bound::AtMost(1.03))
    }];
    let section = Section::new("latency", "Latency", ABOUT, Plot::Shares);
    Ok(section.with(rows))
}
