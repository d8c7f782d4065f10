// What the windows of a convolution see, as a matrix, and its adjoint: `src/convolution` says what is computed.
//
// The matrix is (groups, channels · taps, images · windows): a group's weights, as they lie in memory, times its part of
// it are the results of all images. Taps outside of an image see zeros.
#include "kernel.h"

struct Axis {
    size_t extent, windows, kernel, stride, padding, dilation;
};

// `image` is (images, groups · channels, height, width).
template <class T> struct Patches {
    size_t images, groups, channels;
    Axis y, x;
    T *image, *patches;
};

// Rows of the matrix along the second axis of the grid, columns along the first. Sizes fit into 32 bits: the caller
// has seen to that, and divisions of 64 bits cost more than the copy.
template <class T> __device__ void gather(const Patches<T> &a) {
    const unsigned kh = a.y.kernel, kw = a.x.kernel, oh = a.y.windows, ow = a.x.windows, h = a.y.extent, w = a.x.extent;
    const unsigned rows = a.groups * a.channels * kh * kw, columns = a.images * oh * ow;
    for (unsigned row = blockIdx.y; row < rows; row += gridDim.y) {
        const unsigned v = row % kw, u = row / kw % kh, channel = row / (kw * kh);
        const T *plane = a.image + (size_t)channel * h * w;
        T *to = a.patches + (size_t)row * columns;
        for (size_t column = FIRST; column < columns; column += STRIDE) {
            const unsigned at = (unsigned)column, j = at % ow, i = at / ow % oh, image = at / (ow * oh);
            // Negative positions become huge ones.
            const unsigned py = i * (unsigned)a.y.stride + u * (unsigned)a.y.dilation - (unsigned)a.y.padding;
            const unsigned px = j * (unsigned)a.x.stride + v * (unsigned)a.x.dilation - (unsigned)a.x.padding;
            const size_t from = (size_t)image * a.groups * a.channels * h * w + (size_t)py * w + px;
            to[column] = py < h && px < w ? plane[from] : (T)0;
        }
    }
}
KERNEL(gather_f32, Patches<float>, gather)
KERNEL(gather_f64, Patches<double>, gather)

// Adds to each position of an image what the matrix holds of it, tap by tap: no two threads write to one place.
template <class T> __device__ void scatter(const Patches<T> &a) {
    const unsigned kh = a.y.kernel, kw = a.x.kernel, oh = a.y.windows, ow = a.x.windows, h = a.y.extent, w = a.x.extent;
    const unsigned channels = a.groups * a.channels, planes = a.images * channels, columns = a.images * oh * ow;
    for (unsigned plane = blockIdx.y; plane < planes; plane += gridDim.y) {
        const unsigned channel = plane % channels, image = plane / channels;
        const T *rows = a.patches + (size_t)channel * kh * kw * columns + (size_t)image * oh * ow;
        T *to = a.image + (size_t)plane * h * w;
        for (size_t pixel = FIRST; pixel < (size_t)h * w; pixel += STRIDE) {
            const unsigned px = (unsigned)pixel % w, py = (unsigned)pixel / w;
            T sum = 0;
            for (unsigned u = 0; u < kh; u++) {
                // Tap u of window i sees i · stride + u · dilation - padding.
                const unsigned y = py + (unsigned)a.y.padding - u * (unsigned)a.y.dilation;
                const unsigned i = y / (unsigned)a.y.stride;
                if (y % (unsigned)a.y.stride != 0 || i >= oh) continue;
                for (unsigned v = 0; v < kw; v++) {
                    const unsigned x = px + (unsigned)a.x.padding - v * (unsigned)a.x.dilation;
                    const unsigned j = x / (unsigned)a.x.stride;
                    if (x % (unsigned)a.x.stride != 0 || j >= ow) continue;
                    sum += rows[(size_t)(u * kw + v) * columns + i * ow + j];
                }
            }
            to[pixel] += sum;
        }
    }
}
KERNEL(scatter_f32, Patches<float>, scatter)
KERNEL(scatter_f64, Patches<double>, scatter)

// The size that `launch.rs` names too.
static_assert(sizeof(Patches<float>) == 17 * 8, "");
