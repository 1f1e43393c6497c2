"""Speaks texts with flite into one int16 file at 24 kHz plus an index; resumable.

Every word begins at the border of a codec frame: its length is stretched to whole frames. So a word sounds the same
in the codes wherever it stands, and it is known which word each frame belongs to.
"""

from __future__ import annotations

import functools
import io
import json
import os
import re
import subprocess
import tempfile

import numpy as np
import soundfile
from scipy.signal import resample_poly

import config

RATE_HZ = 16000  # flite's
FRAME = config.FRAME_SAMPLES * RATE_HZ // config.SAMPLE_RATE_HZ
TAIL_FRAMES = 1  # of silence after the last word
GAIN = 1.2
HOP, WINDOW, SEARCH = 200, 400, 110  # of the stretching, samples


def run_flite(text: str, voice: str) -> tuple[np.ndarray, list[tuple[str, float]]]:
    """Samples at 16 kHz, and each phone with its end in seconds."""
    with tempfile.NamedTemporaryFile(suffix=".wav") as f:
        said = subprocess.run(["flite", "-voice", voice, "-psdur", "-t", text, "-o", f.name], check=True, capture_output=True, text=True)
        x, rate = soundfile.read(io.BytesIO(open(f.name, "rb").read()), dtype="float32")
    if rate != RATE_HZ:
        x = resample_poly(x, RATE_HZ, rate).astype(np.float32)
    return x, [(phone, float(end)) for phone, end in (part.split(":") for part in said.stdout.split())]


@functools.lru_cache(maxsize=100000)
def word_phones(word: str, voice: str) -> tuple[str, ...]:
    """Phones of one word said alone."""
    said = subprocess.run(["flite", "-voice", voice, "-ps", "-t", word, "-o", "none"], check=True, capture_output=True, text=True)
    return tuple(phone for phone in said.stdout.split() if phone != "pau")


def words_of_phones(words: list[tuple[str, ...]], phones: list[str]) -> list[int]:
    """For each spoken phone the word it belongs to: the cheapest alignment of what each word alone would be."""
    wanted = [(phone, w) for w, of in enumerate(words) for phone in of]
    n, m = len(phones), len(wanted)
    cost = np.zeros((n + 1, m + 1))
    cost[:, 0], cost[0, :] = np.arange(n + 1), np.arange(m + 1)
    for i in range(n):
        for j in range(m):
            cost[i + 1, j + 1] = min(cost[i, j] + (phones[i] != wanted[j][0]), cost[i, j + 1] + 1, cost[i + 1, j] + 1)
    out, i, j = [0] * n, n, m
    while i:
        if j and cost[i, j] == cost[i - 1, j - 1] + (phones[i - 1] != wanted[j - 1][0]):
            i, j = i - 1, j - 1
            out[i] = wanted[j][1]
        elif cost[i, j] == cost[i - 1, j] + 1:
            i -= 1
            out[i] = wanted[j - 1][1] if j else 0
        else:
            j -= 1
    return out


def stretch(x: np.ndarray, source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Moves the moments `source` (samples) of x to `target` and keeps the pitch (WSOLA, Verhelst and Roelands 1993)."""
    length = int(target[-1])
    padded = np.pad(x, (WINDOW, 2 * WINDOW + int(target[-1])))
    window = np.hanning(WINDOW + 1)[:-1].astype(np.float32)
    out, weight = np.zeros(length + 2 * WINDOW, np.float32), np.full(length + 2 * WINDOW, 1e-6, np.float32)
    last = None
    for centre in range(0, length + HOP, HOP):
        at = int(round(np.interp(centre, target, source))) + WINDOW - WINDOW // 2
        if last is not None and at != last + HOP:
            natural = padded[last + HOP : last + HOP + WINDOW]
            low = max(0, at - SEARCH)
            field = padded[low : at + SEARCH + WINDOW]
            energy = np.sqrt(np.convolve(field**2, np.ones(WINDOW, np.float32), "valid") + 1e-4)
            at = low + int(np.argmax(np.correlate(field, natural, "valid") / energy))
        out[centre : centre + WINDOW] += padded[at : at + WINDOW] * window
        weight[centre : centre + WINDOW] += window
        last = at
    return (out / weight)[WINDOW // 2 : WINDOW // 2 + length]


def speak(text: str, voice: str = config.FLITE_VOICE) -> tuple[np.ndarray, list[tuple[int, int, int]]]:
    """One utterance, float32 at 24 kHz, whole codec frames long, and its words: (first character, end, end in frames).

    A pause belongs to the word before it. Raises ValueError when nothing is said.
    """
    x, timed = run_flite(text, voice)
    spans = [m.span() for m in re.finditer(r"\S+", text)]
    phones = [phone for phone, _ in timed if phone != "pau"]
    if not phones:
        raise ValueError(f"flite said nothing for {text!r}")
    of = iter(words_of_phones([word_phones(text[a:b], voice) for a, b in spans], phones))
    # Moments where something begins: words, pauses between them, the end.
    begins, before, word = [], 0.0, None
    for phone, end in timed:
        mine = "pause" if phone == "pau" else next(of)
        if mine != word:
            begins.append((mine, before))
        word, before = mine, end
    begins = begins[1:] if begins[0][0] == "pause" else begins
    if begins[-1][0] != "pause":
        begins.append(("pause", before))
    source, target, words = [begins[0][1]], [0], []
    for (mine, start), (_, end) in zip(begins, begins[1:]):
        frames = max(1, round((end - start) * RATE_HZ / FRAME))
        source.append(end)
        target.append(target[-1] + frames)
        if mine == "pause":
            words[-1] = (*words[-1][:2], target[-1])
        else:
            words.append((*spans[mine], target[-1]))
    source.append(source[-1] + TAIL_FRAMES * FRAME / RATE_HZ)
    target.append(target[-1] + TAIL_FRAMES)
    y = stretch(x, np.array(source) * RATE_HZ, np.array(target) * FRAME)
    y[:80] *= np.linspace(0, 1, 80, dtype=np.float32)
    y = resample_poly(y, config.SAMPLE_RATE_HZ, RATE_HZ).astype(np.float32)
    return np.clip(y * GAIN, -0.98, 0.98), words


class SpeechStore:
    """`audio.i16` holds all utterances end to end, `index.jsonl` one {text, start, frames, kind, words} a line."""

    def __init__(self, folder: str):
        os.makedirs(folder, exist_ok=True)
        self.audio_path = os.path.join(folder, "audio.i16")
        self.index_path = os.path.join(folder, "index.jsonl")
        self.items: list[dict] = []
        if os.path.exists(self.index_path):
            self.items = [json.loads(line) for line in open(self.index_path)]
        self.texts = {i["text"] for i in self.items}
        self.end = sum(i["frames"] for i in self.items)

    def add(self, texts: list[str], kind: str) -> None:
        if not os.path.exists(self.audio_path):
            open(self.audio_path, "wb").close()
        with open(self.audio_path, "r+b") as audio, open(self.index_path, "a") as index:
            audio.seek(self.end * config.FRAME_SAMPLES * 2)
            for text in texts:
                if text in self.texts:
                    continue
                try:
                    x, words = speak(text)
                except (ValueError, subprocess.CalledProcessError) as error:
                    print("skipped:", error)
                    continue
                audio.write((x * 32767).astype(np.int16).tobytes())
                audio.flush()
                item = {"text": text, "start": self.end, "frames": len(x) // config.FRAME_SAMPLES, "kind": kind, "words": words}
                index.write(json.dumps(item) + "\n")
                self.items.append(item)
                self.texts.add(text)
                self.end += item["frames"]

    def audio(self) -> np.ndarray:
        """All audio as an int16 memory map [frames, 1920]."""
        flat = np.memmap(self.audio_path, np.int16, "r")
        n = self.end * config.FRAME_SAMPLES
        return flat[:n].reshape(-1, config.FRAME_SAMPLES)
