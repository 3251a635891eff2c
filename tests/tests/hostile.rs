//! A16: what a hostile member, root included, tries beside socket calls. They need root.

use std::fs;
use std::os::fd::AsRawFd;

use anyhow::{Context, Result, ensure};
use hostlet_testkit::agent::Agent;
use hostlet_testkit::dir::TestDir;
use hostlet_testkit::lan::Lan;

/// A hostlet with a probe in it.
struct Fixture {
    agent: Agent,
    lan: Lan,
}

impl Fixture {
    fn new() -> Result<Fixture> {
        let lan = Lan::hostlets("one", &[])?;
        Ok(Fixture {
            agent: lan.start("in")?,
            lan,
        })
    }

    fn expect(&mut self, line: &str, wanted: &[&str]) -> Result<()> {
        let got = self.agent.ask(line)?;
        ensure!(
            wanted.contains(&got.as_str()),
            "`{line}` → {got}, not {wanted:?}"
        );
        Ok(())
    }

    /// The hostlet's cgroup, as the host sees it.
    fn cgroup(&self) -> Result<String> {
        let install = self.lan.install().context("hostlets")?;
        let shown = install.json(self.lan.host(), &["show", "in"])?;
        Ok(shown["cgroup"].as_str().context("a cgroup")?.to_owned())
    }

    /// It is where it was, and as confined.
    fn still_confined(&mut self) -> Result<()> {
        self.expect("z = socket tcp4", &["ok"])?;
        self.expect("bind z 10.0.0.1:9999", &["EADDRNOTAVAIL"])?;
        self.expect("close z", &["ok"])
    }
}

#[test]
fn dangerous_capabilities_are_gone_from_every_set() -> Result<()> {
    let mut f = Fixture::new()?;
    // NET_ADMIN, NET_RAW, SYS_MODULE, SYS_RAWIO, SYS_PTRACE, SYS_ADMIN, PERFMON, BPF.
    let gone: u64 = [12, 13, 16, 17, 19, 21, 38, 39]
        .iter()
        .map(|c| 1u64 << c)
        .sum();
    for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        let text = f.agent.ask(&format!("status {set}"))?;
        let has = u64::from_str_radix(&text, 16).with_context(|| format!("{set}: {text}"))?;
        ensure!(has & gone == 0, "{set} still has {:#x}", has & gone);
    }
    Ok(())
}

#[test]
fn the_cgroup_cannot_be_left() -> Result<()> {
    let mut f = Fixture::new()?;
    let own = f.cgroup()?;
    let parent = own.rsplit_once('/').context("a parent")?.0.to_owned();
    let root = own.split("/hostlet-").next().context("a mount")?.to_owned();
    for place in [&own, &parent, &root] {
        f.expect(
            &format!("write {place}/cgroup.procs 0"),
            &["EROFS", "ENOENT", "EACCES", "EPERM"],
        )?;
    }
    // With namespaces of its own it may try to undo the read-only mount.
    for kinds in ["mount", "user+mount", "user+mount+cgroup"] {
        for place in [&parent, &root] {
            f.expect(
                &format!("unshare {kinds} {place}/cgroup.procs 0"),
                &["EROFS", "ENOENT", "EACCES", "EPERM", "EBUSY"],
            )?;
        }
    }
    f.still_confined()
}

#[test]
fn other_namespaces_cannot_be_entered() -> Result<()> {
    let mut f = Fixture::new()?;
    for kind in ["net", "mnt", "cgroup", "user"] {
        f.expect(
            &format!("setns /proc/1/ns/{kind}"),
            &["EPERM", "EACCES", "EINVAL"],
        )?;
    }
    f.still_confined()
}

#[test]
fn sockets_of_other_processes_cannot_be_taken() -> Result<()> {
    let mut f = Fixture::new()?;
    // This test is root without a hostlet: the member, also root, may not reach into it.
    let socket = f
        .lan
        .host()
        .within(|| std::net::TcpListener::bind("10.0.0.1:8080"))??;
    let (pid, fd) = (std::process::id(), socket.as_raw_fd());
    f.expect(&format!("steal {pid} {fd}"), &["EPERM"])?;
    f.expect(
        &format!("write /proc/{pid}/fd/{fd} x"),
        &["ENXIO", "EACCES", "EPERM"],
    )?;
    f.still_confined()
}

/// A write there makes the kernel start a program as the machine's own root.
#[test]
fn the_kernel_cannot_be_told_to_start_programs() -> Result<()> {
    let mut f = Fixture::new()?;
    for path in ["/proc/sys/kernel/core_pattern", "/proc/sys/kernel/modprobe"] {
        // A kernel without modules has no modprobe.
        let Ok(before) = fs::read_to_string(path) else {
            continue;
        };
        // What is there already, so that a failure of this test changes nothing.
        let text = before.trim_end();
        if text.is_empty() || text.contains(' ') {
            continue;
        }
        for line in [
            format!("write {path} {text}"),
            format!("unshare user+mount {path} {text}"),
        ] {
            f.expect(&line, &["EROFS", "EACCES", "EPERM"])?;
        }
    }
    Ok(())
}

#[test]
fn the_network_cannot_be_changed() -> Result<()> {
    let mut f = Fixture::new()?;
    let install = f.lan.install().context("hostlets")?;
    for args in [
        ["ip", "address", "add", "10.0.0.77/24", "dev", "eth0"],
        ["ip", "route", "add", "10.7.0.0/16", "via", "10.0.0.100"],
        ["ip", "link", "set", "dev", "eth0", "down"],
    ] {
        let done = install.output(f.lan.host(), &[&["enter", "in", "--"], &args[..]].concat())?;
        ensure!(!done.status.success(), "a member did {}", args.join(" "));
    }
    f.still_confined()
}

/// The kernel part is pinned below the installation's own directory here; a member
/// neither sees nor changes it.
#[test]
fn the_pins_are_out_of_reach() -> Result<()> {
    let f = Fixture::new()?;
    let install = f.lan.install().context("hostlets")?;
    let bpf = install.root().join("bpf");
    let outside = fs::read_dir(&bpf).map(Iterator::count).unwrap_or(0);
    ensure!(outside > 0, "nothing is pinned below {}", bpf.display());
    let path = bpf.to_str().context("a path in UTF-8")?;
    let done = install.output(
        f.lan.host(),
        &["enter", "in", "--", "find", path, "-mindepth", "1"],
    )?;
    let seen = String::from_utf8_lossy(&done.stdout);
    ensure!(seen.trim().is_empty(), "a member sees {seen}");
    Ok(())
}

/// A namespace of a member's own is no machine of ours: there it may do as it likes, and
/// nothing comes out of it.
#[test]
fn a_network_namespace_of_its_own_passes_through() -> Result<()> {
    let f = Fixture::new()?;
    let install = f.lan.install().context("hostlets")?;
    let script = "ip link set lo up && ip address add 10.0.0.1/32 dev lo && exec python3 -c \
                  'import socket; s = socket.socket(); s.bind((\"10.0.0.1\", 8080)); print(s.getsockname())'";
    let done = install.output(
        f.lan.host(),
        &[
            "enter",
            "in",
            "--",
            "unshare",
            "--user",
            "--map-root-user",
            "--net",
            "sh",
            "-c",
            script,
        ],
    )?;
    let said = String::from_utf8_lossy(&done.stdout);
    ensure!(
        said.trim() == "('10.0.0.1', 8080)",
        "{said}{}",
        String::from_utf8_lossy(&done.stderr)
    );
    Ok(())
}

/// C5: a socket that came from outside has none of our hooks; `check` finds it.
#[test]
fn a_socket_passed_in_from_outside_is_found() -> Result<()> {
    let mut f = Fixture::new()?;
    let install = f.lan.install().context("hostlets")?;
    ensure!(
        install
            .output(f.lan.host(), &["check", "in"])?
            .status
            .success(),
        "found before"
    );
    // The installation's own directory is read-only inside.
    let dir = TestDir::new("handover")?;
    let place = dir.path().join("handover");
    let place = place.to_str().context("a path in UTF-8")?.to_owned();
    let mut host = f.lan.start("host")?;
    host.ask("a = socket tcp4")?;
    host.ask("bind a 10.0.0.1:8080")?;
    host.ask("listen a")?;
    std::thread::scope(|s| -> Result<()> {
        let hand = s.spawn(|| host.ask(&format!("hand a {place}")));
        let took = f.agent.ask(&format!("b = take {place}"))?;
        ensure!(took == "ok", "take: {took}");
        hand.join()
            .map_err(|_| anyhow::anyhow!("the giver panicked"))??;
        Ok(())
    })?;
    let install = f.lan.install().context("hostlets")?;
    let done = install.output(f.lan.host(), &["check", "in", "--json"])?;
    ensure!(done.status.code() == Some(3), "check: {}", done.status);
    let found: serde_json::Value = serde_json::from_slice(&done.stdout)?;
    let text = found.to_string();
    ensure!(text.contains("10.0.0.1:8080"), "{text}");
    Ok(())
}
