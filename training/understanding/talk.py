"""What is asked about speech besides answering it: the order in it, its words, and whether the person has finished.

A clip is heard once and asked several things at once: the audio encoder is most of what hearing costs.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from understanding import facts, orders, sounds

FILLERS = ["um", "uh", "erm", "hmm", "umm", "uhm"]
HANGING = set("""a an the with and of some lots lot bit little one can could i get have may me make please hi hello want like
would need let i'd i'll dark light medium small large eight twelve sixteen twenty ounce single double triple shot roast iced
almond soy whole skim brown drip house""".split())  # words an order does not end on


def unfinished(text: str, rng: random.Random) -> str:
    """The beginning of an order or a question, left hanging; empty when there is none."""
    words = text.rstrip("?.!").split()
    ends = [i for i in range(2, len(words)) if words[i - 1].lower().strip(",") in HANGING]
    if not ends:
        ends = list(range(2, len(words) - 1))
    return " ".join(words[: rng.choice(ends)]).rstrip(",") if ends else ""


@dataclass
class Asked:
    """One question about clip number `clip` of a batch."""

    clip: int
    question: str
    answer: str


class Talk:
    """Draws (samples of each clip, list of Asked). Held-out draws are plain; others are augmented by the caller."""

    def __init__(self, data: Path, cache: Path, clips: sounds.Sounds):
        self.orders, self.clips = orders.Orders(data, cache), clips
        self.fillers = self.load_fillers(cache / "fillers.pt")
        self.hanging = self.load_hanging(cache / "hanging.pt")
        self.questions = [(x, label[0]) for x, label, _ in clips.questions if len(label[0].split()) >= 4]
        self.babble: list[np.ndarray] = [x for x, *_ in clips.phrases[:1500]]

    @staticmethod
    def load_fillers(file: Path) -> list[np.ndarray]:
        if not file.exists():
            rng = random.Random(9)
            voices = [v for v in sounds.FLITE if v not in sounds.HELD_VOICES] + [f"en-us+{v}" for v in sounds.VARIANTS[::3]]
            made = [sounds.speak(text, voice, rng) for text in FILLERS for voice in voices]
            torch.save([x for x in made if len(x) > 1600], file)
        return torch.load(file, weights_only=False)

    @staticmethod
    def load_hanging(file: Path, count: int = 1200) -> list[np.ndarray]:
        if not file.exists():
            rng, made = random.Random(10), []
            questions = [text for text, _ in sounds.spoken_questions()]
            while len(made) < count:
                text = orders.wording(orders.draw(rng), rng) if rng.random() < 0.6 else rng.choice(questions)
                if text := unfinished(text, rng):
                    made.append(sounds.speak(text, f"{rng.choice(sounds.ACCENTS)}+{rng.choice(sounds.VARIANTS)}", rng))
            torch.save(made, file)
        return torch.load(file, weights_only=False)

    def order(self, rng: random.Random, count: int) -> tuple[list[np.ndarray], list[Asked]]:
        """Orders, asked for as JSON, to be confirmed, transcribed."""
        clips, asked = [], []
        for i in range(count):
            x, slots, text, _ = rng.choice(self.orders.real if rng.random() < 0.4 else self.orders.made)
            clips.append(orders.trimmed(x, rng.randint(1600, 8000)) if rng.random() < 0.8 else x)
            if rng.random() < 0.7:
                asked.append(Asked(i, orders.JSON_QUESTION, orders.as_json(slots)))
            if rng.random() < 0.6:
                asked.append(Asked(i, "", orders.confirmation(slots)))
            if text and rng.random() < 0.7:
                asked.append(Asked(i, rng.choice(orders.TRANSCRIBE_WORDINGS), text))
            if rng.random() < 0.25:
                asked.append(Asked(i, orders.FINISHED, "yes"))
        return clips, asked

    def transcript(self, rng: random.Random, count: int) -> tuple[list[np.ndarray], list[Asked]]:
        """Questions, digits and phrases, to be written down."""
        clips, asked = [], []
        for i in range(count):
            kind = rng.random()
            if kind < 0.5:
                x, text = rng.choice(self.questions)
            elif kind < 0.7:
                x, digit, _ = rng.choices(self.clips.digits, self.clips.digit_weights)[0]
                text = facts.NUMBERS[digit]
            else:
                x, text, _ = rng.choice(self.clips.phrases)
            clips.append(x)
            asked.append(Asked(i, rng.choice(orders.TRANSCRIBE_WORDINGS), written(text)))
        return clips, asked

    def turn(self, rng: random.Random, count: int) -> tuple[list[np.ndarray], list[Asked]]:
        """Whole and broken-off speech: has the person finished?"""
        clips, asked = [], []
        for i in range(count):
            kind = rng.random()
            if kind < 0.2:
                x, last = rng.choice(self.orders.real)[0], 0.5
            elif kind < 0.5:
                x, last = rng.choice(self.orders.made)[0], 0.5
            else:
                x, last = rng.choice(self.questions)[0], 0.75
            um = rng.choice(self.fillers) if rng.random() < 0.35 else None
            whole = rng.random() < 0.5
            if whole:
                x = orders.trimmed(x, rng.randint(800, 9000))
            elif rng.random() < 0.3:
                x = orders.interrupted(rng.choice(self.hanging), rng, 1.0, um) if um is not None else np.pad(rng.choice(self.hanging), (0, rng.randint(800, 12000)))
            else:
                x = orders.interrupted(x, rng, last, um)
            clips.append(x)
            asked.append(Asked(i, orders.FINISHED, "yes" if whole else "no"))
        return clips, asked

    def held_order(self, made: bool) -> tuple[list[np.ndarray], list[Asked]]:
        clips = self.orders.made_held if made else self.orders.held
        return [x for x, *_ in clips], [Asked(i, orders.JSON_QUESTION, orders.as_json(c[1])) for i, c in enumerate(clips)]

    def held_transcript(self, count: int) -> tuple[list[np.ndarray], list[Asked]]:
        said = [(x, label[0]) for x, label, _ in self.clips.held_questions[:count]]
        said += [(x, text) for x, _, text, _ in self.orders.made_held[:count]]
        return [x for x, _ in said], [Asked(i, orders.TRANSCRIBE, written(text)) for i, (_, text) in enumerate(said)]

    def held_turn(self, rng: random.Random, count: int) -> tuple[list[np.ndarray], list[Asked]]:
        clips, asked = [], []
        for x, last in [(c[0], 0.5) for c in self.orders.held[:count]] + [(c[0], 0.75) for c in self.clips.held_questions[:count] if len(c[1][0].split()) >= 4]:
            for answer, y in (("yes", np.pad(orders.trimmed(x, 800), (0, 6400))), ("no", orders.interrupted(x, rng, last))):
                asked.append(Asked(len(clips), orders.FINISHED, answer))
                clips.append(y)
        return clips, asked


def written(text: str) -> str:
    """As a transcript has it: a capital first."""
    return text[0].upper() + text[1:]


def noisy(x: np.ndarray, babble: list[np.ndarray], rng: random.Random) -> np.ndarray:
    """float32 in [-1, 1] with a room full of people or a kitchen behind it, at 5 to 30 dB."""
    back = np.zeros(len(x), np.float32)
    if rng.random() < 0.5:  # people
        for _ in range(rng.randint(3, 8)):
            voice = rng.choice(babble).astype(np.float32)
            voice = np.tile(voice, 1 + len(x) // max(1, len(voice)))[: len(x)]
            back += np.roll(voice, rng.randrange(max(1, len(x)))) * rng.uniform(0.3, 1)
    else:  # dishes and machines: short ringing sounds over a hum
        t = np.arange(2400, dtype=np.float32)
        for _ in range(rng.randint(1, 1 + len(x) // 4000)):
            at = rng.randrange(len(x))
            tones = sum(rng.uniform(0.2, 1) * np.sin(2 * np.pi * rng.uniform(600, 6000) / sounds.RATE * t) for _ in range(4))
            ring = (tones * np.exp(-t / rng.uniform(80, 700)))[: len(x) - at]
            back[at : at + len(ring)] += ring * rng.uniform(0.2, 1)
        hum = np.random.randn(len(x)).astype(np.float32)
        back += np.convolve(hum, np.ones(rng.randint(2, 24)), "same")[: len(x)] * rng.uniform(0.02, 0.3)
    power = float((x**2).mean() / max(1e-9, (back**2).mean())) ** 0.5
    return (x + back.astype(np.float32) * power * 10 ** (-rng.uniform(5, 30) / 20)).clip(-1, 1).astype(np.float32)
