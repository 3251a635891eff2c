//! Who is served where: protocols × families × what the server is bound to × who asks × by which
//! address.

use std::fmt::Write as _;

use super::Cell;
use super::addresses::{Family, Place, interface_of};

const PORT: u16 = 5300;

/// What the server of the hostlet is bound to; nothing: it listens, or sends, without.
const BOUND: [Option<Place>; 8] = [
    None,
    Some(Place::Own),
    Some(Place::OwnSecond),
    Some(Place::Wildcard),
    Some(Place::Loopback),
    Some(Place::LoopbackRest),
    Some(Place::Group),
    Some(Place::Broadcast),
];

const ASKED: [Place; 8] = [
    Place::Own,
    Place::OwnSecond,
    Place::Host,
    Place::Loopback,
    Place::LoopbackRest,
    Place::Broadcast,
    Place::BroadcastAll,
    Place::Group,
];

pub(super) fn cells() -> Vec<Cell> {
    let mut cells = Vec::new();
    for protocol in ["tcp", "mptcp", "udp", "udplite"] {
        for family in Family::ALL {
            for bound in BOUND {
                for who in ["in", "other", "host", "peer"] {
                    for asked in ASKED {
                        cells.extend(cell(protocol, family, bound, who, asked, false));
                        // A dual-stack socket is asked by both families.
                        if family == Family::Dual {
                            cells.extend(cell(protocol, family, bound, who, asked, true));
                        }
                    }
                }
            }
        }
    }
    cells
}

fn cell(
    protocol: &str,
    family: Family,
    bound: Option<Place>,
    who: &str,
    asked: Place,
    by_the_other_family: bool,
) -> Option<Cell> {
    let stream = matches!(protocol, "tcp" | "mptcp");
    let clients = match family {
        Family::Dual if by_the_other_family => Family::V4,
        family => family.of_server(),
    };
    let mut text = family.socket("in", "s", protocol);
    match bound {
        Some(place) => {
            let _ = writeln!(text, "in bind s {}", place.at(family, PORT)?);
        }
        None if stream => {}
        None => {
            let nobody = Place::Peer.at(family, 9)?;
            let _ = writeln!(text, "in sendto s {nobody} x");
        }
    }
    if stream {
        text += "in listen s\n";
    }
    text += "in name s\n";
    if asked == Place::Group {
        let group = if clients == Family::V4 {
            "239.1.2.3"
        } else {
            "ff05::1:3"
        };
        let _ = writeln!(text, "in join s {group} eth0");
    }
    text += &clients.socket(who, "c", protocol);
    if asked == Place::Group {
        let _ = writeln!(text, "{who} opt c mcast-if {}", interface_of(who));
    }
    if clients == Family::V4 && !stream {
        let _ = writeln!(text, "{who} opt c broadcast 1");
        // Where the limited broadcast goes is not for routes to say.
        if asked == Place::BroadcastAll {
            let _ = writeln!(text, "{who} opt c device {}", interface_of(who));
        }
    }
    let mut at = asked.at(clients, PORT)?;
    if bound.is_none() {
        at = at.replace(&format!(":{PORT}"), ":{in.s}");
    }
    if stream {
        let _ = write!(
            text,
            "{who} connect c {at}\n{who} name c\n{who} peer c\n\
             in b = accept s\nin name b\nin peer b\n\
             {who} send c hello\nin recv b\nin send b back\n{who} recv c\n"
        );
    } else {
        let _ = write!(
            text,
            "{who} sendto c {at} hello\nin answer s back\n{who} recvfrom c\n"
        );
    }
    let bound = bound.map_or("unbound".into(), |place| format!("bound-{}", place.word()));
    let by = match (family, by_the_other_family) {
        (Family::Dual, true) => "by-ipv4-",
        _ => "by-",
    };
    let (family, asked) = (family.word(), asked.word());
    Some(Cell {
        name: format!("serving/{protocol}/{family}/{bound}/{by}{who}/{asked}"),
        row: "A6",
        script: text,
    })
}
