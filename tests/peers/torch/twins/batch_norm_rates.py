"""Three hidden layers with and without batch normalisation at the smallest and the largest learning rate."""

from common import accuracy, config, descend, mnist, network, over, record, torch

SETTINGS = config("batch-norm-rates")


def run(seed, rate, is_normed):
    (x, y), test = mnist(SETTINGS["train_images"], SETTINGS["test_images"])
    torch.manual_seed(seed)
    net = network([784, 100, 100, 100, 10])
    if is_normed:
        for place in (5, 3, 1):
            net.insert(place, torch.nn.BatchNorm1d(100))
    descend(net, x, y, seed, SETTINGS["epochs"], rate=rate, momentum=0)
    return accuracy(net.eval(), *test)


if __name__ == "__main__":
    seeds, values = range(SETTINGS["seeds"]), {}
    for name, rate in [("slow", 0.01), ("fast", 3.0)]:
        values[f"plain_{name}"] = over(run(seed, rate, False) for seed in seeds)
        values[f"normed_{name}"] = over(run(seed, rate, True) for seed in seeds)
    record(__file__, values)
