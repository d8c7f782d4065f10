//! What the experiments on clothes share: images of mean 0, networks that read them, their training.
use datasets::{Batches, Images};
use dfdx::nn::ZeroGrads;
use dfdx::nn::tensor_collection::TensorCollection;
use dfdx::prelude::{BuildOnDevice, Const, Cpu, CpuError, NoneTape, OwnedTape, Tensor, Trace, ZerosTensor};
use lab::{Lab, Trainer};
use layers::params::DeviceError;
use layers::{Adam, AdamConfig, Planned, Step};
use optim::schedules::OneCycle;

pub(super) type Tape = OwnedTape<f32, Cpu>;
/// A batch of grey images.
pub(super) type Batch<T = NoneTape> = Tensor<(usize, Const<1>, usize, usize), f32, Cpu, T>;
/// Its logits.
pub(super) type Logits<T = NoneTape> = Tensor<(usize, Const<10>), f32, Cpu, T>;

/// A description of a network that reads clothes. Of the description, not of what it builds: the compiler cannot tell
/// apart what two descriptions build.
pub(super) trait Reader: Planned + BuildOnDevice<Cpu, f32, Built = <Self as Reader>::Net> {
    /// The network.
    type Net: TensorCollection<f32, Cpu> + ZeroGrads<f32, Cpu>;
    /// In evaluation.
    fn read(net: &Self::Net, x: Batch) -> Result<Logits, CpuError>;
    /// In training.
    fn learn(net: &mut Self::Net, x: Batch<Tape>) -> Result<Logits<Tape>, CpuError>;
}

/// Makes a description a [`Reader`] of images of `$side` pixels. Part by part: a tuple of tuples as a whole takes the
/// compiler minutes.
macro_rules! reader {
    ($net:ty, $side:expr, [$($part:tt)+]) => {
        impl $crate::experiments::clothes::Reader for $net {
            type Net = <$net as dfdx::prelude::BuildOnDevice<dfdx::prelude::Cpu, f32>>::Built;
            fn read(net: &Self::Net, x: $crate::experiments::clothes::Batch) -> Result<$crate::experiments::clothes::Logits, dfdx::prelude::CpuError> {
                use dfdx::prelude::{Const, HasShape, Module, ReshapeTo};
                let shape = (x.shape().0, Const::<1>, $side, $side);
                let x = x.try_reshape_like(&shape)?;
                $(let x = net.$part.try_forward(x)?;)+
                Ok(x)
            }
            fn learn(
                net: &mut Self::Net,
                x: $crate::experiments::clothes::Batch<$crate::experiments::clothes::Tape>,
            ) -> Result<$crate::experiments::clothes::Logits<$crate::experiments::clothes::Tape>, dfdx::prelude::CpuError> {
                use dfdx::prelude::{Const, HasShape, ModuleMut, ReshapeTo};
                let shape = (x.shape().0, Const::<1>, $side, $side);
                let x = x.try_reshape_like(&shape)?;
                $(let x = net.$part.try_forward_mut(x)?;)+
                Ok(x)
            }
        }
    };
}
pub(super) use reader;

/// Images with the mean 0 and the standard deviation 1 of the training part.
pub(super) struct Standard {
    pub(super) images: Images<1, 28, 28>,
    /// Pixels of each image, `side * side` of them.
    pixels: Vec<f32>,
    /// 28, or 14 for means of 2 by 2 pixels.
    side: usize,
    /// What a black pixel has become.
    black: f32,
}

impl Standard {
    /// Both parts by the moments of `train`.
    pub(super) fn both(train: &Images<1, 28, 28>, test: &Images<1, 28, 28>) -> [Self; 2] {
        let levels = |images: &Images<1, 28, 28>| -> Vec<f32> {
            (0..images.len()).flat_map(|i| images.unit_values::<f32>(i).collect::<Vec<_>>()).collect()
        };
        let pixels = levels(train);
        let n = pixels.len() as f64;
        let mean = pixels.iter().map(|p| f64::from(*p)).sum::<f64>() / n;
        let variance = pixels.iter().map(|p| (f64::from(*p) - mean).powi(2)).sum::<f64>() / n;
        let standard = |level: f32| ((f64::from(level) - mean) / variance.sqrt()) as f32;
        [train, test].map(|images| Self {
            images: images.clone(),
            pixels: levels(images).into_iter().map(standard).collect(),
            side: 28,
            black: standard(0.0),
        })
    }

    /// Means of 2 by 2 pixels.
    pub(super) fn halved(&self) -> Self {
        let (side, wide) = (self.side / 2, self.side);
        let mean = |at: usize| {
            let (image, row, column) = (at / (side * side), at / side % side, at % side);
            let first = image * wide * wide + 2 * row * wide + 2 * column;
            [0, 1, wide, wide + 1].map(|offset| self.pixels[first + offset]).iter().sum::<f32>() / 4.0
        };
        let pixels = (0..self.images.len() * side * side).map(mean).collect();
        Self { images: self.images.clone(), pixels, side, black: self.black }
    }

    pub(super) fn image(&self, row: usize) -> &[f32] {
        let size = self.side * self.side;
        &self.pixels[row * size..(row + 1) * size]
    }

    /// The rows, moved down and right by `shift` pixels; what moves in is black.
    pub(super) fn batch(&self, rows: &[usize], (down, right): (i64, i64)) -> Batch {
        let side = self.side as i64;
        let mut values = Vec::with_capacity(rows.len() * self.side * self.side);
        for pixels in rows.iter().map(|&row| self.image(row)) {
            for (y, x) in (0..side).flat_map(|y| (0..side).map(move |x| (y - down, x - right))) {
                let inside = (0..side).contains(&y) && (0..side).contains(&x);
                values.push(if inside { pixels[(y * side + x) as usize] } else { self.black });
            }
        }
        let mut batch = Cpu::default().zeros_like(&(rows.len(), Const, self.side, self.side));
        batch.copy_from(&values);
        batch
    }

    /// What `model` reads in each image moved by `shift`.
    pub(super) fn answers<N: Reader>(
        &self,
        model: &N::Net,
        shift: (i64, i64),
    ) -> Result<Vec<usize>, lab::Error> {
        let rows: Vec<usize> = (0..self.images.len()).collect();
        let mut answers = Vec::with_capacity(rows.len());
        for rows in rows.chunks(100) {
            let logits = N::read(model, self.batch(rows, shift)).map_err(device)?.as_vec();
            answers.extend(
                logits.chunks(10).map(|row| {
                    (0..10).fold(0, |best, class| if row[class] > row[best] { class } else { best })
                }),
            );
        }
        Ok(answers)
    }

    /// Share of the images that `model` reads right, each moved by `shift`.
    pub(super) fn accuracy<N: Reader>(&self, model: &N::Net, shift: (i64, i64)) -> Result<f64, lab::Error> {
        let answers = self.answers::<N>(model, shift)?;
        let right = answers.iter().enumerate().filter(|&(row, answer)| self.images.label(row) == *answer);
        Ok(right.count() as f64 / self.images.len() as f64)
    }
}

pub(super) fn device(error: CpuError) -> lab::Error {
    lab::Error::unit(DeviceError::new(error))
}

/// Trains with cross-entropy and returns the mean training loss of each epoch.
pub(super) fn train<N: Reader>(
    lab: &mut Lab,
    trainer: Trainer<'_>,
    model: &mut N::Net,
    optimizer: &mut impl Step<N::Net, f32, Cpu>,
    data: &Standard,
) -> Result<Vec<f64>, lab::Error> {
    let history =
        trainer.run(lab, model, optimizer, &mut |model: &mut N::Net, rows: &Vec<usize>, _, gradients| {
            let logits = N::learn(model, data.batch(rows, (0, 0)).traced(gradients)).map_err(device)?;
            kernels::try_cross_entropy_mean(logits, &data.images.batch_labels(rows)).map_err(lab::Error::unit)
        })?;
    Ok(history.epochs.iter().map(|epoch| epoch.loss).collect())
}

/// Trains with Adam and a cycle that reaches `learning_rate`, in batches of 50.
pub(super) fn train_in_one_cycle<N: Reader>(
    lab: &mut Lab,
    name: &str,
    seed: lab::Seed,
    model: &mut N::Net,
    data: &Standard,
    (epochs, learning_rate): (u64, f64),
) -> Result<(), lab::Error> {
    const BATCH: usize = 50;
    let mut adam = Adam::try_new(&*model, AdamConfig::default())?;
    let batches = Batches::new(data.images.len(), BATCH, seed.value());
    let cycle = cycle(learning_rate, batches.len() * epochs as usize)?;
    let trainer = Trainer::new(format!("{name}, seed {seed}"), epochs, batches, seed.key("steps"));
    train::<N>(lab, trainer.schedule(cycle), model, &mut adam, data)?;
    Ok(())
}

/// One cycle up to `largest` within the first 30 % of the steps, and down to nothing.
pub(super) fn cycle(largest: f64, steps: usize) -> Result<OneCycle, lab::Error> {
    const SHORTEST: usize = 8; // a cycle has a way up and a way down
    let steps = steps.max(SHORTEST) as u64;
    OneCycle { largest, steps, rise: 0.3, start_divisor: 25.0, end_divisor: 1e4, ..OneCycle::default() }
        .check()
        .map_err(lab::Error::unit)
}
