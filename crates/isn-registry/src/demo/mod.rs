//! `demobirds`: birds drawn by the project itself, as files that look like a raw ILSVRC2012 copy.
//!
//! Nobody may pass ImageNet's images on, so the chain from raw source to signed version is shown, and tried,
//! on drawings. They have ImageNet's oddities on purpose: greyscale, progressive and CMYK JPEGs, a PNG named
//! `.JPEG`, a lying EXIF orientation, a cut-off file, wrong labels. The bytes are the same on every machine:
//! chance comes from the file's name, and all arithmetic is integers or IEEE `+ - * /` and `sqrt`.
//!
//! `photo` lists the files and encodes them; `bird` and `scene` draw, with the shapes and paints of `shape`,
//! `paint` and `canvas`.

mod bird;
mod canvas;
mod paint;
mod photo;
mod random;
mod scene;
mod shape;

pub use photo::{Photo, roll};
