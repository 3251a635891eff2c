//! A10, A15: io_uring, and the plain call where the kernel has no such operation (before 6.11 for bind and listen).

cases! {
    binds_and_listens: "A10", r"
        in a = uring-socket tcp4
        in uring-bind a 0.0.0.0:8080
        in uring-listen a
        in name a => 0.0.0.0:8080
        peer c = socket tcp4
        peer connect c 10.0.0.6:8080
        in b = uring-accept a => from 10.0.0.100:*
        in name b => 10.0.0.6:8080
        in d = socket tcp4
        in uring-connect d 127.0.0.1:8080
        in e = uring-accept a => from 127.0.0.1:*
        in name e => 127.0.0.1:8080
    ";
    binds_and_listens_dual_stack: "A10", r"
        in a = uring-socket tcp6
        in uring-bind a [::]:8080
        in uring-listen a
        in name a => [::]:8080
        peer c = socket tcp4
        peer connect c 10.0.0.6:8080
        in b = uring-accept a => from [::ffff:10.0.0.100]:*
        in name b => [::ffff:10.0.0.6]:8080
        peer d = socket tcp6
        peer connect d [2001:db8::6]:8080
        in e = uring-accept a => from [2001:db8::100]:*
    ";
    foreign_addresses: "A8", r"
        in a = socket tcp4
        in uring-bind a 10.0.0.9:8080 => EADDRNOTAVAIL
        in uring-bind a 8.8.8.8:8080 => EADDRNOTAVAIL
        in b = socket udp6
        in uring-bind b [2001:db8::1]:5300 => EADDRNOTAVAIL
        in uring-bind b [::ffff:10.0.0.1]:5300 => EADDRNOTAVAIL
        in c = socket udp4
        in uring-sendmsg c 10.0.0.100:5300 x src=10.0.0.1 => ENETUNREACH|EINVAL
        in d = socket udp6
        in uring-sendmsg d [2001:db8::100]:5300 x src=2001:db8::9 => EINVAL
        in e = socket tcp4
        in bind e 127.0.0.1:0
        in uring-connect e 10.0.0.100:8080 => EINVAL
    ";
    listens_without_bind: "A10", r"
        in a = socket tcp4
        in uring-listen a
        in name a => 0.0.0.0:*
        peer c = socket tcp4
        peer connect c 10.0.0.6:{in.a}
        in b = uring-accept a => from 10.0.0.100:*
    ";
    datagrams: "A10", r"
        in a = socket udp4
        in opt a pktinfo 1
        in uring-bind a 0.0.0.0:5300
        peer c = socket udp4
        peer bind c 10.0.0.100:5301
        peer sendto c 10.0.0.6:5300 hello
        in uring-recvfrom a => hello from 10.0.0.100:5301 to 10.0.0.6 local 10.0.0.6 via eth0
        in uring-sendmsg a 10.0.0.100:5301 back src=10.0.0.6
        peer recvfrom c => back from 10.0.0.6:5300
        in d = socket udp4
        in bind d 127.0.0.1:5302
        in e = socket udp4
        in uring-sendto e 127.0.0.1:5302 local
        in uring-recvfrom d => local from 127.0.0.1:*
        in uring-poll d => ECANCELED
    ";
    connects_and_disconnects: "A10", r"
        peer a = socket udp4
        peer bind a 0.0.0.0:5300
        in c = socket udp4
        in uring-connect c 10.0.0.100:5300
        in name c => 10.0.0.5:*
        in uring-send c hello
        peer recvfrom a => hello from 10.0.0.5:*
        in uring-connect c unspec
        in name c => 0.0.0.0:0
        in uring-connect c 127.0.0.1:5300
        in name c => 127.0.0.1:*
    ";
    /// A ring makes sockets past the filter of system calls; hooks and capabilities see them.
    what_is_refused_all_the_same: "A15", r"
        in a = uring-socket raw4 => ok / EPERM [raw]
        in b = uring-socket raw6 => ok / EPERM [raw]
        in c = uring-socket packet => ok / EPERM [families]
        in d = uring-socket mptcp4 => ok / EPROTONOSUPPORT [no-sctp-mptcp]
        in e = uring-socket sctp4 => ok|ESOCKTNOSUPPORT|EPROTONOSUPPORT / EPROTONOSUPPORT|ESOCKTNOSUPPORT [no-sctp-mptcp]
    ";
}
