//! The functions that libpam calls.

use std::ffi::{CStr, c_char, c_int};

use hostlet_wire::Login;

use crate::arguments::Arguments;
use crate::core::{self, Level};
use crate::guard::guard;
use crate::handle::{
    Handle, Item, PAM_IGNORE, PAM_SESSION_ERR, PAM_SILENT, PAM_SUCCESS, PamHandle,
};

/// Opens a session: `PAM_SUCCESS`, `PAM_SESSION_ERR` if the login is to be refused, `PAM_IGNORE` if the caller is not root.
///
/// # Safety
/// To be called by libpam.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pam_sm_open_session(
    pamh: *mut PamHandle,
    flags: c_int,
    argc: c_int,
    argv: *const *const c_char,
) -> c_int {
    // SAFETY: what libpam gave is passed on during its call.
    unsafe { called(pamh, flags, argc, argv, PAM_SESSION_ERR, open) }
}

/// Closes a session. Succeeds always, or is ignored.
///
/// # Safety
/// To be called by libpam.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pam_sm_close_session(
    pamh: *mut PamHandle,
    flags: c_int,
    argc: c_int,
    argv: *const *const c_char,
) -> c_int {
    // SAFETY: what libpam gave is passed on during its call.
    unsafe { called(pamh, flags, argc, argv, PAM_SUCCESS, close) }
}

/// Does nothing: this module knows nobody's password.
#[unsafe(no_mangle)]
pub extern "C" fn pam_sm_authenticate(
    _pamh: *mut PamHandle,
    _flags: c_int,
    _argc: c_int,
    _argv: *const *const c_char,
) -> c_int {
    PAM_IGNORE
}

/// Does nothing.
#[unsafe(no_mangle)]
pub extern "C" fn pam_sm_setcred(
    _pamh: *mut PamHandle,
    _flags: c_int,
    _argc: c_int,
    _argv: *const *const c_char,
) -> c_int {
    PAM_IGNORE
}

/// Does nothing: whether an account is valid is not decided here.
#[unsafe(no_mangle)]
pub extern "C" fn pam_sm_acct_mgmt(
    _pamh: *mut PamHandle,
    _flags: c_int,
    _argc: c_int,
    _argv: *const *const c_char,
) -> c_int {
    PAM_IGNORE
}

/// One call of libpam's, with its arguments read. `broken` is what it is told after a panic.
///
/// # Safety
/// The handle and the arguments are those that libpam gave, and this is during its call.
unsafe fn called(
    pamh: *mut PamHandle,
    flags: c_int,
    argc: c_int,
    argv: *const *const c_char,
    broken: c_int,
    work: fn(&Handle<'_>, &Arguments) -> c_int,
) -> c_int {
    if pamh.is_null() {
        return broken;
    }
    let done = guard(|| {
        // SAFETY: as above.
        let (handle, given) = unsafe { (Handle::new(pamh), given(argc, argv)) };
        let (mut arguments, wrong) = Arguments::parse(given.iter().map(String::as_str));
        arguments.silent |= flags & PAM_SILENT != 0;
        for wrong in wrong {
            handle.log(Level::Warning, &wrong);
        }
        work(&handle, &arguments)
    });
    done.unwrap_or_else(|said| {
        let log = || {
            // SAFETY: as above.
            let handle = unsafe { Handle::new(pamh) };
            handle.log(
                Level::Error,
                &format!("this is a bug in pam_hostlet: {said}"),
            );
        };
        // If that fails too, there is nobody left to be told.
        let _ = guard(log);
        broken
    })
}

/// The arguments as texts.
///
/// # Safety
/// They are those that libpam gave.
unsafe fn given(argc: c_int, argv: *const *const c_char) -> Vec<String> {
    let count = usize::try_from(argc).unwrap_or(0);
    if argv.is_null() {
        return Vec::new();
    }
    (0..count)
        .filter_map(|i| {
            // SAFETY: there are that many pointers.
            let text = unsafe { argv.add(i).read() };
            if text.is_null() {
                return None;
            }
            // SAFETY: each is to a terminated string, which stays during the call.
            let text = unsafe { CStr::from_ptr(text) };
            Some(text.to_string_lossy().into_owned())
        })
        .collect()
}

fn open(handle: &Handle<'_>, arguments: &Arguments) -> c_int {
    if !is_root(handle, arguments) {
        return PAM_IGNORE;
    }
    if let Some(session) = handle.remembered() {
        debug(
            handle,
            arguments,
            &format!("session {session} is open already"),
        );
        return PAM_SUCCESS;
    }
    let (Some(user), Some(service)) = (handle.item(Item::User), handle.item(Item::Service)) else {
        handle.log(
            Level::Error,
            "the program does not say who logs in, or by which service, in text that can be read: refused",
        );
        return PAM_SESSION_ERR;
    };
    let login = Login {
        user,
        service,
        tty: handle.item(Item::Tty),
        remote: handle.item(Item::Rhost),
    };
    let opened = core::open(arguments, &login);
    let (level, text) = &opened.log;
    if *level != Level::Debug || arguments.debug {
        handle.log(*level, text);
    }
    if let Some(text) = opened.tell.as_ref().filter(|_| !arguments.silent) {
        handle.tell(text);
    }
    if !opened.let_in {
        return PAM_SESSION_ERR;
    }
    for (name, value) in &opened.variables {
        if !handle.set_variable(name, value) {
            handle.log(
                Level::Warning,
                &format!("{name} cannot be set for the session: no memory is left"),
            );
        }
    }
    if opened
        .session
        .is_some_and(|number| !handle.remember(number))
    {
        handle.log(
            Level::Warning,
            "the session's number cannot be remembered: no memory is left; it ends with its last process",
        );
    }
    PAM_SUCCESS
}

fn close(handle: &Handle<'_>, arguments: &Arguments) -> c_int {
    let Some(session) = handle.remembered() else {
        return PAM_SUCCESS;
    };
    if !is_root(handle, arguments) {
        return PAM_IGNORE;
    }
    handle.forget();
    match core::close(arguments, session) {
        Ok(()) => debug(handle, arguments, &format!("session {session} is closed")),
        Err(why) => handle.log(Level::Warning, &why),
    }
    PAM_SUCCESS
}

/// hostletd takes logins from root alone: others, such as screen lockers, have no session to open.
fn is_root(handle: &Handle<'_>, arguments: &Arguments) -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        debug(
            handle,
            arguments,
            "only root opens and closes sessions: ignored",
        );
    }
    root
}

fn debug(handle: &Handle<'_>, arguments: &Arguments, text: &str) {
    if arguments.debug {
        handle.log(Level::Debug, text);
    }
}
