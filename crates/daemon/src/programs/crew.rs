//! A few threads for what may take its time.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crate::log;

type Work = Box<dyn FnOnce() + Send>;

/// Threads that come when they are needed, up to a number, and stay.
pub(super) struct Crew {
    name: &'static str,
    most: usize,
    state: Mutex<State>,
    more: Condvar,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Work>,
    threads: usize,
    idle: usize,
    over: bool,
}

impl Crew {
    pub fn new(name: &'static str, most: usize) -> Arc<Self> {
        Arc::new(Self {
            name,
            most,
            state: Mutex::default(),
            more: Condvar::new(),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// To be done by the next who has time; after the end, by nobody.
    pub fn give(self: &Arc<Self>, work: impl FnOnce() + Send + 'static) {
        let mut state = self.state();
        if state.over {
            return;
        }
        state.queue.push_back(Box::new(work));
        if state.queue.len() <= state.idle || state.threads >= self.most {
            return self.more.notify_one();
        }
        state.threads += 1;
        drop(state);
        let own = Arc::clone(self);
        let builder = std::thread::Builder::new().name(self.name.to_owned());
        if let Err(error) = builder.spawn(move || own.work()) {
            self.state().threads -= 1;
            // Others may take it; whoever waits for it has a deadline.
            log::warn(&format!("cannot start the thread '{}': {error}", self.name));
        }
    }

    fn work(&self) {
        let mut state = self.state();
        while !state.over {
            if let Some(work) = state.queue.pop_front() {
                drop(state);
                // One that panicked has said so, and must not take the others with it.
                let _ = catch_unwind(AssertUnwindSafe(work));
                state = self.state();
                continue;
            }
            state.idle += 1;
            state = self
                .more
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
            state.idle -= 1;
        }
    }

    /// What nobody has begun is not done any more. Does not wait for what is under way.
    pub fn end(&self) {
        let mut state = self.state();
        state.over = true;
        let left = std::mem::take(&mut state.queue);
        drop(state);
        drop(left);
        self.more.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn a_panic_takes_nobody_with_it_and_no_more_work_at_a_time_than_threads() {
        let crew = Crew::new("test", 2);
        let (tell, told) = channel();
        for number in 0..20 {
            let tell = tell.clone();
            crew.give(move || {
                tell.send(number).unwrap();
                assert!(number % 2 == 0, "this panic belongs to the test");
            });
        }
        let mut all: Vec<i32> = told.iter().take(20).collect();
        all.sort_unstable();
        assert_eq!(all, (0..20).collect::<Vec<_>>());
        assert!(crew.state().threads <= 2);
        crew.end();
        crew.give(|| unreachable!("it is over"));
    }
}
