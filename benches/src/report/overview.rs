//! All goals that are a share of native, in one picture.

use super::Results;
use super::print::number;
use super::row::{Against, Better, Verdict};
use super::scale::Scale;
use super::svg::{Anchor, Svg};

const WIDTH: f64 = 900.0;
const STEP: f64 = 21.0;
const LEFT: f64 = 330.0;
const RIGHT: f64 = 790.0;

/// The picture; none if there is no such goal.
pub fn draw(results: &Results) -> Option<String> {
    let mut lines = Vec::new();
    for section in &results.sections {
        for row in &section.rows {
            let Some((base, Against::Share)) = &row.baseline else {
                continue;
            };
            if base != "native" {
                continue;
            }
            for goal in &row.goals {
                let way = row.ways.iter().find(|way| way.name == goal.of);
                if let Some(samples) = way.and_then(|way| way.against.as_ref()) {
                    lines.push((section, row, goal, samples));
                }
            }
        }
    }
    if lines.is_empty() {
        return None;
    }
    let mut svg = Svg::new(WIDTH, "hostlet as a share of native, by figure");
    let title = "hostlet as a share of native";
    svg.text(16.0, 26.0, Anchor::Start, "ink", 15, title);
    let about = "dot: hostlet, the median of its rounds; line: its interval, without an end where it goes on; orange: the goal";
    svg.text(16.0, 44.0, Anchor::Start, "faint", 11, about);
    let more = "faint dot: programs that do nothing, the kernel's own part; ring: what hostlet's programs leave by the kernel's count";
    svg.text(16.0, 59.0, Anchor::Start, "faint", 11, more);
    let first = 80.0;
    let mut headlines = 0.0;
    let mut before = "";
    // As wide as the intervals need, but no wider than one can read.
    let low = lines.iter().map(|(_, _, _, s)| s.low).fold(0.93, f64::min);
    let high = lines.iter().map(|(_, _, _, s)| s.high).fold(1.05, f64::max);
    let scale = Scale::linear((LEFT, RIGHT), low.max(0.8), high.min(1.2));
    let sections: std::collections::BTreeSet<&str> = lines
        .iter()
        .map(|(section, ..)| section.id.as_str())
        .collect();
    let bottom = first + (lines.len() + sections.len()) as f64 * STEP;
    for tick in scale.about(8.0) {
        let x = scale.at(tick);
        svg.line((x, first - 8.0), (x, bottom), "grid");
        svg.text(x, bottom + 14.0, Anchor::Middle, "faint", 10, &number(tick));
    }
    let one = scale.at(1.0);
    svg.line((one, first - 8.0), (one, bottom), "whisker");
    for (n, (section, row, goal, samples)) in lines.iter().enumerate() {
        if section.id != before {
            let y = first + (n as f64 + headlines) * STEP + 10.0;
            svg.text(16.0, y, Anchor::Start, "faint", 11, &section.title);
            headlines += 1.0;
            before = &section.id;
        }
        let y = first + (n as f64 + headlines) * STEP + 6.0;
        let less = match row.better {
            Better::Less => " (less is better)",
            Better::More => "",
        };
        let what = format!("{}{less}", row.what);
        svg.text(LEFT - 12.0, y + 4.0, Anchor::End, "ink", 12, &what);
        let wanted = scale.at(goal.bound.value());
        svg.line((wanted, y - 9.0), (wanted, y + 9.0), "mark");
        svg.whisker(&scale, (samples.low, samples.high), y);
        let part = row
            .kernels_part(&goal.of)
            .and_then(|way| way.against.as_ref());
        if let Some(part) = part {
            svg.dot(scale.at(part.median), y, "part");
        }
        svg.dot(scale.at(samples.median), y, "hostlet");
        if let Some(counted) = row.counted() {
            svg.ring(scale.at(counted), y, "whisker");
        }
        let mark = match goal.verdict {
            Verdict::Met => "✓",
            Verdict::WithinNoise => "≈",
            Verdict::Missed => "✗",
        };
        let text = format!("{} {mark}", number(samples.median));
        svg.text(RIGHT + 14.0, y + 4.0, Anchor::Start, "ink", 12, &text);
    }
    let key = "✓ met · ≈ missed by less than the noise · ✗ missed";
    svg.text(16.0, bottom + 30.0, Anchor::Start, "faint", 11, key);
    Some(svg.finish(bottom + 44.0))
}
