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
        ("sendmsg", [to, text, rest @ ..]) => {
            Message::parse(to, text, rest)?.with_header(|header| {
                // SAFETY: everything that the header names lives through the call.
                let sent = unsafe { libc::sendmsg(fd, &raw const *header, libc::MSG_NOSIGNAL) };
                check_len(sent).map(|_| "ok".into())
            })
        }
        // Two of the same.
        ("sendmmsg", [to, text, rest @ ..]) => {
            let message = || Message::parse(to, text, rest);
            send_many(fd, vec![message()?, message()?])
        }
        // `TO TEXT [src=ADDRESS] + …`, each to its own destination, by one call.
        ("sendmany", messages) => {
            let mut all = Vec::new();
            for message in messages.split(|word| *word == "+") {
                match message {
                    [to, text, rest @ ..] => all.push(Message::parse(to, text, rest)?),
                    _ => return usage("sendmany SOCKET TO TEXT [src=ADDRESS] + …"),
                }
            }
            send_many(fd, all)
        }
        ("recvmsg", []) => receive(fd, 0),
        ("peek", []) => receive(fd, libc::MSG_PEEK),
        ("errqueue", []) => receive(fd, libc::MSG_ERRQUEUE),
        // As many as are there, COUNT at most, by one call; waits for the first.
        ("recvmany", [count]) => match count.parse() {
            Ok(count) => receive_many(fd, count),
            Err(_) => usage("recvmany SOCKET COUNT"),
        },
        _ => {
            usage("sendmsg SOCKET TO|- TEXT [src=ADDRESS] [if=NAME] [mark=NUMBER], recvmsg SOCKET")
        }
    }
}

/// A message to be sent, and all that its header points to.
pub(crate) struct Message {
    to: Option<SockAddr>,
    bytes: Vec<u8>,
    part: libc::iovec,
    control: Control,
    control_len: usize,
}

impl Message {
    /// `to` or `-`, a text, and `src=ADDRESS`, `if=NAME` as packet information, or `mark=NUMBER`.
    pub fn parse(to: &str, text: &str, rest: &[&str]) -> Result<Message, Trouble> {
        let to = match to {
            "-" => None,
            to => Some(SockAddr::parse(to)?),
        };
        let (mut source, mut interface, mut mark) = (None, 0, None);
        for word in rest {
            match word.split_once('=') {
                Some(("src", address)) => source = Some(parse_ip(address)?),
                Some(("if", name)) => interface = interface_index(name)?,
                Some(("mark", number)) => mark = number.parse::<u32>().ok(),
                _ => return usage(format!("sendmsg: {word}")),
            }
        }
        if interface != 0 && source.is_none() {
            source = Some(Ipv4Addr::UNSPECIFIED.into());
        }
        let mut message = Message {
            to,
            bytes: text.as_bytes().to_vec(),
            // SAFETY: all zeroes is an empty part.
            part: unsafe { zeroed() },
            control: Control([0; 256]),
            control_len: 0,
        };
        match source {
            None => {
                if let Some(mark) = mark {
                    message.attach(libc::SOL_SOCKET, libc::SO_MARK, mark);
                }
            }
            Some(IpAddr::V4(address)) => {
                let info = libc::in_pktinfo {
                    ipi_ifindex: i32::try_from(interface).unwrap_or(0),
                    ipi_spec_dst: in_addr(address),
                    ipi_addr: in_addr(Ipv4Addr::UNSPECIFIED),
                };
                message.attach(libc::IPPROTO_IP, libc::IP_PKTINFO, info);
            }
            Some(IpAddr::V6(address)) => {
                let info = libc::in6_pktinfo {
                    ipi6_addr: in6_addr(address),
                    ipi6_ifindex: interface,
                };
                message.attach(libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, info);
            }
        }
        Ok(message)
    }

    /// Adds ancillary data.
    fn attach<T>(&mut self, level: i32, kind: i32, value: T) {
        // SAFETY: plain arithmetic on a constant size.
        self.control_len = unsafe { libc::CMSG_SPACE(size::<T>()) } as usize;
        let header = self.header();
        // SAFETY: the header has room for one message of this size, which the
        // first-header macro points to.
        unsafe {
            let first = libc::CMSG_FIRSTHDR(&raw const header);
            (*first).cmsg_level = level;
            (*first).cmsg_type = kind;
            (*first).cmsg_len = libc::CMSG_LEN(size::<T>()) as _;
            libc::CMSG_DATA(first).cast::<T>().write_unaligned(value);
        }
    }

    /// A header that is good as long as the message stays where it is.
    fn header(&mut self) -> libc::msghdr {
        self.part = libc::iovec {
            iov_base: self.bytes.as_mut_ptr().cast(),
            iov_len: self.bytes.len(),
        };
        // SAFETY: all zeroes is an empty header.
        let mut header: libc::msghdr = unsafe { zeroed() };
        header.msg_iov = &raw mut self.part;
        header.msg_iovlen = 1;
        if let Some(to) = &mut self.to {
            header.msg_name = to.ptr_mut().cast();
            header.msg_namelen = to.len;
        }
        if self.control_len > 0 {
            header.msg_control = self.control.0.as_mut_ptr().cast();
            header.msg_controllen = self.control_len as _;
        }
        header
    }

    /// Has something done with its header.
    pub fn with_header<T>(&mut self, work: impl FnOnce(&libc::msghdr) -> T) -> T {
        work(&self.header())
    }
}

fn send_many(fd: RawFd, mut messages: Vec<Message>) -> Outcome {
    let mut headers: Vec<libc::mmsghdr> = messages
        .iter_mut()
        .map(|message| libc::mmsghdr {
            msg_hdr: message.header(),
            msg_len: 0,
        })
        .collect();
    let (count, flags) = (headers.len() as u32, libc::MSG_NOSIGNAL as _);
    // SAFETY: the headers, and the messages that they name, live through the call; their number is as said.
    let sent = check(unsafe { libc::sendmmsg(fd, headers.as_mut_ptr(), count, flags) })?;
    Ok(format!("{sent} sent"))
}

/// Room for what is received.
pub(crate) struct Room {
    bytes: [u8; 512],
    from: SockAddr,
    part: libc::iovec,
    control: Control,
}

impl Room {
    pub fn new() -> Room {
        Room {
            bytes: [0; 512],
            from: SockAddr::room(),
            // SAFETY: all zeroes is an empty part.
            part: unsafe { zeroed() },
            control: Control([0; 256]),
        }
    }

    /// A header that is good as long as the room stays where it is.
    pub fn header(&mut self) -> libc::msghdr {
        self.part = libc::iovec {
            iov_base: self.bytes.as_mut_ptr().cast(),
            iov_len: self.bytes.len(),
        };
        // SAFETY: all zeroes is an empty header.
        let mut header: libc::msghdr = unsafe { zeroed() };
        header.msg_iov = &raw mut self.part;
        header.msg_iovlen = 1;
        header.msg_name = self.from.ptr_mut().cast();
        header.msg_namelen = self.from.len;
        header.msg_control = self.control.0.as_mut_ptr().cast();
        header.msg_controllen = self.control.0.len() as _;
        header
    }

    /// What was received, from whom, and the notes that came with it.
    pub fn show(&self, header: &libc::msghdr, got: usize) -> Outcome {
        let mut from = self.from;
        from.len = header.msg_namelen;
        let mut text = format!("{} from {}", show(&self.bytes[..got]), from.show());
        for note in notes(header)? {
            text.push(' ');
            text.push_str(&note);
        }
        Ok(text)
    }
}

fn receive(fd: RawFd, flags: i32) -> Outcome {
    let mut room = Room::new();
    let mut header = room.header();
    // SAFETY: everything that the header names has the room that it says.
    let got = check_len(unsafe { libc::recvmsg(fd, &raw mut header, flags) })?;
    room.show(&header, got)
}

fn receive_many(fd: RawFd, count: usize) -> Outcome {
    let mut rooms: Vec<Room> = (0..count).map(|_| Room::new()).collect();
    let mut headers: Vec<libc::mmsghdr> = rooms
        .iter_mut()
        .map(|room| libc::mmsghdr {
            msg_hdr: room.header(),
            msg_len: 0,
        })
        .collect();
    let (flags, forever) = (libc::MSG_WAITFORONE as _, std::ptr::null_mut());
    // SAFETY: the headers, and the rooms that they name, live through the call; their number is as said.
    let got =
        check(unsafe { libc::recvmmsg(fd, headers.as_mut_ptr(), count as u32, flags, forever) })?;
    let mut all = Vec::new();
    for (room, header) in rooms.iter().zip(&headers).take(got as usize) {
        all.push(room.show(&header.msg_hdr, header.msg_len as usize)?);
    }
    Ok(all.join(" + "))
}

/// The notes of what getsockopt(IP_PKTOPTIONS) and its IPv6 brother give: ancillary data without a message.
pub(crate) fn packet_options(fd: RawFd, level: i32, name: i32) -> Outcome {
    let mut control = Control([0; 256]);
    let mut len = control.0.len() as libc::socklen_t;
    // SAFETY: the buffer has room for as much as the length says.
    check(unsafe {
        libc::getsockopt(fd, level, name, control.0.as_mut_ptr().cast(), &raw mut len)
    })?;
    // SAFETY: all zeroes is an empty header.
    let mut header: libc::msghdr = unsafe { zeroed() };
    header.msg_control = control.0.as_mut_ptr().cast();
    header.msg_controllen = len as _;
    let notes = notes(&header)?;
    Ok(if notes.is_empty() {
        "nothing".into()
    } else {
        notes.join(" ")
    })
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
            (libc::IPPROTO_IP, libc::IP_ORIGDSTADDR) => {
                // SAFETY: level and type say what the data is.
                let to = unsafe { data.cast::<libc::sockaddr_in>().read_unaligned() };
                let to = SockAddr::v4(ip4(to.sin_addr), u16::from_be(to.sin_port));
                notes.push(format!("destined {}", to.show()));
            }
            (libc::IPPROTO_IPV6, libc::IPV6_ORIGDSTADDR) => {
                // SAFETY: level and type say what the data is.
                let to = unsafe { data.cast::<libc::sockaddr_in6>().read_unaligned() };
                let to = SockAddr::v6(ip6(to.sin6_addr), u16::from_be(to.sin6_port), 0);
                notes.push(format!("destined {}", to.show()));
            }
            (libc::SOL_SOCKET, libc::SO_MARK) => {
                // SAFETY: level and type say what the data is.
                let mark = unsafe { data.cast::<u32>().read_unaligned() };
                notes.push(format!("mark {mark:#x}"));
            }
            (libc::IPPROTO_IP, libc::IP_RECVERR) | (libc::IPPROTO_IPV6, libc::IPV6_RECVERR) => {
                // SAFETY: level and type say what the data is.
                let error = unsafe { data.cast::<libc::sock_extended_err>().read_unaligned() };
                let errno = i32::try_from(error.ee_errno).unwrap_or(0);
                notes.push(format!("error {}", errno_name(errno)));
                notes.push(format!("by {}", offender(data)));
            }
            _ => {}
        }
        // SAFETY: as above.
        next = unsafe { libc::CMSG_NXTHDR(header, next) };
    }
    Ok(notes)
}

/// The address behind an extended error: whoever answered with it; `unspec` for the machine itself.
fn offender(data: *const u8) -> String {
    let mut by = SockAddr::room();
    // SAFETY: the kernel puts a sockaddr behind every extended error, of IPv6 at most.
    unsafe {
        let at = data.add(size_of::<libc::sock_extended_err>());
        let len = match i32::from(at.cast::<libc::sa_family_t>().read_unaligned()) {
            libc::AF_INET => size_of::<libc::sockaddr_in>(),
            libc::AF_INET6 => size_of::<libc::sockaddr_in6>(),
            _ => return "unspec".into(),
        };
        std::ptr::copy_nonoverlapping(at, by.ptr_mut().cast(), len);
    }
    by.show()
}
