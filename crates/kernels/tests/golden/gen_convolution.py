"""Convolutions and lengths of axes from PyTorch in float64: conv2d.json, conv_transpose2d.json, shape_algebra.json.

    python gen_convolution.py OUT_DIR

Tensor encoding: {"shape": [...], "data": [flat row-major]}.  Inputs are 3-decimal numbers (exact as decimal text);
outputs carry 12 significant digits.  `gy` is the cotangent: gx, gw, gb are d(sum(y*gy))/d(.)."""
import json, sys
import numpy as np, torch
import torch.nn.functional as F

out_dir = sys.argv[1]
torch.set_num_threads(1)
torch.set_default_dtype(torch.float64)
rng = np.random.default_rng(1401)


def rnd(*s):
    return torch.tensor(np.round(rng.standard_normal(s), 3))


def enc(t):
    a = t.detach().numpy() if torch.is_tensor(t) else np.asarray(t)
    return {'shape': list(a.shape), 'data': [float('%.12g' % v) for v in a.reshape(-1)]}


def save(name, obj):
    with open(f'{out_dir}/{name}.json', 'w') as f:
        json.dump(obj, f, separators=(',', ':'))


def fb(fn, **ts):
    """forward + backward through fn(**ts); returns dict of y, gy and g<name>."""
    ls = {k: v.clone().requires_grad_(True) for k, v in ts.items() if v is not None}
    y = fn(**ls)
    gy = rnd(*y.shape)
    gs = torch.autograd.grad((y * gy).sum(), list(ls.values()))
    r = {k: enc(v) for k, v in ts.items() if v is not None}
    r['y'] = enc(y)
    r['gy'] = enc(gy)
    for k, g in zip(ls, gs):
        r['g' + k] = enc(g)
    return r

# n, channels in, h, w, channels out, kernel h, w, stride, padding, dilation, groups, bias
CONV = [
    (1, 1, 5, 5, 1, 3, 3, (1, 1), (0, 0), (1, 1), 1, False),
    (2, 3, 7, 5, 4, 3, 3, (1, 1), (1, 1), (1, 1), 1, True),
    (2, 3, 8, 7, 2, 3, 3, (2, 2), (1, 1), (1, 1), 1, True),
    (1, 2, 9, 9, 3, 5, 5, (2, 2), (2, 2), (1, 1), 1, True),
    (2, 4, 5, 6, 6, 1, 1, (1, 1), (0, 0), (1, 1), 1, True),
    (1, 4, 6, 6, 4, 1, 1, (2, 2), (0, 0), (1, 1), 1, False),
    (1, 4, 7, 7, 6, 3, 3, (1, 1), (1, 1), (1, 1), 2, True),
    (2, 4, 6, 5, 4, 3, 3, (1, 1), (1, 1), (1, 1), 4, True),
    (1, 3, 8, 8, 6, 3, 3, (2, 2), (1, 1), (1, 1), 3, False),
    (1, 2, 9, 8, 3, 3, 3, (1, 1), (2, 2), (2, 2), 1, True),
    (1, 2, 11, 10, 2, 3, 3, (2, 2), (3, 3), (3, 3), 2, True),
    (1, 2, 7, 9, 3, 1, 7, (1, 1), (0, 3), (1, 1), 1, True),
    (1, 2, 9, 7, 3, 7, 1, (1, 1), (3, 0), (1, 1), 1, False),
    (1, 3, 6, 6, 2, 2, 2, (1, 1), (0, 0), (1, 1), 1, True),
    (1, 1, 13, 13, 2, 7, 7, (2, 2), (3, 3), (1, 1), 1, False),
    (3, 2, 4, 4, 5, 4, 4, (1, 1), (0, 0), (1, 1), 1, True),
    (1, 2, 3, 3, 2, 3, 3, (1, 1), (2, 2), (1, 1), 1, True),
    (1, 2, 10, 7, 4, 3, 2, (3, 2), (1, 0), (1, 2), 2, True),
]
cases = []
for n, ci, h, w, co, kh, kw, s, p, d, g, b in CONV:
    r = fb(lambda x, w, b=None: F.conv2d(x, w, b, s, p, d, g), x=rnd(n, ci, h, w), w=rnd(co, ci // g, kh, kw), b=rnd(co) if b else None)
    cases.append({'stride': s, 'padding': p, 'dilation': d, 'groups': g, **r})
save('conv2d', {'op': 'conv2d (cross-correlation), NCHW, weight [Cout, Cin/groups, kh, kw]', 'cases': cases})
# n, channels in, h, w, channels out, kernel h, w, stride, padding, output padding, dilation, groups, bias
CT = [
    (1, 1, 3, 3, 1, 2, 2, (2, 2), (0, 0), (0, 0), (1, 1), 1, False),
    (2, 3, 4, 5, 2, 2, 2, (2, 2), (0, 0), (0, 0), (1, 1), 1, True),
    (1, 2, 5, 4, 3, 3, 3, (1, 1), (1, 1), (0, 0), (1, 1), 1, True),
    (1, 2, 4, 4, 2, 3, 3, (2, 2), (1, 1), (1, 1), (1, 1), 1, True),
    (1, 3, 3, 5, 2, 4, 4, (2, 2), (1, 1), (0, 0), (1, 1), 1, True),
    (1, 4, 4, 3, 4, 3, 3, (2, 2), (1, 1), (1, 1), (1, 1), 2, True),
    (1, 4, 3, 3, 4, 3, 3, (1, 1), (0, 0), (0, 0), (1, 1), 4, False),
    (1, 2, 4, 4, 2, 3, 3, (3, 2), (1, 0), (2, 1), (1, 1), 1, True),
    (1, 2, 4, 5, 2, 3, 3, (1, 1), (2, 2), (0, 0), (2, 2), 1, True),
]
cases = []
for n, ci, h, w, co, kh, kw, s, p, op, d, g, b in CT:
    r = fb(lambda x, w, b=None: F.conv_transpose2d(x, w, b, s, p, op, g, d), x=rnd(n, ci, h, w), w=rnd(ci, co // g, kh, kw), b=rnd(co) if b else None)
    cases.append({'stride': s, 'padding': p, 'output_padding': op, 'dilation': d, 'groups': g, **r})
save('conv_transpose2d', {'op': 'conv_transpose2d, weight [Cin, Cout/groups, kh, kw]', 'cases': cases})
S = []
H = range(1, 18)
for h in H:
    for k, s, p, d in [(1, 1, 0, 1), (1, 2, 0, 1), (2, 2, 0, 1), (3, 1, 0, 1), (3, 1, 1, 1), (3, 2, 0, 1), (3, 2, 1, 1), (3, 1, 2, 2), (5, 1, 2, 1), (5, 2, 2, 1), (7, 2, 3, 1), (2, 1, 0, 2), (3, 3, 1, 1)]:
        x = torch.zeros(1, 1, h, h)
        e = {'h': h, 'k': k, 's': s, 'p': p, 'd': d}
        try:
            e['conv'] = F.conv2d(x, torch.zeros(1, 1, k, k), None, s, p, d).shape[2]
        except RuntimeError:
            e['conv'] = None
        for nm, ce in (('pool_floor', False), ('pool_ceil', True)):
            try:
                e[nm] = F.max_pool2d(x, k, s, p, d, ce).shape[2] if p <= k // 2 else None
            except RuntimeError:
                e[nm] = None
        try:
            e['conv_transpose'] = F.conv_transpose2d(x, torch.zeros(1, 1, k, k), None, s, p, 0, 1, d).shape[2] if (h - 1) * s - 2 * p + d * (k - 1) + 1 > 0 else None
        except RuntimeError:
            e['conv_transpose'] = None
        S.append([e['h'], k, s, p, d, e['conv'], e['pool_floor'], e['pool_ceil'], e['conv_transpose']])
save('shape_algebra', {'columns': ['h', 'k', 's', 'p', 'd', 'conv', 'pool_floor', 'pool_ceil', 'conv_transpose'], 'null_means': 'rejected (no valid output)', 'rows': S})
