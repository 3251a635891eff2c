//! Further differences that generated cases found, mended or listed.

cases! {
    a_port_shared_with_the_host_by_one_that_is_connected: "A6", r"
        in a = socket udp4
        in bind a 0.0.0.0:5300
        in connect a 10.0.0.100:5301
        in opt a reuseport 1
        host h = socket udp4
        host opt h reuseport 1
        host bind h 0.0.0.0:5300
        peer p = socket udp4
        peer connect p 10.0.0.5:5300
        peer send p x
        peer poll p err => err
        host recvfrom h => EAGAIN
        peer q = socket udp4
        peer connect q 10.0.0.6:5300
        peer send q y
        peer poll q err => err
        host recvfrom h => EAGAIN
        peer r = socket udp4
        peer bind r 10.0.0.100:5301
        peer sendto r 10.0.0.5:5300 z
        in recvfrom a => z from 10.0.0.100:5301
        in connect a unspec
        peer sendto r 10.0.0.5:5300 w
        in recvfrom a => w from 10.0.0.100:5301
    ";
    one_of_two_that_share_a_port_connects: "A6", r"
        in a = socket udp4
        in opt a reuseaddr 1
        in bind a 0.0.0.0:5300
        in b = socket udp4
        in opt b reuseaddr 1
        in bind b 0.0.0.0:5300
        in c = socket udp4
        in sendto c 127.0.0.1:5300 x
        in recvfrom b => x from 127.0.0.1:*
        in connect b 10.0.0.100:5301
        in sendto c 127.0.0.1:5300 y
        in recvfrom a => y from 127.0.0.1:*
    ";
    an_accepted_socket_of_ipv4_connects_to_the_wildcard: "A7", r"
        in a = socket tcp6
        in bind a [::ffff:0.0.0.0]:8080
        in listen a
        peer b = socket tcp4
        peer connect b 10.0.0.5:8080
        in c = accept a => from [::ffff:10.0.0.100]:*
        in connect c unspec
        in connect c [::]:8080 => ok / EINPROGRESS [kept-source]
    ";
    to_its_own_port_where_somebody_listens: "A7", r"
        in a = socket tcp4
        in opt a reuseaddr 1
        in bind a 0.0.0.0:8080
        in b = socket tcp4
        in opt b reuseaddr 1
        in bind b 0.0.0.0:8080
        in listen b
        in connect a 127.0.0.1:8080 => ok
        in peer a => 127.0.0.1:8080
        in c = accept b => EAGAIN / from 127.0.0.1:8080 [wildcard-connect]
    ";
    an_answer_to_who_is_connected_elsewhere_meanwhile: "A8", r"
        in a = socket udp4
        in bind a 0.0.0.0:5300
        peer p = socket udp4
        peer bind p 10.0.0.100:5301
        peer sendto p 10.0.0.6:5300 x
        peer connect p 10.0.0.5:5300
        in sendto a 10.0.0.100:5301 y
        peer recvfrom p => y from 10.0.0.5:5300 / EAGAIN [udp-answer]
    ";
    a_group_with_its_port_left_open_hears_where_it_is_connected_from: "A7", r"
        in a = socket udp4
        in opt a bind-no-port 1
        in bind a 239.1.2.3:0
        in connect a 10.0.0.5:5300
        in send a x
        in recvfrom a => EAGAIN / ECONNREFUSED [bound-to-all]
    ";
    a_bind_that_failed_where_the_port_was_left_open: "A2", r"
        in a = socket udp4
        in bind a 0.0.0.0:5300
        in b = socket udp4
        in opt b bind-no-port 1
        in bind b 127.0.0.1:0
        in bind b 0.0.0.0:5300 => EADDRINUSE
        in name b => 0.0.0.0:0 / 127.0.0.1:0 [bind-failed]
        in sendto b 10.0.0.100:5300 x => ok / EINVAL [bind-failed]
    ";
    a_bind_that_failed_after_listening: "A15", r"
        in a = socket tcp4
        in opt a reuseaddr 1
        in bind a 10.0.0.6:0
        in listen a
        in b = socket tcp4
        in bind b 0.0.0.0:8081
        in shutdown a rdwr
        in bind a 10.0.0.6:8081 => EADDRINUSE
        in name a => 0.0.0.0:* / 10.0.0.6:* [bind-failed]
    ";
    sent_before_a_connect_to_the_loopback: "A8", r"
        in a = socket udp4
        in bind a 0.0.0.0:5301
        in b = socket udp4
        in bind b 0.0.0.0:5300
        in sendto b 10.0.0.5:5301 x
        in connect b 127.0.0.1:5301
        in recvfrom a => x from 10.0.0.5:5300 / x from 127.0.0.1:5300 [wildcard-connect]
    ";
    connected_to_ipv6_after_a_connection_to_ipv4: "A7", r"
        in a = socket udp6
        in connect a [::ffff:10.0.0.100]:5300
        in connect a unspec
        in sendto a [2001:db8::100]:5300 x
        in connect a [2001:db8::100]:5300 => ok / EAFNOSUPPORT [wildcard-connect]
    ";
    a_bind_that_failed_after_a_connection: "A15", r"
        in a = socket tcp4
        in bind a 0.0.0.0:8080
        in listen a
        in b = socket tcp4
        in connect b 127.0.0.1:8080
        in c = accept a => from 127.0.0.1:*
        in connect b unspec
        in bind c 0.0.0.0:8080 => EADDRINUSE
        in name c => 0.0.0.0:8080 / 127.0.0.1:8080 [bind-failed]
    ";
    sent_after_a_connection_to_a_further_own_address: "A7", r"
        in a = socket udp6
        in connect a [2001:db8::6]:5301
        in connect a unspec
        peer b = socket udp6
        peer bind b [::]:5300
        in sendto a [2001:db8::100]:5300 x
        peer recvfrom b => x from [2001:db8::5]:*
        in sendto a [2001:db8::6]:5300 y
        in sendmsg a [2001:db8::100]:5300 z src=2001:db8::6
        peer recvfrom b => z from [2001:db8::6]:* / z from [2001:db8::5]:* [source-primary]
    ";
    disconnected_on_the_mapped_wildcard: "A7", r"
        in a = socket udp6
        in bind a [::ffff:0.0.0.0]:5300
        in connect a [::ffff:10.0.0.100]:5301
        in connect a unspec
        in name a => [::ffff:10.0.0.5]:5300 / [::ffff:0.0.0.0]:5300 [kept-source]
    ";
    an_option_that_was_never_on: "A10", r"
        set four
        in a = socket tcp4
        in opt a reuseport 0
        in opt a reuseaddr 1
        in bind a 0.0.0.0:8080
        in b = socket tcp4
        in opt b reuseaddr 1
        in opt b reuseport 1
        in bind b 0.0.0.0:8080
        in c = socket tcp4
        in opt c reuseport 1
        in bind c 10.0.0.5:8080 => ok / EADDRINUSE [reuse-earlier]
    ";
    listening_after_a_refused_connect_with_its_port_left_open: "A15", r"
        in a = socket tcp4
        in opt a bind-no-port 1
        in connect a 10.0.0.100:8081 => ECONNREFUSED
        in listen a
        in name a => 0.0.0.0:*
        peer b = socket tcp4
        peer connect b 10.0.0.6:{in.a}
        in c = socket tcp6
        in opt c bind-no-port 1
        in bind c [2001:db8::6]:0
        in listen c
        in name c => [2001:db8::6]:*
        in d = socket tcp6
        in connect d [2001:db8::5]:{in.c} => ECONNREFUSED
    ";
    connected_to_port_0_after_a_datagram: "A8", r"
        in a = socket udp4
        in sendto a 10.0.0.100:5300 x
        in connect a 127.0.0.1:0
        in send a y
        in send a z => ECONNREFUSED
    ";
    a_chosen_port_that_went_when_it_was_disconnected: "A7", r"
        in a = socket udp4
        in bind a 0.0.0.0:0
        in connect a 127.0.0.1:5309
        in connect a unspec
        in connect a 10.0.0.6:5301
        in name a => 10.0.0.5:*
        in connect a 10.0.0.100:5300
    ";
    the_loopback_named_as_a_source_after_a_datagram: "A7", r"
        in a = socket udp4
        in sendto a 10.0.0.6:5300 x
        in connect a 10.0.0.1:5300
        in sendmsg a 10.0.0.100:5300 y src=127.0.0.1 => EINVAL
        in b = socket udp4
        in bind b 239.1.2.3:5300
        in connect b 10.0.0.100:5300
        in c = socket udp4
        in sendto c 127.0.0.1:5301 z
        in sendmsg b 10.0.0.5:{in.c} w src=127.0.0.1
        in recvfrom c => w from 127.0.0.1:5300
    ";
    zero_of_a_socket_that_is_connected_to_ipv4: "A7", r"
        in a = socket udp6
        in sendto a [2001:db8::100]:5300 x
        in connect a [::ffff:10.0.0.9]:5300
        in connect a [::]:5300
        in peer a => [::ffff:127.0.0.1]:5300
    ";
    from_the_wildcard_to_another_network: "A7", r"
        set nets
        in a = socket tcp6
        in opt a v6only 1
        in bind a [::]:8081
        in connect a [2001:db8:1::100]:8080 => ECONNREFUSED / EINPROGRESS [wildcard-connect]
    ";
    disconnected_and_connected_to_the_loopback: "A7", r"
        in a = socket udp4
        in connect a 10.0.0.100:5300
        in connect a unspec
        in sendto a 127.0.0.1:5300 x
        in connect a 127.0.0.1:5300
        in sendto a 10.0.0.100:5300 y => EINVAL / ok [wildcard-connect]
    ";
    an_answer_of_a_socket_that_was_disconnected: "A8", r"
        in a = socket udp4
        in connect a 10.0.0.100:5300
        in connect a unspec
        in sendto a 10.0.0.9:5301 x
        other b = socket udp4
        other bind b 10.0.0.9:5300
        other sendto b 10.0.0.6:{in.a} y
        in sendto a 10.0.0.9:5300 z
        other recvfrom b => z from 10.0.0.5:* / z from 10.0.0.6:* [udp-answer]
    ";
    ipv6_after_a_connection_to_ipv4: "A7", r"
        in a = socket udp6
        in connect a [::ffff:10.0.0.100]:5300
        in connect a unspec
        in sendto a [2001:db8::5]:5301 x
        in b = socket udp6
        in sendto b [2001:db8::5]:{in.a} y
        in recvfrom a => EAGAIN
    ";
    errors_after_a_further_connect_that_failed: "A8", r"
        in a = socket udp4
        in connect a 127.0.0.1:5300
        in connect a 10.0.0.100:5300 => EINVAL
        in send a x
        in poll a err => err
        in send a y => ECONNREFUSED
        in send a z
        in quiet a => quiet / err [failed-call-port]
    ";
    sent_to_the_port_of_a_connect_that_failed: "A7", r"
        set four
        in a = socket udp6
        in connect a [2001:db8::100]:5301 => ENETUNREACH
        peer b = socket udp6
        peer connect b [::ffff:10.0.0.5]:{in.a}
        peer send b x => ok / EINVAL [failed-call-port]
    ";
    connected_on_from_the_loopback_of_a_group: "A7", r"
        in a = socket udp4
        in bind a 239.1.2.3:0
        in connect a 10.0.0.5:5301
        in connect a unspec
        in connect a 127.0.0.1:5300
        in connect a 10.0.0.9:5301 => ok / EINVAL [group-connect]
    ";
    bound_to_an_address_and_then_to_the_wildcard: "A7", r"
        in a = socket tcp4
        in bind a 127.0.0.1:0
        in connect a 10.0.0.5:8080 => ECONNREFUSED
        in bind a 0.0.0.0:8080
        in connect a 10.0.0.100:8081 => ECONNREFUSED
        in name a => 10.0.0.5:8080 / 0.0.0.0:8080 [kept-source]
    ";
    listening_where_a_refused_connect_left_from: "A6", r"
        in a = socket tcp6
        in bind a [::ffff:0.0.0.0]:8080
        in connect a [::ffff:10.0.0.100]:8080 => ECONNREFUSED
        in listen a
        in b = socket tcp4
        in connect b 127.0.0.1:8080 => ECONNREFUSED / ok [kept-source]
    ";
    an_accepted_socket_takes_the_port_of_its_listener: "A15", r"
        in a = socket tcp4
        in opt a reuseaddr 1
        in bind a 0.0.0.0:8080
        in listen a
        peer b = socket tcp4
        peer connect b 10.0.0.6:8080
        in c = accept a => from 10.0.0.100:*
        peer connect b unspec
        in shutdown a rd
        in bind c 10.0.0.6:8080 => ok / EADDRINUSE [shut-listener]
    ";
    a_bind_that_failed_after_a_client_was_reset: "A15", r"
        in a = socket tcp4
        in bind a 0.0.0.0:8080
        in listen a
        in b = socket tcp4
        in connect b 10.0.0.5:8080
        in c = accept a => from 10.0.0.5:*
        in connect c unspec
        in bind b 10.0.0.6:8080 => EADDRINUSE
        in name b => 0.0.0.0:* / 10.0.0.5:* [bind-failed]
    ";
    a_bind_that_failed_where_the_port_was_given_back: "A7", r"
        in a = socket udp4
        in bind a 10.0.0.5:5300
        in b = socket udp4
        in bind b 127.0.0.1:0
        in connect b unspec
        in bind b 0.0.0.0:5300 => EADDRINUSE
        in connect b 10.0.0.100:5301 => ok / EINVAL [bind-failed]
    ";
    refused_at_a_further_loopback_address: "A7", r"
        in a = socket tcp4
        in connect a 127.0.0.2:8080 => ECONNREFUSED
        in name a => 0.0.0.0:*
        in b = socket tcp4
        in bind b 0.0.0.0:0
        in connect b 127.0.0.2:8080 => ECONNREFUSED
        in bind b 127.0.0.1:8080
        in c = socket tcp6
        in connect c [::ffff:127.0.0.2]:8080 => ECONNREFUSED
        in connect c [2001:db8::100]:8080 => EINPROGRESS
    ";
    refused_at_ipv4_and_without_a_route_there: "A7", r"
        set six
        in a = socket tcp6
        in connect a [::ffff:127.0.0.1]:8080 => ECONNREFUSED
        in connect a [::ffff:10.0.0.5]:8080 => ENETUNREACH
        in connect a [2001:db8::1]:8080 => ECONNREFUSED / EINPROGRESS [failed-call-port]
    ";
    a_hidden_port_that_went_with_a_connection: "A15", r"
        host a = socket tcp4
        host bind a 0.0.0.0:8080
        host listen a
        in b = socket tcp4
        in bind b 10.0.0.6:8080
        in connect b 10.0.0.100:8081 => ECONNREFUSED
        in bind b 10.0.0.5:8081 => EINVAL / ok [hidden-port]
    ";
    connected_from_the_other_network_of_a_connection_before: "A7", r"
        set nets
        in a = socket udp6
        in connect a [2001:db8:1::100]:5301
        in connect a [2001:db8::1]:5300
        in send a x
        in send a y => ok / ECONNREFUSED [near-neighbour]
    ";
    an_accepted_socket_that_is_bound_and_connects_to_itself: "A7", r"
        in a = socket tcp6
        in bind a [::]:8080
        in listen a
        peer b = socket tcp4
        peer connect b 10.0.0.6:8080
        in c = accept a => from [::ffff:10.0.0.100]:*
        in connect c unspec
        in bind c [::]:8081
        in connect c [::ffff:127.0.0.1]:8081 => ok / ECONNREFUSED [wildcard-connect]
    ";
    listening_beside_ipv6_alone: "A10", r"
        in a = socket tcp6
        in opt a reuseaddr 1
        in bind a [::]:8080
        in b = socket tcp6
        in opt b reuseaddr 1
        in opt b v6only 1
        in bind b [::]:8080
        in listen b
        in listen a => EADDRINUSE / ok [reuse-listen]
    ";
    of_ipv6_alone_no_more: "A7", r"
        in a = socket udp6
        in bind a [2001:db8::5]:0
        in connect a unspec
        in opt a v6only 0
        in connect a [::ffff:10.0.0.9]:5300 => EINVAL / ok [six-then-four]
    ";
    ipv6_where_another_has_the_port_of_ipv4: "A10", r"
        in a = socket udp6
        in opt a reuseaddr 1
        in bind a [::]:5300
        in b = socket udp4
        in opt b reuseaddr 1
        in bind b 0.0.0.0:5300
        peer c = socket udp6
        peer sendto c [2001:db8::6]:5300 x
        in recvfrom a => x from [2001:db8::100]:*
        peer d = socket udp4
        peer sendto d 10.0.0.6:5300 y
        in recvfrom b => y from 10.0.0.100:*
    ";
}
