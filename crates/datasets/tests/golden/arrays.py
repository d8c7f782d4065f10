"""Arrays as NumPy writes them; writes arrays.npz and objects.npy beside this file.

The first members of arrays.npz are stored, the last three deflated. Made with NumPy 2: `python3 arrays.py`.
"""
import io
import zipfile
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
ARRAYS = {
    "plain": np.arange(6, dtype="<f4").reshape(2, 3) / 2,
    "fortran": np.asfortranarray(np.arange(24, dtype="<f8").reshape(2, 3, 4)),
    "big": np.array([-1, 2**40], dtype=">i8"),
    "flags": np.array([True, False, True]),
    "scalar": np.array(7, dtype="<i4"),
    "bytes": np.array([200, 1], dtype="u1"),
    "empty": np.zeros((0, 3), dtype="<f4"),
}
with zipfile.ZipFile(HERE / "arrays.npz", "w") as archive:
    for i, (name, array) in enumerate(ARRAYS.items()):
        content = io.BytesIO()
        np.lib.format.write_array(content, array, version=(2, 0) if name == "big" else None)
        info = zipfile.ZipInfo(f"{name}.npy", (1980, 1, 1, 0, 0, 0))
        info.compress_type = zipfile.ZIP_DEFLATED if i >= 4 else zipfile.ZIP_STORED
        with archive.open(info, "w", force_zip64=True) as member:  # as numpy.savez
            member.write(content.getvalue())
np.save(HERE / "objects.npy", np.array([{}], dtype=object), allow_pickle=True)
