//! The one executor: performs a plan step by step, and takes back what it did when a step fails.

use hostlet_policy::Action;

use crate::error::{Error, Result};

/// What can perform a step.
pub(crate) trait Perform {
    /// Performs the first of these steps, whole or not at all, and those of its kind right after it that can be done with it in one
    /// go. So many were done; an error is of the one behind them.
    fn perform(&mut self, actions: &[Action]) -> (usize, Result<()>);

    /// What is performed from now on is written down together, if it is written down at all.
    fn begin_together(&mut self) -> Result<()>;

    /// Ends that; if it fails, nothing of it was written down.
    fn end_together(&mut self) -> Result<()>;
}

/// All of the plan or nothing of it.
pub(crate) fn forward(machine: &mut impl Perform, plan: &[Action]) -> Result<()> {
    let mut done = 0;
    while done < plan.len() {
        let (count, outcome) = machine.perform(&plan[done..]);
        done += count;
        if let Err(error) = outcome {
            return Err(take_back(machine, &plan[..done], error));
        }
    }
    Ok(())
}

/// Takes steps back, the last first, and goes on where that fails.
pub(crate) fn take_back(machine: &mut impl Perform, done: &[Action], error: Error) -> Error {
    let steps: Vec<Action> = done.iter().rev().filter_map(Action::undo).collect();
    // A step may have left something by itself.
    let (error, left) = match error {
        Error::HalfUndone { error, undo } => (*error, undo),
        error => (error, Vec::new()),
    };
    let undo = try_all(machine, &steps, left);
    if undo.is_empty() {
        error
    } else {
        Error::HalfUndone {
            error: Box::new(error),
            undo,
        }
    }
}

/// A teardown: every step is tried, every error given back. What is still there
/// stays remembered, so that the next command goes on with it.
pub(crate) fn onward(machine: &mut impl Perform, plan: &[Action]) -> Result<()> {
    Error::several(try_all(machine, plan, Vec::new()))
}

/// The errors, with those that there were before.
fn try_all(machine: &mut impl Perform, plan: &[Action], mut errors: Vec<Error>) -> Vec<Error> {
    let mut left = plan;
    while let Some((first, rest)) = left.split_first() {
        // The row is what the next command heals by: it stays if anything is left.
        if matches!(first, Action::Unremember { .. }) && !errors.is_empty() {
            left = rest;
            continue;
        }
        let (count, outcome) = machine.perform(left);
        left = &left[count..];
        if let Err(error) = outcome {
            errors.push(error);
            left = &left[1..];
        }
    }
    errors
}

/// What is done with a plan of which a step failed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// It is taken back, as by [`forward`].
    Forward,
    /// It goes on, as by [`onward`].
    Onward,
}

/// Performs many plans, each of which makes or removes a hostlet, side by side: what costs as much for one as for many (a
/// transaction, a look at all sockets, a walk through whole tables) is done once. What failed, with the number of its plan.
///
/// # Errors
/// Nothing more can be written down. What was begun is healed by the next command.
pub(crate) fn all_beside(
    machine: &mut impl Perform,
    plans: &[&[Action]],
    way: Way,
) -> Result<Vec<(usize, Error)>> {
    // Most commands find nothing to heal. Then nothing is written: whoever joins a hostlet does not wait for the store.
    if plans.is_empty() {
        return Ok(Vec::new());
    }
    let mut left = plans.to_vec();
    let mut errors: Vec<(usize, Error)> = Vec::new();
    for now in REMEMBERED..=WHOLE {
        let together = now == REMEMBERED || now == WHOLE;
        if together {
            machine.begin_together()?;
        }
        for (number, left) in left.iter_mut().enumerate() {
            loop {
                let due = left.iter().take_while(|action| stage(action) <= now);
                let due = &left[..due.count()];
                let Some(first) = due.first() else { break };
                let failed = || errors.iter().any(|(of, _)| *of == number);
                if matches!(first, Action::Unremember { .. }) && failed() {
                    *left = &left[1..];
                    continue;
                }
                let (count, outcome) = machine.perform(due);
                *left = &left[count..];
                let Err(error) = outcome else { continue };
                let error = match way {
                    Way::Onward => {
                        *left = &left[1..];
                        error
                    }
                    Way::Forward => {
                        let done = plans[number].len() - left.len();
                        *left = &[];
                        take_back(machine, &plans[number][..done], error)
                    }
                };
                errors.push((number, error));
            }
        }
        if together {
            machine.end_together()?;
        }
    }
    Ok(errors)
}

/// The first and the last stage, of which only the store knows.
const REMEMBERED: u8 = 0;
const WHOLE: u8 = 6;

/// A step's place among those of other plans. The steps of each plan keep their order.
fn stage(action: &Action) -> u8 {
    match action {
        Action::Remember(_) | Action::MarkRemoving { .. } => REMEMBERED,
        Action::Close { .. } | Action::KillMembers { .. } => 1,
        Action::DestroySockets { .. } => 2,
        Action::Forget { .. } => 4,
        Action::DelAddress { .. } | Action::DelLocalPrefix { .. } | Action::DelLoopback6 { .. } => {
            5
        }
        Action::MarkLive { .. } | Action::Unremember { .. } => WHOLE,
        _ => 3,
    }
}

#[cfg(test)]
mod tests {
    use hostlet_model::HostletId;

    use super::*;

    /// Writes down what it is told, and fails at what it is told to fail at.
    #[derive(Default)]
    struct Fake {
        done: Vec<String>,
        fails: Vec<&'static str>,
    }

    impl Perform for Fake {
        fn begin_together(&mut self) -> Result<()> {
            self.done.push("together".to_owned());
            Ok(())
        }

        fn end_together(&mut self) -> Result<()> {
            self.done.push("written".to_owned());
            Ok(())
        }

        fn perform(&mut self, actions: &[Action]) -> (usize, Result<()>) {
            let like = |a: &&Action| matches!(a, Action::AddLoopback6 { .. });
            let alike = actions.iter().take_while(like).count().max(1);
            for (done, action) in actions[..alike].iter().enumerate() {
                let text = action.to_string();
                if self.fails.iter().any(|f| text.starts_with(f)) {
                    return (done, Err(Error::NotRoot { what: "do that" }));
                }
                self.done.push(text);
            }
            (alike, Ok(()))
        }
    }

    fn plan() -> Vec<Action> {
        let name: hostlet_model::Name = "web".parse().unwrap();
        let prefix = "10.9.0.0/24".parse().unwrap();
        vec![
            Action::MakeCgroup { name: name.clone() },
            Action::Attach { name: name.clone() },
            Action::AddLocalPrefix { prefix },
            Action::AddLoopback6 { id: HostletId(1) },
            Action::MarkLive { name },
        ]
    }

    #[test]
    fn all_of_it() {
        let mut fake = Fake::default();
        forward(&mut fake, &plan()).unwrap();
        assert_eq!(fake.done.len(), 5);
    }

    #[test]
    fn or_nothing() {
        let mut fake = Fake {
            fails: vec!["add loopback"],
            ..Fake::default()
        };
        let error = forward(&mut fake, &plan()).unwrap_err();
        assert!(matches!(error, Error::NotRoot { .. }));
        assert_eq!(
            fake.done[3..],
            [
                "remove the local route for 10.9.0.0/24".to_owned(),
                "remove cgroup web".to_owned()
            ]
        );
    }

    #[test]
    fn of_steps_that_are_done_in_one_go_those_before_the_failure_are_taken_back() {
        let plan: Vec<Action> = (1..4)
            .map(|id| Action::AddLoopback6 { id: HostletId(id) })
            .collect();
        let mut fake = Fake {
            fails: vec!["add loopback fd68:6f73:746c:7400::3"],
            ..Fake::default()
        };
        assert!(matches!(
            forward(&mut fake, &plan),
            Err(Error::NotRoot { .. })
        ));
        let undone = |id| format!("remove loopback fd68:6f73:746c:7400::{id} from lo");
        assert_eq!(fake.done[2..], [undone(2), undone(1)]);
        let mut fake = Fake {
            fails: vec!["add loopback fd68:6f73:746c:7400::2"],
            ..Fake::default()
        };
        assert!(onward(&mut fake, &plan).is_err());
        assert_eq!(fake.done.len(), 2);
    }

    #[test]
    fn taking_back_goes_on_and_tells() {
        let mut fake = Fake {
            fails: vec!["mark", "remove the local"],
            ..Fake::default()
        };
        let Err(Error::HalfUndone { undo, .. }) = forward(&mut fake, &plan()) else {
            panic!()
        };
        assert_eq!(undo.len(), 1);
        assert_eq!(fake.done.last().unwrap(), "remove cgroup web");
    }

    /// Fails at its second step, and leaves something of it.
    struct Leaves(Vec<String>);

    impl Perform for Leaves {
        fn begin_together(&mut self) -> Result<()> {
            Ok(())
        }

        fn end_together(&mut self) -> Result<()> {
            Ok(())
        }

        fn perform(&mut self, actions: &[Action]) -> (usize, Result<()>) {
            self.0.push(actions[0].to_string());
            if self.0.len() != 2 {
                return (1, Ok(()));
            }
            let error = || Error::NotRoot { what: "do that" };
            let left = Error::HalfUndone {
                error: Box::new(error()),
                undo: vec![error()],
            };
            (0, Err(left))
        }
    }

    #[test]
    fn the_row_stays_where_a_step_leaves_something() {
        let plan = [
            Action::Unremember {
                name: "web".parse().unwrap(),
            },
            Action::AddLoopback6 { id: HostletId(1) },
        ];
        let mut steps = Leaves(Vec::new());
        let error = Error::HalfUndone {
            error: Box::new(Error::NotRoot { what: "do that" }),
            undo: vec![Error::NotRoot { what: "do that" }],
        };
        let kept = try_all(&mut steps, &plan[..1], vec![error]);
        assert!(kept.len() == 1 && steps.0.is_empty());
        let plan: Vec<Action> = (1..3)
            .map(|id| Action::AddLoopback6 { id: HostletId(id) })
            .collect();
        let Err(Error::HalfUndone { error, undo }) = forward(&mut steps, &plan) else {
            panic!()
        };
        assert!(matches!(*error, Error::NotRoot { .. }) && undo.len() == 1);
        assert_eq!(steps.0.len(), 3);
    }

    #[test]
    fn a_teardown_goes_on_and_forgets_only_what_is_gone() {
        let name: hostlet_model::Name = "web".parse().unwrap();
        let plan = [
            Action::DelLoopback6 { id: HostletId(1) },
            Action::RemoveCgroup { name: name.clone() },
            Action::Unremember { name },
        ];
        let mut fake = Fake {
            fails: vec!["remove loopback"],
            ..Fake::default()
        };
        assert!(onward(&mut fake, &plan).is_err());
        assert_eq!(fake.done, ["remove cgroup web"]);
        let mut fake = Fake::default();
        onward(&mut fake, &plan).unwrap();
        assert_eq!(fake.done.len(), 3);
    }

    fn removal(name: &str) -> Vec<Action> {
        let name = || -> hostlet_model::Name { name.parse().unwrap() };
        vec![
            Action::MarkRemoving { name: name() },
            Action::RemoveCgroup { name: name() },
            Action::Forget { id: HostletId(1) },
            Action::DelLoopback6 { id: HostletId(1) },
            Action::Unremember { name: name() },
        ]
    }

    #[test]
    fn side_by_side_each_kind_of_step_is_done_for_all() {
        let (a, b) = (removal("a"), removal("b"));
        let mut fake = Fake {
            fails: vec!["remove cgroup a"],
            ..Fake::default()
        };
        let errors = all_beside(&mut fake, &[&a, &b], Way::Onward).unwrap();
        assert!(matches!(errors[..], [(0, Error::NotRoot { .. })]));
        assert_eq!(
            fake.done,
            [
                "together",
                "mark a as being removed",
                "mark b as being removed",
                "written",
                "remove cgroup b",
                "clear the kernel tables of hostlet 1",
                "clear the kernel tables of hostlet 1",
                "remove loopback fd68:6f73:746c:7400::1 from lo",
                "remove loopback fd68:6f73:746c:7400::1 from lo",
                "together",
                "forget the definition of b",
                "written",
            ]
        );
    }

    #[test]
    fn nothing_to_do_writes_nothing_down() {
        let mut fake = Fake::default();
        all_beside(&mut fake, &[], Way::Onward).unwrap();
        assert!(fake.done.is_empty(), "{:?}", fake.done);
    }

    #[test]
    fn side_by_side_only_what_failed_is_taken_back() {
        let plan = |name: &str| -> Vec<Action> {
            let name = || -> hostlet_model::Name { name.parse().unwrap() };
            vec![
                Action::MakeCgroup { name: name() },
                Action::Attach { name: name() },
                Action::MarkLive { name: name() },
            ]
        };
        let (a, b) = (plan("a"), plan("b"));
        let mut fake = Fake {
            fails: vec!["attach the kernel programs to cgroup a"],
            ..Fake::default()
        };
        let errors = all_beside(&mut fake, &[&a, &b], Way::Forward).unwrap();
        assert!(matches!(errors[..], [(0, Error::NotRoot { .. })]));
        assert_eq!(
            fake.done,
            [
                "together",
                "written",
                "make cgroup a",
                "remove cgroup a",
                "make cgroup b",
                "attach the kernel programs to cgroup b",
                "together",
                "mark b as live",
                "written",
            ]
        );
    }
}
