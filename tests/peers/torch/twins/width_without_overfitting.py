"""Test errors of 16 and of 1024 hidden units that read every training image."""

from common import accuracy, config, descend, he, mnist, network, over, record, torch

SETTINGS = config("width-without-overfitting")
FITTED = 0.005  # mean loss of an epoch at which training ends


def run(seed, hidden):
    (x, y), test = mnist(SETTINGS["train_images"], SETTINGS["test_images"])
    torch.manual_seed(seed)
    net = network([784, hidden, 10], start=he)
    descend(net, x, y, seed, SETTINGS["epochs"], after=lambda _, loss: loss > FITTED)
    return 100 - accuracy(net, *test)


if __name__ == "__main__":
    seeds = range(SETTINGS["seeds"])
    widths = [16, 4 ** SETTINGS["powers"]]
    record(__file__, {f"error_{hidden}": over(run(seed, hidden) for seed in seeds) for hidden in widths})
