//! What the fuzz targets do with an input. A test of the workspace includes this as a module and replays what was kept: so nothing here
//! names the crate.

pub mod answers;
pub mod config;
pub mod dhcp4;
pub mod dhcp6;
pub mod frames;
pub mod local;
pub mod modules;
mod steps;
pub mod varlink;
pub mod words;
