//! Pure decisions: what to do, who may, which address, and why. No I/O, no clock.
//!
//! The engine observes the machine ([`Observed`]), asks for a plan ([`plan_create`] and its siblings), and performs the [`Action`]s
//! that come back, one by one; when one fails it performs the [`Action::undo`] of those before it, backwards. What the kernel tables
//! are to hold is a function of the set alone: [`kernel_view`]. [`explain`] says what the kernel programs make of a call.

mod access;
mod action;
mod apply;
mod explain;
mod lend;
mod observed;
mod place;
mod plan;
mod refusal;
pub mod rules;
mod source;
mod step;
mod view;

pub use access::{Caller, may};
pub use action::{Action, Definition, OwnFlags};
pub use apply::{Change, What, plan_apply};
pub use explain::{
    Call, Explanation, Network, Proto, Verdict, explain, held_by_host, within_groups,
    without_address,
};
pub use lend::{plan_fall_back, plan_replace};
pub use observed::{Existing, HostAddress, IdRange, Interface, Observed, Owners};
pub use plan::{
    Plan, Renewal, plan_create, plan_grant, plan_lend, plan_remove, plan_restore, plan_revoke,
    plan_settle, plan_update, reachable_services,
};
pub use refusal::{Refusal, inhabited};
pub use source::{Route, Source, SourceRule, Unfit, choose_source, unfit};
pub use view::{KernelView, OnLink, SourceList, kernel_view};
