//! The statements that a version needs in the log to be released, and their signatures.

use crate::steps::submit::{missing, sign_with};
use isn_format::error::{Error, Result, There};
use isn_format::key::{PublicKey, Signer};
use isn_format::log::History;
use isn_format::statement::{Owner, ReleaseStatement, SignedStatement, Statement};

/// The statements that a log lacks for a version to be released.
pub(super) enum Lack {
    /// None: this entry is the release.
    Nothing(u64),
    /// The release, with the number of signatures that are missing besides those of the keys at hand, and a
    /// claim of the name if nobody owns it.
    Release { claim: Option<Statement>, missing: usize },
}

impl Lack {
    /// Returns what `history` lacks if `keys` sign. Without a history nobody owns anything yet.
    ///
    /// # Errors
    /// [`Error::Exists`] if the version was released with another hash; [`Error::Refused`] if the keys may
    /// not release it.
    pub(super) fn of(
        history: Option<&History>,
        release: &ReleaseStatement,
        keys: &[PublicKey],
    ) -> Result<Self> {
        let there = history.and_then(|history| history.release(&release.id));
        if let Some((there, released)) = there {
            if (there.dataset(), there.manifest()) == (release.dataset, release.manifest) {
                return Ok(Lack::Nothing(released.index));
            }
            let why = if there.dataset() == release.dataset {
                " with the same images, but another title, licence, recipe or ledger, or with its index stored \
                 in another way (`isn build --index`)"
                    .into()
            } else {
                format!(
                    " with dataset hash b3:{}, but this build has b3:{}",
                    there.dataset(),
                    release.dataset
                )
            };
            return Err(Error::exists(There::Release, format!("release {}", release.id), why));
        }
        match history.filter(|history| history.dataset(&release.id.name).is_some()) {
            Some(history) => {
                let missing = missing(history, &Statement::Release(release.clone()), keys)?;
                Ok(Lack::Release { claim: None, missing })
            }
            None => {
                let owner = Owner::new(release.id.name.clone(), None, 1, keys.to_vec(), Vec::new());
                Ok(Lack::Release { claim: Some(Statement::Owner(owner)), missing: 0 })
            }
        }
    }

    /// Whether the name is to be claimed.
    pub(super) fn claims(&self) -> bool {
        matches!(self, Lack::Release { claim: Some(_), .. })
    }
}

/// The statements of a publish. Each is signed once, before anything is written, so that a wrong passphrase
/// leaves nothing behind.
pub(super) struct Signed {
    claim: Option<SignedStatement>,
    /// `None` if the log has it already.
    release: Option<SignedStatement>,
}

impl Signed {
    /// Signs what a log lacks.
    pub(super) fn new(lack: &Lack, release: &ReleaseStatement, signers: &[Box<dyn Signer>]) -> Result<Self> {
        let Lack::Release { claim, .. } = lack else { return Ok(Signed { claim: None, release: None }) };
        let claim = claim.as_ref().map(|claim| sign_with(claim, signers)).transpose()?;
        let release = sign_with(&Statement::Release(release.clone()), signers)?;
        Ok(Signed { claim, release: Some(release) })
    }

    /// Returns the claim of the name, if `lack` needs one, and the release.
    pub(super) fn needed(self, lack: &Lack) -> Result<(Option<SignedStatement>, SignedStatement)> {
        let release = self.release.ok_or_else(|| Error::Internal("the log lost a release".into()))?;
        Ok((self.claim.filter(|_| lack.claims()), release))
    }
}
