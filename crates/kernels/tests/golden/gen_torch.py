"""Activations, losses and SGD trajectories from PyTorch in float64: activations.json, losses.json, sgd.json.

    python gen_torch.py [--out DIR]
"""
import argparse, json, os
import numpy as np, torch

torch.set_default_dtype(torch.float64)
torch.set_num_threads(1)
F = torch.nn.functional
parser = argparse.ArgumentParser()
parser.add_argument("--out", default=os.path.dirname(os.path.abspath(__file__)))
OUT = parser.parse_args().out


def numbers(v, digits=14):
    if isinstance(v, torch.Tensor):
        v = v.detach().numpy()
    parse = lambda s: float(f"%.{digits}g" % float(s))
    return json.loads(json.dumps(np.asarray(v, dtype=float).tolist()), parse_float=parse)


def dump(name, obj):
    with open(os.path.join(OUT, name), "w") as file:
        json.dump(obj, file, separators=(",", ":"))


SOURCE = "torch %s" % torch.__version__

# ---- activations -----------------------------------------------------------------------------------
xs = np.array([-30, -8, -3, -2, -1, -0.5, -0.1, 0.0, 0.1, 0.5, 1, 2, 3, 8, 30], float)
out = dict(source=SOURCE, x=numbers(xs), note="value, first and second derivative; at kinks torch's convention (0 for ReLU at 0)", runs={})
activations = dict(sigmoid=torch.sigmoid, tanh=torch.tanh, relu=F.relu, leaky_relu_0_01=F.leaky_relu, gelu_erf=F.gelu, silu=F.silu, softplus=F.softplus)
for name, f in activations.items():
    t = torch.tensor(xs).requires_grad_()
    y = f(t)
    dy, = torch.autograd.grad(y.sum(), t, create_graph=True)
    try:
        d2y = torch.autograd.grad(dy.sum(), t, allow_unused=True)[0] if dy.requires_grad else None
    except RuntimeError:  # piecewise linear: no second derivative in torch
        d2y = None
    out["runs"][name] = dict(y=numbers(y), dy=numbers(dy), d2y=numbers(d2y if d2y is not None else 0 * xs))
dump("activations.json", out)

# ---- losses: the order of the draws is part of the data ------------------------------------------------
rng = np.random.default_rng(11)
B, C = 4, 5
logits = rng.standard_normal((B, C)) * 2
labels = rng.integers(0, C, B)
rng.random((B, C))  # soft targets of other losses
real_targets = rng.standard_normal((B, C))
binary_targets = rng.integers(0, 2, (B, C)).astype(float)
out = dict(source=SOURCE, logits=numbers(logits), labels=labels.tolist(), real_targets=numbers(real_targets), binary_targets=numbers(binary_targets), runs={})
losses = dict(
    mse=(lambda t: F.mse_loss(t, torch.tensor(real_targets)), "mean over all elements"),
    cross_entropy=(lambda t: F.cross_entropy(t, torch.tensor(labels)), "mean over batch"),
    bce_with_logits=(lambda t: F.binary_cross_entropy_with_logits(t, torch.tensor(binary_targets)), ""),
)
for name, (f, note) in losses.items():
    t = torch.tensor(logits).requires_grad_()
    value = f(t)
    grad, = torch.autograd.grad(value, t)
    out["runs"][name] = dict(value=numbers(value), grad=numbers(grad), note=note)
big = torch.tensor([[1e3, -1e3, 0.0], [-800.0, 800.0, 800.0]])
out["extreme"] = dict(
    logits=numbers(big),
    labels=[1, 0],
    cross_entropy=numbers(F.cross_entropy(big, torch.tensor([1, 0]))),
    bce_with_logits_target0=numbers(F.binary_cross_entropy_with_logits(big, 0 * big)),
)
dump("losses.json", out)

# ---- SGD on a quadratic ------------------------------------------------------------------------------
rng = np.random.default_rng(7)
Q, _ = np.linalg.qr(rng.standard_normal((4, 4)))
A = Q @ np.diag([1.0, 4.0, 20.0, 100.0]) @ Q.T
A = (A + A.T) / 2
b = rng.standard_normal(4)
x0 = rng.standard_normal(4) * 2
tA, tb = torch.tensor(A), torch.tensor(b)
out = dict(source=SOURCE, formula="0.5 x'Ax - b'x", A=numbers(A, 13), b=numbers(b, 13), x0=numbers(x0, 13), runs={})
configs = dict(
    sgd=dict(lr=0.005),
    sgd_momentum=dict(lr=0.005, momentum=0.9),
    sgd_nesterov=dict(lr=0.005, momentum=0.9, nesterov=True),
    sgd_momentum_l2=dict(lr=0.005, momentum=0.9, weight_decay=0.1),
)
for name, params in configs.items():
    x = torch.tensor(x0).requires_grad_()
    optimiser = torch.optim.SGD([x], **params)
    path = [numbers(x, 13)]
    for _ in range(50):
        optimiser.zero_grad()
        (0.5 * x @ tA @ x - tb @ x).backward()
        optimiser.step()
        path.append(numbers(x, 13))
    out["runs"][name] = dict(params=params, x=path)
dump("sgd.json", out)
