//! A5: what depends on the user.

cases! {
    another_user_may_not_share: "A5", r"
        in fork child
        in/child become 1000
        in a = socket tcp4
        in opt a reuseport 1
        in bind a 0.0.0.0:8080
        in listen a
        in/child b = socket tcp4
        in/child opt b reuseport 1
        in/child bind b 0.0.0.0:8080 => EADDRINUSE
        in/child bind b 10.0.0.6:8080 => EADDRINUSE
        in/child bind b 127.0.0.1:8080 => EADDRINUSE
        in u = socket udp4
        in opt u reuseport 1
        in bind u 0.0.0.0:5300
        in/child v = socket udp4
        in/child opt v reuseport 1
        in/child bind v 0.0.0.0:5300 => EADDRINUSE
        in/child opt v reuseaddr 1
        in/child bind v 0.0.0.0:5300 => EADDRINUSE
    ";
    privileged_ports: "A5", r"
        in fork child
        in/child become 1000
        in/child a = socket tcp4
        in/child bind a 0.0.0.0:80 => EACCES
        in/child bind a 10.0.0.6:80 => EACCES
        in/child bind a 10.0.0.1:80 => EADDRNOTAVAIL
        in/child bind a 127.0.0.1:80 => EACCES
        in/child b = socket tcp6
        in/child bind b [::]:80 => EACCES
        in/child c = socket ping4
        in/child echo c 10.0.0.100:0
    ";
    privileged_ports_that_are_taken: "A5", r"
        in a = socket tcp4
        in bind a 0.0.0.0:80
        in u = socket udp4
        in bind u 10.0.0.5:81
        in fork child
        in/child become 1000
        in/child b = socket tcp4
        in/child bind b 0.0.0.0:80 => EACCES / EADDRINUSE [privileged-port]
        in/child bind b 10.0.0.6:80 => EACCES / EADDRINUSE [privileged-port]
        in/child bind b 0.0.0.0:8080
        in/child bind b 0.0.0.0:82 => EACCES / EINVAL [privileged-port]
        in/child c = socket udp4
        in/child bind c 0.0.0.0:81 => EACCES / EADDRINUSE [privileged-port]
        in/child bind c 10.0.0.6:81 => EACCES
        in/child d = socket tcp6
        in/child bind d [2001:db8::1]:83 => EACCES / EADDRNOTAVAIL [privileged-port]
    ";
}
