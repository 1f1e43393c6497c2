"""Photos and drawn words, as normalised pixels in [-1, 1].

usage: python -m understanding.pictures --out DIR [--words N] [--drawings N] [--processes N]     draws words and drawings
"""

from __future__ import annotations

import argparse
import functools
import io
import math
import multiprocessing
import os
import random
import subprocess
import tarfile
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from understanding import facts
from understanding.config import MAX_PIXELS, MIN_PIXELS

HELD_PHOTOS = 2000
# Width and height of the words kept back, before the image processor.
SHAPES = [(128, 32), (96, 32), (160, 32), (112, 32), (96, 48), (80, 48)]
# What it makes of those and of larger pictures (`sent`), which is what is learnt from, and shares.
READ = {(128, 32): 0.24, (160, 32): 0.13, (112, 48): 0.13, (128, 48): 0.13, (96, 48): 0.12, (96, 64): 0.11, (112, 32): 0.04, (96, 32): 0.03,
        (80, 48): 0.04, (64, 64): 0.03}
# What it makes of photos that are not square: 4:3, 3:4 and 2:1.
WIDE = [(80, 48), (48, 80), (96, 48)]
KINDS = " abcdefghijklmnopqrstuvwxyz0123456789"  # of a place: none of them, a letter or a digit
PROCESSES = len(os.sched_getaffinity(0))


def sent(width: int, height: int) -> tuple[int, int]:
    """The size that the image processor gives a picture (smart_resize): multiples of 16, MIN_PIXELS to MAX_PIXELS in all."""
    to = [16 * round(side / 16) for side in (width, height)]
    if to[0] * to[1] > MAX_PIXELS:
        beta = math.sqrt(width * height / MAX_PIXELS)
        to = [max(16, 16 * math.floor(side / beta / 16)) for side in (width, height)]
    elif to[0] * to[1] < MIN_PIXELS:
        beta = math.sqrt(MIN_PIXELS / (width * height))
        to = [16 * math.ceil(side * beta / 16) for side in (width, height)]
    return tuple(to)


def in_processes(make, count: int, processes: int) -> list:
    """make(seed, how many) in pieces of 500 and in processes of their own, in order: the same whatever their number."""
    pieces = [(seed, min(500, count - 500 * seed)) for seed in range(math.ceil(count / 500))]
    if processes < 2 or len(pieces) < 2:
        return [make(*piece) for piece in pieces]
    with multiprocessing.get_context("fork").Pool(min(processes, len(pieces))) as pool:
        return pool.starmap(make, pieces, chunksize=1)


class Photos:
    """CIFAR-10's training photos; the last HELD_PHOTOS of a fixed shuffle are kept for validation."""

    def __init__(self, data: Path, cache: Path, device: str = "cpu"):
        file = cache / "photos.pt"
        if not file.exists():
            archive = data / "photos" / "cifar10-train.tar.xz"
            if not archive.exists():
                raise SystemExit(f"{archive} is missing: give the folder with photos/cifar10-train.tar.xz by --data")
            pixels, labels = [], []
            with tarfile.open(archive) as tar:
                for member in tar:
                    if not member.isfile():
                        continue
                    label = facts.PHOTO_CLASSES.index(Path(member.name).parent.name)
                    image = Image.open(io.BytesIO(tar.extractfile(member).read())).convert("RGB")
                    pixels.append(np.asarray(image))
                    labels.append(label)
            keep((torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2).contiguous(), torch.tensor(labels)), file)
        pixels, labels = torch.load(file)
        order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(7))
        self.pixels, self.labels = pixels[order].to(device), labels[order].to(device)
        self.held = HELD_PHOTOS
        self.train_count = len(labels) - self.held

    def batch(self, count: int, size: tuple[int, int] = (64, 64)) -> tuple[torch.Tensor, torch.Tensor]:
        """Augmented training photos [B, 3, height, width] and classes, made where the photos are kept; `size` is width and height:
        in a photo that is not square the thing has more around it, or is drawn out, or both."""
        on = {"device": self.pixels.device}
        index = torch.randint(self.train_count, (count,), **on)
        x = self.pixels[index].float() / 127.5 - 1
        x = torch.where(torch.rand(count, 1, 1, 1, **on) < 0.5, x.flip(3), x)
        # A random crop by one affine sampling: shift up to 4 pixels, scale 0.85 to 1.1, upscaled to 64 x 64 at once.
        scale = torch.empty(count, **on).uniform_(0.8, 1.05)
        theta = torch.zeros(count, 2, 3, **on)
        theta[:, 0, 0], theta[:, 1, 1] = scale, scale
        theta[:, :, 2].uniform_(-0.2, 0.2)
        width, height = size
        if width != height:
            theta[:, *((0, 0) if width > height else (1, 1))] *= torch.empty(count, **on).uniform_(1, max(width / height, height / width))
        x = F.grid_sample(x, F.affine_grid(theta, [count, 3, height, width], align_corners=False), mode="bicubic",
                          padding_mode="reflection", align_corners=False)
        x = x * torch.empty(count, 1, 1, 1, **on).uniform_(0.8, 1.2) + torch.empty(count, 1, 1, 1, **on).uniform_(-0.15, 0.15)
        return x.clamp_(-1, 1), self.labels[index]

    def validation(self, size: int):
        """Batches of held-out photos, upscaled as the image processor does."""
        for start in range(self.train_count, len(self.labels), size):
            x = self.pixels[start : start + size]
            yield upscale(x), self.labels[start : start + size]


def mixed(x: torch.Tensor, share: float) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """A share of the photos [B, ...] with a piece of another one pasted in (CutMix, 1905.04899): photos, which other, how much of it."""
    count, _, height, width = x.shape
    on = {"device": x.device}
    other = torch.randperm(count, **on)
    side = (torch.rand(count, **on) * (torch.rand(count, **on) < share)).sqrt()  # of the piece, against the photo's
    rows, columns = torch.arange(height, **on) / height, torch.arange(width, **on) / width
    top, left = torch.rand(count, **on) * (1 - side), torch.rand(count, **on) * (1 - side)
    inside = ((rows >= top[:, None]) & (rows < (top + side)[:, None]))[:, :, None] & ((columns >= left[:, None]) & (columns < (left + side)[:, None]))[:, None]
    return torch.where(inside[:, None], x[other], x), other, inside.float().mean((1, 2))


def upscale(pixels: torch.Tensor) -> torch.Tensor:
    """uint8 [B, 3, 32, 32] -> [B, 3, 64, 64] in [-1, 1], bicubic."""
    x = F.interpolate(pixels.float(), size=(64, 64), mode="bicubic", antialias=True, align_corners=False)
    return x.round().clamp(0, 255) / 127.5 - 1


def keep(what, file: Path) -> None:
    """Saves a file that others may be waiting for: it is there when it is whole."""
    torch.save(what, file.with_suffix(".new"))
    file.with_suffix(".new").replace(file)


def draws_letters(file: str) -> bool:
    """Whether a font has a shape of its own for every letter and digit, as some that say so have not."""
    try:
        font = ImageFont.truetype(file, 20)
        shapes = [bytes(font.getmask(c)) for c in KINDS[1:] + KINDS[1:27].upper()]
    except OSError:
        return False
    return all(map(any, shapes)) and len(set(shapes)) > len(shapes) // 2


UNREADABLE = ("Emoji", "Symbol", "Math", "Dingbat", "Ellhnikh", "Nucleus BRK", "Bit Blocks TTF BRK")  # of signs, of Greek letters in Latin places, of dots


@functools.cache
def fonts(held_out: bool) -> list[str]:
    """Font files with Latin letters; every fifth family is kept for validation. Where CALLIOPE_FONTS names a folder, those in its
    folders `train` and `held`."""
    if folder := os.environ.get("CALLIOPE_FONTS"):
        return sorted(str(file) for file in (Path(folder) / ("held" if held_out else "train")).iterdir())
    listing = subprocess.run(["fc-list", ":lang=en", "file", "family", "variable"], capture_output=True, text=True).stdout
    chosen = []
    for line in sorted(listing.splitlines()):
        path, _, family = line.partition(":")
        if not path.strip().lower().endswith((".ttf", ".otf")) or any(k in family for k in UNREADABLE):
            continue
        family = family.split(":")[0].split(",")[0].strip()
        if (sum(map(ord, family)) % 5 == 0) == held_out and draws_letters(path.strip()):
            chosen.append(path.strip())
    return chosen


def draw_word(word: str, font_file: str, rng: random.Random, width: int, height: int) -> tuple[Image.Image, np.ndarray]:
    """One word on a plain, shaded or noisy ground, width x height, and the letter (1 to 26, 0 for none) at every fourth
    pixel of every sixteenth row: [height / 16, width / 4]."""
    back = tuple(rng.randrange(256) for _ in range(3))
    while True:
        ink = tuple(rng.randrange(256) for _ in range(3))
        if abs(sum(ink) - sum(back)) > 220:
            break
    if rng.random() < 0.3:
        back, ink = rng.choice([((255, 255, 255), (0, 0, 0)), ((0, 0, 0), (255, 255, 255)), ((255, 255, 255), (20, 20, 90))])
    scale = 2
    image = Image.new("RGB", (width * scale, height * scale), back)
    # As large as fits, or a little smaller: what a photo of a word is after the image processor.
    font = ImageFont.truetype(font_file, 100)
    left, top, right, bottom = font.getbbox(word)
    fit = min((width * scale - 8) / (right - left), (height * scale - 6) / (bottom - top), 0.27 * scale)
    font = ImageFont.truetype(font_file, max(8, int(100 * fit * rng.uniform(0.75, 1.0))))
    left, top, right, bottom = font.getbbox(word)
    free_x, free_y = width * scale - (right - left), height * scale - (bottom - top)
    x = rng.randint(2, max(2, free_x - 2)) if rng.random() < 0.5 else free_x // 2
    y = rng.randint(1, max(1, free_y - 1)) if rng.random() < 0.5 else free_y // 2
    ImageDraw.Draw(image).text((x - left, y - top), word, font=font, fill=ink)
    if rng.random() < 0.3:
        image = image.rotate(rng.uniform(-3, 3), resample=Image.BICUBIC, fillcolor=back)
    image = image.resize((width, height), Image.BICUBIC)
    if rng.random() < 0.2:
        image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0.2, 0.7)))
    letters = np.zeros((height // 16, width // 4), np.int64)
    rows = slice(int(y / scale) // 16, int((y + bottom - top - 1) / scale) // 16 + 1)
    for i, letter in enumerate(word.lower()):
        start, end = (x + font.getlength(word[:n]) for n in (i, i + 1))
        columns = [c for c in range(width // 4) if start <= (4 * c + 2) * scale < end]
        letters[rows, columns] = ord(letter) - 96
    return image, letters


def cover_word(word: str, font_file: str, rng: random.Random, width: int, height: int) -> tuple[np.ndarray, np.ndarray]:
    """How much of each pixel the ink of one word covers, uint8 [height, width], and what is at every fourth pixel of every sixteenth
    row (KINDS): uint8 [height / 16, width / 4]. Half of them are as draw_word's, made as large as the image processor makes them; half
    are turned by up to 15 degrees, of any size, bolder, drawn out or out of focus."""
    scale, hard = 2, rng.random() < 0.5
    if hard:
        source = (round(width * rng.uniform(0.85, 1.2)), round(height * rng.uniform(0.85, 1.2)))
        turn, stroke = max(-15.0, min(15.0, rng.gauss(0, 6))), int(rng.random() < 0.1)
    else:
        source = rng.choice([shape for shape in SHAPES if sent(*shape) == (width, height)] or [(width, height)])
        turn, stroke = rng.uniform(-3, 3) if rng.random() < 0.3 else 0.0, 0
    canvas = (source[0] * scale, source[1] * scale)
    left, top, right, bottom = ImageFont.truetype(font_file, 100).getbbox(word)
    while True:  # a long word that is turned much would be too small to read
        cos, sin = math.cos(math.radians(turn)), abs(math.sin(math.radians(turn)))
        across, down = ((right - left) * cos + (bottom - top) * sin, (right - left) * sin + (bottom - top) * cos) if hard else (right - left, bottom - top)
        fit = min((canvas[0] - 8) / across, (canvas[1] - 6) / down)
        if not hard or turn == 0 or fit * 100 * height / canvas[1] > 11:
            break
        turn = turn / 2 if abs(turn) > 1 else 0.0
    if hard:
        size = max(100 * fit * rng.uniform(0.4, 1.0), min(100 * fit, 10 * canvas[1] / height))
    else:
        size = 100 * min(fit, 0.27 * scale) * rng.uniform(0.75, 1.0)
    font = ImageFont.truetype(font_file, max(8, int(size)))
    left, top, right, bottom = font.getbbox(word)
    wide, tall = right - left, bottom - top
    room = [max(0.0, (canvas[i] - (part * size / 100 if hard else own)) / 2 - 2) for i, (part, own) in enumerate(((across, wide), (down, tall)))]
    # The middle of the word beside the canvas's, before it is turned; `back` turns a place on the canvas back.
    cos, sin = math.cos(math.radians(turn)), math.sin(math.radians(turn))
    back = lambda x, y: (x * cos - y * sin, x * sin + y * cos)  # noqa: E731
    moved = tuple(rng.uniform(-r, r) if rng.random() < 0.5 else 0.0 for r in room)
    if hard:
        moved = back(*moved)
    edge = canvas[0] // 4 if hard and turn else 0
    middle = (canvas[0] / 2 + edge, canvas[1] / 2 + edge)
    x, y = (int(middle[0] + moved[0] - wide / 2), int(middle[1] + moved[1] - tall / 2))
    image = Image.new("L", (canvas[0] + 2 * edge, canvas[1] + 2 * edge), 0)
    ImageDraw.Draw(image).text((x - left, y - top), word, font=font, fill=255, stroke_width=stroke)
    if turn:
        image = image.rotate(turn, resample=Image.BICUBIC)
    if edge:
        image = image.crop((edge, edge, edge + canvas[0], edge + canvas[1]))
    small = rng.uniform(0.6, 1.0) if hard and size * height / canvas[1] > 16 and rng.random() < 0.3 else 1.0
    image = image.resize((round(source[0] * small), round(source[1] * small)), Image.BICUBIC)
    if rng.random() < 0.2:
        image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0.2, 0.9 if hard else 0.7)))
    if image.size != (width, height):
        image = image.resize((width, height), Image.BICUBIC)
    # What is at a place: the letter at those of its eight points that are within the word.
    columns = (np.arange(width // 4) * 4 + 2) * canvas[0] / width - canvas[0] / 2
    rows = (np.arange(height // 2) * 2 + 1) * canvas[1] / height - canvas[1] / 2
    u, v = back(columns[None], rows[:, None])
    u, v = u + middle[0] - (x - left), v + middle[1] - (y - top)
    starts = np.array([font.getlength(word[:n]) for n in range(1, len(word))])
    kinds = np.array([KINDS.index(letter) for letter in word.lower()], np.uint8)
    inside = ((u >= min(0, left)) & (u < font.getlength(word)) & (v >= top) & (v < bottom)).reshape(height // 16, 8, -1)
    share = inside.sum(1)
    at = np.searchsorted(starts, (u.reshape(inside.shape) * inside).sum(1) / np.maximum(share, 1), side="right")
    return np.asarray(image), np.where(share > 0, kinds[at], 0).astype(np.uint8)


def some_text(rng: random.Random, most: int) -> str:
    """What may be printed, `most` letters at most: a word, any letters, so that letters are learnt and not only words, or a number."""
    kind = rng.random()
    if kind < 0.4:
        return "".join(rng.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(rng.randint(3, most)))
    if kind < 0.52:
        return "".join(rng.choice("0123456789") for _ in range(rng.randint(1, min(5, most))))
    return rng.choice([word for word in facts.WORDS if len(word) <= most])


def some_words(seed: int, count: int, shape: tuple[int, int], files: list[list[str]]) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Words for training, of one size: covers [N, 1, H, W], places [N, H / 16, W / 4], texts. `files` are lists of fonts by family."""
    rng = random.Random(f"{seed} {shape}")
    every = [file for family in files for file in family]
    covers, places, texts = [], [], []
    while len(texts) < count:
        text = some_text(rng, shape[0] // 11)
        shown = rng.choice([text, text, text.upper(), text.capitalize()])
        if rng.random() < 0.06:
            shown = "".join(rng.choice([c, c.upper()]) for c in text)
        try:
            cover, place = cover_word(shown, rng.choice(every if rng.random() < 0.5 else rng.choice(files)), rng, *shape)
        except OSError:  # a font that cannot draw one of the letters
            continue
        if len(set(place.flat)) < 1 + len(set(text)):
            continue  # it did not fit
        covers.append(cover)
        places.append(place)
        texts.append(text)
    return np.stack(covers)[:, None], np.stack(places), texts


def held_words(seed: int, count: int, shape: tuple[int, int], files: list[str]) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Words for validation, drawn in a size of SHAPES, as the image processor gives them on: pixels [N, 3, H, W], places, texts."""
    rng = random.Random(f"{seed} {shape} held")
    width, height = sent(*shape)
    row = (np.arange(height // 16) * 16 + 8) * shape[1] // height // 16
    column = (np.arange(width // 4) * 4 + 2) * shape[0] // width // 4
    pixels, places, texts = [], [], []
    for _ in range(count):
        text = rng.choice([word for word in facts.WORDS if len(word) <= shape[0] // 11])
        image, letters = draw_word(rng.choice([text, text.upper(), text.capitalize()]), rng.choice(files), rng, *shape)
        pixels.append(np.asarray(image.resize((width, height), Image.BICUBIC)))
        places.append(letters[row][:, column].astype(np.uint8))
        texts.append(text)
    return np.stack(pixels).transpose(0, 3, 1, 2), np.stack(places), texts


def draw_words(count: int, processes: int = PROCESSES, held_out: bool = False) -> dict:
    """{(width, height): (covers or pixels uint8 [N, 1 or 3, H, W], places uint8 [N, H / 16, W / 4], texts)}"""
    files = fonts(held_out)
    if not files:
        raise SystemExit("no fonts found: install fonts-dejavu and fonts-liberation")
    families: dict[str, list[str]] = {}
    for file in files:
        families.setdefault(ImageFont.truetype(file, 20).getname()[0] or file, []).append(file)
    shapes = {}
    for shape, share in (dict.fromkeys(SHAPES, 1 / len(SHAPES)) if held_out else READ).items():
        make, given = (held_words, files) if held_out else (some_words, list(families.values()))
        made = in_processes(functools.partial(make, shape=shape, files=given), math.ceil(count * share), processes)
        covers, places, texts = zip(*made)
        shapes[sent(*shape) if held_out else shape] = torch.from_numpy(np.concatenate(covers)), torch.from_numpy(np.concatenate(places)), sum(texts, [])
    return shapes


def fitting(ground: torch.Tensor, least: torch.Tensor) -> torch.Tensor:
    """Inks [B, 3] that can be told from grounds [B, 3], all in [0, 1]: the sums of their colours differ by `least` [B]."""
    tries = torch.rand(len(ground), 8, 3, device=ground.device)
    fits = (tries.sum(2) - ground.sum(1)[:, None]).abs() > least[:, None]
    ink = tries.gather(1, fits.float().argmax(1)[:, None, None].expand(-1, 1, 3))[:, 0]
    return torch.where(fits.any(1)[:, None], ink, (ground.mean(1, keepdim=True) < 0.5).float().expand(-1, 3))


@functools.cache
def usual_inks(device: torch.device) -> torch.Tensor:
    """Grounds and inks [3, 2, 3] that most print has; kept where they are used, as a GPU waits for what is sent to it."""
    return torch.tensor([[[1, 1, 1], [0, 0, 0]], [[0, 0, 0], [1, 1, 1]], [[1, 1, 1], [0.08, 0.08, 0.35]]], device=device)


def coloured(cover: torch.Tensor, photos: torch.Tensor | None = None) -> torch.Tensor:
    """Words in ink that covers so much of each pixel [B, 1, H, W], in colours on grounds: plain, shaded, uneven or a photo.
    [B, 3, H, W] in [-1, 1]"""
    count, _, height, width = cover.shape
    on = {"device": cover.device}
    some = lambda share: torch.rand(count, **on) < share  # noqa: E731
    one = lambda least, most: torch.empty(count, 1, 1, 1, **on).uniform_(least, most)  # noqa: E731
    back = torch.rand(count, 3, **on)
    ink = fitting(back, torch.where(some(0.2), 0.5, 0.87))
    pairs = usual_inks(cover.device)[torch.randint(3, (count,), **on)]
    usual = some(0.3)[:, None]
    back, ink = torch.where(usual, pairs[:, 0], back), torch.where(usual, pairs[:, 1], ink)
    ground = back[:, :, None, None].expand(count, 3, height, width)
    # Shaded: another colour towards one side.
    angle = one(0, 2 * math.pi)
    rows, columns = torch.linspace(-0.5, 0.5, height, **on)[:, None], torch.linspace(-0.5, 0.5, width, **on)
    away = (angle.cos() * rows + angle.sin() * columns + 0.5) * some(0.3).view(-1, 1, 1, 1)
    ground = ground + away * torch.empty(count, 3, 1, 1, **on).uniform_(-0.35, 0.35)
    # Uneven: coarse grain.
    grain = F.interpolate(torch.randn(count, 3, height // 8, width // 8, **on), size=(height, width), mode="bilinear")
    ground = ground + grain * one(0, 0.1) * some(0.25).view(-1, 1, 1, 1)
    if photos is not None:
        behind = some(0.15)
        there = photos[torch.randint(len(photos), (count,), **on)].float() / 255
        there = F.interpolate(there[:, :, 4 : 4 + max(8, 24 * height // width)], size=(height, width), mode="bilinear")
        ground = torch.where(behind.view(-1, 1, 1, 1), ground.lerp(there, one(0.3, 0.9)), ground)
        bright = (ground.mean((1, 2, 3)) < 0.5)[:, None] * 1.0
        ink = torch.where(behind[:, None], (bright - 0.15 * torch.rand(count, 3, **on)).abs(), ink)
    return ground.lerp(ink[:, :, None, None].expand_as(ground), cover).clamp(0, 1) * 2 - 1


class Words:
    """Pictures of words in sizes that the image processor makes, drawn once and kept, with their letters place by place. Those for
    training are kept as what the ink covers, and get their colours and grounds anew each time."""

    def __init__(self, cache: Path, held_out: bool, count: int = 40000, device: str = "cpu", photos: torch.Tensor | None = None):
        file = cache / f"words-{'held' if held_out else 'train'}.pt"
        if not file.exists():
            keep(draw_words(count, held_out=held_out), file)
        self.shapes = {shape: (pixels.to(device), letters.to(device), texts) for shape, (pixels, letters, texts) in
                       torch.load(file, weights_only=False, mmap=True).items()}
        self.photos = photos  # uint8 [N, 3, 32, 32], to be behind some words

    def batch(self, count: int, plain: float = 0.0, texts: bool = True) -> tuple[torch.Tensor, torch.Tensor, list[str]]:
        """Words of one size [B, 3, H, W], their letters [B, H / 16, W / 4], their texts; a share of them plain, black on white. Made where
        they are kept; without `texts` nothing waits for a GPU."""
        shape = random.choices(list(self.shapes), [len(of) for _, _, of in self.shapes.values()])[0]
        pixels, letters, of = self.shapes[shape]
        on = {"device": pixels.device}
        index = torch.randint(len(of), (count,), **on)
        x = pixels[index].float()
        if x.shape[1] == 1:
            cover = x / 255
            x = coloured(cover, self.photos)
            x = torch.where(torch.rand(count, 1, 1, 1, **on) < plain, 1 - 2 * cover, x)
            x = x + torch.randn_like(x) * torch.empty(count, 1, 1, 1, **on).uniform_(0, 0.12)
        else:
            x = x / 127.5 - 1
        return x.clamp_(-1, 1), letters[index].long(), [of[i] for i in index.tolist()] if texts else []


def main() -> None:
    from understanding import drawings

    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--words", type=int, default=40000)
    parser.add_argument("--drawings", type=int, default=16000)
    parser.add_argument("--processes", type=int, default=PROCESSES)
    args = parser.parse_args()
    torch.set_num_threads(1)
    args.out.mkdir(parents=True, exist_ok=True)
    started = time.time()
    for name, make in (("words-held", lambda: draw_words(1200, args.processes, held_out=True)),
                       ("words-train", lambda: draw_words(args.words, args.processes)),
                       ("drawings-held", lambda: drawings.draw(1000, args.processes, held_out=True)),
                       ("drawings-train", lambda: drawings.draw(args.drawings, args.processes))):
        if not (args.out / f"{name}.pt").exists():
            keep(make(), args.out / f"{name}.pt")
        print(f"{name} {time.time() - started:.0f} s", flush=True)


if __name__ == "__main__":
    main()
