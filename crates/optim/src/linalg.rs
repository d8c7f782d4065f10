//! Singular values by one-sided Jacobi rotations: $A = U \Sigma V^\top$ with orthonormal columns whatever the rank.
//!
//! nalgebra 0.34 iterates on a bidiagonal matrix, and where singular values are zero its result is wrong now and then:
//! the test below counts how often, and by how much. Rotations have no such case. Its eigenvalues of symmetric matrices
//! are not touched by this: all of 20,000 without full rank were right.
//!
//! | step | computes |
//! |---|---|
//! | QR with column pivoting | $A P = Q R$; the rows of $R$ are nearly orthogonal |
//! | one-sided Jacobi | rotates columns of $L = R^\top$ in pairs until all are orthogonal: $L W = Y \Sigma$ |
//! | back | $A = (Q W)\,\Sigma\,(P Y)^\top$ |
//!
//! A pair counts as orthogonal by its angle, not by its product, so that small columns are as orthogonal as large ones.
//! Columns of $Y$ that belong to singular values of 0 are completed to an orthonormal basis.
//!
//! **Papers**: Demmel & Veselić (1992), Jacobi's method is more accurate than QR, SIAM J. Matrix Anal. Appl. 13(4);
//! Golub & Van Loan (2013), Matrix Computations, section 8.6.3; Drmač & Veselić (2008), New fast and accurate Jacobi SVD
//! algorithm, SIAM J. Matrix Anal. Appl. 29(4), for the QR before it.
//! **Complexity**: of `(m, n)` with n the smaller side, O(m n² + s n³) for s sweeps over all pairs; s was at most 7 in
//! the test. A square matrix of order 200 takes seven times as long as nalgebra.
use nalgebra::{DMatrix, DVector};

/// Beyond the number that was ever needed; a matrix with NaN needs one.
const MAX_SWEEPS: usize = 40;

/// $A = U \Sigma V^\top$ of a matrix `(m, n)`, with $k = \min(m, n)$.
#[derive(Clone, Debug)]
pub(crate) struct Svd {
    /// $U$, `(m, k)`: orthonormal columns.
    pub(crate) u: DMatrix<f64>,
    /// The diagonal of $\Sigma$, `(k)`: at least 0, largest first.
    pub(crate) sigma: DVector<f64>,
    /// $V$, `(n, k)`: orthonormal columns.
    pub(crate) v: DMatrix<f64>,
}

impl Svd {
    /// Of any finite matrix; one with NaN or infinite entries has no meaningful result.
    pub(crate) fn new(a: &DMatrix<f64>) -> Self {
        if a.nrows() < a.ncols() {
            let Self { u, sigma, v } = Self::new(&a.transpose());
            return Self { u: v, sigma, v: u };
        }
        let n = a.ncols();
        if n == 0 {
            return Self { u: a.clone(), sigma: DVector::zeros(0), v: DMatrix::zeros(0, 0) };
        }
        let largest = a.amax();
        let scale = if largest > 0.0 && largest.is_finite() { largest } else { 1.0 };
        let (q, r, pivots) = (a / scale).col_piv_qr().unpack();
        let mut stacked = DMatrix::identity(2 * n, n); // L over W
        stacked.rows_mut(0, n).copy_from(&r.transpose());
        for column in 0..n {
            stacked[(n + column, column)] = 1.0;
        }
        orthogonalise(&mut stacked, n);
        let norms: Vec<f64> = (0..n).map(|j| stacked.view((0, j), (n, 1)).norm()).collect();
        let mut order: Vec<usize> = (0..n).collect();
        order.sort_by(|&i, &j| norms[j].total_cmp(&norms[i]));
        let sorted = stacked.select_columns(&order);
        let sigma = DVector::from_iterator(n, order.iter().map(|&j| norms[j]));
        let mut y = sorted.rows(0, n).into_owned();
        for (mut column, &norm) in y.column_iter_mut().zip(&sigma) {
            column /= norm;
        }
        complete(&mut y, sigma.iter().take_while(|norm| **norm != 0.0).count());
        pivots.inv_permute_rows(&mut y);
        Self { u: q * sorted.rows(n, n), sigma: sigma * scale, v: y }
    }

    /// Singular values up to this one count as zero, as in numpy: the largest times the precision of f64 times the larger
    /// side of $A$.
    pub(crate) fn noise(&self) -> f64 {
        let largest = self.sigma.get(0).copied().unwrap_or(0.0);
        largest * f64::EPSILON * self.u.nrows().max(self.v.nrows()) as f64
    }

    /// Number of singular values above `smallest`.
    pub(crate) fn rank(&self, smallest: f64) -> usize {
        self.sigma.iter().filter(|sigma| **sigma > smallest).count()
    }

    /// $A^+ B$, the shortest of all $X$ with the least $\lVert A X - B\rVert$, where singular values up to `smallest` count
    /// as zero.
    pub(crate) fn solve(&self, b: &DMatrix<f64>, smallest: f64) -> DMatrix<f64> {
        let mut along = self.u.tr_mul(b);
        for (mut row, &sigma) in along.row_iter_mut().zip(&self.sigma) {
            row *= if sigma > smallest { 1.0 / sigma } else { 0.0 };
        }
        &self.v * along
    }
}

/// Rotates pairs of columns until their first `n` rows are orthogonal.
fn orthogonalise(columns: &mut DMatrix<f64>, n: usize) {
    let height = columns.nrows();
    let tolerance = f64::EPSILON * n as f64;
    for _ in 0..MAX_SWEEPS {
        let mut is_done = true;
        for (p, q) in (0..n).flat_map(|p| (p + 1..n).map(move |q| (p, q))) {
            let (before, behind) = columns.as_mut_slice().split_at_mut(q * height);
            let (x, y) = (&mut before[p * height..][..height], &mut behind[..height]);
            let dot = |a: &[f64], b: &[f64]| a[..n].iter().zip(&b[..n]).map(|(a, b)| a * b).sum::<f64>();
            let (alpha, beta, gamma) = (dot(x, x), dot(y, y), dot(x, y));
            if gamma.is_nan() || gamma.abs() <= tolerance * (alpha.sqrt() * beta.sqrt()) {
                continue;
            }
            is_done = false;
            // The smaller of the two angles that make the pair orthogonal.
            let zeta = (beta - alpha) / (2.0 * gamma);
            let tangent = 1.0_f64.copysign(zeta) / (zeta.abs() + zeta.hypot(1.0));
            let cosine = 1.0 / tangent.hypot(1.0);
            let sine = cosine * tangent;
            for (x, y) in x.iter_mut().zip(y) {
                (*x, *y) = (cosine * *x - sine * *y, sine * *x + cosine * *y);
            }
        }
        if is_done {
            return;
        }
    }
}

/// Replaces the columns from `known` on, so that all are orthonormal if those before are.
fn complete(y: &mut DMatrix<f64>, known: usize) {
    for j in known..y.ncols() {
        // The unit vector farthest from what is there: its part outside has a length of at least 1/√n.
        let inside = |row: usize| y.view((row, 0), (1, j)).norm_squared();
        let farthest = (0..y.nrows()).min_by(|&a, &b| inside(a).total_cmp(&inside(b))).unwrap_or(0);
        let mut new = DVector::zeros(y.nrows());
        new[farthest] = 1.0;
        for _ in 0..2 {
            for i in 0..j {
                let dot = y.column(i).dot(&new);
                new.axpy(-dot, &y.column(i), 1.0);
            }
            new.normalize_mut();
        }
        y.set_column(j, &new);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernels::random::Key;

    /// By how much a decomposition fails to be one, in units of the largest singular value: reconstruction,
    /// orthogonality; infinite for numbers out of order.
    fn error(a: &DMatrix<f64>, u: &DMatrix<f64>, sigma: &DVector<f64>, v: &DMatrix<f64>) -> f64 {
        let scale = sigma.amax().max(f64::MIN_POSITIVE);
        let off = |m: &DMatrix<f64>| (m.tr_mul(m) - DMatrix::identity(m.ncols(), m.ncols())).amax();
        let product = u * DMatrix::from_diagonal(sigma) * v.transpose();
        let is_sorted = sigma.as_slice().is_sorted_by(|a, b| a >= b) && sigma.iter().all(|s| *s >= 0.0);
        let is_finite = u.iter().chain(v).all(|x| x.is_finite()); // `max` is blind to NaN
        if !(is_sorted && is_finite) {
            return f64::INFINITY;
        }
        ((product - a).amax() / scale).max(off(u)).max(off(v))
    }

    /// Products of two normal matrices with 2 to 12 rows and columns, of every rank below full.
    fn deficient(count: u64) -> impl Iterator<Item = DMatrix<f64>> {
        (0..count).map(|seed| {
            let key = Key::new(8).fold(seed);
            let mut rng = key.fold(0).rng();
            let [rows, cols] = [(); 2].map(|()| 2 + rng.below(11) as usize);
            let rank = 1 + rng.below(rows.min(cols) as u64 - 1) as usize;
            let normal = |purpose, rows: usize, cols: usize| {
                let mut values = vec![0.0_f64; rows * cols];
                key.fold(purpose).fill_normal(&mut values);
                DMatrix::from_vec(rows, cols, values)
            };
            normal(1, rows, rank) * normal(2, rank, cols)
        })
    }

    /// Of these 3,000, nalgebra 0.34.2 decomposes 29 wrongly, one by 0.29 of the largest singular value; rotations are
    /// within 3.2e-15.
    #[test]
    fn matrices_without_full_rank_are_decomposed() {
        let mut theirs = 0;
        for (case, a) in deficient(3000).enumerate() {
            let svd = Svd::new(&a);
            let off = error(&a, &svd.u, &svd.sigma, &svd.v);
            assert!(off <= 4e-14, "case {case}, {:?}: {off:e}", a.shape());
            let svd = a.clone().svd(true, true);
            let (u, v_t) = (svd.u.expect("asked for"), svd.v_t.expect("asked for"));
            let wrong = error(&a, &u, &svd.singular_values, &v_t.transpose());
            theirs += usize::from(wrong > 1e-10);
        }
        assert!(theirs > 0, "nalgebra's decomposition is sound now: use it, and delete this module");
    }

    #[test]
    fn borders_of_the_range_are_decomposed() {
        let hilbert = |i: usize, j: usize| 1.0 / (i + j + 1) as f64;
        for (a, sigma) in [
            (DMatrix::zeros(3, 4), vec![0.0; 3]),
            (DMatrix::zeros(0, 3), vec![]),
            (DMatrix::from_element(1, 1, -2.0), vec![2.0]),
            (DMatrix::from_element(5, 3, 1.0), vec![15.0_f64.sqrt(), 0.0, 0.0]),
            (
                DMatrix::from_fn(3, 3, |i, j| if i == j { 1e-60_f64.powi(i as i32) } else { 0.0 }),
                vec![1.0, 1e-60, 1e-120],
            ),
            (DMatrix::from_fn(4, 2, |i, j| 1e300 * (i * j) as f64), vec![1e300 * 14.0_f64.sqrt(), 0.0]),
        ] {
            let svd = Svd::new(&a);
            assert!(error(&a, &svd.u, &svd.sigma, &svd.v) <= 1e-14, "{a}");
            let close = |(got, want): (&f64, &f64)| (got - want).abs() <= 1e-15 * sigma[0];
            assert!(svd.sigma.iter().zip(&sigma).all(close), "{} instead of {sigma:?}", svd.sigma);
        }
        // The least by inverse iteration with 60 digits; the entries, rounded to f64, leave nine.
        let least = Svd::new(&DMatrix::from_fn(6, 6, hilbert)).sigma[5];
        assert!((least / 1.082_799_484_565_549_8e-7 - 1.0).abs() < 1e-8, "{least}");
        assert!(Svd::new(&DMatrix::from_element(2, 2, f64::NAN)).sigma[0].is_nan());
    }

    /// Penrose's four conditions.
    #[test]
    fn the_solution_is_that_of_the_pseudo_inverse() {
        for a in deficient(50) {
            let svd = Svd::new(&a);
            let smallest = svd.sigma[0] * 1e-12;
            let inverse = svd.solve(&DMatrix::identity(a.nrows(), a.nrows()), smallest);
            let scale = inverse.amax().max(a.amax());
            let (left, right) = (&a * &inverse, &inverse * &a);
            let trace = left.trace().round() as usize;
            assert_eq!(svd.rank(smallest), trace);
            for off in [
                (&left * &a - &a).amax(),
                (&right * &inverse - &inverse).amax(),
                (&left - left.transpose()).amax(),
                (&right - right.transpose()).amax(),
            ] {
                assert!(off <= 1e-11 * scale, "{off:e}");
            }
        }
    }
}
