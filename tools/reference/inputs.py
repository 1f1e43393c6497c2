"""Inputs that C++ and Python compute alike from a seed: whole numbers first, so that both get the same bits.

tests/parity_inputs.h is the other half.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

SAMPLE_RATE = 16000


def hashed(seed: int, count: int) -> np.ndarray:
    """32 well mixed bits for each of 0..count-1."""
    x = (np.arange(count, dtype=np.uint64) + np.uint64(seed * 0x9E3779B9)).astype(np.uint32)
    x ^= x >> np.uint32(16)
    x *= np.uint32(0x7FEB352D)
    x ^= x >> np.uint32(15)
    x *= np.uint32(0x846CA68B)
    x ^= x >> np.uint32(16)
    return x


def noise(seed: int, *shape: int) -> np.ndarray:
    """float32 in [-1, 1)."""
    bits = hashed(seed, int(np.prod(shape)))
    return ((bits >> np.uint32(8)).astype(np.float32) / np.float32(1 << 23) - np.float32(1)).reshape(shape)


def whole_numbers(seed: int, below: int, *shape: int) -> np.ndarray:
    """int64 in [0, below)."""
    return (hashed(seed, int(np.prod(shape))) % np.uint32(below)).astype(np.int64).reshape(shape)


def sound(seed: int, samples: int) -> np.ndarray:
    """A saw tooth, a chirp and some hiss: float32 in [-1, 1], exact 16-bit values."""
    i = np.arange(samples, dtype=np.int64)
    saw = (i * (3 + seed % 7)) % 200 - 100
    chirp = (i * i // (500 + seed % 11)) % 400 - 200
    hiss = (hashed(seed, samples) >> np.uint32(22)).astype(np.int64) - 512
    return ((saw * 60 + chirp * 20 + hiss).astype(np.float32) / np.float32(32768)).astype(np.float32)


def picture(seed: int, width: int, height: int) -> np.ndarray:
    """uint8 [height, width, 3]: slopes with grain."""
    y, x, c = np.meshgrid(np.arange(height), np.arange(width), np.arange(3), indexing="ij")
    slope = ((x * (3 + c) + y * (5 - c) + seed * 31) % 256) // 2
    grain = (hashed(seed, height * width * 3) >> np.uint32(25)).astype(np.int64).reshape(height, width, 3)
    return (slope + grain).astype(np.uint8)


def prompts(path: Path) -> list[list[dict]]:
    """The conversations of tests/fixtures/prompts.json: parts are {"text"}, {"image": [w, h, seed]}, {"audio": [samples, seed]}."""
    return json.loads(path.read_text())
