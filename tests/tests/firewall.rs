//! A7: a firewall on the host that lets in what answers (nftables, `ct state established`) sees connections of
//! hostlets as they are. It needs root.

use anyhow::Result;
use hostlet_testkit::lan::Lan;
use hostlet_testkit::players::Players;

/// Performs the script with these rules of nftables on the host.
fn play(set: &str, rules: &[&str], script: &str) -> Result<()> {
    let lan = Lan::hostlets(set, &[])?;
    // The ports that programs get are told below those that the kernel chooses as a rule.
    lan.host().set("ipv4/ip_local_port_range", "20000 20999")?;
    let mut players = Players::default();
    for actor in ["in", "host", "peer"] {
        players.add(actor, lan.start(actor)?);
    }
    for rule in rules {
        lan.host().run("nft", &[rule])?;
    }
    players.play(script)
}

const STATEFUL: [&str; 5] = [
    "add table inet f",
    "add chain inet f in { type filter hook input priority 0; policy drop; }",
    "add rule inet f in ct state established,related accept",
    "add rule inet f in iif lo accept",
    "add rule inet f in icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept",
];

/// A socket of both families on the host's real wildcard, whose source is replaced on the way out.
#[test]
fn connections_from_the_real_wildcard_pass_a_stateful_firewall() -> Result<()> {
    let large = "x".repeat(4000);
    let mut script = String::new();
    for (n, (to, from)) in [
        ("[2001:db8::100]", "[2001:db8::5]"),
        ("[::ffff:10.0.0.100]", "[::ffff:10.0.0.5]"),
    ]
    .iter()
    .enumerate()
    {
        let (tcp, udp) = (8080 + n, 5300 + n);
        script.push_str(&format!(
            "peer a = socket tcp6
             peer bind a [::]:{tcp}
             peer listen a
             in c = socket tcp6
             in bind c [::]:0
             in connect c {to}:{tcp}
             in name c => {from}:*
             peer b = accept a => from {from}:*
             in send c hello
             peer recv b => hello
             in shutdown c wr
             peer recv b => nothing
             peer send b there
             in recv c => there
             peer close b
             in recv c => nothing
             in close c
             in d = socket tcp6
             in bind d [::]:0
             in connect d {to}:9999 => ECONNREFUSED
             in e = socket tcp6
             in bind e [::]:0
             in connect e {to}:{tcp}
             peer f = accept a => from {from}:*
             in close e
             peer recv f => nothing
             peer send f late
             peer poll f err => hup+err
             peer send f later => EPIPE
             peer close a
             peer u = socket udp6
             peer bind u [::]:{udp}
             in v = socket udp6
             in bind v [::]:0
             in connect v {to}:{udp}
             in send v ask
             peer recvfrom u => ask from {from}:*
             peer sendto u {from}:{{in.v}} answer
             in recv v => answer
             peer sendto u {from}:{{in.v}} {large}
             in recv v => xxxxxxxx*
             peer close u
             in send v lost
             in recv v => ECONNREFUSED
             in close v
             in close d
             peer close f
            "
        ));
    }
    play("two", &STATEFUL, &script)
}

/// A socket on the host's real wildcard that asks where its datagrams were sent to, and one that does not: known
/// differences `told-behind-firewall` and `marked-real-wildcard`.
#[test]
fn some_rules_of_a_firewall_drop_answers_to_the_real_wildcard() -> Result<()> {
    let script = |receives: &str| {
        format!(
            "peer u = socket udp6
             peer bind u [::]:5300
             in v = socket udp6
             in bind v [::]:0
             {receives}
             in connect v [2001:db8::100]:5300
             in send v ask
             peer recvfrom u => ask from [2001:db8::5]:*
             peer sendto u [2001:db8::5]:{{in.v}} answer
             in recvmsg v => "
        )
    };
    let (told, plain) = (script("in opt v pktinfo 1"), script(""));
    let marks = [
        "add table inet f",
        "add chain inet f in { type filter hook prerouting priority mangle; }",
        "add rule inet f in meta mark set ct mark",
    ];
    let came = "answer from [2001:db8::100]:5300";
    let to = "to 2001:db8::5 via eth0";
    for (rules, script, answer) in [
        (&[][..], &told, &format!("{came} {to}")[..]),
        (&[], &plain, came),
        (&STATEFUL, &told, "EAGAIN"),
        (&STATEFUL, &plain, came),
        (&marks, &told, &format!("{came} {to}")),
        (&marks, &plain, "EAGAIN"),
    ] {
        play("two", rules, &format!("{script}{answer}"))?;
    }
    Ok(())
}
