//! What came out: a line for each figure, and `bench.json`.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Value, json};

use crate::figures::Runs;

/// Which way is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Better {
    /// The goal is a most.
    Lower,
    /// The goal is a least.
    Higher,
}

/// One figure.
#[derive(Clone, Debug)]
pub struct Metric {
    name: String,
    value: Runs,
    unit: &'static str,
    floor: Option<Runs>,
    ratio: Option<Runs>,
    goal: Option<(f64, Better)>,
    better: Better,
    decided_by: fn(&Runs) -> f64,
    note: String,
}

impl Metric {
    /// A figure without floor and goal.
    pub fn new(name: &str, value: impl IntoIterator<Item = f64>, unit: &'static str) -> Self {
        let value = value.into_iter().collect();
        Self {
            name: name.to_owned(),
            value,
            unit,
            floor: None,
            ratio: None,
            goal: None,
            better: Better::Lower,
            decided_by: Runs::median,
            note: String::new(),
        }
    }

    /// Against the floor of each run, in the same unit and order.
    pub fn over(mut self, values: &[f64], floors: &[f64]) -> Self {
        self.ratio = Some(values.iter().zip(floors).map(|(value, floor)| value / floor).collect());
        self.floor = Some(floors.iter().copied().collect());
        self
    }

    /// The greatest of all runs stands for them, instead of their median.
    pub fn by_most(mut self) -> Self {
        self.decided_by = Runs::most;
        self
    }

    /// What the ratio must be, or without a floor the value.
    pub fn goal(mut self, better: Better, goal: f64) -> Self {
        (self.goal, self.better) = (Some((goal, better)), better);
        self
    }

    /// What one has to know beside the number.
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.note = note.into();
        self
    }

    /// Whether the goal is met; `None` without a goal.
    pub fn pass(&self) -> Option<bool> {
        let (goal, better) = self.goal?;
        let decisive = (self.decided_by)(self.ratio.as_ref().unwrap_or(&self.value));
        Some(match better {
            Better::Lower => decisive <= goal,
            Better::Higher => decisive >= goal,
        })
    }

    fn json(&self) -> Value {
        let spread = |runs: &Runs| json!([rounded(runs.spread().0), rounded(runs.spread().1)]);
        json!({
            "name": self.name, "value": rounded((self.decided_by)(&self.value)), "unit": self.unit, "runs": self.value.count(),
            "spread": spread(&self.value),
            "floor": self.floor.as_ref().map(|floor| rounded(floor.median())),
            "ratio": self.ratio.as_ref().map(|ratio| rounded((self.decided_by)(ratio))),
            "ratio_spread": self.ratio.as_ref().map(spread),
            "goal": self.goal.map(|(goal, _)| goal),
            "goal_of": self.goal.map(|_| if self.ratio.is_some() { "ratio" } else { "value" }),
            "better": if self.better == Better::Lower { "lower" } else { "higher" },
            "pass": self.pass(), "note": self.note,
        })
    }

    fn line(&self) -> String {
        let (least, most) = self.value.spread();
        let (value, unit) = ((self.decided_by)(&self.value), self.unit);
        let mut line =
            format!("{:<34} {:>10} {unit:<6} [{} .. {}]", self.name, short(value), short(least), short(most));
        if let (Some(floor), Some(ratio)) = (&self.floor, &self.ratio) {
            let _ = write!(line, "  floor {}  ratio {:.2}", short(floor.median()), (self.decided_by)(ratio));
        }
        if let Some((goal, better)) = self.goal {
            let sign = if better == Better::Lower { "at most" } else { "at least" };
            let met = if self.pass() == Some(true) { "met" } else { "MISSED" };
            let _ = write!(line, "  goal {sign} {goal}: {met}");
        }
        if !self.note.is_empty() {
            let _ = write!(line, "  ({})", self.note);
        }
        line
    }
}

fn rounded(value: f64) -> Option<f64> {
    value.is_finite().then(|| (value * 10_000.0).round() / 10_000.0)
}

fn short(value: f64) -> String {
    match value.abs() {
        large if large >= 100.0 => format!("{value:.0}"),
        middle if middle >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

/// All figures of a run.
#[derive(Debug)]
pub struct Report {
    machine: Value,
    metrics: Vec<Metric>,
    broken: Vec<String>,
}

impl Report {
    /// An empty one.
    pub fn new(machine: Value) -> Self {
        Self { machine, metrics: Vec::new(), broken: Vec::new() }
    }

    /// Adds a figure and says it.
    pub fn add(&mut self, metric: Metric) {
        println!("  {}", metric.line());
        self.metrics.push(metric);
    }

    /// A row that could not be measured.
    pub fn broke(&mut self, row: &str, why: &str) {
        println!("  {row}: BROKE: {why}");
        self.broken.push(format!("{row}: {why}"));
    }

    /// Writes it.
    pub fn write(&self, path: &Path) -> std::io::Result<()> {
        let metrics: Vec<Value> = self.metrics.iter().map(Metric::json).collect();
        let all = json!({"machine": self.machine, "metrics": metrics, "broken": self.broken});
        std::fs::write(path, serde_json::to_string_pretty(&all).unwrap_or_default() + "\n")
    }

    /// How many goals were met, were missed, and what could not be measured.
    pub fn counts(&self) -> (usize, usize, usize) {
        let of = |pass| self.metrics.iter().filter(|metric| metric.pass() == Some(pass)).count();
        (of(true), of(false), self.broken.len())
    }
}
