//! The goals: how many of each section are met, those that are missed, and all of them.

use std::fmt::Write as _;

use super::print::number;
use super::row::{Goal, Row, Verdict};
use super::tables::{judged, verdict};
use super::{Results, Section};

const HEAD: &str = "| | wanted | measured | by the kernel's count | the kernel's own part | |\n|---|---|---|---|---|---|\n";

/// How many goals there are, and how they came out.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// On the good side.
    pub met: usize,
    /// Not, but the interval reaches there.
    pub within_noise: usize,
    /// Not even that.
    pub missed: usize,
}

impl Tally {
    /// Of these sections.
    pub fn of<'a>(sections: impl IntoIterator<Item = &'a Section>) -> Self {
        let mut tally = Self::default();
        for (_, goal) in sections.into_iter().flat_map(goals_of) {
            match goal.verdict {
                Verdict::Met => tally.met += 1,
                Verdict::WithinNoise => tally.within_noise += 1,
                Verdict::Missed => tally.missed += 1,
            }
        }
        tally
    }

    /// All of them.
    pub fn all(&self) -> usize {
        self.met + self.within_noise + self.missed
    }
}

fn goals_of(section: &Section) -> impl Iterator<Item = (&Row, &Goal)> {
    let rows = section.rows.iter();
    rows.flat_map(|row| row.goals.iter().map(move |goal| (row, goal)))
}

/// What a reader wants to know first; the long table is folded.
pub fn goals(page: &mut String, results: &Results) {
    let all = Tally::of(&results.sections);
    // Writing to a string does not fail.
    let _ = write!(
        page,
        "## Goals\n\nOf {} goals {} are met, {} missed within noise, {} missed.\n\n",
        all.all(),
        all.met,
        all.within_noise,
        all.missed
    );
    for failure in &results.failures {
        let _ = write!(page, "Not measured: {failure}\n\n");
    }
    *page += "| | goals | met | missed within noise | missed |\n|---|---|---|---|---|\n";
    for section in &results.sections {
        let tally = Tally::of([section]);
        if tally.all() > 0 {
            let link = anchor(&section.title);
            let _ = writeln!(
                page,
                "| [{}](#{link}) | {} | {} | {} | {} |",
                section.title,
                tally.all(),
                count(tally.met),
                count(tally.within_noise),
                count(tally.missed)
            );
        }
    }
    page.push('\n');
    if all.missed > 0 {
        *page += "The missed ones:\n\n";
        table(page, results, |goal| goal.verdict == Verdict::Missed);
    }
    let _ = write!(
        page,
        "<details><summary>All {} goals</summary>\n\n",
        all.all()
    );
    table(page, results, |_| true);
    *page += "</details>\n\n";
}

/// Nothing is easier to see than a zero.
fn count(number: usize) -> String {
    match number {
        0 => String::new(),
        number => number.to_string(),
    }
}

/// What a headline is linked by.
fn anchor(title: &str) -> String {
    let kept = title.chars().filter(|c| c.is_alphanumeric() || *c == ' ');
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}

fn table(page: &mut String, results: &Results, wanted: fn(&Goal) -> bool) {
    *page += HEAD;
    for section in &results.sections {
        let goals: Vec<_> = goals_of(section).filter(|(_, goal)| wanted(goal)).collect();
        if !goals.is_empty() {
            let _ = writeln!(page, "| **{}** | | | | | |", section.title);
        }
        for (row, goal) in goals {
            line(page, row, goal);
        }
    }
    page.push('\n');
}

fn line(page: &mut String, row: &Row, goal: &Goal) {
    let way = row.ways.iter().find(|way| way.name == goal.of);
    let measured = way.map_or("not measured".to_owned(), |way| judged(row, way));
    let counted = row.counted().map(number).unwrap_or_default();
    let part = row.kernels_part(&goal.of);
    let part = part.map_or(String::new(), |way| judged(row, way));
    let who = match goal.of.as_str() {
        "hostlet" => String::new(),
        other => format!(", {other}"),
    };
    let too = match row.is_the_kernels(goal) {
        true => "; the kernel's part, too",
        false => "",
    };
    let _ = writeln!(
        page,
        "| {}{who} | {}{} | {measured} | {counted} | {part} | {}{too} |",
        row.what,
        goal.bound.text(),
        row.of_what(),
        verdict(goal)
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Better, Bound, Plot};

    #[test]
    fn goals_are_counted_and_the_missed_ones_shown() {
        let section = Section::new("x", "Hooks, and more", "", Plot::None).with([
            Row::new("good", "ns", Better::Less)
                .way("hostlet", [1.0])
                .goal("hostlet", Bound::AtMost(2.0)),
            Row::new("bad", "ns", Better::Less)
                .way("hostlet", [3.0])
                .way(super::super::KERNELS_PART, [2.5])
                .goal("hostlet", Bound::AtMost(2.0)),
        ]);
        let tally = Tally::of([&section]);
        assert_eq!((tally.all(), tally.met, tally.missed), (2, 1, 1));
        assert_eq!(anchor(&section.title), "hooks-and-more");
        let mut text = String::new();
        let (row, goal) = goals_of(&section).nth(1).unwrap();
        line(&mut text, row, goal);
        assert_eq!(
            text,
            "| bad | ≤ 2 ns | 3 |  | 2.5 | **missed**; the kernel's part, too |\n"
        );
    }
}
