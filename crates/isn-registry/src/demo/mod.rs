//! `demobirds`: birds drawn by the project itself, as files that look like a raw copy of ILSVRC2012.
//!
//! ImageNet's images may not be passed on, so the chain from raw source to signed version is shown, and
//! tried, with drawings. They have ImageNet's oddities on purpose: greyscale, progressive and CMYK JPEGs, a
//! PNG named `.JPEG`, a wrong EXIF orientation, a truncated file, wrong labels. The bytes are the same on
//! every machine: randomness is seeded by the file's name, and all arithmetic is integers or IEEE `+ - * /`
//! and `sqrt`.
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

pub use photo::Photo;
pub(crate) use photo::roll;
