//! Orders depend on the seed and the epoch alone, and are the same for ever.
use std::path::Path;

use datasets::tsv::Table;
use datasets::{Batches, digits};
use dfdx::shapes::Const;
use proptest::prelude::*;

use crate::round_trip::seeded;

#[test]
fn orders_are_those_of_the_independent_generator() {
    let columns = ["kind", "n", "seed", "epoch", "order"];
    let golden =
        Table::parse(Path::new("orders.tsv"), include_bytes!("../golden/orders.tsv"), &columns).unwrap();
    assert_eq!(golden.len(), 7);
    let number = |column| golden.integers::<u64>(column).unwrap();
    let (n, seed, epoch) = (number("n"), number("seed"), number("epoch"));
    for row in 0..golden.len() {
        let order = golden.text(row, "order").unwrap().split(' ').map(|i| i.parse().unwrap());
        let want: Vec<usize> = order.collect();
        let got: Vec<usize> = match golden.text(row, "kind").unwrap() {
            "batches" => Batches::new(n[row] as usize, 4, seed[row]).epoch(epoch[row]).flatten().collect(),
            _ => digits().permuted(seed[row]).rows().take(want.len()).collect(),
        };
        assert_eq!(got, want, "row {row}");
    }
}

#[test]
fn an_epoch_does_not_depend_on_those_before() {
    let batches = Batches::new(100, 7, 3);
    let alone: Vec<_> = batches.epoch(5).collect();
    (0..5).for_each(|epoch| batches.epoch(epoch).for_each(drop));
    assert_eq!(batches.epoch(5).collect::<Vec<_>>(), alone);
    assert_ne!(batches.epoch(6).collect::<Vec<_>>(), alone);
    assert_ne!(Batches::new(100, 7, 4).epoch(5).collect::<Vec<_>>(), alone);
    // The batch size cuts one and the same order.
    assert!(Batches::new(100, 13, 3).epoch(5).flatten().eq(alone.into_iter().flatten()));
}

#[test]
fn no_rows_and_batches_that_do_not_fill() {
    assert_eq!(Batches::new(0, 4, 0).epoch(0).count(), 0);
    assert_eq!(Batches::new(3, 4, 0).epoch(0).map(|rows| rows.len()).collect::<Vec<_>>(), [3]);
    assert!(Batches::new(3, 4, 0).drop_last().is_empty());
    assert!(Batches::new(3, Const::<4>, 0).is_empty());
}

#[test]
fn a_batch_of_no_rows_is_an_error() {
    let message = "a batch must hold at least one row, got 0; 32 is the usual choice";
    assert_eq!(Batches::try_new(10, 0, 0).unwrap_err().to_string(), message);
    assert_eq!(Batches::try_new(10, Const::<0>, 0).unwrap_err().to_string(), message);
}

proptest! {
    #![proptest_config(seeded(128))]

    #[test]
    fn every_row_is_met_once_an_epoch(n in 0usize..300, batch in 1usize..40, seed: u64, epoch: u64) {
        let batches = Batches::new(n, batch, seed);
        let epoch_of = batches.epoch(epoch);
        prop_assert_eq!(epoch_of.len(), batches.len());
        let cut: Vec<Vec<usize>> = epoch_of.collect();
        prop_assert_eq!(cut.len(), batches.len());
        prop_assert!(cut.iter().rev().skip(1).all(|rows| rows.len() == batch));
        let mut seen: Vec<usize> = cut.iter().flatten().copied().collect();
        seen.sort_unstable();
        prop_assert!(seen.into_iter().eq(0..n));

        let whole: Vec<Vec<usize>> = batches.drop_last().epoch(epoch).collect();
        prop_assert_eq!(&whole[..], &cut[..n / batch]);
    }

    #[test]
    fn a_size_in_the_type_gives_the_whole_batches(n in 0usize..50, seed: u64) {
        let fixed: Vec<Vec<usize>> = Batches::new(n, Const::<8>, seed).epoch(1).map(|rows| rows.to_vec()).collect();
        let run_time: Vec<Vec<usize>> = Batches::new(n, 8, seed).drop_last().epoch(1).collect();
        prop_assert_eq!(fixed, run_time);
    }
}
