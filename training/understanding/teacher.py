"""A convolutional net that learns the photos' classes first, so that the vision encoder can learn from its answers.

usage: python -m understanding.teacher --data DIR --out DIR --seconds N
"""

from __future__ import annotations

import argparse
import math
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from understanding import pictures


def convolution(inputs: int, outputs: int, pool: bool = False) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), *([nn.MaxPool2d(2)] if pool else []), nn.BatchNorm2d(outputs), nn.CELU(0.3))


class Residual(nn.Module):
    def __init__(self, size: int):
        super().__init__()
        self.both = nn.Sequential(convolution(size, size), convolution(size, size))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.both(x)


class Teacher(nn.Module):
    """ResNet-9, 6.6 M parameters: pictures [B, 3, H, W] in [-1, 1], seen at 32 x 32 -> logits [B, 10]."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(convolution(3, 64), convolution(64, 128, True), Residual(128), convolution(128, 256, True),
                                    convolution(256, 512, True), Residual(512), nn.AdaptiveMaxPool2d(1), nn.Flatten())
        self.head = nn.Linear(512, 10, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        x = F.avg_pool2d(x, 2) if x.shape[2:] == (64, 64) else F.interpolate(x, size=(32, 32), mode="bilinear", antialias=True)
        return 0.125 * self.head(self.layers(x.contiguous(memory_format=torch.channels_last)))


def right(teacher: Teacher, photos: pictures.Photos) -> float:
    """Share of the photos kept back, each seen both ways round."""
    found = torch.zeros((), device=photos.labels.device)
    with torch.no_grad(), torch.autocast(found.device.type, torch.bfloat16, enabled=found.is_cuda):
        for x, y in photos.validation(500):
            found += ((teacher(x) + teacher(x.flip(3))).argmax(1) == y).sum()
    return found.item() / photos.held


def train(photos: pictures.Photos, seconds: float, batch: int = 512, peak: float = 0.4) -> Teacher:
    """For so many seconds, on the photos that are not kept back; the average of the last weights."""
    device = photos.pixels.device
    teacher = Teacher().to(device, memory_format=torch.channels_last)
    mean = Teacher().to(device, memory_format=torch.channels_last).eval().requires_grad_(False)
    mean.load_state_dict(teacher.state_dict())
    kept = [t for t in mean.state_dict().values() if t.is_floating_point()]
    new = [t for t in teacher.state_dict().values() if t.is_floating_point()]
    sgd = torch.optim.SGD(teacher.parameters(), lr=0.0, momentum=0.9, nesterov=True, weight_decay=5e-4, foreach=True)
    started, told, step, losses = time.time(), time.time(), 0, []
    while (progress := (time.time() - started) / seconds) < 1:
        sgd.param_groups[0]["lr"] = peak * (min(progress / 0.15, 1) if progress < 0.15 else 0.5 + 0.5 * math.cos(math.pi * (progress - 0.15) / 0.85))
        x, y = photos.batch(batch)
        x, other, part = pictures.mixed(x, 0.5 if progress < 0.85 else 0.2)
        with torch.autocast(device.type, torch.bfloat16, enabled=x.is_cuda):
            logits = teacher(x)
        each = [F.cross_entropy(logits.float(), wanted, label_smoothing=0.05, reduction="none") for wanted in (y, y[other])]
        loss = torch.lerp(each[0], each[1], part).mean()
        loss.backward()
        sgd.step()
        sgd.zero_grad(set_to_none=True)
        step += 1
        torch._foreach_lerp_(kept, new, 1 - min(0.998, (1 + step) / (10 + step)))
        losses.append(loss.detach())
        if step % 8 == 0 and device.type == "cuda":
            torch.cuda.current_stream().synchronize()  # so that the clock is the GPU's too, and not that of a queue
        if time.time() - told > 15:
            print(f"teacher step {step} {time.time() - started:.0f} s loss {torch.stack(losses).mean().item():.3f} photos {right(mean, photos):.4f}", flush=True)
            told, losses = time.time(), []
    print(f"teacher end step {step} photos {right(mean, photos):.4f}", flush=True)
    return mean


def made(photos: pictures.Photos, out: Path, seconds: float, batch: int = 512) -> Teacher:
    """From its file, or trained anew and kept."""
    file = out / "teacher.pt"
    if file.exists():
        teacher = Teacher().to(photos.pixels.device, memory_format=torch.channels_last).eval().requires_grad_(False)
        teacher.load_state_dict(torch.load(file, map_location=photos.pixels.device, weights_only=True))
        print(f"teacher from {file}: photos {right(teacher, photos):.4f}", flush=True)
        return teacher
    teacher = train(photos, seconds, batch)
    pictures.keep(teacher.state_dict(), file)
    return teacher


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=90)
    parser.add_argument("--batch", type=int, default=512)
    args = parser.parse_args()
    torch.backends.cudnn.benchmark = True
    args.out.mkdir(parents=True, exist_ok=True)
    made(pictures.Photos(args.data, args.out, "cuda" if torch.cuda.is_available() else "cpu"), args.out, args.seconds, args.batch)


if __name__ == "__main__":
    main()
