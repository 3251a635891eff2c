//! Connections and requests: nginx and wrk.

use std::fs;

use anyhow::{Context, Result};

use super::sides::{Running, Side, WEB};
use super::ways::Way;
use super::world::{Part, World, nanoseconds_each};
use crate::report::{Against, Better, Bound, Plot, Row, Section};
use crate::stage::{Stage, output};

/// Seconds of each measurement: wrk takes no less.
const SPAN: &str = "1";
const ROUNDS: usize = 9;

/// So that each request has a connection.
const CLOSE: &str = "Connection: close";

const ABOUT: &str = "nginx on the wildcard with one worker, pinned to a processor, and wrk with one thread, pinned to another, at the \
other end of a wire (veth). Every other round asks at the server's second address. *Out* is wrk in the hostlet, the \
namespace and so on, and nginx at the client's end.";

/// One of the rows.
struct Case {
    what: &'static str,
    connections: &'static str,
    keep: bool,
    out: bool,
    goal: f64,
}

const CASES: &[Case] = &[
    Case {
        what: "connections in, one at a time",
        connections: "1",
        keep: false,
        out: false,
        goal: 0.98,
    },
    Case {
        what: "connections in, 32 at a time",
        connections: "32",
        keep: false,
        out: false,
        goal: 0.98,
    },
    Case {
        what: "connections out, 32 at a time",
        connections: "32",
        keep: false,
        out: true,
        goal: 0.98,
    },
    Case {
        what: "requests on 32 connections kept alive",
        connections: "32",
        keep: true,
        out: false,
        goal: 0.99,
    },
];

/// All of them.
pub fn measure(stage: &Stage) -> Result<Section> {
    let world = World::new(stage)?;
    let config = world.dir().join("nginx.conf");
    let text = format!(
        "daemon off; master_process off; pid {0}/pid; error_log /dev/null crit;\n\
         events {{ worker_connections 1024; }}\n\
         http {{ access_log off; keepalive_requests 1000000000;\n\
         server {{ listen {WEB}; location / {{ return 200 \"hello\\n\"; }} }} }}\n",
        world.dir().display()
    );
    fs::write(&config, text).with_context(|| format!("write {}", config.display()))?;
    let mut servers = Vec::new();
    for side in world.made() {
        let mut nginx = side.command("nginx");
        servers.push(side.serve(nginx.arg("-c").arg(&config), WEB)?);
    }
    let mut nginx = world.client("nginx");
    servers.push(Running::start(nginx.arg("-c").arg(&config))?);
    world.machine().wait_listening(WEB)?;
    let mut section = Section::new("web", "Connections and requests", ABOUT, Plot::Shares);
    // A quick run has one of connections and one of requests, and the alternatives in the first alone.
    let quick = |case: &&Case| case.connections == "1" || case.keep;
    for case in CASES.iter().filter(|case| !stage.quick || quick(case)) {
        section.rows.push(case.measure(stage, &world)?);
    }
    drop(servers);
    Ok(section)
}

impl Case {
    fn measure(&self, stage: &Stage, world: &World) -> Result<Row> {
        let command = self.words("ADDRESS").join(" ");
        let command = command.replace(CLOSE, &format!("'{CLOSE}'"));
        let row = Row::new(self.what, "1/s", Better::More).command(command);
        let part = |way: Way| match stage.quick && self.keep && !way.judges() {
            true => Part::LeftOut,
            false => Part::Takes,
        };
        let row = world.row(row, ROUNDS, part, |side, round| {
            self.rate(world, side, round)
        })?;
        let each = nanoseconds_each(&row);
        let kernel = world.kernel(each, |side| {
            Ok(self.rate(world, side, 1)? * SPAN.parse::<f64>()?)
        })?;
        Ok(row
            .kernel(Some(kernel))
            .against(Way::Native.name(), Against::Share)
            .goal(Way::Hostlet.name(), Bound::AtLeast(self.goal)))
    }

    fn words(&self, address: &str) -> Vec<String> {
        let mut words = vec!["wrk", "-t1", "-c", self.connections, "-d", SPAN];
        if !self.keep {
            words.extend(["-H", CLOSE]);
        }
        let url = format!("http://{address}:{WEB}/");
        words
            .into_iter()
            .map(ToOwned::to_owned)
            .chain([url])
            .collect()
    }

    fn rate(&self, world: &World, side: &Side, round: usize) -> Result<f64> {
        let (mut wrk, address) = match self.out {
            true => (side.command("wrk"), side.client()),
            false => (
                world.client("wrk"),
                side.address(side.way.has_both() && round % 2 == 1),
            ),
        };
        let said = output(wrk.args(&self.words(&address)[1..]))?;
        let rate = said
            .lines()
            .find_map(|line| line.strip_prefix("Requests/sec:"));
        let rate: f64 = rate
            .with_context(|| format!("wrk said: {said}"))?
            .trim()
            .parse()?;
        anyhow::ensure!(rate > 0.0, "nothing was answered");
        anyhow::ensure!(!said.contains("Non-2xx"), "wrong answers: {said}");
        Ok(rate)
    }
}
