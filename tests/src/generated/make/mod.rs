//! Makes scripts by chance: calls that make sense where the sockets stand, mostly.
//!
//! What is not determined is not made: two sockets of SO_REUSEPORT share a port, but
//! nothing is sent there; nobody sends to where no neighbour answers.

mod calls;
mod traffic;

use super::places::{Kind, LITE4, LITE6, SETS, Set, TCP4, TCP6, UDP4, UDP6};
use crate::chance::Chance;

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
    chance: Chance,
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
    let mut chance = Chance::of_case(seed, case);
    let sets: Vec<_> = SETS.iter().map(|set| (set.0, set)).collect();
    let set = chance.pick(&sets);
    let kinds = chance.pick(&[
        (8, vec_of([8, 1, 0, 0, 0, 0])),
        (6, vec_of([3, 8, 0, 0, 0, 0])),
        (8, vec_of([0, 0, 8, 1, 0, 0])),
        (6, vec_of([0, 0, 3, 8, 0, 0])),
        (4, vec_of([2, 2, 2, 2, 0, 0])),
        (1, vec_of([0, 0, 1, 1, 6, 4])),
    ]);
    let mut maker = Maker {
        chance,
        set,
        lines: vec![format!("set {}", set.1)],
        sockets: Vec::new(),
        children: Vec::new(),
        count: 0,
        kinds: kinds.to_vec(),
    };
    let steps = 3 + maker.chance.below(12);
    while maker.count < steps {
        maker.act();
        maker.count += 1;
    }
    maker.lines.join("\n")
}

fn vec_of(often: [usize; 6]) -> [(usize, Kind); 6] {
    [
        (often[0], TCP4),
        (often[1], TCP6),
        (often[2], UDP4),
        (often[3], UDP6),
        (often[4], LITE4),
        (often[5], LITE6),
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
    Give,
    Call,
    Exit,
}

impl Maker {
    fn act(&mut self) {
        let open = self.sockets.len();
        if open == 0 {
            return self.open();
        }
        let act = self.chance.pick(&[
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
            (3, Act::Shutdown),
            (2, Act::Dup),
            (3, Act::Fork),
            (2, Act::Give),
            (2, Act::Call),
            (1, Act::Exit),
        ]);
        let at = self.chance.below(open);
        match act {
            Act::Open => self.open(),
            Act::Visit => self.visit(),
            Act::Answer => self.answer(at),
            Act::Bind => self.bind(at),
            Act::Listen => self.listen(at),
            Act::Connect => self.connect_out(at),
            Act::Reconnect if self.sockets[at].connected || self.chance.percent(10) => {
                self.say(at, "connect", "unspec");
                self.sockets[at].connected = false;
            }
            Act::Look => self.look(at),
            Act::Send => self.send(at),
            Act::Take => self.take(at),
            Act::Option => self.option(at),
            Act::Close => self.close(at),
            Act::Shutdown if self.sockets[at].kind.stream => {
                let how = self.chance.pick(&[(1, "rd"), (2, "wr"), (2, "rdwr")]);
                self.say(at, "shutdown", how);
                if self.sockets[at].listening && self.chance.percent(50) {
                    self.say(at, "listen", "");
                }
            }
            Act::Dup => self.dup(at),
            Act::Fork => self.fork(),
            Act::Give => self.give(at),
            Act::Call => self.call(at),
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
        let holder = self.chance.one(&socket.holders).copied().unwrap_or("in");
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
        if actor == "in" && !self.children.is_empty() && self.chance.percent(50) {
            return self.chance.one(&self.children).copied().unwrap_or("in");
        }
        actor
    }
}
