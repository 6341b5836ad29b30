//! Memory that batches are made in, again and again.

use std::sync::{Arc, Mutex, PoisonError};

use isn::cli::Failure;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// Memory of a shape of unsigned bytes. NumPy shares it (`numpy.asarray`), so an array sees what is filled in
/// later.
#[pyclass(module = "isn._isn", frozen)]
pub(crate) struct Buffer {
    memory: Memory,
    address: usize,
    shape: Vec<usize>,
}

/// It stays where it is, and as long as a buffer or a thread that fills it has it.
#[derive(Clone)]
pub(crate) struct Memory(Arc<Mutex<Vec<u8>>>);

impl Memory {
    /// Lets `with` fill the first `length` bytes.
    pub(crate) fn fill(
        &self,
        length: usize,
        with: impl FnOnce(&mut [u8]) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let mut bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let out = bytes.get_mut(..length).ok_or_else(|| Failure::usage("the buffer is too small"))?;
        with(out)
    }
}

impl Buffer {
    /// Makes `bytes`, as many as the shape has, the memory of a buffer.
    pub(crate) fn over(mut bytes: Vec<u8>, shape: Vec<usize>) -> Self {
        let address = bytes.as_mut_ptr() as usize;
        Buffer { memory: Memory(Arc::new(Mutex::new(bytes))), address, shape }
    }

    pub(crate) fn memory(&self) -> Memory {
        self.memory.clone()
    }
}

#[pymethods]
impl Buffer {
    #[new]
    fn new(shape: Vec<usize>) -> PyResult<Self> {
        let length = shape.iter().try_fold(1usize, |all, &side| all.checked_mul(side));
        let length = length.filter(|&length| length <= isize::MAX as usize);
        let length = length.ok_or_else(|| crate::errors::bad_value("a buffer that large there cannot be"))?;
        Ok(Buffer::over(vec![0; length], shape))
    }

    /// NumPy's array interface, version 3.
    #[getter]
    fn __array_interface__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let interface = PyDict::new(py);
        interface.set_item(intern!(py, "shape"), pyo3::types::PyTuple::new(py, &self.shape)?)?;
        interface.set_item(intern!(py, "typestr"), intern!(py, "|u1"))?;
        // An address and whether it is for reading alone.
        interface.set_item(intern!(py, "data"), (self.address, false))?;
        interface.set_item(intern!(py, "version"), 3)?;
        Ok(interface)
    }
}
