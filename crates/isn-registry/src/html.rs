//! Pages of HTML. [`maud`] makes text of whatever is put into one; its `PreEscaped` is for styles and scripts of our own.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use maud::Markup;

/// A page as it is written. No control character is of use in one, and HTML forbids most: a mark stands in its place.
pub fn written(page: &Markup) -> String {
    page.0.replace(|c: char| c.is_control() && c != '\n', "\u{fffd}")
}

/// A picture as the address of an `<img>`, with all of it inside.
pub fn data_uri(picture: &[u8]) -> String {
    let kind = if picture.starts_with(b"\x89PNG") { "image/png" } else { "image/jpeg" };
    format!("data:{kind};base64,{}", STANDARD.encode(picture))
}
