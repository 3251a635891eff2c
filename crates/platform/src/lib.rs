//! The operating system: cgroups, netlink, sockets, processes, launching.
//!
//! Everything here acts or observes; nothing decides. Calls are synchronous and speak for the
//! **calling thread**: network calls reach the network namespace of that thread, which is what
//! lets a test (or a loader) work in a namespace of its own without touching the rest of the
//! process. For the same reason `/proc/thread-self` is read, never `/proc/self`.

pub mod account;
pub mod cgroup;
pub mod dhcp;
pub mod exec_watch;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
pub mod launch;
pub mod mounts;
pub mod neighbour;
pub mod netlink;
mod packet;
pub mod peer;
pub mod proc;
pub mod sockdiag;
