//! The command line.

use std::path::PathBuf;

use crate::run::Tier;

const USAGE: &str = "usage: chaos [--quick|--full] [--only NAME] [--seed N] [--report FILE] [--list]";

/// What was asked for.
#[derive(Clone, Debug)]
pub struct Arguments {
    /// How much.
    pub tier: Tier,
    /// Only scenarios whose id is one of these, or whose name contains one; commas between them.
    pub only: Option<String>,
    /// Which schedule.
    pub seed: u64,
    /// Where the report goes.
    pub report: Option<PathBuf>,
    /// Only name the scenarios.
    pub list: bool,
}

impl Arguments {
    /// Reads them; the error is for whoever typed them.
    pub fn read(words: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut words = words;
        let mut read = Self { tier: Tier::Quick, only: None, seed: 20_261_121, report: None, list: false };
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| format!("{word} wants a value\n{USAGE}"));
            match word.as_str() {
                "--quick" => read.tier = Tier::Quick,
                "--full" => read.tier = Tier::Full,
                "--list" => read.list = true,
                "--only" => read.only = Some(value()?),
                "--seed" => read.seed = value()?.parse().map_err(|_| format!("a seed is a number\n{USAGE}"))?,
                "--report" => read.report = Some(value()?.into()),
                _ => return Err(USAGE.to_owned()),
            }
        }
        Ok(read)
    }

    /// Whether a scenario was asked for: by name whichever its tier, else all of the tier.
    pub fn want(&self, id: &str, name: &str, quick: bool) -> bool {
        match &self.only {
            Some(only) => only.split(',').any(|only| id == only || name.contains(only)),
            None => quick || self.tier == Tier::Full,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn read(line: &str) -> Result<Arguments, String> {
        Arguments::read(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn a_name_asks_for_its_scenario_in_any_tier() {
        let asked = read("--only freeze --seed 7").unwrap();
        assert_eq!((asked.tier, asked.seed), (Tier::Quick, 7));
        assert!(asked.want("F04", "freeze_the_active", false));
        assert!(!asked.want("F01", "kill_the_active", true));
        let by_id = read("--only F02,F01").unwrap();
        assert!(by_id.want("F01", "kill_the_active", false) && !by_id.want("F010", "another", true));
    }

    #[test]
    fn without_a_name_the_tier_decides() {
        assert!(!read("").unwrap().want("F27", "herd", false));
        assert!(read("--full").unwrap().want("F27", "herd", false));
        assert!(read("--fast").is_err() && read("--only").is_err() && read("--seed x").is_err());
    }
}
