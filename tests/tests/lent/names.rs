//! B12: what the machine's own name stands for in a hostlet, as the NSS module finds it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use hostlet_model::Lifetime;
use hostlet_model::names::{OwnNames, file_name};
use hostlet_platform::cgroup::find_mount;

use crate::stage::{Stage, name};

fn file(s: &Stage) -> Result<PathBuf> {
    let own = s.engine(|e| e.cgroup_of(&name("in")))?;
    let path = format!("/{}", own.strip_prefix(find_mount()?)?.display());
    Ok(s.engine(|e| e.paths().names())?.join(file_name(&path)))
}

/// `session 10.0.0.5, machine 10.0.0.1`.
fn said(s: &Stage) -> Result<String> {
    let names = OwnNames::parse(&fs::read(file(s)?)?).context("its cgroup")?;
    let own = s.engine(|e| e.cgroup_of(&name("in")))?;
    let path = format!("/{}", own.strip_prefix(find_mount()?)?.display());
    ensure!(names.is_of(&path), "{names:?}");
    let words = |(addr, whose)| format!("{whose:?} {addr}").to_lowercase();
    let all: Vec<String> = names.addresses.into_iter().map(words).collect();
    Ok(all.join(", "))
}

#[test]
fn the_own_name_is_the_hostlets_addresses_and_the_machines() -> Result<()> {
    let mut s = Stage::new()?;
    let host = s.lan.host().try_clone()?;
    // The default route says from where the machine leaves; one family has none.
    host.ip(["route replace default via 10.0.0.100 src 10.0.0.1"])?;
    host.run("ip", &["-6", "route", "del", "default"])?;
    for gone in ["2001:db8:1::1/64 dev eth1", "10.1.0.1/24 dev eth1"] {
        host.ip([format!("addr del {gone}")])?;
    }
    s.lend(&Lifetime::Kept, &["10.0.0.5", "2001:db8::5"])?;
    let both = "session 10.0.0.5, session 2001:db8::5, machine 10.0.0.1, machine 2001:db8::";
    ensure!(said(&s)?.starts_with(both), "{}", said(&s)?);
    let mode = |path: &std::path::Path| -> Result<u32> {
        Ok(fs::metadata(path)?.permissions().mode() & 0o777)
    };
    let file = file(&s)?;
    let dir = file.parent().context("its directory")?.to_owned();
    ensure!(mode(&file)? == 0o644 && mode(&dir)? == 0o755);

    // Members see it, read-only, and nothing of the rest of the run directory.
    let install = s.lan.install().context("hostlets")?;
    let script = format!(
        "cat {} && ! touch {}/x 2>&1 && ls {}",
        file.display(),
        dir.display(),
        dir.parent().context("run")?.display()
    );
    let seen = install.run(&host, &["enter", "in", "--", "sh", "-c", &script])?;
    ensure!(seen.contains("session 10.0.0.5\n"), "{seen}");
    ensure!(seen.ends_with("\nnames\n"), "{seen}");

    s.replace(&["10.0.0.5"], &["10.0.0.6"])?;
    ensure!(
        said(&s)?.contains("session 10.0.0.6, machine 10.0.0.1"),
        "{}",
        said(&s)?
    );

    // The machine's own address changes; who looks is told.
    host.ip(["route replace default via 10.0.0.100 src 10.0.0.5"])?;
    s.engine(|e| e.follow_network())??;
    ensure!(said(&s)?.contains("machine 10.0.0.5"), "{}", said(&s)?);
    host.ip([
        "route del default",
        "addr flush dev eth0 scope global",
        "addr add 10.0.0.77/24 dev eth0",
    ])?;
    s.engine(|e| e.follow_network())??;
    ensure!(said(&s)?.ends_with("machine 10.0.0.77"), "{}", said(&s)?);
    host.ip(["addr flush dev eth0 scope global"])?;
    s.engine(|e| e.follow_network())??;
    ensure!(!said(&s)?.contains("machine"), "{}", said(&s)?);
    host.ip([
        "addr add 10.0.0.1/24 dev eth0",
        "addr add 10.0.0.6/24 dev eth0",
    ])?;

    // Who is cut off, or has the machine's addresses, is answered as outside.
    s.replace(&["10.0.0.6", "2001:db8::5"], &[])?;
    ensure!(!file.exists());
    s.replace(&[], &["10.0.0.6"])?;
    ensure!(
        said(&s)? == "session 10.0.0.6, machine 10.0.0.1",
        "{}",
        said(&s)?
    );
    s.fall_back(&["10.0.0.6"])?;
    ensure!(!file.exists());
    s.engine(|e| e.close(&name("in"), true))??;
    Ok(())
}

/// The order is the configuration's; with the hostlet goes its file, also if the run was killed.
#[test]
fn the_order_is_configured_and_nothing_is_left() -> Result<()> {
    let mut s = Stage::new()?;
    let root = s.lan.install().context("hostlets")?.root().to_owned();
    s.lend(&Lifetime::Kept, &["10.0.0.5"])?;
    ensure!(
        said(&s)?.starts_with("session 10.0.0.5, machine"),
        "{}",
        said(&s)?
    );
    fs::write(
        root.join("hostlet.toml"),
        "[sessions]\nown-name = \"machine-first\"\n",
    )?;
    s.engine(|e| e.follow_network())??;
    ensure!(said(&s)?.ends_with("session 10.0.0.5"), "{}", said(&s)?);
    let file = file(&s)?;
    let dir = file.parent().context("its directory")?;
    fs::write(dir.join("0123456789abcdef"), "cgroup /left/by/somebody\n")?;
    fs::remove_file(root.join("hostlet.toml"))?;
    s.engine(|e| e.heal())??;
    s.engine(|e| e.follow_network())??;
    ensure!(!dir.join("0123456789abcdef").exists());

    // A umask like hostletd's keeps nobody from reading.
    s.engine(|e| e.close(&name("in"), true))??;
    ensure!(!file.exists());
    fs::remove_dir_all(dir)?;
    let mut careful = s.lan.host().command("sh");
    let create = "umask 077; exec \"$0\" --root \"$1\" create -a 10.0.0.5 in";
    careful.args(["-c", create]);
    careful
        .arg(hostlet_testkit::binaries::hostlet()?)
        .arg(&root);
    ensure!(careful.status()?.success());
    let mode = fs::metadata(&file)?.permissions().mode();
    ensure!(mode & 0o777 == 0o644 && fs::metadata(dir)?.permissions().mode() & 0o777 == 0o755);
    let install = s.lan.install().context("hostlets")?;
    install.run(s.lan.host(), &["remove", "in"])?;
    ensure!(!file.exists());
    Ok(())
}
