//! Curves over time as an SVG: panels below each other that share the time axis.

use std::fmt::Write as _;

const WIDTH: f64 = 960.0;
const PANEL: f64 = 200.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 20.0;
const TOP: f64 = 36.0;
const BOTTOM: f64 = 34.0;
const COLOURS: [&str; 4] = ["#1f6feb", "#d1242f", "#1a7f37", "#9a6700"];

/// Curves with one unit.
pub struct Panel<'a> {
    /// What is shown, with its unit.
    pub title: &'a str,
    /// Name and points `(seconds, value)` of each.
    pub curves: Vec<(&'a str, Vec<(f64, f64)>)>,
}

/// The panels as an SVG document.
pub fn svg(panels: &[Panel<'_>]) -> String {
    let height = PANEL * panels.len() as f64;
    let end = span(panels.iter().flat_map(|panel| &panel.curves), |point| point.0);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
    );
    for (index, panel) in panels.iter().enumerate() {
        draw(&mut svg, panel, PANEL * index as f64, end);
    }
    svg.push_str("</svg>\n");
    svg
}

fn draw(svg: &mut String, panel: &Panel<'_>, top: f64, end: f64) {
    let highest = span(panel.curves.iter(), |point| point.1);
    let (y0, y1) = (top + PANEL - BOTTOM, top + TOP);
    let x = |seconds: f64| LEFT + seconds / end * (WIDTH - LEFT - RIGHT);
    let y = |value: f64| y0 - value / highest * (y0 - y1);
    // Writing to a String does not fail.
    let _ = writeln!(svg, "<text x=\"{LEFT}\" y=\"{}\" font-weight=\"bold\">{}</text>", top + 16.0, panel.title);
    for part in [0.0, 0.5, 1.0] {
        let (value, line) = (highest * part, y(highest * part));
        let _ = writeln!(
            svg,
            "<line x1=\"{LEFT}\" x2=\"{}\" y1=\"{line:.1}\" y2=\"{line:.1}\" stroke=\"#d0d7de\"/>\
             <text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{value:.0}</text>",
            WIDTH - RIGHT,
            LEFT - 6.0,
            line + 4.0,
        );
    }
    for part in 0..=4 {
        let seconds = end * f64::from(part) / 4.0;
        let _ = writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{seconds:.0} s</text>",
            x(seconds),
            y0 + 16.0,
        );
    }
    for (index, (name, points)) in panel.curves.iter().enumerate() {
        let colour = COLOURS[index % COLOURS.len()];
        let line: Vec<String> = points.iter().map(|&(s, v)| format!("{:.1},{:.1}", x(s), y(v))).collect();
        let _ = writeln!(
            svg,
            "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.5\" points=\"{}\"/>\
             <text x=\"{:.0}\" y=\"{}\" fill=\"{colour}\">{name}</text>",
            line.join(" "),
            LEFT + 320.0 + 150.0 * index as f64,
            top + 16.0,
        );
    }
}

/// The largest coordinate, never below 1.
fn span<'a>(
    curves: impl Iterator<Item = &'a (&'a str, Vec<(f64, f64)>)>,
    coordinate: impl Fn(&(f64, f64)) -> f64,
) -> f64 {
    curves.flat_map(|(_, points)| points).map(coordinate).fold(1.0, f64::max)
}

#[cfg(test)]
mod tests;
