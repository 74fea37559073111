//! Many measurements as few numbers.

/// A percentile of sorted values; 0 of none.
pub fn percentile(sorted: &[u64], share: f64) -> u64 {
    if sorted.is_empty() {
        return 0;
    }
    let place = (share * sorted.len() as f64).ceil() as usize;
    sorted[place.clamp(1, sorted.len()) - 1]
}

/// The same figure of several runs.
#[derive(Clone, Debug, Default)]
pub struct Runs(Vec<f64>);

impl Runs {
    /// Another run's figure.
    pub fn add(&mut self, value: f64) {
        self.0.push(value);
        self.0.sort_by(f64::total_cmp);
    }

    /// The one in the middle; of an even number the mean of both.
    pub fn median(&self) -> f64 {
        let count = self.0.len();
        match count {
            0 => f64::NAN,
            _ if count % 2 == 1 => self.0[count / 2],
            _ => f64::midpoint(self.0[count / 2 - 1], self.0[count / 2]),
        }
    }

    /// The least and the greatest.
    pub fn spread(&self) -> (f64, f64) {
        (self.0.first().copied().unwrap_or(f64::NAN), self.0.last().copied().unwrap_or(f64::NAN))
    }

    /// The greatest.
    pub fn most(&self) -> f64 {
        self.spread().1
    }

    /// How many.
    pub fn count(&self) -> usize {
        self.0.len()
    }
}

impl FromIterator<f64> for Runs {
    fn from_iter<I: IntoIterator<Item = f64>>(values: I) -> Self {
        let mut runs = Self::default();
        values.into_iter().for_each(|value| runs.add(value));
        runs
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_were_measured() {
        let sorted: Vec<u64> = (1..=200).collect();
        assert_eq!([0.5, 0.99, 1.0, 0.0].map(|share| percentile(&sorted, share)), [100, 198, 200, 1]);
        assert_eq!(percentile(&[], 0.5), 0);
    }

    #[test]
    fn the_median_is_in_the_middle() {
        let runs: Runs = [9.0, 1.0, 5.0].into_iter().collect();
        assert_eq!((runs.median(), runs.spread()), (5.0, (1.0, 9.0)));
        let runs: Runs = [4.0, 2.0].into_iter().collect();
        assert_eq!(runs.median(), 3.0);
    }
}
