//! hostletd is asked, within one deadline for everything.

use std::path::Path;
use std::time::{Duration, Instant};

use hostlet_model::{Name, Paths};
use hostlet_platform::proc;
use hostlet_wire::{Client, ClientError, Decision, LoggedIn, Login};

/// When everything has to be over.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Until {
    /// How long that is altogether.
    whole: Duration,
    end: Instant,
}

impl Until {
    /// That long after a moment.
    pub(crate) fn after(begun: Instant, whole: Duration) -> Self {
        Self {
            whole,
            end: begun + whole,
        }
    }

    fn left(self) -> Duration {
        self.end.saturating_duration_since(Instant::now())
    }
}

/// There is no answer, or it is a no.
#[derive(Debug)]
pub(crate) struct No {
    /// For the administrator.
    pub why: String,
    /// For the user.
    pub tell: String,
    /// Whether hostletd itself said it.
    pub refused: bool,
}

impl No {
    fn new(error: ClientError, until: Until) -> Self {
        let refused = matches!(error, ClientError::Refused(_));
        let tell = match &error {
            ClientError::Refused(no) => no.to_string(),
            _ => "hostletd, which gives sessions their addresses, does not answer".to_owned(),
        };
        let why = match error {
            // What was left for one call says nothing to anybody.
            ClientError::Late { method, .. } => format!(
                "hostletd did not answer {method} within the {:?} that a login may take: its log may say why (journalctl -u hostletd)",
                until.whole
            ),
            error => error.to_string(),
        };
        Self { why, tell, refused }
    }
}

/// Asks what the rules give a login, and becomes a member of the hostlet if it is one.
pub(crate) fn login(paths: &Paths, until: Until, login: &Login) -> Result<LoggedIn, No> {
    let no = |error| No::new(error, until);
    let mut client = Client::connect(&paths.socket(), until.left()).map_err(no)?;
    client.set_deadline(until.left());
    let given = client.login(login).map_err(no)?;
    if given.decision != Decision::Hostlet {
        return Ok(given);
    }
    let Some(name) = &given.name else {
        return Err(no(ClientError::Answer {
            method: "Login",
            why: "it gives a hostlet, but not which".to_owned(),
        }));
    };
    client.set_deadline(until.left());
    match client.join(name) {
        Ok(_) => Ok(given),
        // The time may be over, or hostletd killed, after it moved this process. The kernel knows.
        Err(_) if is_member(paths, name) => Ok(given),
        Err(error) => Err(no(error)),
    }
}

/// Tells that a session was closed.
pub(crate) fn logout(socket: &Path, until: Until, session: u64) -> Result<(), No> {
    let no = |error| No::new(error, until);
    let mut client = Client::connect(socket, until.left()).map_err(no)?;
    client.set_deadline(until.left());
    client.logout(session).map_err(no)
}

/// Whether this process is in a hostlet of the installation.
pub(crate) fn in_a_hostlet(paths: &Paths) -> bool {
    proc::cgroup(std::process::id()).is_some_and(|cgroup| is_below(&cgroup, &paths.cgroup_parent))
}

/// Is that a cgroup below the one of all hostlets?
fn is_below(cgroup: &str, parent: &str) -> bool {
    let mut parts = cgroup.split('/').skip_while(|part| *part != parent);
    parts.nth(1).is_some()
}

fn is_member(paths: &Paths, name: &Name) -> bool {
    proc::cgroup(std::process::id())
        .is_some_and(|cgroup| is_of(&cgroup, &paths.cgroup_parent, name))
}

/// Is that the cgroup of the hostlet, or one below it?
fn is_of(cgroup: &str, parent: &str, name: &Name) -> bool {
    let parts: Vec<&str> = cgroup.split('/').collect();
    parts.windows(2).any(|pair| pair == [parent, name.as_str()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cgroups_of_a_hostlet() {
        let name: Name = "alice-1".parse().expect("a name");
        for inside in [
            "/hostlet/alice-1",
            "/x/hostlet/alice-1/y",
            "/../hostlet/alice-1",
        ] {
            assert!(is_of(inside, "hostlet", &name), "{inside}");
            assert!(is_below(inside, "hostlet"), "{inside}");
        }
        for outside in [
            "/",
            "/hostlet",
            "/hostlet/alice-12",
            "/hostlet-0/alice-1",
            "/hostlet/x/alice-1",
        ] {
            assert!(!is_of(outside, "hostlet", &name), "{outside}");
        }
        for outside in ["/", "/hostlet", "/hostlet-0/alice-1"] {
            assert!(!is_below(outside, "hostlet"), "{outside}");
        }
    }
}
