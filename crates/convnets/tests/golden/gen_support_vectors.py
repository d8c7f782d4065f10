"""Support vector machines of scikit-learn (LIBSVM): optima, values, predictions.

Usage: gen_support_vectors.py OUT_DIR

The dual has one optimum when the kernel matrix is positive definite, which a Gaussian kernel of different rows is. LIBSVM
keeps that matrix in 32 bits, so scikit-learn says which rows lie at which bound, and NumPy solves the equations that are
left in 64 bits. Digits and clothes are the files of `datasets`, standardised by the
mean and the standard deviation of all training pixels.
"""
import gzip
import json
import struct
import sys
from pathlib import Path

import numpy as np
import sklearn
from sklearn.svm import SVC

DATA = Path(__file__).resolve().parents[3] / "datasets/data"
TIGHT = 1e-12


def idx(name):
    raw = gzip.open(DATA / name).read()
    header = 4 + 4 * raw[3]
    return np.frombuffer(raw[header:], ">u1").reshape(struct.unpack(f">{raw[3]}I", raw[4:header])).astype(float)


def gram(a, b, gamma):
    return np.exp(-gamma * ((a[:, None] - b[None]) ** 2).sum(2))


def optimum(x, labels, c, gamma, new):
    """Objective, offset, values at `new`; the sign is that of the smaller label, where scikit-learn's is the larger's."""
    fitted = SVC(C=c, gamma=gamma, tol=TIGHT).fit(x, labels)
    signs = np.where(labels == labels.min(), 1.0, -1.0)
    weights = np.zeros(len(x))
    weights[fitted.support_] = -fitted.dual_coef_[0]
    free = (np.abs(weights) > 1e-6 * c) & (np.abs(weights) < c * (1 - 1e-6))
    weights[~free] = np.round(weights[~free] / c) * c
    # Rows between the bounds have y f = 1, and the weights add up to 0.
    kernel, n = gram(x, x, gamma), free.sum()
    system = np.block([[kernel[np.ix_(free, free)], np.ones((n, 1))], [np.ones((1, n)), np.zeros((1, 1))]])
    right = np.append(signs[free] - kernel[np.ix_(free, ~free)] @ weights[~free], -weights[~free].sum())
    solution = np.linalg.solve(system, right)
    weights[free], offset = solution[:-1], solution[-1]
    margins = signs * (kernel @ weights + offset)
    assert (signs * weights >= 0).all() and (np.abs(weights) <= c).all()
    assert (margins[weights == 0] > 1).all() and (margins[np.abs(weights) == c] < 1).all()
    values = gram(new, x, gamma) @ weights + offset
    return np.abs(weights).sum() - 0.5 * weights @ kernel @ weights, offset, values


def problem(rng, rows, columns, classes, c, gamma):
    """Clouds that overlap, so that some rows stay on the wrong side."""
    labels = np.arange(rows) % classes * 3 + 2
    x = rng.standard_normal((rows, columns)) + 0.9 * labels[:, None] / 3 * np.sin(np.arange(columns) + 1)
    new = rng.standard_normal((12, columns)) * 1.5 + 1
    gamma_used = 1 / (columns * x.var()) if gamma == "scale" else gamma
    pairs = [(a, b) for i, a in enumerate(np.unique(labels)) for b in np.unique(labels)[i + 1:]]
    of = lambda a, b: (labels == a) | (labels == b)
    optima = [optimum(x[of(a, b)], labels[of(a, b)], c, gamma_used, new) for a, b in pairs]
    fitted = SVC(C=c, gamma=gamma_used, tol=TIGHT, decision_function_shape="ovo").fit(x, labels)
    values, theirs = np.stack([one[2] for one in optima], 1), fitted.decision_function(new)
    assert np.allclose(values, -theirs[:, None] if classes == 2 else theirs, atol=1e-5)
    return {
        "x": x.tolist(), "labels": labels.tolist(), "new": new.tolist(), "c": c, "gamma": gamma_used,
        "objectives": [one[0] for one in optima], "offsets": [one[1] for one in optima], "values": values.tolist(),
        "vectors": int(len(fitted.support_)), "predictions": fitted.predict(new).tolist(),
    }


def pictures(name, train, test, size):
    if train == test:
        x, y = idx(f"{train}-images.idx.gz").reshape(-1, size), idx(f"{train}-labels.idx.gz").astype(int)
        (a, b), (c, d) = (x[:1437], y[:1437]), (x[1437:], y[1437:])
    else:
        (a, b), (c, d) = [(idx(f"{part}-images.idx.gz").reshape(-1, size), idx(f"{part}-labels.idx.gz").astype(int)) for part in (train, test)]
    mean, deviation = a.mean(), a.std()
    fitted = SVC(C=10).fit((a - mean) / deviation, b)
    read = fitted.predict((c - mean) / deviation)
    return {"right": int((read == d).sum()), "predictions": read.tolist()}


rng = np.random.default_rng(14)
golden = {
    "source": f"scikit-learn {sklearn.__version__}, numpy {np.__version__}",
    "two": problem(rng, 24, 3, 2, 2.0, 0.7),
    "four": problem(rng, 40, 5, 4, 10.0, "scale"),
    "digits": pictures("digits", "digits", "digits", 64),
    "clothes": pictures("fashion", "fashion-train", "fashion-test", 784),
}
Path(sys.argv[1], "support_vectors.json").write_text(json.dumps(golden, separators=(",", ":")) + "\n")
for key in ("two", "four"):
    print(key, golden[key]["vectors"], golden[key]["objectives"], golden[key]["predictions"])
print({key: golden[key]["right"] for key in ("digits", "clothes")})
