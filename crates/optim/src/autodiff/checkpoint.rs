//! The gradient of a long chain $x_{i+1} = f_i(x_i)$ without keeping all of its states.
//!
//! Going backwards needs the states in reverse order. Keeping all of them costs memory proportional to the length;
//! keeping some and computing the rest again costs time.
//!
//! | plan | states kept | forward steps for n |
//! |---|---|---|
//! | [`Plan::KeepAll`] | n | n |
//! | [`Plan::Uniform`] with s segments | s + ⌈n/s⌉, least for $s = \sqrt n$ | at most 2n (Chen et al. 2016, 1604.06174) |
//! | [`Plan::Optimal`] with c checkpoints | c + 1 | least possible (Griewank & Walther 2000, `revolve`) |
//!
//! With c checkpoints and no step computed more than r times, a chain of length $\binom{c + r}{c}$ can be reversed.
//! The gradient has the same bits in every plan: the same steps are made from the same states.
//!
//! **Closed form**: numbers of steps and states; the table of the optimal plan against the binomial formula.
use crate::Error;

/// A step of a chain.
pub trait ChainStep {
    /// The next state.
    fn forward(&self, state: &[f64]) -> Vec<f64>;

    /// $J^\top u$ with the Jacobian at `state`, and the derivatives with respect to the parameters of this step.
    fn backward(&self, state: &[f64], upstream: &[f64]) -> (Vec<f64>, Vec<f64>);
}

/// Which states are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plan {
    /// All.
    KeepAll,
    /// The first of each of this many segments, and those of the segment that is being reversed.
    Uniform {
        /// At least 1 and at most the number of steps.
        segments: usize,
    },
    /// As many as allowed, placed so that the fewest steps are repeated.
    Optimal {
        /// At least 1; the start of the chain is kept beside them.
        checkpoints: usize,
    },
}

/// A gradient and what it cost.
#[derive(Clone, Debug, PartialEq)]
pub struct ChainGradient {
    /// With respect to the start.
    pub start: Vec<f64>,
    /// With respect to the parameters of each step.
    pub parameters: Vec<Vec<f64>>,
    /// Calls of [`ChainStep::forward`].
    pub forward_steps: usize,
    /// Most states kept at once, the start included.
    pub peak_states: usize,
}

struct Reversal<'a, S> {
    steps: &'a [S],
    upstream: Vec<f64>,
    parameters: Vec<Vec<f64>>,
    forward_steps: usize,
    alive: usize,
    peak: usize,
    /// `table[c][n]`: fewest forward steps to reverse n steps with c checkpoints, the state before them being kept.
    table: Vec<Vec<usize>>,
}

/// The gradient of $u\cdot x_n$ for a chain that starts at `start`; `upstream` is $u$.
///
/// # Errors
/// [`Error::Empty`] for no steps, [`Error::InvalidHyper`] for no segment, more segments than steps, or no checkpoint.
pub fn gradient<S: ChainStep>(
    steps: &[S],
    start: &[f64],
    upstream: impl Fn(&[f64]) -> Vec<f64>,
    plan: Plan,
) -> Result<ChainGradient, Error> {
    let n = steps.len();
    if n == 0 {
        return Err(Error::Empty { what: "checkpoint::gradient" });
    }
    let range = |name, value: usize, rule, is_right| {
        if is_right { Ok(()) } else { Err(Error::InvalidHyper { name, rule, value: value as f64 }) }
    };
    match plan {
        Plan::KeepAll => {}
        Plan::Uniform { segments } => {
            let rule = "at least 1 and at most the number of steps";
            range("segments", segments, rule, (1..=n).contains(&segments))?;
        }
        Plan::Optimal { checkpoints } => range("checkpoints", checkpoints, "at least 1", checkpoints > 0)?,
    }
    let mut reversal = Reversal {
        steps,
        upstream: Vec::new(),
        parameters: vec![Vec::new(); n],
        forward_steps: 0,
        alive: 1,
        peak: 1,
        table: Vec::new(),
    };
    match plan {
        Plan::KeepAll => reversal.keep_all(0, n, start.to_vec(), Some(&upstream)),
        Plan::Uniform { segments } => reversal.uniform(start, segments, &upstream),
        Plan::Optimal { checkpoints } => {
            reversal.table = table(n, checkpoints);
            reversal.optimal(0, n, start, checkpoints, Some(&upstream));
        }
    }
    let Reversal { upstream, parameters, forward_steps, peak, .. } = reversal;
    Ok(ChainGradient { start: upstream, parameters, forward_steps, peak_states: peak })
}

/// The derivative of the end, asked for when the end has been reached.
type AtEnd<'a> = Option<&'a dyn Fn(&[f64]) -> Vec<f64>>;

impl<S: ChainStep> Reversal<'_, S> {
    fn forward(&mut self, step: usize, state: &[f64]) -> Vec<f64> {
        self.forward_steps += 1;
        self.steps[step].forward(state)
    }

    fn keep(&mut self, states: usize) {
        self.alive += states;
        self.peak = self.peak.max(self.alive);
    }

    fn backward(&mut self, step: usize, state: &[f64]) {
        let (upstream, parameters) = self.steps[step].backward(state, &self.upstream);
        (self.upstream, self.parameters[step]) = (upstream, parameters);
    }

    /// Steps `from..to` with every state in between kept.
    fn keep_all(&mut self, from: usize, to: usize, state: Vec<f64>, at_end: AtEnd<'_>) {
        let mut states = vec![state];
        let last = if at_end.is_some() { to } else { to - 1 };
        for step in from..last {
            let next = self.forward(step, &states[states.len() - 1]);
            self.keep(1);
            states.push(next);
        }
        self.alive -= states.len() - 1;
        if let Some(at_end) = at_end {
            self.upstream = at_end(&states.pop().expect("the end"));
        }
        for (step, state) in (from..to).zip(states).rev() {
            self.backward(step, &state);
        }
    }

    // ANCHOR: uniform
    fn uniform(&mut self, start: &[f64], segments: usize, at_end: &dyn Fn(&[f64]) -> Vec<f64>) {
        let n = self.steps.len();
        let border = |segment: usize| segment * n / segments;
        let mut firsts = vec![start.to_vec()];
        for segment in 0..segments - 1 {
            let mut state = firsts[segment].clone();
            for step in border(segment)..border(segment + 1) {
                state = self.forward(step, &state);
            }
            self.keep(1);
            firsts.push(state);
        }
        for segment in (0..segments).rev() {
            let first = firsts.pop().expect("one per segment");
            let is_last = segment == segments - 1;
            self.keep_all(border(segment), border(segment + 1), first, is_last.then_some(at_end));
            self.alive -= usize::from(segment > 0);
        }
    }
    // ANCHOR_END: uniform

    // ANCHOR: optimal
    /// Steps `from..to`, `state` before them kept by the caller.
    fn optimal(&mut self, from: usize, to: usize, state: &[f64], checkpoints: usize, at_end: AtEnd<'_>) {
        let n = to - from;
        if n == 1 {
            if let Some(at_end) = at_end {
                self.upstream = at_end(&self.forward(from, state));
            }
            return self.backward(from, state);
        }
        if checkpoints == 0 {
            for last in (from..to).rev() {
                let mut current = state.to_vec();
                (from..last).for_each(|step| current = self.forward(step, &current));
                self.optimal(last, last + 1, &current, 0, at_end.filter(|_| last == to - 1));
            }
            return;
        }
        let middle = from + best_split(&self.table, n, checkpoints);
        let mut current = state.to_vec();
        (from..middle).for_each(|step| current = self.forward(step, &current));
        self.keep(1);
        self.optimal(middle, to, &current, checkpoints - 1, at_end);
        self.alive -= 1;
        self.optimal(from, middle, state, checkpoints, None);
    }
    // ANCHOR_END: optimal
}

/// Fewest forward steps beside those of the first sweep's last one: with no checkpoint $n(n - 1)/2$, with more
/// $t_c(n) = \min_k\; k + t_{c-1}(n - k) + t_c(k)$.
fn table(n: usize, checkpoints: usize) -> Vec<Vec<usize>> {
    let mut table: Vec<Vec<usize>> = vec![(0..=n).map(|n| n * n.saturating_sub(1) / 2).collect()];
    for c in 1..=checkpoints {
        let mut row = vec![0; n + 1];
        for length in 2..=n {
            let cost = |k: usize| k + table[c - 1][length - k] + row[k];
            row[length] = (1..length).map(cost).min().expect("at least one split");
        }
        table.push(row);
    }
    table
}

fn best_split(table: &[Vec<usize>], n: usize, checkpoints: usize) -> usize {
    let cost = |k: &usize| k + table[checkpoints - 1][n - k] + table[checkpoints][*k];
    (1..n).min_by_key(cost).expect("at least one split")
}

/// Fewest forward steps with which a chain of `n` steps can be reversed with this many checkpoints beside its start, the
/// step that reaches its end included: $rn - \binom{s + r}{s + 1} + 1$ with $s$ = checkpoints + 1 and the smallest $r$ for
/// which $\binom{s + r}{s} \ge n$ (Griewank & Walther 2000).
pub fn optimal_steps(n: usize, checkpoints: usize) -> usize {
    let s = checkpoints as u128 + 1;
    let binomial = |n: u128, k: u128| match n.checked_sub(k) {
        Some(rest) => (1..=k).fold(1, |product, i| product * (rest + i) / i),
        None => 0,
    };
    let r = (0..).find(|&r| binomial(s + r, s) >= n as u128).unwrap_or(0);
    (r * n as u128 + 1 - binomial(s + r, s + 1)) as usize
}
