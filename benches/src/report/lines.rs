//! A panel with a line over numbers: hostlet's, and that of what the kernel takes.

use super::interval::Samples;
use super::plot::{headline, mark, shown, unit};
use super::print::number;
use super::row::{Against, IDLE, KERNELS_PART, Row, Way};
use super::scale::Scale;
use super::svg::{Anchor, Svg};

/// Whether a row has a line: more than one place of it.
pub fn is_line(row: &Row) -> bool {
    places(row).count() > 1
}

fn places(row: &Row) -> impl Iterator<Item = f64> {
    let ours = row.ways.iter().filter(|way| !way.is_kernels());
    ours.filter_map(|way| way.at)
}

/// One row over the numbers that its ways are at; where it ends.
pub fn line(svg: &mut Svg, row: &Row, (left, right): (f64, f64), top: f64) -> f64 {
    headline(svg, row, left, top);
    let share = matches!(row.baseline, Some((_, Against::Share)));
    let about = match &row.baseline {
        Some((base, Against::Share)) => format!("times what it is with {base}; less is better"),
        _ => format!("{}; less is better", unit(row)),
    };
    svg.text(left, top + 31.0, Anchor::Start, "faint", 11, &about);
    let samples = |way| Some((way, shown(row, way, share)?));
    let measured: Vec<(&Way, Samples)> = row.ways.iter().filter_map(samples).collect();
    let parts = measured.iter().any(|(way, _)| way.is_kernels());
    let up = top + if parts { 66.0 } else { 50.0 };
    let down = up + 88.0;
    let across = Scale::logarithmic(
        (left + 76.0, right - 72.0),
        places(row).fold(f64::MAX, f64::min),
        places(row).fold(0.0, f64::max),
    );
    let height = upwards(row, &measured, (down, up), share || row.unit == "×");
    for tick in height.ticks() {
        let y = height.at(tick);
        svg.line((left + 48.0, y), (right - 4.0, y), "grid");
        let text = number(tick);
        svg.text(left + 42.0, y + 3.0, Anchor::End, "faint", 10, &text);
    }
    if let Some(goal) = row.goals.first().map(|goal| goal.bound) {
        let y = height.at(goal.value());
        svg.line((left + 48.0, y), (right - 4.0, y), "goal");
        let text = format!("goal {}", goal.text());
        svg.text(right - 4.0, top + 31.0, Anchor::End, "goaltext", 10, &text);
    }
    for place in places(row) {
        let (x, text) = (across.at(place), number(place));
        svg.text(x, down + 14.0, Anchor::Middle, "faint", 10, &text);
    }
    let (mut ours, mut labels) = (Vec::new(), Vec::new());
    let mut kernels = Vec::new();
    for (way, samples) in &measured {
        let y = height.at(samples.median);
        // The one of all numbers goes from side to side.
        let Some(at) = way.at else {
            kernels = vec![(left + 48.0, y), (right - 4.0, y)];
            continue;
        };
        let x = across.at(at);
        let class = if way.is_kernels() { "part" } else { "hostlet" };
        let interval = (height.at(samples.low), height.at(samples.high));
        svg.line((x, interval.0), (x, interval.1), "whisker");
        svg.dot(x, y, class);
        // Hostlet's above its point, the kernel's below.
        let (colour, below) = if way.is_kernels() {
            ("faint halo", 14.0)
        } else {
            ("ink halo", -6.0)
        };
        let text = format!("{}{}", number(samples.median), mark(row, way));
        labels.push((x + 7.0, y + below, colour, text));
        match way.is_kernels() {
            true => kernels.push((x, y)),
            false => ours.push((x, y)),
        }
    }
    svg.path(&ours, "line");
    svg.path(&kernels, "partline");
    for (x, mut y, colour, text) in labels {
        // Below a line that goes up from there, if nothing else is there.
        let next = ours.iter().find(|(next, _)| *next > x);
        if !parts && next.is_some_and(|(_, next)| *next < y + 6.0) {
            y += 20.0;
        }
        svg.text(x, y, Anchor::Start, colour, 11, &text);
    }
    if parts {
        legend(svg, &measured, left, top + 48.0);
    }
    down + 18.0
}

/// What the two lines are.
fn legend(svg: &mut Svg, measured: &[(&Way, Samples)], left: f64, y: f64) {
    let idle = measured.iter().find(|(way, _)| way.name == IDLE);
    let part = match idle {
        Some((_, samples)) => format!("{IDLE}: {}", number(samples.median)),
        None => KERNELS_PART.to_owned(),
    };
    svg.path(&[(left, y - 4.0), (left + 22.0, y - 4.0)], "line");
    svg.text(left + 28.0, y, Anchor::Start, "faint", 11, "hostlet");
    svg.path(
        &[(left + 80.0, y - 4.0), (left + 102.0, y - 4.0)],
        "partline",
    );
    svg.text(left + 108.0, y, Anchor::Start, "faint", 11, &part);
}

/// Shares around 1, so that one sees how they differ; all else from zero, or in its logarithm if values are far from each other.
fn upwards(row: &Row, measured: &[(&Way, Samples)], space: (f64, f64), shares: bool) -> Scale {
    let medians = || measured.iter().map(|(_, samples)| samples.median);
    let goals = || row.goals.iter().map(|goal| goal.bound.value());
    let smallest = medians().chain(goals()).filter(|v| *v > 0.0);
    let smallest = smallest.fold(f64::MAX, f64::min);
    let largest = medians().chain(goals()).fold(0.0, f64::max);
    if shares {
        let low = measured.iter().map(|(_, s)| s.low.max(s.median - 0.1));
        let high = measured.iter().map(|(_, s)| s.high.min(s.median + 0.1));
        let (low, high) = (low.fold(0.92, f64::min), high.fold(1.08, f64::max));
        return Scale::linear(space, low.min(smallest), high.max(largest));
    }
    let high = measured.iter().map(|(_, samples)| samples.high);
    let high = high.fold(largest, f64::max).min(largest * 2.0);
    match largest > 5.0 * smallest {
        true => Scale::logarithmic(space, smallest / 2.0, high),
        false => Scale::linear(space, 0.0, high),
    }
}
