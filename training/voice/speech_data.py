"""What the voice says of many texts, as the rows and codes of vocoder.py, in growing files; resumable.

Only the first utterances are kept as sound, which the codec learns from; the talker learns from codes.
"""

from __future__ import annotations

import json
import os

import numpy as np

import config
import vocoder
from flite import ORDER, Flite

COLUMNS = 8  # feature columns a frame, 10 ms each
WIDTH = COLUMNS * (ORDER + 7)  # mel-cepstra, five strengths, voicing
_TILT = np.array([1.1] + [0.0] * (ORDER - 1))  # of an average sound, around which quiet ones are drawn in


def features(rows: vocoder.Rows) -> np.ndarray:
    """[frames, WIDTH]: mel-cepstra, strengths and voicing of 10 ms columns, weighted by what is heard of them."""
    c = rows.cepstra
    # in quiet rows differences are heard less; what lies below 0.5 is silence
    loud = np.clip((c[:, :1] - 1.0) / 4.0, 0.1, 1.0)
    shape = (c[:, 1:] - _TILT) * loud * 2**0.5
    x = np.concatenate([np.maximum(c[:, :1], 0.5), shape, rows.strengths * loud * 0.7, (rows.f0[:, None] > 0) * 0.7], 1)
    return x.reshape(-1, 2, ORDER + 7).mean(1).reshape(-1, WIDTH)


class SpeechStore:
    """`features.f16` [frames, WIDTH], `excitation.i16` [frames], `audio.i16` [frames of the first utterances, 1920], and
    `index.jsonl`, one {text, start, frames, kind, words, sound} a line; `sound` is where its sound starts, or None."""

    def __init__(self, folder: str):
        os.makedirs(folder, exist_ok=True)
        self.folder = folder
        self.path = lambda name: os.path.join(folder, name)
        self.items: list[dict] = []
        if os.path.exists(self.path("index.jsonl")):
            self.items = [json.loads(line) for line in open(self.path("index.jsonl")) if line.endswith("\n")]
        self.texts = {i["text"] for i in self.items}
        self.end = sum(i["frames"] for i in self.items)
        self.sound_end = sum(i["frames"] for i in self.items if i["sound"] is not None)

    def add(self, texts: list[tuple[str, str]], sounds: int, voice: str = config.FLITE_VOICE) -> None:
        """Says (text, kind) pairs that it has not; keeps the sound while fewer than `sounds` frames are kept."""
        flite = Flite(voice)
        maker = vocoder.Vocoder(flite)
        for name in ("features.f16", "excitation.i16", "audio.i16"):
            open(self.path(name), "ab").close()
        with (open(self.path("features.f16"), "r+b") as rows_file, open(self.path("excitation.i16"), "r+b") as codes_file,
              open(self.path("audio.i16"), "r+b") as audio, open(self.path("index.jsonl"), "a") as index):  # fmt: skip
            rows_file.seek(self.end * WIDTH * 2)
            codes_file.seek(self.end * 2)
            audio.seek(self.sound_end * config.FRAME_SAMPLES * 2)
            for text, kind in texts:
                if text in self.texts:
                    continue
                try:
                    rows = maker.rows(flite.predict(text))
                except ValueError as error:
                    print("skipped:", error)
                    continue
                sound = None
                if self.sound_end < sounds or kind.endswith("held"):
                    audio.write((maker.sound(rows).clip(-0.98, 0.98) * 32767).astype(np.int16).tobytes())
                    audio.flush()
                    sound = self.sound_end
                rows_file.write(features(rows).astype(np.float16).tobytes())
                codes_file.write(vocoder.excitation(rows).astype(np.int16).tobytes())
                rows_file.flush()
                codes_file.flush()
                frames = len(rows.f0) // vocoder.STEPS
                item = {"text": text, "start": self.end, "frames": frames, "kind": kind, "words": rows.words, "sound": sound}
                index.write(json.dumps(item) + "\n")
                self.items.append(item)
                self.texts.add(text)
                self.end += frames
                self.sound_end += 0 if sound is None else frames

    def audio(self) -> np.ndarray:
        """All sound as an int16 memory map [frames, 1920]."""
        return np.memmap(self.path("audio.i16"), np.int16, "r")[: self.sound_end * config.FRAME_SAMPLES].reshape(-1, config.FRAME_SAMPLES)

    def features(self) -> np.ndarray:
        return np.memmap(self.path("features.f16"), np.float16, "r")[: self.end * WIDTH].reshape(-1, WIDTH)

    def excitation(self) -> np.ndarray:
        return np.fromfile(self.path("excitation.i16"), np.int16)[: self.end]
