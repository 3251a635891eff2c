//! Differences that generated cases found last, and that are listed.

cases! {
    a_datagram_that_is_overtaken: "A7", r"
        in a = socket udp4
        in sendto a 10.0.0.5:0 x => EINVAL
        peer b = socket udp4
        peer sendto b 10.0.0.5:{in.a} y
        in sendto a 10.0.0.6:{in.a} z
        in recv a => y / z [failed-call-port]
    ";
    sent_away_from_the_loopback_of_a_group: "A7", r"
        in a = socket udp4
        in bind a 239.1.2.3:5301
        in connect a 10.0.0.9:5300
        in connect a 127.0.0.1:5300
        in sendto a 10.0.0.100:5300 x => ok / EINVAL [group-connect]
    ";
    bound_to_a_group_after_a_connection: "A7", r"
        in a = socket udp6
        in connect a [::ffff:10.0.0.6]:5300
        in connect a unspec
        in bind a [ff0e::1:7]:5300
        in connect a [2001:db8::100]:5301 => ok / EAFNOSUPPORT [group-connect]
    ";
    a_mapped_broadcast_address_with_its_port_left_open: "A7", r"
        in a = socket udp6
        in opt a bind-no-port 1
        in bind a [::ffff:255.255.255.255]:0
        in connect a [::ffff:10.0.0.100]:5300 => EINVAL / ok [bound-to-all]
    ";
    a_second_caller_where_a_machine_connects_to_itself: "A7", r"
        in a = socket tcp4
        in opt a reuseaddr 1
        in bind a 0.0.0.0:8080
        in b = socket tcp4
        in opt b reuseaddr 1
        in bind b 0.0.0.0:8080
        in listen b
        in connect a 127.0.0.1:8080
        peer c = socket tcp4
        peer connect c 10.0.0.5:8080
        in d = accept b => from 10.0.0.100:* / from 127.0.0.1:8080 [wildcard-connect]
    ";
    bound_elsewhere_after_a_hidden_port_ended: "A15", r"
        host a = socket tcp4
        host bind a 0.0.0.0:8080
        host listen a
        in b = socket tcp4
        in bind b 0.0.0.0:8080
        in listen b
        in shutdown b rdwr
        in bind b 10.0.0.5:8080 => EINVAL / EADDRINUSE [hidden-port]
    ";
    sent_from_a_group_that_connected_on_in_vain: "A7", r"
        in a = socket udp4
        in bind a 239.1.2.3:5300
        in connect a 127.0.0.1:5301
        in connect a 10.0.0.100:5300 => EINVAL
        in send a x => ok / EPERM [group-connect]
        in b = socket udp6
        in bind b [::ffff:239.1.2.3]:5302
        in connect b [::]:5301 => EINVAL
    ";
    told_of_what_left_from_a_named_source: "A7", r"
        in a = socket udp4
        in bind a 0.0.0.0:5300
        in connect a 127.0.0.1:5301
        in sendmsg a 127.0.0.1:5301 x src=10.0.0.5
        in recv a => EAGAIN / ECONNREFUSED [source-primary]
    ";
    sent_to_all_zero_by_name_where_ipv4_has_left_it: "A7", r"
        in a = socket udp6
        in connect a [::ffff:10.0.0.100]:5300
        in connect a unspec
        in sendmsg a [::]:5300 x src=::1 => ok / EINVAL [source-primary]
    ";
    connected_after_a_chosen_port_went: "A7", r"
        in a = socket udp4
        in bind a 0.0.0.0:0
        in connect a unspec
        in connect a 127.0.0.1:5300
        in connect a unspec
        in sendto a 127.0.0.1:0 x => EINVAL
        in connect a 10.0.0.1:5300 => ok / EINVAL [wildcard-connect]
    ";
    sent_to_ipv6_after_a_connection_to_ipv4: "A7", r"
        in a = socket udp6
        in connect a [::ffff:127.0.0.1]:5300
        in connect a unspec
        in opt a v6only 1
        in sendto a [2001:db8::100]:5300 x => ok / EAFNOSUPPORT [wildcard-connect]
    ";
    sent_by_one_that_had_the_port_before: "A8", r"
        in a = socket udp4
        in bind a 0.0.0.0:0
        in b = socket udp6
        in bind b [::]:5300
        in sendto b [::ffff:10.0.0.5]:{in.a} x
        in close b
        in c = socket udp4
        in bind c 0.0.0.0:5300
        in connect c 127.0.0.1:{in.a}
        in recvfrom a => x from 10.0.0.5:5300 / x from 127.0.0.1:5300 [wildcard-connect]
    ";
    a_hidden_port_that_went_with_the_end_of_listening: "A15", r"
        host a = socket tcp4
        host bind a 0.0.0.0:8080
        host listen a
        in b = socket tcp4
        in bind b 10.0.0.6:8080
        in listen b
        in shutdown b rdwr
        in c = socket tcp4
        in bind c 10.0.0.6:8080 => EADDRINUSE / ok [hidden-port]
    ";
    beside_one_that_shares_its_port_with_the_host: "A10", r"
        in a = socket tcp4
        in opt a reuseport 1
        in bind a 127.0.0.1:8080
        host b = socket tcp4
        host opt b reuseport 1
        host bind b 0.0.0.0:8080
        host listen b
        in c = socket tcp4
        in bind c 127.0.0.1:8080 => EADDRINUSE / ok [hidden-port]
    ";
    one_on_the_primary_address_that_shares_a_port_connects: "A10", r"
        in a = socket udp4
        in opt a reuseaddr 1
        in bind a 0.0.0.0:5300
        in b = socket udp4
        in opt b reuseaddr 1
        in bind b 10.0.0.5:5300
        in sendto b 127.0.0.1:5300 x
        in connect b 127.0.0.1:5300
        in send b y
        in recv b => EAGAIN / x [reuse-datagrams]
        in recv b => EAGAIN
    ";
    to_its_own_port_where_one_of_both_families_listens: "A7", r"
        in a = socket tcp4
        in opt a reuseaddr 1
        in bind a 0.0.0.0:8080
        in b = socket tcp6
        in opt b reuseaddr 1
        in bind b [::]:8080
        in listen b
        in connect a 127.0.0.1:8080
        in c = accept b => EAGAIN / from [::ffff:127.0.0.1]:8080 [wildcard-connect]
    ";
    a_broadcast_address_and_a_further_connect: "A7", r"
        set nets
        in a = socket udp4
        in bind a 255.255.255.255:5300
        in connect a 10.1.0.100:5300
        in connect a 10.0.0.100:5300
        peer b = socket udp4
        peer bind b 0.0.0.0:5301
        in sendto a 10.0.0.100:5301 x
        peer recvfrom b => x from 10.1.0.5:5300 / x from 10.0.0.5:5300 [group-connect]
    ";
    an_accepted_socket_listens_where_it_was: "A6", r"
        in a = socket tcp4
        in bind a 10.0.0.6:0
        in listen a
        peer b = socket tcp4
        peer connect b 10.0.0.6:{in.a}
        in c = accept a => from 10.0.0.100:*
        in connect c unspec
        in listen c
        in d = socket tcp4
        in connect d 10.0.0.5:{in.c} => ECONNREFUSED
        in e = socket tcp4
        in connect e 10.0.0.6:{in.c} => ok / ECONNREFUSED [accepted-listens]
    ";
    to_its_own_port_where_that_is_hidden: "A15", r"
        host a = socket tcp6
        host bind a [::]:8080
        host listen a
        in b = socket tcp6
        in bind b [::ffff:127.0.0.1]:8080
        in connect b [::]:8080 => ok / ECONNREFUSED [hidden-port]
    ";
    a_mapped_broadcast_address_whose_port_went: "A7", r"
        in a = socket udp6
        in bind a [::ffff:255.255.255.255]:0
        in connect a unspec
        in connect a [::ffff:10.0.0.1]:5301 => EINVAL / ok [bound-to-all]
    ";
    the_host_listens_again: "A15", r"
        host a = socket tcp4
        host bind a 0.0.0.0:8080
        host listen a
        other b = socket tcp4
        other bind b 0.0.0.0:8080
        other listen b
        in c = socket tcp4
        in connect c 10.0.0.9:8080
        host shutdown a rd
        host listen a => ok / EADDRINUSE [host-wildcard-later]
    ";
    an_address_of_ipv4_for_one_that_ipv6_has_tied: "A7", r"
        in a = socket udp6
        in sendto a [::ffff:10.0.0.6]:5301 x
        in connect a [::1]:5301
        in connect a 10.0.0.9:5301 => ok / EINVAL [six-then-four]
    ";
    nobody_at_a_further_address_of_the_loopback: "A7", r"
        in a = socket udp4
        in connect a 127.0.0.1:5301
        in sendto a 127.0.0.2:5301 x
        in recv a => EAGAIN
        in send a y
        in recv a => ECONNREFUSED
    ";
    a_mapped_broadcast_address_after_a_refused_connect: "A7", r"
        in a = socket udp6
        in bind a [::ffff:10.0.0.255]:5300
        in connect a [::ffff:10.0.0.100]:5301 => ENETUNREACH
        in sendto a [::ffff:10.0.0.6]:5301 x => ENETUNREACH / ok [group-connect]
    ";
    answered_at_the_port_of_who_asked_before: "A7", r"
        in a = socket udp4
        in bind a 0.0.0.0:5300
        peer b = socket udp4
        peer bind b 0.0.0.0:5301
        peer sendto b 10.0.0.6:5300 x
        peer close b
        peer c = socket udp4
        peer bind c 0.0.0.0:5301
        in sendto a 10.0.0.100:5301 y
        peer recvfrom c => y from 10.0.0.5:5300 / y from 10.0.0.6:5300 [udp-answer]
    ";
    a_source_of_ipv6_stays_where_ipv4_is_spoken_next: "A18", r"
        in a = socket udp6
        in sendto a [2001:db8::100]:5300 x
        in connect a [2001:db8::100]:5301
        in connect a [::ffff:10.0.0.100]:5300
        in name a => [2001:db8::5]:*
        peer b = socket udp6
        peer bind b [2001:db8::100]:5301
        in connect a [2001:db8::100]:5301
        in name a => [2001:db8::5]:*
        in send a y
        peer recvfrom b => y from [2001:db8::5]:*
    ";
    connected_on_to_where_it_leaves_from: "A18", r"
        set nets
        in a = socket udp4
        in bind a 0.0.0.0:5300
        in connect a 10.1.0.100:5301
        in connect a 0.0.0.0:5301
        in peer a => 10.1.0.5:5301 / 10.0.0.5:5301 [wildcard-connect]
    ";
    an_accepted_socket_connects_to_where_it_leaves_from: "A18", r"
        in a = socket tcp4
        in bind a 10.0.0.5:8080
        in listen a
        peer b = socket tcp4
        peer connect b 10.0.0.5:8080
        in c = accept a => from 10.0.0.100:*
        in connect c unspec
        in connect c 0.0.0.0:8080 => ok / ECONNREFUSED [kept-source]
    ";
    an_accepted_socket_connects_to_the_wildcard_of_another: "A18", r"
        in a = socket tcp4
        in bind a 10.0.0.5:8080
        in listen a
        in b = socket tcp4
        in bind b 0.0.0.0:8081
        in listen b
        peer c = socket tcp4
        peer connect c 10.0.0.5:8080
        in d = accept a => from 10.0.0.100:*
        in connect d unspec
        in connect d 0.0.0.0:8081
        in peer d => 10.0.0.5:8081 / 127.0.0.1:8081 [kept-source]
        in name d => 10.0.0.5:* / 127.0.0.1:* [kept-source]
        in e = accept b => from 10.0.0.5:* / from 127.0.0.1:* [kept-source]
    ";
}
