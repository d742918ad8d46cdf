#!/usr/bin/env python3
"""Writes ops/kernels/lookup_tables.h: needs mpmath. make-lookup-tables.py > ops/kernels/lookup_tables.h

A function that is 0 at 0 and 1 far out is cut into 16 or 32 intervals of one width, with a polynomial in
the distance to the interval's centre, counted in widths, in each: least squares of the relative error at Chebyshev's
nodes, which is within a few percent of the minimax one. The first coefficient is the function at
the centre, rounded before the others are fitted.
"""

import mpmath as mp
import numpy as np

mp.mp.dps = 40
NODES = 24


def hexadecimal(value):
    v = float(np.float32(value))
    if v == 0 or v == 1:
        return f"{int(v)}"
    mantissa, exponent = v.hex().split("p")
    return f"{mantissa.rstrip('0')}p{exponent}f"


def rounded(value):
    return mp.mpf(float(np.float32(float(value))))


def fit(f, degree, centre, width):
    c0 = rounded(f(centre))
    low = max(centre - width / 2, mp.mpf(0))
    high = centre + width / 2
    if f(low) > 1 - mp.mpf(2) ** -25:
        return [1] + [0] * degree
    points = [
        (low + high) / 2 + (high - low) / 2 * mp.cos(mp.pi * (2 * i + 1) / (2 * NODES))
        for i in range(NODES)
    ]
    rows = mp.matrix(
        [[((x - centre) / width) ** k / f(x) for k in range(1, degree + 1)] for x in points]
    )
    right = mp.matrix([(f(x) - c0) / f(x) for x in points])
    return [c0, *mp.lu_solve(rows, right)]


def wrapped(values):
    texts = list(map(hexadecimal, values))
    return ",\n     ".join(", ".join(texts[i : i + 8]) for i in range(0, len(texts), 8))


def table(name, f, degree, width, count):
    width = mp.mpf(width)
    columns = list(zip(*(fit(f, degree, j * width, width) for j in range(count)), strict=True))
    lines = [f"inline constexpr Intervals<{degree}, {count}> {name} = {{{hexadecimal(1 / width)}, {{"]
    lines += [f"    {{{wrapped(values)}}}," for values in columns]
    return "\n".join([*lines, "}};"])


def exp_fit():
    edge = mp.log(2) / 32
    points = [edge * mp.cos(mp.pi * (2 * i + 1) / (2 * NODES)) for i in range(NODES)]
    rows = mp.matrix([[x**2, x**3] for x in points])
    return mp.lu_solve(rows, mp.matrix([mp.expm1(x) - x for x in points]))


def main():
    powers = wrapped(mp.mpf(2) ** (mp.mpf(j) / 16) for j in range(16))
    high = rounded(mp.log(2))
    c2, c3 = exp_fit()
    print(f"""// Written by scripts/make-lookup-tables.py: tables that fit vector registers, for float.
#pragma once

// clang-format off
namespace onnxrun {{

// 2^(j / 16), and e^r = 1 + r + r^2 (exp_c2 + exp_c3 r) for |r| <= ln(2) / 32.
inline constexpr float sixteenth_powers[16] = {{
     {powers}}};
inline constexpr float whole_ln2_hi = {hexadecimal(high)}, whole_ln2_lo = {hexadecimal(mp.log(2) - high)};
inline constexpr float exp_c2 = {hexadecimal(c2)}, exp_c3 = {hexadecimal(c3)};

// A function of |x| that is 0 at 0 and 1 far out: with u = |x| / width, count - 1 at most, and j the
// nearest whole number, the sum of c[k][j] (u - j)^k.
template <int degree, int count>
struct Intervals {{
  float scale;  // 1 / width
  float c[degree + 1][count];
}};

{table("tanh_intervals", mp.tanh, 5, 19 / 64, 32)}

{table("erf_intervals", mp.erf, 4, 33 / 256, 32)}

// For registers that hold 8 elements.
{table("wide_erf_intervals", mp.erf, 5, 17 / 64, 16)}

}}  // namespace onnxrun""")


if __name__ == "__main__":
    main()
