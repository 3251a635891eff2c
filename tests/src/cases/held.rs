//! A16, A18: socket options that hold addresses.

cases! {
    the_interface_of_multicast: "A16", r"
        peer a = socket udp4
        peer bind a 0.0.0.0:5353
        peer join a 239.1.2.3 br0
        in c = socket udp4
        in opt c mcast-if 10.0.0.6
        in getopt c mcast-if => 10.0.0.6
        in connect c 239.1.2.3:5353
        in name c => 10.0.0.6:*
        in send c hello
        peer recvfrom a => hello from 10.0.0.6:*
        in d = socket udp4
        in opt d mcast-if 10.0.0.1 => EADDRNOTAVAIL / ok [option-address]
        in sendto d 239.1.2.3:5353 x
        peer recvfrom a => x from 10.0.0.5:*
        in connect d 239.1.2.3:5353
        in name d => 10.0.0.5:*
        in send d y
        peer drain a => 1
        in e = socket udp4
        in opt e mcast-if 8.8.8.8 => EADDRNOTAVAIL
        in f = socket udp4
        in bind f 10.0.0.6:5300
        in opt f mcast-if eth0
        in sendto f 239.1.2.3:5353 z
        peer recvfrom a => z from 10.0.0.6:5300
        in getopt f mcast-if => none
        in g = socket udp6
        in opt g mcast-if eth0
        in getopt g mcast-if => eth0
        in opt g unicast-if eth0
    ";
    groups_by_the_calls_of_no_family: "A6", r"
        in a = socket udp4
        in bind a 0.0.0.0:5353
        in mcast-join a 239.1.2.3 eth0
        in mcast-join a 239.1.2.3 eth0 => EADDRINUSE
        peer c = socket udp4
        peer bind c 10.0.0.100:5301
        peer opt c mcast-if br0
        peer sendto c 239.1.2.3:5353 hello
        in recvfrom a => hello from 10.0.0.100:5301
        in mcast-leave a 239.1.2.3 eth0
        peer sendto c 239.1.2.3:5353 gone
        in quiet a => quiet
        in mcast-leave a 239.1.2.3 eth0 => EADDRNOTAVAIL
        in b = socket udp6
        in bind b [::]:5354
        in mcast-join b ff05::1:3 eth0
        peer d = socket udp6
        peer bind d [2001:db8::100]:5301
        peer opt d mcast-if br0
        peer sendto d [ff05::1:3]:5354 six
        in recvfrom b => six from [2001:db8::100]:5301
        in mcast-leave b ff05::1:3 eth0
        in mcast-join b 239.1.2.3 eth0
    ";
    groups_by_address: "A18", r"
        in a = socket udp4
        in join a 239.1.2.3 10.0.0.1 => ENODEV / ok [option-address]
        in b = socket udp4
        in join b 239.1.2.3 8.8.8.8 => ENODEV
        in c = socket udp4
        in source-join c 239.1.2.3 10.0.0.100 10.0.0.1 => ENODEV / ok [option-address]
        in d = socket udp4
        in source-join d 239.1.2.3 10.0.0.100 10.0.0.6
        in e = socket udp4
        in join e 10.0.0.6 eth0 => EINVAL
    ";
    sources_of_a_group: "A6", r"
        in a = socket udp4
        in bind a 0.0.0.0:5353
        in mcast-join a 239.1.2.3 eth0 10.0.0.100
        peer c = socket udp4
        peer bind c 10.0.0.100:5301
        peer opt c mcast-if br0
        peer sendto c 239.1.2.3:5353 hello
        in recvfrom a => hello from 10.0.0.100:5301
        host d = socket udp4
        host bind d 10.0.0.1:5301
        host opt d mcast-if eth0
        host sendto d 239.1.2.3:5353 x
        in quiet a => quiet
    ";
    the_name_of_the_peer: "A2", r"
        in a = socket tcp4
        in bind a 0.0.0.0:8080
        in listen a
        in c = socket tcp4
        in connect c 127.0.0.1:8080
        in getopt c peername => 127.0.0.1:8080
        in b = accept a => from 127.0.0.1:*
        in getopt b peername => 127.0.0.1:*
        in d = socket tcp6
        in connect d [::ffff:127.0.0.1]:8080
        in getopt d peername => [::ffff:127.0.0.1]:8080
        in e = accept a => from 127.0.0.1:*
        peer f = socket tcp4
        peer connect f 10.0.0.6:8080
        in g = accept a => from 10.0.0.100:*
        in getopt g peername => 10.0.0.100:*
        in getopt g original => ENOENT|ENOPROTOOPT    # with and without connection tracking
        in opt g pktinfo 1
        in getopt g packet-options => to 10.0.0.6 local 10.0.0.6 via eth0
    ";
    packet_information_of_a_connection: "A9", r"
        in a = socket tcp4
        in opt a pktinfo 1
        in bind a 0.0.0.0:8080
        in listen a
        peer c = socket tcp4
        peer connect c 10.0.0.6:8080
        in b = accept a => from 10.0.0.100:*
        in getopt b packet-options => to 10.0.0.6 local 10.0.0.6 via eth0
        in d = socket tcp4
        in connect d 127.0.0.1:8080
        in e = accept a => from 127.0.0.1:*
        in getopt e packet-options => to 127.0.0.1 local 127.0.0.1 via lo / to ~ via lo [pktinfo-loopback]
    ";
    who_reports_an_error: "A2", r"
        in a = socket udp4
        in opt a recverr 1
        in connect a 10.0.0.100:99
        in send a x
        in errqueue a => x from 10.0.0.100:99 error ECONNREFUSED by 10.0.0.100:0
        in b = socket udp6
        in opt b recverr 1
        in sendto b [2001:db8::100]:99 x
        in errqueue b => x from [2001:db8::100]:99 error ECONNREFUSED by [2001:db8::100]:0
        in c = socket udp4
        in opt c recverr 1
        in connect c 127.0.0.1:99
        in send c x
        in errqueue c => x from 127.0.0.1:99 error ECONNREFUSED by 127.0.0.1:0 / x from ~:0 [pktinfo-loopback]
    ";
}
