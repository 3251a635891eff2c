//! The configuration file: what it means, and where it is wrong.

use std::net::{IpAddr, Ipv4Addr};

use hostlet_model::config::{Config, Limits, Who, place_of};
use hostlet_model::{IpNet, Owned, SourcePolicy};
use proptest::prelude::*;

fn good(text: &str) -> Config {
    Config::parse(text, "hostlet.toml").unwrap_or_else(|e| panic!("{e}"))
}

/// The complaints as printed, one a line.
fn bad(text: &str) -> String {
    Config::parse(text, "hostlet.toml")
        .expect_err("taken")
        .to_string()
}

#[test]
fn everything_that_can_be_said() {
    let c = good(
        r#"
[defaults]
source = "random"
guard = false
assign = "eth0"

[limits]
hostlets = 8192
sockets = 1_000_000
history-days = 0x1e

[hostlet.web]
addresses = ["10.0.0.5/24", "2001:db8::5/64"]
source = "by-destination"
host-loopback = ["127.0.0.53:53", "[::1]:631"]
guard = true
raw = true
may-start = ["user:alice", "group:ops"]
may-enter = ["user:1000"]
user = "www-data"
group = "www-data"
workdir = "/srv"
env = { LANG = "C", EMPTY = "" }
keep-capability = ["net_bind_service", "CAP_CHOWN"]

[hostlet.db]
addresses = ["10.9.0.0/24"]
"#,
    );
    assert_eq!(
        c.limits,
        Limits {
            hostlets: 8192,
            sockets: 1_000_000,
            history_days: 30
        }
    );
    let web = &c.hostlets[&"web".parse().unwrap()];
    assert_eq!(web.spec.source, SourcePolicy::ByDestination);
    assert_eq!(web.spec.assign.as_deref(), Some("eth0"));
    assert!(web.spec.guard && web.spec.raw);
    assert_eq!(web.spec.host_loopback.len(), 2);
    assert_eq!(
        web.may_start,
        [Who::User("alice".into()), Who::Group("ops".into())]
    );
    assert_eq!(web.may_enter, [Who::User("1000".into())]);
    assert_eq!(web.run.user.as_deref(), Some("www-data"));
    assert_eq!(web.run.workdir.as_deref(), Some("/srv"));
    let mut env = web.run.env.clone();
    env.sort();
    assert_eq!(
        env,
        [("EMPTY".into(), "".into()), ("LANG".into(), "C".into())]
    );
    assert_eq!(
        web.run.keep_capabilities,
        ["CAP_NET_BIND_SERVICE", "CAP_CHOWN"]
    );
    let db = &c.hostlets[&"db".parse().unwrap()];
    assert_eq!(db.spec.source, SourcePolicy::Random);
    assert!(!db.spec.guard && !db.spec.raw);
}

#[test]
fn nothing_said_is_the_default() {
    let c = good("");
    assert_eq!(c, Config::default());
    assert_eq!(c.limits.hostlets, 4096);
    assert_eq!(c.limits.sockets, Limits::SOCKETS_PER_HOSTLET * 4096);
    assert_eq!(c.limits.history_days, 90);
}

#[test]
fn bound_sockets_follow_the_hostlets() {
    let limits = good("[limits]\nhostlets = 10\n").limits;
    assert_eq!(limits.sockets, 10 * Limits::SOCKETS_PER_HOSTLET);
}

#[test]
fn unknown_keys_have_line_column_and_a_hint() {
    let e = bad("[hostlet.web]\naddresses = [\"10.0.0.5\"]\n  adresses = []\n");
    assert!(
        e.starts_with("hostlet.toml:3:3: unknown key 'adresses' (did you mean 'addresses'?)"),
        "{e}"
    );
    let e = bad("[limits]\nhistory_days = 3\n");
    assert!(
        e.starts_with(
            "hostlet.toml:2:1: unknown key 'history_days' (did you mean 'history-days'?)"
        ),
        "{e}"
    );
    let e = bad("[hostlets.web]\naddresses = []\n");
    assert!(
        e.contains(":1:2: unknown section 'hostlets' (did you mean 'hostlet'?)"),
        "{e}"
    );
    let e = bad("[defaults]\nzebra = 1\n");
    assert!(
        e.contains("unknown key 'zebra'; known are source, guard, assign"),
        "{e}"
    );
}

#[test]
fn the_column_counts_characters() {
    let e = bad("[hostlet.web]\naddresses = [ \"10.0.0.5\", \"é\", \"127.0.0.1\"]\n");
    assert!(e.contains(":2:27: addresses: 'é' is no address"), "{e}");
    assert!(
        e.contains(":2:32: addresses: '127.0.0.1' is a loopback address"),
        "{e}"
    );
}

#[test]
fn all_problems_are_given_at_once_in_order() {
    let e = bad("[limits]\nhostlets = 0\n[hostlet.Web]\n[hostlet.a]\nguard = 1\n");
    let lines: Vec<&str> = e.lines().collect();
    assert_eq!(lines.len(), 4, "{e}");
    assert!(
        lines[0].contains(":2:12: 'hostlets' must be between 1 and"),
        "{e}"
    );
    assert!(
        lines[1].contains(":3:10: the name 'Web' contains 'W'"),
        "{e}"
    );
    assert!(
        lines[2].contains(":4:10: hostlet 'a' has no addresses"),
        "{e}"
    );
    assert!(
        lines[3].contains(":5:9: 'guard' must be true or false, this is of type integer"),
        "{e}"
    );
}

#[test]
fn an_address_has_one_owner() {
    let e = bad(
        "[hostlet.b]\naddresses = [\"10.0.0.5\"]\n[hostlet.a]\naddresses = [\"10.0.0.5/24\"]\n",
    );
    assert!(
        e.contains(":4:14: 10.0.0.5 is declared for two hostlets, 'b' and 'a'"),
        "{e}"
    );
    let e = bad(
        "[hostlet.a]\naddresses = [\"10.9.0.0/24\"]\n[hostlet.b]\naddresses = [\"10.9.0.5\"]\n",
    );
    assert!(
        e.contains("10.9.0.5 meets 10.9.0.0/24, declared for two hostlets, 'a' and 'b'"),
        "{e}"
    );
    let e = bad("[hostlet.a]\naddresses = [\"10.0.0.5\", \"10.0.0.5\"]\n");
    assert!(e.contains(":2:13: 10.0.0.5 is given twice"), "{e}");
    assert_eq!(e.lines().count(), 1, "{e}");
}

#[test]
fn wrong_values() {
    let host = |line: &str| {
        bad(&format!(
            "[hostlet.a]\naddresses = [\"10.0.0.5\"]\n{line}\n"
        ))
    };
    for (line, says) in [
        (
            "source = \"best\"",
            ":3:10: 'best' is no way to choose a source",
        ),
        ("source = 1", "'source' must be a string"),
        ("assign = \"\"", "'assign' is empty"),
        ("assign = \"a/b\"", "cannot be the name of an interface"),
        (
            "host-loopback = [\"10.0.0.1:53\"]",
            "host-loopback: '10.0.0.1:53' is no loopback address",
        ),
        (
            "host-loopback = \"127.0.0.1:53\"",
            "must be a list of strings",
        ),
        ("may-start = [\"alice\"]", "may-start: 'alice' names nobody"),
        ("may-enter = [\"user:\"]", "may-enter: 'user:' names nobody"),
        ("may-enter = [3]", "must be a list of strings"),
        ("workdir = \"srv\"", "must be an absolute path"),
        ("env = [\"A=b\"]", "'env' must be a table"),
        ("env = { A = 1 }", "'A' must be a string"),
        (
            "env = { \"A=B\" = \"\" }",
            "cannot be the name of a variable",
        ),
        (
            "keep-capability = [\"NET_BIND\"]",
            "unknown capability 'NET_BIND'",
        ),
        (
            "keep-capability = [\"SYS_ADMINN\"]",
            "did you mean 'SYS_ADMIN'?",
        ),
    ] {
        let e = host(line);
        assert!(e.contains(says), "{line}: {e}");
        assert!(e.starts_with("hostlet.toml:3:"), "{line}: {e}");
        assert_eq!(e.lines().count(), 1, "{line}: {e}");
    }
    assert!(bad("[limits]\nhostlets = -1\n").contains("must be between"));
    assert!(bad("[limits]\nhostlets = 1.5\n").contains("must be a whole number"));
    assert!(bad("[limits]\nhistory-days = 99999999999999999999\n").contains("hostlet.toml:2:"));
    assert!(bad("limits = 3\n").contains("must be a table: write [limits]"));
    assert!(bad("[hostlet]\nweb = 3\n").contains("'hostlet.web' must be a table"));
    let e = bad("[hostlet.a]\naddresses = []\n");
    assert!(
        e.contains(":2:13: hostlet 'a' needs at least one address: addresses = ["),
        "{e}"
    );
    let e = bad("[hostlet.a]\naddresses = [\"10.0.0.5/0\"]\n");
    assert!(
        e.contains(":2:14: addresses: '10.0.0.5/0': with a length of 0"),
        "{e}"
    );
}

#[test]
fn a_declared_hostlet_has_a_place() {
    let text = "[hostlet]\na = { addresses = [\"10.0.0.5\"] }\n[hostlet.web]\naddresses = []\n";
    let of = |name: &str| place_of(text, &name.parse().unwrap());
    assert_eq!(of("a"), Some((2, 1)));
    assert_eq!(of("web"), Some((3, 10)));
    assert_eq!(of("nobody"), None);
    assert_eq!(place_of("[hostlet.web", &"web".parse().unwrap()), None);
}

#[test]
fn broken_toml_has_its_place() {
    let e = bad("[limits]\nhostlets = \n");
    assert!(e.starts_with("hostlet.toml:2:"), "{e}");
    let e = bad("[hostlet.a]\naddresses = [\"10.0.0.5\"]\naddresses = []\n");
    assert!(e.starts_with("hostlet.toml:3:1: duplicate key"), "{e}");
    assert!(!bad("[").is_empty());
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(s in "(\\PC|\n){0,80}") {
        let _ = Config::parse(&s, "f");
    }

    #[test]
    fn no_near_miss_makes_it_panic(
        lines in prop::collection::vec(
            prop_oneof![
                Just("[limits]"), Just("[defaults]"), Just("[hostlet.a]"), Just("[hostlet.b]"), Just("[hostlet]"),
                Just("addresses = [\"10.0.0.5\", \"10.0.0.0/24\"]"), Just("addresses = [\"10.0.0.6/24\"]"),
                Just("source = \"random\""), Just("guard = \"é\""), Just("hostlets = 3"), Just("x = [1"),
                Just("[pool.a]"), Just("[pool.b]"), Just("interface = \"eth0\""), Just("dhcp = [\"ipv4\"]"),
                Just("ranges = [\"10.0.0.0/29\"]"), Just("ranges = [\"10.0.0.2-10.0.0.9\", \"é\"]"),
                Just("exclude = [\"10.0.0.0/28\"]"), Just("probe = \"5é\""), Just("[dhcp]"), Just("[hostletd]"),
                Just("subnets = [\"10.0.0.0/24\"]"), Just("hardware-prefix = \"é2:ab\""),
                Just("env = { A = \"b\" }"), Just("assign = \"eth0\""), Just("raw = true"),
            ],
            0..10,
        )
    ) {
        let text = lines.join("\n");
        if let Err(e) = Config::parse(&text, "f") {
            prop_assert!(!e.problems.is_empty());
            for p in e.problems {
                prop_assert!(p.line >= 1 && p.line <= lines.len() + 1 && p.column >= 1);
            }
        }
    }

    #[test]
    fn a_clash_between_hostlets_is_found_exactly_if_there_is_one(
        all in prop::collection::vec((0_u32..64, 27_u8..=32), 1..14)
    ) {
        let mut text = String::new();
        let mut owned = Vec::new();
        for (i, (host, len)) in all.iter().enumerate() {
            let net = IpNet::new(IpAddr::V4(Ipv4Addr::from(0x0a00_0000 | host)), *len).unwrap().trunc();
            text.push_str(&format!("[hostlet.h{i}]\naddresses = [\"{net}\"]\n"));
            owned.push(Owned::from_net(net));
        }
        let clash = (0..owned.len()).any(|i| (0..i).any(|j| owned[i].overlaps(&owned[j])));
        prop_assert_eq!(Config::parse(&text, "f").is_err(), clash);
    }
}
