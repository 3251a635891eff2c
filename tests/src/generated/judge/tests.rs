//! What is judged of sides that answer as these tests have them answer.

use super::*;

/// Answers by what a function says of each step in a run: the step's line, the number of the run, and how long calls wait.
struct Played<F>(F, usize, u32);

impl<F: FnMut(&str, usize, u32) -> (&'static str, &'static str)> Sides for Played<F> {
    fn patience(&mut self, ms: u32) -> Result<()> {
        self.2 = ms;
        Ok(())
    }

    fn forget_neighbours(&mut self, _: bool) -> Result<()> {
        Ok(())
    }

    fn perform(&mut self, script: &Script) -> Result<Traces> {
        let lines = script.steps.iter().map(|s| &s.line);
        let both = lines.map(|line| (self.0)(line, self.1, self.2));
        let (real, hostlets): (Vec<_>, Vec<_>) = both.unzip();
        self.1 += 1;
        let owned = |all: Vec<&str>| all.into_iter().map(str::to_owned).collect();
        Ok(Traces {
            real: owned(real),
            hostlets: owned(hostlets),
        })
    }

    fn perform_real(&mut self, script: &Script) -> Result<Vec<String>> {
        Ok(self.perform(script)?.real)
    }
}

const SAME: (&str, &str) = ("ok", "ok");

fn judged(
    text: &str,
    answers: impl FnMut(&str, usize, u32) -> (&'static str, &'static str),
) -> Judged {
    judge(&mut Played(answers, 0, 0), &Script::parse(text).unwrap()).unwrap()
}

const PLAIN: &str = "in a = socket tcp4\nin bind a 10.0.0.5:80\nin listen a";

#[test]
fn what_differs_while_calls_wait_shortly_alone_is_counted() {
    let hasty = |line: &str, _, ms| match ms {
        SHORT_MS if line == "listen a" => ("ok", "ENOMEM"),
        _ => SAME,
    };
    let judged = judged(PLAIN, hasty);
    assert!(judged.differs.is_none());
    assert_eq!(judged.once, ["in listen a => ok / ENOMEM"]);
}

/// However often the others are equal, while the machine always answers alike.
#[test]
fn a_difference_of_one_run_in_three_is_one() {
    for odd in 0..3 {
        let rare = |line: &str, run: usize, _| match line {
            "listen a" if run == 0 || run % 3 == odd => ("ok", "ENOMEM"),
            _ => SAME,
        };
        let judged = judged(PLAIN, rare);
        assert!(judged.differs.is_some(), "{odd}");
        assert_eq!(judged.voids, 0);
    }
}

/// But what the hostlet answers has to be among what the machine does.
#[test]
fn what_machines_answer_now_so_now_otherwise_is_void() {
    let moody = |hostlet: &'static str| {
        move |line: &str, run: usize, _| match line {
            "listen a" if run.is_multiple_of(2) => ("ok", hostlet),
            "listen a" => ("EADDRINUSE", hostlet),
            _ => SAME,
        }
    };
    let void = judged(PLAIN, moody("EADDRINUSE"));
    assert!(void.differs.is_none());
    assert_eq!(void.voids, 1);
    let other = judged(PLAIN, moody("EACCES"));
    assert!(other.differs.is_some());
    assert_eq!(other.voids, 0);
}

/// And steps of what a step was to make that shows one are counted.
#[test]
fn a_known_difference_hides_no_other() {
    let text = "host h = socket udp4\nhost bind h 0.0.0.0:53\nin a = socket udp4\nin bind a 0.0.0.0:53\n\
                in b = accept a\nin name b\nin c = socket udp4\nin bind c 10.0.0.5:54";
    let two = |last: &'static str| {
        move |line: &str, _, _| match line {
            "bind a 0.0.0.0:53" => ("ok", "EADDRINUSE"),
            "bind c 10.0.0.5:54" => ("ok", last),
            _ => SAME,
        }
    };
    let known = judged(text, two("ok"));
    assert!(known.differs.is_none());
    assert_eq!(Vec::from_iter(known.known), ["udp-host-port"]);
    assert_eq!(known.uncompared, 0);
    let hidden = judged(text, two("ENOMEM"));
    let (script, traces) = hidden.differs.expect("the second is none that is known");
    assert_eq!(script.steps.len(), 7);
    assert_eq!(first(&traces), Some(6));
}
