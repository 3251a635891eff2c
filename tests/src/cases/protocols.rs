//! A15: what a machine's protocols do, and what a hostlet refuses.

cases! {
    udplite: "A15", r"
        in a = socket udplite4
        in bind a 0.0.0.0:5300
        in name a => 0.0.0.0:5300
        peer c = socket udplite4
        peer bind c 10.0.0.100:5301
        peer sendto c 10.0.0.5:5300 hello
        in recvfrom a => hello from 10.0.0.100:5301
        peer sendto c 10.0.0.6:5300 second
        in recvfrom a => second from 10.0.0.100:5301 / EAGAIN [udplite-wildcard]      # the kernel asks nobody for UDP-Lite
        in b = socket udplite4
        in bind b 10.0.0.1:5301 => EADDRNOTAVAIL
        in sendto b 10.0.0.100:5301 back
        peer recvfrom c => back from 10.0.0.5:*
        in d = socket udp4
        in bind d 0.0.0.0:5300
    ";
    ping4: "A15", r"
        in a = socket ping4
        in echo a 10.0.0.100:0
        in echoed a => type 0 sequence 7 from 10.0.0.100:0
        in echo a 127.0.0.1:0
        in echoed a => type 0 sequence 7 from 127.0.0.1:0
        in b = socket ping4
        in bind b 10.0.0.6:0
        in echo b 10.0.0.100:0
        in echoed b => type 0 sequence 7 from 10.0.0.100:0
        in c = socket ping4
        in connect c 10.0.0.100:0
        in address c => 10.0.0.5
        in echo c -
        in echoed c => type 0 sequence 7 from 10.0.0.100:0
    ";
    ping4_foreign: "A15", r"
        in a = socket ping4
        in bind a 8.8.8.8:0 => EADDRNOTAVAIL
        in b = socket ping6
        in bind b [fd00::1]:0 => EADDRNOTAVAIL
    ";
    ping6: "A15", r"
        in a = socket ping6
        in echo a [2001:db8::100]:0
        in echoed a => type 129 sequence 7 from [2001:db8::100]:0
        in b = socket ping6
        in bind b [2001:db8::6]:0
        in echo b [2001:db8::100]:0
        in echoed b => type 129 sequence 7 from [2001:db8::100]:0
    ";
    pinged_from_outside: "A15", r"
        peer a = socket ping4
        peer echo a 10.0.0.5:0
        peer echoed a => type 0 sequence 7 from 10.0.0.5:0
        peer echo a 10.0.0.6:0
        peer echoed a => type 0 sequence 7 from 10.0.0.6:0
        peer b = socket ping6
        peer echo b [2001:db8::6]:0
        peer echoed b => type 129 sequence 7 from [2001:db8::6]:0
    ";
    mptcp_makes_programs_fall_back: "A15", r"
        in a = socket mptcp4 => ok / EPROTONOSUPPORT [no-sctp-mptcp]
        in b = socket mptcp6 => ok / EPROTONOSUPPORT [no-sctp-mptcp]
        in c = socket mptcp4|tcp4
        in connect c 10.0.0.100:8080 => ECONNREFUSED
        in name c => 10.0.0.5:* / 0.0.0.0:* [no-sctp-mptcp]
        in join c 239.1.2.3 eth0 => ENOPROTOOPT / EPROTO [no-sctp-mptcp]
        peer s = socket mptcp4|tcp4
        peer bind s 0.0.0.0:8081
        peer listen s
        in d = socket mptcp4|tcp4
        in connect d 10.0.0.100:8081
        in name d => 10.0.0.5:*
        peer e = accept s => from 10.0.0.5:*
        in send d hello
        peer recv e => hello
    ";
    what_cannot_be_confined_is_refused: "A15", r"
        in a = socket raw4 => ok / EPERM [raw]
        in b = socket raw6 => ok / EPERM [raw]
        in c = socket packet => ok / EAFNOSUPPORT [families]
        in d = socket packet-dgram => ok / EAFNOSUPPORT [families]
        in e = socket unix
        in f = socket netlink
    ";
    names_of_unix_sockets_are_the_hosts: "A18", r"
        host a = socket unix
        host bind a @hostlet-test
        host listen a
        in b = socket unix
        in connect b @hostlet-test => ECONNREFUSED / ok [abstract-unix]
        in c = socket unix
        in bind c @hostlet-test => ok / EADDRINUSE [abstract-unix]
    ";
    options_say_what_they_say_elsewhere: "A15", r"
        in a = socket tcp4
        in bind a 0.0.0.0:8080
        in getopt a acceptconn => 0
        in listen a
        in getopt a acceptconn => 1
        in getopt a domain => 2
        in getopt a type => 1
        in getopt a protocol => 6
        in getopt a error => none
        in b = socket tcp6
        in getopt b v6only => 0
        in opt b v6only 1
        in bind b [::]:8080
        in getopt b v6only => 1
        in c = socket tcp6
        in bind c [::]:8081
        in getopt c v6only => 0
        in opt c v6only 1 => EINVAL
        in getopt c domain => 10
    ";
    fast_open_connects_like_connect: "A7", r"
        peer a = socket tcp4
        peer bind a 0.0.0.0:8080
        peer listen a
        in c = socket tcp4
        in fastopen c 10.0.0.100:8080 hello
        peer b = accept a => from 10.0.0.5:*
        peer recv b => hello
        in d = socket tcp4
        in bind d 127.0.0.1:8081
        in listen d
        in e = socket tcp4
        in fastopen e 127.0.0.1:8081 local
        in f = accept d => from 127.0.0.1:*
        in recv f => local
    ";
    uring_bind: "A15", r"
        in a = socket tcp4
        in uring-bind a 10.0.0.1:8080 => EADDRNOTAVAIL|EINVAL
        in uring-bind a 10.0.0.6:8080 => ok|EINVAL
    ";
    freebind_opens_no_door: "A15", r"
        in a = socket tcp4
        in opt a freebind 1
        in bind a 10.0.0.6:8080
        in name a => 10.0.0.6:8080
    ";
}
