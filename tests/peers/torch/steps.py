"""The 14 training steps: model, loss, backward pass and update, on the same numbers as ours."""

import csv
import gzip
import pathlib

import torch
import torch.nn as nn
import torch.nn.functional as F

from data import fill, fingerprint, hashed, labels, uniform
from operations import FUSED, Case, case

EMBEDDED = pathlib.Path(__file__).parents[3] / "crates" / "datasets" / "data"

# Names of the cases that are training steps; `torch.compile` is tried on these.
STEPS = []


def step(name):
    STEPS.append(name)
    return case(name)


def training(model, optimizer, loss, compiled):
    """A case that trains `model` on `loss(model)`; its values are the first loss and how far three steps lower it."""
    forward = torch.compile(loss) if compiled else loss

    def run():
        optimizer.zero_grad()
        value = forward(model)
        value.backward()
        optimizer.step()
        return value

    def values():
        losses = [run().item() for _ in range(4)]
        return {"loss": losses[0], "gain": losses[0] - losses[3]}

    return Case(run, values)


def adam(model, **options):
    return torch.optim.Adam(model.parameters(), lr=1e-3, **options, **FUSED)


def momentum(model):
    return torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, **FUSED)


@step("mlp")
def mlp(compiled=False):
    """784-512-512-10, ReLU, batch 128, Adam."""
    model = fill(nn.Sequential(
        nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 10)
    ))
    x, y = uniform(1, 128, 784), labels(2, 128, 10)
    return training(model, adam(model), lambda m: F.cross_entropy(m(x), y), compiled)


@step("mlp-small")
def mlp_small(compiled=False):
    """2-64-64-2, tanh, batch 64, Adam."""
    model = fill(nn.Sequential(nn.Linear(2, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 2)))
    x, y = uniform(1, 64, 2), labels(2, 64, 2)
    return training(model, adam(model), lambda m: F.cross_entropy(m(x), y), compiled)


@step("lenet")
def lenet(compiled=False):
    """LeNet-5 with ReLU and max pooling, 28 x 28, batch 64, momentum."""
    model = fill(nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10),
    ))
    x, y = uniform(1, 64, 1, 28, 28), labels(2, 64, 10)
    return training(model, momentum(model), lambda m: F.cross_entropy(m(x), y), compiled)


class Block(nn.Module):
    """Basic residual block; where the extent halves, a strided 1 x 1 convolution leads past it."""

    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.past = nn.Conv2d(inputs, outputs, 1, stride, bias=False) if stride > 1 else nn.Identity()

    def forward(self, x):
        h = self.norm1(self.conv1(x)).relu()
        return (self.norm2(self.conv2(h)) + self.past(x)).relu()


@step("resnet20")
def resnet20(compiled=False):
    """ResNet-20 of width 16, 32, 64 on 32 x 32, batch 32, momentum."""
    blocks = [Block(16, 16, 1) for _ in range(3)]
    blocks += [Block(16, 32, 2), Block(32, 32, 1), Block(32, 32, 1)]
    blocks += [Block(32, 64, 2), Block(64, 64, 1), Block(64, 64, 1)]
    model = fill(nn.Sequential(
        nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU(), *blocks,
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10),
    ))
    x, y = uniform(1, 32, 3, 32, 32), labels(2, 32, 10)
    return training(model, momentum(model), lambda m: F.cross_entropy(m(x), y), compiled)


def twice(inputs, outputs):
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU(), nn.Conv2d(outputs, outputs, 3, padding=1), nn.ReLU()
    )


class UNet(nn.Module):
    """Three levels of 16, 32, 64 channels, transposed convolutions upwards, one logit a pixel."""

    def __init__(self):
        super().__init__()
        self.down1, self.down2, self.bottom = twice(1, 16), twice(16, 32), twice(32, 64)
        self.up2, self.side2 = nn.ConvTranspose2d(64, 32, 2, 2), twice(64, 32)
        self.up1, self.side1 = nn.ConvTranspose2d(32, 16, 2, 2), twice(32, 16)
        self.head = nn.Conv2d(16, 1, 1)

    def forward(self, x):
        a = self.down1(x)
        b = self.down2(F.max_pool2d(a, 2))
        c = self.bottom(F.max_pool2d(b, 2))
        b = self.side2(torch.cat([b, self.up2(c)], 1))
        a = self.side1(torch.cat([a, self.up1(b)], 1))
        return self.head(a)


@step("unet")
def unet(compiled=False):
    """U-Net on 64 x 64, batch 4, Adam."""
    model = fill(UNet())
    x, y = uniform(1, 4, 1, 64, 64), labels(2, 4 * 64 * 64, 2).reshape(4, 1, 64, 64).float()
    return training(model, adam(model), lambda m: F.binary_cross_entropy_with_logits(m(x), y), compiled)


class Vae(nn.Module):
    """784-400-20 with ReLU, as in the paper's code."""

    def __init__(self):
        super().__init__()
        self.encoder, self.mean, self.log_var = nn.Linear(784, 400), nn.Linear(400, 20), nn.Linear(400, 20)
        self.decoder, self.logits = nn.Linear(20, 400), nn.Linear(400, 784)

    def loss(self, x, noise):
        h = self.encoder(x).relu()
        mean, log_var = self.mean(h), self.log_var(h)
        z = mean + noise * (0.5 * log_var).exp()
        logits = self.logits(self.decoder(z).relu())
        reconstruction = F.binary_cross_entropy_with_logits(logits, x, reduction="sum") / len(x)
        kl = 0.5 * (mean.square() + log_var.exp() - log_var - 1).sum() / len(x)
        return reconstruction + kl


@step("vae")
def vae(compiled=False):
    """VAE 784-400-20, batch 128, Adam; the noise is drawn before and stays."""
    model = fill(Vae())
    x, noise = uniform(1, 128, 784).abs(), uniform(2, 128, 20, bound=1.7)
    return training(model, adam(model), lambda m: m.loss(x, noise), compiled)


@step("wgan-gp")
def wgan_gp(compiled=False):
    """A critic's step: 784-256-256-1 with leaky ReLU, batch 64, gradient penalty 10, Adam."""
    critic = fill(nn.Sequential(
        nn.Linear(784, 256), nn.LeakyReLU(0.2), nn.Linear(256, 256), nn.LeakyReLU(0.2), nn.Linear(256, 1)
    ))
    generator = fill(nn.Sequential(
        nn.Linear(64, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 784), nn.Tanh()
    ), 200)
    real, noise, share = uniform(1, 64, 784), uniform(2, 64, 64), uniform(3, 64, 1).abs()

    def loss(m):
        with torch.no_grad():
            fake = generator(noise)
        between = (share * real + (1 - share) * fake).requires_grad_()
        slope, = torch.autograd.grad(m(between).sum(), between, create_graph=True)
        penalty = (slope.norm(dim=1) - 1).square().mean()
        return m(fake).mean() - m(real).mean() + 10 * penalty

    return training(critic, adam(critic, betas=(0.0, 0.9)), loss, compiled)


@step("ntk")
def ntk(compiled=False):
    """The neural tangent kernel of a 64-256-256-1 network of tanh between 512 examples, layer by layer.

    K = sum over layers of (d dT) * (a aT + 1), a the layer's input and d the derivative of the output with respect
    to what the layer adds up: no row of the Jacobian is ever written down.
    """
    model = fill(nn.Sequential(nn.Linear(64, 256), nn.Tanh(), nn.Linear(256, 256), nn.Tanh(), nn.Linear(256, 1)))
    x = uniform(1, 512, 64)

    def kernel(m):
        inputs, sums, h = [], [], x
        for layer in m:
            if isinstance(layer, nn.Linear):
                inputs.append(h.detach())
                h = layer(h)
                sums.append(h)
            else:
                h = layer(h)
        slopes = torch.autograd.grad(h.sum(), sums)
        return sum((d @ d.T) * (a @ a.T + 1) for a, d in zip(inputs, slopes))

    run = torch.compile(kernel) if compiled else kernel
    return Case(lambda: run(model), lambda: fingerprint("kernel", run(model)))


class LstmClassifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm, self.head = nn.LSTM(64, 128, batch_first=True), nn.Linear(128, 10)

    def forward(self, x):
        return self.head(self.lstm(x)[0][:, -1])


@step("lstm")
def lstm(compiled=False):
    """LSTM 64 to 128 over 64 steps, its last state to 10 classes, batch 32, Adam."""
    model = fill(LstmClassifier())
    x, y = uniform(1, 32, 64, 64), labels(2, 32, 10)
    return training(model, adam(model), lambda m: F.cross_entropy(m(x), y), compiled)


class TransformerBlock(nn.Module):
    """Pre-norm block with exact GELU; queries, keys and values from one layer."""

    def __init__(self, width, heads, hidden, is_causal):
        super().__init__()
        self.heads, self.is_causal = heads, is_causal
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.qkv.packed = 3
        self.up, self.down = nn.Linear(width, hidden), nn.Linear(hidden, width)
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)

    def forward(self, x):
        b, t, c = x.shape
        q, k, v = self.qkv(self.norm1(x)).view(b, t, 3, self.heads, c // self.heads).permute(2, 0, 3, 1, 4)
        o = F.scaled_dot_product_attention(q, k, v, is_causal=self.is_causal)
        x = x + self.out(o.transpose(1, 2).reshape(b, t, c))
        return x + self.down(F.gelu(self.up(self.norm2(x))))


@step("transformer-block")
def transformer_block(compiled=False):
    """One block on 32 sequences of 64 tokens of width 128, 4 heads, 512 hidden, Adam."""
    model = fill(TransformerBlock(128, 4, 512, False))
    x, y = uniform(1, 32, 64, 128), uniform(2, 32, 64, 128)
    return training(model, adam(model), lambda m: F.mse_loss(m(x), y), compiled)


class Gpt(nn.Module):
    def __init__(self, vocabulary, context, width, layers):
        super().__init__()
        self.token, self.position = nn.Embedding(vocabulary, width), nn.Embedding(context, width)
        self.blocks = nn.Sequential(*[TransformerBlock(width, 4, 4 * width, True) for _ in range(layers)])
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, vocabulary)

    def forward(self, tokens):
        x = self.token(tokens) + self.position.weight
        return self.head(self.norm(self.blocks(x)))


@step("gpt")
def gpt(compiled=False):
    """Character GPT: 65 characters, context 128, width 128, 4 blocks of 4 heads, batch 16, Adam."""
    model = fill(Gpt(65, 128, 128, 4))
    tokens = labels(1, 16 * 129, 65).reshape(16, 129)
    x, y = tokens[:, :-1].contiguous(), tokens[:, 1:].reshape(-1)
    return training(model, adam(model), lambda m: F.cross_entropy(m(x).view(-1, 65), y), compiled)


def packages():
    """The embedded graph of packages: both directions of every edge, features, classes, training nodes."""
    with gzip.open(EMBEDDED / "debian-nodes.tsv.gz", "rt") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    with gzip.open(EMBEDDED / "debian-edges.tsv.gz", "rt") as file:
        edges = torch.tensor([[int(a) for a in line.split("\t")] for line in list(file)[1:]])
    features = torch.zeros(len(rows), 500)
    for i, row in enumerate(rows):
        features[i, [int(word) for word in row["words"].split()]] = 1.0
    sections = sorted({row["section"] for row in rows})
    classes = torch.tensor([sections.index(row["section"]) for row in rows])
    trained = torch.tensor([i for i, row in enumerate(rows) if row["split"] == "train"])
    return torch.cat([edges, edges.flip(1)]), features, classes, trained


class Gcn(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(500, 16), nn.Linear(16, 9)

    def forward(self, adjacency, x):
        h = (adjacency @ F.linear(x, self.first.weight) + self.first.bias).relu()
        return adjacency @ F.linear(h, self.second.weight) + self.second.bias


@step("gcn")
def gcn(compiled=False):
    """GCN 500-16-9 on 3,883 packages, symmetric normalisation, loss on 180 nodes, Adam."""
    edges, x, classes, trained = packages()
    n = len(x)
    edges = torch.cat([edges, torch.arange(n)[:, None].expand(n, 2)])
    degree = torch.bincount(edges[:, 0], minlength=n).float()
    values = degree[edges[:, 0]].rsqrt() * degree[edges[:, 1]].rsqrt()
    adjacency = torch.sparse_coo_tensor(edges.T, values, (n, n)).coalesce().to_sparse_csr()
    model = fill(Gcn())
    y = classes[trained]
    return training(model, adam(model), lambda m: F.cross_entropy(m(adjacency, x)[trained], y), compiled)


class Sage(nn.Module):
    """Two layers: own features and the mean of the neighbours' through a weight each."""

    def __init__(self):
        super().__init__()
        self.own1, self.mean1 = nn.Linear(500, 64), nn.Linear(500, 64, bias=False)
        self.own2, self.mean2 = nn.Linear(64, 9), nn.Linear(64, 9, bias=False)

    def forward(self, x, batch, near, far):
        # The means of features need no gradient, and this is PyTorch's fastest way to them.
        one = self.own1(x[batch]) + self.mean1(F.embedding_bag(near.view(-1, 10), x, mode="mean"))
        two = self.own1(x[near]) + self.mean1(F.embedding_bag(far.view(-1, 10), x, mode="mean"))
        one, two = one.relu(), two.relu()
        return self.own2(one) + self.mean2(two.view(len(one), 10, -1).mean(1))


@step("graphsage")
def graphsage(compiled=False):
    """GraphSAGE with means, batch 512, 10 neighbours and 10 of each; which ones is drawn before and stays."""
    edges, x, classes, _ = packages()
    edges = edges[(edges[:, 0] * len(x) + edges[:, 1]).argsort()]
    degree = torch.bincount(edges[:, 0], minlength=len(x))
    start = degree.cumsum(0) - degree

    def neighbours(seed, nodes):
        drawn = (hashed(seed, 10 * len(nodes)) >> 8) % degree[nodes].repeat_interleave(10)
        return edges[start[nodes].repeat_interleave(10) + drawn, 1]

    batch = labels(1, 512, len(x))
    near = neighbours(2, batch)
    far = neighbours(3, near)
    model = fill(Sage())
    y = classes[batch]
    return training(model, adam(model), lambda m: F.cross_entropy(m(x, batch, near, far), y), compiled)


# Dormand and Prince (1980), the weights of order 5.
DOPRI5 = [
    [], [1 / 5], [3 / 40, 9 / 40], [44 / 45, -56 / 15, 32 / 9],
    [19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729],
    [9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656],
    [35 / 384, 0.0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84],
]


@step("neural-ode")
def neural_ode(compiled=False):
    """dy/dt = MLP 2-64-2 of tanh from 0 to 1 in 10 steps of dopri5, gradients through the solver, batch 256, Adam."""
    model = fill(nn.Sequential(nn.Linear(2, 64), nn.Tanh(), nn.Linear(64, 2)))
    x, target, h = uniform(1, 256, 2), uniform(2, 256, 2), 0.1

    def loss(m):
        y = x
        for _ in range(10):
            k = []
            for row in DOPRI5[:6]:
                at = y
                for a, slope in zip(row, k):
                    at = at + (h * a) * slope
                k.append(m(at))
            for b, slope in zip(DOPRI5[6], k):
                if b != 0.0:
                    y = y + (h * b) * slope
        return F.mse_loss(y, target)

    return training(model, adam(model), loss, compiled)
