//! A13, A14, B1 to B3, B8 to B12: people log in to a real sshd, whose sessions have addresses of
//! their own, in namespaces. They need root.

mod asked;
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
