//! A7 and A2: sockets on the wildcard that connect; what they and their peers see.

cases! {
    tcp4_to_the_loopback: "A2", r"
        in a = socket tcp4
        in bind a 127.0.0.1:8080
        in listen a
        in c = socket tcp4
        in bind c 0.0.0.0:8081
        in name c => 0.0.0.0:8081
        in connect c 127.0.0.1:8080
        in name c => 127.0.0.1:8081
        in peer c => 127.0.0.1:8080
        in b = accept a => from 127.0.0.1:8081
        in peer b => 127.0.0.1:8081
        in name b => 127.0.0.1:8080
        in send c hello
        in recv b => hello
        in send b there
        in recv c => there
        in d = socket tcp4
        in bind d 0.0.0.0:0
        in connect d 127.0.0.1:8080
        in name d => 127.0.0.1:*
        in e = accept a => from 127.0.0.1:*
    ";
    tcp4_to_a_server_on_the_wildcard: "A2", r"
        in a = socket tcp4
        in bind a 0.0.0.0:8080
        in listen a
        in c = socket tcp4
        in bind c 0.0.0.0:8081
        in connect c 0.0.0.0:8080
        in name c => 127.0.0.1:8081
        in peer c => 127.0.0.1:8080
        in close c
        in b = accept a => from 127.0.0.1:8081
        in peer b => ENOTCONN|127.0.0.1:8081
        in name b => 127.0.0.1:8080
    ";
    tcp4_by_name_of_the_own_address: "A7", r"
        in a = socket tcp4
        in bind a 0.0.0.0:8080
        in listen a
        in c = socket tcp4
        in bind c 0.0.0.0:8081
        in connect c 10.0.0.5:8080
        in name c => 10.0.0.5:8081
        in b = accept a => from 10.0.0.5:8081
        in d = socket tcp4
        in bind d 0.0.0.0:8082
        in connect d 10.0.0.6:8080
        in name d => 10.0.0.5:8082
        in e = accept a => from 10.0.0.5:8082
        in f = socket tcp4
        in bind f 10.0.0.5:8083
        in connect f 127.0.0.1:8080
        in name f => 10.0.0.5:8083
        in peer f => 127.0.0.1:8080
        in g = accept a => from 10.0.0.5:8083
    ";
    tcp4_one_port_after_the_other: "A2", r"
        in a = socket tcp4
        in bind a 127.0.0.1:8080
        in listen a
        in c = socket tcp4
        in opt c reuseaddr 1
        in bind c 0.0.0.0:8081
        in connect c 127.0.0.1:8080
        in b = accept a => from 127.0.0.1:8081
        in close b
        in recv c => nothing
        in close c
        in d = socket tcp4
        in opt d reuseaddr 1
        in bind d 10.0.0.5:8081
        in connect d 127.0.0.1:8080
        in name d => 10.0.0.5:8081
        in e = accept a => from 10.0.0.5:8081
        in close e
        in recv d => nothing
        in close d
        in f = socket tcp4
        in opt f reuseaddr 1
        in bind f 0.0.0.0:8081
        in connect f 127.0.0.1:8080
        in name f => 127.0.0.1:8081
        in g = accept a => from 127.0.0.1:8081
    ";
    tcp4_refused: "A2", r"
        in c = socket tcp4
        in bind c 0.0.0.0:8081
        in connect c 127.0.0.1:8080 => ECONNREFUSED
        in name c => 0.0.0.0:8081
        in a = socket tcp4
        in bind a 127.0.0.1:8080
        in listen a
        in connect c 127.0.0.1:8080
        in name c => 127.0.0.1:8081
        in b = accept a => from 127.0.0.1:8081
    ";
    tcp4_to_another_net_of_its_own: "A7", r"
        set nets
        in a = socket tcp4
        in bind a 0.0.0.0:8080
        in listen a
        in c = socket tcp4
        in bind c 0.0.0.0:8081
        in connect c 10.1.0.5:8080
        in name c => 10.1.0.5:8081
        in peer c => 10.1.0.5:8080
        in b = accept a => from 10.1.0.5:8081
        in d = socket tcp4
        in bind d 0.0.0.0:8082
        in connect d 127.0.0.1:8080
        in name d => 127.0.0.1:8082
        in e = accept a => from 127.0.0.1:8082
    ";
    tcp6_to_the_loopback: "A2", r"
        in a = socket tcp6
        in bind a [::1]:8080
        in listen a
        in c = socket tcp6
        in opt c v6only 1
        in bind c [::]:8081
        in connect c [::1]:8080
        in name c => [::1]:8081
        in peer c => [::1]:8080
        in b = accept a => from [::1]:8081
        in send c hello
        in recv b => hello
    ";
    tcp_mapped_to_the_loopback: "A2", r"
        in a = socket tcp4
        in bind a 127.0.0.1:8080
        in listen a
        in c = socket tcp6
        in bind c [::]:8081
        in connect c [::ffff:127.0.0.1]:8080
        in name c => [::ffff:127.0.0.1]:8081
        in peer c => [::ffff:127.0.0.1]:8080
        in b = accept a => from 127.0.0.1:8081
        in d = socket tcp6
        in bind d [::]:8082
        in listen d
        in e = socket tcp4
        in bind e 0.0.0.0:8083
        in connect e 127.0.0.1:8082
        in f = accept d => from [::ffff:127.0.0.1]:8083
        in name f => [::ffff:127.0.0.1]:8082
    ";
    udp4_to_the_loopback: "A2", r"
        in a = socket udp4
        in bind a 127.0.0.1:5300
        in c = socket udp4
        in bind c 0.0.0.0:5301
        in connect c 127.0.0.1:5300
        in name c => 127.0.0.1:5301
        in peer c => 127.0.0.1:5300
        in send c hello
        in recvfrom a => hello from 127.0.0.1:5301
        in sendto a 127.0.0.1:5301 there
        in recvfrom c => there from 127.0.0.1:5300
        in connect a 127.0.0.1:5301
        in peer a => 127.0.0.1:5301
        in send a again
        in recvfrom c => again from 127.0.0.1:5300
        in send c last
        in recvfrom a => last from 127.0.0.1:5301
        in close c
        in send a gone
        in recv a => ECONNREFUSED
    ";
    udp4_both_on_the_wildcard: "A2", r"
        in a = socket udp4
        in bind a 0.0.0.0:5300
        in c = socket udp4
        in bind c 0.0.0.0:5301
        in connect c 127.0.0.1:5300
        in send c hello
        in recvfrom a => hello from 127.0.0.1:5301
        in sendto a 127.0.0.1:5301 there
        in recvfrom c => there from 127.0.0.1:5300
        in connect a 127.0.0.1:5301
        in name a => 127.0.0.1:5300
        in peer a => 127.0.0.1:5301
        in send a again
        in recvfrom c => again from 127.0.0.1:5300
        in send c last
        in recvfrom a => last from 127.0.0.1:5301
    ";
    /// As `nc -u -l` does: a server on the wildcard connects to who spoke first.
    udp4_back_to_an_unbound_client: "A2", r"
        in a = socket udp4
        in bind a 0.0.0.0:5300
        in c = socket udp4
        in connect c 127.0.0.1:5300
        in send c hello
        in recvfrom a => hello from 127.0.0.1:*
        in connect a 127.0.0.1:{in.c}
        in name a => 127.0.0.1:5300
        in send a there
        in recvfrom c => there from 127.0.0.1:5300
        in send c again
        in recvfrom a => again from 127.0.0.1:*
    ";
    udp4_only_the_peer_is_heard: "A2", r"
        in c = socket udp4
        in bind c 0.0.0.0:5301
        in connect c 127.0.0.1:5300
        in b = socket udp4
        in bind b 127.0.0.1:5302
        in sendto b 127.0.0.1:5301 x
        in quiet c => quiet
        peer d = socket udp4
        peer bind d 0.0.0.0:5300
        peer sendto d 10.0.0.5:5301 x
        in quiet c => quiet
        in connect c unspec
        in name c => 0.0.0.0:5301
        in e = socket udp4
        in sendto e 127.0.0.1:5301 open
        in recvfrom c => open from 127.0.0.1:*
        peer sendto d 10.0.0.5:5301 far
        in recvfrom c => far from 10.0.0.100:5300
    ";
    udp4_refused: "A2", r"
        in c = socket udp4
        in bind c 0.0.0.0:5301
        in connect c 127.0.0.1:5300
        in send c x
        in recv c => ECONNREFUSED
        in a = socket udp4
        in bind a 127.0.0.1:5300
        in send c y
        in recvfrom a => y from 127.0.0.1:5301
    ";
    udp4_gone_before_it_is_read: "A2", r"
        in a = socket udp4
        in bind a 127.0.0.1:5300
        in c = socket udp4
        in bind c 0.0.0.0:5301
        in connect c 127.0.0.1:5300
        in send c hello
        in close c
        in recvfrom a => hello from 127.0.0.1:5301
        in d = socket udp4
        in bind d 10.0.0.5:5301
        in connect d 127.0.0.1:5300
        in name d => 10.0.0.5:5301
        in send d hello
        in recvfrom a => hello from 10.0.0.5:5301
        in sendto a 10.0.0.5:5301 there
        in recvfrom d => there from 127.0.0.1:5300
    ";
    udp4_connected_twice: "A2", r"
        in a = socket udp4
        in bind a 0.0.0.0:5300
        in c = socket udp4
        in bind c 0.0.0.0:5301
        in connect c 127.0.0.1:5300
        in name c => 127.0.0.1:5301
        in connect c unspec
        in connect c 10.0.0.5:5300
        in name c => 10.0.0.5:5301
        in peer c => 10.0.0.5:5300
        in send c own
        in recvfrom a => own from 10.0.0.5:5301
        in connect c unspec
        in name c => 0.0.0.0:5301
        in sendto c 10.0.0.5:5300 own
        in recvfrom a => own from 10.0.0.5:5301
        in sendto c 127.0.0.1:5300 loop
        in recvfrom a => loop from 127.0.0.1:5301
        in connect c 127.0.0.1:5300
        in send c again
        in recvfrom a => again from 127.0.0.1:5301
    ";
    udp4_to_another_net_of_its_own: "A7", r"
        set nets
        in a = socket udp4
        in bind a 0.0.0.0:5300
        in c = socket udp4
        in bind c 0.0.0.0:5301
        in connect c 10.1.0.5:5300
        in name c => 10.1.0.5:5301
        in peer c => 10.1.0.5:5300
        in send c hello
        in recvfrom a => hello from 10.1.0.5:5301
        in sendto a 10.1.0.5:5301 there
        in recvfrom c => there from 10.1.0.5:5300
    ";
    udp6_to_the_loopback: "A2", r"
        in a = socket udp6
        in bind a [::1]:5300
        in c = socket udp6
        in opt c v6only 1
        in bind c [::]:5301
        in connect c [::1]:5300
        in name c => [::1]:5301
        in send c hello
        in recvfrom a => hello from [::1]:5301
        in sendto a [::1]:5301 there
        in recvfrom c => there from [::1]:5300
    ";
    udp_mapped_to_the_loopback: "A2", r"
        in a = socket udp4
        in bind a 127.0.0.1:5300
        in c = socket udp6
        in bind c [::]:5301
        in connect c [::ffff:127.0.0.1]:5300
        in name c => [::ffff:127.0.0.1]:5301
        in send c hello
        in recvfrom a => hello from 127.0.0.1:5301
        in sendto a 127.0.0.1:5301 there
        in recvfrom c => there from [::ffff:127.0.0.1]:5300
    ";
    dual_stack_to_ipv6: "A7", r"
        peer a = socket tcp6
        peer opt a v6only 1
        peer bind a [::]:8080
        peer listen a
        in c = socket tcp6
        in bind c [::]:8081
        in connect c [2001:db8::100]:8080 => ok / EAFNOSUPPORT [dual-connect]
        in u = socket udp6
        in bind u [::]:5301
        in connect u [2001:db8::100]:5300 => ok / EAFNOSUPPORT [dual-connect]
        in b = socket tcp6
        in bind b [::1]:8080
        in listen b
        in d = socket tcp6
        in bind d [::]:8082
        in connect d [::1]:8080 => ok / EAFNOSUPPORT [dual-connect]
    ";
    where_the_loopback_was_asked: "A2", r"
        in a = socket udp4
        in bind a 0.0.0.0:5301
        in b = socket udp4
        in opt b pktinfo 1
        in bind b 0.0.0.0:5300
        in connect b 127.0.0.1:5301
        in sendto a 127.0.0.1:5300 x
        in recvmsg b => x from 127.0.0.1:5301 to 127.0.0.1 local 127.0.0.1 via lo
        in send b y
        in recvfrom a => y from 127.0.0.1:5300
        in c = socket udp6
        in opt c v6only 1
        in bind c [::]:5303
        in d = socket udp6
        in opt d v6only 1
        in opt d pktinfo 1
        in bind d [::]:5302
        in connect d [::1]:5303
        in sendto c [::1]:5302 z
        in recvmsg d => z from [::1]:5303 to ::1 via lo
    ";
    told_of_what_it_sends_itself: "A8", r"
        in a = socket udp4
        in opt a pktinfo 1
        in bind a 0.0.0.0:5300
        in connect a 127.0.0.1:5300
        in send a x
        in recvmsg a => x from 127.0.0.1:5300 to 127.0.0.1 local 127.0.0.1 via lo
    ";
}
