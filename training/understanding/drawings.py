"""Drawings of plain shapes, and what can be asked about them: shapes, colours, counts and places."""

from __future__ import annotations

import functools
import math
import random
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFilter

from understanding import facts, pictures

SIDE = 64
SHAPES = ["circle", "square", "triangle", "star", "cross", "heart"]
COLOURS = {"red": (215, 30, 35), "green": (35, 155, 55), "blue": (35, 75, 215), "yellow": (250, 220, 40), "orange": (250, 140, 25), "purple": (125, 45, 155),
           "pink": (250, 140, 190), "brown": (120, 70, 30), "black": (15, 15, 15), "white": (250, 250, 250), "grey": (130, 130, 130)}

# (what is asked, kept for validation), filled from the drawing.
SHAPE = (["What shape is this?", "Which shape is this?", "What shape do you see?", "Name the shape.", "What is drawn here?", "Tell me the shape.", "What is in this drawing?",
          "Which shape do you see?"], ["Can you name the shape?", "What shape is in this picture?"])
COLOUR = (["What colour is the {s}?", "Which colour is the {s}?", "What color is the {s}?", "Tell me the colour of the {s}.", "What is the colour of the {s}?",
           "Name the colour of the {s}."], ["Can you tell me the colour of the {s}?", "Which color is the {s}?"])
COUNT = (["How many {many} are there?", "How many {many} do you see?", "Count the {many}.", "How many {many} are in this drawing?", "Tell me how many {many} there are.",
          "What is the number of {many}?", "Please count the {many}.", "Count all {many}.", "I want to know how many {many} there are."], ["Can you count the {many}?", "How many {many} are in this picture?"])
PLACE = (["Where is the {s}?", "In which part is the {s}?", "Tell me where the {s} is.", "Where do you see the {s}?", "On which side is the {s}?"],
         ["Can you tell me where the {s} is?", "Where in this picture is the {s}?"])
BESIDE = (["What is {p} the {s}?", "Which shape is {p} the {s}?", "What do you see {p} the {s}?", "Tell me what is {p} the {s}."],
          ["Can you tell me what is {p} the {s}?", "Name the shape {p} the {s}."])


def outline(shape: str, x: float, y: float, r: float, turn: float) -> list[tuple[float, float]]:
    """The corners of a shape of radius r around x, y."""
    def ring(count: int, radii: list[float], start: float) -> list[tuple[float, float]]:
        return [(x + radii[i % len(radii)] * r * math.sin(start + 2 * math.pi * i / count), y - radii[i % len(radii)] * r * math.cos(start + 2 * math.pi * i / count))
                for i in range(count)]

    if shape == "circle":
        return ring(40, [0.95], 0)
    if shape == "square":
        return ring(4, [1.15], math.pi / 4 + turn)
    if shape == "triangle":
        return ring(3, [1.15], turn)
    if shape == "star":
        return ring(10, [1.15, 0.48], turn)
    if shape == "cross":
        arm = [(-0.33, -1), (0.33, -1), (0.33, -0.33), (1, -0.33), (1, 0.33), (0.33, 0.33), (0.33, 1), (-0.33, 1), (-0.33, 0.33), (-1, 0.33), (-1, -0.33), (-0.33, -0.33)]
        return [(x + r * (a * math.cos(turn) - b * math.sin(turn)), y + r * (a * math.sin(turn) + b * math.cos(turn))) for a, b in arm]
    curve = [(0.06 * 16 * math.sin(t) ** 3, -0.06 * (13 * math.cos(t) - 5 * math.cos(2 * t) - 2 * math.cos(3 * t) - math.cos(4 * t)))
             for t in (2 * math.pi * i / 40 for i in range(40))]
    return [(x + r * a, y + r * b) for a, b in curve]


def contrast(a: tuple, b: tuple) -> float:
    return sum(abs(p - q) for p, q in zip(a, b))


def drawn(things: list[tuple], ground: tuple, rng: random.Random) -> np.ndarray:
    """Pixels [SIDE, SIDE, 3] of (shape, colour, x, y, r), places and radii in parts of the side."""
    scale = 4
    image = Image.new("RGB", (SIDE * scale, SIDE * scale), ground)
    pen = ImageDraw.Draw(image)
    edge = rng.random() < 0.25
    for shape, colour, x, y, r in things:
        ink = tuple(max(0, min(255, c + rng.randint(-18, 18))) for c in COLOURS[colour])
        corners = outline(shape, *(v * SIDE * scale for v in (x, y, r)), rng.uniform(-0.25, 0.25) if rng.random() < 0.5 else 0.0)
        pen.polygon(corners, fill=ink, outline=(0, 0, 0) if edge else None, width=4)
    image = image.resize((SIDE, SIDE), Image.BICUBIC)
    if rng.random() < 0.2:
        image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0.2, 0.6)))
    x = np.asarray(image, np.float32)
    if rng.random() < 0.3:
        x = x + np.random.default_rng(rng.randrange(1 << 30)).normal(0, rng.uniform(1, 8), x.shape)
    return x.clip(0, 255).astype(np.uint8)


def article(word: str) -> str:
    return f"{'an' if word[0] in 'aeiou' else 'a'} {word}"


def plural(word: str) -> str:
    return word + ("es" if word.endswith("s") else "s")


def place(x: float, y: float) -> str:
    """Where the middle of a shape is."""
    if max(abs(x - 0.5), abs(y - 0.5)) < 0.1:
        return "in the middle"
    if abs(x - 0.5) > abs(y - 0.5):
        return "on the left" if x < 0.5 else "on the right"
    return "at the top" if y < 0.5 else "at the bottom"


def drawing(rng: random.Random) -> tuple[np.ndarray, list[tuple]]:
    """Pixels, and (wordings, what fills them, answer) of what can be asked."""
    ground = (255, 255, 255) if rng.random() < 0.5 else tuple(rng.randrange(256) for _ in range(3))
    colours = [c for c, ink in COLOURS.items() if contrast(ink, ground) > 150]
    kind = rng.choices(["one", "many", "two"], [0.4, 0.35, 0.25])[0]
    asked = []
    if kind == "one":
        shape, colour, r = rng.choice(SHAPES), rng.choice(colours), rng.uniform(0.13, 0.36)
        while True:
            x, y = (0.5 + rng.uniform(-0.04, 0.04) if rng.random() < 0.35 else rng.uniform(r, 1 - r) for _ in range(2))
            far = max(abs(x - 0.5), abs(y - 0.5))
            clear = far < 0.06 or far > 0.13 and abs(abs(x - 0.5) - abs(y - 0.5)) > 0.08
            if clear:
                break
        things = [(shape, colour, x, y, r)]
        asked += [(SHAPE, {}, f"It is {article(colour)} {shape}."), (COLOUR, {"s": shape}, f"The {shape} is {colour}."), (PLACE, {"s": shape}, f"The {shape} is {place(x, y)}."),
                  (COUNT, {"many": plural(shape)}, f"There is one {shape}.")]
    elif kind == "many":
        shape, colour, count = rng.choice(SHAPES), rng.choice(colours), rng.randint(2, 6)
        things, r = [], rng.uniform(0.08, 0.15)
        while len(things) < count:
            r *= 0.995  # so that at last there is room
            x, y = rng.uniform(r + 0.02, 0.98 - r), rng.uniform(r + 0.02, 0.98 - r)
            if all(math.hypot(x - a, y - b) > 2.5 * r for _, _, a, b, _ in things):
                things.append((shape, colour, x, y, r))
        things = [(*thing[:4], r) for thing in things]
        asked += [(COUNT, {"many": plural(shape)}, f"There are {facts.NUMBERS[count]} {plural(shape)}.")] * 2
    else:
        (a, b), (ca, cb) = rng.sample(SHAPES, 2), rng.sample(colours, 2)
        r, across = rng.uniform(0.13, 0.2), rng.random() < 0.5
        near, far, level = rng.uniform(0.22, 0.3), rng.uniform(0.7, 0.78), [rng.uniform(0.35, 0.65) for _ in range(2)]
        places = [(near, level[0]), (far, level[1])] if across else [(level[0], near), (level[1], far)]
        things = [(a, ca, *places[0], r), (b, cb, *places[1], r)]
        first, second = ("left of", "right of") if across else ("above", "below")
        asked += [(BESIDE, {"p": first, "s": b}, f"The {a} is {first} the {b}."), (BESIDE, {"p": second, "s": a}, f"The {b} is {second} the {a}."),
                  (COLOUR, {"s": a}, f"The {a} is {ca}."), (COLOUR, {"s": b}, f"The {b} is {cb}."), (PLACE, {"s": a}, f"The {a} is {place(*places[0])}."),
                  (PLACE, {"s": b}, f"The {b} is {place(*places[1])}.")]
    return drawn(things, ground, rng), asked


def some_drawings(seed: int, count: int, held_out: bool) -> tuple[np.ndarray, list]:
    rng = random.Random(f"{seed} {held_out}")
    made = [drawing(rng) for _ in range(count)]
    return np.stack([x for x, _ in made]).transpose(0, 3, 1, 2), [asked for _, asked in made]


def draw(count: int, processes: int = pictures.PROCESSES, held_out: bool = False) -> tuple[torch.Tensor, list]:
    """Pixels uint8 [N, 3, SIDE, SIDE], and what can be asked of each."""
    pixels, asked = zip(*pictures.in_processes(functools.partial(some_drawings, held_out=held_out), count, processes))
    return torch.from_numpy(np.concatenate(pixels)), sum(asked, [])


class Drawings:
    """Drawings made once and kept; those held out are asked about in wordings kept for validation."""

    def __init__(self, cache: Path, held_out: bool, count: int = 16000):
        file = cache / f"drawings-{'held' if held_out else 'train'}.pt"
        if not file.exists():
            pictures.keep(draw(count, held_out=held_out), file)
        self.pixels, self.asked = torch.load(file, weights_only=False, mmap=True)
        self.held_out = held_out

    def batch(self, count: int, rng: random.Random, most: int = 3) -> tuple[torch.Tensor, list[list[tuple[str, str]]]]:
        """Drawings [B, 3, SIDE, SIDE] in [-1, 1], and up to `most` questions with answers of each."""
        index = [rng.randrange(len(self.asked)) for _ in range(count)]
        asked = []
        for i in index:
            some = rng.sample(self.asked[i], min(most, len(self.asked[i])))
            asked.append([(rng.choice(wordings[self.held_out]).format(**filled), answer) for wordings, filled, answer in some])
        x = self.pixels[index].float() / 127.5 - 1
        return x if self.held_out else (x + torch.randn_like(x) * torch.empty(count, 1, 1, 1).uniform_(0, 0.06)).clamp_(-1, 1), asked
