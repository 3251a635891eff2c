//! What predicates explain, and what they must not.

mod kinds;
mod more;

use super::*;

/// What explains the last line; answers stand behind `=>` as in named cases.
pub(super) fn explained(text: &str) -> Option<&'static str> {
    let script = Script::parse(text).expect("a script");
    let ok = || "ok".to_owned();
    let mut traces = Traces {
        real: Vec::new(),
        hostlets: Vec::new(),
    };
    for step in &script.steps {
        let real = step.real.clone().unwrap_or_else(ok);
        traces
            .hostlets
            .push(step.hostlet.clone().unwrap_or(real.clone()));
        traces.real.push(real);
    }
    explain(&script, script.steps.len() - 1, &traces)
}

#[test]
fn a_lost_datagram_is_explained_by_sockets_that_share_its_port_alone() {
    let shared = |port: &str| {
        format!(
            "in a = socket udp4\nin opt a reuseaddr 1\nin bind a 10.0.0.5:5300\n\
             in b = socket udp4\nin opt b reuseaddr 1\nin bind b 0.0.0.0:5300\n\
             in c = socket udp4\nin bind c 0.0.0.0:5301\n\
             peer p = socket udp4\npeer sendto p 10.0.0.6:{port} m1\n"
        )
    };
    let lost = |port, socket| {
        let script = shared(port);
        explained(&format!(
            "{script}in recvfrom {socket} => m1 from 10.0.0.100:* / EAGAIN"
        ))
    };
    assert_eq!(lost("5300", "b"), Some("reuse-datagrams"));
    assert_eq!(lost("5301", "c"), None);
    assert_eq!(lost("5301", "b"), None);
    assert_eq!(lost("5300", "c"), None);
    // Without the option they do not share, and both on addresses get each its own.
    let none = "in a = socket udp4\nin bind a 0.0.0.0:5300\npeer p = socket udp4\n\
                peer sendto p 10.0.0.5:5300 m1\nin recvfrom a => m1 from 10.0.0.100:* / EAGAIN";
    assert_eq!(explained(none), None);
}

#[test]
fn where_a_wildcard_socket_connected_others_are_not_excused() {
    let begin = "in a = socket udp4\nin bind a 0.0.0.0:5300\nin connect a 10.0.0.100:5300\n\
                 in b = socket udp4\nin bind b 10.0.0.5:5301\n\
                 peer p = socket udp4\npeer bind p 0.0.0.0:5302\n";
    let ends = |end: &str| explained(&format!("{begin}{end}"));
    // Of the one that connected.
    assert_eq!(
        ends("peer sendto p 10.0.0.6:5300 m1\nin recvfrom a => EAGAIN / m1 from 10.0.0.100:5302"),
        Some("wildcard-connect")
    );
    assert_eq!(
        ends("in name a => 10.0.0.6:5300 / 10.0.0.5:5300"),
        Some("wildcard-connect")
    );
    assert_eq!(
        ends("in c = socket udp4\nin bind c 10.0.0.5:5300 => ok / EADDRINUSE"),
        Some("wildcard-connect")
    );
    // Of another.
    assert_eq!(
        ends("peer sendto p 10.0.0.5:5301 m1\nin recvfrom b => m1 from 10.0.0.100:5302 / EAGAIN"),
        None
    );
    assert_eq!(
        ends(
            "in sendto b 10.0.0.100:5302 m1\npeer recvfrom p => m1 from 10.0.0.5:5301 / m1 from 10.0.0.1:5301"
        ),
        None
    );
    assert_eq!(ends("in name b => 10.0.0.5:5301 / 10.0.0.1:5301"), None);
    assert_eq!(
        ends("in c = socket udp4\nin bind c 10.0.0.6:5303 => ok / EADDRINUSE"),
        None
    );
    // What it sent to others before that comes from where it came from.
    let before = |to: &str, by: &str| {
        explained(&format!(
            "in a = socket udp4\nin bind a 0.0.0.0:5300\n{by} b = socket udp4\n{by} bind b {to}:5301\n\
             in sendto a {to}:5301 x\nin connect a 127.0.0.1:5301\n\
             {by} recvfrom b => x from 10.0.0.5:5300 / x from 10.0.0.6:5300"
        ))
    };
    assert_eq!(before("10.0.0.6", "in"), Some("wildcard-connect"));
    assert_eq!(before("10.0.0.100", "peer"), None);
    // Nor an address of somebody else, nor another port.
    assert_eq!(ends("in name a => 10.0.0.6:5300 / 10.0.0.1:5300"), None);
    assert_eq!(ends("in name a => 10.0.0.6:5300 / 10.0.0.5:5301"), None);
}

#[test]
fn a_connection_comes_from_the_primary_address_of_who_was_on_the_wildcard_alone() {
    let accepted = |host: &str, answers: &str| {
        explained(&format!(
            "peer l = socket tcp4\npeer bind l 0.0.0.0:8080\npeer listen l\n\
             in c = socket tcp4\nin bind c {host}:8081\nin connect c 10.1.0.100:8080\n\
             peer d = accept l => {answers}"
        ))
    };
    let moved = "from 10.1.0.5:8081 / from 10.0.0.5:8081";
    assert_eq!(accepted("0.0.0.0", moved), Some("wildcard-connect"));
    assert_eq!(accepted("10.1.0.5", moved), None);
    let stray = "from 10.1.0.5:8081 / from 10.0.0.1:8081";
    assert_eq!(accepted("0.0.0.0", stray), None);
    let port = "from 10.0.0.5:8081 / from 10.0.0.5:*";
    assert_eq!(accepted("10.0.0.5", port), None);
}

#[test]
fn a_port_is_hidden_where_the_host_holds_it() {
    let accepted = |host: &str| {
        explained(&format!(
            "host h = socket tcp4\nhost bind h {host}:8081\nhost listen h\n\
             peer l = socket tcp4\npeer bind l 0.0.0.0:8080\npeer listen l\n\
             in c = socket tcp4\nin bind c 10.0.0.5:8081\nin connect c 10.0.0.100:8080\n\
             peer d = accept l => from 10.0.0.5:8081 / from 10.0.0.5:*"
        ))
    };
    assert_eq!(accepted("0.0.0.0"), Some("hidden-port"));
    assert_eq!(accepted("10.0.0.1"), None);
}

#[test]
fn what_a_refused_call_left_excuses_that_socket_alone() {
    let begin = "in a = socket udp4\nin connect a 192.0.2.1:5300 => ENETUNREACH\n\
                 in b = socket udp4\nin bind b 10.0.0.5:5301\n\
                 in connect b 192.0.2.1:5300 => ENETUNREACH\n\
                 peer p = socket udp4\n";
    let ends = |end: &str| explained(&format!("{begin}{end}"));
    assert_eq!(
        ends("in name a => 0.0.0.0:* / 0.0.0.0:0"),
        Some("failed-call-port")
    );
    assert_eq!(
        ends("peer sendto p 10.0.0.5:{in.a} m1\nin recv a => m1 / EAGAIN"),
        Some("failed-call-port")
    );
    assert_eq!(
        ends("peer sendto p 10.0.0.5:{in.a} m1 => ok / EINVAL"),
        Some("failed-call-port")
    );
    assert_eq!(
        ends("peer sendto p 10.0.0.5:5301 m1\nin recv b => m1 / EAGAIN"),
        None
    );
    assert_eq!(ends("in name b => 10.0.0.5:5301 / 10.0.0.5:0"), None);
    assert_eq!(
        ends("peer sendto p 10.0.0.5:{in.b} m1 => ok / EINVAL"),
        None
    );
    let calls = "in c = socket udp4\nin connect c 10.0.0.5";
    assert_eq!(
        ends(&format!(
            "{calls}:{{in.a}}\nin send c m1\nin poll c => out / out+err"
        )),
        Some("failed-call-port")
    );
    assert_eq!(
        ends(&format!(
            "{calls}:5301\nin send c m1\nin poll c => out / out+err"
        )),
        None
    );
    let bound = "in a = socket udp4\nin bind a 127.0.0.1:0\nin connect a 10.0.0.9:1 => EINVAL\n\
                 in name a => 127.0.0.1:* / 127.0.0.1:0";
    assert_eq!(explained(bound), None);
}

#[test]
fn options_count_after_the_bind_that_they_came_too_late_for() {
    let second = |first: &str| {
        explained(&format!(
            "in a = socket udp4\n{first}\nin b = socket udp4\nin opt b reuseaddr 1\n\
             in bind b 0.0.0.0:5300 => ok / EADDRINUSE"
        ))
    };
    let late = "in bind a 0.0.0.0:5300\nin opt a reuseaddr 1";
    assert_eq!(second(late), Some("reuse-after-bind"));
    let early = "in opt a reuseaddr 1\nin bind a 0.0.0.0:5300";
    assert_eq!(second(early), None);
}

#[test]
fn a_dual_stack_socket_on_a_chosen_port_connects() {
    let connect = |port: u16| {
        explained(&format!(
            "in a = socket udp6\nin bind a [::]:{port}\n\
             in connect a [2001:db8::100]:5300 => ok / EAFNOSUPPORT"
        ))
    };
    assert_eq!(connect(5301), Some("dual-connect"));
    assert_eq!(connect(0), None);
}

#[test]
fn what_is_told_of_loopback_is_no_known_difference() {
    let told = "in a = socket udp4\nin opt a pktinfo 1\nin bind a 0.0.0.0:5300\n\
                in b = socket udp4\nin sendto b 127.0.0.1:5300 m1\n\
                in recvmsg a => m1 from 127.0.0.1:* to 127.0.0.1 / m1 from 127.0.0.1:* to 127.64.0.1";
    assert_eq!(explained(told), None);
}

#[test]
fn an_answer_from_elsewhere_is_known_of_servers_on_the_wildcard() {
    let answer = |host: &str, to: &str| {
        explained(&format!(
            "in a = socket udp4\nin bind a {host}:5300\npeer p = socket udp4\n\
             peer sendto p {to} m1\nin recvfrom a => m1 from 10.0.0.100:*\n\
             in sendto a 10.0.0.100:{{peer.p}} m2\n\
             peer recvfrom p => m2 from 10.0.0.5:5300 / m2 from 10.0.0.6:5300"
        ))
    };
    assert_eq!(answer("0.0.0.0", "10.0.0.6:5300"), Some("udp-answer"));
    assert_eq!(answer("10.0.0.5", "10.0.0.5:5300"), None);
    // Who was not asked, does not answer.
    assert_eq!(answer("0.0.0.0", "10.0.0.6:5301"), None);
}

#[test]
fn a_neighbour_gets_nothing_that_it_has_no_way_back_to() {
    let sent = |from: &str, to: &str| {
        explained(&format!(
            "host a = socket udp6\nhost bind a [::]:5301\nin b = socket udp6\nin bind b {from}:5300\n\
             in sendto b {to}:5301 x\nhost recvfrom a => EAGAIN / x from {from}:5300"
        ))
    };
    let far = "[2001:db8:1::5]";
    assert_eq!(sent(far, "[2001:db8::1]"), Some("near-neighbour"));
    assert_eq!(sent("[2001:db8::5]", "[2001:db8::1]"), None);
    assert_eq!(sent(far, "[2001:db8:1::1]"), None);
}

#[test]
fn an_address_is_taken_by_a_closed_client_that_was_on_the_wildcard() {
    let bound = |host: &str, port: &str| {
        explained(&format!(
            "in a = socket tcp4\nin bind a {host}:8081\nin connect a 127.0.0.1:8080\nin close a\n\
             in b = socket tcp4\nin bind b 127.0.0.1:{port} => EADDRINUSE / ok"
        ))
    };
    assert_eq!(bound("0.0.0.0", "8081"), Some("wildcard-restart"));
    assert_eq!(bound("127.0.0.1", "8081"), None);
    assert_eq!(bound("0.0.0.0", "8082"), None);
}

#[test]
fn a_group_gives_way_to_an_address_where_the_port_was_left_open() {
    let named = |option: &str, answers: &str| {
        explained(&format!(
            "in a = socket udp6\nin opt a {option} 1\nin bind a [ff0e::1:7]:0\n\
             in connect a [2001:db8::100]:5301\nin name a => {answers}"
        ))
    };
    let moved = "[ff0e::1:7]:* / [2001:db8::5]:*";
    assert_eq!(named("bind-no-port", moved), Some("bound-to-all"));
    assert_eq!(named("reuseaddr", moved), None);
    let lost = "[2001:db8::5]:* / [ff0e::1:7]:*";
    assert_eq!(named("bind-no-port", lost), None);
}

#[test]
fn while_a_neighbour_is_asked_for_in_vain_those_who_send_there_wait() {
    let answered = |from: &str, to: &str, answer: &str| {
        explained(&format!(
            "in a = socket tcp6\nin bind a {from}:8081\nin connect a [2001:db8::100]:8080 => EINPROGRESS\n\
             in b = socket tcp6\nin connect b {to}:8080 => EINPROGRESS / {answer}"
        ))
    };
    let connected = |from: &str, to: &str| answered(from, to, "ok");
    let there = "[2001:db8::100]";
    assert_eq!(connected("[::1]", there), Some("near-neighbour"));
    assert_eq!(connected("[::1]", "[2001:db8::9]"), None);
    let refused = answered("[::1]", there, "ECONNREFUSED");
    assert_eq!(refused, Some("near-neighbour"));
    assert_eq!(answered("[::1]", there, "ENETUNREACH"), None);
    assert_eq!(connected("[2001:db8::5]", there), None);
}
