//! A8: sockets on the host's real wildcard that connect and then only listen: no packet of theirs has told where
//! the route has put them.

cases! {
    a_query_without_a_connection_is_answered_in_it: "A8", r"
        peer b = socket udp4
        peer bind b 10.0.0.100:5300
        in a = socket udp4
        in sendto a 10.0.0.100:5300 x
        in connect a 10.0.0.100:5300
        peer sendto b 10.0.0.5:{in.a} y
        in recv a => y
        peer sendto b 10.0.0.5:{in.a} v
        in poll a in => in
        in recvfrom a => v from 10.0.0.100:5300
        in send a z
        peer sendto b 10.0.0.5:{in.a} w
        in recv a => w
        peer c = socket udp4
        peer bind c 10.0.0.100:5301
        peer sendto c 10.0.0.5:{in.a} other
        in quiet a => quiet
    ";
    the_same_of_ipv6: "A8", r"
        peer b = socket udp6
        peer bind b [2001:db8::100]:5300
        in a = socket udp6
        in sendto a [2001:db8::100]:5300 x
        in connect a [2001:db8::100]:5300
        peer sendto b [2001:db8::5]:{in.a} y
        in recvfrom a => y from [2001:db8::100]:5300
        peer d = socket udp4
        peer bind d 10.0.0.100:5301
        in c = socket udp6
        in sendto c [::ffff:10.0.0.100]:5301 x
        in connect c [::ffff:10.0.0.100]:5301
        peer sendto d 10.0.0.5:{in.c} y
        in recvfrom c => y from [::ffff:10.0.0.100]:5301
    ";
    bound_to_both_families_and_silent: "A8", r"
        peer b = socket udp6
        peer bind b [::]:5300
        in a = socket udp6
        in bind a [::]:0
        in connect a [2001:db8::100]:5300
        peer sendto b [2001:db8::5]:{in.a} six
        in recvfrom a => six from [2001:db8::100]:5300
        in c = socket udp6
        in bind c [::]:0
        in connect c [::ffff:10.0.0.100]:5300
        peer sendto b [::ffff:10.0.0.5]:{in.c} four
        in recvfrom c => four from [::ffff:10.0.0.100]:5300
        in connect c unspec
        in connect c [::ffff:10.0.0.100]:5300
        peer sendto b [::ffff:10.0.0.5]:{in.c} again
        in recvfrom c => again from [::ffff:10.0.0.100]:5300
    ";
    silent_to_the_host_and_to_itself: "A8", r"
        host b = socket udp4
        host bind b 10.0.0.1:5300
        in a = socket udp4
        in sendto a 10.0.0.1:5300 x
        in connect a 10.0.0.1:5300
        host recvfrom b => x from 10.0.0.5:*
        host sendto b 10.0.0.5:{in.a} y
        in recvfrom a => y from 10.0.0.1:5300
        in c = socket udp4
        in bind c 10.0.0.6:5301
        in d = socket udp4
        in sendto d 10.0.0.6:5301 x
        in connect d 10.0.0.6:5301
        in recvfrom c => x from 10.0.0.5:*
        in sendto c 10.0.0.5:{in.d} y
        in recvfrom d => y from 10.0.0.6:5301
        in e = socket udp4
        in bind e 127.0.0.1:5302
        in f = socket udp4
        in sendto f 127.0.0.1:5302 x
        in connect f 127.0.0.1:5302
        in recvfrom e => x from 127.0.0.1:*
        in sendto e 127.0.0.1:{in.f} y
        in recvfrom f => y from 127.0.0.1:5302
    ";
    an_error_of_what_was_sent_before: "A8", r"
        in a = socket udp4
        in sendto a 10.0.0.100:5300 x
        peer b = socket udp4
        peer c = socket udp4
        in connect a 10.0.0.100:5301
        in connect a 10.0.0.100:5300
        peer bind b 10.0.0.100:5300
        peer sendto b 10.0.0.5:{in.a} y
        in recv a => y
        peer bind c 10.0.0.100:5301
        peer sendto c 10.0.0.5:{in.a} other
        in quiet a => quiet
        peer connect b 10.0.0.5:{in.a}
        in close a
        peer send b z
        peer recv b => ECONNREFUSED
    ";
    told_where_it_was_sent_to: "A8", r"
        peer b = socket udp4
        peer bind b 10.0.0.100:5300
        in a = socket udp4
        in opt a pktinfo 1
        in sendto a 10.0.0.100:5300 x
        in connect a 10.0.0.100:5300
        peer recvfrom b => x from 10.0.0.5:*
        peer sendto b 10.0.0.5:{in.a} y
        in recvmsg a => y from 10.0.0.100:5300 to 10.0.0.5 local 10.0.0.5 via eth0
    ";
    to_all_zero_once_connected: "A7", r"
        in a = socket udp4
        in sendto a 127.0.0.1:5300 m
        in connect a 10.0.0.5:5300
        in sendmsg a 0.0.0.0:5300 n
        in recvfrom a => ECONNREFUSED
        in b = socket udp4
        in sendto b 10.0.0.6:5301 m
        in connect b 10.0.0.6:5301
        in sendto b 0.0.0.0:5301 n
        in recv b => EAGAIN
        in c = socket udp4
        in bind c 10.0.0.5:5302
        in sendto b 0.0.0.0:5302 o
        in recvfrom c => o from 10.0.0.5:*
        in d = socket udp4
        in sendto d 10.0.0.100:5303 m
        in connect d 10.0.0.100:5303
        in connect d 0.0.0.0:5302
        in peer d => 10.0.0.5:5302
        in name d => 10.0.0.5:*
        in send d p
        in recvfrom c => p from 10.0.0.5:*
        in connect d 127.0.0.1:5302 => ok
        in e = socket udp4
        in sendto e 127.0.0.1:5303 m
        in connect e 127.0.0.1:5303
        in sendto e 0.0.0.0:5304 x
        in f = socket udp6
        in bind f [::]:0
        in connect f [::ffff:10.0.0.100]:5303
        in sendto f [::ffff:0.0.0.0]:5302 q
        in recvfrom c => q from 10.0.0.5:*
    ";
    to_all_zero_once_connected_on_the_wildcard: "A7", r"
        in a = socket udp4
        in bind a 0.0.0.0:5300
        in b = socket udp4
        in bind b 0.0.0.0:5301
        in connect b 10.0.0.100:5302
        in sendto b 0.0.0.0:5300 m
        in recvfrom a => m from 10.0.0.5:5301
        in connect b 0.0.0.0:5300
        in peer b => 10.0.0.5:5300
        in c = socket udp4
        in bind c 0.0.0.0:5302
        in connect c 127.0.0.1:5303
        in sendto c 0.0.0.0:5300 n
        in recvfrom a => n from 127.0.0.1:5302
        in connect c 0.0.0.0:5300
        in peer c => 127.0.0.1:5300
        in connect c unspec
        in sendto c 0.0.0.0:5300 o
        in recvfrom a => o from 127.0.0.1:5302
        in connect c 0.0.0.0:5300
        in peer c => 127.0.0.1:5300
    ";
    to_all_zero_from_another_of_its_own: "A7", r"
        set nets
        in a = socket udp4
        in bind a 0.0.0.0:5300
        in b = socket udp4
        in bind b 0.0.0.0:5301
        in connect b 10.1.0.5:5300
        in name b => 10.1.0.5:5301
        in sendto b 0.0.0.0:5300 m
        in recvfrom a => m from 10.1.0.5:5301
        in connect b 0.0.0.0:5300
        in peer b => 10.1.0.5:5300
        in name b => 10.1.0.5:5301
    ";
    bound_to_many_and_connected_to_itself: "A7", r"
        in a = socket udp4
        in bind a 0.0.0.0:5300
        in b = socket udp4
        in bind b 255.255.255.255:5301
        in connect b 0.0.0.0:5300
        in peer b => 127.0.0.1:5300
        in c = socket udp4
        in bind c 10.0.0.255:5302
        in connect c 0.0.0.0:5300
        in peer c => 127.0.0.1:5300
        in d = socket udp4
        in bind d 10.0.0.255:5303
        in connect d 10.0.0.6:5300
        in name d => 10.0.0.255:5303
        in send d x
        in recvfrom a => x from 10.0.0.5:5303
        host e = socket udp4
        host bind e 10.0.0.1:5304
        in f = socket udp4
        in bind f 10.0.0.255:5305
        in connect f 10.0.0.1:5304
        in send f y
        host recvfrom e => y from 10.0.0.5:5305
    ";
    tcp_bound_to_many: "A7", r"
        in a = socket tcp4
        in bind a 10.0.0.255:8081
        in connect a 10.0.0.6:8080 => ECONNREFUSED
        in name a => 10.0.0.5:8081
        in b = socket tcp4
        in bind b 239.1.2.3:8082
        in connect b 127.0.0.1:8080 => ECONNREFUSED
        in name b => 127.0.0.1:8082
        peer c = socket tcp4
        peer bind c 0.0.0.0:8083
        peer listen c
        in d = socket tcp4
        in bind d 10.0.0.255:8084
        in connect d 10.0.0.100:8083
        in name d => 10.0.0.5:8084
        peer e = accept c => from 10.0.0.5:8084
        in send d x
        peer recv e => x
    ";
}
