"""The minimum of softmax regression on 1200 small digits, drawn as the pilot of lecture 8 drew them.

    python gen_softmax.py [--out DIR]

numpy alone, float64: Newton's method with the whole Hessian, which shares nothing with the crate's code.
"""
import argparse, gzip, json, os
import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
ap = argparse.ArgumentParser()
ap.add_argument("--out", default=HERE)
A = ap.parse_args()
DATA = os.path.join(HERE, "../../../datasets/data")
PENALTY, IMAGES, CLASSES = 1e-3, 1200, 10


def idx(name):
    raw = gzip.open(os.path.join(DATA, name + ".idx.gz")).read()
    axes = [int.from_bytes(raw[4 + 4 * i : 8 + 4 * i], "big") for i in range(raw[3])]
    return np.frombuffer(raw[4 + 4 * raw[3] :], np.uint8).reshape(axes)


rows = np.sort(np.random.default_rng(0).permutation(1797)[:IMAGES])
x = np.c_[idx("digits-images").reshape(-1, 64)[rows] / 16.0, np.ones(IMAGES)]
t = np.eye(CLASSES)[idx("digits-labels")[rows].astype(int)]
d = x.shape[1]
w = np.zeros((CLASSES, d))


def value(w):
    z = x @ w.T
    largest = z.max(1)
    log_sum = np.log(np.exp(z - largest[:, None]).sum(1)) + largest
    return np.mean(log_sum - (z * t).sum(1)) + PENALTY / 2 * (w**2).sum()


for _ in range(50):
    z = x @ w.T
    p = np.exp(z - z.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    gradient = (p - t).T @ x / IMAGES + PENALTY * w
    if np.abs(gradient).max() < 1e-13:
        break
    hessian = np.zeros((CLASSES, d, CLASSES, d))
    for a in range(CLASSES):
        for b in range(CLASSES):
            weight = p[:, a] * ((a == b) - p[:, b]) / IMAGES
            hessian[a, :, b, :] = x.T @ (weight[:, None] * x)
    hessian = hessian.reshape(CLASSES * d, CLASSES * d) + PENALTY * np.eye(CLASSES * d)
    step = np.linalg.solve(hessian, -gradient.ravel()).reshape(w.shape)
    share = 1.0
    while value(w + share * step) > value(w) + 1e-4 * share * (gradient * step).sum() and share > 1e-4:
        share /= 2
    w = w + share * step

path = os.path.join(A.out, "softmax_regression.json")
out = {
    "source": f"numpy {np.__version__}; rows: default_rng(0).permutation(1797)[:1200]",
    "penalty": PENALTY,
    "minimum": float("%.13g" % value(w)),
    "rows": rows.tolist(),
}
json.dump(out, open(path, "w"), separators=(",", ":"))
print(out["minimum"], np.abs(gradient).max())
