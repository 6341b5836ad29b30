//! Files of rows, as a ledger: one writer at a time adds rows, and none is lost once it was acknowledged.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::path::Path;

use crate::files;
use isn_format::error::{Error, Mistake, Result};
use isn_format::rows::{FileRow, RowFile};

/// The maximum number of mistakes that are told of rows to add: all rows may have the same.
const MAX_MISTAKES: usize = 1000;

/// Appends rows to a file, and returns all rows once they are on disk. Creates the file if there is none, and
/// rewrites one of an older format in the present one.
///
/// # Errors
/// Fails as [`RowFile::parse`] does, with [`Error::Mistakes`] if a row could not be read back, or a
/// spreadsheet would run a field of it as a formula, and with [`Error::Invalid`] if the file is or would be
/// too long; nothing is changed then. After a write error the file has its former length.
pub fn append<F: RowFile>(path: &Path, rows: &[F::Row]) -> Result<F> {
    extend(path, |_| rows.to_vec())
}

/// As [`append`], but `rows` makes the new rows from the present ones, which nobody changes meanwhile.
///
/// # Errors
/// As [`append`].
pub fn extend<F: RowFile>(path: &Path, mut rows: impl FnMut(&F) -> Vec<F::Row>) -> Result<F> {
    let what = path.display().to_string();
    loop {
        let Some((mut file, bytes)) = open_alone(path, F::MAX_LEN)? else {
            files::check_is_path(path)?;
            let all = rows(&F::new(Vec::new()));
            check::<F>(path, &all)?;
            let whole = F::new(all);
            let text = whole.to_csv();
            check_len::<F>(path, text.len())?;
            match whole.rows().is_empty() || files::create_new(path, &text)? {
                true => return Ok(whole),
                // Another process has just created it.
                false => continue,
            }
        };
        let old = F::parse_or_empty(&what, &bytes)?;
        let new = rows(&old);
        check::<F>(path, &new)?;
        let whole = F::new([old.rows(), &new].concat());
        if new.is_empty() {
            return Ok(whole);
        }
        if !bytes.starts_with(F::HEADER.as_bytes()) {
            check_alone(&file, path)?;
            let text = whole.to_csv();
            check_len::<F>(path, text.len())?;
            files::overwrite(path, &text)?;
            return Ok(whole);
        }
        let mut added = String::new();
        if !bytes.ends_with(b"\n") {
            added.push('\n');
        }
        new.iter().for_each(|row| added += &row.to_csv());
        check_len::<F>(path, bytes.len() + added.len())?;
        let written = file.write_all(added.as_bytes()).and_then(|()| file.sync_data());
        written.map_err(|error| {
            // Half a row must not remain. If this fails too, the next parse names the line.
            let _ = file.set_len(bytes.len() as u64);
            Error::io("write", path)(error)
        })?;
        return Ok(whole);
    }
}

/// Refuses to replace a file that has hard links: they would keep the old contents.
fn check_alone(file: &File, path: &Path) -> Result<()> {
    #[cfg(unix)]
    if std::os::unix::fs::MetadataExt::nlink(&file.metadata().map_err(Error::io("look at", path))?) > 1 {
        let why = "has the older format and hard links, which would keep the old contents when it is \
                   rewritten: make it a file of its own (`cp LEDGER NEW && mv NEW LEDGER`)";
        return Err(Error::invalid(path.display(), why));
    }
    let _ = (file, path);
    Ok(())
}

/// Refuses rows that a spreadsheet would run, and such as could not be read back: one with a line break or
/// without a source would make the whole file unreadable.
///
/// # Errors
/// [`Error::Mistakes`] with what is wrong with each of them.
pub fn check<F: RowFile>(path: &Path, rows: &[F::Row]) -> Result<()> {
    let mut wrong: Vec<String> = rows.iter().flat_map(F::Row::formulas).collect();
    for some in rows.chunks(1 << 10) {
        if !mistakes_of::<F>(some).is_empty() {
            wrong.extend(some.iter().flat_map(|row| {
                let why = |mistake: Mistake| format!("{}: {}", row.about(), mistake.why);
                mistakes_of::<F>(std::slice::from_ref(row)).into_iter().map(why)
            }));
        }
        if wrong.len() > MAX_MISTAKES {
            break;
        }
    }
    wrong.truncate(MAX_MISTAKES);
    let mistakes: Vec<Mistake> = wrong.into_iter().map(|why| Mistake { line: None, why }).collect();
    if mistakes.is_empty() {
        return Ok(());
    }
    Err(Error::Mistakes { what: format!("what is to be added to {}", path.display()), mistakes })
}

/// Returns what is wrong with rows when they are read back.
fn mistakes_of<F: RowFile>(rows: &[F::Row]) -> Vec<Mistake> {
    match F::parse("", &F::new(rows.to_vec()).to_csv()) {
        Err(Error::Mistakes { mistakes, .. }) => mistakes,
        _ => Vec::new(),
    }
}

/// Checks that a file of `length` bytes could be read again.
fn check_len<F: RowFile>(path: &Path, length: usize) -> Result<()> {
    let (cap, noun) = (F::MAX_LEN, F::NOUN);
    if length as u64 <= cap {
        return Ok(());
    }
    let why = format!("would have {length} bytes, and may have at most {cap}: begin another {noun}");
    Err(Error::invalid(path.display(), why))
}

/// Opens a file for appending, alone among isn processes, and reads it; returns `None` if there is no file.
/// Where the file system has no locks, it does not wait for other writers.
fn open_alone(path: &Path, cap: u64) -> Result<Option<(File, Vec<u8>)>> {
    loop {
        let file = match OpenOptions::new().read(true).append(true).open(path) {
            Ok(file) => file,
            Err(e) if e.kind() == ErrorKind::NotFound => {
                return files::behind_links(path).map(|_| None);
            }
            Err(e) => return Err(Error::io("write", path)(e)),
        };
        if !file.metadata().map_err(Error::io("look at", path))?.is_file() {
            return Err(Error::invalid(path.display(), "is not a file"));
        }
        files::wait_for_lock(&file, path);
        // The last holder of the lock may have replaced the file.
        if !files::is_same(file.metadata(), path.metadata()) {
            continue;
        }
        let bytes = files::read_to_cap(&file, path, cap).map_err(files::as_input)?;
        return Ok(Some((file, bytes)));
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use isn_format::ledger::{Ledger, OLD_HEADER};
    use isn_format::pairs::{Decision, Pair, Pairs, Reason, Says};

    const GOLDEN: &[u8] = include_bytes!("../../../tests/vectors/ledger.csv");
    const PAIRS: &[u8] = include_bytes!("../../../tests/vectors/pairs.csv");

    #[test]
    fn rows_are_added_to_the_file_and_an_older_one_becomes_a_new_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ledger.csv");
        let ledger = Ledger::parse("ledger.csv", GOLDEN).unwrap();
        for row in ledger.rows() {
            append::<Ledger>(&path, std::slice::from_ref(row)).unwrap();
        }
        assert_eq!(fs::read(&path).unwrap(), GOLDEN);
        // A hand-edited file may lack the last line feed.
        fs::write(&path, GOLDEN.trim_ascii_end()).unwrap();
        append::<Ledger>(&path, &ledger.rows()[..1]).unwrap();
        assert_eq!(
            Ledger::parse("l", &fs::read(&path).unwrap()).unwrap().rows().len(),
            ledger.rows().len() + 1
        );

        fs::write(&path, format!("{OLD_HEADER}\na,remove,,r,s,Ann,2024-01-01\n")).unwrap();
        append::<Ledger>(&path, &ledger.rows()[..1]).unwrap();
        let grown = Ledger::parse("l", &fs::read(&path).unwrap()).unwrap();
        assert_eq!((grown.rows().len(), grown.rows()[0].source_id()), (2, "a"));

        fs::write(&path, "nonsense\n").unwrap();
        assert!(append::<Ledger>(&path, ledger.rows()).is_err());
        assert_eq!(fs::read(&path).unwrap(), b"nonsense\n");
    }

    #[test]
    fn pairs_are_added_to_their_file_and_none_that_would_not_read_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pairs.csv");
        let pairs = Pairs::parse("pairs.csv", PAIRS).unwrap();
        for row in pairs.rows() {
            append::<Pairs>(&path, std::slice::from_ref(row)).unwrap();
        }
        assert_eq!(fs::read(&path).unwrap(), PAIRS);
        let row = |first: &str, reviewer: &str, evidence: &str| Decision {
            pair: Pair::new(first, "z").unwrap(),
            says: Says::Same,
            reviewer: reviewer.into(),
            reason: Reason::Copy,
            date: "2026-11-28".into(),
            evidence: evidence.into(),
        };
        for (bad, why) in [
            (row("a", "", ""), "a and z: reviewer must not be empty"),
            (row("a", "=1", ""), "a and z: reviewer '=1' is a formula to a spreadsheet"),
            (row("a", "Ann", "two\nlines"), "a and z: evidence has a line break"),
        ] {
            let error = append::<Pairs>(&path, &[row("b", "Ann", ""), bad]).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
        assert_eq!(fs::read(&path).unwrap(), PAIRS);
        assert!(append::<Ledger>(&path, &[]).unwrap_err().to_string().contains("the header must be"));
    }
}
