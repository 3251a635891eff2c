//! Logins and rules, for people.

use std::io::{self, Write};

use hostlet_model::config::Per;
use hostlet_wire::Session;

use super::lent::or_dash;
use crate::rules::DecisionReport;
use crate::table::{Table, printable};

/// `hostlet sessions`.
pub fn sessions(out: &mut dyn Write, sessions: &[Session]) -> io::Result<()> {
    let mut table = Table::new([
        "HOSTLET",
        "USER",
        "SERVICE",
        "FROM",
        "SINCE",
        "STATE",
        "ADDRESSES",
        "RULE",
        "PROGRAMS",
    ]);
    for s in sessions {
        let addresses: Vec<String> = s.addresses.iter().map(ToString::to_string).collect();
        let optional = |name: &Option<hostlet_model::Name>| {
            or_dash(name.as_ref().map(ToString::to_string).unwrap_or_default())
        };
        table.row([
            optional(&s.hostlet),
            s.user.clone(),
            s.service.clone(),
            or_dash(s.remote.clone().or(s.tty.clone()).unwrap_or_default()),
            s.since.clone(),
            s.state.clone(),
            or_dash(addresses.join(" ")),
            optional(&s.rule),
            or_dash(counted(&s.programs)),
        ]);
    }
    table.print(
        out,
        "Nobody is in by a rule. Logins are seen where /etc/pam.d/SERVICE ends with the line: session required pam_hostlet.so",
    )
}

/// Each program once, with how often it runs if that is more than once.
fn counted(programs: &[String]) -> String {
    let mut all: Vec<(&str, usize)> = Vec::new();
    for program in programs {
        match all.iter_mut().find(|(name, _)| name == program) {
            Some((_, times)) => *times += 1,
            None => all.push((program, 1)),
        }
    }
    let text: Vec<String> = all
        .into_iter()
        .map(|(name, times)| match times {
            1 => name.to_owned(),
            _ => format!("{name}({times})"),
        })
        .collect();
    text.join(" ")
}

/// `hostlet explain --user`.
pub fn decided(out: &mut dyn Write, d: &DecisionReport) -> io::Result<()> {
    let mut line = |text: String| writeln!(out, "{}", printable(&text));
    match (&d.program, &d.service) {
        (Some(program), _) => line(format!("{} starts {program}", d.user))?,
        (None, service) => line(format!(
            "{} logs in by {}",
            d.user,
            service.as_deref().unwrap_or("any service")
        ))?,
    }
    match &d.rule {
        Some(rule) => line(format!("  rule '{rule}': {}", gives(d)))?,
        None if d.program.is_some() => line(
            "  no rule: it has the address of the session that starts it, or the machine's"
                .to_owned(),
        )?,
        None => line("  no rule: the machine's address".to_owned())?,
    }
    if let Some(unavailable) = d.unavailable {
        let start = d.program.is_some();
        let then = match unavailable {
            "strict" if start => "the program is not started",
            "strict" => "the login is refused",
            "cut-off" => "it has its own loopback and nothing else",
            _ => "the machine's address",
        };
        line(format!(
            "  if there is none to be had: {then} ({unavailable})"
        ))?;
    }
    if let Some(seconds) = d.linger {
        line(format!(
            "  after the logout: what is left running is cut off {seconds} s later"
        ))?;
    }
    if let Some(entry) = &d.excluded {
        line(format!(
            "  excluded ({entry}): in hostlets that rules make its sockets have the machine's address"
        ))?;
    }
    for why in &d.why {
        line(format!("  {why}"))?;
    }
    for note in &d.notes {
        line(format!("  note: {note}"))?;
    }
    Ok(())
}

fn gives(d: &DecisionReport) -> String {
    let pools: Vec<&str> = d.pools.iter().map(|p| p.as_str()).collect();
    let from = match (&d.hostlet, &pools[..]) {
        (Some(name), _) => return format!("in hostlet '{name}'"),
        (None, []) => return "the machine's address".to_owned(),
        (None, [pool]) => format!("pool {pool}"),
        (None, pools) => format!("pools {}", pools.join(" and ")),
    };
    let own = match d.per {
        Some(Per::User) => "one hostlet for all logins of the user",
        Some(Per::Program) => "a hostlet of its own, with what it starts",
        _ => "a hostlet for this session",
    };
    format!("{own}, addresses from {from}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(print: impl FnOnce(&mut Vec<u8>) -> io::Result<()>) -> String {
        let mut out = Vec::new();
        print(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    fn session() -> Session {
        Session {
            number: 1,
            hostlet: Some("alice-1".parse().unwrap()),
            user: "alice".to_owned(),
            uid: 1000,
            service: "sshd".to_owned(),
            tty: Some("ssh".to_owned()),
            remote: Some("192.0.2.77".to_owned()),
            since: "2026-01-31T12:00:00Z".to_owned(),
            leader: 4711,
            rule: Some("staff".parse().unwrap()),
            state: "open".to_owned(),
            addresses: vec!["10.0.0.7".parse().unwrap(), "2001:db8::7".parse().unwrap()],
            programs: ["sshd", "bash", "sleep", "bash"]
                .map(str::to_owned)
                .to_vec(),
        }
    }

    #[test]
    fn sessions_with_and_without_a_hostlet() {
        let machine = Session {
            hostlet: None,
            rule: None,
            remote: None,
            tty: Some("tty1\u{1b}".to_owned()),
            service: "login".to_owned(),
            addresses: Vec::new(),
            programs: Vec::new(),
            ..session()
        };
        assert_eq!(
            text(|out| sessions(out, &[session(), machine])),
            "\
HOSTLET  USER   SERVICE  FROM        SINCE                 STATE  ADDRESSES             RULE   PROGRAMS
alice-1  alice  sshd     192.0.2.77  2026-01-31T12:00:00Z  open   10.0.0.7 2001:db8::7  staff  sshd bash(2) sleep
-        alice  login    tty1\u{fffd}       2026-01-31T12:00:00Z  open   -                     -      -
"
        );
        assert!(text(|out| sessions(out, &[])).contains("pam_hostlet"));
    }

    fn report() -> DecisionReport {
        DecisionReport {
            user: "alice".to_owned(),
            uid: 1000,
            groups: Vec::new(),
            service: Some("sshd".to_owned()),
            program: None,
            rule: Some("staff".parse().unwrap()),
            per: Some(Per::Session),
            pools: vec!["office".parse().unwrap(), "lab".parse().unwrap()],
            hostlet: None,
            unavailable: Some("strict"),
            linger: Some(600),
            excluded: None,
            why: vec!["rule 'staff' fits: alice is in group:staff".to_owned()],
            notes: vec!["hostletd \u{7}".to_owned()],
        }
    }

    #[test]
    fn decisions() {
        assert_eq!(
            text(|out| decided(out, &report())),
            "\
alice logs in by sshd
  rule 'staff': a hostlet for this session, addresses from pools office and lab
  if there is none to be had: the login is refused (strict)
  after the logout: what is left running is cut off 600 s later
  rule 'staff' fits: alice is in group:staff
  note: hostletd \u{fffd}
"
        );
        let start = DecisionReport {
            service: None,
            program: Some("/usr/bin/Xorg".to_owned()),
            rule: None,
            per: None,
            pools: Vec::new(),
            unavailable: None,
            linger: None,
            excluded: Some("/usr/bin/Xorg".to_owned()),
            why: Vec::new(),
            notes: Vec::new(),
            ..report()
        };
        assert_eq!(
            text(|out| decided(out, &start)),
            "\
alice starts /usr/bin/Xorg
  no rule: it has the address of the session that starts it, or the machine's
  excluded (/usr/bin/Xorg): in hostlets that rules make its sockets have the machine's address
"
        );
    }
}
