//! # A table from its margins
//!
//! *By hand, then in code.* Adafactor does not keep the mean of squares of each weight of a matrix, only the sums
//! $r_i$ of its rows and $c_j$ of its columns: $n + m$ numbers instead of $nm$. Rebuild from them a table $\hat V$
//! whose rows and columns have these sums, and which is exact if the true table is a product $V_{ij} = a_ib_j$.

/// What is to be written.
pub mod task {
    // ANCHOR: task
    use nalgebra::DMatrix;

    /// The table with these sums of rows and of columns.
    pub fn rebuild(rows: &[f64], columns: &[f64]) -> DMatrix<f64> {
        todo!("{} by {}", rows.len(), columns.len())
    }
    // ANCHOR_END: task
}

pub mod solution {
    //! $\hat V_{ij} = r_ic_j/S$ with the total $S = \sum_i r_i = \sum_j c_j$. Summed over $j$ that is $r_i$. For a
    //! product, $r_i = a_i\sum_j b_j$ and so on: the sums cancel against $S$. It is the table that a statistician
    //! expects when row and column are independent, and of all tables of rank 1 it has the smallest divergence
    //! $\sum V\ln(V/\hat V) - V + \hat V$ from the true one.
    //!
    //! The usual mistake is to divide by the number of entries, as for means, while $r$ and $c$ are sums: every
    //! weight's second moment is then wrong by one common factor, which looks like a learning rate that has to be
    //! tuned.

    // ANCHOR: solution
    use nalgebra::DMatrix;

    /// The table with these sums of rows and of columns.
    pub fn rebuild(rows: &[f64], columns: &[f64]) -> DMatrix<f64> {
        let total: f64 = rows.iter().sum();
        DMatrix::from_fn(rows.len(), columns.len(), |i, j| rows[i] * columns[j] / total)
    }
    // ANCHOR_END: solution
}

#[cfg(test)]
mod tests {
    use nalgebra::{DMatrix, dmatrix};

    fn sums(table: &DMatrix<f64>) -> (Vec<f64>, Vec<f64>) {
        let rows = table.row_iter().map(|row| row.sum()).collect();
        (rows, table.column_iter().map(|column| column.sum()).collect())
    }

    fn divergence(v: &DMatrix<f64>, of: &DMatrix<f64>) -> f64 {
        v.iter().zip(of.iter()).map(|(v, w)| v * (v / w).ln() - v + w).sum()
    }

    fn check(rebuild: fn(&[f64], &[f64]) -> DMatrix<f64>) {
        let product = DMatrix::from_fn(3, 4, |i, j| (1.0 + i as f64) * [0.1, 2.0, 0.5, 7.0][j]);
        let other = dmatrix![1.0, 0.2, 3.0; 0.5, 4.0, 0.1];
        for table in [&product, &other] {
            let (rows, columns) = sums(table);
            let got = sums(&rebuild(&rows, &columns));
            let pairs = rows.iter().zip(&got.0).chain(columns.iter().zip(&got.1));
            for (want, got) in pairs {
                assert!((want - got).abs() < 1e-12, "a row or column sums to {got}, not {want}");
            }
        }
        let (rows, columns) = sums(&product);
        assert!((rebuild(&rows, &columns) - &product).norm() < 1e-12, "a product is not rebuilt");
        // No other table of rank 1 nearby is closer.
        let (rows, columns) = sums(&other);
        let best = divergence(&other, &rebuild(&rows, &columns));
        for i in 0..2 {
            for factor in [0.95, 1.05] {
                let mut moved = rebuild(&rows, &columns);
                moved.row_mut(i).scale_mut(factor);
                assert!(divergence(&other, &moved) > best);
            }
        }
    }

    #[test]
    fn solution_keeps_the_sums() {
        check(super::solution::rebuild);
    }

    #[test]
    #[should_panic = "3 by 4"]
    fn task_is_open() {
        check(super::task::rebuild);
    }

    #[test]
    #[should_panic = "a row or column sums to"]
    fn sums_are_not_means() {
        check(|rows, columns| {
            let count = (rows.len() * columns.len()) as f64;
            DMatrix::from_fn(rows.len(), columns.len(), |i, j| rows[i] * columns[j] / count)
        });
    }
}
