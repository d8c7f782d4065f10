"""Ten layers from PyTorch's default start, He's and Glorot's."""

from common import accuracy, config, descend, glorot, he, mnist, network, over, record, torch

SETTINGS = config("start-at-depth")
DEPTH, WIDTH = 10, 100


def run(seed, activation, start):
    (x, y), test = mnist(SETTINGS["train_images"], SETTINGS["test_images"])
    torch.manual_seed(seed)
    net = network([784] + [WIDTH] * (DEPTH - 1) + [10], activation, start)
    descend(net, x, y, seed, 2, rate=0.02)
    return accuracy(net, *test)


if __name__ == "__main__":
    kinds = {
        "relu_default": (torch.nn.ReLU, None),
        "relu_he": (torch.nn.ReLU, he),
        "tanh_glorot": (torch.nn.Tanh, glorot),
        "sigmoid_glorot": (torch.nn.Sigmoid, glorot),
    }
    seeds = range(SETTINGS["seeds"])
    record(__file__, {name: over(run(seed, *kind) for seed in seeds) for name, kind in kinds.items()})
