"""Golden values of the layers of sequences and of borders, from PyTorch in f64: gen_line.py OUT_DIR

Each run has the shape and numbers of the input x, the weights one after the other (weight, bias), the output y, the
cotangent gy and gx = d sum(y * gy) / dx. Inputs have 3 decimals, outputs 15 digits."""
import json
import sys

import torch
import torch.nn.functional as F

torch.set_num_threads(1)
torch.set_default_dtype(torch.float64)
torch.manual_seed(20)


def draw(*shape):
    return (torch.randn(shape) * 1000).round() / 1000


def numbers(t):
    return [float("%.15g" % v) for v in t.detach().reshape(-1).tolist()]


runs = {}


def run(name, shape, apply, *weights):
    x = draw(*shape).requires_grad_(True)
    y = apply(x, *weights)
    gy = draw(*y.shape)
    (gx,) = torch.autograd.grad((y * gy).sum(), x)
    flat = [v for w in weights for v in numbers(w)]
    runs[name] = {"x": numbers(x), "weights": flat, "y_shape": list(y.shape), "y": numbers(y), "gy": numbers(gy), "gx": numbers(gx)}


line = (2, 4, 9)
run("strided", line, lambda x, w, b: F.conv1d(x, w, b, stride=2, padding=2, dilation=2).tanh(), draw(3, 4, 3), draw(3))
run("grouped", line, lambda x, w, b: F.conv1d(x, w, b, padding=1, groups=2), draw(6, 2, 3), draw(6))
run("depthwise", line, lambda x, w: F.conv1d(x, w, groups=4), draw(4, 1, 5))
run("reflected", line, lambda x, w, b: F.conv1d(F.pad(x, (2, 1), mode="reflect"), w, b), draw(3, 4, 4), draw(3))
run("replicated", line, lambda x, w, b: F.conv1d(F.pad(x, (0, 3), mode="replicate"), w, b), draw(3, 4, 4), draw(3))
run("circular", line, lambda x, w, b: F.conv1d(F.pad(x, (3, 0), mode="circular"), w, b), draw(3, 4, 4), draw(3))
run("raised", line, lambda x, w, b: F.conv_transpose1d(x, w, b, stride=3, padding=1, dilation=2, output_padding=2), draw(4, 3, 3), draw(3))
run("max", line, lambda x: F.max_pool1d(x, 3, 2, 1, dilation=2))
run("max_ceil", line, lambda x: F.max_pool1d(x, 2, 2, ceil_mode=True))
run("avg", line, lambda x: F.avg_pool1d(x, 3, 2, 1))
run("avg_excluded", line, lambda x: F.avg_pool1d(x, 3, 2, 1, count_include_pad=False))
run("avg_ceil", line, lambda x: F.avg_pool1d(x, 2, 2, ceil_mode=True))
run("adaptive", line, lambda x: F.adaptive_avg_pool1d(x, 4))
run("global_avg", line, lambda x: x.mean(2))
run("global_max", line, lambda x: x.amax(2))
run("nearest", line, lambda x: F.interpolate(x, scale_factor=3, mode="nearest"))
run("linear", line, lambda x: F.interpolate(x, scale_factor=2, mode="linear"))
run("aligned", line, lambda x: F.interpolate(x, scale_factor=2, mode="linear", align_corners=True))
for mode, name in [("constant", "zeros"), ("reflect", "reflection"), ("replicate", "replication"), ("circular", "circle")]:
    run(name, (2, 1, 3, 4), lambda x: F.pad(x, (3, 1, 2, 0), mode=mode))
run("softmax", (3, 5), lambda x: F.softmax(x, 1))
run("log_softmax", (3, 5), lambda x: F.log_softmax(x, 1))
run("raised_grouped", line, lambda x, w, b: F.conv_transpose1d(x, w, b, stride=2, padding=1, output_padding=1, groups=2), draw(4, 3, 3), draw(6))
run("raised_depthwise", line, lambda x, w, b: F.conv_transpose1d(x, w, b, stride=2, groups=4), draw(4, 1, 2), draw(4))
run("raised_maps", (2, 4, 3, 4), lambda x, w, b: F.conv_transpose2d(x, w, b, stride=2, padding=1, dilation=2, output_padding=1, groups=2).sigmoid(), draw(4, 3, 3, 3), draw(6))
run("shuffled", line, lambda x: x.view(2, 2, 2, 9).permute(0, 1, 3, 2).reshape(2, 2, 18))
run("unshuffled", line, lambda x: x.view(2, 4, 3, 3).permute(0, 1, 3, 2).reshape(2, 12, 3))


def unpool(x):
    y, indices = F.max_pool2d(x, 2, 2, return_indices=True)
    return F.max_unpool2d(y, indices, 2, 2, output_size=x.shape[2:])


run("unpooled", (2, 3, 5, 6), unpool)

with open(f"{sys.argv[1]}/line.json", "w") as f:
    json.dump({"source": f"PyTorch {torch.__version__.split('+')[0]}, float64", "runs": runs}, f, separators=(",", ":"))
