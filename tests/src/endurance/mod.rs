//! Endurance: hostlets come and go for long, and commands die at any moment; what was
//! there before is there afterwards, no more and no less, and nobody is let loose
//! meanwhile (rows A4, A12, A16, B16).

pub mod churn;
pub mod kills;
mod prober;
mod stage;
mod verb;
