//! A6 and A9: one wildcard socket serves exactly the set.

cases! {
    tcp4_serves_every_address: "A9", r"
        in a = socket tcp4
        in bind a 0.0.0.0:8080
        in name a => 0.0.0.0:8080
        in listen a
        in name a => 0.0.0.0:8080
        peer c = socket tcp4
        peer connect c 10.0.0.5:8080
        in b = accept a => from 10.0.0.100:*
        in name b => 10.0.0.5:8080
        in peer b => 10.0.0.100:*
        peer d = socket tcp4
        peer connect d 10.0.0.6:8080
        in e = accept a => from 10.0.0.100:*
        in name e => 10.0.0.6:8080
        peer send d hello
        in recv e => hello
        in send e there
        peer recv d => there
        peer peer d => 10.0.0.6:8080
    ";
    tcp6_serves_every_address: "A9", r"
        in a = socket tcp6
        in opt a v6only 1
        in bind a [::]:8080
        in name a => [::]:8080
        in listen a
        peer c = socket tcp6
        peer connect c [2001:db8::5]:8080
        in b = accept a => from [2001:db8::100]:*
        in name b => [2001:db8::5]:8080
        peer d = socket tcp6
        peer connect d [2001:db8::6]:8080
        in e = accept a => from [2001:db8::100]:*
        in name e => [2001:db8::6]:8080
        peer f = socket tcp4
        peer connect f 10.0.0.5:8080 => ECONNREFUSED
    ";
    dual_stack_serves_both: "A9", r"
        in a = socket tcp6
        in bind a [::]:8080
        in listen a
        peer c = socket tcp6
        peer connect c [2001:db8::6]:8080
        in b = accept a => from [2001:db8::100]:*
        in name b => [2001:db8::6]:8080
        peer d = socket tcp4
        peer connect d 10.0.0.5:8080
        in e = accept a => from [::ffff:10.0.0.100]:*
        in name e => [::ffff:10.0.0.5]:8080
        peer f = socket tcp4
        peer connect f 10.0.0.6:8080
        in g = accept a => from [::ffff:10.0.0.100]:*
        in name g => [::ffff:10.0.0.6]:8080
    ";
    dual_stack_without_ipv4: "A6", r"
        set six
        in a = socket tcp6
        in bind a [::]:8080
        in listen a
        peer c = socket tcp6
        peer connect c [2001:db8::6]:8080
        in b = accept a => from [2001:db8::100]:*
        in name b => [2001:db8::6]:8080
        in d = socket tcp4
        in connect d 127.0.0.1:8080
        in e = accept a => from [::ffff:127.0.0.1]:*
    ";
    dual_stack_without_ipv6: "A6", r"
        set four
        in a = socket tcp6
        in bind a [::]:8080
        in listen a
        peer c = socket tcp4
        peer connect c 10.0.0.6:8080
        in b = accept a => from [::ffff:10.0.0.100]:*
        in name b => [::ffff:10.0.0.6]:8080
        in d = socket tcp6
        in connect d [::1]:8080
        in e = accept a => from [::1]:*
    ";
    one_address: "A6", r"
        set one
        in a = socket tcp4
        in bind a 0.0.0.0:8080
        in name a => 0.0.0.0:8080
        in listen a
        in u = socket udp4
        in bind u 0.0.0.0:5300
        in name u => 0.0.0.0:5300
        peer c = socket tcp4
        peer connect c 10.0.0.5:8080
        in b = accept a => from 10.0.0.100:*
        in name b => 10.0.0.5:8080
        peer d = socket udp4
        peer sendto d 10.0.0.5:5300 hello
        in recvfrom u => hello from 10.0.0.100:*
        in e = socket tcp4
        in connect e 127.0.0.1:8080
        in f = accept a => from 127.0.0.1:*
        in name f => 127.0.0.1:8080
        in g = socket udp4
        in sendto g 127.0.0.1:5300 local
        in recvfrom u => local from 127.0.0.1:*
    ";
    udp4_serves_every_address: "A6", r"
        in a = socket udp4
        in bind a 0.0.0.0:5300
        in name a => 0.0.0.0:5300
        in opt a pktinfo 1
        peer c = socket udp4
        peer bind c 10.0.0.100:5301
        peer sendto c 10.0.0.5:5300 first
        in recvmsg a => first from 10.0.0.100:5301 to 10.0.0.5 local 10.0.0.5 via eth0
        peer sendto c 10.0.0.6:5300 second
        in recvmsg a => second from 10.0.0.100:5301 to 10.0.0.6 local 10.0.0.6 via eth0
    ";
    udp6_serves_every_address: "A6", r"
        in a = socket udp6
        in opt a v6only 1
        in bind a [::]:5300
        in name a => [::]:5300
        in opt a pktinfo 1
        peer c = socket udp6
        peer bind c [2001:db8::100]:5301
        peer sendto c [2001:db8::5]:5300 first
        in recvmsg a => first from [2001:db8::100]:5301 to 2001:db8::5 via eth0
        peer sendto c [2001:db8::6]:5300 second
        in recvmsg a => second from [2001:db8::100]:5301 to 2001:db8::6 via eth0
    ";
    udp_dual_stack_serves_both: "A6", r"
        in a = socket udp6
        in bind a [::]:5300
        in name a => [::]:5300
        peer c = socket udp4
        peer bind c 10.0.0.100:5301
        peer sendto c 10.0.0.6:5300 four
        in recvfrom a => four from [::ffff:10.0.0.100]:5301
        peer d = socket udp6
        peer bind d [2001:db8::100]:5301
        peer sendto d [2001:db8::6]:5300 six
        in recvfrom a => six from [2001:db8::100]:5301
    ";
    several_listeners_share: "A6", r"
        in a = socket tcp4
        in opt a reuseport 1
        in bind a 0.0.0.0:8080
        in listen a
        in b = socket tcp4
        in opt b reuseport 1
        in bind b 0.0.0.0:8080
        in listen b
        in close b
        peer c = socket tcp4
        peer connect c 10.0.0.6:8080
        in d = accept a => from 10.0.0.100:*
        in name d => 10.0.0.6:8080
    ";
    specific_before_wildcard: "A6", r"
        in a = socket tcp4
        in opt a reuseaddr 1
        in opt a reuseport 1
        in bind a 0.0.0.0:8080
        in listen a
        in b = socket tcp4
        in opt b reuseaddr 1
        in opt b reuseport 1
        in bind b 10.0.0.6:8080
        in listen b
        peer c = socket tcp4
        peer connect c 10.0.0.6:8080
        in d = accept b => from 10.0.0.100:*
        peer e = socket tcp4
        peer connect e 10.0.0.5:8080
        in f = accept a => from 10.0.0.100:*
        in quiet a => quiet
        in quiet b => quiet
    ";
    v6only_beside_ipv4: "A6", r"
        in a = socket tcp4
        in bind a 0.0.0.0:80
        in listen a
        in b = socket tcp6
        in opt b v6only 1
        in bind b [::]:80
        in listen b
        peer c = socket tcp4
        peer connect c 10.0.0.6:80
        in d = accept a => from 10.0.0.100:*
        peer e = socket tcp6
        peer connect e [2001:db8::6]:80
        in f = accept b => from [2001:db8::100]:*
        in quiet a => quiet
        in quiet b => quiet
    ";
    listen_without_bind: "A6", r"
        in a = socket tcp4
        in listen a
        in name a => 0.0.0.0:*
        peer c = socket tcp4
        peer connect c 10.0.0.6:{in.a}
        in b = accept a => from 10.0.0.100:*
        in name b => 10.0.0.6:*
        peer d = socket tcp4
        peer connect d 10.0.0.1:{in.a} => ECONNREFUSED / ECONNREFUSED|EINPROGRESS [chosen-port] # dropped
        in e = socket tcp4
        in connect e 127.0.0.1:{in.a}
        in f = accept a => from 127.0.0.1:*
    ";
    udp_without_bind: "A6", r"
        peer a = socket udp4
        peer bind a 10.0.0.100:5300
        in c = socket udp4
        in sendto c 10.0.0.100:5300 hello
        peer recvfrom a => hello from 10.0.0.5:*
        peer sendto a 10.0.0.5:{in.c} back
        in recvfrom c => back from 10.0.0.100:5300
        peer sendto a 10.0.0.6:{in.c} second
        in recvfrom c => second from 10.0.0.100:5300
        peer connect a 10.0.0.1:{in.c}
        peer send a x
        peer recv a => ECONNREFUSED / ECONNREFUSED|EAGAIN [chosen-port] # dropped
        in quiet c => quiet
    ";
    a_prefix_is_served: "A6", r"
        set prefix
        in a = socket tcp4
        in bind a 0.0.0.0:8080
        in listen a
        in b = socket tcp6
        in opt b v6only 1
        in bind b [::]:8080
        in listen b
        peer c = socket tcp4
        peer connect c 10.9.0.200:8080
        in d = accept a => from 10.0.0.100:*
        in name d => 10.9.0.200:8080
        peer e = socket tcp6
        peer connect e [2001:db8:7:0:1::2]:8080
        in f = accept b => from [2001:db8::100]:*
        in name f => [2001:db8:7:0:1::2]:8080
    ";
    two_networks: "A6", r"
        set nets
        in a = socket tcp4
        in bind a 0.0.0.0:8080
        in listen a
        peer c = socket tcp4
        peer connect c 10.1.0.5:8080
        in b = accept a => from 10.1.0.100:*
        in name b => 10.1.0.5:8080
        peer d = socket tcp4
        peer connect d 10.0.0.6:8080
        in e = accept a => from 10.0.0.100:*
        in name e => 10.0.0.6:8080
    ";
}
