//! Which known difference explains a difference in a generated case: a function for
//! each id of the table, as narrow as it can be.

mod binds;
mod connects;
mod datagrams;
mod lite;
mod sane;
mod sources;
#[cfg(test)]
mod tests;

use hostlet_testkit::oracle::{Script, Traces};

use super::past::{Done, Past, Sent, bare, wild};

/// The first difference between the sides.
struct Difference<'a> {
    past: Past<'a>,
    step: Done<'a>,
}

/// The id of the known difference that the step shows.
pub(super) fn explain(script: &Script, at: usize, traces: &Traces) -> Option<&'static str> {
    let mut past = Past::new(&script.steps[..=at], traces);
    let step = past.pop()?;
    let difference = Difference { past, step };
    if !sane::is_sane(&difference) {
        return None;
    }
    KNOWN
        .iter()
        .find(|(_, explains)| explains(&difference) == Some(true))
        .map(|(id, _)| *id)
}

/// Whether the difference is that one; nothing if the step is not of the kind.
type Explains = fn(&Difference) -> Option<bool>;

/// By the ids of the table.
const KNOWN: &[(&str, Explains)] = &[
    ("freebind", binds::freebind),
    ("udp-host-port", binds::udp_host_port),
    ("udplite-connect", lite::udplite_connect),
    ("udplite-wildcard", lite::udplite_wildcard),
    ("host-wildcard-later", binds::host_wildcard_later),
    ("six-then-four", connects::six_then_four),
    ("dual-connect", connects::dual_connect),
    ("source-primary", datagrams::source_primary),
    ("source-foreign", datagrams::source_foreign),
    ("loopback6-to-own", connects::loopback6_to_own),
    ("wildcard-connect", sources::wildcard_connect),
    ("wildcard-restart", binds::wildcard_restart),
    ("failed-call-port", connects::failed_call_port),
    ("kept-source", sources::kept_source),
    ("accepted-listens", connects::accepted_listens),
    ("near-neighbour", connects::near_neighbour),
    ("hidden-port", connects::hidden_port),
    ("shut-listener", binds::shut_listener),
    ("bind-failed", binds::bind_failed),
    ("listener-reads", binds::listener_reads),
    ("tcp-host-port", binds::tcp_host_port),
    ("group-connect", connects::group_connect),
    ("bound-to-all", sources::bound_to_all),
    ("reuse-listen", binds::reuse_listen),
    ("reuse-datagrams", datagrams::reuse_datagrams),
    ("reuse-earlier", binds::reuse_earlier),
    ("reuse-after-bind", binds::reuse_after_bind),
    ("udp-answer", datagrams::udp_answer),
    ("dual-any", datagrams::dual_any),
    ("multicast-shared-port", datagrams::multicast_shared_port),
    ("multicast-others", datagrams::multicast_others),
    ("multicast-local", datagrams::multicast_local),
    ("pktinfo-loopback", datagrams::pktinfo_loopback),
    ("any-interface", datagrams::any_interface),
];

/// The ids of all that generated cases may show.
pub(super) fn ids() -> impl Iterator<Item = &'static str> {
    KNOWN.iter().map(|(id, _)| *id)
}

impl Difference<'_> {
    fn is(&self, op: &str, real: &str, hostlet: &str) -> bool {
        self.step.op() == op && self.step.real == real && self.step.hostlet == hostlet
    }

    fn stream(&self) -> bool {
        self.past.stream(self.step.socket())
    }

    fn receives(&self) -> bool {
        self.step.op().starts_with("recv") && !self.stream()
    }

    /// Whether the step tells whether something has come.
    fn polls(&self) -> bool {
        self.step.op() == "poll" && !self.stream()
    }

    /// Whether one of the datagrams that it may be about is lost: nothing has come, or one that was sent later.
    fn lost(&self) -> bool {
        matches!(self.step.hostlet, "EAGAIN" | "out") || self.overtaken()
    }

    /// Whether one comes that a machine does not get.
    fn gained(&self) -> bool {
        matches!(self.step.real, "EAGAIN" | "out") || self.overtaken()
    }

    fn overtaken(&self) -> bool {
        let sent = |answer: &str| {
            let text = answer.split(' ').next().unwrap_or_default();
            self.past.sent(text).map(|s| s.by.at)
        };
        let (real, hostlet) = (sent(self.step.real), sent(self.step.hostlet));
        self.receives() && real.is_some() && hostlet.is_some() && real != hostlet
    }

    /// Whether one side alone tells a connected socket that nobody has the port that it sent to: the machine
    /// (the error is lost), or the hostlet (it is gained).
    fn error_lost(&self) -> bool {
        !self.stream() && told_of(self.step.real) && !told_of(self.step.hostlet)
    }

    fn error_gained(&self) -> bool {
        !self.stream() && !told_of(self.step.real) && told_of(self.step.hostlet)
    }

    /// Whether the socket of this step has connected to the port of one of these, at that address.
    fn asked(&self, fits: impl Fn(&str, &str) -> bool) -> bool {
        let connects = self.past.with(self.step.socket(), "connect");
        connects.filter_map(Done::place).any(|(host, port)| {
            let mut all = self.past.sockets();
            all.any(|s| fits(s, host) && self.past.is_port_of(port, s))
        })
    }

    /// Whether the socket of this step has connected to 0.0.0.0 last.
    fn connected_to_all_of_four(&self) -> bool {
        let connects = self.past.with(self.step.socket(), "connect");
        let last = connects.filter_map(Done::place).last();
        last.is_some_and(|(host, _)| all_of_four(host))
    }

    /// Whether the step shows that one of these datagrams, which it is about, went elsewhere
    /// or came from elsewhere.
    fn about(&self, fits: impl Fn(&Sent) -> bool) -> bool {
        if self.receives() {
            let answers = [self.step.real, self.step.hostlet];
            let texts = answers.iter().filter_map(|a| a.split(' ').next());
            return texts.filter_map(|t| self.past.sent(t)).any(|s| fits(&s));
        }
        let sends = ["send", "sendto", "sendmsg"];
        let mut all = sends.iter().flat_map(|op| self.past.all(op));
        self.polls()
            && all.any(|s| {
                let text = s.words.get(if s.op() == "send" { 2 } else { 3 });
                text.and_then(|t| self.past.sent(t))
                    .is_some_and(|s| fits(&s))
            })
    }

    /// Whether a listener sees one of these call from another address.
    fn shows_caller(&self, fits: impl Fn(&str) -> bool) -> bool {
        let Some([(was, port), (now, same)]) = self.names() else {
            return false;
        };
        let accepted = self.step.socket();
        let called = |s: &str| {
            let mut to = self.past.with(s, "connect").filter_map(Done::place);
            to.any(|(_, port)| self.past.is_port_of(port, self.listener(accepted)))
        };
        matches!(self.step.op(), "accept" | "peer")
            && (was != now && port == same)
            && self.past.callers().any(|s| fits(s) && called(s))
    }

    /// Whose connections this socket has, or takes now.
    fn listener<'s>(&'s self, name: &'s str) -> &'s str {
        match self.step.words[..] {
            [_, "=", "accept", of] => self.past.origin(of),
            _ => self.past.listener(name).unwrap_or(name),
        }
    }

    /// Both answers as address and port, if each is one.
    fn names(&self) -> Option<[(&str, &str); 2]> {
        let split = |answer: &'_ str| -> Option<(usize, usize)> {
            let begin = if answer.starts_with("from ") { 5 } else { 0 };
            let end = answer.rfind(':')?;
            (begin <= end && !answer[begin..].contains(' ')).then_some((begin, end))
        };
        let (real, hostlet) = (self.step.real, self.step.hostlet);
        let (r, h) = (split(real)?, split(hostlet)?);
        Some([
            (&real[r.0..r.1], &real[r.1 + 1..]),
            (&hostlet[h.0..h.1], &hostlet[h.1 + 1..]),
        ])
    }

    /// Whether the socket is of the transport that this step is of: each has ports of its own.
    fn rivals(&self, name: &str) -> bool {
        let own = self.listener(self.step.socket());
        self.past.transport(name) == self.past.transport(own)
    }

    /// Whether the host itself had the port on the wildcard before.
    fn host_holds(&self, port: &str) -> bool {
        self.past.all("bind").any(|d| {
            d.actor == "host"
                && d.real == "ok"
                && d.place().is_some_and(|(host, p)| wild(host) && p == port)
                && self.rivals(d.socket())
        })
    }
}

/// Whether the answer says, in one way or another, that nobody has the port.
fn told_of(answer: &str) -> bool {
    answer == "ECONNREFUSED" || answer.split('+').any(|event| event == "err")
}

/// Whether it is an address of IPv6, which mapped ones are not.
fn six(host: &str) -> bool {
    host.starts_with('[') && !host.contains('.')
}

/// Whether it is the wildcard of IPv4.
fn all_of_four(host: &str) -> bool {
    wild(host) && !six(host)
}

/// Whether it is the first address of its family of a hostlet.
fn primary(host: &str) -> bool {
    let all = ["10.0.0.5", "2001:db8::5", "10.0.0.9", "2001:db8::9"];
    all.contains(&bare(host))
}

/// Whether it is an address at which many hear.
fn for_all(host: &str) -> bool {
    let host = bare(host);
    host.starts_with("239.") || host.starts_with("ff") || host.ends_with(".255")
}

/// Whether it is of the loopback, or means all addresses.
fn loopback(host: &str) -> bool {
    wild(host) || bare(host).starts_with("127.") || host == "[::1]"
}
