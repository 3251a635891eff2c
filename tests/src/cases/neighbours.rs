//! A6 and C4: hostlets and the host at the same ports, none in another's way.

cases! {
    three_machines_at_the_same_port: "A6", r"
        host a = socket tcp4
        host bind a 0.0.0.0:8080
        host listen a
        in a = socket tcp4
        in bind a 0.0.0.0:8080
        in listen a
        other a = socket tcp4
        other bind a 0.0.0.0:8080
        other listen a
        peer c = socket tcp4
        peer connect c 10.0.0.6:8080
        peer send c in
        in b = accept a => from 10.0.0.100:*
        in recv b => in
        peer d = socket tcp4
        peer connect d 10.0.0.9:8080
        peer send d other
        other b = accept a => from 10.0.0.100:*
        other name b => 10.0.0.9:8080
        other recv b => other
        peer e = socket tcp4
        peer connect e 10.0.0.1:8080
        peer send e host
        host b = accept a => from 10.0.0.100:*
        host name b => 10.0.0.1:8080
        host recv b => host
        in quiet a => quiet
        other quiet a => quiet
        host quiet a => quiet
    ";
    three_machines_dual_stack: "A6", r"
        host a = socket tcp6
        host bind a [::]:8080
        host listen a
        in a = socket tcp6
        in bind a [::]:8080
        in listen a
        other a = socket tcp6
        other bind a [::]:8080
        other listen a
        peer c = socket tcp6
        peer connect c [2001:db8::6]:8080
        in b = accept a => from [2001:db8::100]:*
        in name b => [2001:db8::6]:8080
        peer d = socket tcp4
        peer connect d 10.0.0.9:8080
        other b = accept a => from [::ffff:10.0.0.100]:*
        peer e = socket tcp6
        peer connect e [2001:db8::1]:8080
        host b = accept a => from [2001:db8::100]:*
    ";
    the_host_last: "A6", r"
        in a = socket tcp4
        in bind a 0.0.0.0:8080
        in listen a
        host a = socket tcp4
        host bind a 0.0.0.0:8080 => ok / EADDRINUSE [host-wildcard-later]
        host bind a 10.0.0.1:8080 => EINVAL / ok [host-wildcard-later] # what the host then binds instead works
        host listen a
        peer c = socket tcp4
        peer connect c 10.0.0.1:8080
        host b = accept a => from 10.0.0.100:*
        in quiet a => quiet
    ";
    the_set_and_nothing_else: "A6", r"
        in a = socket tcp4
        in bind a 0.0.0.0:8080
        in listen a
        in b = socket tcp6
        in opt b v6only 1
        in bind b [::]:8080
        in listen b
        in u = socket udp4
        in bind u 0.0.0.0:5300
        in v = socket udp6
        in opt v v6only 1
        in bind v [::]:5300
        other o = socket unix
        peer c = socket tcp4
        peer connect c 10.0.0.1:8080 => ECONNREFUSED
        peer d = socket tcp4
        peer connect d 10.0.0.9:8080 => ECONNREFUSED
        peer e = socket tcp6
        peer connect e [2001:db8::1]:8080 => ECONNREFUSED
        peer f = socket tcp6
        peer connect f [2001:db8::9]:8080 => ECONNREFUSED
        peer g = socket udp4
        peer connect g 10.0.0.1:5300
        peer send g x
        peer recv g => ECONNREFUSED
        peer h = socket udp4
        peer connect h 10.0.0.9:5300
        peer send h x
        peer recv h => ECONNREFUSED
        peer i = socket udp6
        peer connect i [2001:db8::1]:5300
        peer send i x
        peer recv i => ECONNREFUSED
        host j = socket tcp4
        host connect j 127.0.0.1:8080 => ECONNREFUSED
        host k = socket udp4
        host connect k 127.0.0.1:5300
        host send k x
        host recv k => ECONNREFUSED
        in quiet a => quiet
        in quiet b => quiet
        in quiet u => quiet
        in quiet v => quiet
    ";
    the_host_first_then_hostlets: "C4", r"
        host a = socket tcp4
        host bind a 0.0.0.0:8080
        host listen a
        in a = socket tcp4
        in bind a 0.0.0.0:8080
        in name a => 0.0.0.0:8080
        in listen a
        in name a => 0.0.0.0:8080
        in s = socket tcp4
        in opt s reuseaddr 1
        in bind s 10.0.0.5:8081
        peer c = socket tcp4
        peer connect c 10.0.0.5:8080
        in b = accept a => from 10.0.0.100:*
        in name b => 10.0.0.5:8080
        peer d = socket tcp4
        peer connect d 10.0.0.1:8080
        host b = accept a => from 10.0.0.100:*
    ";
    the_host_first_then_a_specific_bind: "C4", r"
        host a = socket tcp4
        host bind a 0.0.0.0:8080
        host listen a
        in a = socket tcp4
        in bind a 10.0.0.6:8080
        in name a => 10.0.0.6:8080
        in listen a
        peer c = socket tcp4
        peer connect c 10.0.0.6:8080
        in b = accept a => from 10.0.0.100:*
        in name b => 10.0.0.6:8080
        peer d = socket tcp4
        peer connect d 10.0.0.5:8080 => ECONNREFUSED
        host quiet a => quiet
    ";
    two_members_behind_the_hosts_listener: "C4", r"
        host a = socket tcp6
        host bind a [::]:8080
        host listen a
        in a = socket tcp4
        in bind a 0.0.0.0:8080
        in b = socket tcp4
        in bind b 0.0.0.0:8080 => EADDRINUSE
        in bind b 10.0.0.5:8080 => EADDRINUSE
        in listen a
        in c = socket tcp4
        in opt c reuseport 1
        in bind c 0.0.0.0:8080 => EADDRINUSE
    ";
    a_host_service_does_not_answer_on_a_hostlets_address: "A6", r"
        host a = socket tcp4
        host bind a 0.0.0.0:8080
        host listen a
        host u = socket udp4
        host bind u 0.0.0.0:5300
        peer c = socket tcp4
        peer connect c 10.0.0.5:8080 => ECONNREFUSED
        peer d = socket tcp4
        peer connect d 10.0.0.9:8080 => ECONNREFUSED
        peer e = socket udp4
        peer connect e 10.0.0.5:5300
        peer send e hello
        peer recv e => ECONNREFUSED
        host quiet a => quiet
        host quiet u => quiet
        other n = socket tcp4
    ";
    udp_two_machines_at_the_same_port: "A6", r"
        in a = socket udp4
        in bind a 0.0.0.0:5300
        other a = socket udp4
        other bind a 0.0.0.0:5300
        peer c = socket udp4
        peer bind c 10.0.0.100:5301
        peer sendto c 10.0.0.6:5300 in
        in recvfrom a => in from 10.0.0.100:5301
        peer sendto c 10.0.0.9:5300 other
        other recvfrom a => other from 10.0.0.100:5301
        in quiet a => quiet
        other quiet a => quiet
    ";
}
