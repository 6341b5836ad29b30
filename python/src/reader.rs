//! A version that is open for reading.

use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use isn::cli::{Failure, Terminal};
use isn_format::augment::{Augment, Crop};
use isn_format::error::Error;
use isn_format::order;
use isn_format::tree::Selection;
use isn_pixels::SampleOrder;
use isn_registry::client::Client;
use isn_registry::client::version_at::VersionAt;
use isn_registry::dataset::{Batch, Dataset};
use isn_registry::ops::cite::{CitationFormat, citation};
use isn_registry::ops::load::{LoadOptions, load, sources};
use isn_registry::parallel;
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes};

use crate::buffer::Buffer;
use crate::errors::raise;
use crate::maker::{Maker, length_of};
use crate::mapping::Mapping;

/// The images of a version, or of a part of it.
#[pyclass(module = "isn._isn", frozen)]
pub(crate) struct Reader {
    dataset: Arc<Dataset>,
    /// What to open it by again: the pin, or the path of a folder.
    reference: String,
}

/// Id, label and group of a class.
type Class = (String, String, Option<String>);

#[pymethods]
impl Reader {
    /// Opens a version; fetches what is not on this machine.
    #[staticmethod]
    #[pyo3(signature = (reference, registry, offline, splits, classes, verify, quiet, decoded, size))]
    #[allow(clippy::too_many_arguments)]
    fn open(
        py: Python<'_>,
        reference: String,
        registry: Option<String>,
        offline: bool,
        splits: Vec<String>,
        classes: Vec<String>,
        verify: String,
        quiet: bool,
        decoded: bool,
        size: Option<u32>,
    ) -> PyResult<Self> {
        let part = Part { reference, registry, offline, splits, classes };
        let (dataset, folder) = interruptible(py, move || {
            let verify = verify.parse().map_err(Failure::usage)?;
            part.with(|client, version, selection| {
                let options =
                    LoadOptions { version, selection, verify, jobs: parallel::available(), anew: false };
                let folder = match version {
                    VersionAt::Registry(_) => None,
                    // The folder that it is now, wherever the process goes.
                    VersionAt::Folder(folder) => Some(folder.canonicalize().unwrap_or(folder.clone())),
                };
                let dataset = load(client, &options, &Terminal::new(quiet))?;
                if !decoded {
                    return Ok((dataset, folder));
                }
                let progress = Terminal::new(quiet);
                let dataset = dataset.with_decoded(client.cache.as_ref(), size, options.jobs, &progress)?;
                Ok((dataset.map_decoded(Mapping::of), folder))
            })
        })?;
        let reference = match folder {
            Some(folder) => folder
                .into_os_string()
                .into_string()
                .map_err(|folder| raise(py, Failure::usage(format!("{}: is not UTF-8", folder.display()))))?,
            None => dataset.identity().pin.clone(),
        };
        Ok(Reader { dataset: Arc::new(dataset), reference })
    }

    /// The source ids of the images of a part of a version.
    #[staticmethod]
    fn sources(
        py: Python<'_>,
        reference: String,
        registry: Option<String>,
        offline: bool,
        splits: Vec<String>,
        classes: Vec<String>,
    ) -> PyResult<Vec<String>> {
        let part = Part { reference, registry, offline, splits, classes };
        interruptible(py, move || part.with(sources))
    }

    fn __len__(&self) -> usize {
        self.dataset.len()
    }

    #[getter]
    fn name(&self) -> String {
        self.dataset.identity().name.to_string()
    }

    #[getter]
    fn version(&self) -> Option<String> {
        self.dataset.identity().version.map(|version| version.to_string())
    }

    #[getter]
    fn title(&self) -> &str {
        &self.dataset.identity().title
    }

    #[getter]
    fn licence(&self) -> &str {
        &self.dataset.identity().licence
    }

    #[getter]
    fn hash(&self) -> String {
        self.dataset.identity().dataset.prefixed()
    }

    #[getter]
    fn pin(&self) -> String {
        self.dataset.identity().pin.clone()
    }

    /// What to open it by again.
    #[getter]
    fn reference(&self) -> &str {
        &self.reference
    }

    #[getter]
    fn citation(&self) -> String {
        citation(self.dataset.identity(), CitationFormat::Bibtex)
    }

    #[getter]
    fn warnings(&self) -> Vec<String> {
        self.dataset.warnings().to_vec()
    }

    /// How often an image's bytes were compared with the index.
    #[getter]
    fn checks(&self) -> u32 {
        self.dataset.checks()
    }

    fn classes(&self) -> Vec<Class> {
        let class = |class: &isn_format::class::Class| {
            (class.id.to_string(), class.label.clone(), class.group.clone())
        };
        self.dataset.classes().iter().map(class).collect()
    }

    /// The labels of all images as 64-bit integers of this machine.
    fn labels<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        PyBytes::new_with(py, self.dataset.len() * 8, |out| {
            integers(out, self.dataset.labels());
            Ok(())
        })
    }

    /// As `labels`, of some images, in memory that may be written to.
    fn labels_of<'py>(&self, py: Python<'py>, images: Vec<usize>) -> PyResult<Bound<'py, PyByteArray>> {
        let labels = images.into_iter().map(|image| self.label(py, image)).collect::<PyResult<Vec<_>>>()?;
        PyByteArray::new_with(py, labels.len() * 8, |out| {
            integers(out, labels.into_iter());
            Ok(())
        })
    }

    fn label(&self, py: Python<'_>, image: usize) -> PyResult<u32> {
        self.dataset.label(image).map_err(|e| raise(py, e.into()))
    }

    fn path(&self, py: Python<'_>, image: usize) -> PyResult<String> {
        py.detach(|| self.dataset.path(image)).map_err(|e| raise(py, e.into()))
    }

    fn paths(&self, py: Python<'_>) -> PyResult<Vec<String>> {
        py.detach(|| self.dataset.paths().collect::<Result<_, _>>()).map_err(|e| raise(py, e.into()))
    }

    fn size(&self, py: Python<'_>, image: usize) -> PyResult<(u32, u32)> {
        self.dataset.size(image).map_err(|e| raise(py, e.into()))
    }

    /// The bytes of an image's file.
    fn file<'py>(&self, py: Python<'py>, image: usize) -> PyResult<Bound<'py, PyBytes>> {
        let file = py.detach(|| self.dataset.file(image)).map_err(|e| raise(py, e.into()))?;
        Ok(PyBytes::new(py, &file))
    }

    /// Height, width and pixels of an image.
    fn pixels<'py>(&self, py: Python<'py>, image: usize) -> PyResult<(u32, u32, Bound<'py, PyByteArray>)> {
        let (width, height) = self.size(py, image)?;
        let length = width as usize * height as usize * 3;
        let pixels = PyByteArray::new_with(py, length, |out| {
            py.detach(|| self.dataset.pixels(image, out)).map_err(|e| raise(py, e.into()))
        })?;
        Ok((height, width, pixels))
    }

    /// The pixels of an image, or of the square in its middle, if they are kept decoded.
    fn row(&self, py: Python<'_>, image: usize, size: Option<u32>) -> PyResult<Option<Buffer>> {
        let row = py.detach(|| self.dataset.row(image, size)).map_err(|e| raise(py, e.into()))?;
        Ok(row.map(|(width, height, row)| Buffer::over(row, vec![height as usize, width as usize, 3])))
    }

    /// The largest square in the middle of an image, `size` pixels wide: `size × size × 3` bytes.
    fn square<'py>(&self, py: Python<'py>, image: u32, size: u32) -> PyResult<Bound<'py, PyByteArray>> {
        let augment = Augment { crop: Crop::Centre, flip: false };
        let batch = Batch {
            image_size: (size, size),
            augment,
            seed: 0,
            epoch: 0,
            layout: SampleOrder::Interleaved,
            threads: 1,
        };
        let length = length_of(&batch, 1)?;
        PyByteArray::new_with(py, length, |out| {
            py.detach(|| self.dataset.batch(&[image], &batch, out)).map_err(|e| raise(py, e.into()))
        })
    }

    /// What makes batches of images of one size.
    #[pyo3(signature = (size, crop, flip, seed, epoch, planar, threads))]
    #[allow(clippy::too_many_arguments)]
    fn maker(
        &self,
        size: (u32, u32),
        crop: (String, (f64, f64), (f64, f64)),
        flip: bool,
        seed: u64,
        epoch: u64,
        planar: bool,
        threads: usize,
    ) -> Maker {
        let crop = match &*crop.0 {
            "none" => Crop::None,
            "center" => Crop::Centre,
            _ => Crop::Random { scale: crop.1, ratio: crop.2 },
        };
        let layout = if planar { SampleOrder::Planar } else { SampleOrder::Interleaved };
        let batch = Batch { image_size: size, augment: Augment { crop, flip }, seed, epoch, layout, threads };
        Maker::new(self.dataset.clone(), batch)
    }

    /// What a rank has of an epoch's order: the images as 64-bit integers of this machine.
    fn order<'py>(
        &self,
        py: Python<'py>,
        seed: u64,
        epoch: u64,
        shuffle: &str,
        rank: u32,
        world: u32,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let shuffle = shuffle.parse().map_err(|e| raise(py, Failure::usage(e)))?;
        let (images, dataset) = (self.dataset.len() as u32, &self.dataset.identity().dataset);
        let share =
            py.detach(|| order::share(&order::order(dataset, seed, epoch, images, shuffle), rank, world));
        PyBytes::new_with(py, share.len() * 8, |out| {
            integers(out, share.into_iter());
            Ok(())
        })
    }
}

/// A part of a version, in texts as a user gives them.
struct Part {
    reference: String,
    registry: Option<String>,
    offline: bool,
    splits: Vec<String>,
    classes: Vec<String>,
}

impl Part {
    fn with<T>(
        &self,
        work: impl FnOnce(&Client, &VersionAt, &Selection) -> Result<T, Error>,
    ) -> Result<T, Failure> {
        let version = self.reference.parse().map_err(Failure::usage)?;
        let splits = self.splits.iter().map(|text| text.parse().map_err(Failure::usage));
        let classes = self.classes.iter().map(|text| text.parse().map_err(Failure::usage));
        let selection = Selection {
            splits: splits.collect::<Result<_, _>>()?,
            classes: classes.collect::<Result<_, _>>()?,
            ..Selection::default()
        };
        let client = isn::cli::settings()?.client(self.registry.as_deref(), self.offline)?;
        Ok(work(&client, &version, &selection)?)
    }
}

/// Writes numbers as 64-bit integers of this machine.
fn integers(out: &mut [u8], numbers: impl Iterator<Item = u32>) {
    for (out, number) in out.chunks_exact_mut(8).zip(numbers) {
        out.copy_from_slice(&i64::from(number).to_ne_bytes());
    }
}

/// Does `work` on another thread, so that Ctrl-C ends the waiting for it.
fn interruptible<T: Send + 'static>(
    py: Python<'_>,
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> PyResult<T> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        let _ = sender.send(work());
    });
    let mut receiver = receiver;
    loop {
        // A receiver is not shared between threads: it goes there and comes back.
        let (received, back) =
            py.detach(move || (receiver.recv_timeout(Duration::from_millis(100)), receiver));
        receiver = back;
        match received {
            Ok(done) => return done.map_err(|failure| raise(py, failure)),
            Err(RecvTimeoutError::Timeout) => py.check_signals()?,
            Err(RecvTimeoutError::Disconnected) => {
                let message = "internal error: a thread panicked".into();
                return Err(raise(py, Failure { message, help: None, code: 1 }));
            }
        }
    }
}
