//! [`read_guarded`]: reads the user's own files that others must not read or must not write to.

use std::fs::Metadata;
use std::path::Path;
#[cfg(unix)]
use std::path::PathBuf;

use super::{LEADS_NOWHERE, as_input, if_there, open, parent, read_to_cap};
use isn_format::error::{Error, Result};
#[cfg(unix)]
use isn_format::text::shell_word;

/// The number of symlinks that the system follows when it opens a file.
#[cfg(unix)]
const MAX_LINKS: usize = 40;

/// What a file must be protected from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guard {
    /// It contains secrets: nobody else may read it.
    Secret,
    /// It decides whom to believe: nobody else except root may write to it or replace it.
    Trust,
}

/// Reads a file of at most `cap` bytes if it is protected as `guard` demands; returns `None` if there is
/// none. Checks the same open file that it reads.
///
/// # Errors
/// [`Error::Invalid`] if others may read a secret, or the file is too long; [`Error::TrustFile`] if others
/// may change what decides whom to believe; [`Error::Io`] if it cannot be read.
pub fn read_guarded(path: &Path, cap: u64, guard: Guard) -> Result<Option<Vec<u8>>> {
    let Some(file) = if_there(open(path))? else {
        // A dangling symlink must not pass for an absent file: the settings in it would be silently ignored.
        return if path.is_symlink() { Err(leads_nowhere(path, guard)) } else { Ok(None) };
    };
    let about = file.metadata().map_err(Error::io("look at", path))?;
    match guard {
        // It fails when it is read, and its permissions are not what is wrong.
        _ if about.is_dir() => {}
        Guard::Secret => check_secret(path, &about)?,
        Guard::Trust => check_trust(path, &about)?,
    }
    read_to_cap(file, path, cap).map(Some).map_err(as_input)
}

fn leads_nowhere(path: &Path, guard: Guard) -> Error {
    match guard {
        Guard::Secret => Error::invalid(path.display(), LEADS_NOWHERE),
        Guard::Trust => Error::TrustFile {
            path: path.into(),
            why: "is a link that leads nowhere".into(),
            cure: "put back the file that it leads to, or remove the link".into(),
        },
    }
}

/// Checks that only the owner may read a file with secrets.
///
/// # Errors
/// [`Error::Invalid`] if others may read it; [`Error::Io`] if it cannot be looked at.
pub(crate) fn check_private(path: &Path) -> Result<()> {
    check_secret(path, &path.metadata().map_err(Error::io("look at", path))?)
}

fn check_secret(path: &Path, about: &Metadata) -> Result<()> {
    #[cfg(unix)]
    if std::os::unix::fs::MetadataExt::mode(about) & 0o077 != 0 {
        let why = format!("may be read by others: chmod 600 {}", shell_word(path.display()));
        return Err(Error::invalid(path.display(), why));
    }
    let _ = (path, about);
    Ok(())
}

fn check_trust(path: &Path, about: &Metadata) -> Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        let refuse = |why: String, command: String| {
            let cure = format!("check that it says what you want, then:\n  {command}");
            Err(Error::TrustFile { path: path.into(), why, cure })
        };
        let (mode, file) = (about.mode(), shell_word(path.display()));
        if about.uid() != 0 && about.uid() != rustix::process::geteuid().as_raw() {
            let why = "belongs to another user, and it decides whom to believe".into();
            // Only root may change a file's owner; a copy belongs to the user.
            let mine = shell_word(path.with_added_extension("mine").display());
            return refuse(why, format!("cp {file} {mine} && mv -f {mine} {file}"));
        }
        if mode & 0o022 != 0 {
            let why =
                format!("may be changed by others (mode {:o}), and it decides whom to believe", mode & 0o777);
            return refuse(why, format!("chmod go-w {file}"));
        }
        // A group may consist of the user alone, as with umask 002, so only permissions for everybody count.
        // In a sticky folder nobody can replace another user's file.
        for folder in folders_of(path) {
            let mode = folder.metadata().map_err(Error::io("look at", &folder))?.mode();
            if mode & 0o1002 == 0o002 {
                let why = format!("lies in a folder that everybody may change (mode {:o})", mode & 0o7777);
                return refuse(why, format!("chmod o-w {}", shell_word(folder.display())));
            }
        }
    }
    let _ = (path, about);
    Ok(())
}

/// Returns the folder of a file and, if the file is a symlink, of each file on the way to its target.
#[cfg(unix)]
fn folders_of(path: &Path) -> Vec<PathBuf> {
    let (mut path, mut folders) = (path.to_path_buf(), Vec::new());
    for _ in 0..=MAX_LINKS {
        let folder = parent(&path).to_path_buf();
        let to = path.read_link().map(|to| folder.join(to));
        folders.push(folder);
        let Ok(to) = to else { break };
        path = to;
    }
    folders
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn what_is_open_to_others_or_too_long_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("my file");
        assert_eq!(read_guarded(&path, 4, Guard::Secret).unwrap(), None);
        fs::write(&path, "1234").unwrap();
        for (mode, is_secret, is_trusted) in
            [(0o600, true, true), (0o644, false, true), (0o620, false, false)]
        {
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            assert_eq!(read_guarded(&path, 4, Guard::Secret).is_ok(), is_secret, "{mode:o}");
            assert_eq!(read_guarded(&path, 4, Guard::Trust).is_ok(), is_trusted, "{mode:o}");
        }
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        for guard in [Guard::Secret, Guard::Trust] {
            assert_eq!(read_guarded(&path, 4, guard).unwrap().as_deref(), Some(&b"1234"[..]));
            assert!(matches!(read_guarded(&path, 3, guard), Err(Error::Invalid { .. })));
        }
    }
}
