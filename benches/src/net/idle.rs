//! What the kernel takes for programs at all: ones that do nothing, at each place where hostlet has one, and a seccomp filter that lets
//! everything pass.
//!
//! The kernel's own count does not have it all: how a packet or a call gets to a program, and back. What it has of it, its clock above
//! all, is what it counts of these: as many nanoseconds as it would count of any program at that place, in that work.

use std::ffi::CString;
use std::fs;
use std::io::{Error, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use hostlet_platform::cgroup;
use hostlet_testkit::netns::NetNs;

use crate::stage::output;
use crate::stats::Programs;

/// The places on a cgroup: the section that says which, its number.
const PLACES: [(&str, u32); 19] = [
    ("cgroup_skb/ingress", 0),
    ("cgroup_skb/egress", 1),
    ("cgroup/sock_create", 2),
    ("sockops", 3),
    ("cgroup/bind4", 8),
    ("cgroup/bind6", 9),
    ("cgroup/connect4", 10),
    ("cgroup/connect6", 11),
    ("cgroup/post_bind4", 12),
    ("cgroup/post_bind6", 13),
    ("cgroup/sendmsg4", 14),
    ("cgroup/sendmsg6", 15),
    ("cgroup/recvmsg4", 19),
    ("cgroup/recvmsg6", 20),
    ("cgroup/getpeername4", 29),
    ("cgroup/getpeername6", 30),
    ("cgroup/getsockname4", 31),
    ("cgroup/getsockname6", 32),
    ("cgroup/sock_release", 34),
];
const SK_LOOKUP: u32 = 36;
/// A packet's way in and out: the name of hostlet's program there.
const TCX: [(&str, u32); 2] = [("hl_learn", 46), ("hl_ping", 47)];

/// The programs, attached for as long as this lives.
#[derive(Debug)]
pub struct Idle {
    cgroup: PathBuf,
    pins: PathBuf,
    myself: PathBuf,
    _links: Vec<OwnedFd>,
}

impl Idle {
    /// On a cgroup of its own, and on the machine and its `eth0` and `lo`.
    pub fn on(host: &NetNs, dir: &Path) -> Result<Self> {
        let name = format!("hostlet-bench-{}", host.name());
        let mut this = Self {
            cgroup: cgroup::find_mount()?.join(name),
            pins: dir.join("idle"),
            myself: std::env::current_exe().context("find this program's own file")?,
            _links: Vec::new(),
        };
        for path in [&this.cgroup, &this.pins] {
            fs::create_dir(path).with_context(|| format!("make {}", path.display()))?;
        }
        output(
            Command::new("mount")
                .args(["-t", "bpf", "bpf"])
                .arg(&this.pins),
        )?;
        let (source, object) = (dir.join("idle.c"), dir.join("idle.o"));
        fs::write(&source, program()).with_context(|| format!("write {}", source.display()))?;
        let mut clang = Command::new("clang-19");
        clang.args(["-target", "bpf", "-O2", "-g", "-c", "-o"]);
        output(clang.args([&object, &source]))?;
        let mut load = Command::new("bpftool");
        load.args(["prog", "loadall"]).arg(&object);
        output(load.arg(this.pins.join("all")))?;
        let cgroup = fs::File::open(&this.cgroup).context("open the cgroup")?;
        for (section, place) in PLACES {
            let program = this.program(&hostlets(section))?;
            let what = [
                cgroup.as_raw_fd() as u32,
                program.as_raw_fd() as u32,
                place,
                2,
            ];
            bpf(PROG_ATTACH, &what).with_context(|| format!("attach to {section}"))?;
        }
        let lookup = this.program("hl_lookup")?;
        let mut sides = Vec::new();
        for (name, side) in TCX {
            sides.push((this.program(name)?, side));
        }
        let links = host.within(|| -> Result<Vec<OwnedFd>> {
            let ns = fs::File::open("/proc/thread-self/ns/net").context("open the namespace")?;
            let mut links = vec![link(&lookup, ns.as_raw_fd() as u32, SK_LOOKUP)?];
            for name in ["lo", "eth0"] {
                let name = CString::new(name)?;
                // SAFETY: a string that ends with zero.
                let index = unsafe { libc::if_nametoindex(name.as_ptr()) };
                for (program, side) in &sides {
                    links.push(link(program, index, *side)?);
                }
            }
            Ok(links)
        })??;
        this._links = links;
        Ok(this)
    }

    /// A command on the machine that becomes the program behind it, in the cgroup.
    pub fn command(&self, host: &NetNs) -> Command {
        let mut command = host.command(&self.myself);
        command.args(["work", "net", "idle"]).arg(&self.cgroup);
        command
    }

    /// What the kernel counts of them, by the names of hostlet's programs at the same places.
    pub fn programs(&self) -> Result<Programs> {
        Programs::pinned_below(&self.pins)
    }

    fn program(&self, name: &str) -> Result<OwnedFd> {
        let path = self.pins.join("all").join(name);
        let path = CString::new(path.as_os_str().as_bytes())?;
        let at = path.as_ptr() as u64;
        made(OBJ_GET, &[at as u32, (at >> 32) as u32, 0, 0]).with_context(|| format!("open {name}"))
    }
}

impl Drop for Idle {
    fn drop(&mut self) {
        // Best effort: the mount goes with the namespace, the cgroup with the machine.
        let _ = Command::new("umount").arg(&self.pins).status();
        let _ = fs::remove_dir(&self.pins);
        let _ = fs::remove_dir(&self.cgroup);
    }
}

/// In the cgroup, behind the filter, this process becomes the program.
pub fn become_program(cgroup: &str, program: &[&str]) -> Result<()> {
    let path = Path::new(cgroup).join("cgroup.procs");
    let file = fs::OpenOptions::new().write(true).open(&path);
    file.and_then(|mut file| file.write_all(b"0"))
        .with_context(|| format!("join {cgroup}"))?;
    let allow = libc::sock_filter {
        code: (libc::BPF_RET | libc::BPF_K) as u16,
        jt: 0,
        jf: 0,
        k: libc::SECCOMP_RET_ALLOW,
    };
    let filter = libc::sock_fprog {
        len: 1,
        filter: (&raw const allow).cast_mut(),
    };
    // SAFETY: the filter, and what it points to, live through the call.
    if unsafe {
        libc::prctl(
            libc::PR_SET_SECCOMP,
            libc::SECCOMP_MODE_FILTER,
            &raw const filter,
        )
    } != 0
    {
        bail!("set a seccomp filter: {}", Error::last_os_error());
    }
    let (name, rest) = program.split_first().context("there is no program")?;
    Err(Command::new(name).args(rest).exec()).with_context(|| format!("start {name}"))
}

fn program() -> String {
    let one = |name: &str, section: &str, answer: i32| {
        format!(
            "__attribute__((section(\"{section}\"), used)) int {name}(void *ctx) {{ return {answer}; }}\n"
        )
    };
    let mut text =
        "char hl_license[] __attribute__((section(\"license\"), used)) = \"Dual BSD/GPL\";\n"
            .to_owned();
    for (section, _) in PLACES {
        text += &one(&hostlets(section), section, 1);
    }
    for (name, _) in TCX {
        text += &one(name, "tc", -1);
    }
    text + &one("hl_lookup", "sk_lookup", 1)
}

/// How hostlet calls its program there.
fn hostlets(section: &str) -> String {
    match section.split_once('/') {
        Some((_, place)) => format!("hl_{place}"),
        None => "hl_sock_ops".to_owned(),
    }
}

const OBJ_GET: libc::c_long = 7;
const PROG_ATTACH: libc::c_long = 8;
const LINK_CREATE: libc::c_long = 28;

fn link(program: &OwnedFd, target: u32, place: u32) -> Result<OwnedFd> {
    made(LINK_CREATE, &[program.as_raw_fd() as u32, target, place, 0])
        .with_context(|| format!("attach to place {place}"))
}

/// One that makes a descriptor.
fn made(command: libc::c_long, words: &[u32; 4]) -> Result<OwnedFd> {
    let fd = bpf(command, words)?;
    // SAFETY: the call has made it, and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// The call, with an argument of 16 bytes.
fn bpf(command: libc::c_long, words: &[u32; 4]) -> Result<i32> {
    // SAFETY: the kernel reads 16 bytes, and what they point to; both live through the call.
    let answer = unsafe { libc::syscall(libc::SYS_bpf, command, words.as_ptr(), 16_u32) };
    let answer = i32::try_from(answer).ok().filter(|answer| *answer >= 0);
    Ok(answer.ok_or_else(Error::last_os_error)?)
}
