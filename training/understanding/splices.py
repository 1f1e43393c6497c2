"""New orders out of recorded ones: their sizes, roasts, shots, drinks, milks and sugars changed for other people's.

Few people are recorded, and nobody says every pair of things; what was said in one clip is put where another says something of its
kind, at its loudness (cf. Zhao et al. 2021, "On Addressing Practical Challenges for RNN-Transducer", splicing of recordings).
"""

from __future__ import annotations

import random
from dataclasses import dataclass

import numpy as np

from understanding import features, orders


@dataclass
class Part:
    """Frames of one value of a slot, or of what is said between: `words` with frames from the part's beginning."""

    slot: str  # empty between slots
    value: str
    power: np.ndarray
    words: list[str]


def parts(clip: features.Clip) -> list[Part] | None:
    """A recording in parts, from its first word to its last; None where its words do not have its slots once each."""
    said = [word for word, *_ in clip.words]
    spans = []
    for slot, value in clip.label.items():
        wanted = value.split()
        at = [i for i in range(len(said)) if said[i : i + len(wanted)] == wanted]
        if slot == "coffeeDrink":
            at = at[-1:] if wanted == ["coffee"] else at
        at = [i for i in at if not any(i < end and start < i + len(wanted) for start, end, *_ in spans)]
        if len(at) != 1:
            return None
        # Most labels have a space where no amount is said, some have not.
        spans.append((at[0], at[0] + len(wanted), slot, " " + value if value in orders.MILKS + orders.SUGARS else value))
    out, done, last = [], 0, clip.words[-1][2]
    for start, end, slot, value in [*sorted(spans), (len(said), len(said), "", "")]:
        if start > done:
            out.append(Part("", "", clip.power[clip.words[done][1] : clip.words[start][1] if start < len(said) else last], said[done:start]))
        if end > start:
            out.append(Part(slot, value, clip.power[clip.words[start][1] : clip.words[end][1] if end < len(said) else last], said[start:end]))
        done = end
    return out


def loudness(power: np.ndarray) -> float:
    """Of the loud frames, in log10."""
    return float(np.percentile(np.asarray(power, np.float32).max(1), 80)) if len(power) else 0.0


class Splicer:
    """Draws new orders; `usable` says whether there is anything to draw from."""

    def __init__(self, clips: list[features.Clip]):
        self.orders = [p for p in (parts(clip) for clip in clips if clip.words) if p]
        self.bank: dict[str, list[Part]] = {}
        self.extras: dict[str, list[list[Part]]] = {}  # a milk or a sugar with the word before it, at the end of an order
        for order in self.orders:
            for part in order:
                self.bank.setdefault(part.slot, []).append(part)
            if len(order) > 2 and order[-1].slot in ("milkAmount", "sugarAmount") and order[-2].words == ["with"]:
                self.extras.setdefault(order[-1].slot, []).append(order[-2:])
        self.usable = len(self.orders) > 20

    def draw(self, rng: random.Random) -> features.Clip:
        order = list(rng.choice(self.orders))
        level = loudness(np.concatenate([part.power for part in order]))

        def fitted(part: Part) -> Part:
            shift = np.clip(level - loudness(part.power), -1.2, 1.2) + rng.uniform(-0.15, 0.15)
            return Part(part.slot, part.value, np.asarray(part.power, np.float32) + np.float32(shift), part.words)

        slots = {part.slot for part in order if part.slot}
        drink = next(i for i, part in enumerate(order) if part.slot == "coffeeDrink")
        for slot in orders.CHOICES:  # said before the drink: left out, or put in
            if slot in slots and rng.random() < 0.2:
                order = [part for i, part in enumerate(order) if part.slot != slot or i > drink]
            elif slot not in slots and rng.random() < 0.2:
                order.insert(next(i for i, part in enumerate(order) if part.slot == "coffeeDrink"), fitted(rng.choice(self.bank[slot])))
        if not slots & {"milkAmount", "sugarAmount"} and self.extras and order[-1].slot and rng.random() < 0.3:
            order += map(fitted, rng.choice(self.extras[rng.choice(sorted(self.extras))]))
        share = rng.choice([0.2, 0.5, 0.8])
        order = [fitted(rng.choice(self.bank[part.slot])) if part.slot and rng.random() < share else part for part in order]
        power = np.concatenate([part.power for part in order]).astype(np.float32)
        text = " ".join(word for part in order for word in part.words)
        label = {part.slot: part.value for part in order if part.slot}
        return features.Clip(power, 0, len(power), text, label, "spliced", features.phones(text))
