"""AMSGrad, as in the paper, on the random losses on which Adam goes to the wrong end: plain Python, no PyTorch."""

import random

from common import config, over, record

SETTINGS = config("adam-counterexample")
BETA1, BETA2, EPSILON = 0.9, 0.99, 1e-8


def amsgrad(seed):
    draw, x, m, v, largest = random.Random(seed).random, 0.0, 0.0, 0.0, 0.0
    for t in range(1, SETTINGS["random_steps"] + 1):
        slope = 1010.0 if draw() < 0.01 else -10.0
        m += (1 - BETA1) * (slope - m)
        v += (1 - BETA2) * (slope * slope - v)
        largest = max(largest, v)
        x -= SETTINGS["learning_rate"] / t**0.5 * m / (largest**0.5 + EPSILON)
        x = min(max(x, -1.0), 1.0)
    return x


if __name__ == "__main__":
    record(__file__, {"amsgrad_end": over(amsgrad(seed) for seed in range(SETTINGS["seeds"]))})
