//! Processes of which each forks the next and ends: there is none to end that all come from.

use std::sync::atomic::{AtomicPtr, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

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
    if counter().is_none() {
        let page = map(size_of::<AtomicU64>(), libc::MAP_SHARED)?;
        LINKS.store(page.cast(), Ordering::Relaxed);
    }
    Ok(())
}

fn map(bytes: usize, kind: i32) -> Result<*mut u8, Trouble> {
    // SAFETY: asks for memory of its own.
    let at = unsafe {
        libc::mmap(
            std::ptr::null_mut(),
            bytes,
            libc::PROT_READ | libc::PROT_WRITE,
            kind | libc::MAP_ANONYMOUS,
            -1,
            0,
        )
    };
    check(if at == libc::MAP_FAILED { -1 } else { 0 })?;
    Ok(at.cast())
}

/// How many processes of a chain have a stack: one that has forked ends long before its stack's next turn.
const STACKS: usize = 64;
const STACK: usize = 64 * 1024;

/// What the processes of one chain share: all memory, for it is the copies of page tables that make forks slow.
struct Chain<'a> {
    end: Instant,
    shout: &'a Shout,
    stacks: *mut u8,
    turn: AtomicUsize,
}

impl Chain<'_> {
    /// Starts the next process.
    fn fork(&self) {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed) % STACKS;
        // SAFETY: the top of a stack of this chain; the chain lives until the last of its processes has ended.
        unsafe {
            let top = self.stacks.add((turn + 1) * STACK);
            let this = std::ptr::from_ref(self).cast_mut().cast();
            libc::clone(link, top.cast(), libc::CLONE_VM | libc::SIGCHLD, this);
        }
    }
}

/// One process: shouts now and then, forks the next, and ends.
extern "C" fn link(chain: *mut libc::c_void) -> libc::c_int {
    // SAFETY: what `fork` gave.
    let chain = unsafe { &*chain.cast::<Chain<'_>>() };
    let number = counter().map_or(0, |links| links.fetch_add(1, Ordering::Relaxed));
    // The more of them fork only, the more there are.
    if number.is_multiple_of(SHOUTS) {
        let _ = chain.shout.call();
    }
    if Instant::now() < chain.end {
        chain.fork();
    }
    // SAFETY: takes no pointers.
    unsafe { libc::_exit(0) }
}

/// Processes that each fork the next and end, and shout now and then: so many at a time, until the time is over.
pub(super) fn start(count: u32, seconds: u64, shout: &Shout) -> Outcome {
    share()?;
    // SAFETY: a probe has one thread; the children make plain system calls only.
    if check(unsafe { libc::fork() })? == 0 {
        keep(count.min(64), seconds, shout);
    }
    Ok("ok".into())
}

/// The parent of all that are left alone, who takes no note of their ends: the machine's first process takes so long to that
/// all process numbers would be used up.
fn keep(count: u32, seconds: u64, shout: &Shout) -> ! {
    let end = Instant::now() + Duration::from_secs(seconds);
    // SAFETY: plain system calls of a process with one thread.
    unsafe {
        libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1);
        libc::signal(libc::SIGCHLD, libc::SIG_IGN);
    }
    for _ in 0..count {
        // SAFETY: as above.
        if unsafe { libc::fork() } == 0 {
            if let Ok(stacks) = map(STACKS * STACK, libc::MAP_PRIVATE) {
                let turn = AtomicUsize::new(0);
                Chain {
                    end,
                    shout,
                    stacks,
                    turn,
                }
                .fork();
            }
            // SAFETY: takes no pointers. The chain is on the stack that this leaves to it, and never returns from.
            unsafe { libc::_exit(0) };
        }
    }
    // SAFETY: take no pointers.
    unsafe {
        libc::sleep(u32::try_from(seconds).unwrap_or(u32::MAX));
        libc::_exit(0)
    }
}
