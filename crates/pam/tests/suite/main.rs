//! The PAM module: its core against servers that fail in ways in which the real one cannot be made to fail, and the module itself in
//! real programs. They need root.

mod faults;
mod hostletd;
mod programs;
mod stage;
