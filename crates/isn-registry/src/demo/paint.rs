//! [`Paint`]: what a shape is filled with: a ramp of two colours, and a pattern of feathers over it.

use super::random::noise;
use super::shape::{Point, length};

/// Red, green and blue, from 0 to 255 each, not rounded.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Colour(pub(super) [f64; 3]);

/// Returns the colour `0xRRGGBB`.
pub(super) fn rgb(hex: u32) -> Colour {
    Colour([16, 8, 0].map(|shift| f64::from(hex >> shift & 0xff)))
}

impl Colour {
    /// Returns the colour at `u` of the way to `other`.
    pub(super) fn mix(self, other: Colour, u: f64) -> Colour {
        let ([r, g, b], [to_r, to_g, to_b]) = (self.0, other.0);
        Colour([r + (to_r - r) * u, g + (to_g - g) * u, b + (to_b - b) * u])
    }

    /// Returns the colour brightened or darkened by a factor.
    pub(super) fn times(self, factor: f64) -> Colour {
        let [r, g, b] = self.0;
        Colour([r * factor, g * factor, b * factor])
    }

    /// Returns the luma of BT.601, as in greyscale JPEGs.
    pub(super) fn luma(self) -> f64 {
        0.299 * self.0[0] + 0.587 * self.0[1] + 0.114 * self.0[2]
    }
}

/// A fill, in the coordinates of the shape that it fills.
#[derive(Clone, Debug)]
pub(super) struct Paint {
    ramp: Ramp,
    texture: Texture,
    alpha: f64,
}

#[derive(Clone, Debug)]
enum Ramp {
    /// One colour.
    Flat(Colour),
    /// A ramp from one point to another.
    Linear(Colour, Point, Colour, Point),
    /// A ramp between two distances from a centre.
    Radial(Point, (f64, Colour), (f64, Colour)),
}

/// Patterns multiply the ramp by `1 ± depth`.
#[derive(Clone, Debug)]
enum Texture {
    Plain,
    /// Overlapping rows of round feathers, `size` high.
    Scales {
        size: f64,
        depth: f64,
    },
    /// Soft dashes, `size` long in y and a quarter of that wide.
    Streaks {
        size: f64,
        depth: f64,
    },
    /// Wavy bars across y, `size` apart.
    Bars {
        size: f64,
        depth: f64,
    },
    /// Circles about a centre, `size` apart.
    Rings {
        centre: Point,
        size: f64,
        depth: f64,
    },
}

impl Paint {
    /// Makes a fill of one colour.
    pub(super) fn flat(colour: Colour) -> Self {
        Paint { ramp: Ramp::Flat(colour), texture: Texture::Plain, alpha: 1.0 }
    }

    /// Makes a ramp from one colour at a point to another at another point.
    pub(super) fn linear(from: Colour, start: Point, to: Colour, end: Point) -> Self {
        Paint { ramp: Ramp::Linear(from, start, to, end), ..Paint::flat(from) }
    }

    /// Makes a ramp from one colour at a distance from the centre to another at another distance.
    pub(super) fn radial(centre: Point, inner: (f64, Colour), outer: (f64, Colour)) -> Self {
        Paint { ramp: Ramp::Radial(centre, inner, outer), ..Paint::flat(inner.1) }
    }

    /// Adds overlapping feathers.
    pub(super) fn scales(self, size: f64, depth: f64) -> Self {
        Paint { texture: Texture::Scales { size, depth }, ..self }
    }

    /// Adds dashes along y.
    pub(super) fn streaks(self, size: f64, depth: f64) -> Self {
        Paint { texture: Texture::Streaks { size, depth }, ..self }
    }

    /// Adds bars across y.
    pub(super) fn bars(self, size: f64, depth: f64) -> Self {
        Paint { texture: Texture::Bars { size, depth }, ..self }
    }

    /// Adds circles about `centre`.
    pub(super) fn rings(self, centre: Point, size: f64, depth: f64) -> Self {
        Paint { texture: Texture::Rings { centre, size, depth }, ..self }
    }

    /// Sets the opacity; 1 is opaque.
    pub(super) fn alpha(self, alpha: f64) -> Self {
        Paint { alpha, ..self }
    }

    /// Returns the opacity, from 0 to 1.
    pub(super) fn opacity(&self) -> f64 {
        self.alpha
    }

    /// Returns the colour at a point.
    pub(super) fn at(&self, p: Point) -> Colour {
        self.ramp.at(p).times(self.texture.at(p))
    }
}

impl Ramp {
    fn at(&self, p: Point) -> Colour {
        match *self {
            Ramp::Flat(colour) => colour,
            Ramp::Linear(from, a, to, b) => {
                let axis = (b.0 - a.0, b.1 - a.1);
                let along = (p.0 - a.0) * axis.0 + (p.1 - a.1) * axis.1;
                from.mix(to, (along / (axis.0 * axis.0 + axis.1 * axis.1)).clamp(0.0, 1.0))
            }
            Ramp::Radial(centre, (inner, from), (outer, to)) => {
                let distance = length((p.0 - centre.0, p.1 - centre.1));
                from.mix(to, ((distance - inner) / (outer - inner)).clamp(0.0, 1.0))
            }
        }
    }
}

impl Texture {
    /// Returns the factor at a point.
    fn at(&self, p: Point) -> f64 {
        match *self {
            Texture::Plain => 1.0,
            Texture::Scales { size, depth } => {
                let row = (p.1 / size).floor();
                let stagger = if (row as i64) % 2 == 0 { 0.0 } else { 0.5 };
                let column = p.0 / size + stagger;
                let across = column - column.floor() - 0.5;
                // The edge of a feather hangs lower in its middle, so the row is bent before its height is
                // taken.
                let height = p.1 / size - row + across * across * 1.6;
                1.0 + depth * (0.5 - (height - height.floor()))
            }
            Texture::Streaks { size, depth } => {
                1.0 + depth * (noise(p.0 * 4.0 / size, p.1 / size, 11) * 2.0 - 1.0)
            }
            Texture::Bars { size, depth } => {
                1.0 + depth * wave(p.1 / size + (noise(p.0 * 1.5 / size, p.1 / size, 5) - 0.5) * 0.6)
            }
            Texture::Rings { centre, size, depth } => {
                1.0 + depth * wave(length((p.0 - centre.0, p.1 - centre.1)) / size)
            }
        }
    }
}

/// A smoothed triangle wave with period 1, between -1 and 1, and +1 at whole numbers.
fn wave(t: f64) -> f64 {
    let up = ((t - t.floor()) * 2.0 - 1.0).abs();
    up * up * (3.0 - 2.0 * up) * 2.0 - 1.0
}
