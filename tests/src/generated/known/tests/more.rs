//! The same of what came later.

use super::explained;

#[test]
fn errors_are_known_of_those_who_asked_a_socket_that_moved() {
    let polls = |server: &str, port: u16, answers: &str| {
        explained(&format!(
            "in a = socket udp4\nin bind a {server}:5300\nin connect a 127.0.0.1:5301\n\
             in b = socket udp4\nin connect b 127.0.0.1:{port}\nin send b x\nin poll b => {answers}"
        ))
    };
    let lost = "out+err / out";
    assert_eq!(polls("0.0.0.0", 5300, lost), Some("wildcard-connect"));
    assert_eq!(
        polls("0.0.0.0", 5300, "out / out+err"),
        Some("wildcard-connect")
    );
    assert_eq!(polls("127.0.0.1", 5300, lost), None);
    assert_eq!(polls("0.0.0.0", 5302, lost), None);
}

#[test]
fn an_answer_is_lost_only_to_who_is_connected() {
    let answer = |connects: &str| {
        explained(&format!(
            "in a = socket udp4\nin bind a 0.0.0.0:5300\npeer p = socket udp4\n\
             peer bind p 10.0.0.100:5301\npeer sendto p 10.0.0.6:5300 x\n{connects}\
             in sendto a 10.0.0.100:5301 y\n\
             peer recvfrom p => y from 10.0.0.5:5300 / EAGAIN"
        ))
    };
    let connects = "peer connect p 10.0.0.5:5300\n";
    assert_eq!(answer(connects), Some("udp-answer"));
    assert_eq!(answer(""), None);
}

#[test]
fn an_answer_is_for_who_has_the_port_of_who_asked() {
    let answer = |port: u16| {
        explained(&format!(
            "in a = socket udp4\nin bind a 0.0.0.0:5300\n\
             peer p = socket udp4\npeer bind p 0.0.0.0:5301\npeer sendto p 10.0.0.6:5300 x\npeer close p\n\
             peer q = socket udp4\npeer bind q 0.0.0.0:{port}\nin sendto a 10.0.0.100:{port} y\n\
             peer recvfrom q => y from 10.0.0.5:5300 / y from 10.0.0.6:5300"
        ))
    };
    assert_eq!(answer(5301), Some("udp-answer"));
    assert_eq!(answer(5302), None);
}

#[test]
fn to_its_own_port_connects_only_who_is_on_the_wildcard() {
    let connected = |host: &str, port: u16| {
        explained(&format!(
            "in a = socket tcp4\nin opt a reuseaddr 1\nin bind a {host}:8080\n\
             in connect a 127.0.0.1:{port} => ECONNABORTED / ok"
        ))
    };
    assert_eq!(connected("0.0.0.0", 8080), Some("wildcard-connect"));
    assert_eq!(connected("127.0.0.1", 8080), None);
    assert_eq!(connected("0.0.0.0", 8081), None);
}

#[test]
fn an_address_is_lost_where_there_was_no_port() {
    let sent = |option: &str, answer: &str| {
        explained(&format!(
            "in b = socket udp4\nin opt b {option} 1\nin bind b 127.0.0.1:0\n\
             in bind b 0.0.0.0:5300 => {answer}\nin sendto b 10.0.0.100:5300 x => ok / EINVAL"
        ))
    };
    assert_eq!(sent("bind-no-port", "EADDRINUSE"), Some("bind-failed"));
    assert_eq!(sent("reuseaddr", "EADDRINUSE"), None);
    assert_eq!(sent("bind-no-port", "EADDRNOTAVAIL"), None);
}

#[test]
fn a_group_that_keeps_its_port_hears_of_no_error() {
    let told = |option: &str| {
        explained(&format!(
            "in a = socket udp4\nin opt a {option} 1\nin bind a 239.1.2.3:0\n\
             in connect a 10.0.0.5:5300\nin send a x\nin recvfrom a => EAGAIN / ECONNREFUSED"
        ))
    };
    assert_eq!(told("bind-no-port"), Some("bound-to-all"));
    assert_eq!(told("reuseaddr"), None);
}

#[test]
fn a_caller_shows_where_it_was_tied_to() {
    let caller = |listener: &str, to: u16| {
        explained(&format!(
            "in l = socket tcp4\nin bind l 0.0.0.0:8081\nin listen l\n\
             in a = socket tcp4\nin bind a {listener}:8080\nin listen a\n\
             peer b = socket tcp4\npeer connect b 10.0.0.6:8080\nin c = accept a => from 10.0.0.100:*\n\
             in connect c unspec\nin connect c 127.0.0.1:{to}\n\
             in d = accept l => from 10.0.0.6:* / from 127.0.0.1:*"
        ))
    };
    assert_eq!(caller("10.0.0.6", 8081), Some("kept-source"));
    assert_eq!(caller("0.0.0.0", 8081), None);
    assert_eq!(caller("10.0.0.6", 8082), None);
}

#[test]
fn who_was_accepted_is_not_reached_where_it_listens() {
    let reached = |ends: &str, to: &str| {
        explained(&format!(
            "in a = socket tcp4\nin bind a 10.0.0.6:0\nin listen a\n\
             peer b = socket tcp4\npeer connect b 10.0.0.6:{{in.a}}\nin c = accept a\n\
             in connect c unspec\nin {ends} c\n\
             in d = socket tcp4\nin connect d 10.0.0.6:{to} => ok / ECONNREFUSED"
        ))
    };
    assert_eq!(reached("listen", "{in.c}"), Some("accepted-listens"));
    assert_eq!(reached("name", "{in.c}"), None);
    assert_eq!(reached("listen", "{in.a}"), None);
}

#[test]
fn what_a_connection_left_keeps_from_another_only_who_has_sent_unbound() {
    let connected = |first: &str, then: &str| {
        explained(&format!(
            "in a = socket udp6\nin connect a {first}:5300\n{then}in sendto a [2001:db8::100]:5300 x\n\
             in connect a [2001:db8::100]:5300 => ok / EAFNOSUPPORT"
        ))
    };
    let unspec = "in connect a unspec\n";
    let four = "[::ffff:10.0.0.100]";
    assert_eq!(connected(four, unspec), Some("wildcard-connect"));
    assert_eq!(connected("[2001:db8::9]", unspec), None);
    assert_eq!(connected(four, ""), None);
}

#[test]
fn a_source_that_was_named_is_lost_only_where_the_socket_stands() {
    let from = |first: &str, source: &str| {
        explained(&format!(
            "in a = socket udp6\nin connect a [{first}]:5301\nin connect a unspec\n\
             peer b = socket udp6\npeer bind b [::]:5300\n\
             in sendmsg a [2001:db8::100]:5300 x src={source}\n\
             peer recvfrom b => x from [{source}]:* / x from [2001:db8::5]:*"
        ))
    };
    assert_eq!(from("2001:db8::6", "2001:db8::6"), Some("source-primary"));
    assert_eq!(from("2001:db8::9", "2001:db8::6"), None);
}

#[test]
fn an_option_counts_where_it_was_on() {
    let third = |value: u8| {
        explained(&format!(
            "in a = socket tcp4\nin opt a reuseport {value}\nin bind a 0.0.0.0:8080\n\
             in b = socket tcp4\nin opt b reuseport 1\nin bind b 0.0.0.0:8080\n\
             in c = socket tcp4\nin opt c reuseport 1\nin bind c 0.0.0.0:8080 => ok / EADDRINUSE"
        ))
    };
    assert_eq!(third(0), Some("reuse-earlier"));
    assert_eq!(third(1), None);
}

#[test]
fn further_errors_are_known_after_a_connect_that_failed() {
    let told = |answer: &str| {
        explained(&format!(
            "in a = socket udp4\nin connect a 127.0.0.1:5300\nin connect a 10.0.0.100:5300 => {answer}\n\
             in send a x\nin poll a => out / out+err"
        ))
    };
    assert_eq!(told("EINVAL"), Some("failed-call-port"));
    assert_eq!(told("ok"), None);
}

#[test]
fn another_network_does_not_answer_the_wildcard_alone() {
    let connected = |from: &str, to: &str| {
        explained(&format!(
            "in a = socket tcp6\nin bind a [{from}]:8081\n\
             in connect a [{to}]:8080 => ECONNREFUSED / EINPROGRESS"
        ))
    };
    assert_eq!(connected("::", "2001:db8:1::100"), Some("wildcard-connect"));
    assert_eq!(connected("::", "2001:db8::100"), None);
    assert_eq!(connected("2001:db8:1::5", "2001:db8:1::100"), None);
}

#[test]
fn a_wildcard_that_was_an_address_before_keeps_a_source() {
    let named = |first: &str, answers: &str| {
        explained(&format!(
            "in a = socket tcp4\n{first}in bind a 0.0.0.0:8080\n\
             in connect a 10.0.0.100:8081 => ECONNREFUSED\nin name a => {answers}"
        ))
    };
    let bound = "in bind a 127.0.0.1:0\n";
    let kept = "10.0.0.5:8080 / 0.0.0.0:8080";
    assert_eq!(named(bound, kept), Some("kept-source"));
    assert_eq!(named("", kept), None);
    assert_eq!(named(bound, "10.0.0.5:8080 / 0.0.0.0:8081"), None);
}

#[test]
fn two_on_the_wildcard_of_the_same_families_cannot_both_listen() {
    let listens = |option: &str| {
        explained(&format!(
            "in a = socket tcp6\nin opt a reuseaddr 1\nin bind a [::]:8080\n\
             in b = socket tcp6\nin opt b reuseaddr 1\nin opt b {option} 1\nin bind b [::]:8080\n\
             in listen b\nin listen a => EADDRINUSE / ok"
        ))
    };
    assert_eq!(listens("v6only"), Some("reuse-listen"));
    assert_eq!(listens("reuseaddr"), None);
}

#[test]
fn who_was_of_ipv6_alone_by_its_bind_connects_once_that_is_taken_back() {
    let connected = |option: &str| {
        explained(&format!(
            "in a = socket udp6\nin bind a [2001:db8::5]:0\nin opt a {option} 0\n\
             in connect a [::ffff:10.0.0.9]:5300 => EINVAL / ok"
        ))
    };
    assert_eq!(connected("v6only"), Some("six-then-four"));
    assert_eq!(connected("broadcast"), None);
}

#[test]
fn a_later_datagram_tells_that_one_was_lost() {
    let received = |first: &str, answers: &str| {
        explained(&format!(
            "in a = socket udp4\nin sendto a 10.0.0.9:{first}\nin b = socket udp4\n\
             in sendto b 10.0.0.5:{{in.a}} m1\nin sendto b 10.0.0.5:{{in.a}} m2\n\
             in recv a => {answers}"
        ))
    };
    let refused = "0 x => EINVAL";
    assert_eq!(received(refused, "m1 / m2"), Some("failed-call-port"));
    assert_eq!(received("5300 x", "m1 / m2"), None);
    assert_eq!(received(refused, "m1 / m3"), None);
}

#[test]
fn a_group_keeps_the_source_of_a_connection_before_it_was_bound() {
    let connected = |begin: &str| {
        explained(&format!(
            "in a = socket udp6\n{begin}in connect a [2001:db8::100]:5301 => ok / EAFNOSUPPORT"
        ))
    };
    let over = "in connect a [::ffff:10.0.0.6]:5300\nin connect a unspec\n";
    let bind = "in bind a [ff0e::1:7]:5300\n";
    let bound = |begin: &str, end: &str| connected(&format!("{begin}{end}"));
    assert_eq!(bound(over, bind), Some("group-connect"));
    assert_eq!(bound(bind, over), None);
    assert_eq!(bound(over, "in bind a [2001:db8::5]:5300\n"), None);
}

#[test]
fn a_mapped_broadcast_address_gives_way_only_where_its_port_was_left_open() {
    let connected = |option: &str| {
        explained(&format!(
            "in a = socket udp6\nin opt a {option} 1\nin bind a [::ffff:255.255.255.255]:0\n\
             in connect a [::ffff:10.0.0.100]:5300 => EINVAL / ok"
        ))
    };
    assert_eq!(connected("bind-no-port"), Some("bound-to-all"));
    assert_eq!(connected("broadcast"), None);
}

#[test]
fn a_source_of_ipv6_is_none_where_ipv4_has_left_a_socket() {
    let sent = |to: &str, then: &str| {
        explained(&format!(
            "in a = socket udp6\nin connect a {to}:5300\n{then}\
             in sendmsg a [::]:5300 x src=::1 => ok / EINVAL"
        ))
    };
    let unspec = "in connect a unspec\n";
    assert_eq!(sent("[::ffff:10.0.0.100]", unspec), Some("source-primary"));
    assert_eq!(sent("[2001:db8::100]", unspec), None);
    assert_eq!(sent("[::ffff:10.0.0.100]", ""), None);
}

#[test]
fn an_error_is_for_the_source_that_was_named() {
    let told = |source: &str| {
        explained(&format!(
            "in a = socket udp4\nin bind a 0.0.0.0:5300\nin connect a 127.0.0.1:5301\n\
             in sendmsg a 127.0.0.1:5301 x src={source}\nin recv a => EAGAIN / ECONNREFUSED"
        ))
    };
    assert_eq!(told("10.0.0.5"), Some("source-primary"));
    assert_eq!(told("10.0.0.6"), None);
}

#[test]
fn a_hidden_port_is_taken_until_its_listener_ends() {
    let bound = |host: &str, ends: &str| {
        explained(&format!(
            "host a = socket tcp4\nhost bind a {host}:8080\nin b = socket tcp4\nin bind b 10.0.0.6:8080\n\
             in listen b\n{ends}in c = socket tcp4\nin bind c 10.0.0.6:8080 => EADDRINUSE / ok"
        ))
    };
    let ends = "in shutdown b rdwr\n";
    assert_eq!(bound("0.0.0.0", ends), Some("hidden-port"));
    assert_eq!(bound("0.0.0.0", ""), None);
    assert_eq!(bound("10.0.0.1", ends), None);
}

#[test]
fn a_hidden_port_whose_listener_ended_does_not_settle_the_family() {
    let opened = |ends: &str| {
        explained(&format!(
            "host a = socket tcp6\nhost bind a [::]:8080\nin b = socket tcp6\nin bind b [::1]:8080\n\
             in listen b\n{ends}in opt b v6only 0 => EINVAL / ok"
        ))
    };
    assert_eq!(opened("in shutdown b rdwr\n"), Some("hidden-port"));
    assert_eq!(opened(""), None);
}

#[test]
fn a_hidden_port_is_taken_by_who_does_not_share_it() {
    let bound = |option: &str| {
        explained(&format!(
            "in a = socket tcp4\nin opt a {option} 1\nin bind a 127.0.0.1:8080\n\
             host b = socket tcp4\nhost opt b reuseport 1\nhost bind b 0.0.0.0:8080\n\
             in c = socket tcp4\nin bind c 127.0.0.1:8080 => EADDRINUSE / ok"
        ))
    };
    assert_eq!(bound("reuseport"), Some("hidden-port"));
    assert_eq!(bound("keepalive"), None);
}

#[test]
fn a_listener_gets_who_would_be_connected_to_itself() {
    let accepted = |host: &str| {
        explained(&format!(
            "in a = socket tcp4\nin opt a reuseaddr 1\nin bind a {host}:8080\nin b = socket tcp6\n\
             in opt b reuseaddr 1\nin bind b [::]:8080\nin listen b\nin connect a 127.0.0.1:8080\n\
             in c = accept b => EAGAIN / from [::ffff:127.0.0.1]:8080"
        ))
    };
    assert_eq!(accepted("0.0.0.0"), Some("wildcard-connect"));
    assert_eq!(accepted("127.0.0.1"), None);
}

#[test]
fn a_connection_is_late_only_where_a_neighbour_is_asked_for_in_vain() {
    let accepted = |from: &str, to: &str| {
        explained(&format!(
            "peer l = socket tcp6\npeer bind l [::]:8080\npeer listen l\n\
             in a = socket tcp6\nin bind a {from}:8081\nin connect a [2001:db8::100]:8080 => EINPROGRESS\n\
             in b = socket tcp6\nin connect b {to}:8080 => EINPROGRESS\n\
             peer c = accept l => from [2001:db8::5]:* / EAGAIN"
        ))
    };
    let there = "[2001:db8::100]";
    assert_eq!(accepted("[::1]", there), Some("near-neighbour"));
    assert_eq!(accepted("[2001:db8::5]", there), None);
    assert_eq!(accepted("[::1]", "[2001:db8:1::100]"), None);
}

#[test]
fn connected_on_to_the_wildcard_it_is_connected_to_where_it_stands() {
    let peer = |from: &str, to: &str, answers: &str| {
        explained(&format!(
            "in a = socket udp4\nin bind a {from}:5300\nin connect a 10.1.0.100:5301\n\
             in connect a {to}:5301\nin peer a => {answers}"
        ))
    };
    let (all, there) = ("0.0.0.0", "10.1.0.5:5301 / 10.0.0.5:5301");
    assert_eq!(peer(all, all, there), Some("wildcard-connect"));
    assert_eq!(peer("10.1.0.5", all, there), None);
    assert_eq!(peer(all, "10.1.0.100", there), None);
    let another = "10.1.0.5:5301 / 10.0.0.6:5301";
    assert_eq!(peer(all, all, another), None);
}

#[test]
fn an_accepted_socket_is_connected_to_the_loopback_only_where_it_was_tied() {
    let end = |bound: &str, to: &str, last: &str| {
        explained(&format!(
            "in a = socket tcp4\nin bind a {bound}:8080\nin listen a\npeer b = socket tcp4\n\
             peer connect b 10.0.0.5:8080\nin c = accept a\nin connect c unspec\n\
             in connect c {to}:8081{last}"
        ))
    };
    let (own, all) = ("10.0.0.5", "0.0.0.0");
    let refused = " => ok / ECONNREFUSED";
    assert_eq!(end(own, all, refused), Some("kept-source"));
    assert_eq!(end(all, all, refused), None);
    assert_eq!(end(own, "10.0.0.6", refused), None);
    assert_eq!(end(own, all, " => ok / ENETUNREACH"), None);
    let peer = "\nin peer c => 10.0.0.5:8081 / 127.0.0.1:8081";
    assert_eq!(end(own, all, peer), Some("kept-source"));
    assert_eq!(end(all, all, peer), None);
    assert_eq!(end(own, "10.0.0.6", peer), None);
}
