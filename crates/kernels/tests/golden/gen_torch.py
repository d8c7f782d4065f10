"""SGD trajectories from PyTorch in float64: sgd.json.

    python gen_torch.py [--out DIR]
"""
import argparse, json, os
import numpy as np, torch

torch.set_default_dtype(torch.float64)
torch.set_num_threads(1)
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
