//! What all of the kernel's processes notice of hostlet, in other network namespaces as well: the same calls on a machine without
//! hostlets, while there is no kernel part and while there is one.

use anyhow::{Context, Result};

use crate::beside::{Beside, Side};
use crate::report::{Better, Bound, Row};
use crate::stage::Stage;

/// These loops, by turns: without a hostlet on the stage, with one, and without again.
pub fn rows(stage: &Stage, calls: &[(&'static str, [&str; 3])]) -> Result<Vec<Row>> {
    let beside = Beside::of(stage)?;
    let _sink = beside.start(Side::PlainClient, &["accept", "[::]:7000"])?;
    let mut shares = vec![Vec::new(); calls.len()];
    let once = || {
        let each = calls
            .iter()
            .map(|(what, words)| beside.work(Side::Plain, words).context(*what));
        each.collect::<Result<Vec<f64>>>()
    };
    for _ in 0..stage.rounds(12) {
        let before = once()?;
        // The first hostlet brings the kernel part, and the last one takes it away.
        stage.hostlet(&["create", "only", "--address", "192.0.2.51"])?;
        let with = once().and_then(|first| Ok((first, once()?)));
        stage.hostlet(&["remove", "only"])?;
        let ((first, second), after) = (with?, once()?);
        for (at, shares) in shares.iter_mut().enumerate() {
            shares.push((first[at] + second[at]) / (before[at] + after[at]));
        }
    }
    let row = |((what, words), shares): (&(&str, [&str; 3]), Vec<f64>)| {
        let what = format!("{what} on a machine beside, of without any hostlet");
        Row::new(what, "×", Better::Less)
            .command(format!("hostlet-bench work {}", words.join(" ")))
            .way("one hostlet", shares)
            .goal("one hostlet", Bound::AtMost(1.01))
    };
    Ok(calls.iter().zip(shares).map(row).collect())
}
