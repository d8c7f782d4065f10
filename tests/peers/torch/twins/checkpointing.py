"""Forward steps of a chain that keeps one state for each of sixteen segments, by PyTorch's `checkpoint_sequential`."""

from common import config, over, record, torch
from torch.utils.checkpoint import checkpoint_sequential

SETTINGS = config("checkpointing")


class Layer(torch.nn.Linear):
    """tanh(W a), which counts how often it is computed."""

    steps = 0

    def forward(self, a):
        Layer.steps += 1
        return super().forward(a).tanh()


def gradient(chain, x, segments):
    """Its entries and the forward steps that it took; without segments everything is kept."""
    x, Layer.steps = x.clone().requires_grad_(), 0
    end = checkpoint_sequential(chain, segments, x, use_reentrant=False) if segments else chain(x)
    end.square().sum().backward()
    return x.grad, Layer.steps


if __name__ == "__main__":
    torch.manual_seed(0)
    count = SETTINGS["layers"]
    chain = torch.nn.Sequential(*(Layer(8, 8, dtype=torch.double) for _ in range(count)))
    x = torch.randn(1, 8, dtype=torch.double)
    kept, all_steps = gradient(chain, x, None)
    again, steps = gradient(chain, x, round(count**0.5))
    values = {
        "kept_steps": over([all_steps]),
        "segment_steps": over([steps]),
        "difference": over([(kept - again).abs().max().item()]),
    }
    record(__file__, values)
