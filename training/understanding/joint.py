"""Trains the whole thinker on questions in text, sound and pictures, and measures it on what it never saw.

usage: python -m understanding.joint --data DIR --out DIR --minutes N [--tasks text,digit,spoken,photo,word]
"""

from __future__ import annotations

import argparse
import json
import math
import random
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from tokenizers import Tokenizer

from understanding import facts, pictures, sounds
from understanding.model import Thinker, audio_tokens, patchify

IMAGE_TOKENS = 16


class Prompts:
    """Token ids of the chat template."""

    def __init__(self, folder: Path):
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.id = {t: self.tokenizer.token_to_id(t) for t in (
            "<|im_start|>", "<|im_end|>", "<|image_pad|>", "<|audio_pad|>", "<|vision_start|>", "<|vision_end|>",
            "<|audio_start|>", "<|audio_end|>", "<|endoftext|>")}

    def encode(self, text: str) -> list[int]:
        return self.tokenizer.encode(text, add_special_tokens=False).ids

    def prompt(self, text: str, image: tuple[int, int] | None = None, audio: int = 0, media_first: bool = True) -> tuple[list[int], list]:
        """Ids and the three position axes of a user's turn up to where the answer starts."""
        media: list[int] = []
        if image:
            media = [self.id["<|vision_start|>"]] + [self.id["<|image_pad|>"]] * IMAGE_TOKENS + [self.id["<|vision_end|>"]]
        if audio:
            media = [self.id["<|audio_start|>"]] + [self.id["<|audio_pad|>"]] * audio + [self.id["<|audio_end|>"]]
        head, tail = self.encode("<|im_start|>user\n"), self.encode("<|im_end|>\n<|im_start|>assistant\n")
        words = self.encode(text)
        ids = head + (media + words if media_first else words + media) + tail
        positions, next_position, i = [], 0, 0
        while i < len(ids):
            if ids[i] == self.id["<|image_pad|>"]:
                h, w = image
                positions += [(next_position, next_position + y, next_position + x) for y in range(h) for x in range(w)]
                next_position += max(h, w)
                i += h * w
            else:
                positions.append((next_position,) * 3)
                next_position += 1
                i += 1
        return ids, positions


class Tasks:
    """Draws batches: (ids [B, T], positions [3, B, T], labels [B, T], media)."""

    def __init__(self, args, prompts: Prompts):
        self.rng = random.Random(args.seed)
        self.prompts, self.mel = prompts, sounds.Mel()
        wanted = set(args.tasks.split(","))
        self.sounds = sounds.Sounds(args.data, args.out) if wanted & {"digit", "spoken"} else None
        self.photos = pictures.Photos(args.data, args.out) if "photo" in wanted else None
        self.words = pictures.Words(args.out, held_out=False) if "word" in wanted else None

    def rows(self, items: list[tuple[list[int], list, str]]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Pads (ids, positions, answer) and makes labels of the answer and its end."""
        pad, end = self.prompts.id["<|endoftext|>"], self.prompts.id["<|im_end|>"]
        full = []
        for ids, positions, answer in items:
            said = self.prompts.encode(answer) + [end]
            last = max(positions[-1])
            full.append((ids + said, positions + [(last + 1 + i,) * 3 for i in range(len(said))], [-100] * len(ids) + said))
        longest = max(len(f[0]) for f in full)
        ids = torch.tensor([f[0] + [pad] * (longest - len(f[0])) for f in full])
        positions = torch.tensor([f[1] + [f[1][-1]] * (longest - len(f[1])) for f in full]).permute(2, 0, 1)
        labels = torch.tensor([f[2] + [-100] * (longest - len(f[2])) for f in full])
        return ids, positions, labels

    def text(self, count: int, held: bool = False):
        drawn = [facts.question(self.rng, held) for _ in range(count)]
        return [(*self.prompts.prompt(q), a) for _, q, a in drawn], None

    def sound(self, clips: list[tuple], augmented: bool, ask: bool):
        audio = [sounds.augment(c[0], self.rng) if augmented else c[0].astype("float32") / 32768 for c in clips]
        mel, frames = self.mel.batch(audio)
        items = []
        for clip, count in zip(clips, audio_tokens(frames).tolist()):
            if ask:
                question, answer = self.rng.choice(facts.DIGIT_QUESTIONS), facts.digit_answer(clip[1])
            else:
                question, answer = "", clip[1][1]
            items.append((*self.prompts.prompt(question, audio=count, media_first=self.rng.random() < 0.7), answer))
        return items, ("audio", mel, frames)

    def digit(self, count: int):
        return self.sound(self.rng.choices(self.sounds.digits, self.sounds.digit_weights, k=count), True, True)

    def spoken(self, count: int):
        return self.sound(self.rng.choices(self.sounds.questions, k=count), True, False)

    def picture(self, x: torch.Tensor, h: int, w: int, questions: list[str], answers: list[str]):
        items = []
        for answer in answers:
            ids = self.prompts.prompt(self.rng.choice(questions), image=(h // 2, w // 2), media_first=self.rng.random() < 0.7)
            items.append((*ids, answer))
        return items, ("image", patchify(x), h, w)

    def photo(self, count: int):
        x, y = self.photos.batch(count)
        return self.picture(x, 8, 8, facts.PHOTO_QUESTIONS, [facts.photo_answer(facts.PHOTO_CLASSES[i]) for i in y])

    def word(self, count: int):
        index = torch.randint(len(self.words.texts), (count,))
        x = self.words.pixels[index].float() / 127.5 - 1
        x = (x + torch.randn_like(x) * torch.empty(count, 1, 1, 1).uniform_(0, 0.12)).clamp(-1, 1)
        return self.picture(x, 4, 16, facts.READ_QUESTIONS, [facts.read_answer(self.words.texts[i]) for i in index.tolist()])


def embed(model: Thinker, prompts: Prompts, ids: torch.Tensor, media):
    """Token embeddings with the media rows in place, the visual mask and the DeepStack rows."""
    x = model.model.embed_tokens(ids)
    if media is None:
        return x, None, ()
    x = x.clone()
    if media[0] == "audio":
        features, valid = model.audio_tower(media[1], media[2])
        x[ids == prompts.id["<|audio_pad|>"]] = features[valid]
        return x, None, ()
    features, deepstack = model.visual(media[1], media[2], media[3])
    visual = ids == prompts.id["<|image_pad|>"]
    x[visual] = features.flatten(0, 1)
    return x, visual, [d.flatten(0, 1) for d in deepstack]


def loss_of(model: Thinker, prompts: Prompts, ids, positions, labels, media) -> torch.Tensor:
    x, visual, deepstack = embed(model, prompts, ids, media)
    hidden = model.model(x, positions, visual, deepstack)
    wanted = labels[:, 1:] != -100
    return F.cross_entropy(model.lm_head(hidden[:, :-1][wanted]), labels[:, 1:][wanted])


@torch.no_grad()
def accuracy(model: Thinker, tasks: Tasks, items: list, media) -> float:
    """Share of answers that are right to the letter, teacher-forced on themselves (the same as greedy decoding)."""
    ids, positions, labels = tasks.rows(items)
    x, visual, deepstack = embed(model, tasks.prompts, ids, media)
    hidden = model.model(x, positions, visual, deepstack)
    said = model.lm_head(hidden[:, :-1]).argmax(-1)
    right = (said == labels[:, 1:]) | (labels[:, 1:] == -100)
    return right.all(1).float().mean().item()


def validate(model: Thinker, tasks: Tasks, args, count: int = 300) -> dict[str, float]:
    """Accuracy on wordings, speakers, voices, files and fonts that training never sees."""
    model.eval()
    rng, out = random.Random(11), {}
    mean = lambda values: sum(values) / max(1, len(values))  # noqa: E731
    state, tasks.rng = tasks.rng, rng
    wanted = args.tasks.split(",")
    if "text" in wanted:
        out["text"] = mean([accuracy(model, tasks, *tasks.text(100, True)) for _ in range(count // 100)])
    if "digit" in wanted:
        clips = rng.sample(tasks.sounds.held_digits, min(count, len(tasks.sounds.held_digits)))
        out["digit"] = mean([accuracy(model, tasks, *tasks.sound(clips[i : i + 50], False, True)) for i in range(0, len(clips), 50)])
    if "spoken" in wanted:
        clips = rng.sample(tasks.sounds.held_questions, min(count // 2, len(tasks.sounds.held_questions)))
        out["spoken"] = mean([accuracy(model, tasks, *tasks.sound(clips[i : i + 25], False, False)) for i in range(0, len(clips), 25)])
    if "photo" in wanted:
        scores = []
        for x, y in tasks.photos.validation(100):
            answers = [facts.photo_answer(facts.PHOTO_CLASSES[i]) for i in y]
            scores.append(accuracy(model, tasks, *tasks.picture(x, 8, 8, facts.PHOTO_QUESTIONS, answers)))
            if len(scores) * 100 >= count:
                break
        out["photo"] = mean(scores)
    if "word" in wanted:
        held = pictures.Words(args.out, held_out=True, count=600)
        x, answers = held.pixels[:count].float() / 127.5 - 1, [facts.read_answer(t) for t in held.texts[:count]]
        out["word"] = mean([accuracy(model, tasks, *tasks.picture(x[i : i + 100], 4, 16, facts.READ_QUESTIONS, answers[i : i + 100]))
                            for i in range(0, count, 100)])
    tasks.rng = state
    model.train()
    return {k: round(v, 3) for k, v in out.items()}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--tokenizer", type=Path)
    parser.add_argument("--minutes", type=float, default=40)
    parser.add_argument("--tasks", default="text,digit,spoken,photo,word")
    parser.add_argument("--lr", type=float, default=1.2e-3)
    parser.add_argument("--floor", type=float, default=0.02, help="share of the learning rate left at the end")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--vision", type=Path, help="take the pretrained vision encoder from this file")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    args.out.mkdir(parents=True, exist_ok=True)
    prompts = Prompts(args.tokenizer or args.out / "tokenizer")
    tasks, model = Tasks(args, prompts), Thinker()
    file = args.out / "thinker.pt"
    if file.exists():
        model.load_state_dict(torch.load(file, weights_only=False)["model"])
    if args.vision:
        model.visual.load_state_dict(torch.load(args.vision, weights_only=False)["encoder"])
    fast = [p for n, p in model.named_parameters() if p.requires_grad and not n.startswith("visual.") or "merger" in n]
    slow = [p for n, p in model.named_parameters() if n.startswith("visual.") and "merger" not in n]
    optimizer = torch.optim.AdamW([{"params": fast, "scale": 1.0}, {"params": slow, "scale": 0.4}], lr=args.lr,
                                  weight_decay=0.02, betas=(0.9, 0.98))
    sizes = {"text": 64, "digit": 32, "spoken": 16, "photo": 32, "word": 32}
    shares = {"text": 1.0, "digit": 1.6, "spoken": 1.3, "photo": 1.2, "word": 1.5}
    wanted = args.tasks.split(",")
    weights = [shares[t] for t in wanted]
    begun = saved = time.time()
    step, running = 0, {}
    while (spent := time.time() - begun) < args.minutes * 60:
        lr = args.lr * min(1, (step + 1) / 100) * (args.floor + (1 - args.floor) * (0.5 + 0.5 * math.cos(math.pi * spent / args.minutes / 60)))
        for group in optimizer.param_groups:
            group["lr"] = lr * group["scale"]
        task = tasks.rng.choices(wanted, weights)[0]
        items, media = getattr(tasks, task)(sizes[task])
        loss = loss_of(model, prompts, *tasks.rows(items), media)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        old = running.get(task, loss.item())
        running[task] = 0.95 * old + 0.05 * loss.item()
        step += 1
        if step % 50 == 0:
            print(f"step {step} {spent:.0f} s", {k: round(v, 3) for k, v in sorted(running.items())}, flush=True)
        if time.time() - saved > 240:
            torch.save({"model": model.state_dict()}, file)
            print(f"step {step} {spent:.0f} s validation", json.dumps(validate(model, tasks, args, 100)), flush=True)
            saved = time.time()
    torch.save({"model": model.state_dict()}, file)
    print("end", step, "validation", json.dumps(validate(model, tasks, args, 600)), flush=True)


if __name__ == "__main__":
    main()
