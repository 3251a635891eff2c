//! The one executor: performs a plan step by step, and takes back what it did when a step fails.

use hostlet_policy::Action;

use crate::error::{Error, Result};

/// What can perform a step.
pub(crate) trait Perform {
    /// Performs one, whole or not at all.
    fn perform(&mut self, action: &Action) -> Result<()>;
}

/// All of the plan or nothing of it.
pub(crate) fn forward(machine: &mut impl Perform, plan: &[Action]) -> Result<()> {
    for (done, action) in plan.iter().enumerate() {
        if let Err(error) = machine.perform(action) {
            return Err(take_back(machine, &plan[..done], error));
        }
    }
    Ok(())
}

/// Takes steps back, the last first, and goes on where that fails.
fn take_back(machine: &mut impl Perform, done: &[Action], error: Error) -> Error {
    let mut undo = Vec::new();
    for step in done.iter().rev().filter_map(Action::undo) {
        // The row is what the next command heals by: it stays if anything is left.
        if matches!(step, Action::Unremember { .. }) && !undo.is_empty() {
            continue;
        }
        if let Err(error) = machine.perform(&step) {
            undo.push(error);
        }
    }
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
    let mut errors = Vec::new();
    for action in plan {
        if matches!(action, Action::Unremember { .. }) && !errors.is_empty() {
            continue;
        }
        if let Err(error) = machine.perform(action) {
            errors.push(error);
        }
    }
    Error::several(errors)
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
        fn perform(&mut self, action: &Action) -> Result<()> {
            let text = action.to_string();
            if self.fails.iter().any(|f| text.starts_with(f)) {
                return Err(Error::NotRoot { what: "do that" });
            }
            self.done.push(text);
            Ok(())
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
}
