//! C4: members, where a socket of the host has the port already.

cases! {
    members_share_what_the_host_has: "C4", r"
        host a = socket tcp4
        host bind a 0.0.0.0:8080
        host listen a
        in a = socket tcp4
        in opt a reuseport 1
        in bind a 0.0.0.0:8080
        in listen a
        in b = socket tcp4
        in opt b reuseport 1
        in bind b 0.0.0.0:8080
        in name b => 0.0.0.0:8080
        in listen b
        in c = socket tcp4
        in bind c 0.0.0.0:8080 => EADDRINUSE
        in bind c 127.0.0.1:8080 => EADDRINUSE
        in close a
        peer d = socket tcp4
        peer connect d 10.0.0.6:8080
        in e = accept b => from 10.0.0.100:*
        in name e => 10.0.0.6:8080
        peer f = socket tcp4
        peer connect f 10.0.0.1:8080
        host g = accept a => from 10.0.0.100:*
        in close b
        peer h = socket tcp4
        peer connect h 10.0.0.6:8080 => ECONNREFUSED
    ";
    on_the_loopback: "C4", r"
        host a = socket tcp4
        host bind a 0.0.0.0:8080
        host listen a
        in a = socket tcp4
        in bind a 127.0.0.1:8080
        in name a => 127.0.0.1:8080
        in listen a
        in c = socket tcp4
        in connect c 127.0.0.1:8080
        in peer c => 127.0.0.1:8080
        in b = accept a => from 127.0.0.1:*
        in name b => 127.0.0.1:8080
        host d = socket tcp4
        host connect d 127.0.0.1:8080
        host e = accept a => from 127.0.0.1:*
    ";
    one_address_of_ipv6: "C4", r"
        host a = socket tcp6
        host bind a [::]:8080
        host listen a
        in a = socket tcp6
        in bind a [2001:db8::6]:8080
        in name a => [2001:db8::6]:8080
        in listen a
        in w = socket tcp6
        in opt w v6only 1
        in bind w [::]:8081
        in listen w
        peer c = socket tcp6
        peer connect c [2001:db8::6]:8080
        in b = accept a => from [2001:db8::100]:*
        in name b => [2001:db8::6]:8080
        in d = socket tcp6
        in bind d [2001:db8::5]:8080
        in listen d
        in e = socket tcp6
        in bind e [2001:db8::6]:8080 => EADDRINUSE
    ";
    where_the_host_has_an_address: "C4", r"
        host a = socket tcp4
        host bind a 10.0.0.1:8080
        host listen a
        host b = socket tcp4
        host bind b 127.0.0.1:8080
        host listen b
        in a = socket tcp4
        in bind a 0.0.0.0:8080
        in listen a
        in c = socket tcp4
        in connect c 10.0.0.1:8080
        host c = accept a => from 10.0.0.5:*
        in d = socket tcp4
        in connect d 127.0.0.1:8080
        in e = accept a => from 127.0.0.1:*
    ";
    the_host_leaves: "C4", r"
        host a = socket tcp4
        host bind a 0.0.0.0:8080
        host listen a
        in a = socket tcp4
        in bind a 0.0.0.0:8080
        in listen a
        host close a
        in b = socket tcp4
        in bind b 0.0.0.0:8080 => EADDRINUSE
        in bind b 10.0.0.5:8080 => EADDRINUSE
        in opt b reuseaddr 1
        in bind b 10.0.0.5:8080 => EADDRINUSE
        peer c = socket tcp4
        peer connect c 10.0.0.6:8080
        in d = accept a => from 10.0.0.100:*
        in close a
        in close d
        in e = socket tcp4
        in opt e reuseaddr 1
        in bind e 0.0.0.0:8080 => EADDRINUSE / ok [wildcard-restart]
        in listen e
        peer f = socket tcp4
        peer connect f 10.0.0.6:8080 => ECONNREFUSED / ok [wildcard-restart]
    ";
    everybody_shares: "C4", r"
        host a = socket tcp4
        host opt a reuseport 1
        host bind a 0.0.0.0:8080
        host listen a
        in a = socket tcp4
        in opt a reuseport 1
        in bind a 0.0.0.0:8080
        in name a => 0.0.0.0:8080
        in listen a
        other a = socket tcp4
        other opt a reuseport 1
        other bind a 0.0.0.0:8080
        other listen a
        peer c = socket tcp4
        peer connect c 10.0.0.6:8080
        in d = accept a => from 10.0.0.100:*
        peer e = socket tcp4
        peer connect e 10.0.0.1:8080
        host f = accept a => from 10.0.0.100:*
        peer g = socket tcp4
        peer connect g 10.0.0.9:8080
        other h = accept a => from 10.0.0.100:*
    ";
    another_user_than_the_hosts: "C4", r"
        in fork child
        in/child become 1000
        host a = socket tcp4
        host opt a reuseport 1
        host bind a 0.0.0.0:8080
        host listen a
        in/child a = socket tcp4
        in/child opt a reuseport 1
        in/child bind a 0.0.0.0:8080
        in/child name a => 0.0.0.0:8080
        in/child listen a
        peer c = socket tcp4
        peer connect c 10.0.0.6:8080
        in/child d = accept a => from 10.0.0.100:*
        in/child name d => 10.0.0.6:8080
        peer e = socket tcp4
        peer connect e 10.0.0.1:8080
        host f = accept a => from 10.0.0.100:*
    ";
    everybody_shares_udp: "C4", r"
        host a = socket udp4
        host opt a reuseaddr 1
        host bind a 0.0.0.0:5300
        in a = socket udp4
        in opt a reuseaddr 1
        in bind a 0.0.0.0:5300
        peer c = socket udp4
        peer sendto c 10.0.0.6:5300 hello
        in recvfrom a => hello from 10.0.0.100:*
        peer sendto c 10.0.0.1:5300 host
        host recvfrom a => host from 10.0.0.100:*
    ";
    a_connected_socket_keeps_the_hosts_from_its_address: "A6", r"
        host a = socket udp4
        host opt a reuseaddr 1
        host bind a 0.0.0.0:5300
        in b = socket udp4
        in opt b reuseaddr 1
        in bind b 10.0.0.5:5300
        in connect b 10.0.0.100:5301
        peer c = socket udp4
        peer bind c 10.0.0.100:5301
        peer d = socket udp4
        peer sendto d 10.0.0.5:5300 x
        host quiet a => quiet
        in quiet b => quiet
        peer sendto c 10.0.0.5:5300 y
        in recvfrom b => y from 10.0.0.100:5301
        peer connect d 10.0.0.5:5300
        peer send d x
        peer recv d => ECONNREFUSED
        in connect b unspec
        peer send d z
        in recvfrom b => z from 10.0.0.100:*
        in connect b 10.0.0.100:5301
        peer send d v
        peer recv d => ECONNREFUSED
        in quiet b => quiet
        in connect b unspec
        peer send d w
        in recvfrom b => w from 10.0.0.100:*
        in close b
        peer send d u
        peer recv d => ECONNREFUSED
        host quiet a => quiet
    ";
    a_connected_group_keeps_the_hosts_from_its_address: "A6", r"
        host a = socket udp6
        host opt a reuseport 1
        host bind a [::]:5300
        in b = socket udp6
        in opt b reuseport 1
        in bind b [2001:db8::5]:5300
        in c = socket udp6
        in opt c reuseport 1
        in bind c [2001:db8::5]:5300
        in connect b [2001:db8::100]:5301
        in connect c [2001:db8::100]:5302
        peer d = socket udp6
        peer connect d [2001:db8::5]:5300
        peer send d x
        peer recv d => ECONNREFUSED
        in connect c unspec
        peer send d y
        in recvfrom c => y from [2001:db8::100]:*
        in quiet b => quiet
        in e = socket udp6
        in opt e reuseport 1
        in bind e [::]:5300
        peer sendto d [2001:db8::5]:5300 z
        in recvfrom c => z from [2001:db8::100]:*
        peer f = socket udp6
        peer sendto f [2001:db8::6]:5300 w
        in recvfrom e => w from [2001:db8::100]:*
        in connect c [2001:db8::100]:5302
        peer sendto f [2001:db8::5]:5300 v
        in recvfrom e => v from [2001:db8::100]:*
        host quiet a => quiet
    ";
}
