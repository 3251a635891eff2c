//! What no known difference excuses: an error that its call does not give for any of them, and an address of somebody
//! else where a machine shows its own.

use super::super::past::owner;
use super::datagrams::pktinfo_loopback;
use super::{Difference, Done, bare, for_all, loopback, wild};

/// Which errors of hostlets the table speaks of, by the beginnings of calls.
const ERRORS: &[(&str, &[&str])] = &[
    ("bind", &["EADDRINUSE", "EADDRNOTAVAIL", "EINVAL"]),
    (
        "connect",
        &[
            "ECONNREFUSED",
            "EINPROGRESS",
            "EAFNOSUPPORT",
            "ENETUNREACH",
            "EINVAL",
        ],
    ),
    ("listen", &["EADDRINUSE", "EINVAL"]),
    (
        "send",
        &[
            "EPERM",
            "EINVAL",
            "EAFNOSUPPORT",
            "ENETUNREACH",
            "ECONNREFUSED",
            "EDESTADDRREQ",
            "EPIPE",
        ],
    ),
    ("recv", &["EAGAIN", "ECONNREFUSED", "ENOTCONN"]),
    // SO_ERROR: what the next send or receive would say.
    ("getopt", &["ECONNREFUSED"]),
    ("accept", &["EAGAIN"]),
    ("peer", &["ENOTCONN"]),
];

/// Whose an address is, as far as it is somebody's alone.
#[derive(PartialEq, Eq)]
enum Whose<'a> {
    Machine(&'a str),
    Loopback,
    /// What stands for the loopback in a hostlet.
    Inner,
    Open,
}

pub(super) fn is_sane(d: &Difference) -> bool {
    sane_error(d) && sane_addresses(d)
}

fn sane_error(d: &Difference) -> bool {
    let answer = d.step.hostlet;
    let letters = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit();
    if !(answer.starts_with('E') && answer.chars().all(letters)) {
        return true;
    }
    let of_call = |(call, errors): &(&str, &[&str])| {
        d.step.op().starts_with(call) && errors.contains(&answer)
    };
    ERRORS.iter().any(of_call)
}

/// Whether each address in the hostlet's answer may stand for that in the machine's.
fn sane_addresses(d: &Difference) -> bool {
    // The table says so: the source is the route's, which can be anybody's of this machine.
    let routed =
        d.past.transport(d.step.socket()) == "udplite" && matches!(d.step.op(), "name" | "peer");
    let (real, hostlet) = (d.step.real, d.step.hostlet);
    // Another datagram, or one where there is none: from whom that was sent.
    let text = |answer: &'_ str| answer.split(' ').next().map(str::to_owned);
    if text(real) != text(hostlet) && d.receives() {
        let Some((text, rest)) = hostlet.split_once(" from ") else {
            return true;
        };
        let from = rest.split(' ').next().and_then(|at| at.rsplit_once(':'));
        let (Some((host, _)), Some(sent)) = (from, d.past.sent(text)) else {
            return true;
        };
        return match whose(host, sent.by.actor) {
            Whose::Machine(who) => who == sent.by.actor,
            Whose::Inner => false,
            Whose::Loopback | Whose::Open => true,
        };
    }
    // Which address it would answer from is a row of its own.
    let words = |answer: &str| -> Vec<String> {
        let all = answer.split_once(" local ").map_or(answer, |(all, _)| all);
        all.split(' ').map(str::to_owned).collect()
    };
    let (real, hostlet) = (words(real), words(hostlet));
    let mut both = real.iter().zip(&hostlet).filter(|(a, b)| a != b);
    routed || both.all(|(real, hostlet)| may_stand_for(d, host(real), host(hostlet)))
}

/// The address in a word, if it is one.
fn host(word: &str) -> Option<&str> {
    let port = |port: &str| port == "*" || port.parse::<u16>().is_ok();
    let host = match word.rsplit_once(':') {
        Some((host, end)) if port(end) && (host.ends_with(']') || host.contains('.')) => host,
        _ => word,
    };
    (host.contains('.') || host.contains(':')).then_some(host)
}

fn may_stand_for(d: &Difference, real: Option<&str>, hostlet: Option<&str>) -> bool {
    let (Some(real), Some(hostlet)) = (real, hostlet) else {
        return true;
    };
    match (whose(real, d.step.actor), whose(hostlet, d.step.actor)) {
        (_, Whose::Loopback | Whose::Open) => true,
        (Whose::Loopback, Whose::Inner) => pktinfo_loopback(d) == Some(true) || to_itself(d),
        (_, Whose::Inner) => false,
        (Whose::Machine(one), Whose::Machine(other)) => one == other,
        // A member that is connected shows its source.
        (_, Whose::Machine(who)) => matches!(who, "in" | "other"),
    }
}

/// Whether the socket is on the wildcard, and connected to its own port there.
fn to_itself(d: &Difference) -> bool {
    let socket = d.step.socket();
    let mut to = d.past.with(socket, "connect").filter_map(Done::place);
    d.step.op() == "recvmsg"
        && d.past.on_wildcard(socket)
        && to.any(|(host, port)| loopback(host) && d.past.is_port_of(port, socket))
}

fn whose<'a>(host: &str, from: &'a str) -> Whose<'a> {
    let host = bare(host);
    if host.starts_with("fd68:6f73:746c:7400:") {
        return Whose::Inner;
    }
    let mut numbers = host.split('.').map(str::parse::<u8>);
    if let (Some(Ok(127)), Some(Ok(second))) = (numbers.next(), numbers.next()) {
        return if second >= 64 {
            Whose::Inner
        } else {
            Whose::Loopback
        };
    }
    if host == "::1" {
        return Whose::Loopback;
    }
    if wild(host) || host == "::" || for_all(host) {
        return Whose::Open;
    }
    owner(host, from).map_or(Whose::Open, Whose::Machine)
}

#[cfg(test)]
mod tests {
    use super::super::tests::explained;

    /// What comes of the last line of a script whose differences are known.
    fn with(begin: &str, end: &str) -> Option<&'static str> {
        explained(&format!("{begin}{end}"))
    }

    #[test]
    fn errors_that_no_row_speaks_of_are_not_excused() {
        let lite = "in a = socket udplite4\nin connect a 10.0.0.100:5300\n";
        let send = |error: &str| with(lite, &format!("in send a x => ok / {error}"));
        assert_eq!(send("EPERM"), Some("udplite-connect"));
        assert_eq!(send("ENOMEM"), None);
        assert_eq!(send("ENOBUFS"), None);
        let six = "in a = socket tcp6\nin connect a [2001:db8::100]:8080 => ECONNREFUSED\n";
        let connect = |error: &str| {
            with(
                six,
                &format!("in connect a [::ffff:10.0.0.100]:8080 => ok / {error}"),
            )
        };
        assert_eq!(connect("ENETUNREACH"), Some("six-then-four"));
        assert_eq!(connect("EACCES"), None);
    }

    #[test]
    fn addresses_of_others_are_not_excused() {
        let wild = "in a = socket udp4\nin bind a 0.0.0.0:5300\nin connect a 10.1.0.100:5300\n";
        let name = |host: &str| with(wild, &format!("in name a => 10.1.0.5:5300 / {host}:5300"));
        assert_eq!(name("10.0.0.5"), Some("wildcard-connect"));
        for host in ["10.0.0.1", "10.0.0.9", "10.0.0.100", "127.64.0.1"] {
            assert_eq!(name(host), None, "{host}");
        }
        let served = "in a = socket udp4\nin bind a 0.0.0.0:5300\n\
                      peer p = socket udp4\npeer sendto p 10.0.0.6:5300 m1\n\
                      in sendto a 10.0.0.100:{peer.p} m2\n";
        let from = |host: &str| {
            let end = "peer recvfrom p => m2 from 10.0.0.5:5300 / m2 from";
            with(served, &format!("{end} {host}:5300"))
        };
        assert_eq!(from("10.0.0.6"), Some("udp-answer"));
        assert_eq!(from("10.0.0.1"), None);
        assert_eq!(from("10.0.0.9"), None);
    }
}
