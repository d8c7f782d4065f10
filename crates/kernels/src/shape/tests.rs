//! The rules as numbers and as types, against PyTorch and against each other.
use super::*;
use dfdx::shapes::ConstDim;
use serde_json::Value;

/// 221 rows of PyTorch: conv2d, max_pool2d rounded down and up, conv_transpose2d; null where it refuses.
#[test]
fn numbers_agree_with_pytorch() {
    let file: Value = serde_json::from_str(include_str!("../../tests/golden/shape_algebra.json"))
        .expect("a generator wrote it");
    let rows = file["rows"].as_array().expect("rows");
    assert_eq!(rows.len(), 221);
    for row in rows {
        let number = |i: usize| row[i].as_u64().map(|n| n as usize);
        let [extent, kernel, stride, padding, dilation] =
            std::array::from_fn(|i| number(i).expect("always given"));
        let taps = Taps { kernel, stride, padding, dilation };
        let got = [
            taps.positions(extent),
            taps.pool_positions(extent, Rounding::Down),
            taps.pool_positions(extent, Rounding::Up),
            taps.transposed(extent, 0),
        ];
        for (i, got) in got.into_iter().enumerate() {
            assert_eq!(got.ok(), number(5 + i), "column {i} of {row}");
        }
    }
}

/// A rule on an axis of the type `A`, asked for the length it gives: `None` where the type does not keep the rule.
///
/// A method of an `impl Probe` with bounds shadows the trait's method where the bounds hold: the question compiles
/// either way.
struct Probe<A, R>(std::marker::PhantomData<(A, R)>);
trait Refused {
    fn length(&self) -> Option<usize> {
        None
    }
}
impl<A, R> Refused for Probe<A, R> {}

struct Down<const K: usize, const S: usize, const P: usize, const L: usize>;
struct PoolDown<const K: usize, const S: usize, const P: usize, const L: usize>;
struct PoolUp<const K: usize, const S: usize, const P: usize, const L: usize>;
struct Transposed<const K: usize, const S: usize, const P: usize, const L: usize, const Q: usize>;
struct Reflected<const BEFORE: usize, const AFTER: usize>;
struct Cropped<const BEFORE: usize, const AFTER: usize>;
struct Divided<const M: usize>;

macro_rules! probe {
    ($rule:ident<$($param:ident),*> is $($bound:tt)*) => {
        impl<A: $($bound)*, $(const $param: usize),*> Probe<A, $rule<$($param),*>>
        where
            A::Out: ConstDim,
        {
            fn length(&self) -> Option<usize> {
                Some(A::Out::SIZE)
            }
        }
    };
}
probe!(Down<K, S, P, L> is Window<K, S, P, L>);
probe!(PoolDown<K, S, P, L> is PoolWindow<K, S, P, L>);
probe!(PoolUp<K, S, P, L> is CeilWindow<K, S, P, L>);
probe!(Transposed<K, S, P, L, Q> is UpWindow<K, S, P, L, Q>);
probe!(Reflected<BEFORE, AFTER> is Reflect<BEFORE, AFTER>);
probe!(Cropped<BEFORE, AFTER> is Crop<BEFORE, AFTER>);
probe!(Divided<M> is Over<Const<M>>);

macro_rules! length {
    ($n:literal, $rule:ident<$($arg:literal),*>) => {
        Probe::<Const<$n>, $rule<$($arg),*>>(std::marker::PhantomData).length()
    };
}

/// A function of its own, so that two hundred copies of it are not compiled.
#[inline(never)]
fn agree(n: usize, taps: Taps, got: [Option<usize>; 5]) {
    let want = [
        taps.positions(n),
        taps.pool_positions(n, Rounding::Down),
        taps.pool_positions(n, Rounding::Up),
        taps.transposed(n, 0),
        taps.transposed(n, 1),
    ];
    assert_eq!(got, want.map(Result::ok), "{taps:?} over {n}");
}

/// The 221 rows again, by the compiler.
#[test]
fn types_agree_with_numbers() {
    let mut cases = 0;
    macro_rules! case {
        ($n:literal $k:literal $s:literal $p:literal $l:literal) => {{
            let taps = Taps { kernel: $k, stride: $s, padding: $p, dilation: $l };
            let got = [
                length!($n, Down<$k, $s, $p, $l>),
                length!($n, PoolDown<$k, $s, $p, $l>),
                length!($n, PoolUp<$k, $s, $p, $l>),
                length!($n, Transposed<$k, $s, $p, $l, 0>),
                length!($n, Transposed<$k, $s, $p, $l, 1>),
            ];
            agree($n, taps, got);
            cases += 1;
        }};
    }
    macro_rules! windows {
        ($($n:literal)*) => {$(
            case!($n 1 1 0 1); case!($n 1 2 0 1); case!($n 2 2 0 1); case!($n 3 1 0 1); case!($n 3 1 1 1);
            case!($n 3 2 0 1); case!($n 3 2 1 1); case!($n 3 1 2 2); case!($n 5 1 2 1); case!($n 5 2 2 1);
            case!($n 7 2 3 1); case!($n 2 1 0 2); case!($n 3 3 1 1);
        )*};
    }
    windows!(1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17);
    // What PyTorch's rows do not have: zeros, empty axes, an output padding that only the dilation allows.
    case!(4 0 1 0 1);
    case!(4 3 0 1 1);
    case!(4 3 1 1 0);
    case!(0 3 1 1 1);
    case!(0 3 1 0 1);
    case!(5 3 1 1 3);
    case!(1 1 1 1 1);
    case!(224 7 2 3 1);
    case!(572 3 1 0 1);
    assert_eq!(cases, 221 + 9);
}

#[test]
fn padding_and_division_agree_with_numbers() {
    macro_rules! case {
        ($n:literal $before:literal $after:literal) => {
            assert_eq!(length!($n, Reflected<$before, $after>), reflected($n, $before, $after).ok());
            assert_eq!(length!($n, Cropped<$before, $after>), cropped($n, $before, $after).ok());
            assert_eq!(length!($n, Divided<$before>), divided($n, $before).ok());
        };
    }
    case!(5 0 0);
    case!(5 4 4);
    case!(5 5 0);
    case!(5 0 5);
    case!(6 2 3);
    case!(6 3 3);
    case!(64 4 8);
    case!(64 5 60);
    case!(0 1 0);
}

/// Every size that comes out is the size that was asked for.
#[test]
fn sizes_that_come_out() {
    let Const::<1023> = Const::<1000>.try_plus(Const::<23>).unwrap();
    let Const::<1040> = Const::<65>.try_times(Const::<16>).unwrap();
    let Const::<4096> = Const::<64>.try_times(Const::<64>).unwrap();
    let Const::<9216> = Const::<256>.try_times(Const::<36>).unwrap();
    let Const::<25088> = Const::<512>.try_times(Const::<49>).unwrap();
    let Const::<65536> = Const::<256>.try_times(Const::<256>).unwrap();
    let Const::<9> = Pad::<1, 5>::try_pad(&Const::<3>).unwrap();
}

/// No size wraps around.
#[test]
fn huge_numbers_are_errors() {
    let huge = usize::MAX / 2 + 1;
    let taps = Taps::new(3);
    for result in [
        Taps { padding: huge, ..taps }.positions(4),
        Taps { dilation: huge, ..taps }.positions(4),
        Taps { stride: usize::MAX, ..Taps::new(2) }.pool_positions(usize::MAX, Rounding::Up),
        Taps { stride: huge, ..taps }.transposed(4, 0),
        padded(huge, huge, 0),
        huge.try_plus(huge),
        huge.try_times(2_usize),
    ] {
        assert!(matches!(result, Err(Error::SizeOverflow)), "{result:?}");
    }
    assert!(matches!(cropped(4, huge, huge), Err(Error::Crop { .. })));
}

#[test]
fn errors_name_the_rule_and_the_remedy() {
    let message = |result: Result<usize, Error>| result.unwrap_err().to_string();
    let taps = Taps { kernel: 3, stride: 2, padding: 2, dilation: 1 };
    assert_eq!(
        message(taps.pool_positions(9, Rounding::Down)),
        "a pooling window of 3 may be padded by at most 1, got 2"
    );
    assert!(message(taps.transposed(9, 2)).starts_with("output padding 2 must be less than the stride 2"));
    assert!(message(divided(6, 4)).starts_with("6 cannot be divided into 4 equal parts"));
    assert!(message(Taps { stride: 0, ..taps }.positions(9)).ends_with("must be at least 1, got 3, 0 and 1"));
}
