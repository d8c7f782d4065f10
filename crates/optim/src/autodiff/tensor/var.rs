//! Operations on the variables of a tape.
use super::{Op, Tape, Var};
use crate::Error;
use nalgebra::DMatrix;
use std::ops::{Add, Div, Mul, Neg, Sub};
use std::rc::Rc;

impl<'t> Var<'t> {
    /// The value.
    pub fn value(self) -> Rc<DMatrix<f64>> {
        Rc::clone(&self.tape.nodes.borrow()[self.index].value.matrix)
    }

    /// The only entry of a `(1, 1)`.
    ///
    /// # Panics
    /// For any other shape.
    pub fn number(self) -> f64 {
        assert_eq!(self.shape(), (1, 1), "one number was asked for");
        self.value()[(0, 0)]
    }

    /// (rows, columns).
    pub fn shape(self) -> (usize, usize) {
        self.tape.nodes.borrow()[self.index].value.matrix.shape()
    }

    /// The tape that it is on.
    pub fn tape(self) -> &'t Tape {
        self.tape
    }

    /// Number of the node on its tape.
    pub fn index(self) -> usize {
        self.index
    }

    pub(super) fn unary(self, op: Op) -> Self {
        self.tape.apply(op, &[self])
    }

    /// `op` of two matrices of one shape, where an operator would panic.
    fn try_binary(self, op: Op, other: Self) -> Result<Self, Error> {
        self.tape.check(&[other])?;
        if self.shape() != other.shape() {
            let what = "the second operand of an element-wise operation";
            return Err(Error::Shape { what, got: other.shape(), want: self.shape() });
        }
        Ok(self.tape.apply(op, &[self, other]))
    }

    /// $a + b$.
    ///
    /// # Errors
    /// [`Error::ForeignVariable`], [`Error::Shape`]; so do the other three.
    pub fn try_add(self, other: Self) -> Result<Self, Error> {
        self.try_binary(Op::Add, other)
    }

    /// $a - b$.
    ///
    /// # Errors
    /// As [`try_add`](Self::try_add).
    pub fn try_sub(self, other: Self) -> Result<Self, Error> {
        self.try_binary(Op::Sub, other)
    }

    /// $a \odot b$.
    ///
    /// # Errors
    /// As [`try_add`](Self::try_add).
    pub fn try_mul(self, other: Self) -> Result<Self, Error> {
        self.try_binary(Op::Mul, other)
    }

    /// $a / b$.
    ///
    /// # Errors
    /// As [`try_add`](Self::try_add).
    pub fn try_div(self, other: Self) -> Result<Self, Error> {
        self.try_binary(Op::Div, other)
    }

    /// Fallible twin of [`matmul`](Self::matmul).
    ///
    /// # Errors
    /// [`Error::ForeignVariable`]; [`Error::Shape`] unless the inner sides are equal.
    pub fn try_matmul(self, other: Self) -> Result<Self, Error> {
        self.tape.check(&[other])?;
        let (a, b) = (self.shape(), other.shape());
        if a.1 != b.0 {
            return Err(Error::Shape { what: "the second factor of a product", got: b, want: (a.1, b.1) });
        }
        Ok(self.tape.apply(Op::MatMul, &[self, other]))
    }

    fn binary(self, op: Op, other: Self) -> Self {
        let (a, b) = (self.shape(), other.shape());
        assert_eq!(a, b, "`{}` needs two matrices of one shape; repeat rows or columns first", op.name());
        self.tape.apply(op, &[self, other])
    }

    /// $s\,a$.
    pub fn scale(self, s: f64) -> Self {
        self.unary(Op::Scale(s))
    }

    /// $a + s$.
    pub fn shift(self, s: f64) -> Self {
        self.unary(Op::Shift(s))
    }

    /// Matrix product.
    ///
    /// # Panics
    /// When this has not as many columns as `other` has rows.
    pub fn matmul(self, other: Self) -> Self {
        let (a, b) = (self.shape(), other.shape());
        assert_eq!(a.1, b.0, "a product of {a:?} and {b:?} needs equal inner sides");
        self.tape.apply(Op::MatMul, &[self, other])
    }

    /// Transpose.
    pub fn transpose(self) -> Self {
        self.unary(Op::Transpose)
    }

    /// Sum over the rows, `(1, C)`.
    pub fn sum_rows(self) -> Self {
        self.unary(Op::SumRows)
    }

    /// Sum over the columns, `(R, 1)`.
    pub fn sum_columns(self) -> Self {
        self.unary(Op::SumColumns)
    }

    /// Sum of all entries, `(1, 1)`.
    pub fn sum(self) -> Self {
        self.sum_rows().sum_columns()
    }

    /// One row, `rows` times.
    ///
    /// # Panics
    /// When there is not exactly one row.
    pub fn repeat_rows(self, rows: usize) -> Self {
        assert_eq!(self.shape().0, 1, "only a single row can be repeated");
        self.unary(Op::RepeatRows(rows))
    }

    /// One column, `columns` times.
    ///
    /// # Panics
    /// When there is not exactly one column.
    pub fn repeat_columns(self, columns: usize) -> Self {
        assert_eq!(self.shape().1, 1, "only a single column can be repeated");
        self.unary(Op::RepeatColumns(columns))
    }

    /// The same numbers, row by row, in another shape.
    ///
    /// # Panics
    /// When there are not `rows · columns` of them.
    pub fn reshape(self, rows: usize, columns: usize) -> Self {
        let (r, c) = self.shape();
        assert_eq!(r * c, rows * columns, "a reshape keeps the number of entries");
        self.unary(Op::Reshape(rows, columns))
    }

    /// This above `other`.
    ///
    /// # Panics
    /// When the numbers of columns differ.
    pub fn stack(self, other: Self) -> Self {
        let (a, b) = (self.shape(), other.shape());
        assert_eq!(a.1, b.1, "matrices that are stacked need equal widths");
        self.tape.apply(Op::Stack, &[self, other])
    }

    /// This left of `other`.
    ///
    /// # Panics
    /// When the numbers of rows differ.
    pub fn beside(self, other: Self) -> Self {
        self.transpose().stack(other.transpose()).transpose()
    }

    /// Rows `from..from + count`.
    ///
    /// # Panics
    /// When there are fewer rows.
    pub fn rows(self, from: usize, count: usize) -> Self {
        assert!(from + count <= self.shape().0, "rows {from}..{} of {}", from + count, self.shape().0);
        self.unary(Op::Rows { from, count })
    }

    /// The rows with these numbers, in this order; a row may occur more than once, as in an embedding.
    ///
    /// # Panics
    /// When a row does not exist.
    pub fn gather(self, rows: &[usize]) -> Self {
        let count = self.shape().0;
        assert!(rows.iter().all(|&row| row < count), "one of the rows {rows:?} of {count} does not exist");
        let rows = DMatrix::from_iterator(rows.len(), 1, rows.iter().map(|&row| row as f64));
        self.tape.apply(Op::Gather, &[self, self.tape.constant(rows)])
    }

    /// $e^a$.
    pub fn exp(self) -> Self {
        self.unary(Op::Exp)
    }

    /// $\ln a$.
    pub fn ln(self) -> Self {
        self.unary(Op::Ln)
    }

    /// $\sqrt a$.
    pub fn sqrt(self) -> Self {
        self.unary(Op::Sqrt)
    }

    /// $a^n$; $a^0$ is the constant 1, also at 0.
    pub fn powi(self, n: i32) -> Self {
        match n {
            0 => self.tape.constant(DMatrix::from_element(self.shape().0, self.shape().1, 1.0)),
            1 => self,
            _ => self.unary(Op::Powi(n)),
        }
    }

    /// $a^p$ with a fixed exponent; $a^0$ is the constant 1, also at 0.
    ///
    /// At $a = 0$ every derivative is the limit from the right: of the first 0 for $p > 1$ and 1 for $p = 1$, but
    /// infinite for $0 < p < 1$, where the tangent stands upright; and infinity times an adjoint of 0 is not a number
    /// ([`try_powf`](Self::try_powf) refuses such entries). Below 0 only a whole $p$ has a value.
    pub fn powf(self, p: f64) -> Self {
        if p == 0.0 {
            return self.powi(0);
        }
        if p == 1.0 { self } else { self.unary(Op::Powf(p)) }
    }

    /// Fallible twin of [`powf`](Self::powf).
    ///
    /// # Errors
    /// [`Error::Power`] for the first entry where the value or its first derivative is not finite.
    pub fn try_powf(self, p: f64) -> Result<Self, Error> {
        let value = self.value();
        let is_smooth =
            |a: f64| p == 0.0 || a > 0.0 || (p.fract() == 0.0 && a < 0.0) || (a == 0.0 && p >= 1.0);
        first_not(&value, |i, j| is_smooth(value[(i, j)]), |_, _| p)?;
        Ok(self.powf(p))
    }

    /// $a^b$ entry by entry, for $a \ge 0$.
    ///
    /// At $a = 0$ the derivative by the base is the limit from the right, as for [`powf`](Self::powf), and 0 where
    /// $b = 0$. That by the exponent, $a^b\ln a$, is 0 for all $b \ge 0$, its limit for $b > 0$; written as
    /// $e^{b\ln a}$ both would be no numbers. Below 0 there is no derivative by the exponent.
    ///
    /// ```
    /// use nalgebra::dmatrix;
    /// use optim::autodiff::tensor::Tape;
    ///
    /// let tape = Tape::new();
    /// let (a, b) = (tape.input(dmatrix![0.0, 2.0]), tape.input(dmatrix![3.0, 3.0]));
    /// let y = a.pow(b).sum();
    /// let [by_a, by_b] = [a, b].map(|x| tape.gradient(y, &[x])[0].value());
    /// assert_eq!(*by_a, dmatrix![0.0, 12.0]);
    /// assert_eq!(*by_b, dmatrix![0.0, 8.0 * 2_f64.ln()]);
    /// ```
    ///
    /// # Panics
    /// When the shapes differ.
    pub fn pow(self, exponent: Self) -> Self {
        self.binary(Op::Pow, exponent)
    }

    /// Fallible twin of [`pow`](Self::pow).
    ///
    /// # Errors
    /// [`Error::ForeignVariable`], [`Error::Shape`], and [`Error::Power`] for the first entry where the value or one of
    /// its first derivatives does not exist: a base below 0, or of 0 with an exponent below 1.
    pub fn try_pow(self, exponent: Self) -> Result<Self, Error> {
        let y = self.try_binary(Op::Pow, exponent)?;
        let (a, b) = (self.value(), exponent.value());
        first_not(&a, |i, j| a[(i, j)] > 0.0 || (a[(i, j)] == 0.0 && b[(i, j)] >= 1.0), |i, j| b[(i, j)])?;
        Ok(y)
    }

    /// $\max(a, b)$ entry by entry. The larger one receives the derivative; of equal ones each receives half, a
    /// subgradient that does not depend on the order of the two. So $\max(a, 0)$ has the derivative ½ at 0, and
    /// [`relu`](Self::relu) 0.
    ///
    /// # Panics
    /// When the shapes differ.
    pub fn maximum(self, other: Self) -> Self {
        self.binary(Op::Maximum, other)
    }

    /// Fallible twin of [`maximum`](Self::maximum).
    ///
    /// # Errors
    /// [`Error::ForeignVariable`], [`Error::Shape`].
    pub fn try_maximum(self, other: Self) -> Result<Self, Error> {
        self.try_binary(Op::Maximum, other)
    }

    /// Largest entry over the rows, `(1, C)`; of `k` equal ones each receives `1/k` of the derivative.
    ///
    /// # Panics
    /// When there is no row.
    pub fn max_rows(self) -> Self {
        self.transpose().max_columns().transpose()
    }

    /// Largest entry over the columns, `(R, 1)`; of `k` equal ones each receives `1/k` of the derivative. (dfdx gives
    /// all of it to each.)
    ///
    /// # Panics
    /// When there is no column.
    pub fn max_columns(self) -> Self {
        assert!(self.shape().1 > 0, "nothing has no largest entry");
        self.unary(Op::MaxColumns)
    }

    /// $\sin a$.
    pub fn sin(self) -> Self {
        self.unary(Op::Sin)
    }

    /// $\cos a$.
    pub fn cos(self) -> Self {
        self.unary(Op::Cos)
    }

    /// $\tanh a$.
    pub fn tanh(self) -> Self {
        self.unary(Op::Tanh)
    }

    /// $1/(1 + e^{-a})$.
    pub fn sigmoid(self) -> Self {
        self.unary(Op::Sigmoid)
    }

    /// $\max(a, 0)$.
    pub fn relu(self) -> Self {
        self.unary(Op::Relu)
    }

    /// 1 where $a > 0$, else 0.
    pub fn step(self) -> Self {
        self.unary(Op::Step)
    }

    /// $\ln\sum_j e^{a_{ij}}$ of each row, `(R, 1)`, finite for any finite entries.
    pub fn log_sum_exp(self) -> Self {
        let largest = self.unary(Op::RowMax);
        let shifted = self - largest.repeat_columns(self.shape().1);
        shifted.exp().sum_columns().ln() + largest
    }

    /// Mean cross-entropy of logits, `(n, K)`, against targets that sum to 1 in each row, `(n, K)`.
    ///
    /// # Panics
    /// When the shapes differ.
    pub fn cross_entropy(self, targets: Self) -> Self {
        let (n, classes) = self.shape();
        let log_probs = self - self.log_sum_exp().repeat_columns(classes);
        (log_probs * targets).sum().scale(-1.0 / n as f64)
    }
}

impl Add for Var<'_> {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        self.binary(Op::Add, other)
    }
}
impl Sub for Var<'_> {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        self.binary(Op::Sub, other)
    }
}
impl Mul for Var<'_> {
    type Output = Self;
    fn mul(self, other: Self) -> Self {
        self.binary(Op::Mul, other)
    }
}
impl Div for Var<'_> {
    type Output = Self;
    fn div(self, other: Self) -> Self {
        self.binary(Op::Div, other)
    }
}
impl Neg for Var<'_> {
    type Output = Self;
    fn neg(self) -> Self {
        self.unary(Op::Neg)
    }
}

/// # Errors
/// [`Error::Power`] for the first entry, row by row, that is not `good`.
fn first_not(
    base: &DMatrix<f64>,
    good: impl Fn(usize, usize) -> bool,
    exponent: impl Fn(usize, usize) -> f64,
) -> Result<(), Error> {
    let mut entries = (0..base.nrows()).flat_map(|i| (0..base.ncols()).map(move |j| (i, j)));
    match entries.find(|&(i, j)| !good(i, j)) {
        Some((row, column)) => {
            Err(Error::Power { row, column, base: base[(row, column)], exponent: exponent(row, column) })
        }
        None => Ok(()),
    }
}
