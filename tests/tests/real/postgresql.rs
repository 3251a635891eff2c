//! PostgreSQL: clusters on the same port, one the copy of the other.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use hostlet_testkit::dir::TestDir;
use hostlet_testkit::servers::ask::Ask;
use hostlet_testkit::servers::machines::{Machines, on_both};
use hostlet_testkit::servers::recipe::{Ready, Recipe};
use hostlet_testkit::wait;

use crate::side_by_side;

/// A cluster with what Debian writes into its configuration. It listens on the loopback, whichever
/// names that has here.
const LOCAL: Recipe = Recipe {
    name: "postgresql",
    user: Some("postgres"),
    files: &[
        (
            "postgresql.conf",
            "data_directory = '@dir@/main'
            hba_file = '@dir@/pg_hba.conf'
            external_pid_file = '@dir@/pid'
            listen_addresses = '127.0.0.1, ::1'
            port = 5432
            max_connections = 100
            unix_socket_directories = '@dir@'
            shared_buffers = 128MB
            dynamic_shared_memory_type = posix
            max_wal_size = 1GB
            min_wal_size = 80MB
            log_line_prefix = '%m [%p] %q%u@%d '
            log_timezone = 'Etc/UTC'
            cluster_name = '@who@'
            fsync = off
            log_connections = on",
        ),
        (
            "pg_hba.conf",
            "local all all trust
            host all all all trust
            host replication all all trust",
        ),
    ],
    setup: &[&["cp", "-a", "@template@", "@dir@/main"]],
    command: &[
        "@bin@/postgres",
        "-D",
        "@dir@/main",
        "-c",
        "config_file=@dir@/postgresql.conf",
    ],
    ready: Ready::Says("database system is ready to accept"),
    pid: None,
    log: None,
};

/// For others too.
const PUBLIC: Recipe = Recipe {
    command: &[
        "@bin@/postgres",
        "-D",
        "@dir@/main",
        "-c",
        "config_file=@dir@/postgresql.conf",
        "-c",
        "listen_addresses=*",
    ],
    ..LOCAL
};

/// A copy of the one on `in`, which follows it.
const COPY: Recipe = Recipe {
    name: "copy",
    setup: &[&[
        "@bin@/pg_basebackup",
        "--host=10.0.0.5",
        "--username=postgres",
        "--checkpoint=fast",
        "--write-recovery-conf",
        "--pgdata=@dir@/main",
    ]],
    ready: Ready::Says("started streaming WAL from primary"),
    ..PUBLIC
};

/// Where its programs are: in a directory of their version.
fn bin() -> Result<PathBuf> {
    let all = std::fs::read_dir("/usr/lib/postgresql").context("install postgresql")?;
    let bins = all.filter_map(|entry| Some(entry.ok()?.path().join("bin")));
    bins.max().context("install postgresql")
}

/// A cluster to be copied: to make one takes longer than anything else here.
fn template() -> Result<TestDir> {
    let dir = TestDir::new("postgresql")?;
    let at = dir.path().join("main");
    std::fs::create_dir(&at)?;
    let mut own = Command::new("chown");
    ensure!(own.arg("postgres:").arg(&at).status()?.success(), "chown");
    let mut make = Command::new("setpriv");
    make.args([
        "--reuid",
        "postgres",
        "--regid",
        "postgres",
        "--init-groups",
    ]);
    make.arg(bin()?.join("initdb"));
    make.args(["--no-sync", "--auth=trust"]);
    make.args(["--locale=C.UTF-8", "--encoding=UTF8", "--pgdata"])
        .arg(&at);
    let done = make.current_dir("/").output();
    let done = done.context("starting initdb: install postgresql")?;
    let said = String::from_utf8_lossy(&done.stderr);
    ensure!(done.status.success(), "initdb: {said}");
    Ok(dir)
}

/// What a client says that asks for the cluster's name and goes.
fn ask() -> Ask {
    let message = |kind: &[u8], text: &[u8]| {
        let length = u32::try_from(text.len() + 4).unwrap_or_default();
        [kind, &length.to_be_bytes(), text].concat()
    };
    let start = message(b"", b"\0\x03\0\0user\0postgres\0database\0postgres\0\0");
    let query = message(b"Q", b"select current_setting('cluster_name') || '.'\0");
    Ask::tcp(5432, [start, query, message(b"X", b"")].concat())
}

#[test]
fn postgresql_on_localhost() -> Result<()> {
    let template = template()?;
    let at = template.path().join("main").display().to_string();
    on_both(
        |machines| {
            machines.word("template", &at);
            machines.word("bin", &bin()?.display().to_string());
            let ask = ask().at_loopback();
            let all = ["host", "in", "other"];
            let _servers = side_by_side(machines, &LOCAL, &ask, &all, |_| Ok(()))?;
            let got = sql(machines, "in", "localhost", "show cluster_name")?;
            ensure!(got == "who-in", "localhost is {got}");
            Ok(())
        },
        &[],
    )
}

fn sql(machines: &Machines, on: &str, host: &str, query: &str) -> Result<String> {
    let words = ["psql", "-XAtw", "-U", "postgres", "-h", host, "-c", query];
    Ok(machines.run(on, &words)?.trim().to_owned())
}

#[test]
fn postgresql_for_others_with_a_copy() -> Result<()> {
    let template = template()?;
    let at = template.path().join("main").display().to_string();
    on_both(
        |machines| {
            machines.word("template", &at);
            machines.word("bin", &bin()?.display().to_string());
            copied(machines)
        },
        // The host's own connections to addresses that are on it come from those.
        &["connection received: host=2001:db8::1 "],
    )
}

fn copied(machines: &Machines) -> Result<()> {
    let all = ["host", "in", "other"];
    let mut servers = side_by_side(machines, &PUBLIC, &ask(), &all, |_| Ok(()))?;
    servers[2].stop()?;
    let mut copy = machines.serve(&COPY, "other")?;
    machines.expect(&ask(), &all)?;
    // The connections by which it was made may not have ended yet.
    let from = "select distinct client_addr from pg_stat_replication";
    let from = sql(machines, "in", "localhost", from)?;
    ensure!(from == "10.0.0.9", "the copy comes from {from}");
    sql(
        machines,
        "peer",
        "10.0.0.6",
        "create table t as select 7 as n",
    )?;
    let mut got = String::new();
    wait::until("the copy to follow", || {
        got = sql(machines, "peer", "2001:db8::9", "select n from t").unwrap_or_default();
        got == "7"
    })?;
    copy.stop()?;

    // Restarted by the program that comes with it, in the background.
    let first = &mut servers[1];
    let control = first.fill("@bin@/pg_ctl");
    let (data, log) = (first.fill("@dir@/main"), first.fill("@dir@/log"));
    let mut restart = machines.command_as("in", Some("postgres"), &control)?;
    restart.args(["restart", "-w", "-m", "fast", "-D", &data, "-l", &log]);
    let done = restart.output().context("starting pg_ctl")?;
    let said = String::from_utf8_lossy(&done.stdout);
    ensure!(done.status.success(), "{said}{}", first.read("log"));
    first.ended()?;
    machines.expect(&ask(), &["host", "in"])?;
    let mut stop = machines.command_as("in", Some("postgres"), &control)?;
    stop.args(["stop", "-w", "-m", "fast", "-D", &data]);
    ensure!(stop.output()?.status.success(), "pg_ctl stop");
    machines.expect(&ask(), &["host"])
}
