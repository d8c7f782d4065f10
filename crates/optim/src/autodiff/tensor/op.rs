//! What one node of a tape computes, forwards and in both directions of the chain rule.
use super::Var;
use nalgebra::DMatrix;

/// What a node computes from its inputs, in order.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Op {
    /// A number from outside, differentiated with respect to.
    Input,
    /// A number from outside that nothing is differentiated with respect to.
    Constant,
    /// $a + b$.
    Add,
    /// $a - b$.
    Sub,
    /// $a \odot b$.
    Mul,
    /// $a / b$ element by element.
    Div,
    /// $-a$.
    Neg,
    /// $s\,a$.
    Scale(f64),
    /// $a + s$.
    Shift(f64),
    /// Matrix product.
    MatMul,
    /// Transpose.
    Transpose,
    /// Sum over the rows: `(R, C)` to `(1, C)`.
    SumRows,
    /// Sum over the columns: `(R, C)` to `(R, 1)`.
    SumColumns,
    /// `(1, C)` to `(R, C)`.
    RepeatRows(usize),
    /// `(R, 1)` to `(R, C)`.
    RepeatColumns(usize),
    /// The same numbers row by row in another shape: `(R, C)` to `(rows, columns)`.
    Reshape(usize, usize),
    /// The first matrix above the second.
    Stack,
    /// Rows `from..from + count`.
    Rows {
        /// The first.
        from: usize,
        /// How many.
        count: usize,
    },
    /// Rows of zeros above and below.
    Pad {
        /// Rows above.
        above: usize,
        /// Rows below.
        below: usize,
    },
    /// Row `i` is the row of the first matrix whose number stands in row `i` of the second, a constant column.
    Gather,
    /// Adds row `i` of the first matrix to the row whose number stands in row `i` of the second; as many rows as this.
    Scatter(usize),
    /// $e^a$.
    Exp,
    /// $\ln a$.
    Ln,
    /// $\sqrt a$.
    Sqrt,
    /// $a^n$.
    Powi(i32),
    /// $a^p$.
    Powf(f64),
    /// $a^b$ element by element.
    Pow,
    /// $a$, but 1 where $a = b = 0$: the base of the derivative $b\,a^{b-1}$, so that it is 0 there.
    PowerBase,
    /// $a$, but 1 where $a = 0 \le b$: what the derivative $a^b\ln a$ takes the logarithm of, so that it is 0 there.
    LogBase,
    /// $\max(a, b)$ element by element; not a number where one of them is none.
    Maximum,
    /// 1 where $a > b$, ½ where they are equal, else 0; its derivative is 0.
    Share,
    /// Largest entry of each row, `(R, C)` to `(R, 1)`.
    MaxColumns,
    /// $1/k$ for each of the $k$ largest entries of a row, else 0; its derivative is 0.
    Shares,
    /// $\sin a$.
    Sin,
    /// $\cos a$.
    Cos,
    /// $\tanh a$.
    Tanh,
    /// $1/(1 + e^{-a})$.
    Sigmoid,
    /// $\max(a, 0)$.
    Relu,
    /// 1 where $a > 0$, else 0; its derivative is 0.
    Step,
    /// Largest entry of each row, `(R, C)` to `(R, 1)`; counts as a constant.
    RowMax,
}

impl Op {
    /// Value from the values of the inputs. Shapes have been checked.
    pub(in crate::autodiff) fn forward(self, inputs: &[&DMatrix<f64>]) -> DMatrix<f64> {
        let a = inputs[0];
        match self {
            Self::Input | Self::Constant => a.clone(),
            Self::Add => a + inputs[1],
            Self::Sub => a - inputs[1],
            Self::Mul => a.component_mul(inputs[1]),
            Self::Div => a.component_div(inputs[1]),
            Self::Neg => -a,
            Self::Scale(s) => a * s,
            Self::Shift(s) => a.add_scalar(s),
            Self::MatMul => a * inputs[1],
            Self::Transpose => a.transpose(),
            Self::SumRows => DMatrix::from_fn(1, a.ncols(), |_, j| a.column(j).sum()),
            Self::SumColumns => DMatrix::from_fn(a.nrows(), 1, |i, _| a.row(i).sum()),
            Self::RepeatRows(rows) => DMatrix::from_fn(rows, a.ncols(), |_, j| a[(0, j)]),
            Self::RepeatColumns(columns) => DMatrix::from_fn(a.nrows(), columns, |i, _| a[(i, 0)]),
            Self::Reshape(rows, columns) => {
                DMatrix::from_row_iterator(rows, columns, a.transpose().iter().copied())
            }
            Self::Stack => {
                let (top, b) = (a.nrows(), inputs[1]);
                DMatrix::from_fn(top + b.nrows(), a.ncols(), |i, j| {
                    if i < top { a[(i, j)] } else { b[(i - top, j)] }
                })
            }
            Self::Rows { from, count } => a.rows(from, count).into_owned(),
            Self::Pad { above, below } => {
                let mut padded = DMatrix::zeros(above + a.nrows() + below, a.ncols());
                padded.rows_mut(above, a.nrows()).copy_from(a);
                padded
            }
            Self::Gather => {
                let row = |i: usize| inputs[1][(i, 0)] as usize;
                DMatrix::from_fn(inputs[1].nrows(), a.ncols(), |i, j| a[(row(i), j)])
            }
            Self::Scatter(rows) => {
                let mut sums = DMatrix::zeros(rows, a.ncols());
                for i in 0..a.nrows() {
                    let mut to = sums.row_mut(inputs[1][(i, 0)] as usize);
                    to += a.row(i);
                }
                sums
            }
            Self::Exp => a.map(f64::exp),
            Self::Ln => a.map(f64::ln),
            Self::Sqrt => a.map(f64::sqrt),
            Self::Powi(n) => a.map(|x| x.powi(n)),
            Self::Powf(p) => a.map(|x| x.powf(p)),
            Self::Pow => a.zip_map(inputs[1], f64::powf),
            Self::PowerBase => a.zip_map(inputs[1], |a, b| if a == 0.0 && b == 0.0 { 1.0 } else { a }),
            Self::LogBase => a.zip_map(inputs[1], |a, b| if a == 0.0 && b >= 0.0 { 1.0 } else { a }),
            Self::Maximum => a.zip_map(inputs[1], larger),
            Self::Share => a.zip_map(inputs[1], share),
            Self::MaxColumns => DMatrix::from_fn(a.nrows(), 1, |i, _| largest(a, i)),
            Self::Shares => {
                let mut shares = DMatrix::zeros(a.nrows(), a.ncols());
                for i in 0..a.nrows() {
                    let most = largest(a, i);
                    let ties = a.row(i).iter().filter(|x| **x == most).count();
                    let part = |x: f64| if x == most { 1.0 / ties as f64 } else { 0.0 };
                    shares.row_mut(i).copy_from(&a.row(i).map(part));
                }
                shares
            }
            Self::Sin => a.map(f64::sin),
            Self::Cos => a.map(f64::cos),
            Self::Tanh => a.map(f64::tanh),
            Self::Sigmoid => a.map(crate::nielsen::sigmoid),
            Self::Relu => a.map(|x| if x > 0.0 { x } else { 0.0 }),
            Self::Step => a.map(|x| if x > 0.0 { 1.0 } else { 0.0 }),
            Self::RowMax => DMatrix::from_fn(a.nrows(), 1, |i, _| a.row(i).max()),
        }
    }

    // ANCHOR: vjp
    /// For each input that is needed, what it receives when the output `y` receives `up`:
    /// $\bar a = \bar y\,\partial y/\partial a$.
    pub(super) fn vjp<'t>(
        self,
        x: &[Var<'t>],
        y: Var<'t>,
        up: Var<'t>,
        needed: [bool; 2],
    ) -> [Option<Var<'t>>; 2] {
        let a = x[0];
        let one = |adjoint| [Some(adjoint), None];
        let [left, right] = needed;
        match self {
            Self::Input | Self::Constant | Self::Step | Self::RowMax | Self::Share | Self::Shares => {
                [None, None]
            }
            Self::Add => [Some(up), Some(up)],
            Self::Sub => [Some(up), right.then(|| -up)],
            Self::Mul => [left.then(|| up * x[1]), right.then(|| up * a)],
            Self::Div => [left.then(|| up / x[1]), right.then(|| -(up * y / x[1]))],
            Self::Pow => {
                [left.then(|| up * Self::by_base(a, x[1])), right.then(|| up * Self::by_exponent(a, x[1], y))]
            }
            Self::PowerBase | Self::LogBase => one(up),
            Self::Maximum => {
                let first = up * up.tape.apply(Self::Share, &[a, x[1]]);
                [Some(first), right.then(|| up - first)]
            }
            Self::MaxColumns => one(up.repeat_columns(a.shape().1) * a.unary(Self::Shares)),
            Self::MatMul => {
                [left.then(|| up.matmul(x[1].transpose())), right.then(|| a.transpose().matmul(up))]
            }
            Self::Transpose => one(up.transpose()),
            Self::SumRows => one(up.repeat_rows(a.shape().0)),
            Self::SumColumns => one(up.repeat_columns(a.shape().1)),
            Self::RepeatRows(_) => one(up.sum_rows()), // what was copied is summed
            Self::RepeatColumns(_) => one(up.sum_columns()),
            Self::Reshape(..) => one(up.unary(Self::Reshape(a.shape().0, a.shape().1))),
            Self::Stack => {
                let (top, below) = (a.shape().0, x[1].shape().0);
                [left.then(|| up.rows(0, top)), right.then(|| up.rows(top, below))]
            }
            Self::Rows { from, count } => {
                one(up.unary(Self::Pad { above: from, below: a.shape().0 - from - count }))
            }
            Self::Pad { above, .. } => one(up.rows(above, a.shape().0)),
            Self::Gather => one(up.tape.apply(Self::Scatter(a.shape().0), &[up, x[1]])),
            Self::Scatter(_) => one(up.tape.apply(Self::Gather, &[up, x[1]])), // what was added up gets copies
            Self::Neg => one(-up),
            Self::Scale(s) => one(up.scale(s)),
            Self::Shift(_) => one(up),
            _ => one(up * self.slope(a, y)),
        }
    }

    /// $f'(a)$ of an element-wise function $y = f(a)$.
    fn slope<'t>(self, a: Var<'t>, y: Var<'t>) -> Var<'t> {
        match self {
            Self::Exp => y,
            Self::Ln => a.powi(-1),
            Self::Sqrt => y.powi(-1).scale(0.5),
            Self::Powi(n) => a.powi(n - 1).scale(f64::from(n)),
            Self::Powf(p) => a.powf(p - 1.0).scale(p),
            Self::Sin => a.cos(),
            Self::Cos => -a.sin(),
            Self::Tanh => (-(y * y)).shift(1.0),
            Self::Sigmoid => y * (-y).shift(1.0),
            Self::Relu => a.step(),
            _ => unreachable!("{self:?} is no element-wise function"),
        }
    }
    // ANCHOR_END: vjp

    /// $\partial a^b/\partial a$.
    fn by_base<'t>(a: Var<'t>, b: Var<'t>) -> Var<'t> {
        b * a.tape.apply(Self::PowerBase, &[a, b]).pow(b.shift(-1.0))
    }

    /// $\partial a^b/\partial b$, for $y = a^b$.
    fn by_exponent<'t>(a: Var<'t>, b: Var<'t>, y: Var<'t>) -> Var<'t> {
        y * a.tape.apply(Self::LogBase, &[a, b]).ln()
    }

    /// What the output changes by when the inputs change by `dx`; `None` stands for no change.
    pub(super) fn jvp<'t>(self, x: &[Var<'t>], y: Var<'t>, dx: &[Option<Var<'t>>]) -> Option<Var<'t>> {
        let a = x[0];
        let da = dx.first().copied().flatten();
        let db = dx.get(1).copied().flatten();
        let sum = |left: Option<Var<'t>>, right: Option<Var<'t>>| match (left, right) {
            (Some(left), Some(right)) => Some(left + right),
            (left, right) => left.or(right),
        };
        match self {
            Self::Input | Self::Constant | Self::Step | Self::RowMax | Self::Share | Self::Shares => None,
            Self::Add => sum(da, db),
            Self::Sub => sum(da, db.map(|d| -d)),
            Self::Mul => sum(da.map(|d| d * x[1]), db.map(|d| a * d)),
            Self::Div => sum(da.map(|d| d / x[1]), db.map(|d| -(y * d / x[1]))),
            Self::Pow => {
                sum(da.map(|d| d * Self::by_base(a, x[1])), db.map(|d| d * Self::by_exponent(a, x[1], y)))
            }
            Self::PowerBase | Self::LogBase => da,
            Self::Maximum => sum(
                da.map(|d| d * d.tape.apply(Self::Share, &[a, x[1]])),
                db.map(|d| d * d.tape.apply(Self::Share, &[x[1], a])),
            ),
            Self::MaxColumns => da.map(|d| (d * a.unary(Self::Shares)).sum_columns()),
            Self::MatMul => sum(da.map(|d| d.matmul(x[1])), db.map(|d| a.matmul(d))),
            Self::Neg
            | Self::Scale(_)
            | Self::Transpose
            | Self::SumRows
            | Self::SumColumns
            | Self::RepeatRows(_)
            | Self::RepeatColumns(_)
            | Self::Reshape(..)
            | Self::Rows { .. }
            | Self::Pad { .. } => da.map(|d| d.unary(self)),
            Self::Gather | Self::Scatter(_) => da.map(|d| d.tape.apply(self, &[d, x[1]])),
            Self::Stack => {
                let zeros = |like: Var<'t>| y.tape.constant(DMatrix::zeros(like.shape().0, like.shape().1));
                (da.is_some() || db.is_some()).then(|| {
                    let parts = [da.unwrap_or_else(|| zeros(a)), db.unwrap_or_else(|| zeros(x[1]))];
                    y.tape.apply(self, &parts)
                })
            }
            Self::Shift(_) => da,
            _ => da.map(|d| d * self.slope(a, y)),
        }
    }

    /// Scalar operations, multiplications and additions counted apart.
    pub(super) fn cost(self, inputs: &[&DMatrix<f64>], output: &DMatrix<f64>) -> u64 {
        match self {
            Self::Input | Self::Constant | Self::Transpose | Self::RepeatRows(_) | Self::RepeatColumns(_) => {
                0
            }
            Self::Reshape(..) | Self::Stack | Self::Rows { .. } | Self::Pad { .. } | Self::Gather => 0,
            Self::Scatter(_) => inputs[0].len() as u64,
            Self::MatMul => 2 * (output.len() * inputs[0].ncols()) as u64,
            Self::SumRows | Self::SumColumns | Self::RowMax | Self::MaxColumns => inputs[0].len() as u64,
            Self::Powf(_) | Self::Pow => 3 * output.len() as u64, // logarithm, product, exponential
            _ => output.len() as u64,
        }
    }

    /// Short name, for pictures.
    pub fn name(self) -> String {
        match self {
            Self::Input => "input".into(),
            Self::Constant => "constant".into(),
            Self::Add => "+".into(),
            Self::Sub => "−".into(),
            Self::Mul => "×".into(),
            Self::Div => "÷".into(),
            Self::Neg => "neg".into(),
            Self::Scale(s) => format!("× {s}"),
            Self::Shift(s) => format!("+ {s}"),
            Self::MatMul => "matmul".into(),
            Self::Transpose => "transpose".into(),
            Self::SumRows => "sum rows".into(),
            Self::SumColumns => "sum columns".into(),
            Self::RepeatRows(n) => format!("{n} rows"),
            Self::RepeatColumns(n) => format!("{n} columns"),
            Self::Reshape(rows, columns) => format!("{rows} × {columns}"),
            Self::Stack => "stack".into(),
            Self::Rows { from, count } => format!("rows {from} to {}", from + count),
            Self::Pad { above, below } => format!("pad {above}, {below}"),
            Self::Gather => "gather".into(),
            Self::Scatter(_) => "scatter".into(),
            Self::Exp => "exp".into(),
            Self::Ln => "ln".into(),
            Self::Sqrt => "√".into(),
            Self::Powi(n) => format!("power {n}"),
            Self::Powf(p) => format!("power {p}"),
            Self::Pow => "power".into(),
            Self::PowerBase => "base of a power".into(),
            Self::LogBase => "base of a logarithm".into(),
            Self::Maximum => "maximum".into(),
            Self::Share => "share".into(),
            Self::MaxColumns => "largest".into(),
            Self::Shares => "shares".into(),
            Self::Sin => "sin".into(),
            Self::Cos => "cos".into(),
            Self::Tanh => "tanh".into(),
            Self::Sigmoid => "sigmoid".into(),
            Self::Relu => "relu".into(),
            Self::Step => "step".into(),
            Self::RowMax => "row maximum".into(),
        }
    }
}

/// The larger of two, or what is not a number among them.
fn larger(a: f64, b: f64) -> f64 {
    if a >= b || a.is_nan() { a } else { b }
}

/// What `a` receives of the derivative of the larger of two.
fn share(a: f64, b: f64) -> f64 {
    if a > b {
        1.0
    } else if a == b {
        0.5
    } else {
        0.0
    }
}

/// Largest entry of row `i`.
fn largest(a: &DMatrix<f64>, i: usize) -> f64 {
    a.row(i).iter().copied().fold(f64::NEG_INFINITY, larger)
}
