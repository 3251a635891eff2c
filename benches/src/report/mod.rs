//! What was measured, as `bench/results.json` keeps it and the page shows it.

mod bound;
mod glance;
mod goals;
mod interval;
mod kernel;
mod lines;
mod overview;
mod page;
mod plot;
mod print;
mod row;
mod scale;
mod svg;
mod tables;

use serde::{Deserialize, Serialize};

pub use goals::Tally;
pub use interval::{median, percentile};
pub use kernel::Kernel;
pub use page::{write, write_page};
pub use print::{grouped, print};
pub use row::{Against, Better, Bound, IDLE, KERNELS_PART, Row};

/// Everything of one run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Results {
    /// A short run is no proof; its results are not committed.
    pub quick: bool,
    /// When it ended: seconds of the Unix epoch.
    pub date: u64,
    /// How long it took, in seconds.
    pub took: u64,
    /// The machine: what, and which.
    pub machine: Vec<(String, String)>,
    /// The programs that were measured with: name, and what it says of its version.
    pub versions: Vec<(String, String)>,
    /// In the order of the page.
    pub sections: Vec<Section>,
    /// What could not be measured, and why.
    pub failures: Vec<String>,
}

/// Figures that are looked at together: one table and one plot.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Section {
    /// Names it on the command line, in links, and in files.
    pub id: String,
    /// The headline.
    pub title: String,
    /// What is measured, how, and what to make of it: Markdown, lines of any length.
    pub about: String,
    /// How the plot looks.
    pub plot: Plot,
    /// The figures.
    pub rows: Vec<Row>,
}

/// How the figures of a section are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Plot {
    /// For each row a group of bars, each a way's share of the baseline.
    Shares,
    /// For each row a group of bars, each a way's value, on a logarithmic scale.
    Values,
    /// For each row a panel with a line over the numbers that its ways are at, on a logarithmic scale; with bars if there is one alone.
    Lines,
    /// None: the table says it all.
    None,
}

impl Section {
    /// One without rows.
    pub fn new(id: &str, title: &str, about: &str, plot: Plot) -> Self {
        Self {
            id: id.to_owned(),
            title: title.to_owned(),
            about: about.to_owned(),
            plot,
            rows: Vec::new(),
        }
    }

    /// With these rows.
    #[must_use]
    pub fn with(mut self, rows: impl IntoIterator<Item = Row>) -> Self {
        self.rows.extend(rows);
        self
    }
}

impl Results {
    /// Each goal that was missed, as a sentence; and whether noise does not explain it.
    pub fn missed(&self) -> Vec<(String, bool)> {
        let rows = self.sections.iter().flat_map(|section| &section.rows);
        rows.flat_map(Row::missed).collect()
    }
}
