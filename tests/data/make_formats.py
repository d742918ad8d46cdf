#!/usr/bin/env python3
"""Writes tests/data/formats/: small files as numpy, zlib and Pillow write them.

Needs numpy and Pillow; safetensors too for its file. Run again only to change a fixture: the tests
state what the files hold.
"""
import gzip
import io
import pathlib
import struct
import zipfile
import zlib

import numpy as np
from PIL import Image

out = pathlib.Path(__file__).parent / "formats"
out.mkdir(exist_ok=True)


def numeric_arrays():
    """0 to 5 as [2, 3] in every type and order, under a name that tells both."""
    arrays = {}
    for code in "f2 f4 f8 i1 i2 i4 i8 u1 u2 u4 u8 b1 c8 c16".split():
        for order in "<>":
            for layout in "CF":
                values = np.arange(6).reshape(2, 3) + (1j if code[0] == "c" else 0)
                name = {"<": "little", ">": "big"}[order]
                arrays[f"{code}_{name}_{layout}"] = np.asarray(values, order + code, order=layout)
    return arrays


np.savez(out / "types.npz", **numeric_arrays())
np.savez_compressed(out / "types_deflated.npz", **numeric_arrays())

np.save(out / "matrix.npy", np.arange(6, dtype=np.float32).reshape(2, 3))
np.save(out / "cube_fortran.npy", np.asfortranarray(np.arange(24, dtype=np.int16).reshape(2, 3, 4)))
np.save(out / "scalar.npy", np.float64(2.5))
np.save(out / "empty.npy", np.zeros((0, 3), np.int64))
np.save(out / "unicode.npy", np.array([["", "a"], ["äöü", "日本🙂"]]))
np.save(out / "bytes.npy", np.array([b"ab", b"", b"abc"]))
np.save(out / "objects.npy", np.array([{}], dtype=object), allow_pickle=True)
np.save(out / "records.npy", np.zeros(2, dtype=[("a", "f4"), ("b", "i4")]))
np.save(out / "dates.npy", np.zeros(2, dtype="M8[s]"))
for version in (2, 3):
    with open(out / f"version{version}.npy", "wb") as f:
        np.lib.format.write_array(f, np.arange(4, dtype=np.int32), version=(version, 0))

# Names as exporters make them; a data descriptor, because the stream cannot seek back.
names = {
    "/StatefulPartitionedCall/x:0": np.float32([1, 2]),
    "layer.0/weight": np.float32([[3]]),
    "gewicht_ä": np.int64(4),
}
np.savez(out / "names.npz", **names)


class Unseekable(io.RawIOBase):
    def __init__(self, file):
        self.file = file

    def writable(self):
        return True

    def write(self, data):
        return self.file.write(data)


with open(out / "descriptors.npz", "wb") as f, zipfile.ZipFile(
    Unseekable(f), "w", zipfile.ZIP_DEFLATED
) as z:
    for name in ("a", "b"):
        buffer = io.BytesIO()
        np.save(buffer, np.full((2, 2), ord(name), np.uint8))
        z.writestr(name + ".npy", buffer.getvalue())
    z.writestr("README", "no array")


def idx(code, array):
    dims = b"".join(struct.pack(">I", d) for d in array.shape)
    return bytes([0, 0, code, array.ndim]) + dims + array.tobytes()


images = idx(0x08, np.arange(12, dtype=np.uint8).reshape(3, 2, 2))
(out / "images-idx3-ubyte").write_bytes(images)
(out / "images-idx3-ubyte.gz").write_bytes(gzip.compress(images, mtime=0))
(out / "values.idx").write_bytes(idx(0x0E, np.array([0.5, -1.5], ">f8")))

picture = np.array([[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [10, 20, 30]]], np.uint8)
Image.fromarray(picture).save(out / "rgb.png")
Image.fromarray(picture).save(out / "rgb.bmp")
Image.fromarray(picture[:, :, 0]).save(out / "gray.png")
Image.fromarray(np.dstack([picture, picture[:, :, :1]])).save(out / "rgba.png")
Image.fromarray(np.full((8, 8, 3), 100, np.uint8)).save(out / "flat.jpg", quality=95)

Image.fromarray(picture).save(out / "rgb.ppm")
Image.fromarray(np.array([[1, 0, 1]], bool)).save(out / "bits.png")
Image.fromarray(picture).quantize(4).save(out / "palette.png")
Image.fromarray(picture).quantize(4).save(out / "palette.bmp")
y, x = np.mgrid[0:16, 0:16].astype(np.uint8)
Image.fromarray(np.dstack([x * 15, y * 15, x * 8 + y * 7])).save(out / "gradient.jpg", quality=80)
np.save(out / "gradient.npy", np.array(Image.open(out / "gradient.jpg")))

# A picture that claims 2 x 2 pixels and inflates to 8 MB.
bomb = bytearray((out / "gray.png").read_bytes()[:33])
body = b"IDAT" + zlib.compress(bytes(8 << 20), 9)
bomb += struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
bomb += b"\0\0\0\0IEND\xaeB`\x82"
(out / "bomb.png").write_bytes(bomb)

(out / "table.csv").write_bytes(
    "\ufeffname,age,height,ok\r\n"
    '"Doe, ""Jo""",31,1.80,true\r\n\r\n"two\nlines",-5,+2e-1,false\r\n'.encode()
)
(out / "numbers.csv").write_text("1,2,3\n4,5,6.5\n")

try:
    from safetensors.numpy import save_file

    save_file(
        {"weight": np.arange(6, dtype=np.float32).reshape(2, 3), "steps": np.int64([7])},
        out / "model.safetensors",
        metadata={"format": "np"},
    )
except ImportError:
    print("safetensors is not installed: model.safetensors is left as it is")

# 32 MB of zeros in 31 KB.
member = io.BytesIO()
np.save(member, np.zeros(8_000_000, np.float32))
with zipfile.ZipFile(out / "bomb.npz", "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
    info = zipfile.ZipInfo("x.npy")
    info.compress_type = zipfile.ZIP_DEFLATED
    archive.writestr(info, member.getvalue())
