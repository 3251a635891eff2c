//! Ports of a script that has machines to itself no longer: each script gets others, so
//! that nothing that an earlier one left behind stands on them.

use std::collections::BTreeMap;

use super::script::Script;

/// Below this, and from this on, ports differ in what they mean.
const PRIVILEGED: u16 = 1024;

/// The kernel chooses from here on.
const CHOSEN: u16 = 32768;

/// Ports that mean something by themselves.
const FIXED: &[u16] = &[0, 1, 9, 53];

/// Gives out ports, round and round.
#[derive(Debug)]
pub(super) struct Ports {
    low: u16,
    high: u16,
}

/// The ports of one script, and what stands for them.
#[derive(Debug, Default)]
pub(super) struct Plan {
    to: BTreeMap<u16, u16>,
    from: BTreeMap<u16, u16>,
}

impl Ports {
    pub fn new() -> Ports {
        Ports {
            low: 200,
            high: PRIVILEGED,
        }
    }

    /// Ports for all that the script names.
    pub fn plan(&mut self, script: &Script) -> Plan {
        let mut plan = Plan::default();
        for step in &script.steps {
            for port in step.line.split_whitespace().filter_map(port_of) {
                if FIXED.contains(&port) || port >= CHOSEN || plan.to.contains_key(&port) {
                    continue;
                }
                let fresh = self.next(port < PRIVILEGED);
                plan.to.insert(port, fresh);
                plan.from.insert(fresh, port);
            }
        }
        plan
    }

    fn next(&mut self, privileged: bool) -> u16 {
        let (next, first, end) = if privileged {
            (&mut self.low, 200, PRIVILEGED)
        } else {
            (&mut self.high, PRIVILEGED, CHOSEN)
        };
        let fresh = *next;
        *next = if fresh + 1 < end { fresh + 1 } else { first };
        fresh
    }
}

impl Plan {
    /// The line with the ports that are used instead.
    pub fn forth(&self, line: &str) -> String {
        replace(line, &self.to)
    }

    /// The answer with the ports of the script.
    pub fn back(&self, answer: &str) -> String {
        replace(answer, &self.from)
    }
}

/// The port of a word that is an address with a port.
fn port_of(word: &str) -> Option<u16> {
    let (host, port) = word.rsplit_once(':')?;
    if !(host.ends_with(']') || host.contains('.')) {
        return None;
    }
    port.parse().ok()
}

fn replace(text: &str, ports: &BTreeMap<u16, u16>) -> String {
    if ports.is_empty() {
        return text.to_owned();
    }
    let mut words = Vec::new();
    for word in text.split(' ') {
        let other = port_of(word).and_then(|port| ports.get(&port));
        match (other, word.rsplit_once(':')) {
            (Some(other), Some((host, _))) => words.push(format!("{host}:{other}")),
            _ => words.push(word.to_owned()),
        }
    }
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_go_forth_and_back() {
        let script = Script::parse(
            "in bind a [::1]:8080\nin bind b 0.0.0.0:80\nin bind c 1.2.3.4:53\nin join d ff02::1:7 br0",
        )
        .unwrap();
        let mut ports = Ports::new();
        let plan = ports.plan(&script);
        assert_eq!(plan.forth("bind a [::1]:8080"), "bind a [::1]:1024");
        assert_eq!(plan.forth("join d ff02::1:7 br0"), "join d ff02::1:7 br0");
        assert_eq!(plan.forth("bind c 1.2.3.4:53"), "bind c 1.2.3.4:53");
        assert_eq!(plan.back("x from 0.0.0.0:200"), "x from 0.0.0.0:80");
        assert_eq!(
            ports.plan(&script).forth("bind a [::1]:8080"),
            "bind a [::1]:1025"
        );
    }
}
