//! Threads that share sockets and agree on nothing: each does to any of them what comes up, while the others do as well.

use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use super::{Actor, Outcome, Trouble, check, usage};

/// What may be done, a line each: `OP * …`, where `*` is one of the sockets and `{A|B}` is A or B; `* = socket KIND` puts a new
/// one in its place.
struct Quarrel {
    lines: Vec<String>,
    places: Vec<OwnedFd>,
    rounds: u64,
}

/// What came of a line.
#[derive(Clone, Copy, Default)]
struct Done {
    /// How often it did something.
    well: u64,
    /// Did the kernel get to see it?
    asked: bool,
}

/// Numbers from a seed (xorshift).
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 16).unwrap_or(0) % end.max(1)
    }

    /// The line with one of the words of each pair of braces.
    fn choose(&mut self, line: &str) -> String {
        let mut chosen = String::new();
        let mut rest = line;
        while let Some((before, after)) = rest.split_once('{') {
            let (words, behind) = after.split_once('}').unwrap_or((after, ""));
            let words: Vec<&str> = words.split('|').collect();
            chosen.push_str(before);
            chosen.push_str(words[self.below(words.len())]);
            rest = behind;
        }
        chosen + rest
    }
}

/// `quarrel SEED THREADS SOCKETS ROUNDS FILE`: so many threads, each so many rounds, with the lines of that file. Says how many
/// rounds did something. What each thread does is the same for the same seed; when, is not.
pub(super) fn start(args: &[&str]) -> Outcome {
    let [numbers @ .., path] = args else {
        return usage("quarrel SEED THREADS SOCKETS ROUNDS FILE");
    };
    let numbers: Result<Vec<u64>, _> = numbers.iter().map(|n| n.parse()).collect();
    let Ok(&[seed, threads, sockets, rounds]) = numbers.as_deref() else {
        return usage("quarrel SEED THREADS SOCKETS ROUNDS FILE");
    };
    let text = std::fs::read_to_string(path)?;
    let lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let Some(first) = lines.iter().find_map(|line| line.strip_prefix("* = ")) else {
        return usage(format!("{path} makes no sockets"));
    };
    let mut chance = Chance(seed | 1);
    let places: Result<Vec<OwnedFd>, Trouble> =
        (0..sockets).map(|_| make(&chance.choose(first))).collect();
    let quarrel = Quarrel {
        lines,
        places: places?,
        rounds,
    };
    let done: Vec<Vec<Done>> = std::thread::scope(|scope| {
        let started: Vec<_> = (1..=threads)
            .map(|n| Chance((seed | 1).wrapping_mul(2 * n + 1)))
            .map(|chance| scope.spawn(|| quarrel.take_part(chance)))
            .collect();
        let ended = started.into_iter().map(std::thread::ScopedJoinHandle::join);
        ended.map(Result::unwrap_or_default).collect()
    });
    if done.iter().any(Vec::is_empty) {
        return usage("a thread panicked");
    }
    for (n, line) in quarrel.lines.iter().enumerate() {
        if !done.iter().any(|thread| thread[n].asked) {
            return usage(format!("`{line}` was never understood"));
        }
    }
    let well = done.iter().flatten().map(|line| line.well);
    Ok(well.sum::<u64>().to_string())
}

/// `socket KIND`.
fn make(line: &str) -> Result<OwnedFd, Trouble> {
    let (op, kind) = line.split_once(' ').unwrap_or((line, ""));
    let (fd, _) = Actor::default().make(op, &[kind, "nonblock"])?;
    Ok(fd)
}

impl Quarrel {
    /// What one of them does; what came of each line.
    fn take_part(&self, mut chance: Chance) -> Vec<Done> {
        let actor = Actor::default();
        let mut done = vec![Done::default(); self.lines.len()];
        for _ in 0..self.rounds {
            let n = chance.below(self.lines.len());
            let line = chance.choose(&self.lines[n]);
            let place = self.places[chance.below(self.places.len())].as_raw_fd();
            match self.perform(&actor, &line, place) {
                Ok(()) => done[n].well += 1,
                // It may be for sockets of another family.
                Err(Trouble::Usage(_)) => continue,
                Err(_) => {}
            }
            done[n].asked = true;
        }
        done
    }

    fn perform(&self, actor: &Actor, line: &str, place: RawFd) -> Result<(), Trouble> {
        if let Some(line) = line.strip_prefix("* = ") {
            let fd = make(line)?;
            // SAFETY: both are sockets of this process; whoever uses the place gets the old one or the new one.
            return check(unsafe { libc::dup2(fd.as_raw_fd(), place) }).map(drop);
        }
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            [op, "*", ref args @ ..] => actor.on_socket(op, place, args).map(drop),
            _ => usage(format!("`{line}` is about no socket")),
        }
    }
}
