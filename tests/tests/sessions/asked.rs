//! A14, B1, B3, B9: what PAM can ask of hostletd at its worst moments: too late, from within somebody's session, while others go, or while
//! hostletd dies. The tests speak Varlink themselves, as root, as the module does.

mod asker;
mod once;
mod scopes;
mod together;
