//! The opponents give the numbers that scikit-learn and numpy give, to the image, and break ties as documented.
use std::path::Path;

use datasets::baseline::{AverageDarkness, Baseline, Majority, NearestMean, NearestNeighbours};
use datasets::tsv::Table;
use datasets::{Images, Split, digits, mnist};

use crate::tiny;

fn correct<const C: usize, const H: usize, const W: usize>(
    split: &Split<Images<C, H, W>>,
    neighbours: bool,
) -> [Option<usize>; 4] {
    let Split { train, test, .. } = split;
    [
        Some(Majority::fit(train).unwrap().num_correct(test)),
        Some(AverageDarkness::fit(train).unwrap().num_correct(test)),
        Some(NearestMean::fit(train).unwrap().num_correct(test)),
        neighbours.then(|| NearestNeighbours::fit(train, 5).unwrap().num_correct(test)),
    ]
}

#[test]
fn right_answers_agree_with_scikit_learn_to_the_image() {
    let columns =
        ["set", "train", "test", "majority", "average_darkness", "nearest_mean", "nearest_neighbours_5"];
    let golden =
        Table::parse(Path::new("baselines.tsv"), include_bytes!("../golden/baselines.tsv"), &columns)
            .unwrap();
    assert_eq!(golden.len(), 3);
    for row in 0..golden.len() {
        let number = |column| golden.integers::<usize>(column).unwrap()[row];
        let (n_train, n_test) = (number("train"), number("test"));
        let neighbours = n_train * n_test < 1_000_000; // 8,000 x 2,000 takes a minute in a test build
        let got = match golden.text(row, "set").unwrap() {
            "digits" => correct(&digits().front_back(n_train, n_test).unwrap(), neighbours),
            _ => correct(&mnist().front_back(n_train, n_test).unwrap(), neighbours),
        };
        for (column, got) in columns[3..].iter().zip(got).filter_map(|(column, got)| Some((column, got?))) {
            assert_eq!(got, number(column), "{column}, {n_train} / {n_test}");
        }
    }
}

#[test]
fn ties_go_to_the_smaller_row_and_the_smaller_label() {
    // One pixel each: rows 0 and 2 are as far from 5 as row 1 and 3 are.
    let train = tiny(&[4, 6, 4, 6], &[2, 1, 0, 1]);
    let knn = NearestNeighbours::fit(&train, 3).unwrap();
    assert_eq!(knn.neighbours(&[5]), [(1, 0), (1, 1), (1, 2)]);
    let probe = tiny(&[5], &[0]);
    assert_eq!(knn.predict(&probe), [0]); // one vote each for 2, 1 and 0
    assert_eq!(NearestNeighbours::fit(&train, 4).unwrap().predict(&probe), [1]);
    assert_eq!(NearestNeighbours::fit(&train, 1).unwrap().predict(&probe), [2]);
    let train = tiny(&[4, 6], &[1, 0]);
    assert_eq!(NearestMean::fit(&train).unwrap().predict(&probe), [0]);
    assert_eq!(AverageDarkness::fit(&train).unwrap().predict(&probe), [0]);
    assert_eq!(Majority::fit(&train).unwrap().class, 0);
}

#[test]
fn a_class_without_images_is_never_answered() {
    let train = tiny(&[9, 7], &[2, 2]); // classes 0 and 1 are empty
    let dark = tiny(&[0], &[0]);
    assert_eq!(NearestMean::fit(&train).unwrap().predict(&dark), [2]);
    assert_eq!(AverageDarkness::fit(&train).unwrap().predict(&dark), [2]);
}

#[test]
fn what_cannot_be_fitted_is_an_error() {
    let (empty, two) = (tiny(&[], &[]), tiny(&[1, 2], &[0, 1]));
    let message = "a baseline must be fitted on at least one image, got none; check the split";
    assert_eq!(Majority::fit(&empty).unwrap_err().to_string(), message);
    assert_eq!(AverageDarkness::fit(&empty).unwrap_err().to_string(), message);
    assert_eq!(NearestMean::fit(&empty).unwrap_err().to_string(), message);
    assert_eq!(NearestNeighbours::fit(&empty, 1).unwrap_err().to_string(), message);
    for k in [0, 3] {
        assert_eq!(
            NearestNeighbours::fit(&two, k).unwrap_err().to_string(),
            format!("k must lie in 1..=2 (the number of training images), got {k}; 5 is the usual choice")
        );
    }
}
