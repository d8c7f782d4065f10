"""The orders that `Batches` and `Images::permuted` must give for ever; writes orders.tsv beside this file.

Written from the definitions alone: Philox4x32-10 (Salmon et al. 2011, checked here against the vector that
Random123 publishes), the fold of `kernels::random::Key`, Lemire's bounded draw, Fisher and Yates from the back.
Standard library only: `python3 orders.py`.
"""
from pathlib import Path

MASK = 2**32 - 1


def philox(counter, key):
    c, k = list(counter), list(key)
    for _ in range(10):
        a, b = c[0] * 0xD2511F53, c[2] * 0xCD9E8D57
        c = [(b >> 32) ^ c[1] ^ k[0], b & MASK, (a >> 32) ^ c[3] ^ k[1], a & MASK]
        k = [(k[0] + 0x9E3779B9) & MASK, (k[1] + 0xBB67AE85) & MASK]
    return c


assert philox([0] * 4, [0] * 2) == [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]
assert philox([MASK] * 4, [MASK] * 2) == [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]


def halves(x):
    return [x & MASK, x >> 32]


def new(seed):
    return halves(seed), [0, 0]


def fold(key, data):
    k, stream = key
    out = philox(halves(data) + stream, [k[0] ^ 0x464F4C44, k[1]])
    return out[:2], out[2:]


def words(key):
    k, stream = key
    block = 0
    while True:
        yield from philox(halves(block) + stream, k)
        block += 1


def permutation(key, n):
    source = words(key)

    def below(bound):
        while True:
            low = next(source)
            product = (low | next(source) << 32) * bound
            if product % 2**64 >= 2**64 % bound:
                return product >> 64

    order = list(range(n))
    for last in range(n - 1, 0, -1):
        j = below(last + 1)
        order[last], order[j] = order[j], order[last]
    return order


def tag(text):
    return int.from_bytes(text.encode(), "big")


with open(Path(__file__).with_suffix(".tsv"), "w", newline="\n") as f:
    f.write("kind\tn\tseed\tepoch\torder\n")
    for n, seed, epoch in ((1, 0, 0), (10, 0, 0), (10, 0, 1), (10, 1, 0), (33, 2**63 + 5, 2**40)):
        order = permutation(fold(fold(new(seed), tag("BATCHES")), epoch), n)
        f.write(f"batches\t{n}\t{seed}\t{epoch}\t{' '.join(map(str, order))}\n")
    for seed in (0, 7):
        order = permutation(fold(new(seed), tag("PERMUTED")), 1797)[:12]
        f.write(f"permuted\t1797\t{seed}\t0\t{' '.join(map(str, order))}\n")
