//! A machine to play with: a network namespace, a root directory, and the command.

#![allow(dead_code, reason = "each test file uses a part")]

use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use hostlet_model::Paths;
use libbpf_rs::{MapCore, MapFlags, MapHandle};

/// The command under test.
pub const HOSTLET: &str = env!("CARGO_BIN_EXE_hostlet");

/// A directory of its own, removed at the end.
pub struct Dir(pub PathBuf);

impl Dir {
    pub fn new(what: &str) -> Dir {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path =
            std::env::temp_dir().join(format!("hostlet-{what}-{}-{number}", std::process::id()));
        std::fs::create_dir(&path).unwrap();
        Dir(path)
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        // A bpffs may be left mounted by a test that failed.
        let _ = Command::new("umount")
            .arg("-q")
            .stderr(Stdio::null())
            .arg(self.0.join("bpf"))
            .status();
        // After a run the kernel part is there yet, with a cgroup of its own.
        let ready = format!("{}.ready", Paths::under(&self.0).cgroup_parent);
        for mount in ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"] {
            let _ = std::fs::remove_dir(Path::new(mount).join(&ready));
        }
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A network namespace with `lo`, and `d0` with 10.1.0.1/24, 10.1.0.2/24 and
/// 2001:db8:1::1/64; a root for hostlet; both of its own.
pub struct Machine {
    pub root: Dir,
    holder: Child,
}

impl Machine {
    pub fn new(what: &str) -> Machine {
        assert_eq!(id("-u"), "0", "these tests need root");
        let mut holder = Command::new("unshare")
            .args(["--net", "--", "sh", "-c", "echo ready; exec cat"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(holder.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        assert_eq!(line, "ready\n");
        let machine = Machine {
            root: Dir::new(what),
            holder,
        };
        machine.sh(
            "echo 0 > /proc/sys/net/ipv6/conf/default/accept_dad;
             ip link set lo up && ip link add d0 type veth peer name d1 && ip link set d1 up && ip link set d0 up &&
             ip addr add 10.1.0.1/24 dev d0 && ip addr add 10.1.0.2/24 dev d0 &&
             ip -6 addr add 2001:db8:1::1/64 dev d0 nodad",
        );
        machine
    }

    /// A command inside the namespace.
    pub fn inside(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        command
            .arg(format!("--net=/proc/{}/ns/net", self.holder.id()))
            .arg("--")
            .arg(program)
            .env("HOSTLET_ROOT", &self.root.0);
        command
    }

    /// `hostlet` inside the namespace.
    pub fn hostlet(&self, args: &[&str]) -> Output {
        self.inside(HOSTLET).args(args).output().unwrap()
    }

    /// `hostlet`, which must succeed; gives back what it printed.
    pub fn ok(&self, args: &[&str]) -> String {
        let output = self.hostlet(args);
        assert!(output.status.success(), "hostlet {args:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// `hostlet`, which must fail with this code; gives back what it complained about.
    pub fn fails(&self, code: i32, args: &[&str]) -> String {
        let output = self.hostlet(args);
        let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(
            output.status.code(),
            Some(code),
            "hostlet {args:?}: {complaint}"
        );
        complaint
    }

    /// A shell script inside, which must succeed.
    pub fn sh(&self, script: &str) -> String {
        let output = self.inside("sh").arg("-c").arg(script).output().unwrap();
        assert!(output.status.success(), "{script}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// The names of the hostlets that there are.
    pub fn names(&self) -> Vec<String> {
        let json: serde_json::Value = serde_json::from_str(&self.ok(&["list", "--json"])).unwrap();
        json.as_array()
            .unwrap()
            .iter()
            .map(|h| h["name"].as_str().unwrap().to_owned())
            .collect()
    }

    /// A file below the root.
    pub fn path(&self, name: &str) -> PathBuf {
        self.root.0.join(name)
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // Whatever a failed test left; a machine that is clean has nothing to remove.
        for name in std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| self.names()))
            .unwrap_or_default()
        {
            let _ = self.hostlet(&["remove", "--kill", &name]);
        }
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

/// Fails with that code, says all of `words`, and leaves no hostlet behind.
pub fn refused(machine: &Machine, code: i32, args: &[&str], words: &[&str]) {
    let before = machine.names();
    let said = machine.fails(code, args);
    for word in words {
        assert!(
            said.contains(word),
            "hostlet {args:?} does not say '{word}': {said}"
        );
    }
    assert_eq!(machine.names(), before);
}

/// A program that waits until its standard input ends.
pub fn waiting(command: &mut Command) -> Child {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    assert_eq!(line, "ready\n");
    child
}

/// What [`waiting`] runs: says that it runs, then waits.
pub const WAIT: [&str; 3] = ["sh", "-c", "echo ready; exec cat"];

fn id(flag: &str) -> String {
    let output = Command::new("id").arg(flag).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// Whether a process lives.
pub fn lives(pid: u32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

/// What hostlet has set on the machine's interfaces.
pub fn addresses(m: &Machine) -> String {
    m.sh("ip -o addr show dev d0; ip -o addr show dev lo; ip route show table local type local proto 104")
}

/// The entries of one of the kernel part's tables, keys and values as they lie in memory.
pub fn table(m: &Machine, name: &str) -> Vec<(Vec<u8>, Vec<u8>)> {
    let pin = m.path("bpf/hostlet/maps").join(name);
    let table = MapHandle::from_pinned_path(&pin).unwrap();
    let value = |key: &Vec<u8>| table.lookup(key, MapFlags::ANY).unwrap().unwrap();
    table.keys().map(|key| (key.clone(), value(&key))).collect()
}

/// The cgroup of a hostlet.
pub fn cgroup(m: &Machine, name: &str) -> String {
    let shown: serde_json::Value = serde_json::from_str(&m.ok(&["show", name, "--json"])).unwrap();
    shown["cgroup"].as_str().unwrap().to_owned()
}
