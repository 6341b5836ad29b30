use std::collections::BTreeSet;

use super::*;
use crate::audit::grid::{Area, Grid};
use crate::audit::phash::{Hashes, VIEWS};
use crate::audit::similar::{Detail, SIMILAR, similarity};

fn random(seed: u64) -> u64 {
    u64::from_le_bytes(blake3::hash(&seed.to_le_bytes()).as_bytes()[..8].try_into().unwrap())
}

/// Makes prints of which many are near each other: a few centres, each with up to 20 bits changed.
fn sample(count: u64, centres: u64) -> Vec<Option<Print>> {
    let hash = |i: u64, salt: u64| {
        let flips = (0..random(i ^ salt) % 20).map(|k| 1u64 << (random(i * 100 + k + salt) % 63));
        (random(i % centres + salt) ^ flips.fold(0, |all, bit| all ^ bit)) & (u64::MAX >> 1)
    };
    let print = |i: u64| {
        let views = std::array::from_fn::<u64, VIEWS, _>(|view| hash(i + 13 * view as u64, 0));
        Print::made(Hashes(views), i.is_multiple_of(5).then(|| hash(i + 7, 1 << 40)), i.is_multiple_of(3))
    };
    (0..count).map(|i| (i % 17 != 0).then(|| print(i))).collect()
}

/// Compares all with all.
fn by_force(prints: &[Option<&Print>], distance: u32) -> BTreeSet<Candidate> {
    let whole = guesses().into_iter().flat_map(|guess| [0, FULL].map(|to| Guess { to, ..guess }));
    let same = UNTITLED.map(|view| Guess { view, to: view, turn: Turn::default(), inverted: false });
    let all: Vec<Guess> = whole.chain(same).collect();
    let of_one = |one: u32| {
        let mut found = Vec::new();
        let Some(a) = prints[one as usize] else { return found };
        let taken: Vec<(u64, Guess)> =
            all.iter().filter_map(|guess| Some((guess.hash(a)?, *guess))).collect();
        for (other, b) in (0u32..).zip(prints) {
            let Some(b) = b.filter(|_| other != one) else { continue };
            for &(hash, guess) in &taken {
                let Some(of_b) = b.hash(guess.to) else { continue };
                let is_again = guess.view == guess.to && guess.turn.inverse() == guess.turn && one > other;
                if are_near(hash, of_b, distance) && !is_again && a.may_be(b, guess) {
                    found.push(Candidate { one, other, distance: (hash ^ of_b).count_ones(), guess });
                }
            }
        }
        found
    };
    (0..prints.len() as u32).into_par_iter().flat_map_iter(of_one).collect()
}

fn assert_all_found(prints: &[Option<Print>], distance: u32) {
    let prints: Vec<Option<&Print>> = prints.iter().map(Option::as_ref).collect();
    let expected = by_force(&prints, distance);
    let found = candidates(&prints, distance, |_| ());
    assert!(expected.len() > 20, "{distance}: {}", expected.len());
    assert_eq!(found.len(), expected.len(), "{distance}");
    assert!(found.into_iter().collect::<BTreeSet<_>>() == expected, "{distance}");
}

#[test]
fn the_search_finds_what_comparing_all_with_all_finds() {
    let prints = sample(250, 25);
    for distance in [0, 4, 8, 10, 11, 12, 16] {
        assert_all_found(&prints, distance);
    }
}

#[test]
fn of_many_hashes_too() {
    assert_all_found(&sample(5000, 1500), 8);
}

#[test]
fn near_hashes_are_near_in_a_part() {
    for distance in 0..=MAX_DISTANCE {
        for (known, wanted) in [(10, 300), (5000, 150_000), (100_000, 3_000_000), (1_000_000, 4_000_000)] {
            let parts = parts(known, wanted, distance);
            let bits: u32 = parts.iter().map(|part| part.bits).sum();
            let spare: u32 = parts.iter().map(|part| part.within + 1).sum();
            let is_one = parts.len() == 1 && bits == 0;
            let is_all = if distance > ALL_FOUND { parts.len() == 4 } else { spare > distance };
            assert!(is_one || (bits == 64 && is_all), "{distance} {known}: {parts:?}");
        }
    }
    // The more, the wider.
    let widths = [10_000, 100_000, 1_000_000].map(|known| parts(known, known, 8)[0].bits);
    assert!(widths.is_sorted() && widths[0] < widths[2], "{widths:?}");
}

/// A picture of 150 × 120 pixels: blobs, at places that the seed gives.
fn picture(seed: u64) -> image::RgbImage {
    let blobs: Vec<[f32; 4]> = (0..40u64)
        .map(|i| {
            let bytes = *blake3::hash(&[seed.to_le_bytes(), i.to_le_bytes()].concat()).as_bytes();
            [bytes[0], bytes[1], bytes[2], bytes[3]].map(f32::from)
        })
        .collect();
    image::RgbImage::from_fn(150, 120, |x, y| {
        let mut level = 128.0;
        for [cx, cy, size, strength] in &blobs {
            let (across, down) = (x as f32 - cx * 150.0 / 255.0, y as f32 - cy * 120.0 / 255.0);
            let size = 3.0 + size / 15.0;
            level += (strength - 128.0) / (1.0 + (across * across + down * down) / (size * size));
        }
        image::Rgb([level.clamp(0.0, 255.0) as u8; 3])
    })
}

fn cut(from: &image::RgbImage, [left, top, right, bottom]: [u32; 4]) -> image::RgbImage {
    let (width, height) = from.dimensions();
    image::imageops::crop_imm(from, left, top, width - left - right, height - top - bottom).to_image()
}

fn framed(from: &image::RgbImage, across: u32, down: u32, level: u8) -> image::RgbImage {
    let (width, height) = (from.width() + 2 * across, from.height() + 2 * down);
    let mut page = image::RgbImage::from_pixel(width, height, image::Rgb([level; 3]));
    image::imageops::replace(&mut page, from, i64::from(across), i64::from(down));
    page
}

/// The copy, and how it is turned: whether it is mirrored, by how many degrees, whether it is inverted.
type Copy = (&'static str, image::RgbImage, (bool, u16, bool));

fn copies(of: &image::RgbImage) -> Vec<Copy> {
    use image::imageops;
    let (mut negative, mut titled) = (of.clone(), of.clone());
    imageops::invert(&mut negative);
    for (x, y) in (10..100).flat_map(|x| (100..112).map(move |y| (x, y))) {
        titled.put_pixel(x, y, image::Rgb([if x % 6 < 3 && y % 8 < 5 { 255 } else { 0 }; 3]));
    }
    let (mut tilted, angle) = (of.clone(), 0.05f32);
    for (x, y, pixel) in tilted.enumerate_pixels_mut() {
        let (across, down) = (x as f32 - 74.5, y as f32 - 59.5);
        let (from_x, from_y) = (74.5 + across - angle * down, 59.5 + down + angle * across);
        let is_inside = (0.0..149.5).contains(&from_x) && (0.0..119.5).contains(&from_y);
        let from = |(x, y): (f32, f32)| *of.get_pixel((x + 0.5) as u32, (y + 0.5) as u32);
        *pixel = if is_inside { from((from_x, from_y)) } else { image::Rgb([0; 3]) };
    }
    let mirrored = imageops::flip_horizontal(of);
    let as_is = (false, 0, false);
    vec![
        ("smaller", imageops::resize(of, 75, 60, imageops::FilterType::Triangle), as_is),
        ("lighter", imageops::brighten(of, 30), as_is),
        ("mirrored", mirrored.clone(), (true, 0, false)),
        ("upside down", imageops::flip_vertical(of), (true, 180, false)),
        ("a quarter turn", imageops::rotate90(of), (false, 90, false)),
        ("a half turn", imageops::rotate180(of), (false, 180, false)),
        ("three quarters", imageops::rotate270(of), (false, 270, false)),
        ("mirrored and turned", imageops::rotate90(&mirrored), (true, 90, false)),
        ("mirrored and turned back", imageops::rotate270(&mirrored), (true, 270, false)),
        ("inverted", negative, (false, 0, true)),
        ("5% off", cut(of, [7, 6, 7, 6]), as_is),
        ("10% off", cut(of, [15, 12, 15, 12]), as_is),
        ("10% off the left", cut(of, [15, 0, 0, 0]), as_is),
        ("10% off the top", cut(of, [0, 12, 0, 0]), as_is),
        ("10% off the right", cut(of, [0, 0, 15, 0]), as_is),
        ("10% off the bottom", cut(of, [0, 0, 0, 12]), as_is),
        ("10% off a corner", cut(of, [15, 12, 0, 0]), as_is),
        ("5% off, mirrored", imageops::flip_horizontal(&cut(of, [7, 6, 7, 6])), (true, 0, false)),
        ("a white frame", framed(of, 10, 10, 255), as_is),
        ("a black frame", framed(of, 15, 15, 0), as_is),
        ("bars", framed(of, 0, 20, 0), as_is),
        ("3 degrees", tilted, as_is),
        ("a title", titled, as_is),
    ]
}

fn print_of(picture: &image::RgbImage) -> Print {
    let (width, height) = picture.dimensions();
    Print::of(width, height, picture, &Grid::of(width, height, picture).unwrap()).unwrap()
}

#[test]
fn every_kind_of_copy_of_a_drawn_picture_is_found() {
    for seed in 0..2 {
        let original = picture(seed);
        let detail = |of: &image::RgbImage| {
            Detail::of(&crate::audit::print::levels(of.width(), of.height(), of).unwrap())
        };
        let (a, print) = (detail(&original), print_of(&original));
        for (name, copy, how) in copies(&original) {
            let other = print_of(&copy);
            let found = candidates(&[Some(&print), Some(&other)], ALL_FOUND, |_| ());
            let b = detail(&copy);
            let best = found.iter().map(|found| {
                let guess = found.guess;
                let (one, two) = if found.one == 0 { (&a, &b) } else { (&b, &a) };
                let (from, to) = if found.one == 0 { (&print, &other) } else { (&other, &print) };
                let turned = one.turned(guess.turn);
                let turned = if guess.inverted { turned.inverted() } else { turned };
                let turn = if found.one == 0 { guess.turn } else { guess.turn.inverse() };
                let (mirrored, degrees) = turn.as_degrees();
                (similarity(&turned, two, guess.fit(from, to)), (mirrored, degrees, guess.inverted))
            });
            let best = best.max_by(|a, b| a.0.total_cmp(&b.0));
            assert!(best.is_some_and(|best| best.0 >= SIMILAR && best.1 == how), "{seed} {name}: {best:?}");
        }
        // None is like the copies of another picture.
        let others: Vec<Print> = copies(&picture(seed + 100)).iter().map(|copy| print_of(&copy.1)).collect();
        let prints: Vec<Option<&Print>> = std::iter::once(&print).chain(&others).map(Some).collect();
        let found = candidates(&prints, ALL_FOUND, |_| ());
        assert!(found.iter().all(|found| found.one > 0 && found.other > 0), "{seed}");
    }
}

#[test]
fn two_frames_are_no_copies() {
    let framed = [framed(&picture(1), 12, 12, 255), framed(&picture(2), 12, 12, 255)];
    let [a, b] = framed.each_ref().map(print_of);
    assert_eq!(candidates(&[Some(&a), Some(&b)], ALL_FOUND, |_| ()), []);
    let area = crate::audit::trim::trimmed(174, 144, &framed[0]);
    assert_eq!(area, Area { left: 12, top: 12, right: 162, bottom: 132 });
}
