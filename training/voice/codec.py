"""Fits the quantiser, turns all speech into codes, trains code2wav to turn codes back into speech."""

from __future__ import annotations

import math
import os
import time

import numpy as np
import torch
import torch.nn.functional as F

import config
import quantizer
from code2wav import Code2Wav
from optimizer import Average, Optimizer
from speech_data import SpeechStore

SEGMENT_FRAMES = 13
BATCH = 4
SHARE_OF_FEW = 0.1  # of the segments are heard in the first code groups only, so that those alone still speak
FEWEST = 3


def utterance(audio: np.ndarray, item: dict) -> torch.Tensor:
    """One utterance as float samples."""
    part = audio[item["sound"] : item["sound"] + item["frames"]].reshape(-1)
    return torch.from_numpy(part.astype(np.float32) / 32768)


def fit_quantizer(store: SpeechStore, path: str) -> quantizer.Quantizer:
    # The published codec's own quantiser, so that its code2wav and talker can be trained further.
    published = os.path.join(os.path.dirname(os.path.abspath(__file__)), "quantizer.pt")
    for made in (path, published):
        if os.path.exists(made):
            return quantizer.Quantizer.from_state({name: value.float() for name, value in torch.load(made).items()})
    q = quantizer.Quantizer()
    q.fit(torch.from_numpy(store.features()[:250000].astype(np.float32)))
    torch.save(q.state(), path)
    return q


def encode_store(store: SpeechStore, q: quantizer.Quantizer, path: str) -> torch.Tensor:
    """Codes of every utterance, int16 [frames, groups], in the order of the index; extends an older file."""
    done = torch.load(path) if os.path.exists(path) else torch.zeros(0, config.CODE_GROUPS, dtype=torch.int16)
    rows, excitation = store.features(), torch.from_numpy(store.excitation())
    parts = [done]
    for at in range(len(done), store.end, 65536):
        to = min(store.end, at + 65536)
        parts.append(q.encode(torch.from_numpy(rows[at:to].astype(np.float32)), excitation[at:to]))
    codes = torch.cat(parts)
    if len(codes) > len(done):
        torch.save(codes, path + ".new")
        os.replace(path + ".new", path)
    return codes


class SpectralLoss:
    """Log and linear magnitude at three resolutions, log-mel, and the wave itself, which follows from the codes (vocoder.py)."""

    sizes = ((512, 128), (1024, 240), (2048, 480))

    def __init__(self, device="cpu"):
        self.windows = {n: torch.hann_window(n, device=device) for n, _ in self.sizes}
        self.mel = mel_filters(fft=1024).to(device)

    def magnitude(self, x, size, hop):
        s = torch.view_as_real(torch.stft(x, size, hop, window=self.windows[size], return_complex=True))
        return (s.square().sum(-1) + 1e-5).sqrt()

    def __call__(self, made, real):
        loss = 0
        for size, hop in self.sizes:
            a = self.magnitude(made, size, hop)
            with torch.no_grad():
                b = self.magnitude(real, size, hop)
            loss = loss + F.l1_loss(a.log(), b.log()) + 0.05 * F.l1_loss(a, b)
            if size == 1024:
                a, b = (self.mel @ a).log(), (self.mel @ b).log()
                loss = loss + 2 * F.l1_loss(a, b)
        return loss


def mel_filters(rate: int = config.SAMPLE_RATE_HZ, fft: int = 1024, mels: int = 80, top_hz: float = 11500.0) -> torch.Tensor:
    """Triangular HTK-mel filters [mels, fft // 2 + 1], each summing to one."""
    hz = torch.linspace(0, rate / 2, fft // 2 + 1)
    to_mel = lambda f: 2595 * np.log10(1 + f / 700)
    edges = 700 * (10 ** (torch.linspace(to_mel(40.0), to_mel(top_hz), mels + 2, dtype=torch.float64) / 2595) - 1)
    lower, centre, upper = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    tri = torch.minimum((hz - lower) / (centre - lower), (upper - hz) / (upper - centre)).clamp_min(0)
    return (tri / tri.sum(1, keepdim=True).clamp_min(1e-8)).float()


def train_code2wav(store: SpeechStore, codes: torch.Tensor, folder: str, minutes: float, total_minutes: float, device="cpu", peak_rate=1e-3, start: str | None = None):
    """Trains for at most `minutes`; the learning rate falls over `total_minutes` of training in all. Resumes from code2wav.pt."""
    path = os.path.join(folder, "code2wav.pt")
    model = Code2Wav(config.CODE2WAV).to(device)
    if start and not os.path.exists(path):
        model.load_state_dict(torch.load(start, map_location=device)["ema"])
    optimizer = Optimizer([(n, p, 1.0) for n, p in model.named_parameters()], betas=(0.8, 0.99))
    ema, step, spent = Average(model, 0.998), 0, 0.0
    if os.path.exists(path):
        state = torch.load(path, map_location=device)
        model.load_state_dict(state["model"])
        ema.model.load_state_dict(state["ema"])
        if "optimizer" in state:
            optimizer.load_state_dict(state["optimizer"])
        ema.steps = step = state["step"]
        spent = state.get("minutes", 0.0)
    loss_of = SpectralLoss(device)
    audio = store.audio()
    heard = [i for i in store.items if i["sound"] is not None and not i["kind"].endswith("held") and i["frames"] >= SEGMENT_FRAMES]
    weights = np.array([i["frames"] for i in heard], float)
    weights /= weights.sum()
    rng = np.random.default_rng(step)
    clock = time.time if device == "cuda" else time.process_time
    began, shown, running = clock(), time.time(), []

    def minutes_in_all():
        return spent + (clock() - began) / 60

    def save():
        state = {"model": model.state_dict(), "ema": ema.model.state_dict(), "optimizer": optimizer.state_dict(), "step": step, "minutes": minutes_in_all()}
        torch.save(state, path + ".new")
        os.replace(path + ".new", path)

    while minutes_in_all() < total_minutes and minutes_in_all() - spent < minutes:
        rate = peak_rate * min(1, (step + 1) / 200) * (0.03 + 0.97 * 0.5 * (1 + math.cos(math.pi * minutes_in_all() / total_minutes)))
        real, picked = [], []
        for i in rng.choice(len(heard), BATCH, p=weights):
            item = heard[i]
            at = int(rng.integers(0, item["frames"] - SEGMENT_FRAMES + 1))
            real.append(torch.from_numpy(audio[item["sound"] + at : item["sound"] + at + SEGMENT_FRAMES].reshape(-1).astype(np.float32) / 32768))
            picked.append(codes[item["start"] + at : item["start"] + at + SEGMENT_FRAMES].T.long())
        groups = int(rng.integers(FEWEST, config.CODE_GROUPS)) if rng.random() < SHARE_OF_FEW else config.CODE_GROUPS
        made = model(torch.stack(picked).to(device), groups)
        # the first frame lacks what came before it
        loss = loss_of(made[:, config.FRAME_SAMPLES :], torch.stack(real).to(device)[:, config.FRAME_SAMPLES : made.shape[1]])
        loss.backward()
        optimizer.step(rate)
        ema.update(model)
        step += 1
        running.append(loss.item())
        if time.time() - shown > 30:
            print(f"code2wav step {step} loss {np.mean(running):.3f} {BATCH * SEGMENT_FRAMES * 0.08 * len(running) / (time.time() - shown):.1f} s/s {minutes_in_all():.1f} min", flush=True)
            shown, running = time.time(), []
            save()
    save()
    return ema.model
