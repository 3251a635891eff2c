//! Every line of bad input that depends on the machine: refused with a reason and a way out, nothing changed.

mod common;

use std::fs;

use common::{Machine, refused};

#[test]
fn names() {
    let m = Machine::new("names");
    m.ok(&["create", "web", "-a", "10.1.0.1"]);
    refused(
        &m,
        1,
        &["create", "web", "-a", "10.1.0.2"],
        &["'web' already", "remove web"],
    );
    refused(
        &m,
        125,
        &["run", "--name", "web", "-a", "10.1.0.2", "--", "true"],
        &["'web' already"],
    );
    for verb in ["show", "remove", "members", "sockets", "check", "events"] {
        refused(
            &m,
            1,
            &[verb, "nobody"],
            &["no hostlet 'nobody'", "hostlet list"],
        );
    }
    refused(
        &m,
        1,
        &["grant", "nobody", "10.1.0.2"],
        &["no hostlet 'nobody'"],
    );
    refused(
        &m,
        1,
        &["revoke", "nobody", "10.1.0.2"],
        &["no hostlet 'nobody'"],
    );
    refused(
        &m,
        1,
        &["attach", "nobody", "--pid", "2"],
        &["no hostlet 'nobody'"],
    );
    refused(
        &m,
        1,
        &["explain", "nobody", "bind", "0.0.0.0:80"],
        &["no hostlet 'nobody'"],
    );
    refused(
        &m,
        125,
        &["enter", "nobody", "--", "true"],
        &["no hostlet 'nobody'"],
    );
    refused(
        &m,
        125,
        &["start", "nobody", "--", "true"],
        &["'nobody' is not declared", "hostlet.toml"],
    );
    refused(&m, 1, &["remove", "we"], &["did you mean web"]);
    m.ok(&["remove", "web"]);
}

#[test]
fn addresses() {
    let m = Machine::new("addresses");
    m.ok(&["create", "web", "-a", "10.1.0.1"]);
    let not_there: &[&str] = &[
        "does not have 10.1.0.7",
        "ip addr add 10.1.0.7/24 dev d0",
        "--assign",
    ];
    refused(&m, 1, &["create", "x", "-a", "10.1.0.7"], not_there);
    refused(&m, 1, &["grant", "web", "10.1.0.7"], not_there);
    refused(&m, 125, &["run", "-a", "10.1.0.7", "--", "true"], not_there);
    refused(
        &m,
        1,
        &["create", "x", "-a", "10.1.0.1"],
        &["10.1.0.1 belongs to hostlet 'web'"],
    );
    refused(
        &m,
        1,
        &["create", "x", "-a", "10.1.0.2", "-a", "10.1.0.2"],
        &["given twice"],
    );
    refused(
        &m,
        1,
        &["create", "x", "-a", "10.1.0.0/24", "-a", "10.1.0.2"],
        &["10.1.0.2 lies within 10.1.0.0/24"],
    );
    refused(
        &m,
        1,
        &["create", "x", "-a", "10.9.0.0/24"],
        &["ip route add local 10.9.0.0/24 dev lo"],
    );
    refused(
        &m,
        1,
        &["create", "x", "-a", "2001:db8:9::/64", "--assign", "d0"],
        &["ip_nonlocal_bind=1"],
    );
    refused(
        &m,
        1,
        &["create", "x", "-a", "10.1.0.7", "--assign", "eth7"],
        &["no interface 'eth7'", "d0"],
    );
    refused(
        &m,
        1,
        &["create", "x", "-a", "fe80::7%eth7"],
        &["no interface 'eth7'"],
    );
    refused(
        &m,
        1,
        &["create", "x", "-a", "10.1.0.255/24", "--assign", "d0"],
        &["broadcast"],
    );
    refused(
        &m,
        1,
        &["grant", "web", "10.1.0.1"],
        &["has 10.1.0.1 already"],
    );
    refused(
        &m,
        1,
        &["revoke", "web", "10.1.0.2"],
        &["does not have 10.1.0.2", "it has 10.1.0.1"],
    );
    refused(&m, 1, &["revoke", "web", "10.1.0.1"], &["last address"]);
    // As in the configuration, what a pool lends is not taken by hand.
    let pool =
        "[pool.small]\ninterface = \"d0\"\nranges = [\"10.1.0.2-10.1.0.3\", \"10.1.0.200\"]\n";
    fs::write(m.path("hostlet.toml"), pool).unwrap();
    let lent: &[&str] = &[
        "10.1.0.2 is an address that pool 'small' lends",
        "--pool small --request-address 10.1.0.2",
        "'exclude' under [pool.small]",
    ];
    refused(&m, 1, &["create", "x", "-a", "10.1.0.2"], lent);
    refused(&m, 125, &["run", "-a", "10.1.0.2", "--", "true"], lent);
    refused(&m, 1, &["grant", "web", "10.1.0.2"], lent);
    refused(
        &m,
        1,
        &["create", "x", "-a", "10.1.0.192/28", "--assign", "d0"],
        &["10.1.0.192/28 has 10.1.0.200, which pool 'small' lends"],
    );
    let exclude = format!("{pool}exclude = [\"10.1.0.2\"]\n");
    fs::write(m.path("hostlet.toml"), exclude).unwrap();
    m.ok(&["grant", "web", "10.1.0.2"]);
    fs::write(m.path("hostlet.toml"), pool).unwrap();
    // What was there before the pool stays, and can be given up.
    m.ok(&["enter", "web", "--", "true"]);
    m.ok(&["revoke", "web", "10.1.0.2"]);
    m.ok(&["remove", "web"]);
}

#[test]
fn programs() {
    let m = Machine::new("programs");
    let run = |program: &str| {
        let output = m.hostlet(&["run", "-a", "10.1.0.1", "--", program]);
        assert!(m.names().is_empty(), "{program}");
        (
            output.status.code(),
            String::from_utf8_lossy(&output.stderr).into_owned(),
        )
    };
    let (code, said) = run("no-such-program-anywhere");
    assert_eq!(code, Some(127), "{said}");
    assert!(said.contains("no-such-program-anywhere"), "{said}");
    let (code, said) = run("/etc/passwd");
    assert_eq!(code, Some(126), "{said}");
    assert_eq!(run("/nowhere/at/all").0, Some(127));
    assert_eq!(run("/tmp").0, Some(126));
    refused(
        &m,
        125,
        &[
            "run",
            "-a",
            "10.1.0.1",
            "--user",
            "nobody-at-all",
            "--",
            "true",
        ],
        &["no user"],
    );
    refused(
        &m,
        125,
        &[
            "run",
            "-a",
            "10.1.0.1",
            "--group",
            "nobody-at-all",
            "--",
            "true",
        ],
        &["no group"],
    );
    refused(
        &m,
        125,
        &[
            "run",
            "-a",
            "10.1.0.1",
            "--workdir",
            "/nowhere",
            "--",
            "true",
        ],
        &["/nowhere"],
    );
    refused(
        &m,
        125,
        &[
            "run",
            "-a",
            "10.1.0.1",
            "--keep-capability",
            "fly",
            "--",
            "true",
        ],
        &["fly"],
    );
    refused(
        &m,
        125,
        &["run", "-a", "10.1.0.1", "--keep-fd", "77", "--", "true"],
        &["77"],
    );
    refused(
        &m,
        125,
        &["run", "-a", "10.1.0.1", "--keep-fd", "web", "--", "true"],
        &["LISTEN_FDNAMES"],
    );
}

#[test]
fn the_configuration() {
    let m = Machine::new("config");
    let file = m.path("hostlet.toml");
    let name = file.display().to_string();
    for (text, place, says) in [
        (
            "[hostlet.web]\nadresses = [\"10.1.0.1\"]\n",
            ":2:1",
            "addresses",
        ),
        ("[hostlet.web]\naddresses = [\"10.1.0\"]\n", ":2:", "10.1.0"),
        ("[hostlet.Web]\naddresses = [\"10.1.0.1\"]\n", ":1:", "Web"),
        ("[limit]\nhostlets = 1\n", ":1:", "limits"),
        (
            "[hostlet.a]\naddresses = [\"10.1.0.1\"]\n[hostlet.b]\naddresses = [\"10.1.0.1\"]\n",
            ":4:",
            "10.1.0.1",
        ),
        ("[hostlet.a\n", ":1:", "]"),
    ]
    .map(|(text, place, says)| (text.as_bytes(), place, says))
    .into_iter()
    .chain([(
        &b"# a\n# M\xfcller\n"[..],
        ":2:4: ",
        "not UTF-8 (byte 0xfc)",
    )]) {
        fs::write(&file, text).unwrap();
        for args in [
            &["apply", "--dry-run"][..],
            &["create", "x", "-a", "10.1.0.2"],
        ] {
            let said = m.fails(1, args);
            assert!(said.contains(&format!("{name}{place}")), "{text:?}: {said}");
            assert!(said.contains(says), "{text:?}: {said}");
        }
    }
    fs::remove_file(&file).unwrap();
}

#[test]
fn processes_to_attach() {
    let m = Machine::new("attach");
    m.ok(&["create", "web", "-a", "10.1.0.1"]);
    refused(
        &m,
        1,
        &["attach", "web", "--pid", "4194304"],
        &["no such process"],
    );
    refused(&m, 1, &["attach", "web", "--pid", "2"], &["--cgroup"]);
    let outside = std::process::id().to_string();
    refused(
        &m,
        1,
        &["attach", "web", "--pid", &outside],
        &["another network namespace"],
    );
    refused(
        &m,
        1,
        &["attach", "web", "--cgroup", "/tmp"],
        &["/tmp", "cgroup"],
    );
    refused(
        &m,
        1,
        &["attach", "web", "--cgroup", "/nowhere"],
        &[
            "/nowhere",
            "no such directory",
            "whole path of a cgroup below /sys/fs/cgroup",
        ],
    );
    m.ok(&["remove", "web"]);
}

/// What is refused of the configuration says of which hostlet, and what helps there.
#[test]
fn what_is_declared() {
    let m = Machine::new("declared");
    let declare = |text: &str| fs::write(m.path("hostlet.toml"), text).unwrap();
    declare("[hostlet.web]\naddresses = [\"10.9.0.1\"]\n");
    refused(&m, 1, &["apply"], &["[hostlet.web]", "assign = \""]);
    declare("[hostlet.web]\naddresses = [\"2001:db8:7::1/64\"]\nassign = \"d0\"\n");
    m.sh("sysctl -qw net.ipv6.conf.d0.disable_ipv6=1");
    refused(&m, 1, &["apply"], &["interface 'd0'"]);
    refused(
        &m,
        2,
        &["attach", "web", "--pid", "foo"],
        &["number of a process"],
    );
    refused(
        &m,
        2,
        &["attach", "web", "--pid", "0"],
        &["number of a process"],
    );
    refused(
        &m,
        2,
        &["history", "--address", "foo"],
        &["IPv4 or IPv6 address"],
    );
    refused(
        &m,
        2,
        &["create", "x", "--pool", "p", "--request-address", "foo"],
        &["IPv4 or IPv6 address"],
    );
}

/// A prefix with a router in it would cut the machine off.
#[test]
fn next_hops() {
    let m = Machine::new("next-hops");
    m.sh("ip route add default via 10.1.0.254");
    for (address, said) in [
        ("10.1.0.0/24", "10.1.0.0/24 includes 10.1.0.254"),
        ("10.1.0.254", "10.1.0.254 is the next hop"),
    ] {
        refused(
            &m,
            1,
            &["create", "web", "-a", address, "--assign", "d0"],
            &[said, "this machine's default route"],
        );
    }
    m.ok(&["create", "web", "-a", "10.1.0.64/28", "--assign", "d0"]);
    refused(
        &m,
        1,
        &["grant", "web", "10.1.0.248/29", "--assign", "d0"],
        &["includes 10.1.0.254"],
    );
    m.ok(&["remove", "web"]);
}
