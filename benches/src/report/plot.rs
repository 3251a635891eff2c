//! What a section looks like: for each of its rows a panel with a bar for each way, or with a line.

use super::interval::Samples;
use super::lines::{is_line, line};
use super::print::number;
use super::row::{Against, Better, Row, Verdict, Way};
use super::scale::Scale;
use super::svg::{Anchor, Svg};
use super::{Plot, Section};

const WIDTH: f64 = 900.0;
const MARGIN: f64 = 16.0;
/// Room for the names of ways.
const NAMES: f64 = 152.0;
/// Room for the column of numbers.
const NUMBERS: f64 = 62.0;
const BAR: f64 = 13.0;
const STEP: f64 = 19.0;

/// Its plot, if it has one.
pub fn draw(section: &Section) -> Option<String> {
    let drawn: Vec<&Row> = section
        .rows
        .iter()
        .filter(|row| !row.ways.is_empty() && !row.told_only)
        .collect();
    if drawn.is_empty() {
        return None;
    }
    match section.plot {
        Plot::None => None,
        Plot::Shares | Plot::Values | Plot::Lines => Some(panels(section, drawn)),
    }
}

fn panels(section: &Section, mut rows: Vec<&Row>) -> String {
    // What has a line first.
    rows.sort_by_key(|row| !(section.plot == Plot::Lines && is_line(row)));
    let mut svg = Svg::new(WIDTH, &section.title);
    let panel = (WIDTH - 3.0 * MARGIN) / 2.0;
    let mut top = MARGIN;
    for pair in rows.chunks(2) {
        let mut bottom = top;
        for (at, row) in pair.iter().enumerate() {
            let left = MARGIN + at as f64 * (panel + MARGIN);
            let end = match section.plot == Plot::Lines && is_line(row) {
                true => line(&mut svg, row, (left, left + panel), top),
                false => Panel::of(section.plot, row, left, top, panel).draw(&mut svg),
            };
            bottom = bottom.max(end);
        }
        top = bottom + MARGIN;
    }
    let pale = match rows.iter().flat_map(|row| &row.ways).any(Way::is_kernels) {
        true => " · faint blue: the kernel's own part",
        false => "",
    };
    let across = match section.plot {
        Plot::Lines => " · across: how many there are",
        _ => "",
    };
    let key = format!(
        "thin line: the interval of the median{pale}{across} · goals: ✓ met, ≈ missed by less than the noise, ✗ missed"
    );
    svg.text(MARGIN, top + 4.0, Anchor::Start, "faint", 11, &key);
    svg.finish(top + MARGIN)
}

/// What its values are of.
pub fn unit(row: &Row) -> String {
    match row.unit.as_str() {
        "1/s" => "a second".to_owned(),
        "×" => "times what it takes without hostlets".to_owned(),
        unit => unit.to_owned(),
    }
}

/// What a row is about, in a size that fits.
pub fn headline(svg: &mut Svg, row: &Row, left: f64, top: f64) {
    let size = if row.what.chars().count() > 52 {
        12
    } else {
        14
    };
    svg.text(left, top + 14.0, Anchor::Start, "ink", size, &row.what);
}

/// The bars of one row.
struct Panel<'a> {
    row: &'a Row,
    shares: bool,
    left: f64,
    right: f64,
    top: f64,
    /// Of a value on the scale: from and to, in its logarithm if values are far from each other.
    scale: Scale,
}

impl<'a> Panel<'a> {
    fn of(plot: Plot, row: &'a Row, left: f64, top: f64, width: f64) -> Self {
        let share = matches!(row.baseline, Some((_, Against::Share)));
        let shares = plot == Plot::Shares && share;
        let all = row.ways.iter().filter_map(|way| shown(row, way, shares));
        let all: Vec<Samples> = all.collect();
        let medians = || all.iter().map(|samples| samples.median);
        let smallest = medians().filter(|v| *v > 0.0).fold(f64::MAX, f64::min);
        // Intervals do not make it longer than twice what they are of.
        let longest = medians().fold(0.0, f64::max);
        let highest = all.iter().map(|samples| samples.high).fold(0.0, f64::max);
        let goal = row
            .goals
            .first()
            .filter(|_| shares || row.baseline.is_none());
        let goal = goal.map_or(0.0, |goal| goal.bound.value() * 1.05);
        let largest = highest.clamp(longest, longest * 2.0).max(goal);
        let space = (left + NAMES, left + width - NUMBERS);
        let scale = if shares {
            let most = if row.better == Better::More { 1.3 } else { 3.0 };
            Scale::linear(space, 0.0, largest.clamp(1.1, most))
        } else if largest > 50.0 * smallest {
            Scale::logarithmic(space, smallest / 2.0, largest)
        } else {
            Scale::linear(space, 0.0, largest)
        };
        Self {
            row,
            shares,
            left,
            right: left + width,
            top,
            scale,
        }
    }

    fn draw(&self, svg: &mut Svg) -> f64 {
        let row = self.row;
        headline(svg, row, self.left, self.top);
        let better = match row.better {
            Better::More => "more is better",
            Better::Less => "less is better",
        };
        let base = row.baseline.as_ref().filter(|_| self.shares);
        let of = base.and_then(|(base, _)| {
            let samples = row
                .ways
                .iter()
                .find(|way| way.name == *base)?
                .samples
                .as_ref()?;
            Some(format!(
                "share of {base}, {} {}",
                number(samples.median),
                unit(row)
            ))
        });
        let axis = format!("{}; {better}", of.unwrap_or_else(|| unit(row)));
        svg.text(
            self.left,
            self.top + 31.0,
            Anchor::Start,
            "faint",
            11,
            &axis,
        );
        let first = self.top + 42.0;
        let last = first + row.ways.len() as f64 * STEP;
        for tick in self.scale.ticks() {
            let x = self.scale.at(tick);
            svg.line((x, first), (x, last), "grid");
            svg.text(x, last + 12.0, Anchor::Middle, "faint", 10, &number(tick));
        }
        for (at, way) in row.ways.iter().enumerate() {
            self.bar(svg, first + at as f64 * STEP, way);
        }
        let about_shown = self.shares || row.baseline.is_none();
        // Of what the bars show, where all goals are one.
        if let Some(goal) = row.goals.first().filter(|_| about_shown) {
            let x = self.scale.at(goal.bound.value());
            svg.line((x, first - 3.0), (x, last), "goal");
            let text = format!("goal {}", goal.bound.text());
            let (x, y) = (self.right - 4.0, self.top + 31.0);
            svg.text(x, y, Anchor::End, "goaltext", 10, &text);
        }
        last + 16.0
    }

    fn bar(&self, svg: &mut Svg, y: f64, way: &Way) {
        let middle = y + 11.0;
        svg.text(
            self.left + NAMES - 6.0,
            middle + 2.0,
            Anchor::End,
            "ink",
            11,
            &way.name,
        );
        let from = self.scale.space.0;
        let Some(samples) = shown(self.row, way, self.shares) else {
            let why = if way.samples.is_some() { "" } else { "cannot" };
            svg.text(from + 4.0, middle + 2.0, Anchor::Start, "faint", 11, why);
            return;
        };
        let class = match way.name.as_str() {
            "native" => "native",
            _ if way.is_kernels() => "part",
            // Where there is a number of them, of hostlets.
            "hostlet" | "one hostlet" => "hostlet",
            _ if way.at.is_some() => "hostlet",
            _ => "bar",
        };
        let end = self.scale.at(samples.median);
        svg.bar(from, y + 4.0, (end - from, BAR), class);
        if samples.n > 1 {
            svg.whisker(&self.scale, (samples.low, samples.high), middle);
        }
        let beyond = if samples.median > self.scale.to {
            "→ "
        } else {
            ""
        };
        let text = format!("{beyond}{}{}", number(samples.median), mark(self.row, way));
        svg.text(
            self.right - 4.0,
            middle + 2.0,
            Anchor::End,
            "ink",
            11,
            &text,
        );
    }
}

/// What a bar is long as: the baseline itself is one.
pub fn shown(row: &Row, way: &Way, shares: bool) -> Option<Samples> {
    if !shares {
        return way.samples.clone();
    }
    match &row.baseline {
        Some((base, _)) if *base == way.name => Samples::of(vec![Some(1.0)]),
        _ => way.against.clone(),
    }
}

pub fn mark(row: &Row, way: &Way) -> &'static str {
    let goal = row.goals.iter().find(|goal| goal.of == way.name);
    match goal.map(|goal| goal.verdict) {
        None => "",
        Some(Verdict::Met) => " ✓",
        Some(Verdict::WithinNoise) => " ≈",
        Some(Verdict::Missed) => " ✗",
    }
}
