//! Learning-rate schedules of lecture 8: closed forms of the step, without hidden state.
//!
//! Every schedule is a [`layers::Schedule`]: `learning_rate(step)` for any step in any order, the first being
//! 0. `check` refuses values out of range; the fields are public.
//!
//! | schedule | $\eta_t$ |
//! |---|---|
//! | a number | itself |
//! | [`StepDecay`] | $\eta_0\gamma^{\lfloor t/s\rfloor}$ |
//! | [`MultiStep`] | $\eta_0\gamma^{\text{milestones reached}}$ |
//! | [`Exponential`] | $\eta_0\gamma^t$ |
//! | [`InverseTime`] | $\eta_0/(1+\delta t)$ |
//! | [`InverseSqrt`], [`Noam`] | $\eta_0\sqrt{s/t}$ after a linear rise over $s$ steps |
//! | [`Linear`] | from $\eta_0 a$ to $\eta_0 b$ over $s$ steps, then constant |
//! | [`Hold`] | $\eta_0 a$ for $s$ steps, then $\eta_0$ |
//! | [`Polynomial`] | $\eta_0(1-t/s)^p$, then 0 |
//! | [`Goodfellow`] | $(1-\frac t\tau)\epsilon_0+\frac t\tau\epsilon_\tau$, then $\epsilon_\tau$ |
//! | [`Cosine`] | half a cosine from $\eta_0$ to the minimum, then constant |
//! | [`Sgdr`] | cosines with warm restarts, each period longer |
//! | [`OneCycle`] | up and down once, momentum the other way |
//! | [`Cyclic`] | triangles, of falling height if wanted |
//! | [`Warmup`], [`Sequence`] | one schedule after another |
//! | [`Plateau`] | falls when a metric stalls: the only one with a state |
//!
//! **Papers**: Loshchilov & Hutter 2017, 1608.03983 (SGDR); Smith 2017, 1506.01186 (cyclic); Smith & Topin 2019,
//! 1708.07120 (one cycle); Vaswani et al. 2017 (Noam); Goodfellow et al. 2016, eq. 8.14.
//! **Deviation**: PyTorch computes the cosine by a recursion, which equals this closed form only while nothing else changes
//! the rate.
//! **Golden**: PyTorch's schedulers, 24 steps each, to 1e-12.
//!
//! ```
//! use layers::Schedule;
//! use optim::schedules::{Cosine, Warmup};
//! let schedule = Warmup { steps: 10, start_factor: 0.1, then: Cosine { base: 0.5, steps: 90, minimum: 0.0 } }.check()?;
//! assert_eq!(schedule.learning_rate(0), 0.05);
//! assert_eq!(schedule.learning_rate(10), 0.5);
//! assert!(schedule.learning_rate(55) < 0.2501 && schedule.learning_rate(100) == 0.0);
//! # Ok::<(), optim::Error>(())
//! ```
use crate::Error;
use layers::Schedule;
use std::f64::consts::PI;

fn positive(name: &'static str, value: f64) -> Result<(), Error> {
    let holds = value > 0.0 && value.is_finite();
    if holds { Ok(()) } else { Err(Error::InvalidHyper { name, rule: "finite and above 0", value }) }
}
fn not_negative(name: &'static str, value: f64) -> Result<(), Error> {
    let holds = value >= 0.0 && value.is_finite();
    if holds { Ok(()) } else { Err(Error::InvalidHyper { name, rule: "finite and not negative", value }) }
}
fn share(name: &'static str, value: f64) -> Result<(), Error> {
    let holds = value > 0.0 && value <= 1.0;
    if holds { Ok(()) } else { Err(Error::InvalidHyper { name, rule: "in (0, 1]", value }) }
}
fn not_empty(what: &'static str, steps: u64) -> Result<(), Error> {
    if steps > 0 { Ok(()) } else { Err(Error::EmptySchedule { what }) }
}

/// From `from` to `to` along half a cosine; `share` in [0, 1].
fn cosine(from: f64, to: f64, share: f64) -> f64 {
    to + 0.5 * (from - to) * (1.0 + (PI * share).cos())
}

/// A plain struct, its check, and its closed form.
macro_rules! schedule {
    (
        $(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty,)* }
        check($this:ident) $check:expr;
        rate($self_:ident, $step:ident) $rate:expr
    ) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq)]
        pub struct $name { $($(#[$field_doc])* pub $field: $type,)* }
        impl $name {
            /// The schedule itself when every value is in its range.
            ///
            /// # Errors
            /// [`Error::InvalidHyper`] names the first value that is not, [`Error::EmptySchedule`] a length of 0.
            pub fn check(self) -> Result<Self, Error> {
                let $this = &self;
                $check?;
                Ok(self)
            }
        }
        impl Schedule for $name {
            fn learning_rate(&self, $step: u64) -> f64 {
                let $self_ = self;
                $rate
            }
        }
    };
}

schedule! {
    /// The rate falls by a factor every so many steps.
    StepDecay {
        /// $\eta_0$.
        base: f64,
        /// $s$, at least 1.
        every: u64,
        /// $\gamma$ in (0, 1\].
        factor: f64,
    }
    check(s) positive("base", s.base).and(not_empty("StepDecay", s.every)).and(share("factor", s.factor));
    rate(s, step) s.base * s.factor.powf((step / s.every) as f64)
}

schedule! {
    /// The rate falls by a factor at given steps.
    MultiStep {
        /// $\eta_0$.
        base: f64,
        /// Steps at which it falls, rising.
        milestones: Vec<u64>,
        /// $\gamma$ in (0, 1\].
        factor: f64,
    }
    check(s) {
        positive("base", s.base)?;
        share("factor", s.factor)?;
        if s.milestones.is_empty() {
            return Err(Error::EmptySchedule { what: "MultiStep" });
        }
        match s.milestones.windows(2).find(|pair| pair[0] >= pair[1]) {
            Some(pair) => Err(Error::InvalidHyper {
                name: "milestones",
                rule: "rising from step to step",
                value: pair[1] as f64,
            }),
            None => Ok(()),
        }
    };
    rate(s, step) {
        let reached = s.milestones.iter().filter(|&&milestone| step >= milestone).count();
        s.base * s.factor.powf(reached as f64)
    }
}

schedule! {
    /// The rate falls by a factor in every step.
    Exponential {
        /// $\eta_0$.
        base: f64,
        /// $\gamma$ in (0, 1\].
        factor: f64,
    }
    check(s) positive("base", s.base).and(share("factor", s.factor));
    rate(s, step) s.base * s.factor.powf(step as f64)
}

schedule! {
    /// The rate falls as 1/t: a Robbins–Monro sequence.
    InverseTime {
        /// $\eta_0$.
        base: f64,
        /// $\delta$.
        decay: f64,
    }
    check(s) positive("base", s.base).and(not_negative("decay", s.decay));
    rate(s, step) s.base / (1.0 + s.decay * step as f64)
}

schedule! {
    /// A linear rise to $\eta_0$ over `warmup` steps, then a fall as $1/\sqrt t$ that meets it.
    InverseSqrt {
        /// $\eta_0$, reached in step `warmup` − 1.
        base: f64,
        /// $s$, at least 1.
        warmup: u64,
    }
    check(s) positive("base", s.base).and(not_empty("InverseSqrt", s.warmup));
    rate(s, step) {
        let (t, warmup) = ((step + 1) as f64, s.warmup as f64);
        s.base * (t / warmup).min((warmup / t).sqrt())
    }
}

schedule! {
    /// [`InverseSqrt`] as the paper on transformers writes it: $f\,d^{-1/2}\min(t^{-1/2}, t\,s^{-3/2})$, $t$ from 1.
    Noam {
        /// $f$.
        factor: f64,
        /// $d$, the width of the model.
        width: u64,
        /// $s$, at least 1.
        warmup: u64,
    }
    check(s) positive("factor", s.factor)
        .and(not_empty("Noam (width)", s.width))
        .and(not_empty("Noam (warmup)", s.warmup));
    rate(s, step) {
        let t = (step + 1) as f64;
        s.factor * (s.width as f64).powf(-0.5) * t.powf(-0.5).min(t * (s.warmup as f64).powf(-1.5))
    }
}

schedule! {
    /// A straight line between two multiples of the rate.
    Linear {
        /// $\eta_0$.
        base: f64,
        /// $a$.
        start_factor: f64,
        /// $b$.
        end_factor: f64,
        /// $s$, at least 1.
        steps: u64,
    }
    check(s) positive("base", s.base)
        .and(not_negative("start_factor", s.start_factor))
        .and(not_negative("end_factor", s.end_factor))
        .and(not_empty("Linear", s.steps));
    rate(s, step) {
        let share = (step as f64 / s.steps as f64).min(1.0);
        s.base * (s.start_factor + (s.end_factor - s.start_factor) * share)
    }
}

schedule! {
    /// A multiple of the rate for a while.
    Hold {
        /// $\eta_0$.
        base: f64,
        /// $a$.
        factor: f64,
        /// $s$, at least 1.
        steps: u64,
    }
    check(s) positive("base", s.base).and(not_negative("factor", s.factor)).and(not_empty("Hold", s.steps));
    rate(s, step) if step < s.steps { s.base * s.factor } else { s.base }
}

schedule! {
    /// A power of the share of steps that are left.
    Polynomial {
        /// $\eta_0$.
        base: f64,
        /// $s$, at least 1.
        steps: u64,
        /// $p$.
        power: f64,
    }
    check(s) positive("base", s.base).and(not_empty("Polynomial", s.steps)).and(positive("power", s.power));
    rate(s, step) s.base * (1.0 - (step as f64 / s.steps as f64).min(1.0)).powf(s.power)
}

schedule! {
    /// The textbook's line from one rate to another.
    Goodfellow {
        /// $\epsilon_0$.
        start: f64,
        /// $\epsilon_\tau$, about 1 % of $\epsilon_0$.
        end: f64,
        /// $\tau$, at least 1.
        steps: u64,
    }
    check(s) positive("start", s.start).and(not_negative("end", s.end)).and(not_empty("Goodfellow", s.steps));
    rate(s, step) {
        let share = (step as f64 / s.steps as f64).min(1.0);
        (1.0 - share) * s.start + share * s.end
    }
}

schedule! {
    /// Half a cosine.
    Cosine {
        /// $\eta_0$.
        base: f64,
        /// Steps until the minimum, at least 1.
        steps: u64,
        /// The last rate.
        minimum: f64,
    }
    check(s) positive("base", s.base).and(not_empty("Cosine", s.steps)).and(not_negative("minimum", s.minimum));
    rate(s, step) cosine(s.base, s.minimum, (step as f64 / s.steps as f64).min(1.0))
}

schedule! {
    /// Cosines with warm restarts.
    Sgdr {
        /// $\eta_0$, at each restart.
        base: f64,
        /// $T_0$: steps of the first period, at least 1.
        period: u64,
        /// $T_{mult}$: each period is so many times the one before, at least 1.
        growth: u64,
        /// The rate that each period approaches.
        minimum: f64,
    }
    check(s) positive("base", s.base)
        .and(not_empty("Sgdr (period)", s.period))
        .and(not_empty("Sgdr (growth)", s.growth))
        .and(not_negative("minimum", s.minimum));
    rate(s, step) s.at(step as f64)
}

impl Sgdr {
    /// The rate at a fraction of a step, for schedules that count epochs and change within one.
    pub fn at(&self, step: f64) -> f64 {
        let (mut start, mut period) = (0.0, self.period as f64);
        if self.growth == 1 {
            start = (step / period).floor() * period;
        } else {
            while step >= start + period {
                start += period;
                period *= self.growth as f64;
            }
        }
        cosine(self.base, self.minimum, (step - start) / period)
    }
}

/// How [`OneCycle`] goes from one rate to the next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Anneal {
    /// Along half a cosine.
    #[default]
    Cosine,
    /// Along a line.
    Linear,
}

schedule! {
    /// One rise and one fall; the momentum falls and rises.
    OneCycle {
        /// The largest rate.
        largest: f64,
        /// Steps of the whole cycle, at least 2.
        steps: u64,
        /// Share of the steps that rise, in (0, 1).
        rise: f64,
        /// Shape.
        anneal: Anneal,
        /// The first rate is the largest over this.
        start_divisor: f64,
        /// The last rate is the first over this.
        end_divisor: f64,
        /// Whether the fall goes to the first rate in as many steps as the rise, and then to the last rate.
        is_three_phase: bool,
        /// Momentum at the largest rate, and at the first and last.
        momentum: [f64; 2],
    }
    check(s) {
        positive("largest", s.largest)?;
        positive("start_divisor", s.start_divisor)?;
        positive("end_divisor", s.end_divisor)?;
        for value in s.momentum {
            if !(0.0..1.0).contains(&value) {
                return Err(Error::InvalidHyper { name: "momentum", rule: "in [0, 1)", value });
            }
        }
        let (end, total) = (if s.is_three_phase { 0.5 } else { 1.0 }, s.steps as f64);
        if s.steps < 2 {
            return Err(Error::EmptySchedule { what: "OneCycle" });
        }
        if s.rise * total > 1.0 && s.rise < end {
            Ok(())
        } else {
            Err(Error::InvalidHyper {
                name: "rise",
                rule: "more than one step and less than all (half of all with three phases)",
                value: s.rise,
            })
        }
    };
    rate(s, step) s.at(step)[0]
}

impl Default for OneCycle {
    /// PyTorch's values for a cycle of 100 steps to the rate 0.1.
    fn default() -> Self {
        Self {
            largest: 0.1,
            steps: 100,
            rise: 0.3,
            anneal: Anneal::Cosine,
            start_divisor: 25.0,
            end_divisor: 1e4,
            is_three_phase: false,
            momentum: [0.85, 0.95],
        }
    }
}

impl OneCycle {
    /// The momentum of a step.
    pub fn momentum(&self, step: u64) -> f64 {
        self.at(step)[1]
    }

    /// Rate and momentum.
    fn at(&self, step: u64) -> [f64; 2] {
        let first = self.largest / self.start_divisor;
        let last = first / self.end_divisor;
        let [low, high] = self.momentum;
        let total = self.steps as f64;
        let top = self.rise * total - 1.0;
        let [first, largest, last] = [[first, high], [self.largest, low], [last, high]];
        let mut phases = vec![(top, first, largest)];
        if self.is_three_phase {
            phases.push((2.0 * self.rise * total - 2.0, largest, first));
            phases.push((total - 1.0, first, last));
        } else {
            phases.push((total - 1.0, largest, last));
        }
        let step = step as f64;
        let mut start = 0.0;
        for (end, from, to) in phases {
            if step <= end {
                let share = (step - start) / (end - start);
                return [0, 1].map(|i| match self.anneal {
                    Anneal::Cosine => cosine(from[i], to[i], share),
                    Anneal::Linear => from[i] + (to[i] - from[i]) * share,
                });
            }
            start = end;
        }
        last
    }
}

/// Heights of the triangles of [`Cyclic`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Triangles {
    /// All the same.
    Equal,
    /// Each half of the one before.
    Halving,
    /// Times $\gamma^t$.
    Exponential(f64),
}

schedule! {
    /// Triangles between two rates.
    Cyclic {
        /// Rate at the foot.
        base: f64,
        /// Rate at the first top.
        largest: f64,
        /// Steps up, at least 1.
        up: u64,
        /// Steps down, at least 1.
        down: u64,
        /// Heights.
        triangles: Triangles,
    }
    check(s) {
        not_negative("base", s.base)?;
        positive("largest", s.largest)?;
        not_empty("Cyclic (up)", s.up)?;
        not_empty("Cyclic (down)", s.down)?;
        match s.triangles {
            Triangles::Exponential(gamma) => share("gamma", gamma),
            _ => Ok(()),
        }
    };
    rate(s, step) {
        let (cycle, at) = (step / (s.up + s.down), (step % (s.up + s.down)) as f64);
        let (up, down) = (s.up as f64, s.down as f64);
        let height = if at <= up { at / up } else { (up + down - at) / down };
        let scale = match s.triangles {
            Triangles::Equal => 1.0,
            Triangles::Halving => 0.5_f64.powf(cycle as f64),
            Triangles::Exponential(gamma) => gamma.powf(step as f64),
        };
        s.base + (s.largest - s.base) * height * scale
    }
}

/// A linear rise to the first rate of another schedule, which then starts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Warmup<S> {
    /// Steps of the rise, at least 1.
    pub steps: u64,
    /// Share of the first rate in step 0.
    pub start_factor: f64,
    /// What comes then, counted from 0 again.
    pub then: S,
}

impl<S: Schedule> Warmup<S> {
    /// The schedule itself when every value is in its range.
    ///
    /// # Errors
    /// [`Error::EmptySchedule`] for no steps, [`Error::InvalidHyper`] for a share outside of [0, 1].
    pub fn check(self) -> Result<Self, Error> {
        not_empty("Warmup", self.steps)?;
        let value = self.start_factor;
        if !(0.0..=1.0).contains(&value) {
            return Err(Error::InvalidHyper { name: "start_factor", rule: "in [0, 1]", value });
        }
        Ok(self)
    }
}

impl<S: Schedule> Schedule for Warmup<S> {
    fn learning_rate(&self, step: u64) -> f64 {
        match step.checked_sub(self.steps) {
            Some(step) => self.then.learning_rate(step),
            None => {
                let share = step as f64 / self.steps as f64;
                self.then.learning_rate(0) * (self.start_factor + (1.0 - self.start_factor) * share)
            }
        }
    }
}

/// Schedules one after another, each counted from 0 again; the last goes on.
#[derive(Default)]
pub struct Sequence {
    parts: Vec<(u64, Box<dyn Schedule + Send + Sync>)>,
}

impl std::fmt::Debug for Sequence {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.parts.iter().map(|(steps, _)| steps)).finish()
    }
}

impl Sequence {
    /// `steps` steps of `part` after what is there.
    #[must_use]
    pub fn then(mut self, steps: u64, part: impl Schedule + Send + Sync + 'static) -> Self {
        self.parts.push((steps, Box::new(part)));
        self
    }

    /// The sequence itself when it has a part and no part is empty.
    ///
    /// # Errors
    /// [`Error::EmptySchedule`].
    pub fn check(self) -> Result<Self, Error> {
        not_empty("Sequence", self.parts.len() as u64)?;
        self.parts.iter().try_for_each(|(steps, _)| not_empty("Sequence (part)", *steps))?;
        Ok(self)
    }
}

impl Schedule for Sequence {
    /// NaN when there is no part, which [`check`](Sequence::check) and every optimiser refuse.
    fn learning_rate(&self, step: u64) -> f64 {
        let mut start = 0;
        for (position, (steps, part)) in self.parts.iter().enumerate() {
            if step < start + steps || position + 1 == self.parts.len() {
                return part.learning_rate(step - start);
            }
            start += steps;
        }
        f64::NAN
    }
}

/// The rate falls when a metric has not become smaller for a while.
///
/// ```
/// use optim::schedules::{Plateau, PlateauConfig};
/// let mut plateau = Plateau::try_new(PlateauConfig { patience: 1, ..Default::default() })?;
/// let rates: Vec<f64> = [1.0, 1.0, 1.0].iter().map(|&loss| plateau.observe(loss)).collect();
/// assert!(rates[..2] == [0.1, 0.1] && (rates[2] - 0.01).abs() < 1e-15);
/// # Ok::<(), optim::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Plateau {
    config: PlateauConfig,
    rate: f64,
    best: f64,
    stalled: u64,
    resting: u64,
}

/// Hyperparameters of [`Plateau`]; the defaults are PyTorch's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PlateauConfig {
    /// $\eta_0$. Default 0.1.
    pub base: f64,
    /// Factor of a fall, in (0, 1). Default 0.1.
    pub factor: f64,
    /// Observations without progress that are forgiven. Default 10.
    pub patience: u64,
    /// Progress is a metric below the best times one minus this. Default 1e-4.
    pub threshold: f64,
    /// Observations after a fall that do not count. Default 0.
    pub cooldown: u64,
    /// The smallest rate. Default 0.
    pub minimum: f64,
}

impl Default for PlateauConfig {
    fn default() -> Self {
        Self { base: 0.1, factor: 0.1, patience: 10, threshold: 1e-4, cooldown: 0, minimum: 0.0 }
    }
}

impl Plateau {
    /// Before the first observation.
    ///
    /// # Errors
    /// [`Error::InvalidHyper`] names the first value out of range.
    pub fn try_new(config: PlateauConfig) -> Result<Self, Error> {
        positive("base", config.base)?;
        not_negative("minimum", config.minimum)?;
        for (name, value) in [("factor", config.factor), ("threshold", config.threshold)] {
            if !(0.0..1.0).contains(&value) {
                return Err(Error::InvalidHyper { name, rule: "in [0, 1)", value });
            }
        }
        Ok(Self { config, rate: config.base, best: f64::INFINITY, stalled: 0, resting: 0 })
    }

    /// The rate after one more value of the metric, smaller being better. A NaN is no progress.
    pub fn observe(&mut self, metric: f64) -> f64 {
        let PlateauConfig { factor, patience, threshold, cooldown, minimum, .. } = self.config;
        if metric < self.best * (1.0 - threshold) {
            self.best = metric;
            self.stalled = 0;
        } else {
            self.stalled += 1;
        }
        if self.resting > 0 {
            self.resting -= 1;
            self.stalled = 0;
        }
        if self.stalled > patience {
            self.rate = (self.rate * factor).max(minimum).min(self.rate);
            self.resting = cooldown;
            self.stalled = 0;
        }
        self.rate
    }

    /// The rate now.
    pub fn learning_rate(&self) -> f64 {
        self.rate
    }
}
