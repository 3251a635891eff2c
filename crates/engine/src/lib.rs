//! Observe, decide, act: the one executor of hostlet's decisions.
