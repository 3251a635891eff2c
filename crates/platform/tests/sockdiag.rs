//! Listing and destroying real sockets, in network namespaces of the tests' own.

mod common;

use std::fs;
use std::io::{ErrorKind, Read};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;

use common::{Sandbox, in_netns, sh};
use hostlet_platform::cgroup::find_mount;
use hostlet_platform::sockdiag::{self, Filter, Protocol, Socket, State};
use hostlet_platform::{netlink, proc};

fn inode(socket: &impl AsFd) -> u64 {
    let copy = socket.as_fd().try_clone_to_owned().unwrap();
    fs::File::from(copy).metadata().unwrap().ino()
}

fn find(socket: &impl AsFd) -> Socket {
    let wanted = inode(socket);
    let found = sockdiag::sockets(&Filter::default()).unwrap();
    found.into_iter().find(|s| s.inode == wanted).unwrap()
}

fn open(family: i32, kind: i32, protocol: i32) -> OwnedFd {
    // SAFETY: no pointers; the descriptor is new.
    unsafe {
        let fd = libc::socket(family, kind, protocol);
        assert!(fd >= 0, "{}", std::io::Error::last_os_error());
        OwnedFd::from_raw_fd(fd)
    }
}

#[test]
fn sockets_are_described() {
    in_netns(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let udp = UdpSocket::bind("[::]:0").unwrap();

        let found = find(&listener);
        assert_eq!(
            (found.protocol, found.state),
            (Protocol::Tcp, State::Listen)
        );
        assert_eq!(found.local, listener.local_addr().unwrap());
        assert_eq!((found.uid, found.ipv6), (0, false));
        assert_eq!(
            found.cookie,
            rustix::net::sockopt::socket_cookie(&listener).unwrap()
        );

        let found = find(&client);
        assert_eq!(found.state, State::Established);
        assert_eq!(found.remote, listener.local_addr().unwrap());

        let found = find(&udp);
        assert_eq!((found.protocol, found.ipv6), (Protocol::Udp, true));
        assert_eq!(found.local.port(), udp.local_addr().unwrap().port());
        assert!(
            proc::socket_inodes(std::process::id())
                .unwrap()
                .contains(&found.inode)
        );

        let only = Filter {
            protocols: vec![Protocol::Udp],
            living: true,
        };
        let found = sockdiag::sockets(&only).unwrap();
        assert!(!found.is_empty() && found.iter().all(|s| s.protocol == Protocol::Udp));
    });
}

#[test]
fn a_sockets_cgroup_is_that_of_its_creator() {
    let sandbox = Sandbox::new("diag");
    let cgroup = sandbox.tree.create("box").unwrap();
    in_netns(|| {
        // The tests' own process stays where it is, so its sockets name that cgroup.
        let own = proc::cgroup(std::process::id()).unwrap();
        let own = find_mount().unwrap().join(own.trim_start_matches('/'));
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        assert_eq!(
            find(&socket).cgroup_id,
            Some(fs::metadata(own).unwrap().ino())
        );

        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let script = format!("exec 3<>/dev/tcp/127.0.0.1/{port}; read -r line <&3");
        let mut member = common::loader(&cgroup, &[], &["bash", "-c", &script])
            .spawn()
            .unwrap();
        let (mut accepted, _) = listener.accept().unwrap();
        let found = sockdiag::sockets(&Filter::default()).unwrap();
        let theirs: Vec<_> = found.iter().filter(|s| s.remote.port() == port).collect();
        assert_eq!(theirs.len(), 1);
        assert_eq!(theirs[0].cgroup_id, Some(cgroup.id()));
        std::io::Write::write_all(&mut accepted, b"bye\n").unwrap();
        assert!(member.wait().unwrap().success());
    });
}

#[test]
fn a_destroyed_connection_dies_at_once_on_both_sides() {
    in_netns(|| {
        for addr in ["127.0.0.1:0", "[::1]:0"] {
            let listener = TcpListener::bind(addr).unwrap();
            let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let (mut server, _) = listener.accept().unwrap();
            let found = find(&server);
            assert!(sockdiag::destroy(&found).unwrap());
            let error = server.read(&mut [0]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ConnectionAborted);
            let error = client.read(&mut [0]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ConnectionReset);
            assert!(!sockdiag::destroy(&found).unwrap());

            let found = find(&listener);
            assert!(sockdiag::destroy(&found).unwrap());
            let refused = TcpStream::connect(found.local).unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
        }
    });
}

#[test]
fn datagram_sockets_can_be_destroyed() {
    in_netns(|| {
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        let found = find(&udp);
        assert!(sockdiag::destroy(&found).unwrap());
        let error = udp.recv(&mut [0]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionAborted);
        UdpSocket::bind(found.local).unwrap();
    });
}

#[test]
fn a_cookie_protects_a_socket_that_took_the_place() {
    in_netns(|| {
        let second = UdpSocket::bind("127.0.0.1:0").unwrap();
        // The one that had the same address before.
        let mut old = find(&second);
        old.cookie += 1 << 32;
        assert!(!sockdiag::destroy(&old).unwrap());
        second.set_nonblocking(true).unwrap();
        let error = second.recv(&mut [0]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
    });
}

#[test]
fn ping_raw_and_packet_sockets_are_listed() {
    in_netns(|| {
        sh("sysctl -qw net.ipv4.ping_group_range='0 0'");
        let lo = netlink::interfaces().unwrap()[0].index;
        let ping = open(libc::AF_INET, libc::SOCK_DGRAM, libc::IPPROTO_ICMP);
        let any = std::net::SocketAddrV4::new([127, 0, 0, 1].into(), 77);
        rustix::net::bind(&ping, &any).unwrap();
        let found = find(&ping);
        assert_eq!((found.protocol, found.local), (Protocol::Icmp, any.into()));
        assert!(sockdiag::destroy(&found).is_err());

        let raw = open(libc::AF_INET6, libc::SOCK_RAW, libc::IPPROTO_ICMPV6);
        let found = find(&raw);
        assert_eq!((found.protocol, found.ipv6), (Protocol::Raw, true));
        assert_eq!(found.local.port(), 58);

        let packet = open(libc::AF_PACKET, libc::SOCK_RAW, 0x0300);
        let mut addr: libc::sockaddr_ll = unsafe_zeroed();
        addr.sll_family = libc::AF_PACKET as u16;
        addr.sll_protocol = 0x0300;
        addr.sll_ifindex = lo as i32;
        // SAFETY: the address has the type and size that is given.
        let code = unsafe {
            libc::bind(
                packet.as_raw_fd(),
                (&raw const addr).cast(),
                size_of::<libc::sockaddr_ll>() as u32,
            )
        };
        assert_eq!(code, 0);
        let found = sockdiag::packet_sockets().unwrap();
        let wanted = inode(&packet);
        let found = found.iter().find(|p| p.inode == wanted).unwrap();
        assert_eq!((found.protocol, found.ifindex, found.uid), (3, lo, 0));
    });
}

fn unsafe_zeroed() -> libc::sockaddr_ll {
    // SAFETY: all fields are integers.
    unsafe { std::mem::zeroed() }
}

#[test]
fn a_bound_tcp_socket_that_does_not_listen_is_listed() {
    in_netns(|| {
        let socket = open(libc::AF_INET, libc::SOCK_STREAM, 0);
        rustix::net::bind(
            &socket,
            &std::net::SocketAddrV4::new([127, 0, 0, 1].into(), 7777),
        )
        .unwrap();
        let wanted = inode(&socket);
        let found = sockdiag::sockets(&Filter::default()).unwrap();
        let found = found.iter().find(|s| s.inode == wanted);
        // Kernels before 6.8 do not list these.
        let release = sh("uname -r");
        let mut numbers = release.split('.').map(|n| n.parse::<u32>().unwrap_or(0));
        let version = (numbers.next().unwrap(), numbers.next().unwrap());
        assert_eq!(found.is_some(), version >= (6, 8));
    });
}

#[test]
fn whether_sockets_can_be_destroyed_is_what_destroying_one_says() {
    in_netns(|| {
        let socket = open(libc::AF_INET, libc::SOCK_STREAM, 0);
        let any = std::net::SocketAddrV4::new([127, 0, 0, 1].into(), 7778);
        rustix::net::bind(&socket, &any).unwrap();
        rustix::net::listen(&socket, 1).unwrap();
        let destroyed = sockdiag::destroy(&find(&socket)).is_ok();
        assert_eq!(sockdiag::can_destroy(), Some(destroyed));
    });
}
