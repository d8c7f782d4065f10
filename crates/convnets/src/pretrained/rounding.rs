//! Weights as whole numbers: a quarter of the size, and an error below half a step.
//!
//! $$ q = \operatorname{round}(w / s_o) \in \{-127, \dots, 127\}, \qquad s_o = \max \lvert w_o \rvert / 127 $$
//!
//! | symbol | in the file | what |
//! |---|---|---|
//! | $q$ | `NAME`, I8 | a tensor of two or more axes, row-major, shape of the weight |
//! | $s_o$ | `NAME.scale`, F32 | one number for each output: the first axis of the weight |
//! | $b$ | `NAME`, F32 | a tensor of one axis, as it is |
//!
//! The weight is $\hat w = s_o q$, rounded to `f32` once; $\lvert \hat w - w \rvert \le s_o / 2$. `NAME` is the path name
//! of [`layers::params`]. The format is safetensors, so Python reads it too:
//! `{k: v * f[k + ".scale"].reshape(-1, *[1] * (v.ndim - 1)) for k, v in f.items() if v.dtype == "int8"}`.
//!
//! **Use it** to ship a trained network. **Not** to go on training: `layers::checkpoint` loses nothing.
use super::Error;
use dfdx::nn::TensorCollection;
use kernels::{Device, Real};
use layers::params::{self, Parameter};
use safetensors::tensor::{Dtype, SafeTensors, TensorView, serialize};
use std::collections::{BTreeSet, HashMap};

/// The largest level: symmetric, so that zero is exact and no sign has a level more.
const LEVELS: f32 = 127.0;

/// A model as the bytes of a file; the same model gives the same bytes.
///
/// `about` is kept in the file's header for people.
///
/// # Errors
/// [`Error::NotFinite`] when a weight is not.
///
/// # Examples
/// ```
/// use convnets::pretrained::rounding;
/// use layers::{params, prelude::*};
/// let dev = Cpu::seed_from_u64(0);
/// let model = dev.build_module::<(Linear<3, 2>, Tanh), f32>();
/// let bytes = rounding::save(&model, "three numbers to two")?;
/// let mut copy = dev.build_module::<(Linear<3, 2>, Tanh), f32>();
/// rounding::load(&mut copy, &bytes)?;
/// let step = 3.0_f32.powf(-0.5) / 127.0; // the start's weights lie within 1 / √3
/// for (a, b) in params::flatten(&model).iter().zip(params::flatten(&copy)) {
///     assert!((a - b).abs() <= 0.501 * step);
/// }
/// # Ok::<(), convnets::pretrained::Error>(())
/// ```
pub fn save<M, E, D>(model: &M, about: &str) -> Result<Vec<u8>, Error>
where
    M: TensorCollection<E, D>,
    E: Real,
    D: Device<E>,
{
    let mut parts: Vec<(String, Dtype, Vec<usize>, Vec<u8>)> = Vec::new();
    let mut fault = None;
    params::visit(model, |parameter: &Parameter, values| {
        let values: Vec<f32> = values.iter().map(|value| value.to_f32().unwrap_or(f32::NAN)).collect();
        if let Some(index) = values.iter().position(|value| !value.is_finite()) {
            let name = parameter.name.clone();
            fault.get_or_insert(Error::NotFinite { name, index, value: values[index] });
            return;
        }
        let shape = parameter.shape.clone();
        let floats = |values: &[f32]| values.iter().flat_map(|value| value.to_le_bytes()).collect();
        if parameter.ndim() < 2 {
            return parts.push((parameter.name.clone(), Dtype::F32, shape, floats(&values)));
        }
        let row = parameter.numel() / shape[0];
        let (mut levels, mut scales) = (Vec::with_capacity(values.len()), Vec::with_capacity(shape[0]));
        for weights in values.chunks_exact(row) {
            let scale = weights.iter().fold(0.0_f32, |largest, weight| largest.max(weight.abs())) / LEVELS;
            let divisor = if scale == 0.0 { 1.0 } else { scale };
            levels.extend(weights.iter().map(|weight| (weight / divisor).round() as i8 as u8));
            scales.push(scale);
        }
        parts.push((parameter.name.clone(), Dtype::I8, shape, levels));
        parts.push((scale_of(&parameter.name), Dtype::F32, vec![scales.len()], floats(&scales)));
    });
    if let Some(fault) = fault {
        return Err(fault);
    }
    let views = parts.iter().map(|(name, dtype, shape, bytes)| {
        TensorView::new(*dtype, shape.clone(), bytes).map(|view| (name.as_str(), view))
    });
    let views: Vec<_> = views.collect::<Result<_, _>>().map_err(Error::Format)?;
    // One entry: the order of several would change from run to run.
    let about = HashMap::from([("about".to_owned(), about.to_owned())]);
    serialize(views, Some(about)).map_err(Error::Format)
}

/// Loads what [`save`] wrote. The model is unchanged where that fails.
///
/// # Errors
/// [`Error::Format`] for bytes that are no safetensors file; [`Error::Missing`], [`Error::Unknown`], [`Error::Tensor`]
/// and [`Error::NotFinite`] for one that does not fit the model; [`Error::Device`].
pub fn load<M, E, D>(model: &mut M, bytes: &[u8]) -> Result<(), Error>
where
    M: TensorCollection<E, D>,
    E: Real,
    D: Device<E>,
{
    let file = SafeTensors::deserialize(bytes).map_err(Error::Format)?;
    let list = params::list(model);
    let mut unread: BTreeSet<&str> = file.names().into_iter().collect();
    let mut read = HashMap::new();
    for parameter in &list {
        let mut take = |name: &str, dtype, shape: &[usize]| {
            let view = file.tensor(name).map_err(|_| Error::Missing { name: name.to_owned() })?;
            unread.remove(name);
            if view.dtype() == dtype && view.shape() == shape {
                return Ok(view);
            }
            let expected = format!("{dtype:?} {shape:?}");
            let found = format!("{:?} {:?}", view.dtype(), view.shape());
            Err(Error::Tensor { name: name.to_owned(), expected, found })
        };
        let values = if parameter.ndim() < 2 {
            floats(&parameter.name, &take(&parameter.name, Dtype::F32, &parameter.shape)?)?
        } else {
            let name = scale_of(&parameter.name);
            let scales = floats(&name, &take(&name, Dtype::F32, &parameter.shape[..1])?)?;
            let levels = take(&parameter.name, Dtype::I8, &parameter.shape)?;
            let row = parameter.numel() / scales.len().max(1);
            let rows = levels.data().chunks_exact(row.max(1)).zip(scales);
            rows.flat_map(|(row, scale)| row.iter().map(move |&q| f32::from(q as i8) * scale)).collect()
        };
        read.insert(parameter.name.clone(), values);
    }
    if let Some(name) = unread.first() {
        return Err(Error::Unknown { name: (*name).to_owned() });
    }
    params::visit_mut(model, |parameter, values| {
        for (value, read) in values.iter_mut().zip(&read[&parameter.name]) {
            *value = E::of(f64::from(*read));
        }
    })?;
    Ok(())
}

fn scale_of(name: &str) -> String {
    format!("{name}.scale")
}

fn floats(name: &str, view: &TensorView<'_>) -> Result<Vec<f32>, Error> {
    let words = view.data().as_chunks::<4>().0;
    let values: Vec<f32> = words.iter().map(|word| f32::from_le_bytes(*word)).collect();
    match values.iter().position(|value| !value.is_finite()) {
        Some(index) => Err(Error::NotFinite { name: name.to_owned(), index, value: values[index] }),
        None => Ok(values),
    }
}
