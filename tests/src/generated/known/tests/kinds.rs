//! The same of UDP-Lite, of groups, and of what came with them.

use super::explained;

#[test]
fn udp_lite_excuses_udp_lite_alone() {
    let received = |kind: &str, host: &str, to: &str| {
        explained(&format!(
            "in a = socket {kind}4\nin bind a {host}:5300\npeer p = socket {kind}4\n\
             peer sendto p {to}:5300 m1\nin recvfrom a => m1 from 10.0.0.100:* / EAGAIN"
        ))
    };
    let to = "10.0.0.6";
    assert_eq!(received("udplite", "0.0.0.0", to), Some("udplite-wildcard"));
    assert_eq!(received("udplite", to, to), None);
    assert_eq!(received("udp", "0.0.0.0", to), None);
    let sent = |kind: &str, call: &str| {
        explained(&format!(
            "in a = socket {kind}4\n{call}in sendto a 10.0.0.100:5300 x => ok / EPERM"
        ))
    };
    let connect = "in connect a 10.0.0.100:5300\n";
    assert_eq!(sent("udplite", connect), Some("udplite-connect"));
    assert_eq!(sent("udplite", ""), None);
    assert_eq!(sent("udp", connect), None);
}

#[test]
fn a_hidden_port_is_not_its_own() {
    let connects = |host: &str, port: u16| {
        explained(&format!(
            "host a = socket tcp4\nhost bind a {host}:8080\nin b = socket tcp4\n\
             in bind b 127.0.0.1:8080\nin connect b 127.0.0.1:{port} => ok / ECONNREFUSED"
        ))
    };
    assert_eq!(connects("0.0.0.0", 8080), Some("hidden-port"));
    assert_eq!(connects("0.0.0.0", 8081), None);
    assert_eq!(connects("10.0.0.1", 8080), None);
}

#[test]
fn a_group_is_heard_by_others_only_where_one_has_joined() {
    let gained = |kind: &str, joins: &str| {
        explained(&format!(
            "in a = socket {kind}\nin bind a [::]:5300\nin b = socket udp4\nother c = socket udp4\n\
             {joins}peer p = socket udp4\npeer sendto p 239.1.2.3:5300 x\nin recv a => EAGAIN / x"
        ))
    };
    let of_another = "other join c 239.1.2.3 eth0\n";
    assert_eq!(gained("udp4", of_another), Some("multicast-others"));
    let further = "in join b 239.1.2.3 eth0\n";
    assert_eq!(gained("udp6", further), Some("multicast-others"));
    assert_eq!(gained("udp4", further), None);
    assert_eq!(gained("udp6", "in join a 239.1.2.3 eth0\n"), None);
    assert_eq!(gained("udp6", "other join c 239.1.2.4 eth0\n"), None);
    assert_eq!(gained("udp4", ""), None);
}

#[test]
fn the_host_s_address_is_told_of_groups_alone() {
    let told = |to: &str, local: &str| {
        explained(&format!(
            "in a = socket udp4\nin bind a 0.0.0.0:5300\npeer p = socket udp4\n\
             peer sendto p {to}:5300 x\nin recvmsg a => x from 10.0.0.100:* to {to} local 10.0.0.5 \
             via eth0 / x from 10.0.0.100:* to {to} local {local} via eth0"
        ))
    };
    assert_eq!(told("239.1.2.3", "10.0.0.1"), Some("multicast-local"));
    assert_eq!(told("10.0.0.255", "10.0.0.1"), Some("multicast-local"));
    assert_eq!(told("239.1.2.3", "10.0.0.9"), None);
    assert_eq!(told("10.0.0.5", "10.0.0.1"), None);
}

#[test]
fn a_source_of_another_network_is_had_from_an_earlier_connection() {
    let told = |first: &str, to: &str| {
        explained(&format!(
            "in a = socket udp6\nin connect a unspec\nin connect a [{first}]:5301\n\
             in connect a [{to}]:5301\nin send a x\nin recv a => EAGAIN / ECONNREFUSED"
        ))
    };
    let (far, near) = ("2001:db8:1::5", "2001:db8::9");
    assert_eq!(told(far, near), Some("near-neighbour"));
    assert_eq!(told("2001:db8::5", near), None);
    assert_eq!(told(far, "2001:db8::100"), None);
}

#[test]
fn the_host_listens_again_where_no_member_has_the_port() {
    let listens = |actor: &str, port: u16| {
        explained(&format!(
            "{actor} a = socket tcp4\n{actor} bind a 0.0.0.0:8080\n{actor} listen a\n\
             other b = socket tcp4\nother bind b 0.0.0.0:{port}\n{actor} shutdown a rd\n\
             {actor} listen a => ok / EADDRINUSE"
        ))
    };
    assert_eq!(listens("host", 8080), Some("host-wildcard-later"));
    assert_eq!(listens("host", 8081), None);
    assert_eq!(listens("in", 8080), None);
}
