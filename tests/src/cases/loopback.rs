//! A2: each hostlet has a loopback of its own, and it looks like any machine's.

cases! {
    tcp4_by_name_of_the_address: "A2", r"
        in a = socket tcp4
        in bind a 127.0.0.1:8080
        in name a => 127.0.0.1:8080
        in listen a
        in c = socket tcp4
        in connect c 127.0.0.1:8080
        in name c => 127.0.0.1:*
        in peer c => 127.0.0.1:8080
        in b = accept a => from 127.0.0.1:*
        in name b => 127.0.0.1:8080
        in peer b => 127.0.0.1:*
        in send c hello
        in recv b => hello
        in send b there
        in recv c => there
    ";
    tcp6_by_name_of_the_address: "A2", r"
        in a = socket tcp6
        in bind a [::1]:8080
        in name a => [::1]:8080
        in listen a
        in c = socket tcp6
        in connect c [::1]:8080
        in name c => [::1]:*
        in peer c => [::1]:8080
        in b = accept a => from [::1]:*
        in name b => [::1]:8080
    ";
    udp4: "A2", r"
        in a = socket udp4
        in bind a 127.0.0.1:5300
        in name a => 127.0.0.1:5300
        in c = socket udp4
        in sendto c 127.0.0.1:5300 hello
        in recvfrom a => hello from 127.0.0.1:*
        in d = socket udp4
        in bind d 127.0.0.1:5301
        in connect a 127.0.0.1:5301
        in peer a => 127.0.0.1:5301
        in send a back
        in recvfrom d => back from 127.0.0.1:5300
        in sendmsg d 127.0.0.1:5300 again
        in recvmsg a => again from 127.0.0.1:5301
    ";
    udp6: "A2", r"
        in a = socket udp6
        in bind a [::1]:5300
        in c = socket udp6
        in sendto c [::1]:5300 hello
        in recvfrom a => hello from [::1]:*
        in connect c [::1]:5300
        in name c => [::1]:*
        in peer c => [::1]:5300
        in send c again
        in recvfrom a => again from [::1]:*
    ";
    mapped: "A2", r"
        in a = socket tcp4
        in bind a 127.0.0.1:8080
        in listen a
        in c = socket tcp6
        in connect c [::ffff:127.0.0.1]:8080
        in name c => [::ffff:127.0.0.1]:*
        in peer c => [::ffff:127.0.0.1]:8080
        in b = accept a => from 127.0.0.1:*
    ";
    mapped_udp: "A2", r"
        in a = socket udp4
        in bind a 127.0.0.1:5300
        in c = socket udp6
        in sendto c [::ffff:127.0.0.1]:5300 hello
        in recvfrom a => hello from 127.0.0.1:*
        in d = socket udp6
        in bind d [::ffff:127.0.0.1]:5301
        in name d => [::ffff:127.0.0.1]:5301
        in sendto a 127.0.0.1:5301 back
        in recvfrom d => back from [::ffff:127.0.0.1]:5300
    ";
    zero_means_loopback_tcp: "A2", r"
        in a = socket tcp4
        in bind a 127.0.0.1:8080
        in listen a
        in c = socket tcp4
        in connect c 0.0.0.0:8080
        in peer c => 127.0.0.1:8080
        in b = accept a => from 127.0.0.1:*
        in d = socket tcp6
        in bind d [::1]:8081
        in listen d
        in e = socket tcp6
        in connect e [::]:8081
        in peer e => [::1]:8081
    ";
    zero_means_loopback_udp: "A2", r"
        in a = socket udp4
        in bind a 127.0.0.1:5300
        in c = socket udp4
        in sendto c 0.0.0.0:5300 hello
        in recvfrom a => hello from 127.0.0.1:*
        in d = socket udp6
        in bind d [::1]:5301
        in e = socket udp6
        in sendto e [::]:5301 six
        in recvfrom d => six from [::1]:*
    ";
    the_wildcard_hears_loopback_tcp: "A2", r"
        in a = socket tcp4
        in bind a 0.0.0.0:8080
        in listen a
        in c = socket tcp4
        in connect c 127.0.0.1:8080
        in b = accept a => from 127.0.0.1:*
        in name b => 127.0.0.1:8080
    ";
    the_wildcard_hears_loopback_tcp6: "A2", r"
        in a = socket tcp6
        in bind a [::]:8080
        in listen a
        in c = socket tcp6
        in connect c [::1]:8080
        in b = accept a => from [::1]:*
        in name b => [::1]:8080
        in d = socket tcp4
        in connect d 127.0.0.1:8080
        in e = accept a => from [::ffff:127.0.0.1]:*
        in name e => [::ffff:127.0.0.1]:8080
    ";
    the_wildcard_hears_loopback_udp: "A2", r"
        in a = socket udp4
        in bind a 0.0.0.0:5300
        in c = socket udp4
        in connect c 127.0.0.1:5300
        in send c hello
        in recvmsg a => hello from 127.0.0.1:*
        in d = socket udp6
        in opt d v6only 1
        in bind d [::]:5300
        in e = socket udp6
        in connect e [::1]:5300
        in send e six
        in recvfrom d => six from [::1]:*
    ";
    not_from_other_machines: "A2", r"
        in a = socket tcp4
        in bind a 127.0.0.1:8080
        in listen a
        other c = socket tcp4
        other connect c 127.0.0.1:8080 => ECONNREFUSED
        host c = socket tcp4
        host connect c 127.0.0.1:8080 => ECONNREFUSED
        in d = socket tcp4
        in connect d 10.0.0.5:8080 => ECONNREFUSED
        other d = socket tcp4
        other connect d 10.0.0.5:8080 => ECONNREFUSED
        peer d = socket tcp4
        peer connect d 10.0.0.5:8080 => ECONNREFUSED
        in quiet a => quiet
    ";
    not_from_other_machines_tcp6: "A2", r"
        in a = socket tcp6
        in bind a [::1]:8080
        in listen a
        other c = socket tcp6
        other connect c [::1]:8080 => ECONNREFUSED
        host c = socket tcp6
        host connect c [::1]:8080 => ECONNREFUSED
        peer d = socket tcp6
        peer connect d [2001:db8::5]:8080 => ECONNREFUSED
        in quiet a => quiet
    ";
    not_the_hosts: "A2", r"
        host a = socket tcp4
        host bind a 127.0.0.1:8080
        host listen a
        host b = socket tcp6
        host bind b [::1]:8080
        host listen b
        in c = socket tcp4
        in connect c 127.0.0.1:8080 => ECONNREFUSED
        in d = socket tcp6
        in connect d [::1]:8080 => ECONNREFUSED
        in e = socket tcp4
        in connect e 0.0.0.0:8080 => ECONNREFUSED
    ";
    not_the_hosts_udp: "A2", r"
        host a = socket udp4
        host bind a 127.0.0.1:5300
        in c = socket udp4
        in connect c 127.0.0.1:5300
        in send c hello
        in recv c => ECONNREFUSED
        host quiet a => quiet
    ";
    three_at_the_same_port: "A2", r"
        in a = socket tcp4
        in bind a 127.0.0.1:8080
        in listen a
        other a = socket tcp4
        other bind a 127.0.0.1:8080
        other listen a
        host a = socket tcp4
        host bind a 127.0.0.1:8080
        host listen a
        other c = socket tcp4
        other connect c 127.0.0.1:8080
        other send c other
        other b = accept a => from 127.0.0.1:*
        other recv b => other
        in quiet a => quiet
        host quiet a => quiet
    ";
    other_addresses_of_127: "A2", r"
        in a = socket tcp4
        in bind a 127.0.0.1:8080
        in listen a
        in b = socket tcp4
        in connect b 127.0.0.2:8080 => ECONNREFUSED
        in c = socket udp4
        in bind c 127.0.0.1:5300
        in d = socket udp4
        in sendto d 127.0.0.1:5300 x
        in recvfrom c => x from 127.0.0.1:*
    ";
    a_client_bound_to_loopback: "A2", r"
        in a = socket tcp4
        in bind a 0.0.0.0:8080
        in listen a
        in c = socket tcp4
        in bind c 127.0.0.1:0
        in connect c 127.0.0.1:8080
        in name c => 127.0.0.1:*
        in d = socket tcp4
        in bind d 127.0.0.1:0
        in connect d 10.0.0.100:8080 => EINVAL
        in e = socket tcp4
        in bind e 127.0.0.1:0
        in connect e 10.0.0.5:8080
        in name e => 127.0.0.1:*
    ";
    the_connection_to_oneself: "A2", r"
        in a = socket tcp4
        in bind a 0.0.0.0:8080
        in listen a
        in c = socket tcp4
        in connect c 10.0.0.6:8080
        in name c => 10.0.0.5:*                       # the local route of a second address prefers the first
        in b = accept a => from 10.0.0.5:*
        in name b => 10.0.0.6:8080
        in d = socket tcp4
        in connect d 10.0.0.5:8080
        in name d => 10.0.0.5:*
        in e = accept a => from 10.0.0.5:*
        in f = socket udp4
        in bind f 10.0.0.6:5300
        in g = socket udp4
        in sendto g 10.0.0.6:5300 hello
        in recvfrom f => hello from 10.0.0.5:*
    ";
}
