//! Attention by blocks of query rows: no buffer holds a row of keys for every query beyond a context of 256.
use super::{next, parallel_items};
use crate::Real;
use crate::bridge::{buffer, flat, recycle};
use crate::cpu::{Out, contiguous};
use crate::gradient::{Sum, expect};
use crate::loops::rows_per_part;
use crate::pool::chunks_mut;
use crate::product::{Layout, multiply};
use crate::sequence::attention::{CONTEXT, ROWS};
use crate::sequence::passes::Terms;
use crate::sequence::{Attention, KvCache};
use dfdx::prelude::*;
use std::mem::take;

/// Consecutive queries that are computed together.
#[derive(Clone, Copy)]
struct Block {
    first: usize,
    rows: usize,
    /// Keys that its last row may use.
    width: usize,
    /// Elements of one head's probabilities in the blocks before.
    before: usize,
}

/// Sizes and everything that does not depend on the operands' values.
struct Problem<E> {
    batch: usize,
    queries: usize,
    keys: usize,
    heads: usize,
    /// Columns of q and k, and of v, of all heads.
    features: usize,
    values: usize,
    /// From one sequence's keys to the next's, in rows.
    key_rows: usize,
    is_causal: bool,
    scale: E,
    key_terms: Vec<E>,
    pair_terms: Vec<E>,
    /// One row of `distances` numbers for each head.
    bias: Vec<E>,
    distances: usize,
    /// The distance 0 in tables of distances.
    zero: usize,
    blocks: Vec<Block>,
}

/// 0 where a key may be used, −∞ elsewhere.
fn additive<E: Real>(mask: Option<&[bool]>) -> Vec<E> {
    let term = |&keep: &bool| if keep { E::zero() } else { E::neg_infinity() };
    mask.map_or(Vec::new(), |mask| mask.iter().map(term).collect())
}

impl<E: Real> Problem<E> {
    fn new<const C: usize>(
        [batch, queries, keys]: [usize; 3],
        values: usize,
        options: &Attention<'_, C, E, Cpu>,
    ) -> Self {
        let heads = options.heads;
        let is_causal = options.mask.is_causal();
        let mut before = 0;
        let blocks = (0..queries).step_by(ROWS).map(|first| {
            let rows = ROWS.min(queries - first);
            let width = if is_causal { keys - queries + first + rows } else { keys };
            let block = Block { first, rows, width, before };
            before += rows * width;
            block
        });
        let blocks = blocks.collect();
        let tables = [options.relative_keys.map(|t| t.shape().0), options.relative_bias.map(|t| t.shape().0)];
        // Two tables may have different lengths: both are counted from distance 0.
        let distances = tables.into_iter().flatten().max().unwrap_or(0);
        Self {
            batch,
            queries,
            keys,
            heads,
            features: C,
            values,
            key_rows: keys,
            is_causal,
            scale: E::of(options.scale.unwrap_or(((C / heads) as f64).sqrt().recip())),
            key_terms: additive(options.mask.key_mask()),
            pair_terms: additive(options.mask.pair_mask()),
            bias: Vec::new(),
            distances,
            zero: 0,
            blocks,
        }
    }

    /// Elements of the probabilities of one head.
    fn probabilities(&self) -> usize {
        self.blocks.last().map_or(0, |last| last.before + last.rows * last.width)
    }

    /// Position of distance 0 in a table of `rows` distances.
    fn zero_of(&self, rows: usize) -> usize {
        if self.is_causal { rows - 1 } else { (rows - 1) / 2 }
    }

    /// The position of query `i` among the keys.
    fn position(&self, i: usize) -> usize {
        if self.is_causal { self.keys - self.queries + i } else { i }
    }

    /// The columns of head `h` in rows `first..first + rows` of a matrix of `features` columns.
    fn head<'a>(
        &self,
        x: &'a [E],
        features: usize,
        first: usize,
        rows: usize,
        h: usize,
    ) -> (&'a [E], Layout) {
        let cols = features / self.heads;
        (&x[first * features + h * cols..], Layout { rows, cols, row_stride: features, col_stride: 1 })
    }

    fn q<'a>(&self, q: &'a [E], b: usize, h: usize, block: Block) -> (&'a [E], Layout) {
        self.head(q, self.features, b * self.queries + block.first, block.rows, h)
    }
    fn k<'a>(&self, k: &'a [E], b: usize, h: usize, width: usize) -> (&'a [E], Layout) {
        self.head(k, self.features, b * self.key_rows, width, h)
    }
    fn v<'a>(&self, v: &'a [E], b: usize, h: usize, width: usize) -> (&'a [E], Layout) {
        self.head(v, self.values, b * self.key_rows, width, h)
    }

    /// The probabilities of one block of one head, into `p`.
    fn probs(&self, operands: &Operands<'_, E>, b: usize, h: usize, block: Block, p: &mut [E]) {
        let Block { first, rows, width, .. } = block;
        let (q, q_layout) = self.q(operands.q, b, h, block);
        let (k, k_layout) = self.k(operands.k, b, h, width);
        multiply((q, q_layout), (k, k_layout.transposed()), (p, Layout::row_major(rows, width)), false);
        if let Some(table) = operands.relative {
            let distances = table.len() / self.features.max(1);
            let (e, e_layout) = self.head(table, self.features, 0, distances, h);
            let mut by_distance = vec![E::zero(); rows * distances];
            let layout = Layout::row_major(rows, distances);
            multiply((q, q_layout), (e, e_layout.transposed()), (&mut by_distance, layout), false);
            for i in 0..rows {
                let used = self.used(block, i);
                let from = i * distances + self.zero_of(distances) - self.position(first + i);
                E::add_to(&by_distance[from..from + used], &mut p[i * width..i * width + used]);
            }
        }
        let terms = Terms {
            width,
            scale: self.scale,
            first: self.used(block, 0),
            step: usize::from(self.is_causal),
            keys: self.key_terms.get(b * self.keys..(b + 1) * self.keys).unwrap_or(&[]),
            pairs: self.pair_terms.get(first * self.keys..).unwrap_or(&[]),
            pairs_stride: self.keys,
            bias: self.bias.get(h * self.distances..(h + 1) * self.distances).unwrap_or(&[]),
            bias_start: self.zero.wrapping_sub(self.position(first)),
        };
        E::probabilities(terms, p);
    }

    /// Keys that row `i` of a block may use.
    fn used(&self, block: Block, i: usize) -> usize {
        if self.is_causal { self.position(block.first + i) + 1 } else { block.width }
    }

    /// Writes the output, and the probabilities where `kept` has room for them: for each sequence, block and head.
    fn forward(&self, operands: &Operands<'_, E>, y: &mut [E], kept: &mut [E]) {
        let (mut y, mut kept) = (y, kept);
        let is_kept = !kept.is_empty();
        let mut parts = Vec::with_capacity(self.batch * self.blocks.len());
        for b in 0..self.batch {
            for &block in &self.blocks {
                let room = if is_kept { self.heads * block.rows * block.width } else { 0 };
                parts.push((b, block, next(&mut y, block.rows * self.values), next(&mut kept, room)));
            }
        }
        parallel_items(parts, |(b, block, y, kept)| {
            let size = block.rows * block.width;
            let mut scratch = vec![E::zero(); if is_kept { 0 } else { size }];
            for h in 0..self.heads {
                let p = if is_kept { &mut kept[h * size..(h + 1) * size] } else { &mut scratch[..] };
                self.probs(operands, b, h, block, p);
                let cols = self.values / self.heads;
                let y_layout = Layout { rows: block.rows, cols, row_stride: self.values, col_stride: 1 };
                let p = (&*p, Layout::row_major(block.rows, block.width));
                multiply(p, self.v(operands.v, b, h, block.width), (&mut y[h * cols..], y_layout), false);
            }
        });
    }

    /// Writes the shares of every sequence and head, each contiguous: its rows of its own columns.
    fn backward(&self, operands: &Operands<'_, E>, kept: &[E], gy: &[E], shares: Shares<'_, E>) {
        let (width_q, width_v) = (self.features / self.heads, self.values / self.heads);
        let table = operands.relative.map_or(0, |table| table.len() / self.features.max(1));
        let Shares { mut q, mut k, mut v, mut relative, mut bias } = shares;
        let mut parts = Vec::with_capacity(self.batch * self.heads);
        for b in 0..self.batch {
            for h in 0..self.heads {
                let share = Shares {
                    q: next(&mut q, self.queries * width_q),
                    k: next(&mut k, self.keys * width_q),
                    v: next(&mut v, self.keys * width_v),
                    relative: next(&mut relative, table * width_q),
                    bias: next(&mut bias, if self.bias.is_empty() { 0 } else { self.distances }),
                };
                parts.push((b, h, share));
            }
        }
        let size = self.probabilities();
        parallel_items(parts, |(b, h, share)| {
            let Shares { q: gq, k: gk, v: gv, relative, bias } = share;
            for share in [&mut *gq, &mut *gk, &mut *gv, &mut *relative, &mut *bias] {
                share.fill(E::zero());
            }
            let most = self.blocks.iter().map(|block| block.rows * block.width).max().unwrap_or(0);
            let mut dp = vec![E::zero(); most];
            let mut again = vec![E::zero(); if kept.is_empty() { most } else { 0 }];
            for &block in &self.blocks {
                let Block { first, rows, width, before } = block;
                let square = Layout::row_major(rows, width);
                let p = if kept.is_empty() {
                    let p = &mut again[..rows * width];
                    self.probs(operands, b, h, block, p);
                    &*p
                } else {
                    let at = b * self.heads * size + self.heads * before + h * rows * width;
                    &kept[at..at + rows * width]
                };
                let dp = &mut dp[..rows * width];
                let gy = self.head(gy, self.values, b * self.queries + first, rows, h);
                let (v, v_layout) = self.v(operands.v, b, h, width);
                multiply(gy, (v, v_layout.transposed()), (dp, square), false);
                multiply((p, square.transposed()), gy, (gv, Layout::row_major(width, width_v)), true);
                E::probabilities_back(width, self.scale, p, dp);
                let q = self.q(operands.q, b, h, block);
                let gq = &mut gq[first * width_q..(first + rows) * width_q];
                let gq_layout = Layout::row_major(rows, width_q);
                multiply((dp, square), self.k(operands.k, b, h, width), (gq, gq_layout), true);
                multiply((dp, square.transposed()), q, (gk, Layout::row_major(width, width_q)), true);
                if table > 0 {
                    let mut by_distance = vec![E::zero(); rows * table];
                    for i in 0..rows {
                        let used = self.used(block, i);
                        let from = i * table + self.zero_of(table) - self.position(first + i);
                        by_distance[from..from + used].copy_from_slice(&dp[i * width..i * width + used]);
                    }
                    let layout = Layout::row_major(rows, table);
                    let e = self.head(operands.relative.unwrap_or(&[]), self.features, 0, table, h);
                    multiply((&by_distance, layout), e, (gq, gq_layout), true);
                    let relative_layout = Layout::row_major(table, width_q);
                    multiply((&by_distance, layout.transposed()), q, (relative, relative_layout), true);
                }
                if !bias.is_empty() {
                    for i in 0..rows {
                        let used = self.used(block, i);
                        let from = self.zero - self.position(first + i);
                        let d = &dp[i * width..i * width + used];
                        E::add_scaled(self.scale.recip(), d, &mut bias[from..from + used]);
                    }
                }
            }
        });
    }
}

/// What is read of the operands.
struct Operands<'a, E> {
    q: &'a [E],
    k: &'a [E],
    v: &'a [E],
    relative: Option<&'a [E]>,
}

/// Gradients, head by head.
struct Shares<'a, E> {
    q: &'a mut [E],
    k: &'a mut [E],
    v: &'a mut [E],
    relative: &'a mut [E],
    bias: &'a mut [E],
}

/// Adds head-major shares of `rows` rows for each sequence to a gradient with the heads side by side.
fn merge<E: Real>(shares: &[E], rows: usize, heads: usize, gradient: &mut [E], features: usize) {
    if shares.is_empty() {
        return;
    }
    let sequence = rows * features;
    let block = rows_per_part(features).min(rows);
    let mut parts = Vec::new();
    for (b, mut rest) in gradient.chunks_mut(sequence).enumerate() {
        for first in (0..rows).step_by(block) {
            parts.push((b, first, next(&mut rest, block.min(rows - first) * features)));
        }
    }
    parallel_items(parts, |(b, first, out)| {
        let from = &shares[b * sequence..(b + 1) * sequence];
        E::add_heads(out, from, features / heads, heads, rows, first)
    });
}

/// The bias table turned: one row for each head.
fn turned<E: Real>(table: &[E], heads: usize) -> Vec<E> {
    (0..heads).flat_map(|h| table.iter().skip(h).step_by(heads)).copied().collect()
}

pub fn attention<B: Dim, Q: Dim, K: Dim, const C: usize, const V: usize, E: Real, T: Tape<E, Cpu>>(
    q: Tensor<(B, Q, Const<C>), E, Cpu, T>,
    k: Tensor<(B, K, Const<C>), E, Cpu, T>,
    v: Tensor<(B, K, Const<V>), E, Cpu, T>,
    options: &Attention<'_, C, E, Cpu>,
) -> Out<(B, Q, Const<V>), E, T> {
    let (q, tape) = q.try_contiguous()?.split_tape();
    let (k, more) = k.try_contiguous()?.split_tape();
    let tape = tape.merge(more);
    let (v, more) = v.try_contiguous()?.split_tape();
    let mut tape = tape.merge(more);
    let mut relative = None;
    if let Some(table) = options.relative_keys {
        let (table, more) = contiguous(table, tape)?;
        (relative, tape) = (Some(table), more);
    }
    let mut bias = None;
    if let Some(table) = options.relative_bias {
        let (table, more) = contiguous(table, tape)?;
        (bias, tape) = (Some(table), more);
    }
    let device = q.device().clone();
    let [batch, queries, _] = q.shape().concrete();
    let keys = k.shape().concrete()[1];
    let mut problem = Problem::new([batch, queries, keys], V, options);
    if let Some(table) = &bias {
        problem.distances = table.shape().0;
        problem.zero = problem.zero_of(problem.distances);
        problem.bias = turned(flat(table), problem.heads);
    }
    let shape = (q.shape().0, q.shape().1, Const::<V>);
    let is_kept = T::OWNS_TAPE && keys <= CONTEXT;
    let size = if is_kept { batch * problem.heads * problem.probabilities() } else { 0 };
    let (mut y, mut kept) = (buffer(&device, batch * queries * V)?, buffer(&device, size)?);
    let operands = Operands { q: flat(&q), k: flat(&k), v: flat(&v), relative: relative.as_ref().map(flat) };
    problem.forward(&operands, &mut y, &mut kept);
    let y = device.try_tensor_from_vec(y, shape)?;
    if !T::OWNS_TAPE {
        return Ok(y.put_tape(tape));
    }
    let ghost = y.ghost();
    let (of_q, of_k, of_v) = (q.clone(), k.clone(), v.clone());
    tape.add_backward_op(move |grads| {
        let gy = take(&mut **grads.get_or_alloc_mut(&ghost)?);
        let rows = relative.as_ref().map_or(0, |table| table.shape().0);
        let distances = bias.as_ref().map_or(0, |table| table.shape().0);
        let mut shares = [
            buffer(&device, batch * queries * C)?,
            buffer(&device, batch * keys * C)?,
            buffer(&device, batch * keys * V)?,
            buffer(&device, batch * rows * C)?,
            buffer(&device, batch * problem.heads * distances)?,
        ];
        let [sq, sk, sv, sr, sb] = &mut shares;
        let parts = Shares { q: sq, k: sk, v: sv, relative: sr, bias: sb };
        let operands =
            Operands { q: flat(&q), k: flat(&k), v: flat(&v), relative: relative.as_ref().map(flat) };
        problem.backward(&operands, &kept, &gy, parts);
        // One after the other: the operands may be one tensor, and then add to one gradient.
        let heads = problem.heads;
        let add = |share: &[E], rows, gradient: &mut Vec<E>, features| -> Result<(), CpuError> {
            let gradient = Sum::new(&device, gradient, share.len())?.elements();
            merge(share, rows, heads, gradient, features);
            Ok(())
        };
        add(&shares[0], queries, grads.get_or_alloc_mut(&q)?, C)?;
        add(&shares[1], keys, grads.get_or_alloc_mut(&k)?, C)?;
        add(&shares[2], keys, grads.get_or_alloc_mut(&v)?, V)?;
        if let Some(table) = &relative {
            let gradient = grads.get_or_alloc_mut(table)?;
            for share in shares[3].chunks_exact((rows * C).max(1)) {
                merge(share, rows, heads, gradient, C);
            }
        }
        if let Some(table) = &bias {
            let gradient = grads.get_or_alloc_mut(table)?;
            for share in shares[4].chunks_exact((heads * distances).max(1)) {
                for (h, share) in share.chunks_exact(distances).enumerate() {
                    for (g, &s) in gradient.iter_mut().skip(h).step_by(heads).zip(share) {
                        *g += s;
                    }
                }
            }
        }
        **grads.get_or_alloc_mut(&ghost)? = gy;
        for share in shares.into_iter().chain([kept]) {
            recycle(&device, share);
        }
        Ok(())
    });
    Ok(y.put_tape(expect(&of_v, expect(&of_k, expect(&of_q, tape)?)?)?))
}

/// A problem with its tables, for uses without a tape.
fn prepared<const C: usize, E: Real>(
    sizes: [usize; 3],
    options: &Attention<'_, C, E, Cpu>,
) -> Result<(Problem<E>, Option<Vec<E>>), CpuError> {
    let mut problem = Problem::new(sizes, C, options);
    if let Some(table) = options.relative_bias {
        problem.distances = table.shape().0;
        problem.zero = problem.zero_of(problem.distances);
        problem.bias = turned(flat(&table.clone().try_contiguous()?), problem.heads);
    }
    let relative = match options.relative_keys {
        Some(table) => Some(flat(&table.clone().try_contiguous()?).to_vec()),
        None => None,
    };
    Ok((problem, relative))
}

pub fn weights<B: Dim, Q: Dim, K: Dim, const C: usize, E: Real>(
    q: &Tensor<(B, Q, Const<C>), E, Cpu>,
    k: &Tensor<(B, K, Const<C>), E, Cpu>,
    options: &Attention<'_, C, E, Cpu>,
) -> Out<(B, usize, Q, K), E, NoneTape> {
    let (q, k) = (q.clone().try_contiguous()?, k.clone().try_contiguous()?);
    let [batch, queries, _] = q.shape().concrete();
    let keys = k.shape().concrete()[1];
    let (problem, relative) = prepared([batch, queries, keys], options)?;
    let operands = Operands { q: flat(&q), k: flat(&k), v: &[], relative: relative.as_deref() };
    let mut weights = buffer(q.device(), batch * problem.heads * queries * keys)?;
    let head = queries * keys;
    if head > 0 {
        chunks_mut(&mut weights, head, |start, weights| {
            let (b, h) = (start / head / problem.heads, start / head % problem.heads);
            for &block in &problem.blocks {
                let mut p = vec![E::zero(); block.rows * block.width];
                problem.probs(&operands, b, h, block, &mut p);
                let rows = weights[block.first * keys..].chunks_exact_mut(keys);
                for (row, p) in rows.zip(p.chunks_exact(block.width)) {
                    row[..block.width].copy_from_slice(p);
                    row[block.width..].fill(E::zero());
                }
            }
        });
    }
    q.device().try_tensor_from_vec(weights, (q.shape().0, problem.heads, q.shape().1, k.shape().1))
}

pub fn attend_cached<B: Dim, Q: Dim, const C: usize, E: Real>(
    q: &Tensor<(B, Q, Const<C>), E, Cpu>,
    cache: &KvCache<C, E>,
    options: &Attention<'_, C, E, Cpu>,
) -> Out<(B, Q, Const<C>), E, NoneTape> {
    let q = q.clone().try_contiguous()?;
    let [batch, queries, _] = q.shape().concrete();
    let (mut problem, relative) = prepared([batch, queries, cache.len()], options)?;
    problem.key_rows = cache.capacity();
    let (k, v) = (&cache.keys[..], &cache.values[..]);
    let operands = Operands { q: flat(&q), k, v, relative: relative.as_deref() };
    let mut y = buffer(q.device(), batch * queries * C)?;
    problem.forward(&operands, &mut y, &mut []);
    q.device().try_tensor_from_vec(y, *q.shape())
}
