"""PyTorch's side of the benchmark: reads commands from standard input, answers one line each.

    cases           cases NAME...
    case NAME       values KEY=VALUE... | absent | error TEXT
    run N           seconds T1 ... TN
    memory          peak BYTES
    drop            dropped
    about           about KEY=VALUE...

Each case runs in a child of this process, so that memory and caches of one case are not another's. With `--compile`
every training step goes through `torch.compile`; with `--fused` there are the cases that have an optimiser, in its fused
form.
"""

import os
import sys
import time
import traceback
import warnings

warnings.filterwarnings("ignore")  # an absent NumPy, which nothing here uses

THREADS = int(os.environ.get("BENCH_THREADS", "2"))
os.environ["OMP_NUM_THREADS"] = str(THREADS)

import torch  # noqa: E402

from operations import CASES, WITH_FUSED  # noqa: E402
from steps import STEPS  # noqa: E402


def memory(key):
    """Bytes of one line of /proc/self/status; 0 where there is no such file."""
    try:
        with open("/proc/self/status") as status:
            for line in status:
                if line.startswith(key + ":"):
                    return 1024 * int(line.split()[1])
    except OSError:
        pass
    return 0


def reset_peak():
    try:
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")
    except OSError:
        pass


def say(line):
    print(line, flush=True)


def serve(name, compiled):
    """The life of one case, up to its `drop`."""
    torch.set_num_threads(THREADS)
    reset_peak()
    before = memory("RssAnon")
    try:
        case = CASES[name](compiled=True) if compiled else CASES[name]()
        values = case.values()
        if not compiled:
            case.run()
    except Exception as error:
        traceback.print_exc()
        say("error " + " ".join(str(error).split())[:300])
        case, values = None, None
    if values is not None:
        say("values " + " ".join(f"{key}={value!r}" for key, value in values.items()))
    for line in sys.stdin:
        command, _, argument = line.strip().partition(" ")
        if command == "drop":
            say("dropped")
            return
        if command == "run" and case:
            times = []
            for _ in range(int(argument)):
                start = time.perf_counter()
                case.run()
                times.append(time.perf_counter() - start)
            say("seconds " + " ".join(f"{t:.9f}" for t in times))
        elif command == "memory":
            say(f"peak {max(0, memory('VmHWM') - memory('RssFile') - before)}")
        else:
            say(f"error {command} is not possible here")


def main():
    compiled = "--compile" in sys.argv
    known = STEPS if compiled else list(CASES)
    if "--fused" in sys.argv:
        known = [step for step in STEPS if step != "ntk"] + WITH_FUSED
    while line := sys.stdin.readline():
        command, _, argument = line.strip().partition(" ")
        if command == "cases":
            say("cases " + " ".join(known))
        elif command == "about":
            say(f"about name=PyTorch version={torch.__version__} threads={THREADS}")
        elif command == "case" and argument in known:
            # The child inherits the pipe; this process reads on when the child has left it.
            if (child := os.fork()) == 0:
                serve(argument, compiled)
                sys.stdout.flush()
                os._exit(0)
            os.waitpid(child, 0)
        elif command == "case":
            say("absent")
        elif command == "drop":
            say("dropped")
        else:
            say(f"error unknown command {command}")


if __name__ == "__main__":
    main()
