"""The 25 operations at two sizes each, the rules of lecture 8, conjugate gradients, the sparse product and attention.

Most run forward and backward; `forward_only` says which do not. A name is OPERATION/SIZE.
"""

import sys

import torch
import torch.nn.functional as F

from data import fill, fingerprint, labels, uniform

CASES = {}


class Case:
    """What is timed, and what it must have computed."""

    def __init__(self, run, values):
        self.run, self.values = run, values


def case(name):
    def register(build):
        CASES[name] = build
        return build

    return register


def forward_only(name, function, *inputs):
    """Times `function(*inputs())` without a graph."""

    @case(name)
    def build():
        made = [make() for make in inputs]

        def run():
            with torch.no_grad():
                return function(*made)

        return Case(run, lambda: fingerprint("y", run()))


def both_ways(name, function, *inputs, keep=()):
    """Times `function(*inputs())` with the backward pass to every input but those in `keep`.

    The upstream gradient is the counter's with seed 9; a scalar result has the gradient one.
    """

    @case(name)
    def build():
        made = [make() for make in inputs]
        leaves = [x.requires_grad_() for i, x in enumerate(made) if i not in keep and x.is_floating_point()]
        upstream = None
        with torch.no_grad():
            y = function(*made)
        if y.dim() > 0:
            upstream = uniform(9, *y.shape)

        def run():
            for leaf in leaves:
                leaf.grad = None
            y = function(*made)
            y.backward(upstream)
            return y

        def values():
            found = fingerprint("y", run())
            for i, leaf in enumerate(leaves):
                found |= fingerprint(f"d{i}", leaf.grad)
            return found

        return Case(run, values)


def u(seed, *shape, bound=1.0):
    return lambda: uniform(seed, *shape, bound=bound)


def weight(seed, *shape):
    """Uniform in +-1/sqrt(fan in)."""
    fan_in = 1
    for n in shape[1:]:
        fan_in *= n
    return lambda: uniform(seed, *shape, bound=fan_in**-0.5)


for size, n in [("10k", 10_000), ("1m", 1_000_000)]:
    forward_only(f"exp/{size}", torch.exp, u(1, n, bound=4.0))
    both_ways(f"tanh/{size}", torch.tanh, u(1, n, bound=4.0))
    both_ways(f"gelu/{size}", F.gelu, u(1, n, bound=4.0))
    forward_only(f"sum-all/{size}", torch.sum, u(1, n))
    both_ways(
        f"bce-with-logits/{size}",
        lambda x, p: F.binary_cross_entropy_with_logits(x, p),
        u(1, n, bound=4.0),
        lambda n=n: uniform(2, n).abs(),
        keep=(1,),
    )

for size, (rows, cols) in [("100x100", (100, 100)), ("1000x1000", (1000, 1000))]:
    both_ways(f"add-row/{size}", torch.add, u(1, rows, cols), u(2, cols))
    forward_only(f"sum-rows/{size}", lambda x: x.sum(0), u(1, rows, cols))
    forward_only(f"variance/{size}", lambda x: x.var(1, correction=0), u(1, rows, cols))
    both_ways(f"logsumexp/{size}", lambda x: x.logsumexp(1), u(1, rows, cols, bound=4.0))
    forward_only(f"argmax/{size}", lambda x: x.argmax(1), u(1, rows, cols))

for rows, cols in [(2048, 64), (1000, 1000)]:
    both_ways(f"softmax/{rows}x{cols}", lambda x: x.softmax(1), u(1, rows, cols, bound=4.0))
for rows, classes in [(128, 10), (1024, 1000)]:
    both_ways(
        f"cross-entropy/{rows}x{classes}",
        F.cross_entropy,
        u(1, rows, classes, bound=4.0),
        lambda rows=rows, classes=classes: labels(2, rows, classes),
    )

for n in (128, 512):
    forward_only(f"matmul/{n}", torch.matmul, u(1, n, n), u(2, n, n))
for b, m, k, n in [(32, 64, 32, 64), (128, 64, 64, 64)]:
    both_ways(f"matmul-batched/{b}x{m}x{k}x{n}", torch.matmul, u(1, b, m, k), u(2, b, k, n))
for b, i, o in [(128, 784, 512), (2048, 128, 512)]:
    both_ways(
        f"linear-relu/{b}x{i}x{o}",
        lambda x, w, b: F.linear(x, w, b).relu(),
        u(1, b, i),
        weight(2, o, i),
        u(3, o, bound=0.1),
    )
for n, f in [(128, 16), (1024, 64)]:
    both_ways(f"squared-distances/{n}x{f}", lambda x, y: torch.cdist(x, y).square(), u(1, n, f), u(2, n, f))

for b, c, s in [(32, 16, 32), (32, 64, 8)]:
    both_ways(
        f"conv3x3/{b}x{c}x{s}x{s}", lambda x, w, b: F.conv2d(x, w, b, padding=1),
        u(1, b, c, s, s), weight(2, c, c, 3, 3), u(3, c, bound=0.1),
    )
for b, c, s in [(32, 16, 32), (32, 32, 16)]:
    both_ways(
        f"conv3x3-stride2/{b}x{c}x{s}x{s}", lambda x, w, b: F.conv2d(x, w, b, stride=2, padding=1),
        u(1, b, c, s, s), weight(2, 2 * c, c, 3, 3), u(3, 2 * c, bound=0.1),
    )
for b, c, s in [(32, 16, 32), (32, 64, 16)]:
    both_ways(
        f"conv1x1/{b}x{c}x{s}x{s}", lambda x, w, b: F.conv2d(x, w, b),
        u(1, b, c, s, s), weight(2, c, c, 1, 1), u(3, c, bound=0.1),
    )
for b, c, s, o, padding in [(64, 1, 28, 6, 2), (64, 6, 14, 16, 0)]:
    both_ways(
        f"conv5x5/{b}x{c}x{s}x{s}", lambda x, w, b, padding=padding: F.conv2d(x, w, b, padding=padding),
        u(1, b, c, s, s), weight(2, o, c, 5, 5), u(3, o, bound=0.1),
    )
for b, c, s in [(32, 32, 16), (32, 64, 32)]:
    both_ways(
        f"conv3x3-depthwise/{b}x{c}x{s}x{s}", lambda x, w, b: F.conv2d(x, w, b, padding=1, groups=w.shape[0]),
        u(1, b, c, s, s), weight(2, c, 1, 3, 3), u(3, c, bound=0.1),
    )
for b, c, s in [(4, 64, 16), (4, 32, 32)]:
    both_ways(
        f"conv2x2-transposed/{b}x{c}x{s}x{s}", lambda x, w, b: F.conv_transpose2d(x, w, b, stride=2),
        u(1, b, c, s, s), weight(2, c, c // 2, 2, 2), u(3, c // 2, bound=0.1),
    )
for b, c, s in [(32, 16, 32), (32, 64, 16)]:
    both_ways(f"max-pool/{b}x{c}x{s}x{s}", lambda x: F.max_pool2d(x, 2), u(1, b, c, s, s))
for b, c, s in [(32, 16, 32), (32, 64, 8)]:
    both_ways(
        f"batch-norm-relu/{b}x{c}x{s}x{s}",
        lambda x, w, b: F.batch_norm(x, None, None, w, b, training=True).relu(),
        u(1, b, c, s, s), u(2, c), u(3, c),
    )
for rows, cols in [(128, 512), (2048, 128)]:
    both_ways(
        f"layer-norm/{rows}x{cols}", lambda x, w, b: F.layer_norm(x, w.shape, w, b),
        u(1, rows, cols), u(2, cols), u(3, cols),
    )


# With `--fused` on the command line the optimisers that have a fused form use it; these cases are all that change.
FUSED = {"fused": True} if "--fused" in sys.argv else {}
WITH_FUSED = []
HAVE_FUSED = (torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW, torch.optim.Adagrad)


def adam(size, n):
    WITH_FUSED.append(f"adam/{size}")

    @case(f"adam/{size}")
    def build():
        p = uniform(1, n).requires_grad_()
        p.grad = uniform(2, n)
        optimizer = torch.optim.Adam([p], lr=1e-3, **FUSED)

        def values():
            for _ in range(3):
                optimizer.step()
            return fingerprint("p", p)

        return Case(optimizer.step, values)


adam("10k", 10_000)
adam("1m", 1_000_000)


def update(rule, optimizer, **settings):
    """One step of a rule with its defaults and a gradient that is there, on ten thousand and on a million weights."""
    fused = FUSED if optimizer in HAVE_FUSED else {}
    for size, n in [("10k", 100), ("1m", 1000)]:
        if optimizer in HAVE_FUSED:
            WITH_FUSED.append(f"{rule}/{size}")

        @case(f"{rule}/{size}")
        def build(n=n):
            p = uniform(1, n, n).requires_grad_()
            p.grad = uniform(2, n, n)
            made = optimizer([p], **settings, **fused)

            def values():
                for _ in range(3):
                    made.step()
                return fingerprint("p", p)

            return Case(made.step, values)


update("sgd", torch.optim.SGD, lr=0.01)
update("heavy-ball", torch.optim.SGD, lr=0.01, momentum=0.9)
update("nesterov", torch.optim.SGD, lr=0.01, momentum=0.9, nesterov=True)
update("adagrad", torch.optim.Adagrad)
update("rmsprop", torch.optim.RMSprop)
update("adadelta", torch.optim.Adadelta)
update("adamw", torch.optim.AdamW)
update("amsgrad", torch.optim.Adam, amsgrad=True)
update("adamax", torch.optim.Adamax)
update("nadam", torch.optim.NAdam)
update("radam", torch.optim.RAdam)
update("rprop", torch.optim.Rprop)
update("asgd", torch.optim.ASGD)
update("adafactor", torch.optim.Adafactor)


def conjugate_gradients(n, steps=32):
    """Steps of conjugate gradients in double precision for (G G^T / n + I / 10) x = b, from zero."""

    @case(f"conjugate-gradients/{n}")
    def build():
        factor = uniform(1, n, n).double()
        matrix = factor @ factor.T / n + torch.eye(n, dtype=torch.float64) / 10
        b = uniform(2, n).double()

        @torch.no_grad()
        def run():
            x, residual, direction = torch.zeros_like(b), b.clone(), b.clone()
            square = residual.dot(residual)
            for _ in range(steps):
                image = matrix.mv(direction)
                step = square / direction.dot(image)
                x.add_(step * direction)
                residual.sub_(step * image)
                following = residual.dot(residual)
                direction.mul_(following / square).add_(residual)
                square = following
            return x

        return Case(run, lambda: fingerprint("x", run()))


conjugate_gradients(256)
conjugate_gradients(1024)


def random_graph(nodes, degree):
    """A random graph with `degree` weighted neighbours a node, one in each of as many equal parts of the nodes, in CSR."""
    part = nodes // degree
    columns = (torch.arange(degree) * part).repeat(nodes) + labels(2, degree * nodes, part)
    starts = degree * torch.arange(nodes + 1)
    return torch.sparse_csr_tensor(starts, columns, uniform(3, degree * nodes), (nodes, nodes))


def spmm(nodes, features):
    """The product of a sparse matrix and a dense one, whose gradient is computed."""

    @case(f"spmm/{10 * nodes}x{features}")
    def build():
        matrix = random_graph(nodes, 10)
        x = uniform(4, nodes, features).requires_grad_()
        upstream = uniform(9, nodes, features)

        def run():
            x.grad = None
            y = matrix @ x
            y.backward(upstream)
            return y

        return Case(run, lambda: fingerprint("y", run()) | fingerprint("d0", x.grad))


spmm(100_000, 64)


def attention(length):
    """Causal attention of 4 heads of 32 over one sequence; heads lie side by side, as a linear layer gives them."""

    def run(q, k, v):
        heads = (x.view(1, length, 4, 32).transpose(1, 2) for x in (q, k, v))
        y = F.scaled_dot_product_attention(*heads, is_causal=True)
        return y.transpose(1, 2).reshape(1, length, 128)

    both_ways(f"attention/{length}", run, u(1, 1, length, 128), u(2, 1, length, 128), u(3, 1, length, 128))


for length in (16, 64, 256, 1024, 4096):
    attention(length)


def edges(name, nodes, degree):
    """The product of a sparse matrix and one of 16 columns, without gradients."""

    @case(name)
    def build():
        matrix, x = random_graph(nodes, degree), uniform(4, nodes, 16)

        def run():
            return matrix @ x

        return Case(run, lambda: fingerprint("y", run()))


for nodes in (1_000, 10_000, 100_000, 1_000_000):
    edges(f"edges/{10 * nodes}", nodes, 10)
for degree in (1, 2, 4, 8):
    edges(f"density/{1_000_000 * degree}", 1_000_000, degree)


def growth(name, batch, width):
    """One hidden layer of tanh, forward and backward, parameters' gradients alone."""

    @case(name)
    def build():
        model = fill(torch.nn.Sequential(torch.nn.Linear(width, width), torch.nn.Tanh(), torch.nn.Linear(width, 1)))
        x = uniform(1, batch, width)

        def run():
            model.zero_grad()
            loss = model(x).square().mean()
            loss.backward()
            return loss

        def values():
            loss = run().item()
            return {"loss": loss} | fingerprint("d0", model[0].weight.grad)

        return Case(run, values)


for batch in (1, 4, 16, 64, 256, 1024, 4096):
    growth(f"batch/{batch}", batch, 64)
for width in (16, 64, 256, 1024, 4096):
    growth(f"width/{width}", 64, width)
