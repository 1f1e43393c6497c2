"""What is asked about speech besides answering it: the order in it, its words, and whether the person has finished.

A clip is heard once and asked several things at once: the audio encoder is most of what hearing costs.
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass

import torch

from understanding import facts, features, orders, sounds, splices

WIDE = 0.45  # share of the batches of orders, of half as many, with seconds of nothing around them, as they are recorded: in noise that is much harder
WIDE_DIGITS = 0.25  # the same of digits
UNHISSED = 0.6  # share of the digits whose hissing sounds are faint


@dataclass
class Asked:
    """One question about clip number `clip` of a batch."""

    clip: int
    question: str
    answer: str


class Talk:
    """Draws (clips as log10 mel power [frames, 128], list of Asked, phones of each clip); the caller changes what is heard."""

    def __init__(self, store: features.Store):
        self.store = store
        self.questions = [c for c in store.questions if len(c.text.split()) >= 4]
        self.told = [c for c in store.real if c.text]  # recorded orders whose words are known
        self.splicer = splices.Splicer(self.told)

    def person(self, rng: random.Random) -> features.Clip:
        """An order by somebody, or by several."""
        return self.splicer.draw(rng) if self.splicer.usable and rng.random() < 0.65 else rng.choice(self.store.real)

    @staticmethod
    def alike(clips: list[features.Clip], count: int, rng: random.Random) -> list[features.Clip]:
        """Some of the clips, of like length, so that little is padding."""
        clips = sorted(clips, key=lambda c: c.last - c.first)
        first = rng.randint(0, len(clips) - count)
        return clips[first : first + count]

    def transcribe(self, clip: int, text: str, rng: random.Random) -> Asked:
        return Asked(clip, rng.choice(orders.TRANSCRIBE_WORDINGS), written(text))

    def order(self, rng: random.Random, count: int) -> tuple:
        """Orders, to be confirmed, asked for as JSON, transcribed."""
        drawn = self.alike([self.person(rng) if rng.random() < 0.65 else rng.choice(self.store.orders) for _ in range(3 * count)], count, rng)
        kind = rng.random()
        if kind < 0.1:  # as recorded, with the silence around it
            pieces = [c.whole() for c in drawn[: max(4, count // 2)]]
        elif kind < WIDE:
            pieces = [c.amid(rng.randint(60, 330), rng.randint(60, 330), rng.choice(self.store.real), rng) for c in drawn[: max(4, count // 2)]]
        else:
            pieces = [c.cut(rng.randint(5, 60), rng.randint(5, 60)) for c in drawn]
        asked = []
        for i, clip in enumerate(drawn[: len(pieces)]):
            as_json = rng.random() < 0.9
            if as_json:
                asked.append(Asked(i, orders.JSON_QUESTION, orders.as_json(clip.label)))
            if not as_json or rng.random() < 0.7:
                asked.append(Asked(i, "", orders.confirmation(clip.label)))
            if clip.text and rng.random() < 0.5:
                asked.append(self.transcribe(i, spoken_order(clip.text), rng))
        return pieces, asked, [c.phones for c in drawn[: len(pieces)]]

    def spoken(self, rng: random.Random, count: int) -> tuple:
        """Questions, to be answered and written down."""
        drawn = self.alike(rng.choices(self.store.questions, k=2 * count), count, rng)
        asked = [Asked(i, "", c.label) for i, c in enumerate(drawn)]
        asked += [self.transcribe(i, c.text, rng) for i, c in enumerate(drawn) if rng.random() < 0.5]
        return [self.piece(c, rng) for c in drawn], asked, [c.phones for c in drawn]

    def transcript(self, rng: random.Random, count: int) -> tuple:
        """Phrases to be written down, and some digits and orders."""
        kinds = [self.store.phrases, self.store.digits, self.told, self.store.said]
        drawn = self.alike([rng.choice(rng.choices(kinds, [0.55, 0.1, 0.25, 0.1])[0] or self.store.phrases) for _ in range(2 * count)], count, rng)
        return [self.piece(c, rng) for c in drawn], [self.transcribe(i, spoken_order(c.text) if isinstance(c.label, dict) else c.text, rng) for i, c in enumerate(drawn)], [c.phones for c in drawn]

    def phones(self, rng: random.Random, count: int) -> tuple:
        """Clips whose words are known, and their phones."""
        kinds = [self.store.orders, self.told, self.store.phrases, self.store.questions, self.store.digits, self.store.said]
        drawn = [rng.choice(kind) for kind in rng.choices(kinds, [w if kind else 0 for w, kind in zip((0.3, 0.15, 0.15, 0.12, 0.1, 0.1), kinds)], k=5 * count // 2)]
        drawn = self.alike(drawn + [self.person(rng) for _ in range(count // 2)], count, rng)
        return [self.piece(c, rng) for c in drawn], [c.phones for c in drawn]

    def digit(self, rng: random.Random, count: int) -> tuple:
        """Digits to be named, with a question or without."""
        wide = rng.random() < WIDE_DIGITS
        drawn = rng.choices(self.store.digits, self.store.digit_weights, k=count // 2 if wide else count)
        asked = [Asked(i, rng.choice(facts.DIGIT_QUESTIONS), facts.digit_answer(c.label)) for i, c in enumerate(drawn)]
        asked += [Asked(i, "", facts.digit_answer(c.label)) for i, c in enumerate(drawn) if rng.random() < 0.4]
        pieces = [self.piece(c, rng) for c in drawn]
        # People who just say a digit take 0.2 to 0.3 s, made voices and prompts 0.4 s.
        pieces = [x if c.voice in sounds.SPEAKERS else features.hurried(x, rng.uniform(0.65, 1.05)) for x, c in zip(pieces, drawn)]
        pieces = [features.unhissed(x, rng.uniform(0.5, 2.5)) if rng.random() < UNHISSED else x for x in pieces]
        if wide:
            pieces = [torch.cat([c.background(rng.randint(0, 200), rng), x, c.background(rng.randint(0, 200), rng)]) for x, c in zip(pieces, drawn)]
        return pieces, asked, [c.phones for c in drawn]

    @staticmethod
    def piece(clip: features.Clip, rng: random.Random) -> torch.Tensor:
        """The speech with more or less around it, at times a little cut off."""
        return clip.cut(rng.randint(-4, 30), rng.randint(-4, 30))

    def turn(self, rng: random.Random, count: int) -> tuple:
        """Whole and broken-off speech: has the person finished?"""
        pieces, asked, said = [], [], []
        for i in range(count):
            kind = rng.random()
            clip, last = (rng.choice(self.store.real), 0.5) if kind < 0.3 else (rng.choice(self.store.orders), 0.5) if kind < 0.55 else (rng.choice(self.questions), 0.75)
            um = rng.choice(self.store.fillers) if rng.random() < 0.35 else None
            whole = rng.random() < 0.5
            if whole:
                pieces.append(torch.cat([clip.cut(rng.randint(0, 30), 2), clip.background(rng.randint(5, 75), rng)]))
            elif rng.random() < 0.3:
                hanging = rng.choice(self.store.hanging)
                pieces.append(torch.cat([hanging.cut(10, 2), hanging.background(rng.randint(5, 75), rng)]))
            else:
                pieces.append(features.interrupted(clip, rng, last, um))
            question, yes, no = rng.choice(orders.FINISHED_WORDINGS)
            asked.append(Asked(i, question, yes if whole else no))
            said.append(clip.phones if whole else [])
        return pieces, asked, said

    def noise(self, rng: random.Random, count: int, changer: features.Changer) -> tuple:
        """Nobody speaks: it says so, and there is nothing to write down."""
        asked = [Asked(i, "", facts.UNHEARD) for i in range(count)]
        asked += [Asked(i, rng.choice(facts.DIGIT_QUESTIONS), facts.UNHEARD) for i in range(count) if rng.random() < 0.3]
        asked += [Asked(i, rng.choice(orders.TRANSCRIBE_WORDINGS), "") for i in range(count) if rng.random() < 0.3]
        return changer.only_noise(count), asked, [[]] * count

    def held_order(self, made: bool) -> tuple:
        clips = self.store.held_orders if made else self.store.held_real
        return [c.whole() for c in clips], [Asked(i, orders.JSON_QUESTION, orders.as_json(c.label)) for i, c in enumerate(clips)]

    def held_confirmed(self) -> tuple:
        clips = self.store.held_real
        return [c.whole() for c in clips], [Asked(i, "", orders.confirmation(c.label)) for i, c in enumerate(clips)]

    def held_transcript(self, count: int) -> tuple:
        clips = self.store.held_questions[:count] + self.store.held_orders[:count]
        return [c.whole() for c in clips], [Asked(i, orders.TRANSCRIBE, written(c.text)) for i, c in enumerate(clips)]

    def held_turn(self, rng: random.Random, count: int) -> tuple:
        pieces, asked = [], []
        for clip, last in [(c, 0.5) for c in self.store.held_real[:count]] + [(c, 0.75) for c in self.store.held_questions[:count] if len(c.text.split()) >= 4]:
            whole = torch.cat([clip.cut(5, 2), clip.background(40, rng)])
            for answer, piece in (("yes", whole), ("no", features.interrupted(clip, rng, last, None))):
                asked.append(Asked(len(pieces), orders.FINISHED, answer))
                pieces.append(piece)
        return pieces, asked


def spoken_order(text: str) -> str:
    """The words of an order as it is written: can i have a latte -> Can I have a latte?"""
    if text[:1].isupper():
        return text
    text = " ".join({"i": "I", "i'd": "I'd", "i'll": "I'll"}.get(word, word) for word in text.split())
    return text + ("?" if re.match(r"(um |uh )?((hi|hello|hey) )?(can|could|may) ", text.lower()) else ".")


def written(text: str) -> str:
    """As a transcript has it: a capital first."""
    return text[0].upper() + text[1:]
