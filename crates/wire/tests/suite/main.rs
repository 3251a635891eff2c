//! The language between hostletd and its clients, over real sockets.

mod conversation;
mod desk;
mod garbage;
mod interface;
mod interop;
mod limits;
