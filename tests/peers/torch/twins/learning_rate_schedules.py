"""A cosine, the mean of the weights of the last passes, and a warm-up, each against what it should improve."""

import math

from common import accuracy, config, cross_entropy, mnist, network, over, record, torch

SETTINGS = config("learning-rate-schedules")
BATCH = 64
SEEDS = 8  # ours has four; now and then a run at a constant rate ends far below the others
STEPS = SETTINGS["epochs"] * math.ceil(SETTINGS["images"] / BATCH)
AVERAGED = max(SETTINGS["epochs"] * 5 // 8, 1)  # passes


def cosine(base, steps):
    return lambda step: base / 2 * (1 + math.cos(math.pi * step / steps))


def warmed(base, warm):
    fall = cosine(base, STEPS - warm)
    return lambda step: base * (0.01 + 0.99 * step / warm) if step < warm else fall(step - warm)


def run(seed, schedule):
    """Share of the test images that the last weights read, and their mean over the last passes."""
    (x, y), test = mnist(SETTINGS["images"], 2000)
    torch.manual_seed(seed)
    net = network([784, 64, 64, 10])
    mean = torch.optim.swa_utils.AveragedModel(net)
    optimizer = torch.optim.SGD(net.parameters(), 0.1, 0.9)
    order, step = torch.Generator().manual_seed(1000 + seed), 0
    for epoch in range(1, SETTINGS["epochs"] + 1):
        for rows in torch.randperm(len(x), generator=order).split(BATCH):
            optimizer.param_groups[0]["lr"] = schedule(step)
            loss = cross_entropy(net, x[rows], y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            step += 1
        if epoch > SETTINGS["epochs"] - AVERAGED:
            mean.update_parameters(net)
    return accuracy(net, *test) / 100, accuracy(mean, *test) / 100


if __name__ == "__main__":
    seeds = range(SEEDS)
    last = lambda schedule: [run(seed, schedule)[0] for seed in seeds]
    gain = lambda better, worse: over(a - b for a, b in zip(better, worse))
    high = last(cosine(0.3, STEPS))
    constant, averaged = zip(*(run(seed, lambda step: 0.1) for seed in seeds))
    values = {
        "cosine_gain": gain(last(cosine(0.1, STEPS)), constant),
        "average_gain": gain(averaged, constant),
        "worst_without_warm_up": over([min(high)]),
        "warm_up_gain": gain(last(warmed(0.3, STEPS // 10)), high),
    }
    record(__file__, values)
