"""What scikit-learn and numpy make of the opponents of `datasets::baseline`; writes baselines.tsv beside this file.

Right answers on the test rows, fitted on the first `train` rows and judged on the last `test` rows, raw pixels.
Made with scikit-learn 1.9.1: `python3 baselines.py` (a minute).
"""
import gzip
import struct
import warnings
from pathlib import Path

import numpy as np
from sklearn.neighbors import KNeighborsClassifier, NearestCentroid

HERE = Path(__file__).resolve().parent
DATA = HERE.parent.parent / "data"
warnings.filterwarnings("ignore", category=UserWarning)  # pixels that are always 0 have no spread


def idx(name):
    raw = gzip.open(DATA / name).read()
    header = 4 + 4 * raw[3]
    return np.frombuffer(raw[header:], "u1").reshape(struct.unpack(f">{raw[3]}I", raw[4:header]))


with open(HERE / "baselines.tsv", "w", newline="\n") as f:
    f.write("set\ttrain\ttest\tmajority\taverage_darkness\tnearest_mean\tnearest_neighbours_5\n")
    for name, n, m in (("digits", 1437, 360), ("mnist", 1000, 400), ("mnist", 8000, 2000)):
        x, y = idx(f"{name}-images.idx.gz"), idx(f"{name}-labels.idx.gz")
        x = x.reshape(len(x), -1).astype(float)
        (a, b), (c, d) = (x[:n], y[:n]), (x[-m:], y[-m:])
        darkness = np.array([a[b == k].sum(1).mean() for k in range(10)])
        predictions = (
            np.full(m, np.bincount(b).argmax()),
            np.abs(c.sum(1)[:, None] - darkness).argmin(1),
            NearestCentroid().fit(a, b).predict(c),
            KNeighborsClassifier(5, algorithm="brute").fit(a, b).predict(c),
        )
        f.write("\t".join([name, str(n), str(m), *(str((p == d).sum()) for p in predictions)]) + "\n")
