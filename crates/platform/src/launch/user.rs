//! The user database.

use std::ffi::{CStr, CString, OsString};
use std::os::unix::ffi::OsStringExt;

use super::LaunchError;
use crate::account;

/// An entry of the user database.
pub(super) struct User {
    pub(super) name: CString,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) home: OsString,
    pub(super) shell: OsString,
}

/// As whom the program runs.
pub(super) struct Identity {
    pub(super) uid: Option<u32>,
    pub(super) gid: Option<u32>,
    pub(super) groups: Option<Vec<u32>>,
    /// The entry, for the environment.
    pub(super) entry: Option<User>,
}

impl Identity {
    pub(super) fn new(user: Option<&str>, group: Option<&str>) -> Result<Identity, LaunchError> {
        let gid = group.map(find_group).transpose()?;
        let Some(user) = user else {
            return Ok(Identity {
                uid: None,
                gid,
                groups: None,
                entry: None,
            });
        };
        match find_user(user)? {
            Ok(entry) => {
                let gid = gid.unwrap_or(entry.gid);
                Ok(Identity {
                    uid: Some(entry.uid),
                    gid: Some(gid),
                    groups: Some(groups_of(&entry.name, gid)?),
                    entry: Some(entry),
                })
            }
            Err(uid) => {
                let gid = gid.ok_or(LaunchError::NoGroup(uid))?;
                Ok(Identity {
                    uid: Some(uid),
                    gid: Some(gid),
                    groups: Some(vec![gid]),
                    entry: None,
                })
            }
        }
    }
}

/// A user by name, then by number. A number needs no entry.
fn find_user(text: &str) -> Result<Result<User, u32>, LaunchError> {
    let name = CString::new(text).map_err(|_| LaunchError::Nul("the user's name"))?;
    let what = || format!("user {text}");
    let by_name = lookup(
        what,
        |entry, buffer, length, found| {
            // SAFETY: all pointers are valid for the call; the lengths are those of the buffer.
            unsafe { libc::getpwnam_r(name.as_ptr(), entry, buffer, length, found) }
        },
        user,
    )?;
    if let Some(user) = by_name {
        return Ok(Ok(user));
    }
    let Ok(uid) = text.parse::<u32>() else {
        return Err(LaunchError::UnknownUser(text.to_owned()));
    };
    // -1 means "leave as it is" to the system call.
    if uid == u32::MAX {
        return Err(LaunchError::UnknownUser(text.to_owned()));
    }
    let by_number = lookup(
        what,
        |entry, buffer, length, found| {
            // SAFETY: as above.
            unsafe { libc::getpwuid_r(uid, entry, buffer, length, found) }
        },
        user,
    )?;
    Ok(by_number.ok_or(uid))
}

fn user(entry: &libc::passwd) -> User {
    // SAFETY: a found entry's strings are zero-terminated, in the buffer that outlives this call.
    let string = |p: *mut libc::c_char| unsafe { CStr::from_ptr(p) }.to_owned();
    User {
        name: string(entry.pw_name),
        uid: entry.pw_uid,
        gid: entry.pw_gid,
        home: OsString::from_vec(string(entry.pw_dir).into_bytes()),
        shell: OsString::from_vec(string(entry.pw_shell).into_bytes()),
    }
}

fn find_group(text: &str) -> Result<u32, LaunchError> {
    let name = CString::new(text).map_err(|_| LaunchError::Nul("the group's name"))?;
    let found = lookup(
        || format!("group {text}"),
        |entry, buffer, length, found| {
            // SAFETY: all pointers are valid for the call; the lengths are those of the buffer.
            unsafe { libc::getgrnam_r(name.as_ptr(), entry, buffer, length, found) }
        },
        |entry: &libc::group| entry.gr_gid,
    )?;
    found
        .or_else(|| text.parse().ok().filter(|gid| *gid != u32::MAX))
        .ok_or_else(|| LaunchError::UnknownGroup(text.to_owned()))
}

/// One look into the database; `what` says for what, should it fail.
fn lookup<E, T>(
    what: impl Fn() -> String,
    call: impl Fn(*mut E, *mut libc::c_char, usize, *mut *mut E) -> libc::c_int,
    convert: impl Fn(&E) -> T,
) -> Result<Option<T>, LaunchError> {
    account::lookup(call, convert).map_err(|source| LaunchError::Lookup {
        what: what(),
        source,
    })
}

fn groups_of(name: &CStr, gid: u32) -> Result<Vec<u32>, LaunchError> {
    account::group_ids(name, gid).map_err(|source| LaunchError::Lookup {
        what: format!("the groups of {}", name.to_string_lossy()),
        source,
    })
}
