//! Loopbacks of others, and services of the host.

use super::{Attempt, Layer, script};

const NOBODY: &str = "nobody outside a hostlet reaches its loopback either";

pub(super) const ATTEMPTS: &[Attempt] = &[
    script("neighbour-loopback", "connect to a neighbour's loopback by its real address", Layer::Hook, "
        other a = socket tcp4
        other bind a 127.0.0.1:{P}
        other listen a
        other u = socket udp4
        other bind u 127.0.0.1:{P}
        in b = socket tcp4
        in connect b {other-loop4}:{P} => ECONNREFUSED
        in c = socket udp4
        in sendto c {other-loop4}:{P} x
        other! quiet a
        other! quiet u
    ").never(NOBODY),
    script("neighbour-loopback6", "the same over IPv6", Layer::Hook, "
        other a = socket tcp6
        other bind a [::1]:{P}
        other listen a
        other u = socket udp6
        other bind u [::1]:{P}
        in b = socket tcp6
        in connect b [{other-loop6}]:{P} => ENETUNREACH
        in c = socket udp6
        in sendto c [{other-loop6}]:{P} x => ENETUNREACH
        other! quiet a
        other! quiet u
    ").never(NOBODY),
    script("neighbour-loopback-name", "127.0.0.1 and `::1`: do they mean the neighbour's?", Layer::Hook, "
        other a = socket tcp4
        other bind a 127.0.0.1:{P}
        other listen a
        in b = socket tcp4
        in connect b 127.0.0.1:{P} => ECONNREFUSED
        in c = socket tcp4
        in connect c 0.0.0.0:{P} => ECONNREFUSED
        other! quiet a
    ").never(NOBODY),
    script("neighbour-loopback-bind", "bind to a neighbour's loopback", Layer::Hook, "
        in a = socket udp4
        in bind a {other-loop4}:{P}
        other c = socket udp4
        other sendto c 127.0.0.1:{P} secret
        other sendto c {other-loop4}:{P} secret
        in recv a => EAGAIN
        in b = socket udp6
        in bind b [{other-loop6}]:{P} => EADDRNOTAVAIL
        other d = socket udp6
        other sendto d [::1]:{P} secret
        in recv b => EAGAIN
        in e = socket tcp4
        in bind e {other-loop4}:{P}
        in listen e
        other f = socket tcp4
        other connect f 127.0.0.1:{P}
        other send f secret
        in g = accept e => EAGAIN
        in recv g => no-socket
    ").never("the look-up gives what goes there to nobody but the hostlet"),
    script("neighbour-loopback-hop", "by a source route that ends there (IP_OPTIONS)", Layer::Capability, "
        other u = socket udp4
        other bind u 127.0.0.1:{P}
        in a = socket udp4
        in source-route a loose {other-loop4} => EPERM
        in sendto a 10.0.0.100:{P} x
        in b = socket udp4
        in source-route b loose 10.0.0.100 => EPERM
        in sendto b {other-loop4}:{P} x
        other! quiet u
    ").never(NOBODY),
    script("routing-header", "by a routing header (IPV6_RTHDR)", Layer::GuardAndKernel, "
        other u = socket udp6
        other bind u [::1]:{P}
        in a = socket udp6
        in routing-header a {other-loop6}
        in sendto a [2001:db8::100]:{P} x => EPERM
        other! quiet u
    ").never(NOBODY)
    .remains("the kernel takes in no such header unless `seg6_enabled` is set; the guard sees where the packet goes first"),
    script("source-route", "a source route from the host's address", Layer::Capability, "
        in a = socket udp4
        in source-route a loose 10.0.0.100 => EPERM
        in bind a 10.0.0.2:0 => EADDRNOTAVAIL
        in sendto a 192.0.2.1:{P} x
    "),
    script("host-loopback", "the host's own loopback, by every name", Layer::Hook, "
        host a = socket tcp4
        host bind a 127.0.0.1:{P}
        host listen a
        host u = socket udp4
        host bind u 127.0.0.1:{P}
        in b = socket tcp4
        in connect b 127.0.0.1:{P} => ECONNREFUSED
        in c = socket tcp4
        in connect c 0.0.0.0:{P} => ECONNREFUSED
        in d = socket udp4
        in sendto d 127.0.0.1:{P} x
        in e = socket tcp6
        in connect e [::ffff:127.0.0.1]:{P} => ECONNREFUSED
        host! quiet a
        host! quiet u
    ").remains("`--host-loopback` opens single services; name servers of `/etc/resolv.conf` are open on port 53"),
    script("host-loopback6", "the same over IPv6", Layer::Hook, "
        host a = socket tcp6
        host bind a [::1]:{P}
        host listen a
        in b = socket tcp6
        in connect b [::1]:{P} => ECONNREFUSED
        in c = socket tcp6
        in connect c [::]:{P} => ECONNREFUSED
        host! quiet a
    "),
    script("host-loopback-net", "the host's services on the rest of 127.0.0.0/8", Layer::Hook, "
        host a = socket udp4
        host bind a 127.3.2.1:{P}
        in b = socket udp4
        in sendto b 127.3.2.1:{P} x
        host! quiet a
    "),
    script("host-loopback-device", "the host's loopback by its interface (SO_BINDTODEVICE, IP_PKTINFO)", Layer::Hook, "
        host a = socket udp4
        host bind a 127.0.0.1:{P}
        in b = socket udp4
        in opt b device lo
        in sendto b 127.0.0.1:{P} x
        in c = socket udp4
        in sendmsg c 127.0.0.1:{P} x if=lo
        host! quiet a
    "),
    script("host-from-loopback", "the host's service from the hostlet's loopback: TCP that is bound to a group, and was refused there before", Layer::GuardAndKernel, "
        host a = socket tcp4
        host bind a 10.0.0.1:{P}
        host listen a
        in b = socket tcp4
        in bind b 239.1.2.3:{Q}
        in connect b 127.0.0.1:9 => ECONNREFUSED
        in connect b 10.0.0.1:{P} => EINPROGRESS
        host! quiet a
    "),
    script("host-wildcard", "the host's service on the wildcard, by the hostlet's own address", Layer::Lookup, "
        host a = socket tcp4
        host bind a 0.0.0.0:{P}
        host listen a
        host u = socket udp4
        host bind u 0.0.0.0:{P}
        in b = socket tcp4
        in connect b 10.0.0.5:{P} => ECONNREFUSED
        in c = socket udp4
        in sendto c 10.0.0.5:{P} x
        peer d = socket tcp4
        peer connect d 10.0.0.5:{P}
        peer e = socket udp4
        peer sendto e 10.0.0.6:{P} x
        host! quiet a
        host! quiet u
    ").never("the address is the hostlet's, whoever asks"),
    script("host-address", "the host's service on its own address", Layer::Nothing, "
        host a = socket tcp4
        host bind a 10.0.0.1:{P}
        host listen a
        in b = socket tcp4
        in connect b 10.0.0.1:{P}
        host! quiet a
    ").possible("a neighbour on the network to it, from the hostlet's own address: the host's packet filter can tell"),
    script("unix-abstract", "the host's service on an abstract UNIX socket", Layer::Nothing, "
        host a = socket unix
        host bind a @hostlet-{P}
        host listen a
        in b = socket unix
        in connect b @hostlet-{P}
        host! quiet a
    ").possible("addresses are confined, not UNIX sockets: such a service sees the user, not the hostlet"),
];
