//! A2: who shares a port of 127.0.0.0/8 with whom, and who does not reach it.

cases! {
    ports_of_each: "A2", r"
        in a = socket tcp4
        in bind a 127.0.0.5:8080
        in listen a
        in b = socket tcp4
        in bind b 127.0.0.5:8080 => EADDRINUSE
        in c = socket tcp4
        in bind c 127.0.0.6:8080
        in listen c
        in d = socket tcp4
        in bind d 127.0.0.1:8080
        in listen d
        in e = socket tcp4
        in bind e 10.0.0.5:8080
        in listen e
        in f = socket tcp4
        in bind f 0.0.0.0:8080 => EADDRINUSE
        in g = socket tcp6
        in bind g [::]:8080 => EADDRINUSE
        in h = socket tcp4
        in bind h 0.0.0.0:8081
        in i = socket tcp4
        in bind i 127.0.0.5:8081 => EADDRINUSE
        in u = socket udp4
        in bind u 127.0.0.5:5300
        in v = socket udp4
        in bind v 0.0.0.0:5300 => EADDRINUSE
        in w = socket udp4
        in bind w 127.0.0.6:5300
    ";
    shared_by_so_reuseaddr: "A2", r"
        in a = socket tcp4
        in opt a reuseaddr 1
        in bind a 0.0.0.0:8080
        in b = socket tcp4
        in opt b reuseaddr 1
        in bind b 127.0.0.5:8080
        in listen b
        in u = socket udp4
        in opt u reuseaddr 1
        in bind u 0.0.0.0:5300
        in v = socket udp4
        in opt v reuseaddr 1
        in bind v 127.0.0.5:5300
        in c = socket udp4
        in sendto c 127.0.0.5:5300 specific
        in recvfrom v => specific from 127.0.0.1:*
        in sendto c 127.0.0.6:5300 wild
        in recvfrom u => wild from 127.0.0.1:*
    ";
    shared_by_so_reuseport: "A2", r"
        in a = socket tcp4
        in opt a reuseport 1
        in bind a 0.0.0.0:8080
        in listen a
        in b = socket tcp4
        in opt b reuseport 1
        in bind b 127.0.0.5:8080
        in listen b
        in c = socket tcp4
        in connect c 127.0.0.5:8080
        in d = accept b => from 127.0.0.1:*
        in e = socket tcp4
        in connect e 127.0.0.6:8080
        in f = accept a => from 127.0.0.1:*
    ";
    each_hostlet_has_its_own: "A2", r"
        in a = socket tcp4
        in bind a 127.0.0.5:8080
        in listen a
        other a = socket tcp4
        other bind a 127.0.0.5:8080
        other listen a
        host a = socket tcp4
        host bind a 127.0.0.5:8080
        host listen a
        in c = socket tcp4
        in connect c 127.0.0.5:8080
        in b = accept a => from 127.0.0.1:*
        in send c mine
        in recv b => mine
        other c = socket tcp4
        other connect c 127.0.0.5:8080
        other b = accept a => from 127.0.0.1:*
        host c = socket tcp4
        host connect c 127.0.0.5:8080
        host b = accept a => from 127.0.0.1:*
        in quiet a => quiet
        other quiet a => quiet
        host quiet a => quiet
    ";
    not_from_other_machines: "A2", r"
        in a = socket tcp4
        in bind a 127.0.0.5:8080
        in listen a
        in u = socket udp4
        in bind u 127.0.0.5:5300
        other c = socket tcp4
        other connect c 127.0.0.5:8080 => ECONNREFUSED
        host c = socket tcp4
        host connect c 127.0.0.5:8080 => ECONNREFUSED
        other d = socket udp4
        other sendto d 127.0.0.5:5300 x
        host d = socket udp4
        host sendto d 127.0.0.5:5300 x
        in quiet a => quiet
        in quiet u => quiet
    ";
    not_the_hosts: "A2", r"
        host a = socket tcp4
        host bind a 127.0.0.5:8080
        host listen a
        host w = socket tcp4
        host bind w 0.0.0.0:8081
        host listen w
        host u = socket udp4
        host bind u 127.0.0.5:5300
        in c = socket tcp4
        in connect c 127.0.0.5:8080 => ECONNREFUSED
        in d = socket tcp4
        in connect d 127.0.0.5:8081 => ECONNREFUSED
        in e = socket udp4
        in connect e 127.0.0.5:5300
        in send e hello
        in recv e => ECONNREFUSED
        host quiet u => quiet
        in b = socket tcp4
        in bind b 127.0.0.5:8081
        in listen b
        in f = socket tcp4
        in connect f 127.0.0.5:8081
        in g = accept b => from 127.0.0.1:*
    ";
}
