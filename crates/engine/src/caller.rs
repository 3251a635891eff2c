//! Who asks. Root may everything; others only what the configuration gives them.

use hostlet_platform::account::{self, Account};
use hostlet_policy::Caller;

/// The one on whose behalf this process runs: the real user of a set-uid
/// program, the user that `sudo` names, or root itself.
#[must_use]
pub fn caller() -> Caller {
    let real = rustix::process::getuid().as_raw();
    let uid = if real == 0 {
        sudo_uid().unwrap_or(0)
    } else {
        real
    };
    caller_of(uid)
}

/// A user, with the groups that the user database gives him.
#[must_use]
pub fn caller_of(uid: u32) -> Caller {
    if uid == 0 {
        // Who may everything is in no list; the user database would cost every command a millisecond.
        return Caller {
            uid,
            user: "root".to_owned(),
            groups: Vec::new(),
            units: Vec::new(),
        };
    }
    match account::by_uid(uid) {
        Some(account) => known(account),
        None => Caller {
            uid,
            user: uid.to_string(),
            groups: Vec::new(),
            units: Vec::new(),
        },
    }
}

/// The user of that name, with the groups that the user database gives him. None if it knows nobody of that name.
#[must_use]
pub fn caller_named(user: &str) -> Option<Caller> {
    account::by_name(user).map(known)
}

fn known(account: Account) -> Caller {
    Caller {
        uid: account.uid,
        user: account.name,
        groups: account.groups,
        // Which unit asks is of interest where a pool is asked for, and hostletd looks for it there.
        units: Vec::new(),
    }
}

fn sudo_uid() -> Option<u32> {
    std::env::var("SUDO_UID").ok()?.parse().ok()
}
