//! Calls on one socket, and processes that come and go.

use super::{Maker, Socket};
use crate::generated::places::{self, Kind};

impl Maker {
    /// A new socket, mostly on its way to being a server.
    pub(super) fn open(&mut self) {
        let actor = self
            .chance
            .pick(&[(75, "in"), (15, "peer"), (7, "other"), (3, "host")]);
        let holder = self.process(actor);
        let kinds = self.kinds.clone();
        let kind = self.chance.pick(&kinds);
        let at = self.socket(actor, holder, kind);
        for _ in 0..3 {
            if self.chance.percent(25) {
                self.option(at);
            }
        }
        if self.chance.percent(85) {
            self.bind(at);
            if self.chance.percent(80) {
                self.listen(at);
            }
        }
    }

    fn port(&mut self, kind: Kind) -> u16 {
        if kind.stream {
            self.chance.pick(&[(70, 8080), (20, 8081), (8, 0)])
        } else {
            self.chance.pick(&[(70, 5300), (20, 5301), (8, 0)])
        }
    }

    pub(super) fn bind(&mut self, at: usize) {
        let (actor, kind) = (self.sockets[at].actor, self.sockets[at].kind);
        let host = places::to_bind(&mut self.chance, self.set, actor, kind);
        let port = self.port(kind);
        self.say(at, "bind", &format!("{host}:{port}"));
        let socket = &mut self.sockets[at];
        if socket.bound.is_none() {
            socket.bound = Some(port);
            socket.host = host;
        }
    }

    pub(super) fn listen(&mut self, at: usize) {
        if self.sockets[at].kind.stream && !self.sockets[at].connected {
            self.say(at, "listen", "");
            self.sockets[at].listening = true;
        }
    }

    pub(super) fn option(&mut self, at: usize) {
        let Kind { six, stream, .. } = self.sockets[at].kind;
        let option = self.chance.pick(&[
            (30, "reuseaddr"),
            (15, "reuseport"),
            (if six { 30 } else { 0 }, "v6only"),
            (if stream { 0 } else { 10 }, "pktinfo"),
            (if stream { 0 } else { 6 }, "broadcast"),
            (5, "bind-no-port"),
            (1, "freebind"),
            (2, "keepalive"),
        ]);
        let value = usize::from(!self.chance.percent(10));
        self.say(at, "opt", &format!("{option} {value}"));
        let socket = &mut self.sockets[at];
        match option {
            "reuseport" => socket.reuseport = true,
            "v6only" if socket.bound.is_none() => socket.v6only = value == 1,
            "pktinfo" => socket.pktinfo = value == 1,
            _ => {}
        }
    }

    pub(super) fn look(&mut self, at: usize) {
        let op = self
            .chance
            .pick(&[(6, "name"), (3, "peer"), (3, "poll"), (1, "getopt")]);
        let rest = if op == "getopt" {
            self.chance.pick(&[
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

    pub(super) fn close(&mut self, at: usize) {
        let socket = &mut self.sockets[at];
        if let Some(holder) = socket.holders.pop() {
            self.lines.push(format!("{holder} close {}", socket.name));
        }
        if self.sockets[at].holders.is_empty() {
            self.sockets.remove(at);
        }
    }

    pub(super) fn dup(&mut self, at: usize) {
        let socket = self.sockets[at].clone();
        let holder = self.chance.one(&socket.holders).copied().unwrap_or("in");
        let name = format!("s{}", self.lines.len());
        self.lines
            .push(format!("{holder} {name} = dup {}", socket.name));
        self.sockets.push(Socket {
            name,
            holders: vec![holder],
            ..socket
        });
    }

    /// A child that holds what its parent holds; or, as another program, some of it.
    pub(super) fn fork(&mut self) {
        let child = match self.children.len() {
            0 => "in/c1",
            1 => "in/c2",
            _ => return,
        };
        let another = self.chance.percent(30);
        let mut line = format!(
            "in {} {}",
            if another { "exec" } else { "fork" },
            &child[3..]
        );
        self.children.push(child);
        for socket in &mut self.sockets {
            if !socket.holders.contains(&"in") || another && self.chance.percent(40) {
                continue;
            }
            socket.holders.push(child);
            if another {
                line.push_str(&format!(" {}", socket.name));
            }
        }
        self.lines.push(line);
    }

    /// Hands a socket to a child that has not got it.
    pub(super) fn give(&mut self, at: usize) {
        let Some(&child) = self.chance.one(&self.children) else {
            return;
        };
        let socket = &mut self.sockets[at];
        if socket.holders.contains(&"in") && !socket.holders.contains(&child) {
            self.lines
                .push(format!("in give {} {}", socket.name, &child[3..]));
            socket.holders.push(child);
        }
    }
}
