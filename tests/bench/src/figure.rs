//! The picture of the ratios: one line a case, one dot a peer, on a logarithmic axis.
//!
//! Colours are those that the book turns into the colours of its theme (`booktool`).
use std::fmt::Write;

/// One case.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    /// Its name.
    pub(crate) case: String,
    /// What is known of the peers.
    pub(crate) dots: Vec<Dot>,
}

/// One peer's time over ours.
#[derive(Clone, Debug)]
pub(crate) struct Dot {
    /// Name of the peer.
    pub(crate) peer: &'static str,
    /// Median over the rounds.
    pub(crate) ratio: f64,
    /// Percentile 10.
    pub(crate) low: f64,
    /// Percentile 90.
    pub(crate) high: f64,
}

const WIDTH: f64 = 680.0;
const RIGHT: f64 = 24.0;
const LINE: f64 = 20.0;
/// Height of the letters, and a width that no letter of a name exceeds on average.
const TEXT: f64 = 14.0;
const LETTER: f64 = 8.0;
const TOP: f64 = 34.0;
const BOTTOM: f64 = 44.0;
const TICKS: [f64; 10] = [0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0];

/// Colour of a peer, and the shape of its mark, so that colour is not alone.
fn look(peer: &str) -> (&'static str, &'static str) {
    match peer {
        "torch" => ("#0072b2", "circle"),
        "compile" => ("#d55e00", "diamond"),
        "fused" => ("#0072b2", "diamond"),
        "dfdx" => ("#000000", "square"),
        "burn" => ("#009e73", "square"),
        _ => ("#cc79a7", "triangle"),
    }
}

/// Draws the rows from top to bottom as an SVG.
pub(crate) fn ratios(rows: &[Row]) -> String {
    let all = || rows.iter().flat_map(|row| &row.dots);
    let ends = all().flat_map(|dot| [dot.low, dot.high]).filter(|x| *x > 0.0 && x.is_finite());
    let (low, high) = ends.fold((0.9_f64, 1.1_f64), |(a, b), x| (a.min(x), b.max(x)));
    let (low, high) = ((low / 1.15).ln(), (high * 1.15).ln());
    // Room for the longest name.
    let longest = rows.iter().map(|row| row.case.chars().count()).max().unwrap_or(0);
    let labels = LETTER * longest as f64 + 16.0;
    let x = |ratio: f64| labels + (ratio.ln() - low) / (high - low) * (WIDTH - labels - RIGHT);
    let bottom = TOP + LINE * rows.len() as f64;
    let height = bottom + BOTTOM;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\">\n\
         <g font-family=\"sans-serif\" font-size=\"{TEXT}\">\n"
    );
    for tick in TICKS.into_iter().filter(|tick| (low..=high).contains(&tick.ln())) {
        let (at, colour, width) = (x(tick), if tick == 1.0 { "black" } else { "#cccccc" }, 1);
        put(
            &mut svg,
            &format!(
                "<line x1=\"{at:.1}\" y1=\"{TOP}\" x2=\"{at:.1}\" y2=\"{bottom}\" stroke=\"{colour}\" stroke-width=\"{width}\"/>"
            ),
        );
        put(&mut svg, &text(at, bottom + 16.0, "middle", &tick.to_string()));
    }
    put(
        &mut svg,
        &text(
            (labels + WIDTH - RIGHT) / 2.0,
            bottom + 38.0,
            "middle",
            "peer's time / our time; right of 1 we are faster",
        ),
    );
    let mut peers: Vec<&str> = Vec::new();
    all().for_each(|dot| {
        if !peers.contains(&dot.peer) {
            peers.push(dot.peer)
        }
    });
    for (i, peer) in peers.iter().enumerate() {
        let at = 16.0 + 105.0 * i as f64; // from the left: six peers have room
        put(&mut svg, &mark(peer, at, 14.0));
        put(&mut svg, &text(at + 10.0, 19.0, "start", peer));
    }
    for (i, row) in rows.iter().enumerate() {
        let y = TOP + LINE * (i as f64 + 0.5);
        put(&mut svg, &text(labels - 10.0, y + 5.0, "end", &row.case));
        for dot in &row.dots {
            let (colour, _) = look(dot.peer);
            let [a, b] = [dot.low, dot.high].map(x);
            put(
                &mut svg,
                &format!(
                    "<line x1=\"{a:.1}\" y1=\"{y}\" x2=\"{b:.1}\" y2=\"{y}\" stroke=\"{colour}\" stroke-width=\"1.5\"/>"
                ),
            );
            put(&mut svg, &mark(dot.peer, x(dot.ratio), y));
        }
    }
    svg + "</g>\n</svg>\n"
}

fn put(svg: &mut String, element: &str) {
    writeln!(svg, "{element}").expect("a string takes everything");
}

fn text(x: f64, y: f64, anchor: &str, words: &str) -> String {
    format!("<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" fill=\"black\">{words}</text>")
}

fn mark(peer: &str, x: f64, y: f64) -> String {
    let (colour, shape) = look(peer);
    let polygon = |points: &[(f64, f64)]| {
        let points: Vec<String> = points.iter().map(|(a, b)| format!("{:.1},{:.1}", x + a, y + b)).collect();
        format!("<polygon points=\"{}\" fill=\"{colour}\"/>", points.join(" "))
    };
    match shape {
        "circle" => format!("<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4\" fill=\"{colour}\"/>"),
        "diamond" => polygon(&[(0.0, -5.0), (5.0, 0.0), (0.0, 5.0), (-5.0, 0.0)]),
        "square" => polygon(&[(-3.5, -3.5), (3.5, -3.5), (3.5, 3.5), (-3.5, 3.5)]),
        _ => polygon(&[(0.0, -5.0), (4.5, 3.5), (-4.5, 3.5)]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_larger_ratio_stands_further_to_the_right() {
        let dot = |ratio: f64| Dot { peer: "torch", ratio, low: 0.9 * ratio, high: 1.1 * ratio };
        let rows = [0.5, 1.0, 4.0].map(|ratio| Row { case: format!("at {ratio}"), dots: vec![dot(ratio)] });
        let svg = ratios(&rows);
        let centres: Vec<f64> = svg
            .split("<circle cx=\"")
            .skip(2) // the first is the legend's
            .filter_map(|rest| rest.split('"').next()?.parse().ok())
            .collect();
        assert_eq!(centres.len(), 3);
        // A factor of two is the same distance everywhere.
        let (half, two_octaves) = (centres[1] - centres[0], centres[2] - centres[1]);
        assert!(half > 10.0 && (two_octaves - 2.0 * half).abs() < 0.5, "{centres:?}");
        assert!(rows.iter().all(|row| svg.contains(&format!(">{}</text>", row.case))));
    }

    #[test]
    fn long_names_push_the_axis_to_the_right() {
        let dot = Dot { peer: "torch", ratio: 1.0, low: 0.9, high: 1.1 };
        let axis = |case: &str| {
            let svg = ratios(&[Row { case: case.into(), dots: vec![dot.clone()] }]);
            svg.split("<line x1=\"")
                .nth(1)
                .and_then(|rest| rest.split('"').next()?.parse::<f64>().ok())
                .unwrap()
        };
        let name = "conv3x3-depthwise/32x32x16x16";
        assert!(axis(name) > LETTER * name.len() as f64 && axis("mlp") < 100.0 + WIDTH / 2.0);
        assert!(axis(name) > axis("mlp"));
    }
}
