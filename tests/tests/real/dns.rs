//! Name servers on several addresses: an answer by datagram must come from the address that was
//! asked, and by connection from there anyway.

use anyhow::{Context, Result, ensure};
use hostlet_testkit::servers::ask::Ask;
use hostlet_testkit::servers::machines::{Machines, on_both};
use hostlet_testkit::servers::recipe::{Ready, Recipe, Server};

use crate::side_by_side;

/// Debian's defaults: one socket of each kind, and who was asked is seen from IP_PKTINFO.
const DNSMASQ: Recipe = Recipe {
    name: "dnsmasq",
    user: None,
    files: &[(
        "dnsmasq.conf",
        "no-resolv
        no-hosts
        local-service
        pid-file=@dir@/pid
        log-facility=-
        txt-record=who.test,@who@.",
    )],
    setup: &[],
    command: &[
        "dnsmasq",
        "--keep-in-foreground",
        "--conf-file=@dir@/dnsmasq.conf",
    ],
    ready: Ready::Says("started, version"),
    pid: None,
    log: None,
};

/// A socket for each address.
const BOUND_DNSMASQ: Recipe = Recipe {
    files: &[(
        "dnsmasq.conf",
        "no-resolv
        no-hosts
        pid-file=@dir@/pid
        log-facility=-
        bind-interfaces
        conf-file=@dir@/own.conf
        txt-record=who.test,@who@.",
    )],
    setup: &[&[
        "sh",
        "-c",
        "case @who@ in who-in) a=10.0.0.5,10.0.0.6,2001:db8::5,2001:db8::6 ;; \
         who-other) a=10.0.0.9,2001:db8::9 ;; *) a=10.0.0.1,2001:db8::1 ;; esac; \
         echo listen-address=127.0.0.1,::1,$a > @dir@/own.conf",
    ]],
    ..DNSMASQ
};

/// Debian's options: all addresses that it finds.
const NAMED: Recipe = Recipe {
    name: "named",
    user: None,
    files: &[
        (
            "named.conf",
            "options {
                directory \"@dir@\";
                dnssec-validation no;
                recursion no;
                pid-file \"@dir@/pid\";
                session-keyfile \"@dir@/session.key\";
                notify explicit;
                include \"@dir@/own.conf\";
            };
            controls { };
            zone \"test\" { type primary; file \"zone\"; };
            include \"@dir@/more.conf\";",
        ),
        ("own.conf", "listen-on-v6 { any; };"),
        ("more.conf", ""),
        (
            "zone",
            "$TTL 60
@ SOA ns admin 1 60 60 60 60
@ NS ns
ns A 10.0.0.5
who TXT \"@who@.\"",
        ),
    ],
    setup: &[&["chown", "bind:bind", "@dir@"]],
    command: &[
        "/usr/sbin/named",
        "-g",
        "-u",
        "bind",
        "-n",
        "2",
        "-c",
        "@dir@/named.conf",
    ],
    ready: Ready::Says("all zones loaded"),
    pid: None,
    log: None,
};

/// The addresses that it is told, and a zone that one copies from the other.
const BOUND_NAMED: Recipe = Recipe {
    setup: &[
        NAMED.setup[0],
        &[
            "sh",
            "-c",
            "case @who@ in who-in) a='10.0.0.5; 10.0.0.6;' b='2001:db8::5; 2001:db8::6;' ;; \
             who-other) a='10.0.0.9;' b='2001:db8::9;' ;; *) a='10.0.0.1;' b='2001:db8::1;' ;; esac; \
             echo \"listen-on { 127.0.0.1; $a }; listen-on-v6 { ::1; $b };\" > @dir@/own.conf; \
             cp @dir@/zone @dir@/moved; case @who@ in \
             who-in) echo 'zone moved { type primary; file \"moved\"; also-notify { 10.0.0.9; 2001:db8::9; }; \
             allow-transfer { 10.0.0.9; 2001:db8::9; }; };' ;; \
             who-other) echo 'zone moved { type secondary; primaries { 2001:db8::5; 10.0.0.5; }; };' ;; \
             esac > @dir@/more.conf",
        ],
    ],
    ..NAMED
};

/// TXT of who.test.
fn question() -> Vec<u8> {
    let mut text = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0".to_vec();
    text.extend(b"\x03who\x04test\0\0\x10\0\x01");
    text
}

fn by_datagram() -> Ask {
    Ask::udp(53, question())
}

fn by_connection() -> Ask {
    let question = question();
    let mut text = vec![0, u8::try_from(question.len()).unwrap_or(0)];
    text.extend(question);
    Ask::tcp(53, text)
}

#[test]
fn dnsmasq_on_the_wildcard() -> Result<()> {
    // Not on the host: UDP ports of wildcards are not shared with it.
    let all = ["in", "other"];
    on_both(|machines| answered(machines, &DNSMASQ, &all).map(drop), &[])
}

#[test]
fn dnsmasq_on_named_addresses() -> Result<()> {
    let all = ["host", "in", "other"];
    on_both(
        |machines| answered(machines, &BOUND_DNSMASQ, &all).map(drop),
        &[],
    )
}

/// A line of named's, whatever the month.
macro_rules! named {
    ($on:literal, $line:literal) => {
        concat!("named on ", $on, ": N-*-N N:N:N.N ", $line)
    };
}

/// Of an address that is another's: it asks the kernel for addresses, and gets all of the host's.
macro_rules! tries {
    ($who:literal, $at:literal) => {
        concat!(
            "named on ",
            $who,
            ", only in a hostlet: N-*-N N:N:N.N listening on IPvN interface ",
            $at,
            "#N"
        )
    };
}

/// Said, or not, while named ends.
const ENDING: &str = named!("*, only *", "automatic interface scanning terminated: *");

#[test]
fn named_on_all_addresses() -> Result<()> {
    let all = ["in", "other"];
    on_both(
        |machines| answered(machines, &NAMED, &all).map(drop),
        &[
            tries!("in", "ethN, 10.0.0.1"),
            tries!("in", "ethN, 10.0.0.9"),
            tries!("in", "ethN, 10.1.0.1"),
            tries!("in", "ethN, 2001:db8::1"),
            tries!("in", "ethN, 2001:db8::9"),
            tries!("in", "ethN, 2001:db8:1::1"),
            tries!("other", "ethN, 10.0.0.1"),
            tries!("other", "ethN, 10.0.0.5"),
            tries!("other", "ethN, 10.0.0.6"),
            tries!("other", "ethN, 10.1.0.1"),
            tries!("other", "ethN, 2001:db8::1"),
            tries!("other", "ethN, 2001:db8::5"),
            tries!("other", "ethN, 2001:db8::6"),
            tries!("other", "ethN, 2001:db8:1::1"),
            // Loopbacks of hostlets, which come and go.
            tries!("*", "lo, fd68:6f73:746c:7400::*"),
            named!(
                "*, only in a hostlet",
                "no longer listening on fd68:6f73:746c:7400::*#N"
            ),
            // And finds that it cannot have them.
            named!(
                "*, only in a hostlet",
                "creating IPvN interface ethN failed; interface ignored"
            ),
            named!(
                "*, only in a hostlet",
                "creating IPvN interface lo failed; interface ignored"
            ),
            ENDING,
        ],
    )
}

#[test]
fn named_on_named_addresses_with_a_copied_zone() -> Result<()> {
    // Two announcements come, in any order and at any moment of a copy.
    macro_rules! announced {
        ($answer:literal) => {
            concat!(
                "named on other, only *: N-*-N N:N:N.N zone moved/IN: notify from *#N: ",
                $answer
            )
        };
    }
    on_both(
        copied,
        &[
            announced!("zone is up to date"),
            announced!("no serial"),
            announced!("serial N"),
            announced!("*refresh in progress, refresh check queued"),
            ENDING,
        ],
    )
}

fn copied(machines: &Machines) -> Result<()> {
    let all = ["host", "in", "other"];
    let servers = answered(machines, &BOUND_NAMED, &all)?;
    let copy = servers[2].said()?;
    copy.wait("Transfer status: success")?;
    let txt = |at: &str| machines.run("peer", &["dig", "+short", at, "TXT", "who.moved"]);
    let got = txt("@10.0.0.9")?;
    ensure!(got == "\"who-in.\"\n", "a copied zone: {got}");
    // A new version is announced, from an address that the other takes announcements from.
    let before = copy.len();
    let zone = servers[1]
        .fill("$TTL 60\n@ SOA ns admin 2 60 60 60 60\n@ NS ns\nns A 10.0.0.5\nwho TXT \"new\"");
    servers[1].write("moved", &zone)?;
    servers[1].signal(libc::SIGHUP)?;
    // Of both families, or a machine may be asked to end before the second.
    for from in ["10.0.0.5", "2001:db8::5"] {
        copy.wait_from(before, &format!("notify from {from}#"), LIMIT)?;
    }
    copy.wait_from(before, "Transfer status: success", LIMIT)?;
    let got = txt("@2001:db8::9")?;
    ensure!(got == "\"new\"\n", "a zone copied once more: {got}");
    Ok(())
}

const LIMIT: std::time::Duration = std::time::Duration::from_secs(20);

fn answered<'a>(
    machines: &'a Machines,
    recipe: &'static Recipe,
    all: &[&'static str],
) -> Result<Vec<Server<'a>>> {
    let servers = side_by_side(machines, recipe, &by_datagram(), all, |_| Ok(()))?;
    machines
        .expect(&by_connection(), all)
        .context("by connection")?;
    resolved(machines)?;
    Ok(servers)
}

/// By a client that takes answers from nowhere else than from where it asked.
fn resolved(machines: &Machines) -> Result<()> {
    for (from, at, who) in [
        ("peer", "10.0.0.6", "in"),
        ("peer", "2001:db8::6", "in"),
        ("other", "10.0.0.6", "in"),
        ("in", "10.0.0.9", "other"),
        ("in", "2001:db8::9", "other"),
        ("in", "127.0.0.1", "in"),
        ("other", "::1", "other"),
    ] {
        for more in ["+notcp", "+tcp"] {
            let server = format!("@{at}");
            let dig = [
                "dig", "+short", "+tries=1", "+time=20", more, &server, "TXT", "who.test",
            ];
            let got = machines.run(from, &dig)?;
            ensure!(
                got == format!("\"who-{who}.\"\n"),
                "{from} at {at} {more}: {got}"
            );
        }
    }
    Ok(())
}
