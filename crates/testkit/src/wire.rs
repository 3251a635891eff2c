//! A cable that loses, doubles and delays frames.
//!
//! Two pairs of interfaces meet in a namespace of the wire's own, where a thread
//! carries each frame from one to the other, or does not. It needs nothing of the
//! kernel but packet sockets (netem is a module that not every machine has).

use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{PipeWriter, Read, Write};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::netns::NetNs;

/// How a wire treats frames; all rates from 0 to 1, for both directions.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Trouble {
    /// How many are lost.
    pub loss: f64,
    /// How many arrive twice.
    pub double: f64,
    /// How many are held back, so that later ones overtake them.
    pub hold: f64,
    /// For how long at most.
    pub hold_for: Duration,
    /// How long every frame takes.
    pub delay: Duration,
}

impl Trouble {
    /// Nothing but loss.
    pub fn loss(rate: f64) -> Trouble {
        Trouble {
            loss: rate,
            ..Trouble::default()
        }
    }
}

/// What has happened to frames so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Sent on, copies counted.
    pub carried: u64,
    /// Lost by chance or because the wire was cut.
    pub lost: u64,
    /// Sent twice.
    pub doubled: u64,
    /// Held back.
    pub held: u64,
}

#[derive(Debug, Default)]
struct State {
    trouble: Trouble,
    cut: bool,
    counts: Counts,
}

/// The wire. Without it, and after it is dropped, nothing connects the two machines.
#[derive(Debug)]
pub struct Wire {
    state: Arc<Mutex<State>>,
    /// Closing it ends the thread.
    end: Option<PipeWriter>,
    thread: Option<JoinHandle<()>>,
    /// The interfaces of the wire live here.
    _ns: NetNs,
}

impl Wire {
    /// Connects two machines by interfaces of these names, both up. What happens to
    /// which frame follows from the seed and the order in which frames come.
    ///
    /// # Errors
    /// When the interfaces cannot be made.
    pub fn new(
        (left, left_name): (&NetNs, &str),
        (right, right_name): (&NetNs, &str),
        seed: u64,
        trouble: Trouble,
    ) -> Result<Wire> {
        let ns = NetNs::new("wire")?;
        // The wire itself says nothing.
        for scope in ["all", "default"] {
            ns.set(&format!("ipv6/conf/{scope}/disable_ipv6"), "1")?;
        }
        left.join(left_name, &ns, "left")?;
        right.join(right_name, &ns, "right")?;
        plain_frames(left, left_name)?;
        plain_frames(right, right_name)?;
        let ends = [tap(&ns, "left")?, tap(&ns, "right")?];
        let state = Arc::new(Mutex::new(State {
            trouble,
            ..State::default()
        }));
        let (ended, end) = std::io::pipe().context("making a pipe")?;
        let carrier = Carrier {
            ends,
            state: Arc::clone(&state),
            random: seed,
            waiting: BinaryHeap::new(),
            count: 0,
        };
        let thread = std::thread::spawn(move || carrier.carry(ended.as_fd()));
        Ok(Wire {
            state,
            end: Some(end),
            thread: Some(thread),
            _ns: ns,
        })
    }

    /// Treats frames otherwise from now on.
    pub fn set(&self, trouble: Trouble) {
        lock(&self.state).trouble = trouble;
    }

    /// Lets nothing through. The interfaces stay up: nobody is told.
    pub fn cut(&self) {
        lock(&self.state).cut = true;
    }

    /// Ends [`Wire::cut`].
    pub fn mend(&self) {
        lock(&self.state).cut = false;
    }

    /// What has happened so far.
    pub fn counts(&self) -> Counts {
        lock(&self.state).counts
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.end = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A frame that is due at a time; the earliest is the greatest, and of those the first.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Waiting {
    due: std::cmp::Reverse<(Instant, u64)>,
    to: usize,
    frame: Vec<u8>,
}

struct Carrier {
    ends: [File; 2],
    state: Arc<Mutex<State>>,
    random: u64,
    waiting: BinaryHeap<Waiting>,
    count: u64,
}

impl Carrier {
    fn carry(mut self, ended: std::os::fd::BorrowedFd<'_>) {
        let mut buffer = vec![0; 1 << 16];
        loop {
            let timeout = self.waiting.peek().map(|w| {
                let left = w.due.0.0.saturating_duration_since(Instant::now());
                Timespec::try_from(left).unwrap_or_default()
            });
            let mut fds = [
                PollFd::new(&self.ends[0], PollFlags::IN),
                PollFd::new(&self.ends[1], PollFlags::IN),
                PollFd::from_borrowed_fd(ended, PollFlags::IN),
            ];
            match poll(&mut fds, timeout.as_ref()) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(_) => return,
            }
            let ready = fds.map(|fd| !fd.revents().is_empty());
            if ready[2] {
                return;
            }
            for (from, _) in ready.iter().enumerate().take(2).filter(|(_, is)| **is) {
                // A few at a time, so that neither direction starves the other.
                for _ in 0..16 {
                    match self.ends[from].read(&mut buffer) {
                        Ok(length) => self.take(1 - from, &buffer[..length]),
                        Err(_) => break,
                    }
                }
            }
            self.deliver();
        }
    }

    /// Decides what becomes of a frame.
    fn take(&mut self, to: usize, frame: &[u8]) {
        // The same number of draws for each frame, whatever the rates are.
        let draws: [f64; 4] = std::array::from_fn(|_| self.draw());
        let mut state = lock(&self.state);
        let trouble = state.trouble;
        if state.cut || draws[0] < trouble.loss {
            state.counts.lost += 1;
            return;
        }
        let mut copies = 1;
        if draws[1] < trouble.double {
            state.counts.doubled += 1;
            copies = 2;
        }
        let mut due = Instant::now() + trouble.delay;
        if draws[2] < trouble.hold {
            state.counts.held += 1;
            due += trouble.hold_for.mul_f64(draws[3]);
        }
        drop(state);
        for _ in 0..copies {
            self.count += 1;
            self.waiting.push(Waiting {
                due: std::cmp::Reverse((due, self.count)),
                to,
                frame: frame.to_vec(),
            });
        }
    }

    /// Sends what is due.
    fn deliver(&mut self) {
        let now = Instant::now();
        while self.waiting.peek().is_some_and(|w| w.due.0.0 <= now) {
            let Some(next) = self.waiting.pop() else {
                return;
            };
            let mut state = lock(&self.state);
            // A full queue or a machine that is gone loses frames as a wire does.
            let sent = !state.cut && self.ends[next.to].write(&next.frame).is_ok();
            if sent {
                state.counts.carried += 1;
            } else {
                state.counts.lost += 1;
            }
        }
    }

    /// A number from 0 up to, but not including, 1 (splitmix64).
    fn draw(&mut self) -> f64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        // 53 bits are what an f64 holds.
        (z >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// A socket that receives all that arrives at the interface, and sends by it.
fn tap(ns: &NetNs, interface: &str) -> Result<File> {
    let name = std::ffi::CString::new(interface)?;
    let made = ns.within(|| -> std::io::Result<File> {
        let check = |result: i32| match result {
            -1 => Err(std::io::Error::last_os_error()),
            other => Ok(other),
        };
        let flags = libc::SOCK_RAW | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
        // Without a protocol it receives nothing before it is bound.
        // SAFETY: takes no pointers.
        let fd = check(unsafe { libc::socket(libc::AF_PACKET, flags, 0) })?;
        // SAFETY: the descriptor was just made and has no other owner.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        for (level, option, value) in [
            (libc::SOL_PACKET, libc::PACKET_IGNORE_OUTGOING, 1),
            (libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, 16 << 20),
            (libc::SOL_SOCKET, libc::SO_SNDBUFFORCE, 16 << 20),
        ] {
            let value: i32 = value;
            // SAFETY: the pointer is to an i32 that lives through the call, the length is its size.
            check(unsafe {
                libc::setsockopt(
                    fd.as_raw_fd(),
                    level,
                    option,
                    (&raw const value).cast(),
                    size_of::<i32>() as libc::socklen_t,
                )
            })?;
        }
        // SAFETY: all bytes zero is a valid sockaddr_ll.
        let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
        address.sll_family = libc::AF_PACKET as u16;
        address.sll_protocol = (libc::ETH_P_ALL as u16).to_be();
        // SAFETY: the string is terminated and lives through the call.
        address.sll_ifindex = unsafe { libc::if_nametoindex(name.as_ptr()) }.cast_signed();
        // SAFETY: the pointer is to a sockaddr_ll that lives through the call, with its size.
        check(unsafe {
            libc::bind(
                fd.as_raw_fd(),
                (&raw const address).cast(),
                size_of::<libc::sockaddr_ll>() as libc::socklen_t,
            )
        })?;
        Ok(fd.into())
    })?;
    made.with_context(|| format!("opening {interface} of a wire"))
}

/// Has the machine send by the interface what a real one would: frames no longer than
/// the wire carries, with their checksums. Else a pair leaves both to the other end.
fn plain_frames(ns: &NetNs, interface: &str) -> Result<()> {
    const SIOCETHTOOL: libc::Ioctl = 0x8946;
    const ETHTOOL_STXCSUM: u32 = 0x17;
    const ETHTOOL_STSO: u32 = 0x1f;
    const ETHTOOL_SGSO: u32 = 0x24;
    #[repr(C)]
    struct Value {
        command: u32,
        data: u32,
    }
    let done = ns.within(|| -> std::io::Result<()> {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0")?;
        for command in [ETHTOOL_STSO, ETHTOOL_SGSO, ETHTOOL_STXCSUM] {
            let mut value = Value { command, data: 0 };
            // SAFETY: all bytes zero is a valid ifreq.
            let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
            for (to, from) in request.ifr_name.iter_mut().zip(interface.bytes().take(15)) {
                *to = from.cast_signed();
            }
            request.ifr_ifru.ifru_data = (&raw mut value).cast();
            // SAFETY: the request names an ethtool_value; both live through the call.
            if unsafe { libc::ioctl(socket.as_raw_fd(), SIOCETHTOOL, &raw mut request) } != 0 {
                return Err(std::io::Error::last_os_error());
            }
        }
        Ok(())
    })?;
    if let Err(why) = done {
        bail!("switching off the offloads of {interface}: {why}");
    }
    Ok(())
}
