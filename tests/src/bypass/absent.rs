//! What a machine may be without: then some attempts cannot be made there, outside hostlets either. Whatever else does not work
//! outside is a failure of the attempt.

use std::path::Path;

use anyhow::{Context, Result};

use super::Finding;
use super::expected::is_refusal;

/// An attempt that cannot be made everywhere.
#[derive(Debug, Clone, Copy)]
pub struct Absence {
    /// The attempt.
    pub id: &'static str,
    /// What is missing.
    pub what: &'static str,
    /// Why it may be.
    pub why: &'static str,
    /// How that is recognised.
    pub sign: Sign,
}

/// How it is recognised that something is not here.
#[derive(Debug, Clone, Copy)]
pub enum Sign {
    /// A process outside is refused every step with one of these.
    Answers(&'static [&'static str]),
    /// This setting is not 0.
    Setting(&'static str),
    /// The launcher refuses io_uring to members, or the machine does to most: then these are stopped, but by something else.
    NoIoUring,
}

const fn absence(id: &'static str, what: &'static str, why: &'static str, sign: Sign) -> Absence {
    Absence {
        id,
        what,
        why,
        sign,
    }
}

const UDP_LITE: &str = "a kernel may be without it";
const MODULE: &str = "a kernel may be without it, or its module may not be installed";
const RING: &str = "io_uring for members (rds_tcp is loaded, or it is disabled)";
const RDS: &str =
    "the launcher refuses it where `rds_tcp` is loaded, an administrator may everywhere";
const YAMA: Sign = Sign::Setting("/proc/sys/kernel/yama/ptrace_scope");

/// All that there are.
#[rustfmt::skip]
pub const MAY_BE_ABSENT: &[Absence] = &[
    absence("bind-udplite", "UDP-Lite", UDP_LITE, Sign::Answers(&["EPROTONOSUPPORT"])),
    absence("udplite-connected", "UDP-Lite", UDP_LITE, Sign::Answers(&["EPROTONOSUPPORT"])),
    absence("uring-vsock", "vsock", MODULE, Sign::Answers(&["EAFNOSUPPORT"])),
    absence("uring-xdp", "AF_XDP", MODULE, Sign::Answers(&["EAFNOSUPPORT"])),
    absence("uring-smc", "SMC", MODULE, Sign::Answers(&["EAFNOSUPPORT"])),
    absence("uring-rds", "RDS", MODULE, Sign::Answers(&["EAFNOSUPPORT"])),
    absence("bind-uring", RING, RDS, Sign::NoIoUring),
    absence("bind-uring-socket", RING, RDS, Sign::NoIoUring),
    absence("sniff-uring", RING, RDS, Sign::NoIoUring),
    absence("protocols-uring", RING, RDS, Sign::NoIoUring),
    absence("uring-vsock", RING, RDS, Sign::NoIoUring),
    absence("uring-xdp", RING, RDS, Sign::NoIoUring),
    absence("uring-smc", RING, RDS, Sign::NoIoUring),
    absence("netfilter", "nft", "the program may not be installed, or the kernel be without nftables", Sign::Answers(&["ENOENT", "exit 1"])),
    absence("tun", "TUN", "a kernel may be without it, a container without its device", Sign::Answers(&["ENOENT", "ENODEV"])),
    absence("cgroup-init", "process 1 with the cgroups below its root", "in a container it may be without them, or closed to root", Sign::Answers(&["ENOENT", "EACCES"])),
    absence("cgroup-old", "cgroups of version 1", "few systems have them still", Sign::Answers(&["ENOENT"])),
    absence("take-same-user", "processes that may be traced", "Yama forbids it", YAMA),
    absence("take-neighbour", "processes that may be traced", "Yama forbids it", YAMA),
    absence("trace-kernel", "tracefs", "a kernel may be without it, or nobody has mounted it", Sign::Answers(&["ENOENT"])),
    absence("perf", "perf", "a kernel may be without it, a container closed to it", Sign::Answers(&["ENOSYS", "EPERM", "EACCES"])),
    absence("module", "modules", "a kernel may be without them, or closed to more", Sign::Answers(&["ENOSYS", "EPERM"])),
    absence("own-kernel", "kexec", "a kernel may be without it, or locked", Sign::Answers(&["ENOSYS", "EPERM"])),
    absence("memory", "the machine's memory as a file, and ports", "only some processors have ports; a kernel may be without the rest, or locked", Sign::Answers(&["ENOENT", "ENOSYS", "EPERM"])),
    absence("restart", "sysrq", "a kernel may be without it", Sign::Answers(&["ENOENT"])),
];

/// Where a module shows itself while which the launcher refuses io_uring, and the setting that refuses it everywhere.
const RDS_TCP: &str = "/sys/module/rds_tcp";
const RING_DISABLED: &str = "/proc/sys/kernel/io_uring_disabled";

/// What this attempt lacks here, if it is known to be able to; `outside` is what a process in no hostlet found.
pub(super) fn missing(id: &str, outside: &Finding) -> Result<Option<&'static Absence>> {
    for absence in MAY_BE_ABSENT.iter().filter(|a| a.id == id) {
        let missing = match absence.sign {
            Sign::Answers(signs) => {
                let refusals = || outside.steps.iter().filter(|step| is_refusal(&step.said));
                refusals().next().is_some() && refusals().all(|step| signs.contains(&&*step.said))
            }
            Sign::Setting(path) => is_set(path)?,
            Sign::NoIoUring => no_io_uring()?,
        };
        if missing {
            return Ok(Some(absence));
        }
    }
    Ok(None)
}

/// Is io_uring refused to members here?
pub(super) fn no_io_uring() -> Result<bool> {
    Ok(Path::new(RDS_TCP).exists() || is_set(RING_DISABLED)?)
}

fn is_set(path: &str) -> Result<bool> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(text.trim() != "0"),
        Err(why) if why.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(why) => Err(why).with_context(|| format!("reading {path}")),
    }
}

impl Sign {
    /// For people.
    pub(super) fn text(&self) -> String {
        match self {
            Sign::Answers(signs) => format!("outside the answer is {}", signs.join(" or ")),
            Sign::Setting(path) => format!("`{path}` is not 0"),
            Sign::NoIoUring => format!("`{RDS_TCP}` is there, or `{RING_DISABLED}` not 0"),
        }
    }
}
