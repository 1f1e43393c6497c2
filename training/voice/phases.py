"""Where in its cycle the voice is, which the codes say (vocoder.locked), made easy to find for code2wav.

With the phase the sound is all but determined by the codes. By itself code2wav takes very long to find that out: pulses placed a little
better sound no better. So the phases are put into the embeddings, linear probes on what lies between the layers ask for them, first
with the layers of low rate alone, then beside the losses of the sound. No part of the model that ships has any of this.
"""

from __future__ import annotations

import copy
import math
import time

import torch
import torch.nn.functional as F
from torch import nn

import config
from code2wav import Code2Wav

POINTS = 160  # a frame: 2 kHz, the finest a probe looks at
SHAPE = (config.PHASES, config.ADVANCES, len(config.SLOPES))
FIRST = config.EXCITATION_GROUP * config.CODEBOOK_SIZE + 1
ROWS = slice(FIRST, FIRST + math.prod(SHAPE))  # of the embedding: the codes of frames that have a voice
KEEP = 0.3  # weight of what the layers said before
LOW_BATCH, LOW_RATE = 16, 2e-3


def phases(codes: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Codes of the excitation group [B, T] -> cycles since some frame's begin [B, T * POINTS], and whether there is a voice."""
    k = (codes - 1).clamp(min=0)
    slope = torch.tensor(config.SLOPES, device=codes.device)[k % SHAPE[2]][..., None]
    advance = (k // SHAPE[2] % config.ADVANCES + config.LEAST_ADVANCE) / config.PHASES
    begin = (k // SHAPE[2] // config.ADVANCES) / config.PHASES
    way = torch.expm1(slope * torch.arange(POINTS, device=codes.device) / POINTS) / torch.expm1(slope)
    return (begin[..., None] + advance[..., None] * way).flatten(1), (codes > 0)[..., None].expand(way.shape).flatten(1)


class Probes(nn.Module):
    """Linear maps from what lies between code2wav's layers, at 50, 400 and 2000 Hz, to cosine and sine of the phase."""

    RATES = (4, 32, 160)  # a frame
    AT_ONCE = (8, 1, 1)  # points of time that one of 50 Hz tells of

    def __init__(self):
        super().__init__()
        c = config.CODE2WAV
        dims = (c["hidden_size"], c["decoder_dim"] // 2, c["decoder_dim"] // 4)
        self.maps = nn.ModuleList([nn.Linear(dim, 2 * n) for dim, n in zip(dims, self.AT_ONCE)])

    def forward(self, seen: list[torch.Tensor], codes: torch.Tensor, skipped: int = 1) -> torch.Tensor:
        """Squared error, summed over the rates that there are, where there is a voice; the first `skipped` frames lack what came before."""
        cycles, voiced = phases(codes)
        turn = torch.stack([torch.cos(2 * math.pi * cycles), torch.sin(2 * math.pi * cycles)], 2)
        total = 0
        for x, map_, rate, n in zip(seen, self.maps, self.RATES, self.AT_ONCE):
            told = map_(x.transpose(1, 2).float()).unflatten(2, (n, 2)).flatten(1, 2)
            step = POINTS // (rate * n)
            wanted, there = turn[:, ::step][:, : told.shape[1]], voiced[:, ::step][:, : told.shape[1]].clone()
            there[:, : skipped * rate * n] = False
            total = total + ((told - wanted).square().mean(-1) * there).sum() / there.sum().clamp(min=1)
        return total


def share(gradient: torch.Tensor) -> None:
    """What one code's embedding learns counts for those of the same phase and advance, and of the same advance and slope, too."""
    g = gradient[ROWS].view(*SHAPE, -1)
    g += (g.sum(2, keepdim=True) + g.sum(0, keepdim=True)) / 2


def low_layers(model: Code2Wav) -> list[nn.Parameter]:
    """All that runs at 400 Hz and below."""
    parts = [model.pre_transformer, model.upsample, model.decoder[:2]]
    return [p for part in parts for p in part.parameters()]


@torch.no_grad()
def lay_out(model: Code2Wav, codes: torch.Tensor) -> None:
    """Adds to the embeddings what the phases within a frame have in common, along the directions least used for codes [B, groups, T]."""
    weight, groups = model.code_embedding.weight, config.CODE_GROUPS
    offset = torch.arange(groups, device=codes.device)[:, None] * config.CODEBOOK_SIZE
    summed = weight[codes + offset].sum(1) / groups
    after = model.pre_transformer(summed)
    spread = lambda x: torch.cov(x.flatten(0, 1).T.float())  # noqa: E731
    a, b = spread(summed), spread(after)
    _, directions = torch.linalg.eigh(a / a.trace() + b / b.trace())
    level = torch.arange(SHAPE[0] * config.ADVANCES, device=codes.device) * SHAPE[2] + SHAPE[2] // 2
    cycles, _ = phases(1 + level[:, None])
    turn = 2 * math.pi * cycles[:, :: POINTS // 32]
    u, d, _ = torch.linalg.svd(torch.cat([turn.cos(), turn.sin()], 1), full_matrices=False)
    rank = int((d.square().cumsum(0) / d.square().sum() < 0.995).sum()) + 1  # 14 of 64
    place = u[:, :rank] * d[:rank]
    place = place / place.square().sum(1).mean().sqrt() * summed.std() * summed.shape[-1] ** 0.5
    weight[ROWS] += (groups * place @ directions[:, :rank].T).repeat_interleave(SHAPE[2], 0)


def teach(model: Code2Wav, probes: Probes, segments, rng, minutes: float, known: bool) -> None:
    """Before the sound: phases through the layers of low rate, for `minutes`. Where the model is `known` to speak, what its layers said
    before is kept, beside the phases."""
    many = segments.batch
    segments.batch = LOW_BATCH * many
    codes = segments.draw(rng)[1]
    old = copy.deepcopy(model).requires_grad_(False)
    lay_out(model, codes)
    embedding = model.code_embedding.weight
    layers, maps = low_layers(model), list(probes.maps[:2].parameters())
    optimizer = torch.optim.AdamW([{"params": layers, "scale": 1.0}, {"params": [embedding, *maps], "scale": 3.0}], betas=(0.9, 0.99), weight_decay=0, fused=True)
    segments.batch = 4 * many
    clock = time.time if codes.is_cuda else time.process_time
    began, step = clock(), 0
    while (done := (clock() - began) / 60 / max(minutes, 1e-9)) < 1:
        codes = segments.draw(rng)[1]
        seen: list[torch.Tensor] = []
        model(codes, seen=seen, last=2)
        loss = probes(seen, codes[:, config.EXCITATION_GROUP], 0)
        if known:
            before: list[torch.Tensor] = []
            old(codes, seen=before, last=2)
            loss = loss + KEEP * F.mse_loss(seen[1], before[1]) / before[1].var((0, 2)).mean()
        for group in optimizer.param_groups:
            group["lr"] = LOW_RATE * group["scale"] * min(1, (step + 1) / 50) * (0.03 + 0.97 * 0.5 * (1 + math.cos(math.pi * done)))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        share(embedding.grad)
        torch.nn.utils.clip_grad_norm_(layers, 5.0)
        optimizer.step()
        step += 1
        if step % 50 == 0:
            print(f"phases step {step} loss {loss.item():.4f}", flush=True)
    segments.batch = many
