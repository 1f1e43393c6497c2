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
from optimizer import Average
from speech_data import SpeechStore

SEGMENT_FRAMES = 13
BATCH = 4
ANSWER_WEIGHT = 10  # the domain's answers are heard most; other speech keeps the codec general


def utterance(audio: np.ndarray, item: dict) -> torch.Tensor:
    """One utterance as float samples."""
    part = audio[item["start"] : item["start"] + item["frames"]].reshape(-1)
    return torch.from_numpy(part.astype(np.float32) / 32768)


def fit_quantizer(store: SpeechStore, path: str) -> quantizer.Quantizer:
    # The published codec's own quantiser, so that its code2wav and talker can be trained further.
    published = os.path.join(os.path.dirname(os.path.abspath(__file__)), "quantizer.pt")
    for made in (path, published):
        if os.path.exists(made):
            return quantizer.Quantizer.from_state({name: value.float() for name, value in torch.load(made).items()})
    audio = store.audio()
    features = torch.cat([quantizer.frame_features(utterance(audio, i)) for i in store.items])
    q = quantizer.Quantizer()
    q.fit(features)
    torch.save(q.state(), path)
    return q


def encode_store(store: SpeechStore, q: quantizer.Quantizer, path: str) -> torch.Tensor:
    """Codes of every utterance, int16 [frames, groups], in the order of the index; extends an older file."""
    done = torch.load(path) if os.path.exists(path) else torch.zeros(0, config.CODE_GROUPS, dtype=torch.int16)
    audio = store.audio()
    parts = [done]
    for item in store.items:
        if item["start"] >= len(done):
            parts.append(q.encode(quantizer.frame_features(utterance(audio, item))).to(torch.int16))
    codes = torch.cat(parts)
    if len(codes) > len(done):
        torch.save(codes, path)
    return codes


class SpectralLoss:
    """Log and linear magnitude at three resolutions, and log-mel."""

    sizes = ((512, 128), (1024, 240), (2048, 480))

    def __init__(self, device="cpu"):
        self.windows = {n: torch.hann_window(n, device=device) for n, _ in self.sizes}
        self.mel = quantizer.mel_filters(fft=1024, top_hz=11500.0).to(device)

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


def train_code2wav(store: SpeechStore, codes: torch.Tensor, folder: str, minutes: float, total_steps: int, device="cpu"):
    """Trains for at most `minutes`; the learning rate falls over `total_steps`. Resumes from code2wav.pt."""
    path = os.path.join(folder, "code2wav.pt")
    model = Code2Wav(config.CODE2WAV).to(device)
    optimizer = torch.optim.AdamW(model.parameters(), 1e-3, betas=(0.8, 0.99), weight_decay=1e-3)
    ema, step = Average(model, 0.999), 0
    if os.path.exists(path):
        state = torch.load(path, map_location=device)
        model.load_state_dict(state["model"])
        ema.model.load_state_dict(state["ema"])
        if "optimizer" in state:
            optimizer.load_state_dict(state["optimizer"])
        ema.steps = step = state["step"]
    loss_of = SpectralLoss(device)
    audio = store.audio()
    weights = np.array([i["frames"] * (ANSWER_WEIGHT if i["kind"].startswith("answer") else 1) for i in store.items], float)
    weights /= weights.sum()
    rng = np.random.default_rng(step)
    began, shown, running = time.time(), time.time(), []

    def save():
        state = {"model": model.state_dict(), "ema": ema.model.state_dict(), "optimizer": optimizer.state_dict(), "step": step}
        torch.save(state, path + ".new")
        os.replace(path + ".new", path)

    while step < total_steps and time.time() - began < minutes * 60:
        rate = 1e-3 * min(1, (step + 1) / 200) * (0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * step / total_steps)))
        for group in optimizer.param_groups:
            group["lr"] = rate
        real, picked = [], []
        for i in rng.choice(len(store.items), BATCH, p=weights):
            item = store.items[i]
            at = item["start"] + int(rng.integers(0, max(1, item["frames"] - SEGMENT_FRAMES + 1)))
            at = min(at, store.end - SEGMENT_FRAMES)
            real.append(torch.from_numpy(audio[at : at + SEGMENT_FRAMES].reshape(-1).astype(np.float32) / 32768))
            picked.append(codes[at : at + SEGMENT_FRAMES].T.long())
        made = model(torch.stack(picked).to(device))
        loss = loss_of(made, torch.stack(real).to(device)[:, : made.shape[1]])
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()
        ema.update(model)
        step += 1
        running.append(loss.item())
        if time.time() - shown > 30:
            print(f"code2wav step {step} loss {np.mean(running):.3f} {BATCH * SEGMENT_FRAMES * 0.08 * len(running) / (time.time() - shown):.1f} s/s", flush=True)
            shown, running = time.time(), []
            save()
    save()
    return ema.model
