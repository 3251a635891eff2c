//! The tables of the page.

use std::fmt::Write as _;

use super::Section;
use super::interval::Samples;
use super::print::number;
use super::row::{Against, Goal, Row, Verdict, Way};

/// A verdict in words.
pub fn verdict(goal: &Goal) -> &'static str {
    match goal.verdict {
        Verdict::Met => "met",
        Verdict::WithinNoise => "missed within noise",
        Verdict::Missed => "**missed**",
    }
}

/// What goals are about, with its interval.
pub fn judged(row: &Row, way: &Way) -> String {
    row.judged(way).map_or("–".to_owned(), spread)
}

/// A median with its interval, if it has one.
fn spread(samples: &Samples) -> String {
    let (median, low, high) = (samples.median, samples.low, samples.high);
    match samples.n {
        1 => number(median),
        _ => format!("{} [{} – {}]", number(median), number(low), number(high)),
    }
}

/// A column for each figure, a line for each way.
pub fn matrix(page: &mut String, section: &Section) {
    let heads = section
        .rows
        .iter()
        .map(|row| format!(" {}, {} |", row.what, row.unit));
    let _ = writeln!(page, "| |{}", heads.collect::<String>());
    let _ = writeln!(page, "|---|{}", "---|".repeat(section.rows.len()));
    let mut names: Vec<&str> = Vec::new();
    for way in section.rows.iter().flat_map(|row| &row.ways) {
        if !names.contains(&way.name.as_str()) {
            names.push(&way.name);
        }
    }
    let mut notes: Vec<&str> = Vec::new();
    for name in names {
        let mut line = format!("| {name} |");
        for row in &section.rows {
            let way = row.ways.iter().find(|way| way.name == name);
            let text = way.map_or(String::new(), |way| cell(row, way, &mut notes));
            let _ = write!(line, " {text} |");
        }
        let _ = writeln!(page, "{line}");
    }
    let mut line = "| goal |".to_owned();
    for row in &section.rows {
        let goals = row.goals.iter().map(|goal| {
            let of = if goal.of == "hostlet" { "" } else { &goal.of };
            format!("{of} {}: {}", goal.bound.text(), verdict(goal))
        });
        let _ = write!(line, " {} |", goals.collect::<Vec<_>>().join("; "));
    }
    let _ = writeln!(page, "{line}");
    if section.rows.iter().any(|row| row.kernel.is_some()) {
        let mut line = "| the kernel's count |".to_owned();
        for row in &section.rows {
            let text = row.kernel.map_or(String::new(), |kernel| {
                let leaves = kernel
                    .leaves
                    .map(|share| format!(", leaves {}", number(share)));
                let (runs, ns) = (number(kernel.runs), number(kernel.nanoseconds));
                format!("{runs} runs, {ns} ns{}", leaves.unwrap_or_default())
            });
            let _ = write!(line, " {text} |");
        }
        let _ = writeln!(page, "{line}");
    }
    rounds(page, section);
    for (n, note) in notes.iter().enumerate() {
        let _ = write!(page, "<sup>{}</sup> {note}.\n\n", n + 1);
    }
}

fn cell<'a>(row: &Row, way: &'a Way, notes: &mut Vec<&'a str>) -> String {
    let mut text = match (&way.samples, &way.against) {
        (None, _) => "–".to_owned(),
        (Some(samples), None) => spread(samples),
        (Some(samples), Some(_)) => {
            format!("{}<br>**{}**", number(samples.median), judged(row, way)).replace(" [", "** [")
        }
    };
    // The bold ends before the bracket.
    if text.ends_with("]**") {
        text.truncate(text.len() - 2);
    }
    if let Some(note) = &way.note {
        let at = notes.iter().position(|n| n == note).unwrap_or_else(|| {
            notes.push(note);
            notes.len() - 1
        });
        let _ = write!(text, " <sup>{}</sup>", at + 1);
    }
    text
}

/// How many rounds there were.
fn rounds(page: &mut String, section: &Section) {
    let count = |name: fn(&str) -> bool| {
        let ways = section.rows.iter().flat_map(|row| &row.ways);
        let counts = ways
            .filter(|way| name(&way.name))
            .filter_map(|way| way.samples.as_ref());
        let counts: std::collections::BTreeSet<usize> = counts.map(|samples| samples.n).collect();
        match (counts.first(), counts.last()) {
            (Some(first), Some(last)) if first == last => Some(first.to_string()),
            (Some(first), Some(last)) => Some(format!("{first} to {last}")),
            _ => None,
        }
    };
    const MAIN: [&str; 3] = ["native", "hostlet", "programs that do nothing"];
    let main = count(|name| MAIN.contains(&name));
    let others = count(|name| !MAIN.contains(&name));
    let _ = match (main, others) {
        (Some(main), Some(others)) => write!(
            page,
            "\nRounds: {main} of native and hostlet, {others} of the others.\n\n"
        ),
        (Some(count), None) | (None, Some(count)) => write!(page, "\nRounds: {count}.\n\n"),
        (None, None) => writeln!(page),
    };
}

/// A line for each figure and way.
pub fn list(page: &mut String, section: &Section) {
    let compared = section.rows.iter().any(|row| row.baseline.is_some());
    let (head, rule) = match compared {
        true => (" compared |", "---|"),
        false => ("", ""),
    };
    let _ = writeln!(
        page,
        "| | | median | n |{head} goal |\n|---|---|---|---|{rule}---|"
    );
    for row in &section.rows {
        for (n, way) in row.ways.iter().enumerate() {
            let what = if n == 0 { row.what.as_str() } else { "" };
            let (median, count) = way.samples.as_ref().map_or(("–".to_owned(), 0), |s| {
                let value = format!("{} {}", number(s.median), row.unit);
                (spread(s).replacen(&number(s.median), &value, 1), s.n)
            });
            let note = way
                .note
                .as_ref()
                .map(|note| format!(" ({note})"))
                .unwrap_or_default();
            let against = match (&row.baseline, &way.against, compared) {
                (_, _, false) => String::new(),
                (Some((base, Against::Share)), Some(_), _) => {
                    format!(" {} of {base} |", judged(row, way))
                }
                (Some((base, Against::More)), Some(_), _) => {
                    format!(" {} over {base} |", judged(row, way))
                }
                _ => " |".to_owned(),
            };
            let goals = row.goals.iter().filter(|goal| goal.of == way.name);
            let goals = goals.map(|goal| format!("{}: {}", goal.bound.text(), verdict(goal)));
            let goals = goals.collect::<Vec<_>>().join("; ");
            let name = &way.name;
            let _ = writeln!(
                page,
                "| {what} | {name}{note} | {median} | {count} |{against} {goals} |"
            );
        }
    }
    page.push('\n');
}
