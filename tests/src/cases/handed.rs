//! A3, A11: sockets in other processes of the hostlet, by every way they get there.

cases! {
    a_datagram_socket_by_dup_and_fork: "A11", r"
        in a = socket udp4
        in bind a 0.0.0.0:5300
        in b = dup a
        in c = dup2 a
        in close a
        in close b
        in name c => 0.0.0.0:5300
        in fork child
        in close c
        peer d = socket udp4
        peer bind d 10.0.0.100:5301
        peer sendto d 10.0.0.6:5300 hello
        in/child recvfrom c => hello from 10.0.0.100:5301
        in e = socket udp4
        in bind e 0.0.0.0:5300 => EADDRINUSE
        in/child close c
        in bind e 0.0.0.0:5300
        peer sendto d 10.0.0.6:5300 again
        in recvfrom e => again from 10.0.0.100:5301
    ";
    a_passed_datagram_socket: "A11", r"
        in fork child
        in a = socket udp6
        in bind a [::]:5300
        in give a child
        in close a
        in/child name a => [::]:5300
        peer d = socket udp4
        peer bind d 10.0.0.100:5301
        peer sendto d 10.0.0.6:5300 hello
        in/child recvfrom a => hello from [::ffff:10.0.0.100]:5301
        in b = socket udp4
        in bind b 0.0.0.0:5300 => EADDRINUSE
        in kill child
        in bind b 0.0.0.0:5300
    ";
    bound_by_the_child: "A11", r"
        in a = socket tcp4
        in u = socket udp4
        in fork child
        in/child bind a 0.0.0.0:8080
        in/child bind u 10.0.0.6:5300
        in name a => 0.0.0.0:8080
        in name u => 10.0.0.6:5300
        in exit child
        in listen a
        peer c = socket tcp4
        peer connect c 10.0.0.6:8080
        in b = accept a => from 10.0.0.100:*
    ";
    unbound_into_a_new_program: "A11", r"
        in a = socket tcp4
        in u = socket udp4
        in exec child a u
        in/child bind a 10.0.0.1:8080 => EADDRNOTAVAIL
        in/child bind a 0.0.0.0:8080
        in/child listen a
        in/child connect u 10.0.0.100:5300
        in name u => 10.0.0.5:*
        in/child b = socket tcp6
        in/child bind b [::]:8080 => EADDRINUSE
        in/child bind b [2001:db8::1]:8081 => EADDRNOTAVAIL
    ";
    a_passed_connection: "A11", r"
        peer s = socket tcp4
        peer bind s 10.0.0.100:8080
        peer listen s
        in fork child
        in a = socket tcp4
        in connect a 10.0.0.100:8080
        in give a child
        in close a
        in/child name a => 10.0.0.5:*
        in/child peer a => 10.0.0.100:8080
        in/child send a hello
        peer b = accept s => from 10.0.0.5:*
        peer recv b => hello
        in exec other-program
        in/other-program c = socket tcp4
        in/other-program connect c 10.0.0.100:8080
        in/other-program name c => 10.0.0.5:*
    ";
    the_only_holder_dies: "A12", r"
        in fork child
        in/child a = socket tcp4
        in/child bind a 0.0.0.0:8080
        in/child listen a
        peer c = socket tcp4
        peer connect c 10.0.0.6:8080
        in/child b = accept a => from 10.0.0.100:*
        in kill child
        peer recv c => nothing
        peer d = socket tcp4
        peer connect d 10.0.0.6:8080 => ECONNREFUSED
    ";
    readiness_in_children: "A10", r"
        in a = socket tcp6
        in bind a [::]:8080
        in listen a
        in fork one
        in fork two
        peer c = socket tcp6
        peer connect c [2001:db8::6]:8080
        in/one epoll a in => in
        in/two select a in => in
        in/two b = accept a => from [2001:db8::100]:*
        in/two name b => [2001:db8::6]:8080
        in/one poll a => not-ready
        in poll a => not-ready
    ";
}
