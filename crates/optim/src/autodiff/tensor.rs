//! Reverse mode on matrices, symbol to symbol: the gradient is a piece of the same graph.
//!
//! Every rule for going backwards is written with the operations that go forwards ([`Tape::gradient`]), so a gradient can
//! be differentiated again, and mixed with [`Tape::directional`], which does the same for forward mode. Two ways to a
//! Hessian-vector product follow: the gradient of $g\cdot v$ (reverse over reverse) and the directional derivative of $g$
//! (forward over reverse). Where the numbers are wanted and not their graph, [`Tape::grad`] runs the same rules on nodes
//! that are dropped at once ([`GradMode::Values`]), and so do the functions of functions [`vjp`], [`jvp`], [`hvp`],
//! [`jacobian`] and [`hessian`]: matrices in, matrices out.
//!
//! Values are f64 matrices; shapes are values and checked at run time. Broadcasting has to be written
//! ([`Var::repeat_rows`]), so that going backwards sums over the right axis. Operators panic on matrices that do not fit, as
//! those of nalgebra and dfdx do, and on variables of two tapes; their twins `try_…` return an error, and
//! [`fixed`](super::fixed) lets the compiler check shapes. [`Tape::cost`] counts the scalar operations
//! made so far, which is how the lecture compares modes without a clock, and [`Tape::peak`] the numbers kept at once.
//!
//! # Deviations
//! Only matrices, only f64. Where there is no derivative the tape chooses one: $\mathrm{relu}'(0) = 0$; the largest of
//! equal entries share the derivative equally ([`Var::maximum`], [`Var::max_rows`]); powers of 0 see [`Var::pow`]; the row
//! maximum inside of [`Var::log_sum_exp`] counts as a constant, since it is subtracted and added again. For training use
//! dfdx with `kernels` and `layers`.
//!
//! **Golden**: JAX. **Cross-check**: dfdx's tape to 1e-12, dual numbers, central differences.
use crate::Error;
use nalgebra::DMatrix;
use std::cell::{Cell, RefCell};
use std::rc::Rc;

mod derivative;
mod functional;
mod op;
mod var;

pub use derivative::GradMode;
pub use functional::{hessian, hvp, jacobian, jvp, vjp};
pub use op::Op;

/// One operation of a tape.
#[derive(Clone, Debug)]
pub(super) struct Node {
    /// What it computes.
    pub(super) op: Op,
    /// Numbers of the nodes that it reads, in order.
    pub(super) inputs: Vec<usize>,
    /// Its value.
    pub(super) value: Value,
}

/// A matrix that counts as kept for as long as somebody has this.
#[derive(Clone, Debug)]
pub(super) struct Value {
    /// The matrix.
    pub(super) matrix: Rc<DMatrix<f64>>,
    _kept: Rc<Kept>,
}

/// Numbers that count as kept until this is dropped.
#[derive(Debug)]
struct Kept {
    numbers: usize,
    meter: Rc<Meter>,
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.meter.live.set(self.meter.live.get() - self.numbers);
    }
}

/// What was spent on a tape and on the nodes of its derivatives.
#[derive(Debug, Default)]
struct Meter {
    cost: Cell<u64>,
    live: Cell<usize>,
    peak: Cell<usize>,
}

impl Meter {
    fn keep(self: &Rc<Self>, matrix: DMatrix<f64>) -> Value {
        let numbers = matrix.len();
        self.live.set(self.live.get() + numbers);
        self.peak.set(self.peak.get().max(self.live.get()));
        Value { matrix: Rc::new(matrix), _kept: Rc::new(Kept { numbers, meter: Rc::clone(self) }) }
    }
}

/// A graph of operations in the order in which they were made, so that inputs come before their users.
#[derive(Debug, Default)]
pub struct Tape {
    nodes: RefCell<Vec<Node>>,
    meter: Rc<Meter>,
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
        self.push(Op::Input, Vec::new(), self.meter.keep(value))
    }

    /// A value that is not differentiated.
    pub fn constant(&self, value: DMatrix<f64>) -> Var<'_> {
        self.push(Op::Constant, Vec::new(), self.meter.keep(value))
    }

    fn push(&self, op: Op, inputs: Vec<usize>, value: Value) -> Var<'_> {
        let mut nodes = self.nodes.borrow_mut();
        nodes.push(Node { op, inputs, value });
        Var { tape: self, index: nodes.len() - 1 }
    }

    fn apply<'t>(&'t self, op: Op, inputs: &[Var<'t>]) -> Var<'t> {
        for input in inputs {
            assert!(std::ptr::eq(input.tape, self), "two variables of different tapes in one operation");
        }
        let values: Vec<Rc<DMatrix<f64>>> = inputs.iter().map(|input| input.value()).collect();
        let values: Vec<&DMatrix<f64>> = values.iter().map(|value| &**value).collect();
        let value = op.forward(&values);
        self.meter.cost.set(self.meter.cost.get() + op.cost(&values, &value));
        self.push(op, inputs.iter().map(|input| input.index).collect(), self.meter.keep(value))
    }

    /// Nodes made so far.
    pub fn len(&self) -> usize {
        self.nodes.borrow().len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Scalar operations made so far, those of derivatives included.
    pub fn cost(&self) -> u64 {
        self.meter.cost.get()
    }

    /// Most numbers that were kept at once so far: by the nodes of this tape, and while a derivative was computed by its
    /// own.
    pub fn peak(&self) -> usize {
        self.meter.peak.get()
    }

    /// All nodes in the order in which they were made.
    pub fn variables(&self) -> Vec<Var<'_>> {
        (0..self.len()).map(|index| Var { tape: self, index }).collect()
    }

    /// A copy of the nodes, for [`graph`](super::graph).
    pub(super) fn nodes(&self) -> Vec<Node> {
        self.nodes.borrow().clone()
    }

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
}
