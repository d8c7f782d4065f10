//! Weight maps, deformation and metrics against SciPy, scikit-image and PyTorch; tiles against the whole picture.
use convnets::segmentation::metrics::{self, Connectivity};
use convnets::segmentation::{
    BorderOn, BorderWeights, Elastic, Grid, SegmentationError, TileError, class_weights, distance, otsu,
    overlap_tile, part_touching, tiles, two_distances, weighted_cross_entropy,
};
use convnets::topology::{self, TopologyError};
use convnets::unet::{self, SmallUNet};
use kernels::random::Key;
use layers::assert_close;
use layers::prelude::*;
use layers::testing::{Golden, gradient_check};
use proptest::prelude::*;
use std::convert::Infallible;

fn grid(golden: &Golden, path: &str) -> Grid<f64> {
    let shape = golden.numbers(&format!("{path}/shape"));
    Grid::try_new(shape[0] as usize, shape[1] as usize, golden.numbers(&format!("{path}/data"))).unwrap()
}

#[test]
fn weights_deformation_and_metrics_agree() {
    let golden = Golden::open(crate::golden("unet.json"));
    let labels = grid(&golden, "labels").map(|label| label as u16);
    let [d1, d2] = two_distances(&labels);
    assert_close!(d1.values, grid(&golden, "d1").values, 1e-9, 1e-9);
    assert_close!(d2.values, grid(&golden, "d2").values, 1e-9, 1e-9);
    assert_close!(class_weights(&labels).values, grid(&golden, "class_weights").values, 1e-9);
    let border =
        BorderWeights { w0: golden.number("w0"), sigma: golden.number("sigma"), ..Default::default() };
    let expected = grid(&golden, "weight_map_border_term_on_background_only");
    assert_close!(border.of(&labels).values, expected.values, 1e-9);
    let everywhere = BorderWeights { border_on: BorderOn::Everywhere, ..border };
    assert_close!(
        everywhere.of(&labels).values,
        grid(&golden, "weight_map_border_term_everywhere").values,
        1e-9
    );

    let coarse: [f64; 18] = golden.numbers("elastic/coarse_grid_dy_dx/data").try_into().unwrap();
    let elastic = Elastic::from_coarse(&coarse, 12, 12);
    let dense = [elastic.down.values.clone(), elastic.across.values.clone()].concat();
    assert_close!(dense, golden.numbers("elastic/dense_dy_dx/data"), 1e-9, 1e-9);
    let warped = elastic.warp(&grid(&golden, "elastic/image")).unwrap();
    assert_close!(warped.values, grid(&golden, "elastic/warped").values, 1e-9, 1e-9);
    golden.skip("elastic");

    let row = golden.numbers("mirror_pad_example/x");
    let wide = Grid::try_new(6, 6, (0..36).map(|at| row[at % 6]).collect()).unwrap().mirrored(4).unwrap();
    assert_eq!(wide.values[..14], golden.numbers("mirror_pad_example/y"));
    assert_eq!(golden.number("mirror_pad_example/pad"), 4.0);

    let found = grid(&golden, "metrics/prediction").map(|label| label as u16);
    let number = |key: &str| golden.number(&format!("metrics/{key}"));
    assert_close!(metrics::pixel_error(&labels, &found).unwrap(), number("pixel_error"), 1e-12);
    assert_close!(metrics::iou(&labels, &found).unwrap(), number("iou"), 1e-12);
    assert_close!(metrics::dice(&labels, &found).unwrap(), number("dice"), 1e-12);
    for threshold in [0.5, 0.75] {
        let matching = metrics::matched(&labels, &found, threshold).unwrap();
        let key = |name: &str| number(&format!("match_iou_{threshold}/{name}"));
        let counts = [matching.true_positives, matching.false_positives, matching.false_negatives];
        assert_eq!(counts.map(|n| n as f64), [key("tp"), key("fp"), key("fn")]);
        let scores = vec![matching.average_precision, matching.f1, matching.panoptic_quality];
        assert_close!(scores, vec![key("ap"), key("f1"), key("pq")], 1e-12);
    }
    let rand = metrics::adapted_rand(&labels, &found).unwrap();
    assert_close!(rand.error, number("adapted_rand_error"), 1e-12);
    // scikit-image calls the share of the truth's pairs precision; its documentation and ours have it the other way.
    assert_close!(rand.recall, number("adapted_rand_precision"), 1e-12);
    assert_close!(rand.precision, number("adapted_rand_recall"), 1e-12);
    let information = metrics::variation_of_information(&labels, &found).unwrap();
    assert_close!(information.to_vec(), golden.numbers("metrics/variation_of_information_bits"), 1e-12);
    let count = |connectivity| {
        *metrics::components(&found.map(|label| label > 0), connectivity, 1).values.iter().max().unwrap()
    };
    assert_eq!(f64::from(count(Connectivity::Four)), number("count_components_of_foreground_4conn"));
    assert_eq!(f64::from(count(Connectivity::Eight)), number("count_components_of_foreground_8conn"));
    assert_eq!(f64::from(*labels.values.iter().max().unwrap()), number("count_true"));

    let sizes = golden.value("valid_sizes_depth4_in_out").as_array().unwrap();
    let valid: Vec<(u64, u64)> =
        sizes.iter().map(|pair| (pair[0].as_u64().unwrap(), pair[1].as_u64().unwrap())).collect();
    let ours: Vec<(u64, u64)> =
        (180..600).filter_map(|n| Some((n, unet::output_size(n as usize, 4).ok()? as u64))).collect();
    assert_eq!(ours, valid);
    for shape in ["labels", "d1", "d2", "class_weights", "metrics/prediction"] {
        golden.skip(shape);
    }
    golden.skip("class_weight_rule");
    golden.finish();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]
    /// The linear-time distance against the search over all pairs, on random pictures of all densities, empty and full ones
    /// too.
    #[test]
    fn distances_agree_with_the_search(
        (height, width) in (1..24_usize, 1..24_usize),
        share in prop_oneof![Just(0.0), Just(1.0), 0.0..1.0_f64, 0.0..0.03_f64],
        seed in any::<u64>(),
    ) {
        let mut draws = vec![0.0_f64; height * width];
        Key::new(seed).fill_uniform(&mut draws);
        let inside = Grid::try_new(height, width, draws.iter().map(|draw| *draw < share).collect()).unwrap();
        let points: Vec<(f64, f64)> = (0..height * width)
            .filter(|at| inside.values[*at])
            .map(|at| ((at / width) as f64, (at % width) as f64))
            .collect();
        for (at, found) in distance(&inside).values.into_iter().enumerate() {
            let (row, column) = ((at / width) as f64, (at % width) as f64);
            let expected =
                points.iter().map(|(y, x)| (row - y).hypot(column - x)).fold(f64::INFINITY, f64::min);
            prop_assert!(
                found == expected || (found - expected).abs() < 1e-12,
                "pixel {at}: {found}, {expected}"
            );
        }
    }
}

/// A tiled prediction is the prediction of the whole mirrored picture: for tiles that divide it, for one tile, and where
/// the last tiles are shifted, on a picture that is no square.
#[test]
fn tiles_give_the_whole_picture() {
    const ROWS: usize = 48;
    const COLUMNS: usize = 72;
    let net = Cpu::seed_from_u64(1).build_module::<SmallUNet, f32>();
    let dev = Cpu::default();
    let predict = |picture: Grid<f32>| -> Vec<f32> {
        let mut x = dev.zeros_like(&(1_usize, Const::<1>, picture.height, picture.width));
        x.copy_from(&picture.values);
        let logits = net.1.forward(net.0.forward(x)).as_vec();
        let (first, second) = logits.split_at(logits.len() / 2);
        first.iter().zip(second).map(|(a, b)| a - b).collect()
    };
    let mut pixels = vec![0.0_f32; ROWS * COLUMNS];
    Key::new(5).fill_uniform(&mut pixels);
    let picture = Grid::try_new(ROWS, COLUMNS, pixels).unwrap();
    let margin = unet::margin(2) / 2;
    let whole = predict(picture.mirrored(margin).unwrap());
    assert_eq!(whole.len(), ROWS * COLUMNS);
    let spread =
        whole.iter().copied().fold(f32::MIN, f32::max) - whole.iter().copied().fold(f32::MAX, f32::min);
    assert!(spread > 0.01, "the network says the same everywhere: {spread}");
    for (tile, count) in [(4, 216), (8, 54), (12, 24), (24, 6), (20, 12), (32, 6), (48, 2)] {
        let tiled = overlap_tile(&picture, tile, margin, |part| Ok::<_, Infallible>(predict(part))).unwrap();
        assert_close!(tiled.values, whole.clone(), 0.0, 1e-6, "tiles of {tile}");
        assert_eq!(tiles(ROWS, COLUMNS, tile).unwrap().len(), count, "tiles of {tile}");
    }
}

/// A prediction that fails ends the run with its error, and one of another size is refused.
#[test]
fn a_failing_tile_is_reported() {
    #[derive(Debug, PartialEq, thiserror::Error)]
    #[error("out of memory")]
    struct Full;
    let picture = Grid::try_new(4, 4, vec![1.0; 16]).unwrap();
    let mut calls = 0;
    let error = overlap_tile(&picture, 2, 1, |tile| {
        calls += 1;
        if calls < 3 { Ok(tile.values[..4].to_vec()) } else { Err(Full) }
    });
    assert!(matches!(error, Err(TileError::Prediction(Full))), "{error:?}");
    assert_eq!(calls, 3);
    let whole = |tile: Grid<f64>| Ok::<_, Full>(tile.values);
    let length = SegmentationError::Length { height: 2, width: 2, found: 16 };
    let error = overlap_tile(&picture, 2, 1, whole).unwrap_err();
    assert_eq!(error.to_string(), length.to_string());
    assert!(matches!(
        overlap_tile(&picture, 2, 4, whole),
        Err(TileError::Picture(SegmentationError::Margin { .. }))
    ));
}

#[test]
fn the_weighted_loss_has_its_gradient() {
    let dev = Cpu::seed_from_u64(2);
    let logits: Tensor<Rank4<2, 3, 2, 2>, f64, _> = dev.sample_normal();
    let labels = [0, 1, 2, 0, 1, 1, 2, 0];
    let weights = [1.0, 2.0, 0.5, 0.0, 1.0, 3.0, 1.0, 1.0];
    gradient_check(&logits, |logits| weighted_cross_entropy(logits.leaky_trace(), &labels, &weights))
        .assert(1e-7);
    let zeros: Tensor<Rank4<2, 3, 2, 2>, f64, _> = dev.zeros();
    let even = weighted_cross_entropy(zeros.leaky_trace(), &labels, &[1.0; 8]);
    assert_close!(even.array(), 3.0_f64.ln(), 1e-14);
}

/// A picture drawn with digits for cells and points for the background.
fn cells(rows: &[&str]) -> Grid<u16> {
    let label = |cell: u8| if cell == b'.' { 0 } else { u16::from(cell - b'0') };
    let values = rows.iter().flat_map(|row| row.bytes().map(label)).collect();
    Grid::try_new(rows.len(), rows[0].len(), values).unwrap()
}

/// A pixel goes whose right or lower neighbour is of another cell, however they touch; the edge of a cell stays.
#[test]
fn touching_cells_are_parted() {
    let parted = part_touching(&cells(&["112.", "1122", "3322", ".322"]));
    assert_eq!(parted, cells(&["1.2.", "..22", "3.22", "..22"]));
}

/// Moved by whole pixels and by halves: labels are those of the nearest pixel, beyond the border those of the mirror.
#[test]
fn labels_move_with_their_picture() {
    let labels = cells(&["1234", "5678"]);
    let by = |down: f64, across: f64| {
        let field = |value: f64| labels.map(|_| value);
        let elastic = Elastic { down: field(down), across: field(across) };
        elastic.warp_labels(&labels).unwrap()
    };
    assert_eq!(by(0.0, 1.0), cells(&["2343", "6787"]));
    assert_eq!(by(-1.0, -2.0), cells(&["7656", "3212"]));
    assert_eq!(by(0.6, 0.4), cells(&["5678", "1234"]));
    assert_eq!(by(-0.4, -0.6), cells(&["2123", "6567"]));
    let other = Grid::try_new(1, 8, vec![0; 8]).unwrap();
    let elastic = Elastic::draw(2, 4, 1.0, Key::new(1));
    assert!(matches!(elastic.warp_labels(&other), Err(SegmentationError::Sizes { .. })));
}

/// The corners of the field are those of the coarse grid: normal, with the deviation that was asked for, down and across
/// apart.
#[test]
fn drawn_fields_have_their_deviation() {
    let (n, deviation) = (500, 3.0);
    let mut corners = Vec::new();
    let mut product = 0.0;
    for seed in 0..n {
        let Elastic { down, across } = Elastic::draw(5, 9, deviation, Key::new(seed));
        for (row, column) in [(0, 0), (0, 8), (4, 0), (4, 8)] {
            corners.extend([down.at(row, column), across.at(row, column)]);
            product += down.at(row, column) * across.at(row, column);
        }
    }
    let count = corners.len() as f64;
    let variance = corners.iter().map(|v| v * v).sum::<f64>() / count;
    assert!((variance / 9.0 - 1.0).abs() < 4.0 * (2.0 / count).sqrt(), "{variance}");
    assert!((product / (count / 2.0)).abs() < 4.0 * 9.0 / (count / 2.0).sqrt(), "{product}");
}

/// The coarse grid's corners, edges and middle lie on those of a picture that is no square, down before across.
#[test]
fn the_coarse_grid_spans_the_picture() {
    let coarse: [f64; 18] = std::array::from_fn(|k| (k * k) as f64 - 3.0 * k as f64);
    let Elastic { down, across } = Elastic::from_coarse(&coarse, 5, 9);
    for (row, column) in (0..3).flat_map(|row| (0..3).map(move |column| (row, column))) {
        let found = (down.at(2 * row, 4 * column), across.at(2 * row, 4 * column));
        let k = 3 * row + column;
        assert_eq!(found, (coarse[k], coarse[9 + k]), "{row}, {column}");
    }
}

/// Without background, or without cells, both classes have the weight 1; else half of all pixels over the class's.
#[test]
fn one_class_alone_has_the_weight_one() {
    for alone in [cells(&["11", "22"]), cells(&["..", ".."])] {
        assert_eq!(class_weights(&alone).values, [1.0; 4]);
    }
    assert_eq!(class_weights(&cells(&["1...", "...."])).values[..2], [4.0, 4.0 / 7.0]);
}

/// Components of as many pixels as asked stay; two pictures without cells agree; a pair at the threshold is a pair, one
/// that shares nothing never.
#[test]
fn limits_of_the_metrics() {
    let labels = cells(&["11.2", "...2", "3..2"]);
    let is_cell = labels.map(|label| label > 0);
    for (least, count) in [(1, 3), (2, 2), (3, 1), (4, 0)] {
        let found = metrics::components(&is_cell, Connectivity::Four, least);
        assert_eq!(found.values.iter().max(), Some(&count), "at least {least}");
    }
    let none = cells(&["....", "....", "...."]);
    let both = |f: fn(&Grid<u16>, &Grid<u16>) -> Result<f64, SegmentationError>| {
        (f(&none, &none).unwrap(), f(&labels, &none).unwrap(), f(&labels, &labels).unwrap())
    };
    assert_eq!(both(metrics::iou), (1.0, 0.0, 1.0));
    assert_eq!(both(metrics::dice), (1.0, 0.0, 1.0));
    // Cell 1 is half found, cell 2 two thirds.
    let found = cells(&["1...", "...2", "...2"]);
    let at = |threshold| metrics::matched(&labels, &found, threshold).unwrap().true_positives;
    assert_eq!((at(0.5), at(2.0 / 3.0), at(0.67), at(0.0)), (2, 1, 0, 2));
    let elsewhere = cells(&["...", "11.", "..."]);
    let apart = metrics::matched(&cells(&["1..", "...", "..2"]), &elsewhere, 0.0).unwrap();
    assert_eq!((apart.true_positives, apart.false_positives, apart.false_negatives), (0, 1, 2));
}

/// Two peaks of different heights: the threshold minimises the spread within the classes, by search; of all levels between
/// two peaks the lowest; none beyond `max`.
#[test]
fn otsu_minimises_the_spread_within() {
    let mut levels = Vec::new();
    for (level, times) in [(10, 200), (20, 300), (30, 150), (90, 20), (110, 30), (120, 10)] {
        levels.extend(std::iter::repeat_n(level, times));
    }
    let within = |threshold: u8| {
        let spread = |part: Vec<f64>| {
            let mean = part.iter().sum::<f64>() / part.len() as f64;
            part.iter().map(|v| (v - mean).powi(2)).sum::<f64>()
        };
        let (dark, bright): (Vec<u8>, Vec<u8>) = levels.iter().partition(|level| **level <= threshold);
        [dark, bright].map(|part| spread(part.into_iter().map(f64::from).collect())).iter().sum::<f64>()
    };
    let best = (10..120).min_by(|a, b| within(*a).total_cmp(&within(*b))).unwrap();
    assert_eq!((otsu(&levels, 255), best), (30, 30));
    assert!(otsu(&levels, 25) <= 25);
}

#[test]
fn pictures_that_do_not_fit_are_refused() {
    let small = Grid::try_new(2, 3, vec![0_u16; 6]).unwrap();
    let other = Grid::try_new(3, 2, vec![0_u16; 6]).unwrap();
    assert_eq!(Grid::try_new(2, 3, vec![0; 5]).unwrap_err().to_string(), "2 x 3 pixels take 6 values, got 5");
    let sizes = SegmentationError::Sizes { first: (2, 3), second: (3, 2) };
    assert_eq!(metrics::iou(&small, &other).unwrap_err(), sizes);
    assert_eq!(metrics::matched(&small, &other, 0.5).unwrap_err(), sizes);
    assert!(matches!(small.mirrored(2), Err(SegmentationError::Margin { margin: 2, .. })));
    assert!(matches!(tiles(2, 3, 3), Err(SegmentationError::Tile { .. })));
    assert_eq!(part_touching(&small).values, [0; 6]);
    // Nothing to find, nothing found: perfect; something to find: not.
    assert_eq!(metrics::matched(&small, &small, 0.5).unwrap().f1, 1.0);
    let cell = Grid::try_new(2, 3, vec![1_u16, 0, 0, 0, 0, 0]).unwrap();
    assert_eq!(metrics::matched(&cell, &small, 0.5).unwrap().f1, 0.0);
    assert_eq!(BorderWeights::default().of(&cell).values, class_weights(&cell).values);
}

/// Parts and holes of pictures by hand: corners join the background and part the cells.
#[test]
fn parts_and_holes_are_counted() {
    let picture = |rows: &[&str]| {
        let values = rows.iter().flat_map(|row| row.bytes().map(|cell| cell == b'#')).collect();
        Grid::try_new(rows.len(), rows[0].len(), values).unwrap()
    };
    // A ring, a ring that is open at a corner, a lone pixel; the gap at the border is no hole.
    let found =
        picture(&["####.###", "#..#.#..", "#..#.##.", "####....", "......#.", "..##....", "#.##...#"]);
    assert_eq!((topology::components(&found), topology::holes(&found)), (6, 1));
    let corner = picture(&[".....", ".##..", ".#.#.", ".###.", "....."]);
    assert_eq!((topology::components(&corner), topology::holes(&corner)), (1, 0));
    let corner = picture(&[".....", ".###.", ".#.#.", ".###.", "....."]);
    assert_eq!((topology::components(&corner), topology::holes(&corner)), (1, 1));
    let error = TopologyError::between(&corner, &picture(&["....."; 5])).unwrap();
    assert_eq!((error, error.total()), (TopologyError { components: 1, holes: 1 }, 2));
    let error = TopologyError::between(&corner, &found).unwrap_err();
    assert_eq!(error, SegmentationError::Sizes { first: (5, 5), second: (7, 8) });
    assert_eq!(topology::components(&Grid::try_new(0, 0, vec![]).unwrap()), 0);
}

/// Pairs by their sum, not the best pair first: that one would take cell 1 away from the only one that wants it.
#[test]
fn instances_are_paired_for_the_largest_sum() {
    let truth = cells(&["1111111122222222"]);
    let found = cells(&["111222222222...."]);
    // Found 2 covers 5 pixels of cell 1 (5/12) and 4 of cell 2 (4/13); found 1 covers 3 of cell 1 (3/8).
    let matching = metrics::matched(&truth, &found, 0.3).unwrap();
    assert_eq!((matching.true_positives, matching.false_positives, matching.false_negatives), (2, 0, 0));
    assert_close!(matching.panoptic_quality, (3.0 / 8.0 + 4.0 / 13.0) / 2.0, 1e-15);
    // The same with rows and columns exchanged, and with a bystander.
    let turned = metrics::matched(&found, &truth, 0.3).unwrap();
    assert_eq!(turned, matching);
    let more = metrics::matched(&truth, &cells(&["1112222222223333"]), 0.3).unwrap();
    assert_eq!((more.true_positives, more.false_positives, more.false_negatives), (2, 1, 0));
}
