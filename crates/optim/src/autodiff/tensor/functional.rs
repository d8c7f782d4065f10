//! Derivatives of functions from matrices to a matrix, as numbers: nothing of the tape is left.
use super::derivative::is_number;
use super::{Tape, Value, Var};
use crate::Error;
use nalgebra::DMatrix;

/// Puts `xs` on a tape of its own and hands over what `f` makes of them.
fn on_a_tape<R>(
    f: impl for<'t> Fn(&[Var<'t>]) -> Var<'t>,
    xs: &[DMatrix<f64>],
    then: impl for<'t> FnOnce(&'t Tape, &[Var<'t>], Var<'t>) -> Result<R, Error>,
) -> Result<R, Error> {
    let tape = Tape::new();
    let inputs: Vec<Var<'_>> = xs.iter().map(|x| tape.input(x.clone())).collect();
    let y = f(&inputs);
    tape.check(&[y])?;
    then(&tape, &inputs, y)
}

/// # Errors
/// [`Error::LengthMismatch`], [`Error::Shape`] unless `parts` are shaped as `xs`.
fn fits(what: &'static str, parts: &[DMatrix<f64>], xs: &[DMatrix<f64>]) -> Result<(), Error> {
    if parts.len() != xs.len() {
        return Err(Error::LengthMismatch { examples: xs.len(), labels: parts.len() });
    }
    match parts.iter().zip(xs).find(|(part, x)| part.shape() != x.shape()) {
        Some((part, x)) => Err(Error::Shape { what, got: part.shape(), want: x.shape() }),
        None => Ok(()),
    }
}

fn indices(xs: &[Var<'_>]) -> Vec<usize> {
    xs.iter().map(|x| x.index()).collect()
}

/// The matrix of a value, or zeros in the shape of `like`.
fn matrix(value: Option<Value>, like: (usize, usize)) -> DMatrix<f64> {
    value.map_or_else(|| DMatrix::zeros(like.0, like.1), |value| (*value.matrix).clone())
}

fn shapes(xs: &[DMatrix<f64>]) -> Vec<(usize, usize)> {
    xs.iter().map(DMatrix::shape).collect()
}

/// Matrices with a single 1, in the order of [`jacobian`]'s columns: which of `shapes`, and the matrix.
fn units(shapes: Vec<(usize, usize)>) -> impl Iterator<Item = (usize, DMatrix<f64>)> {
    shapes.into_iter().enumerate().flat_map(|(which, (rows, columns))| {
        (0..rows * columns).map(move |k| {
            let mut unit = DMatrix::zeros(rows, columns);
            unit[(k / columns, k % columns)] = 1.0;
            (which, unit)
        })
    })
}

/// Entries row by row, one matrix after the other.
fn joined(parts: impl IntoIterator<Item = DMatrix<f64>>) -> Vec<f64> {
    parts.into_iter().flat_map(|part| part.transpose().as_slice().to_vec()).collect()
}

/// $f(x)$ and $J^\top u$: reverse mode. For `f` with result `(R, C)`, `u` is `(R, C)`, and there is one matrix for each
/// of `xs`, in its shape: the derivative of $\sum_{ij} u_{ij} f_{ij}$.
///
/// `f` computes with the variables that it is given; constants come from [`Var::tape`].
///
/// ```
/// use nalgebra::dmatrix;
/// use optim::autodiff::tensor::vjp;
///
/// let (w, x) = (dmatrix![1.0, 2.0; 3.0, 4.0], dmatrix![1.0; -1.0]);
/// let (y, back) = vjp(|v| v[0].matmul(v[1]), &[w, x], &dmatrix![1.0; 0.0])?;
/// assert_eq!(y, dmatrix![-1.0; -1.0]);
/// assert_eq!(back, [dmatrix![1.0, -1.0; 0.0, 0.0], dmatrix![1.0; 2.0]]);
/// # Ok::<(), optim::Error>(())
/// ```
///
/// # Errors
/// [`Error::Shape`] unless `u` has the shape of the result; [`Error::ForeignVariable`] when that is not on the tape of
/// the variables.
///
/// # Panics
/// Where an operator in `f` does; its `try_` twin does not.
pub fn vjp(
    f: impl for<'t> Fn(&[Var<'t>]) -> Var<'t>,
    xs: &[DMatrix<f64>],
    u: &DMatrix<f64>,
) -> Result<(DMatrix<f64>, Vec<DMatrix<f64>>), Error> {
    on_a_tape(f, xs, |tape, inputs, y| {
        if u.shape() != y.shape() {
            let what = "the seed of a derivative";
            return Err(Error::Shape { what, got: u.shape(), want: y.shape() });
        }
        let found = tape.vjp_values(y.index(), &indices(inputs), tape.keep(u.clone()));
        let back = found.into_iter().zip(xs).map(|(value, x)| matrix(value, x.shape()));
        Ok(((*y.value()).clone(), back.collect()))
    })
}

/// $f(x)$ and $Jv$: forward mode. `v` has one matrix for each of `xs`, in its shape; both results have the shape of
/// $f(x)$.
///
/// ```
/// use nalgebra::dmatrix;
/// use optim::autodiff::tensor::jvp;
///
/// let (w, x) = (dmatrix![1.0, 2.0; 3.0, 4.0], dmatrix![1.0; -1.0]);
/// let moved = [dmatrix![1.0, 0.0; 0.0, 0.0], dmatrix![0.0; 1.0]];
/// let (_, change) = jvp(|v| v[0].matmul(v[1]), &[w, x], &moved)?;
/// assert_eq!(change, dmatrix![3.0; 4.0]);
/// # Ok::<(), optim::Error>(())
/// ```
///
/// # Errors
/// [`Error::LengthMismatch`] and [`Error::Shape`] for a direction that does not fit; [`Error::ForeignVariable`] as for
/// [`vjp`].
///
/// # Panics
/// Where an operator in `f` does.
pub fn jvp(
    f: impl for<'t> Fn(&[Var<'t>]) -> Var<'t>,
    xs: &[DMatrix<f64>],
    v: &[DMatrix<f64>],
) -> Result<(DMatrix<f64>, DMatrix<f64>), Error> {
    fits("a direction", v, xs)?;
    on_a_tape(f, xs, |tape, inputs, y| {
        let given = inputs.iter().zip(v).map(|(x, v)| (x.index(), tape.keep(v.clone()))).collect();
        let change = tape.jvp_values(&[y.index()], given).swap_remove(0);
        Ok(((*y.value()).clone(), matrix(change, y.shape())))
    })
}

/// $Hv$ for a function with one number as its result: forward over reverse, about the cost of two gradients. `v` has one
/// matrix for each of `xs`, in its shape, and so has the product.
///
/// ```
/// use nalgebra::dmatrix;
/// use optim::autodiff::tensor::hvp;
///
/// let product = hvp(|v| v[0].powi(3).sum(), &[dmatrix![1.0, 2.0]], &[dmatrix![1.0, 1.0]])?;
/// assert_eq!(product, [dmatrix![6.0, 12.0]]);
/// # Ok::<(), optim::Error>(())
/// ```
///
/// # Errors
/// As [`jvp`]; [`Error::NotANumber`] unless the result is `(1, 1)`.
///
/// # Panics
/// Where an operator in `f` does.
pub fn hvp(
    f: impl for<'t> Fn(&[Var<'t>]) -> Var<'t>,
    xs: &[DMatrix<f64>],
    v: &[DMatrix<f64>],
) -> Result<Vec<DMatrix<f64>>, Error> {
    fits("a direction", v, xs)?;
    on_a_tape(f, xs, |tape, inputs, y| {
        is_number(y)?;
        let gradient = tape.gradient(y, inputs);
        let given = inputs.iter().zip(v).map(|(x, v)| (x.index(), tape.keep(v.clone()))).collect();
        let found = tape.jvp_values(&indices(&gradient), given);
        Ok(found.into_iter().zip(xs).map(|(value, x)| matrix(value, x.shape())).collect())
    })
}

/// All first derivatives, `(m, n)`: rows are the $m$ entries of $f(x)$, row by row; columns the $n$ entries of `xs`, row
/// by row and one matrix after the other.
///
/// One walk forward for each column if there are fewer of these, else one walk back for each row.
///
/// ```
/// use nalgebra::dmatrix;
/// use optim::autodiff::tensor::jacobian;
///
/// let by_entries = jacobian(|v| v[0] * v[0].scale(0.5), &[dmatrix![1.0, 2.0; 3.0, 4.0]])?;
/// assert_eq!(by_entries.diagonal().as_slice(), [1.0, 2.0, 3.0, 4.0]);
/// # Ok::<(), optim::Error>(())
/// ```
///
/// # Errors
/// [`Error::ForeignVariable`] as for [`vjp`].
///
/// # Panics
/// Where an operator in `f` does.
pub fn jacobian(
    f: impl for<'t> Fn(&[Var<'t>]) -> Var<'t>,
    xs: &[DMatrix<f64>],
) -> Result<DMatrix<f64>, Error> {
    on_a_tape(f, xs, |tape, inputs, y| {
        let sources = indices(inputs);
        let (m, n) = (y.value().len(), xs.iter().map(DMatrix::len).sum());
        if n < m {
            let columns = units(shapes(xs)).map(|(which, unit)| {
                let given = vec![(sources[which], tape.keep(unit))];
                matrix(tape.jvp_values(&[y.index()], given).swap_remove(0), y.shape())
            });
            return Ok(DMatrix::from_vec(m, n, joined(columns)));
        }
        let rows = units(vec![y.shape()]).flat_map(|(_, unit)| {
            let found = tape.vjp_values(y.index(), &sources, tape.keep(unit));
            joined(found.into_iter().zip(xs).map(|(value, x)| matrix(value, x.shape())))
        });
        Ok(DMatrix::from_row_iterator(m, n, rows.collect::<Vec<_>>()))
    })
}

/// All second derivatives of a function with one number as its result, `(n, n)`, rows and columns as [`jacobian`]'s
/// columns. One gradient and $n$ walks forward; for large $n$ ask for products ([`hvp`]).
///
/// ```
/// use nalgebra::dmatrix;
/// use optim::autodiff::tensor::hessian;
///
/// let product = hessian(|v| v[0] * v[1], &[dmatrix![2.0], dmatrix![3.0]])?;
/// assert_eq!(product, dmatrix![0.0, 1.0; 1.0, 0.0]);
/// # Ok::<(), optim::Error>(())
/// ```
///
/// # Errors
/// [`Error::ForeignVariable`] as for [`vjp`]; [`Error::NotANumber`] unless the result is `(1, 1)`.
///
/// # Panics
/// Where an operator in `f` does.
pub fn hessian(
    f: impl for<'t> Fn(&[Var<'t>]) -> Var<'t>,
    xs: &[DMatrix<f64>],
) -> Result<DMatrix<f64>, Error> {
    on_a_tape(f, xs, |tape, inputs, y| {
        is_number(y)?;
        let sources = indices(inputs);
        let gradient = indices(&tape.gradient(y, inputs));
        let n: usize = xs.iter().map(DMatrix::len).sum();
        let columns = units(shapes(xs)).flat_map(|(which, unit)| {
            let found = tape.jvp_values(&gradient, vec![(sources[which], tape.keep(unit))]);
            joined(found.into_iter().zip(xs).map(|(value, x)| matrix(value, x.shape())))
        });
        Ok(DMatrix::from_vec(n, n, columns.collect()))
    })
}
