"""Softmax regression on the small digits: evaluations until the value is a millionth above the minimum."""

from common import config, F, idx, over, record, torch

SETTINGS = config("second-order-digits")
IMAGES, PENALTY = 1200, 1e-3


class Problem:
    def __init__(self):
        self.x, self.y = idx("digits-images").reshape(-1, 64)[:IMAGES].double() / 16, idx("digits-labels")[:IMAGES].long()
        self.w = torch.zeros(10, 64, dtype=torch.double, requires_grad=True)
        self.b = torch.zeros(10, dtype=torch.double, requires_grad=True)
        self.values = []

    def evaluate(self):
        self.w.grad = self.b.grad = None
        squares = self.w.square().sum() + self.b.square().sum()
        value = F.cross_entropy(self.x @ self.w.T + self.b, self.y) + PENALTY / 2 * squares
        value.backward()
        self.values.append(value.item())
        return value


def lbfgs():
    problem = Problem()
    options = {"max_iter": 500, "max_eval": 1000, "tolerance_grad": 1e-8, "tolerance_change": 0.0}
    optimizer = torch.optim.LBFGS([problem.w, problem.b], 1.0, history_size=10, line_search_fn="strong_wolfe", **options)
    optimizer.step(problem.evaluate)
    return problem.values


def heavy_ball(rate):
    problem = Problem()
    optimizer = torch.optim.SGD([problem.w, problem.b], rate, 0.9)
    for _ in range(SETTINGS["evaluations"]):
        problem.evaluate()
        optimizer.step()
    return problem.values


def reached(values, minimum):
    return next((i for i, value in enumerate(values, 1) if value <= minimum + 1e-6), SETTINGS["evaluations"])


if __name__ == "__main__":
    values = lbfgs()
    minimum = min(values)
    heavy = min(reached(heavy_ball(rate), minimum) for rate in [3.0, 1.0, 10.0][: SETTINGS["rates"]])
    record(__file__, {"lbfgs": over([reached(values, minimum)]), "heavy_ball": over([heavy])})
