"""Golden values of the layers on graphs, from PyTorch Geometric in f64: gen_graph_layers.py OUT_DIR

Each run has the weights one after the other (in the order of our layer: weight (O, I), bias; weight_self, weight_near,
bias), the output y, and the gradients of sum(y * gy): gx of the features x, gw of the weights. The graph is undirected,
its node 6 alone. PyTorch 2.15, PyTorch Geometric 2.8."""
import json
import sys

import torch
from torch_geometric.nn import GCNConv, SAGEConv, global_add_pool, global_max_pool, global_mean_pool

torch.set_num_threads(1)
torch.set_default_dtype(torch.float64)
torch.manual_seed(21)
EDGES = [(0, 1), (0, 2), (1, 2), (2, 3), (3, 4), (4, 5), (3, 5), (0, 5)]
NODES, INPUTS = 7, 3
index = torch.tensor([e for a, b in EDGES for e in ((a, b), (b, a))]).T


def draw(*shape):
    return (torch.randn(shape) * 1000).round() / 1000


def numbers(t):
    return [float("%.15g" % v) for v in t.detach().reshape(-1).tolist()]


features = draw(NODES, INPUTS)
runs = {}


def run(name, outputs, layer, names):
    named = dict(layer.named_parameters())
    weights = [named[n] for n in names]
    with torch.no_grad():
        for w in weights:
            w.copy_(draw(*w.shape))
    x = features.clone().requires_grad_(True)
    y = layer(x, index)
    gy = draw(*y.shape)
    gx, *gw = torch.autograd.grad((y * gy).sum(), [x] + weights)
    flat = lambda ts: [v for t in ts for v in numbers(t)]
    runs[name] = {"weights": flat(weights), "y": numbers(y), "gy": numbers(gy), "gx": numbers(gx), "gw": flat(gw)}


gcn = ["lin.weight", "bias"]
run("gcn_narrowing", 2, GCNConv(INPUTS, 2), gcn)
run("gcn_widening", 5, GCNConv(INPUTS, 5), gcn)
sage = ["lin_r.weight", "lin_l.weight", "lin_l.bias"]
run("sage_narrowing", 2, SAGEConv(INPUTS, 2, aggr="mean"), sage)
run("sage_widening", 5, SAGEConv(INPUTS, 5, aggr="mean"), sage)
run("sage_sum", 2, SAGEConv(INPUTS, 2, aggr="sum"), sage)

groups = torch.tensor([0, 0, 2, 2, 2, 2, 3])
for name, pool in [("sum", global_add_pool), ("mean", global_mean_pool), ("max", global_max_pool)]:
    runs["readout_" + name] = {"y": numbers(pool(features, groups, 4))}

out = {"edges": EDGES, "x": numbers(features), "group_lengths": [2, 0, 4, 1], "runs": runs}
with open(sys.argv[1] + "/graph_layers.json", "w") as file:
    json.dump(out, file)
    file.write("\n")
