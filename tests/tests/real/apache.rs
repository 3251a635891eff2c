//! Apache: one dual-stack socket for both families, and children that all accept on it.

use anyhow::{Context, Result, ensure};
use hostlet_testkit::servers::ask::Ask;
use hostlet_testkit::servers::machines::{Machines, on_both};
use hostlet_testkit::servers::recipe::{Ready, Recipe, Server, send};

use crate::side_by_side;

/// A copy of /etc/apache2 with that way to share the work among processes, and a header.
const SETUP: &str = "set -e
    cp -a /etc/apache2 $1/etc
    cd $1/etc/mods-enabled
    rm -f mpm_*
    ln -s ../mods-available/mpm_$2.conf ../mods-available/mpm_$2.load .
    ln -sf ../mods-available/headers.load .
    ln -sf ../sites-available/000-default.conf ../sites-enabled/";

/// Debian's whole configuration with its default site; with prefork, which has a process for each
/// client.
const PREFORK: Recipe = Recipe {
    name: "apache2",
    user: None,
    files: &[],
    setup: &[&["sh", "-c", SETUP, "sh", "@dir@", "prefork"]],
    command: &[
        "env",
        "APACHE_RUN_USER=www-data",
        "APACHE_RUN_GROUP=www-data",
        "APACHE_PID_FILE=@dir@/pid",
        "APACHE_RUN_DIR=@dir@",
        "APACHE_LOCK_DIR=@dir@",
        "APACHE_LOG_DIR=@dir@",
        "/usr/sbin/apache2",
        "-DFOREGROUND",
        "-d",
        "@dir@/etc",
        "-f",
        "@dir@/etc/apache2.conf",
        "-c",
        "Header always set X-Server @who@",
    ],
    ready: Ready::Writes("error.log", "resuming normal operations"),
    pid: None,
    log: Some("error.log"),
};

/// The same with the MPM that Debian turns on.
const EVENT: Recipe = Recipe {
    setup: &[&["sh", "-c", SETUP, "sh", "@dir@", "event"]],
    ..PREFORK
};

#[test]
fn apache_with_a_process_for_each_client() -> Result<()> {
    on_both(|machines| default_site(machines, &PREFORK), &[])
}

#[test]
fn apache_with_threads() -> Result<()> {
    on_both(|machines| default_site(machines, &EVENT), &[])
}

fn default_site(machines: &Machines, recipe: &'static Recipe) -> Result<()> {
    let ask = Ask::http(80);
    let all = ["host", "in", "other"];
    let servers = side_by_side(machines, recipe, &ask, &all, |_| Ok(()))?;
    let first = &servers[1];

    let ready = "resuming normal operations";
    let times = |server: &Server<'_>| server.read("error.log").matches(ready).count();
    for (signal, what) in [
        (libc::SIGUSR1, "a graceful restart"),
        (libc::SIGHUP, "a restart"),
    ] {
        let before = times(first);
        first.signal(signal)?;
        first.wait("error.log", ready, before + 1).context(what)?;
        machines.expect(&ask, &all).context(what)?;
    }

    // A child that crashes is replaced.
    let children = first.processes()?;
    send(*children.last().context("no child")?, libc::SIGKILL)?;
    machines.expect(&ask, &all).context("after a crash")?;

    for (n, host) in ["10.0.0.9", "[2001:db8::9]"].iter().enumerate() {
        machines.run("in", &["curl", "-sS", &format!("http://{host}/from-in")])?;
        // Written when the answer has been sent.
        servers[2].wait("access.log", "/from-in", n + 1)?;
    }
    let log = servers[2].read("access.log");
    let from = askers(&log);
    ensure!(from == ["10.0.0.5", "2001:db8::5"], "the log says {from:?}");
    machines.run("in", &["curl", "-sS", "http://localhost/from-in"])?;
    first.wait("access.log", "/from-in", 1)?;
    let log = first.read("access.log");
    let from = askers(&log);
    ensure!(
        [["127.0.0.1"], ["::1"]].iter().any(|one| from == one),
        "the log says {from:?}"
    );
    Ok(())
}

/// Who asked for the page that only this test asks for.
fn askers(log: &str) -> Vec<&str> {
    let lines = log.lines().filter(|line| line.contains("/from-in"));
    lines.filter_map(|line| line.split(' ').next()).collect()
}
