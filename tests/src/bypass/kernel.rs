//! What changes the kernel, has it act, or leads past it.

use super::{Attempt, Layer, script};

pub(super) const ATTEMPTS: &[Attempt] = &[
    script("helpers", "the programs that the kernel starts outside (core_pattern, modprobe, uevent_helper)", Layer::Mounts, "
        in! openable /proc/sys/kernel/core_pattern => EACCES / EROFS
        in! openable /proc/sys/kernel/modprobe => EACCES|ENOENT / EROFS|ENOENT
        in! openable /proc/sys/kernel/hotplug => EACCES|ENOENT / EROFS|ENOENT
        in! openable /sys/kernel/uevent_helper => EACCES|ENOENT / EROFS|ENOENT
    "),
    script("settings", "settings of the network (`/proc/sys/net`)", Layer::Mounts, "
        in! openable /proc/sys/net/ipv4/ip_forward => EACCES / EROFS
        in! openable /proc/sys/net/ipv4/conf/all/accept_source_route => EACCES / EROFS
        in! openable /proc/sys/net/ipv4/fwmark_reflect => EACCES / EROFS
    "),
    script("trace-kernel", "probes and traces (tracefs)", Layer::Mounts, "
        in! openable /sys/kernel/tracing/tracing_on => ENOENT
        in! openable /sys/kernel/tracing/kprobe_events => ENOENT
    "),
    script("perf", "the same by perf: every packet that the machine sends", Layer::Capability, "
        in! call perf 1 => EACCES
    "),
    script("module", "load a module", Layer::Capability, "
        in! call module => EPERM
    "),
    script("own-kernel", "start a kernel of one's own (kexec)", Layer::Capability, "
        in! call kexec => EPERM
    "),
    script("memory", "the machine's memory and ports", Layer::Capability, "
        in! openable /dev/mem => EACCES / EPERM
        in! openable /dev/port => EACCES / EPERM
        in! call ioperm => EPERM
    "),
    script("bpf-load", "make BPF tables and programs", Layer::Seccomp, "
        in call bpf-nothing => EPERM
        in! call bpf-map => EPERM
    "),
    script("bpf-pin", "open a table by its pin", Layer::Seccomp, "
        in call bpf-nothing => EPERM
        in! call bpf-get {bpf}/hostlet/maps/owners => EPERM
    "),
    script("bpf-number", "open programs, tables and links by their numbers", Layer::Seccomp, "
        in call bpf-nothing => EPERM
        in! call bpf-link => EPERM
        in! call bpf-program => EPERM
        in! call bpf-table => EPERM
    "),
    script("bpf-detach", "detach the hostlet's programs", Layer::Seccomp, "
        in call bpf-nothing => EPERM
        in! call bpf-detach {in-cgroup} => EPERM
    "),
    script("mount", "mount file systems: the kernel speaks for NFS and CIFS mounts", Layer::Capability, "
        in! call mount tmpfs => EPERM
        in! call mount bpf => EPERM
        in! call mount proc => EPERM
    "),
    script("device", "a device node of a disk (mknod)", Layer::Kernel, "
        in! call mknod {files}/node 8 0 => EPERM / ok
    ").root_can("root inside is still root to files: use `--user`"),
    script("service-files", "files that root outside obeys (cron, units, keys, the password file)", Layer::Kernel, "
        in! openable /etc/passwd => EACCES / ok
    ").root_can("root inside is still root to files and services, systemd's and D-Bus' sockets included: use `--user`"),
    script("hostlet-files", "hostlet's own configuration, state and lock", Layer::Mounts, "
        in! openable {installation}/hostlet.db => EACCES / EROFS
        in! openable {installation}/run/lock => ENOENT
    "),
    script("key-helper", "have the kernel start its helper for keys (request_key): it asks the name servers, as the host", Layer::Nothing, "
        in! call request-key dns_resolver
        in! call request-key user
    ").possible("where keyutils is installed: names that are asked for leave with the host's address"),
    script("restart", "restart the machine or stop it (sysrq)", Layer::Kernel, "
        in! openable /proc/sysrq-trigger => EACCES / ok
    ").root_can("denial of service is not covered: use `--user`"),
];
