//! The DHCP sockets, talking to a real server (dnsmasq) and to a liar, over a wire.

mod common;

use std::io::{BufRead, BufReader, ErrorKind};
use std::net::{Ipv4Addr, UdpSocket};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use common::{Netns, readable, unique};
use hostlet_platform::dhcp::{BUFFER, SendTo, Socket4, Socket6};
use hostlet_platform::netlink;

const SERVER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const CLIENT: [u8; 6] = [2, 0xab, 0xcd, 0, 0, 1];

struct Server {
    child: Child,
    dir: PathBuf,
}

impl Server {
    fn start(ns: &Netns) -> Server {
        ns.sh("ip addr add 192.0.2.1/24 dev vb; ip addr add 2001:db8:5::1/64 dev vb");
        let dir = std::env::temp_dir().join(unique("dnsmasq"));
        std::fs::create_dir(&dir).unwrap();
        let mut child = ns.within(|| {
            Command::new("dnsmasq")
                .args(["--no-daemon", "--conf-file=/dev/null", "--port=0"])
                .args(["--interface=vb", "--no-ping", "--user=root", "--log-dhcp"])
                .arg("--dhcp-range=192.0.2.100,192.0.2.199,255.255.255.0,120")
                .arg("--dhcp-range=2001:db8:5::100,2001:db8:5::1ff,64,120")
                .arg(format!("--dhcp-leasefile={}", dir.join("leases").display()))
                .arg("--pid-file=")
                .stderr(Stdio::piped())
                .spawn()
                .expect("these tests need dnsmasq: install dnsmasq-base")
        });
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let ready = lines.by_ref().map_while(Result::ok).any(|l| {
            l.contains("DHCP, sockets bound")
                || l.contains("DHCPv6, IP range")
                || l.contains("DHCP, IP range")
        });
        assert!(ready, "dnsmasq ended early");
        // Somebody has to read on, or it stops at a full pipe.
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
        Server { child, dir }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        std::fs::remove_dir_all(&self.dir).unwrap();
    }
}

/// A message of the client, with the BROADCAST flag.
fn message(kind: u8, xid: u32, ciaddr: Ipv4Addr, options: &[u8]) -> Vec<u8> {
    let mut m = vec![1, 1, 6, 0];
    m.extend(xid.to_be_bytes());
    m.extend([0, 0, if ciaddr.is_unspecified() { 0x80 } else { 0 }, 0]);
    m.extend(ciaddr.octets());
    m.extend([0; 12]);
    m.extend(CLIENT);
    m.extend([0; 10 + 64 + 128]);
    m.extend([99, 130, 83, 99, 53, 1, kind]);
    m.extend(options);
    m.push(255);
    m
}

/// The kind of a server's message, and the address it gives.
fn understand(m: &[u8], xid: u32) -> (u8, Ipv4Addr) {
    assert_eq!((m[0], &m[4..8]), (2, &xid.to_be_bytes()[..]));
    assert_eq!(&m[28..34], &CLIENT);
    let mut options = &m[240..];
    while options[0] != 53 {
        options = &options[2 + usize::from(options[1])..];
    }
    let given: [u8; 4] = m[16..20].try_into().unwrap();
    (options[2], given.into())
}

fn answer(socket: &Socket4, xid: u32) -> (u8, Ipv4Addr, [u8; 6]) {
    readable(socket, "no answer of the DHCP server");
    let mut buffer = vec![0; BUFFER];
    let got = socket.recv(&mut buffer).unwrap().expect("nothing to read");
    assert_eq!(got.from_ip, SERVER);
    let (kind, given) = understand(got.payload, xid);
    (kind, given, got.from_mac)
}

#[test]
fn a_server_lends_and_renews() {
    let (a, b) = Netns::pair();
    let _server = Server::start(&b);
    let (va, mac) = a.link("va");
    let (_, server_mac) = b.link("vb");
    a.within(|| {
        let socket = Socket4::open(va).unwrap();
        assert_eq!(socket.mac(), mac);
        assert!(socket.recv(&mut [0; 1500]).unwrap().is_none());
        let nobody = Ipv4Addr::UNSPECIFIED;

        let discover = message(1, 7, nobody, &[]);
        socket.send(&discover, SendTo::Broadcast).unwrap();
        let (kind, offered, from) = answer(&socket, 7);
        assert_eq!((kind, from), (2, server_mac));
        assert!(offered >= Ipv4Addr::new(192, 0, 2, 100), "{offered}");

        let mut options = vec![50, 4];
        options.extend(offered.octets());
        options.extend([54, 4]);
        options.extend(SERVER.octets());
        let request = message(3, 8, nobody, &options);
        socket.send(&request, SendTo::Broadcast).unwrap();
        assert_eq!(answer(&socket, 8), (5, offered, server_mac));

        // Before the address is there, nothing leaves from it.
        let renew = message(3, 9, offered, &[]);
        let to = SendTo::Server {
            server: SERVER,
            source: offered,
        };
        let error = socket.send(&renew, to).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrNotAvailable, "{error}");
        assert!(error.to_string().contains(&offered.to_string()), "{error}");

        let lease = Some(Duration::from_secs(120));
        assert!(netlink::lend_address(va, offered.into(), 24, lease).unwrap());
        common::sh("ip route add 192.0.2.0/24 dev va");
        socket.send(&renew, to).unwrap();
        assert_eq!(answer(&socket, 9), (5, offered, server_mac));
        // The server was not told that its answer is unwelcome.
        let table = common::sh("grep ^Icmp: /proc/thread-self/net/snmp");
        let (names, values) = table.split_once('\n').unwrap();
        let at = names.split(' ').position(|n| n == "OutDestUnreachs");
        assert_eq!(values.split(' ').nth(at.unwrap()), Some("0"), "{table}");
        let held = || common::sh("ss -Hulan sport = 68").lines().count();
        assert_eq!(held(), 1);
        socket.done(offered);
        assert_eq!(held(), 0);
    });
}

#[test]
fn many_clients_share_the_socket_and_lose_nothing() {
    const MANY: u16 = 1000;
    let (a, b) = Netns::pair();
    let (va, _) = a.link("va");
    b.sh("ip addr add 192.0.2.1/24 dev vb");
    let socket = a.within(|| Socket4::open(va).unwrap());
    b.within(|| {
        let liar = UdpSocket::bind("192.0.2.1:67").unwrap();
        liar.set_broadcast(true).unwrap();
        for n in 0..MANY {
            let mut text = vec![b'x'; 1000];
            text[..2].copy_from_slice(&n.to_be_bytes());
            liar.send_to(&text, "192.0.2.255:68").unwrap();
            // Neither is for a DHCP client.
            liar.send_to(&text, "192.0.2.255:67").unwrap();
        }
        // In fragments: no client could read it.
        liar.send_to(&[b'f'; 4000], "192.0.2.255:68").unwrap();
        liar.send_to(b"last", "192.0.2.255:68").unwrap();
    });
    let mut buffer = vec![0; BUFFER];
    let mut next = 0;
    loop {
        readable(&socket, "a message was lost");
        while let Some(got) = socket.recv(&mut buffer).unwrap() {
            assert_eq!(got.from_ip, SERVER);
            if got.payload == b"last" {
                assert_eq!(next, MANY);
                return;
            }
            assert_eq!(
                (got.payload.len(), &got.payload[..2]),
                (1000, &next.to_be_bytes()[..])
            );
            next += 1;
        }
    }
}

/// A UDP packet for a client, with a frame around it.
fn frame(tag: &[u8], fragment: u16, port: u16, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0xff; 6];
    frame.extend([2, 0, 0, 0, 0, 9]);
    frame.extend(tag);
    frame.extend([8, 0]);
    let length = (payload.len() + 8) as u16;
    let mut ip = vec![0x45, 0];
    ip.extend((length + 20).to_be_bytes());
    ip.extend([0, 1]);
    ip.extend(fragment.to_be_bytes());
    ip.extend([64, 17, 0, 0]);
    ip.extend(SERVER.octets());
    ip.extend([255; 4]);
    let words = ip.chunks(2).map(|c| u32::from(c[0]) << 8 | u32::from(c[1]));
    let sum: u32 = words.sum();
    let sum = !((sum & 0xffff) + (sum >> 16)) as u16;
    ip[10..12].copy_from_slice(&sum.to_be_bytes());
    frame.extend(ip);
    frame.extend([0, 67]);
    frame.extend(port.to_be_bytes());
    frame.extend(length.to_be_bytes());
    // Without a checksum.
    frame.extend([0, 0]);
    frame.extend(payload);
    frame
}

/// Sends frames as they are.
fn send_frames(ns: &Netns, interface: &str, frames: &[Vec<u8>]) {
    let (index, _) = ns.link(interface);
    ns.within(|| {
        // SAFETY: no pointers.
        let fd = unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0) };
        assert!(fd >= 0);
        // SAFETY: the descriptor is new.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        // SAFETY: all zeros are a valid address.
        let mut to: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
        to.sll_family = libc::AF_PACKET as u16;
        to.sll_ifindex = index as i32;
        for frame in frames {
            // SAFETY: buffer and address have the lengths that are given.
            let sent = unsafe {
                libc::sendto(
                    fd.as_raw_fd(),
                    frame.as_ptr().cast(),
                    frame.len(),
                    0,
                    (&raw const to).cast(),
                    size_of::<libc::sockaddr_ll>() as u32,
                )
            };
            let error = std::io::Error::last_os_error();
            assert_eq!(sent, frame.len() as isize, "{error}");
        }
    });
}

#[test]
fn only_whole_packets_of_this_link_come_through() {
    let (a, b) = Netns::pair();
    let (va, _) = a.link("va");
    let socket = a.within(|| Socket4::open(va).unwrap());
    let mut bad = frame(&[], 0, 68, b"wrong header sum");
    bad[24] ^= 1;
    let mut wrong = frame(&[], 0, 68, b"wrong sum");
    wrong[41] = 1;
    let mut long = frame(&[], 0, 68, b"longer than it is");
    long[39] += 1;
    let frames = [
        // A VLAN on the interface is another link; priority alone is none.
        frame(&[0x81, 0, 0, 10], 0, 68, b"of VLAN 10"),
        frame(&[0x81, 0, 0xe0, 0], 0, 68, b"of priority 7"),
        frame(&[], 0x2000, 68, b"a first fragment"),
        frame(&[], 100, 68, b"a later fragment"),
        frame(&[], 0, 67, b"for a server"),
        bad,
        wrong,
        long,
        frame(&[], 0, 68, b"last"),
    ];
    send_frames(&b, "vb", &frames);
    let mut buffer = vec![0; BUFFER];
    let mut came = Vec::new();
    while came.last().is_none_or(|c| c != b"last") {
        readable(&socket, "a message was lost");
        while let Some(got) = socket.recv(&mut buffer).unwrap() {
            assert_eq!((got.from_ip, got.from_mac), (SERVER, [2, 0, 0, 0, 0, 9]));
            came.push(got.payload.to_vec());
        }
    }
    assert_eq!(came, [&b"of priority 7"[..], b"last"]);
}

#[test]
fn an_interface_that_goes_down_comes_back() {
    let (a, b) = Netns::pair();
    let (va, _) = a.link("va");
    b.sh("ip addr add 192.0.2.1/24 dev vb");
    a.within(|| {
        let socket = Socket4::open(va).unwrap();
        common::sh("ip link set va down");
        let mut buffer = vec![0; BUFFER];
        let error = socket.recv(&mut buffer).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NetworkDown, "{error}");
        assert!(error.to_string().contains("va"), "{error}");
        assert!(socket.send(b"x", SendTo::Broadcast).is_err());
        common::sh("ip link set va up");
        b.within(|| {
            let liar = UdpSocket::bind("192.0.2.1:67").unwrap();
            liar.set_broadcast(true).unwrap();
            liar.send_to(b"again", "192.0.2.255:68").unwrap();
        });
        readable(&socket, "nothing came after the interface was on again");
        assert_eq!(socket.recv(&mut buffer).unwrap().unwrap().payload, b"again");
        socket.send(b"x", SendTo::Broadcast).unwrap();
        let error = socket.send(&vec![0; 9000], SendTo::Broadcast).unwrap_err();
        assert!(error.to_string().contains("too long"), "{error}");

        let error = Socket4::open(9999).unwrap_err().to_string();
        assert!(error.contains("9999"), "{error}");
        let error = Socket4::open(1).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    });
}

#[test]
fn a_server_of_ipv6_advertises() {
    let (a, b) = Netns::pair();
    let _server = Server::start(&b);
    let (va, _) = a.link("va");
    a.within(|| {
        let socket = Socket6::open(va).unwrap();
        assert!(socket.address().is_unicast_link_local());
        assert!(socket.recv(&mut [0; 1500]).unwrap().is_none());
        let mut solicit = vec![1, 0, 0, 7];
        // Who it is, what it wants, and for how long it has wanted.
        solicit.extend([0, 1, 0, 10, 0, 3, 0, 1]);
        solicit.extend(CLIENT);
        solicit.extend([0, 3, 0, 12, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
        solicit.extend([0, 8, 0, 2, 0, 0]);
        socket.send(&solicit).unwrap();
        readable(&socket, "no answer of the DHCPv6 server");
        let mut buffer = vec![0; BUFFER];
        let got = socket.recv(&mut buffer).unwrap().unwrap();
        assert!(got.from.is_unicast_link_local());
        assert_eq!(got.payload[..4], [2, 0, 0, 7]);
        let range = [0x20, 1, 0x0d, 0xb8, 0, 5];
        assert!(got.payload.windows(6).any(|w| w == range));

        let error = Socket6::open(va).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrInUse, "{error}");
        assert!(
            error.to_string().contains("another DHCPv6 client"),
            "{error}"
        );
        drop(socket);
        Socket6::open(va).unwrap();
        common::sh("ip -6 addr flush dev va");
        let error = Socket6::open(va).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrNotAvailable, "{error}");
        assert!(error.to_string().contains("link-local"), "{error}");
        let error = Socket6::open(9999).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    });
}
