//! The pictures of the experiment on Novikoff's bound.

use lab::{Axis, Figure, Frame, Frames, Line, Plot, Ramp, Raster, Slider, Tile};

use super::{Pair, PerceptronBoundReport, Plane, Sum};

pub(super) fn all(report: &PerceptronBoundReport) -> Vec<Figure> {
    vec![lines(&report.plane), sum(&report.sum), pairs(report), control(report)]
}

/// The two points where the line `w · x + b = 0` leaves the square of half side `edge`.
fn across([w1, w2, b]: [f64; 3], edge: f64) -> Vec<(f64, f64)> {
    let on_vertical = [-edge, edge].map(|x| (x, -(w1 * x + b) / w2));
    let on_horizontal = [-edge, edge].map(|y| (-(w2 * y + b) / w1, y));
    let inside = |&(x, y): &(f64, f64)| x.abs() <= edge && y.abs() <= edge;
    let mut ends: Vec<(f64, f64)> = on_vertical.into_iter().chain(on_horizontal).filter(inside).collect();
    ends.sort_by(|a, b| a.partial_cmp(b).expect("inside() lets no NaN pass"));
    ends.dedup();
    ends
}

fn lines(plane: &Plane) -> Figure {
    const EDGE: f64 = 2.5;
    let axis = |label: &str| Axis::linear(label).range(-EDGE, EDGE);
    let half_height = plane.margin / plane.best[1].abs(); // of the strip, measured along the vertical axis
    let best = across(plane.best, EDGE);
    let strip: Vec<_> = best.iter().map(|(_, y)| (y - half_height, y + half_height)).collect();
    let best = Line::new("largest margin", best).band(strip);
    let frame = |k: usize| {
        let (line, mistake) = (plane.lines[k], plane.mistakes[k]);
        let earlier = plane.lines[..k].iter().map(|&line| across(line, EDGE));
        let digit = if plane.labels[mistake] == 1 { 1 } else { 0 };
        let [x, y] = plane.points[mistake];
        let plot = Plot::new(axis("ink"), axis("ink in the middle"))
            .scatter("0", points(plane, -1))
            .scatter("1", points(plane, 1))
            .line(Line::new(format!("after mistake {}", k + 1), across(line, EDGE)))
            .line(best.clone())
            .faint(earlier)
            .text(format!("misread {digit} ↓"), (x, y + 0.25));
        let wrong = plane
            .points
            .iter()
            .zip(&plane.labels)
            .filter(|&(x, &label)| f64::from(label) * (line[0] * x[0] + line[1] * x[1] + line[2]) <= 0.0);
        let still_wrong = match wrong.count() {
            0 => "no picture is".into(),
            1 => "1 picture is".into(),
            n => format!("{n} pictures are"),
        };
        Frame::new(plot).note(format!(
            "The vote on a {digit} was wrong. After the correction {still_wrong} on the wrong side of the line."
        ))
    };
    let count = plane.lines.len();
    Figure::new(
        "lines",
        format!(
            "{count} mistakes separate {} handwritten zeros and ones; the theorem allows {:.0}. The line after one \
             update, the point that caused it, and the earlier lines; with dashes the line of largest margin γ = {:.2} \
             and the strip around it. Features: all ink, and ink in the middle 6 × 6 pixels, standardised; MNIST, the \
             first {} zeros and ones in file order.",
            plane.points.len(),
            plane.bound,
            plane.margin,
            plane.points.len()
        ),
        "Scatter plot of twenty points, zeros at the lower right and ones at the upper left. Thin lines turn step by \
         step to a thick one that passes between the two groups, beside a dashed line in the middle of a narrow empty \
         strip.",
        Frames::over(Slider::new("mistakes", 1..=count), frame).still([count - 1]),
    )
}

fn sum(sum: &Sum) -> Figure {
    let signed = |wrong: &super::Wrong| -> Vec<f64> {
        let ink = f64::from(wrong.label) / f64::from(sum.max_level);
        wrong.pixels.iter().map(|&level| ink * f64::from(level)).collect()
    };
    let zero = vec![0.0; sum.mistakes.first().map_or(0, |wrong| wrong.pixels.len())];
    let weights: Vec<Vec<f64>> = std::iter::once(zero.clone())
        .chain(sum.mistakes.iter().scan(zero, |weights, wrong| {
            weights.iter_mut().zip(signed(wrong)).for_each(|(weight, x)| *weight += x);
            Some(weights.clone())
        }))
        .collect();
    let extreme = weights.iter().flatten().fold(1.0, |most: f64, weight| most.max(weight.abs()));
    let frame = |k: usize| {
        let wrong = &sum.mistakes[k];
        // The picture in its full colours, the weights on one scale for all frames.
        let picture: Vec<f64> = signed(wrong).iter().map(|x| x * extreme).collect();
        let (sign, digit, is_done) =
            if wrong.label == 1 { ("+", 0, "added") } else { ("-", 1, "subtracted") };
        let tiles = [
            (&weights[k], "weights before".to_string()),
            (&picture, format!("{sign} misread {digit}")),
            (&weights[k + 1], "weights after".into()),
        ];
        let tiles = tiles.map(|(pixels, caption)| Tile::new(sum.width, pixels).caption(caption)).to_vec();
        Frame::new(Raster { tiles, columns: 3, ramp: Ramp::Diverging { extreme } })
            .note(format!("A {digit} got the vote {:.0} and is {is_done}.", wrong.vote.round() + 0.0))
    };
    let count = sum.mistakes.len();
    Figure::new(
        "sum",
        format!(
            "The weights are the sum of the misread pictures: zeros added, ones subtracted. Ink on orange pixels \
             speaks for a zero, ink on blue ones against it. {} zeros and ones in file order, {count} mistakes; the \
             weights on one scale, ±{extreme:.1}.",
            sum.images
        ),
        "Three squares: weights before a mistake, the misread picture, weights after it. In the weights an orange ring \
         surrounds a blue upright stroke.",
        Frames::over(Slider::new("mistake", 1..=count), frame).still([count - 1]),
    )
}

/// The points with this label.
fn points(plane: &Plane, label: i8) -> Vec<(f64, f64)> {
    let of_label = plane.points.iter().zip(&plane.labels).filter(|(_, l)| **l == label);
    of_label.map(|(&[x, y], _)| (x, y)).collect()
}

fn pairs(report: &PerceptronBoundReport) -> Figure {
    let mean = |pair: &Pair| pair.mistakes.iter().sum::<usize>() as f64 / pair.mistakes.len() as f64;
    let at = |pair: &Pair| (pair.bound, mean(pair));
    let smallest = report.pairs.iter().map(|pair| mean(pair).min(pair.bound)).fold(f64::INFINITY, f64::min);
    let largest = report.pairs.iter().map(|pair| pair.bound).fold(0.0, f64::max);
    let mut plot = Plot::new(
        Axis::logarithmic("(R/γ)²").range(smallest / 2.0, 2.0 * largest),
        Axis::logarithmic("mistakes until separated").range(smallest / 2.0, 2.0 * largest),
    )
    .line(Line::new("Novikoff's bound", [(smallest / 2.0, smallest / 2.0), (largest, largest)]))
    .scatter("pair of digits", report.pairs.iter().map(at));
    let by_bound = |a: &&Pair, b: &&Pair| a.bound.total_cmp(&b.bound);
    let ends = [report.pairs.iter().min_by(by_bound), report.pairs.iter().max_by(by_bound)];
    for pair in ends.into_iter().flatten() {
        let (x, y) = at(pair);
        plot = plot.text(format!("{} and {}", pair.low, pair.high), (x, y / 1.5));
    }
    Figure::new(
        "pairs",
        format!(
            "The smaller the margin, the more mistakes, and never more than the bound. Each point is one of the 45 \
             pairs of digits, all pixels, mean of {} random orders; the largest share of the bound that any order used \
             is {:.2}.",
            report.largest_share.len(),
            report.largest_share.iter().copied().fold(0.0, f64::max)
        ),
        "Scatter plot with two logarithmic axes. 45 points rise along a band that runs parallel to the diagonal of \
         equality and stays below it by a factor of about five to ten.",
        plot,
    )
}

fn control(report: &PerceptronBoundReport) -> Figure {
    let curve = |name: &str, counts: &[usize]| {
        Line::new(
            name,
            counts.iter().enumerate().map(|(pass, &count)| (pass as f64 + 1.0, count.max(1) as f64)),
        )
    };
    let control = &report.control;
    let mut true_labels = control.true_labels.clone();
    let last = true_labels.last().copied().unwrap_or(0);
    true_labels.resize(control.shuffled_labels.len(), last); // it has stopped making mistakes
    Figure::new(
        "control",
        format!(
            "The theorem needs a separating plane: with the true labels zeros and ones cost {last} mistakes, with \
             shuffled labels the mistakes never stop. Dotted: (R/γ)² of the true labels. All pixels, first order.",
        ),
        "Two curves of mistakes against passes on a logarithmic height axis. The curve of the true labels becomes \
         flat below a dotted line; the curve of the shuffled labels crosses it in the first pass and keeps rising.",
        Plot::new(Axis::linear("pass"), Axis::logarithmic("mistakes so far"))
            .line(curve("true labels", &true_labels))
            .line(curve("shuffled labels", &control.shuffled_labels))
            .horizontal("(R/γ)²", control.bound),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_cut_at_the_edges_of_the_square() {
        assert_eq!(across([1.0, -1.0, 0.0], 2.0), [(-2.0, -2.0), (2.0, 2.0)]);
        assert_eq!(across([0.0, 1.0, -1.0], 2.0), [(-2.0, 1.0), (2.0, 1.0)]);
        assert_eq!(across([1.0, 0.0, 1.0], 2.0), [(-1.0, -2.0), (-1.0, 2.0)]);
        assert!(across([1.0, 0.0, 5.0], 2.0).is_empty());
    }
}
