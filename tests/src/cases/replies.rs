//! C3: an unmodified UDP server on the wildcard answers from the address that was asked.
//!
//! A machine does not do that by itself: it answers from the address that the route
//! prefers. This is where a hostlet is better than its oracle.

cases! {
    from_the_address_that_was_asked: "C3", r"
        in a = socket udp4
        in bind a 0.0.0.0:5300
        peer c = socket udp4
        peer bind c 10.0.0.100:5301
        peer sendto c 10.0.0.6:5300 ask
        in recvfrom a => ask from 10.0.0.100:5301
        in sendto a 10.0.0.100:5301 answer
        peer recvfrom c => answer from 10.0.0.5:5300 / answer from 10.0.0.6:5300 [udp-answer]
        peer sendto c 10.0.0.5:5300 ask2
        in recvfrom a => ask2 from 10.0.0.100:5301
        in sendto a 10.0.0.100:5301 answer2
        peer recvfrom c => answer2 from 10.0.0.5:5300
    ";
    from_the_address_that_was_asked_six: "C3", r"
        in a = socket udp6
        in opt a v6only 1
        in bind a [::]:5300
        peer c = socket udp6
        peer bind c [2001:db8::100]:5301
        peer sendto c [2001:db8::6]:5300 ask
        in recvfrom a => ask from [2001:db8::100]:5301
        in sendto a [2001:db8::100]:5301 answer
        peer recvfrom c => answer from [2001:db8::5]:5300 / answer from [2001:db8::6]:5300 [udp-answer]
    ";
    two_clients_in_turn: "C3", r"
        in a = socket udp4
        in bind a 0.0.0.0:5300
        peer c = socket udp4
        peer bind c 10.0.0.100:5301
        peer d = socket udp4
        peer bind d 10.0.0.100:5302
        peer sendto c 10.0.0.6:5300 six
        peer sendto d 10.0.0.5:5300 five
        in recvfrom a => six from 10.0.0.100:5301
        in recvfrom a => five from 10.0.0.100:5302
        in sendto a 10.0.0.100:5301 one
        in sendto a 10.0.0.100:5302 two
        peer recvfrom c => one from 10.0.0.5:5300 / one from 10.0.0.6:5300 [udp-answer]
        peer recvfrom d => two from 10.0.0.5:5300
    ";
    connected_clients_get_their_answer: "C3", r"
        in a = socket udp4
        in bind a 0.0.0.0:5300
        peer c = socket udp4
        peer connect c 10.0.0.5:5300
        peer send c ask
        in recvfrom a => ask from 10.0.0.100:*
        peer d = socket udp4
        peer bind d 10.0.0.100:5301
        peer connect d 10.0.0.5:5300
        peer send d ask2
        in recvfrom a => ask2 from 10.0.0.100:5301
        in sendto a 10.0.0.100:5301 answer
        peer recv d => answer
    ";
    with_packet_info_as_on_any_machine: "C3", r"
        in a = socket udp4
        in opt a pktinfo 1
        in bind a 0.0.0.0:5300
        peer c = socket udp4
        peer bind c 10.0.0.100:5301
        peer sendto c 10.0.0.6:5300 ask
        in recvmsg a => ask from 10.0.0.100:5301 to 10.0.0.6 local 10.0.0.6 via eth0
        in sendmsg a 10.0.0.100:5301 answer src=10.0.0.6
        peer recvfrom c => answer from 10.0.0.6:5300
    ";
    over_loopback: "C3", r"
        in a = socket udp4
        in bind a 0.0.0.0:5300
        in c = socket udp4
        in bind c 127.0.0.1:5301
        in sendto c 127.0.0.1:5300 ask
        in recvfrom a => ask from 127.0.0.1:5301
        in sendto a 127.0.0.1:5301 answer
        in recvfrom c => answer from 127.0.0.1:5300
    ";
}
