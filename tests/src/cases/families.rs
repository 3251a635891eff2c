//! A6: IPV6_V6ONLY and mapped addresses.

cases! {
    what_v6only_says: "A6", r"
        in a = socket tcp6
        in bind a [::]:8080
        in getopt a v6only => 0
        in opt a v6only 1 => EINVAL
        in b = socket tcp6
        in bind b [2001:db8::6]:8081
        in getopt b v6only => 1
        in c = socket tcp6
        in bind c [::ffff:10.0.0.6]:8082
        in getopt c v6only => 0
        in d = socket udp6
        in bind d [::1]:5300
        in getopt d v6only => 1
        in f = socket udp6
        in connect f [::ffff:10.0.0.100]:5300
        in getopt f v6only => 0
        in g = socket udp6
        in sendto g [2001:db8::100]:5300 x
        in getopt g v6only => 0
        in sendto g [::ffff:10.0.0.100]:5300 x
    ";
    one_wildcard_of_each: "A6", r"
        in a = socket udp4
        in bind a 0.0.0.0:5300
        in b = socket udp6
        in bind b [::]:5300 => EADDRINUSE
        in opt b v6only 1
        in bind b [::]:5300
        peer c = socket udp4
        peer bind c 10.0.0.100:5301
        peer sendto c 10.0.0.6:5300 four
        in recvfrom a => four from 10.0.0.100:5301
        peer d = socket udp6
        peer bind d [2001:db8::100]:5301
        peer sendto d [2001:db8::6]:5300 six
        in recvfrom b => six from [2001:db8::100]:5301
        in e = socket udp6
        in bind e [::ffff:10.0.0.5]:5300 => EADDRINUSE
        in bind e [::ffff:0.0.0.0]:5300 => EADDRINUSE
        in f = socket udp6
        in bind f [::1]:5300 => EADDRINUSE
    ";
    the_mapped_wildcard: "A6", r"
        in a = socket udp6
        in bind a [::ffff:0.0.0.0]:5300
        in name a => [::ffff:0.0.0.0]:5300
        in b = socket udp6
        in opt b v6only 1
        in bind b [::]:5300
        in c = socket udp4
        in bind c 10.0.0.6:5300 => EADDRINUSE
        peer d = socket udp4
        peer bind d 10.0.0.100:5301
        peer sendto d 10.0.0.6:5300 four
        in recvfrom a => four from [::ffff:10.0.0.100]:5301
        in sendto a [::ffff:10.0.0.100]:5301 back
        peer recvfrom d => back from 10.0.0.5:5300 / back from 10.0.0.6:5300 [udp-answer]
    ";
    freebind: "A16", r"
        in a = socket tcp6
        in opt a freebind 1
        in bind a [::ffff:10.0.0.1]:8080 => ok / EADDRNOTAVAIL [freebind]
        in b = socket tcp6
        in opt b freebind 1
        in bind b [2001:db8::9]:8080 => ok / EADDRNOTAVAIL [freebind]
        in c = socket tcp6
        in opt c freebind 1
        in bind c [2001:db8::6]:8080
        in d = socket tcp4
        in opt d freebind 1
        in bind d 0.0.0.0:8081
        in name d => 0.0.0.0:8081
        in e = socket udp4
        in opt e freebind 1
        in bind e 127.0.0.1:5300
        in name e => 127.0.0.1:5300
    ";
}
