//! The wider the network, the closer together end networks from different starts.

use datasets::mnist;
use lab::{
    About, Axis, Body, Bound, BoundSource, Check, Experiment, ExperimentConfig, Figure, Lab, Measured, Plot,
    Table,
};
use serde::{Deserialize, Serialize};

use super::at_least_one;
use crate::landscape::loss_band::{BandConfig, Labelled, Trained, correlation, train_many};

/// Test losses of many networks with one hidden layer, against its width.
#[derive(Debug)]
pub struct LossBand;

/// What may vary in [`LossBand`].
#[derive(Clone, Debug, Serialize, Deserialize, clap::Args)]
#[non_exhaustive]
pub struct LossBandConfig {
    /// Networks of each width, at least 3
    #[arg(long)]
    pub networks: usize,
    /// Steps of each
    #[arg(long)]
    pub steps: u64,
    /// Images to learn from, 100 to 4000
    #[arg(long)]
    pub images: usize,
    /// Images to be judged by, 1 to 6000
    #[arg(long)]
    pub test_images: usize,
}

impl Default for LossBandConfig {
    fn default() -> Self {
        Self { networks: 24, steps: 1500, images: 2000, test_images: 6000 }
    }
}

impl ExperimentConfig for LossBandConfig {
    fn quick() -> Self {
        Self { networks: 5, steps: 300, images: 1000, test_images: 1000 }
    }

    fn check(self) -> Result<Self, lab::Error> {
        at_least_one("networks", self.networks.saturating_sub(2))?;
        at_least_one("steps", self.steps as usize)?;
        let refuse =
            |field, rule, value: usize| Err(lab::Error::Config { field, rule, value: value.to_string() });
        if !(100..=4000).contains(&self.images) {
            return refuse("images", "100 to 4000", self.images);
        }
        if !(1..=6000).contains(&self.test_images) {
            return refuse("test_images", "1 to 6000", self.test_images);
        }
        Ok(self)
    }
}

/// What [`LossBand`] measured.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct LossBandReport {
    /// Narrowest first.
    pub widths: Vec<Width>,
    /// The same as text.
    pub table: Table,
}

/// Networks of one width.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Width {
    /// Hidden units.
    pub units: usize,
    /// Test loss over the networks.
    pub test_loss: Measured,
    /// Training loss over the networks.
    pub train_loss: Measured,
    /// Share of the test images that are misread.
    pub test_error: Measured,
    /// Pearson's correlation of training and test loss over the networks.
    pub correlation: f64,
    /// Test loss of each network, to four decimals.
    pub losses: Vec<f64>,
}

/// Pixels in a row after averaging over areas.
const SIDE: usize = 10;
const PIXELS: usize = SIDE * SIDE;

/// The 28 × 28 pixels of an image, averaged over 10 × 10 areas of 2.8 × 2.8 pixels, in [0, 1].
fn shrink(image: &[[f32; 28]; 28]) -> [f32; PIXELS] {
    let scale = 28.0 / SIDE as f32;
    // How much of pixel p lies in area a, along one axis.
    let overlap = |a: usize, p: usize| {
        let (low, high) = (a as f32 * scale, (a + 1) as f32 * scale);
        (high.min(p as f32 + 1.0) - low.max(p as f32)).max(0.0) / scale
    };
    std::array::from_fn(|place| {
        let (row, column) = (place / SIDE, place % SIDE);
        let rows = image.iter().enumerate().map(|(y, line)| {
            let along: f32 = line.iter().enumerate().map(|(x, pixel)| overlap(column, x) * pixel).sum();
            overlap(row, y) * along
        });
        rows.sum()
    })
}

impl Experiment for LossBand {
    type Config = LossBandConfig;
    type Report = LossBandReport;
    const ABOUT: About = About {
        name: "loss-band",
        lecture: 8,
        paper: "Choromanska, Henaff, Mathieu, Ben Arous & LeCun (2015), The loss surfaces of multilayer networks, \
                section 5",
        claim: "The test losses of networks from different starts spread less than half as much with 100 hidden units as \
                with 10, and the training loss predicts them less well",
        sources: &[include_str!("loss_band.rs"), include_str!("../landscape/loss_band.rs")],
    };

    fn run(config: &Self::Config, lab: &mut Lab) -> Result<Self::Report, lab::Error> {
        let images = mnist();
        let part = |from: usize, count: usize| {
            let rows = from..from + count;
            let features = rows.clone().flat_map(|i| shrink(&images.unit(i)[0])).collect();
            Labelled::<PIXELS>::try_new(features, rows.map(|i| images.label(i)).collect())
                .map_err(lab::Error::unit)
        };
        let (train, test) = (part(0, config.images)?, part(4000, config.test_images)?);
        let settings = BandConfig { networks: config.networks, steps: config.steps, ..BandConfig::default() };
        let key = lab.key("networks");
        let mut widths = Vec::new();
        macro_rules! width {
            ($units:literal) => {
                lab.progress("widths", widths.len() as u64, 5, None)?;
                let trained = train_many::<PIXELS, $units>(&train, &test, settings, key.fold($units));
                widths.push(summary($units, &trained.map_err(lab::Error::unit)?));
            };
        }
        width!(5);
        width!(10);
        width!(25);
        width!(50);
        width!(100);
        lab.progress("widths", 5, 5, None)?;
        Ok(LossBandReport { table: table(&widths), widths })
    }

    fn checks(report: &Self::Report) -> Vec<Check> {
        let [ten, fifty, hundred] = [1, 3, 4].map(|index: usize| &report.widths[index]);
        let changes = report.widths.windows(2).map(|pair| pair[1].test_loss.mean - pair[0].test_loss.mean);
        let full = ten.losses.len() >= 20;
        let mut checks = vec![
            Check::new(
                "band-narrows",
                "standard deviation of the test loss with 100 hidden units as a multiple of that with 10",
                Measured::exact(hundred.test_loss.sd / ten.test_loss.sd),
                Bound::AtMost(0.5), // PyTorch: 0.0054 / 0.020
                BoundSource::Pilot,
            )
            .baseline("10 hidden units", 1.0)
            .reason_if_failed("too few networks for a standard deviation"),
            Check::new(
                "wider-is-lower",
                "mean test loss falls from each width to the next: largest change",
                Measured::exact(changes.fold(f64::NEG_INFINITY, f64::max)),
                Bound::AtMost(0.0),
                BoundSource::Pilot,
            )
            .reason_if_failed("wide networks that were not trained to the end, or that memorise"),
        ];
        if full {
            checks.push(
                Check::new(
                    "decoupling",
                    "correlation of training and test loss with 10 hidden units minus that with 50",
                    Measured::exact(ten.correlation - fifty.correlation),
                    Bound::AtLeast(0.0), // PyTorch: 0.92 and 0.40
                    BoundSource::Pilot,
                )
                .reason_if_failed("24 networks give a correlation to about 0.2"),
            );
        }
        checks
    }

    fn figures(report: &Self::Report) -> Vec<Figure> {
        const BINS: usize = 50;
        let range = (0.25, 0.5);
        let panel = |width: &Width| {
            let mut counts = vec![0; BINS];
            for loss in &width.losses {
                let share = ((loss - range.0) / (range.1 - range.0)).clamp(0.0, 1.0);
                counts[((share * BINS as f64) as usize).min(BINS - 1)] += 1;
            }
            Plot::new(Axis::linear("test loss (nats)").range(range.0, range.1), Axis::linear("networks"))
                .title(format!("{} hidden units", width.units))
                .histogram("", range, counts)
        };
        let shown = [1, 2, 3, 4].map(|index: usize| panel(&report.widths[index]));
        vec![Figure::new(
            "losses",
            format!(
                "Wide networks end at nearly the same loss wherever they start. Test losses of {} networks of each \
                 width, trained on {SIDE} × {SIDE} pictures of digits from different starts.",
                report.widths[0].losses.len()
            ),
            "Four histograms that share an axis from 0.25 to 0.5. With 10 hidden units the losses spread from 0.38 \
             to 0.45; with more hidden units the histograms are narrower and lie lower, with 100 units between 0.31 \
             and 0.33.",
            Body::Panels { panels: shown.to_vec(), columns: 2 },
        )]
    }
}

fn summary(units: usize, trained: &[Trained]) -> Width {
    let over = |f: fn(&Trained) -> f64| Measured::over(&trained.iter().map(f).collect::<Vec<_>>());
    Width {
        units,
        test_loss: over(|t| t.test_loss),
        train_loss: over(|t| t.train_loss),
        test_error: over(|t| t.test_error),
        correlation: correlation(trained),
        losses: trained.iter().map(|t| (t.test_loss * 1e4).round() / 1e4).collect(),
    }
}

fn table(widths: &[Width]) -> Table {
    let mut table = Table::new(["hidden units", "training loss", "test loss", "test error", "correlation"]);
    for width in widths {
        let cell = |m: &Measured, decimals: usize| format!("{:.*} ± {:.*}", decimals, m.mean, decimals, m.sd);
        table.row([
            width.units.to_string(),
            cell(&width.train_loss, 4),
            cell(&width.test_loss, 4),
            cell(&width.test_error, 3),
            format!("{:.2}", width.correlation),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Areas share out every pixel: a constant stays constant, the mean of a picture stays its mean, and one pixel of
    /// light goes to the areas that it touches in proportion.
    #[test]
    fn averaging_keeps_the_mean() {
        assert!(shrink(&[[0.5; 28]; 28]).iter().all(|value| (value - 0.5).abs() < 1e-6));
        let mut image = [[0.0; 28]; 28];
        image[2][5] = 1.0; // row 2 lies to 0.8 in area 0 and to 0.2 in area 1; column 5 to 0.6 in 1 and to 0.4 in 2
        let small = shrink(&image);
        let area = 2.8 * 2.8;
        for (place, share) in [(1, 0.8 * 0.6), (2, 0.8 * 0.4), (11, 0.2 * 0.6), (12, 0.2 * 0.4)] {
            assert!((small[place] - share / area).abs() < 1e-6, "{place}: {}", small[place]);
        }
        assert!((small.iter().sum::<f32>() / 100.0 - 1.0 / 784.0).abs() < 1e-8);
    }
}
