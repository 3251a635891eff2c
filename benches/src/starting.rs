//! Starting a program in a hostlet, beside other ways to confine it; making a hostlet by itself; processes that processes make.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use hostlet_testkit::netns::NetNs;

use crate::floor::Floor;
use crate::memory::kernel_kib;
use crate::report::{Against, Better, Bound, KERNELS_PART, Plot, Row, Section};
use crate::stage::{ANOTHER4, Place, Stage, output};
use crate::turns::{by_turns, needed, often, other};

/// What a namespace needs that a program on the wire can use, and its end. The interface has a name that was never used: the kernel
/// takes that of the last namespace away some time after the namespace.
const NETNS: &str = "
set -e
ip netns add bench
ip link add bench$$ type veth peer name eth0 netns bench
ip link set bench$$ up
ip -n bench link set lo up
ip -n bench link set eth0 up
ip -n bench address add 203.0.113.2/24 dev eth0
ip -n bench route add default dev eth0
ip netns exec bench true
ip netns del bench";

/// A container that sees this machine's programs.
const OCI: &str = r#"{"ociVersion": "1.0.2",
 "process": {"user": {"uid": 0, "gid": 0}, "args": ["/usr/bin/true"], "cwd": "/"},
 "root": {"path": "rootfs"},
 "mounts": [{"destination": "/usr", "source": "/usr", "type": "bind", "options": ["rbind", "ro"]},
            {"destination": "/proc", "source": "proc", "type": "proc"}],
 "linux": {"namespaces": [{"type": "pid"}, {"type": "network"}, {"type": "mount"}]}}"#;

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// Milliseconds of a command, from its start to its end.
pub fn took(command: &mut Command) -> Result<f64> {
    let program = command.get_program().to_string_lossy().into_owned();
    command.stdin(Stdio::null()).stdout(Stdio::null());
    let start = Instant::now();
    let done = command.stderr(Stdio::piped()).output();
    let took = start.elapsed();
    let done = done.with_context(|| format!("start {program}"))?;
    if !done.status.success() {
        let said = String::from_utf8_lossy(&done.stderr);
        bail!("{}", said.lines().last().unwrap_or("it failed"));
    }
    Ok(milliseconds(took))
}

/// All of them.
pub fn measure(stage: &Stage) -> Result<Section> {
    let first = first(stage)?;
    // From here on the kernel part is there.
    let floor = Floor::new(stage)?;
    let mut rows = vec![
        true_(stage, &floor)?,
        first,
        create(stage, &floor)?,
        remove(stage, &floor)?,
    ];
    rows.push(forks(stage)?);
    stage.hostlet(&["remove", "stays"])?;
    let about = "The whole of a command, from its start to its end, that runs `true`: a hostlet, or what is used instead, is made and \
                 taken away again. `unshare` and `bwrap` make a namespace without any interface that is up, `runc` a container without network, \
                 `ip netns exec` comes with a veth, an address and a route, all made and removed by ip(8). *The kernel's part* is \
                 [`bench/floor.c`](../bench/floor.c): the calls by which hostlet changes something, or without which nothing can be decided \
                 (the programs of a cgroup, tables, the mount namespace, listings of addresses and sockets), one after the other, by a \
                 program that does nothing else. Below that no command comes; what is above it is hostlet's own: a database that \
                 each command opens anew, what it parses and checks, and the start of a larger program.";
    Ok(Section::new("starting", "Starting a program", about, Plot::Values).with(rows))
}

/// The first hostlet of an installation has the kernel verify the programs.
fn first(stage: &Stage) -> Result<Row> {
    let mut values = Vec::new();
    for round in 0..stage.rounds(5) {
        if round > 0 {
            stage.hostlet(&["remove", "stays"])?;
        }
        let words = ["create", "stays", "--address", "192.0.2.51"];
        values.push(took(stage.command().args(words))?);
    }
    let row = Row::new("to create the first hostlet of all", "ms", Better::Less);
    Ok(row
        .command("hostlet create stays --address 192.0.2.51")
        .way("hostlet", values))
}

/// `hostlet run -- true` over `true`.
fn true_(stage: &Stage, floor: &Floor) -> Result<Row> {
    let bundle = stage.root.join("bundle");
    let rootfs = bundle.join("rootfs");
    std::fs::create_dir_all(&rootfs)?;
    for lib in ["lib", "lib64"] {
        symlink(Path::new("usr").join(lib), rootfs.join(lib))?;
    }
    std::fs::write(bundle.join("config.json"), OCI)?;
    let words = ["run", "--address", ANOTHER4, "--", "true"];
    let row = Row::new("to start true", "ms", Better::Less)
        .command(format!("hostlet {}", words.join(" ")));
    let takers = vec![
        needed("native", |_| took(&mut Command::new("true"))),
        needed("hostlet", |_| took(stage.command().args(words))),
        often(KERNELS_PART, |_| floor.took("run")),
        other("unshare -n", |_| {
            took(Command::new("unshare").args(["-n", "true"]))
        }),
        other("bwrap", |_| {
            let words = ["--bind", "/", "/", "--dev", "/dev", "--unshare-net", "true"];
            took(Command::new("bwrap").args(words))
        }),
        other("ip netns exec", |_| {
            took(Command::new("sh").args(["-c", NETNS]))
        }),
        other("runc", |_| oci(&bundle)),
    ];
    let row = by_turns(row, stage.rounds(40), takers)?;
    Ok(row
        .against("native", Against::More)
        .goal("hostlet", Bound::AtMost(2.0)))
}

fn oci(bundle: &Path) -> Result<f64> {
    let mut command = Command::new("runc");
    took(command.args(["run", "--bundle"]).arg(bundle).arg("bench"))
}

/// A create, as a command.
fn create(stage: &Stage, floor: &Floor) -> Result<Row> {
    let row = Row::new(
        "to create a hostlet, or a namespace with veth",
        "ms",
        Better::Less,
    )
    .command(format!("hostlet create NAME --address {ANOTHER4}"));
    let hostlet = |_| {
        let took = took(
            stage
                .command()
                .args(["create", "figure", "--address", ANOTHER4]),
        )?;
        stage.hostlet(&["remove", "figure"])?;
        Ok(took)
    };
    let netns = |_| {
        let (make, end) = NETNS.split_once("ip netns exec").context("the script")?;
        let end = end.split_once('\n').context("the script")?.1;
        let took = took(Command::new("sh").args(["-c", make]));
        output(Command::new("sh").args(["-c", end]))?;
        took
    };
    let floor = |_| {
        let took = floor.took("create")?;
        floor.took("remove")?;
        Ok(took)
    };
    let takers = vec![
        needed("hostlet", hostlet),
        often(KERNELS_PART, floor),
        other("ip(8)", netns),
    ];
    by_turns(row, stage.rounds(30), takers)
}

/// A remove, as a command.
fn remove(stage: &Stage, floor: &Floor) -> Result<Row> {
    let what = "to remove a hostlet, or a namespace with veth";
    let row = Row::new(what, "ms", Better::Less).command("hostlet remove NAME");
    let hostlet = |_| {
        stage.hostlet(&["create", "figure", "--address", ANOTHER4])?;
        took(stage.command().args(["remove", "figure"]))
    };
    let floor = |_| {
        floor.took("create")?;
        floor.took("remove")
    };
    let netns = |_| {
        let (make, end) = NETNS.split_once("ip netns exec").context("the script")?;
        let end = end.split_once('\n').context("the script")?.1;
        output(Command::new("sh").args(["-c", make]))?;
        took(Command::new("sh").args(["-c", end]))
    };
    let takers = vec![
        needed("hostlet", hostlet),
        often(KERNELS_PART, floor),
        other("ip(8)", netns),
    ];
    by_turns(row, stage.rounds(30), takers)
}

/// KiB that the kernel holds for each of many namespaces with a veth; they all end with this.
pub fn namespaces(stage: &Stage) -> Result<Vec<f64>> {
    // So many that what else the kernel takes and gives back is small beside what they hold together.
    const MANY: u32 = 100;
    let (mut values, mut all) = (Vec::new(), Vec::new());
    // What goes with a namespace goes later than its end is told: the rounds are held together.
    for round in 0..stage.rounds(2) {
        let before = kernel_kib()?;
        for n in 0..MANY {
            let ns = NetNs::new("memory")?;
            let ours = format!("memory{round}x{n}");
            let lines = [format!(
                "link add {ours} type veth peer name eth0 netns {}",
                ns.path()
            )];
            crate::stage::ip(&lines)?;
            ns.ip([
                "link set eth0 up".to_owned(),
                format!("address add 198.18.1.{n}/32 dev eth0"),
            ])?;
            all.push(ns);
        }
        values.push((kernel_kib()? - before) / f64::from(MANY));
    }
    Ok(values)
}

/// Processes that end at once.
fn forks(stage: &Stage) -> Result<Row> {
    const FORKS: &str = "400";
    let forks = |place| Ok(1e9 / stage.work(place, &["fork", FORKS])?);
    let row = Row::new("processes made by a program", "a second", Better::More)
        .command(format!("hostlet-bench work fork {FORKS}"));
    let takers = vec![
        needed("native", |_| forks(Place::Machine)),
        needed("hostlet", |_| forks(Place::Hostlet("stays"))),
    ];
    Ok(by_turns(row, stage.rounds(40), takers)?
        .against("native", Against::Share)
        .goal("hostlet", Bound::AtLeast(0.99)))
}

#[cfg(test)]
mod tests {
    use super::NETNS;

    #[test]
    fn what_is_made_is_taken_away() {
        let (make, end) = NETNS.split_once("ip netns exec").unwrap();
        assert!(make.contains("ip netns add") && end.ends_with("ip netns del bench"));
    }
}
