//! For programs that have isn inside of them, as the Python package has: a version opened with the settings that the
//! command line has, and errors in its words.

use std::fmt::Display;

use super::exit;
use super::settings::Settings;
use super::terminal::Terminal;
use isn_format::dataset_ref::DatasetRef;
use isn_format::error::Error;
use isn_format::tree::Selection;
use isn_registry::dataset::Dataset;
use isn_registry::ops::Registries;
use isn_registry::ops::load::{LoadOptions, load, sources};
use isn_registry::parallel;

/// What went wrong, as the command says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The message with its causes: what stands behind `error: `.
    pub message: String,
    /// What to do next: what stands behind `help: `.
    pub help: Option<String>,
    /// The command's exit code.
    pub code: u8,
}

impl Failure {
    /// An argument that is not what it must be: exit code 2.
    pub fn usage(why: impl Display) -> Self {
        Failure { message: why.to_string(), help: None, code: 2 }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure {
            message: exit::with_causes(&error),
            help: exit::help(&error, exit::Aim::Look),
            code: exit::code(&error),
        }
    }
}

/// A version to be opened for reading: texts as a user gives them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Opening {
    /// `NAME@VERSION`, with or without `#b3:…`; `NAME`; or `b3:…`.
    pub reference: String,
    /// As `--registry`.
    pub registry: Option<String>,
    /// As `--offline`.
    pub offline: bool,
    /// As `--split`.
    pub splits: Vec<String>,
    /// As `--class`.
    pub classes: Vec<String>,
    /// `once`, `always` or `never`.
    pub verify: String,
    /// As `--quiet`.
    pub quiet: bool,
}

impl Opening {
    /// Opens it. What is not on this machine is fetched, with progress on stderr.
    pub fn open(&self) -> Result<Dataset, Failure> {
        let verify = self.verify.parse().map_err(Failure::usage)?;
        self.with(|registries, reference, selection| {
            let options =
                LoadOptions { reference, selection, verify, jobs: parallel::available(), anew: false };
            load(registries, &options, &Terminal::new(self.quiet))
        })
    }

    /// The source ids of its images, in their order.
    pub fn sources(&self) -> Result<Vec<String>, Failure> {
        self.with(sources)
    }

    fn with<T>(
        &self,
        work: impl FnOnce(&Registries<'_>, &DatasetRef, &Selection) -> Result<T, Error>,
    ) -> Result<T, Failure> {
        let reference = self.reference.parse().map_err(Failure::usage)?;
        let splits = self.splits.iter().map(|text| text.parse().map_err(Failure::usage));
        let classes = self.classes.iter().map(|text| text.parse().map_err(Failure::usage));
        let selection = Selection {
            splits: splits.collect::<Result<_, _>>()?,
            classes: classes.collect::<Result<_, _>>()?,
            ..Selection::default()
        };
        let settings = Settings::from_environment()?;
        let locations = settings.registries(self.registry.as_deref())?;
        let trust = settings.trust()?;
        let (logs, cache, access) = (settings.logs(), settings.cache(), settings.access(self.offline)?);
        let registries = Registries {
            locations: &locations,
            trust: &trust,
            logs: &logs,
            cache: cache.as_ref(),
            access: &access,
            max_age: None,
        };
        Ok(work(&registries, &reference, &selection)?)
    }
}
