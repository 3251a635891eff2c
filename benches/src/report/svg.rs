//! Pictures, as SVG: shapes that take their colours from classes, so that they fit into light pages and dark ones.

use std::fmt::Write as _;

use super::scale::Scale;

/// Light first; whoever looks at it in the dark has others. Nothing is told by a colour alone.
const STYLE: &str = "\
.surface{fill:#fcfcfb;stroke:#e4e3df}.ink{fill:#1f1f1d}.faint{fill:#6b6a66}\
.grid{stroke:#e4e3df}.goal{stroke:#c2410c;stroke-dasharray:4 3}.mark{stroke:#c2410c;stroke-width:2}.goaltext{fill:#c2410c}.whisker{stroke:#1f1f1d}\
.bar{fill:#b9b7b0}.native{fill:#7a7872}.hostlet{fill:#2a78d6}.part{fill:#9cc4f0}\
.halo{paint-order:stroke;stroke:#fcfcfb;stroke-width:4px;stroke-linejoin:round}\
.line,.partline{fill:none;stroke:#2a78d6;stroke-width:2}.partline{stroke:#9cc4f0;stroke-dasharray:5 3}\
@media(prefers-color-scheme:dark){\
.surface{fill:#1a1a19;stroke:#34332f}.ink{fill:#f2f1ee}.faint{fill:#a3a29c}\
.grid{stroke:#34332f}.goal,.mark{stroke:#fb923c}.goaltext{fill:#fb923c}.whisker{stroke:#f2f1ee}\
.bar{fill:#5c5a54}.native{fill:#8e8c85}.hostlet{fill:#3d8bea}.part{fill:#2f5f96}\
.halo{stroke:#1a1a19}.line{stroke:#3d8bea}.partline{stroke:#4a7db8}}";

/// Where a text stands to its point.
#[derive(Debug, Clone, Copy)]
pub enum Anchor {
    /// It begins there.
    Start,
    /// It is around it.
    Middle,
    /// It ends there.
    End,
}

/// A picture in the making.
#[derive(Debug)]
pub struct Svg {
    width: f64,
    title: String,
    body: String,
}

impl Svg {
    /// An empty one. The title is what is read aloud.
    pub fn new(width: f64, title: &str) -> Self {
        Self {
            width,
            title: title.to_owned(),
            body: String::new(),
        }
    }

    /// A line of text.
    pub fn text(&mut self, x: f64, y: f64, anchor: Anchor, class: &str, size: u32, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let text = escaped(text);
        self.add(format_args!(
            r#"<text x="{x:.1}" y="{y:.1}" text-anchor="{anchor}" class="{class}" font-size="{size}">{text}</text>"#
        ));
    }

    /// A straight line.
    pub fn line(&mut self, (x1, y1): (f64, f64), (x2, y2): (f64, f64), class: &str) {
        self.add(format_args!(
            r#"<line x1="{x1:.1}" y1="{y1:.1}" x2="{x2:.1}" y2="{y2:.1}" class="{class}"/>"#
        ));
    }

    /// A bar from left to right.
    pub fn bar(&mut self, x: f64, y: f64, (width, height): (f64, f64), class: &str) {
        let width = width.max(1.0);
        self.add(format_args!(
            r#"<rect x="{x:.1}" y="{y:.1}" width="{width:.1}" height="{height:.1}" rx="2" class="{class}"/>"#
        ));
    }

    /// A dot.
    pub fn dot(&mut self, x: f64, y: f64, class: &str) {
        self.add(format_args!(
            r#"<circle cx="{x:.1}" cy="{y:.1}" r="4" class="{class}"/>"#
        ));
    }

    /// A circle that does not hide what it is around.
    pub fn ring(&mut self, x: f64, y: f64, class: &str) {
        self.add(format_args!(
            r#"<circle cx="{x:.1}" cy="{y:.1}" r="6" fill="none" class="{class}"/>"#
        ));
    }

    /// A line through these points.
    pub fn path(&mut self, points: &[(f64, f64)], class: &str) {
        let points: Vec<String> = points
            .iter()
            .map(|(x, y)| format!("{x:.1},{y:.1}"))
            .collect();
        let points = points.join(" ");
        self.add(format_args!(
            r#"<polyline points="{points}" class="{class}"/>"#
        ));
    }

    /// From low to high on a scale at one height, with ends where they are on it.
    pub fn whisker(&mut self, scale: &Scale, (low, high): (f64, f64), y: f64) {
        self.line((scale.at(low), y), (scale.at(high), y), "whisker");
        for end in [low, high].into_iter().filter(|end| scale.has(*end)) {
            let x = scale.at(end);
            self.line((x, y - 3.0), (x, y + 3.0), "whisker");
        }
    }

    /// The file, of this height.
    pub fn finish(self, height: f64) -> String {
        let (width, title, body) = (self.width, escaped(&self.title), self.body);
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" role=\"img\" width=\"{width:.0}\" height=\"{height:.0}\" \
             viewBox=\"0 0 {width:.0} {height:.0}\" font-family=\"system-ui,-apple-system,Segoe UI,Roboto,sans-serif\">\n\
             <title>{title}</title>\n<style>{STYLE}</style>\n\
             <rect x=\"0.5\" y=\"0.5\" width=\"{:.0}\" height=\"{:.0}\" rx=\"8\" class=\"surface\"/>\n{body}</svg>\n",
            width - 1.0,
            height - 1.0
        )
    }

    fn add(&mut self, what: std::fmt::Arguments) {
        // Writing to a string does not fail.
        let _ = writeln!(self.body, "{what}");
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
