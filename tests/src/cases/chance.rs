//! More differences that generated cases found and that are mended, as those of `found`.

cases! {
    zero_is_the_own_address_where_the_port_is_left_open: "A2", r"
        in s = socket udp4
        in opt s bind-no-port 1
        in bind s 10.0.0.6:0
        in connect s 0.0.0.0:5301
        in peer s => 10.0.0.6:5301
        in t = socket udp4
        in opt t bind-no-port 1
        in bind t 127.0.0.1:0
        in connect t 0.0.0.0:5301
        in peer t => 127.0.0.1:5301
        in l = socket tcp4
        in bind l 10.0.0.6:8080
        in listen l
        in u = socket tcp4
        in opt u bind-no-port 1
        in bind u 10.0.0.6:0
        in connect u 0.0.0.0:8080
        in peer u => 10.0.0.6:8080
        in name u => 10.0.0.6:*
    ";
    connected_to_the_loopback_after_a_datagram: "A7", r"
        in s = socket udp4
        in sendmsg s 10.0.0.5:5300 x src=10.0.0.5
        in connect s 127.0.0.1:5300
        in name s => 127.0.0.1:*
        in connect s 10.0.0.1:5301 => EINVAL
        in connect s 10.0.0.6:5301
        in name s => 127.0.0.1:*
        in v = socket udp6
        in sendmsg v [2001:db8::5]:5300 x
        in connect v [::1]:5300
        in connect v [2001:db8::1]:5301
        in name v => [::1]:*
    ";
    connected_to_both_families: "A7", r"
        in s = socket udp6
        in bind s [::]:0
        in connect s [::ffff:10.0.0.100]:5301
        in connect s [2001:db8::1]:5300 => EAFNOSUPPORT
        in name s => [::ffff:10.0.0.5]:*
        in t = socket udp6
        in bind t [::ffff:255.255.255.255]:5300
        in connect t [2001:db8::1]:5300 => EAFNOSUPPORT
        in sendto t [::ffff:10.0.0.9]:5300 x => EINVAL
    ";
    connected_to_a_family_that_is_lacking: "A7", r"
        set four
        in s = socket udp6
        in sendto s [2001:db8::100]:5300 x => ENETUNREACH
        in connect s [::ffff:10.0.0.100]:5300
        in connect s [2001:db8::5]:5300 => ENETUNREACH
    ";
    nobody_at_the_loopback_of_both_families: "A2", r"
        in a = socket udp6
        in bind a [::]:5310
        in connect a [::ffff:127.0.0.1]:5309
        in send a x
        in recv a => ECONNREFUSED
        in b = socket udp6
        in bind b [::ffff:0.0.0.0]:5311
        in connect b [::]:5309
        in send b x
        in recvfrom b => ECONNREFUSED
        in c = socket udp4
        in bind c 127.0.0.1:5312
        in connect a [::ffff:127.0.0.1]:5312
        in send a y
        in recvfrom c => y from 127.0.0.1:5310
        in sendto c 127.0.0.1:5310 z
        in recvfrom a => z from [::ffff:127.0.0.1]:5312
    ";
    to_another_than_the_peer_after_a_datagram: "A7", r"
        set nets
        in a = socket udp4
        in sendto a 10.1.0.100:5300 x
        in connect a 10.0.0.100:5300
        peer b = socket udp4
        peer sendto b 10.1.0.5:5300 x
        in sendto a 10.1.0.100:{peer.b} y
        peer recvfrom b => y from 10.0.0.5:*
        in c = socket udp4
        in bind c 127.0.0.1:5301
        in sendto a 127.0.0.1:5301 z
        in recvfrom c => z from 10.0.0.5:*
        in connect a 127.0.0.1:5301
        in d = socket udp6
        in sendto d [::1]:5300 x
        in connect d [::ffff:10.0.0.5]:5300
        in sendto d [2001:db8::5]:5300 y => EAFNOSUPPORT
        in e = socket udp4
        in sendto e 10.1.0.5:5300 x
        in connect e 127.0.0.1:5301
        in sendto e 10.0.0.100:5300 y => EINVAL
    ";
    bound_again_where_the_port_is_left_open: "A6", r"
        in a = socket udp4
        in opt a bind-no-port 1
        in bind a 255.255.255.255:0
        in bind a 0.0.0.0:0
        in name a => 0.0.0.0:0
        in bind a 10.0.0.6:0
        in name a => 10.0.0.6:0
        in sendto a 10.0.0.100:5300 x
        in name a => 10.0.0.6:*
    ";
    from_a_mapped_group_to_a_family_that_is_lacking: "A7", r"
        set four
        in a = socket udp6
        in bind a [::ffff:239.1.2.3]:5300
        in sendto a [2001:db8::9]:5300 x => ENETUNREACH
    ";
    connected_after_a_datagram_that_was_refused_at_once: "A7", r"
        in a = socket udp4
        in sendto a 127.0.0.1:0 x => EINVAL
        in connect a 10.0.0.9:5301
        in name a => 10.0.0.5:*
        in connect a 10.0.0.9:5300
        peer b = socket udp4
        peer bind b 10.0.0.100:5302
        in c = socket udp6
        in send c x => EDESTADDRREQ
        in connect c [::ffff:10.0.0.100]:5302
        in send c y
        peer recvfrom b => y from 10.0.0.5:*
    ";
    connected_to_port_0: "A7", r"
        in a = socket udp4
        in connect a 10.0.0.6:0
        in b = socket udp4
        in bind b 127.0.0.1:5300
        in sendto a 127.0.0.1:5300 x
        in recvfrom b => x from 10.0.0.5:*
    ";
    a_socket_for_each_client_beside_the_wildcard: "A6", r"
        in l = socket udp4
        in opt l reuseaddr 1
        in bind l 0.0.0.0:5300
        peer p = socket udp4
        peer sendto p 10.0.0.6:5300 one
        in recvfrom l => one from 10.0.0.100:*
        in c = socket udp4
        in opt c reuseaddr 1
        in bind c 10.0.0.6:5300
        in connect c 10.0.0.100:{peer.p}
        peer sendto p 10.0.0.6:5300 two
        in recvfrom c => two from 10.0.0.100:*
        peer q = socket udp4
        peer sendto q 10.0.0.6:5300 three
        in recvfrom l => three from 10.0.0.100:*
        in sendto l 10.0.0.100:{peer.q} four
        peer recvfrom q => four from 10.0.0.5:5300 / four from 10.0.0.6:5300 [udp-answer]
        in close c
        peer sendto p 10.0.0.6:5300 five
        in recvfrom l => five from 10.0.0.100:*
        in d = socket udp4
        in opt d reuseaddr 1
        in bind d 10.0.0.6:5300
        peer sendto p 10.0.0.6:5300 six
        in recvfrom d => six from 10.0.0.100:*
    ";
    connected_to_an_own_address_of_another_network: "A7", r"
        set nets
        in a = socket udp6
        in bind a [::]:5301
        in connect a [::ffff:10.1.0.5]:5300
        in send a x
        in recv a => ECONNREFUSED
    ";
    bound_to_the_mapped_wildcard_where_the_port_is_left_open: "A7", r"
        in a = socket udp6
        in opt a bind-no-port 1
        in bind a [::ffff:0.0.0.0]:0
        in connect a [2001:db8::100]:5300 => EAFNOSUPPORT
        in connect a [::ffff:10.0.0.100]:5300
        in name a => [::ffff:10.0.0.5]:*
    ";
    an_address_of_a_connection_that_was_closed: "A6", r"
        in l = socket tcp4
        in bind l 0.0.0.0:8080
        in listen l
        in a = socket tcp4
        in bind a 0.0.0.0:8081
        in connect a 127.0.0.1:8080
        in close a
        in b = socket tcp4
        in bind b 127.0.0.1:8081 => EADDRINUSE / ok [wildcard-restart]
    ";
    connected_to_the_other_family_after_the_real_wildcard: "A7", r"
        in a = socket udp6
        in bind a [::]:0
        in connect a [2001:db8::100]:5300
        in connect a [::ffff:10.0.0.100]:5300
        in send a x => ok / EPERM [six-then-four]
    ";
    the_name_of_a_group_where_the_port_is_left_open: "A7", r"
        in a = socket udp6
        in opt a bind-no-port 1
        in bind a [ff0e::1:7]:0
        in connect a [2001:db8::100]:5301
        in name a => [ff0e::1:7]:* / [2001:db8::5]:* [bound-to-all]
    ";
    connected_from_a_mapped_group_where_the_family_is_lacking: "A7", r"
        set six
        in a = socket udp6
        in bind a [::ffff:239.1.2.3]:5300
        in connect a 10.0.0.100:5301 => EINVAL
        in b = socket udp4
        in bind b 239.1.2.3:5301
        in connect b 10.0.0.100:5301 => ENETUNREACH
    ";
    a_socket_of_a_group_answers_by_route: "C3", r"
        in a = socket udp4
        in opt a reuseaddr 1
        in bind a 239.1.2.3:5300
        in b = socket udp6
        in opt b reuseaddr 1
        in bind b [::]:5300
        peer p = socket udp4
        peer sendto p 10.0.0.6:5300 x
        in sendto a 10.0.0.100:{peer.p} y
        peer recvfrom p => y from 10.0.0.5:5300
        in sendto b [::ffff:10.0.0.100]:{peer.p} z
        peer recvfrom p => z from 10.0.0.5:5300 / z from 10.0.0.6:5300 [udp-answer]
    ";
    what_came_before_a_connect_that_was_not_the_first: "A7", r"
        in a = socket udp4
        in bind a 0.0.0.0:5300
        in b = socket udp6
        in sendmsg b [::ffff:127.0.0.1]:5300 x src=2001:db8::6 => EINVAL
        in sendto a 127.0.0.1:{in.b} y
        in connect b [::ffff:10.0.0.6]:5300
        in recvfrom b => y from [::ffff:127.0.0.1]:5300 / EAGAIN [failed-call-port]
    ";
    told_of_the_loopback_after_a_datagram_elsewhere: "A2", r"
        in a = socket udp4
        in opt a pktinfo 1
        in sendto a 10.0.0.100:5300 x
        in connect a 0.0.0.0:{in.a}
        in send a y
        in recvmsg a => y from 127.0.0.1:* to 127.0.0.1 local 127.0.0.1 via lo
        in b = socket udp4
        in bind b 127.0.0.1:5301
        in connect a 127.0.0.1:5301
        in sendto b 127.0.0.1:{in.a} z
        in recvmsg a => z from 127.0.0.1:5301 to 127.0.0.1 local 127.0.0.1 via lo
        in c = socket udp6
        in opt c pktinfo 1
        in sendto c [2001:db8::100]:5300 x
        in d = socket udp6
        in bind d [::1]:5302
        in connect c [::1]:5302
        in sendto d [::1]:{in.c} w
        in recvmsg c => w from [::1]:5302 to ::1 via lo
    ";
    a_neighbour_that_has_no_way_back: "A7", r"
        set nets
        host a = socket udp6
        host bind a [2001:db8::1]:5301
        in b = socket udp6
        in bind b [2001:db8:1::5]:5300
        in sendto b [2001:db8::1]:5301 x
        host recvfrom a => EAGAIN / x from [2001:db8:1::5]:5300 [near-neighbour]
    ";
    an_accepted_socket_that_connects_to_itself: "A7", r"
        in a = socket tcp6
        in bind a [::ffff:0.0.0.0]:8080
        in listen a
        peer b = socket tcp4
        peer connect b 10.0.0.6:8080
        in c = accept a => from [::ffff:10.0.0.100]:*
        in connect c unspec
        in connect c [::ffff:0.0.0.0]:8080
        in name c => [::ffff:10.0.0.6]:* / [::ffff:127.0.0.1]:* [kept-source]
    ";
    zero_after_a_connect_of_an_unbound_socket: "A7", r"
        set nets
        in a = socket udp4
        in sendto a 127.0.0.2:5301 x
        in connect a 10.0.0.5:5300
        in connect a 0.0.0.0:5300
        in peer a => 10.0.0.5:5300
    ";
    sent_from_a_mapped_group_that_could_not_connect: "A7", r"
        in a = socket udp6
        in bind a [::ffff:239.1.2.3]:5301
        in connect a [::ffff:10.0.0.6]:5301 => EINVAL
        in sendto a [::ffff:10.0.0.100]:5302 x => EINVAL / ok [group-connect]
    ";
    sent_to_zero_from_a_group_that_is_connected: "A7", r"
        set nets
        in a = socket udp4
        in bind a 239.1.2.3:5300
        in connect a 10.1.0.5:5301
        in b = socket udp4
        in sendto b 10.0.0.100:5300 x
        in sendto a 0.0.0.0:{in.b} y
        in recvfrom b => y from 10.1.0.5:5300
    ";
}
