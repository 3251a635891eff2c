//! A7 and A8: what leaves without a bind leaves from the set, and nothing else does.

cases! {
    tcp4_unbound: "A7", r"
        peer a = socket tcp4
        peer bind a 10.0.0.100:8080
        peer listen a
        in c = socket tcp4
        in connect c 10.0.0.100:8080
        in name c => 10.0.0.5:*
        peer b = accept a => from 10.0.0.5:*
    ";
    tcp6_unbound: "A7", r"
        peer a = socket tcp6
        peer bind a [2001:db8::100]:8080
        peer listen a
        in c = socket tcp6
        in connect c [2001:db8::100]:8080
        in name c => [2001:db8::5]:*
        peer b = accept a => from [2001:db8::5]:*
    ";
    tcp_mapped_unbound: "A7", r"
        peer a = socket tcp4
        peer bind a 10.0.0.100:8080
        peer listen a
        in c = socket tcp6
        in connect c [::ffff:10.0.0.100]:8080
        in name c => [::ffff:10.0.0.5]:*
        in peer c => [::ffff:10.0.0.100]:8080
        peer b = accept a => from 10.0.0.5:*
    ";
    udp_sendto_unbound: "A7", r"
        peer a = socket udp4
        peer bind a 0.0.0.0:5300
        in c = socket udp4
        in sendto c 10.0.0.100:5300 hello
        in name c => 0.0.0.0:*
        peer recvfrom a => hello from 10.0.0.5:*
        in sendto c 192.0.2.1:5300 far
        peer recvfrom a => far from 10.0.0.5:*
        in sendmsg c 10.0.0.100:5300 message
        peer recvfrom a => message from 10.0.0.5:*
        in sendmmsg c 10.0.0.100:5300 many => 2 sent
        peer recvfrom a => many from 10.0.0.5:*
        peer recvfrom a => many from 10.0.0.5:*
    ";
    udp6_sendto_unbound: "A7", r"
        peer a = socket udp6
        peer bind a [::]:5300
        in c = socket udp6
        in sendto c [2001:db8::100]:5300 hello
        in name c => [::]:*
        peer recvfrom a => hello from [2001:db8::5]:*
        in sendto c [::ffff:10.0.0.100]:5300 mapped
        peer recvfrom a => mapped from [::ffff:10.0.0.5]:*
    ";
    udp_connect_unbound: "A7", r"
        peer a = socket udp4
        peer bind a 0.0.0.0:5300
        in c = socket udp4
        in connect c 10.0.0.100:5300
        in name c => 10.0.0.5:*
        in peer c => 10.0.0.100:5300
        in send c hello
        peer recvfrom a => hello from 10.0.0.5:*
        in connect c unspec
        in name c => 0.0.0.0:0
        in peer c => ENOTCONN
        in connect c 127.0.0.1:5300
        in name c => 127.0.0.1:*
        in connect c 10.0.0.100:5300 => EINVAL        # the source is fixed by now
        in name c => 127.0.0.1:*
    ";
    udp_reconnect_after_unspec: "A7", r"
        set nets
        in c = socket udp4
        in connect c 10.0.0.100:5300
        in name c => 10.0.0.5:*
        in connect c unspec
        in connect c 10.1.0.100:5300
        in name c => 10.1.0.5:*
        in connect c unspec
        in connect c 127.0.0.1:5300
        in name c => 127.0.0.1:*
        in connect c unspec
        in connect c 10.0.0.100:5300
        in name c => 10.0.0.5:*
    ";
    udp_sendto_then_connect: "A7", r"
        peer a = socket udp4
        peer bind a 0.0.0.0:5300
        in c = socket udp4
        in sendto c 10.0.0.100:5300 hello
        peer recvfrom a => hello from 10.0.0.5:*
        in connect c 10.0.0.100:5300
        in name c => 10.0.0.5:*
        in send c again
        peer recvfrom a => again from 10.0.0.5:*
    ";
    route_probe_as_glibc_does: "A7", r"
        set nets
        in c = socket udp4
        in connect c 10.0.0.100:0
        in name c => 10.0.0.5:*
        in d = socket udp4
        in connect d 10.1.0.100:0
        in name d => 10.1.0.5:*
        in e = socket udp6
        in connect e [2001:db8:1::100]:0
        in name e => [2001:db8:1::5]:*
        in f = socket udp4
        in connect f 192.0.2.1:0
        in name f => 10.0.0.5:*
    ";
    by_route_tcp: "A7", r"
        set nets
        peer a = socket tcp4
        peer bind a 0.0.0.0:8080
        peer listen a
        in c = socket tcp4
        in connect c 10.1.0.100:8080
        in name c => 10.1.0.5:*
        peer b = accept a => from 10.1.0.5:*
        in d = socket tcp4
        in connect d 192.0.2.1:8080
        in name d => 10.0.0.5:*
        peer e = accept a => from 10.0.0.5:*
    ";
    by_route_tcp6: "A7", r"
        set nets
        peer a = socket tcp6
        peer bind a [::]:8080
        peer listen a
        in c = socket tcp6
        in connect c [2001:db8:1::100]:8080
        in name c => [2001:db8:1::5]:*
        in d = socket tcp6
        in connect d [2001:db8:ff::1]:8080
        in name d => [2001:db8::5]:*
    ";
    by_route_udp: "A7", r"
        set nets
        peer a = socket udp4
        peer bind a 0.0.0.0:5300
        in c = socket udp4
        in sendto c 10.1.0.100:5300 one
        peer recvfrom a => one from 10.1.0.5:*
        in sendto c 10.0.0.100:5300 zero
        peer recvfrom a => zero from 10.0.0.5:*
    ";
    bound_to_the_wildcard_then_connect: "A7", r"
        set nets
        in c = socket tcp4
        in bind c 0.0.0.0:8080
        peer a = socket tcp4
        peer bind a 0.0.0.0:8080
        peer listen a
        in connect c 10.1.0.100:8080
        in name c => 10.1.0.5:8080 / 10.0.0.5:8080 [wildcard-connect]      # stays on the primary, as if bound to it
        peer b = accept a => from 10.1.0.5:8080 / from 10.0.0.5:8080 [wildcard-connect]
        in d = socket udp4
        in bind d 0.0.0.0:5300
        in connect d 10.1.0.100:5300
        in name d => 10.1.0.5:5300 / 10.0.0.5:5300 [wildcard-connect]
        in e = socket udp4
        in bind e 0.0.0.0:5301
        in connect e 127.0.0.1:5300
        in name e => 127.0.0.1:5301
    ";
    bound_to_the_second: "A7", r"
        peer a = socket tcp4
        peer bind a 0.0.0.0:8080
        peer listen a
        in c = socket tcp4
        in bind c 10.0.0.6:0
        in connect c 10.0.0.100:8080
        in name c => 10.0.0.6:*
        peer b = accept a => from 10.0.0.6:*
        in d = socket tcp4
        in opt d bind-no-port 1
        in bind d 10.0.0.6:0
        in connect d 10.0.0.100:8080
        peer e = accept a => from 10.0.0.6:*
    ";
    to_other_machines_and_itself: "A7", r"
        other a = socket tcp4
        other bind a 0.0.0.0:8080
        other listen a
        host a = socket tcp4
        host bind a 0.0.0.0:8081
        host listen a
        in c = socket tcp4
        in connect c 10.0.0.9:8080
        in name c => 10.0.0.5:*
        other b = accept a => from 10.0.0.5:*
        other name b => 10.0.0.9:8080
        in d = socket tcp4
        in connect d 10.0.0.1:8081
        in name d => 10.0.0.5:*
        host b = accept a => from 10.0.0.5:*
        host e = socket tcp4
        host connect e 10.0.0.9:8080
        host name e => 10.0.0.1:*
        other f = accept a => from 10.0.0.1:*
    ";
    udp_to_other_machines: "A7", r"
        other a = socket udp4
        other bind a 0.0.0.0:5300
        in c = socket udp4
        in sendto c 10.0.0.9:5300 hello
        other recvfrom a => hello from 10.0.0.5:*
        in d = socket udp6
        other b = socket udp6
        other opt b v6only 1
        other bind b [::]:5300
        in sendto d [2001:db8::9]:5300 six
        other recvfrom b => six from [2001:db8::5]:*
    ";
    no_address_of_the_family4: "A7", r"
        set six
        in c = socket tcp4
        in connect c 10.0.0.100:8080 => ENETUNREACH
        in d = socket udp4
        in sendto d 10.0.0.100:5300 x => ENETUNREACH
        in connect d 10.0.0.100:5300 => ENETUNREACH
        in e = socket tcp4
        in connect e 127.0.0.1:8080 => ECONNREFUSED
    ";
    no_address_of_the_family6: "A7", r"
        set four
        in c = socket tcp6
        in connect c [2001:db8::100]:8080 => ENETUNREACH
        in d = socket udp6
        in sendto d [2001:db8::100]:5300 x => ENETUNREACH
        in e = socket tcp6
        in connect e [::1]:8080 => ECONNREFUSED
    ";
    pktinfo_chooses_the_source: "A7", r"
        peer a = socket udp4
        peer bind a 0.0.0.0:5300
        in c = socket udp4
        in sendmsg c 10.0.0.100:5300 hello src=10.0.0.6
        peer recvfrom a => hello from 10.0.0.6:*
        in d = socket udp6
        peer b = socket udp6
        peer opt b v6only 1
        peer bind b [::]:5300
        in sendmsg d [2001:db8::100]:5300 six src=2001:db8::6
        peer recvfrom b => six from [2001:db8::6]:*
        in sendmsg c 10.0.0.100:5300 dev if=eth0
        peer recvfrom a => dev from 10.0.0.5:*
    ";
    pktinfo_of_a_foreign_source: "A8", r"
        in c = socket udp4
        in sendmsg c 10.0.0.100:5300 x src=10.0.0.1 => ENETUNREACH|EINVAL    # by the kernel's version
        in sendmsg c 10.0.0.100:5300 x src=10.0.0.9 => ENETUNREACH|EINVAL
        in sendmsg c 10.0.0.100:5300 x src=8.8.8.8 => ENETUNREACH|EINVAL
        in e = socket udp4
        in bind e 10.0.0.6:5300
        in sendmsg e 10.0.0.100:5300 x src=10.0.0.1 => ENETUNREACH|EINVAL
        in d = socket udp6
        in sendmsg d [2001:db8::100]:5300 x src=2001:db8::1 => EINVAL
        in sendmsg d [2001:db8::100]:5300 x src=2001:db8::9 => EINVAL
        peer a = socket udp4
        peer bind a 0.0.0.0:5300
        peer quiet a => quiet
    ";
    a_prefix_as_source: "A7", r"
        set prefix
        peer a = socket tcp4
        peer bind a 0.0.0.0:8080
        peer listen a
        in c = socket tcp4
        in bind c 10.9.0.33:0
        in connect c 10.0.0.100:8080
        peer b = accept a => from 10.9.0.33:*
        in d = socket tcp6
        in bind d [2001:db8:7::33]:0
        peer e = socket tcp6
        peer opt e v6only 1
        peer bind e [::]:8080
        peer listen e
        in connect d [2001:db8::100]:8080
        peer f = accept e => from [2001:db8:7::33]:*
    ";
    unreachable_and_refused: "A7", r"
        in c = socket tcp4
        in connect c 10.0.0.100:9999 => ECONNREFUSED
        in d = socket udp4
        in connect d 10.0.0.100:9999
        in send d x
        in recv d => ECONNREFUSED
        in e = socket tcp4
        in connect e 255.255.255.255:80 => ENETUNREACH
        in f = socket udp4
        in connect f 10.0.0.255:80 => EACCES
        in g = socket tcp6
        in connect g [2001:db8::100]:9999 => ECONNREFUSED
    ";
    bound_to_device: "A7", r"
        set nets
        peer a = socket udp4
        peer bind a 0.0.0.0:5300
        in c = socket udp4
        in opt c device eth1
        in sendto c 10.1.0.100:5300 hello
        peer recvfrom a => hello from 10.1.0.5:*
    ";
}
