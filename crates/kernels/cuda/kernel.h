// What every kernel of this folder is written in: nvcc compiles it for the device; a C++ compiler, which finds
// `fake_gpu.h` in its path of includes, compiles the same text for the package `fake-gpu`, which runs it on the CPU.
//
// A kernel is a template over the element type, takes one structure whose members are all 8 bytes long, and walks over
// its elements in steps of the grid, so that any grid is right. `KERNEL` gives it a name for each type, `WAITING_KERNEL`
// one whose threads wait for one another. The structure has a twin in `src/cuda/launch.rs`. Products are added by `fma`
// where `Cpu` does, and nowhere else: nvcc is told to contract nothing, so that a step of an optimiser has the same bits
// on both devices.
#pragma once
#include <stddef.h>
#include <stdint.h>

#ifdef __CUDACC__
#define KERNEL(name, Arguments, body) \
    extern "C" __global__ void name(const Arguments a) { body(a); }
#define WAITING_KERNEL KERNEL
#else
#include "fake_gpu.h"
#endif

// The first element of this thread, and the distance to its next.
#define FIRST ((size_t)blockIdx.x * blockDim.x + threadIdx.x)
#define STRIDE ((size_t)gridDim.x * blockDim.x)

// Threads of a block, in every launch.
#define THREADS 256
