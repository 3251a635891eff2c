//! A2: of 127.0.0.0/8 all addresses are the machine's own, not only the first.

cases! {
    tcp: "A2", r"
        in a = socket tcp4
        in bind a 127.0.0.5:8080
        in name a => 127.0.0.5:8080
        in listen a
        in c = socket tcp4
        in connect c 127.0.0.5:8080
        in name c => 127.0.0.1:*
        in peer c => 127.0.0.5:8080
        in b = accept a => from 127.0.0.1:*
        in name b => 127.0.0.5:8080
        in peer b => 127.0.0.1:*
        in send c hello
        in recv b => hello
        in send b there
        in recv c => there
        in d = socket tcp4
        in connect d 127.0.0.1:8080 => ECONNREFUSED
        in e = socket tcp4
        in connect e 127.0.0.6:8080 => ECONNREFUSED
    ";
    tcp_from_one_to_another: "A2", r"
        in a = socket tcp4
        in bind a 127.0.1.1:8080
        in listen a
        in c = socket tcp4
        in bind c 127.3.2.1:0
        in name c => 127.3.2.1:*
        in connect c 127.0.1.1:8080
        in name c => 127.3.2.1:*
        in b = accept a => from 127.3.2.1:*
        in peer b => 127.3.2.1:*
        in d = socket tcp4
        in bind d 127.3.2.1:0
        in connect d 10.0.0.100:8080 => EINVAL
        in e = socket tcp4
        in bind e 10.0.0.6:0
        in connect e 127.0.1.1:8080
        in f = accept a => from 10.0.0.6:*
    ";
    one_bound_there_reaches_the_first: "A2", r"
        in a = socket tcp4
        in bind a 127.0.0.1:8080
        in listen a
        in c = socket tcp4
        in bind c 127.0.0.5:4000
        in connect c 127.0.0.1:8080
        in b = accept a => from 127.0.0.5:4000
        in u = socket udp4
        in bind u 127.0.0.1:5300
        in v = socket udp4
        in bind v 127.0.0.5:5301
        in sendto v 127.0.0.1:5300 hello
        in recvfrom u => hello from 127.0.0.5:5301
        in sendto u 127.0.0.5:5301 back
        in recvfrom v => back from 127.0.0.1:5300
    ";
    the_wildcard_hears_all_of_them_tcp: "A2", r"
        in a = socket tcp4
        in bind a 0.0.0.0:8080
        in listen a
        in c = socket tcp4
        in connect c 127.0.0.2:8080
        in b = accept a => from 127.0.0.1:*
        in name b => 127.0.0.2:8080
        in d = socket tcp4
        in connect d 127.255.255.254:8080
        in e = accept a => from 127.0.0.1:*
        in name e => 127.255.255.254:8080
        in peer d => 127.255.255.254:8080
    ";
    the_wildcard_of_both_families_hears_them: "A2", r"
        in a = socket tcp6
        in bind a [::]:8080
        in listen a
        in c = socket tcp4
        in connect c 127.0.0.2:8080
        in b = accept a => from [::ffff:127.0.0.1]:*
        in name b => [::ffff:127.0.0.2]:8080
        in d = socket tcp6
        in connect d [::ffff:127.0.0.3]:8080
        in peer d => [::ffff:127.0.0.3]:8080
        in e = accept a => from [::ffff:127.0.0.1]:*
        in name e => [::ffff:127.0.0.3]:8080
    ";
    the_wildcard_hears_all_of_them_udp: "A2", r"
        in a = socket udp4
        in bind a 0.0.0.0:5300
        in c = socket udp4
        in sendto c 127.0.0.2:5300 hello
        in recvfrom a => hello from 127.0.0.1:*
        in e = socket udp4
        in connect e 127.0.0.9:5300
        in name e => 127.0.0.1:*
        in peer e => 127.0.0.9:5300
        in send e again
        in recvfrom a => again from 127.0.0.1:*
        in d = socket udp6
        in opt d v6only 0
        in bind d [::]:5301
        in sendto c 127.4.4.4:5301 six
        in recvfrom d => six from [::ffff:127.0.0.1]:*
    ";
    udp: "A2", r"
        in a = socket udp4
        in bind a 127.0.0.53:5300
        in name a => 127.0.0.53:5300
        in c = socket udp4
        in sendto c 127.0.0.53:5300 hello
        in recvfrom a => hello from 127.0.0.1:*
        in d = socket udp4
        in connect d 127.0.0.53:5300
        in name d => 127.0.0.1:*
        in peer d => 127.0.0.53:5300
        in send d question
        in recvfrom a => question from 127.0.0.1:*
        in sendto a 127.0.0.1:{in.d} answer
        in recv d => answer
        in e = socket udp4
        in bind e 127.0.0.54:5301
        in sendto e 127.0.0.53:5300 hello
        in recvfrom a => hello from 127.0.0.54:5301
        in connect a 127.0.0.54:5301
        in send a back
        in recvmsg e => back from 127.0.0.53:5300
        in sendto e 127.0.0.1:5300 nobody
        in quiet a => quiet
    ";
    nobody_there_udp: "A2", r"
        in c = socket udp4
        in connect c 127.0.0.53:5300
        in peer c => 127.0.0.53:5300
        in send c hello
        in recv c => ECONNREFUSED
        in a = socket udp4
        in bind a 127.0.0.53:5300
        in send c hello
        in recvfrom a => hello from 127.0.0.1:*
        in d = socket udp4
        in sendto d 127.0.0.77:5300 nobody
        in quiet a => quiet
    ";
    a_datagram_from_the_one_that_it_names: "A2", r"
        in a = socket udp4
        in bind a 127.0.0.1:5300
        in c = socket udp4
        in sendmsg c 127.0.0.1:5300 hello src=127.0.0.7
        in recvfrom a => hello from 127.0.0.7:*
        in d = socket udp4
        in bind d 0.0.0.0:5301
        in sendmsg d 127.0.0.1:5300 hello src=127.0.0.8
        in recvfrom a => hello from 127.0.0.8:5301
    ";
    mapped: "A2", r"
        in a = socket tcp6
        in bind a [::ffff:127.0.0.5]:8080
        in name a => [::ffff:127.0.0.5]:8080
        in listen a
        in c = socket tcp4
        in connect c 127.0.0.5:8080
        in b = accept a => from [::ffff:127.0.0.1]:*
        in name b => [::ffff:127.0.0.5]:8080
        in u = socket udp6
        in bind u [::ffff:127.0.0.5]:5300
        in v = socket udp6
        in sendto v [::ffff:127.0.0.5]:5300 hello
        in recvfrom u => hello from [::ffff:127.0.0.1]:*
        in w = socket udp6
        in connect w [::ffff:127.0.0.5]:5300
        in name w => [::ffff:127.0.0.1]:*
        in peer w => [::ffff:127.0.0.5]:5300
    ";
    the_first_and_the_last: "A2", r"
        in a = socket tcp4
        in bind a 127.0.0.0:8080
        in listen a
        in c = socket tcp4
        in connect c 127.0.0.0:8080
        in b = accept a => from 127.0.0.1:*
        in d = socket tcp4
        in connect d 127.255.255.255:8080 => ENETUNREACH
        in e = socket udp4
        in sendto e 127.255.255.255:5300 x => EACCES
        in connect e 127.255.255.255:5300 => EACCES
        in f = socket tcp4
        in bind f 127.255.255.255:8080 => ok / EADDRNOTAVAIL [loopback-broadcast]
    ";
    connected_elsewhere_afterwards: "A2", r"
        in a = socket udp4
        in bind a 127.0.0.5:5300
        in c = socket udp4
        in connect c 127.0.0.5:5300
        in connect c 10.0.0.100:5300 => EINVAL
        in name c => 127.0.0.1:*
        in connect c 127.0.0.5:5300
        in send c hello
        in recvfrom a => hello from 127.0.0.1:*
    ";
    ping: "A15", r"
        in a = socket ping4
        in echo a 127.0.0.5:0
        in echoed a => type 0 sequence 7 from 127.0.0.5:0
        in b = socket ping4
        in connect b 127.0.0.1:0
        in echo b -
        in echoed b => type 0 sequence 7 from 127.0.0.1:0
        in c = socket ping4
        in connect c 127.0.0.5:0
        in echo c -
        in echoed c => type 0 sequence 7 from 127.0.0.5:0
        in address c => 127.0.0.1
        in e = socket ping4
        in bind e 127.0.0.1:0
        in connect e 127.0.0.5:0
        in echo e -
        in echoed e => type 0 sequence 7 from 127.0.0.5:0
        in f = socket ping6
        in connect f [::1]:0
        in echo f -
        in echoed f => type 129 sequence 7 from [::1]:0
        in d = socket ping4
        in bind d 127.0.0.6:0
        in echo d 127.0.0.5:0
        in echoed d => type 0 sequence 7 from 127.0.0.5:0
    ";
    where_a_datagram_was_sent_to: "A2", r"
        in a = socket udp4
        in opt a pktinfo 1
        in bind a 127.0.0.1:5300
        in c = socket udp4
        in sendto c 127.0.0.1:5300 hello
        in recvmsg a => hello from 127.0.0.1:* to 127.0.0.1 local 127.0.0.1 via lo
        in connect a 127.0.0.1:{in.c}
        in send c hello => EDESTADDRREQ
        in sendto c 127.0.0.1:5300 again
        in recvmsg a => again from 127.0.0.1:* to 127.0.0.1 local 127.0.0.1 via lo
        in b = socket udp4
        in opt b pktinfo 1
        in bind b 0.0.0.0:5301
        in sendto c 127.0.0.1:5301 hello
        in recvmsg b => hello from 127.0.0.1:* to 127.0.0.1 local 127.0.0.1 via lo
        in sendto c 127.0.0.9:5301 hello
        in recvmsg b => hello from 127.0.0.1:* to 127.0.0.9 local 127.0.0.9 via lo
        in sendto c 10.0.0.6:5301 hello
        in recvmsg b => hello from 10.0.0.5:* to 10.0.0.6 local 10.0.0.6 via eth0
        in sendmsg c 127.0.0.1:5301 hello src=127.0.0.6
        in recvmsg b => hello from 127.0.0.6:* to 127.0.0.1 local 127.0.0.1 via lo
        in d = socket udp4
        in opt d pktinfo 1
        in bind d 127.0.0.53:53
        in sendto c 127.0.0.53:53 hello
        in recvmsg d => hello from 127.0.0.1:* to 127.0.0.53 local 127.0.0.53 via lo
    ";
    where_a_datagram_was_sent_to_6: "A2", r"
        in a = socket udp6
        in opt a pktinfo 1
        in bind a [::1]:5300
        in c = socket udp6
        in sendto c [::1]:5300 hello
        in recvmsg a => hello from [::1]:* to ::1 via lo
        in b = socket udp6
        in opt b pktinfo 1
        in bind b [::]:5301
        in sendto c [::1]:5301 hello
        in recvmsg b => hello from [::1]:* to ::1 via lo
        in d = socket udp4
        in sendto d 127.0.0.1:5301 hello
        in recvmsg b => hello from [::ffff:127.0.0.1]:* to ::ffff:127.0.0.1 via lo
        in sendto d 127.0.0.77:5301 hello
        in recvmsg b => hello from [::ffff:127.0.0.1]:* to ::ffff:127.0.0.77 via lo
        in sendto d 10.0.0.6:5301 hello
        in recvmsg b => hello from [::ffff:10.0.0.5]:* to ::ffff:10.0.0.6 via eth0
    ";
}
