"""What is heard behind somebody who speaks."""

from __future__ import annotations

import multiprocessing
import random

import numpy as np
from scipy.signal import fftconvolve

from understanding import sounds

heard: list[np.ndarray] = []
COUNT = round(240 * max(1, sounds.SCALE))
KINDS = ["crowd"] * 6 + ["people"] + ["kitchen"] * 3 + ["hiss", "tune"]


def tracks(phrases: list[np.ndarray], seconds: int = 12) -> list[np.ndarray]:
    """Rooms full of people, near ones who talk, kitchens, hums, hisses and tunes."""
    global heard
    heard = phrases  # which the processes inherit
    with multiprocessing.get_context("fork").Pool(sounds.PROCESSES) as pool:
        return pool.map(track, [(i, seconds * sounds.RATE) for i in range(COUNT)], 1)


def track(job: tuple[int, int]) -> np.ndarray:
    """Number and size -> int16 samples."""
    i, size = job
    rng = random.Random(f"noise {i}")
    np.random.seed(12 + i)
    kind = KINDS[i % len(KINDS)]
    if kind in ("people", "crowd"):
        x = (people if kind == "people" else crowd)(size, heard, rng)
    elif kind == "kitchen":
        x = kitchen(size, rng)
    elif kind == "hiss":  # or a rumble
        x = np.convolve(np.random.randn(size), np.ones(rng.choice([1, 1, 2, 4, 8, 30])), "same")
    else:  # a tune over its overtones
        t = np.arange(size, dtype=np.float32) / sounds.RATE
        x = np.zeros(size, np.float32)
        for start in range(0, size, sounds.RATE // rng.choice([2, 3, 4])):
            note = 110 * 2 ** (rng.randint(0, 36) / 12)
            end = min(size, start + sounds.RATE // 2)
            fade = np.exp(-(t[start:end] - t[start]) * rng.uniform(2, 8))
            x[start:end] += fade * sum(rng.uniform(0.1, 1) / k * np.sin(2 * np.pi * note * k * t[start:end]) for k in range(1, 6))
        x += np.random.randn(size) * 0.002
    return (x / np.abs(x).max() * 16000).astype(np.int16)


def people(size: int, phrases: list[np.ndarray], rng: random.Random, count: int = 0) -> np.ndarray:
    """So many samples of people who talk at once."""
    back = np.zeros(size, np.float32)
    for _ in range(count or rng.randint(3, 8)):
        loudness, at = 10 ** rng.uniform(-0.6, 0), -rng.randrange(sounds.RATE)
        while at < size:
            voice = rng.choice(phrases).astype(np.float32) * loudness
            part = voice[max(0, -at) : size - at]
            back[max(0, at) : max(0, at) + len(part)] += part
            at += len(voice) + rng.randrange(sounds.RATE // 2)
    return back


def crowd(size: int, phrases: list[np.ndarray], rng: random.Random) -> np.ndarray:
    """So many samples of a full room: people near and far whose voices echo, a machine, at times dishes."""
    back = people(size, phrases, rng, rng.randint(6, 28))
    back /= max(1.0, float(np.abs(back).max()))
    time = np.arange(sounds.RATE, dtype=np.float32)
    tail = np.random.randn(sounds.RATE).astype(np.float32) * np.exp(-time / (sounds.RATE * rng.uniform(0.02, 0.3)))
    tail[0] = 10 ** rng.uniform(-1, 1.2)
    back = fftconvolve(back, tail[: sounds.RATE // 2])[:size].astype(np.float32)
    back /= max(1e-6, float(np.abs(back).max()))
    hum = np.convolve(np.random.randn(size).astype(np.float32), np.ones(rng.choice([3, 10, 30, 80])), "same")[:size]
    back += hum / np.abs(hum).max() * rng.uniform(0, 0.25)
    if rng.random() < 0.4:
        dishes = kitchen(size, rng)
        back += dishes / np.abs(dishes).max() * rng.uniform(0.05, 0.5)
    return back


def kitchen(size: int, rng: random.Random) -> np.ndarray:
    """So many samples of dishes and machines: short ringing sounds over a hum."""
    back, t = np.zeros(size, np.float32), np.arange(2400, dtype=np.float32)
    for _ in range(rng.randint(1, 1 + size // 4000)):
        at = rng.randrange(size)
        tones = sum(rng.uniform(0.2, 1) * np.sin(2 * np.pi * rng.uniform(600, 6000) / sounds.RATE * t) for _ in range(4))
        ring = (tones * np.exp(-t / rng.uniform(80, 700)))[: size - at]
        back[at : at + len(ring)] += ring * rng.uniform(0.2, 1)
    hum = np.random.randn(size).astype(np.float32)
    return back + np.convolve(hum, np.ones(rng.randint(2, 24)), "same")[:size].astype(np.float32) * rng.uniform(0.02, 0.3)


def noisy(x: np.ndarray, back: np.ndarray, decibels: float) -> np.ndarray:
    """float32 in [-1, 1] with a noise behind it, as much softer as that."""
    power = float((x**2).mean() / max(1e-9, (back**2).mean())) ** 0.5
    return (x + back.astype(np.float32) * power * 10 ** (-decibels / 20)).clip(-1, 1).astype(np.float32)
