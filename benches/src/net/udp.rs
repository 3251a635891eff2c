//! Small datagrams.

use anyhow::{Context, Result};

use super::sides::{ECHO, Side};
use super::ways::Way;
use super::world::{Part, World, nanoseconds_each};
use crate::report::{Against, Better, Bound, Plot, Row, Section};
use crate::stage::{Stage, Talking, output};

/// Seconds of each measurement.
const SPAN: &str = "0.3";
const ROUNDS: usize = 12;

const ABOUT: &str = "Datagrams of 64 bytes. *Sent* is from a socket in the hostlet, the namespace and so on, as fast as one thread goes, and counted \
where they arrive. *Answered* is by a server on the wildcard that sends each back, 32 on their way at a time; to its first address, and to \
its second, where hostlet has to steer them to the socket. (There, only in a hostlet do answers leave from the address that was asked; the client here takes \
them from anywhere.)";

const UNSENT: &str = "sends from the machine's address: only bind and connect are seen";
const FIRST_ALONE: &str = "has the first address alone";

/// All of them.
pub fn measure(stage: &Stage) -> Result<Section> {
    let world = World::new(stage)?;
    let mut section = Section::new("udp", "Small UDP datagrams", ABOUT, Plot::Shares);
    section.rows.extend(sent(stage, &world)?);
    section.rows.extend(answered(stage, &world)?);
    Ok(section)
}

fn sent(stage: &Stage, world: &World) -> Result<Vec<Row>> {
    let mut sink = world.client(&stage.myself.display().to_string());
    sink.args(["work", "net", "sink", &format!("0.0.0.0:{ECHO}")]);
    let (sink, _) = Talking::start(&mut sink)?;
    let sink = std::cell::RefCell::new(sink);
    let so_far = || -> Result<f64> {
        let mut sink = sink.borrow_mut();
        sink.nudge()?;
        Ok(sink.line()?.parse()?)
    };
    let mut rows = Vec::new();
    for how in ["connected", "unconnected"] {
        // How many arrived, and in how many seconds.
        let flood = |side: &Side| -> Result<(f64, f64)> {
            let before = so_far()?;
            let mut flood = side.command(&stage.myself.display().to_string());
            flood.args([
                "work",
                "net",
                "flood",
                how,
                &format!("{}:{ECHO}", side.client()),
                SPAN,
            ]);
            let (_, seconds) = pair(&output(&mut flood)?)?;
            Ok((so_far()? - before, seconds))
        };
        let row = Row::new(format!("sent, {how}"), "1/s", Better::More).command(format!(
            "hostlet-bench work net flood {how} ADDRESS:{ECHO} {SPAN}"
        ));
        let part = |way: Way| match how {
            "unconnected" if !way.has_both() => Part::Cannot(UNSENT),
            "unconnected" => unless_short(stage, way),
            _ => Part::Takes,
        };
        let row = world.row(row, ROUNDS, part, |side, _| {
            let (count, seconds) = flood(side)?;
            Ok(count / seconds)
        })?;
        let each = nanoseconds_each(&row);
        let kernel = world.kernel(each, |side| Ok(flood(side)?.0))?;
        rows.push(judged(row.kernel(Some(kernel)), 0.95));
    }
    Ok(rows)
}

fn answered(stage: &Stage, world: &World) -> Result<Vec<Row>> {
    let mut servers = Vec::new();
    for side in world.made() {
        let mut server = side.command(&stage.myself.display().to_string());
        server.args(["work", "net", "answer", &format!("0.0.0.0:{ECHO}")]);
        servers.push(Talking::start(&mut server)?);
    }
    let mut rows = Vec::new();
    for (what, second, goal) in [
        ("answered on the wildcard, first address", false, 0.95),
        ("answered on the wildcard, second address", true, 0.85),
    ] {
        let ask = |side: &Side| -> Result<(f64, f64)> {
            let mut ask = world.client(&stage.myself.display().to_string());
            let address = format!("{}:{ECHO}", side.address(second));
            let (count, seconds) =
                pair(&output(ask.args(["work", "net", "ask", &address, SPAN]))?)?;
            anyhow::ensure!(count > 0.0, "nothing was answered");
            Ok((count, seconds))
        };
        let row = Row::new(what, "1/s", Better::More)
            .command(format!("hostlet-bench work net ask ADDRESS:{ECHO} {SPAN}"));
        let part = |way: Way| match second {
            true if !way.has_both() => Part::Cannot(FIRST_ALONE),
            true => unless_short(stage, way),
            false => Part::Takes,
        };
        let row = world.row(row, ROUNDS, part, |side, _| {
            let (count, seconds) = ask(side)?;
            Ok(count / seconds)
        })?;
        let each = nanoseconds_each(&row);
        let kernel = world.kernel(each, |side| Ok(ask(side)?.0))?;
        rows.push(judged(row.kernel(Some(kernel)), goal));
    }
    Ok(rows)
}

/// In a quick run the alternatives are in the first row of each kind alone.
fn unless_short(stage: &Stage, way: Way) -> Part {
    match stage.quick && !way.judges() {
        true => Part::LeftOut,
        false => Part::Takes,
    }
}

fn judged(row: Row, goal: f64) -> Row {
    row.against(Way::Native.name(), Against::Share)
        .goal(Way::Hostlet.name(), Bound::AtLeast(goal))
}

/// Two numbers in a line.
pub fn pair(line: &str) -> Result<(f64, f64)> {
    let mut words = line.split_whitespace();
    let mut next = || words.next()?.parse().ok();
    let (first, second) = (next(), next());
    first
        .zip(second)
        .with_context(|| format!("'{line}' is not two numbers"))
}
