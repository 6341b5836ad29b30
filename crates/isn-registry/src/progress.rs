//! [`Progress`]: how an operation reports how far it has come, without knowing who listens.

/// What an operation counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Images built or written.
    Images,
    /// Bytes fetched.
    Bytes,
    /// Files checked.
    Files,
}

/// Receives what an operation reports. Implementations must be cheap: calls come from the hot path.
pub trait Progress: Send + Sync {
    /// A stage of `total` units begins; `total` is 0 where it is not known yet.
    fn begin(&self, stage: &str, unit: Unit, total: u64);
    /// `count` more units of the stage are done.
    fn advance(&self, count: u64);
    /// The stage is over.
    fn end(&self);
    /// The output has its name: if the process ends now, nothing of it is lost. Ignored by default.
    fn complete(&self) {}
    /// Says what is about to be done. Ignored by default.
    fn tell(&self, _message: &str) {}
    /// Says something that the user should read, whether or not a stage is under way.
    fn note(&self, message: &str);
}

/// Ignores everything.
#[derive(Debug, Default)]
pub struct Silent;

impl Progress for Silent {
    fn begin(&self, _: &str, _: Unit, _: u64) {}
    fn advance(&self, _: u64) {}
    fn end(&self) {}
    fn note(&self, _: &str) {}
}
