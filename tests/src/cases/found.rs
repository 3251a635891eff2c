//! Differences that generated cases found, each by the smallest script that showed it.

cases! {
    bound_already_comes_before_other_errors: "A5", r"
        in a = socket udp4
        in bind a 0.0.0.0:5300
        in bind a 10.0.0.6:5300 => EINVAL
        in bind a 0.0.0.0:5300 => EINVAL
        in bind a 10.0.0.1:5300 => EADDRNOTAVAIL      # but not before this one
        in b = socket tcp4
        in bind b 0.0.0.0:8080
        in listen b
        in bind b 127.0.0.1:8080 => EINVAL
        in c = socket udp6
        in bind c [2001:db8::5]:5300
        in bind c [2001:db8::100]:5300 => EINVAL
        in bind c [::ffff:0.0.0.0]:5300 => EINVAL
        in d = socket tcp6
        in bind d [::1]:8081
        in bind d [2001:db8::5]:8080 => EINVAL
        in bind d [::]:8081 => EINVAL
    ";
    a_datagram_with_a_named_source_is_answered: "A7", r"
        other a = socket udp4
        other bind a 0.0.0.0:5300
        in b = socket udp4
        in sendmsg b 10.0.0.9:5300 hello src=10.0.0.6
        other recvfrom a => hello from 10.0.0.6:*
        other sendto a 10.0.0.6:{in.b} back
        in recvfrom b => back from 10.0.0.9:5300
        other sendto a 10.0.0.5:{in.b} more
        in recvfrom b => more from 10.0.0.9:5300
        other c = socket udp6
        other bind c [::]:5301
        in d = socket udp6
        in sendmsg d [2001:db8::9]:5301 hello src=2001:db8::6
        other recvfrom c => hello from [2001:db8::6]:*
        other sendto c [2001:db8::5]:{in.d} back
        in recvfrom d => back from [2001:db8::9]:5301
    ";
}
