//! Reports the signals it gets: `reporter [--group N] SIGNAL...` takes the signals by number, says `ready`,
//! says `got N` for each it gets, and exits with 5 at the end of its input. With `--group` it sends
//! that signal to its own process group first.

use std::io::{Read, stdin};
use std::os::fd::{AsFd, FromRawFd, OwnedFd};
use std::process::ExitCode;

use rustix::event::{PollFd, PollFlags, poll};

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1).peekable();
    let group = args
        .next_if(|a| a == "--group")
        .and_then(|_| args.next())
        .and_then(|n| n.parse().ok());
    // SAFETY: zeroed bytes are a valid set, and every call gets initialised ones.
    let signals = unsafe {
        let mut set = std::mem::zeroed();
        libc::sigemptyset(&mut set);
        for number in args {
            libc::sigaddset(&mut set, number.parse().unwrap_or(0));
        }
        libc::sigprocmask(libc::SIG_BLOCK, &set, std::ptr::null_mut());
        OwnedFd::from_raw_fd(libc::signalfd(-1, &set, 0))
    };
    println!("ready");
    if let Some(signal) = group {
        // SAFETY: no pointers.
        unsafe { libc::kill(0, signal) };
    }
    let mut signals = std::fs::File::from(signals);
    loop {
        let input = stdin();
        let mut fds = [
            PollFd::from_borrowed_fd(signals.as_fd(), PollFlags::IN),
            PollFd::from_borrowed_fd(input.as_fd(), PollFlags::IN),
        ];
        if poll(&mut fds, None).is_err() {
            continue;
        }
        if !fds[1].revents().is_empty()
            && matches!(rustix::io::read(&input, &mut [0; 64]), Ok(0) | Err(_))
        {
            return ExitCode::from(5);
        }
        if fds[0].revents().is_empty() {
            continue;
        }
        let mut info = [0; size_of::<libc::signalfd_siginfo>()];
        if signals.read_exact(&mut info).is_ok() {
            println!(
                "got {}",
                u32::from_ne_bytes([info[0], info[1], info[2], info[3]])
            );
        }
    }
}
