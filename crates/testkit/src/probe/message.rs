//! sendmsg, sendmmsg and recvmsg, with the packet information that says from
//! which address to send and to which one was sent.

use std::mem::{size_of, zeroed};
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::RawFd;

use super::address::{
    SockAddr, in_addr, in6_addr, interface_index, interface_name, ip4, ip6, parse_ip,
};
use super::io::show;
use super::{Outcome, Trouble, check, check_len, errno_name, usage};

/// Room for ancillary data, aligned as its header wants it.
#[repr(C, align(8))]
struct Control([u8; 256]);

fn size<T>() -> u32 {
    u32::try_from(size_of::<T>()).unwrap_or(0)
}

pub(crate) fn perform(op: &str, fd: RawFd, args: &[&str]) -> Outcome {
    match (op, args) {
        ("sendmsg" | "sendmmsg", [to, text, rest @ ..]) => send(op, fd, to, text, rest),
        ("recvmsg", []) => receive(fd, 0),
        ("errqueue", []) => receive(fd, libc::MSG_ERRQUEUE),
        _ => usage("sendmsg SOCKET TO|- TEXT [src=ADDRESS] [if=NAME], recvmsg SOCKET"),
    }
}

fn send(op: &str, fd: RawFd, to: &str, text: &str, rest: &[&str]) -> Outcome {
    let mut to = match to {
        "-" => None,
        to => Some(SockAddr::parse(to)?),
    };
    let (mut source, mut interface) = (None, 0);
    for word in rest {
        match word.split_once('=') {
            Some(("src", address)) => source = Some(parse_ip(address)?),
            Some(("if", name)) => interface = interface_index(name)?,
            _ => return usage(format!("sendmsg: {word}")),
        }
    }
    if interface != 0 && source.is_none() {
        source = Some(Ipv4Addr::UNSPECIFIED.into());
    }
    let mut bytes = text.as_bytes().to_vec();
    let mut part = libc::iovec {
        iov_base: bytes.as_mut_ptr().cast(),
        iov_len: bytes.len(),
    };
    let mut control = Control([0; 256]);
    // SAFETY: all zeroes is an empty header.
    let mut header: libc::msghdr = unsafe { zeroed() };
    header.msg_iov = &raw mut part;
    header.msg_iovlen = 1;
    if let Some(to) = &mut to {
        header.msg_name = to.ptr_mut().cast();
        header.msg_namelen = to.len;
    }
    match source {
        None => {}
        Some(IpAddr::V4(address)) => {
            let info = libc::in_pktinfo {
                ipi_ifindex: i32::try_from(interface).unwrap_or(0),
                ipi_spec_dst: in_addr(address),
                ipi_addr: in_addr(Ipv4Addr::UNSPECIFIED),
            };
            attach(
                &mut header,
                &mut control,
                libc::IPPROTO_IP,
                libc::IP_PKTINFO,
                info,
            );
        }
        Some(IpAddr::V6(address)) => {
            let info = libc::in6_pktinfo {
                ipi6_addr: in6_addr(address),
                ipi6_ifindex: interface,
            };
            attach(
                &mut header,
                &mut control,
                libc::IPPROTO_IPV6,
                libc::IPV6_PKTINFO,
                info,
            );
        }
    }
    if op == "sendmsg" {
        // SAFETY: everything that the header names lives through the call.
        check_len(unsafe { libc::sendmsg(fd, &raw const header, libc::MSG_NOSIGNAL) })?;
        return Ok("ok".into());
    }
    let mut two = [
        libc::mmsghdr {
            msg_hdr: header,
            msg_len: 0,
        },
        libc::mmsghdr {
            msg_hdr: header,
            msg_len: 0,
        },
    ];
    // SAFETY: everything that the headers name lives through the call; there are two.
    let sent = check(unsafe { libc::sendmmsg(fd, two.as_mut_ptr(), 2, libc::MSG_NOSIGNAL as _) })?;
    Ok(format!("{sent} sent"))
}

fn attach<T>(header: &mut libc::msghdr, control: &mut Control, level: i32, kind: i32, value: T) {
    header.msg_control = control.0.as_mut_ptr().cast();
    // SAFETY: plain arithmetic on a constant size.
    header.msg_controllen = unsafe { libc::CMSG_SPACE(size::<T>()) } as _;
    // SAFETY: the header now has room for one message of this size, which the
    // first-header macro points to.
    unsafe {
        let first = libc::CMSG_FIRSTHDR(&raw const *header);
        (*first).cmsg_level = level;
        (*first).cmsg_type = kind;
        (*first).cmsg_len = libc::CMSG_LEN(size::<T>()) as _;
        libc::CMSG_DATA(first).cast::<T>().write_unaligned(value);
    }
}

fn receive(fd: RawFd, flags: i32) -> Outcome {
    let mut buffer = [0u8; 512];
    let mut from = SockAddr::room();
    let mut control = Control([0; 256]);
    let mut part = libc::iovec {
        iov_base: buffer.as_mut_ptr().cast(),
        iov_len: buffer.len(),
    };
    // SAFETY: all zeroes is an empty header.
    let mut header: libc::msghdr = unsafe { zeroed() };
    header.msg_iov = &raw mut part;
    header.msg_iovlen = 1;
    header.msg_name = from.ptr_mut().cast();
    header.msg_namelen = from.len;
    header.msg_control = control.0.as_mut_ptr().cast();
    header.msg_controllen = control.0.len() as _;
    // SAFETY: everything that the header names has the room that it says.
    let got = check_len(unsafe { libc::recvmsg(fd, &raw mut header, flags) })?;
    from.len = header.msg_namelen;
    let mut text = format!("{} from {}", show(&buffer[..got]), from.show());
    for note in notes(&header)? {
        text.push(' ');
        text.push_str(&note);
    }
    Ok(text)
}

/// What the ancillary data says.
fn notes(header: &libc::msghdr) -> Result<Vec<String>, Trouble> {
    let mut notes = Vec::new();
    // SAFETY: the kernel filled the header; the macros walk within its length.
    let mut next = unsafe { libc::CMSG_FIRSTHDR(header) };
    while !next.is_null() {
        // SAFETY: `next` points to a header within the control buffer.
        let (level, kind) = unsafe { ((*next).cmsg_level, (*next).cmsg_type) };
        // SAFETY: as above; the data follows the header.
        let data = unsafe { libc::CMSG_DATA(next) };
        match (level, kind) {
            (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
                // SAFETY: level and type say what the data is.
                let info = unsafe { data.cast::<libc::in_pktinfo>().read_unaligned() };
                let index = u32::try_from(info.ipi_ifindex).unwrap_or(0);
                let (to, local) = (ip4(info.ipi_addr), ip4(info.ipi_spec_dst));
                notes.push(format!(
                    "to {to} local {local} via {}",
                    interface_name(index)
                ));
            }
            (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
                // SAFETY: level and type say what the data is.
                let info = unsafe { data.cast::<libc::in6_pktinfo>().read_unaligned() };
                let via = interface_name(info.ipi6_ifindex);
                notes.push(format!("to {} via {via}", ip6(info.ipi6_addr)));
            }
            (libc::IPPROTO_IP, libc::IP_RECVERR) | (libc::IPPROTO_IPV6, libc::IPV6_RECVERR) => {
                // SAFETY: level and type say what the data is.
                let error = unsafe { data.cast::<libc::sock_extended_err>().read_unaligned() };
                let errno = i32::try_from(error.ee_errno).unwrap_or(0);
                notes.push(format!("error {}", errno_name(errno)));
            }
            _ => {}
        }
        // SAFETY: as above.
        next = unsafe { libc::CMSG_NXTHDR(header, next) };
    }
    Ok(notes)
}
