"""Nielsen's network with 30 hidden neurons, ten perceptrons and their mean, the nearest class mean, a Gaussian kernel."""

from common import config, descend, mnist, network, over, record, torch

SETTINGS = config("nielsen-digits")
TRAIN, TEST = mnist(8000, 2000)


@torch.no_grad()
def normal(layer):
    """Nielsen's start: weights and biases from the standard normal distribution."""
    layer.weight.normal_()
    layer.bias.normal_()


def quadratic(net, x, y):
    return (net(x) - torch.nn.functional.one_hot(y, 10)).square().sum() / (2 * len(x))


@torch.no_grad()
def share(scores):
    return (scores.argmax(1) == TEST[1]).float().mean().item()


def epochs(seed):
    """Test accuracy after each pass."""
    torch.manual_seed(seed)
    net = network([784, 30, 10], torch.nn.Sigmoid, normal).append(torch.nn.Sigmoid())
    read = []
    descend(
        net,
        *TRAIN,
        seed,
        SETTINGS["epochs"],
        batch=SETTINGS["batch_size"],
        rate=SETTINGS["learning_rate"],
        momentum=0.0,
        loss=quadratic,
        after=lambda _, __: read.append(share(net(TEST[0]))) or True,
    )
    return read


@torch.no_grad()
def perceptrons(seed):
    """The last weights and the mean of the weights after every example, judged on the test images."""
    order = torch.Generator().manual_seed(seed)
    x = torch.cat([TRAIN[0], torch.ones(len(TRAIN[0]), 1)], 1)
    weights, late, seen = torch.zeros(10, 785), torch.zeros(10, 785), 0
    for _ in range(SETTINGS["perceptron_epochs"]):
        for row in torch.randperm(len(x), generator=order).tolist():
            label, answer = TRAIN[1][row], (weights @ x[row]).argmax()
            if label != answer:
                for which, sign in ((label, 1.0), (answer, -1.0)):
                    weights[which] += sign * x[row]
                    late[which] += sign * seen * x[row]
            seen += 1
    test = torch.cat([TEST[0], torch.ones(len(TEST[0]), 1)], 1)
    return share(test @ weights.T), share(test @ (weights - late / seen).T)


def nearest_mean():
    means = torch.stack([TRAIN[0][TRAIN[1] == digit].mean(0) for digit in range(10)])
    return share(-torch.cdist(TEST[0], means))


@torch.no_grad()
def gaussian(train, test, length):
    """Ridge regression with a Gaussian kernel of this length and the penalty 0.1: one weight for each picture and class."""
    (x, y), (new_x, new_y) = train, test
    kernel = lambda a, b: torch.cdist(a.double(), b.double()).square_().mul_(-0.5 / length**2).exp_()
    matrix = kernel(x, x)
    matrix.diagonal().add_(0.1)
    targets = torch.nn.functional.one_hot(y, 10).double() - 0.1
    weights = torch.cholesky_solve(targets, torch.linalg.cholesky(matrix))
    return ((kernel(new_x, x) @ weights).argmax(1) == new_y).float().mean().item()


def best_gaussian():
    """With the length that reads most of the last thousand training digits when the others are learnt."""
    x, y = TRAIN
    first, rest = (x[:-1000], y[:-1000]), (x[-1000:], y[-1000:])
    return gaussian(TRAIN, TEST, max([4.0, 6.0, 9.0], key=lambda length: gaussian(first, rest, length)))


if __name__ == "__main__":
    seeds = range(SETTINGS["seeds"])
    read = [epochs(seed) for seed in seeds]
    last, averaged = zip(*(perceptrons(seed) for seed in seeds))
    values = {
        "first_epoch": over(run[0] for run in read),
        "last_epoch": over(run[-1] for run in read),
        "last_perceptron": over(last),
        "averaged_perceptron": over(averaged),
        "nearest_mean": over([nearest_mean()]),
        "gaussian_kernel": over([best_gaussian()]),
    }
    record(__file__, values)
