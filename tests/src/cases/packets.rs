//! A7, A8, A10: several messages by one call, packet information both ways, and
//! destinations written in odd ways.

cases! {
    sources_of_a_mapped_destination: "A8", r"
        peer a = socket udp4
        peer bind a 0.0.0.0:5300
        in c = socket udp6
        in sendmsg c [::ffff:10.0.0.100]:5300 one src=10.0.0.6
        peer recvfrom a => one from 10.0.0.6:*
        in sendmsg c [::ffff:10.0.0.100]:5300 two src=::ffff:10.0.0.6
        peer recvfrom a => two from 10.0.0.6:*
        in sendmsg c [::ffff:10.0.0.100]:5300 x src=::ffff:10.0.0.1 => ENETUNREACH|EINVAL
        in sendmsg c [::ffff:10.0.0.100]:5300 x src=10.0.0.1 => ENETUNREACH|EINVAL
        in sendmsg c [::ffff:10.0.0.100]:5300 x src=2001:db8::6 => EINVAL
        in sendmsg c 10.0.0.100:5300 three src=10.0.0.6
        peer recvfrom a => three from 10.0.0.6:*
        in sendmsg c 10.0.0.100:5300 x src=10.0.0.9 => ENETUNREACH|EINVAL
        in name c => [::]:*
    ";
    what_a_dual_stack_socket_hears: "A9", r"
        in a = socket udp6
        in opt a pktinfo 1
        in opt a pktinfo4 1
        in bind a [::]:5300
        peer c = socket udp4
        peer bind c 10.0.0.100:5301
        peer sendto c 10.0.0.6:5300 hello
        in recvmsg a => hello from [::ffff:10.0.0.100]:5301 to ::ffff:10.0.0.6 via eth0 to 10.0.0.6 local 10.0.0.6 via eth0
        in sendmsg a [::ffff:10.0.0.100]:5301 back src=10.0.0.6
        peer recvfrom c => back from 10.0.0.6:5300
        peer d = socket udp6
        peer bind d [2001:db8::100]:5301
        peer sendto d [2001:db8::6]:5300 six
        in recvmsg a => six from [2001:db8::100]:5301 to 2001:db8::6 via eth0
        in sendmsg a [2001:db8::100]:5301 back src=2001:db8::6
        peer recvfrom d => back from [2001:db8::6]:5300
        in sendmsg a [2001:db8::100]:5301 wrong src=2001:db8::1 => EINVAL
    ";
    sources_of_a_connected_socket: "A8", r"
        peer a = socket udp4
        peer bind a 0.0.0.0:5300
        in c = socket udp4
        in connect c 10.0.0.100:5300
        in sendmsg c - one src=10.0.0.6
        peer recvfrom a => one from 10.0.0.6:*
        in sendmsg c - x src=10.0.0.1 => ENETUNREACH|EINVAL
        in sendmsg c - x src=127.0.0.1 => EINVAL
        in d = socket udp4
        in bind d 10.0.0.6:5301
        in connect d 10.0.0.100:5300
        in sendmsg d - two src=10.0.0.5
        peer recvfrom a => two from 10.0.0.5:5301
        in sendmsg d - three
        peer recvfrom a => three from 10.0.0.6:5301
    ";
    sources_towards_the_loopback: "A2", r"
        in a = socket udp4
        in bind a 127.0.0.1:5300
        in c = socket udp4
        in sendmsg c 127.0.0.1:5300 one src=127.0.0.1
        in recvfrom a => one from 127.0.0.1:*
        in sendmsg c 127.0.0.1:5300 two src=10.0.0.6
        in recvfrom a => two from 10.0.0.6:*
        in sendmsg c 10.0.0.100:5300 x src=127.0.0.1 => EINVAL
        in b = socket udp6
        in bind b [::1]:5301
        in d = socket udp6
        in sendmsg d [::1]:5301 three src=::1
        in recvfrom b => three from [::1]:*
        in sendmsg d [::1]:5301 four src=2001:db8::6
        in recvfrom b => four from [2001:db8::6]:*
    ";
    no_source_is_no_choice: "A7", r"
        peer a = socket udp4
        peer bind a 0.0.0.0:5300
        in c = socket udp4
        in bind c 10.0.0.6:5301
        in sendmsg c 10.0.0.100:5300 one src=0.0.0.0
        peer recvfrom a => one from 10.0.0.5:5301
        in d = socket udp6
        in bind d [2001:db8::6]:5301
        peer b = socket udp6
        peer bind b [2001:db8::100]:5302
        in sendmsg d [2001:db8::100]:5302 two src=::
        peer recvfrom b => two from [2001:db8::6]:5301
        in e = socket udp4
        in sendmsg e 10.0.0.100:5300 three src=0.0.0.0
        peer recvfrom a => three from 10.0.0.5:*
        in sendmsg e 10.0.0.100:5300 x src=239.1.2.3 => EINVAL
        in sendmsg e 10.0.0.100:5300 x src=255.255.255.255 => EINVAL
    ";
    an_interface_chooses_the_source: "A7", r"
        set nets
        peer a = socket udp4
        peer bind a 0.0.0.0:5300
        in c = socket udp4
        in sendmsg c 10.1.0.100:5300 one if=eth1
        peer recvfrom a => one from 10.1.0.5:*
        in sendmsg c 192.0.2.1:5300 two if=eth0
        peer recvfrom a => two from 10.0.0.5:*
        in sendmsg c 10.1.0.100:5300 three src=10.1.0.5 if=eth1
        peer recvfrom a => three from 10.1.0.5:*
        in sendmsg c 10.1.0.100:5300 x src=10.1.0.1 if=eth1 => ENETUNREACH|EINVAL
    ";
    sendmmsg_to_several: "A7", r"
        in u = socket udp4
        peer a = socket udp4
        peer bind a 0.0.0.0:5300
        peer b = socket udp4
        peer bind b 0.0.0.0:5301
        in l = socket udp4
        in bind l 127.0.0.1:5302
        in sendmany u 10.0.0.100:5300 one + 10.0.0.100:5301 two src=10.0.0.6 + 127.0.0.1:5302 three => 3 sent
        peer recvmany a 3 => one from 10.0.0.5:*
        peer recvmany b 3 => two from 10.0.0.6:*
        in recvmany l 3 => three from 127.0.0.1:*
        in name u => 0.0.0.0:*
    ";
    sendmmsg_stops_at_a_foreign_source: "A8", r"
        peer a = socket udp4
        peer bind a 0.0.0.0:5300
        in u = socket udp4
        in sendmany u 10.0.0.100:5300 one + 10.0.0.100:5300 two src=10.0.0.1 + 10.0.0.100:5300 three => 1 sent
        peer recvmany a 3 => one from 10.0.0.5:*
        in sendmany u 10.0.0.100:5300 x src=10.0.0.9 + 10.0.0.100:5300 y => ENETUNREACH|EINVAL
        peer quiet a => quiet
        in v = socket udp6
        peer b = socket udp6
        peer bind b [2001:db8::100]:5301
        in sendmany v [2001:db8::100]:5301 four src=2001:db8::6 + [2001:db8::100]:5301 five src=2001:db8::9 + [2001:db8::100]:5301 six => 1 sent
        peer recvmany b 3 => four from [2001:db8::6]:*
    ";
    recvmmsg_of_several: "A10", r"
        in a = socket udp4
        in bind a 0.0.0.0:5300
        in opt a pktinfo 1
        peer c = socket udp4
        peer bind c 10.0.0.100:5301
        peer sendmany c 10.0.0.5:5300 one + 10.0.0.6:5300 two + 10.0.0.5:5300 three => 3 sent
        in recvmany a 2 => one from 10.0.0.100:5301 to 10.0.0.5 local 10.0.0.5 via eth0 + two from 10.0.0.100:5301 to 10.0.0.6 local 10.0.0.6 via eth0
        in recvmany a 2 => three from 10.0.0.100:5301 to 10.0.0.5 local 10.0.0.5 via eth0
        in l = socket udp4
        in bind l 0.0.0.0:5302
        in m = socket udp4
        in bind m 127.0.0.1:5303
        in sendmany m 127.0.0.1:5302 four + 10.0.0.6:5302 five => 2 sent
        in recvmany l 4 => four from 127.0.0.1:5303 + five from 127.0.0.1:5303
        in b = socket udp6
        in bind b [::]:5304
        peer d = socket udp6
        peer bind d [2001:db8::100]:5301
        peer sendmany d [2001:db8::5]:5304 six + [2001:db8::6]:5304 seven => 2 sent
        peer sendto c 10.0.0.6:5304 eight
        in recvmany b 4 => six from [2001:db8::100]:5301 + seven from [2001:db8::100]:5301 + eight from [::ffff:10.0.0.100]:5301
    ";
    a_peek_shows_the_same_sender: "A2", r"
        in a = socket udp4
        in bind a 0.0.0.0:5300
        in c = socket udp4
        in bind c 127.0.0.1:5301
        in sendto c 127.0.0.1:5300 hello
        in peek a => hello from 127.0.0.1:5301
        in recvmsg a => hello from 127.0.0.1:5301
    ";
    original_destinations: "A9", r"
        in a = socket udp4
        in opt a origdst 1
        in bind a 0.0.0.0:5300
        peer c = socket udp4
        peer bind c 10.0.0.100:5301
        peer sendto c 10.0.0.6:5300 hello
        in recvmsg a => hello from 10.0.0.100:5301 destined 10.0.0.6:5300
        in b = socket udp6
        in opt b origdst 1
        in opt b v6only 1
        in bind b [::]:5300
        peer d = socket udp6
        peer bind d [2001:db8::100]:5301
        peer sendto d [2001:db8::6]:5300 six
        in recvmsg b => six from [2001:db8::100]:5301 destined [2001:db8::6]:5300
        in l = socket udp4
        in opt l origdst 1
        in bind l 127.0.0.1:5302
        in sendto l 127.0.0.1:5302 own
        in recvmsg l => own from 127.0.0.1:5302 destined 127.0.0.1:5302
    ";
    /// Before some kernel the option takes a capability that members have not.
    marks_of_what_comes: "A18", r"
        in a = socket udp4
        in opt a rcvmark 1 => ok / ok|EPERM [privileged-options]
        in bind a 0.0.0.0:5300
        in c = socket udp4
        in sendto c 127.0.0.1:5300 one
        in recvmsg a => one from 127.0.0.1:* mark 0x0 / one from 127.0.0.1:* mark 0x0|one from 127.0.0.1:* [privileged-options]
        in sendto c 10.0.0.6:5300 two
        in recvmsg a => two from 10.0.0.5:* mark 0x0 / two from 10.0.0.5:* mark 0x0|two from 10.0.0.5:* [privileged-options]
        in d = socket udp6
        in opt d rcvmark 1 => ok / ok|EPERM [privileged-options]
        in opt d pktinfo 1
        in bind d [::1]:5301
        in e = socket udp6
        in connect e [::1]:5301
        in send e three
        in recvmsg d => three from [::1]:* mark 0x0 to ::1 via lo / three from [::1]:* mark 0x0 to ::1 via lo|three from [::1]:* to ::1 via lo [privileged-options]
        in sendto d [::1]:5301 four
        peer f = socket udp4
        peer bind f 10.0.0.100:5302
        in g = socket udp4
        in opt g rcvmark 1 => ok / ok|EPERM [privileged-options]
        in sendto g 10.0.0.100:5302 five
        in connect g 10.0.0.100:5302
        in send g six
        peer sendto f 10.0.0.5:{in.g} seven
        in recvmsg g => seven from 10.0.0.100:5302 mark 0x0 / seven from 10.0.0.100:5302 mark 0x0|seven from 10.0.0.100:5302 [privileged-options]
    ";
    an_ipv4_name_on_an_ipv6_socket: "A7", r"
        peer a = socket udp4
        peer bind a 0.0.0.0:5300
        in c = socket udp6
        in sendto c 10.0.0.100:5300 hello
        peer recvfrom a => hello from 10.0.0.5:*
        in l = socket udp4
        in bind l 127.0.0.1:5301
        in sendto c 127.0.0.1:5301 local
        in recvfrom l => local from 127.0.0.1:*
        in connect c 10.0.0.100:5300
        in name c => [::ffff:10.0.0.5]:*
        in peer c => [::ffff:10.0.0.100]:5300
        in d = socket tcp6
        in connect d 10.0.0.100:5300 => EINVAL
        in e = socket udp6
        in opt e v6only 1
        in sendto e 10.0.0.100:5300 x => ENETUNREACH
        in sendto e [::ffff:10.0.0.100]:5300 x => ENETUNREACH
        in connect e [::ffff:10.0.0.100]:5300 => ENETUNREACH
        in f = socket tcp6
        in opt f v6only 1
        in connect f [::ffff:10.0.0.100]:5300 => ENETUNREACH
        in connect f [::ffff:127.0.0.1]:5300 => ENETUNREACH
        in bind f [::ffff:127.0.0.1]:5300 => EINVAL
    ";
}
