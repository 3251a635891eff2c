//! Descriptors from outside, and hostlets that end.

use std::ffi::CString;
use std::net::UdpSocket;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result, ensure};
use hostlet_testkit::agent::Agent;

use super::bench::USER;
use super::ending::Program;
use super::{Attempt, Bench, Finding, Layer, Who, absent, code};

pub(super) const ATTEMPTS: &[Attempt] = &[
    code(
        "inherited",
        "a socket that whoever starts the program has open",
        Layer::Product,
        inherited,
    )
    .remains("`--keep-fd` hands on by name; 0, 1 and 2 always are, sockets too"),
    code(
        "activation",
        "a socket that a service manager passes (`LISTEN_FDS`)",
        Layer::Product,
        activation,
    )
    .remains("`--keep-fd` hands on by name"),
    code(
        "entering",
        "take a descriptor of a program that is about to enter (`enter`, `run`), before its exec",
        Layer::Product,
        entering,
    )
    .remains("with `fs.suid_dumpable` at 1, meant for debugging, the kernel lets others of the same user at it for an instant; the default is 0"),
    code(
        "handed-in",
        "a socket that a process outside sends (SCM_RIGHTS)",
        Layer::Nothing,
        handed_in,
    )
    .possible("it takes somebody outside who gives it; `hostlet check` finds it"),
    code(
        "started-outside",
        "have a service outside start a program: systemd, D-Bus, `at`, `crontab`, container engines",
        Layer::Nothing,
        started_outside,
    )
    .possible("services judge by the user: give members one that they do not serve (`at.deny`, `cron.deny`, no lingering); rules of sessions confine what cron starts"),
    code(
        "capability-sets",
        "regain a dropped capability, also by set-uid programs and file capabilities",
        Layer::Capability,
        capability_sets,
    ),
    code(
        "raw-capable",
        "raw sockets with CAP_NET_RAW, kept by name (`--keep-capability`)",
        Layer::Hook,
        raw_with_the_capability,
    )
    .root_only()
    .remains("packet sockets by io_uring are not stopped then: it reads and writes frames; do not keep it"),
    code(
        "forks",
        "fork all the time while addresses come and go, and after the hostlet is removed",
        Layer::Product,
        forks,
    ),
    code(
        "hidden-members",
        "hide from removal in cgroups below one's own, frozen or threaded",
        Layer::Product,
        hidden_members,
    ),
];

fn finding(out: Option<String>) -> Finding {
    Finding {
        out,
        ..Finding::default()
    }
}

/// Starts a command with a socket of the host's at 3, and gives what it said.
fn with_socket(bench: &Bench, mut command: Command) -> Result<Output> {
    let socket = bench
        .lan()
        .host()
        .within(|| UdpSocket::bind("10.0.0.2:0"))??;
    let fd = socket.as_raw_fd();
    // Its copy in the child stays open through the exec.
    // SAFETY: plain system calls between fork and exec.
    unsafe {
        command.pre_exec(move || {
            let done = if fd == 3 {
                libc::fcntl(fd, libc::F_SETFD, 0)
            } else {
                libc::dup2(fd, 3)
            };
            if done < 0 {
                return Err(std::io::Error::last_os_error());
            }
            Ok(())
        });
    }
    Ok(command.stdin(Stdio::null()).current_dir("/").output()?)
}

/// Starts with a socket open that was not meant for it.
fn inherited(bench: &mut Bench, who: Who) -> Result<Finding> {
    let command = bench.member(who, "ls", &["-l", "/proc/self/fd"])?;
    let done = with_socket(bench, command)?;
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    ensure!(done.status.success() && said.contains(" 0 -> "), "{done:?}");
    Ok(finding(said.contains("socket:").then_some(said)))
}

/// Starts with one that was, but that nobody named.
fn activation(bench: &mut Bench, who: Who) -> Result<Finding> {
    let started = |command: &Command| {
        let mut shell = bench.lan().host().command("sh");
        shell.args(["-c", r#"export LISTEN_FDS=1 LISTEN_PID=$$; exec "$0" "$@""#]);
        shell.arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            value.map(|value| shell.env(name, value));
        }
        with_socket(bench, shell)
    };
    let mut outside = bench.lan().host().command("ls");
    outside.args(["-l", "/proc/self/fd"]);
    let shown = started(&outside)?;
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    ensure!(shown.contains("3 -> socket:"), "outside: {shown}");
    let done = started(&bench.member(who, "ls", &["-l", "/proc/self/fd"])?)?;
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    let why = String::from_utf8_lossy(&done.stderr).into_owned();
    ensure!(
        done.status.success() || why.contains("--keep-fd"),
        "{done:?}"
    );
    Ok(finding(said.contains("socket:").then_some(said)))
}

/// Asks a service that does for everybody what they want: a stand-in for those that are not on every machine.
fn started_outside(bench: &mut Bench, who: Who) -> Result<Finding> {
    let place = bench.files().join("service");
    // One of an earlier attempt.
    let _ = std::fs::remove_file(&place);
    let service = UnixListener::bind(&place)?;
    std::fs::set_permissions(&place, PermissionsExt::from_mode(0o777))?;
    service.set_nonblocking(true)?;
    let path = place.to_str().context("a path in UTF-8")?;
    let ask = "import socket, sys; socket.socket(socket.AF_UNIX).connect(sys.argv[1])";
    let mut asker = bench.member(who, "/usr/bin/python3", &["-c", ask, path])?;
    asker.stdin(Stdio::null()).stderr(Stdio::null());
    asker.current_dir("/").status()?;
    // Who connected waits in the queue.
    let asked = service.accept().is_ok();
    let port = 18_890;
    if asked {
        bench.ask("host", "s = socket udp4")?;
        bench.ask("host", "bind s 10.0.0.2:0")?;
        bench.ask("host", &format!("sendto s 10.0.0.100:{port} x"))?;
        bench.ask("host", "reset")?;
    }
    let out = asked && bench.comes(port);
    Ok(finding(out.then(|| "sent from 10.0.0.2".to_owned())))
}

fn entering(bench: &mut Bench, who: Who) -> Result<Finding> {
    Ok(finding(bench.entering(member_name(who))?))
}

fn handed_in(bench: &mut Bench, who: Who) -> Result<Finding> {
    let place = bench.files().join("handover");
    let place = place.to_str().context("a path in UTF-8")?.to_owned();
    let name = member_name(who);
    bench.ask("host", "g = socket udp4")?;
    bench.ask("host", "bind g 10.0.0.2:0")?;
    let (taken, sent) = bench.hand_over("host", "g", name, &place)?;
    bench.ask("host", "reset")?;
    // Who does not get it cannot send by it.
    let out = (taken == "ok" && sent == "ok").then(|| "sent from 10.0.0.2".to_owned());
    bench.ask(name, "reset")?;
    Ok(finding(out))
}

fn member_name(who: Who) -> &'static str {
    match who {
        Who::User => "in-user",
        Who::Root => "in-root",
    }
}

/// NET_ADMIN, NET_RAW, SYS_MODULE, SYS_RAWIO, SYS_PTRACE, SYS_ADMIN, SYS_BOOT, PERFMON, BPF, DAC_READ_SEARCH.
const DROPPED: [u32; 10] = [12, 13, 16, 17, 19, 21, 22, 38, 39, 2];

/// The dropped capabilities that a program has in one of its sets.
fn dropped_in(agent: &mut Agent) -> Result<Option<String>> {
    let gone: u64 = DROPPED.iter().map(|c| 1u64 << c).sum();
    for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        let text = agent.ask(&format!("status {set}"))?;
        let has = u64::from_str_radix(&text, 16).with_context(|| format!("{set}: {text}"))?;
        if has & gone != 0 {
            return Ok(Some(format!("{set} has {:#x}", has & gone)));
        }
    }
    Ok(None)
}

/// Programs that give whoever starts them what was dropped: one is set-uid root, the other has file capabilities.
fn gifts(bench: &Bench) -> Result<[PathBuf; 2]> {
    let place = bench.files().join("gifts");
    let [set_uid, capable] = ["set-uid", "capable"].map(|name| place.join(name));
    if place.exists() {
        return Ok([set_uid, capable]);
    }
    // Where temporary files are, such programs may be worth nothing (nosuid).
    std::fs::create_dir(&place)?;
    let mut mount = Command::new("mount");
    mount.args(["-t", "tmpfs", "-o", "mode=755,suid", "gifts"]);
    let mounted = mount.arg(&place).status().context("starting mount")?;
    ensure!(mounted.success(), "mount: {mounted}");
    for (gift, mode) in [(&set_uid, 0o4755), (&capable, 0o755)] {
        std::fs::copy(&bench.probe, gift)?;
        std::fs::set_permissions(gift, PermissionsExt::from_mode(mode))?;
    }
    let (low, high) = DROPPED.iter().fold((0u32, 0u32), |(low, high), c| match c {
        0..32 => (low | 1 << c, high),
        c => (low, high | 1 << (c - 32)),
    });
    // VFS_CAP_REVISION_2: permitted and inheritable, the first 32 and the rest.
    let words: [u32; 5] = [0x0200_0000, low, 0, high, 0];
    let value: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    let path = CString::new(capable.as_os_str().as_bytes())?;
    let name = c"security.capability".as_ptr();
    // SAFETY: the path and the name end in a zero, and the value is as long as said.
    let done =
        unsafe { libc::setxattr(path.as_ptr(), name, value.as_ptr().cast(), value.len(), 0) };
    let why = std::io::Error::last_os_error();
    ensure!(done == 0, "giving a file capabilities: {why}");
    Ok([set_uid, capable])
}

fn capability_sets(bench: &mut Bench, who: Who) -> Result<Finding> {
    let mut member = Agent::start("member", bench.member(who, text(&bench.probe)?, &[])?)?;
    let mut out = dropped_in(&mut member)?;
    let user = USER.to_string();
    for gift in gifts(bench)? {
        let mut outside = bench.lan().host().command("setpriv");
        outside.args(["--reuid", &user, "--regid", &user, "--clear-groups"]);
        outside
            .arg("--bounding-set=+all")
            .arg(&gift)
            .current_dir("/");
        let mut outside = Agent::start("outside", outside)?;
        let given = outside.ask("status CapPrm")?;
        let given = u64::from_str_radix(&given, 16).with_context(|| given.clone())?;
        ensure!(
            DROPPED.iter().any(|c| given & 1 << c != 0),
            "{} gives nobody anything: this proves nothing",
            gift.display()
        );
        let mut command = bench.member(who, text(&gift)?, &[])?;
        command.current_dir("/");
        let mut gifted = Agent::start("gifted", command)?;
        out = out.or(dropped_in(&mut gifted)?);
    }
    Ok(finding(out))
}

fn text(path: &Path) -> Result<&str> {
    path.to_str().context("a path in UTF-8")
}

/// The kernel would let it: it is the hook that refuses, and tells so.
fn raw_with_the_capability(bench: &mut Bench, _: Who) -> Result<Finding> {
    let probe = bench.probe.to_str().context("a path in UTF-8")?;
    let args = ["enter", "in", "--keep-capability", "NET_RAW", "--", probe];
    let mut command = bench.install()?.command(bench.lan().host(), &args);
    command.current_dir("/");
    let mut agent = Agent::start("in-capable", command)?;
    bench.told()?;
    let rings = !absent::no_io_uring()?;
    let lines = ["a = socket raw4", "b = socket raw6", "c = socket 2/3/255"];
    let by_ring = rings.then_some("d = uring-socket raw4");
    for line in lines.into_iter().chain(by_ring) {
        let said = agent.ask(line)?;
        if said != "EPERM" {
            return Ok(finding(Some(format!("{line}: {said}"))));
        }
        let told = bench.told()?;
        ensure!(
            told == ["EPERM"],
            "{line}: a hook tells of it, but not so: {told:?}"
        );
    }
    let sees = agent.ask("e = uring-socket packet")?;
    ensure!(
        sees == if rings { "ok" } else { "EPERM" },
        "a packet socket by io_uring: {sees}, documented as possible where there is io_uring for members"
    );
    Ok(finding(None))
}

/// Each process forks the next and ends: there is none to kill that all come from. At most so many at a
/// time, and for so many seconds; some try the address that comes and goes.
const CHAINS: &str =
    "chain 6 120 10.0.0.2:0 10.0.0.100:PORT\nchain 2 120 10.0.0.41:0 10.0.0.100:NEXT";

fn forks(bench: &mut Bench, who: Who) -> Result<Finding> {
    // Outside it is heard.
    bench.ask("outside", "chain 1 1 10.0.0.2:0 10.0.0.100:18888")?;
    ensure!(
        bench.comes(18_888),
        "a chain outside is not heard: this proves nothing"
    );
    bench.ending(who, Program::Probe(CHAINS), true)
}

/// Cgroups of one's own below the hostlet's, made in namespaces that one may make.
const HIDING: &str = "import ctypes, os, socket, time
c = ctypes.CDLL(None, use_errno=True)
made, me = 0, '0 %d 1' % os.getuid()
c.unshare(0x10000000 | 0x20000 | 0x02000000)
try: open('/proc/self/uid_map', 'w').write(me)
except OSError: pass
if c.mount(b'cgroup2', b'/mnt', b'cgroup2', 0, None) == 0:
    at = '/mnt'
    for n in range(5):
        at += '/deep%d' % n
        try:
            os.mkdir(at)
            made += 1
            if n == 3: open(at + '/cgroup.type', 'w').write('threaded')
        except OSError: break
        if os.fork() == 0:
            try: open(at + '/cgroup.procs', 'w').write('0')
            except OSError: pass
            try: open(at + '/cgroup.freeze', 'w').write('1')
            except OSError: pass
            time.sleep(60); os._exit(0)
    try: open('/mnt/deep0/cgroup.freeze', 'w').write('1')
    except OSError: pass
print('there are %d cgroups' % made, flush=True)
until = time.time() + 60
while time.time() < until:
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        s.bind(('10.0.0.2', 0))
        s.sendto(b'x', ('10.0.0.100', PORT))
    except OSError: pass
    time.sleep(0.01)
";

fn hidden_members(bench: &mut Bench, who: Who) -> Result<Finding> {
    let found = bench.ending(who, Program::Python(HIDING), false)?;
    ensure!(
        who == Who::User || !found.refused.contains(" 0 "),
        "root made no cgroups to hide in: this proves nothing"
    );
    Ok(found)
}
