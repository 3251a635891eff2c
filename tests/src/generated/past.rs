//! What came before a step, as far as the script tells.

use hostlet_testkit::oracle::{Step, Traces};

/// A step that was performed, in words, and what both sides answered.
pub(super) struct Done<'a> {
    pub actor: &'a str,
    pub words: Vec<&'a str>,
    pub real: &'a str,
    pub hostlet: &'a str,
}

impl Done<'_> {
    /// The socket that the step is about, or makes.
    pub fn socket(&self) -> &str {
        match self.words[..] {
            [name, "=", ..] => name,
            [_, name, ..] => name,
            _ => "",
        }
    }

    /// The address and port that it names.
    pub fn place(&self) -> Option<(&str, &str)> {
        let places = self.words.iter().skip(2);
        places.filter_map(|w| w.rsplit_once(':')).next()
    }
}

/// All steps up to the one that differs.
pub(super) struct Past<'a>(Vec<Done<'a>>);

impl<'a> Past<'a> {
    pub fn new(steps: &'a [Step], traces: &'a Traces) -> Past<'a> {
        let all = steps.iter().zip(traces.real.iter().zip(&traces.hostlets));
        Past(
            all.map(|(step, (real, hostlet))| Done {
                actor: &step.actor,
                words: step
                    .line
                    .split_whitespace()
                    .skip_while(|w| w.starts_with('/'))
                    .collect(),
                real,
                hostlet,
            })
            .collect(),
        )
    }

    /// The last step, taken out.
    pub fn pop(&mut self) -> Option<Done<'a>> {
        self.0.pop()
    }

    /// The socket that a name stands for, duplicates being what they were made of.
    pub fn origin<'s>(&'s self, name: &'s str) -> &'s str {
        let made = self.0.iter().find(|d| d.words.starts_with(&[name, "="]));
        match made.map(|d| &d.words[2..]) {
            Some(["dup", of]) => self.origin(of),
            _ => name,
        }
    }

    /// The listener that it was accepted from.
    pub fn listener(&self, name: &str) -> Option<&str> {
        let name = self.origin(name);
        let made = self.0.iter().find(|d| d.words.starts_with(&[name, "="]));
        match made.map(|d| &d.words[2..]) {
            Some(["accept", of]) => Some(self.origin(of)),
            _ => None,
        }
    }

    /// The kind of socket, as scripts name it.
    pub fn kind(&self, name: &str) -> &str {
        let name = self.listener(name).unwrap_or(self.origin(name));
        let made = self.0.iter().find(|d| d.words.starts_with(&[name, "="]));
        match made.map(|d| &d.words[2..]) {
            Some(["socket", kind, ..]) => kind,
            _ => "",
        }
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
        self.0
            .iter()
            .filter(move |d| d.words.first() == Some(&op) || d.words.get(2) == Some(&op))
    }

    /// Address and port that a socket was bound to, on the machine.
    pub fn bound<'s>(&'s self, name: &'s str) -> Option<(&'s str, &'s str)> {
        let name = self.listener(name).unwrap_or(self.origin(name));
        self.with(name, "bind").find(|d| d.real == "ok")?.place()
    }

    /// Whether it was bound to the wildcard.
    pub fn on_wildcard(&self, name: &str) -> bool {
        self.bound(name).is_some_and(|(host, _)| wild(host))
    }
}

/// Whether the address is one of those that mean all.
pub(super) fn wild(host: &str) -> bool {
    matches!(host, "0.0.0.0" | "[::]" | "[::ffff:0.0.0.0]")
}
