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
    a_server_on_one_interface: "A6", r"
        in a = socket tcp4
        in opt a device eth1
        in bind a 0.0.0.0:8080
        in listen a
        peer b = socket tcp4
        peer connect b 10.0.0.6:8080 => ECONNREFUSED
        in c = socket tcp4
        in connect c 127.0.0.1:8080 => ECONNREFUSED
        in d = socket tcp4
        in connect d 10.0.0.6:8080 => ECONNREFUSED
        in e = socket tcp6
        in opt e device eth0
        in bind e [::]:8081
        in listen e
        peer f = socket tcp4
        peer connect f 10.0.0.6:8081
        in g = accept e => from [::ffff:10.0.0.100]:*
        peer h = socket tcp6
        peer connect h [2001:db8::6]:8081
        in i = accept e => from [2001:db8::100]:*
        in k = socket tcp6
        in connect k [::1]:8081 => ECONNREFUSED
        in l = socket tcp4
        in connect l 10.0.0.6:8081
        in m = accept e => from [::ffff:10.0.0.5]:*
    ";
    a_server_of_datagrams_on_one_interface: "A6", r"
        set nets
        in a = socket udp4
        in opt a device eth1
        in bind a 0.0.0.0:5300
        peer b = socket udp4
        peer connect b 10.1.0.5:5300
        peer send b one
        in recvfrom a => one from 10.1.0.100:*
        peer c = socket udp4
        peer connect c 10.0.0.6:5300
        peer send c two
        peer recv c => ECONNREFUSED
        in d = socket udp4
        in connect d 127.0.0.1:5300
        in send d three
        in recv d => ECONNREFUSED
        in quiet a => quiet
        peer send b four
        in recvfrom a => four from 10.1.0.100:*
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
    the_loopback_by_another_interface: "A18", r"
        in s = socket udp4
        in bind s 0.0.0.0:5300
        in a = socket udp4
        in opt a device eth0
        in sendto a 127.0.0.1:5300 x => ok / EINVAL [device-loopback]
        in connect a 127.0.0.1:5300
        in name a => 10.0.0.5:* / 127.0.0.1:* [device-loopback]
        in quiet s => quiet
        in b = socket tcp4
        in opt b device eth0
        in connect b 127.0.0.1:8080 => EINPROGRESS / EINVAL [device-loopback]
        in c = socket udp6
        in opt c device eth0
        in connect c [::1]:5300
        in name c => [2001:db8::5]:* / [::1]:* [device-loopback]
    ";
    two_interfaces_of_a_port: "A18", r"
        in a = socket tcp4
        in opt a device eth0
        in bind a 0.0.0.0:8080
        in b = socket tcp4
        in opt b device lo
        in bind b 0.0.0.0:8080 => ok / EADDRINUSE [device-ports]
        in c = socket udp6
        in opt c device eth0
        in bind c [::]:5300
        in d = socket udp6
        in opt d device eth1
        in bind d [2001:db8::6]:5300 => ok / EADDRINUSE [device-ports]
        in e = socket udp4
        in sendto e 10.0.0.6:5300 x
        in recvfrom c => x from [::ffff:10.0.0.5]:* / EAGAIN [device-ports]
        in sendto e 10.0.0.5:5300 y
        in recvfrom c => y from [::ffff:10.0.0.5]:*
        in f = socket udp4
        in opt f device eth0
        in bind f 10.0.0.6:5301
        in g = socket udp4
        in opt g device lo
        in bind g 10.0.0.6:5301
    ";
    groups_without_a_route: "A18", r"
        set alone
        in a = socket udp4
        in opt a broadcast 1
        in sendto a 239.1.2.3:5300 x => ENETUNREACH / ok [group-without-route]
        in sendto a 255.255.255.255:5300 x => ENETUNREACH / ok [group-without-route]
        in connect a 239.1.2.3:5300 => ENETUNREACH
        in e = socket udp4
        in connect e 239.1.2.3:5300 => ENETUNREACH / ok [group-without-route]
        in b = socket udp4
        in bind b 10.0.0.5:5301
        in sendto b 239.1.2.3:5300 x
        in c = socket udp4
        in sendto c 192.0.2.1:5300 x => ENETUNREACH
        in d = socket tcp6
        in connect d [2001:db8:ff::1]:80 => ENETUNREACH
    ";
    an_interface_that_leads_elsewhere: "A18", r"
        in a = socket udp6
        in bind a [2001:db8::6]:5300
        in b = socket udp6
        in sendmsg b [2001:db8::6]:5300 x src=:: if=lo => ENETUNREACH / ok [interface-named]
        in recvfrom a => EAGAIN / x from [2001:db8::6]:* [interface-named]
        in c = socket udp6
        in bind c [::1]:5301
        in sendmsg b [::1]:5301 y src=2001:db8::5 if=eth0
        in recvfrom c => EAGAIN / y from [2001:db8::5]:* [interface-named]
        in d = socket udp4
        in sendmsg d 10.0.0.100:5302 z src=127.0.0.1 if=lo => ok / EINVAL [interface-named]
        in e = socket udp4
        in bind e 0.0.0.0:5303
        in sendmsg e 127.0.0.1:5304 z src=10.0.0.5 if=eth0 => ok / EINVAL [interface-named]
    ";
}
