//! Known differences that no other case meets.

cases! {
    a_udp_port_that_the_host_holds: "A6", r"
        host a = socket udp4
        host bind a 0.0.0.0:5300
        in b = socket udp4
        in bind b 0.0.0.0:5300 => ok / EADDRINUSE [udp-host-port]
        in bind b 10.0.0.6:5301 => EINVAL / ok [udp-host-port]
    ";
    a_client_at_a_port_under_the_surface: "C4", r"
        host a = socket tcp4
        host bind a 0.0.0.0:8080
        host listen a
        peer s = socket tcp4
        peer bind s 0.0.0.0:8081
        peer listen s
        in c = socket tcp4
        in bind c 10.0.0.6:8080
        in connect c 10.0.0.100:8081
        in name c => 10.0.0.6:8080 / 10.0.0.6:* [hidden-port]
        peer d = accept s => from 10.0.0.6:8080 / from 10.0.0.6:* [hidden-port]
    ";
}
