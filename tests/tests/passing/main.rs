//! Sockets that are as outside although a member has them: of excluded programs (row B8), and to where none of the hostlet's
//! addresses is fit (row B10); and that this sticks to the socket (row B11). They need root.

mod excluded;
mod older;
mod stage;
mod unreachable;
