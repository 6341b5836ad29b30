//! [`Augment`]: which part of an image a batch shows, and whether mirrored: a pure function of seed, epoch
//! and image. The specification is docs/order.md. It uses only +, −, ×, ÷, √ and rounding down of 64-bit
//! floats, which every machine computes alike: no logarithm, no sine.

use crate::draws::Draws;

/// The first input of an image's random stream, before seed, epoch and path.
const DOMAIN: &[u8] = b"isn-augment/1";
/// How many random crops are tried, since one may not fit.
const TRIES: u32 = 10;

/// How batches show images.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Augment {
    /// Which part of an image is shown.
    pub crop: Crop,
    /// Whether an image is mirrored with probability 1/2.
    pub flip: bool,
}

/// Which part of an image is shown.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Crop {
    /// All of it, at its own size: then all images must have the same size.
    None,
    /// The largest square in the middle.
    Centre,
    /// A rectangle at a random position.
    Random {
        /// The smallest and largest part of the image's area; more than 0, at most 1.
        scale: (f64, f64),
        /// The smallest and largest ratio of width to height; more than 0.
        ratio: (f64, f64),
    },
}

/// A rectangle of an image, in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// The distance from the left edge.
    pub x: u32,
    /// The distance from the top edge.
    pub y: u32,
    /// At least 1.
    pub width: u32,
    /// At least 1.
    pub height: u32,
}

impl Augment {
    /// Returns the part of the image at `path`, of `width` × `height`, that is shown, and whether it is
    /// mirrored.
    pub fn choose(&self, seed: u64, epoch: u64, path: &str, width: u32, height: u32) -> (Window, bool) {
        let numbers = [seed.to_le_bytes(), epoch.to_le_bytes()];
        let mut draws = Draws::new(&[DOMAIN, numbers.as_flattened(), path.as_bytes()]);
        // Drawn even if `flip` is off, so that the crop does not depend on it.
        let mirrored = draws.number() & 1 == 1;
        let window = match self.crop {
            Crop::None => Window { x: 0, y: 0, width, height },
            Crop::Centre => centre(width, height),
            Crop::Random { scale, ratio } => random(&mut draws, width, height, scale, ratio),
        };
        (window, mirrored && self.flip)
    }
}

/// Returns the largest square in the middle; an odd remainder is left at the right and at the bottom.
pub fn centre(width: u32, height: u32) -> Window {
    let side = width.min(height);
    Window { x: (width - side) / 2, y: (height - side) / 2, width: side, height: side }
}

fn random(draws: &mut Draws, width: u32, height: u32, scale: (f64, f64), ratio: (f64, f64)) -> Window {
    let (w, h) = (f64::from(width), f64::from(height));
    for _ in 0..TRIES {
        let area = (scale.0 + draws.fraction() * (scale.1 - scale.0)) * (w * h);
        let upright = draws.number() & 1 == 1;
        let at = draws.fraction();
        // Uniform in width / height or in height / width: a shape is as likely as the same shape turned by
        // 90°.
        let shape = if upright {
            1.0 / (1.0 / ratio.1 + at * (1.0 / ratio.0 - 1.0 / ratio.1))
        } else {
            ratio.0 + at * (ratio.1 - ratio.0)
        };
        let (cut_w, cut_h) = (nearest((area * shape).sqrt()), nearest((area / shape).sqrt()));
        if (1..=width).contains(&cut_w) && (1..=height).contains(&cut_h) {
            let x = draws.below(u64::from(width - cut_w) + 1) as u32;
            let y = draws.below(u64::from(height - cut_h) + 1) as u32;
            return Window { x, y, width: cut_w, height: cut_h };
        }
    }
    // As much of the middle as the allowed ratios permit.
    let (cut_w, cut_h) = if w / h < ratio.0 {
        (width, nearest(w / ratio.0).clamp(1, height))
    } else if w / h > ratio.1 {
        (nearest(h * ratio.1).clamp(1, width), height)
    } else {
        (width, height)
    };
    Window { x: (width - cut_w) / 2, y: (height - cut_h) / 2, width: cut_w, height: cut_h }
}

/// Rounds half up.
fn nearest(value: f64) -> u32 {
    (value + 0.5).floor() as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    const USUAL: Crop = Crop::Random { scale: (0.35, 1.0), ratio: (3.0 / 4.0, 4.0 / 3.0) };

    #[test]
    fn what_is_shown_is_the_golden_vector() {
        let golden = include_str!("../../../tests/vectors/augment.csv");
        for line in golden.lines().skip(1) {
            let fields: Vec<&str> = line.split(',').collect();
            let [seed, epoch, path, width, height, crop, ref shown @ ..] = fields[..] else {
                panic!("{line}")
            };
            let crop = match crop {
                "none" => Crop::None,
                "centre" => Crop::Centre,
                _ => USUAL,
            };
            let number = |text: &str| text.parse::<u32>().unwrap();
            let augment = Augment { crop, flip: true };
            let (seed, epoch) = (number(seed).into(), number(epoch).into());
            let (window, mirrored) = augment.choose(seed, epoch, path, number(width), number(height));
            let got = [window.x, window.y, window.width, window.height, mirrored.into()];
            assert_eq!(shown.iter().map(|text| number(text)).collect::<Vec<_>>(), got, "{line}");
        }
        assert!(golden.lines().count() > 30);
    }

    #[test]
    fn crops_are_inside_and_of_the_shape_asked_for() {
        let augment = Augment { crop: USUAL, flip: true };
        let (mut mirrored, mut upright) = (0, 0);
        for image in 0..2000 {
            let path = format!("train/a/{image}.png");
            let (w, is_mirrored) = augment.choose(1, 2, &path, 213, 160);
            assert!(w.x + w.width <= 213 && w.y + w.height <= 160);
            let share = f64::from(w.width * w.height) / (213.0 * 160.0);
            assert!((0.33..=1.0).contains(&share), "{w:?}");
            let shape = f64::from(w.width) / f64::from(w.height);
            assert!((0.73..1.36).contains(&shape), "{w:?}");
            mirrored += u32::from(is_mirrored);
            upright += u32::from(w.height > w.width);
        }
        assert!((900..1100).contains(&mirrored), "{mirrored}");
        // Landscape images have more room for landscape crops.
        assert!((500..1000).contains(&upright), "{upright}");
    }

    #[test]
    fn the_crop_depends_on_seed_epoch_and_path_and_on_nothing_else() {
        let (plain, flipping) = (Augment { crop: USUAL, flip: false }, Augment { crop: USUAL, flip: true });
        let window = |augment: &Augment, seed, epoch, path| augment.choose(seed, epoch, path, 300, 200).0;
        let one = window(&plain, 1, 2, "train/a/x.png");
        assert_eq!(one, window(&flipping, 1, 2, "train/a/x.png"));
        for other in [(0, 2, "train/a/x.png"), (1, 0, "train/a/x.png"), (1, 2, "train/a/y.png")] {
            assert_ne!(one, window(&plain, other.0, other.1, other.2));
        }
    }

    #[test]
    fn shapes_that_do_not_fit_become_the_middle() {
        let augment =
            Augment { crop: Crop::Random { scale: (1.0, 1.0), ratio: (3.0 / 4.0, 4.0 / 3.0) }, flip: false };
        let middle = |width, height| augment.choose(0, 0, "a", width, height).0;
        assert_eq!(middle(400, 100), Window { x: 133, y: 0, width: 133, height: 100 });
        assert_eq!(middle(100, 400), Window { x: 0, y: 133, width: 100, height: 133 });
        assert_eq!(middle(1, 50), Window { x: 0, y: 24, width: 1, height: 1 });
        assert_eq!(centre(5, 2), Window { x: 1, y: 0, width: 2, height: 2 });
    }
}
