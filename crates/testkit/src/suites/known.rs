//! The differences that are known, as the documents list them.

use anyhow::{Context, Result, ensure};

use super::outcome::Difference;

/// A row of the table: a test that may, and must, end differently.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// The suite.
    pub suite: String,
    /// The test.
    pub test: String,
    machine: String,
    hostlet: String,
}

impl Known {
    /// Is it this difference? What a skipped test says is no part of it.
    pub fn is(&self, suite: &str, found: &Difference) -> bool {
        let kind = |outcome: &str| outcome.split(':').next().unwrap_or("").to_owned();
        self.suite == suite
            && self.test == found.test
            && self.machine == kind(&found.machine)
            && self.hostlet == kind(&found.hostlet)
    }
}

/// Reads the table below this heading: suite, test, machine, hostlet, why.
///
/// # Errors
/// When there is no such table.
pub fn read(text: &str, heading: &str) -> Result<Vec<Known>> {
    let (_, section) = text
        .split_once(&format!("\n{heading}\n"))
        .with_context(|| format!("no heading {heading}"))?;
    let section = section.split("\n## ").next().unwrap_or(section);
    let mut rows = Vec::new();
    for line in section.lines().filter(|l| l.starts_with('|')).skip(2) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        ensure!(cells.len() == 5, "not five cells: {line}");
        let cell = |n: usize| cells[n].trim_matches('`').to_owned();
        rows.push(Known {
            suite: cell(0),
            test: cell(1),
            machine: cell(2),
            hostlet: cell(3),
        });
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# All\n\n## Suites\n\nWords.\n\n| suite | test | machine | hostlet | why |\n|---|---|---|---|---|\n\
        | go | `TestA` | ok | skip | because |\n\n## Next\n\n| other |\n|---|\n| x |\n";

    #[test]
    fn the_table_is_read() -> Result<()> {
        let rows = read(TEXT, "## Suites")?;
        assert_eq!(rows.len(), 1);
        let found = |hostlet: &str| Difference {
            test: "TestA".into(),
            machine: "ok".into(),
            hostlet: hostlet.into(),
        };
        assert!(rows[0].is("go", &found("skip: no sockets")));
        assert!(!rows[0].is("go", &found("fail")));
        assert!(!rows[0].is("uv", &found("skip")));
        Ok(())
    }

    #[test]
    fn no_table_is_an_error() {
        assert!(read(TEXT, "## Suite").is_err());
    }
}
