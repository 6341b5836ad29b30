//! `ISN.json`: what the last pull knew about its tree. No hash covers this file.

use super::Pull;
use super::staging::Staging;
use crate::files;
use crate::tree_file::origin_of;
use isn_format::error::{Error, Result, chain};
use isn_format::key::PublicKey;
use isn_format::tree::{BuiltFrom, FORMAT, ISN_JSON, Origin, Provenance, Selection, TWO, Unreleased};

/// The program that writes the tree.
const PROGRAM: &str = concat!("isn ", env!("CARGO_PKG_VERSION"));

impl Pull<'_> {
    /// Returns what this pull knows about its tree, which was built from `built_from` if it was built.
    pub(super) fn origin(&self, built_from: Option<BuiltFrom>) -> Origin {
        let head = &self.snapshot.head;
        let manifest = &head.manifest;
        if let Some((built, _)) = &self.built {
            return Origin::Unreleased(Unreleased {
                format: TWO.into(),
                released: false,
                name: manifest.name.clone(),
                dataset: manifest.dataset.prefixed(),
                pin: head.pin(),
                recipe: built.clone(),
                part: manifest.is_part,
                built_from,
                title: manifest.title.clone(),
                licence: manifest.licence.clone(),
                isn: PROGRAM.into(),
            });
        }
        let has_proof = self.snapshot.part().is_some();
        Origin::Released(Provenance {
            format: if has_proof { TWO.into() } else { FORMAT.into() },
            proof: has_proof,
            images: has_proof.then_some(manifest.images),
            name: manifest.name.clone(),
            version: manifest.version,
            dataset: manifest.dataset.prefixed(),
            manifest: head.manifest_ref.blake3.prefixed(),
            pin: head.pin(),
            title: manifest.title.clone(),
            licence: manifest.licence.clone(),
            registry: self.registry.name().into(),
            signed_by: head.signed_by.iter().map(PublicKey::fingerprint).collect(),
            selection: Selection { lines: Vec::new(), ..self.options.selection.clone() },
            built_from,
            isn: PROGRAM.into(),
        })
    }

    /// Updates the `ISN.json` of a tree that was there already, since an earlier pull may have trusted a
    /// registry without a signature. Returns a message for the user if it did. A signed origin is not
    /// replaced by an unsigned one.
    pub(super) fn renew_provenance(&self) -> Result<Option<String>> {
        let path = self.to.join(ISN_JSON);
        let found = origin_of(&self.to);
        // That it was built stays true of the same bytes.
        let known = self.origin(self.built_from());
        let known = match &found {
            Some(found) if found.dataset() == known.dataset() => known.or_built_from(found.built_from()),
            _ => known,
        };
        let differs = match &found {
            Some(found) => differences(found, &known),
            None => "all".into(),
        };
        if differs.is_empty() {
            return Ok(None);
        }
        let path = path.display();
        if known.signed_by().is_empty() && found.is_some_and(|found| !found.signed_by().is_empty()) {
            return Ok(Some(format!(
                "{path} names signers, and differs from what this pull knows without a signature \
                ({differs}): it was left as it is"
            )));
        }
        Ok(Some(match self.replace_provenance(&known) {
            Ok(()) => {
                format!("{path} was written anew, because it differed from what this pull knows ({differs})")
            }
            Err(e) => {
                format!(
                    "{path} differs from what this pull knows ({differs}), and could not be written: {}",
                    chain(&e)
                )
            }
        }))
    }

    /// Writes the file in the staging folder first: if the run were killed in the tree, it would leave an
    /// extra file there.
    fn replace_provenance(&self, known: &Origin) -> Result<()> {
        let to = self.to.canonicalize().map_err(Error::io("look at", &self.to))?;
        let staging = Staging::open(&to, &self.snapshot.head.manifest.dataset, self.options, self.progress)?;
        let (from, path) = (staging.root().join(ISN_JSON), to.join(ISN_JSON));
        let replaced = files::replace(&from, &known.to_json()?)
            .and_then(|()| std::fs::rename(&from, &path).map_err(Error::io("write", &path)))
            .and_then(|()| files::sync_dir(&to));
        staging.discard();
        replaced
    }
}

/// Returns the fields in which the two differ, except for the program that wrote them.
fn differences(found: &Origin, known: &Origin) -> String {
    let (found, known) = match (found, known) {
        (Origin::Released(found), Origin::Released(known)) => (found, known),
        (Origin::Unreleased(found), Origin::Unreleased(known)) => {
            let found = Unreleased { isn: known.isn.clone(), ..found.clone() };
            let same_recipe = Unreleased { built_from: known.built_from, ..found.clone() } == *known;
            return match (found == *known, same_recipe) {
                (true, _) => String::new(),
                (false, true) => "built_from".into(),
                (false, false) => "recipe".into(),
            };
        }
        _ => return "released".into(),
    };
    let fields = [
        ("format", (&found.format, found.proof, found.images) == (&known.format, known.proof, known.images)),
        ("name", found.name == known.name),
        ("version", found.version == known.version),
        ("dataset", found.dataset == known.dataset),
        ("manifest", found.manifest == known.manifest),
        ("pin", found.pin == known.pin),
        ("title", found.title == known.title),
        ("licence", found.licence == known.licence),
        ("registry", found.registry == known.registry),
        ("signed_by", found.signed_by == known.signed_by),
        ("selection", found.selection == known.selection),
        ("built_from", found.built_from == known.built_from),
    ];
    fields.iter().filter(|(_, same)| !same).map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
}
