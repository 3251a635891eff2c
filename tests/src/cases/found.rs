//! Differences that generated cases found, each by the smallest script that showed it.

cases! {
    bound_already_comes_before_other_errors: "A5", r"
        in a = socket udp4
        in bind a 0.0.0.0:5300
        in bind a 10.0.0.6:5300 => EINVAL
        in bind a 0.0.0.0:5300 => EINVAL
        in bind a 10.0.0.1:5300 => EADDRNOTAVAIL      # but not before this one
        in b = socket tcp4
        in bind b 0.0.0.0:8080
        in listen b
        in bind b 127.0.0.1:8080 => EINVAL
        in c = socket udp6
        in bind c [2001:db8::5]:5300
        in bind c [2001:db8::100]:5300 => EINVAL
        in bind c [::ffff:0.0.0.0]:5300 => EINVAL
        in d = socket tcp6
        in bind d [::1]:8081
        in bind d [2001:db8::5]:8080 => EINVAL
        in bind d [::]:8081 => EINVAL
    ";
    errors_of_bind_by_the_family: "A5", r"
        in a = socket tcp6
        in opt a v6only 1
        in bind a [::ffff:10.0.0.9]:8080 => EINVAL
        in bind a [::ffff:8.8.8.8]:8080 => EINVAL
        in b = socket tcp4
        in bind b 0.0.0.0:8080
        in c = socket tcp4
        in bind c [::]:8080 => EAFNOSUPPORT
    ";
    no_way_out_from_the_loopback: "A8", r"
        host n = socket unix
        other o = socket udp4
        other bind o 0.0.0.0:5300
        in a = socket udp4
        in bind a 127.0.0.1:5301
        in sendto a 10.0.0.9:5300 x => EINVAL
        in sendto a 10.0.0.1:5300 x => EINVAL
        in sendto a 10.0.0.100:5300 x => EINVAL
        in connect a 10.0.0.1:5300 => EINVAL
        in b = socket udp4
        in sendmsg b 10.0.0.9:5300 x src=127.0.0.1 => EINVAL
        in c = socket tcp4
        in bind c 127.0.0.1:8080
        in connect c 10.0.0.9:8080 => EINVAL
        other p = socket udp6
        other opt p v6only 1
        other bind p [::]:5300
        in d = socket udp6
        in sendto d [2001:db8::9]:5300 known                 # the neighbour, by another source
        other recvfrom p => known from [2001:db8::5]:*
        in sendmsg d [2001:db8::9]:5300 x src=::1
        other quiet o => quiet
        other quiet p => quiet
    ";
    no_address_of_the_family_whatever_the_source4: "A7", r"
        set six
        in a = socket udp4
        in bind a 0.0.0.0:5300
        in connect a 10.0.0.100:5300 => ENETUNREACH
        in sendto a 10.0.0.100:5300 x => ENETUNREACH
        in b = socket udp4
        in bind b 127.0.0.1:5301
        in sendto b 10.0.0.9:5300 x => ENETUNREACH
        in connect b 127.0.0.1:5301
        in sendto b 10.0.0.9:5300 x => ENETUNREACH
        in c = socket udp4
        in sendmsg c 10.0.0.5:5300 x src=127.0.0.1 => ENETUNREACH
        in d = socket udp6
        in bind d [::ffff:0.0.0.0]:5302
        in sendto d [::ffff:10.0.0.5]:5300 x => ENETUNREACH
        in e = socket tcp4
        in bind e 0.0.0.0:8080
        in connect e 10.0.0.5:8080 => ENETUNREACH
        in f = socket udp4
        in connect f 10.0.0.100:5300 => ENETUNREACH
        in name f => 0.0.0.0:* / 0.0.0.0:0 [failed-call-port]
    ";
    no_address_of_the_family_whatever_the_source6: "A7", r"
        set four
        in a = socket udp6
        in bind a [::1]:5301
        in connect a [2001:db8::100]:5300 => ENETUNREACH
        in b = socket udp6
        in connect b [::1]:5300
        in connect b [2001:db8::5]:5301 => ENETUNREACH
        in c = socket udp6
        in sendmsg c [2001:db8::100]:5300 x src=2001:db8::1 => EINVAL
    ";
    a_refused_datagram_leaves_its_port: "A6", r"
        set four
        in a = socket udp6
        in sendto a [2001:db8::5]:5300 x => ENETUNREACH
        in b = socket udp6
        in sendto b [::ffff:127.0.0.1]:{in.a} hello
        in recv a => hello
    ";
    the_mapped_wildcard_has_ipv4_alone: "A8", r"
        in a = socket udp6
        in bind a [::ffff:0.0.0.0]:5300
        in sendto a [2001:db8::100]:5301 x => EAFNOSUPPORT
    ";
    the_port_left_open_and_then_listen: "A6", r"
        in a = socket tcp4
        in opt a bind-no-port 1
        in bind a 0.0.0.0:0
        in listen a
        peer c = socket tcp4
        peer connect c 10.0.0.6:{in.a}
        in b = accept a => from 10.0.0.100:*
        in d = socket tcp6
        in opt d bind-no-port 1
        in bind d [::]:0
        in listen d
        other e = socket tcp4
        other connect e 10.0.0.6:{in.d}
        peer f = socket tcp6
        peer connect f [2001:db8::6]:{in.d}
        in g = socket tcp4
        in opt g bind-no-port 1
        in bind g 10.0.0.5:0
        in listen g
        peer h = socket tcp4
        peer connect h 10.0.0.6:{in.g} => ECONNREFUSED
        peer i = socket tcp4
        peer connect i 10.0.0.5:{in.g}
    ";
    zero_means_oneself_where_one_is_bound: "A2", r"
        in a = socket udp4
        in bind a 10.0.0.6:5300
        in sendto a 0.0.0.0:5300 hello
        in recvfrom a => hello from 10.0.0.6:5300
        in connect a 0.0.0.0:5300
        in peer a => 10.0.0.6:5300
        in b = socket udp4
        in bind b 0.0.0.0:5301
        in sendto b 0.0.0.0:5301 hello
        in recvfrom b => hello from 127.0.0.1:5301
        in c = socket udp6
        in bind c [::ffff:10.0.0.6]:5302
        in connect c [::]:5302
        in peer c => [::ffff:127.0.0.1]:5302
    ";
    nothing_arrives_from_the_loopback6: "A2", r"
        in a = socket udp6
        in bind a [::1]:5300
        peer b = socket udp6
        peer bind b [2001:db8::100]:5300
        in c = socket udp6
        in sendto c [2001:db8::100]:5300 known               # the neighbour, by another source
        peer recvfrom b => known from [2001:db8::5]:*
        in sendto a [2001:db8::100]:5300 x
        peer quiet b => quiet
    ";
    a_port_that_the_host_holds_and_does_not_serve: "C4", r"
        host a = socket tcp4
        host bind a 0.0.0.0:8080
        in b = socket tcp4
        in bind b 10.0.0.6:8080 => ok / EADDRINUSE [tcp-host-port]
    ";
    refused_after_sendto_and_connect: "A7", r"
        in a = socket udp4
        in sendto a 10.0.0.100:5300 x
        in connect a 10.0.0.100:5301
        in send a x
        in recv a => ECONNREFUSED
    ";
    datagrams_beside_another: "A6", r"
        in a = socket udp4
        in opt a reuseaddr 1
        in bind a 10.0.0.5:5300
        in b = socket udp4
        in opt b reuseaddr 1
        in bind b 0.0.0.0:5300
        peer c = socket udp4
        peer sendto c 10.0.0.5:5300 x
        in recvfrom a => x from 10.0.0.100:* / EAGAIN [reuse-datagrams]
    ";
    listening_beside_another: "A6", r"
        in a = socket tcp4
        in opt a reuseaddr 1
        in bind a 0.0.0.0:8080
        in b = socket tcp4
        in opt b reuseaddr 1
        in bind b 10.0.0.6:8080
        in listen b
        in listen a => EADDRINUSE / ok [reuse-listen]
    ";
    options_after_the_bind: "A5", r"
        in a = socket tcp4
        in bind a 0.0.0.0:8080
        in opt a reuseport 1
        in b = socket tcp4
        in opt b reuseport 1
        in bind b 0.0.0.0:8080 => ok / EADDRINUSE [reuse-after-bind]
    ";
    a_datagram_port_left_open: "A6", r"
        in a = socket udp4
        in opt a bind-no-port 1
        in bind a 0.0.0.0:0
        peer b = socket udp4
        peer bind b 10.0.0.100:5300
        in sendto a 10.0.0.100:5300 x
        peer recvfrom b => x from 10.0.0.5:*
        peer sendto b 10.0.0.6:{in.a} back
        in recvfrom a => back from 10.0.0.100:5300
    ";
    the_loopback_is_left_behind: "A7", r"
        peer b = socket udp6
        peer opt b v6only 1
        peer bind b [::]:5300
        in a = socket udp6
        in connect a [::1]:5301
        in connect a unspec
        in sendto a [2001:db8::100]:5300 hello
        peer recvfrom b => hello from [2001:db8::5]:*
        peer d = socket udp4
        peer bind d 0.0.0.0:5300
        in c = socket udp4
        in connect c 127.0.0.1:5301
        in connect c unspec
        in sendto c 10.0.0.100:5300 hello
        peer recvfrom d => hello from 10.0.0.5:*
    ";
    from_ipv6_to_ipv4: "A7", r"
        in a = socket udp6
        in connect a [2001:db8::100]:5300
        in connect a [::ffff:10.0.0.100]:5300 => ok / ENETUNREACH [six-then-four]
    ";
    the_source_is_the_primary: "A7", r"
        in a = socket udp4
        in bind a 0.0.0.0:5300
        in b = socket udp4
        in bind b 127.0.0.1:5301
        in sendmsg a 127.0.0.1:5301 x src=10.0.0.5
        in recvfrom b => x from 10.0.0.5:5300 / x from 127.0.0.1:5300 [source-primary]
    ";
    from_the_ipv6_loopback_to_oneself: "A2", r"
        in a = socket tcp6
        in bind a [::1]:8080
        in connect a [2001:db8::5]:8080 => EINPROGRESS / ECONNREFUSED [loopback6-to-own]
    ";
    refused_with_the_port_left_open: "A7", r"
        in a = socket tcp4
        in opt a bind-no-port 1
        in connect a 10.0.0.100:8081 => ECONNREFUSED
        in name a => 0.0.0.0:*
    ";
    bound_to_many_and_connected: "A7", r"
        in a = socket udp4
        in bind a 10.0.0.255:5300
        in connect a 10.0.0.100:5300
        in b = socket udp4
        in bind b 255.255.255.255:5301
        in connect b 10.0.0.100:5300
        in name b => 255.255.255.255:5301
        in d = socket udp4
        in bind d 10.0.0.255:5303
        in connect d 127.0.0.1:5303
        in send d x
        in c = socket udp4
        in bind c 239.1.2.3:5302
        in connect c 10.0.0.1:5300
        in send c x
    ";
    a_datagram_with_a_named_source_is_answered: "A7", r"
        other a = socket udp4
        other bind a 0.0.0.0:5300
        in b = socket udp4
        in sendmsg b 10.0.0.9:5300 hello src=10.0.0.6
        other recvfrom a => hello from 10.0.0.6:*
        other sendto a 10.0.0.6:{in.b} back
        in recvfrom b => back from 10.0.0.9:5300
        other sendto a 10.0.0.5:{in.b} more
        in recvfrom b => more from 10.0.0.9:5300
        other c = socket udp6
        other bind c [::]:5301
        in d = socket udp6
        in sendmsg d [2001:db8::9]:5301 hello src=2001:db8::6
        other recvfrom c => hello from [2001:db8::6]:*
        other sendto c [2001:db8::5]:{in.d} back
        in recvfrom d => back from [2001:db8::9]:5301
    ";
    beside_the_hosts_listener_by_a_port_left_open: "C4", r"
        host s7 = socket tcp4
        host bind s7 0.0.0.0:8080
        host listen s7
        in s12 = socket tcp4
        in opt s12 bind-no-port 1
        in bind s12 10.0.0.5:8080
        in name s12 => 10.0.0.5:8080
        in listen s12
        in name s12 => 10.0.0.5:8080
        peer s22 = socket tcp4
        peer connect s22 10.0.0.5:8080
        in a = accept s12 => from 10.0.0.100:*
        in name a => 10.0.0.5:8080
        in b = socket tcp4
        in opt b bind-no-port 1
        in bind b 10.0.0.5:8080 => EADDRINUSE
        in c = socket tcp4
        in opt c bind-no-port 1
        in bind c 10.0.0.6:8080
        in listen c
        in d = socket tcp4
        in opt d bind-no-port 1
        in bind d 0.0.0.0:8080 => EADDRINUSE
        host e = socket tcp4
        host connect e 10.0.0.6:8080
        in f = accept c => from 10.0.0.1:*
    ";
    a_datagram_port_left_open_on_one_address: "A6", r"
        in s3 = socket udp4
        in opt s3 bind-no-port 1
        in bind s3 10.0.0.5:0
        in sendto s3 127.0.0.1:5300 m6
        peer s12 = socket udp6
        peer sendto s12 [::ffff:10.0.0.5]:{in.s3} m13
        in recvmsg s3 => m13 from 10.0.0.100:*
        peer sendto s12 [::ffff:10.0.0.6]:{in.s3} m14
        in recvmsg s3 => EAGAIN
        in a = socket udp6
        in opt a bind-no-port 1
        in bind a [2001:db8::6]:0
        in sendmsg a [2001:db8::100]:5300 x src=2001:db8::5
        peer sendto s12 [2001:db8::6]:{in.a} m15
        in recvfrom a => m15 from [2001:db8::100]:*
        in b = socket udp4
        in opt b bind-no-port 1
        in bind b 0.0.0.0:0
        in connect b 10.0.0.6:5300
        in connect b unspec
        in sendmsg b 10.0.0.100:5300 x src=10.0.0.5
        peer sendto s12 [::ffff:10.0.0.5]:{in.b} m16
        in recvfrom b => m16 from 10.0.0.100:*
        peer sendto s12 [::ffff:10.0.0.6]:{in.b} m17
        in recvfrom b => m17 from 10.0.0.100:*
    ";
    from_the_loopback_to_another: "A7", r"
        in s1 = socket udp4
        in bind s1 0.0.0.0:5300
        in connect s1 127.0.0.1:5300
        in connect s1 10.0.0.100:5301 => EINVAL
        in connect s1 10.0.0.5:5301
        in name s1 => 127.0.0.1:5300
        in b = socket udp4
        in bind b 10.0.0.5:5301
        in send s1 x
        in recvfrom b => x from 127.0.0.1:5300
        in connect s1 10.0.0.6:5301
        in name s1 => 127.0.0.1:5300
        in c = socket udp4
        in bind c 0.0.0.0:5303
        in connect c 10.0.0.6:5301
        in connect c 127.0.0.1:5301
        in name c => 10.0.0.5:5303
        in a = socket udp6
        in bind a [::]:5302
        in connect a [::ffff:127.0.0.1]:5300
        in connect a [2001:db8::100]:5301 => EAFNOSUPPORT
    ";
    zero_by_a_named_source: "A2", r"
        in s1 = socket udp4
        in bind s1 10.0.0.6:5301
        in s5 = socket udp4
        in sendmsg s5 0.0.0.0:5301 m6 src=10.0.0.6
        in recvfrom s1 => m6 from 10.0.0.6:*
        in s6 = socket udp4
        in bind s6 127.0.0.1:0
        in s14 = socket udp4
        in sendmsg s14 0.0.0.0:{in.s6} m18 src=10.0.0.6
        in recvfrom s6 => EAGAIN
    ";
    the_mapped_wildcard_and_a_named_source: "A8", r"
        in a = socket udp6
        in bind a [::ffff:0.0.0.0]:5300
        in sendmsg a [2001:db8::9]:5300 m4 src=2001:db8::5
        in sendmsg a [2001:db8::9]:5300 m5 => EAFNOSUPPORT
    ";
    a_broadcast_is_no_source_without_an_address_either: "A7", r"
        set six
        in a = socket udp6
        in bind a [::ffff:255.255.255.255]:5300
        in sendmsg a [::ffff:10.0.0.5]:5300 m27 => EINVAL
        in b = socket udp4
        in bind b 255.255.255.255:5301
        in sendto b 10.0.0.5:5300 x => ENETUNREACH
    ";
    no_stream_on_a_group: "A5", r"
        in s8 = socket tcp6
        in bind s8 [::]:8080
        in s12 = socket tcp6
        in bind s12 [ff0e::1:7]:8080 => EINVAL
    ";
    mapped_after_six: "A5", r"
        in s1 = socket tcp6
        in bind s1 [::]:8080
        in s11 = socket tcp6
        in connect s11 [::1]:8080 => ECONNREFUSED
        in connect s11 unspec
        in bind s11 [::ffff:127.0.0.1]:8080 => EADDRINUSE / EINVAL [six-then-four]
    ";
}
