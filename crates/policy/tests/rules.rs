//! Which rule decides a login, or the start of a program.

use hostlet_model::config::{Config, Per, Rule, Target};
use hostlet_policy::Caller;
use hostlet_policy::rules::{Occasion, decide, system_account};
use proptest::prelude::*;

const POOL: &str = "[pool.office]\ninterface = \"eth0\"\ndhcp = [\"ipv4\"]\n";

/// Rules of which each is one line: `name; key = value; …`.
fn rules(lines: &[&str]) -> Vec<Rule> {
    let text: Vec<String> = lines
        .iter()
        .map(|line| {
            let (name, keys) = line.split_once("; ").unwrap();
            format!(
                "[[rule]]\nname = \"{name}\"\n{}\n",
                keys.replace("; ", "\n")
            )
        })
        .collect();
    let text = format!("{POOL}{}", text.concat());
    Config::parse(&text, "hostlet.toml")
        .unwrap_or_else(|e| panic!("{e}"))
        .rules
}

const SESSION: &str = "per = \"session\"; pools = [\"office\"]";

fn person(user: &str, groups: &[&str]) -> Caller {
    caller(1000, user, groups)
}

fn caller(uid: u32, user: &str, groups: &[&str]) -> Caller {
    Caller {
        uid,
        user: user.into(),
        groups: groups.iter().map(|g| (*g).to_owned()).collect(),
        units: Vec::new(),
    }
}

const SSH: Occasion<'static> = Occasion::Login { service: "sshd" };

/// The name of the rule that decides, or nothing.
fn by(rules: &[Rule], caller: &Caller, occasion: &Occasion<'_>) -> Option<String> {
    decide(rules, caller, occasion)
        .rule
        .map(|r| r.name.to_string())
}

#[test]
fn the_first_that_fits_decides_and_each_before_it_says_why_not() {
    let all = rules(&[
        &format!("ops; who = [\"group:ops\"]; {SESSION}"),
        &format!("xrdp; services = [\"xrdp-sesman\"]; {SESSION}"),
        "curl; programs = [\"/usr/bin/curl\"]; per = \"program\"; pools = [\"office\"]",
        &format!("all; {SESSION}"),
        "never; per = \"none\"",
    ]);
    let alice = person("alice", &["staff"]);
    let decided = decide(&all, &alice, &SSH);
    assert_eq!(decided.rule, Some(&all[3]));
    assert_eq!(
        decided.why,
        [
            "rule 'ops' does not fit: alice is not among group:ops",
            "rule 'xrdp' does not fit: it is about logins by xrdp-sesman, not by sshd",
            "rule 'curl' does not fit: it is about programs, not about logins",
            "rule 'all' fits: alice is a person, and the rule is about everyone",
        ]
    );
    let start = Occasion::Start {
        program: "/usr/bin/curl",
    };
    assert_eq!(by(&all, &alice, &start).as_deref(), Some("curl"));
    let other = Occasion::Start {
        program: "/usr/bin/wget",
    };
    let decided = decide(&all, &alice, &other);
    assert_eq!(decided.rule.map(|r| r.per), Some(Per::None));
    assert_eq!(
        decided.why[2..4],
        [
            "rule 'curl' does not fit: /usr/bin/wget is not among /usr/bin/curl",
            "rule 'all' does not fit: it is about logins, not about programs",
        ]
    );
    assert_eq!(decide(&[], &alice, &SSH).rule, None);
    assert!(decide(&[], &alice, &SSH).why.is_empty());
}

/// B9: nobody of the system's own, unless the rule names him.
#[test]
fn accounts_of_the_system_have_to_be_named() {
    let everyone = rules(&[&format!("r; {SESSION}")]);
    let group = rules(&[&format!("r; who = [\"group:wheel\"]; {SESSION}")]);
    let named = rules(&[&format!("r; who = [\"user:root\", \"user:33\"]; {SESSION}")]);
    for uid in [0, 33, 999, 61184, 65519, 65534, 65535, u32::MAX] {
        assert!(system_account(uid), "{uid}");
        let user = if uid == 0 { "root" } else { "www-data" };
        let c = caller(uid, user, &["wheel"]);
        assert_eq!(by(&everyone, &c, &SSH), None, "{uid}");
        assert_eq!(by(&group, &c, &SSH), None, "{uid}");
        assert_eq!(
            by(&named, &c, &SSH).is_some(),
            matches!(uid, 0 | 33),
            "{uid}"
        );
    }
    let why = decide(&group, &caller(0, "root", &["wheel"]), &SSH).why;
    assert_eq!(
        why,
        [
            "rule 'r' does not fit: root is in group:wheel, but is an account of the system, which only user:root would name"
        ]
    );
    // People, also those of a directory.
    for uid in [1000, 60_001, 65_536, 1_000_500] {
        let c = caller(uid, "alice", &["wheel"]);
        assert!(by(&everyone, &c, &SSH).is_some(), "{uid}");
        assert!(by(&group, &c, &SSH).is_some(), "{uid}");
    }
}

#[test]
fn numbers_name_users_and_groups() {
    let all = rules(&[
        &format!("u; who = [\"user:1000\"]; {SESSION}"),
        &format!("g; who = [\"group:4242\"]; {SESSION}"),
    ]);
    assert_eq!(by(&all, &person("x", &[]), &SSH).as_deref(), Some("u"));
    let bob = caller(1001, "bob", &["staff", "4242"]);
    assert_eq!(by(&all, &bob, &SSH).as_deref(), Some("g"));
}

#[test]
fn units_are_of_processes_and_name_accounts_of_the_system() {
    let all = rules(&[
        "r; who = [\"unit:backup.service\"]; programs = [\"*\"]; per = \"program\"; hostlet = \"backup\"",
        "none; who = [\"unit:backup.service\"]; per = \"none\"",
    ]);
    let mut root = caller(0, "root", &[]);
    root.units = vec!["backup.service".into()];
    let start = Occasion::Start {
        program: "/usr/bin/rsync",
    };
    let decided = decide(&all, &root, &start);
    assert_eq!(
        decided.rule.map(|r| &r.target),
        Some(&Target::Hostlet("backup".parse().unwrap()))
    );
    assert_eq!(
        decided.why,
        ["rule 'r' fits: the process is in unit:backup.service"]
    );
    // The same answer whether or not somebody looked for the units of sshd.
    assert_eq!(by(&all, &root, &SSH), None);
}

#[test]
fn a_rule_of_none_is_about_logins_programs_or_both() {
    let alice = person("alice", &[]);
    let start = Occasion::Start { program: "/bin/a" };
    let other = Occasion::Start { program: "/bin/b" };
    let cron = Occasion::Login { service: "cron" };
    for (rule, expected) in [
        ("r; per = \"none\"", [true, true, true, true]),
        (
            "r; per = \"none\"; services = [\"sshd\"]",
            [true, false, false, false],
        ),
        (
            "r; per = \"none\"; programs = [\"/bin/a\"]",
            [false, false, true, false],
        ),
    ] {
        let all = rules(&[rule]);
        let got = [SSH, cron, start, other].map(|o| by(&all, &alice, &o).is_some());
        assert_eq!(got, expected, "{rule}");
    }
}

#[test]
fn a_long_list_is_cut_in_what_is_said() {
    let services: Vec<String> = (0..20).map(|n| format!("\"s{n}\"")).collect();
    let all = rules(&[&format!(
        "r; services = [{}]; {SESSION}",
        services.join(", ")
    )]);
    let why = decide(&all, &person("alice", &[]), &SSH).why.join("\n");
    assert!(why.contains("s7, 12 more, not by sshd"), "{why}");
}

proptest! {
    /// Whatever the rules: the answer is the first of them that alone would fit, and every rule before it has its line.
    #[test]
    fn the_answer_is_the_first_that_alone_would_fit(
        which in prop::collection::vec(0_usize..8, 0..8), uid in prop_oneof![Just(0_u32), Just(1000), Just(70_000)],
        group in any::<bool>(), login in any::<bool>(),
    ) {
        let kinds = [
            "per = \"none\"", "per = \"none\"; services = [\"cron\"]", "per = \"none\"; programs = [\"/bin/*\"]",
            "per = \"session\"; pools = [\"office\"]", "per = \"user\"; who = [\"group:g\"]; pools = [\"office\"]",
            "per = \"session\"; who = [\"user:u\"]; services = [\"sshd\"]; hostlet = \"web\"",
            "per = \"program\"; programs = [\"/bin/a\"]; pools = [\"office\"]",
            "per = \"program\"; programs = [\"*\"]; who = [\"user:0\"]; pools = [\"office\"]",
        ];
        let lines: Vec<String> = which.iter().enumerate().map(|(i, k)| format!("r{i}; {}", kinds[*k])).collect();
        let all = rules(&lines.iter().map(String::as_str).collect::<Vec<_>>());
        let c = caller(uid, "u", if group { &["g"] } else { &[] });
        let occasion = if login { SSH } else { Occasion::Start { program: "/bin/a" } };
        let decided = decide(&all, &c, &occasion);
        let first = all.iter().position(|r| decide(std::slice::from_ref(r), &c, &occasion).rule.is_some());
        prop_assert_eq!(decided.rule, first.map(|i| &all[i]));
        prop_assert_eq!(decided.why.len(), first.map_or(all.len(), |i| i + 1));
    }
}
