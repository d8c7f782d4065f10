"""Installs PyTorch for the processor into the environment of the Python that runs this, with the smallest download.

The package index has one wheel of PyTorch for Linux on x86-64: 540 MB, with CUDA code. It asks for 3 GB of CUDA
libraries more, and does not load without them: the loader wants every library that its parts name, and every symbol
whose address is taken. A computation on the processor calls none of it but the CUDA run-time library, with which code
for the GPU registers when it is loaded; that is a package of 1 MB. So this installs

- torch itself without what it asks for;
- the pure Python packages that `import torch` needs, and the CUDA run-time library;
- for every other CUDA library a stand-in beside PyTorch's own libraries: an empty library of the right name and
  symbol versions whose functions stop the program when they are called. Made with `cc`, which whoever builds Rust has.

The processor's code is untouched: the same MKL, oneDNN and OpenMP as after a plain `pip install torch`. On systems
where PyTorch's wheel has no CUDA code the stand-ins are left out.
"""

import pathlib
import re
import subprocess
import sys
import sysconfig
import tempfile

TORCH = "torch==2.15.0"
PURE = ["filelock", "typing-extensions", "sympy", "networkx", "jinja2", "fsspec"]
CUDA_RUNTIME = "nvidia-cuda-runtime==13.2.*"
CUDA_LIBRARY = re.compile(r"lib(cu|nv|nccl)")


def pip(*arguments):
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *arguments]
    subprocess.run(command, check=True)


def output(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def stand_ins(libraries):
    """Makes the libraries that those in the folder `libraries` name and nobody has."""
    versions, symbols = {}, {}
    for path in sorted(libraries.glob("*.so")):
        for name in re.findall(r"NEEDED.*\[(.*)\]", output("readelf", "-dW", path)):
            versions.setdefault(name, set())
        file = None
        for line in output("readelf", "-VW", path).splitlines():
            if found := re.search(r"File: (\S+)", line):
                file = found[1]
            elif file and (found := re.search(r"Name: (\S+)", line)):
                versions.setdefault(file, set()).add(found[1])
        for symbol in re.findall(r" U (\S+)", output("nm", "-D", "--undefined-only", path)):
            name, _, version = symbol.partition("@")
            symbols.setdefault(version, set()).add(name)
    for library, wanted in versions.items():
        # libcuda.so.1 is the driver's: it is opened when a GPU is used, not before.
        if not CUDA_LIBRARY.match(library) or library == "libcuda.so.1" or (libraries / library).exists():
            continue
        prefix = re.match(r"lib([A-Za-z]+)", library)[1].lower()
        loose = set() if wanted else {s for s in symbols.get("", ()) if s.lower().startswith(prefix)}
        with tempfile.TemporaryDirectory() as folder:
            source, script = pathlib.Path(folder, "stand_in.c"), pathlib.Path(folder, "versions")
            names = sorted(loose.union(*(symbols.get(version, set()) for version in wanted)))
            source.write_text("".join(f"void {name}(void) {{ __builtin_trap(); }}\n" for name in names))
            command = ["cc", "-w", "-shared", "-o", libraries / library, f"-Wl,-soname,{library}", source]
            if wanted:
                nodes = (f"{v} {{ global: {''.join(f'{s}; ' for s in sorted(symbols.get(v, ())))} }};\n" for v in wanted)
                script.write_text("".join(nodes))
                command.insert(1, f"-Wl,--version-script={script}")
            subprocess.run(command, check=True)


def main():
    packages = pathlib.Path(sysconfig.get_paths()["purelib"])
    libraries = packages / "torch" / "lib"
    pip("--no-deps", TORCH)
    pip("--no-warn-conflicts", *PURE)
    if (libraries / "libtorch_cuda.so").exists():
        pip("--no-warn-conflicts", "--no-deps", CUDA_RUNTIME)
        for library in packages.glob("nvidia/*/lib/libcudart.so.*"):
            (libraries / library.name).unlink(missing_ok=True)
            (libraries / library.name).symlink_to(library)
        stand_ins(libraries)
    subprocess.run([sys.executable, "-W", "ignore", "-c", "import torch; torch.ones(2).sum()"], check=True)


if __name__ == "__main__":
    main()
