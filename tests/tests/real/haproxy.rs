//! HAProxy: sockets for each family, sockets handed from worker to worker, named sources.

use anyhow::{Context, Result, ensure};
use hostlet_testkit::servers::ask::Ask;
use hostlet_testkit::servers::machines::{Machines, on_both};
use hostlet_testkit::servers::recipe::{Ready, Recipe};

use crate::side_by_side;

/// Debian's configuration, and what answers.
const DEFAULT: Recipe = Recipe {
    name: "haproxy",
    user: None,
    files: &[(
        "haproxy.cfg",
        "global
            log stdout format raw local0
            chroot /var/lib/haproxy
            stats socket @dir@/admin.sock mode 660 level admin expose-fd listeners
            stats timeout 30s
            user haproxy
            group haproxy
        defaults
            log global
            mode http
            option httplog
            option dontlognull
            timeout connect 5000
            timeout client 50000
            timeout server 50000
            errorfile 503 /etc/haproxy/errors/503.http
        frontend web
            bind *:80,:::80 v6only
            http-request return status 200 content-type text/plain string \"@who@.\"
        frontend both
            bind :::8080 v4v6
            http-request return status 200 content-type text/plain string \"@who@.\"
        frontend loopback
            bind 127.0.0.1:8081,::1:8081
            http-request return status 200 content-type text/plain string \"@who@.\"
        listen through
            bind *:8082,:::8082 v6only
            option httpchk
            timeout check 30s
            server four 127.0.0.1:8081 check inter 100
            server six [::1]:8081 check inter 100
        ",
    )],
    setup: &[],
    command: &["/usr/sbin/haproxy", "-W", "-db", "-f", "@dir@/haproxy.cfg"],
    ready: Ready::Says("Loading success."),
    pid: None,
    log: None,
};

/// To a server on the peer's side, each with a source of its own.
const SOURCES: Recipe = Recipe {
    files: &[(
        "haproxy.cfg",
        "global
            log stdout format raw local0
            user haproxy
            group haproxy
        defaults
            log global
            mode http
            timeout connect 5000
            timeout client 50000
            timeout server 50000
        listen first
            bind 127.0.0.1:8001
            source 10.0.0.5
            server a 10.0.0.9:80
        listen second
            bind 127.0.0.1:8002
            source 10.0.0.6
            server a 10.0.0.9:80
        listen range
            bind 127.0.0.1:8003
            server a 10.0.0.9:80 source 10.0.0.6:4000-4009
        listen six
            bind 127.0.0.1:8004
            source [2001:db8::6]
            server a [2001:db8::9]:80
        listen any
            bind 127.0.0.1:8005
            source 0.0.0.0
            server a 10.0.0.9:80
        listen anothers
            bind 127.0.0.1:8006
            source 10.0.0.1
            server a 10.0.0.9:80
        ",
    )],
    ..DEFAULT
};

/// Answers with the client's address.
const MIRROR: Recipe = Recipe {
    files: &[(
        "haproxy.cfg",
        "global
            log stdout format raw local0
        defaults
            log global
            mode http
            timeout connect 5000
            timeout client 50000
            timeout server 50000
        frontend web
            bind *:80,:::80 v6only
            http-request return status 200 content-type text/plain lf-string \"%[src] %[dst]\"
        ",
    )],
    ..DEFAULT
};

#[test]
fn haproxy_on_both_families() -> Result<()> {
    on_both(both_families, &[])
}

fn both_families(machines: &Machines) -> Result<()> {
    let all = ["host", "in", "other"];
    let ask = Ask::http(80);
    let servers = side_by_side(machines, &DEFAULT, &ask, &all, |_| Ok(()))?;
    let others = [
        Ask::http(8080),
        Ask::http(8081).at_loopback(),
        Ask::http(8082),
    ];
    for ask in &others {
        machines
            .expect(ask, &all)
            .with_context(|| format!("port {}", ask.port))?;
    }
    // The new worker gets the listening sockets from the old one over a UNIX socket.
    let first = &servers[1];
    let log = first.said()?;
    for _ in 0..2 {
        let before = log.len();
        first.signal(libc::SIGUSR2)?;
        log.wait_from(
            before,
            "Loading success.",
            std::time::Duration::from_secs(15),
        )?;
        for ask in others.iter().chain([&ask]) {
            machines.expect(ask, &all).context("after a reload")?;
        }
    }
    Ok(())
}

#[test]
fn haproxy_with_named_sources() -> Result<()> {
    on_both(named_sources, &[])
}

fn named_sources(machines: &Machines) -> Result<()> {
    let _mirror = machines.serve(&MIRROR, "other")?;
    let _first = machines.serve(&SOURCES, "in")?;
    for (port, expected) in [
        (8001, "10.0.0.5 10.0.0.9"),
        (8002, "10.0.0.6 10.0.0.9"),
        (8003, "10.0.0.6 10.0.0.9"),
        (8004, "2001:db8::6 2001:db8::9"),
        (8005, "10.0.0.5 10.0.0.9"),
    ] {
        let url = format!("http://127.0.0.1:{port}/");
        let got = machines.run("in", &["curl", "-sS", &url])?;
        ensure!(got == expected, "{port}: {got}, not {expected}");
    }
    let refused = [
        "curl",
        "-sS",
        "-o",
        "/dev/null",
        "-w",
        "%{http_code}",
        "http://127.0.0.1:8006/",
    ];
    let got = machines.run("in", &refused)?;
    ensure!(got == "503", "from another's address: {got}");
    Ok(())
}
