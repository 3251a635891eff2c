//! A13, B2: programs that rules list start in hostlets of their own, whoever starts them and however. They need root.

mod faults;
mod hangs;
mod stage;
mod starts;
