//! [`Progress`]: how an operation says how far it is, without knowing who listens.

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

/// Told by an operation what it does. Implementations must be cheap: calls come from the hot path.
pub trait Progress: Send + Sync {
    /// A stage begins, of `total` units (0 where it is not known yet).
    fn begin(&self, stage: &str, unit: Unit, total: u64);
    /// `count` more units of the stage are done.
    fn advance(&self, count: u64);
    /// The stage is over.
    fn end(&self);
    /// What is about to be done; nothing to whoever wants it quiet.
    fn tell(&self, _message: &str) {}
    /// Something that the user should read, in any stage.
    fn note(&self, message: &str);
}

/// Listens to nothing.
#[derive(Debug, Default)]
pub struct Silent;

impl Progress for Silent {
    fn begin(&self, _: &str, _: Unit, _: u64) {}
    fn advance(&self, _: u64) {}
    fn end(&self) {}
    fn note(&self, _: &str) {}
}
