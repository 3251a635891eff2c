//! The functions of libpam that are needed, and what is made of them. Their types and numbers are those of Linux-PAM's
//! `security/_pam_types.h` and `security/pam_modules.h`.

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::marker::PhantomData;
use std::ptr;

use crate::core::Level;

/// libpam's own; only it looks inside.
#[repr(C)]
pub struct PamHandle {
    _inside: [u8; 0],
    _not_ours: PhantomData<*mut u8>,
}

pub(crate) const PAM_SUCCESS: c_int = 0;
pub(crate) const PAM_SESSION_ERR: c_int = 14;
pub(crate) const PAM_IGNORE: c_int = 25;
/// The flag of programs that want nothing said to the user.
pub(crate) const PAM_SILENT: c_int = 0x8000;

const PAM_ERROR_MSG: c_int = 3;

/// What a program that logs somebody in says about it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Item {
    Service = 1,
    User = 2,
    Tty = 3,
    Rhost = 4,
}

type Cleanup = extern "C" fn(*mut PamHandle, *mut c_void, c_int);

// The version without a number comes with the headers, which nothing here needs.
#[link(name = "libpam.so.0", kind = "dylib", modifiers = "+verbatim")]
unsafe extern "C" {
    fn pam_get_item(pamh: *const PamHandle, item: c_int, found: *mut *const c_void) -> c_int;
    fn pam_putenv(pamh: *mut PamHandle, setting: *const c_char) -> c_int;
    fn pam_set_data(
        pamh: *mut PamHandle,
        name: *const c_char,
        data: *mut c_void,
        cleanup: Option<Cleanup>,
    ) -> c_int;
    fn pam_get_data(pamh: *const PamHandle, name: *const c_char, data: *mut *const c_void)
    -> c_int;
    fn pam_syslog(pamh: *const PamHandle, priority: c_int, format: *const c_char, ...);
    fn pam_prompt(
        pamh: *mut PamHandle,
        style: c_int,
        response: *mut *mut c_char,
        format: *const c_char,
        ...
    ) -> c_int;
}

/// One transaction of PAM, for as long as it calls the module.
pub(crate) struct Handle<'a> {
    pamh: *mut PamHandle,
    call: PhantomData<&'a mut PamHandle>,
}

/// Under what the number of the session is remembered, from opening to closing.
const SESSION: &CStr = c"hostlet_session";

impl Handle<'_> {
    /// # Safety
    /// libpam gave the pointer to the function of the module that runs.
    pub(crate) unsafe fn new(pamh: *mut PamHandle) -> Self {
        Self {
            pamh,
            call: PhantomData,
        }
    }

    /// What the program said; none if nothing, or if it is no text.
    pub(crate) fn item(&self, item: Item) -> Option<String> {
        let mut found = ptr::null();
        // SAFETY: the handle is valid during the call of the module, and so is the place for the answer.
        let code = unsafe { pam_get_item(self.pamh, item as c_int, &mut found) };
        if code != PAM_SUCCESS || found.is_null() {
            return None;
        }
        // SAFETY: these items are terminated strings, which libpam keeps until they are set anew; they are copied here.
        let text = unsafe { CStr::from_ptr(found.cast()) }.to_str().ok()?;
        (!text.is_empty()).then(|| text.to_owned())
    }

    /// Sets a variable of the session's environment.
    pub(crate) fn set_variable(&self, name: &str, value: &str) -> bool {
        let Ok(setting) = CString::new(format!("{name}={value}")) else {
            return false;
        };
        // SAFETY: the handle is valid, the text terminated; libpam copies it.
        (unsafe { pam_putenv(self.pamh, setting.as_ptr()) }) == PAM_SUCCESS
    }

    /// Remembers the session for the time when it is closed.
    pub(crate) fn remember(&self, session: u64) -> bool {
        let data = Box::into_raw(Box::new(session));
        // SAFETY: the handle is valid, the name terminated; the data is a box, which `forget` takes as such.
        let code = unsafe { pam_set_data(self.pamh, SESSION.as_ptr(), data.cast(), Some(forget)) };
        if code != PAM_SUCCESS {
            forget(self.pamh, data.cast(), code);
        }
        code == PAM_SUCCESS
    }

    /// The session that was remembered.
    pub(crate) fn remembered(&self) -> Option<u64> {
        let mut data = ptr::null();
        // SAFETY: the handle is valid, the name terminated, and there is a place for the answer.
        let code = unsafe { pam_get_data(self.pamh, SESSION.as_ptr(), &mut data) };
        if code != PAM_SUCCESS || data.is_null() {
            return None;
        }
        // SAFETY: under this name lies only what `remember` put there, a u64, until libpam hands it to `forget`.
        Some(unsafe { *data.cast::<u64>() })
    }

    /// Nothing is to be closed any more.
    pub(crate) fn forget(&self) {
        // SAFETY: the handle is valid, the name terminated; no data needs no cleanup. libpam cleans up what was there.
        unsafe { pam_set_data(self.pamh, SESSION.as_ptr(), ptr::null_mut(), None) };
    }

    /// Writes to the log of the administrator (LOG_AUTHPRIV).
    pub(crate) fn log(&self, level: Level, text: &str) {
        let text = one_line(text);
        // SAFETY: the handle is valid, and the format takes one terminated string.
        unsafe { pam_syslog(self.pamh, level as c_int, c"%s".as_ptr(), text.as_ptr()) };
    }

    /// Shows the user an error.
    pub(crate) fn tell(&self, text: &str) {
        let text = one_line(text);
        let nothing = ptr::null_mut();
        // SAFETY: the handle is valid, the format takes one terminated string, and no response is asked for. That nobody is there to
        // see it is no failure of the module's.
        unsafe {
            pam_prompt(
                self.pamh,
                PAM_ERROR_MSG,
                nothing,
                c"%s".as_ptr(),
                text.as_ptr(),
            )
        };
    }
}

/// libpam calls this when the transaction ends, in each process that ends it.
extern "C" fn forget(_pamh: *mut PamHandle, data: *mut c_void, _status: c_int) {
    if !data.is_null() {
        // SAFETY: the data is the box of a u64 that `remember` gave, and libpam hands it over once.
        drop(unsafe { Box::from_raw(data.cast::<u64>()) });
    }
}

/// The longest line, in bytes, that is written to a log or a terminal.
const LONGEST: usize = 1000;

/// Names of users and hosts come from whoever logs in: nothing in them may look like another line of the log.
fn one_line(text: &str) -> CString {
    let mut line = String::new();
    for c in text.chars() {
        if line.len() + c.len_utf8() > LONGEST {
            line.push('…');
            break;
        }
        line.push(if c.is_control() { '?' } else { c });
    }
    CString::new(line).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_one_line_and_not_long() {
        assert_eq!(one_line("a\nb\0c\x1b[2J"), c"a?b?c?[2J".to_owned());
        let long = one_line(&"ä".repeat(5000));
        assert!(long.as_bytes().len() <= LONGEST + '…'.len_utf8());
        assert!(long.to_str().is_ok());
    }
}
