//! A7: sockets that stand on the host's real wildcard and connect: both families with a port that the kernel
//! chose, and UDP that has sent before.

cases! {
    dual_tcp_to_ipv6: "A7", r"
        peer a = socket tcp6
        peer opt a v6only 1
        peer bind a [::]:8080
        peer listen a
        in c = socket tcp6
        in bind c [::]:0
        in name c => [::]:*
        in connect c [2001:db8::100]:8080
        in name c => [2001:db8::5]:*
        in peer c => [2001:db8::100]:8080
        peer b = accept a => from [2001:db8::5]:*
        in send c hello
        peer recv b => hello
        peer send b there
        in recv c => there
        in shutdown c wr
        peer recv b => nothing
        peer send b last
        in recv c => last
    ";
    dual_tcp_to_mapped: "A7", r"
        peer a = socket tcp4
        peer bind a 0.0.0.0:8080
        peer listen a
        in c = socket tcp6
        in bind c [::]:0
        in connect c [::ffff:10.0.0.100]:8080
        in name c => [::ffff:10.0.0.5]:*
        peer b = accept a => from 10.0.0.5:*
        in send c hello
        peer recv b => hello
        peer send b there
        in recv c => there
        in close c
        peer recv b => nothing
        in d = socket tcp6
        in bind d [::]:0
        in connect d [::ffff:10.0.0.100]:8081 => ECONNREFUSED
        in e = socket tcp6
        in bind e [::]:0
        in connect e [2001:db8::100]:8081 => ECONNREFUSED
    ";
    dual_tcp_by_route: "A7", r"
        set nets
        peer a = socket tcp6
        peer bind a [::]:8080
        peer listen a
        in c = socket tcp6
        in bind c [::]:0
        in connect c [2001:db8:1::100]:8080
        in name c => [2001:db8:1::5]:*
        peer b = accept a => from [2001:db8:1::5]:*
        in d = socket tcp6
        in bind d [::]:0
        in connect d [::ffff:10.1.0.100]:8080
        in name d => [::ffff:10.1.0.5]:*
        peer e = accept a => from [::ffff:10.1.0.5]:*
    ";
    dual_tcp_to_the_loopback: "A2", r"
        in a = socket tcp6
        in bind a [::1]:8080
        in listen a
        in b = socket tcp4
        in bind b 127.0.0.1:8081
        in listen b
        in c = socket tcp6
        in bind c [::]:0
        in connect c [::1]:8080
        in name c => [::1]:*
        in peer c => [::1]:8080
        in d = accept a => from [::1]:*
        in send c hello
        in recv d => hello
        in e = socket tcp6
        in bind e [::]:0
        in connect e [::ffff:127.0.0.1]:8081
        in name e => [::ffff:127.0.0.1]:*
        in f = accept b => from 127.0.0.1:*
        in g = socket tcp6
        in bind g [::]:0
        in connect g [::1]:9999 => ECONNREFUSED
    ";
    dual_tcp_to_itself_and_others: "A7", r"
        in a = socket tcp6
        in bind a [::]:8080
        in listen a
        other a = socket tcp6
        other bind a [::]:8080
        other listen a
        host a = socket tcp6
        host bind a [::]:8081
        host listen a
        in c = socket tcp6
        in bind c [::]:0
        in connect c [2001:db8::6]:8080
        in name c => [2001:db8::6]:*
        in b = accept a => from [2001:db8::6]:*
        in d = socket tcp6
        in bind d [::]:0
        in connect d [2001:db8::9]:8080
        in name d => [2001:db8::5]:*
        other b = accept a => from [2001:db8::5]:*
        in send d hello
        other recv b => hello
        other send b there
        in recv d => there
        in e = socket tcp6
        in bind e [::]:0
        in connect e [::ffff:10.0.0.1]:8081
        in name e => [::ffff:10.0.0.5]:*
        host b = accept a => from [::ffff:10.0.0.5]:*
        in send e hello
        host recv b => hello
        host send b there
        in recv e => there
        in f = socket tcp6
        in bind f [::]:0
        in connect f [::ffff:10.0.0.6]:8080
        in name f => [::ffff:10.0.0.5]:*
        in g = accept a => from [::ffff:10.0.0.5]:*
    ";
    dual_tcp_serves: "A6", r"
        in a = socket tcp6
        in bind a [::]:0
        in listen a
        peer c = socket tcp4
        peer connect c 10.0.0.6:{in.a}
        in b = accept a => from [::ffff:10.0.0.100]:*
        in name b => [::ffff:10.0.0.6]:*
        peer d = socket tcp6
        peer connect d [2001:db8::6]:{in.a}
        in e = accept a => from [2001:db8::100]:*
        in f = socket tcp4
        in connect f 127.0.0.1:{in.a}
        in g = accept a => from [::ffff:127.0.0.1]:*
        peer h = socket tcp4
        peer connect h 10.0.0.1:{in.a} => ECONNREFUSED
        other h = socket tcp4
        other connect h 127.0.0.1:{in.a} => ECONNREFUSED
    ";
    dual_udp_to_ipv6: "A7", r"
        peer a = socket udp6
        peer opt a v6only 1
        peer bind a [::]:5300
        in c = socket udp6
        in bind c [::]:0
        in connect c [2001:db8::100]:5300
        in name c => [2001:db8::5]:*
        in peer c => [2001:db8::100]:5300
        in send c hello
        peer recvfrom a => hello from [2001:db8::5]:*
        peer sendto a [2001:db8::5]:{in.c} there
        in recvfrom c => there from [2001:db8::100]:5300
        in sendto c [2001:db8::100]:5300 to
        peer recvfrom a => to from [2001:db8::5]:*
        in connect c unspec
        in name c => [::]:0
        in peer c => ENOTCONN
    ";
    dual_udp_to_mapped: "A7", r"
        peer a = socket udp4
        peer bind a 0.0.0.0:5300
        in c = socket udp6
        in bind c [::]:0
        in connect c [::ffff:10.0.0.100]:5300
        in name c => [::ffff:10.0.0.5]:*
        in send c hello
        peer recvfrom a => hello from 10.0.0.5:*
        peer sendto a 10.0.0.5:{in.c} there
        in recvfrom c => there from [::ffff:10.0.0.100]:5300
    ";
    dual_udp_to_the_loopback: "A2", r"
        in a = socket udp6
        in bind a [::1]:5300
        in b = socket udp4
        in bind b 127.0.0.1:5301
        in c = socket udp6
        in bind c [::]:0
        in connect c [::]:5300
        in name c => [::1]:*
        in peer c => [::1]:5300
        in send c hello
        in recvfrom a => hello from [::1]:*
        in sendto a [::1]:{in.c} there
        in recvfrom c => there from [::1]:5300
        in d = socket udp6
        in bind d [::]:0
        in connect d [::ffff:127.0.0.1]:5301
        in name d => [::ffff:127.0.0.1]:*
        in send d hello
        in recvfrom b => hello from 127.0.0.1:*
        in sendto b 127.0.0.1:{in.d} there
        in recvfrom d => there from [::ffff:127.0.0.1]:5301
    ";
    dual_udp_unconnected: "A7", r"
        peer a = socket udp6
        peer bind a [::]:5300
        in c = socket udp6
        in bind c [::]:0
        in sendto c [2001:db8::100]:5300 six
        peer recvfrom a => six from [2001:db8::5]:*
        in sendto c [::ffff:10.0.0.100]:5300 four
        peer recvfrom a => four from [::ffff:10.0.0.5]:*
        peer sendto a [::ffff:10.0.0.6]:{in.c} four
        in recvfrom c => four from [::ffff:10.0.0.100]:5300
        peer sendto a [2001:db8::6]:{in.c} six
        in recvfrom c => six from [2001:db8::100]:5300
        peer sendto a [2001:db8::1]:{in.c} x
        in quiet c => quiet
        in d = socket udp4
        in sendto d 127.0.0.1:{in.c} loop
        in recvfrom c => loop from [::ffff:127.0.0.1]:*
    ";
    udp_connect_after_sendto: "A7", r"
        peer a = socket udp4
        peer bind a 0.0.0.0:5300
        in c = socket udp4
        in sendto c 10.0.0.100:5300 hello
        peer recvfrom a => hello from 10.0.0.5:*
        in connect c 10.0.0.100:5300
        in name c => 10.0.0.5:*
        in send c again
        peer recvfrom a => again from 10.0.0.5:*
        peer sendto a 10.0.0.5:{in.c} there
        in recvfrom c => there from 10.0.0.100:5300
        in connect c 192.0.2.1:5300
        in name c => 10.0.0.5:*
        in send c far
        peer recvfrom a => far from 10.0.0.5:*
        in d = socket udp6
        in sendto d [2001:db8::100]:5301 x
        in connect d [2001:db8::100]:5300
        in name d => [2001:db8::5]:*
    ";
    errors_find_their_socket: "A7", r"
        in c = socket udp4
        in sendto c 10.0.0.100:5300 x
        in connect c 10.0.0.100:5301
        in send c y
        in poll c err => err
        in recv c => ECONNREFUSED
        in d = socket udp6
        in bind d [::]:0
        in connect d [2001:db8::100]:5301
        in send d y
        in recv d => ECONNREFUSED
        in e = socket udp6
        in bind e [::]:0
        in connect e [::ffff:10.0.0.100]:5301
        in send e y
        in recv e => ECONNREFUSED
        in f = socket udp6
        in bind f [::]:0
        in connect f [2001:db8::9]:5301
        in send f y
        in recv f => ECONNREFUSED
    ";
    a_listener_again_after_shutdown: "A6", r"
        in a = socket tcp4
        in listen a
        in shutdown a rdwr
        in listen a
        peer c = socket tcp4
        peer connect c 10.0.0.6:{in.a}
        in b = accept a => from 10.0.0.100:*
        in d = socket tcp6
        in bind d [::]:0
        in listen d
        in shutdown d rdwr
        in listen d
        peer e = socket tcp4
        peer connect e 10.0.0.6:{in.d}
        in f = accept d => from [::ffff:10.0.0.100]:*
        peer g = socket tcp6
        peer connect g [2001:db8::6]:{in.d}
    ";
    names_and_sources_that_stay: "A7", r"
        in a = socket udp4
        in bind a 255.255.255.255:5300
        in connect a 10.0.0.100:5300
        in name a => 255.255.255.255:5300
        in b = socket udp4
        in bind b 0.0.0.0:5301
        in connect b 127.0.0.1:5300
        in connect b 10.0.0.1:5300 => EINVAL
        in connect b unspec
        in connect b 10.0.0.1:5300
        in name b => 10.0.0.5:5301
        in c = socket tcp4
        in opt c bind-no-port 1
        in connect c 10.0.0.5:8080 => ECONNREFUSED
        in name c => 0.0.0.0:*
    ";
    what_connected_to_ipv6_stays_there: "A7", r"
        in a = socket udp6
        in connect a [2001:db8::100]:5300
        in getopt a v6only => 0 / 1 [six-then-four]
        in connect a unspec
        in connect a [::ffff:10.0.0.100]:5300 => ok / ENETUNREACH [six-then-four]
        in b = socket tcp6
        in connect b [::1]:9999 => ECONNREFUSED
        in bind b [::ffff:0.0.0.0]:8081 => ok / EINVAL [six-then-four]
    ";
    a_group_on_this_machine_hears_from_the_hostlet: "A7", r"
        host a = socket udp6
        host opt a v6only 1
        host bind a [::]:5353
        host join a ff15::99 eth0
        in c = socket udp6
        in opt c mcast-if eth0
        in bind c [::]:0
        in connect c [ff15::99]:5353
        in send c hello
        host recvfrom a => hello from [2001:db8::5]:*
    ";
}
