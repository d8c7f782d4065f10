"""Quadratic cost and cross-entropy on ten sigmoid outputs, from two starts."""

from common import accuracy, config, cross_entropy, descend, F, mnist, network, over, record, torch

SETTINGS = config("learning-slowdown")


def quadratic(net, x, y):
    return (torch.sigmoid(net(x)) - F.one_hot(y, 10)).square().sum(1).mean() / 2


def binary_cross_entropy(net, x, y):
    return F.binary_cross_entropy_with_logits(net(x), F.one_hot(y, 10).float(), reduction="sum") / len(x)


def run(seed, loss, rate, is_scaled):
    (x, y), test = mnist(SETTINGS["train_images"], SETTINGS["test_images"])
    torch.manual_seed(seed)

    @torch.no_grad()
    def start(layer):
        layer.weight.normal_(0, layer.in_features**-0.5 if is_scaled else 1.0)
        layer.bias.normal_()

    net, read = network([784, 100, 10], torch.nn.Sigmoid, start), []
    after = lambda epoch, _: read.append(accuracy(net, *test)) is None
    descend(net, x, y, seed, SETTINGS["epochs"], 10, rate, 0, loss, after)
    return read


if __name__ == "__main__":
    values = {}
    for name, loss, rate in [("quadratic", quadratic, 3.0), ("cross_entropy", binary_cross_entropy, 0.5)]:
        for start in ["normal", "scaled"]:
            curves = [run(seed, loss, rate, start == "scaled") for seed in range(SETTINGS["seeds"])]
            values[f"{name}_{start}_first"] = over(curve[0] for curve in curves)
            values[f"{name}_{start}_last"] = over(curve[-1] for curve in curves)
    record(__file__, values)
