//! Variables of [`tensor`](super::tensor) whose shapes are part of their types: what does not fit does not compile.
//!
//! A thin wrapper: values, tape and derivatives are those of [`Var`], which [`Fixed::var`] gives back.
//!
//! ```
//! use nalgebra::matrix;
//! use optim::autodiff::{fixed::Fixed, tensor::Tape};
//!
//! let tape = Tape::new();
//! let w = Fixed::input(&tape, matrix![1.0, 2.0; 3.0, 4.0; 5.0, 6.0]); // (3, 2)
//! let x = Fixed::input(&tape, matrix![1.0; -1.0]); // (2, 1)
//! let loss = w.matmul(x).tanh().sum(); // (1, 1): only that has a gradient
//! let [by_w] = loss.gradient([w]);
//! assert_eq!(by_w.value().shape(), (3, 2));
//! ```
//!
//! ```compile_fail,E0308
//! # use nalgebra::matrix;
//! # use optim::autodiff::{fixed::Fixed, tensor::Tape};
//! # let tape = Tape::new();
//! let w = Fixed::input(&tape, matrix![1.0, 2.0; 3.0, 4.0; 5.0, 6.0]);
//! let x = Fixed::input(&tape, matrix![1.0, -1.0]); // (1, 2): a row where a column is needed
//! w.matmul(x);
//! ```
//!
//! ```compile_fail,E0599
//! # use nalgebra::matrix;
//! # use optim::autodiff::{fixed::Fixed, tensor::Tape};
//! # let tape = Tape::new();
//! let w = Fixed::input(&tape, matrix![1.0, 2.0]);
//! w.tanh().gradient([w]); // not a single number
//! ```
use nalgebra::{DMatrix, SMatrix};
use std::ops::{Add, Div, Mul, Neg, Sub};

use super::tensor::{Tape, Var};

/// A variable of `R` rows and `C` columns.
#[derive(Clone, Copy, Debug)]
pub struct Fixed<'t, const R: usize, const C: usize>(Var<'t>);

impl<'t, const R: usize, const C: usize> Fixed<'t, R, C> {
    /// A new input of the tape.
    pub fn input(tape: &'t Tape, value: SMatrix<f64, R, C>) -> Self {
        Self(tape.input(dynamic(&value)))
    }

    /// A value that is not differentiated.
    pub fn constant(tape: &'t Tape, value: SMatrix<f64, R, C>) -> Self {
        Self(tape.constant(dynamic(&value)))
    }

    /// The variable with its shape as a value.
    pub fn var(self) -> Var<'t> {
        self.0
    }

    /// The value.
    pub fn value(self) -> SMatrix<f64, R, C> {
        SMatrix::from_iterator(self.0.value().iter().copied())
    }

    /// Matrix product with a matrix of `C` rows.
    ///
    /// # Panics
    /// When `other` belongs to another tape; so do the operators.
    pub fn matmul<const K: usize>(self, other: Fixed<'t, C, K>) -> Fixed<'t, R, K> {
        Fixed(self.0.matmul(other.0))
    }

    /// Transpose.
    pub fn transpose(self) -> Fixed<'t, C, R> {
        Fixed(self.0.transpose())
    }

    /// $s\,a$.
    pub fn scale(self, s: f64) -> Self {
        Self(self.0.scale(s))
    }

    /// $\tanh a$.
    pub fn tanh(self) -> Self {
        Self(self.0.tanh())
    }

    /// $\max(a, 0)$.
    pub fn relu(self) -> Self {
        Self(self.0.relu())
    }

    /// $e^a$.
    pub fn exp(self) -> Self {
        Self(self.0.exp())
    }

    /// $\ln a$.
    pub fn ln(self) -> Self {
        Self(self.0.ln())
    }

    /// Sum over the rows.
    pub fn sum_rows(self) -> Fixed<'t, 1, C> {
        Fixed(self.0.sum_rows())
    }

    /// Sum of all entries.
    pub fn sum(self) -> Fixed<'t, 1, 1> {
        Fixed(self.0.sum())
    }

    /// This above `other`; `S` must be `R + Q`, which is checked when the program is compiled.
    pub fn stack<const Q: usize, const S: usize>(self, other: Fixed<'t, Q, C>) -> Fixed<'t, S, C> {
        const { assert!(S == R + Q, "stacked matrices have the rows of both") };
        Fixed(self.0.stack(other.0))
    }
}

impl<'t, const C: usize> Fixed<'t, 1, C> {
    /// The row, `R` times.
    pub fn repeat_rows<const R: usize>(self) -> Fixed<'t, R, C> {
        Fixed(self.0.repeat_rows(R))
    }
}

impl<'t> Fixed<'t, 1, 1> {
    /// The number.
    pub fn number(self) -> f64 {
        self.0.number()
    }

    /// Its gradient with respect to `N` variables of one shape, as variables that can be differentiated again.
    ///
    /// # Panics
    /// When one of them belongs to another tape.
    pub fn gradient<const N: usize, const R: usize, const C: usize>(
        self,
        xs: [Fixed<'t, R, C>; N],
    ) -> [Fixed<'t, R, C>; N] {
        let gradient = self.0.tape().gradient(self.0, &xs.map(Fixed::var));
        std::array::from_fn(|i| Fixed(gradient[i]))
    }
}

fn dynamic<const R: usize, const C: usize>(value: &SMatrix<f64, R, C>) -> DMatrix<f64> {
    DMatrix::from_iterator(R, C, value.iter().copied())
}

macro_rules! operators {
    ($($trait:ident $method:ident;)*) => {$(
        impl<const R: usize, const C: usize> $trait for Fixed<'_, R, C> {
            type Output = Self;
            fn $method(self, other: Self) -> Self {
                Self(self.0.$method(other.0))
            }
        }
    )*};
}
operators! { Add add; Sub sub; Mul mul; Div div; }

impl<const R: usize, const C: usize> Neg for Fixed<'_, R, C> {
    type Output = Self;
    fn neg(self) -> Self {
        Self(-self.0)
    }
}
