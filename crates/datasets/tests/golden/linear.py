"""What scikit-learn makes of the linear opponents; writes linear.tsv beside this file.

Classification: right answers of standardised logistic regression (C = 1, above 100 columns C = 0.01) and of 5
neighbours on the columns as they are. Diabetes: root mean square error of standardised RidgeCV, and the penalty that it
chose. Made with scikit-learn 1.9.1: `python3 linear.py` (half a minute).
"""
import gzip
import struct
import warnings
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

HERE = Path(__file__).resolve().parent
DATA = HERE.parent.parent / "data"
warnings.filterwarnings("ignore")


def idx(name):
    raw = gzip.open(DATA / name).read()
    header = 4 + 4 * raw[3]
    kind = {8: ">u1", 9: ">i1", 11: ">i2"}[raw[2]]
    return np.frombuffer(raw[header:], kind).reshape(struct.unpack(f">{raw[3]}I", raw[4:header])).astype(float)


def tsv(name):
    rows = [line.split("\t") for line in (DATA / name).read_text().rstrip("\n").split("\n")][1:]
    return rows, np.array([row[0] == "test" for row in rows])


def tables():
    x, y = idx("digits-images.idx.gz").reshape(-1, 64), idx("digits-labels.idx.gz").astype(int)
    yield "digits", x[:1437], y[:1437], x[1437:], y[1437:]
    part = lambda s: (idx(f"fashion-{s}-images.idx.gz").reshape(-1, 784), idx(f"fashion-{s}-labels.idx.gz").astype(int))
    yield "fashion", *part("train"), *part("test")
    counts = idx("pbmc-counts.idx.gz")
    rows, test = tsv("pbmc-cells.tsv")
    x, y = np.log1p(counts / counts.sum(1, keepdims=True) * 500), np.unique([r[1] for r in rows], return_inverse=True)[1]
    yield "pbmc", x[~test], y[~test], x[test], y[test]
    rows, test = tsv("hsmm-cells.tsv")
    x, y = idx("hsmm-expr.idx.gz") / 100, np.unique([int(r[1]) for r in rows], return_inverse=True)[1]
    yield "hsmm", x[~test], y[~test], x[test], y[test]
    for name in ("iris", "wine", "breast_cancer"):
        rows, test = tsv(f"{name}.tsv")
        x, y = np.array([r[1:-1] for r in rows], float), np.unique([r[-1] for r in rows], return_inverse=True)[1]
        yield name, x[~test], y[~test], x[test], y[test]


with open(HERE / "linear.tsv", "w", newline="\n") as f:
    f.write("set\tmethod\tvalue\tpenalty\n")
    for name, a, b, c, d in tables():
        strength = 0.01 if a.shape[1] > 100 else 1.0
        model = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=3000, tol=1e-8)).fit(a, b)
        f.write(f"{name}\tlogistic\t{(model.predict(c) == d).sum()}\t{strength}\n")
        neighbours = KNeighborsClassifier(5, algorithm="brute").fit(a, b)
        f.write(f"{name}\tneighbours\t{(neighbours.predict(c) == d).sum()}\t5\n")
    rows, test = tsv("diabetes.tsv")
    x, y = np.array([r[1:-1] for r in rows], float), np.array([r[-1] for r in rows], float)
    model = make_pipeline(StandardScaler(), RidgeCV(np.logspace(-3, 3, 13))).fit(x[~test], y[~test])
    error = np.sqrt(((model.predict(x[test]) - y[test]) ** 2).mean())
    f.write(f"diabetes\tridge\t{error!r}\t{model[-1].alpha_!r}\n".replace("np.float64(", "").replace(")", ""))
