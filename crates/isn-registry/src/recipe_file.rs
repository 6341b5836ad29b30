//! The file of a recipe.

use std::path::Path;

use crate::files;
use isn_format::error::Result;
use isn_format::recipe::{MAX_LEN, Recipe};

/// Reads a recipe that the user has named, and returns it with its text.
///
/// # Errors
/// [`Error::Io`](isn_format::error::Error::Io) if the file cannot be read;
/// [`Error::Invalid`](isn_format::error::Error::Invalid) or
/// [`Error::Mistakes`](isn_format::error::Error::Mistakes) if it is not a recipe, or too long for one.
pub fn read(path: &Path) -> Result<(Recipe, String)> {
    let text = files::read_text(path, MAX_LEN)?;
    Ok((Recipe::parse(&path.display().to_string(), &text)?, text))
}
