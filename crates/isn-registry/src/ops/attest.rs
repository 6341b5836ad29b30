//! `isn attest`: states that a version was built here, with a proof that the signer has its images; and
//! checks what others state against images that are at hand. Both need no network and no registry.

use std::path::{Path, PathBuf};

use super::audit::Subject;
use super::verify::store::StoreKind;
use crate::client::version_at::Local;
use crate::files;
use crate::progress::{Progress, Unit};
use crate::registry::build;
use crate::steps::submit::{collected_in, read_statement};
use crate::transport;
use crate::tree_file::{list_of, origin_of, read_sums_hashed};
use isn_format::class::MAX_CLASSES;
use isn_format::dataset_ref::VersionId;
use isn_format::digest::Digest;
use isn_format::error::{At, Error, Result, There};
use isn_format::key::{PublicKey, Signer};
use isn_format::possession::Possession;
use isn_format::statement::{Rebuilt, SignedStatement, Statement};
use isn_format::tree::{B3SUMS, B3SUMS_SELECTED, BuiltFrom, CLASSES, ISN_JSON, Origin};

/// A version that is on this machine, whole.
struct Held {
    id: VersionId,
    dataset: Digest,
    /// What it was built from, if that is known.
    from: Option<BuiltFrom>,
    /// The images, in the order of `B3SUMS`.
    images: Subject,
    /// Their BLAKE3.
    hashes: Vec<Digest>,
}

/// A statement that was made.
pub struct AttestReport {
    /// The statement.
    pub rebuilt: Rebuilt,
    /// The signer.
    pub signer: PublicKey,
    /// The file that has it.
    pub file: PathBuf,
    /// The number of images.
    pub images: usize,
}

/// States that the version in `target`, a build or a tree, was built here, and writes the signed statement to
/// `out`. Every image is read and checked.
///
/// # Errors
/// [`Error::NotFound`] or [`Error::Invalid`] if `target` is no build and no whole tree, or does not say what
/// it was built from; [`Error::Integrity`] if it is damaged; [`Error::Exists`] if the file exists;
/// [`Error::Key`] if the key cannot sign; [`Error::Io`] if a file cannot be read or written.
pub fn attest(
    target: &Path,
    signer: &dyn Signer,
    out: Option<&Path>,
    progress: &dyn Progress,
) -> Result<AttestReport> {
    let held = Held::open(target)?;
    let Some(BuiltFrom { inputs, sources }) = held.from else {
        let why = format!(
            "does not say what it was built from ({ISN_JSON} has no `built_from`): it was pulled from a \
             registry, or written by an older isn. Build it from your own source, and attest that: `isn \
             build`, or `isn pull {} --source DIR --to NEW-DIR`",
            held.id
        );
        return Err(Error::invalid(target.display(), why));
    };
    let mut possession = Possession::of(signer.public_key());
    let (id, dataset) = (held.id.clone(), held.dataset);
    let mut rebuilt = Rebuilt { id, dataset, inputs, sources, possession: possession.digest() };
    // Before the images are read.
    let file = collected_in(&Statement::Rebuilt(rebuilt.clone()), out)?;
    held.prove(std::slice::from_mut(&mut possession), progress)?;
    rebuilt.possession = possession.digest();
    let signed = SignedStatement::sign(&Statement::Rebuilt(rebuilt.clone()), signer)?;
    if !files::create_new(&file, signed.bytes())? {
        return Err(Error::exists(There::Place, file.display(), ""));
    }
    Ok(AttestReport { rebuilt, signer: *signer.public_key(), file, images: held.hashes.len() })
}

/// What others state about a version, compared with the images at hand.
pub struct ConfirmReport {
    /// The version at hand.
    pub id: VersionId,
    /// Its dataset hash.
    pub dataset: Digest,
    /// The statements, in the order of the files.
    pub statements: Vec<Confirmed>,
}

/// A statement, compared with the images at hand.
pub struct Confirmed {
    /// The file that has it.
    pub file: PathBuf,
    /// The statement.
    pub rebuilt: Rebuilt,
    /// The signer, whose signature is valid.
    pub signer: PublicKey,
    /// What in it does not hold, as predicates.
    pub faults: Vec<String>,
    /// Whether it was built by the same recipe and ledger; `None` if it is not known what the version at hand
    /// was built from.
    pub same_inputs: Option<bool>,
    /// Whether it was built from the same source files; `None` if that is not known.
    pub same_sources: Option<bool>,
}

/// Checks the signed statements in `statements` against the version in `target`, a build or a tree, which is
/// read once.
///
/// # Errors
/// [`Error::Integrity`] or [`Error::Trust`] if a file is no such statement, or its signature is not valid;
/// otherwise as [`attest`].
pub fn confirm(statements: &[PathBuf], target: &Path, progress: &dyn Progress) -> Result<ConfirmReport> {
    let read = statements.iter().map(|file| read(file)).collect::<Result<Vec<_>>>()?;
    let held = Held::open(target)?;
    let mut possessions: Vec<Possession> = read.iter().map(|(_, signer)| Possession::of(signer)).collect();
    held.prove(&mut possessions, progress)?;
    let statements = read.into_iter().zip(statements).zip(possessions);
    let statements = statements.map(|(((rebuilt, signer), file), possession)| {
        let mut faults = Vec::new();
        if rebuilt.id != held.id {
            faults.push(format!("is about {}, and this is {}", rebuilt.id, held.id));
        }
        if rebuilt.dataset != held.dataset {
            let (theirs, ours) = (rebuilt.dataset.prefixed(), held.dataset.prefixed());
            faults.push(format!("has dataset hash {theirs}, and here it is {ours}"));
        } else if rebuilt.possession != possession.digest() {
            faults.push("proves the possession of other images: its signer need not have these".into());
        }
        let same = |theirs: Digest, ours: fn(&BuiltFrom) -> Digest| {
            held.from.as_ref().map(|from| ours(from) == theirs)
        };
        Confirmed {
            file: file.clone(),
            same_inputs: same(rebuilt.inputs, |from| from.inputs),
            same_sources: same(rebuilt.sources, |from| from.sources),
            rebuilt,
            signer,
            faults,
        }
    });
    Ok(ConfirmReport { id: held.id.clone(), dataset: held.dataset, statements: statements.collect() })
}

fn read(file: &Path) -> Result<(Rebuilt, PublicKey)> {
    let what = file.display().to_string();
    let signed = read_statement(file)?;
    let attested = signed.attested()?;
    match (attested.statement, &attested.signers[..]) {
        (Statement::Rebuilt(rebuilt), [signer]) => Ok((rebuilt, *signer)),
        (other, _) => {
            let why = format!("is {}, and no statement of a rebuild", other.title());
            Err(Error::invalid(what, why))
        }
    }
}

/// Why nobody can state that they built such a thing.
const PART: &str = "was built from a part of its source, and has no version: build it from the whole source to state its hash";

impl Held {
    fn open(target: &Path) -> Result<Held> {
        match StoreKind::of(target) {
            Some(StoreKind::Registry) if !files::is_tree(target) => {
                Err(Error::invalid(target.display(), "is a registry: expected a build or a tree"))
            }
            _ => match Local::at(target)? {
                Local::Tree => Held::tree(target),
                Local::Build => Held::build(target),
            },
        }
    }

    fn build(root: &Path) -> Result<Held> {
        let runtime = transport::runtime()?;
        let (registry, snapshot) = runtime.block_on(build::describe(root))?;
        let sources = runtime.block_on(registry.sources(&snapshot)).map_err(build::of_build)?;
        let manifest = &snapshot.head.manifest;
        if manifest.is_part {
            return Err(Error::invalid(root.display(), PART));
        }
        Ok(Held {
            id: manifest.id(),
            dataset: manifest.dataset,
            from: Some(BuiltFrom::of(manifest, &sources)),
            hashes: snapshot.index().rows().map(|row| row.blake3()).collect(),
            images: Subject::build(root)?,
        })
    }

    fn tree(root: &Path) -> Result<Held> {
        let what = root.display();
        if list_of(root) == B3SUMS_SELECTED {
            let why = "is a part of a version: to have a version is to have all of its images";
            return Err(Error::invalid(what, why));
        }
        let origin = origin_of(root).ok_or_else(|| {
            let why = format!("has no {ISN_JSON} that says which version it is: `isn pull` writes one");
            Error::invalid(&what, why)
        })?;
        let (sums, dataset) = read_sums_hashed(root, B3SUMS)?;
        let (sums, path) = (sums?, root.join(CLASSES));
        if origin.dataset() != dataset.prefixed() {
            let why = format!(
                "has dataset hash {}, and {ISN_JSON} says {}: `isn verify` says what changed",
                dataset.prefixed(),
                origin.dataset()
            );
            return Err(Error::integrity(what, why).at(At::Tree));
        }
        sums.classes(&path.display().to_string(), &files::read_capped(&path, MAX_CLASSES)?)?;
        let from = origin.built_from();
        let id = match origin {
            Origin::Unreleased(built) if built.part => return Err(Error::invalid(&what, PART)),
            Origin::Released(known) => VersionId { name: known.name, version: known.version },
            Origin::Unreleased(built) => VersionId { name: built.name, version: built.recipe.version },
        };
        let hashes = sums.images().map(|line| line.blake3).collect();
        Ok(Held { id, dataset, from, hashes, images: Subject::tree(root)? })
    }

    /// Reads and checks every image, and adds it to the proofs.
    fn prove(&self, possessions: &mut [Possession], progress: &dyn Progress) -> Result<()> {
        progress.begin("read", Unit::Images, self.hashes.len() as u64);
        for (at, hash) in self.hashes.iter().enumerate() {
            let bytes = self.images.read(at)?;
            if Digest::of(&bytes) != *hash {
                let (root, path) = (&self.images.what, &self.images.images[at].path);
                let why =
                    format!("is damaged: its BLAKE3 is not {hash}. `isn verify {root}` checks all files");
                return Err(Error::integrity(format!("{root}/{path}"), why).at(At::Tree));
            }
            possessions.iter_mut().for_each(|possession| possession.image(&bytes));
            progress.advance(1);
        }
        progress.end();
        Ok(())
    }
}
