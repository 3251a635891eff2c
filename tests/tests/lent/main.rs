//! Hostlets as hostletd makes them: of addresses that are lent, and in others' names. They need root.

mod killed;
mod life;
mod lost;
mod many;
mod names;
mod placed;
mod scopes;
mod stage;
