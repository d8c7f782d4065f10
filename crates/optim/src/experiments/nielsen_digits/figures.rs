//! The pictures of the digits experiment.

use lab::{Axis, Figure, Heatmap, Line, Plot, Ramp, Raster, Tile};

use super::NielsenDigitsReport;

pub(super) fn all(report: &NielsenDigitsReport) -> Vec<Figure> {
    vec![samples(report), accuracy(report), confusion(report), weights(report), misread(report)]
}

fn samples(report: &NielsenDigitsReport) -> Figure {
    let tile = |sample: &super::Sample| {
        let pixels: Vec<f64> = sample.pixels.iter().map(|&level| f64::from(level)).collect();
        Tile::new(report.width, &pixels).caption(sample.label.to_string())
    };
    Figure::new(
        "samples",
        format!(
            "You read all of these. The first {} of the {} test images, with what their writers meant.",
            report.samples.len(),
            report.test_images
        ),
        "Small images of handwritten digits in two rows, each with its label; slant, thickness and closed loops differ \
         between digits of the same label.",
        Raster {
            tiles: report.samples.iter().map(tile).collect(),
            columns: 8,
            ramp: Ramp::Ink { low: 0.0, high: f64::from(report.max_level) },
        },
    )
}

fn accuracy(report: &NielsenDigitsReport) -> Figure {
    let epochs: Vec<f64> = (1..=report.epochs).map(|epoch| epoch as f64).collect();
    let lowest =
        report.accuracy_per_epoch.iter().flatten().copied().fold(report.nearest_class_mean, f64::min);
    Figure::new(
        "accuracy",
        format!(
            "The network passes the last perceptron after a few epochs and ends beside the averaged one. Accuracy \
             on {} test images after each epoch, mean and one standard deviation of {} seeds; dotted: other methods \
             on the same images.",
            report.test_images, report.accuracy.n
        ),
        "A curve rises steeply from about 0.66, flattens, and has reached about nine digits in ten at the end; its \
         band is wide until the fifth epoch and narrow from the sixth on. Three horizontal lines: nearest class \
         mean lowest, the last perceptron in the middle, the averaged perceptron at the height where the curve \
         ends.",
        Plot::new(
            Axis::linear("epoch"),
            Axis::linear("test accuracy").range((lowest * 20.0).floor() / 20.0, 0.95),
        )
        .line(Line::over_seeds("30 hidden neurons", &epochs, &report.accuracy_per_epoch))
        .horizontal("averaged perceptron", report.averaged_perceptron.mean)
        .horizontal("last perceptron", report.last_perceptron.mean)
        .horizontal("nearest class mean", report.nearest_class_mean),
    )
}

fn confusion(report: &NielsenDigitsReport) -> Figure {
    let most = &report.most_confused;
    Figure::new(
        "confusion",
        format!(
            "Most mistakes are between digits that look alike: {} is read as {} most often, {} times. Row: true \
             digit, column: what the network reads; counts over {} test images, summed over {} seeds.",
            most.label, most.read_as, most.times, report.test_images, report.accuracy.n
        ),
        "A ten by ten matrix of counts. The diagonal holds more than a hundred in each cell and is dark; most other \
         cells hold less than ten and are light.",
        Heatmap::confusion((0..10).map(|digit| digit.to_string()), &report.confusion),
    )
}

fn weights(report: &NielsenDigitsReport) -> Figure {
    // Each neuron by its own largest change: some change ten times as much as others.
    let tile = |row: &Vec<f64>| {
        let most = row.iter().fold(f64::MIN_POSITIVE, |most, weight| most.max(weight.abs()));
        Tile::new(report.width, &row.iter().map(|weight| weight / most).collect::<Vec<_>>())
    };
    Figure::new(
        "weights",
        format!(
            "Training draws strokes: each hidden neuron comes to look for ink in some places and against it in \
             others. One tile per hidden neuron: its weights after training minus those before, as an image; orange = \
             ink here excites more than before, blue = less, white = unchanged, as at the borders where no digit has \
             ink; full colour = the largest change of that neuron. The start itself is noise of size 1; the root mean \
             square of the change is {:.2}. First seed.",
            report.learnt_rms
        ),
        "Thirty small square images of orange and blue blurred strokes and arcs in the middle of a white square.",
        Raster {
            tiles: report.learnt_weights.iter().map(tile).collect(),
            columns: 10,
            ramp: Ramp::Diverging { extreme: 1.0 },
        },
    )
}

fn misread(report: &NielsenDigitsReport) -> Figure {
    let tile = |wrong: &super::Misread| {
        let pixels: Vec<f64> = wrong.pixels.iter().map(|&level| f64::from(level)).collect();
        Tile::new(report.width, &pixels).caption(format!("{}→{}", wrong.label, wrong.read_as))
    };
    Figure::new(
        "misread",
        format!(
            "Some of the digits that the network gets wrong would stop a human too, most would not. The first {} \
             misread test images, true digit → what the network reads; first seed.",
            report.misread.len()
        ),
        "Small images of handwritten digits in two rows, each with a caption such as 4→9: the true digit and what the \
         network reads.",
        Raster {
            tiles: report.misread.iter().map(tile).collect(),
            columns: 8,
            ramp: Ramp::Ink { low: 0.0, high: f64::from(report.max_level) },
        },
    )
}
