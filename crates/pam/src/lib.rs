//! `pam_hostlet.so`, the PAM session module: a login session gets the hostlet that the rules give it (rows B1, B9), before its
//! shell runs.
//!
//! Opening a session asks hostletd, over its socket, what the rules give this login, and has the calling process become a member
//! of that hostlet; what it starts from then on are members too. Closing it tells hostletd. The module never waits longer than its
//! deadline for all of that together, starts no thread, leaves no descriptor open, and no panic of it reaches its caller.
//!
//! Where hostletd cannot be asked, the module decides itself, by the configuration that hostletd took over last and by the same
//! function as hostletd: logins that no rule is about, or whose rule falls back, go on with the machine's address; others are
//! refused, with a message.
//!
//! # Arguments
//!
//! | argument | meaning |
//! |---|---|
//! | `root=DIR` | the installation below DIR (`hostletd --root DIR`) instead of the system's |
//! | `deadline=TIME` | the longest wait, as `10s` or `500ms`, instead of `deadline` of `[sessions]` |
//! | `debug` | also log what is of no interest otherwise |
//! | `silent` | tell the user nothing |
//!
//! # What PAM is told
//!
//! | | `pam_open_session` |
//! |---|---|
//! | a hostlet, the machine's address by rule or by fall-back, or no rule | `PAM_SUCCESS` |
//! | a strict rule (or one that cuts off, without hostletd), and no hostlet to be had | `PAM_SESSION_ERR`, with a message to the user |
//! | the caller is not root (screen lockers) | `PAM_IGNORE` |
//!
//! `pam_close_session` succeeds always: a session whose logout hostletd did not hear of ends with its last process.
//! The other functions say `PAM_IGNORE`.
//!
//! # What programs make of a refused session
//!
//! | | with `PAM_SESSION_ERR` |
//! |---|---|
//! | OpenSSH's `sshd` | shows the message, runs nothing, exit status 254; no forwarding either |
//! | `su`, `su -l` | shows the message, runs nothing, exit status 1 |
//! | `login` | shows the message, and ends |
//! | `cron` | logs it, and does not run the job |
//!
//! `sshd` opens the session in the process that stays root, before the user's process and its forwardings; the connection of the login
//! itself is older, and untouched. With `pam_systemd`, the module's line comes after that of `pam_systemd`.

pub mod arguments;
mod ask;
pub mod core;
mod entry;
mod guard;
mod handle;
mod local;

pub use entry::{
    pam_sm_acct_mgmt, pam_sm_authenticate, pam_sm_close_session, pam_sm_open_session,
    pam_sm_setcred,
};
