// The calls of NVIDIA's driver that cudarc makes, on the memory of this machine: allocations are `malloc`, so that the
// address sanitizer sees every element that a kernel reads or writes beside its memory, after its end, or twice freed.
// What it cannot show: races between blocks, speed, the device's own arithmetic.
#include "fake_gpu.h"
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>
#include <vector>

thread_local Dimensions blockIdx, threadIdx, blockDim, gridDim;
thread_local std::barrier<> *block_barrier = nullptr;

void __syncthreads() {
    if (!block_barrier) {
        std::fprintf(stderr, "a kernel whose threads wait for one another is not a WAITING_KERNEL\n");
        std::abort();
    }
    block_barrier->arrive_and_wait();
}

static Registration *kernels = nullptr;

Registration::Registration(const char *name, bool waits, void (*run)(void **))
    : name(name), waits(waits), run(run), next(kernels) {
    kernels = this;
}

static const Registration *find(const char *name) {
    for (const Registration *kernel = kernels; kernel; kernel = kernel->next)
        if (std::strcmp(kernel->name, name) == 0) return kernel;
    return nullptr;
}

enum Result { SUCCESS = 0, INVALID_VALUE = 1, OUT_OF_MEMORY = 2, NOT_FOUND = 500 };
using Pointer = unsigned long long;
static void *host(Pointer address) { return reinterpret_cast<void *>(static_cast<uintptr_t>(address)); }

static int allocate(Pointer *to, size_t bytes) {
    void *memory = bytes > (size_t)1 << 32 ? nullptr : std::malloc(bytes ? bytes : 1);
    if (!memory) return OUT_OF_MEMORY;
    std::memset(memory, 0xff, bytes); // NaN, in both precisions
    *to = static_cast<Pointer>(reinterpret_cast<uintptr_t>(memory));
    return SUCCESS;
}

static void run_block(const Registration *kernel, unsigned threads, void **parameters) {
    if (!kernel->waits) {
        for (threadIdx.x = 0; threadIdx.x < threads; threadIdx.x++) kernel->run(parameters);
        return;
    }
    std::barrier barrier(threads);
    std::vector<std::thread> team;
    const Dimensions block = blockIdx, dimensions = blockDim, grid = gridDim;
    for (unsigned i = 0; i < threads; i++)
        team.emplace_back([&, i] {
            blockIdx = block, blockDim = dimensions, gridDim = grid;
            threadIdx.x = i;
            block_barrier = &barrier;
            kernel->run(parameters);
        });
    for (auto &thread : team) thread.join();
}

extern "C" {
// The sanitizers look for leaks too, of which the program that links this may have its own.
const char *__asan_default_options() { return "detect_leaks=0"; }

int cuInit(unsigned) { return SUCCESS; }
int cuGetErrorName(int error, const char **to) {
    *to = error == OUT_OF_MEMORY ? "CUDA_ERROR_OUT_OF_MEMORY" : error == NOT_FOUND ? "CUDA_ERROR_NOT_FOUND" : "CUDA_ERROR";
    return SUCCESS;
}
int cuGetErrorString(int error, const char **to) { return cuGetErrorName(error, to); }
int cuDeviceGet(int *device, int) { return *device = 0, SUCCESS; }
int cuDeviceGetCount(int *count) { return *count = 1, SUCCESS; }
int cuDeviceGetAttribute(int *value, int, int) { return *value = 1, SUCCESS; } // asked for: memory pools
int cuDevicePrimaryCtxRetain(void **context, int) { return *context = &kernels, SUCCESS; }
int cuDevicePrimaryCtxRelease_v2(int) { return SUCCESS; }
int cuCtxSetCurrent(void *) { return SUCCESS; }
int cuCtxGetCurrent(void **context) { return *context = &kernels, SUCCESS; }
int cuEventCreate(void **event, unsigned) { return *event = &kernels, SUCCESS; }
int cuEventDestroy_v2(void *) { return SUCCESS; }
int cuEventRecord(void *, void *) { return SUCCESS; }
int cuStreamCreate(void **stream, unsigned) { return *stream = &kernels, SUCCESS; }
int cuStreamDestroy_v2(void *) { return SUCCESS; }
int cuStreamSynchronize(void *) { return SUCCESS; }
int cuStreamWaitEvent(void *, void *, unsigned) { return SUCCESS; }

int cuMemAllocAsync(Pointer *to, size_t bytes, void *) { return allocate(to, bytes); }
int cuMemAlloc_v2(Pointer *to, size_t bytes) { return allocate(to, bytes); }
int cuMemFreeAsync(Pointer address, void *) { return std::free(host(address)), SUCCESS; }
int cuMemFree_v2(Pointer address) { return std::free(host(address)), SUCCESS; }
int cuMemsetD8Async(Pointer to, unsigned char value, size_t bytes, void *) {
    return std::memset(host(to), value, bytes), SUCCESS;
}
int cuMemsetD8_v2(Pointer to, unsigned char value, size_t bytes) { return std::memset(host(to), value, bytes), SUCCESS; }
int cuMemcpyHtoDAsync_v2(Pointer to, const void *from, size_t bytes, void *) {
    return std::memcpy(host(to), from, bytes), SUCCESS;
}
int cuMemcpyHtoD_v2(Pointer to, const void *from, size_t bytes) { return std::memcpy(host(to), from, bytes), SUCCESS; }
int cuMemcpyDtoHAsync_v2(void *to, Pointer from, size_t bytes, void *) {
    return std::memcpy(to, host(from), bytes), SUCCESS;
}
int cuMemcpyDtoH_v2(void *to, Pointer from, size_t bytes) { return std::memcpy(to, host(from), bytes), SUCCESS; }
int cuMemcpyDtoDAsync_v2(Pointer to, Pointer from, size_t bytes, void *) {
    return std::memcpy(host(to), host(from), bytes), SUCCESS;
}
int cuMemcpyDtoD_v2(Pointer to, Pointer from, size_t bytes) { return std::memcpy(host(to), host(from), bytes), SUCCESS; }

int cuModuleLoadData(void **module, const void *) { return *module = &kernels, SUCCESS; }
int cuModuleLoad(void **module, const char *) { return *module = &kernels, SUCCESS; }
int cuModuleUnload(void *) { return SUCCESS; }
int cuModuleGetFunction(void **function, void *, const char *name) {
    *function = const_cast<Registration *>(find(name));
    return *function ? SUCCESS : NOT_FOUND;
}

int cuLaunchKernel(void *function, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz, unsigned,
                   void *, void **parameters, void **) {
    // As the driver does: no launch without threads, at most 1024 in a block, short second axes of the grid.
    const bool is_legal = gx && gy && gz && bx && by && bz && bx * by * bz <= 1024 && gy < 65536 && gz < 65536;
    if (!is_legal || by != 1 || bz != 1 || gz != 1) return INVALID_VALUE;
    gridDim = {gx, gy, gz};
    blockDim = {bx, by, bz};
    for (blockIdx.y = 0; blockIdx.y < gy; blockIdx.y++)
        for (blockIdx.x = 0; blockIdx.x < gx; blockIdx.x++)
            run_block(static_cast<const Registration *>(function), bx, parameters);
    return SUCCESS;
}
}
