"""Fits the quantiser, turns all speech into codes, trains code2wav to turn codes back into speech.

code2wav first learns where the pulses are (phases.py), then from spectral losses alone, then also from discriminators
(discriminators.py), which take away what spectral losses leave of a buzz.
"""

from __future__ import annotations

import math
import multiprocessing
import os
import time

import numpy as np
import torch
import torch.nn.functional as F

import config
import phases
import quantizer
from code2wav import Code2Wav
from discriminators import Discriminators, half_precision
from optimizer import Average
from speech_data import SpeechStore

SEGMENTS = {"cuda": (32, 15), "cpu": (4, 13)}  # a batch, and the frames of each
SHARE_OF_FEW = 0.08  # of the batches are heard in the first code groups only, so that those alone still speak
FEWEST = 3
PREDICTED_SHARE = 0.5  # of the batches have the talker's codes, where these are known
SPECTRAL_SHARE = 0.25  # of the schedule is without discriminators
SPECTRAL_RATE, ADVERSARIAL_RATE, DISCRIMINATOR_RATE = 1e-3, 6e-4, 3e-4
TEACHING_MINUTES = 5.0  # of phases alone
COMPLEX_WEIGHT, COMPLEX_WEIGHT_AT_END = 1.0, 0.25
PROBE_WEIGHT, PROBE_WEIGHT_AT_END = 0.4, 0.08
EMBEDDING_SCALE, PROBE_SCALE = 10.0, 5.0  # of the learning rate
SPECTRAL_WEIGHT, SCORE_WEIGHT, MATCHING_WEIGHT = 8.0, 2.0, 6.0
SAVE_EVERY_S = 60
HELD_OUT = 40  # utterances


def fit_quantizer(store: SpeechStore, path: str) -> quantizer.Quantizer:
    # The published codec's own quantiser, so that its code2wav and talker can be trained further.
    published = os.path.join(os.path.dirname(os.path.abspath(__file__)), "quantizer.pt")
    for made in (path, published):
        if os.path.exists(made):
            return quantizer.Quantizer.from_state({name: value.float() for name, value in torch.load(made).items()})
    q = quantizer.Quantizer()
    q.fit(torch.from_numpy(store.features()[:250000].astype(np.float32)))
    # Rounded before anything learns its codes: whoever loads the file makes the same ones.
    torch.save({name: value.half() for name, value in q.state().items()}, path)
    return fit_quantizer(store, path)


_encoded = None  # of a process: the quantizer, features and excitation


def _set_up(*encoded) -> None:
    global _encoded
    _encoded = encoded
    torch.set_num_threads(1)


def _encode(at: int, to: int) -> np.ndarray:
    q, rows, excitation = _encoded
    return q.encode(torch.from_numpy(rows[at:to].astype(np.float32)), torch.from_numpy(excitation[at:to])).numpy()


def encode_store(store: SpeechStore, q: quantizer.Quantizer, path: str, processes: int = 1) -> torch.Tensor:
    """Codes of every utterance, int16 [frames, groups], in the order of the index, made in `processes`; extends an older file."""
    done = torch.load(path) if os.path.exists(path) else torch.zeros(0, config.CODE_GROUPS, dtype=torch.int16)
    pieces = [(at, min(store.end, at + 65536)) for at in range(len(done), store.end, 65536)]
    if not pieces:
        return done
    with multiprocessing.get_context("fork").Pool(processes, _set_up, (q, store.features(), store.excitation())) as pool:
        codes = torch.cat([done, *map(torch.from_numpy, pool.starmap(_encode, pieces, 1))])
    torch.save(codes, path + ".new")
    os.replace(path + ".new", path)
    return codes


class SpectralLoss:
    """Log and linear magnitude at three resolutions, and log-mel."""

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


class ComplexLoss:
    """Spectra with their phases, which the codes determine, magnitudes to the power of 0.4; above 4 kHz, where noise is most, they count less."""

    sizes = ((512, 128), (1024, 256))

    def __init__(self, device="cpu"):
        self.windows = {n: torch.hann_window(n, device=device) for n, _ in self.sizes}

    def pressed(self, x, size, hop):
        s = torch.view_as_real(torch.stft(x, size, hop, window=self.windows[size], return_complex=True))
        return s * (s.square().sum(-1, keepdim=True) + 1e-4) ** -0.3

    def __call__(self, made, real):
        loss = 0
        for size, hop in self.sizes:
            apart = ((self.pressed(made, size, hop) - self.pressed(real, size, hop)).square().sum(-1) + 1e-6).sqrt()
            low = size * 4000 // config.SAMPLE_RATE_HZ
            loss = loss + apart[:, :low].mean() + 0.3 * apart[:, low:].mean()
        return loss


def mel_filters(rate: int = config.SAMPLE_RATE_HZ, fft: int = 1024, mels: int = 80, top_hz: float = 11500.0) -> torch.Tensor:
    """Triangular HTK-mel filters [mels, fft // 2 + 1], each summing to one."""
    hz = torch.linspace(0, rate / 2, fft // 2 + 1)
    to_mel = lambda f: 2595 * np.log10(1 + f / 700)
    edges = 700 * (10 ** (torch.linspace(to_mel(40.0), to_mel(top_hz), mels + 2, dtype=torch.float64) / 2595) - 1)
    lower, centre, upper = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    tri = torch.minimum((hz - lower) / (centre - lower), (upper - hz) / (upper - centre)).clamp_min(0)
    return (tri / tri.sum(1, keepdim=True).clamp_min(1e-8)).float()


class Segments:
    """The speech that is heard, on the device: sound int16 [frames, 1920], codes [frames, groups], where each utterance begins."""

    def __init__(self, store: SpeechStore, codes: torch.Tensor, device: str, predicted: torch.Tensor | None = None):
        """`predicted`: codes of the same frames as a talker guesses them, which some batches have."""
        self.batch, self.frames = SEGMENTS[device]
        self.predicted = None if predicted is None else predicted.to(device)
        samples = store.sound_end * config.FRAME_SAMPLES
        sound = torch.from_file(store.path("audio.i16"), shared=False, size=samples, dtype=torch.int16)  # mapped, not read
        self.sound, self.codes = sound.view(-1, config.FRAME_SAMPLES).to(device), codes.to(device)
        heard = [i for i in store.items if i["sound"] is not None and i["start"] + i["frames"] <= len(codes)]
        self.held = [i for i in heard if i["kind"] == "english-held"][:HELD_OUT]
        used = [i for i in heard if not i["kind"].endswith("held") and i["frames"] >= self.frames]
        if not used:
            raise SystemExit(f"no speech of {self.frames} frames or more in {store.folder}: run --stages data first")
        self.starts = torch.tensor([(i["sound"], i["start"]) for i in used])
        self.lengths = np.array([i["frames"] for i in used])
        self.weights = self.lengths / self.lengths.sum()

    def at(self, sound: torch.Tensor, codes: torch.Tensor, predicted: bool = False) -> tuple[torch.Tensor, torch.Tensor]:
        """Frames [B, T] of the sound and of the codes -> float samples [B, 1920 T], codes [B, groups, T]."""
        real = self.sound[sound.to(self.sound.device)].flatten(1).float() / 32768
        return real, (self.predicted if predicted else self.codes)[codes.to(self.codes.device)].transpose(1, 2).long()

    def draw(self, rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        """A batch of segments, each frame of all speech as likely as any other."""
        picked = rng.choice(len(self.lengths), self.batch, p=self.weights)
        begin = torch.from_numpy(rng.integers(0, self.lengths[picked] - self.frames + 1))
        frames = self.starts[picked][:, :, None] + begin[:, None, None] + torch.arange(self.frames)
        return self.at(frames[:, 0], frames[:, 1], self.predicted is not None and rng.random() < PREDICTED_SHARE)

    def held_out(self):
        """The utterances that are not trained on, one by one."""
        for i in self.held:
            frames = torch.arange(i["frames"])[None]
            yield self.at(i["sound"] + frames, i["start"] + frames)


class Trainer:
    """code2wav, its average and, where `adversarial`, the discriminators, with an optimizer each; kept in the file `path`."""

    def __init__(self, path: str, device: str, adversarial: bool, start: str | None):
        self.path, self.step, self.minutes = path, 0, 0.0
        self.model = Code2Wav(config.CODE2WAV).to(device)
        self.known = bool(start)
        if start and not os.path.exists(path):
            self.model.load_state_dict(torch.load(start, map_location=device)["ema"])
        self.probes = phases.Probes().to(device)
        self.average = Average(self.model, 0.999)
        self.discriminators = Discriminators().to(device) if adversarial else None
        embedding = self.model.code_embedding.weight
        groups = [{"params": [p for p in self.model.parameters() if p is not embedding], "scale": 1.0},
                  {"params": [embedding], "scale": EMBEDDING_SCALE, "weight_decay": 0.0},
                  {"params": list(self.probes.parameters()), "scale": PROBE_SCALE, "weight_decay": 0.0}]  # fmt: skip
        adam = lambda groups, decay: torch.optim.AdamW(groups, betas=(0.8, 0.99), weight_decay=decay, fused=True)  # noqa: E731
        self.optimizer = adam(groups, 1e-3)
        self.other = adam([{"params": list(self.discriminators.parameters()), "scale": 1.0}], 1e-2) if adversarial else None
        self.spectral, self.complex = SpectralLoss(device), ComplexLoss(device)
        if os.path.exists(path):
            self.load(torch.load(path, map_location=device))

    def parts(self) -> dict:
        parts = {"model": self.model, "ema": self.average.model, "probes": self.probes, "optimizer": self.optimizer}
        return parts | ({"discriminators": self.discriminators, "discriminator_optimizer": self.other} if self.discriminators else {})

    def load(self, state: dict) -> None:
        for name, part in self.parts().items():
            if name in state:  # a training without discriminators can go on with them
                part.load_state_dict(state[name])
        self.average.steps = self.step = state["step"]
        self.minutes = state["minutes"]

    def save(self, minutes: float) -> None:
        state = {name: part.state_dict() for name, part in self.parts().items()}
        torch.save(state | {"step": self.step, "minutes": minutes}, self.path + ".new")
        os.replace(self.path + ".new", self.path)

    def update(self, real: torch.Tensor, codes: torch.Tensor, groups: int, done: float) -> torch.Tensor:
        """One step on float samples [B, 1920 T] and codes [B, groups, T], `done` of the schedule over; the three losses."""
        adversarial = self.discriminators is not None and done > SPECTRAL_SHARE
        falling = min(1, (self.step + 1) / 300) * (0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * done)))
        rate = falling * (ADVERSARIAL_RATE if adversarial else SPECTRAL_RATE)
        seen: list[torch.Tensor] = []
        with half_precision(real):
            made = self.model(codes, groups, seen)
        # the first frame lacks what came before it
        made, real = made.float()[:, config.FRAME_SAMPLES :], real[:, config.FRAME_SAMPLES : made.shape[1]]
        spectral = self.spectral(made, real)
        to = lambda first, last: first + (last - first) * done
        probed = to(PROBE_WEIGHT, PROBE_WEIGHT_AT_END)
        near = to(COMPLEX_WEIGHT, COMPLEX_WEIGHT_AT_END) * self.complex(made, real) + probed * self.probes(seen, codes[:, config.EXCITATION_GROUP])
        loss = spectral + near
        score = matching = torch.zeros((), device=real.device)
        if adversarial:
            descend(self.other, self.discriminators.own_loss(made, real), min(rate, DISCRIMINATOR_RATE), 5.0)
            self.discriminators.requires_grad_(False)
            score, matching = self.discriminators.losses_of(made, real)
            self.discriminators.requires_grad_(True)
            loss = SPECTRAL_WEIGHT * (spectral + near) + SCORE_WEIGHT * score + MATCHING_WEIGHT * matching
        descend(self.optimizer, loss, rate, 30.0 if adversarial else 5.0, lambda: phases.share(self.model.code_embedding.weight.grad))
        self.average.update(self.model)
        self.step += 1
        return torch.stack([spectral, score, matching]).detach()

    @torch.no_grad()
    def check(self, segments: Segments) -> None:
        losses = []
        for real, codes in segments.held_out():
            made = self.average.model(codes)
            losses.append(self.spectral(made, real[:, : made.shape[1]]).item())
        if losses:
            print(f"  held out: spectral {np.mean(losses):.4f}", flush=True)


def descend(optimizer: torch.optim.Optimizer, loss: torch.Tensor, rate: float, clip: float, before_step=lambda: None) -> None:
    """One step at learning rate `rate`, the gradient of the first group of parameters clipped to a norm of `clip`."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group["scale"]
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(optimizer.param_groups[0]["params"], clip)
    before_step()
    optimizer.step()


def train_code2wav(store: SpeechStore, codes: torch.Tensor, folder: str, minutes: float, total_minutes: float, device="cpu",
                   start: str | None = None, adversarial: bool | None = None, predicted: torch.Tensor | None = None):
    """Trains for at most `minutes`; the learning rate falls over `total_minutes` of training in all. Resumes from code2wav.pt.
    `adversarial`, with discriminators, is by default what a GPU does: on a CPU these cost more than they bring. `predicted`: see Segments."""
    trainer = Trainer(os.path.join(folder, "code2wav.pt"), device, device == "cuda" if adversarial is None else adversarial, start)
    segments, rng = Segments(store, codes, device, predicted), np.random.default_rng(trainer.step)
    if not trainer.step:
        phases.teach(trainer.model, trainer.probes, segments, rng, min(TEACHING_MINUTES, minutes / 4), trainer.known)
    clock = time.time if device == "cuda" else time.process_time
    spent, began = trainer.minutes, clock()
    shown = saved = time.time()
    running: list[torch.Tensor] = []
    minutes_in_all = lambda: spent + (clock() - began) / 60  # noqa: E731

    while minutes_in_all() < total_minutes and minutes_in_all() - spent < minutes:
        groups = int(rng.integers(FEWEST, config.CODE_GROUPS)) if rng.random() < SHARE_OF_FEW else config.CODE_GROUPS
        running.append(trainer.update(*segments.draw(rng), groups, minutes_in_all() / total_minutes))
        now = time.time()
        if now - shown > 30:
            spectral, score, matching = torch.stack(running).mean(0).tolist()
            print(f"code2wav step {trainer.step} spectral {spectral:.3f} score {score:.3f} matching {matching:.3f} "
                  f"{len(running) / (now - shown):.2f} steps/s {minutes_in_all():.1f} min", flush=True)
            shown, running = now, []
            if now - saved > SAVE_EVERY_S:
                trainer.save(minutes_in_all())
                saved = now
    trainer.save(minutes_in_all())
    trainer.check(segments)
    return trainer.average.model
