"""Clips that joint.py takes where they are: what people ask aloud about pictures, and speech by further voices.

usage: python -m understanding.further_voices --data DIR --out DIR [--asked] [--voices FOLDER]

`--asked` speaks the questions about pictures by the voices of sounds.py, those kept back apart. `--voices FOLDER` holds a
`voices.py` (VOICES, and speak_many([(text, voice)], rng) -> [int16 at 16 kHz]), a `human.json` (file, text, speaker), clips of neural_voices.py (*.pt),
or several of these: more orders, digits and phrases are spoken by the first, and the others are taken as they are.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import random
from pathlib import Path

import torch

from understanding import facts, features, orders, sounds

EACH = 40  # voices that ask each question


def write(store: features.Store, name: str, clips: list[tuple]) -> None:
    """In place of those that are there, which a training may have mapped."""
    for old in (store.cache / f"{name}.clips.pt", store.cache / f"{name}.mel.npy"):
        old.unlink(missing_ok=True)
    store.write(name, clips)


def asked(store: features.Store) -> None:
    rng = random.Random(31)
    questions = sorted(set(facts.PHOTO_QUESTIONS + facts.READ_QUESTIONS))
    flite = [v for v in sounds.FLITE if v not in sounds.HELD_VOICES]
    made = [(text, voice) for text in questions for voice in flite * 2 + [f"{rng.choice(sounds.ACCENTS)}+{rng.choice(sounds.VARIANTS)}" for _ in range(EACH)]]
    write(store, "asked", [(x, text, None, voice) for x, (text, voice) in zip(sounds.speak_all(made, 31), made)])
    kept = [(text, voice) for text in questions for voice in sorted(sounds.HELD_VOICES) for _ in range(3)]
    write(store, "asked-held", [(x, text, None, voice) for x, (text, voice) in zip(sounds.speak_all(kept, 32), kept)])


def recorded(folder: Path) -> list[tuple]:
    """(samples, text, None, speaker) of what people said."""
    import numpy as np
    import soundfile
    from scipy.signal import resample_poly

    clips = []
    for item in json.loads((folder / "human.json").read_text()):
        x, rate = soundfile.read(item["file"], dtype="float32", always_2d=True)
        x = x.mean(1) if rate == sounds.RATE else resample_poly(x.mean(1), sounds.RATE, rate)
        if sounds.RATE // 8 < len(x) < 7 * sounds.RATE:
            clips.append(((x / max(1e-3, float(np.abs(x).max())) * 20000).astype(np.int16), item["text"], None, item["speaker"]))
    return clips


def further(store: features.Store, folder: Path, count: int) -> None:
    clips, rng = [], random.Random(32)
    if (folder / "human.json").exists():
        clips += recorded(folder)
        print(len(clips), "recordings", flush=True)
    more: list[tuple] = []
    if (folder / "voices.py").exists():
        spec = importlib.util.spec_from_file_location("voices", folder / "voices.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        questions = [text for text, _ in sounds.spoken_questions()]
        wanted = []  # (text, slots of an order or None, voice)
        for i in range(count):
            slots = orders.draw(rng) if i % 3 else None
            wanted.append((orders.wording(slots, rng) if slots else sounds.phrase(rng, questions), slots, module.VOICES[i % len(module.VOICES)]))
        for first in range(0, count, 60):
            part = wanted[first : first + 60]
            for x, (text, slots, voice) in zip(module.speak_many([(text, voice) for text, _, voice in part], rng), part, strict=True):
                (more if slots else clips).append((x, text, slots, voice))
    for file in sorted(folder.glob("*.pt")):
        if not file.stem.endswith("-held"):
            for clip in torch.load(file, weights_only=False):
                (more if clip[2] else clips).append(clip)
    if not clips:
        raise SystemExit(f"{folder} has neither recordings (human.json) nor voices (voices.py) nor clips (*.pt)")
    write(store, "said", clips)
    if more:
        write(store, "orders-more", more)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--asked", action="store_true")
    parser.add_argument("--voices", type=Path)
    parser.add_argument("--count", type=int, default=3000)
    args = parser.parse_args()
    store = features.Store(args.data, args.out)
    if args.asked:
        asked(store)
    if args.voices:
        further(store, args.voices, args.count)


if __name__ == "__main__":
    main()
