//! A16: ways around the rules. What a machine allows because it has no rules is marked
//! with what a hostlet answers instead.

cases! {
    freebind: "A16", r"
        in a = socket tcp4
        in opt a freebind 1
        in bind a 10.0.0.1:8080 => ok / EADDRNOTAVAIL [freebind]
        in b = socket udp4
        in opt b freebind 1
        in bind b 10.0.0.9:5300 => ok / EADDRNOTAVAIL [freebind]
        in c = socket udp6
        in opt c freebind 1
        in bind c [2001:db8::1]:5300 => ok / EADDRNOTAVAIL [freebind]
    ";
    privileged_options: "A16", r"
        in a = socket tcp4
        in opt a transparent 1 => ok / EPERM [privileged-options]
        in opt a mark 7 => ok / EPERM [privileged-options]
        in m = socket udp4
        in sendmsg m 10.0.0.100:5300 x mark=7 => ok / EPERM [privileged-options]
        in opt a repair 1 => ok / EPERM [privileged-options]
        in b = socket tcp6
        in opt b transparent 1 => ok / EPERM [privileged-options]
    ";
    to_an_interface: "A16", r"
        set nets
        peer a = socket udp4
        peer bind a 0.0.0.0:5300
        in c = socket udp4
        in opt c device lo
        in sendto c 127.0.0.1:5300 x
        in sendmsg c 127.0.0.1:5300 x if=lo
        peer quiet a => quiet
    ";
    from_ping_sockets: "A16", r"
        other n = socket unix
        in a = socket ping4
        in bind a 10.0.0.1:0 => EADDRNOTAVAIL / ok [ping-bind]
        in echo a 10.0.0.100:0
        in echoed a => type 0 sequence 7 from 10.0.0.100:0 / EAGAIN [ping-bind]
        in b = socket ping6
        in bind b [2001:db8::9]:0 => EADDRNOTAVAIL / ok [ping-bind]
        in echo b [2001:db8::100]:0
        in echoed b => type 129 sequence 7 from [2001:db8::100]:0 / EAGAIN [ping-bind]
    ";
    mapped_wildcard: "A16", r"
        in a = socket tcp6
        in bind a [::ffff:0.0.0.0]:8080
        in name a => [::ffff:0.0.0.0]:8080
        in listen a
        other n = socket unix
        peer c = socket tcp4
        peer connect c 10.0.0.1:8080 => ECONNREFUSED
        peer d = socket tcp4
        peer connect d 10.0.0.6:8080
        in b = accept a => from [::ffff:10.0.0.100]:*
        in u = socket udp6
        in bind u [::ffff:0.0.0.0]:5300
        peer e = socket udp4
        peer connect e 10.0.0.1:5300
        peer send e x
        peer recv e => ECONNREFUSED
        in quiet u => quiet
    ";
    disconnected_and_listening: "A16", r"
        peer s = socket tcp4
        peer bind s 10.0.0.100:8080
        peer listen s
        in a = socket tcp4
        in connect a 10.0.0.100:8080
        in connect a unspec
        in listen a
        other n = socket unix
        peer c = socket tcp4
        peer connect c 10.0.0.1:{in.a} => ECONNREFUSED
        peer d = socket tcp4
        peer connect d 10.0.0.9:{in.a} => ECONNREFUSED
        peer e = socket tcp4
        peer connect e 10.0.0.5:{in.a}
        in quiet a => in
    ";
    disconnected_datagrams: "A16", r"
        peer s = socket udp4
        peer bind s 10.0.0.100:5300
        in a = socket udp4
        in bind a 0.0.0.0:5300
        in connect a 10.0.0.100:5300
        in connect a unspec
        in name a => 0.0.0.0:5300
        peer c = socket udp4
        peer connect c 10.0.0.1:5300
        peer send c x
        peer recv c => ECONNREFUSED
        peer d = socket udp4
        peer connect d 10.0.0.6:5300
        peer send d hello
        in recv a => hello
    ";
    the_address_form_changes: "A16", r"
        peer s = socket tcp4
        peer bind s 10.0.0.100:8080
        peer listen s
        in a = socket tcp6
        in connect a [::ffff:10.0.0.100]:8080
        in opt a addrform 2
        in name a => 10.0.0.5:*
        peer b = accept s => from 10.0.0.5:*
        in send a hello
        peer recv b => hello
    ";
    link_local: "A16", r"
        set prefix
        in a = socket tcp6
        in bind a [fe80::7%eth0]:8080 => ok / EADDRNOTAVAIL [link-local]
        peer s = socket udp6
        peer bind s [::]:5300
        peer join s ff02::1:7 br0
        in b = socket udp6
        in opt b mcast-if eth0
        in sendto b [ff02::1:7]:5300 hello
        peer recvfrom s => hello from [fe80::7%br0]:* / hello from [2001:db8::5]:* [link-local]
    ";
    raw_udp_lite_and_friends: "A16", r"
        in a = socket sctp4 => ok|ESOCKTNOSUPPORT|EPROTONOSUPPORT / EPROTONOSUPPORT|ESOCKTNOSUPPORT [no-sctp-mptcp]
        in b = socket vsock => ok|EAFNOSUPPORT / EAFNOSUPPORT [families]
        in c = socket xdp => ok|EAFNOSUPPORT / EAFNOSUPPORT [families]
        in d = socket can => ok|EAFNOSUPPORT / EAFNOSUPPORT [families]
        in e = socket tipc => ok|EAFNOSUPPORT / EAFNOSUPPORT [families]
        in f = uring-socket raw4 => ok / EPERM [raw]
        in g = uring-socket packet => ok / EPERM [families]    # the family filter does not see it, the capability does
    ";
}
