//! Figures as lines of a terminal.

use super::row::{Against, Row, Verdict, Way};
use super::{Results, Section};

/// A number with as many digits as one reads.
pub fn number(value: f64) -> String {
    match value {
        0.0 => "0".to_owned(),
        v if v.abs() >= 1e9 => format!("{:.3}e9", v / 1e9),
        v if v.abs() >= 1000.0 => grouped(v),
        v if v.abs() >= 100.0 => format!("{v:.0}"),
        v if v.abs() >= 10.0 => short(format!("{v:.1}")),
        v if v.abs() >= 0.1 => short(format!("{v:.3}")),
        v => short(format!("{v:.4}")),
    }
}

/// Without the zeros at the end.
fn short(text: String) -> String {
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// With commas, as in 10,000.
pub fn grouped(value: f64) -> String {
    let digits = format!("{:.0}", value.abs());
    let mut text = if value < 0.0 { "-" } else { "" }.to_owned();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// All sections, and what was missed.
pub fn print(results: &Results) {
    for section in &results.sections {
        print_section(section);
    }
}

fn print_section(section: &Section) {
    println!("\n{}", section.title);
    for row in &section.rows {
        println!("  {} [{}]", row.what, row.unit);
        for way in &row.ways {
            println!("    {}", line(row, way));
        }
        if let Some(kernel) = row.kernel {
            println!(
                "    by the kernel's count: {} runs, {} ns each time{}",
                number(kernel.runs),
                number(kernel.nanoseconds),
                kernel
                    .leaves
                    .map(|s| format!(", which leaves {}", number(s)))
                    .unwrap_or_default()
            );
        }
    }
}

fn line(row: &Row, way: &Way) -> String {
    let note = way.note.as_deref().unwrap_or_default();
    let Some(samples) = &way.samples else {
        return format!("{:<30} {:>12}  {note}", way.name, "-");
    };
    let mut line = format!("{:<30} {:>12}", way.name, number(samples.median));
    if let Some(against) = &way.against {
        let sign = match row.baseline {
            Some((_, Against::Share)) => "×",
            _ if against.median < 0.0 => "",
            _ => "+",
        };
        line += &format!(
            "  {:<9} ({} to {})",
            format!("{sign}{}", number(against.median)),
            number(against.low),
            number(against.high)
        );
    } else {
        let nothing = "";
        line += &format!(
            "  {nothing:<9} ({} to {})",
            number(samples.low),
            number(samples.high)
        );
    }
    for goal in row.goals.iter().filter(|goal| goal.of == way.name) {
        let how = match goal.verdict {
            Verdict::Met => "met",
            Verdict::WithinNoise => "missed within noise",
            Verdict::Missed => "MISSED",
        };
        line += &format!("  goal {}: {how}", goal.bound.text());
    }
    if !note.is_empty() {
        line += &format!("  [{note}]");
    }
    line
}

#[cfg(test)]
mod tests {
    use super::number;

    #[test]
    fn numbers_are_short() {
        for (value, text) in [
            (0.0, "0"),
            (0.98, "0.98"),
            (1.0, "1"),
            (0.0123, "0.0123"),
            (12.34, "12.3"),
            (10.0, "10"),
            (123.4, "123"),
            (1234.5, "1,234"),
            (-1_234_567.0, "-1,234,567"),
        ] {
            assert_eq!(number(value), text);
        }
    }
}
