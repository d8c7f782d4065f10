"""Parameters and multiply-adds of the networks of `convnets::counts`, counted from the papers' tables.

Usage: gen_counts.py OUT_DIR

Standard library only, and none of our plans: each network is written down once more, layer by layer, and a layer adds its
own numbers. Multiply-adds are those of convolutions and linear layers for one image, without biases.
"""
import json
import sys


class Net:
    """A map of `c` channels, `h` by `h`, and what was spent to get there."""

    def __init__(self, c, h):
        self.c, self.h, self.params, self.macs = c, h, 0, 0

    def conv(self, o, k, s=1, p=0, bias=True, norm=False, groups=1):
        kh, kw = k if isinstance(k, tuple) else (k, k)
        ph, pw = p if isinstance(p, tuple) else (p, p)
        h, w = (self.h + 2 * ph - kh) // s + 1, (self.h + 2 * pw - kw) // s + 1
        assert h == w
        weights = o * (self.c // groups) * kh * kw
        self.params += weights + (o if bias else 0) + (2 * o if norm else 0)
        self.macs += weights * h * w
        self.c, self.h = o, h
        return self

    def bn(self, o, k, s=1, p=0):
        return self.conv(o, k, s, p, bias=False, norm=True)

    def row(self, o, k):
        return self.bn(o, (1, k), 1, (0, k // 2))

    def column(self, o, k):
        return self.bn(o, (k, 1), 1, (k // 2, 0))

    def pool(self, k, s, p=0, ceil=False):
        steps = self.h + 2 * p - k
        self.h = (-(-steps // s) if ceil else steps // s) + 1
        return self

    def up(self, o):
        """A transposed convolution of 2 by 2, stride 2."""
        self.params += self.c * o * 4 + o
        self.macs += self.c * o * 4 * self.h * self.h
        self.c, self.h = o, 2 * self.h
        return self

    def mean(self):
        self.h = 1
        return self

    def linear(self, o):
        n = self.c * self.h * self.h
        self.params += n * o + o
        self.macs += n * o
        self.c, self.h = o, 1
        return self

    def extra(self, params, macs):
        self.params += params
        self.macs += macs
        return self

    def beside(self, *branches):
        ends = []
        for branch in branches:
            end = Net(self.c, self.h)
            branch(end)
            self.extra(end.params, end.macs)
            ends.append(end)
        assert len({end.h for end in ends}) == 1
        self.c, self.h = sum(end.c for end in ends), ends[0].h
        return self

    def added(self, branch, shortcut=lambda x: x):
        """Branch and shortcut, whose shapes must agree."""
        main, side = Net(self.c, self.h), Net(self.c, self.h)
        branch(main)
        shortcut(side)
        assert (main.c, main.h) == (side.c, side.h)
        self.extra(main.params + side.params, main.macs + side.macs)
        self.c, self.h = main.c, main.h
        return self


def lenet5():
    net = Net(1, 32).conv(6, 5).pool(2, 2).conv(16, 5).pool(2, 2)
    return net.linear(120).linear(84).linear(10)


def lenet5_1998():
    # C3 has 60 kernels of 25 weights on 10 by 10 places; S2 and S4 two numbers for each map.
    net = Net(1, 32).conv(6, 5).pool(2, 2).extra(2 * 6, 0)
    net.extra(60 * 25 + 16, 60 * 25 * 100).c, net.h = 16, 10
    return net.pool(2, 2).extra(2 * 16, 0).conv(120, 5).linear(84)


def vgg(layers, norm=False):
    net = Net(3, 224)
    for width, times in zip([64, 128, 256, 512, 512], layers):
        for _ in range(times):
            net.conv(width, 3, 1, 1, norm=norm)
        net.pool(2, 2)
    return net.linear(4096).linear(4096).linear(1000)


def googlenet():
    net = Net(3, 224).conv(64, 7, 2, 3).pool(3, 2, ceil=True).conv(64, 1).conv(192, 3, 1, 1).pool(3, 2, ceil=True)
    table = [
        (64, 96, 128, 16, 32, 32), (128, 128, 192, 32, 96, 64), None,
        (192, 96, 208, 16, 48, 64), (160, 112, 224, 24, 64, 64), (128, 128, 256, 24, 64, 64),
        (112, 144, 288, 32, 64, 64), (256, 160, 320, 32, 128, 128), None,
        (256, 160, 320, 32, 128, 128), (384, 192, 384, 48, 128, 128),
    ]  # fmt: skip
    for row in table:
        if row is None:
            net.pool(3, 2, ceil=True)
            continue
        a, b, c, d, f, g = row
        net.beside(
            lambda x: x.conv(a, 1),
            lambda x: x.conv(b, 1).conv(c, 3, 1, 1),
            lambda x: x.conv(d, 1).conv(f, 5, 1, 2),
            lambda x: x.pool(3, 1, 1).conv(g, 1),
        )
    assert (net.c, net.h) == (1024, 7)
    return net.mean().linear(1000)


def stem_v3(net):
    return net.bn(32, 3, 2).bn(32, 3).bn(64, 3, 1, 1).pool(3, 2).bn(80, 1).bn(192, 3)


def reduction(net, k, l, m, n):
    return net.beside(
        lambda x: x.bn(n, 3, 2), lambda x: x.bn(k, 1).bn(l, 3, 1, 1).bn(m, 3, 2), lambda x: x.pool(3, 2)
    )


def inception_v4():
    net = Net(3, 299).bn(32, 3, 2).bn(32, 3).bn(64, 3, 1, 1)
    net.beside(lambda x: x.pool(3, 2), lambda x: x.bn(96, 3, 2))
    net.beside(lambda x: x.bn(64, 1).bn(96, 3), lambda x: x.bn(64, 1).row(64, 7).column(64, 7).bn(96, 3))
    net.beside(lambda x: x.bn(192, 3, 2), lambda x: x.pool(3, 2))
    assert (net.c, net.h) == (384, 35)
    for _ in range(4):
        net.beside(
            lambda x: x.bn(96, 1),
            lambda x: x.bn(64, 1).bn(96, 3, 1, 1),
            lambda x: x.bn(64, 1).bn(96, 3, 1, 1).bn(96, 3, 1, 1),
            lambda x: x.pool(3, 1, 1).bn(96, 1),
        )
    reduction(net, 192, 224, 256, 384)
    assert (net.c, net.h) == (1024, 17)
    for _ in range(7):
        net.beside(
            lambda x: x.bn(384, 1),
            lambda x: x.bn(192, 1).row(224, 7).column(256, 7),
            lambda x: x.bn(192, 1).column(192, 7).row(224, 7).column(224, 7).row(256, 7),
            lambda x: x.pool(3, 1, 1).bn(128, 1),
        )
    net.beside(
        lambda x: x.bn(192, 1).bn(192, 3, 2),
        lambda x: x.bn(256, 1).row(256, 7).column(320, 7).bn(320, 3, 2),
        lambda x: x.pool(3, 2),
    )
    assert (net.c, net.h) == (1536, 8)
    ends = (lambda x: x.row(256, 3), lambda x: x.column(256, 3))
    for _ in range(3):
        net.beside(
            lambda x: x.bn(256, 1),
            lambda x: x.bn(384, 1).beside(*ends),
            lambda x: x.bn(384, 1).column(448, 3).row(512, 3).beside(*ends),
            lambda x: x.pool(3, 1, 1).bn(256, 1),
        )
    return net.mean().linear(1000)


def residual_a(net, a, m, n):
    c = net.c
    return net.added(
        lambda x: x.beside(
            lambda y: y.bn(a, 1),
            lambda y: y.bn(a, 1).bn(a, 3, 1, 1),
            lambda y: y.bn(a, 1).bn(m, 3, 1, 1).bn(n, 3, 1, 1),
        ).conv(c, 1)
    )


def residual_bc(net, k, a, r, m, n):
    c = net.c
    return net.added(
        lambda x: x.beside(lambda y: y.bn(a, 1), lambda y: y.bn(r, 1).row(m, k).column(n, k)).conv(c, 1)
    )


def residual_reduction(net, a, b, c):
    return net.beside(
        lambda x: x.bn(256, 1).bn(a, 3, 2),
        lambda x: x.bn(256, 1).bn(b, 3, 2),
        lambda x: x.bn(256, 1).bn(b, 3, 1, 1).bn(c, 3, 2),
        lambda x: x.pool(3, 2),
    )


def inception_resnet_v1():
    net = stem_v3(Net(3, 299)).bn(256, 3, 2)
    assert (net.c, net.h) == (256, 35)
    for _ in range(5):
        residual_a(net, 32, 32, 32)
    reduction(net, 192, 192, 256, 384)
    assert (net.c, net.h) == (896, 17)
    for _ in range(10):
        residual_bc(net, 7, 128, 128, 128, 128)
    residual_reduction(net, 384, 256, 256)
    assert (net.c, net.h) == (1792, 8)
    for _ in range(5):
        residual_bc(net, 3, 192, 192, 192, 192)
    return net.mean().linear(1000)


def inception_resnet_v2():
    net = stem_v3(Net(3, 299)).pool(3, 2)
    net.beside(
        lambda x: x.bn(96, 1),
        lambda x: x.bn(48, 1).bn(64, 5, 1, 2),
        lambda x: x.bn(64, 1).bn(96, 3, 1, 1).bn(96, 3, 1, 1),
        lambda x: x.pool(3, 1, 1).bn(64, 1),
    )
    assert (net.c, net.h) == (320, 35)
    for _ in range(10):
        residual_a(net, 32, 48, 64)
    reduction(net, 256, 256, 384, 384)
    assert (net.c, net.h) == (1088, 17)
    for _ in range(20):
        residual_bc(net, 7, 192, 128, 160, 192)
    residual_reduction(net, 384, 288, 320)
    assert (net.c, net.h) == (2080, 8)
    for _ in range(10):
        residual_bc(net, 3, 192, 192, 224, 256)
    return net.bn(1536, 1).mean().linear(1000)


def resnet(blocks, is_bottleneck, stride_first=False, width=1, groups=1):
    net = Net(3, 224).bn(64, 7, 2, 3).pool(3, 2, 1)
    for stage, times in enumerate(blocks):
        inner = 64 * width * 2**stage
        outer = 256 * 2**stage if is_bottleneck else inner
        for block in range(times):
            stride = 2 if stage > 0 and block == 0 else 1

            def branch(x):
                if not is_bottleneck:
                    return x.bn(inner, 3, stride, 1).bn(inner, 3, 1, 1)
                first, second = (stride, 1) if stride_first else (1, stride)
                x.bn(inner, 1, first).conv(inner, 3, second, 1, bias=False, norm=True, groups=groups)
                return x.bn(outer, 1)

            shape_stays = net.c == outer and stride == 1
            net.added(branch, (lambda x: x) if shape_stays else (lambda x: x.bn(outer, 1, stride)))
    return net.mean().linear(1000)


def cifar(n, option, widths=(16, 32, 64), channels=3, size=32, shortcuts=True):
    net = Net(channels, size).bn(widths[0], 3, 1, 1)
    for width in widths:
        for block in range(n):
            stride = 2 if width > widths[0] and block == 0 else 1

            def shortcut(x):
                if option == "C" or (option == "B" and x.c != width):
                    return x.bn(width, 1, stride)
                x.c, x.h = width, -(-x.h // stride)  # option A: every second pixel, zeros behind
                return x

            net.added(lambda x: x.bn(width, 3, stride, 1).bn(width, 3, 1, 1), shortcut)
    return net.mean().linear(10)


def unet(channels, classes, size, widths):
    def level(x, depth):
        width = widths[depth]
        x.conv(width, 3).conv(width, 3)
        if depth + 1 < len(widths):
            x.pool(2, 2)
            level(x, depth + 1)
            x.up(width)
            x.c = 2 * width  # beside what was seen on the way down
            x.conv(width, 3).conv(width, 3)

    net = Net(channels, size)
    level(net, 0)
    return net.conv(classes, 1)


def vgg_mini():
    net = Net(1, 28)
    for width in [16, 32]:
        net.conv(width, 3, 1, 1, norm=True).conv(width, 3, 1, 1, norm=True).pool(2, 2)
    return net.linear(10)


NETWORKS = {
    "lenet5": lenet5,
    "lenet5_1998": lenet5_1998,
    "vgg11": lambda: vgg([1, 1, 2, 2, 2]),
    "vgg13": lambda: vgg([2, 2, 2, 2, 2]),
    "vgg16": lambda: vgg([2, 2, 3, 3, 3]),
    "vgg16_bn": lambda: vgg([2, 2, 3, 3, 3], norm=True),
    "vgg19": lambda: vgg([2, 2, 4, 4, 4]),
    "googlenet_paper": googlenet,
    "inception_v4": inception_v4,
    "inception_resnet_v1": inception_resnet_v1,
    "inception_resnet_v2": inception_resnet_v2,
    "resnet18": lambda: resnet([2, 2, 2, 2], False),
    "resnet34": lambda: resnet([3, 4, 6, 3], False),
    "resnet50": lambda: resnet([3, 4, 6, 3], True),
    "resnet101": lambda: resnet([3, 4, 23, 3], True),
    "resnet152": lambda: resnet([3, 8, 36, 3], True),
    "resnet50_original": lambda: resnet([3, 4, 6, 3], True, stride_first=True),
    "resnet101_original": lambda: resnet([3, 4, 23, 3], True, stride_first=True),
    "resnet152_original": lambda: resnet([3, 8, 36, 3], True, stride_first=True),
    "resnext50_32x4d": lambda: resnet([3, 4, 6, 3], True, width=2, groups=32),
    "unet": lambda: unet(1, 2, 572, [64, 128, 256, 512, 1024]),
    "unet_one_class": lambda: unet(1, 1, 572, [64, 128, 256, 512, 1024]),
    "unet_colour": lambda: unet(3, 2, 572, [64, 128, 256, 512, 1024]),
    "small_unet": lambda: unet(1, 2, 104, [8, 16, 32]),
    "vgg_mini": vgg_mini,
    "small_resnet_20": lambda: cifar(3, "A", (6, 12, 24), 1, 14),
    "small_resnet_56": lambda: cifar(9, "A", (6, 12, 24), 1, 14),
    **{
        f"cifar_{option}_{6 * n + 2}": (lambda n=n, option=option: cifar(n, option))
        for option in "ABC"
        for n in [3, 5, 7, 9, 18, 200]
    },
}


def main(out):
    counts = {}
    for name, build in NETWORKS.items():
        net = build()
        counts[name] = {"params": net.params, "macs": net.macs, "output": [net.c, net.h]}
    with open(f"{out}/counts.json", "w") as file:
        json.dump({"source": "counted by hand in gen_counts.py", "networks": counts}, file, indent=1)
        file.write("\n")


main(sys.argv[1])
