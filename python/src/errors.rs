//! Failures as Python's exceptions: one class for each exit code of the command.

use isn::cli::Failure;
use pyo3::create_exception;
use pyo3::exceptions::{PyException, PyValueError};
use pyo3::prelude::*;

create_exception!(
    isn,
    IsnError,
    PyException,
    "What isn could not do. `help` says what to do next; `exit_code` is the command's."
);
create_exception!(isn, UsageError, IsnError, "An argument is not what it must be.");
create_exception!(isn, IntegrityError, IsnError, "Bytes are not what their hash says.");
create_exception!(isn, TrustError, IsnError, "A signature, key or log cannot be relied on.");
create_exception!(
    isn,
    NetworkError,
    IsnError,
    "No answer, or none that makes sense; or the network is not to be used."
);
create_exception!(isn, NotFoundError, IsnError, "There is no such dataset, version, split or class.");
create_exception!(
    isn,
    SourceNeededError,
    IsnError,
    "The images have to be built from your own source images."
);

/// The exception for a failure: its text is the command's, message and help.
pub(crate) fn raise(py: Python<'_>, failure: Failure) -> PyErr {
    let text = match &failure.help {
        Some(help) => format!("{}\nhelp: {help}", failure.message),
        None => failure.message.clone(),
    };
    let error = match failure.code {
        2 => UsageError::new_err(text),
        3 => IntegrityError::new_err(text),
        4 => TrustError::new_err(text),
        5 => NetworkError::new_err(text),
        6 => NotFoundError::new_err(text),
        7 => SourceNeededError::new_err(text),
        _ => IsnError::new_err(text),
    };
    let value = error.value(py);
    let set = value.setattr("help", failure.help).and_then(|()| value.setattr("exit_code", failure.code));
    set.err().unwrap_or(error)
}

/// For arguments that Python code should have checked.
pub(crate) fn bad_value(why: impl std::fmt::Display) -> PyErr {
    PyValueError::new_err(why.to_string())
}

pub(crate) fn add(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    let base = py.get_type::<IsnError>();
    base.setattr("help", py.None())?;
    base.setattr("exit_code", 1)?;
    module.add("IsnError", base)?;
    module.add("UsageError", py.get_type::<UsageError>())?;
    module.add("IntegrityError", py.get_type::<IntegrityError>())?;
    module.add("TrustError", py.get_type::<TrustError>())?;
    module.add("NetworkError", py.get_type::<NetworkError>())?;
    module.add("NotFoundError", py.get_type::<NotFoundError>())?;
    module.add("SourceNeededError", py.get_type::<SourceNeededError>())
}
