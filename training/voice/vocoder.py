"""Turns what flite predicts into the sound the codec learns, with words on frame borders.

The filter is the one flite uses: minimum phase from mel-cepstra (Imai 1983, MLSA), excited by pulses and noise mixed in five bands.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

import config
from flite import ORDER, STEP_S, Flite, Prediction

RATE = config.SAMPLE_RATE_HZ
SOURCE_RATE = 16000
STEP = round(STEP_S * RATE)  # 120 samples
STEPS = config.FRAME_SAMPLES // STEP  # 16 a frame
FFT = 1024
EARLY = 48  # samples by which the mixing filters, which have no phase, begin before their pulse
LEVEL = 1.3 / 32768  # of flite's samples
BINS = FFT // 2 + 1
FEWEST_STEPS = 2  # of a frame that has a voice
HEAD_FRAMES = 1  # of silence
TAIL_FRAMES = 2  # in which the voice has died away: the talker ends in silence
_NOISE = np.random.default_rng(7).standard_normal(config.FRAME_SAMPLES)


@dataclass
class Rows:
    """What a stretch of speech consists of, every 5 ms; whole codec frames."""

    f0: np.ndarray  # [T] Hz, 0 where unvoiced
    cepstra: np.ndarray  # [T, 25], after flite's postfilter, log of flite's 16-bit amplitude
    strengths: np.ndarray  # [T, 5]
    words: list[tuple[int, int, int]]  # (first character, end, end in frames)


class Vocoder:
    """The sound of what `flite` predicts, in its own filter."""

    def __init__(self, flite: Flite):
        a = flite.alpha
        hz = np.arange(BINS) * RATE / FFT
        omega = 2 * np.pi * np.minimum(hz, SOURCE_RATE / 2) / SOURCE_RATE
        warped = omega + 2 * np.arctan(a * np.sin(omega) / (1 - a * np.cos(omega)))
        order = np.arange(ORDER + 1)
        self.cos, self.sin = np.cos(np.outer(order, warped)), np.sin(np.outer(order, warped))  # [25, BINS]
        self.taper = np.clip((8000 - hz) / 300, 0, 1) * np.exp(-2j * np.pi * np.arange(BINS) / FFT * EARLY)
        taps = flite.filters.shape[1]
        grid = np.exp(-1j * np.outer(omega, np.arange(taps) - (taps - 1) / 2))
        self.bands = (grid @ flite.filters.T).real.T  # [5, BINS]
        self.beta, self.alpha, self.gain = flite.beta, a, flite.gain
        self.window = np.hanning(2 * STEP + 1)[:-1]

    def sharpened(self, c: np.ndarray) -> np.ndarray:
        """flite's postfilter on mel-cepstra [T, 25]: formants stand out more, as loud as before."""
        a, beta = self.alpha, self.beta
        b = c.copy()
        for m in range(b.shape[1] - 2, -1, -1):
            b[:, m] = c[:, m] - a * b[:, m + 1]
        s = b.copy()
        s[:, 1] -= beta * a * c[:, 2]
        s[:, 2:] *= 1 + beta
        out = s.copy()
        out[:, :-1] += a * s[:, 1:]
        energy = lambda x: np.exp(2 * (x @ self.cos)[:, : round(BINS * 2 / 3)]).mean(1)  # of the band up to 8 kHz
        flat = lambda x: np.concatenate([x[:, :1] * 0, x[:, 1:]], 1)
        out[:, 0] += 0.5 * np.log(energy(flat(c)) / energy(flat(out)))
        return out

    def rows(self, p: Prediction, lock: bool = True) -> Rows:
        """Words stretched to whole frames, a pause being part of the word before it; silence around them; `lock`: the pitch as locked() has it."""
        frame_s = config.FRAME_SAMPLES / RATE
        source, target, words = [p.words[0][2] - HEAD_FRAMES * frame_s, p.words[0][2]], [0, HEAD_FRAMES], []
        for k, (first, last, start, end) in enumerate(p.words):
            frames = max(1, round((end - start) / frame_s))
            source.append(end)
            target.append(target[-1] + frames)
            pause = p.words[k + 1][2] - end if k + 1 < len(p.words) else 0
            if pause > 0.02:
                source.append(end + pause)
                target.append(target[-1] + max(1, round(pause / frame_s)))
            words.append((first, last, target[-1]))
        source.append(source[-1] + TAIL_FRAMES * frame_s)
        target.append(target[-1] + TAIL_FRAMES)
        at = np.interp((np.arange(target[-1] * STEPS) + 0.5) / STEPS, target, source) / STEP_S
        at = at.clip(0, len(p.f0) - 1.001)
        low, part = at.astype(int), (at - at.astype(int))[:, None]
        mix = lambda x: x[low] * (1 - part) + x[low + 1] * part
        a, b = p.f0[low], p.f0[low + 1]
        f0 = np.where((a > 0) & (b > 0), a + (b - a) * part[:, 0], np.where(part[:, 0] < 0.5, a, b))
        return Rows(locked(f0) if lock else f0, mix(self.sharpened(p.cepstra)), mix(p.strengths), words)

    def pulses(self, rows: Rows) -> tuple[np.ndarray, np.ndarray]:
        """Times of the glottal pulses in samples, and the voice's frequency there."""
        times, hz = [np.zeros(0)], [np.zeros(0)]
        for begin, f0 in runs(rows.f0):
            phase = np.concatenate([[0], np.cumsum(f0) * STEP_S])  # in cycles, at the borders of the steps
            t = np.interp(np.arange(np.floor(phase[-1] - 1e-6) + 1), phase, np.arange(len(phase)))
            step = np.minimum(t.astype(int), len(f0) - 1)
            voiced = rows.f0[begin + step] > 0
            times.append((begin + t[voiced]) * STEP)
            hz.append(f0[step[voiced]])
        return np.concatenate(times), np.concatenate(hz)

    def filters(self, rows: Rows, at: np.ndarray) -> np.ndarray:
        """Minimum-phase responses [N, BINS] at fractional rows `at`, EARLY samples late."""
        low = at.clip(0, len(rows.f0) - 1.001)
        i, part = low.astype(int), (low - low.astype(int))[:, None]
        c = rows.cepstra[i] * (1 - part) + rows.cepstra[i + 1] * part
        return np.exp(c @ self.cos - 1j * (c @ self.sin)) * self.taper

    def sound(self, rows: Rows) -> np.ndarray:
        """Samples [frames * FRAME_SAMPLES] at 24 kHz, float32."""
        n = len(rows.f0) * STEP
        out = np.zeros(STEP + n + 2 * FFT)
        t, hz = self.pulses(rows)
        spectrum = np.fft.rfftfreq(FFT)[None] * 2j * np.pi
        if len(t):
            at = t / STEP - 0.5
            weight = rows.strengths[(t / STEP).astype(int).clip(0, len(rows.f0) - 1)] @ self.bands
            whole = np.floor(t)
            h = self.filters(rows, at) * weight * np.sqrt(SOURCE_RATE / hz)[:, None] * np.exp(-spectrum * (t - whole)[:, None])
            for k, pulse in zip(whole.astype(int), np.fft.irfft(h) * (RATE / SOURCE_RATE)):
                out[STEP + k : STEP + k + FFT] += pulse
        # Noise: the same pattern in every frame, which is easier to learn.
        starts = np.arange(-1, len(rows.f0)) * STEP  # of the pieces, each two steps long
        index = (starts[:, None] + np.arange(2 * STEP)) % config.FRAME_SAMPLES
        row = np.arange(-1, len(rows.f0)).clip(0)
        weight = (1 - rows.strengths[row]) @ self.bands
        pieces = np.fft.rfft(_NOISE[index] * self.window, FFT)
        made = np.fft.irfft(pieces * self.filters(rows, row.astype(float)) * weight) * (RATE / SOURCE_RATE) ** 0.5
        for k, piece in zip(starts + STEP, made):
            out[k : k + FFT] += piece
        return (out[STEP + EARLY : STEP + EARLY + n] * (self.gain * LEVEL)).astype(np.float32)


def runs(f0: np.ndarray):
    """The stretches of frames that have a voice: (first step, Hz of every step, also of those that have none, by its neighbours in the frame)."""
    frames = f0.reshape(-1, STEPS)
    voiced = frames > 0
    ok = np.concatenate([[0], (voiced.sum(1) >= FEWEST_STEPS).astype(int), [0]])
    at = np.arange(STEPS)
    for begin, end in zip(np.flatnonzero(np.diff(ok) == 1), np.flatnonzero(np.diff(ok) == -1)):
        yield begin * STEPS, np.concatenate([np.interp(at, at[v], f[v]) for f, v in zip(frames[begin:end], voiced[begin:end])])


def advances(f0: np.ndarray) -> np.ndarray:
    """How far the voice gets in each frame of a run, in 1 / PHASES of a cycle: whole numbers, none further from its own way than it must."""
    way, out = 0.0, []
    for own in f0.reshape(-1, STEPS).sum(1) * STEP_S * config.PHASES:
        way += own
        out.append(min(max(round(way), config.LEAST_ADVANCE), config.MOST_ADVANCE))
        way = min(max(way - out[-1], -1.0), 1.0)
    return np.array(out)


def locked(f0: np.ndarray) -> np.ndarray:
    """The pitch [T], changed by a per cent or two, so that every frame begins at a phase which has a code: what a frame's codes
    say is then all that its sound needs of the voice."""
    out = np.zeros_like(f0)
    for begin, own in runs(f0):
        frames = own.reshape(-1, STEPS)
        scaled = frames * (advances(own) / (frames.sum(1) * STEP_S * config.PHASES))[:, None]
        here = slice(begin, begin + len(own))
        out[here] = scaled.ravel() * (f0[here] > 0)
    return out


def excitation(rows: Rows) -> np.ndarray:
    """The code [frames] of each frame's voice (config.EXCITATION_GROUP), of what locked() has left."""
    codes = np.zeros(len(rows.f0) // STEPS, int)
    time = (np.arange(STEPS) - (STEPS - 1) / 2) / STEPS  # in frames, from the middle
    for begin, f0 in runs(rows.f0):
        way = advances(f0)
        phase = (np.cumsum(way) - way) % config.PHASES
        slope = np.log(f0).reshape(-1, STEPS) @ time / (time @ time)
        nearest = np.abs(slope[:, None] - np.array(config.SLOPES)).argmin(1)
        codes[begin // STEPS :][: len(way)] = 1 + (phase * config.ADVANCES + way - config.LEAST_ADVANCE) * len(config.SLOPES) + nearest
    return codes
