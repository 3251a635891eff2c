//! A12: servers that start again.

cases! {
    closed_connections_hold_the_port: "A12", r"
        in a = socket tcp4
        in bind a 0.0.0.0:8080
        in listen a
        peer c = socket tcp4
        peer connect c 10.0.0.5:8080
        in b = accept a => from 10.0.0.100:*
        in close b
        peer recv c => nothing
        peer close c
        in close a
        in d = socket tcp4
        in bind d 0.0.0.0:8080 => EADDRINUSE
        in bind d 10.0.0.5:8080 => EADDRINUSE
        in bind d 10.0.0.6:8080
        in e = socket tcp4
        in opt e reuseaddr 1
        in bind e 10.0.0.5:8080 => EADDRINUSE
        in listen e
        peer f = socket tcp4
        peer connect f 10.0.0.5:8080 => ECONNREFUSED
    ";
    closed_connections_with_reuseaddr: "A12", r"
        in a = socket tcp4
        in opt a reuseaddr 1
        in bind a 0.0.0.0:8080
        in listen a
        peer c = socket tcp4
        peer connect c 10.0.0.6:8080
        in b = accept a => from 10.0.0.100:*
        in close b
        peer recv c => nothing
        peer close c
        in close a
        in d = socket tcp4
        in opt d reuseaddr 1
        in bind d 0.0.0.0:8080
        in listen d
        peer e = socket tcp4
        peer connect e 10.0.0.6:8080
        in f = accept d => from 10.0.0.100:*
        in name f => 10.0.0.6:8080
    ";
    closed_connections_dual_stack: "A12", r"
        in a = socket tcp6
        in opt a reuseaddr 1
        in bind a [::]:8080
        in listen a
        peer c = socket tcp6
        peer connect c [2001:db8::6]:8080
        in b = accept a => from [2001:db8::100]:*
        in close b
        peer recv c => nothing
        peer close c
        peer d = socket tcp4
        peer connect d 10.0.0.5:8080
        in e = accept a => from [::ffff:10.0.0.100]:*
        in close e
        peer recv d => nothing
        peer close d
        in close a
        in f = socket tcp6
        in bind f [::]:8080 => EADDRINUSE
        in opt f reuseaddr 1
        in bind f [::]:8080
        in listen f
        peer g = socket tcp4
        peer connect g 10.0.0.6:8080
        in h = accept f => from [::ffff:10.0.0.100]:*
    ";
    while_connections_are_open: "A12", r"
        in a = socket tcp4
        in opt a reuseaddr 1
        in bind a 0.0.0.0:8080
        in listen a
        peer c = socket tcp4
        peer connect c 10.0.0.6:8080
        in b = accept a => from 10.0.0.100:*
        in close a
        in d = socket tcp4
        in opt d reuseaddr 1
        in bind d 0.0.0.0:8080
        in listen d
        peer e = socket tcp4
        peer connect e 10.0.0.6:8080
        in f = accept d => from 10.0.0.100:*
        peer send c still
        in recv b => still
    ";
    connections_nobody_accepted: "A12", r"
        in a = socket tcp4
        in bind a 0.0.0.0:8080
        in listen a
        peer c = socket tcp4
        peer connect c 10.0.0.6:8080
        in close a
        peer recv c => ECONNRESET
        in d = socket tcp4
        in bind d 0.0.0.0:8080
        in listen d
    ";
    shutdown_then_listen_dual_stack: "A12", r"
        in a = socket tcp6
        in bind a [::]:8080
        in listen a
        in shutdown a rdwr
        in name a => [::]:8080
        peer c = socket tcp4
        peer connect c 10.0.0.6:8080 => ECONNREFUSED
        peer d = socket tcp6
        peer connect d [2001:db8::6]:8080 => ECONNREFUSED
        in b = socket tcp4
        in bind b 0.0.0.0:8080 => EADDRINUSE
        in listen a
        peer e = socket tcp4
        peer connect e 10.0.0.6:8080
        in f = accept a => from [::ffff:10.0.0.100]:*
        peer g = socket tcp6
        peer connect g [2001:db8::6]:8080
        in h = accept a => from [2001:db8::100]:*
    ";
    half_a_shutdown: "A12", r"
        in a = socket tcp4
        in bind a 0.0.0.0:8080
        in listen a
        in shutdown a rd
        peer c = socket tcp4
        peer connect c 10.0.0.6:8080 => ECONNREFUSED
        in b = socket tcp4
        in bind b 10.0.0.6:8080 => EADDRINUSE
        in shutdown b wr => ENOTCONN
        in shutdown a wr => ENOTCONN
    ";
    on_the_loopback: "A12", r"
        in a = socket tcp4
        in bind a 127.0.0.1:8080
        in listen a
        in c = socket tcp4
        in connect c 127.0.0.1:8080
        in b = accept a => from 127.0.0.1:*
        in close b
        in recv c => nothing
        in close c
        in close a
        in d = socket tcp4
        in bind d 127.0.0.1:8080 => EADDRINUSE
        in bind d 0.0.0.0:8080 => EADDRINUSE / ok [wildcard-restart]
        in opt d reuseaddr 1
        in bind d 127.0.0.1:8080 => EADDRINUSE / EINVAL [wildcard-restart]
        in listen d
        in e = socket tcp4
        in connect e 127.0.0.1:8080 => ECONNREFUSED / ok [wildcard-restart]
    ";
    on_a_further_address: "A12", r"
        in a = socket tcp4
        in bind a 0.0.0.0:8080
        in listen a
        peer c = socket tcp4
        peer connect c 10.0.0.6:8080
        in b = accept a => from 10.0.0.100:*
        in close b
        peer recv c => nothing
        peer close c
        in close a
        in d = socket tcp4
        in bind d 10.0.0.6:8080 => EADDRINUSE
        in bind d 10.0.0.5:8080
        in e = socket tcp4
        in bind e 127.0.0.1:8080
        in close d
        in close e
        in f = socket tcp4
        in bind f 0.0.0.0:8080 => EADDRINUSE / ok [wildcard-restart]
    ";
}
