//! The extension module of the Python package `isn`: thin, since all that is not about Python is in the crate
//! `isn`. What users meet is in `isn/*.py`; its types are in `isn/_isn.pyi`.

mod buffer;
mod errors;
mod maker;
mod mapping;
mod reader;

use std::ffi::OsString;

use pyo3::prelude::*;

/// Runs the command `isn` with these arguments, the first of which is its name; gives its exit code.
#[pyfunction]
fn main(py: Python<'_>, arguments: Vec<OsString>) -> u8 {
    py.detach(|| isn::cli::main_with(arguments))
}

/// What `isn` is made of.
#[pymodule]
fn _isn(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add_class::<reader::Reader>()?;
    module.add_class::<buffer::Buffer>()?;
    module.add_class::<maker::Maker>()?;
    module.add_class::<maker::Coming>()?;
    module.add_function(wrap_pyfunction!(main, module)?)?;
    errors::add(module)
}
