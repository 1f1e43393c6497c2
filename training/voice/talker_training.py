"""Trains talker and code predictor on (text, codes) pairs (talker_batches.py)."""

from __future__ import annotations

import contextlib
import json
import math
import os
import random
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

import config
from compiled import compile_forward
from optimizer import Average, Optimizer, meet
from talker import Layer, Talker
from talker_batches import PREFIX_ROWS, Batch, Batches, Examples, Text, build


def text_rows(model: Talker, text: Text, ids):
    """Rows [B, L, D] of text ids [B, L]; id `text.media` is a row of media."""
    known = model.text_projection(text.table.to(ids.device))
    return F.embedding(ids, torch.cat([known.float(), model.hidden_projection.linear_fc2.bias[None].float()]))


def swapped(codes, share: float):
    """codes [F, groups], some of them taken from other frames: `share` of whole frames; each later group on its own far more often,
    as it is guessed wrong more often, but not the voice, whose phase goes on from frame to frame."""
    swap = torch.rand(len(codes), device=codes.device) < share
    codes = torch.where(swap[:, None], codes[torch.randperm(len(codes), device=codes.device)], codes)
    swap = torch.rand(codes.shape, device=codes.device) < 3 * share
    swap[:, [0, config.EXCITATION_GROUP]] = False
    others = torch.stack([c[torch.randperm(len(c), device=codes.device)] for c in codes.T], 1)
    return torch.where(swap, others, codes)


def input_rows(model: Talker, text: Text, ids, special, at=None, codes=None):
    """Sum of text and codec rows [B, L, D] of text ids [B, L], of codes [F, groups] at rows `at` [F], and of the nine assistant
    positions at rows `special` [9 B], counted through the batch; all int64 on one device."""
    x = text_rows(model, text, ids)
    spoken = torch.zeros_like(x).flatten(0, 1).index_copy(0, special, model.special_rows().float().repeat(len(ids), 1))
    if codes is not None:
        spoken = spoken.index_copy(0, at, model.code_rows(codes).float())
    return x + spoken.view_as(x)


def head_weight(model: Talker):
    """Rows of the codec head that can ever be chosen: the codebook, then codec_eos."""
    w = model.codec_head.weight
    return torch.cat([w[: config.CODEBOOK_SIZE], w[config.TALKER["codec_eos_token_id"]][None]])


class PhaseLoss(torch.nn.Module):
    """Asks for the phase at which each frame's voice begins, which follows from the code of the frame before (vocoder.locked), but which
    a talker left to itself does not find among all else that a code says: linear probes ask for it after every layer, of the talker at
    the row that predicts the frame and of the code predictor at the one that predicts the code."""

    def __init__(self):
        super().__init__()
        probes = lambda c: torch.nn.ModuleList([torch.nn.Linear(config.HIDDEN, config.PHASES) for _ in range(c["num_hidden_layers"])])  # noqa: E731
        self.talker, self.predictor = probes(config.TALKER["text_config"]), probes(config.TALKER["code_predictor_config"])
        self.codes = len(config.SLOPES) * config.ADVANCES  # of a phase

    def phase(self, codes):
        """codes [F, groups] -> [F], -100 where there is no voice."""
        excitation = codes[:, config.EXCITATION_GROUP]
        return torch.where(excitation > 0, (excitation - 1) // self.codes, -100)

    def asked(self, probes, seen, phase):
        level = lambda x: F.rms_norm(x.float(), x.shape[-1:])  # noqa: E731
        return sum(F.cross_entropy(probe(level(x)), phase) for probe, x in zip(probes, seen)) / len(probes)

    def forward(self, talker, predictor, codes, chosen, logits):
        """Rows [F, D] after each layer of the talker that predict `codes` [F, groups]; [N, D] after each of the code predictor, and logits
        [N, codebook size] of the excitation, of the codes `chosen` [N, groups]."""
        of_all = logits.float()[:, 1 : 1 + config.PHASES * self.codes].unflatten(1, (config.PHASES, self.codes)).logsumexp(2)
        phase = self.phase(chosen)
        return 2 * self.asked(self.talker, talker, self.phase(codes)) + self.asked(self.predictor, predictor, phase) + 2 * F.cross_entropy(of_all, phase)


@contextlib.contextmanager
def outputs(layers):
    """What the layers return while this is open."""
    seen: list[torch.Tensor] = []
    hooks = [layer.register_forward_hook(lambda _, __, out: seen.append(out)) for layer in layers]
    try:
        yield seen
    finally:
        for hook in hooks:
            hook.remove()


def batch_loss(model: Talker, text: Text, batch: Batch, corrupt: float, phase: PhaseLoss):
    """Loss of the first code group, losses of the later ones, how unevenly experts are used, accuracy of the first group, how far the
    guided heads look away from the word being spoken, and the loss of `phase`; `corrupt` of the spoken frames are swapped for others.
    Nothing here waits for a GPU."""
    guided = [model.model.layers[i].self_attn for i in config.GUIDED_LAYERS]
    guide, target = batch.guide(), batch.target
    for attention in guided:
        attention.guide = guide
    codes = swapped(batch.codes, corrupt) if corrupt else batch.codes
    with outputs(model.model.layers) as talker_rows:
        hidden = model.model(input_rows(model, text, batch.ids, batch.special, batch.at, codes)).flatten(0, 1)
    strayed = sum(attention.strayed for attention in guided) / len(guided)
    for attention in guided:
        attention.guide = None
    logits = hidden[batch.asked] @ head_weight(model).T
    first = F.cross_entropy(logits, target)
    chosen = batch.codes[batch.chosen]
    # the row that predicts a frame is the one before the row that carries it
    before = batch.at - 1
    with outputs(model.code_predictor.model.layers) as predictor_rows:
        later = model.code_predictor(hidden[before[batch.chosen]], model.model.codec_embedding(chosen[:, 0]), chosen)
    group = config.EXCITATION_GROUP
    rows = [x.flatten(0, 1)[before] for x in talker_rows], [x[:, group] for x in predictor_rows]
    phases = phase(*rows, batch.codes, chosen, later[group - 1])
    later = [F.cross_entropy(logits, chosen[:, i + 1]) for i, logits in enumerate(later)]
    balance = sum(layer.mlp.balance for layer in model.model.layers) if model.training else torch.zeros(())
    accuracy = (logits.argmax(1) == target).float().mean()
    return first, later, balance, accuracy, strayed, phases


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


@dataclass
class Size:
    """Of a step."""

    rows: int  # at most, padded ones too
    utterances: int  # at most
    window: int  # utterances drawn and sorted at a time
    multiple: int  # of the length of a batch
    predictor_frames: int  # that the code predictor learns from
    peak_rate: float
    average: float  # decay of the averaged weights
    workers: int  # processes that build batches
    checked: int  # utterances of a kind


SIZES = {
    "cuda": Size(rows=1 << 30, utterances=256, window=2048, multiple=16, predictor_frames=5000, peak_rate=2.5e-3, average=0.999,
                 workers=min(6, os.cpu_count() or 1), checked=60),
    "cpu": Size(rows=2000, utterances=256, window=1024, multiple=1, predictor_frames=110, peak_rate=2e-3, average=0.997,
                workers=0, checked=20),
}  # fmt: skip
SAVE_EVERY_S, CHECK_EVERY_S = 120, 480
LATER_WEIGHT = 0.9  # of the later code groups, of which fewer words hang than of the first
PHASE_WEIGHT, PHASE_WEIGHT_AT_END = 0.5, 0.1  # of the probes


def train_talker(examples: Examples, weights, held_out: Examples, questions, text: Text, folder: str, minutes: float, total_minutes: float,
                 device="cpu", start: str | None = None, beside: str | None = None, seed: int = 0,
                 peak_rate: float | None = None):
    """Trains for `minutes`; the learning rate falls over `total_minutes` of training in all. Resumes from talker.pt, or starts
    from another talker's file `start`. Once a minute it meets in the middle with the training in the folder `beside` (local SGD, 1805.09767)."""
    path, size = os.path.join(folder, "talker.pt"), SIZES[device]
    model = Talker(config.TALKER).to(device)
    if start and not os.path.exists(path):
        start_from(model, torch.load(start, map_location=device)["ema"])
    phase = PhaseLoss().to(device)
    optimizer = Optimizer([(n, p, 1.0) for n, p in model.named_parameters()] + [("head", p, 5.0) for p in phase.parameters()], betas=(0.9, 0.95))
    ema, step, spent = Average(model, size.average), 0, 0.0

    def load() -> tuple[int, float]:
        """Steps and minutes of what was saved last."""
        state = torch.load(path, map_location=device)
        model.load_state_dict(state["model"])
        ema.model.load_state_dict(state["ema"])
        if "phase" in state:
            phase.load_state_dict(state["phase"])
        if "optimizer" in state:
            optimizer.load_state_dict(state["optimizer"])
        ema.steps = state["step"]
        return state["step"], state["minutes"]

    if os.path.exists(path):
        step, spent = load()
    r = random.Random(step + 1000003 * seed)
    torch.manual_seed(step + 1000003 * seed)
    clock = time.time if device == "cuda" else time.process_time

    def minutes_in_all():
        return spent + (clock() - began) / 60

    def save():
        state = {"model": model.state_dict(), "ema": ema.model.state_dict(), "phase": phase.state_dict(), "optimizer": optimizer.state_dict(),
                 "step": step, "minutes": minutes_in_all()}
        torch.save(state, path + ".new")
        os.replace(path + ".new", path)

    @torch.no_grad()
    def check():
        for kind in sorted(set(held_out.kinds.tolist())):
            sums, some = [], np.flatnonzero(held_out.kinds == kind)[: size.checked]
            for k in range(0, len(some), 20):
                batch = build(held_out, some[k : k + 20], text, questions, random.Random(k)).to(device)
                with torch.autocast(device, torch.bfloat16):
                    first, later, _, accuracy, strayed, phases = batch_loss(ema.model, text, batch, 0.0, phase)
                sums.append([x.item() for x in (first, accuracy, strayed, phases, *later)])
            m = np.mean(sums, 0)
            print(f"  {kind}: first {m[0]:.3f} accuracy {m[1]:.3f} strayed {m[2]:.3f} phase {m[3]:.3f} later {m[4:].round(2)}", flush=True)

    batches = Batches(examples, weights, text, questions, r.randrange(1 << 30), size.rows, size.utterances, size.window, size.multiple, size.predictor_frames)
    loader = torch.utils.data.DataLoader(batches, batch_size=None, num_workers=size.workers, prefetch_factor=4 if size.workers else None,
                                         pin_memory=device == "cuda")

    def trial():
        batch = build(examples, range(min(4, len(examples.kinds))), text, questions, random.Random(0)).to(device)
        with torch.autocast(device, torch.bfloat16):
            first, later, balance, _, strayed, phases = batch_loss(model.train(), text, batch, 0.0, phase)
        (first + sum(later) + balance + strayed + phases).backward()

    compile_forward(Layer, trial, device)
    optimizer.clear()
    began, running, utterances, lowest, lost = clock(), [], 0, math.inf, 0
    recent: deque[torch.Tensor] = deque(maxlen=100)
    shown = saved = checked = met = time.time()
    for batch in loader:
        done = minutes_in_all() / total_minutes
        if minutes_in_all() - spent > minutes or done >= 1:
            break
        rate = (peak_rate or size.peak_rate) * min(1, (step + 1) / 200) * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * done)))
        model.train()
        with torch.autocast(device, torch.bfloat16):
            first, later, balance, accuracy, strayed, phases = batch_loss(model, text, batch.to(device), r.random() * 0.25, phase)
        later = sum(later) / len(later)
        asked = PHASE_WEIGHT + (PHASE_WEIGHT_AT_END - PHASE_WEIGHT) * done
        loss = first + LATER_WEIGHT * later + 0.01 * balance + 0.3 * strayed + asked * phases
        loss.backward()
        optimizer.step(rate)
        ema.update(model)
        step += 1
        if beside and time.time() - met > 60:
            meet(model, Path(folder), Path(beside), met)
            met = time.time()
        running.append(torch.stack([first, accuracy, later, strayed, phases]).detach())
        recent.append(first.detach())
        utterances += len(batch.ids)
        if time.time() - shown > 30:
            m = torch.stack(running).mean(0).tolist()  # the one time that a GPU is waited for
            print(f"talker step {step} first {m[0]:.3f} accuracy {m[1]:.3f} later {m[2]:.3f} strayed {m[3]:.3f} phase {m[4]:.3f} batch {utterances / len(running):.1f} "
                  f"{len(running) / (time.time() - shown):.2f} steps/s {minutes_in_all():.1f} min", flush=True)
            shown, running, utterances = time.time(), [], 0
            level = torch.stack(list(recent)).mean().item() if len(recent) == recent.maxlen else m[0]
            if not all(map(math.isfinite, m)) or level > 1.5 * lowest:  # never save weights that have lost their way
                lost += 1
                if lost > 5 or not os.path.exists(path):
                    raise SystemExit(f"the loss does not come down again; a lower --rate may help, going on from {path}")
                print("lost its way: back to what was saved last", flush=True)
                step, _ = load()
                recent.clear()
                continue
            if len(recent) == recent.maxlen:  # of fewer steps it depends on what they happened to be of
                lowest = min(lowest, level)
            if time.time() - saved > SAVE_EVERY_S:
                save()
                saved = time.time()
            if time.time() - checked > CHECK_EVERY_S:
                check()
                checked = time.time()
    save()
    check()
    return ema.model


@torch.no_grad()
def predicted_codes(model: Talker, text: Text, examples: Examples, questions, codes: torch.Tensor) -> torch.Tensor:
    """codes [frames, groups], in the frames of `examples` those that the talker holds for the likeliest after the true ones before them, as
    code2wav will hear them; the voice's own code stays true, as the sound goes with it."""
    model.eval()
    device, guessed, r = text.table.device, codes.clone(), random.Random(1)
    likeliest = lambda logits: logits.float().argmax(-1)  # noqa: E731
    order = np.argsort(examples.frames)
    for k in range(0, len(order), 24):
        picked = order[k : k + 24]
        batch = build(examples, picked, text, questions, r).to(device)
        with torch.autocast(device.type, torch.bfloat16):
            hidden = model.model(input_rows(model, text, batch.ids, batch.special, batch.at, batch.codes)).flatten(0, 1)[batch.at - 1]
            first = likeliest(hidden @ head_weight(model).T).clamp_max(config.CODEBOOK_SIZE - 1)
            rest, _ = model.code_predictor.generate(hidden, model.model.codec_embedding(first), likeliest)
        made = torch.cat([first[:, None], rest], 1).to(codes.dtype).cpu()
        made[:, config.EXCITATION_GROUP] = batch.codes[:, config.EXCITATION_GROUP].to(codes.dtype).cpu()
        for i, spoken in zip(picked, made.split(examples.frames[picked].tolist())):
            guessed[examples.starts[i] : examples.starts[i] + examples.said[i]] = spoken[config.LEAD_FRAMES :]
    return guessed


@torch.no_grad()
def generate(model: Talker, text: Text, user: list[int], sentences: list[list[int]], max_frames: int = 150, pick=None):
    """Codes of each sentence, all spoken side by side after the same user turn; greedy unless `pick` says otherwise."""
    model.eval()
    pick = pick or (lambda logits: logits.argmax(-1))
    device = text.table.device
    first_ids = torch.tensor([text.prompt_rows(user, s[0]) for s in sentences], device=device)
    ends = (torch.arange(len(sentences), device=device) + 1)[:, None] * first_ids.shape[1]
    x = input_rows(model, text, first_ids, (ends + torch.arange(-PREFIX_ROWS, 0, device=device)).flatten())
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
