//! B1, B2, B8 to B12, A13: people log in to a real sshd, whose sessions have addresses of
//! their own, in namespaces. They need root.

mod cron;
mod faults;
mod killed;
mod logins;
mod many;
mod names;
mod outliving;
mod programs;
mod ssh;
mod stage;
mod su;
mod xrdp;
