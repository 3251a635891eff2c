//! Receiving and observing what is for others.

use super::{Attempt, Layer, script};

/// From ports of their own: of two sockets that share a port, chance gives each of them to one.
macro_rules! four_secrets {
    () => {
        "
        peer c = socket udp4
        peer sendto c 10.0.0.1:{P} secret
        peer d = socket udp4
        peer sendto d 10.0.0.1:{P} secret
        peer e = socket udp4
        peer sendto e 10.0.0.1:{P} secret
        peer f = socket udp4
        peer sendto f 10.0.0.1:{P} secret
        "
    };
}

pub(super) const ATTEMPTS: &[Attempt] = &[
    script("listen-unbound", "listen without a bind: the kernel puts it on the host's wildcard", Layer::Lookup, "
        in a = socket tcp4
        in listen a
        peer c = socket tcp4
        peer connect c 10.0.0.1:{in.a}
        peer send c secret
        in b = accept a => EAGAIN
        in recv b => no-socket
        peer d = socket tcp4
        peer connect d 10.0.0.9:{in.a}
        peer send d secret
        in e = accept a => EAGAIN
        in recv e => no-socket
    "),
    script("listen-unbound6", "the same over IPv6", Layer::Lookup, "
        in a = socket tcp6
        in listen a
        peer c = socket tcp6
        peer connect c [2001:db8::1]:{in.a}
        peer send c secret
        in b = accept a => EAGAIN
        in recv b => no-socket
    "),
    script("listen-after-connect", "listen on what a connection left behind", Layer::Lookup, "
        peer s = socket tcp4
        peer bind s 10.0.0.100:{Q}
        peer listen s
        in a = socket tcp4
        in connect a 10.0.0.100:{Q}
        in connect a unspec
        in listen a
        peer c = socket tcp4
        peer connect c 10.0.0.1:{in.a}
        peer send c secret
        in b = accept a => EAGAIN
        in recv b => no-socket
    "),
    script("listen-wildcard", "listen on 0.0.0.0, asked by the host's address", Layer::Hook, "
        in a = socket tcp4
        in bind a 0.0.0.0:{P}
        in listen a
        peer c = socket tcp4
        peer connect c 10.0.0.1:{P}
        peer send c secret
        in b = accept a => EAGAIN
        in recv b => no-socket
        peer d = socket tcp4
        peer connect d 10.0.0.9:{P}
        peer send d secret
        in e = accept a => EAGAIN
        in recv e => no-socket
    "),
    script("udp-wildcard", "UDP on 0.0.0.0 and `::`, asked by others' addresses", Layer::Hook, "
        in a = socket udp4
        in bind a 0.0.0.0:{P}
        peer c = socket udp4
        peer sendto c 10.0.0.1:{P} secret
        peer sendto c 10.0.0.9:{P} secret
        in recv a => EAGAIN
        in b = socket udp6
        in bind b [::]:{Q}
        peer d = socket udp6
        peer sendto d [2001:db8::1]:{Q} secret
        in recv b => EAGAIN
    "),
    script("udp-unbound", "the port that a first sendto picks, asked by the host's address", Layer::Lookup, "
        in a = socket udp4
        in sendto a 10.0.0.100:{Q} x
        peer c = socket udp4
        peer sendto c 10.0.0.1:{in.a} secret
        peer sendto c 10.0.0.9:{in.a} secret
        in recv a => EAGAIN
    "),
    script("share-port", "share the port of a host's socket (SO_REUSEPORT, SO_REUSEADDR) on its address", Layer::Hook, "
        in a = socket udp4
        in opt a reuseport 1
        in opt a reuseaddr 1
        in bind a 10.0.0.1:{P} => EADDRNOTAVAIL
        peer c = socket udp4
        peer sendto c 10.0.0.1:{P} secret
        in recv a => EAGAIN
    "),
    script("share-wildcard", "share the port of a host's socket on the wildcard", Layer::Hook, concat!("
        host h = socket udp4
        host opt h reuseport 1
        host opt h reuseaddr 1
        host bind h 0.0.0.0:{P}
        in a = socket udp4
        in opt a reuseport 1
        in opt a reuseaddr 1
        in bind a 0.0.0.0:{P}
        ", four_secrets!(), four_secrets!(), four_secrets!(), four_secrets!(), "
        in recv a => EAGAIN
    ")),
    script("sniff", "read what passes an interface (packet sockets)", Layer::Seccomp, "
        in! a = socket packet => EAFNOSUPPORT
        in! b = socket packet-dgram => EAFNOSUPPORT
    "),
    script("sniff-uring", "the same by io_uring, which the filter of families does not see", Layer::Capability, "
        in! a = uring-socket packet => EPERM
    "),
    script("raw", "raw sockets: any source, a header of one's own, everybody's ICMP", Layer::Capability, "
        in! a = socket raw4 => EPERM
        in! b = socket raw6 => EPERM
        in! c = socket 2/3/255 => EPERM
        in! d = uring-socket raw4 => EPERM
    ").remains("`--raw` grants them by name"),
    script("multicast", "join a group: multicast and broadcast of the networks that the machine is on", Layer::Nothing, "
        in a = socket udp4
        in bind a 0.0.0.0:{P}
        in join a 239.1.2.3 eth0
        peer c = socket udp4
        peer opt c mcast-if br0
        peer sendto c 239.1.2.3:{P} secret
        in recv a
    ").possible("as on every machine of that network; the kernel asks for the group (IGMP, MLD) with the host's address"),
    script("list-sockets", "list the sockets and addresses of the machine (`/proc/net`, sock_diag)", Layer::Nothing, "
        in! command cat /proc/net/tcp /proc/net/udp /proc/net/dev
        in! a = socket netlink
    ").possible("one network stack; hiding it takes a network namespace ([list](known-differences.md#what-can-be-read))"),
    script("kill-socket", "end a connection of somebody else (sock_diag's SOCK_DESTROY)", Layer::Capability, "
        host l = socket tcp4
        host bind l 10.0.0.2:{P}
        host listen l
        peer c = socket tcp4
        peer connect c 10.0.0.2:{P}
        host s = accept l
        in command ss -K -t state established sport = :{P}
        host! quiet s
    "),
];
