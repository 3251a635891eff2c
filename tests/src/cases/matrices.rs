//! Known differences that the matrices show in many cells, each once.

cases! {
    from_the_loopback_to_all: "A2", r"
        in a = socket udp4
        in opt a broadcast 1
        in bind a 127.0.0.1:0
        in sendto a 255.255.255.255:5300 x => ok / EINVAL [loopback-to-all]
        in b = socket tcp4
        in bind b 127.0.0.1:0
        in connect b 255.255.255.255:5300 => ENETUNREACH / EINVAL [loopback-to-all]
    ";
    bound_to_a_group_then_connected: "A7", r"
        in a = socket udp4
        in bind a 239.1.2.3:5300
        in connect a 10.0.0.100:5301
        in name a => 239.1.2.3:5300
        in b = socket udp4
        in bind b 10.0.0.255:5302
        in connect b 0.0.0.0:5303
    ";
    what_the_host_sends_to_an_address_of_ipv6: "A18", r"
        in a = socket udp6
        in bind a [2001:db8::6]:5300
        host c = socket udp6
        host sendto c [2001:db8::6]:5300 hello
        in recvfrom a => hello from [2001:db8::1]:* / hello from [2001:db8::6]:* [host-source]
    ";
    multicast_from_the_same_machine: "A6", r"
        in a = socket udp4
        in bind a 0.0.0.0:5353
        in join a 239.1.2.3 eth0
        in c = socket udp4
        in opt c mcast-if eth0
        in sendto c 239.1.2.3:5353 hello
        in recvfrom a => hello from 10.0.0.5:*
    ";
    echo_sockets_and_the_loopback: "A15", r"
        in a = socket ping4
        in connect a 0.0.0.0:0
        in echo a -
        in echoed a => type 0 sequence 7 from 127.0.0.1:0
        in c = socket ping4
        in bind c 10.0.0.6:0
        in echo c 127.0.0.1:0
        in b = socket ping4
        in bind b 10.0.0.6:0
        in address b => 10.0.0.6 / 0.0.0.0 [ping-bind]
    ";
    another_user_and_the_same_port: "A5", r"
        in fork child
        in/child become 1000
        in a = socket tcp4
        in opt a reuseport 1
        in bind a 10.0.0.6:5300
        in/child b = socket tcp4
        in/child opt b reuseport 1
        in/child bind b 10.0.0.5:5300
        in/child close b
        in/child c = socket tcp4
        in/child opt c reuseport 1
        in/child bind c 0.0.0.0:5300 => EADDRINUSE / ok [reuse-user]
    ";
    the_wildcard_and_the_primary_share_a_port: "A6", r"
        in a = socket tcp4
        in opt a reuseport 1
        in bind a 0.0.0.0:5300
        in b = socket tcp4
        in opt b reuseport 1
        in bind b 10.0.0.5:5300
        in listen a
        in listen b
        peer c = socket tcp4
        peer connect c 10.0.0.6:5300
        in d = accept-any a b => a from 10.0.0.100:* / a from 10.0.0.100:*|b from 10.0.0.100:* [reuse-delivery]
        in u = socket udp4
        in opt u reuseaddr 1
        in bind u 0.0.0.0:5301
        in v = socket udp4
        in opt v reuseaddr 1
        in bind v 10.0.0.5:5301
        peer e = socket udp4
        peer sendto e 10.0.0.6:5301 x
        in which u v => u / v [reuse-delivery]
    ";
}
