//! One walk over every tensor of a model: path names, shapes, flat reading and writing.
//!
//! A dfdx [`TensorCollection`] (a layer, a tuple of layers, `Residual`, `Repeated`, a bare tensor, your own struct) is
//! visited in the order of its fields. A tensor's *path name* is the chain of field names that leads to it:
//!
//! | model | names |
//! |---|---|
//! | `Linear<I, O>` | `weight`, `bias` |
//! | `(Linear<I, H>, Tanh, Linear<H, O>)` | `0.weight`, `0.bias`, `2.weight`, `2.bias` |
//! | `(Residual<(Linear<I, I>, Tanh)>,)` | `0.0.0.weight`, `0.0.0.bias` |
//!
//! Path names stay the same when a model moves to another device or dtype; dfdx's tensor ids do not, so everything here
//! that outlives one step (optimiser state, checkpoints, groups) is keyed by name.
//!
//! The *flat vector* of a model holds its trainable tensors one after the other, each in row-major order. Running
//! statistics (tensors that dfdx does not update with gradients) have names but are not part of the flat vector.
//!
//! **Use it** for optimisers, checkpoints, weight-space directions and anything that treats a model as one vector.
//! **Not** inside a training step on a large model: [`flatten`] and [`unflatten`] copy every weight.
//!
//! # Examples
//! ```
//! use layers::{params, prelude::*};
//!
//! let dev = Cpu::seed_from_u64(0);
//! let mut model = dev.build_module::<(Linear<3, 2>, Tanh, Linear<2, 1>), f32>();
//! assert_eq!(params::names(&model), ["0.weight", "0.bias", "2.weight", "2.bias"]);
//! assert_eq!(params::count(&model), 3 * 2 + 2 + 2 + 1);
//!
//! let mut weights = params::flatten(&model);
//! weights[0] = 0.5; // the first element of `0.weight`
//! params::unflatten(&mut model, &weights)?;
//! assert_eq!(params::flatten(&model), weights);
//! # Ok::<(), layers::params::ParamsError>(())
//! ```
use dfdx::nn::tensor_collection::{
    RecursiveWalker, TensorCollection, TensorOptions, TensorVisitor, ViewTensorMut, ViewTensorName,
    ViewTensorRef,
};
use dfdx::prelude::{
    Backward, Device, Dtype, Gradients, HasShape, Merge, NumParams, PutTape, Rank0, ReshapeTo, Shape,
    SplitTape, Storage, Tape, Tensor, Trace,
};
use std::cell::Cell;
use std::convert::Infallible;
use std::fmt::{Debug, Display};
use std::rc::Rc;

/// What is known about one tensor of a model without its values.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Parameter {
    /// Path name, as `0.weight`; empty for a model that is a bare tensor.
    pub name: String,
    /// Sizes of the axes; empty for a scalar.
    pub shape: Vec<usize>,
    /// Whether gradients update it. False for running statistics.
    pub is_trainable: bool,
}

impl Parameter {
    /// Number of elements, the product of [`shape`](Self::shape).
    pub fn numel(&self) -> usize {
        self.shape.iter().product()
    }
    /// Number of axes.
    pub fn ndim(&self) -> usize {
        self.shape.len()
    }
}

/// Why a flat vector does not fit a model, or a device failed while reading one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParamsError {
    /// The flat vector has another length than the model has trainable elements.
    #[error(
        "a flat vector must have one element per trainable parameter, {expected} here, got {got}; make it with params::flatten of the same model type"
    )]
    Length {
        /// Trainable elements of the model.
        expected: usize,
        /// Elements of the vector.
        got: usize,
    },
    /// The device failed.
    #[error(transparent)]
    Device(#[from] DeviceError),
}

/// An error of a dfdx device. dfdx's own error types differ by device and need not be `Error + Send`, so the message is
/// what is kept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the device failed: {message}; out of memory is the usual reason")]
pub struct DeviceError {
    message: String,
}

impl DeviceError {
    /// Keeps the message of a device's own error.
    pub fn new(source: impl Display + Debug) -> Self {
        Self { message: source.to_string() }
    }
}

/// Calls `read(parameter, values)` for every tensor in order, trainable or not; `values` are row-major.
///
/// # Examples
/// ```
/// use layers::{params, prelude::*};
/// let model = Cpu::default().build_module::<(Linear<3, 2>, Tanh), f64>();
/// let mut largest = 0.0_f64;
/// params::visit(&model, |parameter, values| {
///     if parameter.ndim() == 2 { largest = values.iter().fold(largest, |a, v| a.max(v.abs())) }
/// });
/// assert!(largest <= 3.0_f64.powf(-0.5)); // the bound of the default initialisation
/// ```
pub fn visit<M, E, D>(model: &M, mut read: impl FnMut(&Parameter, &[E]))
where
    M: TensorCollection<E, D>,
    E: Dtype,
    D: Device<E>,
{
    look(model, &mut |parameter, values| read(&parameter, &values()));
}

/// Calls `see(parameter, values)` for every tensor in order; `values()` copies the elements.
fn look<M, E, D>(model: &M, see: See<'_, E>)
where
    M: TensorCollection<E, D>,
    E: Dtype,
    D: Device<E>,
{
    let Ok(_) = M::iter_tensors(&mut RecursiveWalker { m: (model, String::new()), f: &mut Read(see) });
}

/// Calls `write(parameter, values)` for every tensor in order and stores what it leaves in `values`. A tensor whose
/// memory is not row-major (a transposed view, say) becomes so, with a new tensor id; all others keep theirs.
///
/// # Errors
/// The device's error when such a tensor cannot be copied.
pub fn visit_mut<M, E, D>(
    model: &mut M,
    mut write: impl FnMut(&Parameter, &mut [E]),
) -> Result<(), DeviceError>
where
    M: TensorCollection<E, D>,
    E: Dtype,
    D: Device<E>,
{
    M::iter_tensors(&mut RecursiveWalker { m: (model, String::new()), f: &mut Write(&mut write) })
        .map(|_| ())
        .map_err(DeviceError::new)
}

/// Every tensor of the model in order, trainable or not, without values.
pub fn list<M, E, D>(model: &M) -> Vec<Parameter>
where
    M: TensorCollection<E, D>,
    E: Dtype,
    D: Device<E>,
{
    let mut list = Vec::new();
    look(model, &mut |parameter, _| list.push(parameter));
    list
}

/// Path names of the trainable tensors, in order.
pub fn names<M, E, D>(model: &M) -> Vec<String>
where
    M: TensorCollection<E, D>,
    E: Dtype,
    D: Device<E>,
{
    select(model, |_| true)
}

/// Path names of the trainable tensors that satisfy `belongs`, in order: a parameter group.
///
/// # Examples
/// ```
/// use layers::{params, prelude::*};
/// let model = Cpu::default().build_module::<(Linear<3, 2>, Tanh, Linear<2, 1>), f32>();
/// assert_eq!(params::select(&model, |p| p.ndim() > 1), ["0.weight", "2.weight"]); // those that usually decay
/// ```
pub fn select<M, E, D>(model: &M, belongs: impl Fn(&Parameter) -> bool) -> Vec<String>
where
    M: TensorCollection<E, D>,
    E: Dtype,
    D: Device<E>,
{
    let trainable = list(model).into_iter().filter(|p| p.is_trainable && belongs(p));
    trainable.map(|p| p.name).collect()
}

/// Number of trainable elements.
pub fn count<M, E, D>(model: &M) -> usize
where
    M: TensorCollection<E, D>,
    E: Dtype,
    D: Device<E>,
{
    model.num_trainable_params()
}

/// The trainable tensors as one vector of [`count`] elements.
pub fn flatten<M, E, D>(model: &M) -> Vec<E>
where
    M: TensorCollection<E, D>,
    E: Dtype,
    D: Device<E>,
{
    let mut flat = Vec::with_capacity(count(model));
    visit(model, |parameter, values| {
        if parameter.is_trainable {
            flat.extend_from_slice(values);
        }
    });
    flat
}

/// Writes a flat vector back into the trainable tensors: the inverse of [`flatten`].
///
/// # Errors
/// [`ParamsError::Length`] when `flat` has another length than [`count`] says (nothing is written then), or the
/// device's error.
pub fn unflatten<M, E, D>(model: &mut M, flat: &[E]) -> Result<(), ParamsError>
where
    M: TensorCollection<E, D>,
    E: Dtype,
    D: Device<E>,
{
    let expected = count(model);
    if flat.len() != expected {
        return Err(ParamsError::Length { expected, got: flat.len() });
    }
    let mut rest = flat;
    visit_mut(model, |parameter, values| {
        if parameter.is_trainable {
            let (head, tail) = rest.split_at(values.len());
            values.copy_from_slice(head);
            rest = tail;
        }
    })?;
    Ok(())
}

/// The gradients of the trainable tensors as one vector in the order of [`flatten`]. A tensor that the backward pass
/// did not reach counts as zero (and gets a gradient of zeros in `gradients`).
///
/// # Errors
/// The device's error when such a gradient cannot be allocated.
pub fn flatten_gradients<M, E, D>(model: &M, gradients: &mut Gradients<E, D>) -> Result<Vec<E>, DeviceError>
where
    M: TensorCollection<E, D>,
    E: Dtype,
    D: Device<E>,
{
    let mut walk = ReadGradients { gradients, flat: Vec::with_capacity(count(model)) };
    M::iter_tensors(&mut RecursiveWalker { m: model, f: &mut walk }).map_err(DeviceError::new)?;
    Ok(walk.flat)
}

/// Name of the first tensor that holds a NaN or an infinity, trainable or not.
pub fn first_not_finite<M, E, D>(model: &M) -> Option<String>
where
    M: TensorCollection<E, D>,
    E: Dtype,
    D: Device<E>,
{
    let mut first = None;
    visit(model, |parameter, values: &[E]| {
        if first.is_none() && !values.iter().all(is_finite) {
            first = Some(parameter.name.clone());
        }
    });
    first
}

/// Name of the first trainable tensor whose gradient holds a NaN or an infinity. As [`flatten_gradients`], it gives
/// zeros to tensors without a gradient.
///
/// # Errors
/// The device's error when such a gradient cannot be allocated.
pub fn first_gradient_not_finite<M, E, D>(
    model: &M,
    gradients: &mut Gradients<E, D>,
) -> Result<Option<String>, DeviceError>
where
    M: TensorCollection<E, D>,
    E: Dtype,
    D: Device<E>,
{
    let flat = flatten_gradients(model, gradients)?;
    let mut rest = &flat[..];
    for parameter in list(model).into_iter().filter(|p| p.is_trainable) {
        let (head, tail) = rest.split_at(parameter.numel());
        if !head.iter().all(is_finite) {
            return Ok(Some(parameter.name));
        }
        rest = tail;
    }
    Ok(None)
}

/// The name without the dot that dfdx leaves when it appends the empty name of a bare tensor to its parent's: `0.`.
pub(crate) fn without_empty_end(name: &str) -> &str {
    name.strip_suffix('.').unwrap_or(name)
}

/// The elements of a tensor in row-major order. dfdx's `as_vec` does the same element by element; this copies memory.
pub(crate) fn read_row_major<S: Shape, E: Dtype, D: Device<E>>(tensor: &Tensor<S, E, D>) -> Vec<E> {
    let Ok(contiguous) = tensor.clone().try_contiguous() else { return tensor.as_vec() };
    let mut values = vec![E::default(); tensor.shape().num_elements()];
    contiguous.copy_into(&mut values);
    values
}

/// Copies row-major values into a tensor, which keeps its id unless its memory was not row-major.
pub(crate) fn write_row_major<S: Shape, E: Dtype, D: Device<E>>(
    tensor: &mut Tensor<S, E, D>,
    values: &[E],
) -> Result<(), D::Err> {
    *tensor = tensor.clone().try_contiguous()?;
    tensor.copy_from(values);
    Ok(())
}

fn is_finite<E: Dtype>(value: &E) -> bool {
    value.to_f64().is_some_and(f64::is_finite)
}

/// Finds trainable tensors that the backward pass did not reach.
///
/// dfdx keeps the question "does this tensor have a gradient?" to itself: the public read panics on absence, the public
/// write allocates. But tapes that merge also merge their gradients, and the second tape's win. So a map that holds a
/// *marker* of the wrong length for every parameter is merged with the real gradients: where the marker survives, there
/// was no gradient. Nothing is copied: buffers move.
#[derive(Clone, Debug)]
pub(crate) struct MissingGradients<E: Dtype, D: Device<E>> {
    markers: Gradients<E, D>,
    /// Carries the merged tape; kept, because a backward pass leaves a gradient for it.
    carrier: Option<Tensor<Rank0, E, D>>,
}

impl<E: Dtype, D: Device<E>> Default for MissingGradients<E, D> {
    fn default() -> Self {
        Self { markers: Gradients::leaky(), carrier: None }
    }
}

impl<E: Dtype, D: Device<E>> MissingGradients<E, D> {
    /// Path names of the trainable tensors without a gradient, as [`positions`](Self::positions).
    pub(crate) fn find<M: TensorCollection<E, D>>(
        &mut self,
        model: &M,
        gradients: &mut Gradients<E, D>,
    ) -> Result<Vec<String>, DeviceError> {
        let positions = self.positions(model, gradients)?;
        if positions.is_empty() {
            return Ok(Vec::new());
        }
        let names = names(model);
        Ok(positions.into_iter().map(|i| names[i].clone()).collect())
    }

    /// Positions, among the trainable tensors, of those without a gradient. Afterwards these have gradients of zeros, so
    /// a second call with the same gradients finds none: the caller who reports them may go on if told to.
    pub(crate) fn positions<M: TensorCollection<E, D>>(
        &mut self,
        model: &M,
        gradients: &mut Gradients<E, D>,
    ) -> Result<Vec<usize>, DeviceError> {
        let mut walk =
            Markers { gradients: &mut self.markers, task: Task::Set(&mut self.carrier), position: 0 };
        M::iter_tensors(&mut RecursiveWalker { m: model, f: &mut walk }).map_err(DeviceError::new)?;
        let Some(carrier) = &self.carrier else { return Ok(Vec::new()) }; // nothing to train
        let real = std::mem::replace(gradients, Gradients::leaky());
        let (carrier, markers) = carrier.trace(self.markers.clone()).split_tape();
        let (carrier, real) = carrier.traced(real).split_tape();
        let mut tape = markers.merge(real);
        // dfdx hands the gradients of a tape to its backward operations only. This one takes them all away, before
        // dfdx drops those that `alloc_grads` did not ask to keep.
        let merged = Rc::new(Cell::new(None));
        let taken = merged.clone();
        tape.add_backward_op(move |all| {
            taken.set(Some(std::mem::replace(all, Gradients::leaky())));
            Ok(())
        });
        carrier.put_tape(tape).try_backward().map_err(DeviceError::new)?;
        *gradients = merged.take().expect("the backward pass has run the operation");
        let mut missing = Vec::new();
        let mut walk = Markers { gradients, task: Task::Find(&mut missing), position: 0 };
        M::iter_tensors(&mut RecursiveWalker { m: model, f: &mut walk }).map_err(DeviceError::new)?;
        Ok(missing)
    }
}

fn describe<S: Shape, E: Dtype, D: Device<E>>(
    options: &TensorOptions<S, E, D>,
    tensor: &Tensor<S, E, D>,
    name: String,
) -> Parameter {
    let shape = tensor.shape().concrete().into_iter().collect();
    Parameter { name: without_empty_end(&name).to_owned(), shape, is_trainable: options.do_gradient_update }
}

/// What is called for each tensor that is read. Not a type parameter: for each visitor, a model's whole tree of layers is
/// compiled once more.
type See<'a, E> = &'a mut dyn FnMut(Parameter, &dyn Fn() -> Vec<E>);

struct Read<'a, E>(See<'a, E>);
impl<E: Dtype, D: Device<E>> TensorVisitor<E, D> for Read<'_, E> {
    type Viewer = (ViewTensorRef, ViewTensorName);
    type Err = Infallible;
    type E2 = E;
    type D2 = D;
    fn visit<S: Shape>(
        &mut self,
        options: TensorOptions<S, E, D>,
        (tensor, name): (&Tensor<S, E, D>, String),
    ) -> Result<Option<Tensor<S, E, D>>, Infallible> {
        (self.0)(describe(&options, tensor, name), &|| read_row_major(tensor));
        Ok(None)
    }
}

/// What is called for each tensor that is written, for the same reason.
struct Write<'a, E>(&'a mut dyn FnMut(&Parameter, &mut [E]));
impl<E: Dtype, D: Device<E>> TensorVisitor<E, D> for Write<'_, E> {
    type Viewer = (ViewTensorMut, ViewTensorName);
    type Err = D::Err;
    type E2 = E;
    type D2 = D;
    fn visit<S: Shape>(
        &mut self,
        options: TensorOptions<S, E, D>,
        (tensor, name): (&mut Tensor<S, E, D>, String),
    ) -> Result<Option<Tensor<S, E, D>>, D::Err> {
        let mut values = read_row_major(tensor);
        (self.0)(&describe(&options, tensor, name), &mut values);
        write_row_major(tensor, &values)?;
        Ok(None)
    }
}

struct ReadGradients<'a, E: Dtype, D: Device<E>> {
    gradients: &'a mut Gradients<E, D>,
    flat: Vec<E>,
}
impl<E: Dtype, D: Device<E>> TensorVisitor<E, D> for ReadGradients<'_, E, D> {
    type Viewer = ViewTensorRef;
    type Err = D::Err;
    type E2 = E;
    type D2 = D;
    fn visit<S: Shape>(
        &mut self,
        options: TensorOptions<S, E, D>,
        tensor: &Tensor<S, E, D>,
    ) -> Result<Option<Tensor<S, E, D>>, D::Err> {
        if options.do_gradient_update {
            self.gradients.try_alloc_for(tensor)?;
            self.flat.extend(read_row_major(&self.gradients.get(tensor)));
        }
        Ok(None)
    }
}

/// Length of the marker of a tensor with `numel` elements: anything but `numel`, and not 0, which Cuda cannot allocate.
fn marker_len(numel: usize) -> usize {
    if numel == 1 { 2 } else { 1 }
}

/// Sets the markers of all trainable tensors, or finds those that are left: one visitor for both, as above.
struct Markers<'a, E: Dtype, D: Device<E>> {
    gradients: &'a mut Gradients<E, D>,
    task: Task<'a, E, D>,
    /// Position among the trainable tensors.
    position: usize,
}
enum Task<'a, E: Dtype, D: Device<E>> {
    /// Makes the carrier too, if there is none.
    Set(&'a mut Option<Tensor<Rank0, E, D>>),
    /// Puts gradients of zeros in the place of markers and keeps their positions.
    Find(&'a mut Vec<usize>),
}
impl<E: Dtype, D: Device<E>> TensorVisitor<E, D> for Markers<'_, E, D> {
    type Viewer = ViewTensorRef;
    type Err = D::Err;
    type E2 = E;
    type D2 = D;
    fn visit<S: Shape>(
        &mut self,
        options: TensorOptions<S, E, D>,
        tensor: &Tensor<S, E, D>,
    ) -> Result<Option<Tensor<S, E, D>>, D::Err> {
        let (device, numel) = (tensor.device(), tensor.shape().num_elements());
        if !options.do_gradient_update {
            return Ok(None);
        }
        match &mut self.task {
            Task::Set(_) if numel == 0 => {}
            Task::Set(carrier) => {
                let marker = self.gradients.get_or_alloc_mut(tensor)?;
                if Storage::<E>::len(device, marker) != marker_len(numel) {
                    *marker = Storage::<E>::try_alloc_len(device, marker_len(numel))?;
                }
                if carrier.is_none() {
                    **carrier = Some(device.try_zeros()?);
                }
            }
            Task::Find(missing) => {
                let gradient = self.gradients.get_or_alloc_mut(tensor)?;
                if numel > 0 && Storage::<E>::len(device, gradient) == marker_len(numel) {
                    *gradient = Storage::<E>::try_alloc_len(device, numel)?;
                    missing.push(self.position);
                }
            }
        }
        self.position += 1;
        Ok(None)
    }
}
