//! What was reached, beside what was to be reached.

use std::fmt::Write as _;
use std::fs;

use serde::Serialize;

/// One figure.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    /// What was measured.
    pub figure: String,
    /// What came out, with its unit.
    pub reached: String,
    /// What was to be reached; empty for a figure to compare with.
    pub goal: String,
    /// Whether it was; `None` without a goal.
    pub met: Option<bool>,
}

impl Row {
    /// A figure with a goal.
    pub fn goal(figure: impl Into<String>, reached: impl Into<String>, goal: impl Into<String>, met: bool) -> Self {
        Self { figure: figure.into(), reached: reached.into(), goal: goal.into(), met: Some(met) }
    }

    /// A figure to compare with.
    pub fn note(figure: impl Into<String>, reached: impl Into<String>) -> Self {
        Self { figure: figure.into(), reached: reached.into(), goal: String::new(), met: None }
    }
}

/// The rows as a Markdown table.
pub fn table(rows: &[Row], machine: &str) -> String {
    let mut table = String::from("| figure | reached | goal | machine |\n|---|---|---|---|\n");
    for Row { figure, reached, goal, met } in rows {
        let missed = if *met == Some(false) { " **(missed)**" } else { "" };
        let _ = writeln!(table, "| {figure} | {reached}{missed} | {goal} | {machine} |");
    }
    table
}

/// Cores, processor and kernel of this machine.
pub fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let field = |name: &str| {
        info.lines()
            .find_map(|line| line.split_once(':').filter(|(key, _)| key.trim() == name))
            .map(|(_, value)| value.trim())
    };
    let processor = field("model name").unwrap_or("unknown processor");
    let model = field("model").map(|model| format!(" (model {model})")).unwrap_or_default();
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!("{cores} cores, {processor}{model}, Linux {}", kernel.trim())
}

/// How many processes wanted a core over the last minute.
pub fn load_average() -> String {
    let averages = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    averages.split(' ').next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests;
