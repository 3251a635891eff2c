//! Leaving the cgroup, by every way that leads to one.

use super::{Attempt, Layer, script};

pub(super) const ATTEMPTS: &[Attempt] = &[
    script(
        "cgroup-move",
        "write oneself into another cgroup",
        Layer::Mounts,
        "
        in escape write 10.0.0.2:0 10.0.0.100:{P} {mount}/cgroup.procs => EACCES / EROFS
        in escape write 10.0.0.2:0 10.0.0.100:{P} {parent}/cgroup.procs => EACCES / EROFS
        in escape write 10.0.0.2:0 10.0.0.100:{P} {other-cgroup}/cgroup.procs => EACCES / EROFS
    ",
    ),
    script(
        "cgroup-remount",
        "make the cgroups writable again in namespaces of one's own",
        Layer::Mounts,
        "
        in escape remount 10.0.0.2:0 10.0.0.100:{P} {mount}/cgroup.procs => EACCES / EROFS
    ",
    )
    .never("a user namespace's root may not write there; outside this is `cgroup-move`"),
    script(
        "cgroup-mount",
        "mount the cgroups anew in namespaces of one's own",
        Layer::Kernel,
        "
        in escape fresh 10.0.0.2:0 10.0.0.100:{P} => EACCES / EADDRNOTAVAIL
    ",
    )
    .remains("it shows the hostlet's own cgroup, and what is made below it is the hostlet's"),
    script(
        "cgroup-handle",
        "from there to the root cgroup by its number (open_by_handle_at)",
        Layer::Capability,
        "
        in escape handle 10.0.0.2:0 10.0.0.100:{P} => EPERM
    ",
    ),
    script(
        "cgroup-birth",
        "be born in another cgroup (clone3 with CLONE_INTO_CGROUP): a read-only mount is no hindrance",
        Layer::Seccomp,
        "
        in escape clone3 10.0.0.2:0 10.0.0.100:{P} {mount} => ENOSYS
    ",
    ),
    script(
        "cgroup-init",
        "through the root directory of process 1 (`/proc/1/root`)",
        Layer::Capability,
        "
        in escape write 10.0.0.2:0 10.0.0.100:{P} /proc/1/root{mount}/cgroup.procs => EACCES
    ",
    ),
    script(
        "cgroup-outsider",
        "through that of another process of the same user",
        Layer::Kernel,
        "
        in escape write 10.0.0.2:0 10.0.0.100:{P} /proc/{root-pid}/root{mount}/cgroup.procs => EACCES
        in escape write 10.0.0.2:0 10.0.0.100:{P} /proc/{user-pid}/root{mount}/cgroup.procs => EACCES
    ",
    )
    .remains("cgroups are root's"),
    script(
        "cgroup-borrowed",
        "as root, through that of an ordinary user's process: open as the user, write as root",
        Layer::Nothing,
        "
        in escape borrow 10.0.0.2:0 10.0.0.100:{P} {uid} /proc/{user-pid}/root {mount}/cgroup.procs
    ",
    )
    .root_only()
    .root_can("root in a hostlet may act as any user (CAP_SETUID): use `--user`"),
    script(
        "cgroup-old",
        "write to cgroups of version 1",
        Layer::Mounts,
        "
        in! openable /sys/fs/cgroup/devices/cgroup.procs => EACCES|ENOENT / EROFS|ENOENT
        in! openable /sys/fs/cgroup/net_cls/cgroup.procs => EACCES|ENOENT / EROFS|ENOENT
        in! openable /sys/fs/cgroup/systemd/cgroup.procs => EACCES|ENOENT / EROFS|ENOENT
        in! openable /sys/fs/cgroup/freezer/cgroup.procs => EACCES|ENOENT / EROFS|ENOENT
    ",
    ),
];
