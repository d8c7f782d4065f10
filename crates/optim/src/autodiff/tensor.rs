//! Reverse mode on matrices, symbol to symbol: the gradient is a piece of the same graph.
//!
//! Every rule for going backwards is written with the operations that go forwards ([`Tape::gradient`]), so a gradient can
//! be differentiated again, and mixed with [`Tape::directional`], which does the same for forward mode. Two ways to a
//! Hessian-vector product follow: the gradient of $g\cdot v$ (reverse over reverse) and the directional derivative of $g$
//! (forward over reverse).
//!
//! Values are f64 matrices; shapes are values and checked at run time. Broadcasting has to be written
//! ([`Var::repeat_rows`]), so that going backwards sums over the right axis. Operators panic on matrices that do not fit, as
//! those of nalgebra and dfdx do, and on variables of two tapes; their twins `try_…` return an error, and
//! [`fixed`](super::fixed) lets the compiler check shapes. [`Tape::cost`] counts the scalar operations
//! made so far, which is how the lecture compares modes without a clock.
//!
//! # Deviations
//! Only matrices, only f64; element-wise rules at kinks: $\mathrm{relu}'(0) = 0$, the row maximum counts as a constant
//! (its users subtract it and add it again). For training use dfdx with `kernels` and `layers`.
//!
//! **Golden**: JAX. **Cross-check**: dfdx's tape to 1e-12, dual numbers, central differences.
use crate::Error;
use nalgebra::DMatrix;
use std::cell::RefCell;
use std::ops::{Add, Div, Mul, Neg, Sub};
use std::rc::Rc;

mod op;

pub use op::Op;

/// One operation of a tape.
#[derive(Clone, Debug)]
pub struct Node {
    /// What it computes.
    pub op: Op,
    /// Numbers of the nodes that it reads, in order.
    pub inputs: Vec<usize>,
    /// Its value.
    pub value: Rc<DMatrix<f64>>,
}

/// A graph of operations in the order in which they were made, so that inputs come before their users.
#[derive(Debug, Default)]
pub struct Tape {
    nodes: RefCell<Vec<Node>>,
    cost: RefCell<u64>,
}

/// A node of a tape.
#[derive(Clone, Copy, Debug)]
pub struct Var<'t> {
    tape: &'t Tape,
    index: usize,
}

impl Tape {
    /// An empty tape.
    pub fn new() -> Self {
        Self::default()
    }

    /// A new input.
    pub fn input(&self, value: DMatrix<f64>) -> Var<'_> {
        self.push(Op::Input, Vec::new(), value)
    }

    /// A value that is not differentiated.
    pub fn constant(&self, value: DMatrix<f64>) -> Var<'_> {
        self.push(Op::Constant, Vec::new(), value)
    }

    fn push(&self, op: Op, inputs: Vec<usize>, value: DMatrix<f64>) -> Var<'_> {
        let mut nodes = self.nodes.borrow_mut();
        nodes.push(Node { op, inputs, value: Rc::new(value) });
        Var { tape: self, index: nodes.len() - 1 }
    }

    fn apply<'t>(&'t self, op: Op, inputs: &[Var<'t>]) -> Var<'t> {
        for input in inputs {
            assert!(std::ptr::eq(input.tape, self), "two variables of different tapes in one operation");
        }
        let values: Vec<Rc<DMatrix<f64>>> = inputs.iter().map(|input| input.value()).collect();
        let values: Vec<&DMatrix<f64>> = values.iter().map(|value| &**value).collect();
        let value = op.forward(&values);
        *self.cost.borrow_mut() += op.cost(&values, &value);
        self.push(op, inputs.iter().map(|input| input.index).collect(), value)
    }

    /// Nodes made so far.
    pub fn len(&self) -> usize {
        self.nodes.borrow().len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Scalar operations made so far.
    pub fn cost(&self) -> u64 {
        *self.cost.borrow()
    }

    /// All nodes in the order in which they were made.
    pub fn variables(&self) -> Vec<Var<'_>> {
        (0..self.len()).map(|index| Var { tape: self, index }).collect()
    }

    /// A copy of the nodes, for [`graph`](super::graph).
    pub(super) fn nodes(&self) -> Vec<Node> {
        self.nodes.borrow().clone()
    }

    /// Which nodes up to `last` depend on one of `sources`.
    fn depends(&self, sources: &[usize], last: usize) -> Vec<bool> {
        let nodes = self.nodes.borrow();
        let mut depends = vec![false; last + 1];
        for index in 0..=last {
            depends[index] = sources.contains(&index) || nodes[index].inputs.iter().any(|&i| depends[i]);
        }
        depends
    }

    fn node(&self, index: usize) -> Node {
        self.nodes.borrow()[index].clone()
    }

    // ANCHOR: gradient
    /// Reverse mode: for each of `xs`, the derivative of the sum of `y`'s entries weighted by `seed`, as new nodes.
    ///
    /// # Panics
    /// When a variable belongs to another tape, or `seed` has not the shape of `y`.
    pub fn vjp<'t>(&'t self, y: Var<'t>, xs: &[Var<'t>], seed: Var<'t>) -> Vec<Var<'t>> {
        assert_eq!(y.shape(), seed.shape(), "the seed needs the shape of what is differentiated");
        let sources: Vec<usize> = xs.iter().map(|x| self.own(*x).index).collect();
        let depends = self.depends(&sources, self.own(y).index);
        let mut adjoints: Vec<Option<Var<'t>>> = vec![None; y.index + 1];
        adjoints[y.index] = Some(seed);
        for index in (0..=y.index).rev().filter(|&index| depends[index]) {
            let Some(up) = adjoints[index] else { continue };
            let node = self.node(index);
            let inputs: Vec<Var<'t>> = node.inputs.iter().map(|&i| Var { tape: self, index: i }).collect();
            if inputs.is_empty() {
                continue;
            }
            let is_needed = |i: usize| inputs.get(i).is_some_and(|x| depends[x.index]);
            let needed = [is_needed(0), is_needed(1)];
            let received = node.op.vjp(&inputs, Var { tape: self, index }, up, needed);
            for (input, received) in inputs.iter().zip(received).filter(|(x, _)| depends[x.index]) {
                let Some(received) = received else { continue };
                let so_far = &mut adjoints[input.index];
                *so_far = Some(so_far.map_or(received, |sum| sum + received));
            }
        }
        let zero = |x: &Var<'t>| self.constant(DMatrix::zeros(x.shape().0, x.shape().1));
        xs.iter()
            .zip(sources)
            .map(|(x, i)| adjoints.get(i).copied().flatten().unwrap_or_else(|| zero(x)))
            .collect()
    }
    // ANCHOR_END: gradient

    /// The gradient of a single number with respect to each of `xs`, as new nodes: differentiate them again if you like.
    ///
    /// # Panics
    /// When `y` is not `(1, 1)` or a variable belongs to another tape.
    pub fn gradient<'t>(&'t self, y: Var<'t>, xs: &[Var<'t>]) -> Vec<Var<'t>> {
        assert_eq!(y.shape(), (1, 1), "a gradient belongs to a single number; sum first, or use `vjp`");
        self.vjp(y, xs, self.constant(DMatrix::from_element(1, 1, 1.0)))
    }

    /// Forward mode: what `y` changes by when each of `xs` changes by its part of `direction`, as new nodes.
    ///
    /// # Panics
    /// When a direction has not the shape of its variable, or a variable belongs to another tape.
    pub fn directional<'t>(&'t self, y: Var<'t>, xs: &[Var<'t>], direction: &[Var<'t>]) -> Var<'t> {
        assert_eq!(xs.len(), direction.len(), "one direction for each variable");
        let sources: Vec<usize> = xs.iter().map(|x| self.own(*x).index).collect();
        let depends = self.depends(&sources, self.own(y).index);
        let mut tangents: Vec<Option<Var<'t>>> = vec![None; y.index + 1];
        for (x, d) in xs.iter().zip(direction).filter(|(x, _)| x.index <= y.index) {
            assert_eq!(x.shape(), d.shape(), "a direction needs the shape of its variable");
            tangents[x.index] = Some(*d);
        }
        for index in (0..=y.index).filter(|&index| depends[index]) {
            let node = self.node(index);
            if tangents[index].is_some() || node.inputs.is_empty() {
                continue;
            }
            let inputs: Vec<Var<'t>> = node.inputs.iter().map(|&i| Var { tape: self, index: i }).collect();
            let changes: Vec<_> = node.inputs.iter().map(|&i| tangents[i]).collect();
            tangents[index] = node.op.jvp(&inputs, Var { tape: self, index }, &changes);
        }
        let zero = || self.constant(DMatrix::zeros(y.shape().0, y.shape().1));
        tangents[y.index].unwrap_or_else(zero)
    }

    // ANCHOR: hvp
    /// The Hessian of a single number times a vector: the directional derivative of the gradient.
    ///
    /// # Panics
    /// As [`gradient`](Self::gradient) and [`directional`](Self::directional).
    pub fn hessian_times<'t>(&'t self, y: Var<'t>, xs: &[Var<'t>], v: &[Var<'t>]) -> Vec<Var<'t>> {
        let gradient = self.gradient(y, xs);
        gradient.into_iter().map(|g| self.directional(g, xs, v)).collect()
    }
    // ANCHOR_END: hvp

    /// Whether these variables are on this tape: what all methods and operators here take for granted.
    ///
    /// # Errors
    /// [`Error::ForeignVariable`] for the first that is not.
    pub fn check(&self, variables: &[Var<'_>]) -> Result<(), Error> {
        match variables.iter().find(|x| !std::ptr::eq(x.tape, self)) {
            Some(foreign) => Err(Error::ForeignVariable { index: foreign.index }),
            None => Ok(()),
        }
    }

    /// Fallible twin of [`vjp`](Self::vjp).
    ///
    /// # Errors
    /// [`Error::ForeignVariable`]; [`Error::Shape`] unless `seed` has the shape of `y`.
    pub fn try_vjp<'t>(&'t self, y: Var<'t>, xs: &[Var<'t>], seed: Var<'t>) -> Result<Vec<Var<'t>>, Error> {
        self.check(&[y, seed])?;
        self.check(xs)?;
        if y.shape() != seed.shape() {
            return Err(Error::Shape {
                what: "the seed of a derivative",
                got: seed.shape(),
                want: y.shape(),
            });
        }
        Ok(self.vjp(y, xs, seed))
    }

    /// Fallible twin of [`gradient`](Self::gradient).
    ///
    /// # Errors
    /// [`Error::ForeignVariable`]; [`Error::Shape`] unless `y` is `(1, 1)`.
    pub fn try_gradient<'t>(&'t self, y: Var<'t>, xs: &[Var<'t>]) -> Result<Vec<Var<'t>>, Error> {
        self.check(&[y])?;
        self.check(xs)?;
        if y.shape() != (1, 1) {
            return Err(Error::Shape { what: "what has a gradient", got: y.shape(), want: (1, 1) });
        }
        Ok(self.gradient(y, xs))
    }

    /// Fallible twin of [`directional`](Self::directional).
    ///
    /// # Errors
    /// [`Error::ForeignVariable`]; [`Error::LengthMismatch`] unless there is one direction for each variable;
    /// [`Error::Shape`] unless it has its shape.
    pub fn try_directional<'t>(
        &'t self,
        y: Var<'t>,
        xs: &[Var<'t>],
        direction: &[Var<'t>],
    ) -> Result<Var<'t>, Error> {
        self.check(&[y])?;
        self.check(xs)?;
        self.check(direction)?;
        if xs.len() != direction.len() {
            return Err(Error::LengthMismatch { examples: xs.len(), labels: direction.len() });
        }
        match xs.iter().zip(direction).find(|(x, d)| x.shape() != d.shape()) {
            Some((x, d)) => Err(Error::Shape { what: "a direction", got: d.shape(), want: x.shape() }),
            None => Ok(self.directional(y, xs, direction)),
        }
    }

    fn own<'t>(&'t self, x: Var<'t>) -> Var<'t> {
        assert!(std::ptr::eq(x.tape, self), "the variable belongs to another tape");
        x
    }
}

impl<'t> Var<'t> {
    /// The value.
    pub fn value(self) -> Rc<DMatrix<f64>> {
        Rc::clone(&self.tape.nodes.borrow()[self.index].value)
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
        self.tape.nodes.borrow()[self.index].value.shape()
    }

    /// The tape that it is on.
    pub fn tape(self) -> &'t Tape {
        self.tape
    }

    /// Number of the node on its tape.
    pub fn index(self) -> usize {
        self.index
    }

    fn unary(self, op: Op) -> Self {
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
