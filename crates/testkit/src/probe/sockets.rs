//! Making sockets, naming them, connecting them.

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use super::address::SockAddr;
use super::{
    Actor, Outcome, Trouble, breakout, check, held, io, message, options, patience, patience_ms,
    ready, uring, usage,
};

/// IPPROTO_MPTCP.
const MPTCP: i32 = 262;

/// A socket and the text that tells how it came about.
pub(crate) type Made = Result<(OwnedFd, String), Trouble>;

/// Takes ownership of what a raw call answered.
pub(crate) fn own(answer: libc::c_int) -> Result<OwnedFd, Trouble> {
    let fd = check(answer)?;
    // SAFETY: the kernel just made this descriptor for us alone.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Makes calls on the socket end when the patience does.
pub(crate) fn make_patient(fd: RawFd) {
    let wait = patience();
    for option in [libc::SO_RCVTIMEO, libc::SO_SNDTIMEO] {
        // Not every kind of socket has the option; those that lack it do not wait.
        let _ = options::set(fd, libc::SOL_SOCKET, option, &wait);
    }
}

fn kind(name: &str) -> Result<(i32, i32, i32), Trouble> {
    use libc::{AF_INET, AF_INET6, SOCK_DGRAM, SOCK_RAW, SOCK_SEQPACKET, SOCK_STREAM};
    Ok(match name {
        "tcp4" => (AF_INET, SOCK_STREAM, 0),
        "tcp6" => (AF_INET6, SOCK_STREAM, 0),
        "udp4" => (AF_INET, SOCK_DGRAM, 0),
        "udp6" => (AF_INET6, SOCK_DGRAM, 0),
        "udplite4" => (AF_INET, SOCK_DGRAM, libc::IPPROTO_UDPLITE),
        "udplite6" => (AF_INET6, SOCK_DGRAM, libc::IPPROTO_UDPLITE),
        "ping4" => (AF_INET, SOCK_DGRAM, libc::IPPROTO_ICMP),
        "ping6" => (AF_INET6, SOCK_DGRAM, libc::IPPROTO_ICMPV6),
        "mptcp4" => (AF_INET, SOCK_STREAM, MPTCP),
        "mptcp6" => (AF_INET6, SOCK_STREAM, MPTCP),
        "sctp4" => (AF_INET, SOCK_SEQPACKET, libc::IPPROTO_SCTP),
        "raw4" => (AF_INET, SOCK_RAW, libc::IPPROTO_ICMP),
        "raw6" => (AF_INET6, SOCK_RAW, libc::IPPROTO_ICMPV6),
        "packet" => (libc::AF_PACKET, SOCK_RAW, i32::from(0x0003_u16.to_be())),
        "packet-dgram" => (libc::AF_PACKET, SOCK_DGRAM, i32::from(0x0003_u16.to_be())),
        "unix" => (libc::AF_UNIX, SOCK_STREAM, 0),
        "netlink" => (libc::AF_NETLINK, SOCK_RAW, 0),
        "vsock" => (libc::AF_VSOCK, SOCK_STREAM, 0),
        "xdp" => (libc::AF_XDP, SOCK_RAW, 0),
        "alg" => (libc::AF_ALG, SOCK_SEQPACKET, 0),
        "can" => (libc::AF_CAN, SOCK_RAW, 1),
        "tipc" => (libc::AF_TIPC, SOCK_DGRAM, 0),
        // Whatever the kernel knows: FAMILY/TYPE/PROTOCOL.
        _ => {
            let mut numbers = name.split('/').map(str::parse::<i32>);
            match (numbers.next(), numbers.next(), numbers.next()) {
                (Some(Ok(family)), Some(Ok(kind)), Some(Ok(protocol))) => (family, kind, protocol),
                _ => return usage(format!("no kind of socket: {name}")),
            }
        }
    })
}

/// What getsockopt or getsockname says of the family.
pub(crate) fn family(fd: RawFd) -> Result<i32, Trouble> {
    options::get(fd, libc::SOL_SOCKET, libc::SO_DOMAIN)
}

fn accept(listener: RawFd) -> Made {
    // The kernel does not hand the limit of a socket of MPTCP to the one of TCP that it waits on.
    let protocol = options::get(listener, libc::SOL_SOCKET, libc::SO_PROTOCOL)?;
    if protocol == MPTCP && ready::poll(listener, libc::POLLIN, patience_ms())? == 0 {
        return Err(Trouble::Errno(libc::EAGAIN));
    }
    let mut from = SockAddr::room();
    // SAFETY: the address has room for as much as its length says.
    let fd = own(unsafe {
        libc::accept4(
            listener,
            from.ptr_mut(),
            &raw mut from.len,
            libc::SOCK_CLOEXEC,
        )
    })?;
    make_patient(fd.as_raw_fd());
    Ok((fd, format!("from {}", from.show())))
}

impl Actor {
    /// Ends all children and closes all sockets, connections by a reset: what lingers
    /// would be in the way of the next script.
    pub(crate) fn reset(&mut self) {
        self.end_children();
        let at_once = libc::linger {
            l_onoff: 1,
            l_linger: 0,
        };
        for (_, fd) in self.sockets.drain() {
            let _ = options::set(fd.as_raw_fd(), libc::SOL_SOCKET, libc::SO_LINGER, &at_once);
        }
    }

    pub(crate) fn socket(&self, name: &str) -> Result<RawFd, Trouble> {
        match self.sockets.get(name) {
            Some(fd) => Ok(fd.as_raw_fd()),
            None => Err(Trouble::Nobody),
        }
    }

    /// The ops that make a socket.
    pub(crate) fn make(&mut self, op: &str, args: &[&str]) -> Made {
        match (op, args) {
            // `KIND|KIND`: the second where the first is not to be had.
            ("socket", [names, flags @ ..]) => {
                let mut made = usage("socket KIND");
                for name in names.split('|') {
                    let (family, mut kind, protocol) = kind(name)?;
                    if flags.contains(&"nonblock") {
                        kind |= libc::SOCK_NONBLOCK;
                    }
                    // SAFETY: takes no pointers.
                    made =
                        own(unsafe { libc::socket(family, kind | libc::SOCK_CLOEXEC, protocol) });
                    if made.is_ok() {
                        break;
                    }
                }
                let fd = made?;
                make_patient(fd.as_raw_fd());
                Ok((fd, "ok".into()))
            }
            ("accept", [name]) => accept(self.socket(name)?),
            // From the first of several that has a connection.
            ("accept-any", names) => {
                let ready = self.on_sockets("which", names)?;
                let Some(name) = ready.split('+').find(|name| names.contains(name)) else {
                    return Err(Trouble::Errno(libc::EAGAIN));
                };
                let (fd, text) = accept(self.socket(name)?)?;
                Ok((fd, format!("{ready} {text}")))
            }
            ("uring-accept", [name]) => uring::accept(self.socket(name)?),
            ("uring-socket", [name]) => {
                let (family, kind, protocol) = kind(name)?;
                uring::socket(family, kind, protocol)
            }
            ("dup", [name]) => {
                // SAFETY: takes no pointers.
                let fd = own(unsafe { libc::fcntl(self.socket(name)?, libc::F_DUPFD_CLOEXEC, 0) })?;
                Ok((fd, "ok".into()))
            }
            ("dup2", [name]) => {
                let from = self.socket(name)?;
                // A free number to put the duplicate on.
                // SAFETY: takes no pointers.
                let place = check(unsafe { libc::fcntl(from, libc::F_DUPFD_CLOEXEC, 100) })?;
                // SAFETY: `place` is a descriptor that only this function knows.
                let fd = own(unsafe { libc::dup2(from, place) })?;
                Ok((fd, "ok".into()))
            }
            ("take", [path]) => self.take(path),
            _ => usage(format!("nothing that makes a socket: {op}")),
        }
    }

    /// The ops on several sockets; those that there are not are left out.
    pub(crate) fn on_sockets(&self, op: &str, names: &[&str]) -> Outcome {
        let there = names
            .iter()
            .filter_map(|name| Some((*name, self.socket(name).ok()?)));
        match op {
            // Which have something to read, once one has.
            "which" => ready::which(&there.collect::<Vec<_>>()),
            _ => usage(format!("unknown op {op}")),
        }
    }

    /// The ops on a socket that there is.
    pub(crate) fn on_socket(&self, op: &str, fd: RawFd, args: &[&str]) -> Outcome {
        let ok = |_| "ok".to_owned();
        match (op, args) {
            ("bind", [to]) => {
                let to = SockAddr::parse(to)?;
                // SAFETY: the address is as long as its length says.
                check(unsafe { libc::bind(fd, to.ptr(), to.len) }).map(ok)
            }
            ("connect", [to]) => {
                let to = SockAddr::parse(to)?;
                // SAFETY: the address is as long as its length says.
                check(unsafe { libc::connect(fd, to.ptr(), to.len) }).map(ok)
            }
            ("listen", []) => {
                // SAFETY: takes no pointers.
                check(unsafe { libc::listen(fd, 16) }).map(ok)
            }
            ("shutdown", [how]) => {
                let how = match *how {
                    "rd" => libc::SHUT_RD,
                    "wr" => libc::SHUT_WR,
                    "rdwr" => libc::SHUT_RDWR,
                    _ => return usage("shutdown SOCKET rd|wr|rdwr"),
                };
                // SAFETY: takes no pointers.
                check(unsafe { libc::shutdown(fd, how) }).map(ok)
            }
            ("name", []) => {
                let mut name = SockAddr::room();
                // SAFETY: the address has room for as much as its length says.
                check(unsafe { libc::getsockname(fd, name.ptr_mut(), &raw mut name.len) })?;
                Ok(name.show())
            }
            ("raw-port", []) => {
                let mut name = SockAddr::room();
                // SAFETY: the address has room for as much as its length says.
                check(unsafe { libc::getsockname(fd, name.ptr_mut(), &raw mut name.len) })?;
                Ok(name.port().to_string())
            }
            // Without the port: that of a ping socket is any number.
            ("address", []) => {
                let name = self.on_socket("name", fd, &[])?;
                Ok(name
                    .rsplit_once(':')
                    .map_or(name.clone(), |(host, _)| host.to_owned()))
            }
            ("peer", []) => {
                let mut name = SockAddr::room();
                // SAFETY: the address has room for as much as its length says.
                check(unsafe { libc::getpeername(fd, name.ptr_mut(), &raw mut name.len) })?;
                Ok(name.show())
            }
            (
                "send" | "fastopen" | "recv" | "sendto" | "recvfrom" | "answer" | "echo" | "echoed"
                | "drain",
                _,
            ) => io::perform(op, fd, args),
            (
                "sendmsg" | "recvmsg" | "peek" | "sendmmsg" | "sendmany" | "recvmany" | "errqueue",
                _,
            ) => message::perform(op, fd, args),
            ("mcast-join" | "mcast-leave" | "source-join", _) => held::perform(op, fd, args),
            ("opt" | "getopt" | "join" | "leave", _) => options::perform(op, fd, args),
            ("source-route" | "routing-header" | "filter", _) => breakout::on_socket(op, fd, args),
            ("poll" | "epoll" | "select" | "quiet", _) => ready::perform(op, fd, args),
            (
                "uring-connect" | "uring-send" | "uring-recv" | "uring-poll" | "uring-sendto"
                | "uring-sendmsg" | "uring-recvfrom" | "uring-bind" | "uring-listen",
                _,
            ) => uring::perform(op, fd, args),
            _ => usage(format!("unknown op {op}, or the wrong number of words")),
        }
    }
}
