//! A7: connected twice, disconnected, connected again.

cases! {
    tcp: "A7", r"
        peer a = socket tcp4
        peer bind a 0.0.0.0:8080
        peer listen a
        in c = socket tcp4
        in connect c 10.0.0.100:8080
        in connect c 10.0.0.100:8080 => EISCONN
        in connect c unspec
        in name c => 0.0.0.0:*
        in peer c => ENOTCONN
        in connect c 192.0.2.1:8080
        in name c => 10.0.0.5:*
        in connect c unspec
        in bind c 10.0.0.6:0
        in name c => 10.0.0.6:*
        in connect c 10.0.0.100:8080
        in name c => 10.0.0.6:*
        in connect c unspec
        in name c => 10.0.0.6:*
    ";
    tcp_between_networks_and_loopback: "A7", r"
        set nets
        peer a = socket tcp4
        peer bind a 0.0.0.0:8080
        peer listen a
        in s = socket tcp4
        in bind s 127.0.0.1:8080
        in listen s
        in c = socket tcp4
        in connect c 127.0.0.1:8080
        in connect c unspec
        in name c => 0.0.0.0:*
        in connect c 10.0.0.100:8080
        in name c => 10.0.0.5:*
        in connect c unspec
        in connect c 10.1.0.100:8080
        in name c => 10.1.0.5:*
        in connect c unspec
        in connect c 127.0.0.1:8080
        in name c => 127.0.0.1:*
        in peer c => 127.0.0.1:8080
    ";
    after_a_refusal: "A7", r"
        peer a = socket tcp4
        peer bind a 0.0.0.0:8080
        peer listen a
        in c = socket tcp4
        in connect c 127.0.0.1:8080 => ECONNREFUSED
        in name c => 0.0.0.0:*
        in connect c 10.0.0.100:8080
        in name c => 10.0.0.5:*
        in d = socket tcp4
        in connect d 10.0.0.100:9999 => ECONNREFUSED
        in name d => 0.0.0.0:*
        in connect d 127.0.0.1:9999 => ECONNREFUSED
        in name d => 0.0.0.0:*
        in connect d 10.0.0.100:8080
        in name d => 10.0.0.5:*
        in e = socket tcp6
        in connect e [::1]:9999 => ECONNREFUSED
        in connect e [2001:db8::100]:9999 => ECONNREFUSED
    ";
    udp_bound: "A7", r"
        set nets
        in c = socket udp4
        in bind c 10.0.0.6:5300
        in connect c 10.0.0.100:5301
        in name c => 10.0.0.6:5300
        in connect c 10.1.0.100:5301
        in name c => 10.0.0.6:5300
        in connect c unspec
        in name c => 10.0.0.6:5300
        in connect c 127.0.0.1:5301
        in name c => 10.0.0.6:5300
        in connect c unspec
        in name c => 10.0.0.6:5300
        in d = socket udp4
        in bind d 127.0.0.1:5300
        in connect d 127.0.0.1:5301
        in connect d unspec
        in name d => 127.0.0.1:5300
        in connect d 10.0.0.100:5301 => EINVAL
        in e = socket udp4
        in bind e 0.0.0.0:5302
        in connect e unspec
        in name e => 0.0.0.0:5302
    ";
}
