//! The page: everything on it is in the results.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::Results;
use super::plot;

/// Writes `docs/performance.md` and its plots below the directory.
pub fn write_page(results: &Results, to: &Path) -> Result<()> {
    for (path, text) in files(results) {
        write(&to.join(path), &text)?;
    }
    Ok(())
}

/// Writes a file, and makes the directories that it lies in.
pub fn write(path: &Path, text: &str) -> Result<()> {
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir).with_context(|| format!("make {}", dir.display()))?;
    }
    fs::write(path, text).with_context(|| format!("write {}", path.display()))
}

/// Each file by its path below the directory.
pub fn files(results: &Results) -> Vec<(String, String)> {
    let mut files = vec![("docs/performance.md".to_owned(), String::new())];
    for section in &results.sections {
        if let Some(svg) = plot::draw(section) {
            files.push((format!("docs/performance/{}.svg", section.id), svg));
        }
    }
    files
}
