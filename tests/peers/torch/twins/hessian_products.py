"""Hessian times vector by PyTorch's double backward and forward over reverse, and by differences of its gradients."""

from common import F, config, idx, network, over, record, torch
from torch.func import functional_call, grad, jvp

SETTINGS = config("hessian-products")
X = idx("digits-images")[: SETTINGS["batch"]].reshape(-1, 64).double() / 16
Y = idx("digits-labels")[: SETTINGS["batch"]].long()


def run(seed):
    """Difference between the two exact routes, the best difference quotient, and the power of ten of its step."""
    torch.manual_seed(seed)
    net = network([64, 20, 10], torch.nn.Tanh).double()
    w = {name: value.detach() for name, value in net.named_parameters()}
    v = {name: torch.randn_like(value) for name, value in w.items()}
    gradient = grad(lambda w: F.cross_entropy(functional_call(net, w, (X,)), Y))
    flat = lambda parts: torch.cat([part.flatten() for part in parts.values()])
    backward = flat(grad(lambda w: flat(gradient(w)) @ flat(v))(w))
    forward = flat(jvp(gradient, (w,), (v,))[1])
    off = lambda got: ((got - backward).abs().max() / backward.abs().max()).item()
    unit, quotients = (1 + flat(w).norm()) / flat(v).norm(), {}
    for power in range(-10, 0):
        step = 10.0**power * unit
        above, below = ({name: w[name] + sign * step * v[name] for name in w} for sign in (1, -1))
        quotients[power] = off((flat(gradient(above)) - flat(gradient(below))) / (2 * step))
    best = min(quotients, key=quotients.get)
    return off(forward), quotients[best], best


if __name__ == "__main__":
    exact, quotient, power = zip(*(run(seed) for seed in range(SETTINGS["seeds"])))
    values = {
        "exact": over([max(exact)]),
        "exact_is_better": over([min(quotient) / max(exact)]),
        "best_power": over(power),
    }
    record(__file__, values)
