//! User, groups and capabilities of the new process. Like everything between its birth and the exec,
//! this makes system calls only.

use super::child::{Stage, check};
use super::plan::Plan;

/// Takes capabilities out of the bounding set, so that no exec brings them back.
pub(super) fn drop_bounding(dropped: &[u8]) -> Result<(), Stage> {
    for number in dropped {
        let number = libc::c_ulong::from(*number);
        // SAFETY: no pointers.
        let has = unsafe { libc::prctl(libc::PR_CAPBSET_READ, number, 0, 0, 0) };
        // Less than zero: this kernel does not know the capability.
        if has == 1 {
            // SAFETY: no pointers.
            let code = unsafe { libc::prctl(libc::PR_CAPBSET_DROP, number, 0, 0, 0) };
            check(code.into(), Stage::Bounding)?;
        }
        // SAFETY: no pointers. Ambient ones must go as well, before the sets that allow them.
        unsafe {
            libc::prctl(
                libc::PR_CAP_AMBIENT,
                libc::PR_CAP_AMBIENT_LOWER,
                number,
                0,
                0,
            )
        };
    }
    Ok(())
}

/// The raw calls: the C library's would make all threads follow, and there is but one here.
pub(super) fn become_user(plan: &Plan) -> Result<(), Stage> {
    let id = &plan.identity;
    let ambient = if id.uid.is_some_and(|uid| uid != 0) {
        plan.kept
    } else {
        0
    };
    if ambient != 0 {
        // SAFETY: no pointers.
        let code = unsafe { libc::prctl(libc::PR_SET_KEEPCAPS, 1, 0, 0, 0) };
        check(code.into(), Stage::Capabilities)?;
    }
    if let Some(groups) = &id.groups {
        // SAFETY: the array has the length given.
        let code = unsafe { libc::syscall(libc::SYS_setgroups, groups.len(), groups.as_ptr()) };
        check(code, Stage::Groups)?;
    }
    if let Some(gid) = id.gid {
        // SAFETY: no pointers.
        let code = unsafe { libc::syscall(libc::SYS_setresgid, gid, gid, gid) };
        check(code, Stage::Group)?;
    }
    if let Some(uid) = id.uid {
        // SAFETY: no pointers.
        let code = unsafe { libc::syscall(libc::SYS_setresuid, uid, uid, uid) };
        check(code, Stage::User)?;
    }
    // The changes may have undone it: see `birth`.
    // SAFETY: no pointers.
    let code = unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0) };
    check(code.into(), Stage::User)?;
    if plan.confine || ambient != 0 {
        set_capabilities(plan, ambient)?;
    }
    for number in 0..64u32 {
        if ambient & (1 << number) != 0 {
            // SAFETY: no pointers.
            let code = unsafe {
                libc::prctl(
                    libc::PR_CAP_AMBIENT,
                    libc::PR_CAP_AMBIENT_RAISE,
                    libc::c_ulong::from(number),
                    0,
                    0,
                )
            };
            check(code.into(), Stage::Ambient)?;
        }
    }
    Ok(())
}

#[repr(C)]
struct CapHeader {
    version: u32,
    pid: i32,
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
struct CapData {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

const CAPABILITY_VERSION_3: u32 = 0x2008_0522;

fn set_capabilities(plan: &Plan, ambient: u64) -> Result<(), Stage> {
    let mut header = CapHeader {
        version: CAPABILITY_VERSION_3,
        pid: 0,
    };
    let mut data = [CapData::default(); 2];
    // SAFETY: version 3 has two data words.
    let code = unsafe { libc::syscall(libc::SYS_capget, &mut header, data.as_mut_ptr()) };
    check(code, Stage::Capabilities)?;
    let mut dropped = 0u64;
    if plan.confine {
        for number in &plan.dropped {
            dropped |= 1 << number;
        }
    }
    for (half, word) in data.iter_mut().enumerate() {
        let away = (dropped >> (32 * half)) as u32;
        let ambient_half = (ambient >> (32 * half)) as u32;
        word.permitted &= !away;
        word.inheritable &= !away;
        if ambient != 0 {
            word.permitted &= ambient_half;
            word.inheritable = word.permitted;
            word.effective = word.permitted;
        }
        word.effective &= word.permitted;
    }
    // SAFETY: as above.
    let code = unsafe { libc::syscall(libc::SYS_capset, &mut header, data.as_ptr()) };
    check(code, Stage::Capabilities)
}
