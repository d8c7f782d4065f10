"""A learning rate of 1 with momentum, with and without a bound on the gradient's length."""

from common import accuracy, config, cross_entropy, mnist, network, over, record, torch

SETTINGS = config("gradient-clipping")


def run(seed, bound):
    (x, y), test = mnist(SETTINGS["images"], 2000)
    torch.manual_seed(seed)
    net = network([784, 64, 64, 10])
    optimizer = torch.optim.SGD(net.parameters(), 1.0, 0.9)
    order = torch.Generator().manual_seed(1000 + seed)
    for _ in range(SETTINGS["epochs"]):
        for rows in torch.randperm(len(x), generator=order).split(64):
            loss = cross_entropy(net, x[rows], y[rows])
            if not loss.isfinite():
                return 0.1  # counts as a guess
            optimizer.zero_grad()
            loss.backward()
            if bound:
                torch.nn.utils.clip_grad_norm_(net.parameters(), bound)
            optimizer.step()
    return accuracy(net, *test) / 100


if __name__ == "__main__":
    seeds = range(SETTINGS["seeds"])
    record(__file__, {
        "free": over(run(seed, None) for seed in seeds),
        "clipped": over(run(seed, 0.25) for seed in seeds),
    })
