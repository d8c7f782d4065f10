//! Clipping of gradients before a step.
use super::{Dims, squares};
use crate::{BaseDevice, Error, Real, RowMajor};
use dfdx::nn::tensor_collection::{
    RecursiveWalker, TensorCollection, TensorOptions, TensorVisitor, ViewTensorRef,
};
use dfdx::prelude::*;

/// How a gradient that is too large is made smaller.
///
/// **Papers**: Pascanu, Mikolov & Bengio (2013), On the difficulty of training recurrent neural networks, arXiv
/// 1211.5063 (norms); Brock, De, Smith & Simonyan (2021), High-performance large-scale image recognition without
/// normalization, arXiv 2102.06171, eq. 3 (adaptive).
/// **Deviation**: the factor is $\min(1, c/|g|)$ exactly; PyTorch divides by $|g| + 10^{-6}$.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Clip {
    /// Every element into $[-c, c]$. Changes the direction.
    Value(f64),
    /// The norm of each tensor to at most $c$. Keeps the direction of each tensor.
    Norm(f64),
    /// The norm of all gradients together to at most $c$. Keeps the direction.
    GlobalNorm(f64),
    /// The norm of the gradient of each unit (each index of the first axis) to at most `ratio` times
    /// $\max(|w|, \text{floor})$ of the weights of that unit.
    Adaptive {
        /// $\lambda$; 0.01 in the paper.
        ratio: f64,
        /// Weights of a smaller norm count as having this one, so that zeros can start to move; 1e-3 in the paper.
        floor: f64,
    },
}

/// What [`clip_gradients`] found and did.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Clipped {
    /// Norm of all gradients together, before.
    pub norm: f64,
    /// Whether any gradient was changed.
    pub is_clipped: bool,
}

impl Clip {
    /// The factor of each tensor, where one factor per tensor is what the rule needs.
    pub fn scales(self, squares: &[f64]) -> Vec<f64> {
        let to = |norm: f64, bound: f64| if norm > bound { bound / norm } else { 1.0 };
        match self {
            Self::GlobalNorm(bound) => {
                vec![to(squares.iter().sum::<f64>().sqrt(), bound); squares.len()]
            }
            Self::Norm(bound) => squares.iter().map(|square| to(square.sqrt(), bound)).collect(),
            Self::Value(_) | Self::Adaptive { .. } => vec![1.0; squares.len()],
        }
    }

    /// Clips one gradient; true when it has changed.
    fn apply<E: Real>(self, scale: f64, dims: Dims, weights: &[E], gradient: &mut [E]) -> bool {
        match self {
            Self::Value(bound) => {
                let bound = E::of(bound);
                let mut changed = false;
                for g in gradient {
                    if *g > bound || *g < -bound {
                        *g = if *g > bound { bound } else { -bound };
                        changed = true;
                    }
                }
                changed
            }
            Self::Norm(_) | Self::GlobalNorm(_) => {
                if scale != 1.0 {
                    let scale = E::of(scale);
                    gradient.iter_mut().for_each(|g| *g *= scale);
                }
                scale != 1.0
            }
            Self::Adaptive { ratio, floor } => {
                let row = dims.rows()[1].max(1);
                let mut changed = false;
                for (w, g) in weights.chunks(row).zip(gradient.chunks_mut(row)) {
                    let bound = ratio * E::squares(w).sqrt().max(floor);
                    let norm = E::squares(g).sqrt();
                    if norm > bound {
                        let scale = E::of(bound / norm);
                        g.iter_mut().for_each(|g| *g *= scale);
                        changed = true;
                    }
                }
                changed
            }
        }
    }
}

/// Clips the gradients of the trainable tensors of `model`, which is only looked at. Optimisers of `layers` and `optim`
/// clip in the same pass as their step; this is for everything else.
///
/// ```
/// use dfdx::prelude::*;
/// use kernels::update::{Clip, clip_gradients};
/// let w = Cpu::default().tensor([3.0_f64, 4.0]);
/// let mut gradients = w.leaky_trace().square().sum().backward(); // (6, 8), of norm 10
/// let clipped = clip_gradients(&w, &mut gradients, Clip::GlobalNorm(5.0))?;
/// assert_eq!((clipped.norm, clipped.is_clipped), (10.0, true));
/// assert_eq!(gradients.get(&w).array(), [3.0, 4.0]);
/// # Ok::<(), kernels::Error>(())
/// ```
///
/// # Errors
/// [`Error::Device`]. Tensors without gradient get one of zeros.
pub fn clip_gradients<M, E, D>(
    model: &M,
    gradients: &mut Gradients<E, D>,
    clip: Clip,
) -> Result<Clipped, Error>
where
    M: TensorCollection<E, D>,
    E: Real,
    D: BaseDevice<E>,
{
    let mut walk = Walk { gradients, copies: Vec::new(), written: None };
    M::iter_tensors(&mut RecursiveWalker { m: model, f: &mut walk }).map_err(Error::device)?;
    let slices: Vec<&[E]> = walk.copies.iter().map(|copy| &copy.1[..]).collect();
    let squares = squares(&slices);
    let scales = clip.scales(&squares);
    let mut changed = Vec::with_capacity(scales.len());
    for ((weights, gradient, dims), scale) in walk.copies.iter_mut().zip(scales) {
        changed.push(clip.apply(scale, *dims, weights, gradient));
    }
    let is_clipped = changed.contains(&true);
    if is_clipped {
        walk.written = Some(0);
        M::iter_tensors(&mut RecursiveWalker { m: model, f: &mut walk }).map_err(Error::device)?;
    }
    Ok(Clipped { norm: squares.iter().sum::<f64>().sqrt(), is_clipped })
}

/// Reads weights and gradients, or writes the gradients back from position `written` on.
struct Walk<'a, E: Real, D: Storage<E>> {
    gradients: &'a mut Gradients<E, D>,
    copies: Vec<(Vec<E>, Vec<E>, Dims)>,
    written: Option<usize>,
}
impl<E: Real, D: BaseDevice<E>> TensorVisitor<E, D> for Walk<'_, E, D> {
    type Viewer = ViewTensorRef;
    type Err = D::Err;
    type E2 = E;
    type D2 = D;
    fn visit<S: Shape>(
        &mut self,
        options: TensorOptions<S, E, D>,
        tensor: &Tensor<S, E, D>,
    ) -> Result<Option<Tensor<S, E, D>>, D::Err> {
        if !options.do_gradient_update {
            return Ok(None);
        }
        let dims = Dims::of(tensor.shape());
        let is_empty = tensor.shape().num_elements() == 0; // dfdx cannot read an empty tensor
        match &mut self.written {
            None if is_empty => self.copies.push((Vec::new(), Vec::new(), dims)),
            None => {
                self.gradients.try_alloc_for(tensor)?;
                self.copies.push((tensor.as_vec(), self.gradients.get(tensor).as_vec(), dims));
            }
            Some(position) => {
                let gradient = std::mem::take(&mut self.copies[*position].1);
                *position += 1;
                if !is_empty {
                    // dfdx has no public write of a gradient that serves every device, but c is the gradient of Σ c t.
                    let c = tensor.device().try_tensor_from_vec(gradient, *tensor.shape())?;
                    // Its sum is over one axis: that of dfdx over no axis is out of bounds on Cuda.
                    let product =
                        tensor.leaky_trace().try_mul(c)?.try_reshaped(&(tensor.shape().num_elements(),))?;
                    let mut other = product.try_sum::<Rank0, _>()?.try_backward()?;
                    std::mem::swap(self.gradients.get_or_alloc_mut(tensor)?, other.get_or_alloc_mut(tensor)?);
                }
            }
        }
        Ok(None)
    }
}
