//! A15: echo sockets, which pass no hook when they bind.

cases! {
    six_over_the_loopback: "A15", r"
        in a = socket ping6
        in echo a [::1]:0
        in echoed a => type 129 sequence 7 from [::1]:0
        in connect a [::1]:0
        in address a => [::1]
        in b = socket ping6
        in bind b [::1]:0
        in echo b [::1]:0
        in echoed b => type 129 sequence 7 from [::1]:0
        in c = socket ping6
        in connect c [2001:db8::100]:0
        in address c => [2001:db8::5]
        in echo c -
        in echoed c => type 129 sequence 7 from [2001:db8::100]:0
    ";
    bound: "A15", r"
        in a = socket ping4
        in bind a 127.0.0.1:0
        in echo a 127.0.0.1:0
        in echoed a => type 0 sequence 7 from 127.0.0.1:0
        in b = socket ping4
        in bind b 0.0.0.0:0
        in address b => 0.0.0.0
        in echo b 10.0.0.6:0
        in echoed b => type 0 sequence 7 from 10.0.0.6:0
        in c = socket ping4
        in bind c 10.0.0.6:0
        in sendmsg c 10.0.0.100:0 x src=10.0.0.1 => EINVAL
        in echo c 10.0.0.9:0
        in echoed c => type 0 sequence 7 from 10.0.0.9:0
        in d = socket ping4
        in echo d 10.0.0.1:0
        in echoed d => type 0 sequence 7 from 10.0.0.1:0
        in e = socket ping4
        in echo e 10.0.0.255:0 => EACCES
        in echo e 192.0.2.1:0
        in echoed e => type 0 sequence 7 from 192.0.2.1:0
    ";
    /// The first datagram, or a connect, leaves an address behind that is the kernel's choice.
    connected_after_an_echo: "A15", r"
        in a = socket ping4
        in echo a 10.0.0.100:0
        in echoed a => type 0 sequence 7 from 10.0.0.100:0
        in connect a 10.0.0.1:0
        in address a => 10.0.0.5 / 10.0.0.1 [ping-again]
    ";
}
