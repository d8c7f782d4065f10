"""Test losses of networks with 10 and with 100 hidden units from many starts."""

from common import config, cross_entropy, idx, mnist, network, over, record, torch

SETTINGS = config("loss-band")
SIDE = 10


def areas():
    """(10, 28): how much of each pixel lies in each area, along one axis."""
    low, pixel = torch.arange(SIDE)[:, None] * 2.8, torch.arange(28)[None]
    return (torch.minimum(low + 2.8, pixel + 1) - torch.maximum(low, pixel)).clamp(min=0) / 2.8


def run(seed, hidden, train, test):
    torch.manual_seed(seed)
    net = network([SIDE * SIDE, hidden, 10])
    optimizer = torch.optim.SGD(net.parameters(), 0.1, 0.9)
    order = iter(())
    for step in range(SETTINGS["steps"]):
        rows = next(order, None)
        if rows is None:
            order = iter(torch.randperm(len(train[0])).split(100))
            rows = next(order)
        optimizer.param_groups[0]["lr"] = 0.1 * (1 - step / SETTINGS["steps"])
        loss = cross_entropy(net, train[0][rows], train[1][rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        return cross_entropy(net, *test).item()


if __name__ == "__main__":
    images, labels = idx("mnist-images").float() / 255, idx("mnist-labels").long()
    small = (areas() @ images @ areas().T).reshape(-1, SIDE * SIDE)
    part = lambda start, count: (small[start : start + count], labels[start : start + count])
    train, test = part(0, SETTINGS["images"]), part(4000, SETTINGS["test_images"])
    values = {}
    for hidden in (10, 100):
        values[f"test_loss_{hidden}"] = over(run(seed, hidden, train, test) for seed in range(SETTINGS["networks"]))
    record(__file__, values)
