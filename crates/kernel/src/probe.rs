//! What this kernel offers, found by trying; "unknown" is not "no".

use std::path::Path;

use libbpf_rs::{MapType, ProgramType};
use libbpf_sys as sys;

/// Whether the kernel has something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// It has.
    Yes,
    /// It has not.
    No,
    /// It could not be found out, for want of permission as a rule.
    Unknown,
}

/// One thing that hostlet uses.
#[derive(Clone, Debug)]
pub struct Feature {
    /// What it is.
    pub name: &'static str,
    /// Whether it is there.
    pub presence: Presence,
    /// Whether hostlet works without it.
    pub required: bool,
    /// What is lost without it.
    pub without: &'static str,
}

fn presence(answer: libbpf_rs::Result<bool>) -> Presence {
    match answer {
        Ok(true) => Presence::Yes,
        Ok(false) => Presence::No,
        Err(_) => Presence::Unknown,
    }
}

fn helper(program: ProgramType, id: sys::bpf_func_id) -> Presence {
    presence(program.is_helper_supported(id))
}

/// Does the kernel tell the network namespace of a packet (6.15 and newer)?
pub(crate) fn packet_netns_cookie() -> bool {
    helper(ProgramType::CgroupSkb, sys::BPF_FUNC_get_netns_cookie) == Presence::Yes
}

/// Everything that hostlet uses of the kernel, the required first.
#[must_use]
pub fn features() -> Vec<Feature> {
    let required = |name, presence| Feature {
        name,
        presence,
        required: true,
        without: "hostlet does not work",
    };
    let optional = |name, presence, without| Feature {
        name,
        presence,
        required: false,
        without,
    };
    let btf = if Path::new("/sys/kernel/btf/vmlinux").exists() {
        Presence::Yes
    } else {
        Presence::No
    };
    vec![
        required("kernel types (BTF)", btf),
        required(
            "programs on a cgroup's socket calls",
            presence(ProgramType::CgroupSockAddr.is_supported()),
        ),
        required(
            "programs on a cgroup's sockets",
            presence(ProgramType::CgroupSock.is_supported()),
        ),
        required(
            "programs on a cgroup's packets",
            presence(ProgramType::CgroupSkb.is_supported()),
        ),
        required(
            "programs on TCP's state",
            presence(ProgramType::SockOps.is_supported()),
        ),
        required(
            "programs on socket look-up",
            presence(ProgramType::SkLookup.is_supported()),
        ),
        required(
            "programs on arriving packets (tc)",
            presence(ProgramType::SchedCls.is_supported()),
        ),
        required(
            "storage for a cgroup",
            presence(MapType::CgroupStorage.is_supported()),
        ),
        required(
            "tables of sockets",
            presence(MapType::Sockhash.is_supported()),
        ),
        required(
            "tries for prefixes",
            presence(MapType::LpmTrie.is_supported()),
        ),
        required(
            "choosing the error of a call",
            helper(ProgramType::CgroupSockAddr, sys::BPF_FUNC_set_retval),
        ),
        required(
            "the network namespace of a call",
            helper(ProgramType::CgroupSockAddr, sys::BPF_FUNC_get_netns_cookie),
        ),
        optional(
            "the network namespace of a packet (6.15)",
            helper(ProgramType::CgroupSkb, sys::BPF_FUNC_get_netns_cookie),
            "a network namespace that a member makes inside its hostlet carries the hostlet's addresses only",
        ),
        optional(
            "tcx links (6.6)",
            release_at_least(6, 6),
            "wildcard UDP sockets are found through a clsact queueing discipline",
        ),
    ]
}

/// By the kernel's version, for what cannot be tried without an interface to try it on.
fn release_at_least(major: u32, minor: u32) -> Presence {
    let name = rustix::system::uname();
    let release = name.release().to_string_lossy().into_owned();
    let mut numbers = release
        .split(['.', '-'])
        .map(|n| n.parse::<u32>().unwrap_or(0));
    let found = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if found >= (major, minor) {
        Presence::Yes
    } else {
        Presence::No
    }
}
