//! A7, A9: many datagrams as one (UDP_SEGMENT, UDP_GRO), as QUIC sends and receives them.

cases! {
    sent: "A7", r"
        peer a = socket udp4
        peer bind a 10.0.0.100:5300
        in c = socket udp4
        in opt c segment 4
        in sendto c 10.0.0.100:5300 aaaabbbbcc
        peer recvfrom a => aaaa from 10.0.0.5:*
        peer recvfrom a => bbbb from 10.0.0.5:*
        peer recvfrom a => cc from 10.0.0.5:*
        in connect c 10.0.0.100:5300
        in send c ddddee
        peer recvfrom a => dddd from 10.0.0.5:*
        peer recvfrom a => ee from 10.0.0.5:*
        in d = socket udp6
        in opt d segment 4
        in bind d [2001:db8::6]:0
        peer b = socket udp6
        peer bind b [2001:db8::100]:5301
        in sendto d [2001:db8::100]:5301 aaaabb
        peer recvfrom b => aaaa from [2001:db8::6]:*
        peer recvfrom b => bb from [2001:db8::6]:*
    ";
    for_every_address: "A9", r"
        in a = socket udp4
        in bind a 0.0.0.0:5300
        in b = socket udp6
        in opt b gro 1
        in bind b [::]:5301
        peer c = socket udp4
        peer bind c 10.0.0.100:5302
        peer opt c segment 4
        peer sendto c 10.0.0.5:5300 aaaabbbbcc
        in recvfrom a => aaaa from 10.0.0.100:5302
        in recvfrom a => bbbb from 10.0.0.100:5302
        in recvfrom a => cc from 10.0.0.100:5302
        peer sendto c 10.0.0.6:5300 ddddeeee
        in recvfrom a => dddd from 10.0.0.100:5302
        in recvfrom a => eeee from 10.0.0.100:5302
        peer sendto c 10.0.0.6:5300 ffffg
        in recvfrom a => ffff from 10.0.0.100:5302
        in recvfrom a => g from 10.0.0.100:5302
        peer sendto c 10.0.0.6:5301 aaaabbbbcc
        in recvfrom b => aaaabbbbcc from [::ffff:10.0.0.100]:5302
        peer d = socket udp6
        peer bind d [2001:db8::100]:5303
        peer opt d segment 4
        peer sendto d [2001:db8::6]:5301 aaaabbbbcc
        in recvfrom b => aaaabbbbcc from [2001:db8::100]:5303
        peer sendto d [2001:db8::6]:5301 ddddeeee
        in recvfrom b => ddddeeee from [2001:db8::100]:5303
    ";
    from_the_wildcard_of_both_families: "A7", r"
        peer a = socket udp6
        peer bind a [2001:db8::100]:5300
        peer opt a segment 4
        in c = socket udp6
        in bind c [::]:0
        in connect c [2001:db8::100]:5300
        in opt c segment 4
        in send c aaaabbbbcc
        peer recvfrom a => aaaa from [2001:db8::5]:*
        peer recvfrom a => bbbb from [2001:db8::5]:*
        peer recvfrom a => cc from [2001:db8::5]:*
        peer sendto a [2001:db8::5]:{in.c} ddddee
        in recvfrom c => dddd from [2001:db8::100]:5300
        in recvfrom c => ee from [2001:db8::100]:5300
        in opt c gro 1
        peer sendto a [2001:db8::5]:{in.c} ffffgggg
        in recvfrom c => ffffgggg from [2001:db8::100]:5300
    ";
    sent_before_it_connects: "A7", r"
        peer a = socket udp4
        peer bind a 10.0.0.100:5300
        peer opt a segment 4
        in c = socket udp4
        in sendto c 10.0.0.100:5301 x
        in connect c 10.0.0.100:5300
        in opt c segment 4
        in send c aaaabbbbcc
        peer recvfrom a => aaaa from 10.0.0.5:*
        peer recvfrom a => bbbb from 10.0.0.5:*
        peer recvfrom a => cc from 10.0.0.5:*
        peer sendto a 10.0.0.5:{in.c} ddddee
        in recvfrom c => dddd from 10.0.0.100:5300
        in recvfrom c => ee from 10.0.0.100:5300
    ";
    on_the_loopback: "A2", r"
        in a = socket udp4
        in opt a pktinfo 1
        in bind a 0.0.0.0:5300
        in c = socket udp4
        in bind c 127.0.0.1:5301
        in opt c segment 4
        in sendto c 127.0.0.1:5300 aaaabbbbcc
        in recvmsg a => aaaa from 127.0.0.1:5301 to 127.0.0.1 local 127.0.0.1 via lo
        in recvmsg a => bbbb from 127.0.0.1:5301 to 127.0.0.1 local 127.0.0.1 via lo
        in recvmsg a => cc from 127.0.0.1:5301 to 127.0.0.1 local 127.0.0.1 via lo
        in b = socket udp6
        in opt b pktinfo 1
        in opt b gro 1
        in bind b [::]:5302
        in d = socket udp6
        in bind d [::1]:5303
        in opt d segment 4
        in sendto d [::1]:5302 aaaabbbbcc
        in recvmsg b => aaaabbbbcc from [::1]:5303 to ::1 via lo
    ";
    to_a_group: "A6", r"
        in a = socket udp4
        in bind a 0.0.0.0:5353
        in join a 239.1.2.3 eth0
        other b = socket udp4
        other bind b 0.0.0.0:5353
        other join b 239.1.2.3 eth0
        peer c = socket udp4
        peer bind c 10.0.0.100:5301
        peer opt c mcast-if br0
        peer opt c segment 4
        peer sendto c 239.1.2.3:5353 aaaabbbbcc
        in recvfrom a => aaaa from 10.0.0.100:5301
        in recvfrom a => bbbb from 10.0.0.100:5301
        in recvfrom a => cc from 10.0.0.100:5301
        other recvfrom b => aaaa from 10.0.0.100:5301
        other recvfrom b => bbbb from 10.0.0.100:5301
        other recvfrom b => cc from 10.0.0.100:5301
    ";
    foreign_sources: "A8", r"
        in c = socket udp4
        in opt c segment 4
        in sendmsg c 10.0.0.100:5300 aaaabbbbcc src=10.0.0.1 => ENETUNREACH|EINVAL
        in d = socket udp6
        in opt d segment 4
        in sendmsg d [2001:db8::100]:5300 aaaabbbbcc src=2001:db8::9 => EINVAL
    ";
}
