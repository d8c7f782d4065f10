//! The claims of lectures 1–8 as experiments: each is measured, judged and drawn by `cargo xtask run NAME`.
//!
//! | lecture | experiment | claim |
//! |---|---|---|
//! | 1 | [`PerceptronBound`] | mistakes stay below $(R/\gamma)^2$ for every pair of digits |
//! | 1 | [`Xor`] | what one perceptron cannot do, a hidden layer of two can |
//! | 1 | [`NielsenDigits`] | 30 hidden neurons read digits |
//! | 2 | [`BiasVariance`] | degree 3 errs least on a noisy sine; a penalty repairs degree 9 |
//! | 2 | [`DiabetesValidation`] | ridge and lasso are no worse than least squares on 442 patients |
//! | 2 | [`BayesianLine`] | 90 % intervals hold 90 % of new targets |
//! | 2 | [`NoFreeLunch`] | over all labellings every learner is wrong on half of the unseen points |
//! | 2 | [`Dimensionality`] | distances become alike, neighbours stop helping |
//! | 2 | [`CountedLabellings`] | a plane separates as many labellings as Cover counts |
//! | 2 | [`LeastVariance`] | who attains the bound of Cramér and Rao, and who gets below it |
//! | 2 | [`ClassicalLearners`] | kernel, tree, components and clusters beside simpler things |
//! | 3 | [`SgdRates`] | 1/t, a plateau ∝ η, and the mean that beats both |
//! | 3 | [`GradientNoise`] | variance tr Σ/B; a tutorial's rate diverges |
//! | 3 | [`VarianceReduction`] | SVRG and SAGA fall linearly where SGD flattens |
//! | 4 | [`ReverseMode`] | a gradient costs at most five losses; which mode for which Jacobian |
//! | 4 | [`Checkpointing`] | 34 states instead of 257 for at most twice the forward steps |
//! | 4 | [`HessianProducts`] | exact products agree to 1e-12, differences do not |
//! | 4 | [`HessianBulk`] | as many large eigenvalues as classes, and a heap at 0 |
//! | 4 | [`ValuesOrGraph`] | a gradient that is a graph costs memory for every layer |
//! | 5 | [`LearningSlowdown`] | wrong and certain: stuck with one cost, not with the other |
//! | 5 | [`LossShapes`] | what every loss says about a vote, and where it goes deaf |
//! | 5 | [`RectifiedPairs`] | half of the filters suffice when both halves of a rectifier are kept |
//! | 5 | [`StartAtDepth`] | the scale of the start decides whether ten layers train |
//! | 5 | [`SparseStart`] | units that listen to fifteen others differ at depth |
//! | 5 | [`DyingRelu`] | dead rectifiers are a symptom |
//! | 5 | [`LabelNoise`] | a bounded loss does not learn wrong labels by heart |
//! | 5 | [`MixtureDensity`] | a mixture answers where one input has several answers |
//! | 5 | [`Calibration`] | one temperature makes a network as certain as it is right |
//! | 5 | [`LongSums`] | eight million losses add up to two roundings |
//! | 6 | [`DropoutEqualises`] | dropout makes units equal and prunes rank, as a closed form says |
//! | 6 | [`Overfitting`] | in 400 passes the loss keeps falling, the reading does not get better |
//! | 6 | [`RetrainAfterStopping`] | held-out digits are worth training with after the stop |
//! | 6 | [`WidthWithoutOverfitting`] | more hidden units than needed, and fewer errors |
//! | 6 | [`PathDescent`] | Path-SGD does not see how weights are scaled |
//! | 6 | [`Memorisation`] | real data and noise are learnt differently |
//! | 6 | [`MemorisingWithDropout`] | dropout lets digits pass and hinders learning noise by heart |
//! | 6 | [`RegulariserLeague`] | what helps on 500 digits, and what does not |
//! | 6 | [`MasksAndMixtures`] | DropConnect, manifold mixup, CutMix, random erasing beside what they change |
//! | 6 | [`DroppedMaps`] | votes hear a dropped map, not single activations, since neighbours say the same |
//! | 6 | [`Bagging`] | what errors have in common is what no ensemble takes away |
//! | 6 | [`SparseCodes`] | sparse codes and sparse weights are two things |
//! | 6 | [`FewLabels`] | what a thousand digits without labels add to a hundred with |
//! | 6 | [`SharedWeights`] | two tasks with few examples, apart and together |
//! | 6 | [`BatchNormRates`] | batch norm trains at every learning rate from 0.01 to 3 |
//! | 7 | [`DepthAndShortcuts`] | shortcuts carry depth; depth alone buys nothing on flat digits |
//! | 7 | [`DenseAndFixup`] | depth without normalisation: a start, and layers that append |
//! | 7 | [`ArchitectureAtlas`] | every architecture of the course, counted |
//! | 8 | [`Conditioning`] | steps grow like κ without momentum, like √κ with it |
//! | 8 | [`SaddleEscape`] | a kick leaves a saddle in O(log d) steps |
//! | 8 | [`AdamCounterexample`] | Adam goes to the worst point, AMSGrad to the best |
//! | 8 | [`AdaptiveGeneralisation`] | adaptive rules find a solution that calls everything positive |
//! | 8 | [`BatchSizes`] | twice the batch, twice the rate, up to a batch |
//! | 8 | [`GradientClipping`] | clipped gradients survive a learning rate of 1 |
//! | 8 | [`GradientNorms`] | gradients do not shrink with the loss |
//! | 8 | [`HeadStarts`] | sixteen plain layers train layer after layer |
//! | 8 | [`HyperparameterSearch`] | random points beat a grid where one axis matters |
//! | 8 | [`KroneckerFactors`] | K-FAC needs fewer steps and does not mind mixed pixels |
//! | 8 | [`LearningRateRange`] | one sweep suggests a usable learning rate |
//! | 8 | [`LearningRateSchedules`] | rates that fall and averaged weights read more digits |
//! | 8 | [`LossBand`] | test losses of wide networks lie close together |
//! | 8 | [`OptimizerPaths`] | Adam sees the axes, momentum does not |
//! | 8 | [`OptimizerRace`] | tuned momentum and tuned Adam are equal and beat SGD |
//! | 8 | [`SecondOrderDigits`] | L-BFGS needs fewer evaluations than any first-order method |
//! | 8 | [`SpinGlass`] | minima of the spin glass gather in a band |
//! | 8 | [`WeightDecayMap`] | the same λ means different things in Adam with L2 and in AdamW |
//! | 8 | [`BlurredCost`] | blurring finds the bottom of a bowl of dips and hides a narrow well |
//! | 8 | [`FewBits`] | a loss scale saves small gradients, a master copy small steps |
//! | 8 | [`HeavyDamping`] | a long memory needs a short one beside it |
//! | 8 | [`NewtonRelatives`] | Levenberg–Marquardt arrives first, saddle-free Newton leaves |
//! | 8 | [`OneMatrix`] | gradients grow by the spectral radius per step |
//! | 8 | [`PermutedCopies`] | what lies between two copies of a network |
//! | 8 | [`PriceOfABound`] | a bound on the length is weight decay, and its multiplier a price |
//! | 8 | [`RareRows`] | sparse Adam moves the rows of a minibatch alone |
//! | 8 | [`RuleLeague`] | ten later rules beside momentum, Adam and AdamW |
//! | 8 | [`SharpnessAware`] | SAM ends where the loss is flatter |
//! | 8 | [`WarmRestarts`] | a useful network at the end of every period |
mod adam_counterexample;
mod adaptive_generalisation;
mod architecture_atlas;
mod bagging;
mod batch_norm_rates;
mod batch_sizes;
mod bayesian_line;
mod bias_variance;
mod blurred_cost;
mod calibration;
mod checkpointing;
mod classical_learners;
mod conditioning;
mod counted_labellings;
mod dense_and_fixup;
mod depth_and_shortcuts;
mod diabetes_validation;
mod digit_nets;
mod dimensionality;
mod dropout_equalises;
mod dropped_maps;
mod dying_relu;
mod few_bits;
mod few_labels;
mod gradient_clipping;
mod gradient_noise;
mod gradient_norms;
mod head_starts;
mod heavy_damping;
mod hessian_bulk;
mod hessian_products;
mod hyperparameter_search;
mod kronecker_factors;
mod label_noise;
mod learning_rate_range;
mod learning_rate_schedules;
mod learning_slowdown;
mod least_variance;
mod long_sums;
mod loss_band;
mod loss_shapes;
mod masks_and_mixtures;
mod memorisation;
mod memorising_with_dropout;
mod mixture_density;
mod mnist_runs;
mod newton_relatives;
mod nielsen_digits;
mod no_free_lunch;
mod one_matrix;
mod optimizer_paths;
mod optimizer_race;
mod overfitting;
mod path_descent;
mod perceptron_bound;
mod permuted_copies;
mod pooled;
mod price_of_a_bound;
mod rare_rows;
mod rectified_pairs;
mod regulariser_league;
mod retrain_after_stopping;
mod reverse_mode;
mod rule_league;
mod saddle_escape;
mod second_order_digits;
mod sgd_rates;
mod shared_weights;
mod sharpness_aware;
mod sparse_codes;
mod sparse_start;
mod spin_glass;
mod start_at_depth;
mod typed_runs;
mod values_or_graph;
mod variance_reduction;
mod warm_restarts;
mod weight_decay_map;
mod width_without_overfitting;
mod xor;

pub use adam_counterexample::{AdamCounterexample, AdamCounterexampleConfig, AdamCounterexampleReport};
pub use adaptive_generalisation::{
    AdaptiveGeneralisation, AdaptiveGeneralisationConfig, AdaptiveGeneralisationReport,
};
pub use architecture_atlas::{ArchitectureAtlas, ArchitectureAtlasConfig, ArchitectureAtlasReport};
pub use bagging::{Bagging, BaggingConfig, BaggingReport};
pub use batch_norm_rates::{BatchNormRates, BatchNormRatesConfig, BatchNormRatesReport};
pub use batch_sizes::{BatchSizes, BatchSizesConfig, BatchSizesReport};
pub use bayesian_line::{BayesianLine, BayesianLineConfig, BayesianLineReport};
pub use bias_variance::{BiasVariance, BiasVarianceConfig, BiasVarianceReport};
pub use blurred_cost::{BlurredCost, BlurredCostConfig, BlurredCostReport};
pub use calibration::{Calibration, CalibrationConfig, CalibrationReport};
pub use checkpointing::{Checkpointing, CheckpointingConfig, CheckpointingReport};
pub use classical_learners::{ClassicalLearners, ClassicalLearnersConfig, ClassicalLearnersReport};
pub use conditioning::{Conditioning, ConditioningConfig, ConditioningReport};
pub use counted_labellings::{CountedLabellings, CountedLabellingsConfig, CountedLabellingsReport};
pub use dense_and_fixup::{DenseAndFixup, DenseAndFixupConfig, DenseAndFixupReport};
pub use depth_and_shortcuts::{DepthAndShortcuts, DepthAndShortcutsConfig, DepthAndShortcutsReport};
pub use diabetes_validation::{DiabetesValidation, DiabetesValidationConfig, DiabetesValidationReport};
pub use dimensionality::{Dimensionality, DimensionalityConfig, DimensionalityReport};
pub use dropout_equalises::{DropoutEqualises, DropoutEqualisesConfig, DropoutEqualisesReport};
pub use dropped_maps::{DroppedMaps, DroppedMapsConfig, DroppedMapsReport, SHOWN as DROPPED_MAPS_SHOWN};
pub use dying_relu::{DyingRelu, DyingReluConfig, DyingReluReport};
pub use few_bits::{FewBits, FewBitsConfig, FewBitsReport};
pub use few_labels::{FewLabels, FewLabelsConfig, FewLabelsReport};
pub use gradient_clipping::{GradientClipping, GradientClippingConfig, GradientClippingReport};
pub use gradient_noise::{GradientNoise, GradientNoiseConfig, GradientNoiseReport};
pub use gradient_norms::{GradientNorms, GradientNormsConfig, GradientNormsReport};
pub use head_starts::{HeadStarts, HeadStartsConfig, HeadStartsReport};
pub use heavy_damping::{HeavyDamping, HeavyDampingConfig, HeavyDampingReport};
pub use hessian_bulk::{HessianBulk, HessianBulkConfig, HessianBulkReport};
pub use hessian_products::{HessianProducts, HessianProductsConfig, HessianProductsReport};
pub use hyperparameter_search::{
    HyperparameterSearch, HyperparameterSearchConfig, HyperparameterSearchReport,
};
pub use kronecker_factors::{KroneckerFactors, KroneckerFactorsConfig, KroneckerFactorsReport};
pub use label_noise::{LabelNoise, LabelNoiseConfig, LabelNoiseReport};
pub use learning_rate_range::{LearningRateRange, LearningRateRangeConfig, LearningRateRangeReport};
pub use learning_rate_schedules::{
    LearningRateSchedules, LearningRateSchedulesConfig, LearningRateSchedulesReport,
};
pub use learning_slowdown::{LearningSlowdown, LearningSlowdownConfig, LearningSlowdownReport};
pub use least_variance::{LeastVariance, LeastVarianceConfig, LeastVarianceReport};
pub use long_sums::{LongSums, LongSumsConfig, LongSumsReport};
pub use loss_band::{LossBand, LossBandConfig, LossBandReport};
pub use loss_shapes::{LossShapes, LossShapesConfig, LossShapesReport};
pub use masks_and_mixtures::{MasksAndMixtures, MasksAndMixturesConfig, MasksAndMixturesReport};
pub use memorisation::{Memorisation, MemorisationConfig, MemorisationReport};
pub use memorising_with_dropout::{
    MemorisingWithDropout, MemorisingWithDropoutConfig, MemorisingWithDropoutReport,
};
pub use mixture_density::{MixtureDensity, MixtureDensityConfig, MixtureDensityReport};
pub use newton_relatives::{NewtonRelatives, NewtonRelativesConfig, NewtonRelativesReport};
pub use nielsen_digits::{NielsenDigits, NielsenDigitsConfig, NielsenDigitsReport};
pub use no_free_lunch::{NoFreeLunch, NoFreeLunchConfig, NoFreeLunchReport};
pub use one_matrix::{OneMatrix, OneMatrixConfig, OneMatrixReport};
pub use optimizer_paths::{OptimizerPaths, OptimizerPathsConfig, OptimizerPathsReport};
pub use optimizer_race::{OptimizerRace, OptimizerRaceConfig, OptimizerRaceReport};
pub use overfitting::{Overfitting, OverfittingConfig, OverfittingReport};
pub use path_descent::{PathDescent, PathDescentConfig, PathDescentReport};
pub use perceptron_bound::{PerceptronBound, PerceptronBoundConfig, PerceptronBoundReport};
pub use permuted_copies::{PermutedCopies, PermutedCopiesConfig, PermutedCopiesReport};
pub use price_of_a_bound::{PriceOfABound, PriceOfABoundConfig, PriceOfABoundReport};
pub use rare_rows::{RareRows, RareRowsConfig, RareRowsReport};
pub use rectified_pairs::{RectifiedPairs, RectifiedPairsConfig, RectifiedPairsReport};
pub use regulariser_league::{RegulariserLeague, RegulariserLeagueConfig, RegulariserLeagueReport};
pub use retrain_after_stopping::{
    RetrainAfterStopping, RetrainAfterStoppingConfig, RetrainAfterStoppingReport,
};
pub use reverse_mode::{ReverseMode, ReverseModeConfig, ReverseModeReport};
pub use rule_league::{RuleLeague, RuleLeagueConfig, RuleLeagueReport};
pub use saddle_escape::{SaddleEscape, SaddleEscapeConfig, SaddleEscapeReport};
pub use second_order_digits::{SecondOrderDigits, SecondOrderDigitsConfig, SecondOrderDigitsReport};
pub use sgd_rates::{SgdRates, SgdRatesConfig, SgdRatesReport};
pub use shared_weights::{SharedWeights, SharedWeightsConfig, SharedWeightsReport};
pub use sharpness_aware::{SharpnessAware, SharpnessAwareConfig, SharpnessAwareReport};
pub use sparse_codes::{SparseCodes, SparseCodesConfig, SparseCodesReport};
pub use sparse_start::{SparseStart, SparseStartConfig, SparseStartReport};
pub use spin_glass::{SpinGlass, SpinGlassConfig, SpinGlassReport};
pub use start_at_depth::{StartAtDepth, StartAtDepthConfig, StartAtDepthReport};
pub use values_or_graph::{ValuesOrGraph, ValuesOrGraphConfig, ValuesOrGraphReport};
pub use variance_reduction::{VarianceReduction, VarianceReductionConfig, VarianceReductionReport};
pub use warm_restarts::{WarmRestarts, WarmRestartsConfig, WarmRestartsReport};
pub use weight_decay_map::{WeightDecayMap, WeightDecayMapConfig, WeightDecayMapReport};
pub use width_without_overfitting::{
    WidthWithoutOverfitting, WidthWithoutOverfittingConfig, WidthWithoutOverfittingReport,
};
pub use xor::{Xor, XorConfig, XorReport};

use datasets::Images;
use nalgebra::SVector;
use serde::{Deserialize, Serialize};

/// The experiments of this unit, in the order of the lectures.
pub fn experiments() -> Vec<lab::Entry> {
    vec![
        lab::entry::<PerceptronBound>(),
        lab::entry::<Xor>(),
        lab::entry::<NielsenDigits>(),
        lab::entry::<BiasVariance>(),
        lab::entry::<DiabetesValidation>(),
        lab::entry::<BayesianLine>(),
        lab::entry::<NoFreeLunch>(),
        lab::entry::<Dimensionality>(),
        lab::entry::<CountedLabellings>(),
        lab::entry::<LeastVariance>(),
        lab::entry::<ClassicalLearners>(),
        lab::entry::<SgdRates>(),
        lab::entry::<GradientNoise>(),
        lab::entry::<VarianceReduction>(),
        lab::entry::<ReverseMode>(),
        lab::entry::<Checkpointing>(),
        lab::entry::<HessianProducts>(),
        lab::entry::<HessianBulk>(),
        lab::entry::<ValuesOrGraph>(),
        lab::entry::<LearningSlowdown>(),
        lab::entry::<LossShapes>(),
        lab::entry::<RectifiedPairs>(),
        lab::entry::<StartAtDepth>(),
        lab::entry::<SparseStart>(),
        lab::entry::<DyingRelu>(),
        lab::entry::<LabelNoise>(),
        lab::entry::<MixtureDensity>(),
        lab::entry::<Calibration>(),
        lab::entry::<LongSums>(),
        lab::entry::<DropoutEqualises>(),
        lab::entry::<Overfitting>(),
        lab::entry::<RetrainAfterStopping>(),
        lab::entry::<WidthWithoutOverfitting>(),
        lab::entry::<PathDescent>(),
        lab::entry::<Memorisation>(),
        lab::entry::<MemorisingWithDropout>(),
        lab::entry::<RegulariserLeague>(),
        lab::entry::<MasksAndMixtures>(),
        lab::entry::<DroppedMaps>(),
        lab::entry::<Bagging>(),
        lab::entry::<SparseCodes>(),
        lab::entry::<FewLabels>(),
        lab::entry::<SharedWeights>(),
        lab::entry::<BatchNormRates>(),
        lab::entry::<DepthAndShortcuts>(),
        lab::entry::<DenseAndFixup>(),
        lab::entry::<ArchitectureAtlas>(),
        // lecture 8
        lab::entry::<Conditioning>(),
        lab::entry::<SaddleEscape>(),
        lab::entry::<AdamCounterexample>(),
        lab::entry::<AdaptiveGeneralisation>(),
        lab::entry::<BatchSizes>(),
        lab::entry::<GradientClipping>(),
        lab::entry::<GradientNorms>(),
        lab::entry::<HeadStarts>(),
        lab::entry::<KroneckerFactors>(),
        lab::entry::<LearningRateRange>(),
        lab::entry::<LearningRateSchedules>(),
        lab::entry::<LossBand>(),
        lab::entry::<OptimizerPaths>(),
        lab::entry::<OptimizerRace>(),
        lab::entry::<SecondOrderDigits>(),
        lab::entry::<SpinGlass>(),
        lab::entry::<WeightDecayMap>(),
        lab::entry::<HyperparameterSearch>(),
        lab::entry::<BlurredCost>(),
        lab::entry::<FewBits>(),
        lab::entry::<HeavyDamping>(),
        lab::entry::<NewtonRelatives>(),
        lab::entry::<OneMatrix>(),
        lab::entry::<PermutedCopies>(),
        lab::entry::<PriceOfABound>(),
        lab::entry::<RareRows>(),
        lab::entry::<RuleLeague>(),
        lab::entry::<SharpnessAware>(),
        lab::entry::<WarmRestarts>(),
    ]
}

/// Which handwritten digits an experiment reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Data {
    /// 10,000 images of 28 × 28 pixels.
    Mnist,
    /// 1,797 images of 8 × 8 pixels.
    Digits,
}

/// The pixels of each image as one vector of values in \[0, 1\]; `N` must be `H · W`.
fn vectors<const N: usize, const H: usize, const W: usize>(images: &Images<1, H, W>) -> Vec<SVector<f64, N>> {
    const { assert!(N == H * W, "a flattened image has N = H * W pixels") };
    let max = f64::from(images.max_level());
    (0..images.len())
        .map(|i| SVector::from_iterator(images.pixels(i).iter().map(|&level| f64::from(level) / max)))
        .collect()
}

/// A configuration error unless `value` is at least 1.
fn at_least_one(field: &'static str, value: usize) -> Result<(), lab::Error> {
    match value {
        0 => Err(lab::Error::Config { field, rule: "at least 1", value: value.to_string() }),
        _ => Ok(()),
    }
}

/// A refused hyper-parameter as what it is here: a flag of the command line that is out of its range.
fn refused(error: crate::Error) -> lab::Error {
    match error {
        crate::Error::InvalidHyper { name, rule, value } => {
            lab::Error::Config { field: name, rule, value: value.to_string() }
        }
        other => lab::Error::unit(other),
    }
}

/// A configuration error unless `value` is at least 2.
fn at_least_two(field: &'static str, value: usize) -> Result<(), lab::Error> {
    match value {
        0 | 1 => {
            Err(lab::Error::Config { field, rule: "at least 2, to have a spread", value: value.to_string() })
        }
        _ => Ok(()),
    }
}

/// Slope of the least-squares line through points (x, y).
fn slope(points: &[(f64, f64)]) -> f64 {
    let n = points.len() as f64;
    let (x, y) = points.iter().fold((0.0, 0.0), |(a, b), (x, y)| (a + x / n, b + y / n));
    let products: f64 = points.iter().map(|(px, py)| (px - x) * (py - y)).sum();
    products / points.iter().map(|(px, _)| (px - x).powi(2)).sum::<f64>()
}
