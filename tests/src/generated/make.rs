//! Makes scripts by chance: calls that make sense where the sockets stand, mostly.
//!
//! What is not determined is not made: two sockets of SO_REUSEPORT share a port, but
//! nothing is sent there; nobody sends to where no neighbour answers.

use super::draw::Draw;
use super::places::{self, Kind, SETS, Set, TCP4, TCP6, UDP4, UDP6};

/// What the maker believes of a socket. It may err: a call may have failed.
#[derive(Debug, Clone)]
struct Socket {
    name: String,
    actor: &'static str,
    /// The processes that hold it: the actor, or children of it.
    holders: Vec<&'static str>,
    kind: Kind,
    v6only: bool,
    /// The port that it was bound to, and whether IPv4 and IPv6 reach it.
    bound: Option<u16>,
    host: String,
    listening: bool,
    connected: bool,
    reuseport: bool,
    pktinfo: bool,
    /// Connections or data that somebody sent.
    waiting: usize,
}

/// A script that is being made.
pub(super) struct Maker {
    draw: Draw,
    set: &'static Set,
    lines: Vec<String>,
    sockets: Vec<Socket>,
    children: Vec<&'static str>,
    count: usize,
    /// The kinds that this case is about.
    kinds: Vec<(usize, Kind)>,
}

/// The script of that case.
pub(super) fn script(seed: u64, case: u64) -> String {
    let mut draw = Draw::of_case(seed, case);
    let sets: Vec<_> = SETS.iter().map(|set| (set.0, set)).collect();
    let set = draw.pick(&sets);
    let kinds = draw.pick(&[
        (4, vec_of([8, 1, 0, 0])),
        (3, vec_of([3, 8, 0, 0])),
        (4, vec_of([0, 0, 8, 1])),
        (3, vec_of([0, 0, 3, 8])),
        (2, vec_of([2, 2, 2, 2])),
    ]);
    let mut maker = Maker {
        draw,
        set,
        lines: vec![format!("set {}", set.1)],
        sockets: Vec::new(),
        children: Vec::new(),
        count: 0,
        kinds: kinds.to_vec(),
    };
    let steps = 3 + maker.draw.below(12);
    while maker.count < steps {
        maker.act();
        maker.count += 1;
    }
    maker.lines.join("\n")
}

fn vec_of(often: [usize; 4]) -> [(usize, Kind); 4] {
    [
        (often[0], TCP4),
        (often[1], TCP6),
        (often[2], UDP4),
        (often[3], UDP6),
    ]
}

#[derive(Clone, Copy)]
enum Act {
    Open,
    Visit,
    Answer,
    Bind,
    Listen,
    Connect,
    Reconnect,
    Look,
    Send,
    Take,
    Option,
    Close,
    Shutdown,
    Dup,
    Fork,
    Exit,
}

impl Maker {
    fn act(&mut self) {
        let open = self.sockets.len();
        if open == 0 {
            return self.open();
        }
        let act = self.draw.pick(&[
            (if open < 5 { 22 } else { 2 }, Act::Open),
            (18, Act::Visit),
            (8, Act::Answer),
            (5, Act::Bind),
            (4, Act::Listen),
            (4, Act::Connect),
            (2, Act::Reconnect),
            (9, Act::Look),
            (6, Act::Send),
            (6, Act::Take),
            (3, Act::Option),
            (4, Act::Close),
            (2, Act::Shutdown),
            (1, Act::Dup),
            (3, Act::Fork),
            (1, Act::Exit),
        ]);
        let at = self.draw.below(open);
        match act {
            Act::Open => self.open(),
            Act::Visit => self.visit(),
            Act::Answer => self.answer(at),
            Act::Bind => self.bind(at),
            Act::Listen => self.listen(at),
            Act::Connect => self.connect_out(at),
            Act::Reconnect if self.sockets[at].connected || self.draw.percent(10) => {
                self.say(at, "connect", "unspec");
                self.sockets[at].connected = false;
            }
            Act::Look => self.look(at),
            Act::Send => self.send(at),
            Act::Take => self.take(at),
            Act::Option => self.option(at),
            Act::Close => self.close(at),
            Act::Shutdown if self.sockets[at].kind.stream => {
                let how = self.draw.pick(&[(1, "rd"), (2, "wr"), (2, "rdwr")]);
                self.say(at, "shutdown", how);
            }
            Act::Dup => self.dup(at),
            Act::Fork => self.fork(),
            Act::Exit => {
                if let Some(child) = self.children.pop() {
                    self.lines.push(format!("in exit {}", &child[3..]));
                    for socket in &mut self.sockets {
                        socket.holders.retain(|h| *h != child);
                    }
                    self.sockets.retain(|s| !s.holders.is_empty());
                }
            }
            Act::Reconnect | Act::Shutdown => {}
        }
    }

    /// A call on a socket by one of those who hold it.
    fn say(&mut self, at: usize, op: &str, rest: &str) {
        let socket = &self.sockets[at];
        let holder = self.draw.one(&socket.holders).copied().unwrap_or("in");
        let name = &socket.name;
        self.lines
            .push(format!("{holder} {op} {name} {rest}").trim_end().to_owned());
    }

    fn socket(&mut self, actor: &'static str, holder: &'static str, kind: Kind) -> usize {
        let name = format!("s{}", self.lines.len());
        self.lines
            .push(format!("{holder} {name} = socket {}", kind.name));
        self.sockets.push(Socket {
            name,
            actor,
            holders: vec![holder],
            kind,
            v6only: false,
            bound: None,
            host: String::new(),
            listening: false,
            connected: false,
            reuseport: false,
            pktinfo: false,
            waiting: 0,
        });
        self.sockets.len() - 1
    }

    fn process(&mut self, actor: &'static str) -> &'static str {
        if actor == "in" && !self.children.is_empty() && self.draw.percent(50) {
            return self.draw.one(&self.children).copied().unwrap_or("in");
        }
        actor
    }

    /// A new socket, mostly on its way to being a server.
    fn open(&mut self) {
        let actor = self
            .draw
            .pick(&[(75, "in"), (15, "peer"), (7, "other"), (3, "host")]);
        let holder = self.process(actor);
        let kinds = self.kinds.clone();
        let kind = self.draw.pick(&kinds);
        let at = self.socket(actor, holder, kind);
        for _ in 0..3 {
            if self.draw.percent(25) {
                self.option(at);
            }
        }
        if self.draw.percent(85) {
            self.bind(at);
            if self.draw.percent(80) {
                self.listen(at);
            }
        }
    }

    fn port(&mut self, kind: Kind) -> u16 {
        if kind.stream {
            self.draw.pick(&[(70, 8080), (20, 8081), (8, 0)])
        } else {
            self.draw.pick(&[(70, 5300), (20, 5301), (8, 0)])
        }
    }

    fn bind(&mut self, at: usize) {
        let (actor, kind) = (self.sockets[at].actor, self.sockets[at].kind);
        let host = places::to_bind(&mut self.draw, self.set, actor, kind);
        let port = self.port(kind);
        self.say(at, "bind", &format!("{host}:{port}"));
        let socket = &mut self.sockets[at];
        if socket.bound.is_none() {
            socket.bound = Some(port);
            socket.host = host;
        }
    }

    fn listen(&mut self, at: usize) {
        if self.sockets[at].kind.stream && !self.sockets[at].connected {
            self.say(at, "listen", "");
            self.sockets[at].listening = true;
        }
    }

    fn option(&mut self, at: usize) {
        let Kind { six, stream, .. } = self.sockets[at].kind;
        let option = self.draw.pick(&[
            (30, "reuseaddr"),
            (15, "reuseport"),
            (if six { 30 } else { 0 }, "v6only"),
            (if stream { 0 } else { 10 }, "pktinfo"),
            (if stream { 0 } else { 6 }, "broadcast"),
            (5, "bind-no-port"),
            (1, "freebind"),
            (2, "keepalive"),
        ]);
        let value = usize::from(!self.draw.percent(10));
        self.say(at, "opt", &format!("{option} {value}"));
        let socket = &mut self.sockets[at];
        match option {
            "reuseport" => socket.reuseport = true,
            "v6only" if socket.bound.is_none() => socket.v6only = value == 1,
            "pktinfo" => socket.pktinfo = value == 1,
            _ => {}
        }
    }

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
            !target.v6only && self.draw.percent(20)
        } else {
            true
        };
        let host = places::to_reach(&mut self.draw, self.set, from, target.actor, kind, v4);
        Some(format!("{host}:{port}"))
    }

    /// Somebody calls at a socket that waits for it.
    fn visit(&mut self) {
        let open: Vec<usize> = (0..self.sockets.len())
            .filter(|at| {
                let s = &self.sockets[*at];
                s.listening || (!s.kind.stream && s.bound.is_some())
            })
            .collect();
        let Some(&at) = self.draw.one(&open) else {
            return self.open();
        };
        let target = self.sockets[at].clone();
        let from = if target.actor == "in" {
            self.draw
                .pick(&[(50, "peer"), (40, "in"), (7, "other"), (3, "host")])
        } else {
            "in"
        };
        let six = match (target.kind.six, target.host.contains('.')) {
            // To an address of the hostlet IPv6 takes that address itself, where it is the host's too.
            _ if from == "host" => false,
            (true, false) if target.v6only => true,
            (true, false) => self.draw.percent(60),
            _ => self.draw.percent(8),
        };
        let kind = match (target.kind.stream, six) {
            (true, false) => TCP4,
            (true, true) => TCP6,
            (false, false) => UDP4,
            (false, true) => UDP6,
        };
        let holder = self.process(from);
        let client = self
            .reuse(from, kind)
            .unwrap_or_else(|| self.socket(from, holder, kind));
        let Some(place) = self.place_of(at, from, kind) else {
            return;
        };
        let text = format!("m{}", self.lines.len());
        if kind.stream {
            if self.draw.percent(10) {
                self.bind(client);
            }
            self.say(client, "connect", &place);
            self.sockets[client].connected = true;
            self.sockets[at].waiting += 1;
            if self.draw.percent(80) {
                self.answer(at);
            }
        } else {
            if self.draw.percent(10) {
                self.bind(client);
            }
            if self.draw.percent(30) {
                self.say(client, "connect", &place);
                self.sockets[client].connected = true;
                self.say(client, "send", &text);
            } else {
                self.send_text(client, &place, &text);
            }
            self.sockets[at].waiting += 1;
            if self.draw.percent(80) {
                self.take(at);
                if self.draw.percent(25) {
                    self.reply(at, client);
                }
            }
        }
        if self.draw.percent(30) {
            self.look(client);
        }
    }

    /// A datagram socket that is there already.
    fn reuse(&mut self, from: &str, kind: Kind) -> Option<usize> {
        if kind.stream || self.draw.percent(50) {
            return None;
        }
        let fits = |s: &Socket| s.actor == from && s.kind == kind && !s.connected;
        let all: Vec<usize> = (0..self.sockets.len())
            .filter(|at| fits(&self.sockets[*at]))
            .collect();
        self.draw.one(&all).copied()
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
        if self.draw.percent(75) || self.sockets[at].actor != "in" {
            return self.say(at, "sendto", &format!("{place} {text}"));
        }
        let six = self.sockets[at].kind.six;
        let source = match six {
            _ if self.draw.percent(40) => None,
            false => self.draw.pick(&[
                (3, Some("10.0.0.5")),
                (3, Some("10.0.0.6")),
                (1, Some("10.0.0.1")),
                (1, Some("127.0.0.1")),
            ]),
            true => self.draw.pick(&[
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

    /// Takes what waits: a connection or data.
    fn answer(&mut self, at: usize) {
        let socket = self.sockets[at].clone();
        if !socket.listening {
            return self.take(at);
        }
        if socket.waiting == 0 && !self.draw.percent(4) {
            return;
        }
        let holder = self.draw.one(&socket.holders).copied().unwrap_or("in");
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
        if self.draw.percent(60) {
            self.say(made, "name", "");
        }
    }

    fn take(&mut self, at: usize) {
        let socket = &self.sockets[at];
        if socket.listening || (socket.waiting == 0 && !self.draw.percent(6)) {
            return;
        }
        let op = match (socket.kind.stream, socket.pktinfo) {
            (true, _) => "recv",
            (false, true) => "recvmsg",
            (false, false) => self
                .draw
                .pick(&[(4, "recvfrom"), (1, "recv"), (1, "recvmsg")]),
        };
        self.sockets[at].waiting = self.sockets[at].waiting.saturating_sub(1);
        self.say(at, op, "");
    }

    fn send(&mut self, at: usize) {
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
                .filter(|o| *o != at && !self.sockets[*o].kind.stream)
                .collect();
            if let Some(&other) = self.draw.one(&others)
                && let Some(place) = self.place_of(other, socket.actor, socket.kind)
            {
                self.send_text(at, &place, &text);
                self.sockets[other].waiting += 1;
            }
        }
    }

    /// Connects to somebody, or to nobody.
    fn connect_out(&mut self, at: usize) {
        let socket = self.sockets[at].clone();
        if socket.listening {
            return;
        }
        let to = if socket.actor == "in" {
            self.draw
                .pick(&[(4, "peer"), (4, "in"), (1, "other"), (1, "host")])
        } else {
            "in"
        };
        let port = if socket.kind.stream {
            self.draw.pick(&[(5, 8080), (3, 8081)])
        } else {
            self.draw.pick(&[(5, 5300), (3, 5301)])
        };
        if self.undetermined(to, port) {
            return;
        }
        let v4 = !socket.kind.six || socket.actor == "host" || self.draw.percent(20);
        let host = places::to_reach(&mut self.draw, self.set, socket.actor, to, socket.kind, v4);
        self.say(at, "connect", &format!("{host}:{port}"));
        self.sockets[at].connected = true;
        if self.draw.percent(50) {
            self.look(at);
        }
    }

    fn look(&mut self, at: usize) {
        let op = self
            .draw
            .pick(&[(6, "name"), (3, "peer"), (3, "poll"), (1, "getopt")]);
        let rest = if op == "getopt" {
            self.draw.pick(&[
                (2, "error"),
                (1, "acceptconn"),
                (1, "reuseaddr"),
                (1, "reuseport"),
            ])
        } else {
            ""
        };
        self.say(at, op, rest);
    }

    fn close(&mut self, at: usize) {
        let socket = &mut self.sockets[at];
        if let Some(holder) = socket.holders.pop() {
            self.lines.push(format!("{holder} close {}", socket.name));
        }
        if self.sockets[at].holders.is_empty() {
            self.sockets.remove(at);
        }
    }

    fn dup(&mut self, at: usize) {
        let socket = self.sockets[at].clone();
        let holder = self.draw.one(&socket.holders).copied().unwrap_or("in");
        let name = format!("s{}", self.lines.len());
        self.lines
            .push(format!("{holder} {name} = dup {}", socket.name));
        self.sockets.push(Socket {
            name,
            holders: vec![holder],
            ..socket
        });
    }

    /// A child that holds what its parent holds.
    fn fork(&mut self) {
        let child = match self.children.len() {
            0 => "in/c1",
            1 => "in/c2",
            _ => return,
        };
        self.lines.push(format!("in fork {}", &child[3..]));
        self.children.push(child);
        for socket in &mut self.sockets {
            if socket.holders.contains(&"in") {
                socket.holders.push(child);
            }
        }
    }
}
