//! Update rules of lecture 8, each an optimiser for any dfdx model through [`layers::Optim`].
//!
//! | you have | take |
//! |---|---|
//! | time to tune a learning rate and its schedule | [`Sgd`] with Nesterov's momentum |
//! | no time to tune, gradients of different scales | [`AdamW`], or [`Lion`] at a third of its learning rate |
//! | sparse features, embeddings | [`AdaGrad`], [`SparseAdam`] |
//! | a run that should be useful at several lengths | [`AdamW`] with [`WarmRestarts`] |
//! | no schedule at all | [`ScheduleFreeAdamW`] in a [`TrainView`]; evaluate [`TrainView::evaluation`] |
//! | very large batches | [`Lars`], [`Lamb`] |
//! | little memory | [`Adafactor`], [`Lion`], [`Sgd`] |
//! | weight matrices, and matrix products are cheap | [`Muon`], [`Shampoo`] |
//! | full gradients without noise | [`Rprop`], or [`Lbfgs`](crate::second_order::Lbfgs) |
//! | a proof of convergence | [`AmsGrad`], [`Asgd`] |
//!
//! $t$ counts steps from 1, $g$ is the gradient after clipping and coupled weight decay, $w$ the weight after decoupled
//! decay; both come before the rule (see [`layers::optimizer`] for the whole order, groups, clipping, averages and
//! [`Lookahead`]). Every rule saves and loads its state by path name.
//!
//! **Precision**: an optimiser is made for one element type and one device, and a model of another does not compile. Its
//! state is not tied to a tensor: after `to_dtype` there and back, which makes every tensor anew, the same optimiser goes
//! on with the same bits. From f32 to f64 a saved state goes over exactly. From f64 to f32 [`load_state`] refuses the first
//! slot that would be rounded ([`StepError::SlotValues`]) and changes nothing: round the values of [`StepState::slots`]
//! yourself, or begin anew.
//!
//! [`load_state`]: layers::Step::load_state
//! [`StepState::slots`]: layers::StepState::slots
//!
//! ```
//! use layers::prelude::*;
//! use optim::optimizers::{Lion, LionConfig, WeightDecay};
//!
//! let dev = Cpu::seed_from_u64(0);
//! let mut model = dev.build_module::<(Linear<2, 8>, Tanh, Linear<8, 1>), f32>();
//! let config = LionConfig { learning_rate: 0.01, weight_decay: WeightDecay::Decoupled(0.1), ..Default::default() };
//! let mut optimizer = Lion::try_new(&model, config)?;
//! let x: Tensor<Rank2<16, 2>, f32, _> = dev.sample_normal();
//! for _ in 0..100 {
//!     let loss = (model.forward(x.leaky_trace()) - 1.0).square().mean();
//!     optimizer.step(&mut model, &mut loss.backward())?;
//! }
//! assert!((model.forward(x) - 1.0).square().mean::<Rank0, _>().array() < 0.05);
//! # Ok::<(), layers::StepError>(())
//! ```
//!
//! **Memory**: moments are made with the optimiser. After that a step allocates some names and lists, and no copy of
//! a tensor, as an allocator that counts confirms ([`SparseAdam`], [`Adafactor`],
//! [`Muon`] and [`Shampoo`] are not counted: they take memory to compute with):
//! ```standalone_crate
//! use layers::prelude::*;
//! use optim::optimizers::*;
//! use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
//!
//! #[global_allocator]
//! static COUNTING: &StatsAlloc<std::alloc::System> = &INSTRUMENTED_SYSTEM;
//!
//! let dev = Cpu::seed_from_u64(0);
//! let mut model = dev.build_module::<(Linear<256, 256, Tanh>, Linear<256, 1>), f32>(); // 264 kB
//! let x: Tensor<Rank2<4, 256>, f32, _> = dev.sample_normal();
//! macro_rules! frugal {
//!     ($($rule:ident, $config:ident;)*) => {$(
//!         let mut rule = $rule::try_new(&model, $config::default())?;
//!         for step in 0..3 {
//!             let mut gradients = model.forward(x.leaky_trace()).square().mean().backward();
//!             let before = Region::new(COUNTING);
//!             rule.step(&mut model, &mut gradients)?;
//!             let bytes = before.change().bytes_allocated;
//!             assert!(step == 0 || bytes < 26_000, "{} allocates {bytes} bytes", stringify!($rule));
//!         }
//!     )*};
//! }
//! frugal! {
//!     Sgd, SgdConfig; NesterovAgd, NesterovAgdConfig; Asgd, AsgdConfig; Qhm, QhmConfig; AggMo, AggMoConfig;
//!     ScheduleFreeSgd, ScheduleFreeSgdConfig; ScheduleFreeAdamW, ScheduleFreeAdamWConfig;
//!     AdaGrad, AdaGradConfig; Adadelta, AdadeltaConfig; RmsProp, RmsPropConfig; Adam, AdamConfig; AdamW, AdamWConfig;
//!     AmsGrad, AmsGradConfig; Adamax, AdamaxConfig; NAdam, NAdamConfig; RAdam, RAdamConfig; Yogi, YogiConfig;
//!     AdaBelief, AdaBeliefConfig; AdaBound, AdaBoundConfig; Lion, LionConfig; Rprop, RpropConfig;
//!     Lars, LarsConfig; Lamb, LambConfig;
//! }
//! # Ok::<(), layers::StepError>(())
//! ```
mod adaptive;
mod as_dfdx;
mod layerwise;
mod matrix;
mod momentum;
mod restarts;
pub mod schedule_free;
mod sign;
pub mod views;

pub use adaptive::{
    AdaBelief, AdaBeliefConfig, AdaBound, AdaBoundConfig, AdaGrad, AdaGradConfig, Adadelta, AdadeltaConfig,
    Adamax, AdamaxConfig, AmsGrad, AmsGradConfig, AmsGradVariant, ColdStart, NAdam, NAdamConfig, RAdam,
    RAdamConfig, Yogi, YogiConfig,
};
pub use as_dfdx::AsDfdx;
pub use layers::adam::{Adam, AdamConfig, AdamW, AdamWConfig};
pub use layers::optimizer::{Average, Clip, Constraint, Group, Lookahead, NonFinite, Optim, Unused};
pub use layers::rmsprop::{RmsProp, RmsPropConfig, RmsPropVariant};
pub use layers::rule::{Rule, WeightDecay};
pub use layers::sgd::{Momentum, Sgd, SgdConfig};
pub use layerwise::{Lamb, LambConfig, Lars, LarsConfig};
pub use matrix::{
    Adafactor, AdafactorConfig, Muon, MuonConfig, MuonScale, Shampoo, ShampooConfig, SparseAdam,
    SparseAdamConfig, orthogonalise,
};
pub use momentum::{AggMo, AggMoConfig, Asgd, AsgdConfig, NesterovAgd, NesterovAgdConfig, Qhm, QhmConfig};
pub use restarts::{WarmRestarts, normalised_decay};
pub use schedule_free::{ScheduleFreeAdamW, ScheduleFreeAdamWConfig, ScheduleFreeSgd, ScheduleFreeSgdConfig};
pub use sign::{Lion, LionConfig, Rprop, RpropConfig};
pub use views::{EvalView, TrainView};

use layers::StepError;
use layers::rule::{check_coefficient, check_learning_rate, check_not_negative, check_positive};
use layers::step::check_hyperparameter;

/// Ranges of hyperparameters, by the name that [`rule!`] uses.
mod range {
    use super::*;

    pub fn rate(_: &'static str, value: f64) -> Result<(), StepError> {
        check_learning_rate(value)
    }
    pub fn coefficient(name: &'static str, value: f64) -> Result<(), StepError> {
        check_coefficient(name, value)
    }
    pub fn positive(name: &'static str, value: f64) -> Result<(), StepError> {
        check_positive(name, value)
    }
    pub fn not_negative(name: &'static str, value: f64) -> Result<(), StepError> {
        check_not_negative(name, value)
    }
    pub fn negative(name: &'static str, value: f64) -> Result<(), StepError> {
        check_hyperparameter(name, value, "finite and below 0", value < 0.0 && value.is_finite())
    }
    pub fn above_one(name: &'static str, value: f64) -> Result<(), StepError> {
        check_hyperparameter(name, value, "finite and above 1", value > 1.0 && value.is_finite())
    }
    pub fn at_least_four(name: &'static str, value: f64) -> Result<(), StepError> {
        let range = "finite and at least 4 (5 in PyTorch, 4 in the paper)";
        check_hyperparameter(name, value, range, value >= 4.0 && value.is_finite())
    }
}

/// An option of a rule as a number in a saved state.
trait Code {
    fn code(self) -> f64;
}
impl Code for bool {
    fn code(self) -> f64 {
        f64::from(u8::from(self))
    }
}
/// 0 stands for none: a legal value is positive.
impl Code for Option<f64> {
    fn code(self) -> f64 {
        self.unwrap_or(0.0)
    }
}

fn check_decay(decay: WeightDecay, is_in_rule: bool) -> Result<(), StepError> {
    check_not_negative("weight_decay", decay.value())?;
    if let WeightDecay::Scheduled { base, .. } = decay {
        check_positive("base", base)?;
    }
    let fits = matches!(decay, WeightDecay::InRule(_)) == is_in_rule || decay.value() == 0.0;
    let range = match is_in_rule {
        true => "given as WeightDecay::InRule for this rule",
        false => "given as Coupled, Decoupled or Scheduled for this rule",
    };
    check_hyperparameter("weight_decay", decay.value(), range, fits)
}

/// How decay enters, as a number in a saved state.
fn decay_form(decay: WeightDecay) -> f64 {
    match decay {
        WeightDecay::Coupled(_) => 0.0,
        WeightDecay::Decoupled(_) => 1.0,
        WeightDecay::Scheduled { .. } => 2.0,
        WeightDecay::InRule(_) => 3.0,
    }
}

/// A configuration, its ranges and defaults, the optimiser made of it, and the parts of [`Rule`] that follow from these;
/// the other parts are the items at the end.
macro_rules! rule {
    (
        $(#[$config_doc:meta])* $config:ident,
        $(#[$doc:meta])* $optimizer:ident,
        $name:literal, $decay:ident($decay_value:literal),
        { $($(#[$field_doc:meta])* $field:ident: $default:expr, $range:ident;)* }
        { $($(#[$option_doc:meta])* $option:ident: $type:ty = $option_default:expr;)* }
        $($items:tt)*
    ) => {
        $(#[$config_doc])*
        #[derive(Clone, Copy, Debug, PartialEq)]
        pub struct $config {
            $($(#[$field_doc])* pub $field: f64,)*
            $($(#[$option_doc])* pub $option: $type,)*
            /// $\lambda$ and how it enters.
            pub weight_decay: $crate::optimizers::WeightDecay,
        }

        impl Default for $config {
            fn default() -> Self {
                Self {
                    $($field: $default,)*
                    $($option: $option_default,)*
                    weight_decay: $crate::optimizers::WeightDecay::$decay($decay_value),
                }
            }
        }

        $(#[$doc])*
        pub type $optimizer<M, E, D> = layers::Optim<$config, M, E, D>;

        impl layers::Rule for $config {
            const NAME: &'static str = $name;

            fn check(&self) -> Result<(), layers::StepError> {
                $($crate::optimizers::range::$range(stringify!($field), self.$field)?;)*
                let in_rule = matches!(Self::default().weight_decay, WeightDecay::InRule(_));
                $crate::optimizers::check_decay(self.weight_decay, in_rule)
            }
            fn learning_rate(&self) -> f64 {
                self.learning_rate
            }
            fn set_learning_rate(&mut self, learning_rate: f64) {
                self.learning_rate = learning_rate;
            }
            fn weight_decay(&self) -> WeightDecay {
                self.weight_decay
            }
            fn hyperparameters(&self) -> Vec<(&'static str, f64)> {
                let mut all = vec![
                    $((stringify!($field), self.$field),)*
                    $((stringify!($option), $crate::optimizers::Code::code(self.$option)),)*
                    ("weight_decay", self.weight_decay.value()),
                    ("decay_form", $crate::optimizers::decay_form(self.weight_decay)),
                ];
                all.retain(|(name, _)| *name != "learning_rate");
                all
            }
            $($items)*
        }
    };
}
use rule;
