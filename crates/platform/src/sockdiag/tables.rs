//! Sockets that netlink does not list everywhere, from the tables of `/proc/net`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::{Protocol, SockDiagError, Socket, State, read_table};

/// A packet socket: it sees and sends frames, below all addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PacketSocket {
    /// Its inode, by which the processes that have it are found.
    pub inode: u64,
    /// Its owner.
    pub uid: u32,
    /// The Ethernet protocol it receives; 3 for all.
    pub protocol: u16,
    /// The interface it is bound to; zero for all.
    pub ifindex: u32,
}

/// Every packet socket of the calling thread's network namespace.
pub fn packet_sockets() -> Result<Vec<PacketSocket>, SockDiagError> {
    let text = read_table("/proc/thread-self/net/packet")?;
    Ok(packets_in(&text))
}

pub(crate) fn packets_in(table: &str) -> Vec<PacketSocket> {
    table.lines().skip(1).filter_map(packet).collect()
}

fn packet(line: &str) -> Option<PacketSocket> {
    // sk RefCnt Type Proto Iface R Rmem User Inode
    let fields: Vec<_> = line.split_ascii_whitespace().collect();
    Some(PacketSocket {
        protocol: u16::from_str_radix(fields.get(3)?, 16).ok()?,
        ifindex: fields.get(4)?.parse().ok()?,
        uid: fields.get(7)?.parse().ok()?,
        inode: fields.get(8)?.parse().ok()?,
    })
}

pub(super) fn read(protocol: Protocol, found: &mut Vec<Socket>) -> Result<(), SockDiagError> {
    let paths = match protocol {
        Protocol::Icmp => ["/proc/thread-self/net/icmp", "/proc/thread-self/net/icmp6"],
        _ => ["/proc/thread-self/net/raw", "/proc/thread-self/net/raw6"],
    };
    for (path, ipv6) in paths.into_iter().zip([false, true]) {
        let text = read_table(path)?;
        found.extend(sockets_in(protocol, ipv6, &text));
    }
    Ok(())
}

pub(crate) fn sockets_in(protocol: Protocol, ipv6: bool, table: &str) -> Vec<Socket> {
    let lines = table.lines().skip(1);
    lines.filter_map(|l| line(protocol, ipv6, l)).collect()
}

fn line(protocol: Protocol, ipv6: bool, line: &str) -> Option<Socket> {
    // sl local remote st tx:rx tr:when retrnsmt uid timeout inode …
    let fields: Vec<_> = line.split_ascii_whitespace().collect();
    Some(Socket {
        ipv6,
        v6only: false,
        protocol,
        state: State::from(u8::from_str_radix(fields.get(3)?, 16).ok()?),
        local: address(fields.get(1)?)?,
        remote: address(fields.get(2)?)?,
        inode: fields.get(9)?.parse().ok()?,
        uid: fields.get(7)?.parse().ok()?,
        cookie: 0,
        cgroup_id: None,
        ifindex: 0,
    })
}

/// `0100007F:0007`: words in the machine's byte order, written in hexadecimal.
fn address(text: &str) -> Option<SocketAddr> {
    let (addr, port) = text.split_once(':')?;
    let mut bytes = Vec::with_capacity(16);
    for start in (0..addr.len()).step_by(8) {
        let word = u32::from_str_radix(addr.get(start..start + 8)?, 16).ok()?;
        bytes.extend(word.to_ne_bytes());
    }
    let ip: IpAddr = match bytes.len() {
        4 => Ipv4Addr::from(<[u8; 4]>::try_from(bytes).ok()?).into(),
        _ => Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?).into(),
    };
    Some(SocketAddr::new(ip, u16::from_str_radix(port, 16).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_endian = "little")]
    fn tables_are_read() {
        let text = "  345: 0100007F:0001 00000000:0000 07 00000000:00000000 00:00000000 00000000  1000        0 71411 2 00000000cc7a5a30 0";
        let socket = line(Protocol::Raw, false, text).unwrap();
        assert_eq!(socket.local, "127.0.0.1:1".parse().unwrap());
        assert_eq!((socket.uid, socket.inode), (1000, 71411));
        let socket = address("000080FE000000000000000001000000:003A").unwrap();
        assert_eq!(socket, "[fe80::1]:58".parse().unwrap());
        let text = "ffff9f4c 3      3    0003   2     1 0      0      12345";
        let socket = packet(text).unwrap();
        assert_eq!(
            (socket.inode, socket.ifindex, socket.protocol),
            (12345, 2, 3)
        );
    }
}
