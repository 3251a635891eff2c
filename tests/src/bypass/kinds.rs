//! Other kinds of sockets, and changes of the network.

use super::{Attempt, Layer, script};

pub(super) const ATTEMPTS: &[Attempt] = &[
    script("protocols", "protocols of the Internet that the hooks do not know (MPTCP, SCTP, DCCP, L2TP, SMC)", Layer::Hook, "
        in! a = socket mptcp4 => EPROTONOSUPPORT
        in! b = socket sctp4 => EPROTONOSUPPORT|ESOCKTNOSUPPORT
        in! c = socket 2/6/33 => EPROTONOSUPPORT|ESOCKTNOSUPPORT
        in! d = socket 2/2/115 => EPROTONOSUPPORT
        in! e = socket 2/1/256 => EPROTONOSUPPORT
    "),
    script("protocols-uring", "the same by io_uring", Layer::Hook, "
        in! a = uring-socket mptcp4 => EPROTONOSUPPORT
    "),
    script("families", "families beside UNIX, INET, INET6, NETLINK, ALG (vsock, XDP, TIPC, RDS, SMC, RxRPC, KCM, CAN, PPPoX, LLC, Bluetooth …)", Layer::Seccomp, "
        in! a = socket vsock => EAFNOSUPPORT
        in! b = socket xdp => EAFNOSUPPORT
        in! c = socket tipc => EAFNOSUPPORT
        in! d = socket 21/5/0 => EAFNOSUPPORT
        in! e = socket 43/1/0 => EAFNOSUPPORT
        in! f = socket 33/2/2 => EAFNOSUPPORT
        in! g = socket 41/5/0 => EAFNOSUPPORT
        in! h = socket can => EAFNOSUPPORT
        in! i = socket 24/1/0 => EAFNOSUPPORT
        in! j = socket 26/1/0 => EAFNOSUPPORT
        in! k = socket 31/1/3 => EAFNOSUPPORT
        in! l = socket 15/3/2 => EAFNOSUPPORT
        in! m = socket 35/2/0 => EAFNOSUPPORT
        in! n = socket 42/2/0 => EAFNOSUPPORT
        in! o = socket 45/2/0 => EAFNOSUPPORT
        in! p = socket 9/5/0 => EAFNOSUPPORT
    "),
    script("uring-vsock", "a family without a capability by io_uring, which passes the filter: to the hypervisor, not to an address", Layer::Nothing, "
        in! a = uring-socket vsock
    ").possible("vsock and others that need no capability; `kernel.io_uring_disabled` closes it for the whole machine. A socket of SMC or RxRPC carries over TCP or UDP sockets of the member's cgroup, which are confined"),
    script("uring-xdp", "the same with AF_XDP, which writes frames", Layer::Capability, "
        in! a = uring-socket xdp => EPERM
    "),
    script("uring-smc", "SMC by io_uring: it falls back to a TCP socket that the kernel makes", Layer::Hook, "
        in a = uring-socket 43/1/0
        in bind a 10.0.0.2:0 => EADDRNOTAVAIL
        in connect a 10.0.0.100:{P} => ECONNREFUSED
    "),
    script("uring-rds", "RDS by io_uring: the kernel carries it over TCP sockets of its own", Layer::Seccomp, "
        in a = uring-socket 21/5/0 => EPERM
        in bind a 10.0.0.2:{Q} => no-socket
        in sendto a {rds}:{P} x => no-socket
    ").remains("who was started before `rds_tcp` was loaded, which nothing does by itself on common systems, and who logged in or was attached: `hostlet doctor` tells; unload it, or set `kernel.io_uring_disabled`"),
    script("address", "add an address to an interface", Layer::Capability, "
        in! command ip address add 10.0.0.77/24 dev eth0 => EPERM
        in command ip address del 10.0.0.77/24 dev eth0 => EPERM
    "),
    script("route", "add a route with the host's address as its source", Layer::Capability, "
        in! command ip route add 198.51.100.0/24 via 10.0.0.100 src 10.0.0.1 => EPERM
        in command ip route del 198.51.100.0/24 => EPERM
    "),
    script("rule", "add a routing rule", Layer::Capability, "
        in! command ip rule add from 10.0.0.5 table 77 => EPERM
        in command ip rule del from 10.0.0.5 table 77 => EPERM
    "),
    script("neighbour-entry", "add a neighbour entry: somebody else's packets to oneself", Layer::Capability, "
        in! command ip neighbour add 10.0.0.78 lladdr 02:00:00:00:00:01 dev eth0 => EPERM
        in command ip neighbour del 10.0.0.78 dev eth0 => EPERM
    "),
    script("link", "make an interface, or take one down", Layer::Capability, "
        in! command ip link add hlx type veth peer name hly => EPERM
        in command ip link del hlx => exit 1
    "),
    script("netfilter", "change the packet filter: source NAT", Layer::Capability, "
        in! command nft add table ip hlx => EPERM
        in command nft delete table ip hlx => EPERM
    "),
    script("tun", "a TUN interface on the machine", Layer::Capability, "
        in! call tun => EPERM|EACCES / EPERM
    ").remains("a persistent one that the administrator gave the user can be opened"),
    script("own-network", "a network namespace of one's own (as root of a user namespace)", Layer::Kernel, "
        in! escape unshare 10.0.0.2:0 10.0.0.100:{P} user+net => ENETUNREACH
    ").never("there is no way from it to the network, outside either")
      .remains("in it a member may do as it likes; interfaces into the machine's take CAP_NET_ADMIN there"),
    script("own-user", "a user namespace of one's own, with all capabilities in it", Layer::Hook, "
        in escape unshare 10.0.0.2:0 10.0.0.100:{P} user => EADDRNOTAVAIL
        in escape unshare 10.0.0.2:0 10.0.0.100:{P} user+mount+cgroup+pid => EADDRNOTAVAIL
    "),
];
