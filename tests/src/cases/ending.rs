//! A12: the last close, a crash, a shutdown.

cases! {
    close_frees_the_port_at_once: "A12", r"
        in a = socket tcp4
        in bind a 0.0.0.0:8080
        in listen a
        in close a
        peer c = socket tcp4
        peer connect c 10.0.0.5:8080 => ECONNREFUSED
        peer d = socket tcp4
        peer connect d 10.0.0.6:8080 => ECONNREFUSED
        in b = socket tcp4
        in bind b 0.0.0.0:8080
        in listen b
        peer e = socket tcp4
        peer connect e 10.0.0.6:8080
        in f = accept b => from 10.0.0.100:*
    ";
    a_crash_frees_the_port_at_once: "A12", r"
        in fork child
        in/child a = socket tcp4
        in/child bind a 0.0.0.0:8080
        in/child listen a
        in/child u = socket udp4
        in/child bind u 0.0.0.0:5300
        in kill child
        peer c = socket tcp4
        peer connect c 10.0.0.6:8080 => ECONNREFUSED
        in b = socket tcp4
        in bind b 0.0.0.0:8080
        in listen b
        in v = socket udp4
        in bind v 0.0.0.0:5300
        peer d = socket tcp4
        peer connect d 10.0.0.6:8080
        in e = accept b => from 10.0.0.100:*
        peer f = socket udp4
        peer sendto f 10.0.0.6:5300 hello
        in recvfrom v => hello from 10.0.0.100:*
    ";
    udp_close: "A12", r"
        in a = socket udp4
        in bind a 0.0.0.0:5300
        in close a
        peer c = socket udp4
        peer connect c 10.0.0.6:5300
        peer send c x
        peer recv c => ECONNREFUSED
        in b = socket udp4
        in bind b 0.0.0.0:5300
        peer send c y
        in recvfrom b => y from 10.0.0.100:*
    ";
    shutdown_of_a_listener: "A12", r"
        in a = socket tcp4
        in bind a 0.0.0.0:8080
        in listen a
        in shutdown a rdwr
        peer c = socket tcp4
        peer connect c 10.0.0.6:8080 => ECONNREFUSED
        in listen a
        peer d = socket tcp4
        peer connect d 10.0.0.6:8080
        in b = accept a => from 10.0.0.100:*
    ";
    shutdown_then_another_listens: "A12", r"
        in a = socket tcp4
        in opt a reuseport 1
        in bind a 0.0.0.0:8080
        in listen a
        in b = socket tcp4
        in opt b reuseport 1
        in bind b 0.0.0.0:8080
        in listen b
        in shutdown b rdwr
        peer c = socket tcp4
        peer connect c 10.0.0.6:8080
        in d = accept a => from 10.0.0.100:*
        peer e = socket tcp4
        peer connect e 10.0.0.5:8080
        in f = accept a => from 10.0.0.100:*
    ";
    half_close: "A12", r"
        in a = socket tcp4
        in bind a 0.0.0.0:8080
        in listen a
        peer c = socket tcp4
        peer connect c 10.0.0.6:8080
        in b = accept a => from 10.0.0.100:*
        in shutdown b wr
        peer recv c => nothing
        peer send c still
        in recv b => still
        in close a
        peer send c more
        in recv b => more
    ";
    rebinding_after_connections_needs_reuseaddr: "A12", r"
        in a = socket tcp4
        in bind a 0.0.0.0:8080
        in listen a
        peer c = socket tcp4
        peer connect c 10.0.0.6:8080
        in b = accept a => from 10.0.0.100:*
        in close a
        in d = socket tcp4
        in bind d 0.0.0.0:8080 => EADDRINUSE / ok [wildcard-restart]      # the connection is on another address
        in opt d reuseaddr 1
        in close b
        peer recv c => nothing
    ";
}
