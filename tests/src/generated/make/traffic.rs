//! Calls between sockets: who connects to whom, sends, answers and takes.

use super::{Maker, Socket};
use crate::generated::places::{self, Kind, UDP4};

impl Maker {
    /// Whether it is undetermined who gets what is sent to the port of that actor.
    fn undetermined(&self, actor: &str, port: u16) -> bool {
        let shares = |s: &&Socket| s.reuseport && s.actor == actor && s.bound == Some(port);
        self.sockets.iter().filter(shares).count() > 1
    }

    /// Where that socket can be reached by somebody with a socket of the kind.
    fn place_of(&mut self, at: usize, from: &'static str, kind: Kind) -> Option<String> {
        let target = self.sockets[at].clone();
        let port = match target.bound {
            Some(port) if self.undetermined(target.actor, port) => return None,
            // Another's choice is known only when it was made.
            Some(0) | None => {
                let holder = target.holders.first()?;
                format!("{{{holder}.{}}}", target.name)
            }
            Some(port) => port.to_string(),
        };
        // To an address of the hostlet IPv6 takes that address itself, where it is the host's too.
        let v4 = if !kind.six || from == "host" {
            true
        } else if target.kind.six && !target.host.contains('.') {
            !target.v6only && self.chance.percent(20)
        } else {
            true
        };
        let host = places::to_reach(&mut self.chance, self.set, from, target.actor, kind, v4)?;
        Some(format!("{host}:{port}"))
    }

    /// Somebody calls at a socket that waits for it.
    pub(super) fn visit(&mut self) {
        let open: Vec<usize> = (0..self.sockets.len())
            .filter(|at| {
                let s = &self.sockets[*at];
                s.listening || (!s.kind.stream && s.bound.is_some())
            })
            .collect();
        let Some(&at) = self.chance.one(&open) else {
            return self.open();
        };
        let target = self.sockets[at].clone();
        let from = if target.actor == "in" {
            self.chance
                .pick(&[(50, "peer"), (40, "in"), (7, "other"), (3, "host")])
        } else {
            "in"
        };
        let six = match (target.kind.six, target.host.contains('.')) {
            // To an address of the hostlet IPv6 takes that address itself, where it is the host's too.
            _ if from == "host" => false,
            (true, false) if target.v6only => true,
            (true, false) => self.chance.percent(60),
            _ => self.chance.percent(8),
        };
        let kind = target.kind.of(six);
        let holder = self.process(from);
        let client = self
            .reuse(from, kind)
            .unwrap_or_else(|| self.socket(from, holder, kind));
        let Some(place) = self.place_of(at, from, kind) else {
            return;
        };
        let text = format!("m{}", self.lines.len());
        if kind.stream {
            if self.chance.percent(10) {
                self.bind(client);
            }
            self.say(client, "connect", &place);
            self.sockets[client].connected = true;
            self.sockets[at].waiting += 1;
            if self.chance.percent(80) {
                self.answer(at);
            }
        } else {
            if self.chance.percent(10) {
                self.bind(client);
            }
            if self.chance.percent(30) {
                self.say(client, "connect", &place);
                self.sockets[client].connected = true;
                self.say(client, "send", &text);
            } else {
                self.send_text(client, &place, &text);
            }
            self.sockets[at].waiting += 1;
            if self.chance.percent(80) {
                self.take(at);
                if self.chance.percent(25) {
                    self.reply(at, client);
                }
            }
        }
        if self.chance.percent(30) {
            self.look(client);
        }
    }

    /// A datagram socket that is there already.
    fn reuse(&mut self, from: &str, kind: Kind) -> Option<usize> {
        if kind.stream || self.chance.percent(50) {
            return None;
        }
        let fits = |s: &Socket| s.actor == from && s.kind == kind && !s.connected;
        let all: Vec<usize> = (0..self.sockets.len())
            .filter(|at| fits(&self.sockets[*at]))
            .collect();
        self.chance.one(&all).copied()
    }

    /// What a server sends back to a client whose port is known.
    fn reply(&mut self, at: usize, client: usize) {
        let from = self.sockets[at].actor;
        let kind = self.sockets[at].kind;
        let Some(place) = self.place_of(client, from, kind) else {
            return;
        };
        let text = format!("m{}", self.lines.len());
        self.send_text(at, &place, &text);
        self.sockets[client].waiting += 1;
        self.take(client);
    }

    fn send_text(&mut self, at: usize, place: &str, text: &str) {
        if self.chance.percent(75) || self.sockets[at].actor != "in" {
            return self.say(at, "sendto", &format!("{place} {text}"));
        }
        let six = self.sockets[at].kind.six;
        let source = match six {
            _ if self.chance.percent(40) => None,
            false => self.chance.pick(&[
                (3, Some("10.0.0.5")),
                (3, Some("10.0.0.6")),
                (1, Some("10.0.0.1")),
                (1, Some("127.0.0.1")),
            ]),
            true => self.chance.pick(&[
                (3, Some("2001:db8::5")),
                (3, Some("2001:db8::6")),
                (1, Some("2001:db8::1")),
                (1, Some("::1")),
            ]),
        };
        match source {
            None => self.say(at, "sendmsg", &format!("{place} {text}")),
            Some(source) => self.say(at, "sendmsg", &format!("{place} {text} src={source}")),
        }
    }

    /// The other machine calls at all who hear on a port: a group, which somebody joins, or a broadcast address.
    pub(super) fn call(&mut self, at: usize) {
        let socket = self.sockets[at].clone();
        let port = match socket.bound {
            Some(port) if port > 0 && socket.actor != "peer" => port,
            _ => return,
        };
        let six = socket.kind.six && !socket.host.contains('.') && self.chance.percent(70);
        let addresses = if six { self.set.3 } else { self.set.2 };
        if socket.kind.of(false) != UDP4
            || addresses.is_empty()
            || self.undetermined(socket.actor, port)
        {
            return;
        }
        let groups: [(usize, (&str, &str)); 2] = match six {
            true => [(1, ("ff05::1:3", "[ff05::1:3]")), (0, ("", ""))],
            false => [(3, ("239.1.2.3", "239.1.2.3")), (1, ("", "10.0.0.255"))],
        };
        let (group, to) = self.chance.pick(&groups);
        let sender = self.socket("peer", "peer", UDP4.of(six));
        if group.is_empty() {
            self.say(sender, "opt", "broadcast 1");
        } else {
            self.say(at, "join", &format!("{group} eth0"));
            if self.chance.percent(10) {
                self.say(at, "leave", &format!("{group} eth0"));
            }
            self.say(sender, "opt", "mcast-if br0");
        }
        let text = format!("m{}", self.lines.len());
        self.say(sender, "sendto", &format!("{to}:{port} {text}"));
        let hears = |s: &Socket| s.kind.of(false) == UDP4 && s.bound == Some(port);
        for at in 0..self.sockets.len() {
            if hears(&self.sockets[at]) && self.sockets[at].actor != "peer" {
                self.sockets[at].waiting += 1;
                if self.chance.percent(80) {
                    self.take(at);
                }
            }
        }
    }

    /// Takes what waits: a connection or data.
    pub(super) fn answer(&mut self, at: usize) {
        let socket = self.sockets[at].clone();
        if !socket.listening {
            return self.take(at);
        }
        if socket.waiting == 0 && !self.chance.percent(4) {
            return;
        }
        let holder = self.chance.one(&socket.holders).copied().unwrap_or("in");
        let name = format!("s{}", self.lines.len());
        self.lines
            .push(format!("{holder} {name} = accept {}", socket.name));
        self.sockets[at].waiting = socket.waiting.saturating_sub(1);
        self.sockets.push(Socket {
            name,
            holders: vec![holder],
            listening: false,
            connected: true,
            waiting: 0,
            ..socket
        });
        let made = self.sockets.len() - 1;
        if self.chance.percent(60) {
            self.say(made, "name", "");
        }
    }

    pub(super) fn take(&mut self, at: usize) {
        let socket = &self.sockets[at];
        if socket.listening || (socket.waiting == 0 && !self.chance.percent(6)) {
            return;
        }
        let op = match (socket.kind.stream, socket.pktinfo) {
            (true, _) => "recv",
            (false, true) => "recvmsg",
            (false, false) => self
                .chance
                .pick(&[(4, "recvfrom"), (1, "recv"), (1, "recvmsg")]),
        };
        self.sockets[at].waiting = self.sockets[at].waiting.saturating_sub(1);
        self.say(at, op, "");
    }

    pub(super) fn send(&mut self, at: usize) {
        let text = format!("m{}", self.lines.len());
        let socket = self.sockets[at].clone();
        if socket.listening {
            return;
        }
        if socket.connected {
            self.say(at, "send", &text);
            // Whoever is at the other end.
            for other in &mut self.sockets {
                if other.connected
                    && other.name != socket.name
                    && other.kind.stream == socket.kind.stream
                {
                    other.waiting += 1;
                    break;
                }
            }
        } else if !socket.kind.stream {
            let others: Vec<usize> = (0..self.sockets.len())
                .filter(|o| *o != at && self.sockets[*o].kind.of(socket.kind.six) == socket.kind)
                .collect();
            if let Some(&other) = self.chance.one(&others)
                && let Some(place) = self.place_of(other, socket.actor, socket.kind)
            {
                self.send_text(at, &place, &text);
                self.sockets[other].waiting += 1;
            }
        }
    }

    /// Connects to somebody, or to nobody.
    pub(super) fn connect_out(&mut self, at: usize) {
        let socket = self.sockets[at].clone();
        if socket.listening {
            return;
        }
        let to = if socket.actor == "in" {
            self.chance
                .pick(&[(4, "peer"), (4, "in"), (1, "other"), (1, "host")])
        } else {
            "in"
        };
        let port = if socket.kind.stream {
            self.chance.pick(&[(5, 8080), (3, 8081)])
        } else {
            self.chance.pick(&[(5, 5300), (3, 5301)])
        };
        if self.undetermined(to, port) {
            return;
        }
        let v4 = !socket.kind.six || socket.actor == "host" || self.chance.percent(20);
        let Some(host) = places::to_reach(
            &mut self.chance,
            self.set,
            socket.actor,
            to,
            socket.kind,
            v4,
        ) else {
            return;
        };
        self.say(at, "connect", &format!("{host}:{port}"));
        self.sockets[at].connected = true;
        if self.chance.percent(50) {
            self.look(at);
        }
    }
}
