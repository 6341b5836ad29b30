//! Times the search for near hashes, without files: makes prints of drawn pictures, of which one in a hundred
//! has a copy, and looks for pairs.
//!
//! usage: cargo run --release -p isn-registry --example copies -- COUNT [DISTANCE [THREADS]]

#![allow(clippy::print_stdout)]

use std::time::Instant;

use isn_registry::audit::duplicates::candidates;
use isn_registry::audit::grid::Grid;
use isn_registry::audit::print::Print;
use isn_registry::parallel;
use rayon::prelude::*;

/// The side of a drawn picture in pixels.
const SIDE: usize = 64;
/// The number of waves in each direction.
const WAVES: usize = 16;
/// How many pictures share a layout, such as a bright upper half, as photographs do.
const LAYOUTS: u64 = 50;

/// Returns a number from -1 to 1 by a seed.
fn number(seed: &mut u64) -> f64 {
    // SplitMix64.
    *seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let bits = (*seed ^ *seed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let bits = (bits ^ bits >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((bits ^ bits >> 31) >> 11) as f64 / (1u64 << 52) as f64 - 1.0
}

/// Draws a picture whose waves are the weaker the shorter they are, as in photographs.
fn draw(number_of: u64, cosines: &[[f64; SIDE]; WAVES]) -> Vec<u8> {
    let (mut layout, mut own) = (number_of % LAYOUTS, number_of + LAYOUTS);
    let mut rows = [[0.0; SIDE]; WAVES];
    for (v, row) in rows.iter_mut().enumerate() {
        for (u, wave) in cosines.iter().enumerate() {
            let length = ((u * u + v * v) as f64).sqrt().max(0.7);
            let shared = if u + v < 5 { number(&mut layout) } else { 0.0 };
            let strength = 60.0 * (shared + number(&mut own)) / (length * length.sqrt());
            row.iter_mut().zip(wave).for_each(|(sum, cosine)| *sum += strength * cosine);
        }
    }
    let mut rgb = Vec::with_capacity(SIDE * SIDE * 3);
    for at in 0..SIDE * SIDE {
        let (x, y) = (at % SIDE, at / SIDE);
        let level: f64 = 128.0 + rows.iter().zip(cosines).map(|(row, wave)| row[x] * wave[y]).sum::<f64>();
        rgb.extend([level.clamp(0.0, 255.0) as u8; 3]);
    }
    rgb
}

fn print(number_of: u64, cosines: &[[f64; SIDE]; WAVES]) -> Option<Print> {
    // The last of each hundred is the first one, lightened.
    let is_copy = number_of % 100 == 99;
    let mut rgb = draw(if is_copy { number_of - 99 } else { number_of }, cosines);
    if is_copy {
        rgb.iter_mut().for_each(|value| *value = value.saturating_add(9));
    }
    let side = SIDE as u32;
    Print::of(side, side, &rgb, &Grid::of(side, side, &rgb)?)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let count: u64 = arguments.next().ok_or("how many pictures?")?.parse()?;
    let distance: u32 = arguments.next().map_or(Ok(11), |text| text.parse())?;
    let threads: usize = arguments.next().map_or(Ok(parallel::available()), |text| text.parse())?;
    let pool = parallel::pool(threads)?;
    let mut cosines = [[0.0; SIDE]; WAVES];
    for (u, wave) in cosines.iter_mut().enumerate() {
        for (x, value) in wave.iter_mut().enumerate() {
            *value = libm::cos(std::f64::consts::PI * ((2 * x + 1) * u) as f64 / (2 * SIDE) as f64);
        }
    }
    let begun = Instant::now();
    let prints: Vec<Option<Print>> =
        pool.install(|| (0..count).into_par_iter().map(|at| print(at, &cosines)).collect());
    println!("{count} prints made in {:.1} s", begun.elapsed().as_secs_f64());
    let begun = Instant::now();
    let by_reference: Vec<Option<&Print>> = prints.iter().map(Option::as_ref).collect();
    let found = pool.install(|| candidates(&by_reference, distance, |_| ()));
    let seconds = begun.elapsed().as_secs_f64();
    let mut pairs: Vec<(u32, u32)> =
        found.iter().map(|found| (found.one.min(found.other), found.one.max(found.other))).collect();
    pairs.dedup();
    let copies = pairs.iter().filter(|(a, b)| b % 100 == 99 && a + 99 == *b).count();
    println!(
        "distance {distance}, {threads} threads: {seconds:.1} s, {copies} of {} copies, {} pairs to compare",
        count / 100,
        pairs.len()
    );
    Ok(())
}
