//! [`Optim`]: an optimiser for any model from any [`Rule`].
//!
//! A step does, in this order and in one pass over the memory where nothing needs a norm first:
//!
//! 1. refuse parameters without a gradient ([`Unused`]) and gradients that are not finite ([`NonFinite`]), before
//!    anything is changed;
//! 2. clip the gradients ([`Clip`]);
//! 3. add coupled weight decay to the gradient, shrink the weights by decoupled decay;
//! 4. the rule, with the learning rate of the parameter's [`Group`];
//! 5. the [`Constraint`] on the weights;
//! 6. [`Lookahead`], then the [`Average`].
//!
//! On a device with kernels of its own for the rule ([`Rule::formula`]: [`Sgd`](crate::Sgd), [`Adam`](crate::Adam),
//! [`AdamW`](crate::AdamW), [`RmsProp`](crate::RmsProp) on `Cuda`) weights, gradients and slots stay there. A step goes
//! through the memory of the host with every other rule, and with [`Clip::Adaptive`], a [`Constraint`], [`Lookahead`], an
//! [`Average`] or [`Optim::track_norms`].
//!
//! State is keyed by path name, never by dfdx's tensor ids, which change with dtype and device. All of it is saved and
//! loaded through [`Step::state`] and [`Step::load_state`], and a run that is resumed goes on with the same bits.
//!
//! # Examples
//! Adam with no decay on vectors, a bound on the gradient, and an average of the weights for evaluation:
//! ```
//! use layers::optimizer::{Average, Clip, Group};
//! use layers::{AdamW, AdamWConfig, Step, prelude::*};
//!
//! let dev = Cpu::seed_from_u64(0);
//! let mut model = dev.build_module::<(Linear<2, 8>, Tanh, Linear<8, 1>), f32>();
//! let mut optimizer = AdamW::try_new(&model, AdamWConfig { learning_rate: 0.05, ..Default::default() })?
//!     .group(|p| p.ndim() < 2, Group { weight_decay: Some(0.0), ..Default::default() })?
//!     .clip(Clip::GlobalNorm(1.0))?
//!     .average(Average::Exponential { decay: 0.9 })?;
//! let x: Tensor<Rank2<16, 2>, f32, _> = dev.sample_normal();
//! let mut norms = Vec::new();
//! for _ in 0..60 {
//!     let loss = (model.forward(x.leaky_trace()) - 1.0).square().mean();
//!     norms.push(optimizer.step(&mut model, &mut loss.backward())?.gradient_norm);
//! }
//! let smooth = optimizer.evaluation(&model)?;
//! assert!((smooth.forward(x) - 1.0).square().mean::<Rank0, _>().array() < 0.01);
//! # Ok::<(), layers::StepError>(())
//! ```
use crate::params::{self, DeviceError, MissingGradients, Parameter};
use crate::rule::{
    At, Rule, SlotSpec, Start, WeightDecay, check_coefficient, check_not_negative, check_positive,
};
use crate::step::{Slot, SlotKey, Step, StepError, StepReport, StepState, check_hyperparameter};
use dfdx::nn::tensor_collection::TensorCollection;
use dfdx::prelude::Gradients;
pub use kernels::update::Clip;
use kernels::update::{
    Cut, Dims, MAX_SLOTS, Memory, Planned, Prepare, Slices, Statistics, UpdateDevice, clip_gradients,
    first_not_finite, for_each_run, prepared_squares, squares, with_tensors,
};
use kernels::{Device, Real};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::marker::PhantomData;

/// What differs for the parameters of one group.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Group {
    /// Multiplies the learning rate; finite, not negative. Default 1; 0 freezes.
    pub learning_rate_scale: f64,
    /// $\lambda$ instead of that of the rule. Default `None`, that of the rule.
    pub weight_decay: Option<f64>,
    /// Whether LARS and LAMB may scale the step by the norms of the tensor. Default true; the papers exclude biases and
    /// norms' scales.
    pub is_layerwise: bool,
}

impl Default for Group {
    fn default() -> Self {
        Self { learning_rate_scale: 1.0, weight_decay: None, is_layerwise: true }
    }
}

/// What happens to parameters that the backward pass did not reach.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unused {
    /// [`StepError::Unused`] names them.
    #[default]
    Refuse,
    /// They and their state stay as they are.
    Skip,
    /// Their gradient counts as zero: momentum goes on, weights decay.
    Zero,
}

/// What happens when a gradient holds a NaN or an infinity.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NonFinite {
    /// [`StepError::NotFinite`] names the first such parameter.
    #[default]
    Refuse,
    /// The whole step is skipped; [`StepReport::is_skipped`] says so.
    Skip,
    /// Nothing is checked, which saves one pass over the gradients.
    Ignore,
}

/// A bound on the weights, restored after each step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Constraint {
    /// The norm of the incoming weights of each unit (each index of the first axis) of tensors with two or more axes is
    /// at most this (Srebro & Shraibman 2005; Hinton et al. 2012).
    MaxNorm(f64),
    /// Every weight lies in this interval.
    Interval(f64, f64),
}

/// Every `every` steps the slow weights move by the share `share` towards the fast ones, and the fast ones return to
/// them. The state of the rule goes on.
///
/// **Paper**: Zhang, Lucas, Hinton & Ba (2019), Lookahead optimizer: k steps forward, 1 step back, arXiv 1907.08610;
/// there `every` is k = 5 and `share` is α = 0.5.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lookahead {
    /// k, at least 1.
    pub every: u64,
    /// α in (0, 1\].
    pub share: f64,
}

/// An average of the weights for evaluation; training does not see it. Running statistics (batch norm) belong to the
/// trained weights: compute them again for the average.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Average {
    /// $a \leftarrow \beta a + (1 - \beta) w$ after each step, started at the first weights.
    Exponential {
        /// $\beta$ in \[0, 1); 0.999 is usual.
        decay: f64,
    },
    /// The mean of the weights after step `from` and every `every` steps later: Polyak–Ruppert averaging with `from` 1
    /// and `every` 1, stochastic weight averaging (Izmailov et al. 2018, arXiv 1803.05407) with the steps of an epoch.
    Uniform {
        /// First step that counts, at least 1.
        from: u64,
        /// Steps between two that count, at least 1.
        every: u64,
    },
}

/// An optimiser for models of type `M` with the update rule `R`.
///
/// It belongs to the model that it was made for: another model with tensors of other shapes is refused. Memory: the
/// slots of the rule, one more copy of the weights each for [`Lookahead`] and [`Average`].
#[derive(Clone, Debug)]
pub struct Optim<R, M, E: Real, D: Device<E>> {
    rule: R,
    step: u64,
    /// The trainable tensors of the model, in order.
    parameters: Vec<Parameter>,
    /// The slots in the memory of the host; empty while they are `resident`.
    memory: Vec<Memory<E>>,
    /// The slots on a device that runs the rule itself.
    resident: Option<<D as UpdateDevice<E>>::Resident>,
    scalars: Vec<f64>,
    /// Slow weights in slot 0, the average in slot 1.
    hooks: Vec<Memory<E>>,
    groups: Vec<Group>,
    /// Position in `groups` of each parameter.
    group_of: Vec<Option<usize>>,
    clip: Option<Clip>,
    unused: Unused,
    non_finite: NonFinite,
    constraint: Option<Constraint>,
    lookahead: Option<Lookahead>,
    average: Option<Average>,
    tracks_norms: bool,
    missing: MissingGradients<E, D>,
    model: PhantomData<fn(&mut M)>,
}

const SLOW: usize = 0;
const AVERAGE: usize = 1;
const HOOKS: [&str; 2] = ["slow", "average"];

impl<R: Rule, M: TensorCollection<E, D>, E: Real, D: Device<E>> Optim<R, M, E, D> {
    /// An optimiser for `model`, which is only looked at.
    ///
    /// # Errors
    /// [`StepError::Hyperparameter`] when a hyperparameter is out of range, [`StepError::ParameterShape`] when the rule
    /// cannot update a tensor of this shape.
    pub fn try_new(model: &M, rule: R) -> Result<Self, StepError> {
        rule.check()?;
        let parameters: Vec<_> = params::list(model).into_iter().filter(|p| p.is_trainable).collect();
        parameters.iter().try_for_each(|parameter| rule.check_parameter(parameter))?;
        let specs = rule.slots();
        assert!(specs.len() <= MAX_SLOTS, "rule `{}` asks for more than {MAX_SLOTS} slots", R::NAME);
        let mut memory = Vec::with_capacity(parameters.len());
        let mut add = |parameter: &Parameter, values: &[E]| {
            let mut slots = Memory::default();
            for (i, (slot, spec)) in slots.iter_mut().zip(&specs).enumerate() {
                *slot = match spec.start {
                    Start::Value(value) => {
                        vec![E::of(value); rule.slot_shape(i, &parameter.shape).iter().product()]
                    }
                    Start::Weights => values.to_vec(),
                };
            }
            memory.push(slots);
        };
        if specs.iter().any(|spec| spec.start == Start::Weights) {
            params::visit(model, |parameter, values: &[E]| {
                if parameter.is_trainable {
                    add(parameter, values)
                }
            });
        } else {
            parameters.iter().for_each(|parameter| add(parameter, &[]));
        }
        Ok(Self {
            scalars: rule.scalars().into_iter().map(|(_, value)| value).collect(),
            rule,
            step: 0,
            hooks: vec![Memory::default(); parameters.len()],
            memory,
            resident: None,
            groups: Vec::new(),
            group_of: vec![None; parameters.len()],
            parameters,
            clip: None,
            unused: Unused::default(),
            non_finite: NonFinite::default(),
            constraint: None,
            lookahead: None,
            average: None,
            tracks_norms: false,
            missing: MissingGradients::default(),
            model: PhantomData,
        })
    }

    /// Puts the parameters that satisfy `belongs`, and are in no group yet, into a group of their own.
    ///
    /// # Errors
    /// [`StepError::Hyperparameter`] when a value is out of range, [`StepError::EmptyGroup`] when no parameter that is
    /// still free belongs to it.
    pub fn group(mut self, belongs: impl Fn(&Parameter) -> bool, group: Group) -> Result<Self, StepError> {
        check_not_negative("learning_rate_scale", group.learning_rate_scale)?;
        check_not_negative("weight_decay", group.weight_decay.unwrap_or(0.0))?;
        let position = self.groups.len();
        let mut is_empty = true;
        for (parameter, of) in self.parameters.iter().zip(&mut self.group_of) {
            if of.is_none() && belongs(parameter) {
                *of = Some(position);
                is_empty = false;
            }
        }
        if is_empty {
            let free = self.parameters.iter().zip(&self.group_of).filter(|(_, of)| of.is_none());
            return Err(StepError::EmptyGroup { free: free.map(|(p, _)| p.name.clone()).collect() });
        }
        self.groups.push(group);
        Ok(self)
    }

    /// Clips gradients. A second call replaces the first.
    ///
    /// # Errors
    /// [`StepError::Hyperparameter`] when a bound is not positive and finite.
    pub fn clip(mut self, clip: Clip) -> Result<Self, StepError> {
        match clip {
            Clip::Value(bound) | Clip::Norm(bound) | Clip::GlobalNorm(bound) => {
                check_positive("clip", bound)?
            }
            Clip::Adaptive { ratio, floor } => {
                check_positive("ratio", ratio)?;
                check_positive("floor", floor)?;
            }
        }
        self.clip = Some(clip);
        Ok(self)
    }

    /// What happens to parameters without a gradient.
    pub fn unused(mut self, unused: Unused) -> Self {
        self.unused = unused;
        self
    }

    /// What happens when a gradient is not finite.
    pub fn non_finite(mut self, non_finite: NonFinite) -> Self {
        self.non_finite = non_finite;
        self
    }

    /// Bounds the weights. A second call replaces the first.
    ///
    /// # Errors
    /// [`StepError::Hyperparameter`] when a norm is not positive and finite, or an interval is empty.
    pub fn constraint(mut self, constraint: Constraint) -> Result<Self, StepError> {
        match constraint {
            Constraint::MaxNorm(norm) => check_positive("max_norm", norm)?,
            Constraint::Interval(low, high) => {
                check_hyperparameter("high", high, "at least the low end of the interval", low <= high)?
            }
        }
        self.constraint = Some(constraint);
        Ok(self)
    }

    /// Slow weights, started at the weights before the next step.
    ///
    /// # Errors
    /// [`StepError::Hyperparameter`] when `every` is 0 or `share` lies outside of (0, 1].
    pub fn lookahead(mut self, lookahead: Lookahead) -> Result<Self, StepError> {
        let Lookahead { every, share } = lookahead;
        check_hyperparameter("every", every as f64, "at least 1", every > 0)?;
        check_hyperparameter("share", share, "in (0, 1]", share > 0.0 && share <= 1.0)?;
        self.lookahead = Some(lookahead);
        Ok(self)
    }

    /// An average of the weights.
    ///
    /// # Errors
    /// [`StepError::Hyperparameter`] when a field is out of range.
    pub fn average(mut self, average: Average) -> Result<Self, StepError> {
        match average {
            Average::Exponential { decay } => check_coefficient("decay", decay)?,
            Average::Uniform { from, every } => {
                check_hyperparameter("from", from as f64, "at least 1", from > 0)?;
                check_hyperparameter("every", every as f64, "at least 1", every > 0)?;
            }
        }
        self.average = Some(average);
        Ok(self)
    }

    /// Reports the norms of gradients, weights and update after each step: fills [`StepReport::gradient_norm`],
    /// [`StepReport::parameter_norm`] and [`StepReport::update_norm`]; costs a copy of the weights.
    pub fn track_norms(mut self) -> Self {
        self.tracks_norms = true;
        self
    }

    /// The rule with its hyperparameters; the learning rate is that of the next step.
    pub fn rule(&self) -> &R {
        &self.rule
    }

    /// The rule, to change a hyperparameter between two steps, as schedules of the momentum do.
    ///
    /// # Errors
    /// What [`Rule::check`] says of the changed rule, which is not taken then. A learning rate of 0 is.
    pub fn change_rule(&mut self, change: impl FnOnce(&mut R)) -> Result<(), StepError> {
        let mut rule = self.rule.clone();
        change(&mut rule);
        let learning_rate = rule.learning_rate();
        let mut checked = rule.clone();
        if learning_rate == 0.0 {
            checked.set_learning_rate(1.0);
        }
        checked.check()?;
        self.rule = rule;
        Ok(())
    }

    /// Number of steps made, those before [`Step::load_state`] included.
    pub fn steps(&self) -> u64 {
        self.step
    }

    /// The trainable tensors of the model, in order.
    pub fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    /// One slot of the rule for one parameter, as `slot("velocity", "0.weight")`, in the memory of the host: `None` too
    /// while the slots are on a device that runs the rule itself; [`Step::state`] copies them from there.
    pub fn slot(&self, name: &str, parameter: &str) -> Option<&[E]> {
        let slot = self.rule.slots().iter().position(|spec| spec.name == name)?;
        let tensor = self.parameters.iter().position(|p| p.name == parameter)?;
        self.resident.is_none().then(|| &self.memory[tensor][slot][..])
    }

    /// The slots, wherever they are.
    fn slots(&self) -> Result<Cow<'_, [Memory<E>]>, StepError> {
        match &self.resident {
            None => Ok(Cow::Borrowed(&self.memory)),
            Some(resident) => {
                Ok(Cow::Owned(D::from_resident(resident).map_err(|error| self.explain(error))?))
            }
        }
    }

    /// A copy of the model with the weights to evaluate at: the [`Average`] if there is one, else those of a rule that
    /// trains at another point (schedule-free), else the weights themselves. The model that trains stays as it is, so
    /// the two cannot be mixed up.
    ///
    /// # Errors
    /// [`StepError::Device`].
    pub fn evaluation(&self, model: &M) -> Result<M, StepError>
    where
        M: Clone,
    {
        let mut copy = model.clone();
        let memory = self.slots()?;
        let from = |tensor: usize| match (self.average, self.rule.evaluation_slot()) {
            (Some(_), _) => &self.hooks[tensor][AVERAGE],
            (None, Some(slot)) => &memory[tensor][slot],
            (None, None) => &self.hooks[tensor][AVERAGE], // empty
        };
        self.with_tensors(&mut copy, None, |_, tensors| {
            for (tensor, slices) in tensors.iter_mut().enumerate() {
                let values = from(tensor);
                if !values.is_empty() {
                    slices.weights.copy_from_slice(values);
                }
            }
            Ok(())
        })?;
        Ok(copy)
    }

    /// Calls `f` with the memory of all trainable tensors, after a check that they are those of this optimiser.
    fn with_tensors<T>(
        &self,
        model: &mut M,
        gradients: Option<&mut Gradients<E, D>>,
        f: impl FnOnce(&Self, &mut [Slices<'_, E>]) -> Result<T, StepError>,
    ) -> Result<T, StepError> {
        let with = |tensors: &mut [Slices<'_, E>]| {
            self.check_model(tensors.iter().map(|tensor| tensor.dims))?;
            f(self, tensors)
        };
        with_tensors(model, gradients, with).map_err(|error| self.explain(error))?
    }

    fn check_model(&self, tensors: impl Iterator<Item = Dims>) -> Result<(), StepError> {
        let tensors: Vec<Dims> = tensors.collect();
        let differs = |(i, parameter): &(usize, &Parameter)| {
            tensors.get(*i).is_none_or(|dims| dims.sizes() != parameter.shape)
        };
        if let Some((i, parameter)) = self.parameters.iter().enumerate().find(differs) {
            let got = tensors.get(i).map(|dims| dims.sizes().to_vec());
            return Err(StepError::OtherModel {
                parameter: parameter.name.clone(),
                expected: parameter.shape.clone(),
                got,
            });
        }
        Ok(())
    }

    /// A kernel's error with the names of the model.
    fn explain(&self, error: kernels::Error) -> StepError {
        let name = |tensor: usize| self.parameters.get(tensor).map(|p| p.name.clone()).unwrap_or_default();
        match error {
            kernels::Error::NotRowMajor { tensor } => StepError::NotRowMajor { parameter: name(tensor) },
            kernels::Error::GradientLength { tensor, gradient, weights } => {
                StepError::GradientLength { parameter: name(tensor), expected: weights, got: gradient }
            }
            kernels::Error::VisitedTwice => StepError::VisitedTwice,
            other => DeviceError::new(other).into(),
        }
    }

    fn group_of(&self, tensor: usize) -> Group {
        self.group_of.get(tensor).copied().flatten().map_or_else(Group::default, |i| self.groups[i])
    }

    /// Whether the norm of the gradients is needed.
    fn wants_norm(&self) -> bool {
        self.tracks_norms || matches!(self.clip, Some(Clip::Norm(_) | Clip::GlobalNorm(_)))
    }

    /// For each tensor: what is done before the rule, and what the rule may know.
    fn plan<'a>(&self, step: u64, scales: Vec<f64>, scalars: &'a [f64]) -> (Vec<Prepare>, Vec<At<'a>>) {
        let limit = match self.clip {
            Some(Clip::Value(bound)) => bound,
            _ => f64::INFINITY,
        };
        // ANCHOR: plan
        let learning_rate = self.rule.learning_rate();
        let decay = self.rule.weight_decay();
        let mut prepare = Vec::with_capacity(scales.len());
        let mut at = Vec::with_capacity(scales.len());
        for (tensor, scale) in scales.into_iter().enumerate() {
            let group = self.group_of(tensor);
            let rate = learning_rate * group.learning_rate_scale;
            let (mut l2, mut shrink, mut in_rule) = (0.0, 0.0, 0.0);
            match decay.with_value(group.weight_decay.unwrap_or(decay.value())) {
                WeightDecay::Coupled(decay) => l2 = decay,
                WeightDecay::Decoupled(decay) => shrink = rate * decay,
                WeightDecay::Scheduled { decay, base } => shrink = rate / base * decay,
                WeightDecay::InRule(decay) => in_rule = decay,
            }
            prepare.push(Prepare { scale, limit, l2, decay: shrink });
            at.push(At {
                step,
                learning_rate: rate,
                weight_decay: in_rule,
                scalars,
                phase: 0,
                weight_norm: f64::NAN,
                gradient_norm: f64::NAN,
                slot_norm: f64::NAN,
                is_layerwise: group.is_layerwise,
            });
        }
        // ANCHOR_END: plan
        (prepare, at)
    }

    /// Whether all that this optimiser does can be done where the tensors are, if the device runs the rule.
    fn is_formula(&self) -> bool {
        let (_, at) = self.plan(self.step + 1, vec![1.0], &self.scalars);
        let is_alone = self.constraint.is_none() && self.lookahead.is_none() && self.average.is_none();
        let is_plain = !self.tracks_norms && !matches!(self.clip, Some(Clip::Adaptive { .. }));
        is_alone && is_plain && self.rule.formula(&at[0]).is_some()
    }

    /// Steps 1 to 4 of the [module](self) where the tensors are; `None` if this device does not run the rule.
    fn step_resident(
        &mut self,
        model: &mut M,
        gradients: &mut Gradients<E, D>,
        unused: &[usize],
        mut report: StepReport,
    ) -> Result<Option<StepReport>, StepError> {
        if self.resident.is_none() {
            self.resident = D::resident(model, &self.memory).map_err(|error| self.explain(error))?;
            if self.resident.is_some() {
                self.memory.fill(Memory::default());
            }
        }
        let Some(mut resident) = self.resident.take() else { return Ok(None) };
        let step = self.step + 1;
        let mut scalars = self.scalars.clone();
        self.rule.advance(step, &mut scalars);
        let plan = |dims: &[Dims], statistics: &[Statistics]| {
            self.check_model(dims.iter().copied())?;
            let nothing: Vec<Planned> = vec![None; dims.len()];
            let broken = statistics.iter().position(|statistics| !statistics.is_finite);
            if let Some(i) = broken.filter(|_| self.non_finite != NonFinite::Ignore) {
                if self.non_finite == NonFinite::Skip {
                    report.is_skipped = true;
                    return Ok((nothing, report));
                }
                return Err(StepError::NotFinite { parameter: self.parameters[i].name.clone(), step });
            }
            let mut scales = vec![1.0; dims.len()];
            let squares: Vec<f64> = statistics.iter().map(|statistics| statistics.squares).collect();
            if self.wants_norm() {
                report.gradient_norm = Some(squares.iter().sum::<f64>().sqrt());
            }
            match self.clip {
                Some(Clip::Value(bound)) => {
                    let bound = E::of(bound).as_f64();
                    report.is_clipped = statistics.iter().any(|statistics| statistics.largest > bound);
                }
                Some(clip) => {
                    scales = clip.scales(&squares);
                    report.is_clipped = scales.iter().any(|&scale| scale != 1.0);
                }
                None => (),
            }
            let (prepare, at) = self.plan(step, scales, &scalars);
            let planned = prepare.into_iter().zip(&at).enumerate().map(|(tensor, (prepare, at))| {
                let formula = self.rule.formula(at).filter(|_| !unused.contains(&tensor))?;
                Some((prepare, formula))
            });
            Ok((planned.collect(), report))
        };
        let wants_statistics =
            self.non_finite != NonFinite::Ignore || self.wants_norm() || self.clip.is_some();
        let result = D::step_resident(model, gradients, &mut resident, wants_statistics, plan);
        self.resident = Some(resident);
        let report = result.map_err(|error| self.explain(error))??;
        if !report.is_skipped {
            self.scalars = scalars;
            self.step = step;
        }
        Ok(Some(report))
    }

    /// Steps 1 to 6 of the [module](self) on the memory of the model. `unused` are to be left alone.
    fn step_on(
        &mut self,
        tensors: &mut [Slices<'_, E>],
        unused: &[usize],
        mut report: StepReport,
    ) -> Result<StepReport, StepError> {
        let step = self.step + 1;
        // ANCHOR: checks
        let mut scales = vec![1.0; tensors.len()];
        let gradients: Vec<&[E]> = tensors.iter().map(|t| t.gradient).collect();
        let sums = if self.wants_norm() { squares(&gradients) } else { Vec::new() };
        let is_broken = |i: &usize| {
            // In f64 the square of a finite number may overflow.
            !sums[*i].is_finite() && first_not_finite(&gradients[*i..=*i]).is_some()
        };
        let broken = match self.non_finite {
            NonFinite::Ignore => None,
            _ if self.wants_norm() => (0..sums.len()).find(is_broken),
            _ => first_not_finite(&gradients),
        };
        if let Some(i) = broken {
            if self.non_finite == NonFinite::Skip {
                report.is_skipped = true;
                return Ok(report);
            }
            return Err(StepError::NotFinite { parameter: self.parameters[i].name.clone(), step });
        }
        if self.wants_norm() {
            report.gradient_norm.get_or_insert(sums.iter().sum::<f64>().sqrt());
            if let Some(clip) = self.clip {
                scales = clip.scales(&sums);
                report.is_clipped |= scales.iter().any(|&scale| scale != 1.0);
            }
        }
        // ANCHOR_END: checks
        if let Some(Clip::Value(bound)) = self.clip {
            let bound = E::of(bound);
            report.is_clipped |= tensors.iter().any(|t| t.gradient.iter().any(|g| g.abs() > bound));
        }
        self.start_hooks(tensors);
        let before: Vec<Vec<E>> = match self.tracks_norms {
            true => tensors.iter().map(|t| t.weights.to_vec()).collect(),
            false => Vec::new(),
        };
        let mut scalars = self.scalars.clone();
        self.rule.advance(step, &mut scalars);

        // ANCHOR: step
        let norms = |squares: Vec<f64>| squares.into_iter().map(f64::sqrt).collect::<Vec<_>>();
        let (prepare, mut at) = self.plan(step, scales, &scalars);
        if self.rule.needs_norms() {
            let weights: Vec<&[E]> = tensors.iter().map(|t| &*t.weights).collect();
            let weights = norms(squares(&weights));
            let gradients = norms(prepared_squares(tensors, |tensor| prepare[tensor]));
            for ((at, weight), gradient) in at.iter_mut().zip(weights).zip(gradients) {
                (at.weight_norm, at.gradient_norm) = (weight, gradient);
            }
        }
        let rule = &self.rule;
        let prepare_used = |tensor: usize| (!unused.contains(&tensor)).then(|| prepare[tensor]);
        for_each_run(tensors, &mut self.memory, rule.cut(), prepare_used, |run| {
            rule.update(&at[run.tensor], run)
        })
        .map_err(DeviceError::new)?;
        if let Some(slot) = rule.two_passes() {
            let slots: Vec<&[E]> = self.memory.iter().map(|memory| &memory[slot][..]).collect();
            for (at, norm) in at.iter_mut().zip(norms(squares(&slots))) {
                (at.phase, at.slot_norm) = (1, norm);
            }
            let prepare = |tensor: usize| (!unused.contains(&tensor)).then(Prepare::default);
            for_each_run(tensors, &mut self.memory, rule.cut(), prepare, |run| {
                rule.update(&at[run.tensor], run)
            })
            .map_err(DeviceError::new)?;
        }
        // ANCHOR_END: step
        self.scalars = scalars;
        self.step = step;
        if let Some(constraint) = self.constraint {
            constrain(tensors, constraint)?;
        }
        self.run_hooks(tensors)?;
        if self.tracks_norms {
            let now: Vec<&[E]> = tensors.iter().map(|t| &*t.weights).collect();
            let total = |slices: &[&[E]]| squares(slices).iter().sum::<f64>().sqrt();
            report.parameter_norm = Some(total(&now));
            let updates: Vec<Vec<E>> = now
                .iter()
                .zip(&before)
                .map(|(now, before)| now.iter().zip(before).map(|(&now, &before)| now - before).collect())
                .collect();
            report.update_norm = Some(total(&updates.iter().map(|update| &update[..]).collect::<Vec<_>>()));
        }
        Ok(report)
    }

    fn hook_is_on(&self, hook: usize) -> bool {
        if hook == SLOW { self.lookahead.is_some() } else { self.average.is_some() }
    }

    /// Copies the weights into the hooks that have none yet.
    fn start_hooks(&mut self, tensors: &[Slices<'_, E>]) {
        for hook in [SLOW, AVERAGE] {
            if self.hook_is_on(hook) {
                for (memory, tensor) in self.hooks.iter_mut().zip(tensors) {
                    if memory[hook].is_empty() {
                        memory[hook] = tensor.weights.to_vec();
                    }
                }
            }
        }
    }

    fn run_hooks(&mut self, tensors: &mut [Slices<'_, E>]) -> Result<(), StepError> {
        if let Some(Lookahead { every, share }) = self.lookahead
            && self.step.is_multiple_of(every)
        {
            let share = E::of(share);
            pass(tensors, &mut self.hooks, SLOW, |w, slow| {
                *slow = share.mul_add(*w - *slow, *slow);
                *w = *slow;
            })?;
        }
        let share = match self.average {
            Some(Average::Exponential { decay }) => 1.0 - decay,
            Some(Average::Uniform { from, every })
                if self.step >= from && (self.step - from).is_multiple_of(every) =>
            {
                1.0 / ((self.step - from) / every + 1) as f64
            }
            _ => return Ok(()),
        };
        let share = E::of(share);
        pass(tensors, &mut self.hooks, AVERAGE, |w, average| {
            *average = share.mul_add(*w - *average, *average)
        })
    }

    fn hyperparameters(&self) -> BTreeMap<String, f64> {
        let mut all = by_name(self.rule.hyperparameters());
        for (i, group) in self.groups.iter().enumerate() {
            let decay = group.weight_decay.unwrap_or(self.rule.weight_decay().value());
            all.insert(format!("group {i}: learning_rate_scale"), group.learning_rate_scale);
            all.insert(format!("group {i}: weight_decay"), decay);
            let members = self.group_of.iter().filter(|of| **of == Some(i)).count();
            all.insert(format!("group {i}: parameters"), members as f64);
        }
        if let Some(Lookahead { every, share }) = self.lookahead {
            all.insert("lookahead: every".into(), every as f64);
            all.insert("lookahead: share".into(), share);
        }
        match self.average {
            Some(Average::Exponential { decay }) => _ = all.insert("average: decay".into(), decay),
            Some(Average::Uniform { from, every }) => {
                all.insert("average: from".into(), from as f64);
                all.insert("average: every".into(), every as f64);
            }
            None => (),
        }
        all
    }

    /// The saved slots of the rule with their positions.
    fn saved(&self) -> Vec<(usize, SlotSpec)> {
        self.rule.slots().into_iter().enumerate().filter(|(_, spec)| spec.is_saved).collect()
    }

    /// Keys of a saved state, in order: of each parameter the slots of the rule and the hooks; then the scalars.
    fn keys(&self) -> Vec<SlotKey> {
        let saved = self.saved();
        let mut keys = Vec::new();
        for parameter in &self.parameters {
            let mut push = |name: &str, shape: Vec<usize>| {
                keys.push(SlotKey { name: name.to_owned(), parameter: parameter.name.clone(), shape });
            };
            for (i, spec) in &saved {
                push(spec.name, self.rule.slot_shape(*i, &parameter.shape));
            }
            for hook in [SLOW, AVERAGE] {
                if self.hook_is_on(hook) {
                    push(HOOKS[hook], parameter.shape.clone());
                }
            }
        }
        keys.extend(self.rule.scalars().iter().map(|(name, _)| SlotKey {
            name: (*name).to_owned(),
            parameter: String::new(),
            shape: Vec::new(),
        }));
        keys
    }
}

impl<R: Rule, M: TensorCollection<E, D>, E: Real, D: Device<E>> Step<M, E, D> for Optim<R, M, E, D> {
    fn step(&mut self, model: &mut M, gradients: &mut Gradients<E, D>) -> Result<StepReport, StepError> {
        let mut unused = self.missing.positions(model, gradients)?;
        match self.unused {
            Unused::Refuse if !unused.is_empty() => {
                let names = params::names(model);
                return Err(StepError::Unused {
                    names: unused.into_iter().map(|i| names[i].clone()).collect(),
                });
            }
            Unused::Zero => unused.clear(),
            _ => (),
        }
        let mut report = StepReport::new(self.rule.learning_rate());
        if let Some(clip @ Clip::Adaptive { .. }) = self.clip {
            let clipped = clip_gradients(model, gradients, clip).map_err(|error| self.explain(error))?;
            report.gradient_norm = Some(clipped.norm);
            report.is_clipped = clipped.is_clipped;
        }
        if self.is_formula() {
            if let Some(report) = self.step_resident(model, gradients, &unused, report)? {
                return Ok(report);
            }
        } else if self.resident.is_some() {
            self.memory = self.slots()?.into_owned();
            self.resident = None;
        }
        let result = with_tensors(model, Some(gradients), |tensors| {
            self.check_model(tensors.iter().map(|tensor| tensor.dims))?;
            self.step_on(tensors, &unused, report)
        });
        result.map_err(|error| self.explain(error))?
    }

    fn learning_rate(&self) -> f64 {
        self.rule.learning_rate()
    }

    fn set_learning_rate(&mut self, learning_rate: f64) -> Result<(), StepError> {
        check_not_negative("learning_rate", learning_rate)?;
        self.rule.set_learning_rate(learning_rate);
        Ok(())
    }

    fn state(&self) -> Result<StepState, StepError> {
        let saved = self.saved();
        let memory = self.slots()?;
        let values = |slot: &[E]| slot.iter().map(|x| x.as_f64()).collect::<Vec<_>>();
        let mut all = Vec::new();
        for (memory, hooks) in memory.iter().zip(&self.hooks) {
            all.extend(saved.iter().map(|(slot, _)| values(&memory[*slot])));
            all.extend(
                [SLOW, AVERAGE].into_iter().filter(|h| self.hook_is_on(*h)).map(|h| values(&hooks[h])),
            );
        }
        all.extend(self.scalars.iter().map(|scalar| vec![*scalar]));
        Ok(StepState {
            rule: R::NAME.to_owned(),
            step: self.step,
            learning_rate: self.rule.learning_rate(),
            hyperparameters: self.hyperparameters(),
            slots: self.keys().into_iter().zip(all).map(|(key, values)| Slot { key, values }).collect(),
        })
    }

    fn load_state(&mut self, state: &StepState) -> Result<(), StepError> {
        check_not_negative("learning_rate", state.learning_rate)?;
        state.check(R::NAME, &self.hyperparameters(), self.keys())?;
        let saved = self.saved();
        let (mut memory, mut hooks) = (self.slots()?.into_owned(), self.hooks.clone());
        let mut slots = state.slots.iter();
        let mut next = || slots.next().expect("`check` has counted them");
        for (memory, hooks) in memory.iter_mut().zip(&mut hooks) {
            for (slot, _) in &saved {
                memory[*slot] = next().exact_values()?;
            }
            for hook in [SLOW, AVERAGE].into_iter().filter(|hook| self.hook_is_on(*hook)) {
                let slot = next();
                // Saved before the first step, a hook has no values yet.
                hooks[hook] = if slot.values.is_empty() { Vec::new() } else { slot.exact_values()? };
            }
        }
        let mut scalars = Vec::new();
        for _ in &self.scalars {
            scalars.extend(next().exact_values::<f64>()?);
        }
        (self.memory, self.hooks, self.scalars) = (memory, hooks, scalars);
        self.resident = None; // goes to the device again with the next step
        self.step = state.step;
        self.rule.set_learning_rate(state.learning_rate);
        Ok(())
    }
}

fn by_name(values: Vec<(&'static str, f64)>) -> BTreeMap<String, f64> {
    values.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// One pass over the weights and one hook.
fn pass<E: Real>(
    tensors: &mut [Slices<'_, E>],
    hooks: &mut [Memory<E>],
    hook: usize,
    change: impl Fn(&mut E, &mut E) + Sync,
) -> Result<(), StepError> {
    let result = for_each_run(
        tensors,
        hooks,
        Cut::Runs,
        |_| Some(Prepare::default()),
        |run| {
            run.weights.iter_mut().zip(run.slots[hook].iter_mut()).for_each(|(w, kept)| change(w, kept));
        },
    );
    result.map_err(|error| DeviceError::new(error).into())
}

fn constrain<E: Real>(tensors: &mut [Slices<'_, E>], constraint: Constraint) -> Result<(), StepError> {
    let mut nothing: Vec<Memory<E>> = tensors.iter().map(|_| Memory::default()).collect();
    let result = for_each_run(
        tensors,
        &mut nothing,
        Cut::Whole,
        |_| Some(Prepare::default()),
        |run| match constraint {
            Constraint::Interval(low, high) => {
                let (low, high) = (E::of(low), E::of(high));
                for w in run.weights {
                    *w = if *w < low {
                        low
                    } else if *w > high {
                        high
                    } else {
                        *w
                    };
                }
            }
            Constraint::MaxNorm(bound) if run.dims.sizes().len() > 1 => {
                for row in run.weights.chunks_mut(run.dims.rows()[1].max(1)) {
                    let norm = squares(&[&*row])[0].sqrt();
                    if norm > bound {
                        let scale = E::of(bound / norm);
                        row.iter_mut().for_each(|w| *w *= scale);
                    }
                }
            }
            Constraint::MaxNorm(_) => (),
        },
    );
    result.map_err(|error| DeviceError::new(error).into())
}
