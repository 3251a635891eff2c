//! Socket options that hold addresses, or name interfaces.

use std::mem::size_of;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::RawFd;

use super::address::{SockAddr, in_addr, in6_addr, interface_index, interface_name, ip4, parse_ip};
use super::message::packet_options;
use super::options::{get, set};
use super::sockets::family;
use super::{Outcome, Trouble, check, usage};

/// setsockopt(MCAST_JOIN_GROUP).
#[repr(C)]
struct GroupRequest {
    interface: u32,
    group: libc::sockaddr_storage,
}

/// setsockopt(MCAST_JOIN_SOURCE_GROUP).
#[repr(C)]
struct GroupSourceRequest {
    interface: u32,
    group: libc::sockaddr_storage,
    source: libc::sockaddr_storage,
}

/// `mcast-join SOCKET GROUP INTERFACE [SOURCE]` and `mcast-leave`, by the calls that know no family;
/// `source-join SOCKET GROUP SOURCE ADDRESS` by the one of IPv4.
pub(crate) fn perform(op: &str, fd: RawFd, args: &[&str]) -> Outcome {
    match (op, args) {
        ("mcast-join" | "mcast-leave", [group, interface]) => {
            let option = match op {
                "mcast-join" => libc::MCAST_JOIN_GROUP,
                _ => libc::MCAST_LEAVE_GROUP,
            };
            let request = GroupRequest {
                interface: interface_index(interface)?,
                group: storage(group)?,
            };
            set(fd, level_of(group)?, option, &request)?;
        }
        ("mcast-join" | "mcast-leave", [group, interface, source]) => {
            let option = match op {
                "mcast-join" => libc::MCAST_JOIN_SOURCE_GROUP,
                _ => libc::MCAST_LEAVE_SOURCE_GROUP,
            };
            let request = GroupSourceRequest {
                interface: interface_index(interface)?,
                group: storage(group)?,
                source: storage(source)?,
            };
            set(fd, level_of(group)?, option, &request)?;
        }
        ("source-join", [group, source, at]) => {
            let address = |text: &str| match parse_ip(text)? {
                IpAddr::V4(address) => Ok(in_addr(address)),
                IpAddr::V6(_) => usage("an IPv4 address"),
            };
            let request = libc::ip_mreq_source {
                imr_multiaddr: address(group)?,
                imr_interface: address(at)?,
                imr_sourceaddr: address(source)?,
            };
            set(
                fd,
                libc::IPPROTO_IP,
                libc::IP_ADD_SOURCE_MEMBERSHIP,
                &request,
            )?;
        }
        _ => return usage("mcast-join|mcast-leave SOCKET GROUP INTERFACE [SOURCE]"),
    }
    Ok("ok".into())
}

fn storage(address: &str) -> Result<libc::sockaddr_storage, Trouble> {
    Ok(match parse_ip(address)? {
        IpAddr::V4(address) => SockAddr::v4(address, 0).storage,
        IpAddr::V6(address) => SockAddr::v6(address, 0, 0).storage,
    })
}

fn level_of(address: &str) -> Result<i32, Trouble> {
    Ok(match parse_ip(address)? {
        IpAddr::V4(_) => libc::IPPROTO_IP,
        IpAddr::V6(_) => libc::IPPROTO_IPV6,
    })
}

/// The options whose value is no plain number; none for those whose is.
pub(crate) fn set_by_name(fd: RawFd, name: &str, value: &str) -> Option<Result<(), Trouble>> {
    Some(match name {
        "device" => set_bytes(
            fd,
            libc::SOL_SOCKET,
            libc::SO_BINDTODEVICE,
            value.as_bytes(),
        ),
        "device-index" => interface_index(value)
            .and_then(|index| set(fd, libc::SOL_SOCKET, libc::SO_BINDTOIFINDEX, &index)),
        // The interface of what is sent, in network order for both families.
        "unicast-if" => family(fd).and_then(|family| {
            let index = interface_index(value)?.to_be();
            if family == libc::AF_INET6 {
                set(fd, libc::IPPROTO_IPV6, libc::IPV6_UNICAST_IF, &index)
            } else {
                set(fd, libc::IPPROTO_IP, libc::IP_UNICAST_IF, &index)
            }
        }),
        // The source of everything that is sent from here on.
        "source" => sticky_source(fd, value),
        _ => return None,
    })
}

fn sticky_source(fd: RawFd, address: &str) -> Result<(), Trouble> {
    let IpAddr::V6(address) = parse_ip(address)? else {
        return usage("an IPv6 address");
    };
    let info = libc::in6_pktinfo {
        ipi6_addr: in6_addr(address),
        ipi6_ifindex: 0,
    };
    set(fd, libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, &info)
}

fn set_bytes(fd: RawFd, level: i32, name: i32, value: &[u8]) -> Result<(), Trouble> {
    let len = libc::socklen_t::try_from(value.len()).unwrap_or(0);
    // SAFETY: the value is as long as said and lives through the call.
    check(unsafe { libc::setsockopt(fd, level, name, value.as_ptr().cast(), len) })?;
    Ok(())
}

/// What getsockopt says of those; none for options whose value is a plain number.
pub(crate) fn get_by_name(fd: RawFd, name: &str) -> Option<Outcome> {
    Some(match name {
        "device" => device(fd),
        "mcast-if" => multicast_interface(fd),
        "peername" => address(fd, libc::SOL_SOCKET, libc::SO_PEERNAME),
        // Where a connection went before somebody translated it.
        "original" => address(fd, libc::SOL_IP, libc::SO_ORIGINAL_DST),
        "packet-options" => packet_options(fd, libc::IPPROTO_IP, libc::IP_PKTOPTIONS),
        "packet-options6" => packet_options(fd, libc::IPPROTO_IPV6, libc::IPV6_2292PKTOPTIONS),
        _ => return None,
    })
}

fn device(fd: RawFd) -> Outcome {
    let mut name = [0u8; libc::IF_NAMESIZE];
    let mut len = libc::IF_NAMESIZE as libc::socklen_t;
    let at = name.as_mut_ptr().cast();
    // SAFETY: the buffer has room for as much as the length says.
    check(unsafe {
        libc::getsockopt(
            fd,
            libc::SOL_SOCKET,
            libc::SO_BINDTODEVICE,
            at,
            &raw mut len,
        )
    })?;
    let end = name.iter().position(|b| *b == 0).unwrap_or(name.len());
    Ok(match end {
        0 => "none".into(),
        end => String::from_utf8_lossy(&name[..end]).into_owned(),
    })
}

/// For IPv4 the address that was set, for IPv6 the interface.
fn multicast_interface(fd: RawFd) -> Outcome {
    if family(fd)? == libc::AF_INET6 {
        return Ok(
            match get(fd, libc::IPPROTO_IPV6, libc::IPV6_MULTICAST_IF)? {
                0 => "none".into(),
                index => interface_name(u32::try_from(index).unwrap_or(0)),
            },
        );
    }
    let value = get(fd, libc::IPPROTO_IP, libc::IP_MULTICAST_IF)?;
    let address = libc::in_addr {
        s_addr: value as u32,
    };
    Ok(match ip4(address) {
        Ipv4Addr::UNSPECIFIED => "none".into(),
        address => address.to_string(),
    })
}

fn address(fd: RawFd, level: i32, name: i32) -> Outcome {
    let mut address = SockAddr::room();
    // The kernel wants no more room than it needs.
    address.len = match family(fd)? {
        libc::AF_INET => size_of::<libc::sockaddr_in>(),
        _ => size_of::<libc::sockaddr_in6>(),
    } as libc::socklen_t;
    let at = address.ptr_mut().cast();
    // SAFETY: the address has room for as much as its length says.
    check(unsafe { libc::getsockopt(fd, level, name, at, &raw mut address.len) })?;
    Ok(address.show())
}
