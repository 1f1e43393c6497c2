"""Photos and drawn words, as normalised pixels in [-1, 1]."""

from __future__ import annotations

import io
import random
import subprocess
import tarfile
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from understanding import facts

MAX_LETTERS = 10
HELD_PHOTOS = 2000
WORD_WIDTH, WORD_HEIGHT = 128, 32


class Photos:
    """CIFAR-10's training photos; the last HELD_PHOTOS of a fixed shuffle are kept for validation."""

    def __init__(self, data: Path, cache: Path):
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
            torch.save((torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2).contiguous(), torch.tensor(labels)), file)
        pixels, labels = torch.load(file)
        order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(7))
        self.pixels, self.labels = pixels[order], labels[order]
        self.held = HELD_PHOTOS
        self.train_count = len(labels) - self.held

    def batch(self, count: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Augmented training photos [B, 3, 64, 64] and classes."""
        index = torch.randint(self.train_count, (count,))
        x = self.pixels[index].float() / 127.5 - 1
        x = torch.where(torch.rand(count, 1, 1, 1) < 0.5, x.flip(3), x)
        # A random crop by one affine sampling: shift up to 4 pixels, scale 0.85 to 1.1, upscaled to 64 x 64 at once.
        scale = torch.empty(count).uniform_(0.8, 1.05)
        theta = torch.zeros(count, 2, 3)
        theta[:, 0, 0], theta[:, 1, 1] = scale, scale
        theta[:, :, 2].uniform_(-0.2, 0.2)
        x = F.grid_sample(x, F.affine_grid(theta, [count, 3, 64, 64], align_corners=False), mode="bicubic",
                          padding_mode="reflection", align_corners=False)
        x = x * torch.empty(count, 1, 1, 1).uniform_(0.8, 1.2) + torch.empty(count, 1, 1, 1).uniform_(-0.15, 0.15)
        return x.clamp_(-1, 1), self.labels[index]

    def validation(self, size: int):
        """Batches of held-out photos, upscaled as the image processor does."""
        for start in range(self.train_count, len(self.labels), size):
            x = self.pixels[start : start + size]
            yield upscale(x), self.labels[start : start + size]


def upscale(pixels: torch.Tensor) -> torch.Tensor:
    """uint8 [B, 3, 32, 32] -> [B, 3, 64, 64] in [-1, 1], bicubic."""
    x = F.interpolate(pixels.float(), size=(64, 64), mode="bicubic", antialias=True, align_corners=False)
    return x.round().clamp(0, 255) / 127.5 - 1


def fonts(held_out: bool) -> list[str]:
    """Font files with Latin letters; every fifth family is kept for validation."""
    listing = subprocess.run(["fc-list", ":lang=en", "file", "family", "variable"], capture_output=True, text=True).stdout
    chosen = []
    for line in sorted(listing.splitlines()):
        path, _, family = line.partition(":")
        if not path.strip().lower().endswith((".ttf", ".otf")) or any(k in family for k in ("Emoji", "Symbol", "Math", "Dingbat")):
            continue
        family = family.split(":")[0].split(",")[0].strip()
        if (sum(map(ord, family)) % 5 == 0) == held_out:
            chosen.append(path.strip())
    return chosen


def draw_word(word: str, font_file: str, rng: random.Random) -> Image.Image:
    """One word on a plain, shaded or noisy ground, 128 x 32."""
    back = tuple(rng.randrange(256) for _ in range(3))
    while True:
        ink = tuple(rng.randrange(256) for _ in range(3))
        if abs(sum(ink) - sum(back)) > 220:
            break
    scale = 2
    image = Image.new("RGB", (WORD_WIDTH * scale, WORD_HEIGHT * scale), back)
    size = rng.randint(15, 26) * scale
    while True:
        font = ImageFont.truetype(font_file, size)
        left, top, right, bottom = font.getbbox(word)
        if (right - left <= WORD_WIDTH * scale - 8 and bottom - top <= WORD_HEIGHT * scale - 4) or size < 12:
            break
        size -= 2
    free_x, free_y = WORD_WIDTH * scale - (right - left), WORD_HEIGHT * scale - (bottom - top)
    x = rng.randint(2, max(2, free_x - 2)) if rng.random() < 0.5 else free_x // 2
    y = rng.randint(1, max(1, free_y - 1)) if rng.random() < 0.5 else free_y // 2
    ImageDraw.Draw(image).text((x - left, y - top), word, font=font, fill=ink)
    if rng.random() < 0.5:
        image = image.rotate(rng.uniform(-4, 4), resample=Image.BICUBIC, fillcolor=back)
    image = image.resize((WORD_WIDTH, WORD_HEIGHT), Image.BICUBIC)
    if rng.random() < 0.2:
        image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0.2, 0.8)))
    return image


class Words:
    """Pictures of words, drawn once and kept; the letters of each as slots (0 is no letter)."""

    def __init__(self, cache: Path, held_out: bool, count: int = 16000):
        file = cache / f"words-{'held' if held_out else 'train'}.pt"
        if not file.exists():
            rng = random.Random(2 if held_out else 1)
            files = fonts(held_out)
            if not files:
                raise SystemExit("no fonts found: install fonts-dejavu and fonts-liberation")
            pixels, texts = [], []
            for _ in range(count):
                text = rng.choice(facts.WORDS)
                shown = rng.choice([text, text, text.upper(), text.capitalize()])
                pixels.append(np.asarray(draw_word(shown, rng.choice(files), rng)))
                texts.append(text)
            torch.save((torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2).contiguous(), texts), file)
        self.pixels, self.texts = torch.load(file)
        self.slots = torch.zeros(len(self.texts), MAX_LETTERS, dtype=torch.long)
        for i, text in enumerate(self.texts):
            for j, letter in enumerate(text[:MAX_LETTERS]):
                self.slots[i, j] = ord(letter) - 96

    def batch(self, count: int, augment: bool = True) -> tuple[torch.Tensor, torch.Tensor]:
        """Words [B, 3, 32, 128] and their letter slots."""
        index = torch.randint(len(self.texts), (count,)) if augment else torch.arange(count)
        x = self.pixels[index].float() / 127.5 - 1
        if augment:
            x = x + torch.randn_like(x) * torch.empty(count, 1, 1, 1).uniform_(0, 0.12)
        return x.clamp_(-1, 1), self.slots[index]
