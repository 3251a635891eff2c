//! The operating system: cgroups, netlink, sockets, processes, launching.
