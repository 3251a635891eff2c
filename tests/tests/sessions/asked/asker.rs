//! A process that logs somebody in, step by step, as a test says.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result, ensure};
use hostlet_platform::cgroup::find_mount;
use hostlet_testkit::wait;
use serde_json::{Value, json};

use crate::stage::{Stage, text};

/// Does what it reads, `[WHAT, ARGUMENT…]`, and answers each in a line.
const SCRIPT: &str = r#"
import json, os, socket, sys
server = None
def connect():
    global server
    if server is None:
        server = socket.socket(socket.AF_UNIX)
        server.settimeout(60)
        server.connect(sys.argv[1])
def send(method, parameters):
    connect()
    call = {"method": "io.hostlet." + method, "parameters": parameters}
    server.sendall(json.dumps(call).encode() + b"\0")
def answer():
    text = b""
    while not text.endswith(b"\0"):
        try:
            part = server.recv(65536)
        except TimeoutError:
            return {"error": "no answer"}
        if not part:
            return {"error": "closed"}
        text += part
    reply = json.loads(text[:-1])
    said = reply.get("parameters") or {}
    if "error" in reply:
        said["error"] = reply["error"]
    return said
def ask(method, parameters):
    send(method, parameters)
    return answer()
def hang_up():
    global server
    if server:
        server.close()
    server = None
def seen():
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        udp.connect(("10.0.0.3", 9))
    except OSError as error:
        return {"none": str(error)}
    return {"address": udp.getsockname()[0]}
def cgroup():
    lines = open("/proc/self/cgroup").read().splitlines()
    return {"cgroup": next(l[3:] for l in lines if l.startswith("0::"))}
def become(user):
    os.setgroups([])
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)
# The process that logged in ends, and one that it started goes on.
def outlive():
    if os.fork():
        os._exit(0)
    hang_up()
# Many logins one after the other, each of a process of its own.
def often(user, times):
    wrong = []
    for _ in range(times):
        done, end = os.pipe()
        if os.fork() == 0:
            try:
                given = ask("Login", {"user": user, "service": "sshd"})
                came = ask("Join", {"name": given["name"]})
                if "error" in came:
                    os.write(end, json.dumps([given, came]).encode())
                hang_up()
                came = ask("Logout", {"session": given["session"]})
                if "error" in came:
                    os.write(end, json.dumps([given, came]).encode())
            except BaseException as error:
                os.write(end, repr(error).encode())
            os._exit(0)
        os.close(end)
        os.wait()
        said = os.read(done, 65536).decode()
        os.close(done)
        if said:
            wrong.append(said)
    return {"wrong": wrong}
while True:
    line = sys.stdin.readline()
    if not line:
        break
    what, *arguments = json.loads(line)
    print(json.dumps(globals()[what](*arguments) or {}), flush=True)
"#;

/// A process of root's on the machine. It ends when this is dropped.
pub struct Asker {
    process: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
}

impl Asker {
    pub fn new(stage: &Stage) -> Result<Asker> {
        let mut python = stage.host.command("python3");
        python.args(["-c", SCRIPT]);
        python.arg(stage.install.root().join("run/hostletd.sock"));
        python.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = python.spawn().context("starting python3")?;
        let stdin = process.stdin.take();
        let stdout = process.stdout.take().context("no output")?;
        Ok(Asker {
            process,
            stdin,
            stdout: BufReader::new(stdout),
        })
    }

    /// In that cgroup.
    pub fn within(stage: &Stage, dir: &Path) -> Result<Asker> {
        let asker = Asker::new(stage)?;
        fs::write(dir.join("cgroup.procs"), asker.pid().to_string()).context("entering")?;
        Ok(asker)
    }

    /// In a session of that user.
    pub fn logged_in(stage: &Stage, user: &str, service: &str) -> Result<(Asker, Value)> {
        let mut asker = Asker::new(stage)?;
        let given = asker.login(user, service)?;
        asker.join(&given)?;
        Ok((asker, given))
    }

    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Has it begin something.
    pub fn begin(&mut self, what: &Value) -> Result<()> {
        let stdin = self.stdin.as_mut().context("no input")?;
        writeln!(stdin, "{what}").context("the process is gone")
    }

    /// What came of it.
    pub fn result(&mut self) -> Result<Value> {
        let mut line = String::new();
        self.stdout.read_line(&mut line)?;
        serde_json::from_str(&line).with_context(|| format!("it says '{line}'"))
    }

    /// Has it do something.
    pub fn does(&mut self, what: &Value) -> Result<Value> {
        self.begin(what)?;
        self.result().with_context(|| what.to_string())
    }

    /// Asks hostletd, whatever the answer.
    pub fn ask(&mut self, method: &str, parameters: &Value) -> Result<Value> {
        self.does(&json!(["ask", method, parameters]))
    }

    /// Says who logs in; has to be given a hostlet.
    pub fn login(&mut self, user: &str, service: &str) -> Result<Value> {
        let given = self.ask("Login", &json!({ "user": user, "service": service }))?;
        ensure!(given["decision"] == "hostlet", "{user}: {given}");
        Ok(given)
    }

    /// Comes into what a login gave, and hangs up as PAM does; gives the cgroup.
    pub fn join(&mut self, given: &Value) -> Result<String> {
        let came = self.ask("Join", &json!({ "name": given["name"] }))?;
        let cgroup = text(&came, "cgroup").with_context(|| format!("after {given}"))?;
        self.hang_up()?;
        Ok(cgroup.to_owned())
    }

    /// Gives up what it was given: when this is over hostletd has heard of it.
    pub fn think_again(&mut self) -> Result<()> {
        let given = self.ask("Login", &json!({ "user": "carol", "service": "sshd" }))?;
        ensure!(given["decision"] == "machine", "carol: {given}");
        Ok(())
    }

    pub fn logout(&mut self, given: &Value) -> Result<()> {
        let done = self.ask("Logout", &json!({ "session": given["session"] }))?;
        ensure!(done["error"].is_null(), "{done}");
        self.hang_up()
    }

    pub fn hang_up(&mut self) -> Result<()> {
        self.does(&json!(["hang_up"])).map(drop)
    }

    /// The address that a peer would see; none: it has no network.
    pub fn seen(&mut self) -> Result<Option<IpAddr>> {
        let said = self.does(&json!(["seen"]))?;
        match said["address"].as_str() {
            Some(address) => Ok(Some(address.parse()?)),
            None => Ok(None),
        }
    }

    pub fn cgroup(&mut self) -> Result<String> {
        let said = self.does(&json!(["cgroup"]))?;
        text(&said, "cgroup").map(str::to_owned)
    }

    /// The process ends, and is waited for.
    pub fn end(mut self) -> Result<()> {
        self.stdin = None;
        self.process.wait().map(drop).context("waiting")
    }
}

impl Drop for Asker {
    fn drop(&mut self) {
        self.stdin = None;
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What a service manager makes for a session: a scope in the slice of its user. Goes with this value.
pub struct Scope {
    top: PathBuf,
    slice: PathBuf,
    pub dir: PathBuf,
}

impl Scope {
    pub fn new(uid: u32) -> Result<Scope> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("hlt-asked-{}-{number}.slice", std::process::id());
        let top = find_mount()?.join(name);
        let slice = top.join(format!("user-{uid}.slice"));
        let dir = slice.join("session-2.scope");
        let scope = Scope { top, slice, dir };
        fs::create_dir_all(&scope.dir).context("making a scope")?;
        Ok(scope)
    }

    /// As `/proc/PID/cgroup` names it.
    pub fn path(&self) -> Result<String> {
        Ok(format!(
            "/{}",
            self.dir.strip_prefix(find_mount()?)?.display()
        ))
    }
}

impl Drop for Scope {
    fn drop(&mut self) {
        let _ = fs::write(self.top.join("cgroup.kill"), "1");
        let all = [&self.dir, &self.slice, &self.top];
        let _ = wait::until("a scope to be empty", || {
            all.iter()
                .all(|dir| !dir.exists() || fs::remove_dir(dir).is_ok())
        });
    }
}
