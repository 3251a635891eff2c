//! A7, A16: SO_BINDTODEVICE and other ways to name an interface.

cases! {
    connects_through_an_interface: "A7", r"
        set nets
        peer a = socket tcp4
        peer bind a 0.0.0.0:8080
        peer listen a
        in c = socket tcp4
        in opt c device eth1
        in connect c 10.1.0.100:8080
        in name c => 10.1.0.5:*
        peer b = accept a => from 10.1.0.5:*
        in d = socket tcp4
        in opt d device eth0
        in connect d 10.0.0.100:8080
        in name d => 10.0.0.5:*
        in e = socket tcp6
        in opt e device eth1
        in connect e [2001:db8:1::100]:9999 => ECONNREFUSED
        in f = socket udp6
        in opt f device eth1
        in connect f [2001:db8:1::100]:9999
        in name f => [2001:db8:1::5]:*
        in h = socket udp4
        in opt h device lo
        in connect h 127.0.0.1:9999
        in name h => 127.0.0.1:*
        in i = socket udp4
        in opt i device lo
        in connect i 10.0.0.100:9999
        in k = socket tcp4
        in opt k device lo
        in bind k 127.0.0.1:8081
        in listen k
        in l = socket tcp4
        in connect l 127.0.0.1:8081
        in m = accept k => from 127.0.0.1:*
    ";
    an_interface_opens_no_door: "A16", r"
        in a = socket tcp4
        in opt a device eth0
        in bind a 10.0.0.1:8080 => EADDRNOTAVAIL
        in bind a 10.0.0.6:8080
        in b = socket tcp4
        in opt b device-index eth0
        in getopt b device => eth0
        in opt b device nothing => ENODEV
        in bind b 10.0.0.9:8080 => EADDRNOTAVAIL
        in c = socket udp4
        in opt c unicast-if eth0
        in sendto c 10.0.0.100:5300 x
        in sendmsg c 10.0.0.100:5300 x src=10.0.0.1 => ENETUNREACH|EINVAL
    ";
}
