//! Everything that passes the interfaces of a machine, as an administrator of it sees it.

use std::mem::{size_of, zeroed};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use anyhow::{Result, bail};

use crate::netns::NetNs;

/// A packet that was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// Its source.
    pub from: IpAddr,
    /// Its destination.
    pub to: IpAddr,
    /// The protocol in it.
    pub protocol: u8,
    /// The port that it is for; of an echo request, 0.
    pub port: u16,
    /// It asks for an echo.
    pub echo: bool,
}

/// Listens on all interfaces of a machine until it is dropped.
#[derive(Debug)]
pub struct Sniffer {
    seen: Arc<Mutex<Vec<Seen>>>,
    end: Option<OwnedFd>,
    thread: Option<JoinHandle<()>>,
}

impl Sniffer {
    /// Begins to listen.
    ///
    /// # Errors
    /// Without root.
    pub fn new(ns: &NetNs) -> Result<Sniffer> {
        let socket = ns.within(|| {
            let all = i32::from(0x0003_u16.to_be());
            // SAFETY: takes no pointers.
            unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, all) }
        })?;
        if socket < 0 {
            bail!(
                "listening in {}: {}",
                ns.name(),
                std::io::Error::last_os_error()
            );
        }
        // SAFETY: the kernel just made it for us alone.
        let socket = unsafe { OwnedFd::from_raw_fd(socket) };
        let size = 16i32 << 20;
        // SAFETY: the value is as long as said and lives through the call.
        unsafe {
            libc::setsockopt(
                socket.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_RCVBUFFORCE,
                (&raw const size).cast(),
                size_of::<i32>() as libc::socklen_t,
            )
        };
        let (ended, end) = std::io::pipe()?;
        let (ended, end) = (OwnedFd::from(ended), OwnedFd::from(end));
        let seen = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&seen);
        let thread = std::thread::spawn(move || listen(&socket, &ended, &noted));
        Ok(Sniffer {
            seen,
            end: Some(end),
            thread: Some(thread),
        })
    }

    /// All that was seen so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Drop for Sniffer {
    fn drop(&mut self) {
        self.end = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn listen(socket: &OwnedFd, ended: &OwnedFd, noted: &Mutex<Vec<Seen>>) {
    let mut buffer = [0u8; 2048];
    loop {
        let wait = |fd: &OwnedFd| libc::pollfd {
            fd: fd.as_raw_fd(),
            events: libc::POLLIN,
            revents: 0,
        };
        let mut both = [wait(socket), wait(ended)];
        // SAFETY: two entries, as said.
        if unsafe { libc::poll(both.as_mut_ptr(), 2, -1) } < 0 || both[1].revents != 0 {
            return;
        }
        // SAFETY: all zeroes is a valid address.
        let mut from: libc::sockaddr_ll = unsafe { zeroed() };
        let mut len = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
        // SAFETY: buffer and address have room for as much as said.
        let got = unsafe {
            libc::recvfrom(
                socket.as_raw_fd(),
                buffer.as_mut_ptr().cast(),
                buffer.len(),
                libc::MSG_DONTWAIT,
                (&raw mut from).cast(),
                &raw mut len,
            )
        };
        let Ok(got) = usize::try_from(got) else {
            continue;
        };
        if let Some(packet) = read(&buffer[..got]) {
            noted
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(packet);
        }
    }
}

/// A packet of IP, from its header on.
fn read(packet: &[u8]) -> Option<Seen> {
    let word = |at: usize| Some(u16::from_be_bytes([*packet.get(at)?, *packet.get(at + 1)?]));
    let (from, to, protocol, header): (IpAddr, IpAddr, u8, usize) = match packet.first()? >> 4 {
        4 => {
            let ip = |at: usize| -> Option<Ipv4Addr> {
                Some(Ipv4Addr::from(
                    <[u8; 4]>::try_from(packet.get(at..at + 4)?).ok()?,
                ))
            };
            let header = usize::from(packet[0] & 15) * 4;
            (ip(12)?.into(), ip(16)?.into(), *packet.get(9)?, header)
        }
        6 => {
            let ip = |at: usize| -> Option<Ipv6Addr> {
                Some(Ipv6Addr::from(
                    <[u8; 16]>::try_from(packet.get(at..at + 16)?).ok()?,
                ))
            };
            let (mut protocol, mut header) = (*packet.get(6)?, 40);
            // A routing header.
            if protocol == 43 {
                protocol = *packet.get(40)?;
                header = 48 + usize::from(*packet.get(41)?) * 8;
            }
            (ip(8)?.into(), ip(24)?.into(), protocol, header)
        }
        _ => return None,
    };
    let kind = *packet.get(header)?;
    let echo = (protocol == 1 && kind == 8) || (protocol == 58 && kind == 128);
    let ports = matches!(
        i32::from(protocol),
        libc::IPPROTO_TCP | libc::IPPROTO_UDP | libc::IPPROTO_UDPLITE
    );
    Some(Seen {
        from,
        to,
        protocol,
        port: if ports { word(header + 2)? } else { 0 },
        echo,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_are_read() {
        let mut packet = vec![
            0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 5, 10, 0, 0, 100,
        ];
        packet.extend([0, 7, 0x1b, 0x58, 0, 8, 0, 0]);
        let seen = read(&packet).unwrap();
        assert_eq!(seen.from, IpAddr::from([10, 0, 0, 5]));
        assert_eq!((seen.port, seen.echo), (7000, false));
        packet[9] = 1;
        packet[20] = 8;
        assert!(read(&packet).unwrap().echo);
        assert_eq!(read(&packet[..19]), None);
        assert_eq!(read(&[]), None);
    }
}
