//! Verbs that hostletd does: whatever has to do with addresses out of pools, and what users do without root's rights.

use std::fs;
use std::io::{self, Write};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use hostlet_engine::{Engine, Program, caller_named};
use hostlet_model::Name;
use hostlet_wire::{Client, ClientError, Lease, Open};

use crate::args::{
    Create, Enter, LaunchArgs, Leases, Pools, Reload, Remove, Run, Sessions, SpecArgs,
};
use crate::ending::End;
use crate::print;
use crate::verbs::{program, set_uid};

/// How long opening may take. hostletd ends it much sooner, when the pool's own timeout is over; this is for one that hangs.
const OPENING: Duration = Duration::from_secs(600);
/// The same for what changes less.
const ANSWERING: Duration = Duration::from_secs(60);
/// The same for what only reads, and waits for nothing.
const READING: Duration = Duration::from_secs(5);

/// `hostlet run --pool`.
pub fn run(engine: &Engine, a: Run) -> Result<End> {
    let open = request(a.name, a.spec, &a.launch, false);
    if !is_root() {
        only_root_chooses(&[
            ("--no-guard", !open.guard),
            ("--raw", open.raw),
            ("--host-loopback", !open.host_loopback.is_empty()),
        ])?;
        launches_as_himself(&a.launch)?;
        let mut client = connect(engine, OPENING)?;
        let program = program(a.launch);
        // By now without the rights of a set-uid hostlet.
        program.check()?;
        let opened = client.open(&open)?;
        return join(&mut client, &opened.name, &program);
    }
    let program = program(a.launch);
    program.check()?;
    // The connection is not kept over the program's life; this process's life is what hostletd goes by.
    let opened = connect(engine, OPENING)?.open(&open)?;
    let ended = engine.enter(&opened.name, &program);
    close(engine, &opened.name);
    Ok(End::Program(ended?))
}

/// The address is free again when the command is over, and not a moment later. What the program left running keeps the
/// hostlet; hostletd sees its end.
fn close(engine: &Engine, name: &Name) {
    if engine.members(Some(name)).is_ok_and(|all| !all.is_empty()) {
        return;
    }
    let closed = connect(engine, ANSWERING).and_then(|mut client| Ok(client.close(name, false)?));
    let Err(error) = closed else { return };
    let gone = matches!(
        error.downcast_ref(),
        Some(ClientError::Refused(hostlet_wire::Error::NotFound(_)))
    );
    if !gone {
        eprintln!(
            "hostlet: warning: hostlet '{name}' could not be ended, which hostletd will do when it runs: {error}"
        );
    }
}

/// `hostlet create --pool`.
pub fn create(engine: &Engine, a: Create, out: &mut dyn Write) -> Result<()> {
    let launch = LaunchArgs::default();
    let open = request(Some(a.name), a.spec, &launch, true);
    let opened = connect(engine, OPENING)?.open(&open)?;
    if a.json {
        print::json(out, &engine.show(&opened.name)?)?;
    }
    Ok(())
}

/// `hostlet enter`, of who has no rights of his own.
pub fn enter(engine: &Engine, a: Enter) -> Result<End> {
    launches_as_himself(&a.launch)?;
    let mut client = connect(engine, ANSWERING)?;
    join(&mut client, &a.name, &program(a.launch))
}

/// `hostlet remove`, of who has no rights of his own: his own hostlets.
pub fn remove(engine: &Engine, a: &Remove) -> Result<()> {
    Ok(connect(engine, ANSWERING)?.close(&a.name, a.kill)?)
}

/// Whether the caller has neither root's rights nor those of a set-uid hostlet, which knows its callers itself.
pub fn comes_through_hostletd() -> bool {
    !is_root() && !set_uid()
}

/// `hostlet reload`.
pub fn reload(engine: &Engine, a: &Reload, out: &mut dyn Write) -> Result<()> {
    let changes = connect(engine, OPENING)?.reload(a.dry_run)?;
    Ok(print::changes(out, &changes)?)
}

/// `hostlet pools`.
pub fn pools(engine: &Engine, a: &Pools, out: &mut dyn Write) -> Result<()> {
    let pools = connect(engine, READING)?.pools()?;
    if a.json {
        print::json(out, &pools)?;
    } else {
        print::pools(out, &pools)?;
    }
    Ok(())
}

/// `hostlet leases`.
pub fn leases(engine: &Engine, a: &Leases, out: &mut dyn Write) -> Result<()> {
    let mut leases = connect(engine, READING)?.leases()?;
    leases.retain(|lease| wanted(a, lease));
    if leases.is_empty() {
        may_see(a.user.as_deref())?;
        may_use(engine, a.pool.as_ref())?;
    }
    if a.json {
        print::json(out, &leases)?;
    } else {
        print::leases(out, &leases)?;
    }
    Ok(())
}

/// `hostlet sessions`.
pub fn sessions(engine: &Engine, a: &Sessions, out: &mut dyn Write) -> Result<()> {
    let mut sessions = connect(engine, READING)?.sessions()?;
    sessions.retain(|s| is_of(a.user.as_deref(), &s.user, s.uid));
    if sessions.is_empty() {
        may_see(a.user.as_deref())?;
    }
    if a.json {
        print::json(out, &sessions)?;
    } else {
        print::sessions(out, &sessions)?;
    }
    Ok(())
}

/// Nothing was found of that user. That must not be for want of rights, or because there is none of that name.
fn may_see(asked: Option<&str>) -> Result<()> {
    let Some(user) = asked else {
        return Ok(());
    };
    let known = caller_named(user);
    let uid = known.as_ref().map(|c| c.uid).or(user.parse().ok());
    let uid =
        uid.with_context(|| format!("there is no user '{user}': getent passwd lists them"))?;
    ensure!(
        is_root() || uid == rustix::process::getuid().as_raw(),
        "you see only what is yours; what is {user}'s root sees: run the command with sudo"
    );
    Ok(())
}

/// Nothing was found of that pool, which must not be for want of it.
fn may_use(engine: &Engine, asked: Option<&Name>) -> Result<()> {
    let Some(asked) = asked else {
        return Ok(());
    };
    let pools = connect(engine, READING)?.pools()?;
    ensure!(
        pools.iter().any(|pool| pool.name == *asked),
        "there is no pool '{asked}' for you: 'hostlet pools' lists those that there are"
    );
    Ok(())
}

/// How hostletd is, seen by who asks nothing of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hostletd {
    /// It is there.
    Runs,
    /// Nobody listens.
    Down,
    /// It does not answer, or cannot be asked.
    Silent,
}

/// Whether hostletd runs; where the service manager listens for it, it does now.
pub fn hostletd(engine: &Engine) -> Hostletd {
    let asked = Client::connect(&engine.paths().socket(), READING).and_then(|mut c| c.info());
    match asked {
        Ok(_) | Err(ClientError::Refused(_) | ClientError::Answer { .. }) => Hostletd::Runs,
        Err(ClientError::NotRunning { .. }) => Hostletd::Down,
        Err(_) => Hostletd::Silent,
    }
}

/// After an upgrade, before root reads what the older version remembered. Not under a hostletd of that version, which could not
/// use it any more.
pub fn bring_up_to_date(engine: &Engine) -> Result<()> {
    if !is_root() || !engine.is_outdated() {
        return Ok(());
    }
    if hostletd(engine) == Hostletd::Down {
        return Ok(engine.bring_up_to_date()?);
    }
    // One that the service manager has started just now has done it.
    ensure!(
        !engine.is_outdated(),
        "{} was written by an older version, and hostletd still runs in that: restart it ('systemctl restart hostletd'), which brings the file up to date",
        engine.paths().db.display()
    );
    Ok(())
}

fn wanted(a: &Leases, lease: &Lease) -> bool {
    a.pool.as_ref().is_none_or(|pool| *pool == lease.pool)
        && is_of(a.user.as_deref(), &lease.user, lease.uid)
}

/// Is the user, by name or number, the one that is asked for?
fn is_of(asked: Option<&str>, user: &str, uid: u32) -> bool {
    asked.is_none_or(|asked| asked == user || asked == uid.to_string())
}

/// Neither called by a user, nor with more rights than the caller has.
pub fn is_root() -> bool {
    rustix::process::getuid().is_root() && rustix::process::geteuid().is_root()
}

/// hostletd goes by the effective user of its caller: the user of a set-uid hostlet must come as himself.
fn connect(engine: &Engine, deadline: Duration) -> Result<Client> {
    if set_uid() {
        let (uid, gid) = (
            rustix::process::getuid().as_raw(),
            rustix::process::getgid().as_raw(),
        );
        // SAFETY: no pointers. The group goes first: without root's rights it could not.
        let done =
            unsafe { libc::setresgid(gid, gid, gid) == 0 && libc::setresuid(uid, uid, uid) == 0 };
        ensure!(
            done,
            "cannot give up the rights of the set-uid program: {}",
            io::Error::last_os_error()
        );
    }
    let connected = Client::connect(&engine.paths().socket(), deadline);
    if let Err(ClientError::NotRunning { .. }) = connected {
        ensure!(
            !hostlet_engine::is_inside(engine.paths()),
            "hostletd cannot be reached from inside a hostlet: run the command outside"
        );
    }
    Ok(connected?)
}

fn request(name: Option<Name>, a: SpecArgs, launch: &LaunchArgs, keep: bool) -> Open {
    Open {
        name,
        pools: a.pools,
        request: a.request,
        source: a.source,
        host_loopback: a.host_loopback,
        guard: !a.no_guard,
        raw: a.raw,
        keep,
        program: launch
            .program
            .iter()
            .map(|word| word.to_string_lossy().into_owned())
            .collect(),
    }
}

fn launches_as_himself(launch: &LaunchArgs) -> Result<()> {
    only_root_chooses(&[
        ("--user", launch.user.is_some()),
        ("--group", launch.group.is_some()),
        ("--keep-capability", !launch.keep_capability.is_empty()),
    ])
}

fn only_root_chooses(options: &[(&str, bool)]) -> Result<()> {
    match options.iter().find(|(_, given)| *given) {
        None => Ok(()),
        Some((option, _)) => {
            bail!("only root may choose {option}: leave it out, or run the command with sudo")
        }
    }
}

/// This process becomes a member, and then the program.
fn join(client: &mut Client, name: &Name, program: &Program) -> Result<End> {
    // First: hostletd moves no process of a user that could still become somebody else.
    hostlet_engine::give_up_new_privileges()?;
    let cgroup = client.join(name)?;
    let own = fs::read_to_string("/proc/self/cgroup").context(
        "cannot read /proc/self/cgroup, which says whether this process is in the hostlet",
    )?;
    ensure!(
        is_in(&own, &cgroup),
        "hostletd says that this process is in {cgroup} now, but it is not (/proc/self/cgroup): the program was not started; does hostletd run in another container?"
    );
    Err(hostlet_engine::become_program(program).into())
}

/// Whether the cgroup of the unified hierarchy in `/proc/PID/cgroup` is this one. Where this process has a cgroup namespace,
/// the path leads out of that first.
fn is_in(own: &str, cgroup: &str) -> bool {
    let mut lines = own.lines();
    let Some(mut path) = lines.find_map(|line| line.strip_prefix("0::")) else {
        return false;
    };
    while let Some(above) = path.strip_prefix("/..") {
        path = above;
    }
    path == cgroup
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_own_cgroup_is_found_in_all_hierarchies() {
        let hybrid = "12:net_cls:/\n1:name=systemd:/user.slice\n0::/hostlet/web\n";
        assert!(is_in(hybrid, "/hostlet/web"));
        assert!(is_in("0::/../../hostlet/web\n", "/hostlet/web"));
        for other in [
            "",
            "0::/\n",
            "0::/hostlet/web2\n",
            "0::/x/hostlet/web\n",
            "1:name=systemd:/hostlet/web\n",
            "0::/hostlet/web (deleted)\n",
        ] {
            assert!(!is_in(other, "/hostlet/web"), "{other}");
        }
    }
}
