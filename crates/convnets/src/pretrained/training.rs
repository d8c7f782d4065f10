//! How the networks of [`pretrained`](super) were trained.
//!
//! AdamW with a rate that falls along a half cosine from `learning_rate` to 0; every image is distorted anew each time
//! ([`Distortion`]). All that is drawn comes from one seed.
//!
//! A recipe is judged on images kept out of the training part, with seed 0; each was the first that was tried:
//!
//! | kept out | read by this recipe |
//! |---|---|
//! | `mnist`: the last 1,000 of the 8,000 training digits | 988 |
//! | `fashion`: the last 200 of the 1,000 training pictures | 159 |
use super::{FRAME, LeNet, Pretrained};
use datasets::{Batches, DataError, Images, Split, fashion, mnist};
use kernels::random::{Key, KeyRng};
use layers::prelude::*;
use layers::{AdamW, AdamWConfig, Step};
use rand_distr::Distribution;

/// A network in memory.
pub type Trained = <LeNet as BuildOnDevice<Cpu, f32>>::Built;
/// Pictures of one channel.
pub type Pictures = Images<1, FRAME, FRAME>;

/// Sets the distortions apart from what else is drawn from the seed: "BEND" in ASCII.
const BEND: u64 = 0x42_45_4E_44;

/// How far an image may be moved before it is shown; all is uniform within the bounds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Distortion {
    /// Radians to either side.
    pub rotation: f64,
    /// Sideways slant of a vertical line, to either side.
    pub shear: f64,
    /// Each axis is longer or shorter by at most this share.
    pub scale: f64,
    /// Pixels in each direction.
    pub shift: f64,
    /// Whether half of the images are mirrored left to right.
    pub mirrors: bool,
}

impl Distortion {
    /// One image of `levels`, moved by a draw, with values in \[0, 1\]; outside of the image is ground.
    ///
    /// # Panics
    /// When `levels` or `moved` are no 28 × 28.
    pub fn draw(&self, levels: &[u8], moved: &mut [f32], rng: &mut KeyRng) {
        assert_eq!((levels.len(), moved.len()), (FRAME * FRAME, FRAME * FRAME), "28 x 28 pixels");
        let mut within = |bound: f64| rand_distr::Uniform::new_inclusive(-bound, bound).sample(rng);
        let (angle, shear) = (within(self.rotation), within(self.shear));
        let (x_scale, y_scale) = (1.0 + within(self.scale), 1.0 + within(self.scale));
        let (x_shift, y_shift) = (within(self.shift), within(self.shift));
        let mirror = if self.mirrors && within(1.0) < 0.0 { -1.0 } else { 1.0 };
        let (sin, cos) = angle.sin_cos();
        let centre = (FRAME - 1) as f64 / 2.0;
        let level = |x: isize, y: isize| {
            let is_inside = (0..FRAME as isize).contains(&x) && (0..FRAME as isize).contains(&y);
            if is_inside { f64::from(levels[y as usize * FRAME + x as usize]) } else { 0.0 }
        };
        for (i, value) in moved.iter_mut().enumerate() {
            // From the moved image back to the given one.
            let (x, y) = ((i % FRAME) as f64 - centre - x_shift, (i / FRAME) as f64 - centre - y_shift);
            let (x, y) = (cos * x + sin * y, cos * y - sin * x);
            let (x, y) = (centre + mirror * (x + shear * y) / x_scale, centre + y / y_scale);
            let (left, top) = (x.floor(), y.floor());
            let (right_share, bottom_share) = (x - left, y - top);
            let (left, top) = (left as isize, top as isize);
            let upper = level(left, top) * (1.0 - right_share) + level(left + 1, top) * right_share;
            let lower = level(left, top + 1) * (1.0 - right_share) + level(left + 1, top + 1) * right_share;
            *value = ((upper * (1.0 - bottom_share) + lower * bottom_share) / 255.0) as f32;
        }
    }
}

/// What a training run needs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Recipe {
    /// Passes over the images.
    pub epochs: u64,
    /// Images in a minibatch.
    pub batch: usize,
    /// At the start.
    pub learning_rate: f64,
    /// Decoupled, see [`AdamWConfig`].
    pub weight_decay: f64,
    /// Of every image each time.
    pub distortion: Distortion,
    /// Start, order and distortions.
    pub seed: u64,
}

impl Recipe {
    /// The one of a network in this crate.
    pub const fn of(network: Pretrained) -> Self {
        match network {
            Pretrained::Mnist => Self {
                epochs: 20,
                batch: 64,
                learning_rate: 2e-3,
                weight_decay: 0.01,
                distortion: Distortion { rotation: 0.2, shear: 0.2, scale: 0.15, shift: 1.5, mirrors: false },
                seed: 0,
            },
            Pretrained::Fashion => Self {
                epochs: 60,
                batch: 50,
                learning_rate: 2e-3,
                weight_decay: 0.01,
                distortion: Distortion { rotation: 0.05, shear: 0.05, scale: 0.1, shift: 1.0, mirrors: true },
                seed: 0,
            },
        }
    }
}

/// All training images and the test images of a network.
///
/// # Errors
/// None on the embedded data; the type is that of the split.
pub fn data(network: Pretrained) -> Result<Split<Pictures>, DataError> {
    match network {
        Pretrained::Mnist => mnist().front_back(8000, 2000),
        Pretrained::Fashion => Ok(fashion()),
    }
}

/// The training images alone, with an eighth or a fifth of them kept out: for choosing a recipe.
///
/// # Errors
/// None on the embedded data; the type is that of the split.
pub fn data_for_choosing(network: Pretrained) -> Result<Split<Pictures>, DataError> {
    let train = data(network)?.train;
    let kept = match network {
        Pretrained::Mnist => 7000,
        Pretrained::Fashion => 800,
    };
    let part = |rows: std::ops::Range<usize>| train.select(rows);
    Ok(Split { train: part(0..kept), validation: part(kept..train.len()), test: part(0..0) })
}

/// Trains a network; `tell` hears the number of passes done and the mean loss of the last one, and may stop it.
///
/// # Errors
/// Those of `tell`, and of the optimiser when the loss or a gradient is not finite.
pub fn train(
    images: &Pictures,
    recipe: &Recipe,
    mut tell: impl FnMut(u64, f64) -> Result<(), lab::Error>,
) -> Result<Trained, lab::Error> {
    let dev = Cpu::seed_from_u64(recipe.seed);
    let mut model = dev.build_module::<LeNet, f32>();
    let config = AdamWConfig {
        learning_rate: recipe.learning_rate,
        weight_decay: recipe.weight_decay,
        ..AdamWConfig::default()
    };
    let mut optimizer = AdamW::try_new(&model, config).map_err(lab::Error::unit)?;
    let batches = Batches::new(images.len(), recipe.batch, recipe.seed);
    let steps = (recipe.epochs * images.len().div_ceil(recipe.batch) as u64) as f64;
    let mut step = 0.0;
    for epoch in 0..recipe.epochs {
        let key = Key::new(recipe.seed).fold(BEND).fold(epoch);
        let mut sum = 0.0;
        for batch in batches.epoch(epoch) {
            let rate = recipe.learning_rate * 0.5 * (1.0 + (std::f64::consts::PI * step / steps).cos());
            optimizer.set_learning_rate(rate).map_err(lab::Error::unit)?;
            step += 1.0;
            let mut pixels = vec![0.0; batch.len() * FRAME * FRAME];
            for (moved, &i) in pixels.chunks_exact_mut(FRAME * FRAME).zip(batch.iter()) {
                recipe.distortion.draw(images.pixels(i), moved, &mut key.fold(i as u64).rng());
            }
            let x = dev.tensor_from_vec(pixels, (batch.len(), Const::<1>, Const::<FRAME>, Const::<FRAME>));
            let loss =
                kernels::cross_entropy_mean(model.forward_mut(x.leaky_trace()), &images.batch_labels(&batch));
            sum += f64::from(loss.array()) * batch.len() as f64;
            optimizer.step(&mut model, &mut loss.backward()).map_err(lab::Error::unit)?;
        }
        tell(epoch + 1, sum / images.len() as f64)?;
    }
    Ok(model)
}

/// The logits of every image, ten a row.
pub fn logits(model: &Trained, images: &Pictures) -> Vec<[f32; 10]> {
    let dev = Cpu::default();
    let rows: Vec<usize> = (0..images.len()).collect();
    let parts = rows.chunks(500).flat_map(|part| {
        let x: Tensor<(usize, Const<1>, Const<FRAME>, Const<FRAME>), f32, Cpu> = images.batch(part, &dev);
        model.forward(x).as_vec().as_chunks::<10>().0.to_vec()
    });
    parts.collect()
}

/// How many of the images a network reads.
pub fn right(model: &Trained, images: &Pictures) -> usize {
    let best = |logits: &[f32; 10]| (0..10).max_by(|&a, &b| logits[a].total_cmp(&logits[b]));
    logits(model, images)
        .iter()
        .zip(images.labels())
        .filter(|(logits, label)| best(logits) == Some(*label))
        .count()
}
