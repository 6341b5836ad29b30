//! Tells URLs from paths.

use isn_format::text::letters_apart;

/// The schemes of the URLs that isn reads.
const SCHEMES: [&str; 5] = ["https", "http", "s3", "gs", "az"];
/// What stands between a scheme and the rest, also by mistake.
const SEPARATORS: [char; 4] = [':', ';', '/', '\\'];

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
    if text.trim().is_empty() {
        return Err("is empty: name a folder or a URL (is a variable unset, or a comma too many?)".into());
    }
    if let Some((scheme, rest)) = text.split_once("://")
        && let Some(scheme) = known(scheme)
    {
        return Ok(Some((scheme, rest)));
    }
    match near_url(text)
        .or_else(|| misspelt(text))
        .or_else(|| schemeless(text))
        .or_else(|| elsewhere(text).map(String::from))
    {
        Some(wrong) => Err(format!("{wrong} (for a path of that name, write ./ before it)")),
        None => Ok(None),
    }
}

/// The scheme of this name, in any case.
fn known(scheme: &str) -> Option<&'static str> {
    SCHEMES.into_iter().find(|known| scheme.eq_ignore_ascii_case(known))
}

/// What is wrong with a text that begins with a scheme and something like `://`.
fn near_url(text: &str) -> Option<String> {
    let text = text.trim_start();
    let (scheme, after) = text.split_at(text.find(SEPARATORS)?);
    let rest = after.trim_start_matches(SEPARATORS);
    let separator = &after[..after.len() - rest.len()];
    let rest = rest.replace('\\', "/");
    // `s3/reg` is a folder.
    if !separator.starts_with([':', ';']) && separator != "//" {
        return None;
    }
    if scheme.eq_ignore_ascii_case("file") && separator != "//" {
        let root = if separator.contains(['/', '\\']) { "/" } else { "" };
        return Some(match format!("{root}{rest}").as_str() {
            "" => "is not a URL that isn reads: write the path of the folder".into(),
            path => format!("is not a URL that isn reads: write the path, {path}"),
        });
    }
    let scheme = known(scheme)?;
    Some(match rest.as_str() {
        "" => format!("is not a URL: expected {scheme}:// and a host or bucket"),
        rest => format!("is not a URL: did you mean {scheme}://{rest}?"),
    })
}

/// What is wrong with a URL whose scheme is nearly one that isn reads.
fn misspelt(text: &str) -> Option<String> {
    let (scheme, rest) = text.split_once("://")?;
    let scheme = scheme.to_ascii_lowercase();
    let near = |known: &&str| known.len() > 2 && letters_apart(&scheme, known) == 1;
    let meant = SCHEMES.into_iter().find(near)?;
    Some(format!("is not a URL that isn reads: did you mean {meant}://{rest}?"))
}

/// What is wrong with a URL that has lost its scheme: a host with a port, or with `www.`.
fn schemeless(text: &str) -> Option<String> {
    let host = text.split('/').next()?;
    let is_host = |host: &str| {
        !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-'))
    };
    let is_port = |port: &str| (2..=5).contains(&port.len()) && port.bytes().all(|b| b.is_ascii_digit());
    let has_port = host.split_once(':').is_some_and(|(host, port)| is_host(host) && is_port(port));
    let is_www = host.to_ascii_lowercase().starts_with("www.") && is_host(host);
    let scheme = if is_www { "https" } else { "http" };
    (has_port || is_www).then(|| format!("is not a URL: did you mean {scheme}://{text}?"))
}

/// What is wrong with a text that names a place that isn does not read.
fn elsewhere(text: &str) -> Option<&'static str> {
    let is_pin = |(id, _): (&str, &str)| id.contains('@') && !id.contains('/');
    let is_remote = |(host, _): (&str, &str)| host.contains('@') && !host.contains('/');
    let drive =
        |text: &[u8]| matches!(text, [letter, b':', b'/' | b'\\', ..] if letter.is_ascii_alphabetic());
    if text.contains("://") {
        Some("is not a URL that isn reads: those begin with https://, http://, s3://, gs:// or az://")
    } else if cfg!(not(windows)) && drive(text.as_bytes()) {
        Some("is a path of Windows: write the one that the folder has here")
    } else if text.split_once("#b3:").is_some_and(is_pin) {
        Some("is a version with its hash, not a place: name a folder or a URL")
    } else if text.split_once(':').is_some_and(is_remote) {
        Some("is a folder on another machine: serve it there with `isn serve`, or copy it")
    } else {
        None
    }
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
            "./localhost:8080/reg",
            "./https:/x",
            "../s3://b",
            "/srv/a://b",
            "./C:\\x",
            "a/b@c:d",
            "./b@c:d",
            "b@c",
            "file",
            "file//x",
            "filed:x",
            "x;y",
            "bundled",
            "a\\b",
            "https\\\\x",
            "a/b@1.0#b3:00",
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
            ("127.0.0.1:8080", "did you mean http://127.0.0.1:8080?"),
            ("localhost:8080/reg", "did you mean http://localhost:8080/reg?"),
            ("www.x.org/reg", "did you mean https://www.x.org/reg?"),
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
            ("birds@1.0#b3:00", "is a version with its hash"),
            ("file:", "write the path of the folder"),
            ("FILE://", "is not a URL that isn reads"),
            ("https:\\\\x\\y", "did you mean https://x/y?"),
            ("https:\\x", "did you mean https://x?"),
            ("s3:/\\b\\c", "did you mean s3://b/c?"),
            ("https:\\", "expected https:// and a host or bucket"),
            ("file:\\\\srv\\reg", "write the path, /srv/reg"),
        ] {
            assert!(split(text).unwrap_err().contains(said), "{text}: {:?}", split(text));
        }
        #[cfg(not(windows))]
        for text in ["C:\\x", "c:/x"] {
            assert!(split(text).unwrap_err().contains("is a path of Windows"), "{text}");
        }
    }
}
