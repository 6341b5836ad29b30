//! What a mistyped name may have meant.

use std::net::Ipv4Addr;
use std::path::Path;

use isn_format::dataset_ref::{DatasetRef, Name, Version};
use isn_format::error::Error;
use isn_format::text::{self, shell_word};
use isn_registry::files;
use isn_registry::registry::layout::REGISTRY_JSON;

/// Sorts what an [`Error::NotFound`] names as being there: the nearest to what was asked for comes first.
pub(super) fn nearest_first(mut error: Error) -> Error {
    if let Error::NotFound { what, near, .. } = &mut error {
        let (name, version) = asked(what);
        near.sort_by_cached_key(|there| match is_version(there) {
            true => distance(&version, there),
            false => distance(&name, there),
        });
    }
    error
}

/// The nearest name that is there, with the version that was asked for, if it is near enough to be what was
/// meant. A version is never guessed.
pub(super) fn meant(what: &str, near: &[String]) -> Option<String> {
    let (asked, version) = asked(what);
    let names = near.iter().filter(|there| !is_version(there));
    let (distance, nearest) = names.map(|there| (distance(&asked, there).0, there)).min()?;
    let is_near = distance > 0 && distance <= 2 && (distance as usize) < asked.chars().count();
    is_near.then(|| if version == asked { nearest.clone() } else { format!("{nearest}@{version}") })
}

/// The name of a dataset that ends a text, such as the title of a statement; otherwise a placeholder.
pub(super) fn name_in(text: &str) -> String {
    let last = text.rsplit(' ').next().unwrap_or(text);
    let reference: Option<DatasetRef> = last.parse().ok();
    reference.and_then(|reference| reference.name().map(Name::to_string)).unwrap_or_else(|| "NAME".into())
}

/// What a folder of the user is, in whose place a version was asked for, and what takes it.
pub(super) fn folder(path: &str) -> String {
    let (there, here) = (Path::new(path), shell_word(Path::new(".").join(path).display()));
    if files::is_tree(there) {
        format!("it is a tree: write {here}, and `isn verify {here}` checks it")
    } else if there.join(REGISTRY_JSON).is_file() {
        format!("it is a registry: `isn list --registry {here}` shows what it has")
    } else {
        format!(
            "it is a folder of files: if they are images, `isn init {here}` writes a recipe for them, and `isn \
             build RECIPE --source {here}` builds a version"
        )
    }
}

/// The location of a registry that a path may have meant, as the path is that of no folder.
pub(super) fn location(path: &str) -> Option<String> {
    let (host, is_alone) = path.split_once('/').map_or((path, true), |(host, _)| (host, false));
    let (name, port) = host.split_once(':').map_or((host, None), |(name, port)| (name, Some(port)));
    if port.is_some_and(|port| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit())) {
        return Some(format!("http://{path}"));
    }
    match port {
        None if name.parse::<Ipv4Addr>().is_ok() => Some(format!("http://{path}")),
        None if name == "localhost" && !is_alone => Some(format!("http://{path}")),
        // `birds.old` is rather a folder.
        None if is_domain(name) && (!is_alone || name.matches('.').count() > 1) => {
            Some(format!("https://{path}"))
        }
        _ => meant(path, &["bundled".into()]),
    }
}

/// Whether this is written like the name of a host: `data.example.org`.
fn is_domain(name: &str) -> bool {
    let mut labels = name.split('.');
    let is_label =
        |label: &str| !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    let last = labels.next_back().unwrap_or_default();
    last.len() > 1
        && last.bytes().all(|b| b.is_ascii_alphabetic())
        && labels.all(is_label)
        && name.contains('.')
}

/// The dataset hash that 64 hex digits without a prefix mean.
pub(super) fn hash(text: &str) -> Option<String> {
    let text = text.rsplit(' ').next().unwrap_or(text);
    let is_hash = text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit());
    is_hash.then(|| format!("b3:{}", text.to_ascii_lowercase()))
}

/// The next step for a text that is not a reference.
pub(super) fn reference(text: &str) -> Option<String> {
    let meant = similar(text);
    if Path::new(text).is_dir() {
        let example = meant.as_deref().unwrap_or("birds@1.0");
        return Some(format!("{}. A version is written like {example}", folder(text)));
    }
    if let Some(hash) = hash(text) {
        return Some(format!("a dataset hash is written with b3: in front: {hash}"));
    }
    match text.rsplit_once('@') {
        Some((name, "latest" | "newest")) => Some(format!("{name} alone means its newest version")),
        // It is a reference, and a name is needed.
        Some((name, _)) if meant.as_deref() == Some(text) => Some(format!("did you mean {name}?")),
        _ => meant.map(|meant| format!("did you mean {meant}?")),
    }
}

/// The version of the number `version` of the dataset that `reference` names: what `diff birds@1.0 1.1`
/// means.
pub(super) fn of_same_name(reference: &str, version: &str) -> Option<String> {
    let number = version.trim_start_matches('v').starts_with(|c: char| c.is_ascii_digit());
    let reference = similar(reference).filter(|_| number)?;
    let name = reference.split(['@', '#']).next()?;
    similar(&format!("{name}@{version}"))
}

/// A reference that is written nearly like `text`.
pub(super) fn similar(text: &str) -> Option<String> {
    let text = text.to_ascii_lowercase();
    let parsed = |candidate: String| candidate.parse::<DatasetRef>().is_ok().then_some(candidate);
    let versioned = ["==", "@", ":", "=", "-", " "].iter().find_map(|separator| {
        let (name, version) = text.rsplit_once(separator)?;
        let version = version.trim_start_matches('v');
        let version = [version.to_owned(), format!("{version}.0")];
        let version = version.into_iter().find(|version| version.parse::<Version>().is_ok())?;
        parsed(format!("{name}@{version}"))
    });
    // A hash that is not whole is no version.
    let versioned = versioned.filter(|_| !text.starts_with("b3:"));
    versioned.or_else(|| parsed(text.replace('_', "-")))
}

/// The name and the version that were asked for: `trian` of `split trian`, `birds` and `1.7` of `birds@1.7`.
fn asked(what: &str) -> (String, String) {
    let last = what.rsplit(' ').next().unwrap_or(what);
    match last.parse() {
        Ok(DatasetRef::Version(id, _)) => (id.name.to_string(), id.version.to_string()),
        _ => (last.into(), last.into()),
    }
}

fn is_version(text: &str) -> bool {
    version(text).is_some()
}

/// How far apart two names are: versions by their numbers, other names by the letters that differ.
fn distance(asked: &str, there: &str) -> (u64, u64) {
    match (version(asked), version(there)) {
        (Some((a, b)), Some((c, d))) => (a.abs_diff(c), b.abs_diff(d)),
        _ => (text::letters_apart(asked, there), 0),
    }
}

fn version(text: &str) -> Option<(u64, u64)> {
    let (major, minor) = text.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use isn_format::error::Missing;

    fn sorted(what: &str, there: &[&str]) -> Vec<String> {
        let error = Error::not_found(Missing::Version, what, "registry reg").near(there);
        let Error::NotFound { near, .. } = nearest_first(error) else { panic!() };
        near
    }

    #[test]
    fn the_nearest_comes_first() {
        assert_eq!(sorted("pics@1.7", &["1.0", "1.1", "1.8", "2.7"]), ["1.8", "1.1", "1.0", "2.7"]);
        assert_eq!(sorted("brids@1.0", &["bards", "birds"]), ["birds", "bards"]);
        assert_eq!(sorted("class n9", &["n1", "n99", "bee"]), ["n1", "n99", "bee"]);
        assert_eq!(sorted("split trian", &["test", "val", "train"]), ["train", "test", "val"]);
    }

    #[test]
    fn nearly_a_reference() {
        for (text, meant) in [
            ("Birds@1.0", "birds@1.0"),
            ("birds-1.0", "birds@1.0"),
            ("birds==1.0", "birds@1.0"),
            ("birds:v1.0", "birds@1.0"),
            ("birds@1", "birds@1.0"),
            ("birds 1.0", "birds@1.0"),
            ("my_birds", "my-birds"),
        ] {
            assert_eq!(similar(text).as_deref(), Some(meant), "{text}");
        }
        assert_eq!(similar("birds@one"), None);
        for reference in ["birds", "birds@1.0", "birds-1.0", "birds@1.0#b3:00"] {
            let meant = of_same_name(reference, "v1.1");
            assert_eq!(meant.as_deref(), Some("birds@1.1").filter(|_| !reference.contains('#')));
            assert_eq!(of_same_name(reference, "other"), None);
        }
        assert_eq!(reference("birds@latest").as_deref(), Some("birds alone means its newest version"));
        assert_eq!(hash(&"A1".repeat(32)), Some(format!("b3:{}", "a1".repeat(32))));
        assert_eq!(location("127.0.0.1:80/reg").as_deref(), Some("http://127.0.0.1:80/reg"));
        for (path, meant) in [
            ("bundeled", "bundled"),
            ("s3:9000/reg", "http://s3:9000/reg"),
            ("example.com/reg", "https://example.com/reg"),
            ("data.example.org", "https://data.example.org"),
            ("localhost/reg", "http://localhost/reg"),
            ("127.0.0.1/reg", "http://127.0.0.1/reg"),
        ] {
            assert_eq!(location(path).as_deref(), Some(meant), "{path}");
        }
        for path in
            ["C:\\reg", "reg.old", "../reg", "./a.b/reg", "birds-1.0", "localhost", "https", "a.1/reg"]
        {
            assert_eq!(location(path), None, "{path}");
        }
    }

    #[test]
    fn only_what_is_near_is_guessed() {
        let meant = |what, there: &[&str]| {
            let there: Vec<String> = there.iter().map(ToString::to_string).collect();
            super::meant(what, &there)
        };
        assert_eq!(meant("split trian", &["val", "train"]).as_deref(), Some("train"));
        assert_eq!(meant("brids@1.0", &["birds"]).as_deref(), Some("birds@1.0"));
        assert_eq!(meant("brids", &["birds"]).as_deref(), Some("birds"));
        assert_eq!(meant("class n9", &["bee", "wasp"]), None);
        assert_eq!(meant("class x", &["y"]), None);
        assert_eq!(meant("birds@1.7", &["1.0", "1.1"]), None);
    }
}
