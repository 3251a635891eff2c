//! A1, A6, C4 with what people run: nginx with the distribution's default site, curl,
//! a static program. They need root.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use hostlet_testkit::binaries;
use hostlet_testkit::dir::TestDir;
use hostlet_testkit::lan::Lan;
use hostlet_testkit::servers::{Answer, Nginx, fetch, fetch_with};
use hostlet_testkit::wait;

/// The kind of an entry of a program's table that names its loader (PT_INTERP).
const INTERPRETER: usize = 3;

const IN: [&str; 4] = ["10.0.0.5", "10.0.0.6", "[2001:db8::5]", "[2001:db8::6]"];
const OTHER: [&str; 2] = ["10.0.0.9", "[2001:db8::9]"];
const HOST: [&str; 2] = ["10.0.0.1", "[2001:db8::1]"];

fn in_hostlet(
    lan: &Lan,
    name: &str,
    addresses: &[&str],
    program: &std::path::Path,
) -> Result<Command> {
    let mut args = vec!["run", "--name", name];
    for address in addresses {
        args.extend(["--address", address.trim_matches(['[', ']'])]);
    }
    args.push("--");
    let mut command = lan
        .install()
        .context("a side with hostlets")?
        .command(lan.host(), &args);
    command.arg(program);
    Ok(command)
}

fn served(server: &str, source: &str) -> Option<Answer> {
    Some(Answer {
        server: server.into(),
        source: source.into(),
    })
}

#[test]
fn three_nginx_with_the_default_site_on_one_machine() -> Result<()> {
    let lan = Lan::hostlets("two", &[])?;
    let host = Nginx::start("host", |program| lan.host().command(program))?;
    let first = in_hostlet(&lan, "first", &IN, "nginx".as_ref())?;
    let first = Nginx::start("first", |_| first)?;
    let install = lan.install().context("hostlets")?;
    let create = [
        "create",
        "second",
        "--address",
        "10.0.0.9",
        "--address",
        "2001:db8::9",
    ];
    install.run(lan.host(), &create)?;
    let second = install.command(lan.host(), &["enter", "second", "--", "nginx"]);
    let second = Nginx::start("second", |_| second)?;

    for (server, addresses) in [("first", &IN[..]), ("second", &OTHER), ("host", &HOST)] {
        for address in addresses {
            let source = if address.contains(':') {
                "2001:db8::100"
            } else {
                "10.0.0.100"
            };
            let got = fetch(lan.peer(), address)?;
            ensure!(
                got == served(server, source),
                "{address}: {got:?}, not {server}"
            );
        }
    }
    // Each has its own loopback, by both names.
    for name in ["first", "second"] {
        for loopback in ["127.0.0.1", "[::1]", "localhost"] {
            let curl = install.command(lan.host(), &["enter", name, "--", "curl"]);
            let got = fetch_with(curl, loopback)?.with_context(|| format!("{name} {loopback}"))?;
            ensure!(got.server == name, "{loopback} in {name} is {}", got.server);
        }
    }
    let got = fetch(lan.host(), "127.0.0.1")?.context("the host's own loopback")?;
    ensure!(got.server == "host");

    // One stops: while its hostlet is there, its addresses are silent, not the host's.
    let status = second.stop()?;
    ensure!(status.success(), "nginx in a hostlet ended with {status}");
    for address in OTHER {
        let got = fetch(lan.peer(), address)?;
        ensure!(got.is_none(), "{address} is answered by {got:?}");
    }
    install.run(lan.host(), &["remove", "second"])?;
    let got = fetch(lan.peer(), OTHER[0])?;
    ensure!(
        got == served("host", "10.0.0.100"),
        "an address of no hostlet: {got:?}"
    );
    first.stop()?;
    host.stop()?;
    Ok(())
}

#[test]
fn a_client_arrives_with_its_hostlets_address() -> Result<()> {
    let lan = Lan::hostlets("two", &[])?;
    let server = Nginx::start("peer", |program| lan.peer().command(program))?;
    for (address, source) in [
        ("10.0.0.100", "10.0.0.5"),
        ("[2001:db8::100]", "2001:db8::5"),
    ] {
        let curl = in_hostlet(&lan, "client", &IN, "curl".as_ref())?;
        let got = fetch_with(curl, address)?;
        ensure!(got == served("peer", source), "{address}: {got:?}");
    }
    // Written when the answer has been sent.
    let mut log = String::new();
    wait::until("both in the access log", || {
        log = fs::read_to_string(server.log()).unwrap_or_default();
        log.lines().count() == 2
    })?;
    let from: Vec<&str> = log.lines().filter_map(|l| l.split(' ').next()).collect();
    ensure!(
        from == ["10.0.0.5", "2001:db8::5"],
        "the server saw {from:?}"
    );
    server.stop()?;
    Ok(())
}

/// No libc, no preload, nothing to hook into: only the kernel sees it.
#[test]
fn a_static_program() -> Result<()> {
    let lan = Lan::hostlets("one", &[])?;
    let dir = TestDir::new("static")?;
    let (source, program) = (dir.path().join("bind.c"), dir.path().join("bind"));
    fs::write(
        &source,
        r#"#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(8080) };
		inet_pton(AF_INET, argv[i], &a.sin_addr);
		int fd = socket(AF_INET, SOCK_STREAM, 0);
		int failed = bind(fd, (struct sockaddr *)&a, sizeof a);
		printf("%s %s\n", argv[i], failed ? strerrorname_np(errno) : "ok");
	}
}
"#,
    )?;
    let built = Command::new("cc")
        .args(["-static", "-D_GNU_SOURCE", "-o"])
        .args([&program, &source])
        .output()
        .context("starting cc: install build-essential")?;
    ensure!(
        built.status.success(),
        "cc: {}",
        String::from_utf8_lossy(&built.stderr)
    );
    let mut command = in_hostlet(&lan, "static", &["10.0.0.5"], &program)?;
    let done = command
        .args(["10.0.0.5", "10.0.0.1", "10.0.0.9"])
        .output()?;
    let said = String::from_utf8_lossy(&done.stdout);
    ensure!(
        said == "10.0.0.5 ok\n10.0.0.1 EADDRNOTAVAIL\n10.0.0.9 EADDRNOTAVAIL\n",
        "{said}{}",
        String::from_utf8_lossy(&done.stderr)
    );
    Ok(())
}

/// No loader comes between the probe and the kernel, so what all other tests perform with it holds for static programs.
#[test]
fn the_probe_is_static() -> Result<()> {
    let elf = fs::read(binaries::probe()?)?;
    let number = |at: usize, bytes: usize| -> Result<usize> {
        let field = elf.get(at..at + bytes).context("a truncated program")?;
        Ok(field
            .iter()
            .rev()
            .fold(0, |n, byte| n << 8 | usize::from(*byte)))
    };
    ensure!(
        elf.starts_with(b"\x7fELF\x02\x01"),
        "64 bits, little endian"
    );
    let (table, size, count) = (number(32, 8)?, number(54, 2)?, number(56, 2)?);
    for header in 0..count {
        let kind = number(table + header * size, 4)?;
        ensure!(kind != INTERPRETER, "the probe names a loader");
    }
    Ok(())
}
