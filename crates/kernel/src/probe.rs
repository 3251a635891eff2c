//! What this kernel offers, found by trying; "unknown" is not "no".

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpListener};
use std::os::fd::{FromRawFd, OwnedFd};
use std::path::Path;

use libbpf_rs::{MapType, Object, ProgramInput, ProgramType};
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

/// Whether this process may have BPF tables: root in most containers may not.
fn allowed() -> bool {
    let options = sys::bpf_map_create_opts {
        sz: size_of::<sys::bpf_map_create_opts>() as _,
        map_flags: sys::BPF_F_NO_PREALLOC,
        ..Default::default()
    };
    // SAFETY: the options live through the call; without a name the kernel takes none.
    let table = unsafe {
        let kind = sys::BPF_MAP_TYPE_LPM_TRIE;
        sys::bpf_map_create(kind, std::ptr::null(), 8, 8, 1, &raw const options)
    };
    if table >= 0 {
        // SAFETY: it is this function's own.
        drop(unsafe { OwnedFd::from_raw_fd(table) });
    }
    table != -libc::EPERM
}

fn helper(program: ProgramType, id: sys::bpf_func_id) -> Presence {
    presence(program.is_helper_supported(id))
}

/// Does the kernel tell the network namespace of a packet (6.15 and newer)?
pub(crate) fn packet_netns_cookie() -> bool {
    helper(ProgramType::CgroupSkb, sys::BPF_FUNC_get_netns_cookie) == Presence::Yes
}

/// Whether bind sees listeners on the wildcard in the kernel's own table, which is nobody's promise: tried with one of each
/// family that there is. If not, or if that cannot be found out, bind looks for sockets as others do.
pub(crate) fn sees_listeners(object: &mut Object) -> bool {
    let Some(program) = object.progs_mut().find(|p| p.name() == "hl_sees_listener") else {
        return false;
    };
    let seen = |address: IpAddr| {
        let Ok(listener) = TcpListener::bind((address, 0)) else {
            return None;
        };
        let port = u32::from(listener.local_addr().ok()?.port());
        let input = ProgramInput {
            context_in: Some(&mut port.to_ne_bytes()),
            ..Default::default()
        };
        Some(program.test_run(input).is_ok_and(|o| o.return_value == 1))
    };
    let four = seen(Ipv4Addr::UNSPECIFIED.into());
    let six = seen(Ipv6Addr::UNSPECIFIED.into());
    four == Some(true) && six != Some(false)
}

/// The errno that this kernel gives to a message whose source is not its own: EINVAL, or
/// ENETUNREACH on newer ones. Members get the same.
pub(crate) fn foreign_source_error() -> u32 {
    // 192.0.2.0/24 is for documentation: it is nobody's. The destination is never reached.
    let refused = || -> std::io::Result<()> {
        let socket = std::net::UdpSocket::bind((std::net::Ipv4Addr::UNSPECIFIED, 0))?;
        let info = libc::in_pktinfo {
            ipi_ifindex: 0,
            ipi_spec_dst: libc::in_addr {
                s_addr: u32::from_ne_bytes([192, 0, 2, 77]),
            },
            ipi_addr: libc::in_addr { s_addr: 0 },
        };
        send_from(&socket, info)
    };
    match refused().map_err(|e| e.raw_os_error()) {
        Err(Some(libc::ENETUNREACH)) => libc::ENETUNREACH as u32,
        // Also for what says nothing: a machine that binds to addresses it does not have.
        _ => libc::EINVAL as u32,
    }
}

/// Sends a byte to the discard port of this machine with a control message that names the source.
fn send_from(socket: &std::net::UdpSocket, info: libc::in_pktinfo) -> std::io::Result<()> {
    let to = libc::sockaddr_in {
        sin_family: libc::AF_INET as u16,
        sin_port: 9u16.to_be(),
        sin_addr: libc::in_addr {
            s_addr: u32::from_ne_bytes([127, 0, 0, 1]),
        },
        sin_zero: [0; 8],
    };
    let mut byte = [0u8];
    let mut part = libc::iovec {
        iov_base: byte.as_mut_ptr().cast(),
        iov_len: 1,
    };
    // Room for one control message, aligned as the kernel wants it.
    let mut control = [0u64; 8];
    // SAFETY: all zero is a value of this structure.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_name = std::ptr::from_ref(&to).cast_mut().cast();
    message.msg_namelen = size_of_val(&to) as libc::socklen_t;
    message.msg_iov = &raw mut part;
    message.msg_iovlen = 1;
    message.msg_control = control.as_mut_ptr().cast();
    // SAFETY: the space is that of one control message of this size, smaller than `control`.
    unsafe {
        message.msg_controllen = libc::CMSG_SPACE(size_of_val(&info) as u32) as _;
        let header = libc::CMSG_FIRSTHDR(&raw const message);
        (*header).cmsg_level = libc::IPPROTO_IP;
        (*header).cmsg_type = libc::IP_PKTINFO;
        (*header).cmsg_len = libc::CMSG_LEN(size_of_val(&info) as u32) as _;
        libc::CMSG_DATA(header)
            .cast::<libc::in_pktinfo>()
            .write_unaligned(info);
    }
    // SAFETY: every pointer in the message is to a live variable of the stated size.
    let sent = unsafe {
        libc::sendmsg(
            std::os::fd::AsRawFd::as_raw_fd(socket),
            &raw const message,
            0,
        )
    };
    if sent < 0 {
        Err(std::io::Error::last_os_error())
    } else {
        Ok(())
    }
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
    // Whom the kernel refuses everything, it tells nothing of what it has.
    let allowed = allowed();
    let presence = |answer| match allowed {
        true => presence(answer),
        false => Presence::Unknown,
    };
    let helper = |program, id| match allowed {
        true => helper(program, id),
        false => Presence::Unknown,
    };
    let btf = if Path::new("/sys/kernel/btf/vmlinux").exists() {
        Presence::Yes
    } else {
        Presence::No
    };
    vec![
        Feature {
            name: "the right to load programs",
            presence: if allowed { Presence::Yes } else { Presence::No },
            required: true,
            without: "the rest cannot be asked: be root outside of containers, or in one with --privileged",
        },
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
