//! A15: UDP-Lite, where the kernel has it.

cases! {
    over_the_loopback: "A15", r"
        in a = socket udplite4
        in bind a 127.0.0.1:5300
        in name a => 127.0.0.1:5300
        in c = socket udplite4
        in sendto c 127.0.0.1:5300 hello
        in recvfrom a => hello from 127.0.0.1:*
        in connect c 127.0.0.1:5300
        in name c => 127.0.0.1:*
        in e = socket udplite4
        in sendmsg e 10.0.0.100:5300 x src=10.0.0.1 => ENETUNREACH|EINVAL
        in f = socket udplite4
        in bind f 0.0.0.0:5300 => EADDRINUSE
        in g = socket udplite4
        in bind g 0.0.0.0:0
        in name g => 0.0.0.0:*
        in h = socket udplite4
        in bind h 10.0.0.6:5301
        in k = socket udplite4
        in bind k 10.0.0.6:5301 => EADDRINUSE
        in bind k 0.0.0.0:5301 => EADDRINUSE
    ";
    udplite6: "A15", r"
        in a = socket udplite6
        in bind a [::]:5300
        in name a => [::]:5300
        peer c = socket udplite6
        peer bind c [2001:db8::100]:5301
        peer sendto c [2001:db8::5]:5300 hello
        in recvfrom a => hello from [2001:db8::100]:5301 / EAGAIN [udplite-wildcard]
        in sendto a [2001:db8::100]:5301 back
        peer recvfrom c => back from [2001:db8::5]:5300
        in b = socket udplite6
        in bind b [2001:db8::1]:5301 => EADDRNOTAVAIL
        in bind b [::1]:5301
        in name b => [::1]:5301
        in d = socket udplite6
        in sendto d [::1]:5301 local
        in recvfrom b => local from [::1]:*
    ";
    connected: "A7", r"
        in a = socket udplite4
        in connect a 10.0.0.100:5300
        in name a => 10.0.0.5:* / 10.0.0.1:* [udplite-connect]
        in send a x => ok / EPERM [udplite-connect]
    ";
    to_an_address_where_the_host_alone_listens: "A6", r"
        host h = socket udplite4
        host bind h 0.0.0.0:5300
        peer c = socket udplite4
        peer sendto c 10.0.0.6:5300 x
        host recvfrom h => EAGAIN / x from 10.0.0.100:* [udplite-wildcard]
    ";
    told_of_the_loopback: "A8", r"
        in a = socket udplite4
        in opt a pktinfo 1
        in bind a 127.0.0.1:5300
        in b = socket udplite4
        in bind b 127.0.0.1:5301
        in sendto b 127.0.0.1:5300 x
        in recvmsg a => x from 127.0.0.1:5301 to 127.0.0.1 local 127.0.0.1 via lo / x from 127.0.0.1:5301 to 127.~ via lo [pktinfo-loopback]
    ";
}
