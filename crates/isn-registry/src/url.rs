//! Tells URLs from paths.

/// The schemes of the URLs that isn reads.
const SCHEMES: [&str; 5] = ["https", "http", "s3", "gs", "az"];
/// What stands between a scheme and the rest, also by mistake.
const SEPARATORS: [char; 3] = [':', ';', '/'];

/// Splits a URL at `://` into its scheme, in lower case, and the rest; returns `None` for a path. What begins
/// with `.` or `/` is a path, so that `./` can stand before a name that looks like a URL.
///
/// # Errors
/// Says what is wrong with a text that is neither, and what to write: one that is empty, is nearly a URL
/// (`https:/x`), or means a place that isn does not read.
pub fn split(text: &str) -> Result<Option<(&'static str, &str)>, String> {
    if text.starts_with(['.', '/']) {
        return Ok(None);
    }
    let bare = text.trim_start();
    if bare.is_empty() {
        return Err("is empty: name a folder or a URL (is a variable unset, or a comma too many?)".into());
    }
    let (scheme, after) = bare.split_at(bare.find(SEPARATORS).unwrap_or(bare.len()));
    let name = after.trim_start_matches(SEPARATORS);
    let separator = &after[..after.len() - name.len()];
    let is_scheme = separator.starts_with([':', ';']);
    let is_remote = |(host, _): (&str, &str)| host.contains('@') && !host.contains('/');
    let wrong = match SCHEMES.into_iter().find(|known| scheme.eq_ignore_ascii_case(known)) {
        Some(known) if separator.starts_with("://") && bare == text => return Ok(Some((known, &after[3..]))),
        Some(known) if is_scheme || separator == "//" => match name {
            "" => format!("is not a URL: expected {known}:// and a host or bucket"),
            name => format!("is not a URL: did you mean {known}://{name}?"),
        },
        _ if is_scheme && scheme.eq_ignore_ascii_case("file") => {
            let root = if separator.contains('/') { "/" } else { "" };
            format!("is not a URL that isn reads: write the path, {root}{name}")
        }
        _ if text.contains("://") => {
            "is not a URL that isn reads: those begin with https://, http://, s3://, gs:// or az://".into()
        }
        _ if cfg!(not(windows))
            && matches!(bare.as_bytes(), [b'A'..=b'Z' | b'a'..=b'z', b':', b'/' | b'\\', ..]) =>
        {
            "is a path of Windows: write the one that the folder has here".into()
        }
        _ if text.split_once(':').is_some_and(is_remote) => {
            "is a folder on another machine: serve it there with `isn serve`, or copy it".into()
        }
        _ => return Ok(None),
    };
    Err(format!("{wrong} (./ before it makes it a path)"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_split_and_a_path_is_not() {
        for (url, parts) in [
            ("https://x.org/a", ("https", "x.org/a")),
            ("HTTPS://X", ("https", "X")),
            ("S3://b/c", ("s3", "b/c")),
            ("gs://", ("gs", "")),
            ("az:///a", ("az", "/a")),
        ] {
            assert_eq!(split(url), Ok(Some(parts)), "{url}");
        }
        for path in [
            "reg",
            "https",
            "httpd/reg",
            "httpd:/x",
            "s3/reg",
            "gs",
            "a:b",
            "localhost:8080/reg",
            "./https:/x",
            "../s3://b",
            "/srv/a://b",
            "./C:\\x",
            "a/b@c:d",
            "./b@c:d",
            "b@c",
            "file",
            "filed:x",
            "x;y",
            "bundled",
        ] {
            assert_eq!(split(path), Ok(None), "{path}");
        }
    }

    #[test]
    fn what_is_neither_says_what_to_write() {
        for (text, said) in [
            ("", "is empty"),
            (" ", "is empty"),
            ("https:/x.org", "did you mean https://x.org?"),
            ("https:x.org/reg", "did you mean https://x.org/reg?"),
            ("http//x", "did you mean http://x?"),
            ("http;//x", "did you mean http://x?"),
            ("HTTPS:/x", "did you mean https://x?"),
            ("S3:/bucket/reg", "did you mean s3://bucket/reg?"),
            ("s3:9000/reg", "did you mean s3://9000/reg?"),
            (" https:/x", "did you mean https://x?"),
            (" https://x", "did you mean https://x?"),
            ("http:/", "expected http:// and a host or bucket"),
            ("https:", "expected https:// and a host or bucket"),
            ("file:///srv/reg", "write the path, /srv/reg"),
            ("FILE:/srv/reg", "write the path, /srv/reg"),
            ("file:reg", "write the path, reg"),
            ("htps://x", "is not a URL that isn reads"),
            ("ssh://a/b", "is not a URL that isn reads"),
            ("://x", "is not a URL that isn reads"),
            ("a/b://x", "is not a URL that isn reads"),
            ("me@host:reg", "is a folder on another machine"),
        ] {
            assert!(split(text).unwrap_err().contains(said), "{text}: {:?}", split(text));
        }
        #[cfg(not(windows))]
        for text in ["C:\\x", "c:/x"] {
            assert!(split(text).unwrap_err().contains("is a path of Windows"), "{text}");
        }
    }
}
