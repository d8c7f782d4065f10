//! An opponent for sequences: counts of short contexts, longer ones falling back on shorter.
use std::collections::HashMap;
use std::hash::Hash;

/// Interpolated counts of orders 0 to k: the probability of a token after a context is
///
/// $$ p_j(x \mid h) = \frac{c(h x) + w \, p_{j-1}(x \mid h')}{c(h) + w}, \qquad p_{-1} = 1 / V $$
///
/// with h the last j tokens, h' the last j − 1 of them, c how often they occurred in training, w the weight and V the
/// number of tokens that may occur. A context that did not occur passes the shorter one's answer on.
///
/// **Source**: Jelinek & Mercer (1980), Interpolated estimation of Markov source parameters from sparse data, with the
/// weight of MacKay & Bauman Peto (1995), A hierarchical Dirichlet language model.
///
/// # Examples
/// ```
/// use datasets::baseline::InterpolatedCounts;
/// let mut counts = InterpolatedCounts::new(1, 1.0, 2);
/// counts.learn(&[0, 1, 0, 1], 0);
/// // After 0 came 1 twice: order 0 gives (2 + 1/2) / 5 to 1, order 1 (2 + 1/2) / 3.
/// assert!((counts.probability(&[0], &1) - 2.5 / 3.0).abs() < 1e-15);
/// ```
#[derive(Clone, Debug)]
pub struct InterpolatedCounts<T> {
    order: usize,
    weight: f64,
    kinds: usize,
    counts: HashMap<Vec<T>, usize>,   // of a context with its next token
    contexts: HashMap<Vec<T>, usize>, // of a context that has a next token
}

impl<T: Clone + Eq + Hash> InterpolatedCounts<T> {
    /// Nothing counted yet; contexts of up to `order` tokens, weight `weight`, `kinds` different tokens.
    pub fn new(order: usize, weight: f64, kinds: usize) -> Self {
        InterpolatedCounts { order, weight, kinds, counts: HashMap::new(), contexts: HashMap::new() }
    }

    /// Counts the tokens from number `start` on, those before it as contexts only: marks of a beginning. Contexts do not
    /// reach beyond the sequence.
    pub fn learn(&mut self, tokens: &[T], start: usize) {
        for i in start..tokens.len() {
            for length in 0..=self.order.min(i) {
                *self.contexts.entry(tokens[i - length..i].to_vec()).or_default() += 1;
                *self.counts.entry(tokens[i - length..=i].to_vec()).or_default() += 1;
            }
        }
    }

    /// The probability of `next` after `before`, of which the last tokens count.
    pub fn probability(&self, before: &[T], next: &T) -> f64 {
        let mut probability = 1.0 / self.kinds as f64;
        for length in 0..=self.order.min(before.len()) {
            let mut key = before[before.len() - length..].to_vec();
            let Some(&context) = self.contexts.get(&key) else { break };
            key.push(next.clone());
            let count = self.counts.get(&key).copied().unwrap_or(0);
            probability = (count as f64 + self.weight * probability) / (context as f64 + self.weight);
        }
        probability
    }

    /// The information in `tokens`, in bits a token, of those that have a whole context before them.
    pub fn bits_per_token(&self, tokens: &[T]) -> f64 {
        let range = self.order..tokens.len();
        let bits = |i: usize| -self.probability(&tokens[i - self.order..i], &tokens[i]).log2();
        range.clone().map(bits).sum::<f64>() / range.len() as f64
    }
}
