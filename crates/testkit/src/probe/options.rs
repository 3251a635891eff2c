//! Socket options and group membership, by the names that scripts use.

use std::mem::size_of;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::RawFd;

use super::address::{in_addr, in6_addr, interface_index, parse_ip};
use super::sockets::family;
use super::{Outcome, Trouble, check, errno_name, held, usage};

/// IPV6_HDRINCL and others that the libc crate lacks are not needed; these are.
const IPV6_ADDR_FORM: i32 = 1;
const SO_RCVMARK: i32 = 75;

/// setsockopt with a plain value.
pub(crate) fn set<T>(fd: RawFd, level: i32, name: i32, value: &T) -> Result<(), Trouble> {
    let len = libc::socklen_t::try_from(size_of::<T>()).unwrap_or(0);
    // SAFETY: the value is as long as said and lives through the call.
    check(unsafe { libc::setsockopt(fd, level, name, (&raw const *value).cast(), len) })?;
    Ok(())
}

/// setsockopt with bytes.
pub(crate) fn set_bytes(fd: RawFd, level: i32, name: i32, value: &[u8]) -> Result<(), Trouble> {
    let len = libc::socklen_t::try_from(value.len()).unwrap_or(0);
    // SAFETY: the value is as long as said and lives through the call.
    check(unsafe { libc::setsockopt(fd, level, name, value.as_ptr().cast(), len) })?;
    Ok(())
}

/// getsockopt of an int.
pub(crate) fn get(fd: RawFd, level: i32, name: i32) -> Result<i32, Trouble> {
    let mut value = 0i32;
    let mut len = libc::socklen_t::try_from(size_of::<i32>()).unwrap_or(0);
    // SAFETY: value and length live through the call; the length is that of the value.
    check(unsafe { libc::getsockopt(fd, level, name, (&raw mut value).cast(), &raw mut len) })?;
    Ok(value)
}

/// Options with an int, by name; `4` and `6` are chosen by the socket's family
/// where the name alone does not say.
fn int_option(fd: RawFd, name: &str) -> Result<(i32, i32), Trouble> {
    use libc::{IPPROTO_IP, IPPROTO_IPV6, SOL_SOCKET};
    let v6 = family(fd)? == libc::AF_INET6;
    let pick = |four: i32, six: i32| {
        if v6 {
            (IPPROTO_IPV6, six)
        } else {
            (IPPROTO_IP, four)
        }
    };
    Ok(match name {
        "reuseaddr" => (SOL_SOCKET, libc::SO_REUSEADDR),
        "reuseport" => (SOL_SOCKET, libc::SO_REUSEPORT),
        "broadcast" => (SOL_SOCKET, libc::SO_BROADCAST),
        "keepalive" => (SOL_SOCKET, libc::SO_KEEPALIVE),
        "dontroute" => (SOL_SOCKET, libc::SO_DONTROUTE),
        "mark" => (SOL_SOCKET, libc::SO_MARK),
        "rcvmark" => (SOL_SOCKET, SO_RCVMARK),
        "error" => (SOL_SOCKET, libc::SO_ERROR),
        "type" => (SOL_SOCKET, libc::SO_TYPE),
        "domain" => (SOL_SOCKET, libc::SO_DOMAIN),
        "protocol" => (SOL_SOCKET, libc::SO_PROTOCOL),
        "acceptconn" => (SOL_SOCKET, libc::SO_ACCEPTCONN),
        "v6only" => (IPPROTO_IPV6, libc::IPV6_V6ONLY),
        "addrform" => (IPPROTO_IPV6, IPV6_ADDR_FORM),
        "pktinfo" => pick(libc::IP_PKTINFO, libc::IPV6_RECVPKTINFO),
        "pktinfo4" => (IPPROTO_IP, libc::IP_PKTINFO),
        "origdst" => pick(libc::IP_RECVORIGDSTADDR, libc::IPV6_RECVORIGDSTADDR),
        "recverr" => pick(libc::IP_RECVERR, libc::IPV6_RECVERR),
        "freebind" => pick(libc::IP_FREEBIND, libc::IPV6_FREEBIND),
        "transparent" => pick(libc::IP_TRANSPARENT, libc::IPV6_TRANSPARENT),
        "ttl" => pick(libc::IP_TTL, libc::IPV6_UNICAST_HOPS),
        "mcast-loop" => pick(libc::IP_MULTICAST_LOOP, libc::IPV6_MULTICAST_LOOP),
        "mcast-ttl" => pick(libc::IP_MULTICAST_TTL, libc::IPV6_MULTICAST_HOPS),
        "mcast-all" => pick(libc::IP_MULTICAST_ALL, 29),
        "bind-no-port" => (IPPROTO_IP, libc::IP_BIND_ADDRESS_NO_PORT),
        "segment" => (libc::SOL_UDP, libc::UDP_SEGMENT),
        "gro" => (libc::SOL_UDP, libc::UDP_GRO),
        "nodelay" => (libc::IPPROTO_TCP, libc::TCP_NODELAY),
        "defer-accept" => (libc::IPPROTO_TCP, libc::TCP_DEFER_ACCEPT),
        "fastopen" => (libc::IPPROTO_TCP, libc::TCP_FASTOPEN),
        "fastopen-connect" => (libc::IPPROTO_TCP, libc::TCP_FASTOPEN_CONNECT),
        "repair" => (libc::IPPROTO_TCP, libc::TCP_REPAIR),
        _ => return usage(format!("no option {name}")),
    })
}

pub(crate) fn perform(op: &str, fd: RawFd, args: &[&str]) -> Outcome {
    match (op, args) {
        ("opt", ["mcast-if", at]) => multicast_interface(fd, at)?,
        ("opt", [name, value]) => {
            if let Some(outcome) = held::set_by_name(fd, name, value) {
                outcome?;
                return Ok("ok".into());
            }
            let (level, option) = int_option(fd, name)?;
            let Ok(value) = value.parse::<i32>() else {
                return usage("a number");
            };
            set(fd, level, option, &value)?;
        }
        ("getopt", ["error"]) => {
            return Ok(match get(fd, libc::SOL_SOCKET, libc::SO_ERROR)? {
                0 => "none".into(),
                errno => errno_name(errno),
            });
        }
        ("getopt", [name]) => {
            if let Some(outcome) = held::get_by_name(fd, name) {
                return outcome;
            }
            let (level, option) = int_option(fd, name)?;
            return Ok(get(fd, level, option)?.to_string());
        }
        ("join" | "leave", [group, at]) => membership(fd, op == "join", group, at)?,
        _ => return usage("opt SOCKET NAME VALUE, getopt SOCKET NAME, join SOCKET GROUP AT"),
    }
    Ok("ok".into())
}

/// `at`: an interface, or for IPv4 one of its addresses; `any` leaves the choice to the routes.
fn membership(fd: RawFd, join: bool, group: &str, at: &str) -> Result<(), Trouble> {
    match parse_ip(group)? {
        IpAddr::V4(group) => {
            let option = if join {
                libc::IP_ADD_MEMBERSHIP
            } else {
                libc::IP_DROP_MEMBERSHIP
            };
            set(fd, libc::IPPROTO_IP, option, &request4(group, at)?)
        }
        IpAddr::V6(group) => {
            let option = if join {
                libc::IPV6_ADD_MEMBERSHIP
            } else {
                libc::IPV6_DROP_MEMBERSHIP
            };
            let index = if at == "any" { 0 } else { interface_index(at)? };
            let request = libc::ipv6_mreq {
                ipv6mr_multiaddr: in6_addr(group),
                ipv6mr_interface: index,
            };
            set(fd, libc::IPPROTO_IPV6, option, &request)
        }
    }
}

fn multicast_interface(fd: RawFd, at: &str) -> Result<(), Trouble> {
    if family(fd)? == libc::AF_INET6 {
        let index = i32::try_from(interface_index(at)?).unwrap_or(0);
        return set(fd, libc::IPPROTO_IPV6, libc::IPV6_MULTICAST_IF, &index);
    }
    set(
        fd,
        libc::IPPROTO_IP,
        libc::IP_MULTICAST_IF,
        &request4(Ipv4Addr::UNSPECIFIED, at)?,
    )
}

fn request4(group: Ipv4Addr, at: &str) -> Result<libc::ip_mreqn, Trouble> {
    let (address, index) = match (at, at.parse::<Ipv4Addr>()) {
        ("any", _) => (Ipv4Addr::UNSPECIFIED, 0),
        (_, Ok(address)) => (address, 0),
        (name, Err(_)) => (Ipv4Addr::UNSPECIFIED, interface_index(name)?),
    };
    Ok(libc::ip_mreqn {
        imr_multiaddr: in_addr(group),
        imr_address: in_addr(address),
        imr_ifindex: i32::try_from(index).unwrap_or(0),
    })
}
