//! A5: own addresses are bound, others are refused as a machine without them does.

cases! {
    own_addresses_tcp: "A5", r"
        in a = socket tcp4
        in bind a 10.0.0.5:8080
        in name a => 10.0.0.5:8080
        in b = socket tcp4
        in bind b 10.0.0.6:8080
        in name b => 10.0.0.6:8080
        in c = socket tcp6
        in bind c [2001:db8::5]:8080
        in name c => [2001:db8::5]:8080
        in d = socket tcp6
        in bind d [2001:db8::6]:8080
        in name d => [2001:db8::6]:8080
    ";
    own_addresses_udp: "A5", r"
        in a = socket udp4
        in bind a 10.0.0.6:5300
        in name a => 10.0.0.6:5300
        in b = socket udp6
        in bind b [2001:db8::6]:5300
        in name b => [2001:db8::6]:5300
    ";
    foreign_addresses_tcp4: "A5", r"
        in a = socket tcp4
        in bind a 10.0.0.1:8080 => EADDRNOTAVAIL      # the host's
        in bind a 10.0.0.9:8080 => EADDRNOTAVAIL      # another hostlet's
        in bind a 10.0.0.100:8080 => EADDRNOTAVAIL    # another machine's
        in bind a 8.8.8.8:8080 => EADDRNOTAVAIL
        in bind a 10.0.0.0:8080 => EADDRNOTAVAIL
        in bind a 10.0.0.1:0 => EADDRNOTAVAIL
        in name a => 0.0.0.0:0
        in bind a 10.0.0.5:8080                       # a refusal leaves no mark
        in name a => 10.0.0.5:8080
    ";
    foreign_addresses_tcp6: "A5", r"
        in a = socket tcp6
        in bind a [2001:db8::1]:8080 => EADDRNOTAVAIL
        in bind a [2001:db8::9]:8080 => EADDRNOTAVAIL
        in bind a [2001:db8::100]:8080 => EADDRNOTAVAIL
        in bind a [fd00::1]:8080 => EADDRNOTAVAIL
        in bind a [::ffff:10.0.0.1]:8080 => EADDRNOTAVAIL
        in bind a [::ffff:10.0.0.9]:8080 => EADDRNOTAVAIL
        in name a => [::]:0
        in bind a [2001:db8::5]:8080
    ";
    foreign_addresses_udp: "A5", r"
        in a = socket udp4
        in bind a 10.0.0.1:5300 => EADDRNOTAVAIL
        in bind a 10.0.0.9:5300 => EADDRNOTAVAIL
        in bind a 8.8.8.8:5300 => EADDRNOTAVAIL
        in b = socket udp6
        in bind b [2001:db8::1]:5300 => EADDRNOTAVAIL
        in bind b [2001:db8::9]:5300 => EADDRNOTAVAIL
        in bind b [::ffff:10.0.0.1]:5300 => EADDRNOTAVAIL
        in bind b [2001:db8::5]:5300
    ";
    mapped_own_address: "A5", r"
        in a = socket tcp6
        in bind a [::ffff:10.0.0.6]:8080
        in name a => [::ffff:10.0.0.6]:8080
        in listen a
        peer c = socket tcp4
        peer connect c 10.0.0.6:8080
        in b = accept a => from [::ffff:10.0.0.100]:*
        in name b => [::ffff:10.0.0.6]:8080
    ";
    mapped_own_address_of_a_v6only_socket: "A5", r"
        in a = socket tcp6
        in opt a v6only 1
        in bind a [::ffff:10.0.0.6]:8080 => EINVAL
    ";
    a_family_that_the_set_lacks_tcp4: "A5", r"
        set six
        in a = socket tcp4
        in bind a 10.0.0.5:8080 => EADDRNOTAVAIL
        in bind a 0.0.0.0:8080
        in name a => 0.0.0.0:8080
    ";
    a_family_that_the_set_lacks_tcp6: "A5", r"
        set four
        in a = socket tcp6
        in bind a [2001:db8::5]:8080 => EADDRNOTAVAIL
        in bind a [::]:8080
        in name a => [::]:8080
    ";
    twice_the_same_port: "A5", r"
        in a = socket tcp4
        in bind a 10.0.0.5:8080
        in b = socket tcp4
        in bind b 10.0.0.5:8080 => EADDRINUSE
        in bind b 0.0.0.0:8080 => EADDRINUSE
        in bind b 10.0.0.6:8080
        in c = socket udp4
        in bind c 10.0.0.5:8080                       # protocols do not meet
        in d = socket udp4
        in bind d 10.0.0.5:8080 => EADDRINUSE
        in bind d 0.0.0.0:8080 => EADDRINUSE
    ";
    wildcard_then_specific: "A5", r"
        in a = socket tcp4
        in bind a 0.0.0.0:8080
        in b = socket tcp4
        in bind b 10.0.0.5:8080 => EADDRINUSE
        in bind b 10.0.0.6:8080 => EADDRINUSE
        in bind b 127.0.0.1:8080 => EADDRINUSE
        in bind b 0.0.0.0:8080 => EADDRINUSE
        in bind b 10.0.0.6:8081
    ";
    wildcard_then_specific_udp: "A5", r"
        in a = socket udp4
        in bind a 0.0.0.0:5300
        in b = socket udp4
        in bind b 10.0.0.5:5300 => EADDRINUSE
        in bind b 10.0.0.6:5300 => EADDRINUSE
        in bind b 127.0.0.1:5300 => EADDRINUSE
        in bind b 0.0.0.0:5300 => EADDRINUSE
        in bind b 10.0.0.6:5301
    ";
    specific_then_wildcard_other_address: "A5", r"
        in a = socket tcp4
        in bind a 10.0.0.6:8080
        in b = socket tcp4
        in bind b 0.0.0.0:8080 => EADDRINUSE
        in c = socket tcp4
        in bind c 127.0.0.1:8081
        in d = socket tcp4
        in bind d 0.0.0.0:8081 => EADDRINUSE
    ";
    reuseaddr_rules: "A5", r"
        in a = socket tcp4
        in opt a reuseaddr 1
        in bind a 0.0.0.0:8080
        in b = socket tcp4
        in opt b reuseaddr 1
        in bind b 10.0.0.5:8080                       # both reuse, nobody listens yet
        in listen b
        in c = socket tcp4
        in opt c reuseaddr 1
        in bind c 10.0.0.5:8080 => EADDRINUSE         # now somebody does
        in bind c 10.0.0.6:8080
        in listen a => EADDRINUSE
    ";
    reuseport_rules: "A5", r"
        in a = socket tcp4
        in opt a reuseport 1
        in bind a 0.0.0.0:8080
        in listen a
        in b = socket tcp4
        in bind b 0.0.0.0:8080 => EADDRINUSE          # one of two is not enough
        in opt b reuseport 1
        in bind b 0.0.0.0:8080
        in listen b
        in c = socket tcp4
        in opt c reuseport 1
        in bind c 10.0.0.6:8080
        in listen c
    ";
    dual_stack_meets_v4: "A5", r"
        in a = socket tcp6
        in bind a [::]:8080
        in b = socket tcp4
        in bind b 0.0.0.0:8080 => EADDRINUSE
        in bind b 10.0.0.6:8080 => EADDRINUSE
        in c = socket tcp6
        in bind c [2001:db8::6]:8080 => EADDRINUSE
    ";
    v6only_does_not_meet_v4: "A5", r"
        in a = socket tcp6
        in opt a v6only 1
        in bind a [::]:8080
        in name a => [::]:8080
        in b = socket tcp4
        in bind b 0.0.0.0:8080
        in name b => 0.0.0.0:8080
        in listen a
        in listen b
    ";
    ephemeral_ports: "A5", r"
        in a = socket tcp4
        in bind a 0.0.0.0:0
        in name a => 0.0.0.0:*
        in b = socket tcp6
        in bind b [::]:0
        in name b => [::]:*
        in c = socket udp4
        in bind c 10.0.0.6:0
        in name c => 10.0.0.6:*
    ";
    bind_twice_and_bad_families: "A5", r"
        in a = socket tcp4
        in bind a 10.0.0.5:8080
        in bind a 10.0.0.5:8081 => EINVAL
        in b = socket tcp4
        in bind b [::]:80 => EAFNOSUPPORT
        in c = socket tcp6
        in bind c 10.0.0.5:80 => EINVAL
        in d = socket udp4
        in bind d [2001:db8::5]:80 => EAFNOSUPPORT
        in e = socket tcp4
        in bind e unspec => ok / EAFNOSUPPORT [bind-unspec]
    ";
    an_address_of_another_family_is_none: "A5", r"
        in a = socket tcp4
        in bind a unspec:10.0.0.1:8080 => EAFNOSUPPORT
        in bind a unspec:10.0.0.5:8080 => EAFNOSUPPORT
        in bind a 10.0.0.6:8080
        in bind a unspec:10.0.0.1:8080 => EAFNOSUPPORT
        in b = socket udp4
        in opt b bind-no-port 1
        in bind b unspec:127.0.0.1:0 => EAFNOSUPPORT
        in name b => 0.0.0.0:0
        in connect b 10.0.0.100:5300
        in name b => 10.0.0.5:*
        in c = socket tcp6
        in opt c bind-no-port 1
        in bind c unspec:[2001:db8::1]:8081 => EAFNOSUPPORT
        in bind c unspec:[::1]:0 => EAFNOSUPPORT
        in bind c unspec:[::]:0 => EAFNOSUPPORT
        in listen c
        in name c => [::]:*
        in bind c unspec:[::]:8081 => EAFNOSUPPORT
        peer d = socket tcp4
        peer connect d 10.0.0.6:{in.c}
        peer e = socket tcp6
        peer connect e [2001:db8::6]:{in.c}
    ";
    a_prefix_of_the_set: "A5", r"
        set prefix
        in a = socket tcp4
        in bind a 10.9.0.77:8080
        in name a => 10.9.0.77:8080
        in b = socket tcp6
        in bind b [2001:db8:7::abcd]:8080
        in name b => [2001:db8:7::abcd]:8080
        in c = socket tcp4
        in bind c 10.8.0.1:8080 => EADDRNOTAVAIL
        in listen a
        in listen b
        peer c = socket tcp4
        peer connect c 10.9.0.77:8080
        peer d = socket tcp4
        peer connect d 10.9.0.78:8080 => ECONNREFUSED
        peer e = socket tcp6
        peer connect e [2001:db8:7::abcd]:8080
        peer f = socket tcp6
        peer connect f [2001:db8:7::abce]:8080 => ECONNREFUSED
    ";
}
