//! What changes the kernel, has it act, or leads past it.

use super::{Attempt, Layer, script};

pub(super) const ATTEMPTS: &[Attempt] = &[
    script("helpers", "the programs that the kernel starts outside (core_pattern, modprobe, uevent_helper)", Layer::Mounts, "
        in! openable /proc/sys/kernel/core_pattern
        in! openable /proc/sys/kernel/modprobe
        in! openable /proc/sys/kernel/hotplug
        in! openable /sys/kernel/uevent_helper
    "),
    script("settings", "settings of the network (`/proc/sys/net`)", Layer::Mounts, "
        in! openable /proc/sys/net/ipv4/ip_forward
        in! openable /proc/sys/net/ipv4/conf/all/accept_source_route
        in! openable /proc/sys/net/ipv4/fwmark_reflect
    "),
    script("trace-kernel", "probes and traces (tracefs, debugfs, perf)", Layer::Capability, "
        in! openable /sys/kernel/tracing/tracing_on
        in! openable /sys/kernel/tracing/kprobe_events
        in! call perf 1
    ").where_there_is("tracefs or perf"),
    script("module", "load a module", Layer::Capability, "
        in! call module
    ").where_there_is("modules"),
    script("own-kernel", "start a kernel of one's own (kexec)", Layer::Capability, "
        in! call kexec
    ").where_there_is("kexec"),
    script("memory", "the machine's memory and ports", Layer::Capability, "
        in! openable /dev/mem
        in! openable /dev/port
        in! call ioperm
    ").where_there_is("x86"),
    script("bpf-load", "make BPF tables and programs", Layer::Seccomp, "
        in! call bpf-map
    "),
    script("bpf-pin", "open a table by its pin", Layer::Seccomp, "
        in! call bpf-get {bpf}/hostlet/maps/owners
    ").where_there_is("a pin of that name"),
    script("bpf-number", "open programs, tables and links by their numbers", Layer::Seccomp, "
        in! call bpf-link
        in! call bpf-program
        in! call bpf-table
    ").where_there_is("objects of these numbers"),
    script("bpf-detach", "detach the hostlet's programs", Layer::Seccomp, "
        in! call bpf-detach {in-cgroup}
    "),
    script("mount", "mount file systems: the kernel speaks for NFS and CIFS mounts", Layer::Capability, "
        in! call mount tmpfs
        in! call mount bpf
        in! call mount proc
    "),
    script("device", "a device node of a disk (mknod)", Layer::Kernel, "
        in! call mknod {files}/node 8 0
    ").root_can("root inside is still root to files: use `--user`"),
    script("service-files", "files that root outside obeys (cron, units, keys, the password file)", Layer::Kernel, "
        in! openable /etc/passwd
    ").root_can("root inside is still root to files and services, systemd's and D-Bus' sockets included: use `--user`"),
    script("hostlet-files", "hostlet's own configuration, state and lock", Layer::Mounts, "
        in! openable {installation}/hostlet.db
        in! openable {installation}/run/lock
    "),
    script("key-helper", "have the kernel start its helper for keys (request_key): it asks the name servers, as the host", Layer::Nothing, "
        in! call request-key dns_resolver
        in! call request-key user
    ").possible("where keyutils is installed: names that are asked for leave with the host's address"),
    script("restart", "restart the machine or stop it (sysrq)", Layer::Kernel, "
        in! openable /proc/sysrq-trigger
    ").root_can("denial of service is not covered: use `--user`").where_there_is("sysrq"),
];
