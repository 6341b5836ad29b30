//! [`Network`]: computes one tensor of an ONNX model of the user's with `tract` (feature `onnx`).

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tract_onnx::pb::{GraphProto, TensorProto};
use tract_onnx::prelude::*;
use tract_onnx::tract_hir::infer::Factoid as _;
use tract_onnx::tract_hir::internal::DimLike as _;

use isn_format::error::{Error, Result};

/// The layout of a model's input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum InputLayout {
    /// Channels, height, width.
    PlanesFirst,
    /// Height, width, channels.
    PlanesLast,
}

/// A model that is ready to run on pictures of one size.
pub struct Network {
    model: Arc<TypedRunnableModel>,
    layout: InputLayout,
    size: usize,
    layer: String,
    what: String,
}

/// The library that runs models, with its version: another one may round otherwise.
pub const LIBRARY: &str = "tract-onnx 0.23.9";

/// The maximum length of a model, in bytes, which is that of the format.
const MAX_MODEL: u64 = 2 << 30;
/// The default side, in pixels, if neither the model nor the user gives one.
const USUAL_SIDE: usize = 224;

impl Network {
    /// Reads a model. `layer` is the name of the tensor, or of the node that makes it; the default is the
    /// model's first output. `side` is the side of the square pictures in pixels; the default is what the
    /// model says, else 224.
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be read; [`Error::Invalid`] if `tract` cannot use the model, or if it
    /// has no such layer, with the names of the last ones.
    pub fn open(path: &Path, layer: Option<&str>, side: Option<usize>) -> Result<Self> {
        let what = path.display().to_string();
        let refuse = |why: String| Error::invalid(&what, why);
        let file = std::fs::File::open(path).map_err(Error::io("read", path))?;
        let about = file.metadata().map_err(Error::io("look at", path))?;
        if !about.is_file() {
            return Err(refuse("is no file: expected an ONNX model".into()));
        }
        let length = about.len();
        if length > MAX_MODEL {
            return Err(refuse(format!("is longer than {MAX_MODEL} bytes: it has {length}")));
        }
        let cannot = |doing: &'static str| {
            let what = what.clone();
            move |e: TractError| Error::invalid(what, format!("tract cannot {doing} it: {e:#}"))
        };
        let mut model = tract_onnx::onnx().model_for_path(path).map_err(cannot("read"))?;
        let inputs = model.input_outlets().map_err(cannot("read"))?.len();
        if inputs != 1 {
            return Err(refuse(format!("has {inputs} inputs: expected one, of pictures")));
        }
        let said: Vec<Option<usize>> = {
            let fact = model.input_fact(0).map_err(cannot("read"))?;
            let dims = fact.shape.dims();
            dims.map(|dim| dim.concretize().and_then(|dim| dim.to_usize().ok())).collect()
        };
        let (layout, own) = match said[..] {
            [_, Some(3), height, width] => (InputLayout::PlanesFirst, (height, width)),
            [_, height, width, Some(3)] => (InputLayout::PlanesLast, (height, width)),
            _ => {
                return Err(refuse(format!("has an input of shape {said:?}: expected 3 planes of pictures")));
            }
        };
        let size = side.or(own.0).unwrap_or(USUAL_SIDE);
        if own.0.or(own.1).is_some_and(|own| own != size) || own.0 != own.1 {
            let [width, height] =
                [own.1, own.0].map(|side| side.map_or_else(|| "any".to_owned(), |side| side.to_string()));
            return Err(refuse(format!("takes pictures of {width} × {height}, not {size} × {size}")));
        }
        let shape = match layout {
            InputLayout::PlanesFirst => [1, 3, size, size],
            InputLayout::PlanesLast => [1, size, size, 3],
        };
        model.set_input_fact(0, f32::fact(shape).into()).map_err(cannot("use"))?;
        match layer {
            Some(layer) => {
                let named = model.select_outputs_by_name([layer]);
                named.map_err(|_| {
                    refuse(format!("has no layer '{layer}': the last ones are {}", last_layers(&model)))
                })?;
            }
            None => {
                let first = model.output_outlets().map_err(cannot("read"))?.first().copied();
                let first = first.ok_or_else(|| refuse("has no output".into()))?;
                model.select_output_outlets(&[first]).map_err(cannot("use"))?;
            }
        }
        let output = model.output_outlets().map_err(cannot("read"))?[0];
        let layer = match (&model.node(output.node).name, output.slot) {
            (name, 0) => name.clone(),
            (name, slot) => format!("{name}:{slot}"),
        };
        let model = model.into_optimized().map_err(cannot("run"))?.into_runnable().map_err(cannot("run"))?;
        Ok(Network { model, layout, size, layer, what })
    }

    /// Returns the side of its pictures, in pixels.
    pub fn side(&self) -> usize {
        self.size
    }

    /// Returns the name of the layer: of the node that makes it and, unless that is 0, the number of its
    /// output.
    pub fn layer(&self) -> &str {
        &self.layer
    }

    /// Returns the numbers of the layer for one picture of `side × side × 3` values, row by row, with three
    /// channels for each pixel.
    ///
    /// # Errors
    /// [`Error::Invalid`] if `tract` cannot run the model.
    pub fn embed(&self, pixels: &[f32]) -> Result<Vec<f32>> {
        let run = || -> TractResult<Vec<f32>> {
            let side = self.size;
            let picture = tract_ndarray::ArrayView4::from_shape((1, side, side, 3), pixels)?;
            let tensor: Tensor = match self.layout {
                InputLayout::PlanesLast => picture.to_owned().into(),
                InputLayout::PlanesFirst => {
                    picture.permuted_axes([0, 3, 1, 2]).as_standard_layout().to_owned().into()
                }
            };
            let outputs = self.model.run(tvec!(tensor.into()))?;
            let output = outputs[0].cast_to::<f32>()?;
            Ok(output.view().as_slice::<f32>()?.to_vec())
        };
        run().map_err(|e| Error::invalid(&self.what, format!("tract cannot run it: {e:#}")))
    }
}

/// Returns the files in which a model keeps weights outside of its own, sorted.
///
/// # Errors
/// [`Error::Invalid`] if `tract` cannot read the model.
pub fn weight_files(path: &Path) -> Result<Vec<PathBuf>> {
    fn collect(graph: &GraphProto, found: &mut BTreeSet<PathBuf>) {
        let mut add = |tensor: &TensorProto| {
            let location = tensor.external_data.iter().filter(|entry| entry.key == "location");
            found.extend(location.map(|entry| PathBuf::from(&entry.value)));
        };
        graph.initializer.iter().for_each(&mut add);
        let attributes = || graph.node.iter().flat_map(|node| &node.attribute);
        attributes().flat_map(|one| one.t.iter().chain(&one.tensors)).for_each(add);
        attributes().flat_map(|one| one.g.iter().chain(&one.graphs)).for_each(|graph| collect(graph, found));
    }
    let proto = tract_onnx::onnx().proto_model_for_path(path);
    let proto = proto.map_err(|e| Error::invalid(path.display(), format!("tract cannot read it: {e:#}")))?;
    let mut found = BTreeSet::new();
    proto.graph.iter().for_each(|graph| collect(graph, &mut found));
    let folder = path.parent().unwrap_or(Path::new(""));
    Ok(found.into_iter().map(|file| folder.join(file)).collect())
}

fn last_layers(model: &InferenceModel) -> String {
    let named = model.nodes().iter().rev().filter(|node| !node.inputs.is_empty());
    let names: Vec<String> = named.take(8).map(|node| format!("'{}'", node.name)).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_of_the_library_is_the_one_that_is_linked() {
        let lock = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../Cargo.lock");
        let lock = std::fs::read_to_string(lock).unwrap();
        let (name, version) = LIBRARY.split_once(' ').unwrap();
        assert!(lock.contains(&format!("name = \"{name}\"\nversion = \"{version}\"\n")), "{LIBRARY}");
    }
}
