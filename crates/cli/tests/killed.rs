//! A command that is killed anywhere has changed all or nothing, and the next command heals.

mod common;

use std::net::Ipv4Addr;
use std::process::Output;

use common::{HOSTLET, Machine, addresses, cgroup, table};

const CREATE: [&str; 8] = [
    "create",
    "web",
    "-a",
    "10.1.0.7/24",
    "-a",
    "10.9.0.0/24",
    "--assign",
    "d0",
];

/// Runs a command that is killed at its nth such call; false if it ended before.
fn killed_at(m: &Machine, call: &str, nth: usize, args: &[&str]) -> bool {
    !injected(m, call, &format!("signal=SIGKILL:when={nth}"), args)
        .status
        .success()
}

/// Runs a command to whose calls something happens.
fn injected(m: &Machine, call: &str, what: &str, args: &[&str]) -> Output {
    injected_into(m, &[], call, what, args)
}

/// The same, to those calls that these options of strace select.
fn injected_into(m: &Machine, those: &[&str], call: &str, what: &str, args: &[&str]) -> Output {
    m.inside("strace")
        .args(["-f", "-o", "/dev/null", "-e"])
        .arg(format!("trace={call}"))
        .arg(format!("--inject={call}:{what}"))
        .args(those)
        .arg(HOSTLET)
        .args(args)
        .output()
        .expect("this test needs strace")
}

#[test]
fn a_run_that_cannot_open_its_cgroup_ends_and_leaves_nothing() {
    let m = Machine::new("run-fails");
    m.ok(&["create", "stays", "-a", "10.1.0.2"]);
    let before = addresses(&m);
    let web = cgroup(&m, "stays").replace("stays", "web");
    let run = [
        "run", "--name", "web", "-a", "10.1.0.7", "--assign", "d0", "--", "true",
    ];
    let mut failed = 0;
    for nth in 1..=12 {
        let what = format!("error=EMFILE:when={nth}");
        let said = injected_into(&m, &["-P", &web], "openat", &what, &run);
        failed += usize::from(!said.status.success());
        // What it could not take away, the next command does.
        m.fails(1, &["remove", "nobody"]);
        assert_eq!(m.names(), ["stays"], "{nth}: {said:?}");
        assert_eq!(addresses(&m), before, "{nth}: {said:?}");
    }
    assert!(failed > 3, "only {failed} failed");
    m.ok(&["remove", "stays"]);
}

/// Where a command changes something: files, the network, the kernel part, the store.
fn places() -> impl Iterator<Item = (&'static str, usize)> {
    let calls = [
        ("mkdir", 4, 1),
        ("rmdir", 2, 1),
        ("bpf", 90, 9),
        ("sendto", 14, 2),
        ("pwrite64", 30, 4),
    ];
    calls
        .into_iter()
        .flat_map(|(call, last, step)| (1..=last).step_by(step).map(move |nth| (call, nth)))
}

#[test]
fn a_create_that_is_killed_is_whole_or_not_at_all() {
    created_and_killed("create-killed", &CREATE);
}

#[test]
fn a_create_of_many_addresses_that_is_killed_is_whole_or_not_at_all() {
    created_and_killed("create-many-killed", &strs(&many()));
}

fn created_and_killed(what: &str, create: &[&str]) {
    let m = Machine::new(what);
    // Somebody stays, so that the kernel part does and commands are quick.
    m.ok(&["create", "stays", "-a", "10.1.0.2"]);
    let before = addresses(&m);
    let mut killed = 0;
    for (call, nth) in places() {
        killed += usize::from(killed_at(&m, call, nth, create));
        // Any changing command heals; this one is refused besides.
        m.fails(1, &["remove", "nobody"]);
        if m.names().len() == 2 {
            let live = m.ok(&["list"]).matches(" live ").count();
            assert_eq!(live, 2, "killed at {call} {nth}");
            m.ok(&["remove", "web"]);
        }
        assert_eq!(m.names(), ["stays"], "killed at {call} {nth}");
        assert_eq!(addresses(&m), before, "killed at {call} {nth}");
    }
    assert!(killed > 12, "only {killed} were killed");
    m.ok(&["remove", "stays"]);
}

#[test]
fn a_remove_that_is_killed_is_finished_by_the_next_command() {
    removed_and_killed("remove-killed", &CREATE);
}

#[test]
fn a_remove_of_many_addresses_that_is_killed_is_finished_by_the_next_command() {
    removed_and_killed("remove-many-killed", &strs(&many()));
}

fn removed_and_killed(what: &str, create: &[&str]) {
    let m = Machine::new(what);
    m.ok(&["create", "stays", "-a", "10.1.0.2"]);
    let before = addresses(&m);
    let mut killed = 0;
    for (call, nth) in places() {
        m.ok(create);
        killed += usize::from(killed_at(&m, call, nth, &["remove", "web"]));
        m.fails(1, &["remove", "nobody"]);
        if m.names().len() == 2 {
            // Killed before it began.
            m.ok(&["enter", "web", "--", "true"]);
            m.ok(&["remove", "web"]);
        }
        assert_eq!(m.names(), ["stays"], "killed at {call} {nth}");
        assert_eq!(addresses(&m), before, "killed at {call} {nth}");
    }
    assert!(killed > 12, "only {killed} were killed");
    m.ok(&["remove", "stays"]);
}

/// More addresses than go to the kernel at once, and some of the other family.
fn many() -> Vec<String> {
    let mut create: Vec<String> = ["create", "web", "--assign", "d0"]
        .map(str::to_owned)
        .into();
    let v4 = (1..=40).map(|n| format!("10.7.0.{n}/32"));
    let v6 = (1..=4).map(|n| format!("2001:db8:7::{n}/128"));
    create.extend(v4.chain(v6).flat_map(|a| ["-a".to_owned(), a]));
    create
}

fn strs(all: &[String]) -> Vec<&str> {
    all.iter().map(String::as_str).collect()
}

#[test]
fn where_the_kernels_answer_is_lost_it_is_all_or_nothing() {
    let places = (1..=28).chain((37..=100).step_by(9));
    answer_lost(
        "answer-lost",
        &CREATE,
        places,
        &["10.1.0.7/24", "local 10.9.0.0/24"],
    );
}

#[test]
fn where_the_answer_of_many_is_lost_it_is_all_or_nothing() {
    let places = (9..=20).chain((25..=110).step_by(12));
    answer_lost("answers-lost", &strs(&many()), places, &["10.7.0."; 40]);
}

/// Loses the kernel's answer at each of these places. What is made sets all of these on interfaces.
fn answer_lost(what: &str, create: &[&str], places: impl Iterator<Item = usize>, sets: &[&str]) {
    let m = Machine::new(what);
    m.ok(&["create", "stays", "-a", "10.1.0.2"]);
    let before = addresses(&m);
    let (mut none, mut all) = (0, 0);
    // With it, or as if it had never been begun; without it afterwards.
    let mut whole_or_not = |when: &str| {
        let made = m.names().len() == 2;
        let there = addresses(&m);
        if made {
            all += 1;
            assert_eq!(m.ok(&["list"]).matches(" live ").count(), 2, "{when}");
            let mut left = &there[..];
            for set in sets {
                let (_, behind) = left
                    .split_once(set)
                    .unwrap_or_else(|| panic!("{when}: {set}: {there}"));
                left = behind;
            }
            m.ok(&["remove", "web"]);
        } else {
            none += 1;
            assert_eq!(there, before, "{when}");
        }
        m.ok(&["check"]);
    };
    for nth in places {
        // Once: the command itself sees to it, and says what is true.
        let lost = format!("error=EIO:when={nth}");
        let said = injected(&m, "recvfrom", &lost, create);
        assert_eq!(
            said.status.success(),
            m.names().len() == 2,
            "{lost}: {said:?}"
        );
        whole_or_not(&format!("{lost}: {said:?}"));
        // From then on: the next changing command does.
        let lost = format!("{lost}+");
        let said = injected(&m, "recvfrom", &lost, create);
        m.fails(1, &["remove", "nobody"]);
        whole_or_not(&format!("{lost}: {said:?}"));
        m.ok(create);
        let said = injected(&m, "recvfrom", &lost, &["remove", "web"]);
        m.fails(1, &["remove", "nobody"]);
        whole_or_not(&format!("remove, {lost}: {said:?}"));
    }
    assert!(none > 9 && all > 9, "{none} were not made, {all} were");
    m.ok(&["remove", "stays"]);
}

const ADDED: &str = "10.1.0.7";

/// Whether web has [`ADDED`]; all who say so must say the same.
fn has_added(m: &Machine, when: &str) -> bool {
    let shown: serde_json::Value = serde_json::from_str(&m.ok(&["show", "web", "--json"])).unwrap();
    let listed = shown["addresses"].as_array().unwrap();
    let listed = listed.iter().any(|a| a["address"] == ADDED);
    // The last word of the key is the IPv4 address; a single other one makes it `many`.
    let word = |bytes: &[u8], n: usize| <[u8; 4]>::try_from(&bytes[4 * n..4 * n + 4]).unwrap();
    let number = |bytes: &[u8], n: usize| u64::from(u32::from_ne_bytes(word(bytes, n)));
    let owners: Vec<(String, u64, u64)> = table(m, "owners")
        .iter()
        .map(|(key, owner)| {
            let address = Ipv4Addr::from(word(key, 3)).to_string();
            (address, number(owner, 0), number(owner, 1))
        })
        .collect();
    let web = shown["id"].as_u64().unwrap();
    let owned = owners.iter().any(|(a, id, _)| a == ADDED && *id == web);
    assert_eq!(owned, listed, "{when}: owners: {owners:?}");
    let many = owners.iter().any(|(a, _, f)| a == "10.1.0.1" && f & 2 != 0);
    assert_eq!(many, listed, "{when}: flags: {owners:?}");
    let placed = addresses(m).contains("10.1.0.7/24");
    assert_eq!(placed, listed, "{when}: on the interface: {placed}");
    let bind = format!("import socket; socket.socket().bind(('{ADDED}', 0))");
    let bound = m.hostlet(&["enter", "web", "--", "python3", "-c", &bind]);
    assert_eq!(bound.status.success(), listed, "{when}: {bound:?}");
    let history = m.ok(&["history", "--hostlet", "web", "--address", ADDED, "--json"]);
    let history: serde_json::Value = serde_json::from_str(&history).unwrap();
    let open = history
        .as_array()
        .unwrap()
        .iter()
        .any(|h| h["to"].is_null());
    assert_eq!(open, listed, "{when}: {history}");
    listed
}

/// Kills one verb at every place, and expects the next command to leave it done or not begun.
fn changed_and_killed(m: &Machine, from: bool, change: &[&str], back: &[&str]) {
    m.ok(&["create", "web", "-a", "10.1.0.1"]);
    if from {
        m.ok(back);
    }
    let before = addresses(m);
    let (mut killed, mut done) = (0, 0);
    let calls = [("bpf", 26, 1), ("sendto", 14, 1), ("pwrite64", 26, 2)];
    for (call, last, step) in calls {
        for nth in (1..=last).step_by(step) {
            killed += usize::from(killed_at(m, call, nth, change));
            // What is half done is nobody's doing.
            m.ok(&["check"]);
            // Any changing command heals; this one is refused besides.
            let said = m.fails(1, &["remove", "nobody"]);
            let when = format!("killed at {call} {nth}");
            assert!(!said.contains("healed"), "{when}: {said}");
            if has_added(m, &when) != from {
                done += 1;
                m.ok(back);
            }
            assert_eq!(has_added(m, &when), from, "{when}: and taken back");
            assert_eq!(addresses(m), before, "{when}");
        }
    }
    assert!(killed > 20, "only {killed} were killed");
    assert!(done > 2, "only {done} were done");
    m.ok(&["remove", "web"]);
}

const GRANT: [&str; 5] = ["grant", "web", "10.1.0.7/24", "--assign", "d0"];
const REVOKE: [&str; 3] = ["revoke", "web", ADDED];

#[test]
fn a_grant_that_is_killed_is_whole_or_not_at_all() {
    let m = Machine::new("grant-killed");
    changed_and_killed(&m, false, &GRANT, &REVOKE);
}

#[test]
fn a_revoke_that_is_killed_is_whole_or_not_at_all() {
    let m = Machine::new("revoke-killed");
    changed_and_killed(&m, true, &REVOKE, &GRANT);
}

#[test]
fn an_apply_that_is_killed_is_done_by_the_next() {
    let m = Machine::new("apply-killed");
    let declare = |text: &str| std::fs::write(m.path("hostlet.toml"), text).unwrap();
    let one = "[hostlet.web]\naddresses = [\"10.1.0.1\"]\nassign = \"d0\"\n";
    let two = "[hostlet.web]\naddresses = [\"10.1.0.7/24\", \"10.1.0.1\"]\nassign = \"d0\"\nsource = \"random\"\n";
    declare(one);
    m.ok(&["apply"]);
    let before = addresses(&m);
    let mut killed = 0;
    for (call, last, step) in [("bpf", 30, 3), ("pwrite64", 30, 5)] {
        for nth in (1..=last).step_by(step) {
            declare(two);
            killed += usize::from(killed_at(&m, call, nth, &["apply"]));
            m.fails(1, &["remove", "nobody"]);
            let when = format!("killed at {call} {nth}");
            has_added(&m, &when);
            m.ok(&["apply"]);
            assert!(has_added(&m, &when), "{when}");
            let shown = m.ok(&["show", "web", "--json"]);
            assert!(shown.contains("random"), "{when}: {shown}");
            declare(one);
            m.ok(&["apply"]);
            assert!(!has_added(&m, &when), "{when}");
            assert_eq!(addresses(&m), before, "{when}");
        }
    }
    assert!(killed > 8, "only {killed} were killed");
    m.ok(&["remove", "web"]);
}
