//! Processes of which each forks the next and ends: there is none to end that all come from.

use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering};

use super::breakout::Shout;
use super::{Outcome, Trouble, check};

/// How many processes there were; in memory that all of them share.
static LINKS: AtomicPtr<AtomicU64> = AtomicPtr::new(std::ptr::null_mut());

/// One of so many shouts, the first of all among them.
const SHOUTS: u64 = 4;

/// The counter, if there is one.
fn counter() -> Option<&'static AtomicU64> {
    // SAFETY: null, or a page of zeros that stays mapped.
    unsafe { LINKS.load(Ordering::Relaxed).as_ref() }
}

/// How many processes chains had so far.
pub(super) fn links() -> u64 {
    counter().map_or(0, |links| links.load(Ordering::Relaxed))
}

fn share() -> Result<(), Trouble> {
    if counter().is_some() {
        return Ok(());
    }
    // SAFETY: asks for a page of its own.
    let page = unsafe {
        libc::mmap(
            std::ptr::null_mut(),
            size_of::<AtomicU64>(),
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_SHARED | libc::MAP_ANONYMOUS,
            -1,
            0,
        )
    };
    check(if page == libc::MAP_FAILED { -1 } else { 0 })?;
    LINKS.store(page.cast(), Ordering::Relaxed);
    Ok(())
}

/// Processes that each fork the next and end, and shout now and then: so many at a time, until the time is over.
pub(super) fn start(count: u32, seconds: u64, shout: &Shout) -> Outcome {
    share()?;
    let end = std::time::Instant::now() + std::time::Duration::from_secs(seconds);
    for _ in 0..count.min(64) {
        // SAFETY: a probe has one thread; the children make plain system calls only.
        if check(unsafe { libc::fork() })? != 0 {
            continue;
        }
        while std::time::Instant::now() < end {
            let number = counter().map_or(0, |links| links.fetch_add(1, Ordering::Relaxed));
            // The more of them fork only, the more there are.
            if number.is_multiple_of(SHOUTS) {
                let _ = shout.call();
            }
            // SAFETY: as above.
            if unsafe { libc::fork() } != 0 {
                break;
            }
        }
        // SAFETY: takes no pointers.
        unsafe { libc::_exit(0) };
    }
    Ok("ok".into())
}
