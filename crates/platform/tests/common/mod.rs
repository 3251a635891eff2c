//! What the tests of this crate share. They need root, and fail without it.
#![allow(dead_code, reason = "every test binary uses a part of it")]

pub mod links;

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use hostlet_platform::cgroup::{Cgroup, Tree};

pub const LIMIT: Duration = Duration::from_secs(20);

pub fn need_root() {
    assert!(
        rustix::process::geteuid().is_root(),
        "these tests make cgroups and namespaces: run them as root"
    );
}

/// A name that no other test or installation uses.
pub fn unique(what: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("hlt-{what}-{}-{number}", std::process::id())
}

/// A cgroup tree of one test; removed with everything in it.
pub struct Sandbox {
    pub tree: Tree,
}

impl Sandbox {
    pub fn new(what: &str) -> Sandbox {
        need_root();
        Sandbox {
            tree: Tree::under_mount(&unique(what)).unwrap(),
        }
    }

    pub fn with_box(what: &str) -> (Sandbox, Cgroup) {
        let sandbox = Sandbox::new(what);
        let cgroup = sandbox.tree.create("box").unwrap();
        (sandbox, cgroup)
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        for (name, _) in self.tree.list().unwrap() {
            self.tree.kill(&name).unwrap();
            assert!(self.tree.wait_empty(&name, LIMIT).unwrap());
            self.tree.remove(&name).unwrap();
        }
        self.tree.remove_parent().unwrap();
    }
}

/// Runs on a thread with a network namespace of its own, its loopback interface switched on.
pub fn in_netns<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    need_root();
    thread::scope(|scope| {
        let thread = scope.spawn(|| {
            // SAFETY: the thread is this one's own and shares no state that the flag splits.
            unsafe { rustix::thread::unshare_unsafe(rustix::thread::UnshareFlags::NEWNET) }
                .unwrap();
            sh("ip link set lo up");
            work()
        });
        match thread.join() {
            Ok(value) => value,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

/// Runs on a thread with a mount namespace of its own.
pub fn in_mountns<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    need_root();
    thread::scope(|scope| {
        let thread = scope.spawn(|| {
            // SAFETY: the thread is this one's own and shares no state that the flag splits.
            unsafe { rustix::thread::unshare_unsafe(rustix::thread::UnshareFlags::NEWNS) }.unwrap();
            sh("mount --make-rprivate /");
            work()
        });
        match thread.join() {
            Ok(value) => value,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

/// Runs a script, in the calling thread's namespaces, which must succeed. Returns its output.
pub fn sh(script: &str) -> String {
    let output = Command::new("sh").args(["-ec", script]).output().unwrap();
    assert!(
        output.status.success(),
        "{script}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

/// An example of this crate, which cargo builds with the tests.
pub fn example(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let file = test.parent().and_then(Path::parent).unwrap();
    let file = file.join("examples").join(name);
    assert!(
        file.exists(),
        "{} is not built: cargo build --examples",
        file.display()
    );
    file
}

/// The loader for a cgroup, with options.
pub fn loader(cgroup: &Cgroup, options: &[&str], program: &[&str]) -> Command {
    let mut command = Command::new(example("loader"));
    command
        .arg(cgroup.path())
        .args(options)
        .arg("--")
        .args(program);
    command
}

pub fn run(cgroup: &Cgroup, options: &[&str], program: &[&str]) -> Output {
    loader(cgroup, options, program).output().unwrap()
}

/// The output of a program that must succeed.
pub fn output(cgroup: &Cgroup, options: &[&str], program: &[&str]) -> String {
    let output = run(cgroup, options, program);
    assert!(
        output.status.success(),
        "{:?}: {}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

/// A running loader whose program talks through its standard output.
pub struct Running {
    pub child: Child,
    lines: BufReader<ChildStdout>,
}

impl Running {
    pub fn start(command: &mut Command) -> Running {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        Running { child, lines }
    }

    pub fn line(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    pub fn signal(&self, signal: i32) {
        // SAFETY: no pointers; the process is this test's own child and not reaped yet.
        assert_eq!(unsafe { libc::kill(self.child.id() as i32, signal) }, 0);
    }

    pub fn end(mut self) -> std::process::ExitStatus {
        drop(self.child.stdin.take());
        self.child.wait().unwrap()
    }
}

/// A network namespace of its own, for as long as this lives.
pub struct Netns {
    fd: std::fs::File,
}

impl Netns {
    /// Its loopback interface is on; addresses are usable as soon as they are there.
    pub fn new() -> Netns {
        let fd = in_netns(|| {
            sh("echo 0 > /proc/sys/net/ipv6/conf/default/accept_dad");
            std::fs::File::open("/proc/thread-self/ns/net").unwrap()
        });
        Netns { fd }
    }

    /// Two of them, joined by the interfaces `va` in the first and `vb` in the second, both on.
    pub fn pair() -> (Netns, Netns) {
        let (a, b) = (Netns::new(), Netns::new());
        a.sh(&format!(
            "ip link add va type veth peer name vb netns {}; ip link set va up",
            b.path()
        ));
        b.sh("ip link set vb up");
        (a, b)
    }

    pub fn path(&self) -> String {
        use std::os::fd::AsRawFd;
        format!("/proc/{}/fd/{}", std::process::id(), self.fd.as_raw_fd())
    }

    /// Runs on a thread in it.
    pub fn within<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        thread::scope(|scope| {
            let thread = scope.spawn(|| {
                let kind = Some(rustix::thread::LinkNameSpaceType::Network);
                rustix::thread::move_into_link_name_space(std::os::fd::AsFd::as_fd(&self.fd), kind)
                    .unwrap();
                work()
            });
            match thread.join() {
                Ok(value) => value,
                Err(panic) => std::panic::resume_unwind(panic),
            }
        })
    }

    /// Runs a script in it, which must succeed.
    pub fn sh(&self, script: &str) -> String {
        self.within(|| sh(script))
    }

    /// The number and the hardware address of an interface.
    pub fn link(&self, name: &str) -> (u32, [u8; 6]) {
        let found = self.within(|| hostlet_platform::netlink::interfaces().unwrap());
        let link = found.iter().find(|i| i.name == name).unwrap();
        (link.index, link.mac.unwrap())
    }
}

/// Waits until a descriptor is readable; panics when it is not in time.
pub fn readable(fd: impl std::os::fd::AsFd, what: &str) {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let limit = Timespec::try_from(LIMIT).unwrap();
    let mut fds = [PollFd::new(&fd, PollFlags::IN)];
    assert_eq!(poll(&mut fds, Some(&limit)).unwrap(), 1, "{what}");
}

/// A directory that everybody can enter, with copies of examples of this crate.
pub struct Public {
    pub dir: PathBuf,
}

impl Public {
    pub fn with(examples: &[&str]) -> Public {
        use std::os::unix::fs::PermissionsExt;
        let dir = std::env::temp_dir().join(unique("public"));
        std::fs::create_dir(&dir).unwrap();
        std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(0o777)).unwrap();
        for name in examples {
            // By another process: a child of another test could inherit the file while it is written, and
            // a file that somebody may write is not executed.
            sh(&format!("cp {} {}", example(name).display(), dir.display()));
        }
        Public { dir }
    }

    /// A command that runs one of the copies as nobody, with groups 7 and 8.
    pub fn nobody(&self, example: &str) -> Command {
        need_root();
        let mut command = Command::new("setpriv");
        command
            .args(["--reuid=65534", "--regid=65534", "--groups=7,8", "--"])
            .arg(self.dir.join(example))
            .current_dir("/");
        command
    }
}

impl Drop for Public {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.dir).unwrap();
    }
}
