"""One network on five hundred digits with one regulariser at a time."""

from common import accuracy, config, cross_entropy, descend, F, he, mnist, network, over, record, torch

SETTINGS = config("regulariser-league")
EPSILON = 0.1  # of the attack
ENSEMBLE = 5


def attacked(net, x, y, is_cut):
    """Each pixel moved by ε to where the loss grows; `is_cut` puts the result back between black and white."""
    x = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(cross_entropy(net, x, y), x)
    moved = (x + EPSILON * gradient.sign()).detach()
    return moved.clamp(0, 1) if is_cut else moved


def shifted(net, x, y):
    """Each image moved by up to two pixels, black comes in."""
    wide = F.pad(x.reshape(-1, 28, 28), (2, 2, 2, 2))
    places = torch.randint(5, (len(x), 2)).tolist()
    moved = [image[a : a + 28, b : b + 28].reshape(784) for image, (a, b) in zip(wide, places)]
    return cross_entropy(net, torch.stack(moved), y)


def mixed(net, x, y):
    share = torch.distributions.Beta(0.4, 0.4).sample()
    other = torch.randperm(len(x))
    targets = F.one_hot(y, 10).float()
    targets = share * targets + (1 - share) * targets[other]
    return F.cross_entropy(net(share * x + (1 - share) * x[other]), targets)


def adversarial(is_cut):
    def loss(net, x, y):
        return (cross_entropy(net, x, y) + cross_entropy(net, attacked(net, x, y, is_cut), y)) / 2

    return loss


def fit(seed, kind):
    (x, y), _ = mnist(SETTINGS["train_images"], SETTINGS["test_images"])
    torch.manual_seed(seed)
    net = network([784, SETTINGS["hidden"], 10], start=he)
    loss, before = cross_entropy, None
    if kind == "dropout":
        net.insert(2, torch.nn.Dropout(0.5))
    elif kind == "batch_norm":
        net.insert(1, torch.nn.BatchNorm1d(SETTINGS["hidden"]))
    elif kind == "l1":
        weights = [layer.weight for layer in net if isinstance(layer, torch.nn.Linear)]

        @torch.no_grad()
        def before():
            # the proximal step: threshold 0.0003 times the learning rate over 1 - momentum
            for w in weights:
                w.copy_(F.softshrink(w, 0.0003 * 0.5))

    else:
        loss = {
            "shifts": shifted,
            "mixup": mixed,
            "adversarial": adversarial(False),
            "adversarial_cut": adversarial(True),
        }.get(kind, cross_entropy)
    descend(net, x, y, seed, SETTINGS["epochs"], loss=loss, before=before)
    return net.eval()


def ensemble_error(seed):
    nets = [fit(100 * (seed + 1) + member, "none") for member in range(ENSEMBLE)]
    _, test = mnist(SETTINGS["train_images"], SETTINGS["test_images"])
    return 100 - accuracy(lambda x: sum(net(x).softmax(1) for net in nets), *test)


if __name__ == "__main__":
    _, test = mnist(SETTINGS["train_images"], SETTINGS["test_images"])
    seeds = range(SETTINGS["seeds"])
    kinds = ["none", "dropout", "shifts", "mixup", "l1", "batch_norm", "adversarial", "adversarial_cut"]
    nets = {kind: [fit(seed, kind) for seed in seeds] for kind in kinds}
    errors = {kind: [100 - accuracy(net, *test) for net in of_kind] for kind, of_kind in nets.items()}
    errors["ensemble"] = [ensemble_error(seed) for seed in seeds]
    values = {"error_none": over(errors["none"])}
    for kind in errors:
        if kind != "none":
            values[f"gain_{kind}"] = over(a - b for a, b in zip(errors["none"], errors[kind]))
    for kind, is_cut in [("none", False), ("none", True), ("adversarial", False), ("adversarial_cut", True)]:
        name = f"robust_{kind}" + ("_cut" if is_cut and kind == "none" else "")
        values[name] = over(accuracy(net, attacked(net, *test, is_cut), test[1]) for net in nets[kind])
    record(__file__, values)
