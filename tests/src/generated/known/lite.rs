//! Known differences of UDP-Lite.

use super::{Difference, Sent, wild};

fn lite(d: &Difference, name: &str) -> bool {
    d.past.transport(name) == "udplite"
}

/// Whose source is the route's, which can be the host's, and which nothing refuses.
pub(super) fn udplite_connect(d: &Difference) -> Option<bool> {
    let connected = |name: &str| {
        let mut connects = d.past.with(name, "connect");
        lite(d, name) && connects.any(|c| c.hostlet == "ok")
    };
    let socket = d.step.socket();
    let connects = lite(d, socket) && d.step.op() == "connect";
    // What it sends does not leave, or leaves from elsewhere; what it is sent does not arrive.
    let about = d.about(|s: &Sent| connected(s.by.socket()));
    Some(connects || connected(socket) || about)
}

/// Who is on the wildcard is served on the primary address.
pub(super) fn udplite_wildcard(d: &Difference) -> Option<bool> {
    let socket = d.step.socket();
    let here =
        |s: &Sent| d.past.went_to(s, socket) && lite(d, socket) && d.past.on_wildcard(socket);
    // And where the hostlet has nobody, a socket of the host's is served, and nobody is told.
    let of_host = |s: &str| {
        let bound = d.past.bound(s).is_some_and(|(host, _)| wild(host));
        lite(d, s) && d.past.actor(s) == "host" && bound
    };
    let taken =
        |s: &Sent| matches!(s.owner, Some("in" | "other")) && d.past.is_port_of(s.port, socket);
    if of_host(socket) && d.gained() && d.about(taken)
        || d.error_lost() && d.asked(|s, _| of_host(s))
    {
        return Some(true);
    }
    let told = d.error_gained() && d.asked(|s, _| lite(d, s) && d.past.on_wildcard(s));
    Some(told || d.lost() && d.about(here))
}
