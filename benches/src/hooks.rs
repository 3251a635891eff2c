//! What each hook costs, by the kernel's own count, and whether established connections run any.
//!
//! The kernel's count of a run has a floor: what it counts of a program that does nothing, at the same place, in the same loop. The
//! promises are about what comes on top of it.

use std::collections::BTreeMap;

use anyhow::{Context, Result};

use crate::beside::{Beside, Side};
use crate::report::{Against, Better, Bound, Plot, Row, Section};
use crate::stage::{CLIENT4, CLIENT6};
use crate::stage::{Place, Stage};
use crate::stats::{Counting, Counts, Programs, between, of_nothing};
use crate::turns::{by_turns, needed};

/// A hostlet with one address of each family.
const ONE: (&str, [&str; 2]) = ("one", ["192.0.2.41", "2001:db8::41"]);
/// A hostlet with eight of each; the addresses named are not its primaries.
const MANY: (&str, [&str; 2]) = ("many", ["192.0.2.58", "2001:db8::58"]);

/// These run for packets; every other program of ours is a call hook.
const PACKET_HOOKS: &[&str] = &["hl_egress", "hl_ingress", "hl_learn", "hl_ping"];

/// What counts, around each loop.
const COUNTED: &str =
    "sysctl kernel.bpf_stats_enabled=1; hostlet-bench work LOOP ADDRESS TIMES; bpftool prog show";

const CALLS: &str = "20000";
const CONNECTIONS: &str = "4000";

/// One loop, and the programs whose cost it shows: name, label, promised nanoseconds.
struct Case {
    place: Place<'static>,
    words: Vec<String>,
    watched: Vec<(&'static str, String, f64)>,
}

fn cases(name: &'static str, [own4, own6]: [&str; 2]) -> Vec<Case> {
    let inside = Place::Hostlet(name);
    let words = |words: &[&str]| words.iter().map(|w| (*w).to_owned()).collect();
    let mut cases = Vec::new();
    for (program, label, address) in [
        ("hl_bind4", "bind 0.0.0.0", "0.0.0.0:8001"),
        ("hl_bind4", "bind its IPv4 address", &format!("{own4}:8001")),
        ("hl_bind4", "bind 127.0.0.1", "127.0.0.1:8001"),
        ("hl_bind6", "bind ::", "[::]:8001"),
        (
            "hl_bind6",
            "bind its IPv6 address",
            &format!("[{own6}]:8001"),
        ),
        ("hl_bind6", "bind ::1", "[::1]:8001"),
    ] {
        cases.push(Case {
            place: inside,
            words: words(&["bind", address, CALLS]),
            watched: vec![(program, label.to_owned(), 250.0)],
        });
    }
    for (version, client, own) in [
        ("4", CLIENT4, own4.to_owned()),
        ("6", CLIENT6, format!("[{own6}]")),
    ] {
        let pick = |v4, v6| if version == "4" { v4 } else { v6 };
        cases.push(Case {
            place: inside,
            words: words(&["connect", &format!("{client}:7000"), CONNECTIONS]),
            watched: vec![(
                pick("hl_connect4", "hl_connect6"),
                format!("connect, IPv{version}"),
                400.0,
            )],
        });
        cases.push(Case {
            place: inside,
            words: words(&["send", &format!("{client}:7001"), CALLS]),
            watched: vec![
                (
                    pick("hl_sendmsg4", "hl_sendmsg6"),
                    format!("sendmsg, IPv{version}"),
                    80.0,
                ),
                (
                    "hl_egress",
                    format!("guard outwards, UDP, IPv{version}"),
                    35.0,
                ),
            ],
        });
        cases.push(Case {
            place: Place::Client,
            words: words(&["connect", &format!("{own}:7002"), CONNECTIONS]),
            watched: vec![
                ("hl_lookup", format!("sk_lookup, IPv{version}"), 150.0),
                (
                    "hl_egress",
                    format!("guard outwards, TCP, IPv{version}"),
                    35.0,
                ),
                (
                    "hl_ingress",
                    format!("guard inwards, TCP, IPv{version}"),
                    35.0,
                ),
            ],
        });
    }
    cases
}

/// All of them.
pub fn measure(stage: &Stage) -> Result<Section> {
    let one: Vec<String> = ONE.1.iter().map(ToString::to_string).collect();
    let many: Vec<String> = (51..=58)
        .flat_map(|last| [format!("192.0.2.{last}"), format!("2001:db8::{last}")])
        .collect();
    for (name, addresses) in [(ONE.0, one), (MANY.0, many)] {
        let options = addresses
            .iter()
            .map(|address| format!("--address={address}"));
        let words: Vec<String> = ["create".to_owned(), name.to_owned()]
            .into_iter()
            .chain(options)
            .collect();
        stage.hostlet(&words.iter().map(String::as_str).collect::<Vec<_>>())?;
    }
    let mut rows = whole(stage)?;
    // Eleven more machines are worth their time where all is measured.
    if !stage.quick {
        rows.extend(crate::net::calls(stage)?);
    }
    rows.extend(cost(stage)?);
    rows.push(established(stage)?);
    for name in [ONE.0, MANY.0] {
        stage.hostlet(&["remove", name])?;
    }
    let about = "First the calls themselves, in a tight loop: in hostlets of one address and of eight of each family; then, by the C library, in each \
                 way and on machines of their own, as above, where a call of a supervised program waits for another process. Then nanoseconds of each kernel program by the kernel's own count, over \
                 those of one that does nothing, at the same place and in the same loop, by turns.";
    Ok(Section::new("calls", "What the hooks cost", about, Plot::None).with(rows))
}

/// The calls as programs make them, with all that the kernel does for them: socket, bind, close; socket, connect, close; sendto.
fn whole(stage: &Stage) -> Result<Vec<Row>> {
    let _sink = stage.start(Place::Client, &["accept", "[::]:7000"])?;
    let mut rows = Vec::new();
    for (what, words) in [
        ("bind 0.0.0.0", ["bind", "0.0.0.0:8001", CALLS]),
        ("bind ::", ["bind", "[::]:8001", CALLS]),
        ("connect", ["connect", "192.0.2.2:7000", CONNECTIONS]),
        ("sendto", ["send", "192.0.2.2:7001", CALLS]),
    ] {
        let take = |place| move |_| stage.work(place, &words);
        let takers = vec![
            needed("native", take(Place::Machine)),
            needed("one address", take(Place::Hostlet(ONE.0))),
            needed("eight addresses", take(Place::Hostlet(MANY.0))),
        ];
        let row = Row::new(what, "ns", Better::Less).command(command(&words));
        rows.push(by_turns(row, stage.rounds(15), takers)?.against("native", Against::More));
    }
    Ok(rows)
}

/// How a reader runs a loop.
fn command(words: &[&str]) -> String {
    format!("hostlet-bench work {}", words.join(" "))
}

/// Mean nanoseconds of each hook, for one address and for several.
fn cost(stage: &Stage) -> Result<Vec<Row>> {
    let rounds = stage.rounds(5);
    let programs = Programs::pinned_below(&stage.root.join("bpf"))?;
    let _counting = Counting::start()?;
    let _sink = stage.start(Place::Client, &["accept", "[::]:7000"])?;
    // Client, addresses and server are as on the stage.
    let idle = Beside::with_idle_programs(stage)?;
    let nothing = idle.idle_programs()?;
    let _idles = [
        idle.start(Side::PlainClient, &["accept", "[::]:7000"])?,
        idle.start(Side::Idle, &["accept", "[::]:7002"])?,
    ];
    let mut figures: Vec<(String, Vec<f64>, Option<f64>)> = Vec::new();
    let hostlets = [
        (ONE.0, "one address", ONE.1),
        (MANY.0, "eight addresses", MANY.1),
    ];
    for (name, what, addresses) in hostlets.into_iter().take(stage.few(2)) {
        let server = stage.start(Place::Hostlet(name), &["accept", "[::]:7002"])?;
        let cases = cases(name, addresses);
        let mut means: BTreeMap<String, Vec<f64>> = BTreeMap::new();
        let mut others: BTreeMap<String, Vec<f64>> = BTreeMap::new();
        for _ in 0..rounds {
            for case in &cases {
                let words: Vec<&str> = case.words.iter().map(String::as_str).collect();
                let side = match case.place {
                    Place::Client => Side::PlainClient,
                    _ => Side::Idle,
                };
                let before = (programs.read()?, nothing.read()?);
                stage.work(case.place, &words)?;
                idle.work(side, &words)?;
                let floor = between(&before.1, &nothing.read()?);
                for (program, count) in between(&before.0, &programs.read()?) {
                    let Some(mean) = count.mean() else { continue };
                    let mean = mean - of_nothing(&floor, &program);
                    match case.watched.iter().find(|(p, _, _)| *p == program) {
                        Some((_, label, _)) => means.entry(label.clone()).or_default().push(mean),
                        None => others.entry(program).or_default().push(mean),
                    }
                }
            }
        }
        drop(server);
        for (_, label, promised) in cases.iter().flat_map(|case| &case.watched) {
            let measured = means
                .remove(label)
                .with_context(|| format!("{label}: the program never ran"))?;
            figures.push((format!("{label}; {what}"), measured, Some(*promised)));
        }
        for (program, means) in others {
            let watched = cases.iter().flat_map(|case| &case.watched);
            if watched.clone().any(|(name, _, _)| *name == program) {
                continue;
            }
            figures.push((format!("{program}; {what}"), means, None));
        }
    }
    let rows = figures.into_iter().map(|(what, means, promised)| {
        let row = Row::new(what, "ns", Better::Less).way("hostlet", means);
        let row = row.command(COUNTED);
        match promised {
            Some(most) => row.goal("hostlet", Bound::AtMost(most)),
            None => row,
        }
    });
    Ok(rows.collect())
}

/// How often call hooks ran while an established connection exchanged data.
fn established(stage: &Stage) -> Result<Row> {
    let programs = Programs::pinned_below(&stage.root.join("bpf"))?;
    let _counting = Counting::start()?;
    let server = stage.start(Place::Client, &["echo", "[::]:7000"])?;
    let mut talk = stage.start(
        Place::Hostlet(ONE.0),
        &["talk", &format!("{CLIENT4}:7000"), "10000"],
    )?;
    let before = programs.read()?;
    talk.nudge()?;
    talk.line().context("the exchange of 10,000 bytes")?;
    let counts = between(&before, &programs.read()?);
    talk.nudge()?;
    drop(talk);
    drop(server);
    let packets = counts.get("hl_egress").map_or(0, |count| count.runs);
    anyhow::ensure!(
        packets >= 10_000,
        "the guard saw only {packets} packets: nothing was counted"
    );
    let what = "call hooks run by 10,000 exchanges on a TCP connection";
    Ok(Row::new(what, "runs", Better::Less)
        .command(COUNTED)
        .way("hostlet", [call_hook_runs(&counts) as f64])
        .goal("hostlet", Bound::AtMost(0.0)))
}

fn call_hook_runs(counts: &Counts) -> u64 {
    counts
        .iter()
        .filter(|(name, _)| !PACKET_HOOKS.contains(&name.as_str()))
        .map(|(_, count)| count.runs)
        .sum()
}
