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

HELD_PHOTOS = 2000
# What the image processor makes of pictures of many aspect ratios (config.MAX_PIXELS): width, height and share.
SHAPES = {(128, 32): 0.5, (96, 32): 0.15, (160, 32): 0.1, (112, 32): 0.15, (96, 48): 0.05, (80, 48): 0.05}


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
            torch.save((torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2).contiguous(), torch.tensor(labels)), file)
        pixels, labels = torch.load(file)
        order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(7))
        self.pixels, self.labels = pixels[order].to(device), labels[order].to(device)
        self.held = HELD_PHOTOS
        self.train_count = len(labels) - self.held

    def batch(self, count: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Augmented training photos [B, 3, 64, 64] and classes, made where the photos are kept."""
        on = {"device": self.pixels.device}
        index = torch.randint(self.train_count, (count,), **on)
        x = self.pixels[index].float() / 127.5 - 1
        x = torch.where(torch.rand(count, 1, 1, 1, **on) < 0.5, x.flip(3), x)
        # A random crop by one affine sampling: shift up to 4 pixels, scale 0.85 to 1.1, upscaled to 64 x 64 at once.
        scale = torch.empty(count, **on).uniform_(0.8, 1.05)
        theta = torch.zeros(count, 2, 3, **on)
        theta[:, 0, 0], theta[:, 1, 1] = scale, scale
        theta[:, :, 2].uniform_(-0.2, 0.2)
        x = F.grid_sample(x, F.affine_grid(theta, [count, 3, 64, 64], align_corners=False), mode="bicubic",
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


def black_on_white(x: torch.Tensor) -> torch.Tensor:
    """Words in any two colours [B, 3, H, W] -> the same in black on white: what is learnt first."""
    ground = x[:, :, :1, :1]
    ink = (x - ground).abs().mean(1, keepdim=True)
    return (1 - 2 * ink / ink.amax((2, 3), keepdim=True).clamp(min=1e-3)).expand_as(x)


class Words:
    """Pictures of words in the sizes of SHAPES, drawn once and kept, with their letters place by place."""

    def __init__(self, cache: Path, held_out: bool, count: int = 40000, device: str = "cpu"):
        file = cache / f"words-{'held' if held_out else 'train'}.pt"
        if not file.exists():
            rng = random.Random(2 if held_out else 1)
            files = fonts(held_out)
            if not files:
                raise SystemExit("no fonts found: install fonts-dejavu and fonts-liberation")
            shapes = {}
            for shape, share in SHAPES.items():
                pixels, letters, texts = [], [], []
                while len(texts) < count * share:
                    text = rng.choice(facts.WORDS)
                    if not held_out and rng.random() < 0.35:  # any letters, so that letters are learnt and not only words
                        text = "".join(rng.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(rng.randint(3, shape[0] // 11)))
                    if len(text) > shape[0] // 11:
                        continue
                    shown = rng.choice([text, text, text.upper(), text.capitalize()])
                    image, places = draw_word(shown, rng.choice(files), rng, *shape)
                    pixels.append(np.asarray(image))
                    letters.append(places)
                    texts.append(text)
                shapes[shape] = (torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2).contiguous(),
                                 torch.from_numpy(np.stack(letters)), texts)
            torch.save(shapes, file)
        self.shapes = {shape: (pixels.to(device), letters.to(device), texts) for shape, (pixels, letters, texts) in torch.load(file, weights_only=False).items()}

    def batch(self, count: int, plain: float = 0.0) -> tuple[torch.Tensor, torch.Tensor, list[str]]:
        """Words of one size [B, 3, H, W], their letters [B, H / 16, W / 4], their texts; a share of them plain. Made where they are kept."""
        shape = random.choices(list(SHAPES), list(SHAPES.values()))[0]
        pixels, letters, texts = self.shapes[shape]
        on = {"device": pixels.device}
        index = torch.randint(len(texts), (count,), **on)
        x = pixels[index].float() / 127.5 - 1
        x = torch.where(torch.rand(count, 1, 1, 1, **on) < plain, black_on_white(x), x)
        x = x + torch.randn_like(x) * torch.empty(count, 1, 1, 1, **on).uniform_(0, 0.12)
        return x.clamp_(-1, 1), letters[index], [texts[i] for i in index.tolist()]
