//! A11: duplicates, children, new programs and receivers of a wildcard socket.

cases! {
    dup_keeps_the_port: "A11", r"
        in a = socket tcp4
        in opt a reuseaddr 1
        in bind a 0.0.0.0:8080
        in listen a
        in b = dup a
        in c = dup2 a
        in close a
        in name b => 0.0.0.0:8080
        in close b
        in name c => 0.0.0.0:8080
        peer d = socket tcp4
        peer connect d 10.0.0.6:8080
        in e = accept c => from 10.0.0.100:*
        in name e => 10.0.0.6:8080
        in close c
        in close e
        in f = socket tcp4
        in opt f reuseaddr 1
        in bind f 0.0.0.0:8080
    ";
    a_child_goes_on: "A11", r"
        in a = socket tcp4
        in opt a reuseaddr 1
        in bind a 0.0.0.0:8080
        in listen a
        in fork child
        in close a
        in/child name a => 0.0.0.0:8080
        peer c = socket tcp4
        peer connect c 10.0.0.6:8080
        in/child b = accept a => from 10.0.0.100:*
        in/child name b => 10.0.0.6:8080
        in d = socket tcp4
        in bind d 0.0.0.0:8080 => EADDRINUSE
        in exit child
        in opt d reuseaddr 1
        in bind d 0.0.0.0:8080
    ";
    a_child_is_in_the_hostlet: "A11", r"
        in fork child
        in/child a = socket tcp4
        in/child bind a 10.0.0.1:8080 => EADDRNOTAVAIL
        in/child bind a 0.0.0.0:8080
        in/child listen a
        peer c = socket tcp4
        peer connect c 10.0.0.6:8080
        in/child b = accept a => from 10.0.0.100:*
        in/child fork grandchild
        in/child /grandchild d = socket tcp4
        in/child /grandchild bind d 10.0.0.1:8080 => EADDRNOTAVAIL
    ";
    a_new_program_goes_on: "A11", r"
        in a = socket tcp4
        in bind a 0.0.0.0:8080
        in listen a
        in u = socket udp4
        in bind u 0.0.0.0:5300
        in exec child a u
        in close a
        in close u
        in/child name a => 0.0.0.0:8080
        in/child name u => 0.0.0.0:5300
        peer c = socket tcp4
        peer connect c 10.0.0.6:8080
        in/child b = accept a => from 10.0.0.100:*
        in/child name b => 10.0.0.6:8080
        peer d = socket udp4
        peer sendto d 10.0.0.6:5300 hello
        in/child recvfrom u => hello from 10.0.0.100:*
        in/child e = socket tcp4
        in/child bind e 10.0.0.9:8080 => EADDRNOTAVAIL
    ";
    a_passed_socket_keeps_its_meaning: "A11", r"
        in fork child
        in a = socket tcp4
        in bind a 0.0.0.0:8080
        in listen a
        in give a child
        in close a
        in/child name a => 0.0.0.0:8080
        peer c = socket tcp4
        peer connect c 10.0.0.6:8080
        in/child b = accept a => from 10.0.0.100:*
        in/child name b => 10.0.0.6:8080
    ";
    two_processes_accept_from_one_socket: "A11", r"
        in a = socket tcp4
        in bind a 0.0.0.0:8080
        in listen a
        in fork child
        peer c = socket tcp4
        peer connect c 10.0.0.5:8080
        in b = accept a => from 10.0.0.100:*
        peer d = socket tcp4
        peer connect d 10.0.0.6:8080
        in/child b = accept a => from 10.0.0.100:*
        in name b => 10.0.0.5:8080
        in/child name b => 10.0.0.6:8080
    ";
}
