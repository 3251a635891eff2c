//! A7, A9: TCP Fast Open, which connects and sends by one call.

cases! {
    tcp6: "A7", r"
        peer a = socket tcp6
        peer bind a [2001:db8::100]:8080
        peer listen a
        in c = socket tcp6
        in fastopen c [2001:db8::100]:8080 hello
        in name c => [2001:db8::5]:*
        peer b = accept a => from [2001:db8::5]:*
        peer recv b => hello
        in d = socket tcp6
        in bind d [::1]:8081
        in listen d
        in e = socket tcp6
        in fastopen e [::1]:8081 local
        in f = accept d => from [::1]:*
        in recv f => local
        in peer e => [::1]:8081
    ";
    mapped: "A7", r"
        peer a = socket tcp4
        peer bind a 10.0.0.100:8080
        peer listen a
        in c = socket tcp6
        in fastopen c [::ffff:10.0.0.100]:8080 hello
        in name c => [::ffff:10.0.0.5]:*
        peer b = accept a => from 10.0.0.5:*
        peer recv b => hello
        in d = socket tcp4
        in bind d 127.0.0.1:8081
        in listen d
        in e = socket tcp6
        in fastopen e [::ffff:127.0.0.1]:8081 local
        in f = accept d => from 127.0.0.1:*
        in recv f => local
    ";
    with_a_cookie: "A7", r"
        peer a = socket tcp4
        peer bind a 10.0.0.100:8080
        peer opt a fastopen 16
        peer listen a
        in c = socket tcp4
        in fastopen c 10.0.0.100:8080 first
        peer b = accept a => from 10.0.0.5:*
        peer recv b => first
        in close c
        in d = socket tcp4
        in fastopen d 10.0.0.100:8080 second
        in name d => 10.0.0.5:*
        peer e = accept a => from 10.0.0.5:*
        peer recv e => second
        in f = socket tcp4
        in opt f fastopen-connect 1
        in connect f 10.0.0.100:8080
        in name f => 10.0.0.5:*
        in send f third
        in name f => 10.0.0.5:*
        peer g = accept a => from 10.0.0.5:*
        peer recv g => third
        in h = socket tcp4
        in bind h 10.0.0.6:0
        in fastopen h 10.0.0.100:8080 fourth
        peer i = accept a => from 10.0.0.6:*
        peer recv i => fourth
    ";
    served_on_every_address: "A9", r"
        in a = socket tcp4
        in bind a 0.0.0.0:8080
        in opt a fastopen 16
        in listen a
        peer c = socket tcp4
        peer fastopen c 10.0.0.6:8080 first
        in b = accept a => from 10.0.0.100:*
        in recv b => first
        in name b => 10.0.0.6:8080
        peer close c
        peer d = socket tcp4
        peer fastopen d 10.0.0.6:8080 second
        in e = accept a => from 10.0.0.100:*
        in recv e => second
        in name e => 10.0.0.6:8080
        peer f = socket tcp4
        peer fastopen f 10.0.0.5:8080 third
        in g = accept a => from 10.0.0.100:*
        in recv g => third
    ";
    to_nobody: "A7", r"
        in a = socket tcp4
        in fastopen a 10.0.0.100:9999 x => ECONNREFUSED
        in b = socket tcp4
        in bind b 127.0.0.1:0
        in fastopen b 10.0.0.100:9999 x => EINVAL
        in c = socket tcp4
        in fastopen c 127.0.0.1:9999 x => ECONNREFUSED
        in d = socket udp4
        in fastopen d 10.0.0.100:9999 x
        in e = socket tcp4
        in fastopen e 127.0.0.2:9999 x => ECONNREFUSED
    ";
}
