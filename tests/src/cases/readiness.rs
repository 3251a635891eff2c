//! A10: readiness of a wildcard socket, by every call that tells it.

cases! {
    poll_accept: "A10", r"
        in a = socket tcp4
        in bind a 0.0.0.0:8080
        in listen a
        in poll a => not-ready
        peer c = socket tcp4
        peer connect c 10.0.0.6:8080
        in poll a in => in
        in epoll a in => in
        in select a in => in
        in b = accept a => from 10.0.0.100:*
        in poll a => not-ready
        in poll b => out
        peer send c x
        in poll b in => in
        in epoll b in+out => in+out
        in select b in+out => in+out
        peer close c
        in recv b => x
        in epoll b in+rdhup => in+rdhup
    ";
    poll_udp: "A10", r"
        in a = socket udp4
        in bind a 0.0.0.0:5300
        in poll a => out
        peer c = socket udp4
        peer sendto c 10.0.0.6:5300 x
        in poll a in => in
        in epoll a in => in
        in select a in => in
        in recvfrom a => x from 10.0.0.100:*
        in poll a => out
    ";
    poll_dual_stack: "A10", r"
        in a = socket tcp6
        in bind a [::]:8080
        in listen a
        peer c = socket tcp4
        peer connect c 10.0.0.6:8080
        in epoll a in => in
        in b = accept a => from [::ffff:10.0.0.100]:*
        in epoll a in => not-ready
    ";
    uring_accept: "A10", r"
        in a = socket tcp4
        in bind a 0.0.0.0:8080
        in listen a
        peer c = socket tcp4
        peer connect c 10.0.0.6:8080
        in uring-poll a => in
        in b = uring-accept a => from 10.0.0.100:*
        in name b => 10.0.0.6:8080
        peer send c hello
        in uring-recv b => hello
        in uring-send b there
        peer recv c => there
    ";
    uring_connect: "A10", r"
        peer a = socket tcp4
        peer bind a 10.0.0.100:8080
        peer listen a
        in c = uring-socket tcp4
        in uring-connect c 10.0.0.100:8080
        in name c => 10.0.0.5:*
        peer b = accept a => from 10.0.0.5:*
        in d = socket tcp4
        in bind d 127.0.0.1:8080
        in listen d
        in e = uring-socket tcp4
        in uring-connect e 127.0.0.1:8080
        in peer e => 127.0.0.1:8080
    ";
    uring_sendmsg: "A10", r"
        peer a = socket udp4
        peer bind a 0.0.0.0:5300
        in c = socket udp4
        in uring-sendto c 10.0.0.100:5300 hello
        peer recvfrom a => hello from 10.0.0.5:*
        in d = uring-socket udp6
        in uring-sendto d [2001:db8::100]:5300 six
    ";
    nonblocking: "A10", r"
        in a = socket tcp4 nonblock
        in bind a 0.0.0.0:8080
        in listen a
        in b = accept a => EAGAIN
        peer c = socket tcp4
        peer connect c 10.0.0.5:8080
        in poll a in => in
        in b = accept a => from 10.0.0.100:*
        peer s = socket tcp4
        peer bind s 10.0.0.100:8080
        peer listen s
        in d = socket tcp4 nonblock
        in connect d 10.0.0.100:8080 => EINPROGRESS
        in poll d out => out
        in getopt d error => none
        in name d => 10.0.0.5:*
    ";
}
