//! Threads for what may take its time, or for ever.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound::{Excluded, Unbounded};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crate::log;

type Work = Box<dyn FnOnce() + Send>;

/// How much may wait for one user. What is above that is forgotten, the oldest first: nobody waits for that any more.
const QUEUE: usize = 2048;

/// Threads that come when they are needed, up to a number, and stay. Each user has only some of them at a time: what hangs on a
/// file system of his takes those, and the others have the rest. Users take turns.
pub(super) struct Crew {
    name: &'static str,
    most: usize,
    each: usize,
    state: Mutex<State>,
    more: Condvar,
}

#[derive(Default)]
struct State {
    users: BTreeMap<u32, Queue>,
    /// Who was served last.
    turn: u32,
    threads: usize,
    idle: usize,
    over: bool,
}

#[derive(Default)]
struct Queue {
    work: VecDeque<Work>,
    busy: usize,
}

impl State {
    /// The next that may be done, of the next user in turn.
    fn next(&mut self, each: usize) -> Option<(u32, Work)> {
        let later = self.users.range((Excluded(self.turn), Unbounded));
        let mut all = later.chain(self.users.range(..=self.turn));
        let free = |(_, q): &(&u32, &Queue)| q.busy < each && !q.work.is_empty();
        let user = *all.find(free)?.0;
        let queue = self.users.get_mut(&user)?;
        let work = queue.work.pop_front()?;
        queue.busy += 1;
        self.turn = user;
        Some((user, work))
    }

    fn done(&mut self, user: u32) {
        if let Some(queue) = self.users.get_mut(&user) {
            queue.busy -= 1;
            if queue.busy == 0 && queue.work.is_empty() {
                self.users.remove(&user);
            }
        }
    }

    /// How much could be done at once.
    fn ready(&self, each: usize) -> usize {
        let of = |q: &Queue| q.work.len().min(each.saturating_sub(q.busy));
        self.users.values().map(of).sum()
    }
}

impl Crew {
    /// With so many threads at most, and so many for each user.
    pub fn new(name: &'static str, (most, each): (usize, usize)) -> Arc<Self> {
        Arc::new(Self {
            name,
            most,
            each,
            state: Mutex::default(),
            more: Condvar::new(),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// To be done by the next who has time, on behalf of this user; after the end, by nobody.
    pub fn give(self: &Arc<Self>, user: u32, work: impl FnOnce() + Send + 'static) {
        let mut state = self.state();
        if state.over {
            return;
        }
        let queue = state.users.entry(user).or_default();
        let forgotten = match queue.work.len() < QUEUE {
            true => None,
            false => queue.work.pop_front(),
        };
        queue.work.push_back(Box::new(work));
        if queue.busy > 0 && queue.busy + queue.work.len() > self.each {
            // Whoever is done with something of his goes on with it.
            drop(state);
            return drop(forgotten);
        }
        if state.ready(self.each) <= state.idle || state.threads >= self.most {
            drop(state);
            return self.more.notify_one();
        }
        state.threads += 1;
        drop(state);
        drop(forgotten);
        let own = Arc::clone(self);
        let builder = std::thread::Builder::new().name(self.name.to_owned());
        if let Err(error) = builder.spawn(move || own.work()) {
            self.state().threads -= 1;
            // Others may take it; whoever waits for it has a deadline.
            log::warn(&format!("cannot start the thread '{}': {error}", self.name));
        }
    }

    /// The same, if something of the user's could be begun at once. Says whether.
    pub fn give_if_free(self: &Arc<Self>, user: u32, work: impl FnOnce() + Send + 'static) -> bool {
        let state = self.state();
        let taken = state.users.get(&user);
        let free = taken.is_none_or(|q| q.busy + q.work.len() < self.each);
        drop(state);
        if free {
            self.give(user, work);
        }
        free
    }

    fn work(&self) {
        let mut state = self.state();
        while !state.over {
            if let Some((user, work)) = state.next(self.each) {
                drop(state);
                // One that panicked has said so, and must not take the others with it.
                let _ = catch_unwind(AssertUnwindSafe(work));
                state = self.state();
                state.done(user);
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
        let left: Vec<Queue> = std::mem::take(&mut state.users).into_values().collect();
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
        let crew = Crew::new("test", (2, 2));
        let (tell, told) = channel();
        for number in 0..20 {
            let tell = tell.clone();
            crew.give(7, move || {
                tell.send(number).unwrap();
                assert!(number % 2 == 0, "this panic belongs to the test");
            });
        }
        let mut all: Vec<i32> = told.iter().take(20).collect();
        all.sort_unstable();
        assert_eq!(all, (0..20).collect::<Vec<_>>());
        assert!(crew.state().threads <= 2);
        crew.end();
        crew.give(7, || unreachable!("it is over"));
    }

    #[test]
    fn one_whose_work_hangs_takes_his_share_and_no_more() {
        let crew = Crew::new("test", (4, 2));
        let (go_on, wait) = channel::<()>();
        let wait = Arc::new(Mutex::new(wait));
        let (tell, told) = channel();
        for _ in 0..QUEUE + 10 {
            let (wait, tell) = (Arc::clone(&wait), tell.clone());
            crew.give(7, move || {
                let _ = wait.lock().unwrap().recv();
                tell.send(7).unwrap();
            });
        }
        assert!(!crew.give_if_free(7, || unreachable!("it is not free")));
        for user in 8..40 {
            let tell = tell.clone();
            crew.give(user, move || tell.send(user).unwrap());
        }
        let mut all: Vec<u32> = told.iter().take(32).collect();
        all.sort_unstable();
        assert_eq!(all, (8..40).collect::<Vec<_>>());
        drop(go_on);
        // His are done too: those that hung, and those that were not forgotten.
        assert!(told.iter().take(QUEUE).all(|user| user == 7));
        crew.end();
    }
}
