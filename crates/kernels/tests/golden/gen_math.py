"""Elementary functions at chosen points, from their series in 60-digit decimal arithmetic: math.json.

    python gen_math.py [--out DIR]

Each value is the double nearest to the true one. Needs nothing but Python.
"""
import argparse, json, os, random
from decimal import Decimal as D, getcontext

getcontext().prec = 60
parser = argparse.ArgumentParser()
parser.add_argument("--out", default=os.path.dirname(os.path.abspath(__file__)))
OUT = parser.parse_args().out

PI = D("3.14159265358979323846264338327950288419716939937510582097494459")


def series(first, ratio):
    """first * (1 + ratio(1) + ratio(1) ratio(2) + ...) until the terms vanish."""
    total, term, n = first, first, 0
    while abs(term) > abs(total) * D(10) ** -58:
        n += 1
        term *= ratio(n)
        total += term
    return total


def expm1(x):
    return x.exp() - 1 if abs(x) > D("0.1") else (x * 0 if x == 0 else series(x, lambda n: x / (n + 1)))


def tanh(x):
    t = expm1(-2 * abs(x))
    y = -t / (2 + t)
    return y if x >= 0 else -y


def normal(x):
    """Phi(x) = 1/2 + phi(x) (x + x^3/3 + x^5/15 + ...); 60 digits outlast the cancellation down to x = -8."""
    if x == 0:
        return D("0.5")
    density = (-x * x / 2).exp() / (2 * PI).sqrt()
    return D("0.5") + density * series(x, lambda n: x * x / (2 * n + 1))


def sin_turns(u):
    x = 2 * PI * (u if u <= D("0.5") else u - 1)
    return D(0) if x == 0 else series(x, lambda n: -x * x / ((2 * n) * (2 * n + 1)))


def cos_turns(u):
    x = 2 * PI * (u if u <= D("0.5") else u - 1)
    return series(D(1), lambda n: -x * x / ((2 * n - 1) * (2 * n)))


rng = random.Random(2026)
near = [s * 10.0**e for e in range(-12, 0, 2) for s in (-1, 1)]
span = lambda low, high, n=40: [rng.uniform(low, high) for _ in range(n)]
functions = dict(
    exp=(lambda x: x.exp(), near + span(-700, 700) + span(-2, 2) + [-744.0, -720.5, 709.5]),
    expm1=(expm1, near + span(-40, 40) + span(-2, 2) + [100.0, 709.5]),
    tanh=(tanh, near + span(-20, 20) + span(-2, 2)),
    sigmoid=(lambda x: 1 / (1 + (-x).exp()), near + span(-40, 40) + span(-4, 4) + [-700.0, -740.0]),
    ln=(lambda x: x.ln(), [abs(x) for x in near] + span(0.4, 2.5) + [10.0**e for e in range(-308, 309, 44)] + [5e-324, 1e-310]),
    ln_1p=(lambda x: D(0) if x == 0 else (1 + x).ln(), [abs(x) for x in near] + span(0, 1) + [0.0, 1.0]),
    normal=(normal, near + span(-8, 8) + span(-1.5, 1.5) + [0.0]),
    sin_turns=(sin_turns, span(0, 1) + [i / 8 for i in range(9)]),
    cos_turns=(cos_turns, span(0, 1) + [i / 8 for i in range(9)]),
)
out = {name: [[x, float(f(D(x)))] for x in xs] for name, (f, xs) in functions.items()}
with open(os.path.join(OUT, "math.json"), "w") as file:
    json.dump(out, file, separators=(",", ":"))
