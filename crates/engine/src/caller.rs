//! Who asks. Root may everything; others only what the configuration gives them.

use std::ffi::{CStr, CString};

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
    let account = account(uid);
    Caller {
        uid,
        user: account
            .as_ref()
            .map_or_else(|| uid.to_string(), |a| a.name.clone()),
        groups: account.map_or_else(Vec::new, |a| groups_of(&a)),
        // Which unit asks is of interest where a pool is asked for, and hostletd looks for it there.
        units: Vec::new(),
    }
}

fn sudo_uid() -> Option<u32> {
    std::env::var("SUDO_UID").ok()?.parse().ok()
}

struct Account {
    name: String,
    gid: u32,
}

/// The longest record of a user or a group that is looked at.
const RECORD: usize = 64 * 1024;

fn account(uid: u32) -> Option<Account> {
    let mut space = vec![0_u8; RECORD];
    // SAFETY: passwd is plain data, for which all zeroes are valid.
    let mut record: libc::passwd = unsafe { std::mem::zeroed() };
    let mut found = std::ptr::null_mut();
    // SAFETY: every pointer is to a live object, and the length is that of `space`.
    let answer = unsafe {
        libc::getpwuid_r(
            uid,
            &raw mut record,
            space.as_mut_ptr().cast(),
            space.len(),
            &raw mut found,
        )
    };
    if answer != 0 || found.is_null() {
        return None;
    }
    // SAFETY: getpwuid_r succeeded, so pw_name points to a string inside `space`.
    let name = unsafe { CStr::from_ptr(record.pw_name) }
        .to_string_lossy()
        .into_owned();
    Some(Account {
        name,
        gid: record.pw_gid,
    })
}

fn groups_of(account: &Account) -> Vec<String> {
    let Ok(name) = CString::new(account.name.as_str()) else {
        return Vec::new();
    };
    let mut gids = vec![0; 256];
    loop {
        let mut count = libc::c_int::try_from(gids.len()).unwrap_or(libc::c_int::MAX);
        // SAFETY: `gids` has room for `count` ids, and `name` is a C string.
        let answer = unsafe {
            libc::getgrouplist(
                name.as_ptr(),
                account.gid,
                gids.as_mut_ptr(),
                &raw mut count,
            )
        };
        let count = usize::try_from(count).unwrap_or(0);
        if answer >= 0 {
            gids.truncate(count);
            break;
        }
        if count <= gids.len() {
            return Vec::new();
        }
        gids.resize(count, 0);
    }
    gids.iter()
        .flat_map(|gid| [group_name(*gid), Some(gid.to_string())])
        .flatten()
        .collect()
}

fn group_name(gid: u32) -> Option<String> {
    let mut space = vec![0_u8; RECORD];
    // SAFETY: group is plain data, for which all zeroes are valid.
    let mut record: libc::group = unsafe { std::mem::zeroed() };
    let mut found = std::ptr::null_mut();
    // SAFETY: every pointer is to a live object, and the length is that of `space`.
    let answer = unsafe {
        libc::getgrgid_r(
            gid,
            &raw mut record,
            space.as_mut_ptr().cast(),
            space.len(),
            &raw mut found,
        )
    };
    if answer != 0 || found.is_null() {
        return None;
    }
    // SAFETY: getgrgid_r succeeded, so gr_name points to a string inside `space`.
    Some(
        unsafe { CStr::from_ptr(record.gr_name) }
            .to_string_lossy()
            .into_owned(),
    )
}
