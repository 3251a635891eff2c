//! nginx: what its master and workers do with listening sockets between them.

use anyhow::{Context, Result, ensure};
use hostlet_testkit::ends::Ends;
use hostlet_testkit::servers::ask::Ask;
use hostlet_testkit::servers::machines::{Machines, on_both};
use hostlet_testkit::servers::recipe::{Ready, Recipe, send};
use hostlet_testkit::wait;

use crate::side_by_side;

/// Debian's, with its default site: `listen 80 default_server; listen [::]:80 default_server;`.
const DEFAULT: Recipe = Recipe {
    name: "nginx",
    user: None,
    files: &[(
        "nginx.conf",
        "user www-data;
        worker_processes 2;
        pid @dir@/pid;
        error_log @dir@/error.log notice;
        events { worker_connections 768; }
        http {
            sendfile on;
            tcp_nopush on;
            include /etc/nginx/mime.types;
            default_type application/octet-stream;
            access_log @dir@/access.log;
            add_header X-Server @who@ always;
            include /etc/nginx/sites-available/default;
        }",
    )],
    setup: &[],
    command: &[
        "/usr/sbin/nginx",
        "-c",
        "@dir@/nginx.conf",
        "-e",
        "@dir@/error.log",
    ],
    // Written when all its sockets listen.
    ready: Ready::Makes("pid"),
    pid: Some("pid"),
    log: Some("error.log"),
};

#[test]
fn nginx_with_the_default_site() -> Result<()> {
    // When a worker says that it ends can come before or after its end itself.
    on_both(default_site, &["(SIGIO) received"])
}

fn default_site(machines: &Machines) -> Result<()> {
    let ask = Ask::http(80);
    let all = ["host", "in", "other"];
    let servers = side_by_side(machines, &DEFAULT, &ask, &all, |_| Ok(()))?;
    let first = &servers[1];

    // A worker that crashes is replaced; the port stays served.
    let workers = first.processes()?;
    let master = *workers.first().context("no master")?;
    let started = first
        .read("error.log")
        .matches("start worker process ")
        .count();
    send(workers[1], libc::SIGKILL)?;
    first.wait("error.log", "start worker process ", started + 1)?;
    machines
        .expect(&ask, &all)
        .context("after a worker's crash")?;

    // Reload: new workers take the master's sockets over.
    first.signal(libc::SIGHUP)?;
    first.wait("error.log", "gracefully shutting down", 2)?;
    machines.expect(&ask, &all).context("after a reload")?;

    // An upgrade of the program while it serves: a new master inherits the listening sockets.
    first.signal(libc::SIGUSR2)?;
    wait::until("a new master", || {
        !first.read("pid.oldbin").is_empty() && first.pid_in("pid").is_ok_and(|p| p != master)
    })?;
    machines.expect(&ask, &all).context("with two masters")?;
    let old = Ends::of(&[master]);
    send(master, libc::SIGQUIT)?;
    old.wait().context("the old master")?;
    machines.expect(&ask, &all).context("after an upgrade")?;
    let mut servers = servers;
    servers[1].end_by(libc::SIGQUIT)?;
    machines.expect(&ask, &["host", "other"])?;
    servers[1].again()?;
    machines.expect(&ask, &all)?;

    // Who asked is in the log with the address of the machine.
    for (n, host) in ["10.0.0.9", "[2001:db8::9]"].iter().enumerate() {
        machines.run("in", &["curl", "-sS", &format!("http://{host}/from-in")])?;
        // Written when the answer has been sent.
        servers[2].wait("access.log", "/from-in", n + 1)?;
    }
    let log = servers[2].read("access.log");
    let from = log.lines().filter(|line| line.contains("/from-in"));
    let from: Vec<_> = from.filter_map(|line| line.split(' ').next()).collect();
    ensure!(from == ["10.0.0.5", "2001:db8::5"], "the log says {from:?}");
    Ok(())
}

/// What people write beside: a socket for each worker, a proxy to the loopback by each of its
/// names, from named addresses, and datagrams.
const PROXY: Recipe = Recipe {
    name: "proxy",
    files: &[(
        "nginx.conf",
        "user www-data;
        worker_processes 2;
        pid @dir@/pid;
        error_log @dir@/error.log notice;
        events { worker_connections 768; }
        http {
            access_log @dir@/access.log;
            add_header X-Server @who@ always;
            server {
                listen 80 reuseport;
                listen [::]:80 ipv6only=on reuseport;
                location / { return 200 \"$remote_addr $server_addr\"; }
            }
            server {
                listen [::]:81 ipv6only=off;
                location / { return 200 \"$remote_addr $server_addr\"; }
                location /four { proxy_pass http://127.0.0.1:80/; }
                location /six { proxy_pass http://[::1]:80/; }
                location /name { proxy_pass http://localhost:80/; }
                location /out { proxy_pass http://10.0.0.9:80/; }
                location /first { proxy_pass http://10.0.0.9:80/; proxy_bind 10.0.0.5; }
                location /second { proxy_pass http://10.0.0.9:80/; proxy_bind 10.0.0.6; }
                location /further { proxy_pass http://[2001:db8::9]:80/; proxy_bind 2001:db8::6; }
                location /asked { proxy_pass http://10.0.0.9:80/; proxy_bind $server_addr; }
                location /foreign { proxy_pass http://10.0.0.9:80/; proxy_bind 10.0.0.1; }
                location /own { proxy_pass http://127.0.1.1:83/; }
                location /closed { proxy_pass http://127.0.0.1:82/; }
            }
            server {
                listen 10.0.0.@own@:83;
                listen 127.0.0.1:83;
                listen 127.0.1.1:83;
                location / { return 200 \"$remote_addr $server_addr\"; }
            }
        }",
    )],
    ..DEFAULT
};

#[test]
fn nginx_as_a_proxy() -> Result<()> {
    on_both(
        proxy,
        &[
            // When a worker says that it ends can come before or after its end itself.
            "(SIGIO) received",
            // Which worker a connection is for is drawn.
            "signal N (SIGCHLD) received",
        ],
    )
}

fn proxy(machines: &Machines) -> Result<()> {
    let all = ["host", "in", "other"];
    machines.word("own", "1");
    let host = machines.serve(&PROXY, "host")?;
    machines.word("own", "5");
    let first = machines.serve(&PROXY, "in")?;
    machines.word("own", "9");
    let other = machines.serve(&PROXY, "other")?;
    machines.expect(&Ask::http(80), &all)?;
    machines.expect(&Ask::http(81), &all)?;
    let fetch = |from, url: &str| machines.run(from, &["curl", "-sS", "--max-time", "9", url]);
    for (path, expected) in [
        ("", "::ffff:127.0.0.1 ::ffff:127.0.0.1"),
        ("four", "127.0.0.1 127.0.0.1"),
        ("six", "::1 ::1"),
        // What Debian's /etc/hosts says of the machine's own name.
        ("own", "127.0.0.1 127.0.1.1"),
        ("out", "10.0.0.5 10.0.0.9"),
        ("first", "10.0.0.5 10.0.0.9"),
        ("second", "10.0.0.6 10.0.0.9"),
        ("further", "2001:db8::6 2001:db8::9"),
    ] {
        let got = fetch("in", &format!("http://127.0.0.1:81/{path}"))?;
        ensure!(got == expected, "/{path}: {got}, not {expected}");
    }
    let name = fetch("in", "http://[::1]:81/name")?;
    ensure!(
        ["127.0.0.1 127.0.0.1", "::1 ::1"].contains(&&*name),
        "/name: {name}"
    );
    let mapped = fetch("peer", "http://10.0.0.6:81/")?;
    ensure!(mapped == "::ffff:10.0.0.100 ::ffff:10.0.0.6", "{mapped}");
    for path in ["foreign", "closed"] {
        let got = fetch("in", &format!("http://127.0.0.1:81/{path}"))?;
        let failed = got.contains("500 Internal") || got.contains("502 Bad Gateway");
        ensure!(failed, "/{path}: {got}");
    }
    for (from, at, expected) in [
        ("peer", "10.0.0.5", "10.0.0.100 10.0.0.5"),
        ("other", "10.0.0.5", "10.0.0.9 10.0.0.5"),
        ("in", "127.0.0.1", "127.0.0.1 127.0.0.1"),
        ("host", "127.0.0.1", "127.0.0.1 127.0.0.1"),
    ] {
        let got = fetch(from, &format!("http://{at}:83/"))?;
        ensure!(got == expected, "{from} to {at}: {got}");
    }
    let none = machines.output("peer", &["curl", "-sS", "http://10.0.0.6:83/"])?;
    ensure!(none.status.code() == Some(7), "10.0.0.6 is not listened on");

    // The sockets of each worker are handed on at a reload.
    for server in [&host, &first, &other] {
        server.signal(libc::SIGHUP)?;
        server.wait("error.log", "gracefully shutting down", 2)?;
    }
    machines
        .expect(&Ask::http(80), &all)
        .context("after a reload")?;
    machines
        .expect(&Ask::http(81), &all)
        .context("after a reload")
}
