// What makes a `.cu` file of `kernels` a C++ file: it runs on the CPU, one block after the other. The threads of a block
// run one after the other too, unless the kernel's threads wait for one another: then each is a thread of the system.
#pragma once
#include <barrier>
#include <cmath>
#include <cstddef>
#include <cstdint>

using std::fma;
using std::sqrt;

#define __device__ static
#define __shared__ static

struct Dimensions {
    unsigned x = 1, y = 1, z = 1;
};
extern thread_local Dimensions blockIdx, threadIdx, blockDim, gridDim;
extern thread_local std::barrier<> *block_barrier;
void __syncthreads();

// Puts a kernel under its name into the table from which the driver launches.
struct Registration {
    const char *name;
    bool waits;
    void (*run)(void **);
    Registration *next;
    Registration(const char *name, bool waits, void (*run)(void **));
};

#define REGISTERED_KERNEL(name, Arguments, body, waits)                                                                \
    static void name(void **parameters) { body(*static_cast<const Arguments *>(parameters[0])); }                      \
    static Registration registered_##name(#name, waits, name);
#define KERNEL(name, Arguments, body) REGISTERED_KERNEL(name, Arguments, body, false)
#define WAITING_KERNEL(name, Arguments, body) REGISTERED_KERNEL(name, Arguments, body, true)
