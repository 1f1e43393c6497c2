"""Sounds to put behind speech for measuring. Made otherwise than those that training puts behind speech, so
that it is not measured on what it was trained with. float32 samples in [-1, 1] at 16 kHz."""

from __future__ import annotations

from pathlib import Path

import numpy as np

RATE = 16000


def read(path: Path) -> np.ndarray:
    import soundfile

    samples, rate = soundfile.read(path, dtype="float32")
    if rate != RATE or samples.ndim != 1:
        raise SystemExit(f"{path}: {RATE} Hz mono is expected")
    return samples


def active_power(samples: np.ndarray, window: int = 320) -> float:
    """Mean power of the windows of 20 ms that are at most 30 dB below the loudest: of speech without its pauses."""
    count = max(1, len(samples) // window)
    power = (samples[: count * window].reshape(count, -1) ** 2).mean(1) if len(samples) >= window else np.array([(samples**2).mean()])
    return float(power[power >= power.max() / 1000].mean())


def mixed(speech: np.ndarray, behind: np.ndarray, snr_db: float) -> np.ndarray:
    """Speech with a sound behind it, its power that many dB below the speech's without pauses."""
    gain = (active_power(speech) / max(1e-12, float((behind**2).mean())) * 10 ** (-snr_db / 10)) ** 0.5
    out = speech + behind * gain
    return (out / max(1.0, float(np.abs(out).max()))).astype(np.float32)


def shaped(count: int, rng: np.random.Generator, slope: float, low: float = 0.0, high: float = 8000.0) -> np.ndarray:
    """Noise whose power falls by f^slope between two frequencies."""
    spectrum = np.fft.rfft(rng.standard_normal(count))
    hertz = np.fft.rfftfreq(count, 1 / RATE)
    spectrum *= np.where((hertz >= low) & (hertz <= high), np.maximum(hertz, 40.0) ** (-slope / 2), 0)
    out = np.fft.irfft(spectrum, count)
    return (out / max(1e-9, float(np.abs(out).max()))).astype(np.float32)


def kitchen(count: int, rng: np.random.Generator) -> np.ndarray:
    """Running water, a hood, cutlery and plates."""
    t = np.arange(count) / RATE
    water = shaped(count, rng, 0.3, 400, 7000) * (1 + 0.5 * np.sin(2 * np.pi * rng.uniform(3, 9) * t))
    out = 0.3 * water + 0.3 * shaped(count, rng, 2, 0, 600)
    for _ in range(rng.poisson(2.5 * count / RATE)):
        at = int(rng.integers(count))
        length = min(count - at, int(RATE * rng.uniform(0.02, 0.25)))
        when = np.arange(length) / RATE
        bell = sum(rng.uniform(0.1, 1) * np.sin(2 * np.pi * hertz * when) for hertz in rng.uniform(900, 7000, size=6))
        out[at : at + length] += rng.uniform(0.2, 1) * bell * np.exp(-when * rng.uniform(20, 120))
    return out.astype(np.float32)


def cafe(count: int, talk: list[np.ndarray], rng: np.random.Generator) -> np.ndarray:
    """Many people who talk far away, in an echoing room with a machine in it."""
    out = np.zeros(count, np.float32)
    for _ in range(12):
        voice = talk[int(rng.integers(len(talk)))]
        if rng.random() < 0.5:  # not to be understood, but to sound like talk
            voice = voice[::-1]
        voice = np.tile(voice, 1 + count // len(voice))
        start = int(rng.integers(len(voice)))
        out += np.roll(voice, start)[:count] / max(1e-4, active_power(voice) ** 0.5) * rng.uniform(0.3, 1)
    tail = rng.standard_normal(4800) * np.exp(-np.arange(4800) / 1600)
    size = count + len(tail)
    out = np.fft.irfft(np.fft.rfft(out, size) * np.fft.rfft(tail, size), size)[:count].astype(np.float32)
    return out / max(1e-6, float(np.abs(out).max())) + 0.1 * shaped(count, rng, 1.5)
