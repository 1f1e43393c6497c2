"""Trains talker and code predictor on (text, codes) pairs in the layout the reference generates with."""

from __future__ import annotations

import json
import math
import os
import random
import time

import numpy as np
import torch
import torch.nn.functional as F
from tokenizers import Tokenizer

import config
from optimizer import Average, Optimizer
from talker import Talker

MEDIA = -1  # a row of the hidden projection: constant, whatever was seen or heard
NONE = -2
PREFIX_ROWS = 9


class Text:
    """The understanding half's tokenizer and frozen token embeddings."""

    def __init__(self, tokenizer_path: str, embeddings_path: str, ids: dict):
        self.tokenizer = Tokenizer.from_file(tokenizer_path)
        table = torch.load(embeddings_path, map_location="cpu")
        if isinstance(table, dict):
            table = next(iter(table.values()))
        self.table = table.float()
        self.im_start = self.tokenizer.token_to_id("<|im_start|>")
        self.im_end = self.tokenizer.token_to_id("<|im_end|>")
        self.tts_pad, self.tts_bos, self.tts_eos = ids["tts_pad_token_id"], ids["tts_bos_token_id"], ids["tts_eos_token_id"]
        self.newline = self.encode("\n")
        self.user, self.assistant = self.encode("user"), self.encode("assistant")
        assert len(self.newline) == len(self.user) == len(self.assistant) == 1

    def encode(self, text: str) -> list[int]:
        return self.tokenizer.encode(text, add_special_tokens=False).ids

    def user_turn(self, ids: list[int]) -> list[int]:
        """<|im_start|>user\\n...<|im_end|>\\n"""
        return [self.im_start] + self.user + self.newline + ids + [self.im_end] + self.newline

    def prompt_rows(self, user: list[int], first: int) -> list[int]:
        """Text id of every row up to and with the one that predicts the first frame."""
        head = [self.im_start] + self.assistant + self.newline
        return user + head + [self.tts_pad] * 4 + [self.tts_bos, first]

    def later_rows(self, tokens: list[int], frames: int) -> list[int]:
        """Text id that accompanies each spoken frame: the rest of the text, its end once, then padding."""
        rest = tokens[1:] + [self.tts_eos]
        return (rest + [self.tts_pad] * frames)[:frames]


def random_user_part(text: Text, questions: list[list[int]], r: random.Random) -> list[int]:
    """Rows of the user turns; mostly short ones, which cost little."""
    rows: list[int] = []
    if r.random() < 0.6:
        return text.user_turn(r.choice(questions)[: r.randint(1, 3)] if r.random() < 0.8 else [MEDIA] * r.randint(1, 3))
    for _ in range(1 if r.random() < 0.9 else 2):
        ids = list(r.choice(questions)) if questions and r.random() < 0.8 else []
        ids = ids[: r.randint(1, 14)] if r.random() < 0.5 else ids[:24]
        if r.random() < 0.15 or not ids:
            ids = [MEDIA] * r.randint(3, 30) + ids
        rows += text.user_turn(ids)
    return rows


def batch_tensors(items, text: Text, questions, r: random.Random):
    """Right-padded rows: text ids [B, L], codes [B, L, G] (-1 where none), targets [B, L] (-100 where none), prefix length,
    and a guide [B, L, L]: which rows hold the word that the frame predicted at a row belongs to."""
    groups = config.CODE_GROUPS
    built = []
    for tokens, codes, words in items:
        prompt = text.prompt_rows(random_user_part(text, questions, r), tokens[0])
        built.append((len(prompt), prompt + text.later_rows(tokens, len(codes)), codes))
    length = max(len(rows) for _, rows, _ in built)
    guide = torch.zeros(len(built), length, length, dtype=torch.bool)
    for i, ((prefix, _, _), (_, _, words)) in enumerate(zip(built, items)):
        begun = 0
        for first, last, end in words:
            for frame in range(begun, end):
                guide[i, prefix - 1 + frame, prefix - 1 + first : prefix - 1 + min(last, frame + 1)] = True
            begun = end
    ids = torch.full((len(built), length), NONE)
    codes_in = torch.full((len(built), length, groups), -1)
    target = torch.full((len(built), length), -100)
    for i, (prefix, rows, codes) in enumerate(built):
        ids[i, : len(rows)] = torch.tensor(rows)
        codes_in[i, prefix : len(rows)] = codes
        target[i, prefix - 1 : len(rows) - 1] = codes[:, 0]
        target[i, len(rows) - 1] = config.CODEBOOK_SIZE  # stands for codec_eos
    return ids, codes_in, target, [b[0] for b in built], guide


def input_rows(model: Talker, text: Text, ids, codes_in, prefixes, corrupt: float = 0.0):
    """Sum of text and codec rows [B, L, D]. `corrupt` of the spoken frames are swapped for others."""
    unique, inverse = torch.unique(ids, return_inverse=True)
    table = model.text_projection(text.table.to(ids.device)[unique.clamp_min(0)])
    media = model.hidden_projection.linear_fc2.bias
    table = torch.where((unique == MEDIA)[:, None], media, table)
    x = table[inverse]
    spoken = codes_in[..., 0] >= 0
    codes = codes_in[spoken]
    if corrupt:
        swap = torch.rand(len(codes), device=ids.device) < corrupt
        codes = torch.where(swap[:, None], codes[torch.randperm(len(codes), device=ids.device)], codes)
        # later groups are guessed wrong more often: far more of them, each group on its own
        swap = torch.rand(codes.shape, device=ids.device) < 3 * corrupt
        swap[:, [0, config.EXCITATION_GROUP]] = False  # the phase of the voice goes on from frame to frame
        others = torch.stack([c[torch.randperm(len(c), device=ids.device)] for c in codes.T], 1)
        codes = torch.where(swap, others, codes)
    x = x.index_put(tuple(spoken.nonzero().T), model.code_rows(codes), accumulate=True)
    special = model.special_rows(config.TALKER["speaker_id"]["calliope"], ids.device)
    at = torch.tensor(prefixes, device=ids.device)[:, None] - PREFIX_ROWS + torch.arange(PREFIX_ROWS, device=ids.device)
    rows = torch.arange(len(ids), device=ids.device)[:, None].expand_as(at)
    return x.index_put((rows, at), special.expand(len(ids), -1, -1), accumulate=True)


def head_weight(model: Talker):
    """Rows of the codec head that can ever be chosen: the codebook, then codec_eos."""
    w = model.codec_head.weight
    return torch.cat([w[: config.CODEBOOK_SIZE], w[config.TALKER["codec_eos_token_id"]][None]])


def batch_loss(model: Talker, text: Text, batch, predictor_frames: int, corrupt: float):
    ids, codes_in, target, prefixes, guide = batch
    guided = [model.model.layers[i].self_attn for i in config.GUIDED_LAYERS]
    for attention in guided:
        attention.guide = guide
    hidden = model.model(input_rows(model, text, ids, codes_in, prefixes, corrupt))
    strayed = sum(attention.strayed for attention in guided) / len(guided)
    for attention in guided:
        attention.guide = None
    wanted = target >= 0
    picked, labels = hidden[wanted], target[wanted]
    logits = picked @ head_weight(model).T
    first = F.cross_entropy(logits, labels)
    # the row that predicts a frame is the one before the row that carries it
    next_codes = codes_in.roll(-1, 1)[wanted]
    frames = (labels < config.CODEBOOK_SIZE).nonzero()[:, 0]
    if predictor_frames and len(frames) > predictor_frames:
        frames = frames[torch.randperm(len(frames), device=frames.device)[:predictor_frames]]
    chosen = next_codes[frames]
    later = model.code_predictor.loss(picked[frames], model.model.codec_embedding(chosen[:, 0]), chosen)
    balance = sum(layer.mlp.balance for layer in model.model.layers) if model.training else torch.zeros(())
    accuracy = (logits.argmax(1) == labels).float().mean()
    return first, later, balance, accuracy, strayed


def make_examples(items: list[dict], codes: torch.Tensor, text: Text):
    """(token ids, codes [frames, groups], words as (first token, end, end in frames)) of each utterance."""
    out = []
    for i in items:
        encoded = text.tokenizer.encode(i["text"], add_special_tokens=False)
        # A token's offsets may begin with the space before it.
        starts = [sum(end <= a for _, end in encoded.offsets) for a, _, _ in i["words"]]
        ends = starts[1:] + [len(encoded.ids)]
        words = [(a, b, end) for a, b, (_, _, end) in zip(starts, ends, i["words"])]
        out.append((encoded.ids, codes[i["start"] : i["start"] + i["frames"]].long(), words))
    return out


def start_from(model: Talker, state: dict[str, torch.Tensor]) -> None:
    """Takes over what another talker, of other codes and maybe fewer layers, knows of text; layers it lacks pass on what they get."""
    mine = model.state_dict()
    known = {n: p for n, p in state.items() if n in mine and mine[n].shape == p.shape and "codec" not in n and "lm_head" not in n}
    layers = 1 + max(int(n.split(".")[2]) for n in known if n.startswith("model.layers."))
    with torch.no_grad():
        for n, p in model.named_parameters():
            if n.startswith("model.layers.") and int(n.split(".")[2]) >= layers and n.endswith(("o_proj.weight", "down_proj", "down_proj.weight")):
                p.zero_()
    model.load_state_dict(known, strict=False)


def train_talker(examples, weights, held_out, questions, text: Text, folder: str, minutes: float, total_minutes: float,
                 device="cpu", rows_per_batch=1000, peak_rate=2e-3, start: str | None = None, beside: str | None = None, seed: int = 0):
    """Trains for `minutes`; the learning rate falls over `total_minutes` of training in all. Resumes from talker.pt, or starts
    from another talker's file `start`. Once a minute it meets in the middle with the training in the folder `beside` (local SGD, 1805.09767)."""
    path = os.path.join(folder, "talker.pt")
    model = Talker(config.TALKER).to(device)
    if start and not os.path.exists(path):
        start_from(model, torch.load(start, map_location=device)["ema"])
    optimizer = Optimizer([(n, p, 1.0) for n, p in model.named_parameters()], betas=(0.9, 0.95))
    ema, step, spent = Average(model), 0, 0.0
    if os.path.exists(path):
        state = torch.load(path, map_location=device)
        model.load_state_dict(state["model"])
        ema.model.load_state_dict(state["ema"])
        if "optimizer" in state:
            optimizer.load_state_dict(state["optimizer"])
        ema.steps = step = state["step"]
        spent = state["minutes"]
    r = random.Random(step + 1000003 * seed)
    torch.manual_seed(step + 1000003 * seed)
    clock = time.time if device == "cuda" else time.process_time
    began, shown = clock(), time.time()
    running: list = []

    def minutes_in_all():
        return spent + (clock() - began) / 60

    def save():
        state = {"model": model.state_dict(), "ema": ema.model.state_dict(), "optimizer": optimizer.state_dict(),
                 "step": step, "minutes": minutes_in_all()}
        torch.save(state, path + ".new")
        os.replace(path + ".new", path)

    def meet():
        torch.save(model.state_dict(), os.path.join(folder, "weights.new"))
        os.replace(os.path.join(folder, "weights.new"), os.path.join(folder, "weights.pt"))
        theirs = os.path.join(beside, "weights.pt")
        if os.path.exists(theirs) and os.path.getmtime(theirs) > arrived:
            with torch.no_grad():
                for mine, other in zip(model.state_dict().values(), torch.load(theirs, map_location=device).values(), strict=True):
                    mine.lerp_(other, 0.5)

    def check():
        ema.model.eval()
        with torch.no_grad():
            sums = []
            for k in range(0, min(len(held_out), 96), 16):
                batch = batch_tensors(held_out[k : k + 16], text, questions, random.Random(k))
                first, later, _, accuracy, _ = batch_loss(ema.model, text, [b.to(device) if torch.is_tensor(b) else b for b in batch], 0, 0.0)
                sums.append([first.item(), accuracy.item()] + [x.item() for x in later])
        print("  held out: first %.3f accuracy %.3f later %s" % (*np.mean(sums, 0)[:2], np.mean(sums, 0)[2:].round(2)), flush=True)

    # batches of like length: a window is drawn by weight, sorted, then cut
    def batches():
        while True:
            window = sorted(r.choices(range(len(examples)), weights, k=256), key=lambda i: len(examples[i][1]))
            cut, part, longest = [], [], 0
            for i in window:
                longest = max(longest, len(examples[i][1]) + 22)
                if part and longest * (len(part) + 1) > rows_per_batch:
                    cut.append(part)
                    part, longest = [], len(examples[i][1]) + 22
                part.append(i)
            cut.append(part)
            r.shuffle(cut)
            yield from cut

    arrived = met = time.time()
    next_check = time.time() + 240
    for part in batches():
        done = minutes_in_all() / total_minutes
        if minutes_in_all() - spent > minutes or done >= 1:
            break
        rate = peak_rate * min(1, (step + 1) / 150) * (0.04 + 0.96 * 0.5 * (1 + math.cos(math.pi * done)))
        model.train()
        batch = batch_tensors([examples[i] for i in part], text, questions, r)
        batch = [b.to(device) if torch.is_tensor(b) else b for b in batch]
        with torch.autocast(device, torch.bfloat16):
            first, later, balance, accuracy, strayed = batch_loss(model, text, batch, 360, r.random() * 0.25)
        loss = first + 2 * sum(later) / len(later) + 0.01 * balance + 0.3 * strayed
        loss.backward()
        optimizer.step(rate)
        ema.update(model)
        step += 1
        if beside and time.time() - met > 60:
            meet()
            met = time.time()
        running.append([first.item(), accuracy.item(), sum(x.item() for x in later) / len(later), strayed.item(), len(part)])
        if time.time() - shown > 30:
            m = np.mean(running, 0)
            print(f"talker step {step} first {m[0]:.3f} accuracy {m[1]:.3f} later {m[2]:.3f} strayed {m[3]:.3f} batch {m[4]:.1f} "
                  f"{len(running) / (time.time() - shown):.2f} steps/s {minutes_in_all():.1f} min", flush=True)
            shown, running = time.time(), []
            save()
            if time.time() > next_check:
                check()
                next_check = time.time() + 240
    save()
    check()
    return ema.model


@torch.no_grad()
def generate(model: Talker, text: Text, user: list[int], sentences: list[list[int]], max_frames: int = 150, pick=None):
    """Codes of each sentence, all spoken side by side after the same user turn; greedy unless `pick` says otherwise."""
    model.eval()
    pick = pick or (lambda logits: logits.argmax(-1))
    device = text.table.device
    first_ids = torch.tensor([text.prompt_rows(user, s[0]) for s in sentences], device=device)
    none = torch.full((*first_ids.shape, config.CODE_GROUPS), -1, device=device)
    prefix = first_ids.shape[1]
    x = input_rows(model, text, first_ids, none, [prefix] * len(sentences))
    later = torch.tensor([text.later_rows(s, max_frames) for s in sentences], device=device)
    cache = [[] for _ in model.model.layers]
    head = head_weight(model)
    done = torch.zeros(len(sentences), dtype=torch.bool, device=device)
    frames, lengths, start = [], torch.full((len(sentences),), max_frames), 0
    for t in range(max_frames):
        hidden = model.model(x, cache, start)[:, -1]
        start += x.shape[1]
        code = pick(hidden @ head.T)
        ended = (code == config.CODEBOOK_SIZE) & ~done
        lengths[ended.cpu()] = t
        done |= ended
        if done.all():
            break
        code = code.clamp_max(config.CODEBOOK_SIZE - 1)
        embedding = model.model.codec_embedding(code)
        rest, total = model.code_predictor.generate(hidden, embedding, pick)
        frames.append(torch.cat([code[:, None], rest], 1))
        text_row = model.text_projection(text.table[later[:, t]])
        x = (embedding + total + text_row)[:, None]
    codes = torch.stack(frames, 1) if frames else torch.zeros(len(sentences), 0, config.CODE_GROUPS, dtype=torch.long)
    return [c[: int(n)] for c, n in zip(codes, lengths)]


def load_ready(path: str) -> dict:
    return json.load(open(path))
