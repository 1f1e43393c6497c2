"""Trains the audio encoder alone to hear phones (CTC), before it joins the language model.

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

from optimizer import Average, Optimizer
from understanding import facts, sounds
from understanding.config import AUDIO
from understanding.model import AudioEncoder

STEPS = 3  # phones a token may hold: tokens are 80 ms apart
PHONES = """aa ae ah ao aw ax axr ay b ch d dh dx eh el em en er ey f g hh hv ih ix iy jh k l m n ng nx ow oy p r s sh t th uh uw ux v w
y z zh""".split()


def ids(text: str) -> list[int]:
    """Phones of a text as CTC labels; 0 is the blank."""
    return [PHONES.index(phone) + 1 for phone in sounds.phones(text)]


def heard(encoder: AudioEncoder, head: nn.Linear, mel: torch.Tensor, frames: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Log-probabilities of phones [T, B, P + 1] and the steps of each clip."""
    device = head.weight.device
    with torch.autocast(device.type, torch.bfloat16):
        y, valid = encoder(mel.to(device), frames.to(device))
        logits = head(y)
    batch, tokens, _ = logits.shape
    logits = logits.float().view(batch, tokens * STEPS, -1).log_softmax(-1)
    return logits.transpose(0, 1), valid.sum(1) * STEPS


def moved(values: list[int], device: torch.device) -> torch.Tensor:
    """On a GPU without waiting for it."""
    made = torch.tensor(values)
    return made.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else made


def ctc(logits: torch.Tensor, lengths: torch.Tensor, labels: list[list[int]], reduction: str = "mean") -> torch.Tensor:
    flat = moved([i for label in labels for i in label], logits.device)
    sizes = torch.tensor([len(label) for label in labels])
    return F.ctc_loss(logits, flat, lengths.cpu(), sizes, reduction=reduction, zero_infinity=True)


@torch.no_grad()
def nearest(encoder, head, mel: sounds.Mel, clips: list, candidates: list[str]) -> list[int]:
    """Which of the candidates each clip says most probably."""
    out = []
    labels = [ids(text) for text in candidates]
    for clip in clips:
        logits, lengths = heard(encoder, head, *mel.batch([clip[0].astype("float32") / 32768]))
        count = len(candidates)
        out.append(int(ctc(logits.expand(-1, count, -1), lengths.expand(count), labels, "none").argmin()))
    return out


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=25)
    parser.add_argument("--lr", type=float, default=3e-3)
    parser.add_argument("--digits", type=float, default=0.5, help="share of the batches that are digits")
    parser.add_argument("--masks", type=float, default=0.3, help="share of the clips with parts of the spectrum left out")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    data, mel = sounds.Sounds(args.data, args.out), sounds.Mel()
    questions = sorted({label[0] for _, label, _ in data.held_questions})
    spoken = [(x, text) for x, text, _ in data.phrases] + [(x, label[0]) for x, label, _ in data.questions]
    spoken.sort(key=lambda clip: len(clip[0]))
    encoder, head = AudioEncoder().to(device), nn.Linear(AUDIO["output_dim"], STEPS * (len(PHONES) + 1)).to(device)
    model = nn.ModuleDict({"encoder": encoder, "head": head})
    optimizer = Optimizer([(n, p, 1.0) for n, p in model.named_parameters()], weight_decay=0.05)
    file = args.out / "audio.pt"
    step, before = 0, 0.0
    if file.exists():
        state = torch.load(file, map_location=device, weights_only=False)
        encoder.load_state_dict(state["encoder"])
        if "head" in state:
            head.load_state_dict(state["head"])
        if "optimizer" in state:
            optimizer.load_state_dict(state["optimizer"])
        step, before = state["step"], state["spent"]
    average = Average(model)
    rng = random.Random(step)
    begun = saved = time.time()

    def save(spent: float) -> None:
        best = average.model
        state = {"encoder": best["encoder"].state_dict(), "head": best["head"].state_dict(), "optimizer": optimizer.state_dict()}
        torch.save(state | {"step": step, "spent": spent}, file)

    def validate(count: int = 200) -> str:
        best = average.model
        chance = random.Random(5)
        digits, asked = chance.sample(data.held_digits, count), chance.sample(data.held_questions, min(60, len(data.held_questions)))
        said = nearest(best["encoder"], best["head"], mel, digits, facts.NUMBERS[:10])
        right = sum(a == clip[1] for a, clip in zip(said, digits)) / len(digits)
        said = nearest(best["encoder"], best["head"], mel, asked, questions)
        known = sum(questions[a] == clip[1][0] for a, clip in zip(said, asked)) / len(asked)
        return f"digits {right:.3f} questions {known:.3f}"

    running: dict[str, list[float]] = {"digit": [], "phrase": []}
    while (spent := before + time.time() - begun) < args.minutes * 60:
        rate = args.lr * min(1.0, (step + 1) / 100) * (0.02 + 0.98 * (0.5 + 0.5 * math.cos(math.pi * spent / args.minutes / 60)))
        if rng.random() < args.digits:
            kind, clips = "digit", [(x, facts.NUMBERS[d]) for x, d, _ in rng.choices(data.digits, data.digit_weights, k=48)]
        else:  # of like length
            first = rng.randrange(len(spoken) - 400)
            kind, clips = "phrase", rng.sample(spoken[first : first + 400], 24)
        logits, lengths = heard(encoder, head, *mel.batch([sounds.augment(x, rng) for x, _ in clips], rng, args.masks))
        loss = ctc(logits, lengths, [ids(text) for _, text in clips])
        loss.backward()
        optimizer.step(rate)
        average.update(model)
        running[kind].append(loss.item())
        step += 1
        if step % 50 == 0:
            print(f"step {step} {spent:.0f} s", {k: round(sum(v) / max(1, len(v)), 3) for k, v in running.items()}, flush=True)
            running = {"digit": [], "phrase": []}
        if time.time() - saved > 240:
            save(spent)
            print(f"step {step} {spent:.0f} s validation {validate()}", flush=True)
            saved = time.time()
    save(args.minutes * 60)
    print(f"end step {step} validation {validate(len(data.held_digits))}", flush=True)


if __name__ == "__main__":
    main()
