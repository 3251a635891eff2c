//! Asking the link whether anybody uses an address, and telling it that we do: ARP for IPv4
//! (RFC 5227), neighbour discovery for IPv6 (RFC 4861, 4862).

mod arp;
mod nd;

use std::io;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::packet::{BROADCAST, Link, Mac, PacketSocket, explain};

/// No shorter pause lies between two questions.
const SHORTEST_PAUSE: Duration = Duration::from_millis(30);

/// Asks the link whether somebody uses an address, and listens for `wait`. Gives the hardware address
/// of whoever does, as soon as he answers; none if nobody did. Somebody who asks the same question at the same
/// time counts as using it.
///
/// It blocks the calling thread. The address should not be on this machine. Nobody is ever heard on
/// interfaces without ARP, such as the loopback or a tunnel.
///
/// # Errors
/// Without root, when the interface is off or gone, and for IPv6 when the interface has none.
pub fn probe(ifindex: u32, addr: IpAddr, wait: Duration) -> io::Result<Option<[u8; 6]>> {
    let what = |e: io::Error| explain(format!("probe {addr} on interface {ifindex}"), &e);
    ask(ifindex, addr, wait).map_err(what)
}

/// Tells others where addresses are. To keep one saves time: the kernel takes a while (some 20 ms) to close
/// such a socket. It belongs to the network namespace of the thread that opened it.
#[derive(Debug)]
pub struct Announcer {
    socket: PacketSocket,
}

impl Announcer {
    /// Makes one, for any number of interfaces.
    ///
    /// # Errors
    /// Without root.
    pub fn open() -> io::Result<Announcer> {
        let socket = PacketSocket::sender().map_err(|e| explain("announce addresses", &e))?;
        Ok(Announcer { socket })
    }

    /// Tells everybody on the link that an address is to be found at this interface: whoever knows it
    /// elsewhere learns better. The address has to be on the interface. Does nothing on interfaces
    /// without ARP.
    ///
    /// # Errors
    /// When the interface is off or gone.
    pub fn announce(&self, ifindex: u32, addr: IpAddr) -> io::Result<()> {
        self.tell(ifindex, addr)
            .map_err(|e| explain(format!("announce {addr} on interface {ifindex}"), &e))
    }

    fn tell(&self, ifindex: u32, addr: IpAddr) -> io::Result<()> {
        let Some((link, mac)) = resolving(self.socket.link_of(ifindex)?) else {
            return Ok(());
        };
        // Twice, for a link that loses one.
        for _ in 0..2 {
            match addr {
                IpAddr::V4(addr) => {
                    for packet in arp::announcements(addr, mac) {
                        self.socket
                            .send_on(ifindex, arp::PROTOCOL, &packet, BROADCAST)?;
                    }
                }
                IpAddr::V6(addr) => {
                    let (packet, to) = nd::announcement(addr, mac, nd::routes(&link.name));
                    self.socket.send_on(ifindex, nd::PROTOCOL, &packet, to)?;
                }
            }
        }
        Ok(())
    }
}

/// What is asked, and how an answer is told.
trait Question {
    /// The question.
    fn packet(&self) -> (Vec<u8>, Mac);
    /// The hardware address of whoever uses the address, if a packet says so.
    fn answer(&self, packet: &[u8], from: Mac) -> Option<Mac>;
}

#[cfg(feature = "fuzzing")]
pub(crate) fn arp_answer(packet: &[u8], addr: std::net::Ipv4Addr) -> Option<Mac> {
    arp::Probe { addr, mac: [2; 6] }.answer(packet, [4; 6])
}

#[cfg(feature = "fuzzing")]
pub(crate) fn nd_answer(packet: &[u8], addr: std::net::Ipv6Addr) -> Option<Mac> {
    nd::Probe { addr }.answer(packet, [4; 6])
}

fn ask(ifindex: u32, addr: IpAddr, wait: Duration) -> io::Result<Option<Mac>> {
    match addr {
        IpAddr::V4(addr) => {
            let socket = arp::open(ifindex, addr)?;
            match resolving(socket.link()?) {
                None => Ok(None),
                Some((_, mac)) => listen(&socket, &arp::Probe { addr, mac }, mac, wait),
            }
        }
        IpAddr::V6(addr) => {
            let socket = nd::open(ifindex, addr)?;
            match resolving(socket.link()?) {
                None => Ok(None),
                Some((_, mac)) => {
                    // Kept until the answer came: others who ask send to this group only.
                    let _membership = nd::join(ifindex, addr)?;
                    listen(&socket, &nd::Probe { addr }, mac, wait)
                }
            }
        }
    }
}

/// The interface and its hardware address, if addresses are resolved there.
fn resolving(link: Link) -> Option<(Link, Mac)> {
    match link.mac {
        Some(mac) if !link.no_arp => Some((link, mac)),
        _ => None,
    }
}

fn listen(
    socket: &PacketSocket,
    question: &impl Question,
    own: Mac,
    wait: Duration,
) -> io::Result<Option<Mac>> {
    let (packet, to) = question.packet();
    let pause = (wait / 3).max(SHORTEST_PAUSE);
    let begin = Instant::now();
    let end = begin + wait;
    let mut next = begin;
    let mut buffer = [0; 2048];
    loop {
        let now = Instant::now();
        if now >= next && (now < end || next == begin) {
            socket.send(&packet, to)?;
            next += pause;
        }
        while let Some(frame) = socket.receive(&mut buffer)? {
            // A switch or an access point may send back what we sent.
            if frame.from == own {
                continue;
            }
            if let Some(mac) = question.answer(&buffer[..frame.length], frame.from)
                && mac != own
            {
                return Ok(Some(mac));
            }
        }
        let now = Instant::now();
        if now >= end {
            return Ok(None);
        }
        let left = next.max(now).min(end).saturating_duration_since(now);
        let left = Timespec::try_from(left).ok();
        let mut fds = [PollFd::new(socket, PollFlags::IN)];
        match poll(&mut fds, left.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}
