//! Many small networks from random starts: how far apart do their losses end?
//!
//! The experiment of Choromanska et al. (2015), section 5: networks with one hidden layer of `W` rectified units, trained
//! from different random starts on the same data. As `W` grows their test losses come closer to each other, as the minima
//! of the [spin glass](super::spin_glass) do; and the training loss says less about the test loss.
//!
//! **Deviations**: fewer networks, steps and units than the paper's 1000 networks of up to 500 units, and momentum with a
//! linearly falling rate in place of plain descent.
use crate::Error;
use dfdx::prelude::{Const, Cpu, DeviceBuildExt, NoneTape, Tensor, TensorFromVec};
use kernels::random::Key;
use layers::prelude::*;
use layers::{Momentum, Sgd, SgdConfig};

/// Vectors of `I` features with a class each, all in memory.
#[derive(Clone, Debug)]
pub struct Labelled<const I: usize> {
    features: Vec<f32>,
    labels: Vec<usize>,
}

impl<const I: usize> Labelled<I> {
    /// `I` features per label, row by row; classes from 0 to 9.
    ///
    /// # Errors
    /// [`Error::Empty`], [`Error::LengthMismatch`], [`Error::LabelOutOfRange`], [`Error::FeatureNotFinite`].
    pub fn try_new(features: Vec<f32>, labels: Vec<usize>) -> Result<Self, Error> {
        if labels.is_empty() {
            return Err(Error::Empty { what: "Labelled" });
        }
        if features.len() != I * labels.len() {
            return Err(Error::LengthMismatch { examples: features.len() / I.max(1), labels: labels.len() });
        }
        if let Some(index) = labels.iter().position(|&label| label >= CLASSES) {
            return Err(Error::LabelOutOfRange { index, label: labels[index], classes: CLASSES });
        }
        match features.iter().position(|value| !value.is_finite()) {
            Some(place) => Err(Error::FeatureNotFinite {
                example: place / I,
                feature: place % I,
                value: f64::from(features[place]),
            }),
            None => Ok(Self { features, labels }),
        }
    }

    /// Examples.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Never: [`try_new`](Self::try_new) refuses.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    fn batch(&self, rows: &[usize]) -> (Tensor<(usize, Const<I>), f32, Cpu, NoneTape>, Vec<usize>) {
        let features = rows.iter().flat_map(|&row| self.features[row * I..(row + 1) * I].iter().copied());
        let x = Cpu::default().tensor_from_vec(features.collect(), (rows.len(), Const));
        (x, rows.iter().map(|&row| self.labels[row]).collect())
    }
}

/// Classes of [`Labelled`].
const CLASSES: usize = 10;

/// Settings of [`train_many`]; the defaults are those of the pilot.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BandConfig {
    /// Networks, at least 2. Default 24.
    pub networks: usize,
    /// Steps of each, at least 1. Default 1500.
    pub steps: u64,
    /// Examples in a minibatch, at least 1. Default 100.
    pub batch: usize,
    /// Learning rate at the start; it falls linearly to 0. Default 0.1, with momentum 0.9.
    pub learning_rate: f64,
}

impl Default for BandConfig {
    fn default() -> Self {
        Self { networks: 24, steps: 1500, batch: 100, learning_rate: 0.1 }
    }
}

/// One trained network.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trained {
    /// Mean cross-entropy on the training set, in nats.
    pub train_loss: f64,
    /// On the test set.
    pub test_loss: f64,
    /// Share of the test set that is misread.
    pub test_error: f64,
}

/// Trains networks `I`-`W`-10 that differ in their start and in the order of the examples.
///
/// # Errors
/// [`Error::InvalidHyper`] names the first setting out of range, [`Error::Step`] when a gradient is not finite.
pub fn train_many<const I: usize, const W: usize>(
    train: &Labelled<I>,
    test: &Labelled<I>,
    config: BandConfig,
    key: Key,
) -> Result<Vec<Trained>, Error> {
    let BandConfig { networks, steps, batch, learning_rate } = config;
    crate::second_order::check("networks", "at least 2", networks as f64, networks > 1)?;
    crate::second_order::check("steps", "at least 1", steps as f64, steps > 0)?;
    let fits = (1..=train.len()).contains(&batch);
    crate::second_order::check("batch", "from 1 to the number of examples", batch as f64, fits)?;
    let all_train = train.batch(&(0..train.len()).collect::<Vec<_>>());
    let all_test = test.batch(&(0..test.len()).collect::<Vec<_>>());
    let mut trained = Vec::new();
    for network in 0..networks as u64 {
        let key = key.fold(network);
        let seed = key.fold(0).to_bits() as u64;
        let mut model =
            Cpu::seed_from_u64(seed).build_module::<(Linear<I, W, Relu>, Linear<W, CLASSES>), f32>();
        let rule = SgdConfig { learning_rate, momentum: Momentum::HeavyBall(0.9), weight_decay: 0.0 };
        let mut optimizer = Sgd::try_new(&model, rule)?;
        let (mut order, mut epoch) = (Vec::new(), 0);
        for step in 0..steps {
            if order.len() < batch {
                epoch += 1;
                order = key.fold(epoch).permutation(train.len());
            }
            let rows = order.split_off(order.len() - batch);
            let (x, labels) = train.batch(&rows);
            optimizer.set_learning_rate(learning_rate * (1.0 - step as f64 / steps as f64))?;
            let loss = kernels::cross_entropy_mean(model.forward(x.leaky_trace()), &labels);
            optimizer.step(&mut model, &mut loss.backward())?;
        }
        let loss = |(x, labels): &(Tensor<_, f32, Cpu, NoneTape>, Vec<usize>)| {
            let logits = model.forward(x.clone());
            let scores = logits.as_vec();
            let wrong = scores.chunks_exact(CLASSES).zip(labels).filter(|(scores, label)| {
                scores.iter().enumerate().any(|(class, score)| class != **label && *score >= scores[**label])
            });
            let error = wrong.count() as f64 / labels.len() as f64;
            (f64::from(kernels::cross_entropy_mean(logits, labels).array()), error)
        };
        let (train_loss, _) = loss(&all_train);
        let (test_loss, test_error) = loss(&all_test);
        trained.push(Trained { train_loss, test_loss, test_error });
    }
    Ok(trained)
}

/// Pearson's correlation of training and test losses over networks; 0 where one of them has no spread.
pub fn correlation(trained: &[Trained]) -> f64 {
    let n = trained.len() as f64;
    let mean = |f: fn(&Trained) -> f64| trained.iter().map(f).sum::<f64>() / n;
    let (train, test) = (mean(|t| t.train_loss), mean(|t| t.test_loss));
    let (mut both, mut of_train, mut of_test) = (0.0, 0.0, 0.0);
    for network in trained {
        let (a, b) = (network.train_loss - train, network.test_loss - test);
        both += a * b;
        of_train += a * a;
        of_test += b * b;
    }
    let spread = (of_train * of_test).sqrt();
    if spread > 0.0 { both / spread } else { 0.0 }
}
