//! The two walks over a tape: back from a result, and forward from inputs.
use super::{Tape, Value, Var};
use crate::Error;
use nalgebra::DMatrix;
use std::rc::Rc;

/// What becomes of the operations that a derivative is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GradMode {
    /// They are dropped as soon as nothing waits for their result; the derivatives come back as constants.
    Values,
    /// They stay on the tape, so that the derivatives can be differentiated again.
    Graph,
}

impl Tape {
    /// Which nodes up to `last` depend on one of `sources`.
    fn depends(&self, sources: &[usize], last: usize) -> Vec<bool> {
        let nodes = self.nodes.borrow();
        let mut depends = vec![false; last + 1];
        for index in 0..=last {
            depends[index] = sources.contains(&index) || nodes[index].inputs.iter().any(|&i| depends[i]);
        }
        depends
    }

    fn inputs_at(&self, index: usize) -> Vec<usize> {
        self.nodes.borrow()[index].inputs.clone()
    }

    // ANCHOR: gradient
    /// The walk back: what each of `sources` receives when node `y` receives `seed`. What a node receives is an `A`: a
    /// variable on this tape, or a value alone. `rule` is the chain rule of one node, `add` joins two shares.
    fn walk_back<A: Clone>(
        &self,
        (y, seed): (usize, A),
        sources: &[usize],
        rule: impl Fn(usize, A, [bool; 2]) -> [Option<A>; 2],
        add: impl Fn(A, A) -> A,
    ) -> Vec<Option<A>> {
        let depends = self.depends(sources, y);
        let mut adjoints: Vec<Option<A>> = vec![None; y + 1];
        adjoints[y] = Some(seed);
        for index in (0..=y).rev().filter(|&index| depends[index]) {
            let inputs = self.inputs_at(index);
            if inputs.is_empty() {
                continue;
            }
            let is_asked_for = sources.contains(&index); // else nobody reads it again
            let up = if is_asked_for { adjoints[index].clone() } else { adjoints[index].take() };
            let Some(up) = up else { continue };
            let is_needed = |i: usize| inputs.get(i).is_some_and(|&x| depends[x]);
            let received = rule(index, up, [is_needed(0), is_needed(1)]);
            for (&input, received) in inputs.iter().zip(received).filter(|(x, _)| depends[**x]) {
                let Some(received) = received else { continue };
                adjoints[input] = Some(match adjoints[input].take() {
                    Some(so_far) => add(so_far, received),
                    None => received,
                });
            }
        }
        sources.iter().map(|&i| adjoints.get(i).cloned().flatten()).collect()
    }

    /// Reverse mode: for each of `xs`, the derivative of the sum of `y`'s entries weighted by `seed`, as new nodes.
    ///
    /// # Panics
    /// When a variable belongs to another tape, or `seed` has not the shape of `y`.
    pub fn vjp<'t>(&'t self, y: Var<'t>, xs: &[Var<'t>], seed: Var<'t>) -> Vec<Var<'t>> {
        assert_eq!(y.shape(), seed.shape(), "the seed needs the shape of what is differentiated");
        let sources: Vec<usize> = xs.iter().map(|x| self.own(*x).index).collect();
        let rule = |index: usize, up: Var<'t>, needed| {
            let inputs: Vec<Var<'t>> = self.inputs_at(index).into_iter().map(|i| self.at(i)).collect();
            let op = self.nodes.borrow()[index].op;
            op.vjp(&inputs, self.at(index), up, needed)
        };
        let adjoints = self.walk_back((self.own(y).index, seed), &sources, rule, |a, b| a + b);
        xs.iter().zip(adjoints).map(|(x, found)| found.unwrap_or_else(|| self.zeros(*x))).collect()
    }
    // ANCHOR_END: gradient

    // ANCHOR: detached
    /// One operation on a tape of its own, which reads the values of this one and is dropped at the end.
    fn alone<R>(&self, index: usize, f: impl for<'s> FnOnce(&'s Tape, &[Var<'s>], Var<'s>) -> R) -> R {
        let tape = Self { meter: Rc::clone(&self.meter), ..Self::default() };
        let inputs: Vec<Var<'_>> =
            self.inputs_at(index).into_iter().map(|i| tape.hold(self.kept(i))).collect();
        f(&tape, &inputs, tape.hold(self.kept(index)))
    }

    /// [`vjp`](Self::vjp) by the same rules, node by node on tapes that are dropped; `None` stands for zeros.
    pub(super) fn vjp_values(&self, y: usize, sources: &[usize], seed: Value) -> Vec<Option<Value>> {
        let rule = |index: usize, up: Value, needed| {
            let op = self.nodes.borrow()[index].op;
            self.alone(index, |tape, inputs, y| {
                op.vjp(inputs, y, tape.hold(up), needed).map(|received| received.map(Var::kept))
            })
        };
        self.walk_back((y, seed), sources, rule, |a, b| self.sum(a, b))
    }
    // ANCHOR_END: detached

    /// The gradient of a single number with respect to each of `xs`, as new nodes: differentiate them again if you like.
    ///
    /// # Panics
    /// When `y` is not `(1, 1)` or a variable belongs to another tape.
    pub fn gradient<'t>(&'t self, y: Var<'t>, xs: &[Var<'t>]) -> Vec<Var<'t>> {
        assert_eq!(y.shape(), (1, 1), "a gradient belongs to a single number; sum first, or use `vjp`");
        self.vjp(y, xs, self.constant(DMatrix::from_element(1, 1, 1.0)))
    }

    /// The gradient of `y`, `(1, 1)`, with respect to each of `xs`, in their shapes: the same numbers in both modes, to
    /// the bit. In [`GradMode::Values`] the tape grows by one constant for each of `xs`, whatever the length of the way;
    /// differentiating those gives zeros.
    ///
    /// ```
    /// use nalgebra::dmatrix;
    /// use optim::autodiff::tensor::{GradMode, Tape};
    ///
    /// let tape = Tape::new();
    /// let x = tape.input(dmatrix![0.5, 2.0]);
    /// let y = (x * x).sum();
    /// let before = tape.len();
    /// let values = tape.grad(y, &[x], GradMode::Values)?[0];
    /// assert_eq!((*values.value()).clone(), dmatrix![1.0, 4.0]);
    /// assert_eq!(tape.len(), before + 1);
    ///
    /// let graph = tape.grad(y, &[x], GradMode::Graph)?[0];
    /// let second = tape.grad(graph.sum(), &[x], GradMode::Values)?[0];
    /// assert_eq!((*second.value()).clone(), dmatrix![2.0, 2.0]);
    /// # Ok::<(), optim::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::ForeignVariable`]; [`Error::NotANumber`] unless `y` is `(1, 1)`.
    pub fn grad<'t>(&'t self, y: Var<'t>, xs: &[Var<'t>], mode: GradMode) -> Result<Vec<Var<'t>>, Error> {
        if mode == GradMode::Graph {
            return self.try_gradient(y, xs);
        }
        self.check(&[y])?;
        self.check(xs)?;
        is_number(y)?;
        let sources: Vec<usize> = xs.iter().map(|x| x.index).collect();
        let found = self.vjp_values(y.index, &sources, self.keep(DMatrix::from_element(1, 1, 1.0)));
        let as_constant = |(x, value): (&Var<'t>, Option<Value>)| match value {
            Some(value) => self.hold(value),
            None => self.zeros(*x),
        };
        Ok(xs.iter().zip(found).map(as_constant).collect())
    }

    /// The walk forward: what each of `ys` changes by when the nodes in `given` change by their part. As for the walk
    /// back, a change is an `A`; it is dropped after its last use.
    fn walk_forward<A: Clone>(
        &self,
        ys: &[usize],
        given: Vec<(usize, A)>,
        rule: impl Fn(usize, &[Option<A>]) -> Option<A>,
    ) -> Vec<Option<A>> {
        let last = ys.iter().copied().max().unwrap_or(0);
        let sources: Vec<usize> = given.iter().map(|(index, _)| *index).collect();
        let depends = self.depends(&sources, last);
        let mut last_use: Vec<usize> = vec![0; last + 1];
        for index in (0..=last).filter(|&index| depends[index]) {
            self.nodes.borrow()[index].inputs.iter().for_each(|&input| last_use[input] = index);
        }
        ys.iter().for_each(|&y| last_use[y] = usize::MAX);
        let mut tangents: Vec<Option<A>> = vec![None; last + 1];
        given.into_iter().filter(|(x, _)| *x <= last).for_each(|(x, change)| tangents[x] = Some(change));
        for index in (0..=last).filter(|&index| depends[index]) {
            let inputs = self.inputs_at(index);
            if tangents[index].is_none() && !inputs.is_empty() {
                let changes: Vec<Option<A>> = inputs.iter().map(|&i| tangents[i].clone()).collect();
                tangents[index] = rule(index, &changes);
            }
            inputs.iter().filter(|&&i| last_use[i] == index).for_each(|&i| tangents[i] = None);
        }
        ys.iter().map(|&y| tangents[y].clone()).collect()
    }

    /// Forward mode: what `y` changes by when each of `xs` changes by its part of `direction`, as new nodes.
    ///
    /// # Panics
    /// When a direction has not the shape of its variable, or a variable belongs to another tape.
    pub fn directional<'t>(&'t self, y: Var<'t>, xs: &[Var<'t>], direction: &[Var<'t>]) -> Var<'t> {
        assert_eq!(xs.len(), direction.len(), "one direction for each variable");
        for (x, d) in xs.iter().zip(direction) {
            assert_eq!(x.shape(), d.shape(), "a direction needs the shape of its variable");
        }
        let given = xs.iter().zip(direction).map(|(x, d)| (self.own(*x).index, *d)).collect();
        let rule = |index: usize, changes: &[Option<Var<'t>>]| {
            let inputs: Vec<Var<'t>> = self.inputs_at(index).into_iter().map(|i| self.at(i)).collect();
            let op = self.nodes.borrow()[index].op;
            op.jvp(&inputs, self.at(index), changes)
        };
        let found = self.walk_forward(&[self.own(y).index], given, rule);
        found[0].unwrap_or_else(|| self.zeros(y))
    }

    /// [`directional`](Self::directional) of several results by the same rules, node by node on tapes that are dropped;
    /// `None` stands for zeros.
    pub(super) fn jvp_values(&self, ys: &[usize], given: Vec<(usize, Value)>) -> Vec<Option<Value>> {
        self.walk_forward(ys, given, |index, changes| {
            let op = self.nodes.borrow()[index].op;
            self.alone(index, |tape, inputs, y| {
                let changes: Vec<_> = changes.iter().map(|c| c.clone().map(|c| tape.hold(c))).collect();
                op.jvp(inputs, y, &changes).map(Var::kept)
            })
        })
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
    /// [`Error::ForeignVariable`]; [`Error::NotANumber`] unless `y` is `(1, 1)`.
    pub fn try_gradient<'t>(&'t self, y: Var<'t>, xs: &[Var<'t>]) -> Result<Vec<Var<'t>>, Error> {
        self.check(&[y])?;
        self.check(xs)?;
        is_number(y)?;
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

    fn at(&self, index: usize) -> Var<'_> {
        Var { tape: self, index }
    }

    fn zeros<'t>(&'t self, like: Var<'t>) -> Var<'t> {
        let (rows, columns) = like.shape();
        self.constant(DMatrix::zeros(rows, columns))
    }

    /// A value that counts as kept here.
    pub(super) fn keep(&self, matrix: DMatrix<f64>) -> Value {
        self.meter.keep(matrix)
    }

    /// A value of this or another tape, which the two then share.
    pub(super) fn hold(&self, value: Value) -> Var<'_> {
        self.push(super::Op::Constant, Vec::new(), value)
    }

    fn kept(&self, index: usize) -> Value {
        self.nodes.borrow()[index].value.clone()
    }

    fn sum(&self, a: Value, b: Value) -> Value {
        let tape = Self { meter: Rc::clone(&self.meter), ..Self::default() };
        (tape.hold(a) + tape.hold(b)).kept()
    }
}

impl Var<'_> {
    fn kept(self) -> Value {
        self.tape.kept(self.index)
    }
}

/// # Errors
/// [`Error::NotANumber`] unless `y` is `(1, 1)`.
pub(super) fn is_number(y: Var<'_>) -> Result<(), Error> {
    match y.shape() {
        (1, 1) => Ok(()),
        shape => Err(Error::NotANumber { shape }),
    }
}
