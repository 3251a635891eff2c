//! What came before a step, as far as the script tells.

use hostlet_testkit::oracle::{Step, Traces};

/// A step that was performed, in words, and what both sides answered.
pub(super) struct Done<'a> {
    pub actor: &'a str,
    pub words: Vec<&'a str>,
    pub real: &'a str,
    pub hostlet: &'a str,
    /// Which step it was.
    pub at: usize,
}

impl<'a> Done<'a> {
    /// The socket that the step is about, or makes.
    pub fn socket(&self) -> &'a str {
        match self.words[..] {
            [name, "=", ..] => name,
            [_, name, ..] => name,
            _ => "",
        }
    }

    /// The op: `accept` in `b = accept a`.
    pub fn op(&self) -> &'a str {
        match self.words[..] {
            [_, "=", op, ..] | [op, ..] => op,
            [] => "",
        }
    }

    /// The address and port that it names.
    pub fn place(&self) -> Option<(&'a str, &'a str)> {
        let mut places = self.words.iter().skip(2).filter_map(|w| w.rsplit_once(':'));
        places.next()
    }

    /// Whether both sides refused it.
    pub fn refused(&self) -> bool {
        self.real.starts_with('E') && self.hostlet.starts_with('E')
    }

    /// What it sends.
    fn text(&self) -> Option<&'a str> {
        let at = match self.op() {
            "send" => 2,
            "sendto" | "sendmsg" => 3,
            _ => return None,
        };
        self.words.get(at).copied()
    }
}

/// A datagram on its way.
pub(super) struct Sent<'s, 'a> {
    pub by: &'s Done<'a>,
    /// Whose address it was sent to; nothing if several may have it.
    pub owner: Option<&'s str>,
    pub host: &'s str,
    pub port: &'s str,
}

/// All steps up to the one that differs.
pub(super) struct Past<'a>(Vec<Done<'a>>);

impl<'a> Past<'a> {
    pub fn new(steps: &'a [Step], traces: &'a Traces) -> Past<'a> {
        let all = steps.iter().zip(traces.real.iter().zip(&traces.hostlets));
        Past(
            all.enumerate()
                .map(|(at, (step, (real, hostlet)))| Done {
                    actor: &step.actor,
                    words: step
                        .line
                        .split_whitespace()
                        .skip_while(|w| w.starts_with('/'))
                        .collect(),
                    real,
                    hostlet,
                    at,
                })
                .collect(),
        )
    }

    /// The last step, taken out.
    pub fn pop(&mut self) -> Option<Done<'a>> {
        self.0.pop()
    }

    fn made(&self, name: &str) -> Option<&Done<'a>> {
        self.0.iter().find(|d| d.words.starts_with(&[name, "="]))
    }

    /// The socket that a name stands for, duplicates being what they were made of.
    pub fn origin<'s>(&'s self, name: &'s str) -> &'s str {
        match self.made(name).map(|d| &d.words[2..]) {
            Some(["dup", of]) => self.origin(of),
            _ => name,
        }
    }

    /// The listener that it was accepted from.
    pub fn listener(&self, name: &str) -> Option<&str> {
        match self.made(self.origin(name)).map(|d| &d.words[2..]) {
            Some(["accept", of]) => Some(self.origin(of)),
            _ => None,
        }
    }

    /// The kind of socket, as scripts name it.
    pub fn kind(&self, name: &str) -> &str {
        let name = self.listener(name).unwrap_or(self.origin(name));
        match self.made(name).map(|d| &d.words[2..]) {
            Some(["socket", kind, ..]) => kind,
            _ => "",
        }
    }

    /// The transport, of which each has ports of its own: `tcp`, `udp`, `udplite`.
    pub fn transport(&self, name: &str) -> &str {
        self.kind(name).trim_end_matches(['4', '6'])
    }

    /// Whether it is a TCP socket.
    pub fn stream(&self, name: &str) -> bool {
        self.kind(name).starts_with("tcp")
    }

    /// Who made it.
    pub fn actor(&self, name: &str) -> &str {
        self.made(self.origin(name)).map_or("", |d| d.actor)
    }

    /// Every socket that was made by `socket`.
    pub fn sockets<'s>(&'s self) -> impl Iterator<Item = &'a str> + use<'s, 'a> {
        let made = self.0.iter().filter(|d| d.words.get(2) == Some(&"socket"));
        made.map(Done::socket)
    }

    /// Those, and the accepted ones.
    pub fn callers<'s>(&'s self) -> impl Iterator<Item = &'a str> + use<'s, 'a> {
        let made = |d: &&Done| matches!(d.words.get(2), Some(&"socket" | &"accept"));
        self.0.iter().filter(made).map(Done::socket)
    }

    /// What was done with a socket by this op.
    pub fn with<'s>(&'s self, name: &'s str, op: &'s str) -> impl Iterator<Item = &'s Done<'a>> {
        let name = self.origin(name);
        self.0.iter().filter(move |d| {
            d.words.first() == Some(&op) && d.words.len() > 1 && self.origin(d.words[1]) == name
        })
    }

    /// Everything that was done with this op.
    pub fn all<'s>(&'s self, op: &'s str) -> impl Iterator<Item = &'s Done<'a>> {
        self.0.iter().filter(move |d| d.op() == op)
    }

    /// The bind that gave a socket its address and port, on the machine.
    pub fn bind<'s>(&'s self, name: &'s str) -> Option<&'s Done<'a>> {
        let own = self.with(name, "bind").filter(|d| d.real == "ok").last();
        own.or_else(|| self.bind(self.listener(name)?))
    }

    /// Address and port that a socket was bound to, on the machine.
    pub fn bound<'s>(&'s self, name: &'s str) -> Option<(&'s str, &'s str)> {
        self.bind(name)?.place()
    }

    /// Whether it was bound to the wildcard.
    pub fn on_wildcard(&self, name: &str) -> bool {
        self.bound(name).is_some_and(|(host, _)| wild(host))
    }

    /// Whether `connect` with AF_UNSPEC has ended a connection, or given back a port that the kernel chose.
    pub fn ended(&self, name: &str) -> bool {
        let mut connects = self.with(name, "connect");
        connects.any(|c| c.words[2] == "unspec" && c.real == "ok")
    }

    /// Whether it is bound to an address and no port: that was left open, or given back.
    pub fn port_open(&self, name: &str) -> bool {
        let open = self.option(name, "bind-no-port") || self.ended(name);
        open && self.bound(name).is_some_and(|(_, port)| port == "0")
    }

    /// The step after which a UDP socket, which was not bound, stands where a connection that is over has
    /// left it: the first that it sent then.
    pub fn left(&self, name: &str) -> Option<usize> {
        let over = |c: &&Done| c.words[2] == "unspec" && c.real == "ok";
        let end = self.with(name, "connect").find(over)?.at;
        let sends = ["sendto", "sendmsg", "send"].into_iter();
        let sent = sends.flat_map(|op| self.with(name, op).map(|s| s.at));
        let first = sent.filter(|at| *at > end).min()?;
        (!self.stream(name) && self.bind(name).is_none()).then_some(first)
    }

    /// Whether the port, as a script writes it, is the socket's.
    pub fn is_port_of(&self, port: &str, name: &str) -> bool {
        let chosen = port.strip_prefix('{').and_then(|p| p.strip_suffix('}'));
        match chosen.and_then(|p| p.rsplit_once('.')) {
            Some((_, of)) => {
                let same = self.origin(of) == self.origin(name);
                // By whichever of its holders the port was asked for.
                same || self
                    .shared(of)
                    .is_some_and(|p| Some(p) == self.shared(name))
            }
            None => self.shared(name) == Some(port),
        }
    }

    /// The port that it was bound to by number.
    fn shared<'s>(&'s self, name: &'s str) -> Option<&'s str> {
        let (_, port) = self.bound(name)?;
        (port != "0" && !port.starts_with('{')).then_some(port)
    }

    /// Whether two sockets of one machine have the same port.
    pub fn share_port(&self, a: &str, b: &str) -> bool {
        let port = self.shared(a);
        self.origin(a) != self.origin(b)
            && self.actor(a) == self.actor(b)
            && self.transport(a) == self.transport(b)
            && port.is_some()
            && port == self.shared(b)
    }

    /// Whether it set one of the options of that beginning, if only for a time.
    pub fn option(&self, name: &str, option: &str) -> bool {
        let inherited = self.listener(name).is_some_and(|l| self.option(l, option));
        let on = |o: &Done| matches!(o.words[2..], [name, value] if name.starts_with(option) && value != "0");
        inherited || self.with(name, "opt").any(on)
    }

    /// The datagram with that text.
    pub fn sent<'s>(&'s self, text: &str) -> Option<Sent<'s, 'a>> {
        let by = self.0.iter().find(|d| d.text() == Some(text))?;
        let (host, port) = match by.op() {
            "send" => {
                let mut connects = self.with(by.socket(), "connect").filter(|c| c.at < by.at);
                connects.by_ref().filter_map(Done::place).last()?
            }
            _ => by.place()?,
        };
        Some(Sent {
            owner: owner(host, by.actor),
            by,
            host,
            port,
        })
    }

    /// Whether the datagram was sent to the port of that socket, at an address of its machine.
    pub fn went_to(&self, sent: &Sent, name: &str) -> bool {
        sent.owner.is_none_or(|o| o == self.actor(name))
            && self.transport(sent.by.socket()) == self.transport(name)
            && self.is_port_of(sent.port, name)
    }
}

/// Whether the address is one of those that mean all.
pub(super) fn wild(host: &str) -> bool {
    matches!(host, "0.0.0.0" | "[::]" | "[::ffff:0.0.0.0]")
}

/// The address without what scripts put around it.
pub(super) fn bare(host: &str) -> &str {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host.strip_prefix("::ffff:").unwrap_or(host)
}

/// Who has the address, seen from that actor; nothing if it is nobody's or many's.
pub(super) fn owner<'s>(host: &str, from: &'s str) -> Option<&'s str> {
    match bare(host) {
        "10.0.0.5" | "10.0.0.6" | "10.1.0.5" | "2001:db8::5" | "2001:db8::6" | "2001:db8:1::5" => {
            Some("in")
        }
        "10.0.0.100" | "10.1.0.100" | "2001:db8::100" | "2001:db8:1::100" => Some("peer"),
        "10.0.0.9" | "2001:db8::9" => Some("other"),
        "10.0.0.1" | "10.1.0.1" | "2001:db8::1" | "2001:db8:1::1" => Some("host"),
        "0.0.0.0" | "::" | "::1" => Some(from),
        host if host.starts_with("127.") => Some(from),
        _ => None,
    }
}
