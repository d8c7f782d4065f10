"""What the twins share: the data of this repository, networks, descent, and the file that the book quotes.

A twin is an experiment of ours once more in PyTorch: the same images, sizes, steps and learning rates (they are read
from the configuration that `book/results` records), other random numbers, and PyTorch's own layers, starts, losses and
optimisers. `python tests/peers/torch/twins/NAME.py` writes `book/peers/NAME.json`, which a chapter quotes by
`{{peer NAME.quantity}}`. Nothing of it is a claim of the course.
"""

import functools
import gzip
import json
import pathlib
import platform
import statistics
import warnings
import zlib

warnings.filterwarnings("ignore", message="Failed to initialize NumPy")

import torch
from torch.nn import functional as F

ROOT = pathlib.Path(__file__).resolve().parents[4]

torch.set_num_threads(1)  # the same sums in the same order; networks of this size gain nothing from a second thread


def config(name):
    """How the experiment was recorded here."""
    return json.loads((ROOT / "book/results" / f"{name}.json").read_text())["config"]


def idx(name):
    """A file of `crates/datasets/data` in Yann LeCun's format, as bytes."""
    data = gzip.decompress((ROOT / "crates/datasets/data" / f"{name}.idx.gz").read_bytes())
    shape = [int.from_bytes(data[4 + 4 * i : 8 + 4 * i], "big") for i in range(data[3])]
    return torch.frombuffer(bytearray(data[4 + 4 * len(shape) :]), dtype=torch.uint8).reshape(shape)


@functools.cache
def mnist(train, test):
    """The first `train` images and the last `test`: pixels (n, 784) in [0, 1] and classes, twice."""
    x, y = idx("mnist-images").reshape(-1, 784).float() / 255, idx("mnist-labels").long()
    return (x[:train], y[:train]), (x[-test:], y[-test:])


def network(widths, activation=torch.nn.ReLU, start=None):
    """Linear layers with an activation between them; `start` sets each layer, else it is PyTorch's default."""
    layers = []
    for inputs, outputs in zip(widths, widths[1:]):
        layers += [torch.nn.Linear(inputs, outputs), activation()]
        if start:
            start(layers[-2])
    return torch.nn.Sequential(*layers[:-1])


@torch.no_grad()
def he(layer):
    layer.weight.normal_(0, (2 / layer.in_features) ** 0.5)
    layer.bias.zero_()


@torch.no_grad()
def glorot(layer):
    torch.nn.init.xavier_normal_(layer.weight)
    layer.bias.zero_()


def cross_entropy(net, x, y):
    return F.cross_entropy(net(x), y)


def descend(net, x, y, seed, epochs, batch=50, rate=0.05, momentum=0.9, loss=cross_entropy, after=None, before=None):
    """Minibatches, shuffled in each epoch by a generator of its own; stops when `after(epoch, mean loss)` is false."""
    order = torch.Generator().manual_seed(1000 + seed)
    optimizer = torch.optim.SGD(net.parameters(), rate, momentum)
    for epoch in range(1, epochs + 1):
        total, steps = 0.0, 0
        for rows in torch.randperm(len(x), generator=order).split(batch):
            if before:
                before()
            value = loss(net, x[rows], y[rows])
            optimizer.zero_grad()
            value.backward()
            optimizer.step()
            total, steps = total + value.item(), steps + 1
        if after and not after(epoch, total / steps):
            return


@torch.no_grad()
def accuracy(net, x, y):
    """Percent of the images that are read."""
    return 100 * (net(x).argmax(1) == y).float().mean().item()


def over(values):
    """Mean and standard deviation; a single number has none."""
    values = [float(value) for value in values]
    sd = statistics.stdev(values) if len(values) > 1 else 0.0
    return {"mean": statistics.mean(values), "sd": sd, "n": len(values)}


def checksum(file):
    """CRC-32 of the twin and of this file: a test compares it, so that a changed twin is run again."""
    return zlib.crc32(b"".join(pathlib.Path(path).read_bytes() for path in (file, __file__)))


def record(file, values):
    """Writes what the twin `file` measured."""
    name = pathlib.Path(file).stem.replace("_", "-")
    digits = lambda value: float(f"{value:.6g}") if isinstance(value, float) else value
    found = {
        "name": name,
        "command": f"python tests/peers/torch/twins/{pathlib.Path(file).name}",
        "config": config(name),
        "versions": {"python": platform.python_version(), "torch": torch.__version__},
        "source_crc32": checksum(file),
        "values": {key: {k: digits(v) for k, v in value.items()} for key, value in values.items()},
    }
    path = ROOT / "book/peers" / f"{name}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(found, indent=2) + "\n")
    for key, value in values.items():
        print(f"{key}: {value['mean']:.4g} ± {value['sd']:.2g} (n = {value['n']})")
