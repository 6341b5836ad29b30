//! [`roll`]: lists every file of the demonstration source; [`Photo::develop`]: makes the bytes of one.

use jpeg_encoder::{ColorType, Encoder, SamplingFactor};

use super::bird::Species;
use super::canvas::Canvas;
use super::paint::Colour;
use super::random::Random;
use isn_format::error::{Error, Result};

/// The number of train images of each class.
const TRAIN: usize = 33;

/// The first validation files of each class in ILSVRC2012. The labels of a flat `val/` follow from their
/// numbers.
const VAL: [(Species, [u32; 8]); 5] = [
    (Species::BaldEagle, [128, 2031, 3330, 6334, 6571, 7712, 8151, 8481]),
    (Species::Vulture, [18, 25, 916, 1391, 2168, 2387, 4554, 6213]),
    (Species::GreatGreyOwl, [318, 1213, 2228, 2511, 3169, 3892, 4345, 4859]),
    (Species::Peacock, [1146, 2177, 2383, 3588, 5599, 5751, 8186, 8245]),
    (Species::Hummingbird, [2974, 3064, 3259, 4234, 5150, 5779, 5873, 7390]),
];

/// Files whose content does not agree with their class. The corrections of `registry/recipes/demobirds` fix
/// them.
const MISTAKES: [(&str, Subject); 4] = [
    ("n01614925_16", Subject::Bird(Species::Vulture)),
    ("ILSVRC2012_val_00002168", Subject::Bird(Species::BaldEagle)),
    ("n01806143_29", Subject::Bird(Species::Hummingbird)),
    ("n01622779_8", Subject::Nothing),
];

/// Files that are not encoded like most others.
const ODDITIES: [(&str, Form); 11] = [
    ("n01614925_5", Form::Grey),
    ("n01616318_11", Form::Grey),
    ("n01622779_22", Form::Grey),
    ("ILSVRC2012_val_00001213", Form::Grey),
    ("n01833805_9", Form::Grey),
    ("n01806143_3", Form::Progressive),
    ("n01616318_30", Form::Progressive),
    ("n01833805_14", Form::Png),
    ("n01806143_21", Form::Cmyk),
    ("n01622779_13", Form::Rotated),
    ("n01833805_33", Form::CutOff),
];

/// What an image shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Subject {
    Bird(Species),
    /// An even grey, as if the shutter had failed.
    Nothing,
}

/// How an image is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// Baseline JPEG, chroma halved.
    Usual,
    /// A JPEG of one component.
    Grey,
    Progressive,
    /// A CMYK JPEG as printing software writes it: four components, inverted, with Adobe's marker.
    Cmyk,
    /// A PNG, though the name says JPEG.
    Png,
    /// An EXIF orientation that says to turn the image, although it is upright.
    Rotated,
    /// A JPEG without its last third.
    CutOff,
}

/// One file of the source.
#[derive(Clone, Debug)]
pub struct Photo {
    path: String,
    stem: String,
    subject: Subject,
    form: Form,
    turn: usize,
}

/// Returns all files, sorted by path.
pub(crate) fn roll() -> Vec<Photo> {
    let train = Species::ALL.into_iter().flat_map(|species| {
        (1..=TRAIN).map(move |number| {
            let stem = format!("{}_{number}", species.wnid());
            Photo::new(format!("train/{}/{stem}.JPEG", species.wnid()), stem, species, number)
        })
    });
    let val = VAL.into_iter().flat_map(|(species, numbers)| {
        numbers.into_iter().enumerate().map(move |(i, number)| {
            let stem = format!("ILSVRC2012_val_{number:08}");
            Photo::new(format!("val/{stem}.JPEG"), stem, species, i)
        })
    });
    let mut photos: Vec<Photo> = train.chain(val).collect();
    photos.sort_by(|a, b| a.path.cmp(&b.path));
    photos
}

impl Photo {
    fn new(path: String, stem: String, species: Species, turn: usize) -> Self {
        let listed = |(name, subject): &(&str, Subject)| (*name == stem).then_some(*subject);
        let subject = MISTAKES.iter().find_map(listed).unwrap_or(Subject::Bird(species));
        let form = ODDITIES.iter().find(|(name, _)| *name == stem).map_or(Form::Usual, |(_, form)| *form);
        Photo { path, stem, subject, form, turn }
    }

    /// Returns its path in the source, separated by `/`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Draws and encodes the image. Returns the bytes of the file, which are always the same, on every
    /// machine.
    ///
    /// # Errors
    /// [`Error::Internal`] if an encoder fails, which does not happen with images of these sizes.
    pub(crate) fn develop(&self) -> Result<Vec<u8>> {
        let mut random = Random::named(&format!("demobirds/1/{}", self.stem));
        let canvas = self.draw(&mut random);
        self.encode(&canvas, &mut random)
    }

    fn draw(&self, random: &mut Random) -> Canvas {
        let sizes = [
            (240, 200),
            (200, 232),
            (224, 224),
            (280, 230),
            (256, 208),
            (300, 250),
            (210, 240),
            (320, 260),
            (220, 200),
        ];
        let (width, height) = random.pick(&sizes);
        let mut canvas = Canvas::new(width, height);
        match self.subject {
            Subject::Bird(species) => species.draw(&mut canvas, self.turn, random),
            Subject::Nothing => canvas.repaint(|_, _, _| Colour([118.0; 3])),
        }
        expose(&mut canvas, random);
        canvas
    }

    fn encode(&self, canvas: &Canvas, random: &mut Random) -> Result<Vec<u8>> {
        let (width, height) = (canvas.width() as u16, canvas.height() as u16);
        if self.form == Form::Png {
            return png(canvas, width, height).map_err(|e| self.failed(&e));
        }
        let mut bytes = Vec::new();
        let mut encoder = Encoder::new(&mut bytes, 82 + random.below(12) as u8);
        // Inks are not subsampled: printing software does not do so, and zune-jpeg garbles CMYK whose black
        // has more detail.
        let halved = if self.form == Form::Cmyk { SamplingFactor::F_1_1 } else { SamplingFactor::F_2_2 };
        encoder.set_sampling_factor(halved);
        encoder.set_progressive(self.form == Form::Progressive);
        if self.form == Form::Rotated {
            encoder.add_exif_metadata(&ORIENTATION_6).map_err(|e| self.failed(&e))?;
        }
        let (pixels, colours) = match self.form {
            Form::Grey => (canvas.to_grey(), ColorType::Luma),
            Form::Cmyk => (cmyk(&canvas.to_rgb()), ColorType::Cmyk),
            _ => (canvas.to_rgb(), ColorType::Rgb),
        };
        encoder.encode(&pixels, width, height, colours).map_err(|e| self.failed(&e))?;
        if self.form == Form::CutOff {
            bytes.truncate(bytes.len() * 2 / 3);
        }
        Ok(bytes)
    }

    fn failed(&self, why: &dyn std::error::Error) -> Error {
        Error::Internal(format!("{} cannot be encoded: {why}", self.path))
    }
}

/// A TIFF header and one entry: orientation (0x0112) 6, "turn clockwise".
const ORIENTATION_6: [u8; 26] = *b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";

/// Applies the light and lens of the day: exposure, white balance, darker corners and noise.
fn expose(canvas: &mut Canvas, random: &mut Random) {
    let (exposure, warmth, corners) = (random.range(0.88, 1.1), random.about(0.07), random.range(0.0, 0.22));
    let (width, height) = (canvas.width(), canvas.height());
    canvas.repaint(|x, y, Colour([r, g, b])| {
        let (dx, dy) = (x / width * 2.0 - 1.0, y / height * 2.0 - 1.0);
        let light = exposure * (1.0 - corners * (dx * dx + dy * dy) / 2.0);
        Colour([r * light * (1.0 + warmth), g * light, b * light * (1.0 - warmth)])
    });
    let strength = random.range(2.0, 5.0);
    canvas.grain(strength, random);
}

fn cmyk(rgb: &[u8]) -> Vec<u8> {
    let ink = |pixel: &[u8]| {
        let black = 255 - pixel.iter().copied().max().unwrap_or(0);
        // The colour that remains under the black: (1 - r - k) / (1 - k), rounded.
        let under = |v: u8| match 255 - u32::from(black) {
            0 => 0,
            rest => ((rest - u32::from(v)) * 255 + rest / 2) / rest,
        };
        [under(pixel[0]) as u8, under(pixel[1]) as u8, under(pixel[2]) as u8, black]
    };
    rgb.chunks_exact(3).flat_map(ink).collect()
}

/// Stored, not deflated: the output of compressors changes between versions, and these bytes are pinned.
fn png(canvas: &Canvas, width: u16, height: u16) -> Result<Vec<u8>, png::EncodingError> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width.into(), height.into());
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::NoCompression);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(&canvas.to_rgb())?;
    writer.finish()?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use isn_format::digest::Digest;

    fn photo(stem: &str) -> Photo {
        roll().into_iter().find(|photo| photo.stem == stem).unwrap()
    }

    #[test]
    fn the_roll_is_a_raw_source() {
        let photos = roll();
        assert_eq!(photos.len(), 5 * (TRAIN + 8));
        assert!(photos.is_sorted_by(|a, b| a.path < b.path));
        for species in Species::ALL {
            let folder = format!("train/{0}/{0}_", species.wnid());
            assert_eq!(photos.iter().filter(|p| p.path.starts_with(&folder)).count(), TRAIN);
        }
        let val: Vec<_> = photos.iter().filter(|p| p.path.starts_with("val/")).collect();
        assert_eq!(val.len(), 40);
        assert_eq!(val[0].path, "val/ILSVRC2012_val_00000018.JPEG");
    }

    #[test]
    fn every_oddity_is_there() {
        let photos = roll();
        for (stem, form) in ODDITIES {
            assert!(photos.iter().any(|p| p.stem == stem && p.form == form), "{stem}");
        }
        for (stem, subject) in MISTAKES {
            assert!(photos.iter().any(|p| p.stem == stem && p.subject == subject), "{stem}");
        }
    }

    /// The ledger names exactly the images that are wrong, and corrects them.
    #[test]
    fn the_corrections_are_of_these_mistakes() {
        let ledger = include_str!("../../../../registry/recipes/demobirds/corrections.csv");
        let rows: Vec<Vec<&str>> =
            ledger.lines().skip(1).map(|row| row.splitn(4, ',').take(3).collect()).collect();
        let mut expected: Vec<Vec<&str>> = MISTAKES
            .iter()
            .map(|(stem, subject)| match subject {
                Subject::Bird(species) => vec![*stem, "relabel", species.wnid()],
                Subject::Nothing => vec![*stem, "remove", ""],
            })
            .collect();
        let cut_off = ODDITIES.iter().filter(|(_, form)| *form == Form::CutOff);
        expected.extend(cut_off.map(|(stem, _)| vec![*stem, "remove", ""]));
        expected.sort();
        assert_eq!(rows, expected);
    }

    /// Every machine must arrive at these bytes; the drawings of a release can never change.
    #[test]
    fn files_are_the_same_everywhere() {
        for (stem, digest) in [
            ("n01614925_1", "1a88912be17d94a06d95a4f392bedecee1d5c05247cbe93ec2e06c8761c003d9"),
            ("n01614925_4", "c96de6133671056da5a1fe269cd9cdc0f218eb65a7b46ae0fd0081f6260d40b2"),
            ("n01616318_4", "067b359e13b67455e52d54d2ff71fa39622a4f111ff1e6cfbf5c881710dfaebe"),
            ("n01622779_1", "e1c5796808a8fe7e3d4d45a8cfb9322bd2b41f3238ee919be33e4adea643400f"),
            ("n01806143_2", "3771a5a0cfacfc44efbd5b338ebef0de32783b290923e58bb5fff249054b3b4a"),
            ("n01833805_2", "a163d8ed7d25ab2d085fa0cfa2e495ca6e17a731934a619453e6e9660967e858"),
            ("ILSVRC2012_val_00001213", "032048184f076753bef2f48b41ab6069293bb12384b0c714d31196a93f9f2164"),
            ("n01806143_3", "98954810a15663df2ec05fd8d764ecab25722689959ea3b4759ca790df47f181"),
            ("n01833805_14", "6e1b979846075c41282df49fd6c0c842a3e8b7ba3c09109f1295b10a3622d5cd"),
            ("n01806143_21", "ab42757b667767f9ac63982f95f4ab7054f2bd2b69412cc51fb776321ba11d83"),
            ("n01622779_8", "56bc409dadec20ce26357ae468864845703e29a2b4eea3896575bb19033040f6"),
        ] {
            assert_eq!(Digest::of(&photo(stem).develop().unwrap()).to_string(), digest, "{stem}");
        }
    }

    #[test]
    fn each_form_decodes_to_what_was_drawn() {
        for (stem, form) in ODDITIES {
            let photo = photo(stem);
            let bytes = photo.develop().unwrap();
            assert_eq!(bytes.ends_with(&[0xff, 0xd9]), !matches!(form, Form::CutOff | Form::Png), "{stem}");
            assert_eq!(bytes.starts_with(b"\x89PNG"), form == Form::Png, "{stem}");
            let drawn = photo.draw(&mut Random::named(&format!("demobirds/1/{stem}")));
            let decoded = image::load_from_memory(&bytes).unwrap();
            let (rgb, grey) = (decoded.to_rgb8().into_raw(), decoded.to_luma8().into_raw());
            let off = match form {
                Form::CutOff => continue,
                Form::Grey => mean_difference(&grey, &drawn.to_grey()),
                _ => mean_difference(&rgb, &drawn.to_rgb()),
            };
            assert!(off < 8.0, "{stem} is {off} levels from its drawing");
        }
    }

    fn mean_difference(a: &[u8], b: &[u8]) -> f64 {
        assert_eq!(a.len(), b.len());
        a.iter().zip(b).map(|(a, b)| f64::from(a.abs_diff(*b))).sum::<f64>() / a.len() as f64
    }

    /// Ink on paper gives back the original colour.
    #[test]
    fn cmyk_is_the_same_picture() {
        assert_eq!(cmyk(&[0, 0, 0, 255, 255, 255, 200, 100, 0]), [0, 0, 0, 255, 0, 0, 0, 0, 0, 128, 255, 55]);
    }

    /// The numbers are those of the real validation set, checked where its labels are available.
    #[test]
    fn val_numbers_have_the_labels_of_ilsvrc2012() {
        let Some(data) = std::env::var_os("ISN_TEST_DATA") else { return };
        let labels = std::fs::read_to_string(Path::new(&data).join("ilsvrc2012/val_wnids.csv")).unwrap();
        for (species, numbers) in VAL {
            for number in numbers {
                let row = format!("ILSVRC2012_val_{number:08}.JPEG,{}", species.wnid());
                assert!(labels.lines().any(|line| line == row), "{row}");
            }
        }
    }
}
