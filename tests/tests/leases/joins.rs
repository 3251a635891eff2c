//! B3: which process becomes a member, against callers who speak the language themselves.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, Result, ensure};
use hostlet_testkit::dir::TestDir;
use hostlet_testkit::wait;

use crate::stage::Stage;

/// A user that every system has.
const NOBODY: u32 = 65534;

const CONFIG: &str = "[pool.office]\ninterface = \"eth0\"\n\
    ranges = [\"10.0.0.100-10.0.0.109\"]\nprobe = \"off\"\n\
    may-use = [\"user:nobody\"]\n";

/// What all clients begin with. Each prints a line for each thing that it did.
const CLIENT: &str = r#"
import array, ctypes, fcntl, json, os, signal, socket, sys, termios, threading
# An interpreter in root's home is out of nobody's reach.
os.setgroups([])
os.setresgid(65534, 65534, 65534)
os.setresuid(65534, 65534, 65534)
server = socket.socket(socket.AF_UNIX)
server.connect(sys.argv[1])
def say(text):
    print(text, flush=True)
def ask(method, **parameters):
    call = {"method": "io.hostlet." + method, "parameters": parameters}
    server.sendall(json.dumps(call).encode() + b"\0")
def answer():
    text = b""
    while not text.endswith(b"\0"):
        part = server.recv(65536)
        if not part:
            return "closed"
        text += part
    reply = json.loads(text[:-1])
    return reply.get("error", "ok") + " " + json.dumps(reply["parameters"])
def open_one():
    ask("Open", pools=["office"])
    reply = answer()
    assert reply.startswith("ok"), reply
    return json.loads(reply[3:])["name"]
def gain_nothing():
    PR_SET_NO_NEW_PRIVS = 38
    assert ctypes.CDLL(None).prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
"#;

/// A script that runs.
struct Client {
    process: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
}

impl Client {
    fn of(mut command: Command, script: &str, args: &[&str]) -> Result<Client> {
        command.args(["-c", script]).args(args);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().context("starting python3")?;
        let stdin = process.stdin.take();
        let stdout = process.stdout.take().context("no output")?;
        Ok(Client {
            process,
            stdin,
            stdout: BufReader::new(stdout),
        })
    }

    /// A client of nobody's.
    fn new(stage: &Stage, script: &str, args: &[&str]) -> Result<Client> {
        let socket = stage.install.root().join("run/hostletd.sock");
        let socket = socket.display().to_string();
        let all = [&[socket.as_str()], args].concat();
        let python = stage.host.command("python3");
        Client::of(python, &format!("{CLIENT}{script}"), &all)
    }

    /// The next line, which has to have all of this in it.
    fn says(&mut self, texts: &[&str]) -> Result<String> {
        let mut line = String::new();
        self.stdout.read_line(&mut line)?;
        for text in texts {
            ensure!(line.contains(text), "no '{text}' in '{line}'");
        }
        Ok(line.trim_end().to_owned())
    }

    fn go_on(&mut self) -> Result<()> {
        let stdin = self.stdin.as_mut().context("no input")?;
        stdin.write_all(b"\n").context("the client is gone")
    }

    fn end(&mut self) -> Result<()> {
        self.process.kill()?;
        self.process.wait().map(drop).context("waiting")
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.stdin = None;
        let _ = self.end();
    }
}

fn cgroup_of(process: &str) -> Result<String> {
    let path = format!("/proc/{process}/cgroup");
    let text = fs::read_to_string(&path).context(path)?;
    let path = text.lines().find_map(|line| line.strip_prefix("0::"));
    path.map(str::to_owned).context("in no cgroup2")
}

#[test]
fn only_who_can_gain_nothing_joins() -> Result<()> {
    let stage = Stage::new(CONFIG)?;
    let script = r#"
name = open_one()
ask("Join", name=name)
say(answer())
held = threading.Event()
def second():
    held.wait()
thread = threading.Thread(target=second)
thread.start()
gain_nothing()
ask("Join", name=name)
say(answer())
held.set()
thread.join()
tasks = "/proc/self/task"
while len(os.listdir(tasks)) > 1:
    os.sched_yield()
ask("Join", name=name)
say(answer())
say(name)
ask("Join", name=name)
say(answer())
sys.stdin.readline()
"#;
    let mut client = Client::new(&stage, script, &[])?;
    client.says(&["NotAllowed", "no_new_privs"])?;
    client.says(&["NotAllowed", "threads"])?;
    let joined = client.says(&["ok"])?;
    let name = client.says(&[])?;
    ensure!(joined.contains(&format!("/{name}\"")), "{joined}");
    client.says(&["NotAllowed", &name])?;
    let own = cgroup_of(&client.process.id().to_string())?;
    ensure!(joined.contains(&format!("\"{own}\"")), "{own}: {joined}");
    drop(client);
    stage.nothing_left()
}

/// A shell of root's that anybody may run as root.
fn set_uid_shell(dir: &Path) -> Result<PathBuf> {
    let shell = dir.join("shell");
    fs::copy("/bin/sh", &shell)?;
    fs::set_permissions(dir, fs::Permissions::from_mode(0o755))?;
    fs::set_permissions(&shell, fs::Permissions::from_mode(0o4755))?;
    Ok(shell)
}

/// The process that connected becomes root by a set-uid program, while its child, with the connection, asks to have it moved.
#[test]
fn a_set_uid_program_is_not_moved() -> Result<()> {
    let stage = Stage::new(CONFIG)?;
    let dir = TestDir::new("set-uid")?;
    let shell = set_uid_shell(dir.path())?.display().to_string();
    let script = r#"
name = open_one()
if sys.argv[3] == "harmless":
    gain_nothing()
ready, begun = os.pipe()
over, end = os.pipe()
if os.fork() == 0:
    os.close(begun)
    os.close(over)
    assert os.read(ready, 1) == b"x"
    status = open("/proc/%d/status" % os.getppid()).read()
    say(next(l for l in status.splitlines() if l.startswith("Uid:")))
    ask("Join", name=name)
    say(answer())
    say(open("/proc/%d/cgroup" % os.getppid()).read().split("0::")[1].split()[0])
    sys.stdin.readline()
    os._exit(0)
os.close(end)
os.dup2(begun, 1)
os.dup2(over, 0)
os.execv(sys.argv[2], ["sh", "-p", "-c", "printf x; read line"])
"#;
    let own = cgroup_of("self")?;
    let mut client = Client::new(&stage, script, &[&shell, "hostile"])?;
    client.says(&["65534\t0\t0\t0"])?;
    client.says(&["NotAllowed", "set-uid"])?;
    let stayed = client.says(&[])?;
    ensure!(stayed == own, "it is in {stayed}");
    drop(client);
    stage.nothing_left()?;

    // It gains nothing any more, and may.
    let mut client = Client::new(&stage, script, &[&shell, "harmless"])?;
    client.says(&["65534\t65534\t65534\t65534"])?;
    let joined = client.says(&["ok"])?;
    let moved = client.says(&[])?;
    ensure!(joined.contains(&format!("\"{moved}\"")), "{moved}");
    drop(client);
    stage.nothing_left()
}

/// Starts a process of root's with a certain number.
const IMPOSTOR: &str = r#"
import ctypes, os, struct, sys
CLONE3 = 435
pid = ctypes.c_int(int(sys.argv[1]))
SIGCHLD = 17
call = struct.pack("11Q", 0, 0, 0, 0, SIGCHLD, 0, 0, 0, ctypes.addressof(pid), 1, 0)
made = ctypes.CDLL(None, use_errno=True).syscall(CLONE3, call, len(call))
if made == 0:
    sys.stdin.readline()
    os._exit(0)
print(made, os.strerror(ctypes.get_errno()), flush=True)
sys.stdin.readline()
"#;

const HOLDER: &str = r#"
import fcntl, sys
lock = open(sys.argv[1])
fcntl.flock(lock, fcntl.LOCK_EX)
print("taken", flush=True)
sys.stdin.readline()
"#;

/// Join waits for the lock; meanwhile the process that connected ends, and root's next one has its number.
#[test]
fn whoever_has_the_number_of_a_caller_that_ended_is_not_moved() -> Result<()> {
    let stage = Stage::new(CONFIG)?;
    let agent = stage.hold_as(NOBODY, &["--pool", "office", "--name", "box"])?;
    let script = r#"
gain_nothing()
if os.fork() == 0:
    sys.stdin.readline()
    ask("Join", name="box")
    waiting = array.array("i", [1])
    while waiting[0]:
        fcntl.ioctl(server, termios.TIOCOUTQ, waiting)
        os.sched_yield()
    say("taken")
    say(answer())
    os._exit(0)
say("ready")
signal.pause()
"#;
    let mut client = Client::new(&stage, script, &[])?;
    client.says(&["ready"])?;
    let lock = stage.install.root().join("run/lock");
    let inode = format!(":{} ", fs::metadata(&lock)?.ino());
    let lock = lock.display().to_string();
    let mut holder = Client::of(Command::new("python3"), HOLDER, &[&lock])?;
    holder.says(&["taken"])?;
    client.go_on()?;
    client.says(&["taken"])?;
    wait::until("hostletd to wait for the lock", || {
        let locks = fs::read_to_string("/proc/locks").unwrap_or_default();
        let waits = |line: &str| line.contains("-> FLOCK") && line.contains(&inode);
        locks.lines().any(waits)
    })?;
    let pid = client.process.id().to_string();
    client.end()?;
    let impostor = Client::of(stage.host.command("python3"), IMPOSTOR, &[&pid]);
    let mut impostor = impostor.context("the impostor")?;
    impostor.says(&[&format!("{pid} ")])?;
    drop(holder);
    client.says(&["NotAllowed", "ended"])?;
    ensure!(cgroup_of(&pid)? == cgroup_of("self")?, "it was moved");
    drop(impostor);
    agent.finish()?;
    stage.nothing_left()
}
