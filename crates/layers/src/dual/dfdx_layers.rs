//! `Module<Dual>` for dfdx's own layers: dfdx's trait for dfdx's type, with our type as the parameter.
use super::Dual;
use dfdx::nn::Module;
use dfdx::nn::modules as nn;
use dfdx::prelude::{
    BroadcastTo, ChooseFrom, Const, Device, Dim, Dtype, PermuteTo, Shape, Tape, Tensor, TryAdd, TryDiv,
    TryGt, TryMatMul, TryMul, TryPReLU, TrySub, WithEmptyTape,
};

/// The linear layers of dfdx, for the shapes that they take. The bias, if any, has no tangent.
macro_rules! linear {
    ($($layer:ident: ($($axis:ident)*);)*) => {$(
        impl<$($axis: Dim,)* const I: usize, const O: usize, E: Dtype, D: Device<E>, T: Tape<E, D>>
            Module<Dual<($($axis,)* Const<I>,), E, D, T>> for nn::$layer<I, O, E, D>
        {
            type Output = Dual<($($axis,)* Const<O>,), E, D, T>;
            type Error = D::Err;
            fn try_forward(&self, x: Dual<($($axis,)* Const<I>,), E, D, T>) -> Result<Self::Output, D::Err> {
                let (x, dx) = x.split();
                let tangent = dx.try_matmul(self.weight.retaped::<T>().try_permute()?)?;
                Ok(Dual::join(self.try_forward(x)?, tangent))
            }
        }
    )*};
}
linear! {
    Linear: ();
    Linear: (B);
    Linear: (B S);
    UnbiasedLinear: ();
    UnbiasedLinear: (B);
    UnbiasedLinear: (B S);
}

/// Element-wise activations: the operation of the value, and the slope from x and y (both with an empty tape), recorded.
macro_rules! element_wise {
    ($($layer:ident: $value:ident, |$x:ident, $y:ident| $slope:expr;)*) => {$(
        impl<S: Shape, E: Dtype, D: Device<E>, T: Tape<E, D>> Module<Dual<S, E, D, T>> for nn::$layer {
            type Output = Dual<S, E, D, T>;
            type Error = D::Err;
            fn try_forward(&self, dual: Dual<S, E, D, T>) -> Result<Self::Output, D::Err> {
                let (value, dx) = dual.split();
                let $x = value.with_empty_tape();
                let value = value.$value()?;
                let $y = value.with_empty_tape();
                let slope: Tensor<S, E, D, T> = $slope;
                Ok(Dual::join(value, slope.try_mul(dx)?))
            }
        }
    )*};
}
element_wise! {
    ReLU: try_relu, |x, _y| step(&x, E::default(), E::ONE)?;
    Tanh: try_tanh, |_x, y| y.try_square()?.try_negate()?.try_add(E::ONE)?;
    Sigmoid: try_sigmoid, |_x, y| y.with_empty_tape().try_sub(y.try_square()?)?;
    Exp: try_exp, |_x, y| y;
    Ln: try_ln, |x, _y| x.try_recip()?;
    Sin: try_sin, |x, _y| x.try_cos()?;
    Cos: try_cos, |x, _y| x.try_sin()?.try_negate()?;
    Square: try_square, |x, _y| x.try_mul(E::ONE + E::ONE)?;
    Sqrt: try_sqrt, |_x, y| y.try_recip()?.try_div(E::ONE + E::ONE)?;
    Abs: try_abs, |x, _y| step(&x, E::default(), E::ONE)?.try_sub(step(&x.try_negate()?, E::default(), E::ONE)?)?;
    FastGeLU: try_fast_gelu, |x, _y| {
        // y = x (1 + tanh u) / 2 with u = c (x + k x^3): y' = (1 + t) / 2 + x (1 - t^2) u' / 2
        let number = |value: f64| E::from_f64(value).expect("every dtype of a neural network holds fractions");
        let (c, k, half) = ((2.0 / std::f64::consts::PI).sqrt(), 0.044715, number(0.5));
        let square = || x.with_empty_tape().try_square();
        let u = square()?.try_mul(number(c * k))?.try_add(number(c))?.try_mul(x.with_empty_tape())?;
        let du = square()?.try_mul(number(3.0 * c * k))?.try_add(number(c))?;
        let t = u.try_tanh()?;
        let dt = t.with_empty_tape().try_square()?.try_negate()?.try_add(E::ONE)?.try_mul(du)?;
        x.try_mul(dt)?.try_add(t)?.try_add(E::ONE)?.try_mul(half)?
    };
}

impl<S: Shape, E: Dtype, D: Device<E>, T: Tape<E, D>> Module<Dual<S, E, D, T>> for nn::LeakyReLU<E> {
    type Output = Dual<S, E, D, T>;
    type Error = D::Err;
    fn try_forward(&self, x: Dual<S, E, D, T>) -> Result<Self::Output, D::Err> {
        let (x, dx) = x.split();
        // dfdx takes the slope at 0 from the right, unlike its ReLU
        let slope: Tensor<S, E, D, T> = step(&x.with_empty_tape().try_negate()?, E::ONE, self.0)?;
        Ok(Dual::join(x.try_prelu(self.0)?, slope.try_mul(dx)?))
    }
}

/// `above` where x > 0, else `below`: a constant, so nothing is recorded.
fn step<S: Shape, E: Dtype, D: Device<E>, T: Tape<E, D>>(
    x: &Tensor<S, E, D, T>,
    below: E,
    above: E,
) -> Result<Tensor<S, E, D, T>, D::Err> {
    let device = x.device();
    let [below, above] = [below, above].map(|number| device.try_tensor_from_vec(vec![number], ()));
    let (below, above) = (below?.try_broadcast_like(x)?, above?.try_broadcast_like(x)?);
    Ok(x.try_gt(E::default())?.try_choose(above, below)?.retaped())
}
