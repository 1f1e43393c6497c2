"""Trains the audio encoder alone on spoken digits and spoken questions (which one?), before it joins the language model.

usage: python -m understanding.audio_pretrain --data DIR --out DIR --minutes N
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

from understanding import sounds
from understanding.config import AUDIO
from understanding.model import AudioEncoder


class Heads(nn.Module):
    """Throw-away heads on the mean of a clip's features."""

    def __init__(self, questions: int):
        super().__init__()
        self.digit = nn.Linear(AUDIO["output_dim"], 10)
        self.question = nn.Linear(AUDIO["output_dim"], questions)


def pooled(encoder: AudioEncoder, mel: sounds.Mel, clips: list, device: str, rng: random.Random | None = None) -> torch.Tensor:
    features, frames = mel.batch(clips, rng)
    y, valid = encoder(features.to(device), frames.to(device))
    return (y * valid[:, :, None]).sum(1) / valid.sum(1, keepdim=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=25)
    parser.add_argument("--lr", type=float, default=1.2e-3)
    parser.add_argument("--digits", type=float, default=0.6, help="share of the batches that are digits")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    data, mel = sounds.Sounds(args.data, args.out), sounds.Mel()
    questions = sorted({label[0] for _, label, _ in data.questions + data.held_questions})
    encoder, heads = AudioEncoder().to(device), Heads(len(questions)).to(device)
    parameters = list(encoder.parameters()) + list(heads.parameters())
    optimizer = torch.optim.AdamW(parameters, lr=args.lr, weight_decay=0.05, betas=(0.9, 0.98))
    file = args.out / "audio.pt"
    step, before = 0, 0.0
    if file.exists():
        state = torch.load(file, map_location=device, weights_only=False)
        encoder.load_state_dict(state["encoder"])
        heads.load_state_dict(state["heads"])
        optimizer.load_state_dict(state["optimizer"])
        step, before = state["step"], state["spent"]
    rng = random.Random(step)
    begun = saved = time.time()

    def save(spent: float) -> None:
        state = {"encoder": encoder.state_dict(), "heads": heads.state_dict(), "optimizer": optimizer.state_dict()}
        torch.save(state | {"step": step, "spent": spent}, file)

    @torch.no_grad()
    def validate() -> str:
        encoder.eval()
        state = rng.getstate()
        rng.seed(5)
        digits, asked = rng.sample(data.held_digits, 200), rng.sample(data.held_questions, min(100, len(data.held_questions)))
        rng.setstate(state)
        right = {"digits": [], "questions": []}
        for i in range(0, len(digits), 50):
            part = digits[i : i + 50]
            said = heads.digit(pooled(encoder, mel, [c[0].astype("float32") / 32768 for c in part], device)).argmax(1).tolist()
            right["digits"] += [a == c[1] for a, c in zip(said, part)]
        for i in range(0, len(asked), 25):
            part = asked[i : i + 25]
            said = heads.question(pooled(encoder, mel, [c[0].astype("float32") / 32768 for c in part], device)).argmax(1).tolist()
            right["questions"] += [questions[a] == c[1][0] for a, c in zip(said, part)]
        encoder.train()
        return " ".join(f"{k} {sum(v) / len(v):.3f}" for k, v in right.items())

    running: dict[str, list[float]] = {"digit": [], "question": []}
    while (spent := before + time.time() - begun) < args.minutes * 60:
        lr = args.lr * min(1.0, (step + 1) / 100) * (0.02 + 0.98 * (0.5 + 0.5 * math.cos(math.pi * spent / args.minutes / 60)))
        for group in optimizer.param_groups:
            group["lr"] = lr
        if rng.random() < args.digits:
            clips, kind = rng.choices(data.digits, data.digit_weights, k=64), "digit"
            labels, head = [c[1] for c in clips], heads.digit
        else:
            clips, kind = rng.choices(data.questions, k=32), "question"
            labels, head = [questions.index(c[1][0]) for c in clips], heads.question
        y = head(pooled(encoder, mel, [sounds.augment(c[0], rng) for c in clips], device, rng))
        loss = F.cross_entropy(y, torch.tensor(labels, device=device), label_smoothing=0.05)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        running[kind].append(loss.item())
        step += 1
        if step % 50 == 0:
            print(f"step {step} {spent:.0f} s", {k: round(sum(v) / max(1, len(v)), 3) for k, v in running.items()}, flush=True)
            running = {"digit": [], "question": []}
        if time.time() - saved > 120:
            save(spent)
            print(f"step {step} {spent:.0f} s validation {validate()}", flush=True)
            saved = time.time()
    save(args.minutes * 60)
    print(f"end step {step} validation {validate()}", flush=True)


if __name__ == "__main__":
    main()
