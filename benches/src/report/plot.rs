//! What a section looks like.

use super::Section;

/// Its plot, if it has one.
pub fn draw(_section: &Section) -> Option<String> {
    None
}
