//! Known differences at limits, and of what a socket asks for.

cases! {
    a_port_that_the_kernel_chose_and_the_host_takes: "A6", r"
        peer s = socket udp4
        peer bind s 0.0.0.0:5300
        in a = socket udp4
        in opt a reuseaddr 1
        in sendto a 10.0.0.100:5300 x
        peer recvfrom s => x from 10.0.0.5:*
        peer sendto s 10.0.0.5:{in.a} y
        in recvfrom a => y from 10.0.0.100:5300
        host b = socket udp4
        host opt b reuseaddr 1
        host bind b 0.0.0.0:{in.a}
        peer sendto s 10.0.0.5:{in.a} z
        in recvfrom a => z from 10.0.0.100:5300 / EAGAIN [port-taken-late]
        host recvfrom b => EAGAIN / z from 10.0.0.100:5300 [port-taken-late]
    ";
    told_of_the_loopback_without_a_guard: "A8", r"
        hostlet --no-guard
        in a = socket udp4
        in bind a 127.0.0.1:5300
        in opt a pktinfo 1
        in b = socket udp4
        in sendto b 127.0.0.1:5300 x
        in recvmsg a => x from 127.0.0.1:* to 127.0.0.1 local 127.0.0.1 via lo / x from 127.0.0.1:* to 127.~ via lo [told-without-guard]
        in c = socket udp6
        in bind c [::1]:5301
        in opt c pktinfo 1
        in d = socket udp6
        in sendto d [::1]:5301 x
        in recvmsg c => x from [::1]:* to ::1 via lo / x from [::1]:* to fd68:6f73:746c:7400:~ via lo [told-without-guard]
    ";
    echo_in_fragments: "A7", r"
        in a = socket ping6
        in echo a [2001:db8::100]:0
        in echoed a => type 129 sequence 7 from [2001:db8::100]:0
        in echo a [2001:db8::100]:0 3000
        in echoed a => type 129 sequence 7 from [2001:db8::100]:0 / EAGAIN [ping-in-fragments]
        in b = socket ping4
        in echo b 10.0.0.100:0 3000
        in echoed b => type 0 sequence 7 from 10.0.0.100:0
    ";
    a_group_that_another_socket_has_joined: "A6", r"
        in j = socket udp4
        in bind j 0.0.0.0:5301
        in join j 239.1.2.3 eth0
        in a = socket udp4
        in bind a 0.0.0.0:5300
        in opt a mcast-all 0
        peer c = socket udp4
        peer opt c mcast-if br0
        peer sendto c 239.1.2.3:5300 x
        in recvfrom a => EAGAIN / x from 10.0.0.100:* [multicast-filters]
    ";
}
