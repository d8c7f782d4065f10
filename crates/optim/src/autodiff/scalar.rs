//! Reverse mode on numbers: a tape of operations (Wengert 1964), read backwards.
//!
//! While a function is computed, every operation writes down from which numbers its result came and how much the result
//! changes with each of them. Read backwards, the list turns $\bar y = 1$ into $\bar v = \partial y/\partial v$ for every
//! number on it:
//! $$\bar v_i = \sum_{j\,:\,i \to j} \bar v_j\,\frac{\partial v_j}{\partial v_i} .$$
//! One pass serves any number of inputs. A number that is used twice receives two terms: the sum is the point.
//!
//! The parts may be any [`Number`]: a tape of dual numbers gives, for one direction, the gradient and the
//! Hessian-vector product (forward over reverse). Time: O(operations); memory: one node per operation.
//!
//! **Golden**: JAX. **Property**: equal to dual numbers and to central differences on random graphs with re-use.
use super::Number;
use std::cell::RefCell;
use std::ops::{Add, Div, Mul, Neg, Sub};

// ANCHOR: tape
/// In place of a parent that does not exist.
const NONE: u32 = u32::MAX;

/// Where a number came from: up to two parents, and its derivative with respect to each.
#[derive(Clone, Copy, Debug)]
struct Node<T> {
    parents: [u32; 2],
    partials: [T; 2],
}

/// The operations so far, in the order in which they were made.
#[derive(Debug)]
pub struct ScalarTape<T = f64> {
    nodes: RefCell<Vec<Node<T>>>,
}

/// A number that knows its place on a tape; a constant has none.
#[derive(Clone, Copy, Debug)]
pub struct Var<'t, T = f64> {
    tape: Option<&'t ScalarTape<T>>,
    index: u32,
    /// The number itself.
    pub value: T,
}

impl<T: Number> ScalarTape<T> {
    /// An empty tape.
    pub fn new() -> Self {
        Self { nodes: RefCell::default() }
    }

    /// A new input.
    ///
    /// # Panics
    /// After 2³² operations; [`clear`](Self::clear) begins again.
    pub fn var(&self, value: T) -> Var<'_, T> {
        self.push(value, [NONE; 2], [T::from(0.0); 2])
    }

    fn push(&self, value: T, parents: [u32; 2], partials: [T; 2]) -> Var<'_, T> {
        let mut nodes = self.nodes.borrow_mut();
        let index = u32::try_from(nodes.len()).ok().filter(|index| *index != NONE);
        let index = index.expect("fewer than 2³² operations");
        nodes.push(Node { parents, partials });
        Var { tape: Some(self), index, value }
    }

    /// The derivative of `y` with respect to every number on the tape, in one pass backwards.
    ///
    /// # Panics
    /// When `y` is a variable of another tape.
    pub fn backward(&self, y: Var<'_, T>) -> Adjoints<T> {
        let nodes = self.nodes.borrow();
        let mut adjoints = vec![T::from(0.0); nodes.len()];
        let Some(tape) = y.tape else { return Adjoints(adjoints) }; // a constant depends on nothing
        assert!(std::ptr::eq(tape, self), "the variable belongs to another tape");
        adjoints[y.index as usize] = T::from(1.0);
        for (index, node) in nodes.iter().enumerate().take(y.index as usize + 1).rev() {
            let adjoint = adjoints[index];
            let parents = node.parents.into_iter().zip(node.partials);
            for (parent, partial) in parents.filter(|(parent, _)| *parent != NONE) {
                let so_far = &mut adjoints[parent as usize];
                *so_far = *so_far + adjoint * partial; // add: a number may be used twice
            }
        }
        Adjoints(adjoints)
    }
}
// ANCHOR_END: tape

impl<T: Number> Default for ScalarTape<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Number> ScalarTape<T> {
    /// Operations and inputs so far.
    pub fn len(&self) -> usize {
        self.nodes.borrow().len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Forgets everything and keeps the memory. The borrow checker makes sure that no variable is left.
    pub fn clear(&mut self) {
        self.nodes.borrow_mut().clear();
    }
}

/// The derivatives that one pass backwards found.
#[derive(Clone, Debug)]
pub struct Adjoints<T>(Vec<T>);

impl<T: Number> Adjoints<T> {
    /// With respect to this variable; 0 for a constant.
    ///
    /// # Panics
    /// When the variable was made after the pass.
    pub fn wrt(&self, x: Var<'_, T>) -> T {
        x.tape.map_or(T::from(0.0), |_| self.0[x.index as usize])
    }
}

// ANCHOR: operations
impl<'t, T: Number> Var<'t, T> {
    fn unary(self, value: T, slope: T) -> Self {
        match self.tape {
            Some(tape) => tape.push(value, [self.index, NONE], [slope, T::from(0.0)]),
            None => Self::from_value(value),
        }
    }

    /// # Panics
    /// When the two belong to different tapes.
    fn binary(self, other: Self, value: T, slopes: [T; 2]) -> Self {
        match (self.tape, other.tape) {
            (Some(a), Some(b)) => {
                assert!(std::ptr::eq(a, b), "two variables of different tapes in one operation");
                a.push(value, [self.index, other.index], slopes)
            }
            (Some(_), None) => self.unary(value, slopes[0]),
            (None, _) => other.unary(value, slopes[1]),
        }
    }

    fn from_value(value: T) -> Self {
        Self { tape: None, index: 0, value }
    }
}

impl<T: Number> Mul for Var<'_, T> {
    type Output = Self;
    fn mul(self, other: Self) -> Self {
        self.binary(other, self.value * other.value, [other.value, self.value])
    }
}
// ANCHOR_END: operations

// ANCHOR: rest
impl<T: Number> Add for Var<'_, T> {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        self.binary(other, self.value + other.value, [T::from(1.0), T::from(1.0)])
    }
}

impl<T: Number> Sub for Var<'_, T> {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        self.binary(other, self.value - other.value, [T::from(1.0), T::from(-1.0)])
    }
}

impl<T: Number> Div for Var<'_, T> {
    type Output = Self;
    fn div(self, other: Self) -> Self {
        let value = self.value / other.value;
        self.binary(other, value, [T::from(1.0) / other.value, -value / other.value])
    }
}

impl<T: Number> Neg for Var<'_, T> {
    type Output = Self;
    fn neg(self) -> Self {
        self.unary(-self.value, T::from(-1.0))
    }
}

impl<T: Number> From<f64> for Var<'_, T> {
    fn from(value: f64) -> Self {
        Self::from_value(T::from(value))
    }
}

macro_rules! with_plain_numbers {
    ($($trait:ident $method:ident;)*) => {$(
        impl<T: Number> $trait<f64> for Var<'_, T> {
            type Output = Self;
            fn $method(self, other: f64) -> Self {
                self.$method(Self::from(other))
            }
        }
        impl<'t, T: Number> $trait<Var<'t, T>> for f64 {
            type Output = Var<'t, T>;
            fn $method(self, other: Var<'t, T>) -> Var<'t, T> {
                Var::from(self).$method(other)
            }
        }
    )*};
}
with_plain_numbers! { Add add; Sub sub; Mul mul; Div div; }

impl<T: Number> Number for Var<'_, T> {
    fn real(self) -> f64 {
        self.value.real()
    }
    fn exp(self) -> Self {
        let e = self.value.exp();
        self.unary(e, e)
    }
    fn ln(self) -> Self {
        self.unary(self.value.ln(), T::from(1.0) / self.value)
    }
    fn sqrt(self) -> Self {
        let root = self.value.sqrt();
        self.unary(root, T::from(0.5) / root)
    }
    fn sin(self) -> Self {
        self.unary(self.value.sin(), self.value.cos())
    }
    fn cos(self) -> Self {
        self.unary(self.value.cos(), -self.value.sin())
    }
    fn tanh(self) -> Self {
        let t = self.value.tanh();
        self.unary(t, T::from(1.0) - t * t)
    }
    fn powi(self, n: i32) -> Self {
        match n {
            0 => Self::from(1.0),
            _ => self.unary(self.value.powi(n), T::from(f64::from(n)) * self.value.powi(n - 1)),
        }
    }
}
// ANCHOR_END: rest
