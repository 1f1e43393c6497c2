"""Trains the vision encoder alone on photos (class) and drawn words (letters), before it joins the language model.

usage: python -m understanding.vision_pretrain --data DIR --out DIR --minutes N [--teacher-seconds N --batch 512, on a GPU]
"""

from __future__ import annotations

import argparse
import math
import random
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from compiled import compile_forward
from optimizer import Average, Optimizer
from understanding import model, pictures, teacher
from understanding.model import VisionEncoder, patchify

KINDS = len(pictures.KINDS)


class Heads(nn.Module):
    """Throw-away heads: class of a photo; the letters at four columns of every token."""

    def __init__(self):
        super().__init__()
        self.photo = nn.Linear(256, 10)
        self.word = nn.Linear(256, 4 * KINDS)


def features_of(encoder: VisionEncoder, x: Tensor) -> Tensor:
    """Pictures [B, 3, H, W] -> float32 [B, tokens, 256]"""
    with torch.autocast(x.device.type, torch.bfloat16):
        features, _ = encoder(patchify(x), x.shape[2] // 8, x.shape[3] // 8, False)
    return features.float()


def read(places: Tensor) -> list[str]:
    """Kinds at places [B, H / 16, W / 4] -> what they say, letters that follow themselves once: of a column, what most rows say that say
    anything."""
    votes = F.one_hot(places, KINDS)[..., 1:].sum(1)
    columns = torch.where(votes.amax(2) > 0, votes.argmax(2) + 1, 0).cpu()
    return ["".join(pictures.KINDS[kind] for kind in torch.unique_consecutive(row).tolist() if kind) for row in columns]


def validation(encoder: VisionEncoder, heads: Heads, photos: pictures.Photos, words: pictures.Words) -> str:
    """Photos and words kept back: classes, places with a letter, and words of which no letter is wrong, missing or too much."""
    photo, letter, exact, state = [], [], [], random.getstate()
    random.seed(5)
    with torch.no_grad():
        for x, y in photos.validation(500):
            photo.append((heads.photo(features_of(encoder, x).mean(1)).argmax(1) == y).float().mean())
        for pixels, wanted, _ in words.shapes.values():
            wanted = wanted.long()
            x = pixels.float() / 127.5 - 1
            got = heads.word(features_of(encoder, x)).view(*wanted.shape, KINDS).argmax(3)
            letter.append((got == wanted)[wanted > 0].float().mean())
            exact += [a == b for a, b in zip(read(got), read(wanted))]
    random.setstate(state)
    return f"photos {torch.stack(photo).mean().item():.4f} letters {torch.stack(letter).mean().item():.4f} words {sum(exact) / len(exact):.3f}"


def compile_blocks(batch: int, device: str) -> None:
    def trial() -> None:
        encoder = VisionEncoder().to(device)
        for width, height in ((64, 64), *pictures.WIDE, *pictures.READ):
            features_of(encoder, torch.randn(batch, 3, height, width, device=device)).square().mean().backward()

    compile_forward(model.VisionBlock, trial, device)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--file", type=Path, help="the checkpoint, instead of OUT/vision.pt")
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--until", type=float, help="a time of the clock, in seconds since 1970, at which all is done, instead of --minutes")
    parser.add_argument("--lr", type=float, default=3e-3)
    parser.add_argument("--words", type=float, default=0.5, help="share of the loss that is words")
    parser.add_argument("--plain", type=float, default=0.9, help="share of the words in black on white at first")
    parser.add_argument("--batch", type=int, default=64, help="photos and words, as many of each, in a step")
    parser.add_argument("--mixed", type=float, default=0.0, help="share of the photos with a piece of another in them: for long trainings")
    parser.add_argument("--teacher-seconds", type=float, default=0, help="photos are learnt from a teacher's answers, who learns for so long before (a GPU)")
    parser.add_argument("--temperature", type=float, default=1.5, help="of the teacher's answers")
    parser.add_argument("--check", type=float, default=150, help="seconds between validations and checkpoints")
    parser.add_argument("--compile", action="store_true", help="compile the blocks, where that works")
    parser.add_argument("--compile-only", action="store_true", help="and no more than that, so that the next process needs not")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    torch.set_float32_matmul_precision("high")
    torch.backends.cudnn.benchmark = True
    device = "cuda" if torch.cuda.is_available() else "cpu"
    if args.compile or args.compile_only:
        compile_blocks(args.batch, device)
    if args.compile_only:
        return
    args.out.mkdir(parents=True, exist_ok=True)
    photos = pictures.Photos(args.data, args.out, device)
    taught = teacher.made(photos, args.out, args.teacher_seconds) if args.teacher_seconds else None
    words = pictures.Words(args.out, held_out=False, device=device, photos=photos.pixels[: photos.train_count])
    held_words = pictures.Words(args.out, held_out=True, count=1200, device=device)
    print(f"words {[(shape, len(texts)) for shape, (_, _, texts) in words.shapes.items()]}", flush=True)
    encoder, heads = VisionEncoder().to(device), Heads().to(device)
    both = nn.ModuleList([encoder, heads])
    optimizer = Optimizer([(n, p, 1.0) for n, p in both.named_parameters()], weight_decay=0.05)
    state_file = args.file or args.out / "vision.pt"
    step, spent, settled = 0, 0.0, 0  # until the step `settled` heads that know nothing learn, and the encoder does not
    if state_file.exists():
        state = torch.load(state_file, map_location=device, weights_only=False)
        encoder.load_state_dict(state["encoder"])
        step, spent = state["step"], state["spent"]
        if "heads" in state:
            heads.load_state_dict(state["heads"])
            optimizer.load_state_dict(state["optimizer"])
        else:
            settled = step + 150
    average = Average(both)
    started = time.time() - spent
    budget = args.until - 10 - started if args.until else args.minutes * 60  # the last check and the saving take some seconds
    saved = time.time()

    def photos_loss() -> Tensor:
        """From the teacher's answers on the same picture (2106.05237), or from the classes."""
        x, y = photos.batch(args.batch, (64, 64) if random.random() < 0.85 else random.choice(pictures.WIDE))
        x, other, part = pictures.mixed(x, args.mixed)
        if taught:
            blend = torch.rand(len(x), 1, 1, 1, device=device)
            x = torch.where(torch.rand_like(blend) < 0.3 * (part == 0).view(-1, 1, 1, 1), torch.lerp(x, x[other], 0.5 * blend), x)
            with torch.no_grad(), torch.autocast(device, torch.bfloat16, enabled=x.is_cuda):
                answers = taught(x).float() / args.temperature
            logits = heads.photo(features_of(encoder, x).mean(1)) / args.temperature
            return args.temperature**2 * F.kl_div(logits.log_softmax(1), answers.log_softmax(1), log_target=True, reduction="batchmean")
        wanted = torch.lerp(F.one_hot(y, 10).float(), F.one_hot(y[other], 10).float(), part[:, None])
        features = features_of(encoder, x)
        return F.cross_entropy(heads.photo((features.detach() if step < settled else features).mean(1)), wanted, label_smoothing=0.05)

    def words_loss(plain: float) -> Tensor:
        x, letters, _ = words.batch(args.batch, plain, texts=False)
        features = features_of(encoder, x)
        return F.cross_entropy(heads.word(features.detach() if step < settled else features).view(-1, KINDS), letters.flatten())

    def save() -> None:
        best = average.model
        state = {"encoder": best[0].state_dict(), "heads": best[1].state_dict(), "optimizer": optimizer.state_dict()}
        pictures.keep(state | {"step": step, "spent": time.time() - started}, state_file)

    running: dict[str, list[Tensor]] = {"photo": [], "word": []}
    while (elapsed := time.time() - started) < budget:
        progress = elapsed / budget
        lr = args.lr * min(1.0, (step + 1) / 200) * (0.5 + 0.5 * math.cos(math.pi * progress))
        # Plain words first: letters are learnt sooner, and then in all colours.
        photo, word = photos_loss(), words_loss(max(0.1, args.plain - (1.2 if device == "cpu" else 4) * progress))
        (2 * torch.lerp(photo, word, args.words)).backward()
        optimizer.step(lr)
        average.update(both)
        running["photo"].append(photo.detach())  # which doesn't wait for a GPU
        running["word"].append(word.detach())
        step += 1
        if device == "cuda" and step % 4 == 0:
            torch.cuda.current_stream().synchronize()  # the clock is the GPU's, not that of a queue
        if step % 50 == 0:
            means = {kind: round(torch.stack(v).mean().item(), 3) for kind, v in running.items()}
            print(f"step {step} {elapsed:.0f} s loss {means} lr {lr:.5f}", flush=True)
            running = {"photo": [], "word": []}
        if time.time() - saved > args.check:
            print(f"step {step} {elapsed:.0f} s validation {validation(*average.model, photos, held_words)}", flush=True)
            save()
            saved = time.time()
    save()
    print(f"end step {step} validation {validation(*average.model, photos, held_words)}", flush=True)


if __name__ == "__main__":
    main()
