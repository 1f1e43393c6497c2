"""What the voice says of many texts, as the rows and codes of vocoder.py, in growing files; in many processes, resumable.

Only the first utterances are kept as sound, which the codec learns from; the talker learns from codes.
"""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import time
from dataclasses import dataclass

import numpy as np

import config
import vocoder
from flite import ORDER, Flite

COLUMNS = 8  # feature columns a frame, 10 ms each
WIDTH = COLUMNS * (ORDER + 7)  # mel-cepstra, five strengths, voicing
PART = 1024  # texts that are said before the files tell of them
_TILT = np.array([1.1] + [0.0] * (ORDER - 1))  # of an average sound, around which quiet ones are drawn in
_voice = None  # of a process: Flite and Vocoder


def features(rows: vocoder.Rows) -> np.ndarray:
    """[frames, WIDTH]: mel-cepstra, strengths and voicing of 10 ms columns, weighted by what is heard of them."""
    c = rows.cepstra
    # in quiet rows differences are heard less; what lies below 0.5 is silence
    loud = np.clip((c[:, :1] - 1.0) / 4.0, 0.1, 1.0)
    shape = (c[:, 1:] - _TILT) * loud * 2**0.5
    x = np.concatenate([np.maximum(c[:, :1], 0.5), shape, rows.strengths * loud * 0.7, (rows.f0[:, None] > 0) * 0.7], 1)
    return x.reshape(-1, 2, ORDER + 7).mean(1).reshape(-1, WIDTH)


@dataclass
class Said:
    """One text: float16 [frames, WIDTH], int16 [frames], int16 [frames * 1920] or None, and Rows.words."""

    features: np.ndarray
    excitation: np.ndarray
    sound: np.ndarray | None
    words: list[tuple[int, int, int]]


def _set_up(voice: str) -> None:
    global _voice
    flite = Flite(voice)
    _voice = flite, vocoder.Vocoder(flite)


def say(job: tuple[str, bool]) -> Said | str:
    """A text, with its sound if wanted; or why it cannot be said."""
    text, heard = job
    flite, maker = _voice
    try:
        rows = maker.rows(flite.predict(text))
    except ValueError as error:
        return str(error)
    sound = (maker.sound(rows).clip(-0.98, 0.98) * 32767).astype(np.int16) if heard else None
    return Said(features(rows).astype(np.float16), vocoder.excitation(rows).astype(np.int16), sound, rows.words)


class SpeechStore:
    """`features.f16` [frames, WIDTH], `excitation.i16` [frames], `audio.i16` [frames of the first utterances, 1920], and
    `index.jsonl`, one {text, start, frames, kind, words, sound} a line; `sound` is where its sound starts, or None."""

    def __init__(self, folder: str):
        os.makedirs(folder, exist_ok=True)
        self.folder = folder
        self.path = lambda name: os.path.join(folder, name)
        self.items: list[dict] = []
        self.index_end = 0
        if os.path.exists(self.path("index.jsonl")):
            lines = [line for line in open(self.path("index.jsonl"), "rb") if line.endswith(b"\n")]
            self.items, self.index_end = [json.loads(line) for line in lines], sum(map(len, lines))
        self.texts = {i["text"] for i in self.items}
        self.end = sum(i["frames"] for i in self.items)
        self.sound_end = sum(i["frames"] for i in self.items if i["sound"] is not None)

    def add(self, texts: list[tuple[str, str]], sounds: int, processes: int = 1, voice: str = config.FLITE_VOICE) -> None:
        """Says (text, kind) pairs that it has not, in `processes`; keeps the sound while fewer than `sounds` frames, about, are kept.
        What is kept does not depend on how many processes there are."""
        new: dict[str, str] = {}
        for text, kind in texts:
            if text not in self.texts:
                new.setdefault(text, kind)
        left = list(new.items())
        if not left:
            return
        shown, before = time.time(), len(self.items)
        with (self.opened("features.f16", self.end * WIDTH * 2) as rows, self.opened("excitation.i16", self.end * 2) as codes,
              self.opened("audio.i16", self.sound_end * config.FRAME_SAMPLES * 2) as audio, self.opened("index.jsonl", self.index_end) as index,
              multiprocessing.get_context("fork").Pool(processes, _set_up, (voice,)) as pool):  # fmt: skip
            for at in range(0, len(left), PART):
                part = left[at : at + PART]
                jobs = [(text, self.sound_end < sounds or kind.endswith("held")) for text, kind in part]
                lines = []
                for (text, kind), said in zip(part, pool.imap(say, jobs, 8)):
                    if isinstance(said, str):
                        print("skipped:", said)
                        continue
                    rows.write(said.features.tobytes())
                    codes.write(said.excitation.tobytes())
                    frames, heard = len(said.excitation), said.sound is not None
                    if heard:
                        audio.write(said.sound.tobytes())
                    item = {"text": text, "start": self.end, "frames": frames, "kind": kind, "words": said.words, "sound": self.sound_end if heard else None}
                    lines.append(json.dumps(item) + "\n")
                    self.items.append(item)
                    self.texts.add(text)
                    self.end += frames
                    self.sound_end += frames if heard else 0
                for file in (rows, codes, audio):  # before the index tells of it
                    file.flush()
                index.write("".join(lines).encode())
                index.flush()
                if time.time() - shown > 30:
                    shown = time.time()
                    print(f"said {len(self.items) - before} of {len(left)} texts, {self.end / 12.5 / 3600:.1f} hours in all", flush=True)
        self.index_end = os.path.getsize(self.path("index.jsonl"))

    @contextlib.contextmanager
    def opened(self, name: str, end: int):
        """A file to write on from byte `end`; what an interrupted run left behind it goes."""
        with open(self.path(name), "r+b" if os.path.exists(self.path(name)) else "w+b") as file:
            file.truncate(end)
            file.seek(end)
            yield file

    def audio(self) -> np.ndarray:
        """All sound as an int16 memory map [frames, 1920]."""
        return np.memmap(self.path("audio.i16"), np.int16, "r")[: self.sound_end * config.FRAME_SAMPLES].reshape(-1, config.FRAME_SAMPLES)

    def features(self) -> np.ndarray:
        return np.memmap(self.path("features.f16"), np.float16, "r")[: self.end * WIDTH].reshape(-1, WIDTH)

    def excitation(self) -> np.ndarray:
        return np.fromfile(self.path("excitation.i16"), np.int16)[: self.end]
