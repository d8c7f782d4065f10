//! The law of hostile shapes: what every public function answers to sizes of 0 and to what does not fit.
//!
//! A family shows its rows to a [`Hostile`]. A size of 0 gives what the documentation says, and gradients of 0 to all that
//! is not empty. What does not fit gives a typed error that names the offending values; where the documentation speaks of
//! a panic, as dfdx's operations panic, its message names them. Each function has rows of both kinds, unless its types
//! leave nothing that could fail to fit.
use super::laws::elements;
use dfdx::prelude::*;
use std::any::Any;
use std::collections::BTreeSet;
use std::fmt::{Debug, Display};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Rows of a family: the method whose body runs, or the name of a composition, with the public functions that call it.
pub type Operations = [(&'static str, &'static [&'static str])];

/// A tensor of zeros.
pub fn zeros<S: Shape>(shape: S) -> Tensor<S, f64, Cpu> {
    Cpu::default().zeros_like(&shape)
}

/// A tensor of ones, to divide by.
pub fn ones<S: Shape>(shape: S) -> Tensor<S, f64, Cpu> {
    Cpu::default().ones_like(&shape)
}

/// Something that gets a gradient.
pub trait Leaf {
    /// Its elements, none for none.
    fn gradient(&self, gradients: &mut Gradients<f64, Cpu>) -> Vec<f64>;
    /// How many there are.
    fn elements(&self) -> usize;
}
impl<S: Shape> Leaf for Tensor<S, f64, Cpu> {
    fn gradient(&self, gradients: &mut Gradients<f64, Cpu>) -> Vec<f64> {
        gradients.get_or_alloc_mut(self).unwrap().iter().copied().collect()
    }
    fn elements(&self) -> usize {
        self.shape().num_elements()
    }
}

/// Which functions have been seen with which kind of row.
#[derive(Default)]
pub struct Hostile {
    empty: BTreeSet<&'static str>,
    misfit: BTreeSet<&'static str>,
    fitting: BTreeSet<&'static str>,
}

impl Hostile {
    /// A size of 0 gives `shape`, each element `value`, if there are any.
    #[track_caller]
    pub fn holds<S: Shape, T>(
        &mut self,
        function: &'static str,
        y: &Tensor<S, f64, Cpu, T>,
        shape: &[usize],
        value: f64,
    ) {
        self.empty.insert(function);
        assert_eq!(y.shape().concrete().into_iter().collect::<Vec<_>>(), shape, "shape of {function}");
        for y in elements(y) {
            assert!(y == value || y.is_nan() && value.is_nan(), "{function}: {y} instead of {value}");
        }
    }

    /// The same, and a backward pass from the sum gives each leaf a gradient of zeros.
    #[track_caller]
    pub fn empty<S: Shape>(
        &mut self,
        function: &'static str,
        y: Tensor<S, f64, Cpu, OwnedTape<f64, Cpu>>,
        shape: &[usize],
        value: f64,
        leaves: &[&dyn Leaf],
    ) {
        self.holds(function, &y, shape, value);
        let mut gradients = crate::sum_all(y).backward();
        for (i, leaf) in leaves.iter().enumerate() {
            let gradient = leaf.gradient(&mut gradients);
            assert_eq!(gradient.len(), leaf.elements(), "{function}, elements of gradient {i}");
            assert!(gradient.iter().all(|&g| g == 0.0), "{function}, gradient {i}: {gradient:?}");
        }
    }

    /// What does not fit is an error of the right kind (`is_right`), whose message names the values. See [`refuses`].
    #[track_caller]
    pub fn refused<Y, X: Debug + Display>(
        &mut self,
        function: &'static str,
        result: Result<Y, X>,
        is_right: impl Fn(&X) -> bool,
        values: &[&dyn Display],
    ) {
        self.misfit.insert(function);
        let Err(error) = result else { panic!("{function} accepts what does not fit") };
        assert!(is_right(&error), "{function}: {error:?}");
        names_all(function, &error.to_string(), values);
    }

    /// What does not fit is a panic whose message names the values.
    #[track_caller]
    pub fn panics<Y>(&mut self, function: &'static str, run: impl FnOnce() -> Y, values: &[&dyn Display]) {
        self.misfit.insert(function);
        let Err(panic) = catch_unwind(AssertUnwindSafe(run)) else {
            panic!("{function} accepts what does not fit")
        };
        names_all(function, &message(&*panic), values);
    }

    /// Functions of one operand, or of operands whose types agree: nothing can fail to fit.
    pub fn always_fit(&mut self, functions: &[&'static str]) {
        self.fitting.extend(functions);
    }

    /// Every function has its rows, and no row another name.
    pub fn finish(self, operations: &Operations, elsewhere: &[&str]) {
        let functions: BTreeSet<_> =
            operations.iter().flat_map(|(_, functions)| *functions).copied().collect();
        let without = |seen: &BTreeSet<&'static str>| functions.difference(seen).copied().collect::<Vec<_>>();
        assert_eq!(without(&self.empty), [""; 0], "no row with a size of 0");
        let mut answered = self.misfit.clone();
        answered.extend(&self.fitting);
        assert_eq!(without(&answered), [""; 0], "no row that does not fit");
        assert!(self.misfit.is_disjoint(&self.fitting), "said to fit always: {:?}", self.misfit);
        for name in self.empty.union(&answered) {
            assert!(
                functions.contains(name) || elsewhere.contains(name),
                "{name} is not a registered function"
            );
        }
    }
}

/// What a panic said.
fn message(panic: &(dyn Any + Send)) -> String {
    let said = panic.downcast_ref::<String>().cloned();
    said.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).into())).unwrap_or_default()
}

/// Whether each value stands in the message by itself, and not as a part of a longer number or word.
#[track_caller]
fn names_all(function: &str, message: &str, values: &[&dyn Display]) {
    let is_part = |c: char| c.is_ascii_alphanumeric();
    for value in values.iter().map(|value| value.to_string()) {
        let stands_alone = message.match_indices(&value).any(|(at, _)| {
            !message[..at].ends_with(is_part) && !message[at + value.len()..].starts_with(is_part)
        });
        assert!(stands_alone, "{function} does not name {value}: {message}");
    }
}

/// Rows that do not fit: a function, a call, the error, the values that its message must name.
macro_rules! refuses {
    ($hostile:ident: $($function:literal, $call:expr => $error:pat, [$($value:expr),*];)+) => { $(
        $hostile.refused($function, $call, |error| matches!(error, $error), &[$(&$value),*]);
    )+ };
}
pub(crate) use refuses;
