//! Redis and memcached: on the loopback, as Debian ships them, and on every address.

use anyhow::{Context, Result, ensure};
use hostlet_testkit::servers::ask::Ask;
use hostlet_testkit::servers::machines::{Machines, on_both};
use hostlet_testkit::servers::recipe::{Ready, Recipe, Server};

use crate::side_by_side;

/// Debian's configuration: `bind 127.0.0.1 -::1`.
const REDIS: Recipe = Recipe {
    name: "redis",
    user: Some("redis"),
    files: &[],
    setup: &[],
    command: &[
        "redis-server",
        "/etc/redis/redis.conf",
        "--daemonize",
        "no",
        "--logfile",
        "",
        "--pidfile",
        "@dir@/pid",
        "--dir",
        "@dir@",
    ],
    ready: Ready::Says("Ready to accept connections"),
    pid: None,
    log: None,
};

/// For others too.
const PUBLIC_REDIS: Recipe = Recipe {
    command: &[
        "redis-server",
        "/etc/redis/redis.conf",
        "--daemonize",
        "no",
        "--logfile",
        "",
        "--pidfile",
        "@dir@/pid",
        "--dir",
        "@dir@",
        "--bind",
        "* -::*",
        "--protected-mode",
        "no",
        "--repl-diskless-sync-delay",
        "0",
    ],
    ..REDIS
};

const SENTINEL: Recipe = Recipe {
    files: &[(
        "sentinel.conf",
        "port 26379
        dir @dir@
        protected-mode no
        sentinel monitor them 10.0.0.5 6379 2",
    )],
    command: &["redis-server", "@dir@/sentinel.conf", "--sentinel"],
    ready: Ready::Says("+monitor master them 10.0.0.5 6379"),
    ..REDIS
};

/// Its directory has its name.
fn redis() -> Ask {
    Ask::tcp(6379, "CONFIG GET dir\r\n")
}

#[test]
fn redis_on_the_loopback() -> Result<()> {
    on_both(
        |machines| {
            let all = ["host", "in", "other"];
            let ask = redis().at_loopback();
            side_by_side(machines, &REDIS, &ask, &all, |_| Ok(())).map(drop)
        },
        &[],
    )
}

#[test]
fn redis_for_others_with_a_copy() -> Result<()> {
    on_both(copied_redis, &[])
}

fn copied_redis(machines: &Machines) -> Result<()> {
    let all = ["host", "in", "other"];
    let servers = side_by_side(machines, &PUBLIC_REDIS, &redis(), &all, |_| Ok(()))?;

    let cli = |machine, words: &[&str]| machines.run(machine, &[&["redis-cli"], words].concat());
    cli("other", &["replicaof", "10.0.0.5", "6379"])?;
    servers[2]
        .said()?
        .wait("MASTER <-> REPLICA sync: Finished with success")?;
    // Its source takes it for a copy a little later, when it has heard so.
    servers[1]
        .said()?
        .wait("Synchronization with replica 10.0.0.9:6379 succeeded")?;
    // The copy leaves from its machine's address, and has the port that it listens on there.
    let copies = cli("in", &["info", "replication"])?;
    ensure!(
        copies.contains("slave0:ip=10.0.0.9,port=6379,state=online"),
        "{copies}"
    );
    let words = "printf 'set key value\\nwait 1 9000\\n' | redis-cli -h localhost";
    let got = machines.run("in", &["sh", "-c", words])?;
    ensure!(got == "OK\n1\n", "no copy got it: {got}");
    let got = cli("peer", &["-h", "2001:db8::9", "get", "key"])?;
    ensure!(got.trim() == "value", "the copy has {got}");

    // Two that watch it find each other through it, by their machines' addresses.
    let here = machines.serve(&SENTINEL, "in")?;
    let there = machines.serve(&SENTINEL, "other")?;
    for (watch, found) in [(&here, "10.0.0.9"), (&there, "10.0.0.5")] {
        let line = watch.said()?.wait("+sentinel sentinel")?;
        let wanted = format!(" {found} 26379 @ them 10.0.0.5 6379");
        ensure!(line.contains(&wanted), "{line}, not{wanted}");
        watch
            .said()?
            .wait("+slave slave 10.0.0.9:6379 10.0.0.9 6379 @ them")?;
    }
    Ok(())
}

/// Debian's options, for others too; with the UDP that it once had by itself.
const MEMCACHED: Recipe = Recipe {
    name: "memcached",
    user: None,
    files: &[],
    setup: &[&["chown", "memcache:", "@dir@"]],
    command: &[
        "memcached",
        "-m",
        "64",
        "-p",
        "11211",
        "-U",
        "11211",
        "-u",
        "memcache",
        "-P",
        "@dir@/pid",
    ],
    // When it listens.
    ready: Ready::Makes("pid"),
    pid: None,
    log: None,
};

/// Debian's options.
const LOCAL_MEMCACHED: Recipe = Recipe {
    command: &[
        "memcached",
        "-m",
        "64",
        "-p",
        "11211",
        "-u",
        "memcache",
        "-l",
        "127.0.0.1",
        "-l",
        "::1",
        "-P",
        "@dir@/pid",
    ],
    ..MEMCACHED
};

/// Tells it its name.
fn name(machines: &Machines, server: &Server<'_>) -> Result<()> {
    let set = "exec 3<>/dev/tcp/127.0.0.1/11211; printf 'set who 0 0 9\\r\\n%-9s\\r\\n' \"$0\" >&3; \
               read -r line <&3; [ \"$line\" = $'STORED\\r' ]";
    let who = server.fill("@who@");
    machines
        .run(server.machine(), &["bash", "-c", set, &who])
        .map(drop)
}

#[test]
fn memcached_on_the_loopback() -> Result<()> {
    on_both(
        |machines| {
            let all = ["host", "in", "other"];
            let ask = Ask::tcp(11211, "get who\r\n").at_loopback();
            let ready = |server: &Server<'_>| name(machines, server);
            side_by_side(machines, &LOCAL_MEMCACHED, &ask, &all, ready).map(drop)
        },
        &[],
    )
}

#[test]
fn memcached_over_tcp_and_udp() -> Result<()> {
    on_both(
        |machines| {
            let ask = Ask::tcp(11211, "get who\r\n");
            let ready = |server: &Server<'_>| name(machines, server);
            // Not on the host: UDP ports of wildcards are not shared with it.
            let all = ["in", "other"];
            let _servers = side_by_side(machines, &MEMCACHED, &ask, &all, ready)?;
            let by_datagram = Ask::udp(11211, *b"\x12\x34\0\0\0\x01\0\0get who\r\n");
            machines.expect(&by_datagram, &all).context("by datagram")
        },
        &[],
    )
}
