//! Gradients that are written once.
//!
//! dfdx makes the gradient of a tensor when the first operation asks for it: one thread fills it with zeros, and then
//! the operation adds its share to them. Of an element-wise backward pass over a million numbers that is a third to a
//! half. dfdx has no way to ask whether there is a gradient yet, nor to bring memory for it; but it allocates as many
//! elements as the tensor that asks has in memory, and that may be fewer than its id promises. `log_softmax` subtracts
//! the maximum off the tape and gives the difference the id of its operand; of an operand that is repeated zero times
//! the difference is empty, and the last operation that is recorded, another subtraction, asks for a gradient of it and
//! adds nothing. [`expect`] records that operation alone. In the backward pass it leaves a gradient without elements if
//! there was none, and any other as it was. The operation before finds that first of all, and [`Sum`] gives it memory
//! from the cache, whose parts are zeroed by the threads that add to them, in their nearest caches, just before.
use crate::bridge::{buffer, is_contiguous};
use crate::loops::CHUNK;
use crate::pool::{chunks_mut, chunks_mut2};
use crate::{Error, Real};
use dfdx::dtypes::Unit;
use dfdx::prelude::*;

/// Elements from which on it is worth the few microseconds that [`expect`] takes.
const LARGE: usize = 4 * CHUNK;

/// An operation as a tape keeps it.
type Operation<E> = Box<dyn FnOnce(&mut Gradients<E, Cpu>) -> Result<(), CpuError>>;

/// A tape that keeps the operation that was recorded last and forgets all others.
struct Last<E: Unit>(Option<Operation<E>>);

impl<E: Unit> Default for Last<E> {
    fn default() -> Self {
        Self(None)
    }
}
impl<E: Unit> Merge<NoneTape> for Last<E> {
    fn merge(self, _: NoneTape) -> Self {
        self
    }
}
impl<E: Unit> Merge<Self> for Last<E> {
    fn merge(self, other: Self) -> Self {
        Self(other.0.or(self.0))
    }
}
impl<E: Unit> Tape<E, Cpu> for Last<E> {
    const OWNS_TAPE: bool = true;
    fn add_backward_op<F>(&mut self, operation: F)
    where
        F: 'static + FnOnce(&mut Gradients<E, Cpu>) -> Result<(), CpuError>,
    {
        self.0 = Some(Box::new(operation));
    }
}

/// For each element type by itself: with a type parameter, the bound on dfdx's `Device` hides what `Cpu` stores.
pub trait Expected: Unit {
    /// An operation that asks for the gradient of `x` as if it had no elements.
    fn asking(x: Tensor<(usize,), Self, Cpu>) -> Result<Option<Operation<Self>>, CpuError>;
}

macro_rules! expected {
    ($E:ty) => {
        impl Expected for $E {
            fn asking(x: Tensor<(usize,), Self, Cpu>) -> Result<Option<Operation<Self>>, CpuError> {
                let none = (0, x.shape().0);
                let x = x.put_tape(Last::<Self>::default());
                let nothing = x.try_broadcast_like::<(usize, usize), Axis<0>>(&none)?;
                Ok(nothing.try_log_softmax::<Axis<1>>()?.split_tape().1.0)
            }
        }
    };
}
expected!(f32);
expected!(f64);

/// Announces that the operation recorded last will ask for the gradient of `x` through [`Sum`], if there are reasons to.
pub(crate) fn expect<S: Shape, E: Real, T: Tape<E, Cpu>>(
    x: &Tensor<S, E, Cpu>,
    mut tape: T,
) -> Result<T, CpuError> {
    let elements = x.shape().num_elements();
    if T::OWNS_TAPE
        && elements >= LARGE
        && is_contiguous(x)
        && let Some(asking) = E::asking(x.clone().try_reshape_like(&(elements,))?)?
    {
        tape.add_backward_op(asking);
    }
    Ok(tape)
}

/// A gradient to which shares are added: of an [`expect`]ed tensor, or any other.
pub(crate) struct Sum<'a, E> {
    elements: &'a mut [E],
    /// Nothing has been written yet.
    is_new: bool,
}

impl<'a, E: Real> Sum<'a, E> {
    /// The gradient, of `n` elements, that `get_or_alloc_mut` gave.
    pub fn new(device: &Cpu, gradient: &'a mut Vec<E>, n: usize) -> Result<Self, CpuError> {
        let is_new = gradient.len() != n;
        if is_new {
            debug_assert!(gradient.is_empty(), "the gradient of another shape");
            *gradient = buffer(device, n)?;
        }
        Ok(Self { elements: gradient, is_new })
    }

    /// `f(start, elements)` adds a share to each part of `chunk` elements, in parallel; the sum so far.
    pub fn add(self, chunk: usize, f: impl Fn(usize, &mut [E]) + Sync) -> &'a mut [E] {
        let Self { elements, is_new } = self;
        chunks_mut(elements, chunk, |start, g| {
            if is_new {
                g.fill(E::zero());
            }
            f(start, g)
        });
        elements
    }

    /// The same, with the chunks of a second slice.
    pub fn add_with<B: Send>(
        self,
        chunk: usize,
        other: (&mut [B], usize),
        f: impl Fn(usize, &mut [E], &mut [B]) + Sync,
    ) {
        let is_new = self.is_new;
        chunks_mut2((self.elements, chunk), other, |start, g, other| {
            if is_new {
                g.fill(E::zero());
            }
            f(start, g, other)
        });
    }

    /// The elements, zeros if nothing was added yet.
    pub fn elements(self) -> &'a mut [E] {
        if self.is_new { self.add(CHUNK, |_, _| ()) } else { self.elements }
    }

    /// The elements, for who writes all of them, and whether a share must be added to what is there.
    pub fn all(self) -> (&'a mut [E], bool) {
        (self.elements, !self.is_new)
    }
}

/// The backward pass of a tensor that is not a scalar, from the gradient `upstream` of its elements in row-major order:
/// the gradients of $\sum_i u_i y_i$, a product of a vector with the Jacobian.
///
/// dfdx begins at scalars only. `upstream` becomes the gradient of `y`, which it stays, without a copy.
///
/// ```
/// use dfdx::prelude::*;
/// let x = Cpu::default().tensor([1.0_f32, 2.0, 3.0]);
/// let gradients = kernels::backward_from(x.leaky_trace().square(), vec![1.0, 10.0, 100.0]);
/// assert_eq!(gradients.get(&x).array(), [2.0, 40.0, 600.0]);
/// ```
///
/// # Panics
/// Where [`try_backward_from`] returns an error.
pub fn backward_from<S: Shape, E: Real>(
    y: Tensor<S, E, Cpu, OwnedTape<E, Cpu>>,
    upstream: Vec<E>,
) -> Gradients<E, Cpu> {
    try_backward_from(y, upstream).unwrap_or_else(|error| panic!("{error}"))
}

/// Fallible version of [`backward_from`].
///
/// # Errors
/// [`Error::UpstreamLength`] unless there is one number for each element of `y`; [`Error::Device`] when the device fails.
pub fn try_backward_from<S: Shape, E: Real>(
    y: Tensor<S, E, Cpu, OwnedTape<E, Cpu>>,
    upstream: Vec<E>,
) -> Result<Gradients<E, Cpu>, Error> {
    let (y, mut tape) = y.try_contiguous().map_err(Error::device)?.split_tape();
    let elements = y.shape().num_elements();
    if upstream.len() != elements {
        return Err(Error::UpstreamLength { upstream: upstream.len(), elements });
    }
    let of_y = y.ghost();
    tape.add_backward_op(move |grads| {
        **grads.get_or_alloc_mut(&of_y)? = upstream;
        Ok(())
    });
    let tape = expect(&y, tape).map_err(Error::device)?;
    let root: Tensor<Rank0, E, Cpu> = y.device().try_zeros().map_err(Error::device)?;
    root.put_tape(tape).try_backward().map_err(Error::device)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::convolution::{Convolution, Steps, conv2d};
    use crate::random::Key;
    use crate::{Gelu, InputGradient, Relu, Tanh};

    type Taped<S> = Tensor<S, f32, Cpu, OwnedTape<f32, Cpu>>;

    fn device() -> Cpu {
        let device = Cpu::default();
        device.enable_cache();
        device
    }

    fn numbers<S: Shape>(shape: S) -> Tensor<S, f32, Cpu> {
        let numbers = (0..shape.num_elements()).map(|i| ((i * 7919) % 1009) as f32 / 504.5 - 1.0);
        device().tensor_from_vec(numbers.collect(), shape)
    }

    #[test]
    fn a_new_gradient_has_no_elements_until_it_is_written() {
        let x = numbers((LARGE + 1,));
        for is_there in [false, true] {
            let (of_x, mut tape) = (x.ghost(), OwnedTape::<f32, Cpu>::default());
            tape.add_backward_op(move |grads| {
                let gradient = grads.get_or_alloc_mut(&of_x)?;
                assert_eq!(gradient.len(), if is_there { LARGE + 1 } else { 0 });
                Sum::new(&device(), gradient, LARGE + 1)?.add(1000, |start, g| {
                    g.iter_mut().enumerate().for_each(|(i, g)| *g += (start + i) as f32);
                });
                Ok(())
            });
            let mut tape = expect(&x, tape).unwrap();
            if is_there {
                let of_x = x.ghost();
                tape.add_backward_op(move |grads| {
                    grads.get_or_alloc_mut(&of_x)?.fill(0.5);
                    Ok(())
                });
            }
            let gradients = device().zeros::<Rank0>().put_tape(tape).backward();
            let begin = if is_there { 0.5 } else { 0.0 };
            let gradient = gradients.get(&x).as_vec();
            assert!(gradient.iter().enumerate().all(|(i, &g)| g == i as f32 + begin));
        }
    }

    #[test]
    fn a_backward_pass_begins_from_any_tensor() {
        for n in [3, LARGE] {
            let (x, upstream) = (numbers((n,)), vec![2.0; n]);
            let gradients = backward_from(x.leaky_trace().square(), upstream);
            let gradient = gradients.get(&x).as_vec();
            assert!(gradient.iter().zip(x.as_vec()).all(|(&g, x)| g == 4.0 * x));
        }
        let error = try_backward_from(numbers((3,)).leaky_traced(), vec![0.0; 2]).unwrap_err();
        assert!(matches!(error, Error::UpstreamLength { upstream: 2, elements: 3 }), "{error}");
    }

    /// The gradient of `f` in large `x` has the same bits whether it begins from nothing or from zeros that are there.
    /// Buffers are NaN until they are written.
    #[track_caller]
    fn check<S: Shape>(name: &str, x: Tensor<S, f32, Cpu>, f: impl Fn(Taped<S>) -> Taped<Rank0>) {
        assert!(x.shape().num_elements() >= LARGE, "{name}");
        let new = f(x.leaky_trace()).backward();
        let mut zeros = Gradients::leaky();
        zeros.get_or_alloc_mut(&x).unwrap();
        let old = f(x.trace(zeros)).backward();
        let (new, old) = (new.get(&x).as_vec(), old.get(&x).as_vec());
        assert!(new.iter().any(|&g| g != 0.0), "{name} has a gradient");
        let differing = new.iter().zip(&old).position(|(new, old)| new.to_bits() != old.to_bits());
        assert_eq!(differing.map(|i| (i, new[i], old[i])), None, "{name}");
    }

    #[test]
    fn operations_write_every_element_of_a_new_gradient() {
        use crate as k;
        let x = numbers((300, 256));
        let (y, weights) = ((x.clone() * 0.5).square(), (x.clone() * 0.25).square());
        // A loss whose gradient differs from element to element.
        let loss = |z: Taped<(usize, usize)>| k::mse_mean(z, weights.clone());
        check("tanh", x.clone(), |x| loss(k::activate(x, Tanh)));
        check("gelu", x.clone(), |x| loss(k::activate(x, Gelu)));
        check("softmax", x.clone(), |x| loss(k::softmax(x)));
        check("sum", x.clone(), k::sum_all);
        check("squared error", x.clone(), |x| k::mse_mean(x, y.clone()));
        check("logistic loss", x.clone(), |x| k::bce_with_logits_mean(x, &y));
        check("cross-entropy", x.clone(), |x| k::cross_entropy_mean(x, &[7; 300]));
        check("sum of two", x.clone(), |x| loss(k::add(x, y.clone())));
        check("second of two", x.clone(), |x| loss(k::sub(y.leaky_trace(), x)));
        check("product", x.clone(), |x| loss(k::mul(x, y.clone())));
        check("the same twice", x.clone(), |x| loss(k::mul(x.with_empty_tape(), x)));
        let row = numbers((256,));
        check("sum along", x.clone(), |x| loss(k::add_along(x, row.clone(), Axis::<0>)));
        check("product along", x.clone(), |x| loss(k::mul_along(x, row.clone(), Axis::<0>)));
        check("variance", x.clone(), |x| k::sum_all(k::var_along(x, Axis::<1>, k::Correction::Population)));
        check("maximum", x.clone(), |x| k::sum_all(k::max_along(x, Axis::<1>)));
        check("softmax along", x.clone(), |x| loss(k::softmax_along(x, Axis::<0>)));
        let square = numbers((256, 256));
        check("matrix product", x.clone(), |x| loss(k::matmul(x, square.clone())));
        check("second factor", square.clone(), |w| loss(k::matmul(x.leaky_trace(), w)));
        check("Gram matrix", x.clone(), |x| k::sum_all(k::gram(x)));
        check("distances", x.clone(), |x| k::sum_all(k::squared_distances(x, y.clone())));
        let features = numbers((300, Const::<256>));
        let weight = numbers(Rank2::<256, 256>::default());
        let bias = numbers(Rank1::<256>::default());
        let linear = |x: Taped<(usize, Const<256>)>, w: &Tensor<Rank2<256, 256>, f32, Cpu>| {
            k::sum_all(k::linear(x, w, &bias, Relu, InputGradient::Needed))
        };
        check("linear", features.clone(), |x| linear(x, &weight));
        check("weights", weight.clone(), |w| {
            let (w, tape) = w.split_tape();
            linear(features.clone().put_tape(tape), &w)
        });
        let rows: Vec<usize> = (0..500).map(|i| i * 7 % 300).collect();
        check("rows", features.clone(), |x| k::sum_all(k::sequence::gather_rows(x, &rows)));
        check("dropout", x.clone(), |x| loss(k::dropout(x, 0.5, Key::new(1))));
        let images = numbers((4, 16, 32, 33));
        let (kernel, offset) = (numbers((8, 16, Const::<3>, Const::<3>)), numbers((8,)));
        let window = Convolution::square(Steps::<1, 1>).with_activation(Relu);
        check("convolution", images.clone(), |x| k::sum_all(conv2d(x, &kernel, Some(&offset), window)));
        let channels = numbers((16,));
        check("batch norm", images.clone(), |x| {
            let y = k::batch_norm(x, &channels, &channels, 1e-5, Relu).output;
            k::sum_all(k::mul(y, images.clone()))
        });
        check("maxima", images.clone(), |x| k::sum_all(k::max_pool2d(x, k::pooling::Floor::<2, 2>).output));
        let norm = numbers((256,));
        check("layer norm", x.clone(), |x| loss(k::layer_norm(x, &norm, &norm, 1e-5)));
    }
}
