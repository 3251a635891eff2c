//! `libnss_hostlet.so.2`: the service `hostlet` of the line `hosts:` in `/etc/nsswitch.conf` (B12).
//!
//! Inside a hostlet the machine's own name stands for the hostlet's addresses and the machine's, and these addresses stand for
//! the name. To every other question, and outside hostlets, the answer is "not found", and the next service of the line is asked.
//! `localhost` is left alone. The order is that of the file; getaddrinfo then sorts all answers by RFC 6724, which puts IPv6 first and
//! an address from which the caller would reach itself (one of the hostlet's) before others, whatever the file says.
//!
//! The line has to name `hostlet` before `files`, `resolve` and `dns`, which may know the machine's name too:
//! `hosts: hostlet files dns`. A cache in front of the services (nscd) runs outside every hostlet and must not cache `hosts`.
//!
//! **In the process of others.** The module is loaded by any program that looks up a host. What it knows comes from files that the
//! engine writes (`hostlet_model::names`) and from `/proc/self/cgroup`; it has no state, takes no lock, starts no thread, talks to no
//! one, leaves no descriptor open, and no read of it can block. A panic ends at the entry as "unavailable".
//!
//! **What it trusts.** The directory of the files belongs to root. Another one may be named by `HOSTLET_NAMES_DIR`, which programs with
//! more privileges than their caller ignore; elsewhere a caller can only mislead programs that are his own. What is read is bounded and
//! may be anything.

mod answer;
mod entry;
mod family;
mod place;
mod question;
mod room;

pub use answer::Answer;
pub use entry::{
    _nss_hostlet_gethostbyaddr_r, _nss_hostlet_gethostbyaddr2_r, _nss_hostlet_gethostbyname_r,
    _nss_hostlet_gethostbyname2_r, _nss_hostlet_gethostbyname3_r, _nss_hostlet_gethostbyname4_r,
    AddressTuple, Status,
};
pub use family::Family;
pub use place::Place;
