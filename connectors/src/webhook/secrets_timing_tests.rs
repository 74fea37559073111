//! How long a comparison takes tells a stranger nothing: by what is compared, and, when nothing else runs, by the clock.

use std::cell::Cell;
use std::hint::black_box;
use std::time::Instant;

use super::*;

/// Counts how often it is compared.
struct Counted<'a>(u8, &'a Cell<usize>);

impl ConstantTimeEq for Counted<'_> {
    fn ct_eq(&self, other: &Self) -> Choice {
        self.1.set(self.1.get() + 1);
        self.0.ct_eq(&other.0)
    }
}

#[test]
fn every_byte_of_every_secret_is_compared_wherever_they_differ() {
    for (given, found) in [([1, 1], true), ([2, 2], true), ([3, 1], false), ([1, 3], false), ([3, 3], false)] {
        let compared = Cell::new(0);
        let bytes = |bytes: [u8; 2]| bytes.map(|byte| Counted(byte, &compared));
        assert_eq!(is_among(&bytes(given), [[1, 1], [2, 2]].map(bytes).into_iter()), found);
        assert_eq!(compared.get(), 4, "of {given:?}");
    }
}

/// Measurements of each of the two kinds, and calls in each.
const SAMPLES: (usize, usize) = (100_000, 8);
/// Beyond this the two kinds differ (dudect).
const DIFFERENT: f64 = 4.5;

/// Welch's t of two kinds of guesses: wrong in the first byte, and in the last. What something else on the machine delayed is
/// left out: the slowest tenth of all.
fn welch(secret: &str, compare: impl Fn(&[u8]) -> bool) -> f64 {
    let spoiled = |at: usize| {
        let mut guess = secret.as_bytes().to_vec();
        guess[at] ^= 1;
        guess
    };
    let guesses = [spoiled(0), spoiled(secret.len() - 1)];
    let mut taken: Vec<(usize, f64)> = Vec::with_capacity(2 * SAMPLES.0);
    let mut dice: u64 = 0x9e37_79b9_7f4a_7c15;
    while taken.len() < 2 * SAMPLES.0 {
        // In no order that anything else on the machine could have.
        dice ^= dice << 13;
        dice ^= dice >> 7;
        dice ^= dice << 17;
        let kind = (dice >> 33) as usize % 2;
        let begun = Instant::now();
        for _ in 0..SAMPLES.1 {
            assert!(!black_box(compare(black_box(&guesses[kind]))));
        }
        taken.push((kind, begun.elapsed().as_nanos() as f64));
    }
    let mut sorted: Vec<f64> = taken.iter().map(|(_, ns)| *ns).collect();
    sorted.sort_by(f64::total_cmp);
    let slow = sorted[sorted.len() * 9 / 10];
    let moments = |kind| {
        let of: Vec<f64> = taken.iter().filter(|(k, ns)| *k == kind && *ns <= slow).map(|(_, ns)| *ns).collect();
        let mean = of.iter().sum::<f64>() / of.len() as f64;
        (mean, of.iter().map(|ns| (ns - mean).powi(2)).sum::<f64>() / (of.len() - 1) as f64 / of.len() as f64)
    };
    let (first, last) = (moments(0), moments(1));
    (first.0 - last.0).abs() / (first.1 + last.1).sqrt()
}

/// Figures mean something only when nothing else runs: with SWITCHBOARD_TEST_FULL.
#[test]
fn the_clock_tells_the_first_byte_from_the_last_of_a_leak_and_not_of_ours() {
    #[allow(clippy::disallowed_methods)] // a switch of the test itself
    if std::env::var_os("SWITCHBOARD_TEST_FULL").is_none() {
        return;
    }
    let secret = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_-".repeat(4);
    let secrets = [SecretString::from(secret.clone())];
    let leak = welch(&secret, |given| {
        given.len() == secret.len() && given.iter().zip(secret.bytes()).all(|(a, b)| black_box(*a) == b)
    });
    assert!(leak > DIFFERENT, "the measure sees nothing: {leak}");
    let ours = welch(&secret, |given| is_one_of(given, &secrets));
    assert!(ours < DIFFERENT, "t of a leak {leak:.1}, of ours {ours:.2}");
}
