//! What programs write, in a form that can be compared between two runs.

use std::cell::RefCell;
use std::fs;
use std::rc::Rc;

use crate::daemon::Log;
use crate::dir::TestDir;

/// What a program wrote, kept when it is gone.
#[derive(Debug)]
pub(super) struct Diary {
    name: String,
    dir: Rc<TestDir>,
    heard: Rc<RefCell<Vec<Log>>>,
    file: Option<&'static str>,
}

impl Diary {
    pub(super) fn new(
        name: String,
        dir: &Rc<TestDir>,
        heard: &Rc<RefCell<Vec<Log>>>,
        file: Option<&'static str>,
    ) -> Diary {
        let (dir, heard) = (Rc::clone(dir), Rc::clone(heard));
        Diary {
            name,
            dir,
            heard,
            file,
        }
    }

    /// Whose it is.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Its lines, without what differs from run to run.
    pub(super) fn read(&self) -> Vec<String> {
        let mut lines: Vec<String> = Vec::new();
        for log in self.heard.borrow().iter() {
            lines.extend(log.lines());
        }
        if let Some(file) = self.file {
            let bytes = fs::read(self.dir.path().join(file)).unwrap_or_default();
            lines.extend(String::from_utf8_lossy(&bytes).lines().map(String::from));
        }
        let dir = self.dir.path().display().to_string();
        let plain = lines.iter().map(|line| plain(&line.replace(&dir, "DIR")));
        plain.collect()
    }
}

/// The line with `N` for numbers. Addresses stay, ports go.
fn plain(line: &str) -> String {
    let part = |c: char| c.is_ascii_hexdigit() || matches!(c, ':' | '.');
    let mut out = String::new();
    let mut rest = line;
    while let Some(c) = rest.chars().next() {
        let end = rest.find(|c| !part(c)).unwrap_or(rest.len());
        let word = rest[..end].trim_end_matches([':', '.']);
        if word.is_empty() {
            out.push(c);
            rest = &rest[c.len_utf8()..];
            continue;
        }
        rest = &rest[word.len()..];
        if out.ends_with("Nx") {
            // What follows 0x is where something lies in memory.
            out.push('P');
        } else if word.parse::<std::net::IpAddr>().is_ok() {
            out.push_str(word);
        } else if let Some((host, _)) = word
            .rsplit_once(':')
            .filter(|(host, _)| host.parse::<std::net::Ipv4Addr>().is_ok())
        {
            out.push_str(host);
            out.push_str(":N");
        } else {
            numbers(word, &mut out);
        }
    }
    out
}

fn numbers(word: &str, out: &mut String) {
    if let Some((first, rest)) = word.split_once(':') {
        numbers(first, out);
        out.push(':');
        return numbers(rest, out);
    }
    // An identifier that was drawn.
    if word.len() >= 16 {
        out.push('H');
        return;
    }
    let mut in_number = false;
    for c in word.chars() {
        if c.is_ascii_digit() {
            if !in_number {
                out.push('N');
            }
            in_number = true;
        } else {
            in_number = false;
            out.push(c);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn what_differs_from_run_to_run_is_no_part_of_a_line() {
        for (line, expected) in [
            (
                "2026/11/22 06:12:36 [notice] 12#7: ok",
                "N/N/N N:N:N [notice] N#N: ok",
            ),
            ("from 10.0.0.5:4711.", "from 10.0.0.5:N."),
            ("from 2001:db8::5 port 80", "from 2001:db8::5 port N"),
            (
                "[::1]:80, bind() to 0.0.0.0:80",
                "[::1]:N, bind() to 0.0.0.0:N",
            ),
            ("0x7f4ebd0a: 0xffff: done", "NxP: NxP: done"),
            ("id 0123456789abcdef0:1, added café", "id H:N, added café"),
        ] {
            assert_eq!(plain(line), expected);
        }
    }
}
