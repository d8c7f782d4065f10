//! Batches hold the pixels of the rows asked for, in [0, 1], in the shape that the type says.
use std::path::Path;

use datasets::idx::{Array, Values};
use datasets::{Images, digits, mnist};
use dfdx::prelude::*;

use crate::{TINY, tiny};

#[test]
fn a_batch_is_the_chosen_images_in_every_shape_and_type() {
    let (dev, digits) = (Cpu::default(), digits());
    let rows = [3, 1796, 3];
    let batch: Tensor<Rank4<3, 1, 8, 8>, f32, _> = digits.batch(&rows, &dev);
    assert_eq!(batch.array(), rows.map(|i| digits.unit(i)));
    let flat: Tensor<Rank2<3, 64>, f32, _> = digits.flat_batch(&rows, &dev);
    assert_eq!(flat.as_vec(), batch.as_vec());
    let run_time: Tensor<(usize, Const<1>, Const<8>, Const<8>), f32, _> = digits.batch(&rows[..], &dev);
    assert_eq!((run_time.shape().0, run_time.as_vec()), (3, batch.as_vec()));
    let run_time: Tensor<(usize, Const<64>), f32, _> = digits.flat_batch(&rows.to_vec(), &dev);
    assert_eq!((run_time.shape().0, run_time.as_vec()), (3, batch.as_vec()));

    let double: Tensor<Rank2<3, 64>, f64, _> = digits.flat_batch(&rows, &dev);
    for (i, row) in double.array().iter().enumerate() {
        let raw = digits.pixels(rows[i]);
        assert!(row.iter().zip(raw).all(|(value, &p)| *value == f64::from(p) / 16.0));
        assert!(row.iter().copied().eq(digits.unit_values::<f64>(rows[i])));
    }
}

#[test]
fn white_is_one_in_each_set() {
    let whitest = |values: Vec<f32>| values.into_iter().fold(0.0, f32::max);
    let dev = Cpu::default();
    let rows: Vec<usize> = (0..100).collect();
    let x: Tensor<(usize, Const<64>), f32, _> = digits().flat_batch(&rows, &dev);
    assert_eq!(whitest(x.as_vec()), 1.0);
    let x: Tensor<(usize, Const<784>), f32, _> = mnist().flat_batch(&rows, &dev);
    assert_eq!(whitest(x.as_vec()), 1.0);
}

#[test]
fn labels_follow_the_rows_of_a_view() {
    let dev = Cpu::default();
    let view = digits().select([9, 1796, 1000]); // labels 9, 8 and 1 in scikit-learn
    assert_eq!(view.batch_labels(&[2, 0]), [1, 9]);
    let y: Tensor<Rank2<2, 10>, f64, _> = view.one_hot(&[2, 1], &dev);
    let mut want = [[0.0; 10]; 2];
    want[0][1] = 1.0;
    want[1][8] = 1.0;
    assert_eq!(y.array(), want);
    assert_eq!(view.rows().collect::<Vec<_>>(), [9, 1796, 1000]);
    assert_eq!(view.select([2]).row(0), 1000);
}

#[test]
#[should_panic(expected = "`tiny` has 3 classes, not K = 4")]
fn one_hot_of_another_number_of_classes() {
    let _: Tensor<Rank2<1, 4>, f32, _> = tiny(&[1], &[0]).one_hot(&[0], &Cpu::default());
}

#[test]
fn colour_moves_from_last_to_first() {
    // (1, H = 1, W = 2, C = 3): two pixels, r g b each.
    let images = Array::try_new(vec![1, 1, 2, 3], Values::U8(vec![1, 2, 3, 4, 5, 6])).unwrap();
    let labels = Array::try_new(vec![1], Values::U8(vec![0])).unwrap();
    let path = Path::new("colour");
    let images = Images::<3, 1, 2>::from_arrays((path, images), (path, labels), TINY).unwrap();
    assert_eq!(images.pixels(0), [1, 4, 2, 5, 3, 6]);
    assert_eq!(images.unit(0)[2][0][1], 6.0 / 9.0);
}

#[test]
fn images_are_read_from_files_packed_or_not() {
    let dir = tempfile::tempdir().unwrap();
    let (plain, packed) = (dir.path().join("images.idx"), dir.path().join("labels.idx.gz"));
    let images = Array::try_new(vec![2, 1, 1], Values::U8(vec![7, 9])).unwrap();
    let labels = Array::try_new(vec![2], Values::U8(vec![2, 0])).unwrap();
    datasets::idx::write(&plain, &images).unwrap();
    datasets::idx::write(&packed, &labels).unwrap();
    let read = Images::<1, 1, 1>::read(&plain, &packed, TINY).unwrap();
    assert_eq!((read.pixels(1), read.labels()), (&[9][..], vec![2, 0]));
    assert!(read.describe().is_none());
}
