//! Scaled dot-product attention with several heads, masks and relative positions.
//!
//! For each head, with $C_h = C / \text{heads}$ columns of $Q$ and $K$ and as large a share of $V$:
//!
//! $$ P = \mathrm{softmax}\bigl(s\,(Q K^\top + R) + b + M\bigr), \qquad Y = P V, \qquad s = 1/\sqrt{C_h} $$
//!
//! $$ \frac{\partial L}{\partial V} = P^\top G, \qquad
//!    \frac{\partial L}{\partial Z} = P \odot \bigl(G V^\top - \textstyle\sum_j P_{ij} (G V^\top)_{ij}\bigr), \qquad
//!    \frac{\partial L}{\partial Q} = s\,\frac{\partial L}{\partial Z} K, \qquad
//!    \frac{\partial L}{\partial K} = s\,\frac{\partial L}{\partial Z}^{\!\top} Q $$
//!
//! | symbol | code | shape |
//! |---|---|---|
//! | $Q$ | `q` | `(B, Q, C)`: head $h$ owns the columns $h C_h$ to $(h + 1) C_h - 1$ |
//! | $K$ | `k` | `(B, K, C)` |
//! | $V$ | `v` | `(B, K, V)` |
//! | $M$ | [`Attention::mask`] | 0 where a key may be used, −∞ elsewhere |
//! | $R_{ij} = q_i \cdot e_{j-i}$ | [`Attention::relative_keys`] | table `(distances, C)` |
//! | $b_{j-i}$ | [`Attention::relative_bias`] | table `(distances, heads)` |
//! | $s$ | [`Attention::scale`] | |
//!
//! **Papers**: Vaswani et al. (2017), arXiv 1706.03762, eq. 1; relative keys: Shaw et al. (2018), arXiv 1803.02155, and
//! Huang et al. (2019), arXiv 1809.04281 (their skewing procedure without its padded copy); relative bias: Raffel et
//! al. (2020), arXiv 1910.10683 (one number per distance and head), with fixed numbers Press et al. (2022),
//! arXiv 2108.12409; recomputation by blocks: Dao et al. (2022), arXiv 2205.14135.
//!
//! **Distances.** A table of $R$ rows holds distance 0 in its last row when attention is causal (row $R - 1 - d$ for a
//! key $d$ steps back), and in the middle, row $(R-1)/2 + j - i$, when it is not. The queries of causal attention are
//! the *last* `Q` of the `K` positions.
//!
//! **Complexity**: $2 B Q K C$ multiplications forward, four times as many backward. **Memory**: backward keeps $P$
//! for up to [`CONTEXT`] keys; beyond, nothing is kept and blocks of [`ROWS`] queries are computed again, so memory is
//! linear in the length of the sequence. Causal blocks stop at their last key, which saves up to half of the work.
//! An allocator that counts finds four times as much kept between the passes for a sequence four times as long, where
//! the probabilities alone would be sixteen times as many:
//! ```standalone_crate
//! use dfdx::prelude::*;
//! use kernels::random::Key;
//! use kernels::sequence::{Attention, Mask, attention::attention};
//! use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
//!
//! #[global_allocator]
//! static COUNTING: &StatsAlloc<std::alloc::System> = &INSTRUMENTED_SYSTEM;
//!
//! let (dev, options) = (Cpu::default(), Attention::new(4).mask(Mask::causal()));
//! let bytes = |length: usize| {
//!     let x: Tensor<(Const<1>, usize, Const<64>), f32, _> = Key::new(0).normal(&dev, (Const, length, Const));
//!     let forward = || attention(x.leaky_trace(), x.leaky_trace(), x.leaky_trace(), &options);
//!     drop(forward().square().sum().backward()); // threads and their tables are there now
//!     let before = Region::new(COUNTING);
//!     let y = forward();
//!     let kept = before.change().bytes_allocated - before.change().bytes_deallocated;
//!     drop(y.square().sum().backward());
//!     kept
//! };
//! let (short, long) = (bytes(1024), bytes(4096));
//! assert!(long < 5 * short, "{short} bytes for 1,024 positions, {long} for 4,096");
//! assert!(long < 4 * 4096 * 4096, "less than the probabilities of a single head");
//! ```
use super::SequenceDevice;
use crate::{Error, Real};
use dfdx::prelude::*;

/// Up to this many keys, backward keeps the probabilities instead of computing them again.
pub const CONTEXT: usize = 256;
/// Query rows that are computed at a time.
pub const ROWS: usize = 64;

/// Which keys a query may use: `true` means may be used. Conditions add up.
///
/// ```
/// use kernels::sequence::Mask;
/// // The second of two sequences has 2 of 4 positions.
/// let padding = Mask::all().lengths(&[4, 2], 4);
/// let decoder = Mask::causal().lengths(&[4, 2], 4);
/// assert!(decoder.is_causal() && !padding.is_causal());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mask {
    is_causal: bool,
    keys: Option<Vec<bool>>,
    pairs: Option<Vec<bool>>,
}

impl Mask {
    /// Every query may use every key.
    pub fn all() -> Self {
        Self::default()
    }
    /// Query `i` may use the keys up to its own position: the queries are the last of the keys.
    pub fn causal() -> Self {
        Self { is_causal: true, ..Self::default() }
    }
    /// This mask, and causal as well.
    pub fn and_causal(self) -> Self {
        Self { is_causal: true, ..self }
    }
    /// Only these keys of each sequence: `(B, K)` in row-major order. PyTorch's `key_padding_mask` is the opposite.
    pub fn keys(self, may_be_used: Vec<bool>) -> Self {
        Self { keys: Some(may_be_used), ..self }
    }
    /// Only the first `lengths[b]` of the `keys` positions of sequence `b`.
    pub fn lengths(self, lengths: &[usize], keys: usize) -> Self {
        self.keys(lengths.iter().flat_map(|&length| (0..keys).map(move |key| key < length)).collect())
    }
    /// Only these pairs of query and key, the same for each sequence: `(Q, K)` in row-major order.
    pub fn pairs(self, may_be_used: Vec<bool>) -> Self {
        Self { pairs: Some(may_be_used), ..self }
    }
    /// Whether a query may not use keys after its own position.
    pub fn is_causal(&self) -> bool {
        self.is_causal
    }
    /// Query `i` may use the `width` keys `i - width + 1` to `i` of `positions`, the locally banded pattern of Child et
    /// al. (2019), arXiv 1904.10509, and GPT-3.
    pub fn banded(positions: usize, width: usize) -> Self {
        let near = |i: usize, j: usize| j <= i && i - j < width;
        let pairs = (0..positions).flat_map(|i| (0..positions).map(move |j| near(i, j))).collect();
        Self::causal().pairs(pairs)
    }

    /// Whether a query may use a key, for all of them: `(batch, queries, keys)` in row-major order. Attention does not
    /// need this table; it is for compositions that write their own softmax.
    ///
    /// ```
    /// use kernels::sequence::Mask;
    /// let table = Mask::causal().lengths(&[2, 1], 2).try_table(2, 2, 2)?;
    /// assert_eq!(table, [true, false, true, true, true, false, true, false]);
    /// # Ok::<(), kernels::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::MaskLength`], [`Error::CausalQueries`], [`Error::NothingToAttend`].
    pub fn try_table(&self, batch: usize, queries: usize, keys: usize) -> Result<Vec<bool>, Error> {
        self.check(batch, queries, keys)?;
        let mut table = Vec::with_capacity(batch * queries * keys);
        for (b, i) in (0..batch).flat_map(|b| (0..queries).map(move |i| (b, i))) {
            let limit = if self.is_causal { i + keys - queries + 1 } else { keys };
            table.extend((0..keys).map(|j| {
                j < limit
                    && self.keys.as_ref().is_none_or(|keep| keep[b * keys + j])
                    && self.pairs.as_ref().is_none_or(|keep| keep[i * keys + j])
            }));
        }
        Ok(table)
    }

    pub(crate) fn key_mask(&self) -> Option<&[bool]> {
        self.keys.as_deref()
    }
    pub(crate) fn pair_mask(&self) -> Option<&[bool]> {
        self.pairs.as_deref()
    }

    /// The masks must have the sizes of the problem and leave each query at least one key.
    fn check(&self, batch: usize, queries: usize, keys: usize) -> Result<(), Error> {
        if self.is_causal && queries > keys {
            return Err(Error::CausalQueries { queries, keys });
        }
        for (mask, expected) in [(&self.keys, batch * keys), (&self.pairs, queries * keys)] {
            if let Some(mask) = mask
                && mask.len() != expected
            {
                return Err(Error::MaskLength { length: mask.len(), expected });
            }
        }
        let may_use = |b: usize, i: usize, j: usize| {
            self.keys.as_ref().is_none_or(|keep| keep[b * keys + j])
                && self.pairs.as_ref().is_none_or(|keep| keep[i * keys + j])
        };
        for sequence in 0..batch {
            // Later queries of causal attention see all that the first one sees.
            let checked = if self.pairs.is_some() { queries } else { queries.min(1) };
            for query in 0..checked {
                let limit = if self.is_causal { query + keys - queries + 1 } else { keys };
                if !(0..limit).any(|key| may_use(sequence, query, key)) {
                    return Err(Error::NothingToAttend { sequence, query });
                }
            }
        }
        Ok(())
    }
}

/// What attention is to do beside its three operands.
///
/// ```
/// use kernels::sequence::{Attention, Mask};
/// let options = Attention::<8, f32, dfdx::tensor::Cpu>::new(2).mask(Mask::causal());
/// assert_eq!((options.heads, options.scale), (2, None));
/// ```
#[derive(Clone, Debug)]
pub struct Attention<'a, const C: usize, E: Real, D: Storage<E>> {
    /// Number of heads; divides `C` and `V`.
    pub heads: usize,
    /// Which keys may be used; default all.
    pub mask: Mask,
    /// $s$; default $1/\sqrt{C / \text{heads}}$.
    pub scale: Option<f64>,
    /// $e$, one row per distance; gradients are those of a leaf.
    pub relative_keys: Option<&'a Tensor<(usize, Const<C>), E, D>>,
    /// $b$, one row per distance and one column per head; gradients are those of a leaf.
    pub relative_bias: Option<&'a Tensor<(usize, usize), E, D>>,
}

impl<'a, const C: usize, E: Real, D: Storage<E>> Attention<'a, C, E, D> {
    /// Attention with `heads` heads and nothing else.
    pub fn new(heads: usize) -> Self {
        Self { heads, mask: Mask::all(), scale: None, relative_keys: None, relative_bias: None }
    }
    /// Sets [`mask`](Self::mask).
    pub fn mask(self, mask: Mask) -> Self {
        Self { mask, ..self }
    }
    /// Sets [`scale`](Self::scale).
    pub fn scale(self, scale: f64) -> Self {
        Self { scale: Some(scale), ..self }
    }
    /// Sets [`relative_keys`](Self::relative_keys).
    pub fn relative_keys(self, table: &'a Tensor<(usize, Const<C>), E, D>) -> Self {
        Self { relative_keys: Some(table), ..self }
    }
    /// Sets [`relative_bias`](Self::relative_bias).
    pub fn relative_bias(self, table: &'a Tensor<(usize, usize), E, D>) -> Self {
        Self { relative_bias: Some(table), ..self }
    }

    /// All options must fit the sizes of the problem.
    pub(crate) fn check(
        &self,
        batch: usize,
        queries: usize,
        keys: usize,
        values: usize,
    ) -> Result<(), Error> {
        for features in [C, values] {
            if self.heads == 0 || !features.is_multiple_of(self.heads) {
                return Err(Error::Heads { heads: self.heads, features });
            }
        }
        let needed = if self.mask.is_causal { keys } else { (2 * queries.max(keys)).saturating_sub(1) };
        let tables = [self.relative_keys.map(|t| t.shape().0), self.relative_bias.map(|t| t.shape().0)];
        for rows in tables.into_iter().flatten() {
            if rows < needed || !self.mask.is_causal && rows.is_multiple_of(2) {
                return Err(Error::RelativeRows { rows, needed });
            }
        }
        if let Some(columns) = self.relative_bias.map(|table| table.shape().1)
            && columns != self.heads
        {
            return Err(Error::RelativeBiasColumns { columns, heads: self.heads });
        }
        self.mask.check(batch, queries, keys)
    }
}

/// $\mathrm{softmax}(s (Q K^\top + R) + b + M) V$ for each head; see the [module](self).
///
/// ```
/// use dfdx::prelude::*;
/// use kernels::sequence::{Attention, Mask, attention::attention};
/// let device = Cpu::default();
/// let q: Tensor<Rank3<1, 2, 1>, f64, _> = device.zeros(); // all keys fit equally well
/// let v = device.tensor([[[1.0], [3.0]]]);
/// let y = attention(q.clone(), q.clone(), v.clone(), &Attention::new(1));
/// assert_eq!(y.array(), [[[2.0], [2.0]]]);
/// let y = attention(q.clone(), q, v, &Attention::new(1).mask(Mask::causal()));
/// assert_eq!(y.array(), [[[1.0], [2.0]]]);
/// ```
///
/// # Panics
/// On the errors of [`try_attention`].
pub fn attention<
    B: Dim,
    Q: Dim,
    K: Dim,
    const C: usize,
    const V: usize,
    E: Real,
    D: SequenceDevice<E>,
    T: Tape<E, D>,
>(
    q: Tensor<(B, Q, Const<C>), E, D, T>,
    k: Tensor<(B, K, Const<C>), E, D, T>,
    v: Tensor<(B, K, Const<V>), E, D, T>,
    options: &Attention<'_, C, E, D>,
) -> Tensor<(B, Q, Const<V>), E, D, T> {
    try_attention(q, k, v, options).unwrap_or_else(|error| panic!("{error}"))
}

/// Fallible twin of [`attention`].
///
/// # Errors
/// [`Error::Heads`], [`Error::MaskLength`], [`Error::CausalQueries`], [`Error::NothingToAttend`],
/// [`Error::RelativeRows`], [`Error::RelativeBiasColumns`], [`Error::SequenceShapes`] when run-time sizes differ, and the
/// device's error.
pub fn try_attention<
    B: Dim,
    Q: Dim,
    K: Dim,
    const C: usize,
    const V: usize,
    E: Real,
    D: SequenceDevice<E>,
    T: Tape<E, D>,
>(
    q: Tensor<(B, Q, Const<C>), E, D, T>,
    k: Tensor<(B, K, Const<C>), E, D, T>,
    v: Tensor<(B, K, Const<V>), E, D, T>,
    options: &Attention<'_, C, E, D>,
) -> Result<Tensor<(B, Q, Const<V>), E, D, T>, Error> {
    let [batch, queries, _] = q.shape().concrete();
    let [batch_k, keys, _] = k.shape().concrete();
    let [batch_v, values, width] = v.shape().concrete();
    same("sequences of q and k", batch, batch_k)?;
    same("sequences of k and v", batch_k, batch_v)?;
    same("positions of k and v", keys, values)?;
    options.check(batch, queries, keys, width)?;
    D::attention(q, k, v, options)
}

fn same(what: &'static str, left: usize, right: usize) -> Result<(), Error> {
    if left == right { Ok(()) } else { Err(Error::SequenceShapes { what, left, right }) }
}

/// The probabilities $P$ themselves, `(B, heads, Q, K)`, to be looked at: nothing is recorded.
///
/// ```
/// use dfdx::prelude::*;
/// use kernels::sequence::{Attention, Mask, attention_weights};
/// let x: Tensor<Rank3<1, 2, 4>, f32, _> = Cpu::default().zeros();
/// let p = attention_weights(&x, &x, &Attention::new(2).mask(Mask::causal()));
/// assert_eq!(p.as_vec(), [1.0, 0.0, 0.5, 0.5, 1.0, 0.0, 0.5, 0.5]); // two heads
/// ```
///
/// # Panics
/// On the errors of [`try_attention_weights`].
pub fn attention_weights<B: Dim, Q: Dim, K: Dim, const C: usize, E: Real, D: SequenceDevice<E>>(
    q: &Tensor<(B, Q, Const<C>), E, D>,
    k: &Tensor<(B, K, Const<C>), E, D>,
    options: &Attention<'_, C, E, D>,
) -> Tensor<(B, usize, Q, K), E, D> {
    try_attention_weights(q, k, options).unwrap_or_else(|error| panic!("{error}"))
}

/// Fallible twin of [`attention_weights`].
///
/// # Errors
/// Those of [`try_attention`].
pub fn try_attention_weights<B: Dim, Q: Dim, K: Dim, const C: usize, E: Real, D: SequenceDevice<E>>(
    q: &Tensor<(B, Q, Const<C>), E, D>,
    k: &Tensor<(B, K, Const<C>), E, D>,
    options: &Attention<'_, C, E, D>,
) -> Result<Tensor<(B, usize, Q, K), E, D>, Error> {
    let [batch, queries, _] = q.shape().concrete();
    let [batch_k, keys, _] = k.shape().concrete();
    same("sequences of q and k", batch, batch_k)?;
    options.check(batch, queries, keys, C)?;
    D::attention_weights(q, k, options)
}

/// Keys and values of the positions that a decoder has seen, so that a new token costs one query.
///
/// It holds up to `capacity` positions of `batch` sequences, `2 · batch · capacity · C` numbers, and never grows.
///
/// ```
/// use dfdx::prelude::*;
/// use kernels::sequence::{Attention, KvCache, Mask, attention::attention};
/// let device = Cpu::default();
/// let x = device.tensor([[[1.0_f64, 0.0], [0.5, -1.0], [2.0, 3.0]]]);
/// let all = attention(x.clone(), x.clone(), x.clone(), &Attention::new(1).mask(Mask::causal()));
/// let mut cache = KvCache::new(1, 3);
/// for t in 0..3 {
///     let token = device.tensor([[x.array()[0][t]]]);
///     cache.try_append(&token, &token)?;
///     assert_eq!(cache.try_attend(&token, &Attention::new(1))?.array()[0][0], all.array()[0][t]);
/// }
/// assert!(cache.try_append(&device.tensor([[[0.0; 2]]]), &device.tensor([[[0.0; 2]]])).is_err());
/// # Ok::<(), kernels::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct KvCache<const C: usize, E> {
    pub(crate) keys: Vec<E>,
    pub(crate) values: Vec<E>,
    batch: usize,
    capacity: usize,
    len: usize,
}

impl<const C: usize, E: Real> KvCache<C, E> {
    /// An empty cache.
    pub fn new(batch: usize, capacity: usize) -> Self {
        let elements = vec![E::zero(); batch * capacity * C];
        Self { keys: elements.clone(), values: elements, batch, capacity, len: 0 }
    }
    /// Number of sequences.
    pub fn batch(&self) -> usize {
        self.batch
    }
    /// Number of positions that fit.
    pub fn capacity(&self) -> usize {
        self.capacity
    }
    /// Number of positions seen.
    pub fn len(&self) -> usize {
        self.len
    }
    /// Whether no position has been seen.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
    /// Forgets all positions from `len` on: to begin a new sequence, or to go back.
    pub fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// Adds the keys and values of the next positions.
    ///
    /// # Errors
    /// [`Error::CacheFull`] when they do not fit, [`Error::SequenceShapes`] for another number of sequences, and the
    /// device's error; the cache is then unchanged.
    pub fn try_append<B: Dim, S: Dim, D: SequenceDevice<E>>(
        &mut self,
        k: &Tensor<(B, S, Const<C>), E, D>,
        v: &Tensor<(B, S, Const<C>), E, D>,
    ) -> Result<(), Error> {
        let [batch, new, _] = k.shape().concrete();
        same("sequences of cache and keys", self.batch, batch)?;
        same("sequences of keys and values", batch, v.shape().concrete()[0])?;
        same("positions of keys and values", new, v.shape().concrete()[1])?;
        if new > self.capacity - self.len {
            return Err(Error::CacheFull { capacity: self.capacity, len: self.len, new });
        }
        D::read_pair(k, v, |k, v| {
            for (to, from) in [(&mut self.keys, k), (&mut self.values, v)] {
                for b in 0..batch {
                    let at = (b * self.capacity + self.len) * C;
                    to[at..at + new * C].copy_from_slice(&from[b * new * C..(b + 1) * new * C]);
                }
            }
        })?;
        self.len += new;
        Ok(())
    }

    /// Causal attention of the last positions, whose keys and values are in the cache already, to all of the cache.
    /// The mask of `options` may hold lengths or pairs of the `len` keys; it is causal in any case.
    ///
    /// # Errors
    /// Those of [`try_attention`].
    pub fn try_attend<B: Dim, Q: Dim, D: SequenceDevice<E>>(
        &self,
        q: &Tensor<(B, Q, Const<C>), E, D>,
        options: &Attention<'_, C, E, D>,
    ) -> Result<Tensor<(B, Q, Const<C>), E, D>, Error> {
        let [batch, queries, _] = q.shape().concrete();
        same("sequences of cache and queries", self.batch, batch)?;
        let mut options = options.clone();
        options.mask.is_causal = true;
        options.check(batch, queries, self.len, C)?;
        D::attend_cached(q, self, &options)
    }
}
