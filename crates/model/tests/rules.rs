//! `[sessions]` and `[[rule]]`: what they mean, and where they are wrong.

use std::time::Duration;

use hostlet_model::config::{
    Config, Exclude, OwnName, Per, ProgramPattern, Rule, Sessions, Target, Unavailable,
    Unreachable, Who,
};
use proptest::prelude::*;

const POOL: &str = "[pool.office]\ninterface = \"eth0\"\ndhcp = [\"ipv4\"]\n";
const HASH: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";

fn good(text: &str) -> Config {
    Config::parse(text, "hostlet.toml").unwrap_or_else(|e| panic!("{e}"))
}

/// The complaints as printed, one a line.
fn bad(text: &str) -> String {
    Config::parse(text, "hostlet.toml")
        .expect_err("taken")
        .to_string()
}

/// Complaints about a rule whose lines begin at line 6 of the file.
fn bad_rule(lines: &str) -> String {
    bad(&format!("{POOL}[[rule]]\nname = \"r\"\n{lines}\n"))
}

fn rule(lines: &str) -> Rule {
    good(&format!("{POOL}[[rule]]\nname = \"r\"\n{lines}\n"))
        .rules
        .remove(0)
}

#[test]
fn nothing_said_is_the_default() {
    let c = good("");
    assert_eq!(c.sessions, Sessions::default());
    assert_eq!(c.sessions.deadline, Duration::from_secs(10));
    assert_eq!(c.sessions.own_name, OwnName::SessionFirst);
    assert!(c.rules.is_empty());
    let r = rule("per = \"session\"\npools = [\"office\"]");
    assert_eq!(
        r,
        Rule {
            name: "r".parse().unwrap(),
            who: Vec::new(),
            services: Vec::new(),
            per: Per::Session,
            programs: Vec::new(),
            target: Target::Pools(vec!["office".parse().unwrap()]),
            unavailable: Unavailable::Strict,
            linger: None,
        }
    );
}

#[test]
fn everything_that_can_be_said() {
    let c = good(&format!(
        r#"
[sessions]
exclude = ["/usr/bin/Xorg", "sha256:{HASH}", "/opt/a tool sha256:{HASH}"]
deadline = "3s"
own-name = "machine-first"

[pool.lab]
interface = "eth1"
dhcp = ["ipv6"]
unreachable = "pass-through"

[pool.office]
interface = "eth0"
ranges = ["192.0.2.7"]

[[rule]]
name = "staff"
who = ["group:staff", "user:alice"]
services = ["sshd", "xrdp-sesman"]
per = "user"
pools = ["office", "lab"]
unavailable = "fall-back"
linger = "10m"

[[rule]]
name = "web"
who = ["unit:web.service"]
per = "program"
programs = ["/usr/bin/curl", "/opt/app/*", "*"]
hostlet = "web"
unavailable = "cut-off"

[[rule]]
name = "nobody-else"
per = "none"
"#
    ));
    assert_eq!(c.sessions.deadline, Duration::from_secs(3));
    assert_eq!(c.sessions.own_name, OwnName::MachineFirst);
    let [xorg, any, tool] = &c.sessions.exclude[..] else {
        panic!("{:?}", c.sessions.exclude);
    };
    assert_eq!(xorg.path.as_deref(), Some("/usr/bin/Xorg"));
    assert_eq!((xorg.sha256, &any.path), (None, &None));
    assert_eq!(any.sha256.unwrap()[..2], [0x9f, 0x86]);
    assert_eq!(
        (tool.path.as_deref(), tool.sha256),
        (Some("/opt/a tool"), any.sha256)
    );
    let pool = |name: &str| &c.pools[&name.parse().unwrap()];
    assert_eq!(pool("lab").unreachable, Unreachable::PassThrough);
    assert_eq!(pool("office").unreachable, Unreachable::Refuse);
    let [staff, web, none] = &c.rules[..] else {
        panic!("{:?}", c.rules);
    };
    assert_eq!(staff.per, Per::User);
    assert_eq!(
        staff.who,
        [Who::Group("staff".into()), Who::User("alice".into())]
    );
    assert_eq!(staff.services, ["sshd", "xrdp-sesman"]);
    // In the order in which they are written, not that of the pools' names.
    assert_eq!(
        staff.target,
        Target::Pools(vec!["office".parse().unwrap(), "lab".parse().unwrap()])
    );
    assert_eq!(staff.unavailable, Unavailable::FallBack);
    assert_eq!(staff.linger, Some(Duration::from_secs(600)));
    assert_eq!(
        web.programs,
        [
            ProgramPattern::Path("/usr/bin/curl".into()),
            ProgramPattern::Directory("/opt/app".into()),
            ProgramPattern::All
        ]
    );
    assert_eq!(web.target, Target::Hostlet("web".parse().unwrap()));
    assert_eq!(web.unavailable, Unavailable::CutOff);
    assert_eq!((none.per, &none.target), (Per::None, &Target::Machine));
    // As it is kept and told.
    let json = serde_json::to_string(&c).unwrap();
    assert_eq!(serde_json::from_str::<Config>(&json).unwrap(), c);
}

#[test]
fn combinations_that_mean_nothing() {
    let from_office = "pools = [\"office\"]";
    for (lines, place, says) in [
        (
            from_office.to_owned(),
            "4:1",
            "rule 'r' does not say what gets a hostlet",
        ),
        (
            "per = \"session\"".into(),
            "4:1",
            "rule 'r' has nowhere to take a hostlet from",
        ),
        (
            format!("per = \"session\"\n{from_office}\nhostlet = \"web\""),
            "8:1",
            "both pools and hostlet",
        ),
        (
            format!("per = \"session\"\n{from_office}\nprograms = [\"*\"]"),
            "8:1",
            "'programs' goes with per = \"program\" or \"none\", and rule 'r' says \"session\"",
        ),
        (
            format!("per = \"program\"\n{from_office}"),
            "4:1",
            "rule 'r' lists no programs",
        ),
        (
            format!("per = \"program\"\n{from_office}\nprograms = [\"*\"]\nlinger = \"1m\""),
            "9:1",
            "'linger' is about what outlives a login",
        ),
        (
            "per = \"user\"\nhostlet = \"web\"\nlinger = \"1m\"".into(),
            "8:1",
            "'linger' goes with 'pools'",
        ),
        (
            "per = \"none\"\nservices = [\"sshd\"]\nprograms = [\"*\"]".into(),
            "7:1",
            "has services and programs",
        ),
        (
            format!("per = \"none\"\n{from_office}"),
            "7:1",
            "leave 'pools' out",
        ),
        (
            "per = \"none\"\nhostlet = \"web\"".into(),
            "7:1",
            "leave 'hostlet' out",
        ),
        (
            "per = \"none\"\nunavailable = \"strict\"".into(),
            "7:1",
            "leave 'unavailable' out",
        ),
        (
            format!("per = \"session\"\n{from_office}\nwho = [\"unit:a.service\"]"),
            "8:7",
            "unit:a.service says which processes start a program, and rule 'r' is about logins",
        ),
        (
            "per = \"none\"\nservices = [\"cron\"]\nwho = [\"unit:a.service\"]".into(),
            "8:7",
            "name users, groups or services",
        ),
    ] {
        let e = bad_rule(&lines);
        assert!(
            e.starts_with(&format!("hostlet.toml:{place}: ")),
            "{lines}: {e}"
        );
        assert!(e.contains(says), "{lines}: {e}");
        assert_eq!(e.lines().count(), 1, "{lines}: {e}");
    }
}

#[test]
fn wrong_values() {
    let rest = "per = \"session\"\npools = [\"office\"]\n";
    for (line, says) in [
        (
            "pool = [\"office\"]",
            "unknown key 'pool' (did you mean 'pools'?)",
        ),
        ("who = []", "'who' is empty: leave it out instead"),
        ("who = [\"alice\"]", "who: 'alice' names nobody"),
        (
            "who = [\"user:a\", \"user:a\"]",
            "who: user:a is given twice",
        ),
        ("services = []", "'services' is empty"),
        (
            "services = [\"/etc/pam.d/sshd\"]",
            "is no PAM service: write the name of a file",
        ),
        ("services = \"sshd\"", "must be a list of strings"),
        (
            "unavailable = \"fallback\"",
            "unknown choice for 'unavailable' 'fallback' (did you mean 'fall-back'?)",
        ),
        ("linger = \"soon\"", "'linger': 'soon' is no length of time"),
        ("linger = \"721h\"", "'linger' must be between 0s and 720h"),
    ] {
        let e = bad_rule(&format!("{rest}{line}"));
        assert!(e.starts_with("hostlet.toml:8:"), "{line}: {e}");
        assert!(e.contains(says), "{line}: {e}");
        assert_eq!(e.lines().count(), 1, "{line}: {e}");
    }
    for (programs, says) in [
        ("", "'programs' is empty"),
        ("\"curl\"", "programs: 'curl' is no absolute path"),
        ("\"/usr/*/curl\"", "no other patterns"),
        ("\"/usr/bin/c*\"", "no other patterns"),
        ("\"/usr/bin/\"", "is not how the kernel names a file"),
        ("\"/usr//bin\"", "is not how the kernel names a file"),
        ("\"/usr/../bin/a\"", "is not how the kernel names a file"),
        ("\"/\"", "is not how the kernel names a file"),
        ("\"*\", \"*\"", "programs: * is given twice"),
    ] {
        let e = bad_rule(&format!(
            "per = \"program\"\npools = [\"office\"]\nprograms = [{programs}]"
        ));
        assert!(e.starts_with("hostlet.toml:8:"), "{programs}: {e}");
        assert!(e.contains(says), "{programs}: {e}");
        assert_eq!(e.lines().count(), 1, "{programs}: {e}");
    }
    let e = bad_rule("per = \"sessions\"\npools = [\"office\"]");
    assert!(
        e.contains(":6:7: unknown choice for 'per' 'sessions' (did you mean 'session'?)"),
        "{e}"
    );
    assert_eq!(e.lines().count(), 1, "{e}");
    for (line, says) in [
        ("exclude = [\"Xorg\"]", "exclude: 'Xorg' names no program"),
        (
            "exclude = [\"sha256:9f86\"]",
            "exclude: '9f86' is no SHA-256: write 64",
        ),
        ("exclude = [\"/a/*\"]", "no other patterns"),
        (
            "exclude = [\"/opt/a tool md5:9f86\"]",
            "exclude: 'md5:9f86' is no checksum that is understood: write sha256:",
        ),
        ("exclude = [\"/a SHA256: 9f\"]", "'SHA256:' is no checksum"),
        ("exclude = [\"/a\", \"/a\"]", "exclude: /a is given twice"),
        ("deadline = \"10\"", "'deadline': '10' is no length of time"),
        (
            "deadline = \"0s\"",
            "'deadline' must be between 100ms and 10m",
        ),
        ("own-name = \"first\"", "unknown order of addresses 'first'"),
        (
            "excludes = []",
            "unknown key 'excludes' (did you mean 'exclude'?)",
        ),
    ] {
        let e = bad(&format!("[sessions]\n{line}\n"));
        assert!(e.starts_with("hostlet.toml:2:"), "{line}: {e}");
        assert!(e.contains(says), "{line}: {e}");
        assert_eq!(e.lines().count(), 1, "{line}: {e}");
    }
    assert_eq!(
        good("[sessions]\nexclude = []\n").sessions,
        Sessions::default()
    );
    assert!(bad("[rule]\nname = \"r\"\n").contains("must be a list of tables: write [[rule]]"));
    assert!(bad("[[rules]]\n").contains("did you mean 'rule'?"));
    assert!(
        bad("[pool.a]\ninterface = \"eth0\"\ndhcp = [\"ipv4\"]\nunreachable = \"drop\"\n")
            .starts_with("hostlet.toml:4:15: ")
    );
}

#[test]
fn names_are_unique_and_pools_are_known() {
    let rule = |name: &str, pool: &str| {
        format!("[[rule]]\nname = \"{name}\"\nper = \"session\"\npools = [\"{pool}\"]\n")
    };
    let e = bad(&format!(
        "{POOL}{}{}",
        rule("a", "office"),
        rule("a", "office")
    ));
    assert_eq!(
        e,
        "hostlet.toml:9:8: two rules have the name 'a': rename one"
    );
    let e = bad(&format!("{POOL}{}", rule("a", "ofice")));
    assert!(
        e.starts_with("hostlet.toml:7:10: unknown pool 'ofice' (did you mean 'office'?)"),
        "{e}"
    );
    let e = bad(&rule("a", "office"));
    assert!(
        e.contains("unknown pool 'office'; there is none: add [pool.office]"),
        "{e}"
    );
    let e = bad(&format!("{POOL}[[rule]]\nper = \"none\"\n"));
    assert_eq!(
        e,
        "hostlet.toml:4:1: this rule has no name: add name = \"…\""
    );
    let e = bad(&format!("{POOL}{}", rule("A", "office")));
    assert!(e.contains("the name 'A' contains 'A'"), "{e}");
}

#[test]
fn patterns_match_paths_as_text() {
    let matches = |pattern: &str, path: &str| -> bool {
        pattern.parse::<ProgramPattern>().unwrap().matches(path)
    };
    for (pattern, path, fits) in [
        ("/usr/bin/curl", "/usr/bin/curl", true),
        ("/usr/bin/curl", "/usr/bin/curl2", false),
        ("/opt/app/*", "/opt/app/run", true),
        ("/opt/app/*", "/opt/app/bin/run", false),
        ("/opt/app/*", "/opt/app/", false),
        ("/opt/app/*", "/opt/app", false),
        ("/opt/app/*", "/opt/apple/run", false),
        ("/*", "/init", true),
        ("/*", "/sbin/init", false),
        ("*", "/sbin/init", true),
    ] {
        assert_eq!(matches(pattern, path), fits, "{pattern} {path}");
        let same: ProgramPattern = pattern.parse().unwrap();
        assert_eq!(same.to_string(), pattern);
    }
}

proptest! {
    #[test]
    fn an_exclude_is_read_as_it_is_written(path in "(/[a-z.:]{1,6}){1,3}|(/[a-z .]{1,6}){1,3}", digest: [u8; 32], which in 0..3) {
        let all = Exclude {
            path: (which != 0).then_some(path),
            sha256: (which != 1).then_some(digest),
        };
        // A path with such parts is not one that the kernel would name; one that ends in a space would lose it.
        let odd = |p: &String| p.split('/').any(|s| matches!(s, "." | "..")) || p.ends_with(' ');
        if !all.path.as_ref().is_some_and(odd) {
            prop_assert_eq!(all.to_string().parse::<Exclude>().unwrap(), all);
        }
    }

    #[test]
    fn no_near_miss_makes_it_panic(
        lines in prop::collection::vec(
            prop_oneof![
                Just("[[rule]]"), Just("[sessions]"), Just("name = \"r\""), Just("per = \"session\""), Just("per = \"program\""),
                Just("per = \"none\""), Just("programs = [\"*\", \"/é/*\"]"), Just("pools = [\"office\", 3]"), Just("hostlet = \"é\""),
                Just("who = [\"user:é\", \"unit:a.service\"]"), Just("services = [\"é\"]"), Just("linger = \"1m\""),
                Just("exclude = [\"sha256:éé\", \"/ sha256:\"]"), Just("own-name = 1"), Just("rule = [1]"),
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
}
