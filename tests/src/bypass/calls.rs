//! Calls that name a foreign source, and calls that leave the choice to the kernel.

use super::{Attempt, Layer, script};

pub(super) const ATTEMPTS: &[Attempt] = &[
    script(
        "bind-tcp",
        "bind TCP to the host's address, connect",
        Layer::Hook,
        "
        in a = socket tcp4
        in bind a 10.0.0.2:0 => EADDRNOTAVAIL
        in connect a 10.0.0.100:{P} => ECONNREFUSED
    ",
    ),
    script(
        "bind-tcp6",
        "the same over IPv6",
        Layer::Hook,
        "
        in a = socket tcp6
        in bind a [2001:db8::2]:0 => EADDRNOTAVAIL
        in connect a [2001:db8::100]:{P} => ECONNREFUSED
    ",
    ),
    script(
        "bind-mapped",
        "bind an IPv6 socket to the host's IPv4 address (`::ffff:…`)",
        Layer::Hook,
        "
        in a = socket tcp6
        in bind a [::ffff:10.0.0.2]:0 => EADDRNOTAVAIL
        in connect a [::ffff:10.0.0.100]:{P} => ECONNREFUSED
        in b = socket udp6
        in bind b [::ffff:10.0.0.2]:0 => EADDRNOTAVAIL
        in sendto b [::ffff:10.0.0.100]:{P} x
    ",
    ),
    script(
        "bind-udp",
        "bind UDP to the host's address, send",
        Layer::Hook,
        "
        in a = socket udp4
        in bind a 10.0.0.2:0 => EADDRNOTAVAIL
        in sendto a 10.0.0.100:{P} x
        in b = socket udp6
        in bind b [2001:db8::2]:0 => EADDRNOTAVAIL
        in sendto b [2001:db8::100]:{P} x
    ",
    ),
    script(
        "bind-neighbour",
        "bind to another hostlet's address",
        Layer::Hook,
        "
        in a = socket udp4
        in bind a 10.0.0.9:0 => EADDRNOTAVAIL
        in sendto a 10.0.0.100:{P} x
        in b = socket tcp4
        in bind b 10.0.0.9:0 => EADDRNOTAVAIL
        in connect b 10.0.0.100:{P} => ECONNREFUSED
    ",
    ),
    script(
        "bind-udplite",
        "bind UDP-Lite to the host's address",
        Layer::Hook,
        "
        in a = socket udplite4
        in bind a 10.0.0.2:0 => EADDRNOTAVAIL
        in sendto a 10.0.0.100:{P} x
    ",
    ),
    script(
        "bind-freebind",
        "bind to an address that nobody has (IP_FREEBIND)",
        Layer::Hook,
        "
        in a = socket udp4
        in opt a freebind 1
        in bind a 10.0.0.222:0 => EADDRNOTAVAIL
        in sendto a 10.0.0.100:{P} x
        in b = socket udp6
        in opt b freebind 1
        in bind b [2001:db8::222]:0 => EADDRNOTAVAIL
        in sendto b [2001:db8::100]:{P} x
    ",
    ),
    script(
        "bind-transparent",
        "the same with IP_TRANSPARENT",
        Layer::Capability,
        "
        in a = socket udp4
        in opt a transparent 1 => EPERM
        in bind a 10.0.0.222:0 => EADDRNOTAVAIL
        in sendto a 10.0.0.100:{P} x
    ",
    ),
    script(
        "bind-late",
        "bind to the host's address, port left open (IP_BIND_ADDRESS_NO_PORT)",
        Layer::Hook,
        "
        in a = socket tcp4
        in opt a bind-no-port 1
        in bind a 10.0.0.2:0 => EADDRNOTAVAIL
        in connect a 10.0.0.100:{P} => ECONNREFUSED
    ",
    ),
    script(
        "bind-unspec",
        "bind to the host's address with family AF_UNSPEC",
        Layer::Hook,
        "
        in a = socket udp4
        in bind a unspec:10.0.0.2:0 => EAFNOSUPPORT
        in sendto a 10.0.0.100:{P} x
    ",
    )
    .never("the kernel takes that family for 0.0.0.0 alone"),
    script(
        "bind-uring",
        "bind by io_uring",
        Layer::Hook,
        "
        in a = socket udp4
        in uring-bind a 10.0.0.2:0 => EADDRNOTAVAIL
        in sendto a 10.0.0.100:{P} x
    ",
    ),
    script(
        "bind-uring-socket",
        "bind and send by io_uring, on a socket that io_uring made",
        Layer::Hook,
        "
        in a = uring-socket udp4
        in bind a 10.0.0.2:0 => EADDRNOTAVAIL
        in uring-sendto a 10.0.0.100:{P} x
    ",
    ),
    script(
        "bind-again",
        "disconnect (AF_UNSPEC), bind to the host's address, connect again",
        Layer::Hook,
        "
        peer l = socket tcp4
        peer bind l 10.0.0.100:{Q}
        peer listen l
        in a = socket tcp4
        in connect a 10.0.0.100:{Q}
        in connect a unspec
        in bind a 10.0.0.2:0 => EADDRNOTAVAIL
        in connect a 10.0.0.100:{P} => ECONNREFUSED
    ",
    ),
    script(
        "fast-open",
        "bind to the host's address, TCP Fast Open",
        Layer::Hook,
        "
        in a = socket tcp4
        in bind a 10.0.0.2:0 => EADDRNOTAVAIL
        in fastopen a 10.0.0.100:{P} x => ECONNREFUSED
    ",
    ),
    script(
        "pktinfo",
        "the host's address as source of one datagram (IP_PKTINFO, IPV6_PKTINFO)",
        Layer::Hook,
        "
        in a = socket udp4
        in sendmsg a 10.0.0.100:{P} x src=10.0.0.2 => EINVAL|ENETUNREACH
        in b = socket udp6
        in sendmsg b [2001:db8::100]:{P} x src=2001:db8::2 => EINVAL
    ",
    ),
    script(
        "pktinfo-mapped",
        "the same on an IPv6 socket to an IPv4 address",
        Layer::Hook,
        "
        in a = socket udp6
        in sendmsg a [::ffff:10.0.0.100]:{P} x src=::ffff:10.0.0.2 => EINVAL|ENETUNREACH
        in b = socket udp6
        in sendmsg b [::ffff:10.0.0.100]:{P} x src=10.0.0.2 => EINVAL|ENETUNREACH
    ",
    ),
    script(
        "pktinfo-connected",
        "the same on a connected socket",
        Layer::Hook,
        "
        in a = socket udp4
        in connect a 10.0.0.100:{P}
        in sendmsg a - x src=10.0.0.2 => EINVAL|ENETUNREACH
        in b = socket udp6
        in connect b [2001:db8::100]:{P}
        in sendmsg b - x src=2001:db8::2 => EINVAL
    ",
    ),
    script(
        "pktinfo-sent",
        "the same on a socket that had sent before it was connected",
        Layer::GuardAndHook,
        "
        peer s = socket udp4
        peer bind s 10.0.0.100:{P}
        peer t = socket udp6
        peer bind t [2001:db8::100]:{P}
        in a = socket udp4
        in sendto a 10.0.0.100:{P} x
        in connect a 10.0.0.100:{P}
        in sendmsg a - x src=10.0.0.2
        in sendmsg a - x src=10.0.0.9
        in b = socket udp6
        in sendto b [2001:db8::100]:{P} x
        in connect b [2001:db8::100]:{P}
        in sendmsg b - x src=2001:db8::2
        in sendmsg b - x src=2001:db8::9
    ",
    )
    .remains("the datagram is sent, from an address of the hostlet"),
    script(
        "pktinfo-many",
        "the same by sendmmsg",
        Layer::Hook,
        "
        in a = socket udp4
        in sendmmsg a 10.0.0.100:{P} x src=10.0.0.2 => EINVAL|ENETUNREACH
    ",
    ),
    script(
        "multicast-source",
        "the host's address as the source of multicast (IP_MULTICAST_IF)",
        Layer::Hook,
        "
        in a = socket udp4
        in opt a mcast-if 10.0.0.2
        in sendto a 239.1.2.3:{P} x
    ",
    ),
    script(
        "multicast-source-connected",
        "the same, connected",
        Layer::Hook,
        "
        in a = socket udp4
        in opt a mcast-if 10.0.0.2
        in connect a 239.1.2.3:{P}
        in send a x
    ",
    ),
    script(
        "other-interface",
        "an interface on which the hostlet has no address (SO_BINDTODEVICE)",
        Layer::Hook,
        "
        in a = socket udp4
        in opt a device eth1
        in sendto a 10.1.0.100:{P} x
        in b = socket tcp4
        in opt b device eth1
        in connect b 10.1.0.100:{P} => EINPROGRESS
        in c = socket udp4
        in sendmsg c 10.1.0.100:{P} x if=eth1
    ",
    ),
    script(
        "link-local",
        "to a link-local address, from the interface's own",
        Layer::Hook,
        "
        in a = socket udp6
        in sendto a [fe80::100%eth0]:{P} x
        in b = socket tcp6
        in connect b [fe80::100%eth0]:{P} => ECONNREFUSED
    ",
    ),
    script(
        "link-local-bind",
        "bind to the host's link-local address",
        Layer::Hook,
        "
        in a = socket udp6
        in bind a [fe80::1%eth0]:0 => EADDRNOTAVAIL
        in sendto a [fe80::100%eth0]:{P} x
    ",
    ),
    script(
        "sent-then-connected",
        "connect UDP that has sent before",
        Layer::Guard,
        "
        in a = socket udp4
        in sendto a 10.0.0.100:{Q} x
        in connect a 10.0.0.100:{P}
        in send a x
    ",
    ),
    script(
        "udplite-connected",
        "connect UDP-Lite without a bind",
        Layer::Guard,
        "
        in a = socket udplite4
        in connect a 10.0.0.100:{P}
        in send a x => EPERM
    ",
    ),
    script(
        "ping-bind",
        "ping from the host's address: echo sockets bind past the hooks",
        Layer::Guard,
        "
        in a = socket ping4
        in bind a 10.0.0.2:0
        in echo a 10.0.0.100:0
        in b = socket ping6
        in bind b [2001:db8::2]:0
        in echo b [2001:db8::100]:0
    ",
    )
    .remains("ping works, from an address of the hostlet"),
    script(
        "ping-unbound",
        "ping without a bind: the route chooses the source",
        Layer::Guard,
        "
        in a = socket ping4
        in echo a 10.0.0.100:0
        in b = socket ping6
        in echo b [2001:db8::100]:0
    ",
    )
    .remains("ping works, from an address of the hostlet"),
    script(
        "ping-multicast",
        "ping a group",
        Layer::Guard,
        "
        in a = socket ping4
        in opt a mcast-if eth0
        in echo a 224.0.0.1:0
    ",
    ),
    script(
        "ping-interface",
        "ping the loopback by another interface (SO_BINDTODEVICE): from the host's",
        Layer::Guard,
        "
        in a = socket ping6
        in bind a [::1]:0
        in opt a device eth0
        in echo a [::1]:0
    ",
    ),
    script(
        "address-form",
        "an IPv6 socket turned into one of IPv4 (IPV6_ADDRFORM), then bound",
        Layer::Hook,
        "
        peer l = socket tcp4
        peer bind l 10.0.0.100:{Q}
        peer listen l
        in a = socket tcp6
        in connect a [::ffff:10.0.0.100]:{Q}
        in opt a addrform 2
        in connect a unspec
        in bind a 10.0.0.2:0 => EADDRNOTAVAIL
        in connect a 10.0.0.100:{P} => ECONNREFUSED
    ",
    ),
    script(
        "socket-mark",
        "mark packets (SO_MARK, also as a control message): for policy routes, and for a neighbour's loopback",
        Layer::Capability,
        "
        in a = socket udp4
        in! opt a mark 1275068417 => EPERM
        in! sendmsg a 10.0.0.100:{P} x mark=1275068417 => EPERM
        in b = socket udp6
        in! sendmsg b [2001:db8::100]:{P} x mark=1275068417 => EPERM
    ",
    ),
    script(
        "repair",
        "forge a connection (TCP_REPAIR)",
        Layer::Capability,
        "
        in a = socket tcp4
        in! opt a repair 1 => EPERM
    ",
    ),
];
