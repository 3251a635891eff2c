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
        in shutdown a rdwr => ENOTCONN
        in b = socket tcp4
        in opt b reuseaddr 1
        in bind b 0.0.0.0:8080
        in listen b
        in connect a 127.0.0.1:8080 => ECONNABORTED / ok [wildcard-connect]
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
}
