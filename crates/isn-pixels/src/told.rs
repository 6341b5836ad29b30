//! [`told_format`]: what a file is that a source may have among its images.

/// How many bytes of a file [`told_format`] looks at.
pub const START: usize = 256;

/// Returns what a file is by its first bytes, [`START`] of them, if it is a kind that is found among images:
/// "a WebP image". Unlike what the pipeline decodes, this may be wrong, and is for messages only.
pub fn told_format(start: &[u8]) -> Option<&'static str> {
    let is_at = |at: usize, magic: &[u8]| start.get(at..).is_some_and(|rest| rest.starts_with(magic));
    let begins = |magic: &[u8]| is_at(0, magic);
    let brand = start.get(8..12).filter(|_| is_at(4, b"ftyp"));
    let known = [
        (begins(&[0xff, 0xd8, 0xff]), "a JPEG image"),
        (begins(b"\x89PNG\r\n\x1a\n"), "a PNG image"),
        (begins(b"RIFF") && is_at(8, b"WEBP"), "a WebP image"),
        (begins(b"GIF87a") || begins(b"GIF89a"), "a GIF image"),
        (begins(b"BM") && is_at(6, &[0; 4]), "a BMP image"),
        (begins(b"II*\0") || begins(b"MM\0*"), "a TIFF image"),
        (matches!(brand, Some(b"avif" | b"avis")), "an AVIF image"),
        (
            matches!(
                brand,
                Some(b"heic" | b"heix" | b"heim" | b"heis" | b"hevc" | b"hevx" | b"mif1" | b"msf1")
            ),
            "a HEIC image",
        ),
        (brand.is_some(), "a video"),
        (begins(&[0xff, 0x0a]) || begins(b"\0\0\0\x0cJXL \r\n"), "a JPEG XL image"),
        (begins(b"\0\0\0\x0cjP  \r\n"), "a JPEG 2000 image"),
        (begins(b"%PDF"), "a PDF"),
        (begins(b"PK\x03\x04"), "a ZIP archive"),
        (
            begins(b"version https://git-lfs.github.com/spec/"),
            "a Git LFS pointer: `git lfs pull` brings the file",
        ),
        (begins(b"/annex/objects/"), "a git-annex pointer: `git annex get` brings the file"),
    ];
    if let Some((_, told)) = known.iter().find(|(is_it, _)| *is_it) {
        return Some(told);
    }
    let text = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(start).trim_ascii_start();
    let says =
        |word: &str| text.get(..word.len()).is_some_and(|had| had.eq_ignore_ascii_case(word.as_bytes()));
    match () {
        () if says("<!doctype html") || says("<html") => Some("a web page (HTML)"),
        () if says("<svg") => Some("an SVG drawing"),
        () if says("<?xml") => Some("XML"),
        () => None,
    }
}
