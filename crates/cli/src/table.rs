//! Columns for people: as wide as needed, no lines, nothing that needs a colour.

use std::io::{self, Write};

/// Rows below a heading.
#[derive(Debug)]
pub struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with this heading.
    pub fn new<const N: usize>(heading: [&str; N]) -> Self {
        Self {
            rows: vec![heading.map(str::to_owned).to_vec()],
        }
    }

    /// Adds a row.
    pub fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(cells.map(|cell| printable(&cell)).to_vec());
    }

    /// Prints it; nothing but `empty` if there is no row.
    pub fn print(&self, out: &mut dyn Write, empty: &str) -> io::Result<()> {
        if self.rows.len() == 1 {
            return writeln!(out, "{empty}");
        }
        let columns = self.rows[0].len();
        let widths: Vec<usize> = (0..columns)
            .map(|c| {
                self.rows
                    .iter()
                    .map(|row| row[c].chars().count())
                    .max()
                    .unwrap_or(0)
            })
            .collect();
        for row in &self.rows {
            let line: Vec<String> = row
                .iter()
                .zip(&widths)
                .map(|(cell, width)| format!("{cell:width$}"))
                .collect();
            writeln!(out, "{}", line.join("  ").trim_end())?;
        }
        Ok(())
    }
}

/// Names and command lines come from other programs: none may steer the terminal.
pub fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn print(table: &Table) -> String {
        let mut out = Vec::new();
        table.print(&mut out, "nothing").unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn columns_line_up_and_nothing_trails() {
        let mut table = Table::new(["NAME", "ADDRESS"]);
        table.row(["a".into(), "10.0.0.1".into()]);
        table.row(["longer".into(), "x".into()]);
        assert_eq!(
            print(&table),
            "NAME    ADDRESS\na       10.0.0.1\nlonger  x\n"
        );
    }

    #[test]
    fn an_empty_one_says_so() {
        assert_eq!(print(&Table::new(["NAME"])), "nothing\n");
    }

    #[test]
    fn a_name_cannot_steer_the_terminal() {
        let mut table = Table::new(["COMM"]);
        table.row(["\u{1b}[2J\n".into()]);
        assert_eq!(print(&table), "COMM\n\u{fffd}[2J\u{fffd}\n");
    }
}
