#!/usr/bin/env python3
"""Writes tests/fixtures/quant_blocks.safetensors: random blocks of every quantised type and what ggml's own Python package
(`gguf`) makes of them, and values with the blocks it quantises them to."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from gguf import GGMLQuantizationType as Type
from gguf import quants
from random_gguf import KINDS
from safetensors.numpy import save_file

OUT = Path(__file__).parents[2] / "tests" / "fixtures" / "quant_blocks.safetensors"


def main() -> None:
    rng = np.random.default_rng(7)
    tensors = {}
    for name in ("q8_0", "q4_0", "q4_k", "q5_k", "q6_k"):
        blocks = rng.integers(0, 256, (3, KINDS[name].size), dtype=np.uint8)
        at = 208 if name == "q6_k" else 0
        for place in (at, 2) if name in ("q4_k", "q5_k") else (at,):  # finite scales
            blocks[:, place : place + 2] = rng.standard_normal(3).astype(np.float16).view(np.uint8).reshape(3, 2)
        tensors[f"{name}.blocks"] = blocks.reshape(-1)
        tensors[f"{name}.values"] = quants.dequantize(blocks, Type[name.upper()]).reshape(-1)
    for name in ("q8_0", "q4_0"):
        values = (rng.standard_normal(32 * 64) * np.repeat(10.0 ** rng.uniform(-6, 3, 64), 32)).astype(np.float32)
        values[:32] = 0
        values[32:64] = np.round(values[32:64] * 4) / 4  # ties
        tensors[f"quantise.{name}.values"] = values
        tensors[f"quantise.{name}.blocks"] = quants.quantize(values.reshape(-1, 32), Type[name.upper()]).reshape(-1)
    save_file(tensors, OUT)


if __name__ == "__main__":
    main()
