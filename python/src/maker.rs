//! Batches: made at once, or while Python does something else.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, OnceLock};

use isn::cli::Failure;
use isn_registry::dataset::{Batch, Dataset};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

use crate::buffer::{Buffer, Memory};
use crate::errors::{bad_value, raise};

/// Makes batches of one kind.
#[pyclass(module = "isn._isn", frozen)]
pub(crate) struct Maker {
    dataset: Arc<Dataset>,
    batch: Batch,
}

impl Maker {
    pub(crate) fn new(dataset: Arc<Dataset>, batch: Batch) -> Self {
        Maker { dataset, batch }
    }

    /// What is left to do, on whatever thread.
    fn work(
        &self,
        images: Vec<u32>,
        buffer: &Bound<'_, Buffer>,
    ) -> PyResult<impl FnOnce() -> Result<(), Failure> + Send + use<>> {
        let length = length_of(&self.batch, images.len())?;
        let memory: Memory = buffer.get().memory();
        let (dataset, batch) = (self.dataset.clone(), self.batch);
        Ok(move || memory.fill(length, |out| dataset.batch(&images, &batch, out).map_err(Failure::from)))
    }
}

#[pymethods]
impl Maker {
    /// Fills the beginning of `buffer` with images.
    fn make(&self, py: Python<'_>, images: Vec<u32>, buffer: &Bound<'_, Buffer>) -> PyResult<()> {
        let work = self.work(images, buffer)?;
        py.detach(work).map_err(|failure| raise(py, failure))
    }

    /// Begins to. The thread that does it ends with it, and never needs Python: not even if nobody waits for
    /// it.
    fn begin(&self, images: Vec<u32>, buffer: &Bound<'_, Buffer>) -> PyResult<Coming> {
        let work = self.work(images, buffer)?;
        let done = Arc::new(OnceLock::new());
        let coming = Coming { done: done.clone(), process: std::process::id() };
        let panicked =
            || Failure { message: "internal error: a thread panicked".into(), help: None, code: 1 };
        std::thread::Builder::new().spawn(move || {
            let ended = catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| Err(panicked()));
            let _ = done.set(ended);
        })?;
        Ok(coming)
    }
}

/// A batch that is being made.
#[pyclass(module = "isn._isn", frozen)]
pub(crate) struct Coming {
    done: Arc<OnceLock<Result<(), Failure>>>,
    process: u32,
}

#[pymethods]
impl Coming {
    /// Until it is made.
    fn wait(&self, py: Python<'_>) -> PyResult<()> {
        if self.process != std::process::id() {
            let why = "these batches are made in the process that this one was forked from: begin anew";
            return Err(PyRuntimeError::new_err(why));
        }
        py.detach(|| self.done.wait().clone()).map_err(|failure| raise(py, failure))
    }
}

/// How many bytes a batch of so many images has.
pub(crate) fn length_of(batch: &Batch, images: usize) -> PyResult<usize> {
    let (width, height) = (batch.image_size.0 as usize, batch.image_size.1 as usize);
    let length = width.checked_mul(height).and_then(|n| n.checked_mul(3)).and_then(|n| n.checked_mul(images));
    length
        .filter(|&n| n <= isize::MAX as usize)
        .ok_or_else(|| bad_value("a batch that large there cannot be"))
}
