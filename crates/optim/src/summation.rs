//! Sums whose rounding error does not grow with the number of terms.
//!
//! Adding $n$ numbers one by one loses up to $n$ roundings; after $2^{24}$ losses of size 1 a sum in f32 stands still. Next
//! to the sum $s$ a second number $c$ keeps what each addition has rounded away:
//!
//! $$ t = \mathrm{fl}(s + x), \qquad c \leftarrow c + \begin{cases} (s - t) + x & \lvert s\rvert \ge \lvert x\rvert \\
//!    (x - t) + s & \text{else} \end{cases}, \qquad s \leftarrow t, \qquad \text{result } s + c $$
//!
//! **Use it** for losses and metrics over more than $10^6$ examples, and for differences of large sums. **Not** inside of a
//! tensor: `kernels::sum_all` adds in a fixed tree, whose error grows with the logarithm of the count and which is faster.
//!
//! The error is at most $2u\lvert\sum x_i\rvert + O(n u^2) \sum\lvert x_i\rvert$ with $u = 2^{-53}$, against
//! $n u \sum\lvert x_i\rvert$ without $c$. **Papers**: Neumaier (1974), ZAMM 54; Kahan (1965) is the same without the
//! case, and loses terms that are larger than the sum; Higham (2002), Accuracy and stability, section 4.3.
//! **Complexity**: four additions and a comparison for a term; two numbers of memory.

/// A sum and what its additions have rounded away.
///
/// # Examples
/// Neumaier's: 1 is lost beside $10^{100}$, and comes back.
/// ```
/// use optim::summation::CompensatedSum;
/// let terms = [1.0, 1e100, 1.0, -1e100];
/// assert_eq!(terms.iter().sum::<f64>(), 0.0);
/// assert_eq!(CompensatedSum::from_iter(terms).total(), 2.0);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct CompensatedSum {
    sum: f64,
    lost: f64,
    count: u64,
}

impl CompensatedSum {
    /// Nothing added yet.
    pub fn new() -> Self {
        Self::default()
    }

    // ANCHOR: add
    /// Adds a term. From the first NaN or infinity on the total is what a plain sum would be.
    pub fn add(&mut self, term: f64) {
        self.count += 1;
        self.add_number(term);
    }

    fn add_number(&mut self, term: f64) {
        let sum = self.sum + term;
        let lost =
            if self.sum.abs() >= term.abs() { (self.sum - sum) + term } else { (term - sum) + self.sum };
        if sum.is_finite() {
            self.lost += lost; // ∞ − ∞ would make it NaN
        }
        self.sum = sum;
    }
    // ANCHOR_END: add

    /// The sum.
    pub fn total(&self) -> f64 {
        self.sum + self.lost
    }

    /// How many terms there were.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The sum over the number of terms; NaN without terms, as the mean of nothing is.
    pub fn mean(&self) -> f64 {
        self.total() / self.count as f64
    }

    /// Adds all terms of another sum: parts of the data summed by different threads, joined in a fixed order, give the
    /// same bits for any number of threads.
    pub fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.add_number(other.sum);
        self.lost += other.lost;
    }
}

impl Extend<f64> for CompensatedSum {
    fn extend<I: IntoIterator<Item = f64>>(&mut self, terms: I) {
        terms.into_iter().for_each(|term| self.add(term));
    }
}

impl FromIterator<f64> for CompensatedSum {
    fn from_iter<I: IntoIterator<Item = f64>>(terms: I) -> Self {
        let mut sum = Self::new();
        sum.extend(terms);
        sum
    }
}
