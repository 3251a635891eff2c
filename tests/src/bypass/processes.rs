//! Processes outside, and what they have.

use super::{Attempt, Layer, script};

const SAME_USER: &str = "Linux lets processes of one user trace each other: give members a user of their own; `kernel.yama.ptrace_scope` stops it";

pub(super) const ATTEMPTS: &[Attempt] = &[
    script(
        "take-socket",
        "take a socket of a process of root outside (pidfd_getfd)",
        Layer::Capability,
        "
        in escape take 10.0.0.2:0 10.0.0.100:{P} - {root-pid} {root-fd} => EPERM
    ",
    ),
    script(
        "take-same-user",
        "take a socket of an ordinary user's process outside",
        Layer::Nothing,
        "
        in escape take 10.0.0.2:0 10.0.0.100:{P} {uid} {user-pid} {user-fd}
    ",
    )
    .possible(SAME_USER),
    script(
        "take-neighbour",
        "take a socket of root in another hostlet",
        Layer::Kernel,
        "
        in escape take 10.0.0.2:0 10.0.0.100:{P} - {other-pid} {other-fd} => EPERM / ok
    ",
    )
    .root_can("root in two hostlets is the same user: use `--user`"),
    script(
        "trace",
        "trace a process of root outside (ptrace, `/proc/PID/mem`)",
        Layer::Capability,
        "
        in! call trace {root-pid} => EPERM
        in! openable /proc/{root-pid}/mem => EACCES
        in! openable /proc/1/mem => EACCES
    ",
    ),
    script(
        "descriptor-path",
        "open a socket of another process by its path (`/proc/PID/fd`)",
        Layer::Kernel,
        "
        in! openable /proc/{root-pid}/fd/{root-fd} => EACCES
        in! openable /proc/{user-pid}/fd/{user-fd} => ENXIO / EACCES
    ",
    )
    .never("the kernel opens no socket by a path"),
    script(
        "enter-network",
        "enter the namespaces of processes outside (setns)",
        Layer::Capability,
        "
        in escape setns 10.0.0.2:0 10.0.0.100:{P} /proc/{root-pid}/ns/net => EACCES
        in escape setns 10.0.0.2:0 10.0.0.100:{P} /proc/{root-pid}/ns/mnt => EACCES
        in escape setns 10.0.0.2:0 10.0.0.100:{P} /proc/1/ns/cgroup => EACCES
    ",
    ),
];
