//! Latency against load, as an SVG of lines and words.

use std::fmt::Write as _;
use std::path::Path;

/// One load.
#[derive(Clone, Copy, Debug)]
pub struct Point {
    /// Messages a second that were meant to be sent.
    pub rate: f64,
    /// Milliseconds.
    pub p50: f64,
    /// Milliseconds.
    pub p99: f64,
    /// Messages a second that arrived.
    pub arrived: f64,
}

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 420.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 20.0;
const TOP: f64 = 40.0;
const BOTTOM: f64 = 60.0;

/// Both axes are logarithmic: each step of ten is as wide as the one before.
struct Axes {
    rates: (f64, f64),
    times: (f64, f64),
}

impl Axes {
    fn of(points: &[Point]) -> Self {
        let least = |values: &[f64]| values.iter().copied().fold(f64::INFINITY, f64::min);
        let most = |values: &[f64]| values.iter().copied().fold(0.0, f64::max);
        let rates: Vec<f64> = points.iter().map(|point| point.rate).collect();
        let times: Vec<f64> = points.iter().flat_map(|point| [point.p50, point.p99]).collect();
        let times = (10f64.powf(least(&times).max(1e-3).log10().floor()), 10f64.powf(most(&times).log10().ceil()));
        Self { rates: (least(&rates) * 0.9, most(&rates) * 1.1), times }
    }

    fn x(&self, rate: f64) -> f64 {
        LEFT + (WIDTH - LEFT - RIGHT) * (rate / self.rates.0).ln() / (self.rates.1 / self.rates.0).ln()
    }

    fn y(&self, time: f64) -> f64 {
        HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (time / self.times.0).ln() / (self.times.1 / self.times.0).ln()
    }
}

/// Draws `points`, in the order of their rates, with `floor` (milliseconds) as a line across.
pub fn draw(path: &Path, title: &str, points: &[Point], floor: f64) -> std::io::Result<()> {
    std::fs::write(path, svg(title, points, floor))
}

fn svg(title: &str, points: &[Point], floor: f64) -> String {
    let axes = Axes::of(points);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"white\"/>\n<text x=\"{LEFT}\" y=\"22\" font-size=\"15\">{title}</text>\n"
    );
    let mut time = axes.times.0;
    while time <= axes.times.1 * 1.01 {
        let y = axes.y(time);
        let end = WIDTH - RIGHT;
        let _ = writeln!(svg, "<line x1=\"{LEFT}\" y1=\"{y:.1}\" x2=\"{end}\" y2=\"{y:.1}\" stroke=\"#ddd\"/>");
        let _ = writeln!(svg, "<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{time} ms</text>", LEFT - 6.0, y + 4.0);
        time *= 10.0;
    }
    for point in points {
        let x = axes.x(point.rate);
        let _ = writeln!(
            svg,
            "<text x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
            HEIGHT - BOTTOM + 18.0,
            point.rate
        );
    }
    let middle = f64::midpoint(LEFT, WIDTH - RIGHT);
    let _ =
        writeln!(svg, "<text x=\"{middle}\" y=\"{}\" text-anchor=\"middle\">messages a second</text>", HEIGHT - 14.0);
    if floor >= axes.times.0 {
        let (y, end) = (axes.y(floor), WIDTH - RIGHT);
        let _ = writeln!(
            svg,
            "<line x1=\"{LEFT}\" y1=\"{y:.1}\" x2=\"{end}\" y2=\"{y:.1}\" stroke=\"#888\" stroke-dasharray=\"4 4\"/>"
        );
        let _ = writeln!(
            svg,
            "<text x=\"{end}\" y=\"{:.1}\" text-anchor=\"end\" fill=\"#666\">floor {floor:.2} ms</text>",
            y - 5.0
        );
    }
    curve(&mut svg, &axes, points, "p50", "#1f6fb2", |point| point.p50);
    curve(&mut svg, &axes, points, "p99", "#c2491d", |point| point.p99);
    svg.push_str("</svg>\n");
    svg
}

fn curve(svg: &mut String, axes: &Axes, points: &[Point], name: &str, colour: &str, of: fn(&Point) -> f64) {
    let places: Vec<(f64, f64)> = points.iter().map(|point| (axes.x(point.rate), axes.y(of(point)))).collect();
    let line: Vec<String> = places.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
    let _ =
        writeln!(svg, "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\" points=\"{}\"/>", line.join(" "));
    for ((x, y), point) in places.iter().zip(points) {
        // Hollow: not everything came through at this load.
        let fill = if point.arrived < point.rate * 0.98 { "white" } else { colour };
        let _ = writeln!(svg, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4\" fill=\"{fill}\" stroke=\"{colour}\"/>");
    }
    if let Some((x, y)) = places.first() {
        let _ = writeln!(svg, "<text x=\"{x:.1}\" y=\"{:.1}\" fill=\"{colour}\">{name}</text>", y - 9.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_load_is_a_point_inside_the_frame() {
        let point = |rate: f64, p50: f64, p99: f64| Point { rate, p50, p99, arrived: rate };
        let points = [point(100.0, 1.0, 4.0), point(1000.0, 1.2, 6.0), point(8000.0, 30.0, 900.0)];
        let axes = Axes::of(&points);
        for place in &points {
            assert!(axes.x(place.rate) > LEFT && axes.x(place.rate) < WIDTH - RIGHT);
            assert!(axes.y(place.p99) >= TOP - 0.1 && axes.y(place.p50) <= HEIGHT - BOTTOM + 0.1);
        }
        assert_eq!(svg("t", &points, 0.9).matches("<circle").count(), 6);
    }
}
