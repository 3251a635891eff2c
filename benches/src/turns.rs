//! Measuring several ways by turns, so that what drifts meanwhile hits all of them alike.

use anyhow::{Context, Result};

use crate::report::Row;

/// One way, and how its value is taken.
pub struct Taker<'a> {
    name: String,
    /// Taken in one round of so many.
    every: usize,
    /// Without it there is nothing to say.
    needed: bool,
    take: Box<dyn FnMut(usize) -> Result<f64> + 'a>,
}

/// A way that is taken in every round, and without which there is no figure. The closure is given the round's number.
pub fn needed<'a>(name: &str, take: impl FnMut(usize) -> Result<f64> + 'a) -> Taker<'a> {
    Taker {
        name: name.to_owned(),
        every: 1,
        needed: true,
        take: Box::new(take),
    }
}

/// A way that is taken in every round; if it fails, the figure says why.
pub fn often<'a>(name: &str, take: impl FnMut(usize) -> Result<f64> + 'a) -> Taker<'a> {
    Taker {
        needed: false,
        ..needed(name, take)
    }
}

/// A way that is taken in every fifth round; if it fails, the figure says why.
pub fn other<'a>(name: &str, take: impl FnMut(usize) -> Result<f64> + 'a) -> Taker<'a> {
    Taker {
        name: name.to_owned(),
        every: 5,
        needed: false,
        take: Box::new(take),
    }
}

/// Adds the ways to the row. Every other round goes backwards, so that each way has each other before and behind it.
pub fn by_turns(mut row: Row, rounds: usize, mut takers: Vec<Taker>) -> Result<Row> {
    let mut values = vec![Vec::with_capacity(rounds); takers.len()];
    let mut failures: Vec<Option<String>> = vec![None; takers.len()];
    for round in 0..rounds {
        let mut order: Vec<usize> = (0..takers.len()).collect();
        if round % 2 == 1 {
            order.reverse();
        }
        for at in order {
            let taker = &mut takers[at];
            let mut value = None;
            if round % taker.every == 0 && failures[at].is_none() {
                // What fails is tried once more: the machine may be busy otherwise.
                match (taker.take)(round).or_else(|_| (taker.take)(round)) {
                    Ok(taken) => value = Some(taken),
                    Err(why) if taker.needed => {
                        return Err(why).with_context(|| format!("{}: {}", row.what, taker.name));
                    }
                    Err(why) => failures[at] = Some(format!("{why:#}")),
                }
            }
            values[at].push(value);
        }
    }
    for ((taker, values), failure) in takers.iter().zip(values).zip(failures) {
        row = match failure {
            Some(why) => row.cannot(&taker.name, why),
            None => row.rounds(&taker.name, values),
        };
    }
    Ok(row)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Better;

    #[test]
    fn rounds_go_forth_and_back() -> Result<()> {
        let order = std::cell::RefCell::new(Vec::new());
        let take = |name: char| {
            let order = &order;
            move |round: usize| {
                order.borrow_mut().push((round, name));
                Ok(1.0)
            }
        };
        let row = Row::new("x", "ns", Better::Less);
        let takers = vec![
            needed("a", take('a')),
            needed("b", take('b')),
            other("c", take('c')),
        ];
        let row = by_turns(row, 6, takers)?;
        let wanted = "0a 0b 0c 1b 1a 2a 2b 3b 3a 4a 4b 5c 5b 5a";
        let order = order
            .borrow()
            .iter()
            .map(|(n, c)| format!("{n}{c}"))
            .collect::<Vec<_>>();
        assert_eq!(order.join(" "), wanted);
        let counts = row.ways.iter().map(|way| way.samples.as_ref().map(|s| s.n));
        assert_eq!(counts.collect::<Vec<_>>(), [Some(6), Some(6), Some(2)]);
        Ok(())
    }

    #[test]
    fn an_alternative_may_fail() -> Result<()> {
        let fail = |_| anyhow::bail!("no such thing here");
        let row = Row::new("x", "ns", Better::Less);
        let row = by_turns(row, 2, vec![needed("a", |_| Ok(1.0)), other("b", fail)])?;
        assert_eq!(row.ways[1].note.as_deref(), Some("no such thing here"));
        let row = Row::new("x", "ns", Better::Less);
        assert!(by_turns(row, 2, vec![needed("b", fail)]).is_err());
        Ok(())
    }
}
