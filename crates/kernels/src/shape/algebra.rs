//! The rules of [`shape`](super) on the binary numbers of `typenum`.
//!
//! A rule that can be broken ends in a trait that takes the outcome of the comparison, and that only the outcome that
//! keeps the rule implements: no subtraction is asked for that has no result.
use dfdx::shapes::{Const, ConstDim};
use std::ops::{Add, Div, Mul, Rem, Sub};
use typenum::{
    B0, B1, Bit, Cmp, Compare, Diff, Equal, Greater, Less, Mod, Prod, Quot, Sub1, Sum, ToUInt, UInt, UTerm,
    Unsigned,
};

/// A size that the compiler calculates with, as a binary number.
#[diagnostic::on_unimplemented(
    message = "the size of `{Self}` is beyond those that the compiler calculates with",
    note = "sizes that go into a rule are at most 1024, or a power of two"
)]
pub trait Known {
    type U: Unsigned;
}
#[diagnostic::do_not_recommend]
impl<const N: usize> Known for Const<N>
where
    typenum::Const<N>: ToUInt<Output: Unsigned>,
{
    type U = typenum::U<N>;
}

/// `N` as a binary number.
pub type Un<const N: usize> = <Const<N> as Known>::U;

/// A binary number as an axis of dfdx.
///
/// One implementation per number would make the compiler compare each with each, for 20 seconds. So numbers come in
/// pages of 32, one implementation each: the last five bits choose a line of the page that the other bits name.
pub trait ToDim {
    type Dim: ConstDim;
}
impl<Page: Line<(B4, B3, B2, B1, B0)>, B4, B3, B2, B1, B0> ToDim
    for UInt<UInt<UInt<UInt<UInt<Page, B4>, B3>, B2>, B1>, B0>
{
    type Dim = Page::Dim;
}

/// The line of a page.
pub trait Line<LastBits> {
    type Dim: ConstDim;
}
impl<P: Page, LastBits: Pick<P>> Line<LastBits> for P {
    type Dim = LastBits::Dim;
}

/// The choice of a line by five bits.
pub trait Pick<P> {
    type Dim: ConstDim;
}

macro_rules! pages {
    ($($line:ident $offset:literal ($($bit:ident)*);)*) => {
        /// 32 numbers that differ in their last five bits.
        pub trait Page {
            $(type $line: ConstDim;)*
        }
        $(impl<P: Page> Pick<P> for ($($bit,)*) {
            type Dim = P::$line;
        })*
        macro_rules! page {
            ($number:ty, $n:expr) => {
                impl Page for $number {
                    $(type $line = Const<{ 32 * ($n) + $offset }>;)*
                }
            };
        }
    };
}
pages! {
    L0 0 (B0 B0 B0 B0 B0);
    L1 1 (B0 B0 B0 B0 B1);
    L2 2 (B0 B0 B0 B1 B0);
    L3 3 (B0 B0 B0 B1 B1);
    L4 4 (B0 B0 B1 B0 B0);
    L5 5 (B0 B0 B1 B0 B1);
    L6 6 (B0 B0 B1 B1 B0);
    L7 7 (B0 B0 B1 B1 B1);
    L8 8 (B0 B1 B0 B0 B0);
    L9 9 (B0 B1 B0 B0 B1);
    L10 10 (B0 B1 B0 B1 B0);
    L11 11 (B0 B1 B0 B1 B1);
    L12 12 (B0 B1 B1 B0 B0);
    L13 13 (B0 B1 B1 B0 B1);
    L14 14 (B0 B1 B1 B1 B0);
    L15 15 (B0 B1 B1 B1 B1);
    L16 16 (B1 B0 B0 B0 B0);
    L17 17 (B1 B0 B0 B0 B1);
    L18 18 (B1 B0 B0 B1 B0);
    L19 19 (B1 B0 B0 B1 B1);
    L20 20 (B1 B0 B1 B0 B0);
    L21 21 (B1 B0 B1 B0 B1);
    L22 22 (B1 B0 B1 B1 B0);
    L23 23 (B1 B0 B1 B1 B1);
    L24 24 (B1 B1 B0 B0 B0);
    L25 25 (B1 B1 B0 B0 B1);
    L26 26 (B1 B1 B0 B1 B0);
    L27 27 (B1 B1 B0 B1 B1);
    L28 28 (B1 B1 B1 B0 B0);
    L29 29 (B1 B1 B1 B0 B1);
    L30 30 (B1 B1 B1 B1 B0);
    L31 31 (B1 B1 B1 B1 B1);
}

type Times2<N> = UInt<N, B0>;
type Times16<N> = UInt<UInt<UInt<UInt<N, B0>, B0>, B0>, B0>;

/// The number `$u`, which is `$n`, as the first of an action for numbers of so many bits, and then all numbers that
/// begin with its bits and have as many more as actions follow.
macro_rules! numbers {
    ($u:ty, $n:expr, [$($action:ident)*] $($rest:tt)*) => {
        $($action!($u, $n);)*
        numbers!(@longer $u, $n, $($rest)*);
    };
    (@longer $u:ty, $n:expr,) => {};
    (@longer $u:ty, $n:expr, $($actions:tt)+) => {
        numbers!(UInt<$u, B0>, 2 * ($n), $($actions)+);
        numbers!(UInt<$u, B1>, 2 * ($n) + 1, $($actions)+);
    };
}
/// A number of less than five bits.
macro_rules! small {
    ($u:ty, $n:expr) => {
        impl ToDim for $u {
            type Dim = Const<{ $n }>;
        }
    };
}
/// 64 times the number is the first line of a page.
macro_rules! times_64 {
    ($u:ty, $n:expr) => {
        impl Line<(B0, B0, B0, B0, B0)> for Times2<$u> {
            type Dim = Const<{ 64 * ($n) }>;
        }
    };
}
/// 512 times the number is the first line of a page.
macro_rules! times_512 {
    ($u:ty, $n:expr) => {
        impl Line<(B0, B0, B0, B0, B0)> for Times16<$u> {
            type Dim = Const<{ 512 * ($n) }>;
        }
    };
}
small!(UTerm, 0);
page!(UTerm, 0);
numbers!(UInt<UTerm, B1>, 1, [small page] [small page] [small page] [small page] [page] [page times_512]
         [page times_64 times_512] [times_64]);
times_512!(typenum::U128, 128);

type Both<P> = Sum<P, P>;
/// N + 2P + L and L K, whose difference is the room of the window plus 1.
type Reach<N, P, L> = Sum<Sum<N, Both<P>>, L>;

/// Windows of a convolution.
pub trait Positions<K, S, P, L> {
    type Out;
}
impl<N, K, S, P, L> Positions<K, S, P, L> for N
where
    P: Add<P>,
    N: Add<Both<P>>,
    Sum<N, Both<P>>: Add<L>,
    L: Mul<K>,
    Reach<N, P, L>: Cmp<Prod<L, K>>,
    Reach<N, P, L>: Windows<K, S, L, Prod<L, K>, Compare<Reach<N, P, L>, Prod<L, K>>>,
{
    type Out = <Reach<N, P, L> as Windows<K, S, L, Prod<L, K>, Compare<Reach<N, P, L>, Prod<L, K>>>>::Out;
}

/// (reach − need − 1) / S + 1, where reach is greater than need and K, S, L are not 0.
pub trait Windows<K, S, L, Need, Order> {
    type Out;
}
impl<Reach, KU, KB, SU, SB, LU, LB, Need> Windows<UInt<KU, KB>, UInt<SU, SB>, UInt<LU, LB>, Need, Greater>
    for Reach
where
    Reach: Sub<Need>,
    Diff<Reach, Need>: Sub<B1>,
    Sub1<Diff<Reach, Need>>: Div<UInt<SU, SB>>,
    Quot<Sub1<Diff<Reach, Need>>, UInt<SU, SB>>: Add<B1>,
{
    type Out = Sum<Quot<Sub1<Diff<Reach, Need>>, UInt<SU, SB>>, B1>;
}

/// Windows of a pooling, rounded down.
pub trait PoolPositions<K, S, P, L> {
    type Out;
}
impl<N, K, S, P, L> PoolPositions<K, S, P, L> for N
where
    N: Positions<K, S, P, L>,
    P: Add<P>,
    Both<P>: Cmp<K>,
    Compare<Both<P>, K>: PadsByHalf,
{
    type Out = <N as Positions<K, S, P, L>>::Out;
}

/// 2P ≤ K, given their order.
pub trait PadsByHalf {}
impl PadsByHalf for Less {}
impl PadsByHalf for Equal {}

/// Windows of a pooling, rounded up.
pub trait CeilPositions<K, S, P, L> {
    type Out;
}
type CeilReach<N, S, P, L> = Sum<Reach<N, P, L>, S>;
type CeilNeed<K, L> = Sum<Prod<L, K>, B1>;
type CeilCount<N, K, S, P, L> = <CeilReach<N, S, P, L> as Windows<
    K,
    S,
    L,
    CeilNeed<K, L>,
    Compare<CeilReach<N, S, P, L>, CeilNeed<K, L>>,
>>::Out;
impl<N, K, S, P, L> CeilPositions<K, S, P, L> for N
where
    P: Add<P>,
    Both<P>: Cmp<K>,
    Compare<Both<P>, K>: PadsByHalf,
    N: Add<Both<P>> + Add<P>,
    Sum<N, Both<P>>: Add<L>,
    Reach<N, P, L>: Add<S>,
    L: Mul<K>,
    Prod<L, K>: Add<B1>,
    CeilReach<N, S, P, L>: Cmp<CeilNeed<K, L>>,
    CeilReach<N, S, P, L>:
        Windows<K, S, L, CeilNeed<K, L>, Compare<CeilReach<N, S, P, L>, CeilNeed<K, L>>, Out: Sub<B1>>,
    Sub1<CeilCount<N, K, S, P, L>>: Mul<S>,
    Prod<Sub1<CeilCount<N, K, S, P, L>>, S>: Cmp<Sum<N, P>>,
    CeilCount<N, K, S, P, L>: LastWindow<Compare<Prod<Sub1<CeilCount<N, K, S, P, L>>, S>, Sum<N, P>>>,
{
    type Out = <CeilCount<N, K, S, P, L> as LastWindow<
        Compare<Prod<Sub1<CeilCount<N, K, S, P, L>>, S>, Sum<N, P>>,
    >>::Out;
}

/// The number of windows without the last if that starts beyond the axis and its left padding.
pub trait LastWindow<Order> {
    type Out;
}
impl<Count> LastWindow<Less> for Count {
    type Out = Count;
}
impl<Count: Sub<B1>> LastWindow<Equal> for Count {
    type Out = Sub1<Count>;
}
impl<Count: Sub<B1>> LastWindow<Greater> for Count {
    type Out = Sub1<Count>;
}

/// Length after a transposed convolution: N S + L K + Q + 1 − (S + 2P + L).
pub trait UpPositions<K, S, P, L, Q> {
    type Out;
}
type Grown<N, K, S, L, Q> = Sum<Sum<Sum<Prod<N, S>, Prod<L, K>>, Q>, B1>;
type Taken<S, P, L> = Sum<Sum<S, Both<P>>, L>;
impl<N, K, S, P, L, Q> UpPositions<K, S, P, L, Q> for N
where
    N: Mul<S>,
    L: Mul<K>,
    Prod<N, S>: Add<Prod<L, K>>,
    Sum<Prod<N, S>, Prod<L, K>>: Add<Q>,
    Sum<Sum<Prod<N, S>, Prod<L, K>>, Q>: Add<B1>,
    P: Add<P>,
    S: Add<Both<P>>,
    Sum<S, Both<P>>: Add<L>,
    Grown<N, K, S, L, Q>: Cmp<Taken<S, P, L>>,
    Q: Cmp<S> + Cmp<L>,
    Q: OutputPadding<Compare<Q, S>, Compare<Q, L>>,
    N: Up<K, S, L, Grown<N, K, S, L, Q>, Taken<S, P, L>, Compare<Grown<N, K, S, L, Q>, Taken<S, P, L>>>,
{
    type Out = <N as Up<
        K,
        S,
        L,
        Grown<N, K, S, L, Q>,
        Taken<S, P, L>,
        Compare<Grown<N, K, S, L, Q>, Taken<S, P, L>>,
    >>::Out;
}

/// Q < S or Q < L, given the orders.
pub trait OutputPadding<ToStride, ToDilation> {}
impl<Q, ToDilation> OutputPadding<Less, ToDilation> for Q {}
impl<Q> OutputPadding<Equal, Less> for Q {}
impl<Q> OutputPadding<Greater, Less> for Q {}

/// What is left of the grown axis without the padding, where N, K, S, L are not 0.
pub trait Up<K, S, L, Grown, Taken, Order> {
    type Out;
}
impl<NU, NB, KU, KB, SU, SB, LU, LB, Grown, Taken>
    Up<UInt<KU, KB>, UInt<SU, SB>, UInt<LU, LB>, Grown, Taken, Greater> for UInt<NU, NB>
where
    Grown: Sub<Taken>,
{
    type Out = Diff<Grown, Taken>;
}

/// Length with reflected positions.
pub trait Reflectable<Before, After> {
    type Out;
}
impl<N, Before, After> Reflectable<Before, After> for N
where
    N: Cmp<Before> + Cmp<After> + Add<Before>,
    Sum<N, Before>: Add<After>,
    N: Mirrors<Compare<N, Before>, Compare<N, After>>,
{
    type Out = Sum<Sum<N, Before>, After>;
}

/// N greater than both paddings, given the orders.
pub trait Mirrors<ToBefore, ToAfter> {}
impl<N> Mirrors<Greater, Greater> for N {}

/// Length with positions of the other end.
pub trait Wrappable<Before, After> {
    type Out;
}
impl<N, Before, After> Wrappable<Before, After> for N
where
    N: Cmp<Before> + Cmp<After> + Add<Before>,
    Sum<N, Before>: Add<After>,
    N: Wraps<Compare<N, Before>, Compare<N, After>>,
{
    type Out = Sum<Sum<N, Before>, After>;
}

/// N not less than both paddings, given the orders.
pub trait Wraps<ToBefore, ToAfter> {}
impl<N> Wraps<Greater, Greater> for N {}
impl<N> Wraps<Greater, Equal> for N {}
impl<N> Wraps<Equal, Greater> for N {}
impl<N> Wraps<Equal, Equal> for N {}

/// Length without the ends.
pub trait Cut<Before, After> {
    type Out;
}
impl<N, Before, After> Cut<Before, After> for N
where
    Before: Add<After>,
    N: Cmp<Sum<Before, After>>,
    N: Left<Sum<Before, After>, Compare<N, Sum<Before, After>>>,
{
    type Out = <N as Left<Sum<Before, After>, Compare<N, Sum<Before, After>>>>::Out;
}

/// N − cut, where N is greater.
pub trait Left<Cut, Order> {
    type Out;
}
impl<N: Sub<Cut>, Cut> Left<Cut, Greater> for N {
    type Out = Diff<N, Cut>;
}

/// An exact quotient.
pub trait Dividend<M> {
    type Out;
}
impl<N, U, B: Bit> Dividend<UInt<U, B>> for N
where
    N: Rem<UInt<U, B>> + Div<UInt<U, B>>,
    Mod<N, UInt<U, B>>: NoRest,
{
    type Out = Quot<N, UInt<U, B>>;
}

/// The rest of a division that must be none.
pub trait NoRest {}
impl NoRest for UTerm {}
