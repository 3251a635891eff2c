//! B1: hostlets that a login session's cgroup, made by others, carries.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use hostlet_model::Lifetime;
use hostlet_model::names::{OwnNames, file_name};
use hostlet_platform::cgroup::find_mount;
use hostlet_testkit::agent::Agent;
use hostlet_testkit::binaries;

use crate::stage::{Stage, by, name, spec, waiting, while_lives};

/// A slice with a session's cgroup, as systemd makes them; gone with the test.
struct Slice(PathBuf);

impl Slice {
    fn new(name: &str) -> Result<Slice> {
        let dir = find_mount()?.join(format!("hlt-{name}-{}.slice", std::process::id()));
        fs::create_dir(&dir)?;
        let slice = Slice(dir);
        fs::create_dir(slice.scope())?;
        Ok(slice)
    }

    fn scope(&self) -> PathBuf {
        self.0.join("session-1.scope")
    }

    /// The file that says what the machine's name stands for in a cgroup.
    fn names(&self, s: &Stage, dir: &Path) -> Result<Option<OwnNames>> {
        let path = format!("/{}", dir.strip_prefix(find_mount()?)?.display());
        let file = s.engine(|e| e.paths().names())?.join(file_name(&path));
        match fs::read(file) {
            Ok(text) => Ok(Some(OwnNames::parse(&text).context("its cgroup")?)),
            Err(_) => Ok(None),
        }
    }
}

impl Drop for Slice {
    fn drop(&mut self) {
        let _ = fs::write(self.0.join("cgroup.kill"), "1");
        let _ = fs::remove_dir(self.scope());
        let _ = fs::remove_dir(&self.0);
    }
}

/// A probe in a cgroup.
fn within(s: &Stage, dir: &Path) -> Result<Agent> {
    let mut probe = s.lan.host().command("sh");
    probe.args(["-c", "echo $$ > \"$1\" && exec \"$2\"", "sh"]);
    probe.arg(dir.join("cgroup.procs")).arg(binaries::probe()?);
    Agent::start("session", probe)
}

#[test]
fn a_session_of_systemds_carries_its_hostlet() -> Result<()> {
    let mut s = Stage::new()?;
    let slice = Slice::new("one")?;
    let scope = slice.scope();
    let mut login = waiting()?;
    let lifetime = while_lives(login.id())?;
    let alice = spec("in", &["10.0.0.5"])?;
    s.engine(|e| e.lend(&alice, &lifetime, &by()))??;
    let other = spec("other", &["10.0.0.6"])?;
    s.engine(|e| e.lend(&other, &Lifetime::Kept, &by()))??;
    let inside = within(&s, &scope)?;
    let pid = inside.pid();
    s.players.add("in", inside);

    s.engine(|e| e.attach_scope(&name("in"), &scope))??;
    s.engine(|e| e.attach_scope(&name("in"), &scope))??;
    // Neither another's, nor what is above or below it, nor where hostlets live.
    let below = scope.join("below");
    fs::create_dir(&below)?;
    let own = s.engine(|e| e.cgroup_of(&name("in")))?;
    for dir in [&scope, &slice.0, &below, &own] {
        let refused = s.engine(|e| e.attach_scope(&name("other"), dir))?;
        ensure!(refused.is_err(), "{}", dir.display());
    }
    let nowhere = s.engine(|e| e.attach_scope(&name("other"), "/tmp".as_ref()))?;
    ensure!(nowhere.is_err());
    fs::remove_dir(&below)?;
    ensure!(s.engine(|e| e.hostlet_of(pid))? == Some(name("in")));
    ensure!(s.engine(|e| e.cgroups_of(&name("in")))? == [own.clone(), scope.clone()]);
    s.play(
        "peer m = socket tcp4
         peer bind m 10.0.0.100:9090
         peer listen m
         in a = socket tcp4
         in connect a 10.0.0.100:9090
         peer p = accept m => from 10.0.0.5:*",
    )?;
    // What becomes of the hostlet holds there too.
    let names = slice.names(&s, &scope)?.context("names")?;
    ensure!(names.addresses[0].0.to_string() == "10.0.0.5", "{names:?}");
    s.replace(&["10.0.0.5"], &["2001:db8::5"])?;
    let names = slice.names(&s, &scope)?.context("names")?;
    ensure!(
        names.addresses[0].0.to_string() == "2001:db8::5",
        "{names:?}"
    );
    s.replace(&["2001:db8::5"], &["10.0.0.5"])?;
    s.play(
        "in b = socket tcp4
         in connect b 10.0.0.100:9090
         peer q = accept m => from 10.0.0.5:*",
    )?;

    // The login ended; what it left lives on, and is nobody's when it is gone.
    login.kill()?;
    login.wait()?;
    ensure!(!s.engine(|e| e.end(&name("in")))??, "a member lives");
    s.players.take("in")?.finish()?;
    ensure!(s.engine(|e| e.end(&name("in")))??);
    ensure!(slice.names(&s, &scope)?.is_none() && slice.names(&s, &own)?.is_none());
    ensure!(s.engine(|e| e.hostlet_of(std::process::id()))?.is_none());
    let outside = within(&s, &scope)?;
    s.players.add("in", outside);
    s.play(
        "in a = socket tcp4
         in connect a 10.0.0.100:9090
         peer r = accept m => from 10.0.0.1:*",
    )?;
    s.engine(|e| e.attach_scope(&name("other"), &scope))??;
    s.play(
        "in b = socket tcp4
         in connect b 10.0.0.100:9090
         peer t = accept m => from 10.0.0.6:*",
    )?;
    // Whoever is in it is killed there too.
    let refused = s.engine(|e| e.close(&name("other"), false))?;
    ensure!(refused.is_err(), "it has a member");
    s.engine(|e| e.close(&name("other"), true))??;
    Ok(())
}

/// Sessions come and go in a hostlet that stays; of those that went nothing is left, and nothing is in the way.
#[test]
fn a_session_that_vanished_disturbs_nobody() -> Result<()> {
    let mut s = Stage::new()?;
    let slice = Slice::new("gone")?;
    let scope = slice.scope();
    s.lend(&Lifetime::Kept, &["10.0.0.5"])?;
    let run = s.engine(|e| e.paths().run.clone())?;
    let first = fs::metadata(&scope)?.ino();
    s.engine(|e| e.attach_scope(&name("in"), &scope))??;
    ensure!(run.join(format!("cgroups/{first}")).is_symlink());
    fs::remove_dir(&scope)?;
    s.engine(|e| e.heal())??;
    s.replace(&[], &["10.0.0.6"])?;
    s.replace(&["10.0.0.6"], &[])?;
    ensure!(s.engine(|e| e.cgroups_of(&name("in")))?.len() == 1);
    // The next session has a cgroup of the same name.
    fs::create_dir(&scope)?;
    s.engine(|e| e.attach_scope(&name("in"), &scope))??;
    ensure!(fs::read_dir(run.join("attached/in"))?.count() == 1);
    ensure!(fs::read_dir(run.join("cgroups"))?.count() == 1);
    ensure!(slice.names(&s, &scope)?.is_some());

    // And the one after that is another hostlet's, before the first one has noticed.
    fs::remove_dir(&scope)?;
    fs::create_dir(&scope)?;
    let other = spec("other", &["10.0.0.6"])?;
    s.engine(|e| e.lend(&other, &Lifetime::Kept, &by()))??;
    s.engine(|e| e.attach_scope(&name("other"), &scope))??;
    s.players.take("in")?.finish()?;
    s.engine(|e| e.close(&name("in"), false))??;
    let names = slice.names(&s, &scope)?.context("names of the other")?;
    ensure!(names.addresses[0].0.to_string() == "10.0.0.6", "{names:?}");
    let inside = within(&s, &scope)?;
    s.players.add("in", inside);
    s.play(
        "in b = socket tcp4
         in bind b 10.0.0.6:8080
         in c = socket tcp4
         in bind c 10.0.0.5:8080 => EADDRNOTAVAIL",
    )?;
    s.players.take("in")?.finish()?;
    fs::remove_dir(&scope)?;
    s.engine(|e| e.close(&name("other"), false))??;
    ensure!(!run.join("attached/other").exists());
    Ok(())
}
