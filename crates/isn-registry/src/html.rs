//! HTML pages. [`maud`] escapes everything that is put into one; its `PreEscaped` is only for isn's own
//! styles and scripts.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use maud::Markup;

/// Returns the text of a page, with control characters replaced by U+FFFD: HTML forbids most of them, and
/// pages need none.
pub fn written(page: &Markup) -> String {
    page.0.replace(|c: char| c.is_control() && c != '\n', "\u{fffd}")
}

/// Returns a picture as a `data:` URI for an `<img>`.
pub fn data_uri(picture: &[u8]) -> String {
    let kind = if picture.starts_with(b"\x89PNG") { "image/png" } else { "image/jpeg" };
    format!("data:{kind};base64,{}", STANDARD.encode(picture))
}
