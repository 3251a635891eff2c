//! Who talks to whom: protocols × families × what the socket did before × where it wants to.

use std::fmt::Write as _;

use super::Cell;
use super::addresses::{Family, Place, interface_of, port_of};

/// The client's own port, where it asks for one.
const PORT: u16 = 5310;

/// Where nobody listens.
const NOBODY: u16 = 9;

const ACTORS: [&str; 4] = ["in", "other", "host", "peer"];

/// What the socket did before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Before {
    Bound(Place),
    BoundToAnyPort(Place),
    Nothing,
    Autobound,
    Reconnected,
    Connected,
}

impl Before {
    fn all() -> Vec<Before> {
        let mut all = vec![
            Before::Nothing,
            Before::Autobound,
            Before::Reconnected,
            Before::Connected,
            Before::BoundToAnyPort(Place::Wildcard),
            Before::BoundToAnyPort(Place::OwnSecond),
            Before::BoundToAnyPort(Place::Loopback),
        ];
        all.extend(Place::ALL.map(Before::Bound));
        all
    }

    fn word(self) -> String {
        match self {
            Before::Bound(place) => format!("bound-{}", place.word()),
            Before::BoundToAnyPort(place) => format!("port-0-{}", place.word()),
            Before::Nothing => "unbound".into(),
            Before::Autobound => "autobound".into(),
            Before::Reconnected => "reconnected".into(),
            Before::Connected => "connected-twice".into(),
        }
    }

    /// Lines that do it; none where the family has no such address.
    fn lines(self, protocol: &str, family: Family) -> Option<String> {
        let ping = protocol == "ping";
        let peer = Place::Peer.at(family, if ping { 0 } else { port_of("peer") })?;
        let nobody = Place::Peer.at(family, NOBODY)?;
        Some(match self {
            Before::Bound(place) => {
                let at = place.at(family, if ping { 0 } else { PORT })?;
                format!("in bind c {at}\n")
            }
            Before::BoundToAnyPort(_) if ping => return None,
            Before::BoundToAnyPort(place) => format!("in bind c {}\n", place.at(family, 0)?),
            Before::Nothing => String::new(),
            Before::Autobound => match protocol {
                "ping" => format!("in echo c {peer}\nin echoed c\n"),
                "udp" | "udplite" => format!("in sendto c {nobody} x\n"),
                _ => format!("in connect c {nobody}\n"),
            },
            Before::Reconnected => format!("in connect c {peer}\nin connect c unspec\n"),
            Before::Connected => format!("in connect c {peer}\n"),
        })
    }
}

pub(super) fn cells() -> Vec<Cell> {
    let mut cells = Vec::new();
    for protocol in ["tcp", "mptcp", "udp", "udplite", "ping"] {
        for family in Family::ALL {
            if protocol == "ping" && matches!(family, Family::Dual | Family::Mapped) {
                continue;
            }
            for before in Before::all() {
                for to in Place::ALL {
                    let actions: &[&str] = match protocol {
                        "tcp" | "mptcp" => &["connect"],
                        _ => &["connect", "sendto"],
                    };
                    for action in actions {
                        cells.extend(cell(protocol, family, before, to, action));
                    }
                }
            }
        }
    }
    cells
}

fn cell(protocol: &str, family: Family, before: Before, to: Place, action: &str) -> Option<Cell> {
    let script = match protocol {
        "ping" => ping(family, before, to, action)?,
        "udp" | "udplite" => datagrams(protocol, family, before, to, action)?,
        _ => stream(protocol, family, before, to)?,
    };
    let (family, before, to) = (family.word(), before.word(), to.word());
    Some(Cell {
        name: format!("traffic/{protocol}/{family}/{before}/{action}/{to}"),
        row: "A7",
        script,
    })
}

/// A server on the wildcard of everybody.
fn servers(protocol: &str, family: Family) -> Option<String> {
    let family = family.of_server();
    let mut text = String::new();
    for actor in ACTORS {
        text += &family.socket(actor, "s", protocol);
        let at = Place::Wildcard.at(family, port_of(actor))?;
        let _ = writeln!(text, "{actor} bind s {at}");
        if protocol == "tcp" {
            let _ = writeln!(text, "{actor} listen s");
        } else if actor == "peer" {
            let group = if family == Family::V4 {
                "239.1.2.3"
            } else {
                "ff05::1:3"
            };
            let _ = writeln!(text, "peer join s {group} {}", interface_of(actor));
        }
    }
    Some(text)
}

fn stream(protocol: &str, family: Family, before: Before, to: Place) -> Option<String> {
    let who = to.server();
    let mut text = servers("tcp", family)?;
    text += &family.socket("in", "c", protocol);
    text += &before.lines(protocol, family)?;
    let at = to.at(family, port_of(who))?;
    text += &format!(
        "in connect c {at}\nin name c\nin peer c\n\
         {who} b = accept s\n{who} name b\n\
         in send c hello\n{who} recv b\n{who} send b back\nin recv c\nin name c\n"
    );
    Some(text)
}

fn datagrams(
    protocol: &str,
    family: Family,
    before: Before,
    to: Place,
    action: &str,
) -> Option<String> {
    let who = to.server();
    let mut text = servers(protocol, family)?;
    text += &family.socket("in", "c", protocol);
    if family == Family::V4 {
        text += "in opt c broadcast 1\n";
    }
    text += &before.lines(protocol, family)?;
    if to == Place::Group {
        text += "in opt c mcast-if eth0\n";
    }
    let at = to.at(family, port_of(who))?;
    if action == "connect" {
        let _ = write!(
            text,
            "in connect c {at}\nin name c\nin peer c\nin send c hello\n"
        );
    } else {
        let _ = writeln!(text, "in sendto c {at} hello");
    }
    let _ = write!(text, "{who} answer s back\nin recvfrom c\nin name c\n");
    for actor in ACTORS {
        let _ = writeln!(text, "{actor} drain s");
    }
    Some(text)
}

fn ping(family: Family, before: Before, to: Place, action: &str) -> Option<String> {
    let mut text = family.socket("in", "c", "ping");
    if family == Family::V4 {
        text += "in opt c broadcast 1\n";
    }
    text += &before.lines("ping", family)?;
    let at = to.at(family, 0)?;
    // The host, a neighbour, the peer: they all answer by themselves.
    if action == "connect" {
        let _ = write!(text, "in connect c {at}\nin address c\nin echo c -\n");
    } else {
        let _ = writeln!(text, "in echo c {at}");
    }
    text += "in echoed c\nin address c\n";
    Some(text)
}
