//! A7: sockets that were connected, and are not any more.

cases! {
    udp_sends_again: "A7", r"
        peer s = socket udp4
        peer bind s 10.0.0.100:5303
        in c = socket udp4
        in connect c 10.0.0.100:5303
        in connect c unspec
        in sendto c 10.0.0.100:5303 hello
        peer recvfrom s => hello from 10.0.0.5:*
        peer sendto s 10.0.0.5:{in.c} back
        in recvfrom c => back from 10.0.0.100:5303
        in a = socket udp4
        in bind a 127.0.0.1:5300
        in sendto c 127.0.0.1:5300 home
        in recvfrom a => home from 127.0.0.1:*
        in sendto a 127.0.0.1:{in.c} back
        in recvfrom c => back from 127.0.0.1:5300
    ";
    udp_sends_again_6: "A7", r"
        peer s = socket udp6
        peer bind s [2001:db8::100]:5303
        in c = socket udp6
        in connect c [2001:db8::100]:5303
        in connect c unspec
        in sendto c [2001:db8::100]:5303 hello
        peer recvfrom s => hello from [2001:db8::5]:*
        peer sendto s [2001:db8::5]:{in.c} back
        in recvfrom c => back from [2001:db8::100]:5303
    ";
    udp_after_the_loopback: "A7", r"
        peer s = socket udp4
        peer bind s 10.0.0.100:5303
        in a = socket udp4
        in bind a 127.0.0.1:5300
        in c = socket udp4
        in connect c 127.0.0.1:5300
        in connect c unspec
        in sendto c 10.0.0.100:5303 hello
        peer recvfrom s => hello from 10.0.0.5:*
        peer sendto s 10.0.0.5:{in.c} back
        in recvfrom c => back from 10.0.0.100:5303
    ";
    an_echo_socket_turns_to_the_loopback: "A15", r"
        in a = socket ping4
        in connect a 10.0.0.100:0
        in connect a unspec
        in connect a 127.0.0.1:0
        in echo a -
        in echoed a => type 0 sequence 7 from 127.0.0.1:0
        in b = socket ping4
        in connect b 0.0.0.0:0
        in echo b -
        in echoed b => type 0 sequence 7 from 127.0.0.1:0
        in d = socket ping4
        in bind d 10.0.0.6:0
        in echo d 127.0.0.1:0
        in echoed d => type 0 sequence 7 from 127.0.0.1:0
        in connect d 127.0.0.5:0
        in echo d -
        in echoed d => type 0 sequence 7 from 127.0.0.5:0
        in c = socket ping6
        in connect c [::]:0
        in echo c -
        in echoed c => type 129 sequence 7 from [::1]:0
    ";
}
