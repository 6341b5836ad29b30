//! What to do about something that does not exist.

use std::path::Path;

use super::{Advice, Aim, CHECK_PATH};
use crate::cli::near;
use isn_format::error::Missing;
use isn_format::text::shell_word;

/// Returns the next step for something of this kind that is not at `place`.
pub(super) fn help(kind: Missing, what: &str, place: &str, advice: Advice<'_>) -> Option<String> {
    let same_registry = advice.same_registry();
    Some(match kind {
        Missing::Registry if advice.to == Aim::Write => {
            "check the address. `isn publish` or `isn registry init` makes a registry from an empty \
             folder or bucket"
                .into()
        }
        Missing::Registry => {
            "check the address: a registry is the folder that holds registry.json (is its disk mounted?)"
                .into()
        }
        Missing::RegistryInFile => "check the path: a registry is the folder that holds registry.json".into(),
        Missing::RegistryInTree => format!("it is a tree: `isn verify {}` checks it", shell_word(place)),
        Missing::RegistryInBuild => format!(
            "it is a build: `isn publish {} --registry DIR --key NAME` puts it into a registry",
            shell_word(place)
        ),
        Missing::RegistryJson => format!(
            "restore registry.json from a backup or a mirror of this registry: every copy has the same one. \
             `isn verify {}` checks the other files",
            shell_word(place)
        ),
        Missing::Location => {
            let next = format!("correct {place}, or name another registry (--registry)");
            match (near::location(what), place) {
                (Some(meant), "") => format!("did you mean {meant}?"),
                (Some(meant), _) => format!("did you mean {meant}? Then {next}"),
                (None, "") => CHECK_PATH.into(),
                (None, _) => next,
            }
        }
        Missing::LocationInCache => {
            "the cache has this version, or a part of it: `--offline` uses that. If the folder was moved or \
             its disk is not mounted, put it back, or name another copy of the registry (--registry)"
                .into()
        }
        Missing::Lock => {
            "lock a version with `isn pull REF --lock`; `isn sync` without --locked also locks the datasets \
             that isn.toml lists"
                .into()
        }
        Missing::Key if Path::new(what).components().count() > 1 => CHECK_PATH.into(),
        Missing::Key => {
            "`isn key list` lists your keys; `isn key new NAME` makes one; a key file is named by \
             its path"
                .into()
        }
        Missing::Recipe => {
            format!(
                "`isn list{same_registry}` shows what it has; a published version's is named by NAME@VERSION, and a \
                 file of your own by its path"
            )
        }
        Missing::Version => match near::hash(what) {
            Some(hash) => format!("a dataset hash is written with b3: in front: {hash}"),
            None if Path::new(what).is_dir() => format!(
                "`isn list{same_registry}` shows what the registry has. If you mean the folder here, {}",
                near::folder(what)
            ),
            None => {
                format!("`isn list{same_registry}` shows what the registry has; --registry selects another")
            }
        },
        // The place is the version's pin.
        Missing::Split | Missing::Class | Missing::ClassLabel => {
            format!("`isn info {}{same_registry}` lists what it has", shell_word(place))
        }
        Missing::Image => {
            format!("`isn images {}{same_registry}` lists the paths of its images", shell_word(place))
        }
        Missing::File => CHECK_PATH.into(),
        Missing::Object => {
            "the registry refers to it, but has lost it: tell its operator, or use another copy \
             (--registry)"
                .into()
        }
        Missing::Owner => {
            format!("`isn owner show {}{same_registry}` lists the owners of the name", near::name_in(place))
        }
        Missing::Trusted => "`isn trust list` lists the keys that you trust".into(),
        // Nothing is to be done about a log that a registry never had, an image that a ledger does not
        // mention, or the like.
        Missing::AttestationLog => {
            "nobody has stated there that they built a version: `isn attest BUILD` makes such a statement"
                .into()
        }
        Missing::Log => "its registry.json names no log: ask its operator".into(),
        Missing::Other => return None,
    })
}
