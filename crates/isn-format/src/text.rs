//! Makes foreign text harmless and visible inside other text: in a line, in JSON, in YAML, in a spreadsheet,
//! in a shell command. [`toml_text`] reads TOML files whose text must not appear in errors.

use std::borrow::Cow;
use std::fmt::{Display, Write as _};
use std::path::Path;

use serde::de::DeserializeOwned;
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use crate::error::{Error, Input, Result};

/// Whether a character is invisible but acts on a terminal or on the order of the text, or has no width:
/// control characters (C0, DEL, C1), line and paragraph separators, direction marks, and characters of zero
/// width.
fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}'
                | '\u{34f}'
                | '\u{61c}'
                | '\u{115f}'..='\u{1160}'
                | '\u{17b4}'..='\u{17b5}'
                | '\u{180b}'..='\u{180f}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{3164}'
                | '\u{feff}'
                | '\u{ffa0}'
                | '\u{fff0}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e0fff}'
        )
}

/// Returns `text` as one line: invisible characters are escaped, as `\n` or `\u{1b}`.
pub fn one_line(text: &str) -> Cow<'_, str> {
    written_out(text, is_unseen, |out, c| out.extend(c.escape_default()))
}

/// Like [`one_line`], but keeps tabs: for a line of a longer text.
pub fn line_of_several(text: &str) -> Cow<'_, str> {
    written_out(text, |c| c != '\t' && is_unseen(c), |out, c| out.extend(c.escape_default()))
}

/// Returns the same JSON with invisible characters escaped: in a JSON string, `\u001b` means the same
/// character.
pub fn json(json: &str) -> Cow<'_, str> {
    written_out(json, is_unseen, |out, c| {
        for unit in c.encode_utf16(&mut [0; 2]) {
            let _ = write!(out, "\\u{unit:04x}");
        }
    })
}

/// Returns `text` as a string of YAML or TOML in double quotes, on one line.
pub fn quoted(text: &str) -> String {
    // A JSON string is one of YAML and of TOML, except for surrogates and for line ends that JSON does not
    // know.
    let quoted = serde_json::Value::from(text).to_string();
    let escape = |out: &mut String, c: char| {
        let _ = write!(out, "\\U{:08x}", u32::from(c));
    };
    written_out(&quoted, is_unseen, escape).into_owned()
}

/// Returns what is lawful in the segment of a path: letters without their marks, and one `-` for every run of
/// other characters, without `-` and `.` at its ends. May be empty.
pub fn slug(text: &str) -> String {
    let mut slug = String::new();
    for c in text.nfd().filter(|c| !is_combining_mark(*c)) {
        match c {
            'A'..='Z' | 'a'..='z' | '0'..='9' | '_' | '.' => slug.push(c),
            _ if slug.ends_with('-') => {}
            _ => slug.push('-'),
        }
    }
    slug.trim_matches(['-', '.']).to_owned()
}

/// Returns a text as one word of a shell command, for commands that people copy: the shell runs nothing in
/// it. What would not be seen is in octal, as bash, zsh and POSIX of 2024 read it, so that it is shown and
/// pasted as it is.
pub fn shell_word(text: impl Display) -> String {
    let text = text.to_string();
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-+=,@%:".contains(&byte);
    let is_word = !text.is_empty() && text.bytes().all(is_plain);
    if text.contains(is_unseen) {
        return in_octal(text.chars().map(|c| (c.to_string().into_bytes(), is_unseen(c))));
    }
    if is_word { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

/// Returns a path as one word of a shell command, as [`shell_word`] does, even if it is not UTF-8.
pub fn shell_path(path: impl AsRef<Path>) -> String {
    let path = path.as_ref();
    match path.to_str() {
        Some(text) => shell_word(text),
        None => {
            let bytes = path.as_os_str().as_encoded_bytes();
            in_octal(bytes.iter().map(|byte| (vec![*byte], !byte.is_ascii() || byte.is_ascii_control())))
        }
    }
}

/// Quotes characters, with those in octal that are marked so.
fn in_octal(chars: impl Iterator<Item = (Vec<u8>, bool)>) -> String {
    let mut word = String::from("$'");
    for (bytes, is_unseen) in chars {
        match (&bytes[..], is_unseen) {
            (bytes, true) => bytes.iter().for_each(|byte| word += &format!("\\{byte:03o}")),
            ([quote @ (b'\\' | b'\'')], _) => word.extend(['\\', char::from(*quote)]),
            (bytes, false) => word += &String::from_utf8_lossy(bytes),
        }
    }
    word.push('\'');
    word
}

/// Whether a spreadsheet would take a field for a formula that can do something: after white space that the
/// spreadsheet may trim, the field starts with `=` or `@` (also of full width), or with a sign that more than
/// plain words or numbers follow (`-abc_1/2 3` is the path of a file, and calls nothing). A leading tab or CR
/// is enough.
pub fn is_formula(field: &str) -> bool {
    let is_plain =
        |rest: &str| rest.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '/' | ' '));
    let trimmed = field.trim_start_matches(|c: char| c.is_whitespace() || is_unseen(c));
    match trimmed.strip_prefix(['+', '-', '＋', '－']) {
        Some(rest) => !is_plain(rest),
        None => field.starts_with(['\t', '\r']) || trimmed.starts_with(['=', '@', '＝', '＠']),
    }
}

fn written_out<'t>(
    text: &'t str,
    is_bad: impl Fn(char) -> bool,
    escape: impl Fn(&mut String, char),
) -> Cow<'t, str> {
    if !text.contains(&is_bad) {
        return text.into();
    }
    let mut out = String::with_capacity(text.len() + 16);
    text.chars().for_each(|c| if is_bad(c) { escape(&mut out, c) } else { out.push(c) });
    out.into()
}

/// What a TOML file of ours can have at most, and why: each character may be a token, and 16 MiB of them take
/// up to 4 GB when parsed. ImageNet's 21,841 classes need half of it.
const TOML_LIMITS: [(&str, &[u8], usize); 4] = [
    // A table takes some 1,300 bytes; a dotted key is a table for each dot.
    ("'[', '{' and '.'", b"[{.", 200_000),
    ("'=' and ','", b"=,", 400_000),
    ("line ends", b"\n\r", 400_000),
    ("blanks, quotes, '#', ']' and '}'", b" \t\"'#]}", 2_000_000),
];

/// Checks that a TOML text does not take far more memory when parsed than an honest file. It counts
/// characters, so what comments and texts have of them counts, too.
pub(crate) fn check_toml(text: &str) -> Result<(), String> {
    let mut counts = [0_usize; 256];
    text.bytes().for_each(|byte| counts[usize::from(byte)] += 1);
    let count = |bytes: &[u8]| bytes.iter().map(|byte| counts[usize::from(*byte)]).sum::<usize>();
    match TOML_LIMITS.iter().find(|(_, bytes, most)| count(bytes) > *most) {
        Some((what, _, most)) => Err(format!("has more than {most} {what}")),
        None => Ok(()),
    }
}

/// Returns the first line of a text, from 1, at which Git has marked a conflict of a merge.
fn conflict(text: &str) -> Option<usize> {
    text.lines().position(|line| line.starts_with("<<<<<<< ")).map(|before| before + 1)
}

/// Reads the bytes of a TOML file; `what` names it in errors.
///
/// # Errors
/// [`Error::Invalid`] with the line and the reason. It quotes nothing of the text: the path may have been a
/// link to a file with other contents.
pub fn toml_text<T: DeserializeOwned>(what: impl Display, bytes: Vec<u8>) -> Result<T> {
    let text = String::from_utf8(bytes).map_err(|_| Error::invalid(&what, "is not UTF-8 text"))?;
    if let Some(line) = conflict(&text) {
        let why = format!("line {line}: the marks of a merge conflict");
        return Err(Error::invalid(&what, why).of(Input::Conflict));
    }
    check_toml(&text).map_err(|why| Error::invalid(&what, why))?;
    toml::from_str(&text).map_err(|e| {
        let line_at = |at: usize| 1 + text.bytes().take(at).filter(|&b| b == b'\n').count();
        let line = e.span().map_or(String::new(), |span| format!("line {}: ", line_at(span.start)));
        Error::invalid(&what, format!("{line}{}", e.message()))
    })
}

/// The least number of letters to insert, remove, replace or exchange with a neighbour (optimal string
/// alignment).
pub fn letters_apart(a: &str, b: &str) -> u64 {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows: Vec<Vec<u64>> = vec![(0..=b.len() as u64).collect()];
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i as u64 + 1];
        for (j, y) in b.iter().enumerate() {
            let mut least = (rows[i][j] + u64::from(x != y)).min(rows[i][j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && a[i - 1] == *y && b[j - 1] == *x {
                least = least.min(rows[i - 1][j - 1] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_line_and_says_what_it_hides() {
        let text = "a\u{1b}[31m\u{7}\u{9b}\u{202e}\u{2066}\u{200b}\u{61c}\u{2028}\n\r\t\u{feff}\u{7f}é漢🦉";
        assert_eq!(
            one_line(text),
            "a\\u{1b}[31m\\u{7}\\u{9b}\\u{202e}\\u{2066}\\u{200b}\\u{61c}\\u{2028}\\n\\r\\t\\u{feff}\\u{7f}é漢🦉"
        );
        assert!(matches!(one_line("é漢🦉 it's \\ plain"), Cow::Borrowed(_)));
        assert_eq!(line_of_several("a\tb\r"), "a\tb\\r");
    }

    #[test]
    fn json_and_yaml_mean_the_same_text() {
        let text = "\"\u{1b}\u{85}\u{2028}\u{202e}\u{e0001}\n\u{7f}é";
        let escaped = json(&serde_json::Value::from(text).to_string()).into_owned();
        assert!(!escaped.contains(is_unseen), "{escaped}");
        assert_eq!(serde_json::from_str::<String>(&escaped).unwrap(), text);
        let yaml = quoted(text);
        assert_eq!(yaml, "\"\\\"\\u001b\\U00000085\\U00002028\\U0000202e\\U000e0001\\n\\U0000007fé\"");
        let table: toml::Table = toml::from_str(&format!("x = {yaml}")).unwrap();
        assert_eq!(table["x"].as_str(), Some(text));
    }

    #[test]
    fn a_slug_is_what_a_folder_may_be_called() {
        for (text, made) in [
            ("Golden Delicious (1)", "Golden-Delicious-1"),
            ("Épagneul  français", "Epagneul-francais"),
            ("..a/b..", "a-b"),
            ("n01440764", "n01440764"),
            ("σκύλος 犬", ""),
        ] {
            assert_eq!(slug(text), made, "{text}");
        }
    }

    #[test]
    fn a_word_of_a_shell_is_one_word() {
        assert_eq!(shell_word("https://example.org:8080/a_b"), "https://example.org:8080/a_b");
        assert_eq!(shell_word("x;touch ${IFS}`y`$(z)"), "'x;touch ${IFS}`y`$(z)'");
        assert_eq!(shell_word("it's"), r"'it'\''s'");
        assert_eq!(shell_word(""), "''");
        assert_eq!(shell_path("a b"), "'a b'");
        assert_eq!(shell_word("a\u{200d}1 it's\n\\$(x)"), r"$'a\342\200\2151 it\'s\012\\$(x)'");
    }

    #[test]
    fn formulas_are_told_from_names() {
        for field in ["=1+1", "@SUM(1)", "\tx", "\rx", "+1+cmd|' /C calc'!A0", "-2+3", "-(1)", "=", "@a"]
            .into_iter()
            .chain([" =1", "\u{a0}=1", "\u{feff}=1", "\u{200b}@a", "＝cmd", "－2+3", " \n=1"])
        {
            assert!(is_formula(field), "{field}");
        }
        for field in
            ["", "a=b", "-1.5", "+3", "-_xY-7.jpg", "-é", "-1/1", "- x/a 2", "mail@x", "'=1", " a", "－a"]
        {
            assert!(!is_formula(field), "{field}");
        }
    }

    #[test]
    fn letters_that_differ() {
        for (a, b, distance) in [("", "ab", 2), ("abc", "acb", 1), ("ant", "bee", 3), ("ant", "ants", 1)] {
            assert_eq!((letters_apart(a, b), letters_apart(b, a)), (distance, distance), "{a} {b}");
        }
    }
}
