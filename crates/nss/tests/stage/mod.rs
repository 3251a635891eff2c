//! A machine called `vm1` whose `hosts:` line begins with our service, and a cgroup on it that stands for a hostlet. All of it is
//! a mount and a UTS namespace of each program that runs on it.

use std::ffi::CString;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result, bail, ensure};
use hostlet_model::names::{OwnNames, Whose, file_name};
use hostlet_testkit::dir::TestDir;
use hostlet_testkit::netns::NetNs;

/// The addresses of the hostlet and of the machine.
pub const SESSION4: &str = "192.0.2.10";
pub const SESSION6: &str = "2001:db8::10";
pub const MACHINE4: &str = "198.51.100.7";
pub const MACHINE6: &str = "2001:db8:1::7";

/// What `/etc/hosts` says: the machine's name stands for the loopback, as on Debian.
const HOSTS: &str = "127.0.0.1 localhost\n::1 localhost ip6-localhost\n\
    127.0.1.1 vm1.example.org vm1\n203.0.113.5 other.example.org other\n";

pub struct Stage {
    pub dir: TestDir,
    cgroup: PathBuf,
    ns: NetNs,
}

impl Stage {
    /// The hostlet has one address of each family, so has the machine, and the hostlet's come first.
    pub fn new() -> Result<Stage> {
        let dir = TestDir::new("nss")?;
        let cgroup = cgroup2()?.join(dir.path().file_name().context("the directory has a name")?);
        fs::create_dir_all(cgroup.join("web/below")).context("making a cgroup: run as root")?;
        let ns = NetNs::new("vm1")?;
        ns.ip([
            "addr add 192.0.2.10/24 dev lo",
            "addr add 198.51.100.7/24 dev lo",
            "addr add 2001:db8::10/64 dev lo",
            "addr add 2001:db8:1::7/64 dev lo",
        ])?;
        let stage = Stage { dir, cgroup, ns };
        fs::create_dir(stage.names())?;
        fs::create_dir(stage.libraries())?;
        fs::copy(module()?, stage.libraries().join("libnss_hostlet.so.2"))?;
        fs::write(stage.file("nsswitch.conf"), "hosts: hostlet files\n")?;
        fs::write(stage.file("hosts"), HOSTS)?;
        stage.publish(&[
            (SESSION4, Whose::Session),
            (SESSION6, Whose::Session),
            (MACHINE4, Whose::Machine),
            (MACHINE6, Whose::Machine),
        ])?;
        Ok(stage)
    }

    pub fn names(&self) -> PathBuf {
        self.file("names")
    }

    pub fn libraries(&self) -> PathBuf {
        self.file("lib")
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The hostlet's cgroup as its members see it.
    pub fn path(&self) -> String {
        let top = self.cgroup.file_name().unwrap_or_default();
        format!("/{}/web", top.to_string_lossy())
    }

    /// The hostlet's file.
    pub fn own_file(&self) -> PathBuf {
        self.names().join(file_name(&self.path()))
    }

    /// Writes the hostlet's file as the engine does.
    pub fn publish(&self, addresses: &[(&str, Whose)]) -> Result<()> {
        let mut names = OwnNames {
            cgroup: self.path(),
            addresses: Vec::new(),
        };
        for (address, whose) in addresses {
            names.addresses.push((address.parse()?, *whose));
        }
        let new = self.names().join("new");
        fs::write(&new, names.render())?;
        fs::rename(new, self.own_file()).context("publishing the names")
    }

    /// A program inside the hostlet.
    pub fn inside(&self, program: &str, args: &[&str]) -> Result<Command> {
        self.program(".", program, args)
    }

    /// A program in a cgroup, as a path from the hostlet's: `.` is the hostlet, `below` a cgroup in it, `..` is outside.
    pub fn program(&self, cgroup: &str, program: &str, args: &[&str]) -> Result<Command> {
        let cgroup = self.cgroup.join("web").join(cgroup);
        let text = |path: &Path| CString::new(path.as_os_str().as_bytes()).context("a NUL");
        let procs = text(&cgroup.join("cgroup.procs"))?;
        let mut binds = Vec::new();
        for name in ["nsswitch.conf", "hosts"] {
            let over = Path::new("/etc").join(name);
            binds.push((text(&self.file(name))?, text(&over)?));
        }
        let mut command = self.ns.command(program);
        command
            .args(args)
            .env("LD_LIBRARY_PATH", self.libraries())
            .env("HOSTLET_NAMES_DIR", self.names())
            .env("LC_ALL", "C")
            .stdin(Stdio::null());
        // SAFETY: only system calls between fork and exec; all strings were made before.
        unsafe {
            command.pre_exec(move || {
                let fd = check(libc::open(procs.as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC))?;
                if libc::write(fd, c"0".as_ptr().cast(), 1) != 1 {
                    return Err(std::io::Error::last_os_error());
                }
                check(libc::unshare(libc::CLONE_NEWNS | libc::CLONE_NEWUTS))?;
                check(libc::sethostname(c"vm1".as_ptr(), 3))?;
                let none = std::ptr::null();
                let private = libc::MS_REC | libc::MS_PRIVATE;
                check(libc::mount(none, c"/".as_ptr(), none, private, none.cast()))?;
                for (from, to) in &binds {
                    let (from, to) = (from.as_ptr(), to.as_ptr());
                    check(libc::mount(from, to, none, libc::MS_BIND, none.cast()))?;
                }
                Ok(())
            });
        }
        Ok(command)
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        for cgroup in ["web/below", "web", ""] {
            let _ = fs::remove_dir(self.cgroup.join(cgroup));
        }
    }
}

fn check(done: libc::c_int) -> std::io::Result<libc::c_int> {
    if done < 0 {
        return Err(std::io::Error::last_os_error());
    }
    Ok(done)
}

/// Runs it to its end, which has to be a good one; gives what it wrote.
pub fn run(command: Result<Command>) -> Result<String> {
    let done = output(command)?;
    ensure!(done.status.success(), "{done:?}");
    Ok(String::from_utf8(done.stdout)?)
}

/// Runs it to its end.
pub fn output(command: Result<Command>) -> Result<Output> {
    let mut command = command?;
    command
        .output()
        .with_context(|| format!("running {command:?}"))
}

/// The module of this build.
fn module() -> Result<PathBuf> {
    let test = std::env::current_exe().context("finding the test's own program")?;
    let module = test.with_file_name("libnss_hostlet.so");
    ensure!(module.exists(), "{} is not built", module.display());
    Ok(module)
}

fn cgroup2() -> Result<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mounts")?;
    for mount in mounts.lines() {
        let mut words = mount.split(' ').skip(1);
        if let (Some(at), Some("cgroup2")) = (words.next(), words.next()) {
            return Ok(at.into());
        }
    }
    bail!("no cgroup2 hierarchy is mounted")
}
