"""Speaks texts with flite into one int16 file at 24 kHz plus an index; resumable."""

from __future__ import annotations

import io
import json
import os
import subprocess
import tempfile

import numpy as np
import soundfile
from scipy.signal import resample_poly

import config

LEAD_SAMPLES = 960  # 40 ms before the first sound
TAIL_SAMPLES = 2400  # 100 ms after the last
GAIN = 1.2


def speak(text: str, voice: str = config.FLITE_VOICE) -> np.ndarray:
    """One utterance, float32 at 24 kHz, trimmed, a whole number of codec frames long."""
    with tempfile.NamedTemporaryFile(suffix=".wav") as f:
        subprocess.run(["flite", "-voice", voice, "-t", text, "-o", f.name], check=True, capture_output=True)
        x, rate = soundfile.read(io.BytesIO(open(f.name, "rb").read()), dtype="float32")
    x = resample_poly(x, 3, 2).astype(np.float32) if rate == 16000 else resample_poly(x, 24000, rate)
    x = np.asarray(x, np.float32)
    envelope = np.sqrt(np.convolve(x * x, np.ones(240) / 240, "same"))
    loud = np.flatnonzero(envelope > 0.006)
    if len(loud) == 0:
        raise ValueError(f"flite said nothing for {text!r}")
    first, last = loud[0], loud[-1] + 1
    x = np.concatenate([np.zeros(LEAD_SAMPLES, np.float32), x, np.zeros(TAIL_SAMPLES, np.float32)])
    x = x[first : last + LEAD_SAMPLES + TAIL_SAMPLES]
    x = np.clip(x * GAIN, -0.98, 0.98)
    frames = -(-len(x) // config.FRAME_SAMPLES)
    return np.pad(x, (0, frames * config.FRAME_SAMPLES - len(x)))


class SpeechStore:
    """`audio.i16` holds all utterances end to end, `index.jsonl` one {text, start, frames, kind} a line."""

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
                    x = speak(text)
                except (ValueError, subprocess.CalledProcessError) as error:
                    print("skipped:", error)
                    continue
                audio.write((x * 32767).astype(np.int16).tobytes())
                audio.flush()
                item = {"text": text, "start": self.end, "frames": len(x) // config.FRAME_SAMPLES, "kind": kind}
                index.write(json.dumps(item) + "\n")
                self.items.append(item)
                self.texts.add(text)
                self.end += item["frames"]

    def audio(self) -> np.ndarray:
        """All audio as an int16 memory map [frames, 1920]."""
        flat = np.memmap(self.audio_path, np.int16, "r")
        n = self.end * config.FRAME_SAMPLES
        return flat[:n].reshape(-1, config.FRAME_SAMPLES)
