//! For tests: machines made of network namespaces, a program that performs socket
//! calls on request and tells what came of them, and the oracle: the same script
//! on real (namespaced) machines and on one machine with hostlets.
//!
//! Nothing here depends on the product; it is started as a program.

pub mod agent;
pub mod binaries;
pub mod bpf;
pub mod daemon;
pub mod dir;
pub mod ends;
pub mod hostletd;
pub mod install;
pub mod lan;
pub mod netns;
pub mod oracle;
pub mod people;
pub mod players;
pub mod probe;
pub mod residue;
pub mod segment;
pub mod servers;
pub mod sniffer;
pub mod sshd;
pub mod suites;
pub mod supervised;
pub mod sweep;
pub mod systemd;
pub mod wait;
pub mod wire;
pub mod xrdp;
