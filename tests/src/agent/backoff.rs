//! A small random source, and pauses drawn from it.

use std::time::Duration;

/// Xorshift64*: repeatable by seed, good enough to spread agents, and no dependency.
#[derive(Debug)]
pub struct Jitter(u64);

impl Jitter {
    /// One seed gives agents of different names different sequences.
    pub fn new(seed: u64, name: &str) -> Self {
        let mixed = name
            .bytes()
            .fold(seed ^ 0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        Self(mixed | 1) // zero would stay zero for ever
    }

    /// The next number.
    pub fn draw(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `end`; 0 when `end` is 0.
    pub fn below(&mut self, end: usize) -> usize {
        (self.draw() >> 11) as usize % end.max(1)
    }

    /// The pause before try `n` (from 0): full jitter below a bound that doubles from a twentieth of
    /// `most` up to `most`.
    pub fn pause(&mut self, n: u32, most: Duration) -> Duration {
        let bound = (most / 20).saturating_mul(1 << n.min(10)).min(most);
        bound.mul_f64((self.draw() >> 11) as f64 / (1_u64 << 53) as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_their_bound_and_fill_it() {
        let mut jitter = Jitter::new(7, "alice");
        let most = Duration::from_secs(1);
        let longest = |n: u32, jitter: &mut Jitter| (0..500).map(|_| jitter.pause(n, most)).max().expect("500 draws");
        assert!(longest(0, &mut jitter) <= most / 20);
        let late = longest(9, &mut jitter);
        assert!(late <= most && late > most.mul_f64(0.9));
    }

    #[test]
    fn a_seed_repeats_and_names_differ() {
        let draw = |seed, name| {
            std::iter::repeat_with({
                let mut jitter = Jitter::new(seed, name);
                move || jitter.draw()
            })
            .take(3)
            .collect::<Vec<_>>()
        };
        assert_eq!(draw(1, "alice"), draw(1, "alice"));
        assert_ne!(draw(1, "alice"), draw(1, "bob"));
        assert_ne!(draw(1, "alice"), draw(2, "alice"));
    }
}
