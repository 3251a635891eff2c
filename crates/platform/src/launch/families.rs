//! The seccomp filter that refuses socket families which nothing confines, and typing into the
//! terminal on the user's behalf (TIOCSTI, TIOCLINUX): the shell outside would read it. Of members that
//! may be root it also refuses two calls by which root can leave although it has no capability for it:
//! `clone3`, which puts a child into any cgroup whose directory can be opened, on a read-only mount too
//! (programs fall back to `clone` on ENOSYS), and `bpf`, which needs no capability to change a table
//! whose pin can be opened. And it refuses io_uring, which makes sockets without passing any filter, while there is a family by
//! which that leads out.
//!
//! Written by hand because it has to leave other calls, 32-bit programs and set-uid programs as they
//! are: filter compilers kill calls of another architecture, and insist on no_new_privs, which
//! CAP_SYS_ADMIN makes unnecessary.

use std::path::Path;

use libc::{
    BPF_ABS, BPF_ALU, BPF_AND, BPF_JEQ, BPF_JMP, BPF_K, BPF_LD, BPF_RET, BPF_W, sock_filter,
};

const OFFSET_NUMBER: u32 = 0;
const OFFSET_ARCH: u32 = 4;
/// The low half of the first argument: the family is an `int`.
const OFFSET_FAMILY: u32 = 16;
/// The low half of the second argument: the kernel looks at no more of a request.
const OFFSET_REQUEST: u32 = 24;

#[cfg(target_arch = "x86_64")]
mod abi {
    pub(super) const NATIVE: u32 = 0xC000_003E;
    /// x32 calls are the native ones with a bit set.
    pub(super) const NUMBER_MASK: u32 = !0x4000_0000;
    pub(super) const COMPAT: u32 = 0x4000_0003;
    pub(super) const COMPAT_CALLS: [u32; 2] = [359, 360];
    pub(super) const COMPAT_IOCTL: u32 = 54;
    pub(super) const COMPAT_BPF: u32 = 357;
    /// The number of this call alone is another in x32.
    pub(super) const X32_IOCTL: Option<u32> = Some(514);
    /// One call for all, with the arguments out of a filter's sight.
    pub(super) const COMPAT_MULTIPLEXER: Option<u32> = Some(102);
}

#[cfg(target_arch = "aarch64")]
mod abi {
    pub(super) const NATIVE: u32 = 0xC000_00B7;
    pub(super) const NUMBER_MASK: u32 = !0;
    pub(super) const COMPAT: u32 = 0x4000_0028;
    pub(super) const COMPAT_CALLS: [u32; 2] = [281, 288];
    pub(super) const COMPAT_IOCTL: u32 = 54;
    pub(super) const COMPAT_BPF: u32 = 386;
    pub(super) const X32_IOCTL: Option<u32> = None;
    pub(super) const COMPAT_MULTIPLEXER: Option<u32> = None;
}

const SOCKETCALL_SOCKET: u32 = 1;
const SOCKETCALL_SOCKETPAIR: u32 = 8;

const ALLOW: u32 = libc::SECCOMP_RET_ALLOW;
const REFUSE: u32 = libc::SECCOMP_RET_ERRNO | libc::EAFNOSUPPORT as u32;
/// What kernels answer that have TIOCSTI switched off.
const REFUSE_TYPING: u32 = libc::SECCOMP_RET_ERRNO | libc::EIO as u32;
/// What kernels answer that do not have the call: programs know what to do then.
const UNKNOWN: u32 = libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32;
/// What kernels answer whoever lacks the capability.
const NOT_PERMITTED: u32 = libc::SECCOMP_RET_ERRNO | libc::EPERM as u32;
/// New calls have the same number everywhere.
const CLONE3: u32 = 435;
const IO_URING_SETUP: u32 = 425;
/// Pastes into the console that the caller sits at, among others.
const TIOCLINUX: u32 = 0x541C;

/// What the filter refuses beside families.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Refusals {
    /// Typing into the terminal.
    pub(super) typing: bool,
    /// `clone3`.
    pub(super) clone3: bool,
    /// `bpf`.
    pub(super) bpf: bool,
    /// `io_uring_setup`, as `kernel.io_uring_disabled` would.
    pub(super) io_uring: bool,
}

/// A place in the program.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Label {
    Native,
    Compat,
    Multiplexer,
    Ioctl,
    Typing,
    Unknown,
    NotPermitted,
    Family,
    Allow,
    Refuse,
}

/// A program whose jumps are not resolved yet. They only go forward.
#[derive(Default)]
struct Program {
    steps: Vec<(sock_filter, Option<Label>)>,
    places: Vec<(Label, usize)>,
}

impl Program {
    fn step(&mut self, code: u32, k: u32, target: Option<Label>) {
        let step = sock_filter {
            code: code as u16,
            jt: 0,
            jf: 0,
            k,
        };
        self.steps.push((step, target));
    }

    fn place(&mut self, label: Label) {
        self.places.push((label, self.steps.len()));
    }

    fn load(&mut self, offset: u32) {
        self.step(BPF_LD | BPF_W | BPF_ABS, offset, None);
    }

    fn give(&mut self, value: u32) {
        self.step(BPF_RET | BPF_K, value, None);
    }

    fn jump_if(&mut self, value: u32, target: Label) {
        self.step(BPF_JMP | BPF_JEQ | BPF_K, value, Some(target));
    }

    fn resolve(self) -> Vec<sock_filter> {
        let place = |label| self.places.iter().find(|p| p.0 == label).map(|p| p.1);
        let resolve = |(index, (mut step, target)): (usize, (sock_filter, Option<Label>))| {
            if let Some(target) = target.and_then(place) {
                step.jt = (target - index - 1) as u8;
            }
            step
        };
        self.steps
            .iter()
            .copied()
            .enumerate()
            .map(resolve)
            .collect()
    }
}

/// Whether the kernel lets programs type into their terminal.
pub(super) fn typing_possible() -> bool {
    // Kernels before 6.2 have no such switch, and always do.
    std::fs::read_to_string("/proc/sys/dev/tty/legacy_tiocsti").map_or(true, |t| t.trim() != "0")
}

/// Where a module of RDS over TCP shows itself, which is never loaded for a program that asks for the family.
const RDS_TCP: &str = "/sys/module/rds_tcp";

/// Whether a socket that no filter sees leads out: the kernel carries RDS over TCP sockets of its own, which belong to nobody's cgroup.
pub fn leads_out_by_io_uring() -> bool {
    Path::new(RDS_TCP).exists()
}

/// The filter that lets `socket` and `socketpair` pass for these families only (at most 200), and
/// refuses what else it is asked to.
pub(super) fn filter(families: &[i32], refused: Refusals) -> Vec<sock_filter> {
    let mut p = Program::default();
    p.load(OFFSET_ARCH);
    p.jump_if(abi::NATIVE, Label::Native);
    p.jump_if(abi::COMPAT, Label::Compat);
    p.give(REFUSE);

    p.place(Label::Native);
    p.load(OFFSET_NUMBER);
    p.step(BPF_ALU | BPF_AND | BPF_K, abi::NUMBER_MASK, None);
    p.jump_if(libc::SYS_socket as u32, Label::Family);
    p.jump_if(libc::SYS_socketpair as u32, Label::Family);
    if refused.typing {
        p.jump_if(libc::SYS_ioctl as u32, Label::Ioctl);
        if let Some(number) = abi::X32_IOCTL {
            p.jump_if(number, Label::Ioctl);
        }
    }
    if refused.clone3 {
        p.jump_if(CLONE3, Label::Unknown);
    }
    if refused.bpf {
        p.jump_if(libc::SYS_bpf as u32, Label::NotPermitted);
    }
    if refused.io_uring {
        p.jump_if(IO_URING_SETUP, Label::NotPermitted);
    }
    p.give(ALLOW);

    p.place(Label::Compat);
    p.load(OFFSET_NUMBER);
    for number in abi::COMPAT_CALLS {
        p.jump_if(number, Label::Family);
    }
    if let Some(number) = abi::COMPAT_MULTIPLEXER {
        p.jump_if(number, Label::Multiplexer);
    }
    if refused.typing {
        p.jump_if(abi::COMPAT_IOCTL, Label::Ioctl);
    }
    if refused.clone3 {
        p.jump_if(CLONE3, Label::Unknown);
    }
    if refused.bpf {
        p.jump_if(abi::COMPAT_BPF, Label::NotPermitted);
    }
    if refused.io_uring {
        p.jump_if(IO_URING_SETUP, Label::NotPermitted);
    }
    p.give(ALLOW);

    p.place(Label::Ioctl);
    p.load(OFFSET_REQUEST);
    p.jump_if(libc::TIOCSTI as u32, Label::Typing);
    p.jump_if(TIOCLINUX, Label::Typing);
    p.give(ALLOW);
    p.place(Label::Typing);
    p.give(REFUSE_TYPING);
    p.place(Label::Unknown);
    p.give(UNKNOWN);
    p.place(Label::NotPermitted);
    p.give(NOT_PERMITTED);

    p.place(Label::Multiplexer);
    p.load(OFFSET_FAMILY);
    p.jump_if(SOCKETCALL_SOCKET, Label::Refuse);
    p.jump_if(SOCKETCALL_SOCKETPAIR, Label::Refuse);
    p.give(ALLOW);

    p.place(Label::Family);
    p.load(OFFSET_FAMILY);
    for family in families.iter().take(200) {
        p.jump_if(*family as u32, Label::Allow);
    }
    p.place(Label::Refuse);
    p.give(REFUSE);
    p.place(Label::Allow);
    p.give(ALLOW);
    p.resolve()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs a filter as the kernel would, for the few instructions used here.
    fn run(program: &[sock_filter], arch: u32, number: u32, argument: u32) -> u32 {
        let (mut at, mut value) = (0, 0);
        loop {
            let step = program[at];
            at += 1;
            let code = u32::from(step.code);
            if code == BPF_LD | BPF_W | BPF_ABS {
                value = match step.k {
                    OFFSET_ARCH => arch,
                    OFFSET_NUMBER => number,
                    OFFSET_FAMILY | OFFSET_REQUEST => argument,
                    other => panic!("offset {other}"),
                };
            } else if code == BPF_ALU | BPF_AND | BPF_K {
                value &= step.k;
            } else if code == BPF_JMP | BPF_JEQ | BPF_K {
                let skip = if value == step.k { step.jt } else { step.jf };
                at += usize::from(skip);
            } else {
                return step.k;
            }
        }
    }

    const NOTHING: Refusals = Refusals {
        typing: false,
        clone3: false,
        bpf: false,
        io_uring: false,
    };
    const TYPING: Refusals = Refusals {
        typing: true,
        ..NOTHING
    };

    #[test]
    fn only_named_families_pass_in_every_abi() {
        let program = filter(&[libc::AF_UNIX, libc::AF_INET], NOTHING);
        let socket = libc::SYS_socket as u32;
        let pair = libc::SYS_socketpair as u32;
        for call in [socket, pair, socket | !abi::NUMBER_MASK] {
            assert_eq!(
                run(&program, abi::NATIVE, call, libc::AF_INET as u32),
                ALLOW
            );
            assert_eq!(
                run(&program, abi::NATIVE, call, libc::AF_UNIX as u32),
                ALLOW
            );
            assert_eq!(
                run(&program, abi::NATIVE, call, libc::AF_PACKET as u32),
                REFUSE
            );
            assert_eq!(run(&program, abi::NATIVE, call, u32::MAX), REFUSE);
        }
        assert_eq!(run(&program, abi::NATIVE, 0, libc::AF_PACKET as u32), ALLOW);
        for call in abi::COMPAT_CALLS {
            assert_eq!(
                run(&program, abi::COMPAT, call, libc::AF_INET as u32),
                ALLOW
            );
            assert_eq!(
                run(&program, abi::COMPAT, call, libc::AF_VSOCK as u32),
                REFUSE
            );
        }
        assert_eq!(run(&program, abi::COMPAT, 1, libc::AF_VSOCK as u32), ALLOW);
        if let Some(call) = abi::COMPAT_MULTIPLEXER {
            assert_eq!(run(&program, abi::COMPAT, call, SOCKETCALL_SOCKET), REFUSE);
            assert_eq!(
                run(&program, abi::COMPAT, call, SOCKETCALL_SOCKETPAIR),
                REFUSE
            );
            assert_eq!(run(&program, abi::COMPAT, call, 3), ALLOW);
        }
        assert_eq!(run(&program, 7, socket, libc::AF_INET as u32), REFUSE);
    }

    #[test]
    fn typing_is_refused_where_asked() {
        let (ioctl, sti) = (libc::SYS_ioctl as u32, libc::TIOCSTI as u32);
        let program = filter(&[libc::AF_UNIX], TYPING);
        let x32 = abi::X32_IOCTL.map(|n| (abi::NATIVE, n | !abi::NUMBER_MASK));
        let calls = [(abi::NATIVE, ioctl), (abi::COMPAT, abi::COMPAT_IOCTL)];
        for (arch, number) in calls.into_iter().chain(x32) {
            assert_eq!(run(&program, arch, number, sti), REFUSE_TYPING);
            assert_eq!(run(&program, arch, number, TIOCLINUX), REFUSE_TYPING);
            assert_eq!(run(&program, arch, number, libc::TCGETS as u32), ALLOW);
        }
        let program = filter(&[libc::AF_UNIX], NOTHING);
        assert_eq!(run(&program, abi::NATIVE, ioctl, sti), ALLOW);
    }

    #[test]
    fn calls_by_which_root_leaves_are_refused_where_asked() {
        let all = Refusals {
            typing: true,
            clone3: true,
            bpf: true,
            io_uring: true,
        };
        let bpf = libc::SYS_bpf as u32;
        // As many families as there may be: the jumps still reach.
        let program = filter(&[libc::AF_UNIX; 200], all);
        for (arch, number) in [(abi::NATIVE, bpf), (abi::COMPAT, abi::COMPAT_BPF)] {
            assert_eq!(run(&program, arch, number, 0), NOT_PERMITTED);
            assert_eq!(run(&program, arch, CLONE3, 0), UNKNOWN);
            assert_eq!(run(&program, arch, IO_URING_SETUP, 8), NOT_PERMITTED);
        }
        let program = filter(&[libc::AF_UNIX], NOTHING);
        assert_eq!(run(&program, abi::NATIVE, bpf, 0), ALLOW);
        assert_eq!(run(&program, abi::NATIVE, CLONE3, 0), ALLOW);
        assert_eq!(run(&program, abi::NATIVE, IO_URING_SETUP, 8), ALLOW);
    }
}
