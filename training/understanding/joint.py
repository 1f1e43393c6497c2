"""Trains the whole thinker on questions in text, sound and pictures, and measures it on what it never saw.

usage: python -m understanding.joint --data DIR --out DIR --minutes N [--tasks text,digit,spoken,photo,word,order,...]
"""

from __future__ import annotations

import argparse
import functools
import json
import math
import random
import time
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from tokenizers import Tokenizer

from optimizer import Average, Optimizer
from understanding import facts, orders, pictures, sounds, talk
from understanding.model import Thinker, audio_tokens, patchify

TALK = {"order", "transcript", "turn"}
SHARES = {"text": 1.6, "digit": 1.5, "spoken": 1.2, "photo": 1.3, "word": 1.5, "order": 2.5, "transcript": 1.5, "turn": 1.0, "typed_order": 0.5}
HEARD = {"digit", "spoken"} | TALK


@dataclass
class Turn:
    question: str
    answer: str
    image: tuple[int, int] | None = None  # merged rows and columns
    audio: int = 0  # tokens
    media_first: bool = True


class Prompts:
    """Token ids of the chat template."""

    def __init__(self, folder: Path):
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.id = {t: self.tokenizer.token_to_id(t) for t in (
            "<|im_start|>", "<|im_end|>", "<|image_pad|>", "<|audio_pad|>", "<|vision_start|>", "<|vision_end|>",
            "<|audio_start|>", "<|audio_end|>", "<|endoftext|>")}

    @functools.lru_cache(maxsize=20000)
    def encode(self, text: str) -> list[int]:
        return self.tokenizer.encode(text, add_special_tokens=False).ids

    def conversation(self, turns: list[Turn], system: str = "") -> tuple[list[int], list, list[int]]:
        """Ids, positions on three axes and labels of a conversation; only answers are learnt."""
        ids: list[int] = []
        positions: list[tuple[int, int, int]] = []
        labels: list[int] = []

        def add(tokens: list[int], learn: bool = False) -> None:
            start = max(positions[-1]) + 1 if positions else 0
            ids.extend(tokens)
            labels.extend(tokens if learn else [-100] * len(tokens))
            positions.extend((start + i,) * 3 for i in range(len(tokens)))

        def add_media(turn: Turn) -> None:
            if turn.image:
                h, w = turn.image
                add([self.id["<|vision_start|>"]])
                start = positions[-1][0] + 1
                ids.extend([self.id["<|image_pad|>"]] * (h * w))
                labels.extend([-100] * (h * w))
                positions.extend((start, start + y, start + x) for y in range(h) for x in range(w))
                add([self.id["<|vision_end|>"]])
            if turn.audio:
                add([self.id["<|audio_start|>"]] + [self.id["<|audio_pad|>"]] * turn.audio + [self.id["<|audio_end|>"]])

        if system:
            add(self.encode(f"<|im_start|>system\n{system}<|im_end|>\n"))
        for turn in turns:
            add(self.encode("<|im_start|>user\n"))
            if turn.media_first:
                add_media(turn)
            add(self.encode(turn.question))
            if not turn.media_first:
                add_media(turn)
            add(self.encode("<|im_end|>\n<|im_start|>assistant\n"))
            add(self.encode(turn.answer) + [self.id["<|im_end|>"]], True)
            add(self.encode("\n"))
        return ids, positions, labels


class Tasks:
    """Draws batches: (ids [B, T], positions [3, B, T], labels [B, T], media)."""

    def __init__(self, args, prompts: Prompts):
        self.rng = random.Random(args.seed)
        self.prompts, self.mel = prompts, sounds.Mel()
        self.masks = args.masks
        self.neighbours = (0, 0)  # typed turns before and after each
        wanted = set(args.tasks.split(","))
        self.sounds = sounds.Sounds(args.data, args.out) if wanted & HEARD else None
        self.talk = talk.Talk(args.data, args.out, self.sounds) if wanted & TALK else None
        self.photos = pictures.Photos(args.data, args.out) if "photo" in wanted else None
        self.words = pictures.Words(args.out, held_out=False) if "word" in wanted else None

    def rows(self, conversations: list[tuple]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Pads what Prompts.conversation gave."""
        pad = self.prompts.id["<|endoftext|>"]
        longest = max(len(c[0]) for c in conversations)
        ids = torch.tensor([c[0] + [pad] * (longest - len(c[0])) for c in conversations])
        positions = torch.tensor([c[1] + [c[1][-1]] * (longest - len(c[1])) for c in conversations]).permute(2, 0, 1)
        labels = torch.tensor([c[2] + [-100] * (longest - len(c[2])) for c in conversations])
        return ids, positions, labels

    def fact(self, held: bool = False) -> Turn:
        _, asked, answer = facts.question(self.rng, held)
        return Turn(asked, answer)

    def around(self, turn: Turn, alone: bool) -> tuple:
        """The turn in a conversation: sometimes with a system prompt, and typed turns before and after."""
        if alone:
            return self.prompts.conversation([turn])
        before, after = self.neighbours
        system = self.rng.choice(facts.SYSTEM_PROMPTS) if self.rng.random() < 0.1 else ""
        turns = [*(self.fact() for _ in range(before)), turn, *(self.fact() for _ in range(after))]
        return self.prompts.conversation(turns, system)

    def draw(self, task: str, count: int):
        """A training batch; all its conversations have as many turns, so that little is padding."""
        self.neighbours = (self.rng.choices([0, 1, 2], [0.75, 0.2, 0.05])[0], self.rng.choices([0, 1], [0.8, 0.2])[0])
        if task in TALK | {"typed_order"} and self.rng.random() < 0.8:
            self.neighbours = (0, 0)
        return getattr(self, task)(max(8, round(count / (1 + 0.5 * sum(self.neighbours)))))

    def text(self, count: int, held: bool = False):
        return [self.around(self.fact(held), held) for _ in range(count)], None

    def sound(self, clips: list[tuple], asked: bool, held: bool = False):
        audio = [c[0].astype("float32") / 32768 if held else sounds.augment(c[0], self.rng) for c in clips]
        mel, frames = self.mel.batch(audio, None if held else self.rng, self.masks)
        turns = []
        for clip, tokens in zip(clips, audio_tokens(frames).tolist()):
            if asked:
                question = self.rng.choice(facts.DIGIT_QUESTIONS) if held or self.rng.random() < 0.7 else ""
                answer = facts.digit_answer(clip[1])
            else:
                question, answer = "", clip[1][1]
            turns.append(self.around(Turn(question, answer, audio=tokens, media_first=self.rng.random() < 0.7), held))
        return turns, ("audio", mel, frames)

    def digit(self, count: int):
        return self.sound(self.rng.choices(self.sounds.digits, self.sounds.digit_weights, k=count), True)

    def spoken(self, count: int):
        return self.sound(self.rng.choices(self.sounds.questions, k=count), False)

    def typed_order(self, count: int):
        """Orders in writing, confirmed or as JSON."""
        items = []
        for _ in range(count):
            slots = orders.draw(self.rng)
            text = orders.wording(slots, self.rng)
            if self.rng.random() < orders.TYPED_SHARE:
                text = text.lower().rstrip("?.")
            as_json = self.rng.random() < 0.5
            asked = f"{text} {orders.JSON_QUESTION}" if as_json else text
            items.append(self.around(Turn(asked, orders.as_json(slots) if as_json else orders.confirmation(slots)), False))
        return items, None

    def talked(self, clips: list, asked: list[talk.Asked], held: bool = False):
        """Conversations about clips, several about one."""
        def heard(x):
            y = sounds.augment(x, self.rng)
            return talk.noisy(y, self.talk.babble, self.rng) if self.rng.random() < 0.4 else y

        audio = [c.astype("float32") / 32768 if held else heard(c) for c in clips]
        mel, frames = self.mel.batch(audio, None if held else self.rng, 0 if held else self.masks / 2)
        tokens = audio_tokens(frames).tolist()
        turns = [self.around(Turn(a.question, a.answer, audio=tokens[a.clip], media_first=held or self.rng.random() < 0.8), held) for a in asked]
        return turns, ("audio", mel, frames, torch.tensor([a.clip for a in asked]))

    def order(self, count: int):
        return self.talked(*self.talk.order(self.rng, count))

    def transcript(self, count: int):
        return self.talked(*self.talk.transcript(self.rng, count))

    def turn(self, count: int):
        return self.talked(*self.talk.turn(self.rng, count))

    def picture(self, x: torch.Tensor, questions: list[str], answers: list[str], held: bool = False):
        h, w = x.shape[2] // 8, x.shape[3] // 8
        turns = []
        for answer in answers:
            question = self.rng.choice(questions)
            turns.append(self.around(Turn(question, answer, image=(h // 2, w // 2), media_first=self.rng.random() < 0.7), held))
        return turns, ("image", patchify(x), h, w)

    def photo(self, count: int):
        x, y = self.photos.batch(count)
        questions = facts.PHOTO_QUESTIONS + [""]
        return self.picture(x, questions, [facts.photo_answer(facts.PHOTO_CLASSES[i]) for i in y])

    def word(self, count: int):
        x, _, texts = self.words.batch(count)
        return self.picture(x, facts.READ_QUESTIONS, [facts.read_answer(text) for text in texts])


def embed(model: Thinker, prompts: Prompts, ids: torch.Tensor, media):
    """Token embeddings with the media rows in place, the visual mask and the DeepStack rows."""
    x = model.model.embed_tokens(ids)
    if media is None:
        return x, None, ()
    x = x.clone()
    if media[0] == "audio":
        features, valid = model.audio_tower(media[1].to(ids.device), media[2].to(ids.device))
        if len(media) > 3:  # several conversations about one clip
            features, valid = features[media[3]], valid[media[3]]
        x[ids == prompts.id["<|audio_pad|>"]] = features[valid]
        return x, None, ()
    features, deepstack = model.visual(media[1].to(ids.device), media[2], media[3])
    visual = ids == prompts.id["<|image_pad|>"]
    x[visual] = features.flatten(0, 1)
    return x, visual, [d.flatten(0, 1) for d in deepstack]


def logits_of(model: Thinker, prompts: Prompts, rows, media, bf16: bool = False) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """At the N places where an answer is wanted: logits [N, V], the right tokens [N], which conversation [N]."""
    ids, positions, labels = (t.to(model.lm_head.weight.device) for t in rows)
    x, visual, deepstack = embed(model, prompts, ids, media)
    with torch.autocast(x.device.type, torch.bfloat16, enabled=bf16):
        hidden = model.model(x, positions, visual, deepstack)
        wanted = labels[:, 1:] != -100
        logits = model.lm_head(hidden[:, :-1][wanted])
    return logits.float(), labels[:, 1:][wanted], wanted.nonzero()[:, 0]


@torch.no_grad()
def accuracy(model: Thinker, tasks: Tasks, conversations: list, media) -> float:
    """Share of answers that are right to the letter, teacher-forced on themselves (the same as greedy decoding)."""
    logits, labels, of = logits_of(model, tasks.prompts, tasks.rows(conversations), media)
    wrong = of[logits.argmax(-1) != labels].unique()
    return 1 - len(wrong) / len(conversations)


def held_talk(tasks: Tasks, rng: random.Random, count: int, wanted: list[str]):
    """(name, clips, what is asked about them), one question a clip."""
    if "order" in wanted:
        yield "order", *tasks.talk.held_order(made=False)
        yield "order_made", *(part[: count // 2] for part in tasks.talk.held_order(made=True))
    if "transcript" in wanted:
        yield "transcript", *tasks.talk.held_transcript(count // 4)
    if "turn" in wanted:
        yield "turn", *tasks.talk.held_turn(rng, count // 4)


@torch.no_grad()
def validate(model: Thinker, tasks: Tasks, args, count: int = 300) -> dict[str, float]:
    """Accuracy on wordings, speakers, voices, files and fonts that training never sees."""
    rng, out = random.Random(11), {}
    mean = lambda values: sum(values) / max(1, len(values))  # noqa: E731
    state, tasks.rng = tasks.rng, rng
    wanted = args.tasks.split(",")
    if "text" in wanted:
        out["text"] = mean([accuracy(model, tasks, *tasks.text(100, True)) for _ in range(count // 100)])
    if "digit" in wanted:
        clips = rng.sample(tasks.sounds.held_digits, min(count, len(tasks.sounds.held_digits)))
        out["digit"] = mean([accuracy(model, tasks, *tasks.sound(clips[i : i + 50], True, True)) for i in range(0, len(clips), 50)])
    if "spoken" in wanted:
        clips = rng.sample(tasks.sounds.held_questions, min(count // 2, len(tasks.sounds.held_questions)))
        out["spoken"] = mean([accuracy(model, tasks, *tasks.sound(clips[i : i + 25], False, True)) for i in range(0, len(clips), 25)])
    if "photo" in wanted:
        scores = []
        for x, y in tasks.photos.validation(100):
            answers = [facts.photo_answer(facts.PHOTO_CLASSES[i]) for i in y]
            scores.append(accuracy(model, tasks, *tasks.picture(x, facts.PHOTO_QUESTIONS, answers, True)))
            if len(scores) * 100 >= count:
                break
        out["photo"] = mean(scores)
    if "word" in wanted:
        random.seed(5)
        held, scores = pictures.Words(args.out, held_out=True, count=1200), []
        for _ in range(count // 50):
            x, _, texts = held.batch(50)
            scores.append(accuracy(model, tasks, *tasks.picture(x, facts.READ_QUESTIONS, [facts.read_answer(t) for t in texts], True)))
        out["word"] = mean(scores)
    for name, clips, asked in held_talk(tasks, rng, count, wanted):
        scores = []
        for i in range(0, len(asked), 20):
            part = [talk.Asked(k, a.question, a.answer) for k, a in enumerate(asked[i : i + 20])]
            scores += [accuracy(model, tasks, *tasks.talked([clips[a.clip] for a in asked[i : i + 20]], part, True))] * len(part)
        out[name] = mean(scores)
    tasks.rng = state
    return {k: round(v, 3) for k, v in out.items()}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--tokenizer", type=Path)
    parser.add_argument("--minutes", type=float, default=90, help="length of the learning-rate schedule, earlier runs included")
    parser.add_argument("--until", type=float, help="stop after so many minutes of it")
    parser.add_argument("--tasks", default="text,digit,spoken,photo,word")
    parser.add_argument("--shares", default="", help="how often each task is drawn, where it is not as usual: text=1.6,digit=1.5")
    parser.add_argument("--masks", type=float, default=0.5, help="share of the batches of sounds with parts of the spectrum left out")
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--floor", type=float, default=0.02, help="share of the learning rate left at the end")
    parser.add_argument("--draws", type=int, default=3, help="batches, each of one task, that a step is made of")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--vision", type=Path, help="pretrained vision encoder, taken when pictures join in")
    parser.add_argument("--audio", type=Path, help="pretrained audio encoder, taken when sounds join in")
    parser.add_argument("--beside", type=Path, help="the --out of a training that runs at the same time: both take the mean of their weights")
    parser.add_argument("--check", type=float, default=4, help="minutes between validations")
    parser.add_argument("--bf16", action="store_true", help="compute in bfloat16, weights stay f32")
    parser.add_argument("--freeze", default="", help="parts whose weights stay: visual, audio_tower")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    args.device = "cuda" if torch.cuda.is_available() else "cpu"
    args.out.mkdir(parents=True, exist_ok=True)
    prompts = Prompts(args.tokenizer or args.out / "tokenizer")
    tasks, model = Tasks(args, prompts), Thinker()
    model.to(args.device)
    file = args.out / "thinker.pt"
    step, before = 0, 0.0
    state = torch.load(file, map_location=args.device, weights_only=False) if file.exists() else None
    if state:
        model.load_state_dict(state["model"])
        step, before = state["step"], state["spent"]
        tasks.rng.seed(args.seed + step)
        torch.manual_seed(args.seed + step)
    taken = list(state.get("taken", [])) if state else []
    for name, encoder in (("vision", model.visual), ("audio", model.audio_tower)):
        pretrained = getattr(args, name)
        if pretrained and name not in taken:
            encoder.load_state_dict(torch.load(pretrained, map_location=args.device, weights_only=False)["encoder"])
            taken.append(name)
    for name in filter(None, args.freeze.split(",")):
        model.get_submodule(name).requires_grad_(False)
    # What was pretrained moves less.
    pretrained = tuple({"vision": "visual.", "audio": "audio_tower."}[name] for name in taken)
    slow = {n for n, _ in model.named_parameters() if n.startswith(pretrained) and "merger" not in n and ".proj" not in n}
    optimizer = Optimizer([(n, p, 0.4 if n in slow else 1.0) for n, p in model.named_parameters()])
    if state and "optimizer" in state and state.get("taken") == taken:
        optimizer.load_state_dict(state["optimizer"])
    average = Average(model)
    if state and "ema" in state and state.get("taken") == taken:
        average.model.load_state_dict(state["ema"])
        average.steps = step
    sizes = {"text": 64, "digit": 40, "spoken": 24, "photo": 40, "word": 40, "order": 12, "transcript": 20, "turn": 16, "typed_order": 20}
    shares = SHARES | {name: float(value) for name, value in (part.split("=") for part in args.shares.split(",") if part)}
    wanted = args.tasks.split(",")
    weights = [shares[t] for t in wanted]
    begun = saved = checked = time.time()
    running: dict[str, float] = {}

    def save() -> None:
        made = {"model": model.state_dict(), "ema": average.model.state_dict(), "optimizer": optimizer.state_dict(), "step": step, "spent": before + time.time() - begun,
                "taken": taken}
        torch.save(made, file.with_suffix(".new"))
        file.with_suffix(".new").replace(file)

    def meet() -> float:
        """Leaves the weights for the other training, and moves to the mean of mine and its last ones (local SGD, 1805.09767)."""
        torch.save(model.state_dict(), args.out / "weights.new")
        (args.out / "weights.new").replace(args.out / "weights.pt")
        theirs = args.beside / "weights.pt"
        if theirs.exists() and theirs.stat().st_mtime > begun:
            with torch.no_grad():
                for mine, other in zip(model.state_dict().values(), torch.load(theirs, weights_only=True).values(), strict=True):
                    mine.lerp_(other, 0.5)
        return time.time()

    met = begun
    while (spent := before + time.time() - begun) < min(args.minutes, args.until or args.minutes) * 60:
        lr = args.lr * min(1, (step + 1) / 100) * (args.floor + (1 - args.floor) * (0.5 + 0.5 * math.cos(math.pi * spent / args.minutes / 60)))
        for task in tasks.rng.choices(wanted, weights, k=args.draws):
            items, media = tasks.draw(task, sizes[task])
            logits, labels, _ = logits_of(model, prompts, tasks.rows(items), media, args.bf16)
            loss = F.cross_entropy(logits, labels)
            (loss / args.draws).backward()
            running[task] = 0.95 * running.get(task, loss.item()) + 0.05 * loss.item()
        optimizer.step(lr)
        average.update(model)
        step += 1
        if args.beside and time.time() - met > 60:
            met = meet()
        if step % 20 == 0:
            print(f"step {step} {spent:.0f} s", {k: round(v, 3) for k, v in sorted(running.items())}, flush=True)
        if time.time() - saved > 240:
            save()
            saved = time.time()
        if time.time() - checked > args.check * 60:
            print(f"step {step} {spent:.0f} s validation", json.dumps(validate(average.model, tasks, args, 100)), flush=True)
            checked = time.time()
    save()
    print("end", step, "validation", json.dumps(validate(average.model, tasks, args, 600)), flush=True)


if __name__ == "__main__":
    main()
