//! Machines made of network namespaces.

use std::fs::File;
use std::io::Write;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result, bail};

/// A network namespace with `lo` up, duplicate address detection off, no
/// addresses that the kernel makes up, and ping sockets open to all. It lives as
/// long as this value or a process in it.
#[derive(Debug)]
pub struct NetNs {
    name: String,
    fd: OwnedFd,
    /// Namespaces of other kinds that its commands are in too.
    also: Vec<(OwnedFd, i32)>,
}

/// What every namespace of a test gets before its first interface.
const SETTINGS: &[(&str, &str)] = &[
    ("ipv4/ping_group_range", "0 2147483647"),
    ("ipv6/conf/all/accept_dad", "0"),
    ("ipv6/conf/default/accept_dad", "0"),
    ("ipv6/conf/default/dad_transmits", "0"),
    ("ipv6/conf/default/addr_gen_mode", "1"),
    ("ipv6/conf/default/router_solicitations", "0"),
];

impl NetNs {
    /// Makes one.
    ///
    /// # Errors
    /// Without root, naming that.
    pub fn new(name: &str) -> Result<NetNs> {
        // A thread of its own: what makes the namespace lives in it.
        let made = std::thread::spawn(|| -> Result<OwnedFd> {
            // SAFETY: takes no pointers; moves this thread alone.
            if unsafe { libc::unshare(libc::CLONE_NEWNET) } != 0 {
                let why = std::io::Error::last_os_error();
                bail!("these tests need root: a network namespace cannot be made: {why}");
            }
            // `self` would name the namespace of the process's first thread.
            Ok(File::open("/proc/thread-self/ns/net")
                .context("opening the namespace")?
                .into())
        });
        let fd = made
            .join()
            .map_err(|_| anyhow::anyhow!("the namespace's thread panicked"))??;
        let ns = NetNs {
            name: name.into(),
            fd,
            also: Vec::new(),
        };
        for (key, value) in SETTINGS {
            ns.set(key, value)?;
        }
        ns.ip(["link set lo up"])?;
        Ok(ns)
    }

    /// The same namespace once more: it lives as long as any of them.
    ///
    /// # Errors
    /// When there are no descriptors left.
    pub fn try_clone(&self) -> Result<NetNs> {
        let also = self.also.iter();
        let also = also.map(|(fd, kind)| Ok((fd.try_clone()?, *kind)));
        let also = also.collect::<std::io::Result<_>>();
        Ok(NetNs {
            name: self.name.clone(),
            fd: self.fd.try_clone().context("opening the namespace again")?,
            also: also.context("opening the namespaces again")?,
        })
    }

    /// The same, whose commands are also in these namespaces, each with its `CLONE_NEW…`.
    pub(crate) fn also_in(mut self, also: Vec<(OwnedFd, i32)>) -> NetNs {
        self.also = also;
        self
    }

    /// The name for messages.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Runs the closure on a thread within the namespace.
    pub fn within<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T> {
        let fd = self.fd.as_raw_fd();
        std::thread::scope(|scope| {
            let done = scope.spawn(move || -> Result<T> {
                // SAFETY: takes no pointers; moves this thread alone.
                if unsafe { libc::setns(fd, libc::CLONE_NEWNET) } != 0 {
                    bail!(
                        "entering the namespace: {}",
                        std::io::Error::last_os_error()
                    );
                }
                Ok(work())
            });
            done.join()
                .map_err(|_| anyhow::anyhow!("a thread in {} panicked", self.name))?
        })
    }

    /// Sets `/proc/sys/net/KEY`.
    pub fn set(&self, key: &str, value: &str) -> Result<()> {
        let path = format!("/proc/sys/net/{key}");
        self.within(|| std::fs::write(&path, value))?
            .with_context(|| format!("writing {value} to {path} in {}", self.name))
    }

    /// A command that will run within the namespace, and is killed with the test.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let own = (self.fd.as_raw_fd(), libc::CLONE_NEWNET);
        let also = self.also.iter().map(|(fd, kind)| (fd.as_raw_fd(), *kind));
        let all: Vec<_> = also.chain([own]).collect();
        let mut command = Command::new(program);
        // SAFETY: the calls are safe between fork and exec: plain system calls. The
        // descriptors are open in the child because `self` outlives the spawning, or
        // the call fails.
        unsafe {
            command.pre_exec(move || {
                for (fd, kind) in &all {
                    if libc::setns(*fd, *kind) != 0 {
                        return Err(std::io::Error::last_os_error());
                    }
                }
                Ok(())
            });
        }
        command
    }

    /// Runs a command within the namespace to its end.
    pub fn output(&self, program: &str, args: &[&str]) -> Result<Output> {
        self.command(program)
            .args(args)
            .stdin(Stdio::null())
            .output()
            .with_context(|| format!("running {program} in {}", self.name))
    }

    /// As [`NetNs::output`], and it must succeed; gives its standard output.
    pub fn run(&self, program: &str, args: &[&str]) -> Result<String> {
        let done = self.output(program, args)?;
        if !done.status.success() {
            let said = String::from_utf8_lossy(&done.stderr);
            bail!(
                "{program} {} in {}: {}: {said}",
                args.join(" "),
                self.name,
                done.status
            );
        }
        Ok(String::from_utf8_lossy(&done.stdout).into_owned())
    }

    /// Runs lines of `ip`, all or an error.
    pub fn ip<S: AsRef<str>>(&self, lines: impl IntoIterator<Item = S>) -> Result<()> {
        let mut text = String::new();
        for line in lines {
            text.push_str(line.as_ref());
            text.push('\n');
        }
        let mut child = self
            .command("ip")
            .args(["-batch", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .context("starting ip: install iproute2")?;
        let mut input = child.stdin.take().context("ip has no input")?;
        input.write_all(text.as_bytes()).context("writing to ip")?;
        drop(input);
        let done = child.wait_with_output().context("waiting for ip")?;
        if !done.status.success() {
            bail!(
                "ip in {}: {}\n{text}",
                self.name,
                String::from_utf8_lossy(&done.stderr)
            );
        }
        Ok(())
    }

    /// A path under which other processes find the namespace while this one lives.
    pub fn path(&self) -> String {
        format!("/proc/{}/fd/{}", std::process::id(), self.fd.as_raw_fd())
    }

    /// Joins two namespaces by a pair of interfaces, both up.
    pub fn join(&self, ours: &str, other: &NetNs, theirs: &str) -> Result<()> {
        let path = other.path();
        self.ip([
            format!("link add {ours} type veth peer name {theirs} netns {path}"),
            format!("link set {ours} up"),
        ])?;
        other.ip([format!("link set {theirs} up")])
    }

    /// Waits until somebody listens on the TCP port.
    pub fn wait_listening(&self, port: u16) -> Result<()> {
        let what = format!("a listener on port {port} in {}", self.name);
        crate::wait::until(&what, || self.listens(port))
    }

    /// Whether somebody listens on the TCP port.
    pub fn listens(&self, port: u16) -> bool {
        let wanted = format!(":{port:04X} ");
        // sl local remote state: 0A is LISTEN
        let listener = |line: &str| {
            let mut words = line.split_whitespace().skip(1);
            let local = words.next().map(|w| format!("{w} "));
            local.is_some_and(|w| w.ends_with(&wanted)) && words.nth(1) == Some("0A")
        };
        let in_table = |table: &&str| {
            std::fs::read_to_string(table).is_ok_and(|text| text.lines().any(listener))
        };
        self.within(|| {
            ["/proc/thread-self/net/tcp", "/proc/thread-self/net/tcp6"]
                .iter()
                .any(in_table)
        })
        .unwrap_or(false)
    }
}
