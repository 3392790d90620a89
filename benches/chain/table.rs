//! Medians, ratios of pairs, and a plain table.

use crate::sample::Sample;

/// The samples of one comparison; the first column is what the others are held against.
pub(crate) struct Table {
    title: String,
    names: Vec<String>,
    rounds: Vec<Vec<Sample>>,
}

impl Table {
    pub(crate) fn new(title: &str, names: &[&str]) -> Self {
        Self { title: title.to_owned(), names: names.iter().map(ToString::to_string).collect(), rounds: Vec::new() }
    }

    /// One round: a sample of each.
    pub(crate) fn add(&mut self, samples: &[Sample]) {
        self.rounds.push(samples.to_vec());
    }

    pub(crate) fn median(&self, column: usize, of: impl Fn(&Sample) -> f64) -> f64 {
        median(self.rounds.iter().map(|round| of(&round[column])).collect())
    }

    /// The median of the ratios, each within one round.
    pub(crate) fn median_ratio(&self, column: usize, of: impl Fn(&Sample) -> f64) -> f64 {
        self.median_ratio_to(0, column, of)
    }

    /// The same against another column than the first.
    pub(crate) fn median_ratio_to(&self, base: usize, column: usize, of: impl Fn(&Sample) -> f64) -> f64 {
        median(self.rounds.iter().map(|round| of(&round[column]) / of(&round[base])).collect())
    }

    /// The median of the differences, each within one round.
    pub(crate) fn median_difference(&self, column: usize, of: impl Fn(&Sample) -> f64) -> f64 {
        median(self.rounds.iter().map(|round| of(&round[column]) - of(&round[0])).collect())
    }

    pub(crate) fn print(&self) {
        println!("\n{} ({} rounds)", self.title, self.rounds.len());
        println!("  {:<40} {:>10} {:>8} {:>10} {:>10}", "", "wall ms", "x", "CPU ms", "peak MiB");
        for (column, name) in self.names.iter().enumerate() {
            let wall = self.median(column, |sample| sample.wall.as_secs_f64() * 1e3);
            let ratio = self.median_ratio(column, |sample| sample.wall.as_secs_f64());
            let cpu = self.median(column, |sample| sample.cpu.as_secs_f64() * 1e3);
            let peak = self.median(column, |sample| sample.peak as f64 / f64::from(1 << 20));
            println!("  {name:<40} {wall:>10.3} {ratio:>8.3} {cpu:>10.3} {peak:>10.2}");
        }
    }
}

/// A figure beside its aim.
pub(crate) fn aim(what: &str, found: f64, aim: f64, unit: &str) {
    let verdict = if found <= aim { "met" } else { "MISSED" };
    println!("  aim: {what}: {found:.3} {unit}, at most {aim} {unit}: {verdict}");
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
