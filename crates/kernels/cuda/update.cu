// Steps of optimisers, and what is asked of gradients before a step: `src/update` says what is computed.
#include "kernel.h"

// Gradient and weight before the rule sees them; `keep` is 1 minus the decay.
struct Prepare {
    double scale, limit, l2, keep;
};

// New weights go to memory of their own: the old ones may belong to a clone of the tensor too.
template <class T> struct Tensor {
    size_t n;
    const T *from;
    T *to;
    const T *gradient;
    Prepare prepare;
};

template <class T> __device__ T prepared(const Prepare &p, T w, T g) {
    const T limit = (T)p.limit;
    g = g * (T)p.scale;
    // Comparisons with NaN are false, so a NaN stays one.
    g = g > limit ? limit : g;
    g = g < -limit ? -limit : g;
    return fma((T)p.l2, w, g);
}

// a / b, and 0 for 0 / 0: a weight that has never had a gradient does not move.
template <class T> __device__ T ratio(T a, T b) { return a == (T)0 ? a : a / b; }

// The direction is `of_v` v + `of_g` g; without a velocity it is g.
template <class T> struct Sgd {
    Tensor<T> tensor;
    T *velocity;
    double rate, momentum, share, of_v, of_g;
};

template <class T> __device__ void sgd(const Sgd<T> &a) {
    const Tensor<T> &t = a.tensor;
    for (size_t i = FIRST; i < t.n; i += STRIDE) {
        const T old = t.from[i];
        T direction = prepared(t.prepare, old, t.gradient[i]);
        if (a.velocity) {
            const T v = fma((T)a.momentum, a.velocity[i], (T)a.share * direction);
            direction = fma((T)a.of_v, v, (T)a.of_g * direction);
            a.velocity[i] = v;
        }
        t.to[i] = fma(direction, -(T)a.rate, old * (T)t.prepare.keep);
    }
}
KERNEL(sgd_f32, Sgd<float>, sgd)
KERNEL(sgd_f64, Sgd<double>, sgd)

// With `largest`, the step divides by the root of the largest second moment so far.
template <class T> struct Adam {
    Tensor<T> tensor;
    T *mean, *square, *largest;
    double rate, beta1, beta2, share1, share2, inverse_root, epsilon;
};

template <class T> __device__ void adam(const Adam<T> &a) {
    const Tensor<T> &t = a.tensor;
    for (size_t i = FIRST; i < t.n; i += STRIDE) {
        const T old = t.from[i];
        const T g = prepared(t.prepare, old, t.gradient[i]);
        const T m = fma((T)a.beta1, a.mean[i], (T)a.share1 * g);
        const T v = fma((T)a.beta2, a.square[i], (T)a.share2 * (g * g));
        a.mean[i] = m;
        a.square[i] = v;
        T under = v;
        if (a.largest) {
            under = v > a.largest[i] ? v : a.largest[i];
            a.largest[i] = under;
        }
        const T root = fma((T)sqrt(under), (T)a.inverse_root, (T)a.epsilon);
        t.to[i] = old * (T)t.prepare.keep - ratio((T)a.rate * m, root);
    }
}
KERNEL(adam_f32, Adam<float>, adam)
KERNEL(adam_f64, Adam<double>, adam)

// `epsilon_under` is added under the root, `epsilon_beside` to it; `centred` is 1 or 0. Mean and buffer are there
// together or not at all.
template <class T> struct RmsProp {
    Tensor<T> tensor;
    T *square, *mean, *buffer;
    double rate, alpha, share, epsilon_under, epsilon_beside, centred, momentum;
};

template <class T> __device__ void rmsprop(const RmsProp<T> &a) {
    const Tensor<T> &t = a.tensor;
    for (size_t i = FIRST; i < t.n; i += STRIDE) {
        const T old = t.from[i];
        const T g = prepared(t.prepare, old, t.gradient[i]);
        const T v = fma((T)a.alpha, a.square[i], (T)a.share * (g * g));
        const T mean = fma((T)a.alpha, a.mean ? a.mean[i] : (T)0, (T)a.share * g);
        const T variance = v - (T)a.centred * (mean * mean);
        const T direction = ratio(g, (T)sqrt(variance + (T)a.epsilon_under) + (T)a.epsilon_beside);
        const T buffer = fma((T)a.momentum, a.buffer ? a.buffer[i] : (T)0, direction);
        a.square[i] = v;
        if (a.mean) {
            a.mean[i] = mean;
            a.buffer[i] = buffer;
        }
        t.to[i] = old * (T)t.prepare.keep - (T)a.rate * buffer;
    }
}
KERNEL(rmsprop_f32, RmsProp<float>, rmsprop)
KERNEL(rmsprop_f64, RmsProp<double>, rmsprop)

// Three numbers of each block at `parts`: the sum of squares, the largest magnitude, how many are NaN or infinite.
template <class T> struct Statistics {
    size_t n;
    const T *x;
    double *parts;
};

template <class T> __device__ void statistics(const Statistics<T> &a) {
    __shared__ double squares[THREADS], largest[THREADS], broken[THREADS];
    const unsigned me = threadIdx.x;
    double sum = 0, top = 0, bad = 0;
    for (size_t i = FIRST; i < a.n; i += STRIDE) {
        const double x = (double)a.x[i], size = x < 0 ? -x : x;
        sum = fma(x, x, sum);
        top = size > top ? size : top;
        bad += size - size == 0 ? 0 : 1; // infinity less infinity is NaN
    }
    squares[me] = sum;
    largest[me] = top;
    broken[me] = bad;
    for (unsigned half = THREADS / 2; half > 0; half /= 2) {
        __syncthreads();
        if (me < half) {
            squares[me] += squares[me + half];
            largest[me] = largest[me + half] > largest[me] ? largest[me + half] : largest[me];
            broken[me] += broken[me + half];
        }
    }
    if (me == 0) {
        double *part = a.parts + 3 * (size_t)blockIdx.x;
        part[0] = squares[0];
        part[1] = largest[0];
        part[2] = broken[0];
    }
}
WAITING_KERNEL(statistics_f32, Statistics<float>, statistics)
WAITING_KERNEL(statistics_f64, Statistics<double>, statistics)

// The sizes that `launch.rs` names too.
static_assert(sizeof(Sgd<float>) == 14 * 8 && sizeof(Sgd<double>) == 14 * 8, "");
static_assert(sizeof(Adam<float>) == 18 * 8 && sizeof(RmsProp<float>) == 18 * 8, "");
static_assert(sizeof(Statistics<float>) == 3 * 8, "");
