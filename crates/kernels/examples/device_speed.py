"""The cases of device_speed.rs in PyTorch: the same table, on standard output."""
import statistics
import time

import torch

WARM_UP, REPEATS = 5, 20


def row(case, run, amount, unit):
    for _ in range(WARM_UP):
        run()
    times = []
    for _ in range(REPEATS):
        torch.cuda.synchronize()
        start = time.perf_counter()
        run()
        torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    seconds = statistics.median(times)
    print(f"PyTorch {case}\t{seconds * 1e3:.4f}\t{amount / seconds / 1e9:.1f}\t{unit}", flush=True)


def main():
    # The full precision of f32, as cuBLAS has it by default for dfdx.
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = True
    device = torch.device("cuda")
    a, b = torch.zeros(1 << 28, device=device), torch.zeros(1 << 28, device=device)
    row("copy of 1 GiB on the device", lambda: b.copy_(a), 2 * 4 * 2**28, "GB/s")
    for n in (1024, 4096):
        x, y = torch.randn(n, n, device=device), torch.randn(n, n, device=device)
        row(f"matmul {n} f32", lambda: x @ y, 2 * n**3, "GFLOP/s")
    x = torch.randn(128, 32, 28, 28, device=device, requires_grad=True)
    conv = torch.nn.Conv2d(32, 64, 3, padding=1).to(device)
    forward = 2 * 128 * 64 * 28 * 28 * 32 * 9

    def backward():
        x.grad, conv.weight.grad, conv.bias.grad = None, None, None
        conv(x).sum().backward()

    with torch.no_grad():
        row("conv2d 32 to 64, 3x3, b128, 28x28, forward", lambda: conv(x), forward, "GFLOP/s")
    row("conv2d the same, with sum and backward", backward, 3 * forward, "GFLOP/s")
    n = 10_000_000
    w = torch.randn(n, device=device, requires_grad=True)
    w.grad = 2 * w.detach()
    optimizer = torch.optim.Adam([w], lr=1e-3, fused=True)
    row("Adam of 10^7 weights", optimizer.step, 7 * 4 * n, "GB/s")


main()
