//! What every operation must keep, whatever family it belongs to. A family describes its operations as [`Case`]s;
//! the laws are written once:
//!
//! - the fused body agrees with the composition of dfdx operations, values and gradients,
//! - gradients are central differences in f64,
//! - f32 is near f64,
//! - values are the same bits without a tape,
//! - values and gradients are the same bits for pools of 1, 2 and 7 threads,
//! - a linear operator and its backward pass are adjoint: ⟨A u, v⟩ = ⟨u, Aᵀ v⟩.
//!
//! What an operation answers to sizes of 0 and to what does not fit is the law of [`hostile`](super::hostile).
use crate::pool::with_threads;
use crate::{Device, Real, RowMajor as _, random::Key};
use dfdx::prelude::*;
use std::fmt::Debug;

/// The tape of a run with gradients. Laws in f64 use no other: every further pair of types that [`Case::run`] is used with
/// costs a minute of compilation.
pub type Traced<E> = OwnedTape<E, Cpu>;
/// What a case gives back: all outputs one after the other.
pub type Flat<E, T, D = Cpu> = Tensor<(usize,), E, D, T>;

/// Which of the two bodies of an operation runs: a type, so that only those are compiled that a law asks for. Tests of
/// `IS_FUSED` name the constant itself, for the compiler sees through nothing else.
pub trait Body {
    /// Whether it is the one of `Cpu`.
    const IS_FUSED: bool;
}
/// The body of `Cpu`.
pub struct Fused;
/// The body made of dfdx operations.
pub struct Composed;
impl Body for Fused {
    const IS_FUSED: bool = true;
}
impl Body for Composed {
    const IS_FUSED: bool = false;
}

/// Every device trait at once. A family with a body for `Cpu` alone adds its trait here.
pub trait Everything<E: Real>:
    Device<E> + crate::sequence::SequenceDevice<E> + crate::sparse::SparseDevice<E>
{
}
impl Everything<f32> for Cpu {}
impl Everything<f64> for Cpu {}

/// One operation at one size, with one choice of options.
pub trait Case: Copy + Debug + Sync {
    /// The method of the device trait whose bodies run, or the function that is a composition.
    fn operation(self) -> &'static str;
    /// The tensors that go in.
    fn inputs(self) -> Vec<Spec>;
    /// Layouts in which the inputs are tried.
    fn layouts(self) -> &'static [Layout] {
        &[Layout::RowMajor, Layout::ColumnMajor, Layout::FirstRepeated, Layout::LastRepeated]
    }
    /// Whether the output is linear in the first input when the others are held.
    fn is_linear(self) -> bool {
        false
    }
    /// Whether there is a composed body.
    fn is_composed(self) -> bool {
        true
    }
    /// Factor on all tolerances, 1 unless a comment says why.
    fn slack(self) -> f64 {
        1.0
    }
}

/// A case whose operation every device has.
pub trait Portable: Case {
    /// Runs one body on the inputs. Tensors that carry the tape come from [`Input::taped`], others from
    /// [`Input::plain`]; gradients are looked up by the id of each leaf, which views keep.
    fn run_on<B: Body, E: Real, D: Device<E>, T: Tape<E, D>>(self, x: &[Input<E, D>]) -> Flat<E, T, D>;
}

/// A case that runs on `Cpu`: each portable one, and those of families that no other device has.
pub trait CpuCase: Case {
    /// As [`Portable::run_on`].
    fn run<B: Body, E: Real, T: Tape<E, Cpu>>(self, x: &[Input<E>]) -> Flat<E, T>
    where
        Cpu: Everything<E>;
}

impl<C: Portable> CpuCase for C {
    fn run<B: Body, E: Real, T: Tape<E, Cpu>>(self, x: &[Input<E>]) -> Flat<E, T>
    where
        Cpu: Everything<E>,
    {
        self.run_on::<B, E, Cpu, T>(x)
    }
}

/// How the elements of an input lie in memory.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Layout {
    RowMajor,
    /// The last axis has the largest stride.
    ColumnMajor,
    /// One slice along the first axis, repeated.
    FirstRepeated,
    /// One slice along the last axis, repeated.
    LastRepeated,
}

/// Which numbers an input holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Numbers {
    /// Standard normal, at least 0.01 away from 0, where some functions have a kink.
    Normal,
    /// Between 0.1 and about 3.
    Positive,
    /// Strictly between 0 and 1.
    Unit,
    /// A shuffled grid with steps of 1/8: no two elements near each other, so no tie and no kink at a maximum.
    Distinct,
}

/// Shape and contents of one input.
#[derive(Clone, Debug)]
pub struct Spec {
    shape: Vec<usize>,
    numbers: Numbers,
    scale: f64,
    is_pinned: bool,
    has_gradient: bool,
}

impl Spec {
    /// Normal numbers, in the layout under test, with a gradient.
    pub fn new(shape: impl Into<Vec<usize>>) -> Self {
        Self {
            shape: shape.into(),
            numbers: Numbers::Normal,
            scale: 1.0,
            is_pinned: false,
            has_gradient: true,
        }
    }
    /// Other numbers.
    pub fn holding(self, numbers: Numbers) -> Self {
        Self { numbers, ..self }
    }
    /// Numbers times `scale`.
    pub fn scaled(self, scale: f64) -> Self {
        Self { scale, ..self }
    }
    /// Row-major in every run: for operands that cannot be anything else.
    pub fn pinned(self) -> Self {
        Self { is_pinned: true, ..self }
    }
    /// Data: the operation gives it no gradient.
    pub fn data(self) -> Self {
        Self { has_gradient: false, ..self }
    }
}

/// The memory behind an input. A view of it keeps the id of the leaf.
#[derive(Clone, Debug)]
pub struct Input<E: Real, D: Storage<E> = Cpu> {
    pub leaf: Tensor<(usize,), E, D>,
    pub shape: Vec<usize>,
    layout: Layout,
    pub has_gradient: bool,
}

impl<E: Real, D: Device<E>> Input<E, D> {
    /// The same numbers for f32 and f64, up to rounding.
    pub fn draw(device: &D, key: Key, layout: Layout, spec: &Spec) -> Self {
        let layout = if spec.is_pinned { Layout::RowMajor } else { layout };
        let without = |axis: Option<&usize>| match axis {
            Some(&length) if length > 0 => spec.shape.iter().product::<usize>() / length,
            _ => spec.shape.iter().product(),
        };
        let n = match layout {
            Layout::RowMajor | Layout::ColumnMajor => without(None),
            Layout::FirstRepeated => without(spec.shape.first()),
            Layout::LastRepeated => without(spec.shape.last()),
        };
        let mut z = vec![0.0_f32; n];
        match spec.numbers {
            Numbers::Normal | Numbers::Positive => key.fill_normal(&mut z),
            Numbers::Unit => key.fill_uniform(&mut z),
            Numbers::Distinct => {
                for (z, place) in z.iter_mut().zip(key.permutation(n)) {
                    *z = (place as f32 - n as f32 / 2.0) / 8.0;
                }
            }
        }
        let number = |z: f32| match spec.numbers {
            Numbers::Normal if z < 0.0 => z - 0.01,
            Numbers::Normal => z + 0.01,
            Numbers::Positive => z.abs() + 0.1,
            Numbers::Unit => 0.01 + 0.98 * z,
            Numbers::Distinct => z,
        };
        let leaf = z.iter().map(|&z| E::of(f64::from(number(z)) * spec.scale)).collect();
        let leaf = device.tensor_from_vec(leaf, (n,));
        Self { leaf, shape: spec.shape.clone(), layout, has_gradient: spec.has_gradient }
    }

    /// The input as a tensor of a shape with the right lengths, without a tape.
    pub fn plain<S: View>(&self, shape: S) -> Tensor<S, E, D> {
        assert_eq!(shape.concrete().into_iter().collect::<Vec<_>>(), self.shape, "shape of an input");
        shape.view(self.leaf.clone(), self.layout)
    }

    /// The input with a tape of its own.
    pub fn taped<S: View, T: Tape<E, D>>(&self, shape: S) -> Tensor<S, E, D, T> {
        self.plain(shape).retaped::<T>()
    }

    /// The same input with one element of the leaf moved by `h`.
    fn moved(&self, element: usize, h: f64) -> Self {
        let mut leaf = self.leaf.as_vec();
        leaf[element] += E::of(h);
        self.holding(leaf)
    }

    fn holding(&self, leaf: Vec<E>) -> Self {
        Self { leaf: self.leaf.device().tensor_from_vec(leaf, *self.leaf.shape()), ..self.clone() }
    }
}

/// Shapes of one to four axes, seen in every layout.
pub trait View: Shape {
    fn view<E: Real, D: Device<E>>(self, leaf: Tensor<(usize,), E, D>, layout: Layout) -> Tensor<Self, E, D>;
}

impl<A: Dim> View for (A,) {
    fn view<E: Real, D: Device<E>>(self, leaf: Tensor<(usize,), E, D>, layout: Layout) -> Tensor<Self, E, D> {
        match layout {
            Layout::RowMajor | Layout::ColumnMajor => leaf.reshape_like(&self),
            Layout::FirstRepeated | Layout::LastRepeated => leaf.reshape_like(&()).broadcast_like(&self),
        }
    }
}

macro_rules! view {
    (($First:ident, [$($Middle:ident),*], $Last:ident), $Rotated:ty, $LastAxis:ty) => {
        #[allow(non_snake_case)]
        impl<$First: Dim, $($Middle: Dim,)* $Last: Dim> View for ($First, $($Middle,)* $Last) {
            fn view<E: Real, G: Device<E>>(
                self,
                leaf: Tensor<(usize,), E, G>,
                layout: Layout,
            ) -> Tensor<Self, E, G> {
                let ($First, $($Middle,)* $Last) = self;
                match layout {
                    Layout::RowMajor => leaf.reshape_like(&self),
                    Layout::ColumnMajor => {
                        leaf.reshape_like(&($Last, $First, $($Middle),*)).permute::<Self, $Rotated>()
                    }
                    Layout::FirstRepeated => {
                        leaf.reshape_like(&($($Middle,)* $Last,)).broadcast_like::<Self, Axis<0>>(&self)
                    }
                    Layout::LastRepeated => {
                        leaf.reshape_like(&($First, $($Middle),*)).broadcast_like::<Self, $LastAxis>(&self)
                    }
                }
            }
        }
    };
}
view!((A, [], B), Axes2<1, 0>, Axis<1>);
view!((A, [B], C), Axes3<1, 2, 0>, Axis<2>);
view!((A, [B, C], D), Axes4<1, 2, 3, 0>, Axis<3>);

/// A result as one axis.
pub fn flat<S: Shape, E: Real, D: Device<E>, T: Tape<E, D>>(y: Tensor<S, E, D, T>) -> Flat<E, T, D> {
    let n = y.shape().num_elements();
    y.try_reshaped(&(n,)).unwrap()
}

/// The elements of a tensor; dfdx's `as_vec` panics when there are none.
pub fn elements<S: Shape, E: Real, D: Device<E>, T>(t: &Tensor<S, E, D, T>) -> Vec<E> {
    if t.shape().num_elements() == 0 { vec![] } else { t.as_vec() }
}

/// Inputs of a case, drawn.
pub fn draw<E: Real>(case: impl Case, key: Key, layout: Layout) -> Vec<Input<E>>
where
    Cpu: Device<E>,
{
    draw_on(&Cpu::default(), case, key, layout)
}

/// Inputs of a case, drawn: the same numbers on each device.
pub fn draw_on<E: Real, D: Device<E>>(
    device: &D,
    case: impl Case,
    key: Key,
    layout: Layout,
) -> Vec<Input<E, D>> {
    let specs = case.inputs();
    specs.iter().enumerate().map(|(i, spec)| Input::draw(device, key.fold(i as u64), layout, spec)).collect()
}

/// Σ w y with fixed weights, so that every output has a gradient of its own.
fn weights<E: Real>(n: usize) -> Vec<E> {
    (0..n).map(|i| E::of(1.0 + (i as f64).sin())).collect()
}

/// Value, and the gradient of Σ w y with respect to every leaf that has one.
pub fn outcome<B: Body, E: Real>(case: impl CpuCase, x: &[Input<E>]) -> (Vec<E>, Vec<Vec<E>>)
where
    Cpu: Everything<E>,
{
    observed(case.run::<B, E, Traced<E>>(x), x)
}

/// The same of what a case has given back.
pub fn observed<E: Real, D: Device<E>>(
    y: Flat<E, OwnedTape<E, D>, D>,
    x: &[Input<E, D>],
) -> (Vec<E>, Vec<Vec<E>>) {
    let value = elements(&y);
    if value.is_empty() {
        return (value, vec![]);
    }
    let weights = y.device().tensor_from_vec(weights(value.len()), *y.shape());
    // Σ w y through dfdx, which this crate does not replace.
    let gradients = (y * weights).sum::<Rank0, _>().backward();
    let of = |x: &Input<E, D>| elements(&gradients.get(&x.leaf));
    (value, x.iter().filter(|x| x.has_gradient).map(of).collect())
}

/// The largest difference in units of the largest number of the second, or of 1 if all are 0 in
/// exact arithmetic.
pub fn difference<A: Real, B: Real>(a: &[A], b: &[B]) -> f64 {
    assert_eq!(a.len(), b.len(), "numbers of elements");
    let largest = b.iter().map(|b| b.as_f64().abs()).filter(|b| b.is_finite()).fold(0.0, f64::max);
    let unit = if largest < 1e-12 { 1.0 } else { largest };
    let off = |a: f64, b: f64| if a == b || (a.is_nan() && b.is_nan()) { 0.0 } else { (a - b).abs() / unit };
    let worst = a.iter().zip(b).map(|(a, b)| off(a.as_f64(), b.as_f64()));
    worst.fold(0.0, |worst, x| if x > worst || x.is_nan() { x } else { worst })
}

fn bits(x: &[f32]) -> Vec<u32> {
    x.iter().map(|x| x.to_bits()).collect()
}

/// Fused and composed bodies agree in f64.
pub fn bodies_agree(case: impl CpuCase, key: Key) {
    if !case.is_composed() {
        return;
    }
    for &layout in case.layouts() {
        let x = draw::<f64>(case, key, layout);
        let (value, gradients) = outcome::<Fused, _>(case, &x);
        let (want, want_gradients) = outcome::<Composed, _>(case, &x);
        let off = difference(&value, &want);
        // Measured 1.1e-14 for the first operations, sums of cancelling terms among them.
        assert!(off <= 1e-13 * case.slack(), "{case:?} {layout:?}: values differ by {off:e}");
        assert_eq!(gradients.len(), want_gradients.len());
        for (i, (got, want)) in gradients.iter().zip(&want_gradients).enumerate() {
            let off = difference(got, want);
            assert!(off <= 1e-12 * case.slack(), "{case:?} {layout:?}: gradient {i} differs by {off:e}");
        }
    }
}

/// Gradients of the fused body are central differences of its values, f64.
pub fn gradients_are_differences(case: impl CpuCase, key: Key) {
    for &layout in case.layouts() {
        let x = draw::<f64>(case, key, layout);
        let (_, gradients) = outcome::<Fused, _>(case, &x);
        let loss = |x: &[Input<f64>]| -> f64 {
            let y = elements(&case.run::<Fused, f64, Traced<f64>>(x));
            y.iter().zip(weights::<f64>(y.len())).map(|(y, w)| y * w).sum()
        };
        let inputs = x.iter().enumerate().filter(|(_, x)| x.has_gradient);
        for ((i, input), gradient) in inputs.zip(&gradients) {
            for element in (0..gradient.len()).step_by(gradient.len().div_ceil(5).max(1)) {
                let h = 6e-6 * input.leaf.as_vec()[element].abs().max(1.0);
                let moved = |h: f64| {
                    let mut x = x.clone();
                    x[i] = x[i].moved(element, h);
                    loss(&x)
                };
                let want = (moved(h) - moved(-h)) / (2.0 * h);
                let scale = gradient.iter().map(|g| g.abs()).fold(want.abs(), f64::max).max(1e-3);
                let off = (gradient[element] - want).abs() / scale;
                // Measured 3e-9 for the first operations.
                assert!(
                    off <= 1e-7 * case.slack(),
                    "{case:?} {layout:?}: input {i}, element {element}: {} instead of {want}",
                    gradient[element]
                );
            }
        }
    }
}

/// Results in f32 are those in f64 but for rounding.
pub fn f32_is_near_f64(case: impl CpuCase, key: Key) {
    for &layout in case.layouts() {
        let single = outcome::<Fused, _>(case, &draw::<f32>(case, key, layout));
        let double = outcome::<Fused, _>(case, &draw::<f64>(case, key, layout));
        // Measured 6e-7 for values and 1.1e-6 for gradients of the first operations.
        let off = difference(&single.0, &double.0);
        assert!(off <= 5e-6 * case.slack(), "{case:?} {layout:?}: values differ by {off:e}");
        for (i, (single, double)) in single.1.iter().zip(&double.1).enumerate() {
            let scale = double.iter().map(|g| g.abs()).fold(0.0, f64::max);
            let off = difference(single, double) * if scale < 1e-6 { scale } else { 1.0 };
            assert!(off <= 1e-5 * case.slack(), "{case:?} {layout:?}: gradient {i} differs by {off:e}");
        }
    }
}

/// Without a tape less is kept, and loops may differ: the values may not.
pub fn a_tape_changes_no_value(case: impl CpuCase, key: Key) {
    for &layout in case.layouts() {
        let x = draw::<f32>(case, key, layout);
        let plain = elements(&case.run::<Fused, f32, NoneTape>(&x));
        let taped = elements(&case.run::<Fused, f32, Traced<f32>>(&x));
        assert!(bits(&plain) == bits(&taped), "{case:?} {layout:?}");
    }
}

/// Pools of 1, 2 and 7 threads give the same bits. Use sizes that are cut into several parts.
pub fn threads_change_no_bit(case: impl CpuCase, key: Key) {
    for &layout in case.layouts().iter().take(2) {
        let x = draw::<f32>(case, key, layout);
        let run = |threads| {
            with_threads(threads, || {
                let (value, gradients) = outcome::<Fused, _>(case, &x);
                (bits(&value), gradients.iter().map(|g| bits(g)).collect::<Vec<_>>())
            })
        };
        let want = run(1);
        for threads in [2, 7] {
            assert!(run(threads) == want, "{case:?} {layout:?} with {threads} threads");
        }
    }
}

/// ⟨A u, v⟩ = ⟨u, Aᵀ v⟩, where A is the operation as a function of its first input (less its value at 0, which is
/// a bias) and Aᵀ its backward pass.
pub fn linear_operators_are_adjoint(case: impl CpuCase, key: Key) {
    if !case.is_linear() {
        return;
    }
    let x = draw::<f64>(case, key, Layout::RowMajor);
    let mut at_zero = x.clone();
    at_zero[0] = x[0].holding(vec![0.0; elements(&x[0].leaf).len()]);
    let image = elements(&case.run::<Fused, f64, Traced<f64>>(&x));
    let bias = elements(&case.run::<Fused, f64, Traced<f64>>(&at_zero));
    let (_, gradients) = outcome::<Fused, _>(case, &x);
    if image.is_empty() {
        return;
    }
    let v = weights::<f64>(image.len());
    let forward: f64 = image.iter().zip(&bias).zip(&v).map(|((y, b), v)| (y - b) * v).sum();
    let u = elements(&x[0].leaf);
    let backward: f64 = u.iter().zip(&gradients[0]).map(|(u, g)| u * g).sum();
    let scale: f64 = u.iter().zip(&gradients[0]).map(|(u, g)| (u * g).abs()).sum::<f64>().max(1e-12);
    let off = (forward - backward).abs() / scale;
    assert!(off <= 1e-12 * case.slack(), "{case:?}: ⟨Au, v⟩ = {forward}, ⟨u, Aᵀv⟩ = {backward}");
}

/// Somebody who is shown every case of a family, whatever its type.
pub trait Visit {
    fn visit(&mut self, case: impl Portable);
}

/// The same for families that `Cpu` alone has: who looks at these looks at all.
pub trait VisitCpu {
    fn visit(&mut self, case: impl CpuCase);
}

impl<V: VisitCpu> Visit for V {
    fn visit(&mut self, case: impl Portable) {
        VisitCpu::visit(self, case);
    }
}

macro_rules! laws {
    ($($law:ident),* $(,)?) => { $(
        #[allow(non_camel_case_types)]
        pub struct $law(pub Key);
        impl VisitCpu for $law {
            fn visit(&mut self, case: impl CpuCase) {
                crate::tests::laws::$law(case, self.0)
            }
        }
    )* };
}

/// Each law as a visitor.
pub mod visitors {
    use super::{CpuCase, Key, VisitCpu};
    laws!(
        bodies_agree,
        gradients_are_differences,
        f32_is_near_f64,
        a_tape_changes_no_value,
        threads_change_no_bit,
        linear_operators_are_adjoint,
    );

    /// Collects the names of the operations.
    #[derive(Default)]
    pub struct Names(pub std::collections::BTreeSet<&'static str>);
    impl VisitCpu for Names {
        fn visit(&mut self, case: impl CpuCase) {
            self.0.insert(case.operation());
        }
    }
}
