//! How users came in, told from what they brought in.

use std::net::{IpAddr, SocketAddr};

use hostlet_platform::proc::{self, Rights};
use hostlet_store::{Session, SessionKind};

use crate::report::{Finding, Reason};

/// The connection by which somebody logged in was accepted before the session began, and is outside as it should be.
///
/// It is told from what a user brings in by three signs together: it comes from where the session comes from; the process that
/// opened the session holds it; and that is root's, so that nobody can have handed it a socket. `su` and the like, which
/// inherit what their callers have open, come from nowhere.
pub(super) fn tell(sessions: &[Session], found: &mut [Finding]) {
    let logins: Vec<(&Session, IpAddr)> = sessions
        .iter()
        .filter(|s| s.joined && s.kind != SessionKind::Program)
        .filter_map(|s| Some((s, s.remote.as_deref()?.parse::<IpAddr>().ok()?)))
        .filter(|(s, _)| proc::alive(s.pid, s.start_ticks) && is_roots(s.pid))
        .collect();
    let outside = |f: &&mut Finding| {
        f.reason == Reason::ForeignCgroup && f.protocol == "tcp" && f.state != "listen"
    };
    for finding in found.iter_mut().filter(outside) {
        let Ok(from) = finding.remote.parse::<SocketAddr>() else {
            continue;
        };
        let came_by = |(session, remote): &&(&Session, IpAddr)| {
            session.hostlet.as_ref() == Some(&finding.hostlet)
                && remote.to_canonical() == from.ip().to_canonical()
                && finding.processes.iter().any(|p| p.pid == session.pid)
        };
        if let Some((session, _)) = logins.iter().find(came_by) {
            finding.reason = Reason::Login;
            finding.text = format!(
                "the connection by which {} logged in ({}); it was there before the session, and stays outside",
                session.user, session.service
            );
        }
    }
}

fn is_roots(pid: u32) -> bool {
    Rights::of(pid).is_some_and(|rights| rights.uids == [0; 4])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::HolderReport;

    fn session(remote: Option<&str>) -> Session {
        let me = std::process::id();
        Session {
            number: 1,
            kind: SessionKind::Session,
            hostlet: Some("alice-1".parse().unwrap()),
            own: true,
            joined: true,
            rule: None,
            user: "alice".to_owned(),
            uid: 1000,
            service: "sshd".to_owned(),
            tty: None,
            remote: remote.map(str::to_owned),
            since: jiff::Timestamp::UNIX_EPOCH,
            pid: me,
            start_ticks: proc::start_ticks(me).unwrap(),
            ended: None,
            cut_off: false,
        }
    }

    fn finding(remote: &str, pid: u32) -> Finding {
        Finding {
            hostlet: "alice-1".parse().unwrap(),
            reason: Reason::ForeignCgroup,
            text: String::new(),
            protocol: "tcp".to_owned(),
            state: "established".to_owned(),
            local: "192.0.2.1:22".to_owned(),
            remote: remote.to_owned(),
            inode: 7,
            processes: vec![HolderReport {
                pid,
                comm: "sshd".to_owned(),
            }],
        }
    }

    /// This process stands for the one that opened the session: it lives, and is root's.
    #[test]
    fn a_login_is_told_by_who_holds_it_and_where_it_comes_from() {
        let me = std::process::id();
        let reason = |session: Session, mut found: Finding| {
            tell(&[session], std::slice::from_mut(&mut found));
            found.reason
        };
        let from = Some("192.0.2.9");
        let mapped = "[::ffff:192.0.2.9]:4711";
        for came in ["192.0.2.9:4711", mapped] {
            assert_eq!(reason(session(from), finding(came, me)), Reason::Login);
        }
        let (here, other) = (finding("192.0.2.9:4711", me), Reason::ForeignCgroup);
        // From elsewhere; from nowhere, as with su; from a host whose address is not known.
        assert_eq!(reason(session(from), finding("192.0.2.8:4711", me)), other);
        assert_eq!(reason(session(None), here.clone()), other);
        assert_eq!(reason(session(Some("gate")), here.clone()), other);
        // Held by somebody else alone.
        assert_eq!(reason(session(from), finding("192.0.2.9:1", 1)), other);
        // Of a process that is gone, and whose number another has now.
        let gone = Session {
            start_ticks: 1,
            ..session(from)
        };
        assert_eq!(reason(gone, here.clone()), other);
        let program = Session {
            kind: SessionKind::Program,
            ..session(from)
        };
        assert_eq!(reason(program, here.clone()), other);
        let not_in = Session {
            joined: false,
            ..session(from)
        };
        assert_eq!(reason(not_in, here.clone()), other);
        let listens = Finding {
            state: "listen".to_owned(),
            ..here.clone()
        };
        assert_eq!(reason(session(from), listens), other);
        let raw = Finding {
            reason: Reason::Raw,
            ..here
        };
        assert_eq!(reason(session(from), raw), Reason::Raw);
    }
}
