//! What a section looks like: for each of its rows a panel with a bar for each way, or with a line.

use super::interval::Samples;
use super::print::number;
use super::row::{Against, Better, Row, Verdict, Way};
use super::svg::{Anchor, Svg};
use super::{Plot, Section};

const WIDTH: f64 = 900.0;
const MARGIN: f64 = 16.0;
/// Room for the names of ways.
const NAMES: f64 = 132.0;
/// Room for the column of numbers.
const NUMBERS: f64 = 62.0;
const BAR: f64 = 13.0;
const STEP: f64 = 19.0;

/// Its plot, if it has one.
pub fn draw(section: &Section) -> Option<String> {
    let drawn: Vec<&Row> = section
        .rows
        .iter()
        .filter(|row| !row.ways.is_empty())
        .collect();
    if drawn.is_empty() {
        return None;
    }
    match section.plot {
        Plot::None => None,
        Plot::Shares | Plot::Values => Some(bars(section, &drawn)),
        Plot::Lines => Some(lines(section, &drawn)),
    }
}

fn bars(section: &Section, rows: &[&Row]) -> String {
    let mut svg = Svg::new(WIDTH, &section.title);
    let panel = (WIDTH - 3.0 * MARGIN) / 2.0;
    let mut top = MARGIN;
    for pair in rows.chunks(2) {
        let mut bottom = top;
        for (at, row) in pair.iter().enumerate() {
            let left = MARGIN + at as f64 * (panel + MARGIN);
            let end = Panel::of(section.plot, row, left, top, panel).draw(&mut svg);
            bottom = bottom.max(end);
        }
        top = bottom + MARGIN;
    }
    svg.finish(top)
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
        let all: Vec<f64> = all.map(|samples| samples.median).collect();
        let largest = all.iter().copied().fold(0.0, f64::max);
        let smallest = all
            .iter()
            .copied()
            .filter(|v| *v > 0.0)
            .fold(f64::MAX, f64::min);
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
        svg.text(
            self.left,
            self.top + 14.0,
            Anchor::Start,
            "ink",
            14,
            &row.what,
        );
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
                row.unit
            ))
        });
        let axis = format!("{}; {better}", of.unwrap_or_else(|| row.unit.clone()));
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
            svg.text(x, first - 6.0, Anchor::Middle, "goaltext", 10, &text);
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
            "hostlet" => "hostlet",
            "native" => "native",
            _ => "bar",
        };
        let end = self.scale.at(samples.median);
        svg.bar(from, y + 4.0, (end - from, BAR), class);
        let (low, high) = (self.scale.at(samples.low), self.scale.at(samples.high));
        if samples.n > 1 {
            svg.whisker(low, high, middle);
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
fn shown(row: &Row, way: &Way, shares: bool) -> Option<Samples> {
    if !shares {
        return way.samples.clone();
    }
    match &row.baseline {
        Some((base, _)) if *base == way.name => Samples::of(vec![Some(1.0)]),
        _ => way.against.clone(),
    }
}

fn mark(row: &Row, way: &Way) -> &'static str {
    let goal = row.goals.iter().find(|goal| goal.of == way.name);
    match goal.map(|goal| goal.verdict) {
        None => "",
        Some(Verdict::Met) => " ✓",
        Some(Verdict::WithinNoise) => " ≈",
        Some(Verdict::Missed) => " ✗",
    }
}

/// A panel for each row, since their units differ.
fn lines(section: &Section, rows: &[&Row]) -> String {
    let mut svg = Svg::new(WIDTH, &section.title);
    let panel = (WIDTH - 3.0 * MARGIN) / 2.0;
    let mut top = MARGIN;
    for pair in rows.chunks(2) {
        for (at, row) in pair.iter().enumerate() {
            let left = MARGIN + at as f64 * (panel + MARGIN);
            line(&mut svg, row, (left, left + panel), top);
        }
        top += 160.0 + MARGIN;
    }
    svg.finish(top)
}

/// One row over the numbers that its ways are at.
fn line(svg: &mut Svg, row: &Row, (left, right): (f64, f64), top: f64) {
    svg.text(left, top + 14.0, Anchor::Start, "ink", 14, &row.what);
    let unit = match &row.baseline {
        Some((base, Against::Share)) => format!("share of what it is at {base}"),
        _ => row.unit.clone(),
    };
    svg.text(left, top + 31.0, Anchor::Start, "faint", 11, &unit);
    let samples = |way| Some((way, shown(row, way, is_share(row))?));
    let measured: Vec<(&Way, Samples)> = row.ways.iter().filter_map(samples).collect();
    let places: Vec<f64> = measured.iter().filter_map(|(way, _)| way.at).collect();
    let goal = row.goals.first().map(|goal| goal.bound);
    let highest = measured.iter().map(|(_, s)| s.median.max(s.high));
    let highest = highest
        .chain(goal.map(super::row::Bound::value))
        .fold(0.0, f64::max);
    let (first, last) = (
        places.iter().copied().fold(f64::MAX, f64::min),
        places.iter().copied().fold(0.0, f64::max),
    );
    let (up, down) = (top + 52.0, top + 140.0);
    let across = Scale::logarithmic((left + 60.0, right - 40.0), first, last);
    let height = Scale::linear((down, up), 0.0, highest);
    for tick in height.ticks() {
        let y = height.at(tick);
        svg.line((left + 48.0, y), (right - 4.0, y), "grid");
        svg.text(
            left + 42.0,
            y + 3.0,
            Anchor::End,
            "faint",
            10,
            &number(tick),
        );
    }
    if let Some(goal) = goal {
        let y = height.at(goal.value());
        svg.line((left + 48.0, y), (right - 4.0, y), "goal");
        let text = format!("goal {}", goal.text());
        svg.text(right - 4.0, top + 31.0, Anchor::End, "goaltext", 10, &text);
    }
    let mut points = Vec::new();
    for (way, samples) in &measured {
        let Some(at) = way.at else { continue };
        let (x, y) = (across.at(at), height.at(samples.median));
        svg.line(
            (x, height.at(samples.low)),
            (x, height.at(samples.high)),
            "whisker",
        );
        svg.dot(x, y, "hostlet");
        let text = format!("{}{}", number(samples.median), mark(row, way));
        svg.text(x, y - 8.0, Anchor::Middle, "ink", 11, &text);
        svg.text(x, down + 14.0, Anchor::Middle, "faint", 10, &way.name);
        points.push((x, y));
    }
    svg.path(&points);
}

fn is_share(row: &Row) -> bool {
    matches!(row.baseline, Some((_, Against::Share)))
}

/// From values to places.
pub struct Scale {
    space: (f64, f64),
    from: f64,
    to: f64,
    logarithmic: bool,
}

impl Scale {
    /// Equal steps are equally long.
    pub fn linear(space: (f64, f64), from: f64, to: f64) -> Self {
        Self {
            space,
            from,
            to,
            logarithmic: false,
        }
    }

    /// Equal factors are.
    pub fn logarithmic(space: (f64, f64), from: f64, to: f64) -> Self {
        Self {
            space,
            from: from.max(1e-9),
            to,
            logarithmic: true,
        }
    }

    /// Where a value is; what is beyond an end, there.
    pub fn at(&self, value: f64) -> f64 {
        let place = if self.logarithmic {
            (value.max(1e-9) / self.from).ln() / (self.to / self.from).ln()
        } else {
            (value - self.from) / (self.to - self.from)
        };
        let place = if place.is_finite() {
            place.clamp(0.0, 1.0)
        } else {
            0.0
        };
        self.space.0 + place * (self.space.1 - self.space.0)
    }

    /// Round values along it.
    pub fn ticks(&self) -> Vec<f64> {
        if self.logarithmic {
            let first = self.from.log10().ceil() as i32;
            let last = self.to.log10().floor() as i32;
            return (first..=last).map(|power| 10_f64.powi(power)).collect();
        }
        let rough = (self.to - self.from) / 4.0;
        if rough <= 0.0 || !rough.is_finite() {
            return Vec::new();
        }
        let power = 10_f64.powf(rough.log10().floor());
        let round = [1.0, 2.0, 2.5, 5.0, 10.0];
        let step = round
            .into_iter()
            .map(|r| r * power)
            .find(|step| *step >= rough);
        let step = step.unwrap_or(rough);
        let first = (self.from / step).ceil() as i64;
        let last = (self.to / step + 1e-9).floor() as i64;
        (first..=last).map(|n| n as f64 * step).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::Scale;

    #[test]
    fn scales_have_round_ticks() {
        let scale = Scale::linear((0.0, 100.0), 0.0, 1.1);
        assert_eq!(scale.ticks().len(), 3);
        assert!((scale.at(0.55) - 50.0).abs() < 1e-9);
        assert!((scale.at(7.0) - 100.0).abs() < 1e-9);
        let scale = Scale::logarithmic((0.0, 100.0), 1.0, 10_000.0);
        assert_eq!(scale.ticks(), [1.0, 10.0, 100.0, 1000.0, 10_000.0]);
        assert!((scale.at(100.0) - 50.0).abs() < 1e-9);
    }
}
