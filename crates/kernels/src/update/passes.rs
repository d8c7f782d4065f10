//! The loops of a step: one body for every [`Element`], the sums of squares, and the common rules compiled here.
use super::{Element, Prepare, Run};
use crate::Real;
use crate::loops::CHUNK;
use crate::simd::{Body, simd};

/// [`Prepare`] in the dtype of the tensor.
#[derive(Clone, Copy)]
struct Prepared<E> {
    scale: E,
    limit: E,
    l2: E,
    keep: E,
}

impl<E: Real> Prepared<E> {
    fn new(prepare: Prepare) -> Self {
        let Prepare { scale, limit, l2, decay } = prepare;
        Self { scale: E::of(scale), limit: E::of(limit), l2: E::of(l2), keep: E::of(1.0 - decay) }
    }

    #[inline(always)]
    fn gradient(self, w: E, g: E) -> E {
        let g = g * self.scale;
        // Comparisons with NaN are false, so a NaN stays one.
        let g = if g > self.limit { self.limit } else { g };
        let g = if g < -self.limit { -self.limit } else { g };
        self.l2.mul_add(w, g)
    }
}

struct Each<'a, E, F, const N: usize> {
    weights: &'a mut [E],
    gradient: &'a [E],
    slots: [&'a mut [E]; N],
    prepared: Prepared<E>,
    element: F,
}

/// Elements of a block that is taken from memory at once, changed, and put back: the compiler then needs no proof that
/// weights, gradient and slots do not overlap, and keeps a block of each in registers. With 16 it unrolls a short rule
/// before it looks for vectors, and finds none; with 64 and AVX2 registers run out.
const BLOCK: usize = 32;

impl<E: Real, F: Element<E, N>, const N: usize> Each<'_, E, F, N> {
    #[inline(always)]
    fn block(prepared: Prepared<E>, element: F, w: &mut [E; BLOCK], g: &[E; BLOCK], s: &mut [[E; BLOCK]; N]) {
        for i in 0..BLOCK {
            let mut at = [E::zero(); N];
            for j in 0..N {
                at[j] = s[j][i];
            }
            let g = prepared.gradient(w[i], g[i]);
            let (new, at) = element.apply(w[i] * prepared.keep, g, at);
            w[i] = new;
            for j in 0..N {
                s[j][i] = at[j];
            }
        }
    }
}

impl<E: Real, F: Element<E, N>, const N: usize> Body for Each<'_, E, F, N> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        let Self { weights, gradient, slots, prepared, element } = self;
        let n = weights.len();
        let (weights, w_rest) = weights.as_chunks_mut::<BLOCK>();
        let (gradient, g_rest) = gradient[..n].as_chunks::<BLOCK>();
        let mut s_rest: [&mut [E]; N] = std::array::from_fn(|_| &mut [][..]);
        let mut rests = s_rest.iter_mut();
        let slots = slots.map(|slot| {
            let (blocks, rest) = slot[..n].as_chunks_mut::<BLOCK>();
            *rests.next().expect("as many as slots") = rest;
            blocks
        });
        for (i, (w_block, g)) in weights.iter_mut().zip(gradient).enumerate() {
            let (mut w, g) = (*w_block, *g);
            let mut s: [[E; BLOCK]; N] = std::array::from_fn(|j| slots[j][i]);
            Self::block(prepared, element, &mut w, &g, &mut s);
            *w_block = w;
            for j in 0..N {
                slots[j][i] = s[j];
            }
        }
        let left = w_rest.len();
        let (mut w, mut g) = ([E::zero(); BLOCK], [E::zero(); BLOCK]);
        let mut s = [[E::zero(); BLOCK]; N];
        w[..left].copy_from_slice(w_rest);
        g[..left].copy_from_slice(g_rest);
        for (s, rest) in s.iter_mut().zip(&s_rest) {
            s[..left].copy_from_slice(rest);
        }
        Self::block(prepared, element, &mut w, &g, &mut s);
        w_rest.copy_from_slice(&w[..left]);
        for (s, rest) in s.iter().zip(&mut s_rest) {
            rest.copy_from_slice(&s[..left]);
        }
    }
}

/// Applies an element rule to a run.
pub fn each<E: Real, const N: usize>(run: Run<'_, E>, element: impl Element<E, N>) {
    let Run { weights, gradient, slots, prepare, .. } = run;
    let mut slots = slots.into_iter();
    let slots = std::array::from_fn(|_| slots.next().expect("at most MAX_SLOTS slots"));
    simd(Each { weights, gradient, slots, prepared: Prepared::new(prepare), element })
}

struct Prepares<'a, E> {
    weights: &'a mut [E],
    gradient: &'a mut [E],
    prepared: Prepared<E>,
}
impl<E: Real> Body for Prepares<'_, E> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        let Self { weights, gradient, prepared } = self;
        for (w, g) in weights.iter_mut().zip(gradient) {
            *g = prepared.gradient(*w, *g);
            *w *= prepared.keep;
        }
    }
}

const LANES: usize = 16;

/// Slices of [`CHUNK`] elements whose squares are added at the same time.
pub(super) const SIDE_BY_SIDE: usize = 4;

/// Σ x², in 16 lanes of f64, over blocks of sixteen elements and the elements that are left.
///
/// Blocks and not indices, and a loop and not `for_each`: with a bound to check for each element, or the lanes behind a
/// closure, it is not vectorised and takes up to twenty times as long.
#[inline(always)]
fn lanes(blocks: impl Iterator<Item = [f64; LANES]>, rest: impl Iterator<Item = f64>) -> f64 {
    let mut lanes = [0.0_f64; LANES];
    for block in blocks {
        add_squares(&mut lanes, block);
    }
    total(lanes) + rest.fold(0.0, |sum: f64, x| x.mul_add(x, sum))
}

#[inline(always)]
fn add_squares(lanes: &mut [f64; LANES], block: [f64; LANES]) {
    for (lane, x) in lanes.iter_mut().zip(block) {
        *lane = x.mul_add(x, *lane);
    }
}

/// The sum of the lanes.
#[inline(always)]
fn total(lanes: [f64; LANES]) -> f64 {
    let s: [f64; 4] = std::array::from_fn(|j| (lanes[j] + lanes[j + 4]) + (lanes[j + 8] + lanes[j + 12]));
    (s[0] + s[1]) + (s[2] + s[3])
}

struct Squares<'a, E>(&'a [E]);
impl<E: Real> Body for Squares<'_, E> {
    type Out = f64;
    #[inline(always)]
    fn run(self) -> f64 {
        let (blocks, rest) = self.0.as_chunks::<LANES>();
        lanes(blocks.iter().map(|block| block.map(E::as_f64)), rest.iter().map(|x| x.as_f64()))
    }
}

/// [`Squares`] of four slices of [`CHUNK`] elements, side by side: the additions of one wait for each other, those of
/// four do not.
struct FourSquares<'a, E>([&'a [E; CHUNK]; SIDE_BY_SIDE]);
impl<E: Real> Body for FourSquares<'_, E> {
    type Out = [f64; SIDE_BY_SIDE];
    #[inline(always)]
    fn run(self) -> Self::Out {
        let blocks = self.0.map(|slice| slice.as_chunks::<LANES>().0);
        let mut sums = [[0.0_f64; LANES]; SIDE_BY_SIDE];
        for i in 0..CHUNK / LANES {
            for (sums, blocks) in sums.iter_mut().zip(blocks) {
                add_squares(sums, blocks[i].map(E::as_f64));
            }
        }
        sums.map(total)
    }
}

/// Elements between two looks at [`IsFinite`]'s lanes: as many registers as the additions take to end.
const WIDE: usize = 64;

/// Whether no element is NaN or infinite: zero times any of those is no zero, and what is no number stays none in a sum.
struct IsFinite<'a, E>(&'a [E]);
impl<E: Real> Body for IsFinite<'_, E> {
    type Out = bool;
    #[inline(always)]
    fn run(self) -> bool {
        let (blocks, rest) = self.0.as_chunks::<WIDE>();
        let mut lanes = [E::zero(); WIDE];
        for block in blocks {
            for (lane, &x) in lanes.iter_mut().zip(block) {
                *lane = x.mul_add(E::zero(), *lane);
            }
        }
        lanes.iter().chain(rest).all(|x| x.is_finite())
    }
}

struct PreparedSquares<'a, E>(Prepared<E>, &'a [E], &'a [E]);
impl<E: Real> Body for PreparedSquares<'_, E> {
    type Out = f64;
    #[inline(always)]
    fn run(self) -> f64 {
        let Self(prepared, w, g) = self;
        let ((w, w_rest), (g, g_rest)) = (w.as_chunks::<LANES>(), g[..w.len()].as_chunks::<LANES>());
        let of = |(&w, &g): (&E, &E)| prepared.gradient(w, g).as_f64();
        let blocks = w.iter().zip(g).map(|(w, g)| std::array::from_fn(|j| of((&w[j], &g[j]))));
        lanes(blocks, w_rest.iter().zip(g_rest).map(of))
    }
}

/// Momentum of [`sgd`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SgdMomentum {
    /// $\mu$.
    pub coefficient: f64,
    /// What the new gradient is multiplied with: 1 without dampening.
    pub share: f64,
    /// Whether the direction is $g + \mu v$ (Nesterov) and not $v$.
    pub is_nesterov: bool,
}

#[derive(Clone, Copy)]
struct Plain<E> {
    rate: E,
}
impl<E: Real> Element<E, 0> for Plain<E> {
    #[inline(always)]
    fn apply(self, w: E, g: E, slots: [E; 0]) -> (E, [E; 0]) {
        (g.mul_add(-self.rate, w), slots)
    }
}

/// The direction is `of_v` v + `of_g` g.
#[derive(Clone, Copy)]
struct Heavy<E> {
    rate: E,
    momentum: E,
    share: E,
    of_v: E,
    of_g: E,
}
impl<E: Real> Element<E, 1> for Heavy<E> {
    #[inline(always)]
    fn apply(self, w: E, g: E, [v]: [E; 1]) -> (E, [E; 1]) {
        let v = self.momentum.mul_add(v, self.share * g);
        let direction = self.of_v.mul_add(v, self.of_g * g);
        (direction.mul_add(-self.rate, w), [v])
    }
}

/// A step of gradient descent: $w \leftarrow w - \eta g$, or with momentum $v \leftarrow \mu v + (1-\tau) g$ in slot 0
/// and $w \leftarrow w - \eta v$, Nesterov $w \leftarrow w - \eta (g + \mu v)$.
pub fn sgd<E: Real>(run: Run<'_, E>, learning_rate: f64, momentum: Option<SgdMomentum>) {
    E::sgd(run, learning_rate, momentum)
}

/// What [`adam`] needs of one step; powers and roots are computed once, in f64.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamStep {
    /// $\eta / (1 - \beta_1^t)$.
    pub rate: f64,
    /// $\beta_1$.
    pub beta1: f64,
    /// $\beta_2$.
    pub beta2: f64,
    /// $\sqrt{1 - \beta_2^t}$.
    pub root_correction: f64,
    /// $\epsilon$, added to the corrected root.
    pub epsilon: f64,
    /// Whether slot 2 keeps the largest $v$ so far, and the step divides by its root (AMSGrad).
    pub keeps_maximum: bool,
}

/// a / b, and 0 for 0 / 0: with $\epsilon = 0$ a weight that has never had a gradient does not move.
#[inline(always)]
fn ratio<E: Real>(a: E, b: E) -> E {
    if a == E::zero() { a } else { a / b }
}

#[derive(Clone, Copy)]
struct Adam<E> {
    rate: E,
    beta1: E,
    beta2: E,
    share1: E,
    share2: E,
    inverse_root: E,
    epsilon: E,
}
impl<E: Real> Adam<E> {
    #[inline(always)]
    fn moments(self, g: E, m: E, v: E) -> [E; 2] {
        [self.beta1.mul_add(m, self.share1 * g), self.beta2.mul_add(v, self.share2 * (g * g))]
    }
    #[inline(always)]
    fn moved(self, w: E, m: E, v: E) -> E {
        w - ratio(self.rate * m, v.sqrt().mul_add(self.inverse_root, self.epsilon))
    }
}
impl<E: Real> Element<E, 2> for Adam<E> {
    #[inline(always)]
    fn apply(self, w: E, g: E, [m, v]: [E; 2]) -> (E, [E; 2]) {
        let [m, v] = self.moments(g, m, v);
        (self.moved(w, m, v), [m, v])
    }
}
impl<E: Real> Element<E, 3> for Adam<E> {
    #[inline(always)]
    fn apply(self, w: E, g: E, [m, v, max]: [E; 3]) -> (E, [E; 3]) {
        let [m, v] = self.moments(g, m, v);
        let max = if v > max { v } else { max };
        (self.moved(w, m, max), [m, v, max])
    }
}

/// A step of Adam with the moments in slots 0 and 1 (and the largest second moment in slot 2):
/// $w \leftarrow w - \eta \hat m / (\sqrt{\hat v} + \epsilon)$.
pub fn adam<E: Real>(run: Run<'_, E>, step: AdamStep) {
    E::adam(run, step)
}

/// What [`rmsprop`] needs of one step. Slot 0 is $v$, slot 1 the mean gradient, slot 2 the momentum buffer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RmsPropStep {
    /// $\eta$.
    pub rate: f64,
    /// $\alpha$.
    pub alpha: f64,
    /// $\epsilon$.
    pub epsilon: f64,
    /// Whether $\epsilon$ is added under the root (TensorFlow) and not to it (PyTorch).
    pub epsilon_in_root: bool,
    /// Whether the square of the mean gradient is subtracted from $v$.
    pub is_centred: bool,
    /// $\mu$.
    pub momentum: f64,
}

#[derive(Clone, Copy)]
struct RmsProp<E> {
    rate: E,
    alpha: E,
    share: E,
    /// Under the root and beside it; one is 0.
    epsilon: [E; 2],
    /// 1 or 0.
    centred: E,
    momentum: E,
}
impl<E: Real> Element<E, 3> for RmsProp<E> {
    #[inline(always)]
    fn apply(self, w: E, g: E, [v, mean, buffer]: [E; 3]) -> (E, [E; 3]) {
        let v = self.alpha.mul_add(v, self.share * (g * g));
        let mean = self.alpha.mul_add(mean, self.share * g);
        let variance = v - self.centred * (mean * mean);
        let direction = ratio(g, (variance + self.epsilon[0]).sqrt() + self.epsilon[1]);
        let buffer = self.momentum.mul_add(buffer, direction);
        (w - self.rate * buffer, [v, mean, buffer])
    }
}
#[derive(Clone, Copy)]
struct PlainRmsProp<E>(RmsProp<E>);
impl<E: Real> Element<E, 1> for PlainRmsProp<E> {
    #[inline(always)]
    fn apply(self, w: E, g: E, [v]: [E; 1]) -> (E, [E; 1]) {
        let zero = E::zero();
        let (w, [v, ..]) = Element::<E, 3>::apply(self.0, w, g, [v, zero, zero]);
        (w, [v])
    }
}

/// A step of RMSprop: $w \leftarrow w - \eta g / (\sqrt v + \epsilon)$. Without centring and momentum, slot 0 alone is
/// used.
pub fn rmsprop<E: Real>(run: Run<'_, E>, step: RmsPropStep) {
    E::rmsprop(run, step)
}

/// The loops of one run, compiled in this crate for both element types.
pub trait Updates: Sized {
    /// g = g′ and w = w′.
    fn prepare(prepare: Prepare, weights: &mut [Self], gradient: &mut [Self]);
    /// Σ x².
    fn squares(x: &[Self]) -> f64;
    /// Σ x² of each, with the bits of [`squares`](Self::squares).
    fn four_squares(x: [&[Self; CHUNK]; SIDE_BY_SIDE]) -> [f64; SIDE_BY_SIDE];
    /// Whether no element is NaN or infinite.
    fn all_finite(x: &[Self]) -> bool;
    /// Σ g′².
    fn prepared_squares(prepare: Prepare, weights: &[Self], gradient: &[Self]) -> f64;
    /// Body of [`sgd`].
    fn sgd(run: Run<'_, Self>, learning_rate: f64, momentum: Option<SgdMomentum>);
    /// Body of [`adam`].
    fn adam(run: Run<'_, Self>, step: AdamStep);
    /// Body of [`rmsprop`].
    fn rmsprop(run: Run<'_, Self>, step: RmsPropStep);
}

macro_rules! updates {
    ($type:ty) => {
        impl Updates for $type {
            fn prepare(prepare: Prepare, weights: &mut [Self], gradient: &mut [Self]) {
                simd(Prepares { weights, gradient, prepared: Prepared::new(prepare) })
            }
            fn squares(x: &[Self]) -> f64 {
                simd(Squares(x))
            }
            fn four_squares(x: [&[Self; CHUNK]; SIDE_BY_SIDE]) -> [f64; SIDE_BY_SIDE] {
                simd(FourSquares(x))
            }
            fn all_finite(x: &[Self]) -> bool {
                simd(IsFinite(x))
            }
            fn prepared_squares(prepare: Prepare, weights: &[Self], gradient: &[Self]) -> f64 {
                simd(PreparedSquares(Prepared::new(prepare), weights, gradient))
            }
            fn sgd(run: Run<'_, Self>, learning_rate: f64, momentum: Option<SgdMomentum>) {
                let rate = learning_rate as Self;
                let Some(SgdMomentum { coefficient, share, is_nesterov }) = momentum else {
                    return each(run, Plain { rate });
                };
                let (momentum, share) = (coefficient as Self, share as Self);
                let [of_v, of_g] = if is_nesterov { [momentum, 1.0] } else { [1.0, 0.0] };
                each(run, Heavy { rate, momentum, share, of_v, of_g })
            }
            fn adam(run: Run<'_, Self>, step: AdamStep) {
                let AdamStep { rate, beta1, beta2, root_correction, epsilon, keeps_maximum } = step;
                let element = Adam {
                    rate: rate as Self,
                    beta1: beta1 as Self,
                    beta2: beta2 as Self,
                    share1: (1.0 - beta1) as Self,
                    share2: (1.0 - beta2) as Self,
                    inverse_root: (1.0 / root_correction) as Self,
                    epsilon: epsilon as Self,
                };
                if keeps_maximum { each::<_, 3>(run, element) } else { each::<_, 2>(run, element) }
            }
            fn rmsprop(run: Run<'_, Self>, step: RmsPropStep) {
                let RmsPropStep { rate, alpha, epsilon, epsilon_in_root, is_centred, momentum } = step;
                let epsilon = epsilon as Self;
                let element = RmsProp {
                    rate: rate as Self,
                    alpha: alpha as Self,
                    share: (1.0 - alpha) as Self,
                    epsilon: if epsilon_in_root { [epsilon, 0.0] } else { [0.0, epsilon] },
                    centred: if is_centred { 1.0 } else { 0.0 },
                    momentum: momentum as Self,
                };
                if is_centred || momentum != 0.0 {
                    each(run, element)
                } else {
                    each(run, PlainRmsProp(element))
                }
            }
        }
    };
}

updates!(f32);
updates!(f64);
