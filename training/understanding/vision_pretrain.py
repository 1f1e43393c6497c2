"""Trains the vision encoder alone on photos (class) and drawn words (letters), before it joins the language model.

usage: python -m understanding.vision_pretrain --data DIR --out DIR --minutes N
"""

from __future__ import annotations

import argparse
import math
import random
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from optimizer import Average, Optimizer
from understanding import pictures
from understanding.model import VisionEncoder, patchify

LETTERS = 27


class Heads(nn.Module):
    """Throw-away heads: class of a photo; the letters at four columns of every token."""

    def __init__(self):
        super().__init__()
        self.photo = nn.Linear(256, 10)
        self.word = nn.Linear(256, 4 * LETTERS)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--lr", type=float, default=3e-3)
    parser.add_argument("--words", type=float, default=0.6, help="share of the batches that are words")
    parser.add_argument("--plain", type=float, default=0.9, help="share of the words in black on white at first")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--mixed", type=float, default=0.0, help="share of the photos with a piece of another in them: for long trainings")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    args.out.mkdir(parents=True, exist_ok=True)
    photos = pictures.Photos(args.data, args.out, device)
    words = pictures.Words(args.out, held_out=False, device=device)
    held_words = pictures.Words(args.out, held_out=True, count=1200, device=device)
    encoder, heads = VisionEncoder().to(device), Heads().to(device)
    optimizer = Optimizer([(n, p, 1.0) for m in (encoder, heads) for n, p in m.named_parameters()], weight_decay=0.05)
    state_file = args.out / "vision.pt"
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
    average = Average(nn.ModuleList([encoder, heads]))
    budget = args.minutes * 60
    started = time.time() - spent
    saved = time.time()

    def features_of(encoder, x):
        """float32 [B, tokens, 256]"""
        with torch.autocast(device, torch.bfloat16):
            features, _ = encoder(patchify(x), x.shape[2] // 8, x.shape[3] // 8, False)
        return (features.detach() if step < settled else features).float()

    def letters_of(encoder, heads, x, letters):
        """Loss of the letters at every place, and the share of the places with a letter that are right."""
        logits, wanted = heads.word(features_of(encoder, x)).view(-1, LETTERS), letters.flatten()
        return F.cross_entropy(logits, wanted), (logits.argmax(1) == wanted)[wanted > 0].float().mean()

    def photos_loss() -> torch.Tensor:
        x, y = photos.batch(args.batch)
        if args.mixed == 0:
            return F.cross_entropy(heads.photo(features_of(encoder, x).mean(1)), y, label_smoothing=0.05)
        x, other, part = pictures.mixed(x, args.mixed)
        wanted = torch.lerp(F.one_hot(y, 10).float(), F.one_hot(y[other], 10).float(), part[:, None])
        return F.cross_entropy(heads.photo(features_of(encoder, x).mean(1)), wanted, label_smoothing=0.05)

    def save() -> None:
        best = average.model
        state = {"encoder": best[0].state_dict(), "heads": best[1].state_dict(), "optimizer": optimizer.state_dict()}
        torch.save(state | {"step": step, "spent": time.time() - started}, state_file)

    def validate() -> str:
        encoder, heads = average.model
        right = 0
        with torch.no_grad():
            for x, y in photos.validation(200):
                features, _ = encoder(patchify(x), 8, 8)
                right += (heads.photo(features.mean(1)).argmax(1) == y).sum().item()
            state = random.getstate()
            random.seed(5)
            right_letters = [letters_of(encoder, heads, *held_words.batch(100)[:2])[1].item() for _ in range(6)]
            word = sum(right_letters) / len(right_letters)
            random.setstate(state)
        return f"photos {right / photos.held:.3f} letters {word:.3f}"

    running: dict[str, list[torch.Tensor]] = {"photo": [], "word": []}
    while (elapsed := time.time() - started) < budget:
        progress = elapsed / budget
        lr = args.lr * min(1.0, (step + 1) / 200) * (0.5 + 0.5 * math.cos(math.pi * progress))
        word = random.random() < args.words
        if word:
            # Plain words first: letters are learnt sooner, and then in all colours.
            loss, _ = letters_of(encoder, heads, *words.batch(args.batch, plain=max(0.2, args.plain - 1.2 * progress))[:2])
        else:
            loss = photos_loss()
        loss.backward()
        optimizer.step(lr)
        average.update(torch.nn.ModuleList([encoder, heads]))
        running["word" if word else "photo"].append(loss.detach())  # which doesn't wait for a GPU
        step += 1
        if step % 50 == 0:
            means = {kind: round(torch.stack(v).mean().item(), 3) if v else 0 for kind, v in running.items()}
            print(f"step {step} {elapsed:.0f} s loss {means} lr {lr:.5f}", flush=True)
            running = {"photo": [], "word": []}
        if time.time() - saved > 150:
            print(f"step {step} {elapsed:.0f} s validation {validate()}", flush=True)
            save()
            saved = time.time()
    print(f"end step {step} validation {validate()}", flush=True)
    save()


if __name__ == "__main__":
    main()
