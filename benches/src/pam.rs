//! A program like those that people log in by: it opens a session by PAM, holds it, and closes it.

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::io::Read;
use std::time::Instant;

use anyhow::{Context, Result, ensure};

/// `struct pam_conv`: nothing is asked here.
#[repr(C)]
struct Conversation {
    talk: Option<extern "C" fn(c_int, *mut c_void, *mut c_void, *mut c_void) -> c_int>,
    data: *mut c_void,
}

type Handle = *mut c_void;
type Start =
    unsafe extern "C" fn(*const c_char, *const c_char, *const Conversation, *mut Handle) -> c_int;
type Step = unsafe extern "C" fn(Handle, c_int) -> c_int;

/// `PAM_CONV_ERR`.
extern "C" fn silent(_: c_int, _: *mut c_void, _: *mut c_void, _: *mut c_void) -> c_int {
    19
}

fn function(library: *mut c_void, name: &CStr) -> Result<*mut c_void> {
    // SAFETY: the library is open, and the name is terminated.
    let found = unsafe { libc::dlsym(library, name.as_ptr()) };
    ensure!(!found.is_null(), "libpam has no {}", name.to_string_lossy());
    Ok(found)
}

/// Opens a session of root's by this service, and holds it until its input ends. Says how many microseconds the opening and, at the
/// end, the closing took.
pub fn hold(service: &str) -> Result<()> {
    let (service, user) = (CString::new(service)?, c"root");
    // SAFETY: the name is terminated; what the library does when it is loaded is its own.
    let library = unsafe { libc::dlopen(c"libpam.so.0".as_ptr(), libc::RTLD_NOW) };
    ensure!(!library.is_null(), "libpam.so.0 cannot be loaded");
    // SAFETY: that is the type of pam_start in its manual page.
    let start: Start = unsafe { std::mem::transmute(function(library, c"pam_start")?) };
    // SAFETY: so are these three.
    let [open, close, end]: [Step; 3] = unsafe {
        [
            std::mem::transmute::<*mut c_void, Step>(function(library, c"pam_open_session")?),
            std::mem::transmute::<*mut c_void, Step>(function(library, c"pam_close_session")?),
            std::mem::transmute::<*mut c_void, Step>(function(library, c"pam_end")?),
        ]
    };
    let conversation = Conversation {
        talk: Some(silent),
        data: std::ptr::null_mut(),
    };
    let mut handle: Handle = std::ptr::null_mut();
    // SAFETY: all four live until pam_end; the handle is written to.
    let code = unsafe {
        start(
            service.as_ptr(),
            user.as_ptr(),
            &raw const conversation,
            &raw mut handle,
        )
    };
    ensure!(code == 0, "pam_start: {code}");
    let step = |what: &str, step: Step| -> Result<u128> {
        let begin = Instant::now();
        // SAFETY: the handle is that of pam_start, and was not ended yet.
        let code = unsafe { step(handle, 0) };
        let took = begin.elapsed().as_micros();
        ensure!(code == 0, "{what}: {code}");
        Ok(took)
    };
    println!("{}", step("pam_open_session", open)?);
    let mut rest = Vec::new();
    std::io::stdin()
        .read_to_end(&mut rest)
        .context("waiting for the end")?;
    println!("{}", step("pam_close_session", close)?);
    step("pam_end", end).map(drop)
}
