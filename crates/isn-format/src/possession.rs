//! What a [`Rebuilt`](crate::statement::Rebuilt) statement states beside the dataset hash: what went into the
//! build, and that its signer has the images. docs/format.md is the specification.

use std::fmt::Write as _;

use crate::digest::Digest;
use crate::index::Sources;
use crate::key::PublicKey;
use crate::manifest::Manifest;

/// The context in which a signer's public key gives the key of a [`Possession`].
pub(crate) const CONTEXT: &str = "isn 2026-11-27 isn/v1 rebuilt possession";

/// A proof that somebody has the images of a version: their BLAKE3, keyed from the signer's public key. So
/// whoever has the images can check it, and nobody makes it from another's statement, or from a list of
/// hashes.
///
/// ```
/// use isn_format::key::{PrivateKey, Signer as _};
/// use isn_format::possession::Possession;
///
/// let [alice, bob] = [PrivateKey::generate("alice")?, PrivateKey::generate("bob")?];
/// let of = |key: &PrivateKey| {
///     let mut possession = Possession::of(key.public_key());
///     possession.image(b"the bytes of an image");
///     possession.digest()
/// };
/// assert_eq!(of(&alice), of(&alice));
/// assert_ne!(of(&alice), of(&bob));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Possession(blake3::Hasher);

impl Possession {
    /// Creates the proof of this signer, before the first image.
    pub fn of(signer: &PublicKey) -> Self {
        let key = blake3::derive_key(CONTEXT, &signer.to_wire());
        Possession(blake3::Hasher::new_keyed(&key))
    }

    /// Adds the next image, in the order of `B3SUMS`.
    pub fn image(&mut self, bytes: &[u8]) {
        self.0.update(&(bytes.len() as u64).to_le_bytes()).update(bytes);
    }

    /// Returns the proof for the images so far.
    pub fn digest(&self) -> Digest {
        Digest::of_hasher(&self.0)
    }
}

/// Returns the digest of all that a build took beside its source: the recipe, the ledger, the groups, the
/// pairs and the earlier assignments.
pub fn inputs(manifest: &Manifest) -> Digest {
    let objects = &manifest.objects;
    let named = [
        ("recipe", Some(objects.recipe.blake3)),
        ("corrections", objects.corrections.map(|object| object.blake3)),
        ("groups", objects.groups.map(|object| object.blake3)),
        ("pairs", objects.pairs.map(|object| object.blake3)),
        ("previous", manifest.previous.as_ref().map(|previous| previous.assignments)),
    ];
    let text = named.iter().fold(String::new(), |mut text, (name, digest)| {
        if let Some(digest) = digest {
            let _ = writeln!(text, "{name} b3:{digest}");
        }
        text
    });
    Digest::of(text.as_bytes())
}

/// Returns the digest of the source files from which the images of a version were made.
pub fn sources(sources: &Sources) -> Digest {
    let file = |at: u32| (sources.id(at as usize), sources.blake3()[at as usize]);
    let mut order: Vec<u32> = (0..sources.blake3().len() as u32).collect();
    order.sort_unstable_by_key(|at| file(*at));
    let mut hasher = blake3::Hasher::new();
    for (source, digest) in order.into_iter().map(file) {
        hasher.update(format!("{digest}  {source}\n").as_bytes());
    }
    Digest::of_hasher(&hasher)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::{PrivateKey, Signer as _};

    /// As `tests/vectors/statement/make` computes it with stock `b3sum`, of two images.
    #[test]
    fn possession_is_what_b3sum_computes() {
        let mut possession = Possession::of(PrivateKey::of_vectors("alice").public_key());
        possession.image(b"one image");
        possession.image(b"another");
        let golden = include_str!("../../../tests/vectors/statement/rebuilt.txt");
        assert!(golden.contains(&format!("\npossession {}\n", possession.digest().prefixed())), "{golden}");
        // Where one image ends and the next begins is part of it.
        let mut other = Possession::of(PrivateKey::of_vectors("alice").public_key());
        other.image(b"one imageanother");
        assert_ne!(other.digest(), possession.digest());
    }
}
