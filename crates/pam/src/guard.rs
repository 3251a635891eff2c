//! No panic crosses into the program that logs somebody in.

use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::{Mutex, Once, PoisonError};

thread_local! {
    static GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// What the last panic said, until somebody asks. The program's standard error may be the user's, or the network's.
static SAID: Mutex<Option<String>> = Mutex::new(None);

/// Does the work; a panic of it gives what it said.
pub(crate) fn guard<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    static HOOK: Once = Once::new();
    // Reaches only what is linked into this module: each has a standard library of its own.
    HOOK.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            if GUARDED.get() {
                *SAID.lock().unwrap_or_else(PoisonError::into_inner) = Some(panic.to_string());
            } else {
                before(panic);
            }
        }));
    });
    let outer = GUARDED.replace(true);
    let done = panic::catch_unwind(AssertUnwindSafe(work));
    GUARDED.set(outer);
    done.map_err(|_| {
        let said = SAID.lock().unwrap_or_else(PoisonError::into_inner).take();
        said.unwrap_or_else(|| "a panic".to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_a_text_that_names_its_place() {
        let said = guard(|| -> u8 { panic!("two and two\nis five") }).unwrap_err();
        assert!(
            said.contains("two and two") && said.contains("guard.rs"),
            "{said}"
        );
        assert_eq!(guard(|| 7), Ok(7));
    }

    #[test]
    fn panics_of_others_are_theirs() {
        assert_eq!(guard(|| 1), Ok(1));
        let caught = panic::catch_unwind(|| panic!("outside"));
        assert!(caught.is_err());
        assert!(
            SAID.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .as_deref()
                != Some("outside")
        );
    }
}
