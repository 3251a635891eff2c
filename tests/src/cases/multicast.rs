//! Multicast and broadcast, as on any machine.

cases! {
    multicast4: "A6", r"
        in a = socket udp4
        in opt a reuseaddr 1
        in bind a 0.0.0.0:5353
        in join a 239.1.2.3 eth0
        peer c = socket udp4
        peer bind c 10.0.0.100:5301
        peer opt c mcast-if br0
        peer sendto c 239.1.2.3:5353 hello
        in recvfrom a => hello from 10.0.0.100:5301
        peer sendto c 10.0.0.6:5353 unicast
        in recvfrom a => unicast from 10.0.0.100:5301
        in leave a 239.1.2.3 eth0
        peer sendto c 239.1.2.3:5353 gone
        in quiet a => quiet
    ";
    multicast4_by_address: "A6", r"
        in a = socket udp4
        in bind a 0.0.0.0:5353
        in join a 239.1.2.3 10.0.0.6
        peer c = socket udp4
        peer bind c 10.0.0.100:5301
        peer opt c mcast-if br0
        peer sendto c 239.1.2.3:5353 hello
        in recvfrom a => hello from 10.0.0.100:5301
    ";
    multicast4_bound_to_the_group: "A6", r"
        in a = socket udp4
        in bind a 239.1.2.3:5353
        in name a => 239.1.2.3:5353
        in join a 239.1.2.3 eth0
        peer c = socket udp4
        peer bind c 10.0.0.100:5301
        peer opt c mcast-if br0
        peer sendto c 239.1.2.3:5353 hello
        in recvfrom a => hello from 10.0.0.100:5301
    ";
    multicast4_two_members: "A6", r"
        in a = socket udp4
        in opt a reuseaddr 1
        in bind a 0.0.0.0:5353
        in join a 239.1.2.3 eth0
        in b = socket udp4
        in opt b reuseaddr 1
        in bind b 0.0.0.0:5353
        in join b 239.1.2.3 eth0
        peer c = socket udp4
        peer bind c 10.0.0.100:5301
        peer opt c mcast-if br0
        peer sendto c 239.1.2.3:5353 hello
        in recvfrom a => hello from 10.0.0.100:5301 / EAGAIN [multicast-shared-port]      # one of them gets it
        in recvfrom b => hello from 10.0.0.100:5301
    ";
    multicast4_send: "A7", r"
        peer a = socket udp4
        peer bind a 0.0.0.0:5353
        peer join a 239.1.2.3 br0
        in c = socket udp4
        in opt c mcast-if eth0
        in sendto c 239.1.2.3:5353 hello
        peer recvfrom a => hello from 10.0.0.5:*
        in d = socket udp4
        in opt d mcast-if 10.0.0.6
        in sendto d 239.1.2.3:5353 second
        peer recvfrom a => second from 10.0.0.6:*
    ";
    multicast6: "A6", r"
        in a = socket udp6
        in bind a [::]:5353
        in join a ff05::1:3 eth0
        peer c = socket udp6
        peer bind c [2001:db8::100]:5301
        peer opt c mcast-if br0
        peer sendto c [ff05::1:3]:5353 hello
        in recvfrom a => hello from [2001:db8::100]:5301
        in d = socket udp6
        in opt d mcast-if eth0
        peer b = socket udp6
        peer bind b [::]:5353
        peer join b ff05::1:4 br0
        in sendto d [ff05::1:4]:5353 back
        peer recvfrom b => back from [2001:db8::5]:*
    ";
    broadcast: "A6", r"
        in a = socket udp4
        in opt a reuseaddr 1
        in bind a 0.0.0.0:6767
        peer c = socket udp4
        peer opt c broadcast 1
        peer bind c 10.0.0.100:6768
        peer sendto c 10.0.0.255:6767 subnet
        in recvfrom a => subnet from 10.0.0.100:6768
        in d = socket udp4
        in sendto d 10.0.0.255:6767 x => EACCES
        in opt d broadcast 1
        peer b = socket udp4
        peer bind b 0.0.0.0:6767
        in sendto d 10.0.0.255:6767 back
        peer recvfrom b => back from 10.0.0.5:*
    ";
    broadcast_limited: "A6", r"
        in a = socket udp4
        in bind a 0.0.0.0:6767
        peer c = socket udp4
        peer opt c broadcast 1
        peer opt c device br0
        peer bind c 10.0.0.100:6768
        peer sendto c 255.255.255.255:6767 all
        in recvfrom a => all from 10.0.0.100:6768
    ";
    multicast4_looped: "A6", r"
        in a = socket udp4
        in bind a 0.0.0.0:5353
        in join a 239.1.2.3 eth0
        in c = socket udp4
        in opt c mcast-if eth0
        in sendto c 239.1.2.3:5353 own
        in recvfrom a => own from 10.0.0.5:*
        in opt a mcast-if eth0
        in sendto a 239.1.2.3:5353 itself
        in recvfrom a => itself from 10.0.0.5:5353
    ";
    broadcast_looped: "A6", r"
        in a = socket udp4
        in bind a 0.0.0.0:6767
        in c = socket udp4
        in opt c broadcast 1
        in sendto c 10.0.0.255:6767 own
        in answer a back => own from 10.0.0.5:*
        in recvfrom c => back from 10.0.0.5:6767
        host h = socket udp4
        host opt h broadcast 1
        host sendto h 10.0.0.255:6767 host
        in answer a back => host from 10.0.0.1:*
        host recvfrom h => back from 10.0.0.5:6767
    ";
    multicast6_looped: "A6", r"
        in a = socket udp6
        in bind a [::]:5353
        in join a ff05::1:3 eth0
        in c = socket udp6
        in opt c mcast-if eth0
        in sendto c [ff05::1:3]:5353 own
        in recvfrom a => own from [2001:db8::5]:*
    ";
    multicast6_to_neighbours: "A6", r"
        other a = socket udp6
        other bind a [::]:5353
        other join a ff05::1:3 eth0
        host h = socket udp6
        host bind h [2001:db8::1]:5300
        host opt h mcast-if eth0
        in c = socket udp6
        in opt c mcast-if eth0
        in sendto c [ff05::1:3]:5353 near
        other recvfrom a => near from [2001:db8::5]:*
        host sendto h [ff05::1:3]:5353 host
        other recvfrom a => host from [2001:db8::1]:5300
    ";
    multicast4_to_neighbours: "A6", r"
        other a = socket udp4
        other bind a 0.0.0.0:5353
        other join a 239.1.2.3 eth0
        in c = socket udp4
        in opt c mcast-if eth0
        in sendto c 239.1.2.3:5353 near
        other recvfrom a => near from 10.0.0.5:*
    ";
    multicast4_to_itself_and_a_neighbour: "A6", r"
        in a = socket udp4
        in bind a 0.0.0.0:5353
        in join a 239.1.2.3 eth0
        other b = socket udp4
        other bind b 0.0.0.0:5353
        other join b 239.1.2.3 eth0
        in c = socket udp4
        in opt c mcast-if eth0
        in sendto c 239.1.2.3:5353 near
        in recvfrom a => near from 10.0.0.5:*
        other recvfrom b => near from 10.0.0.5:* / EAGAIN [multicast-loop]
    ";
    multicast_of_others: "A6", r"
        in a = socket udp4
        in bind a 0.0.0.0:5300
        in b = socket udp6
        in bind b [::]:5301
        other c = socket udp4
        other bind c 0.0.0.0:5300
        other join c 239.1.2.3 eth0
        peer p = socket udp4
        peer opt p mcast-if br0
        peer sendto p 239.1.2.3:5300 x
        other recvfrom c => x from 10.0.0.100:*
        in recvfrom a => EAGAIN / x from 10.0.0.100:* [multicast-others]
        in join a 239.1.2.3 eth0
        peer sendto p 239.1.2.3:5301 y
        in recvfrom b => EAGAIN / y from [::ffff:10.0.0.100]:* [multicast-others]
    ";
    where_to_answer_a_group_from: "A8", r"
        in a = socket udp4
        in opt a pktinfo 1
        in bind a 0.0.0.0:5300
        in join a 239.1.2.3 eth0
        peer p = socket udp4
        peer bind p 10.0.0.100:5301
        peer opt p mcast-if br0
        peer sendto p 239.1.2.3:5300 x
        in recvmsg a => x from 10.0.0.100:5301 to 239.1.2.3 local 10.0.0.5 via eth0 / x from 10.0.0.100:5301 to 239.1.2.3 local 10.0.0.1 via eth0 [multicast-local]
        in sendmsg a 10.0.0.100:5301 y src=10.0.0.5
        peer recvfrom p => y from 10.0.0.5:5300
    ";
}
