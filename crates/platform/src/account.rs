//! The user database: who a user is, and in which groups.

use std::ffi::{CStr, CString};
use std::io;
use std::mem::MaybeUninit;
use std::ptr;

/// A user of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// His number.
    pub uid: u32,
    /// The number of his own group.
    pub gid: u32,
    /// His name.
    pub name: String,
    /// The groups that the database gives him, each by its name (if it has one) and by its number.
    pub groups: Vec<String>,
}

/// The user with that number. None if there is none, or the database cannot be asked.
#[must_use]
pub fn by_uid(uid: u32) -> Option<Account> {
    let find = |entry: *mut libc::passwd, buffer, length, found| {
        // SAFETY: all pointers are valid for the call; the length is that of the buffer.
        unsafe { libc::getpwuid_r(uid, entry, buffer, length, found) }
    };
    lookup(find, own).ok()?.map(with_groups)
}

/// The user of that name. None if there is none, or the database cannot be asked.
#[must_use]
pub fn by_name(name: &str) -> Option<Account> {
    let name = CString::new(name).ok()?;
    let find = |entry: *mut libc::passwd, buffer, length, found| {
        // SAFETY: all pointers are valid for the call; the length is that of the buffer.
        unsafe { libc::getpwnam_r(name.as_ptr(), entry, buffer, length, found) }
    };
    lookup(find, own).ok()?.map(with_groups)
}

/// Whether there is a group of that name. Not, where the database cannot be asked.
#[must_use]
pub fn has_group(name: &str) -> bool {
    let Ok(name) = CString::new(name) else {
        return false;
    };
    let find = |entry: *mut libc::group, buffer, length, found| {
        // SAFETY: all pointers are valid for the call; the length is that of the buffer.
        unsafe { libc::getgrnam_r(name.as_ptr(), entry, buffer, length, found) }
    };
    lookup(find, |_: &libc::group| ()).is_ok_and(|found| found.is_some())
}

/// What the database has on the user himself: number, group, name.
fn own(entry: &libc::passwd) -> (u32, u32, CString) {
    // SAFETY: a found entry's strings are zero-terminated, in the buffer that outlives this call.
    let name = unsafe { CStr::from_ptr(entry.pw_name) }.to_owned();
    (entry.pw_uid, entry.pw_gid, name)
}

fn with_groups((uid, gid, name): (u32, u32, CString)) -> Account {
    let gids = group_ids(&name, gid).unwrap_or_else(|_| vec![gid]);
    let groups = gids
        .iter()
        .flat_map(|gid| [group_name(*gid), Some(gid.to_string())])
        .flatten()
        .collect();
    Account {
        uid,
        gid,
        name: name.to_string_lossy().into_owned(),
        groups,
    }
}

fn group_name(gid: u32) -> Option<String> {
    let find = |entry: *mut libc::group, buffer, length, found| {
        // SAFETY: all pointers are valid for the call; the length is that of the buffer.
        unsafe { libc::getgrgid_r(gid, entry, buffer, length, found) }
    };
    let name = |entry: &libc::group| {
        // SAFETY: a found entry's name is zero-terminated, in the buffer that outlives this call.
        unsafe { CStr::from_ptr(entry.gr_name) }
            .to_string_lossy()
            .into_owned()
    };
    lookup(find, name).ok()?
}

/// One `get…_r` call with a buffer that grows as the call demands: a group can have thousands of members. None if
/// there is no such entry.
pub(crate) fn lookup<E, T>(
    call: impl Fn(*mut E, *mut libc::c_char, usize, *mut *mut E) -> libc::c_int,
    convert: impl Fn(&E) -> T,
) -> io::Result<Option<T>> {
    let mut buffer = vec![0; 4096];
    loop {
        let mut entry = MaybeUninit::<E>::uninit();
        let mut found = ptr::null_mut();
        let code = call(
            entry.as_mut_ptr(),
            buffer.as_mut_ptr(),
            buffer.len(),
            &mut found,
        );
        match code {
            // SAFETY: when something was found, the pointer is that of the filled entry.
            0 => return Ok(unsafe { found.as_ref() }.map(&convert)),
            // Different databases say "no such entry" in different ways.
            libc::ENOENT | libc::ESRCH => return Ok(None),
            libc::EINTR => {}
            libc::ERANGE if buffer.len() < 1 << 24 => buffer.resize(buffer.len() * 4, 0),
            code => return Err(io::Error::from_raw_os_error(code)),
        }
    }
}

/// The numbers of a user's groups, his own first.
pub(crate) fn group_ids(name: &CStr, gid: u32) -> io::Result<Vec<u32>> {
    let mut groups: Vec<libc::gid_t> = vec![0; 64];
    loop {
        let mut count = groups.len() as libc::c_int;
        // SAFETY: the array has room for `count` entries.
        let code =
            unsafe { libc::getgrouplist(name.as_ptr(), gid, groups.as_mut_ptr(), &mut count) };
        let needed = usize::try_from(count).unwrap_or(0);
        if code >= 0 {
            groups.truncate(needed);
            return Ok(groups);
        }
        if needed <= groups.len() || needed > 1 << 20 {
            return Err(io::Error::from_raw_os_error(libc::EINVAL));
        }
        groups.resize(needed, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_is_the_same_by_number_and_by_name() {
        let root = by_uid(0).unwrap();
        assert_eq!(root.name, "root");
        assert_eq!((root.uid, root.gid), (0, 0));
        assert!(root.groups.contains(&"root".to_owned()));
        assert!(root.groups.contains(&"0".to_owned()));
        assert_eq!(by_name("root"), Some(root));
    }

    #[test]
    fn whom_nobody_knows_is_nobody() {
        assert_eq!(by_name("no-such-user-here"), None);
        assert_eq!(by_name("with\0inside"), None);
        assert_eq!(by_name(""), None);
        assert_eq!(by_uid(u32::MAX - 5), None);
        assert!(has_group("root"));
        assert!(!has_group("no-such-group-here") && !has_group("with\0inside"));
    }
}
