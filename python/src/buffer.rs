//! Memory that batches are made in, again and again.

use pyo3::prelude::*;
use pyo3::types::PyDict;

/// Memory of a shape of unsigned bytes. NumPy shares it (`numpy.asarray`), so an array sees what is filled in later.
#[pyclass(module = "isn._isn")]
pub(crate) struct Buffer {
    bytes: Vec<u8>,
    shape: Vec<usize>,
}

impl Buffer {
    /// The first `length` bytes, to be filled.
    pub(crate) fn start(&mut self, length: usize) -> Option<&mut [u8]> {
        self.bytes.get_mut(..length)
    }
}

#[pymethods]
impl Buffer {
    #[new]
    fn new(shape: Vec<usize>) -> PyResult<Self> {
        let length = shape.iter().try_fold(1usize, |all, &side| all.checked_mul(side));
        let length = length.filter(|&length| length <= isize::MAX as usize);
        let length = length.ok_or_else(|| crate::errors::bad_value("a buffer that large there cannot be"))?;
        Ok(Buffer { bytes: vec![0; length], shape })
    }

    /// NumPy's array interface, version 3.
    #[getter]
    fn __array_interface__<'py>(mut this: PyRefMut<'py, Self>) -> PyResult<Bound<'py, PyDict>> {
        let interface = PyDict::new(this.py());
        let shape = pyo3::types::PyTuple::new(this.py(), &this.shape)?;
        interface.set_item("shape", shape)?;
        interface.set_item("typestr", "|u1")?;
        // An address and whether it is for reading alone.
        interface.set_item("data", (this.bytes.as_mut_ptr() as usize, false))?;
        interface.set_item("version", 3)?;
        Ok(interface)
    }
}
