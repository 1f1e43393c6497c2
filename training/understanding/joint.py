"""Trains the whole thinker on questions in text, sound and pictures, and measures it on what it never saw.

usage: python -m understanding.joint --data DIR --out DIR --minutes N [--tasks text,digit,spoken,photo,word,order,...]
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import random
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from compiled import compile_forward
from optimizer import Average, Optimizer, meet
from understanding import drawings, facts, features, orders, outside, pictures, talk
from understanding.audio_pretrain import PHONES, STEPS, ctc, moved
from understanding.config import AUDIO
from understanding.model import AudioEncoder, AudioLayer, Layer, Thinker, VisionBlock, audio_tokens, patchify
from understanding.prompts import Batch, Prompts, Row, Turn

SHARES = {"text": 1.6, "outside": 0.5, "sum": 2.0, "spelling": 0.4, "digit": 1.5, "spoken": 1.2, "photo": 1.3, "word": 1.5, "order": 2.5, "transcript": 1.5, "turn": 1.0,
          "noise": 0.4, "typed_order": 0.5, "phones": 1.0, "quiet": 0.5, "sight": 0.6, "drawing": 0.5}
SIZES = {"text": 64, "outside": 48, "sum": 48, "spelling": 48, "digit": 40, "spoken": 20, "photo": 40, "word": 40, "order": 20, "transcript": 24, "turn": 12,
         "noise": 10, "typed_order": 24, "phones": 40, "quiet": 32, "sight": 24, "drawing": 32}
BESIDE = 4  # typed conversations in a row
HEARD = {"digit", "spoken", "order", "transcript", "turn", "noise", "phones", "quiet", "sight"}
CALM = {"digit": 0.6, "order": 0.4}  # share of the clips with next to no noise behind them, where it is not three in ten
UNMASKED = {"order"}  # noise leaves enough of it out, and what was recorded is heard there no better than what never was
UNASKED = {"phones", "quiet"}  # for the audio encoder alone


def sound(mel: torch.Tensor, frames: torch.Tensor, phones: list | None, *quiet: torch.Tensor) -> tuple:
    """Media of a batch: features [B, 128, T], frames [B], which of the encoder's B * T / 100 * 13 rows are of a clip, phones where they are
    known, and the features of the same clips without noise where they are wanted."""
    heard = torch.arange(mel.shape[2] // 100 * 13) < audio_tokens(frames)[:, None]
    return "audio", mel, frames, heard.flatten().nonzero()[:, 0], phones, *quiet


class Tasks:
    """Draws batches: rows of conversations, and a list of their media: (kind, what the encoder takes, phones where they are known)."""

    def __init__(self, args, prompts: Prompts):
        self.rng = random.Random(args.seed)
        self.prompts, self.masks = prompts, args.masks
        self.neighbours = (0, 0)  # typed turns before and after each
        wanted = set(args.tasks.split(","))
        self.store = features.Store(args.data, args.out) if wanted & HEARD else None
        if "sight" in wanted and not (self.store.asked and self.store.held_asked):
            raise SystemExit("there are no questions aloud about pictures yet: run `python -m understanding.further_voices --asked` with the same --data and --out first, "
                             "or leave sight out of --tasks")
        self.talk = talk.Talk(self.store) if self.store else None
        self.changer = features.Changer(self.store, self.rng) if self.store else None
        self.photos = pictures.Photos(args.data, args.out) if wanted & {"photo", "sight"} else None
        self.drawings = drawings.Drawings(args.out, held_out=False) if "drawing" in wanted else None
        self.words = pictures.Words(args.out, held_out=False, photos=self.photos and self.photos.pixels[: self.photos.train_count]) if wanted & {"word", "sight"} else None

    def fact(self, held: bool = False) -> Turn:
        _, asked, answer = facts.question(self.rng, held)
        return Turn(asked, answer)

    def around(self, asked: list[Turn], held: bool, **media) -> Row:
        """Conversations that begin alike: sometimes with a system prompt, typed turns before and after, or one asked after the other."""
        if held:
            return self.prompts.row([[turn] for turn in asked], **media)
        before, after = self.neighbours
        system = self.rng.choice(facts.SYSTEM_PROMPTS) if self.rng.random() < 0.1 else ""
        branches = [[turn] for turn in asked]
        if len(branches) > 1 and self.rng.random() < 0.15:
            branches[:2] = [branches[0] + branches[1]]
        branches[0] += [self.fact() for _ in range(after)]
        return self.prompts.row(branches, before=tuple(self.fact() for _ in range(before)), system=system, **media)

    def draw(self, task: str, count: int):
        """A training batch; all its conversations have as many turns, so that little is padding."""
        self.neighbours = (self.rng.choices([0, 1, 2], [0.75, 0.2, 0.05])[0], self.rng.choices([0, 1], [0.8, 0.2])[0])
        if task not in ("text", "photo", "word", "outside", "sum", "spelling") and self.rng.random() < 0.6:
            self.neighbours = (0, 0)
        count = max(8, round(count / (1 + 0.5 * sum(self.neighbours))))
        if task in HEARD - UNASKED - {"sight"}:
            return self.heard(*(self.talk.noise(self.rng, count, self.changer) if task == "noise" else getattr(self.talk, task)(self.rng, count)), calm=CALM.get(task, 0.3),
                              masks=0.0 if task in UNMASKED else self.masks)
        return getattr(self, task)(count)

    def typed(self, turns: list[Turn], held: bool):
        """Conversations in writing: several that begin alike lie in one row, long ones beside short ones, so that little is padding."""
        if held:
            return [self.around([turn], held) for turn in turns], []
        turns = sorted(turns, key=lambda turn: len(self.prompts.encode(turn.question)) + len(self.prompts.encode(turn.answer)))
        rows = [[] for _ in range(math.ceil(len(turns) / BESIDE))]
        for i, turn in enumerate(turns):  # there and back again
            at = i % (2 * len(rows))
            rows[min(at, 2 * len(rows) - 1 - at)].append(turn)
        return [self.around(self.rng.sample(row, len(row)), held) for row in rows], []

    def text(self, count: int, held: bool = False):
        return self.typed([self.fact(held) for _ in range(count)], held)

    def outside(self, count: int, held: bool = False):
        """What it does not know, beside some of what it does, in part in the same words."""
        pairs = [] if held else [outside.pair(self.rng) for _ in range(count // 5)]
        turns = [turn for asked, known, answer in pairs for turn in (Turn(outside.worded(asked, self.rng), facts.OUTSIDE), Turn(outside.worded(known, self.rng), answer))]
        known = 0 if held else (count - len(turns)) // 2
        turns += [self.fact() for _ in range(known)] + [Turn(outside.question(self.rng, held), facts.OUTSIDE) for _ in range(count - known - len(turns))]
        self.rng.shuffle(turns)
        return self.typed(turns, held)

    def sum(self, count: int, held: bool = False):
        """Arithmetic, which takes more examples than anything else that it knows."""
        return self.typed([Turn(*facts.arithmetic(self.rng, held)[1:]) for _ in range(count)], held)

    def spelling(self, count: int, held: bool = False):
        """Words to be spelled, half of which there are not, so that spelling is learnt and not only the words."""
        return self.typed([Turn(*facts.spelling(self.rng, held)[1:]) for _ in range(count)], held)

    def typed_order(self, count: int, held: bool = False):
        """Orders in writing, confirmed or as JSON."""
        turns = []
        for _ in range(count):
            slots = orders.draw(self.rng)
            text = orders.wording(slots, self.rng, held)
            if not held and self.rng.random() < orders.TYPED_SHARE:
                text = text.lower().rstrip("?.")
            as_json = self.rng.random() < 0.5
            turns.append(Turn(f"{text} {orders.JSON_QUESTION}", orders.as_json(slots)) if as_json else Turn(text, orders.confirmation(slots)))
        return self.typed(turns, held)

    def heard(self, clips: list[torch.Tensor], asked: list[talk.Asked], phones: list | None = None, held: bool = False, calm: float = 0.2, masks: float = 0.0):
        """Conversations about clips, several about one."""
        mel, frames = features.plain(clips) if held else self.changer(clips, masks, calm=calm)
        tokens = audio_tokens(frames).tolist()
        turns = [[Turn(a.question, a.answer) for a in asked if a.clip == i] for i in range(len(clips))]
        if not held:
            for of in turns:
                self.rng.shuffle(of)
        rows = [self.around(of, held, audio=n, media_first=held or self.rng.random() < 0.8) for of, n in zip(turns, tokens)]
        return rows, [sound(mel, frames, phones)]

    def picture(self, x: torch.Tensor, questions: list[str], answers: list[str], held: bool = False):
        h, w = x.shape[2] // 8, x.shape[3] // 8
        rows = [self.around([Turn(self.rng.choice(questions), answer)], held, image=(h // 2, w // 2), media_first=self.rng.random() < 0.7)
                for answer in answers]
        return rows, [("image", patchify(x), h, w)]

    def phones(self, count: int):
        """Speech whose phones only are told: the audio encoder alone, which takes a third of the time."""
        clips, said = self.talk.phones(self.rng, count)
        mel, frames = self.changer(clips, self.masks)
        return None, [sound(mel, frames, said)]

    def quiet(self, count: int):
        """Speech in noise, which the audio encoder is to hear as its teacher hears it without."""
        clips, said = self.talk.phones(self.rng, count)
        besides: list[torch.Tensor] = []
        mel, frames = self.changer(clips, 0.3 * self.masks, besides=besides)
        return None, [sound(mel, frames, said, *besides)]

    def photo(self, count: int):
        x, y = self.photos.batch(count, (64, 64) if self.rng.random() < 0.85 else self.rng.choice(pictures.WIDE))
        return self.picture(x, facts.PHOTO_QUESTIONS + [""], [facts.photo_answer(facts.PHOTO_CLASSES[i]) for i in y])

    def word(self, count: int):
        x, _, texts = self.words.batch(count)
        return self.picture(x, facts.READ_QUESTIONS, [facts.read_answer(text) for text in texts])

    def drawing(self, count: int, held: bool = False):
        """Several questions about a drawing."""
        x, asked = (self.held_drawings if held else self.drawings).batch(count, self.rng, 1 if held else 3)
        h, w = x.shape[2] // 8, x.shape[3] // 8
        rows = [self.around([Turn(*turn) for turn in turns], held, image=(h // 2, w // 2), media_first=held or len(turns) > 1 or self.rng.random() < 0.7)
                for turns in asked]
        return rows, [("image", patchify(x), h, w)]

    def sight(self, count: int, held: bool = False):
        """A picture, and what is asked about it aloud."""
        if self.rng.random() < 0.5:
            x, y = next(self.held_photos) if held else self.photos.batch(count)
            answers, questions = [facts.photo_answer(facts.PHOTO_CLASSES[i]) for i in y], facts.PHOTO_QUESTIONS
        else:
            x, _, texts = (self.held_words if held else self.words).batch(count)
            answers, questions = [facts.read_answer(text) for text in texts], facts.READ_QUESTIONS
        clips = [c for c in (self.store.held_asked if held else self.store.asked) if c.text in questions]
        drawn = self.rng.choices(clips, k=count)
        mel, frames = features.plain([c.whole() for c in drawn]) if held else self.changer([self.talk.piece(c, self.rng) for c in drawn], self.masks)
        h, w = x.shape[2] // 8, x.shape[3] // 8
        rows = [self.around([Turn("", answer)], held, image=(h // 2, w // 2), audio=n, sound_first=not held and self.rng.random() < 0.4) for answer, n in zip(answers, audio_tokens(frames).tolist())]
        return rows, [("image", patchify(x), h, w), sound(mel, frames, [c.phones for c in drawn])]


class Draws(torch.utils.data.IterableDataset):
    """Batches without end, each of one task: (task, Batch or None, media). Processes that draw side by side draw different ones."""

    def __init__(self, tasks: Tasks, wanted: list[str], weights: list[float], larger: float, seed: int):
        self.tasks, self.wanted, self.weights, self.larger, self.seed = tasks, wanted, weights, larger, seed

    def __iter__(self):
        worker = torch.utils.data.get_worker_info()
        if worker:
            self.tasks.rng.seed(f"{self.seed} {worker.id}")
            torch.manual_seed(hash((self.seed, worker.id)))
        while True:
            task = self.tasks.rng.choices(self.wanted, self.weights)[0]
            rows, media = self.tasks.draw(task, round(SIZES[task] * self.larger))
            yield task, None if rows is None else self.tasks.prompts.batch(rows), media


def embed(model: Thinker, batch: Batch, media: list[tuple]):
    """Token embeddings [B, T, hidden] with the media rows in place, the DeepStack rows, and for sounds the encoder's rows [B, T', hidden]."""
    x = model.model.embed_tokens(batch.ids)
    if torch.is_autocast_enabled(x.device.type):
        x = x.bfloat16()
    x, deepstack, hidden = x.flatten(0, 1), (), None
    move = lambda tensor: tensor.to(x.device, non_blocking=True)  # noqa: E731
    for kind, *given in media:
        if kind == "audio":
            mel, frames, heard, *_ = given
            hidden, _ = model.audio_tower(move(mel), move(frames))
            x = x.index_copy(0, batch.sounds, hidden.flatten(0, 1).index_select(0, move(heard)).to(x.dtype))
        else:
            seen, layers = model.visual(move(given[0]), *given[1:])
            x = x.index_copy(0, batch.pictures, seen.flatten(0, 1).to(x.dtype))
            deepstack = [d.flatten(0, 1) for d in layers]
    return x.view(*batch.ids.shape, -1), deepstack, hidden


def logits_of(model: Thinker, batch: Batch, media):
    """At the N places where an answer is wanted: logits [N, V], the right tokens [N], their weights [N], which row [N]; and the
    features of sounds."""
    batch = batch.to(model.lm_head.weight.device)
    x, deepstack, hidden = embed(model, batch, media)
    x = model.model(x, batch.positions, batch.pictures, deepstack, mask=batch.mask())
    logits = model.lm_head(x.flatten(0, 1).index_select(0, batch.wanted))
    return logits.float(), batch.answers, batch.weights, batch.of, hidden


def phones_loss(head: nn.Linear, hidden: torch.Tensor, frames: torch.Tensor, phones: list | None, alone: bool = False) -> torch.Tensor | None:
    """CTC of the clips whose phones are known; `alone` the head learns, and not the encoder. frames [B] in main memory."""
    known = [i for i, said in enumerate(phones or []) if said]
    if not known:
        return None
    features = hidden if len(known) == len(hidden) else hidden.index_select(0, moved(known, hidden.device))
    logits = head(features.detach() if alone else features).float().view(len(known), features.shape[1] * STEPS, -1).log_softmax(-1).transpose(0, 1)
    return ctc(logits, audio_tokens(frames[known]) * STEPS, [phones[i] for i in known])


def teacher_of(file: Path, device: str) -> AudioEncoder:
    """The audio encoder of the averaged weights in a thinker.pt, which learns no more."""
    state, part = torch.load(file, map_location=device, weights_only=False)["ema"], "audio_tower."
    teacher = AudioEncoder().to(device).requires_grad_(False)
    teacher.load_state_dict({name.removeprefix(part): value for name, value in state.items() if name.startswith(part)})
    return teacher


def quiet_loss(teacher: AudioEncoder, hidden: torch.Tensor, heard: torch.Tensor, quiet: torch.Tensor, frames: torch.Tensor) -> torch.Tensor:
    """Squared distance of what is heard in noise, hidden [B, T', out], from what the teacher hears in the same clips without, quiet [B, 128, T],
    at the rows `heard` of a clip, as a share of the variance of the latter (cf. Li et al. 2017, "Large-Scale Domain Adaptation via Teacher-Student Learning")."""
    with torch.no_grad():
        wanted = teacher(quiet, frames)[0].flatten(0, 1).index_select(0, heard).float()
    return F.mse_loss(hidden.flatten(0, 1).index_select(0, heard).float(), wanted) / wanted.var().clamp(min=1e-6)


@torch.no_grad()
def accuracy(model: Thinker, tasks: Tasks, rows: list[Row], media) -> float:
    """Share of answers that are right to the letter, teacher-forced on themselves (the same as greedy decoding)."""
    with torch.autocast(model.lm_head.weight.device.type, torch.bfloat16):
        logits, labels, _, of, _ = logits_of(model, tasks.prompts.batch(rows), media)
    wrong = of[logits.argmax(-1) != labels].unique()
    return 1 - len(wrong) / len(rows)


def held_sounds(tasks: Tasks, rng: random.Random, count: int, wanted: set[str]):
    """(name, clips, what is asked about them), one question a clip."""
    store, of = tasks.store, tasks.talk
    if "digit" in wanted:
        clips = rng.sample(store.held_digits, min(count, len(store.held_digits)))
        yield "digit", [c.whole() for c in clips], [talk.Asked(i, rng.choice(facts.DIGIT_QUESTIONS), facts.digit_answer(c.label)) for i, c in enumerate(clips)]
    if "spoken" in wanted:
        clips = rng.sample(store.held_questions, min(count, len(store.held_questions)))
        yield "spoken", [c.whole() for c in clips], [talk.Asked(i, "", c.label) for i, c in enumerate(clips)]
    if "order" in wanted:
        yield "order", *of.held_order(made=False)
        yield "confirmed", *of.held_confirmed()
        yield "order_made", *(part[: count // 2] for part in of.held_order(made=True))
    if "transcript" in wanted:
        yield "transcript", *of.held_transcript(count // 2)
    if "turn" in wanted:
        yield "turn", *of.held_turn(rng, count // 3)


@torch.no_grad()
def validate(model: Thinker, tasks: Tasks, args, count: int = 300) -> dict[str, float]:
    """Accuracy on wordings, speakers, voices, files and fonts that training never sees."""
    rng, out = random.Random(11), {}
    mean = lambda values: sum(values) / max(1, len(values))  # noqa: E731
    state, tasks.rng = tasks.rng, rng
    wanted = set(args.tasks.split(","))
    for name in ("text", "outside", "sum", "spelling", "typed_order"):
        if name in wanted:
            out[name] = mean([accuracy(model, tasks, *getattr(tasks, name)(50, True)) for _ in range(count // 50)])
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
    if "drawing" in wanted:
        tasks.held_drawings = drawings.Drawings(args.out, held_out=True, count=1000)
        out["drawing"] = mean([accuracy(model, tasks, *tasks.drawing(50, True)) for _ in range(count // 50)])
    if "sight" in wanted:
        random.seed(5)
        tasks.held_photos = itertools.cycle(tasks.photos.validation(50))
        tasks.held_words = pictures.Words(args.out, held_out=True, count=1200)
        out["sight"] = mean([accuracy(model, tasks, *tasks.sight(50, True)) for _ in range(count // 50)])
    for name, clips, asked in held_sounds(tasks, rng, count, wanted):
        order, right = sorted(range(len(asked)), key=lambda i: len(clips[asked[i].clip])), 0.0
        for i in range(0, len(asked), 20):
            part = [asked[k] for k in order[i : i + 20]]
            put = [talk.Asked(k, a.question, a.answer) for k, a in enumerate(part)]
            right += accuracy(model, tasks, *tasks.heard([clips[a.clip] for a in part], put, held=True)) * len(part)
        out[name] = right / max(1, len(asked))
    tasks.rng = state
    return {k: round(v, 3) for k, v in out.items()}


def compile_layers(model: Thinker, tasks: Tasks, wanted: list[str], device: str) -> None:
    """Each kind of layer, tried on a task that needs it."""
    answered = [name for name in wanted if name not in UNASKED]
    for block, needed in ((Layer, set(answered)), (AudioLayer, HEARD), (VisionBlock, {"photo", "word", "drawing", "sight"})):
        task = next((name for name in answered if name in needed), None)

        def trial() -> None:
            rows, media = tasks.draw(task, 8)
            with torch.autocast(device, torch.bfloat16):
                logits, answers, *_ = logits_of(model, tasks.prompts.batch(rows), media)
                loss = F.cross_entropy(logits, answers)
            loss.backward()

        if task:
            compile_forward(block, trial, device)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--tokenizer", type=Path)
    parser.add_argument("--minutes", type=float, default=90, help="length of the learning-rate schedule, earlier runs included, in minutes of one core")
    parser.add_argument("--until", type=float, help="stop after so many minutes of it")
    parser.add_argument("--tasks", default=",".join(SHARES))
    parser.add_argument("--shares", default="", help="how often each task is drawn, where it is not as usual: text=1.6,digit=1.5")
    parser.add_argument("--weights", default="", help="what the loss of a task counts, where it is not 1: order=4,digit=4; gradients of small losses drown in those of large ones")
    parser.add_argument("--masks", type=float, default=0.5, help="share of the sounds with parts of the spectrum left out")
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--floor", type=float, default=0.02, help="share of the learning rate left at the end")
    parser.add_argument("--draws", type=int, default=4, help="batches, each of one task, that a step is made of")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--workers", type=int, default=0, help="processes that draw batches, for a GPU")
    parser.add_argument("--larger", type=float, default=1, help="how many times as large as usual batches are, for a GPU")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--vision", type=Path, help="pretrained vision encoder, taken when pictures join in")
    parser.add_argument("--audio", type=Path, help="pretrained audio encoder, taken when sounds join in")
    parser.add_argument("--beside", type=Path, help="the --out of a training that runs at the same time: both take the mean of their weights")
    parser.add_argument("--check", type=float, default=4, help="minutes between validations; 0 for none")
    parser.add_argument("--phones", type=float, default=0.3, help="weight of the loss of a head that tells the phones (CTC)")
    parser.add_argument("--anew", action="store_true", help="begin the schedule with the weights that are there")
    parser.add_argument("--compile", action="store_true", help="compile the layers: minutes at first, then steps are much shorter, on a CPU too")
    parser.add_argument("--teacher", type=Path, help="the thinker.pt whose audio encoder, without noise, the task quiet has as its teacher; not the one in --out, which changes")
    parser.add_argument("--freeze", default="", help="parts whose weights stay: visual, audio_tower, model, lm_head")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    args.device = "cuda" if torch.cuda.is_available() else "cpu"
    args.out.mkdir(parents=True, exist_ok=True)
    prompts = Prompts(args.tokenizer or args.out / "tokenizer")
    tasks, model = Tasks(args, prompts), Thinker()
    phones = nn.Linear(AUDIO["output_dim"], STEPS * (len(PHONES) + 1))
    model.to(args.device), phones.to(args.device)
    file = args.out / "thinker.pt"
    step, before, told = 0, 0.0, 0
    state = torch.load(file, map_location=args.device, weights_only=False) if file.exists() else None
    if state:
        model.load_state_dict(state["model"])
        if "phones" in state:
            phones.load_state_dict(state["phones"])
            told = state["told"]
        if not args.anew:
            step, before = state["step"], state["spent"]
        tasks.rng.seed(args.seed + step)
        torch.manual_seed(args.seed + step)
    taken = list(state.get("taken", [])) if state else []
    for name, encoder in (("vision", model.visual), ("audio", model.audio_tower)):
        pretrained = getattr(args, name)
        if pretrained and (args.anew or name not in taken):
            encoder.load_state_dict(torch.load(pretrained, map_location=args.device, weights_only=False)["encoder"])
            taken = sorted({*taken, name})
    for name in filter(None, args.freeze.split(",")):
        model.get_submodule(name).requires_grad_(False)
    # What was pretrained moves less.
    pretrained = tuple({"vision": "visual.", "audio": "audio_tower."}[name] for name in taken)
    slow = {n for n, _ in model.named_parameters() if n.startswith(pretrained) and "merger" not in n and ".proj" not in n}
    learnt = [(n, p, 0.4 if n in slow else 1.0) for n, p in model.named_parameters()] + [(f"phones.head.{n}", p, 1.0) for n, p in phones.named_parameters()]
    optimizer, names = Optimizer(learnt), [(n, scale) for n, p, scale in learnt if p.requires_grad]
    if state and state.get("names") == names:
        optimizer.load_state_dict(state["optimizer"])
    average = Average(model, 0.995)
    if state and not args.anew and state.get("taken") == taken:
        average.model.load_state_dict(state["ema"])
        average.steps = step
    given = lambda text: {name: float(value) for name, value in (part.split("=") for part in text.split(",") if part)}  # noqa: E731
    shares, weighs = SHARES | given(args.shares), given(args.weights)
    if unknown := (shares | weighs).keys() - SHARES.keys():
        raise SystemExit(f"no such task: {', '.join(sorted(unknown))}; there are {', '.join(SHARES)}")
    wanted = args.tasks.split(",")
    teacher = teacher_of(args.teacher, args.device) if args.teacher else None
    if teacher is None and "quiet" in wanted:
        wanted.remove("quiet")
        print("the task quiet is left out: it needs a --teacher", flush=True)
    if args.compile:
        compile_layers(model, tasks, wanted, args.device)
        optimizer.clear()
    draws = Draws(tasks, wanted, [shares[t] for t in wanted], args.larger, args.seed + step)
    if args.workers:
        torch.multiprocessing.set_sharing_strategy("file_system")
        draws = torch.utils.data.DataLoader(draws, batch_size=None, num_workers=args.workers, prefetch_factor=3, multiprocessing_context="fork", pin_memory=args.device == "cuda",
                                            collate_fn=lambda drawn: drawn, worker_init_fn=lambda _: torch.set_num_threads(1))
    draws = iter(draws)
    clock = time.time if args.device == "cuda" else time.process_time  # minutes of one core, where it may have to share it
    begun = clock()
    saved = checked = begun
    running: dict[str, torch.Tensor] = {}

    def save() -> None:
        made = {"model": model.state_dict(), "ema": average.model.state_dict(), "phones": phones.state_dict(), "optimizer": optimizer.state_dict(), "told": told, "names": names, "step": step,
                "spent": before + clock() - begun, "taken": taken}
        torch.save(made, file.with_suffix(".new"))
        file.with_suffix(".new").replace(file)

    met = time.time()
    while (spent := before + clock() - begun) < min(args.minutes, args.until or args.minutes) * 60:
        lr = args.lr * min(1, (step + 1) / 100) * (args.floor + (1 - args.floor) * (0.5 + 0.5 * math.cos(math.pi * spent / args.minutes / 60)))
        for task, batch, media in itertools.islice(draws, args.draws):
            alone = told < 80  # a head that knows nothing yet has nothing to teach
            told += task in HEARD
            with torch.autocast(args.device, torch.bfloat16):
                if batch is None:
                    _, mel, frames, heard, said, *quiet = media[0]
                    move = lambda tensor: tensor.to(args.device, non_blocking=True)  # noqa: E731
                    hidden, _ = model.audio_tower(move(mel), move(frames))
                    loss = phones_loss(phones, hidden, frames, said, alone)
                    total = args.phones * loss
                    if quiet:
                        loss = quiet_loss(teacher, hidden, move(heard), move(quiet[0]), move(frames))
                        total = total + loss
                else:
                    logits, answers, weights, _, hidden = logits_of(model, batch, media)
                    loss = (F.cross_entropy(logits, answers, reduction="none") * weights).sum() / weights.sum()
                    said = phones_loss(phones, hidden, media[-1][2], media[-1][4], alone) if hidden is not None and args.phones else None
                    total = loss if said is None else loss + args.phones * said
            (total * (weighs.get(task, 1.0) / args.draws)).backward()
            loss = loss.detach()  # without waiting for a GPU
            running[task] = 0.95 * running.get(task, loss) + 0.05 * loss
        optimizer.step(lr)
        average.update(model)
        step += 1
        if args.device == "cuda" and step % 4 == 0:
            torch.cuda.current_stream().synchronize()  # the clock is the GPU's, not that of a queue
        if args.beside and time.time() - met > 60:
            meet(model, args.out, args.beside, met)
            met = time.time()
        if step % (20 if args.device == "cpu" else 100) == 0:
            print(f"step {step} {spent:.0f} s", {k: round(v.item(), 3) for k, v in sorted(running.items())}, flush=True)
        if clock() - saved > 120:
            save()
            saved = clock()
        if args.check and clock() - checked > args.check * 60:
            print(f"step {step} {spent:.0f} s validation", json.dumps(validate(average.model, tasks, args, 100)), flush=True)
            checked = clock()
    save()
    if args.check:
        print("end", step, "validation", json.dumps(validate(average.model, tasks, args, 600)), flush=True)


if __name__ == "__main__":
    main()
