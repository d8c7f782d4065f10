//! Rows of numbers, scaling that is fitted on the training part, roles and folds.
use datasets::split::{Role, rows_by_role, stratified_folds};
use datasets::{DataError, Features, Split, Standardiser};
use dfdx::prelude::*;
use proptest::prelude::*;

use crate::round_trip::seeded;

fn features(columns: usize, values: &[f64]) -> Features {
    Features::try_new(columns, values.to_vec()).unwrap()
}

#[test]
fn rows_columns_and_batches_are_the_values_given() {
    let x = features(2, &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    assert_eq!((x.len(), x.num_columns(), x.row(1)), (3, 2, &[3.0, 4.0][..]));
    assert!(x.column(1).eq([2.0, 4.0, 6.0]));
    assert_eq!(x.select([2, 0]).values(), [5.0, 6.0, 1.0, 2.0]);
    assert_eq!(x.select_columns(&[1]).values(), [2.0, 4.0, 6.0]);
    assert_eq!(x.map(f64::sqrt).row(1), [3f64.sqrt(), 2.0]);
    let batch: Tensor<Rank2<2, 2>, f32, _> = x.batch(&[2, 1], &Cpu::default());
    assert_eq!(batch.array(), [[5.0, 6.0], [3.0, 4.0]]);
    assert_eq!((features(3, &[]).len(), features(0, &[]).len()), (0, 0));
    for (columns, n) in [(2, 3), (0, 1)] {
        assert!(matches!(
            Features::try_new(columns, vec![0.0; n]),
            Err(DataError::ShapeMismatch { values, .. }) if values == n
        ));
    }
}

#[test]
#[should_panic(expected = "there are 2 columns, not F = 3")]
fn a_batch_of_another_width() {
    let _: Tensor<Rank2<1, 3>, f32, _> = features(2, &[1.0, 2.0]).batch(&[0], &Cpu::default());
}

#[test]
fn scaling_is_that_of_the_rows_it_was_fitted_on() {
    // Column 0: mean 2, variance of the population 2/3. Column 1 does not vary.
    let train = features(2, &[1.0, 7.0, 2.0, 7.0, 3.0, 7.0]);
    let scale = Standardiser::fit(&train).unwrap();
    assert_eq!(scale.means(), [2.0, 7.0]);
    assert!((scale.scales()[0] - (2.0f64 / 3.0).sqrt()).abs() < 1e-15);
    assert_eq!(scale.scales()[1], 1.0);
    let test = scale.transform(&features(2, &[5.0, 8.0])).unwrap();
    assert!((test.row(0)[0] - 3.0 / (2.0f64 / 3.0).sqrt()).abs() < 1e-15);
    assert_eq!(test.row(0)[1], 1.0);
    assert_eq!(
        scale.transform(&features(1, &[1.0])).unwrap_err().to_string(),
        "2 columns were fitted, got 1; give features of the same set"
    );
    assert_eq!(
        Standardiser::fit(&features(2, &[])).unwrap_err().to_string(),
        "at least one row is needed to fit on, got none; check the split"
    );
    // A sum of 0.1 leaves rounding in the variance of a constant column.
    let constant = Standardiser::fit(&features(1, &[0.1; 7])).unwrap();
    assert_eq!(constant.scales(), [1.0]);
}

#[test]
fn parts_are_the_rows_with_their_role() {
    use Role::{None, Test, Train, Validation};
    let split = rows_by_role(&[Test, Train, None, Validation, Train]);
    assert_eq!(split, Split { train: vec![1, 4], validation: vec![3], test: vec![0] });
    assert_eq!(split.as_ref().map(Vec::len), Split { train: 2, validation: 1, test: 1 });
    assert_eq!(["train", "valid", "test", "none", "dev"].map(Role::from_name)[4], Option::None);
    let rows = Split { train: vec!["a", "b", "c"], validation: vec![], test: vec!["d"] };
    let cut = rows.with_validation(1).unwrap();
    assert_eq!((cut.train, cut.validation, cut.test), (vec!["a", "b"], vec!["c"], vec!["d"]));
}

#[test]
fn folds_that_cannot_all_have_a_row_are_an_error() {
    for folds in [0, 1, 4] {
        assert_eq!(
            stratified_folds(&[0, 1, 0], folds, 0).unwrap_err().to_string(),
            format!(
                "the number of folds must lie in 2..=3 (the number of rows), got {folds}; 10 is the usual choice"
            )
        );
    }
}

proptest! {
    #![proptest_config(seeded(128))]

    #[test]
    fn folds_share_rows_and_classes_evenly(
        labels in prop::collection::vec(0usize..4, 2..80),
        folds in 2usize..10,
        seed: u64,
    ) {
        let folds = folds.min(labels.len());
        let parts = stratified_folds(&labels, folds, seed).unwrap();
        prop_assert_eq!(parts.len(), folds);
        let mut all: Vec<usize> = parts.concat();
        all.sort_unstable();
        prop_assert!(all.into_iter().eq(0..labels.len()));
        let spread = |count: &dyn Fn(&Vec<usize>) -> usize| {
            let counts: Vec<usize> = parts.iter().map(count).collect();
            counts.iter().max().unwrap() - counts.iter().min().unwrap()
        };
        prop_assert!(spread(&Vec::len) <= 1);
        for class in 0..4 {
            prop_assert!(spread(&|part| part.iter().filter(|&&row| labels[row] == class).count()) <= 1);
        }
        prop_assert_eq!(&parts, &stratified_folds(&labels, folds, seed).unwrap());
    }
}
