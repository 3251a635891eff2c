//! Known differences that no other case meets.

cases! {
    a_udp_port_that_the_host_holds: "A6", r"
        host a = socket udp4
        host bind a 0.0.0.0:5300
        in b = socket udp4
        in bind b 0.0.0.0:5300 => ok / EADDRINUSE [udp-host-port]
        in bind b 10.0.0.6:5301 => EINVAL / ok [udp-host-port]
    ";
    a_client_at_a_port_under_the_surface: "C4", r"
        host a = socket tcp4
        host bind a 0.0.0.0:8080
        host listen a
        peer s = socket tcp4
        peer bind s 0.0.0.0:8081
        peer listen s
        in c = socket tcp4
        in bind c 10.0.0.6:8080
        in connect c 10.0.0.100:8081
        in name c => 10.0.0.6:8080 / 10.0.0.6:* [hidden-port]
        peer d = accept s => from 10.0.0.6:8080 / from 10.0.0.6:* [hidden-port]
    ";
    a_listener_that_was_shut_down: "A15", r"
        in a = socket tcp4
        in opt a reuseaddr 1
        in bind a 0.0.0.0:8080
        in listen a
        in shutdown a rdwr
        in b = socket tcp4
        in opt b reuseaddr 1
        in bind b 0.0.0.0:8080 => ok / EADDRINUSE [shut-listener]
        in close a
        in c = socket tcp4
        in opt c reuseaddr 1
        in bind c 0.0.0.0:8080
    ";
    sources_that_outlast_a_connection: "A7", r"
        in a = socket tcp6
        in bind a [::ffff:0.0.0.0]:8081
        in connect a [::ffff:10.0.0.100]:8080 => ECONNREFUSED
        in name a => [::ffff:10.0.0.5]:8081 / [::ffff:0.0.0.0]:8081 [kept-source]
        in b = socket tcp4
        in bind b 10.0.0.5:8080
        in listen b
        peer c = socket tcp4
        peer connect c 10.0.0.5:8080
        in d = accept b => from 10.0.0.100:*
        in connect d unspec
        in name d => 10.0.0.5:8080 / 0.0.0.0:8080 [kept-source]
    ";
    to_any_of_both_families: "A8", r"
        in b = socket udp6
        in bind b [::]:5300
        in c = socket udp6
        in bind c [::]:5301
        in sendto b [::]:5301 x
        in recvfrom c => x from [::1]:5300 / x from [::ffff:127.0.0.1]:5300 [dual-any]
    ";
    to_any_from_an_address: "A8", r"
        in d = socket udp4
        in bind d 10.0.0.5:5303
        in opt d pktinfo 1
        in sendto d 0.0.0.0:5303 y
        in recvmsg d => y from 10.0.0.5:5303 to 10.0.0.5 local 10.0.0.5 via lo / y from 10.0.0.5:5303 to 10.0.0.5 local 10.0.0.5 via eth0 [any-interface]
    ";
    from_a_broadcast_address_to_an_own_one: "A7", r"
        in f = socket udp4
        in bind f 10.0.0.255:5306
        in connect f 10.0.0.6:5300
        in send f z
    ";
    a_port_that_a_refused_call_left: "A7", r"
        other a = socket udp4
        other opt a bind-no-port 1
        other bind a 127.0.0.1:0
        other connect a 10.0.0.5:5301 => EINVAL
        other name a => 127.0.0.1:* / 127.0.0.1:0 [failed-call-port]
    ";
    from_where_a_neighbour_has_no_route: "A7", r"
        set nets
        in a = socket tcp6
        in bind a [2001:db8:1::5]:8080
        in connect a [2001:db8::9]:8080 => EINPROGRESS / ECONNREFUSED [near-neighbour]
        in b = socket tcp6
        in bind b [2001:db8:1::5]:8081
        in connect b [2001:db8::1]:8080 => EINPROGRESS / ECONNREFUSED [near-neighbour]
    ";
    one_of_an_earlier_bind_does_not_share: "A6", r"
        in a = socket udp4
        in bind a 10.0.0.5:5300
        in b = socket udp4
        in opt b reuseport 1
        in bind b 127.0.0.1:5300
        in c = socket udp4
        in opt c reuseport 1
        in bind c 0.0.0.0:5300 => ok / EADDRINUSE [reuse-earlier]
    ";
    listening_again_where_a_connection_is_open: "A15", r"
        set nets
        in a = socket tcp4
        in bind a 0.0.0.0:8080
        in listen a
        peer b = socket tcp4
        peer connect b 10.1.0.5:8080
        in c = accept a => from 10.1.0.100:*
        in shutdown a rdwr
        in listen a => EADDRINUSE / ok [wildcard-restart]
    ";
    a_foreign_source_with_freebind: "A8", r"
        in a = socket udp6
        in opt a freebind 1
        in sendmsg a [::1]:5300 x src=2001:db8::9 => ok / EINVAL [freebind]
    ";
    a_port_that_af_unspec_gave_back: "A7", r"
        in a = socket udp4
        in bind a 10.0.0.6:0
        in connect a unspec
        in sendto a 10.0.0.100:5300 x
        peer b = socket udp4
        peer sendto b 10.0.0.6:{in.a} y
        in recvfrom a => y from 10.0.0.100:* / EAGAIN [failed-call-port]
    ";
    reading_from_a_listener: "A6", r"
        in a = socket tcp4
        in bind a 10.0.0.6:8080
        in recv a => ENOTCONN
        in listen a
        in recv a => ENOTCONN / EAGAIN [listener-reads]
    ";
    an_option_taken_back_before_listening: "A6", r"
        in a = socket tcp6
        in opt a reuseaddr 1
        in bind a [::1]:8080
        in b = socket tcp6
        in opt b reuseaddr 1
        in bind b [::]:8080
        in opt a reuseaddr 0
        in listen a => EADDRINUSE / ok [reuse-after-bind]
    ";
    the_host_listens_first: "A6", r"
        in a = socket tcp4
        in opt a reuseaddr 1
        in bind a 0.0.0.0:8080
        host b = socket tcp4
        host opt b reuseaddr 1
        host bind b 0.0.0.0:8080
        host listen b
        in listen a => ok / EADDRINUSE [host-wildcard-later]
    ";
    to_any_and_then_elsewhere: "A7", r"
        in a = socket udp6
        in opt a v6only 1
        in bind a [::]:0
        in connect a [::]:{in.a}
        in connect a [2001:db8::100]:5300
        in name a => [::1]:* / [2001:db8::5]:* [wildcard-connect]
    ";
    the_host_s_address_named_as_the_source: "A8", r"
        peer p = socket udp4
        peer bind p 10.0.0.100:5300
        in a = socket udp4
        in sendto a 10.0.0.100:5300 x
        in connect a 10.0.0.100:5300
        in sendmsg a 10.0.0.100:5300 y src=10.0.0.1 => ENETUNREACH / ok [source-foreign]
        in sendmsg a - y src=10.0.0.9 => ENETUNREACH / ok [source-foreign]
        in b = socket udp6
        in bind b [::]:0
        in connect b [2001:db8::100]:5300
        in sendmsg b [2001:db8::100]:5300 y src=2001:db8::1 => EINVAL / ok [source-foreign]
    ";
    the_primary_address_named_as_the_source: "A7", r"
        set nets
        peer p = socket udp4
        peer bind p 0.0.0.0:5301
        in a = socket udp4
        in bind a 0.0.0.0:5300
        in sendmsg a 10.1.0.100:5301 x src=10.0.0.5
        peer recvfrom p => x from 10.0.0.5:5300 / x from 10.1.0.5:5300 [source-primary]
    ";
    a_listener_that_was_connected_to_nothing: "A15", r"
        in a = socket tcp4
        in opt a reuseaddr 1
        in bind a 10.0.0.6:8080
        in listen a
        in connect a unspec
        in b = socket tcp4
        in opt b reuseaddr 1
        in bind b 0.0.0.0:8080 => ok / EADDRINUSE [shut-listener]
    ";
    one_of_an_earlier_bind_that_shares_otherwise: "A6", r"
        in a = socket tcp4
        in opt a reuseaddr 1
        in bind a 0.0.0.0:8080
        in b = socket tcp4
        in opt b reuseport 1
        in opt b reuseaddr 1
        in bind b 127.0.0.1:8080
        in listen b
        in c = socket tcp4
        in opt c reuseport 1
        in opt c reuseaddr 1
        in bind c 0.0.0.0:8080 => ok / EADDRINUSE [reuse-earlier]
    ";
    an_accepted_socket_that_connects: "A7", r"
        in a = socket tcp4
        in bind a 127.0.0.1:8080
        in listen a
        in b = socket tcp4
        in connect b 127.0.0.1:8080
        in c = accept a => from 127.0.0.1:*
        in connect c unspec
        in connect c 10.0.0.100:8080 => EINVAL / ECONNREFUSED [kept-source]
    ";
    a_port_under_the_surface_left_open: "C4", r"
        host a = socket tcp4
        host bind a 0.0.0.0:8080
        host listen a
        in b = socket tcp4
        in opt b bind-no-port 1
        in bind b 0.0.0.0:8080
        in c = socket tcp6
        in bind c [::]:8080 => EADDRINUSE / ok [hidden-port]
        in close c
        in bind b 127.0.0.1:8080 => EINVAL / ok [hidden-port]
    ";
    a_port_under_the_surface_shut_down: "C4", r"
        host a = socket tcp6
        host bind a [::]:8080
        host listen a
        in b = socket tcp6
        in bind b [::1]:8080
        in listen b
        in shutdown b rdwr
        in opt b v6only 0 => EINVAL / ok [hidden-port]
    ";
    a_source_on_the_loopback_to_somebody_on_this_machine: "A8", r"
        host h = socket udp4
        host bind h 10.0.0.1:5300
        in a = socket udp4
        in connect a 10.0.0.1:5300
        in sendmsg a - x src=127.0.0.1 => EINVAL / ok [source-loopback]
        in sendmsg a 10.0.0.1:5300 x src=127.0.0.1 => EINVAL
        host quiet h
        other n = socket udp4
        other bind n 10.0.0.9:5300
        in b = socket udp4
        in connect b 10.0.0.9:5300
        in sendmsg b - x src=127.0.0.1 => EINVAL / ok [source-loopback]
        other quiet n
    ";
    a_connection_to_port_0: "A9", r"
        in a = socket tcp4 nonblock
        in connect a 10.0.0.100:0 => EINPROGRESS
        in name a => 10.0.0.5:* / 0.0.0.0:* [connect-port-0]
        in b = socket tcp6 nonblock
        in connect b [::1]:0 => EINPROGRESS
        in name b => [::1]:* / [::]:* [connect-port-0]
        in c = socket tcp4
        in connect c 10.0.0.100:0 => ECONNREFUSED
        in name c => 0.0.0.0:*
    ";
}
