"""Recomputes the results in norms.json from the inputs in it, with PyTorch (2.x, f64) and NumPy.

layer_norm: 3 rows of 5; batch_norm_1d: training step and evaluation after it; spectral: five power iterations.
Usage: python gen_norms.py
"""
import json
import pathlib

import numpy as np
import torch
import torch.nn.functional as F

FILE = pathlib.Path(__file__).with_name("norms.json")
d = json.loads(FILE.read_text())


def tensor(values, *shape):
    return torch.tensor(values, dtype=torch.float64).reshape(*shape).requires_grad_()


def digits(t, n):
    return json.loads(json.dumps([float(f"%.{n}g" % v) for v in t.detach().flatten().tolist()]))


def rows(t, n):
    return [digits(row, n) for row in t]


l = d["layer_norm"]
x, w, b = tensor(l["x"], 3, 5), tensor(l["w"], 5), tensor(l["b"], 5)
y = F.layer_norm(x, (5,), w, b, l["eps"])
gx, gw, gb = torch.autograd.grad(y, (x, w, b), tensor(l["gy"], 3, 5))
l.update(y=digits(y, 12), gx=digits(gx, 12), gw=digits(gw, 12), gb=digits(gb, 12))

n = d["batch_norm_1d"]
shape = (len(n["x"]), len(n["gamma"]))
x, gamma, beta = tensor(n["x"], *shape), tensor(n["gamma"], -1), tensor(n["beta"], -1)
mean, var = torch.zeros(shape[1], dtype=torch.float64), torch.ones(shape[1], dtype=torch.float64)
y = F.batch_norm(x, mean, var, gamma, beta, training=True, momentum=n["momentum"], eps=n["eps"])
dx, dgamma, dbeta = torch.autograd.grad(y, (x, gamma, beta), tensor(n["upstream"], *shape))
n.update(
    y=rows(y, 14), dx=rows(dx, 14), dgamma=digits(dgamma, 14), dbeta=digits(dbeta, 14),
    running_mean=digits(mean, 14), running_var=digits(var, 14),
    y_eval=rows(F.batch_norm(x, mean, var, gamma, beta, training=False, eps=n["eps"]), 14),
)

s = d["spectral"]
W, u = np.array(s["matrix"]), np.array(s["u0"])
s["power_iterations"] = []
for _ in range(5):
    v = W.T @ u
    v /= np.linalg.norm(v)
    u = W @ v
    u /= np.linalg.norm(u)
    s["power_iterations"].append(float(u @ W @ v))
s["spectral_norm"] = float(np.linalg.norm(W, 2))
FILE.write_text(json.dumps(d, separators=(",", ":")))
