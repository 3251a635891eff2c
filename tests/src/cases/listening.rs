//! A6: listen in unusual places, and ports that the kernel chooses.

cases! {
    without_bind_dual_stack: "A6", r"
        in a = socket tcp6
        in listen a
        in name a => [::]:*
        peer c = socket tcp6
        peer connect c [2001:db8::6]:{in.a}
        in b = accept a => from [2001:db8::100]:*
        in name b => [2001:db8::6]:*
        peer d = socket tcp4
        peer connect d 10.0.0.6:{in.a}
        in e = accept a => from [::ffff:10.0.0.100]:*
        in name e => [::ffff:10.0.0.6]:*
        in f = socket tcp4
        in connect f 127.0.0.1:{in.a}
        in g = accept a => from [::ffff:127.0.0.1]:*
        in h = socket tcp6
        in opt h v6only 1
        in listen h
        peer i = socket tcp6
        peer connect i [2001:db8::6]:{in.h}
        in k = accept h => from [2001:db8::100]:*
        peer l = socket tcp4
        peer connect l 10.0.0.6:{in.h} => ECONNREFUSED
        in m = socket tcp6
        in connect m [::1]:{in.h}
        in n = accept h => from [::1]:*
    ";
    twice_and_in_vain: "A6", r"
        in a = socket tcp4
        in bind a 0.0.0.0:8080
        in listen a
        in listen a
        peer c = socket tcp4
        peer connect c 10.0.0.6:8080
        in b = accept a => from 10.0.0.100:*
        in connect a 10.0.0.100:80 => EISCONN
        in d = socket udp4
        in listen d => EOPNOTSUPP
        in e = socket tcp4
        in connect e 10.0.0.5:8080
        in listen e => EINVAL
        in f = accept a => from 10.0.0.5:*
        in bind e 10.0.0.5:8081 => EINVAL
    ";
    chosen_ports: "A6", r"
        in a = socket tcp4
        in bind a 0.0.0.0:0
        in listen a
        peer c = socket tcp4
        peer connect c 10.0.0.6:{in.a}
        in b = accept a => from 10.0.0.100:*
        in d = socket tcp4
        in bind d 0.0.0.0:{in.a} => EADDRINUSE
        in bind d 10.0.0.6:{in.a} => EADDRINUSE
        in bind d 127.0.0.1:{in.a} => EADDRINUSE
        in e = socket tcp6
        in bind e [::]:{in.a} => EADDRINUSE
        in u = socket udp4
        in bind u 0.0.0.0:0
        in name u => 0.0.0.0:*
        peer f = socket udp4
        peer sendto f 10.0.0.6:{in.u} hello
        in recvfrom u => hello from 10.0.0.100:*
        in g = socket udp4
        in bind g 10.0.0.6:{in.u} => EADDRINUSE
        in h = socket tcp4
        in bind h 127.0.0.1:0
        in name h => 127.0.0.1:*
        in listen h
        in i = socket tcp4
        in connect i 127.0.0.1:{in.h}
        in k = accept h => from 127.0.0.1:*
        in l = socket udp6
        in bind l [::]:0
        in name l => [::]:*
        peer sendto f 10.0.0.6:{in.l} dual
        in recvfrom l => dual from [::ffff:10.0.0.100]:*
        in m = socket udp6
        in bind m [::1]:0
        in name m => [::1]:*
    ";
    to_port_0: "A7", r"
        in a = socket tcp4
        in connect a 10.0.0.100:0 => ECONNREFUSED
        in b = socket tcp4
        in connect b 127.0.0.1:0 => ECONNREFUSED
        in c = socket udp4
        in sendto c 10.0.0.100:0 x => EINVAL
        in sendto c 127.0.0.1:0 x => EINVAL
        in d = socket udp4
        in connect d 127.0.0.1:0
        in name d => 127.0.0.1:*
        in peer d => ENOTCONN
    ";
}
