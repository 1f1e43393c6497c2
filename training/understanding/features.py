"""Sounds as log-mel power, computed once and kept on disk, and changed a batch at a time.

What rooms, telephones, noise and other throats do is done to the power of the bands: independent sounds add there but for
their cross terms, which are drawn, and a batch of clips takes a few milliseconds where the same on samples takes a third of a second.
"""

from __future__ import annotations

import functools
import json
import multiprocessing
import random
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch

from understanding import facts, noises, orders, sounds
from understanding.audio_pretrain import PHONES

HISS = 64  # the band from which on (1.7 kHz) hissing sounds have most of their power and vowels little
FIRST = 38  # the band up to which first formants lie
NARROW = 104  # the band where a line to 4 kHz ends
SILENCE = -9.0  # log10 of the power where nothing was recorded


@dataclass
class Clip:
    """`log10` mel power [frames, 128] as float16, mapped from the file; frames `first` to `last` are speech."""

    power: np.ndarray
    first: int
    last: int
    text: str  # what is said; empty where nobody wrote it down
    label: object  # digit, answer or slots
    voice: str
    phones: list[int]
    words: list[tuple[str, int, int]] = field(default_factory=list)  # each with its first frame and the one after it, where known

    def cut(self, before: int, after: int) -> torch.Tensor:
        """The speech with at most so many frames before and after it."""
        return tensor(self.power[max(0, self.first - before) : self.last + after])

    def amid(self, before: int, after: int, beside: Clip, rng: random.Random) -> torch.Tensor:
        """The speech with so many frames around it: of its own recording, and where that has fewer, what is heard where nobody speaks in `beside`."""
        x = self.cut(before, after)
        missing = max(0, before - self.first), max(0, after - (len(self.power) - self.last))
        return torch.cat([beside.background(missing[0], rng), x, beside.background(missing[1], rng)])

    def whole(self) -> torch.Tensor:
        return tensor(self.power)

    def background(self, count: int, rng: random.Random) -> torch.Tensor:
        """Frames of what is heard where nobody speaks."""
        quiet = np.concatenate([self.power[: max(0, self.first - 8)], self.power[self.last + 8 :]])
        if len(quiet) < 5:
            return torch.full((count, 128), SILENCE)
        start = rng.randrange(len(quiet))
        return tensor(quiet[(start + np.arange(count)) % len(quiet)])


def tensor(x: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.asarray(x, np.float32))


def phones(text: str) -> list[int]:
    """CTC labels of what is said, word by word, as there are fewer words than sentences."""
    said: list[str] = []
    for word in text.replace(",", " ").rstrip("?!. ").split():
        said += ("ax",) if word == "a" else sounds.phones(word)
    return [PHONES.index(phone) + 1 for phone in said]


def log_power(mel: sounds.Mel, samples: np.ndarray) -> torch.Tensor:
    """int16 samples -> [frames, 128]."""
    x = torch.from_numpy(samples.astype(np.float32) / 32768)
    power = torch.stft(x, 400, 160, window=mel.window, return_complex=True)[:, :-1].abs() ** 2
    return (mel.filters.T @ power).clamp(min=1e-10).log10().T


@functools.lru_cache(maxsize=1)
def log_mel() -> sounds.Mel:
    return sounds.Mel()


def described(clip: tuple) -> tuple[np.ndarray, tuple[int, int], list[int]]:
    """Power [frames, 128] of (samples, text, ...), where its speech is, and its phones."""
    power = log_power(log_mel(), clip[0])
    return power.half().numpy(), speech(power), phones(clip[1])


def hurried(x: torch.Tensor, tempo: float) -> torch.Tensor:
    """Power [frames, 128] in `tempo` times as many frames, a few as they are."""
    if len(x) < 4:
        return x
    return x[torch.linspace(0, len(x) - 1, max(4, round(len(x) * tempo))).round().long()]


def unhissed(x: torch.Tensor, less: float) -> torch.Tensor:
    """Power [frames, 128] as a line to 4 kHz has it, with the hissing sounds `less` tens of decibels fainter, at most as faint as the background, and
    cut close to what is left: narrow recordings trimmed by their loudness keep of many people's "six" its vowel alone."""
    if len(x) < 4:
        return x
    power = 10**x
    hiss = ((power[:, HISS:].sum(1) / power.sum(1).clamp(min=1e-12) - 0.3) / 0.4).clamp(0, 1)[:, None]
    fainter = x - less * hiss
    x = torch.maximum(fainter, torch.minimum(x, x.quantile(0.05, 0)))
    x[:, NARROW:] = SILENCE
    loud = np.flatnonzero(level(x) > 0.06)
    return x[max(0, int(loud[0]) - 6) : int(loud[-1]) + 7]


def level(power: torch.Tensor) -> np.ndarray:
    """Loudness of each frame against the loudest, over 50 ms."""
    x = (10 ** power).sum(1).sqrt().numpy()
    x = np.convolve(np.pad(x, 2, "edge"), np.ones(5) / 5, "valid")
    return x / max(1e-9, float(x.max()))


def speech(power: torch.Tensor) -> tuple[int, int]:
    """Where the sound begins and ends, whatever the noise floor is."""
    loudness = level(power)
    loud = np.flatnonzero(loudness > max(0.06, 2.5 * float(np.percentile(loudness, 10))))
    return (int(loud[0]), int(loud[-1]) + 1) if len(loud) else (0, len(loudness))


def interrupted(clip: Clip, rng: random.Random, last: float, um: Clip | None) -> torch.Tensor:
    """The beginning of a sentence: cut between 0.2 and `last` of it, where it is quiet near there, then `um` or nothing."""
    x = clip.cut(rng.randint(0, 30), 0)
    loudness = level(x)
    at = rng.uniform(0.2, last) * len(loudness)
    near = [i for i in range(len(loudness)) if abs(i - at) <= 20 and i >= 15] or [max(1, int(at))]
    parts = [x[: min(near, key=lambda i: loudness[i]) + 1]]
    if um is not None:
        loud = (parts[0].max() - tensor(um.power).max()).item()
        parts += [clip.background(rng.randint(0, 25), rng), um.cut(2, 4) + loud + rng.uniform(-0.4, 0)]
    return torch.cat([*parts, clip.background(rng.randint(10, 75), rng)])


def written(clips: list[Clip], file: Path) -> list[Clip]:
    """Recorded orders, in the order of orders.load_real, with the words that `transcribe_orders.py` found in them."""
    if not file.exists():
        return clips
    found, out = json.loads(file.read_text()), []
    for clip, name in zip(clips, sorted(found, key=lambda name: (orders.held_clip(name), name)), strict=True):
        heard = found[name]
        if not heard.get("doubtful"):
            words = [(word, round(start * 100), round(end * 100)) for word, start, end in heard["words"]]
            clip = replace(clip, text=heard["text"], phones=phones(heard["text"]), words=words)
        out.append(clip)
    return out


class Store:
    """All clips: .digits, .questions, .phrases, .orders, .real, .hanging, .fillers and .noises, and those kept back:
    .held_digits, .held_questions, .held_orders (synthetic), .held_real; and what `more` finds, empty where there is nothing:
    .said (by further voices and people), .asked (about pictures) and .held_asked."""

    def __init__(self, data: Path, cache: Path):
        self.mel = log_mel()
        self.cache = cache
        needed = ("digits", "questions", "phrases", "orders-made", "orders-real", "hanging", "fillers", "noises")
        if not all((cache / f"{name}.clips.pt").exists() for name in needed):
            self.build(data)
        digits, questions, phrases, made, real, self.hanging, self.fillers, noises = map(self.load, needed)
        self.noises = [tensor(clip.power) for clip in noises]
        self.digits = [c for c in digits if c.voice != sounds.HELD_SPEAKER]
        self.held_digits = [c for c in digits if c.voice == sounds.HELD_SPEAKER]
        self.questions = [c for c in questions if c.voice not in sounds.HELD_VOICES]
        self.held_questions = [c for c in questions if c.voice in sounds.HELD_VOICES]
        answers = dict(sounds.spoken_questions())
        self.questions += [replace(c, label=answers[c.text]) for c in phrases if c.text in answers]
        self.phrases = [c for c in phrases if c.text not in answers]
        self.orders = [c for c in made if c.voice not in sounds.HELD_VOICES]
        self.held_orders = [c for c in made if c.voice in sounds.HELD_VOICES]
        self.real = [c for c in written(real, cache / "orders-text.json") if c.voice == "person"]
        self.held_real = [c for c in real if c.voice == "held person"]
        self.more()
        self.digit_weights = [2.5 if c.voice in sounds.SPEAKERS else 1.0 for c in self.digits]

    def more(self) -> None:
        """What not every machine has: clips that `further_voices.py` made."""
        load = lambda name: self.load(name) if (self.cache / f"{name}.clips.pt").exists() else []  # noqa: E731
        self.said, self.asked, self.held_asked = load("said"), load("asked"), load("asked-held")
        self.orders += load("orders-more")
        self.digits += [replace(c, label=facts.NUMBERS.index(c.text)) for c in self.said if c.text in facts.NUMBERS[:10]]

    def load(self, name: str) -> list[Clip]:
        power = np.load(self.cache / f"{name}.mel.npy", mmap_mode="r")
        made = torch.load(self.cache / f"{name}.clips.pt", weights_only=False)
        return [Clip(power[start:end], *rest) for start, end, *rest in made]

    def write(self, name: str, clips: list[tuple]) -> None:
        """Clips are (samples, text, label, voice)."""
        made, blocks, start = [], [], 0
        threads = torch.get_num_threads()
        torch.set_num_threads(1)  # of each process
        with multiprocessing.get_context("fork").Pool(sounds.PROCESSES) as pool:
            for (_, text, label, voice), (power, spoken, said) in zip(clips, pool.imap(described, clips, 16)):
                made.append((start, start + len(power), *spoken, text, label, voice, said))
                blocks.append(power)
                start += len(power)
        torch.set_num_threads(threads)
        np.save(self.cache / f"{name}.mel.npy", np.concatenate(blocks))
        torch.save(made, self.cache / f"{name}.clips.pt")
        print(f"{name}: {len(made)} clips, {start / 6000:.1f} minutes", flush=True)

    def build(self, data: Path) -> None:
        """One set of clips after the other, so that the samples of one only are in memory."""
        def sets():
            cache = self.cache
            people = lambda: [x for x, *_ in orders.load_real(data, cache / "orders-real.pt")[0]]  # noqa: E731
            talk = lambda: [x for x, *_ in sounds.Sounds.load_phrases(cache / "phrases.pt")[::3]] + 5 * people()  # noqa: E731
            yield "digits", lambda: [(x, facts.NUMBERS[d], d, voice) for x, d, voice in sounds.Sounds.load_digits(data, cache / "digits.pt")]
            yield "questions", lambda: [(x, *label, voice) for x, label, voice in sounds.Sounds.load_questions(cache / "questions.pt")]
            yield "phrases", lambda: [(x, text, None, voice) for x, text, voice in sounds.Sounds.load_phrases(cache / "phrases.pt")]
            yield "orders-made", lambda: [(x, text, slots, voice) for x, slots, text, voice in orders.load_made(cache / "orders-made.pt")]
            yield "orders-real", lambda: [(x, "", slots, "held person" if i else "person")
                                          for i, part in enumerate(orders.load_real(data, cache / "orders-real.pt")) for x, slots, *_ in part]
            yield "hanging", lambda: [(x, "", None, "") for x in orders.load_hanging(cache / "hanging.pt")]
            yield "fillers", lambda: [(x, "", None, "") for x in orders.load_fillers(cache / "fillers.pt")]
            yield "noises", lambda: [(x, "", None, "") for x in noises.tracks(talk())]

        for name, clips in sets():
            if not (self.cache / f"{name}.clips.pt").exists():
                self.write(name, clips())


def normal(log: torch.Tensor, frames: torch.Tensor) -> torch.Tensor:
    """log10 power [B, T, 128] -> the features the model takes [B, 128, T], T a multiple of 100, zero after each clip's end."""
    batch, time, bins = log.shape
    valid = (torch.arange(time) < frames[:, None])[:, :, None]
    top = log.masked_fill(~valid, -20).amax((1, 2), keepdim=True)
    out = ((torch.maximum(log, top - 8) + 4) / 4).masked_fill(~valid, 0)
    return torch.nn.functional.pad(out, (0, 0, 0, -time % 100)).transpose(1, 2)


def plain(clips: list[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    """Features [B, 128, T] of clips as they are, and the frames of each."""
    frames = torch.tensor([len(c) for c in clips])
    return normal(torch.nn.utils.rnn.pad_sequence(clips, batch_first=True, padding_value=-20.0), frames), frames


def accent(first: torch.Tensor) -> torch.Tensor:
    """From which band each of the 128 is taken [B, 128] so that first formants, below 0.9 kHz, lie `first` [B] times as high, and what is above stays:
    the vowels of people who learnt them elsewhere."""
    band, knee = torch.arange(128.0)[None], FIRST * first[:, None]
    return torch.where(band < knee, band / first[:, None], FIRST + (band - knee) * (127 - FIRST) / (127 - knee))


class Changer:
    """Makes of a batch of clips what another person, room and microphone might have made of it."""

    def __init__(self, store: Store, rng: random.Random):
        self.noises, self.rng = store.noises, rng
        self.people = [clips for clips in (store.real, store.phrases, store.orders) if clips]
        filters = store.mel.filters
        self.width = torch.nan_to_num(1 / filters.amax(0), posinf=0.0)  # what the bands are divided by
        # Standard deviation of the cosine between two sounds in a band, fewer bins leaving more of it (0.68 to 0.36 in mixtures of recordings).
        self.crossing = 0.79 * torch.nan_to_num((filters**2).sum(0).sqrt() / filters.sum(0), nan=1.0).clamp(max=1)
        place = torch.linspace(0, 3.14159, 128)
        self.curves = torch.stack([torch.cos(k * place) for k in (1, 2, 3, 5)] + [torch.sin(k * place) for k in (1, 2, 3, 5)])

    def uniform(self, count: int, low: float, high: float) -> torch.Tensor:
        return torch.tensor([self.rng.uniform(low, high) for _ in range(count)])

    def chosen(self, count: int, share: float) -> torch.Tensor:
        return torch.tensor([self.rng.random() < share for _ in range(count)])

    def __call__(self, clips: list[torch.Tensor], masks: float, quiet: float = 0.5, besides: list[torch.Tensor] | None = None, calm: float = 0.3) -> tuple[torch.Tensor, torch.Tensor]:
        """Features [B, 128, T] and frames. A share `masks` has parts left out, `quiet` has silence around it, `calm` has next to no noise behind it
        and no room. To `besides` are added the features of the same voices at the same pace without room, noise and masks."""
        count, rng = len(clips), self.rng
        log = torch.nn.utils.rnn.pad_sequence(clips, batch_first=True, padding_value=SILENCE)
        length = torch.tensor([float(len(c)) for c in clips])
        # Slower or faster, and with silence before and after.
        tempo = self.uniform(count, 0.82, 1.22)
        # Between two frames or bands half of the clips have the mean, which is smoother than anything recorded, half the nearer.
        sharp = self.chosen(count, 0.5)[:, None]
        between = lambda part: torch.where(sharp, part.round(), part)  # noqa: E731
        around = self.chosen(count, quiet).float()
        before, after = (self.uniform(count, 0, most) * around for most in (25, 35))
        frames = (length * tempo + before + after).long().clamp(min=4)
        time = int(frames.max())
        at = (torch.arange(time)[None] - before[:, None]) / tempo[:, None]
        inside = (at >= 0) & (at <= length[:, None] - 1)
        low = at.clamp(min=0).long().clamp(max=log.shape[1] - 2) if log.shape[1] > 1 else torch.zeros_like(at).long()
        part = between((at - low).clamp(0, 1))[:, :, None]
        rows = torch.arange(count)[:, None]
        log = torch.lerp(log[rows, low], log[rows, (low + 1).clamp(max=log.shape[1] - 1)], part)
        # Another throat: formants moved (Jaitly and Hinton 2013), the first of them on its own.
        place = (accent(self.uniform(count, 0.84, 1.18)) * self.uniform(count, 0.87, 1.15)[:, None]).clamp(max=126.99)
        left = place.long()
        part = between(place - left)[:, None]
        log = torch.lerp(log.gather(2, left[:, None].expand(-1, time, -1)), log.gather(2, (left + 1)[:, None].expand(-1, time, -1)), part)
        # Another microphone, a telephone.
        curve = torch.randn(count, len(self.curves)) * 0.14 @ self.curves
        band = torch.arange(128)[None]
        top = torch.where(self.chosen(count, 0.35), self.uniform(count, 82, 112), torch.tensor(200.0))  # 2.6 to 5 kHz
        bottom = torch.where(self.chosen(count, 0.25), self.uniform(count, 2, 14), torch.tensor(-1.0))
        curve = curve - 5.0 * ((band > top[:, None]) | (band < bottom[:, None])).float()
        log = torch.where(inside[:, :, None], log + curve[:, None], torch.tensor(SILENCE))
        power = 10**log
        gain = self.uniform(count, -2.6, 0.6)[:, None, None]
        if besides is not None:
            besides.append(normal((log + gain).clamp(min=-10), frames))
        # A room: what was heard dies away.
        still = self.chosen(count, calm)
        wet = (self.chosen(count, 0.25) & ~still).nonzero()[:, 0]
        if len(wet):
            fall = torch.exp(-0.138 / self.uniform(len(wet), 0.15, 0.7))[:, None, None]
            tail = power[wet]
            for k in (1, 2, 4, 8, 16, 32):
                tail[:, k:] = tail[:, k:] + fall**k * tail[:, :-k] if tail.shape[1] > k else tail[:, k:]
            tail[:, 1:] = tail[:, :-1].clone()
            share = self.uniform(len(wet), 0.05, 0.7)[:, None, None] * (1 - fall)
            power[wet] = power[wet] + share * tail
        # Noise 2 to 26 dB below the speech without its pauses, half of it within 9.4 dB; next to none behind the calm ones.
        strength = (power * self.width).sum(2)
        active = strength > strength.amax(1, keepdim=True) / 1000
        loud = (strength * active).sum(1) / active.sum(1).clamp(min=1)
        noise = torch.stack([self.behind(time) for _ in range(count)])
        ratio = torch.where(still, 25 + 65 * self.uniform(count, 0, 1) ** 0.7, 2 + 24 * self.uniform(count, 0, 1) ** 1.7)
        scale = loud / (noise * self.width).sum(2).mean(1).clamp(min=1e-12) * 10 ** (-ratio / 10)
        power = self.together(power, noise * scale[:, None, None])
        log = (power * 10**gain).clamp(min=1e-10).log10()
        log = normal(log, frames)
        for i in range(count):
            if rng.random() < masks:
                sounds.Mel.masked(log[i, :, : int(frames[i])], rng)
        return log, frames

    def together(self, one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
        """Power [B, T, 128] of two sounds heard at once: |a + b|^2 = |a|^2 + |b|^2 + 2 |a| |b| cos, with phases drawn anew for every
        frame; those of neighbouring bands go together as they do in mixtures of recordings (0.55)."""
        phase = torch.randn(one.shape[0], one.shape[1], one.shape[2] + 2)
        phase = (phase[..., 1:-1] + 0.35 * (phase[..., :-2] + phase[..., 2:])) * (1.245**-0.5)
        return one + other + 2 * (one * other).sqrt() * (phase * self.crossing).clamp(-0.98, 0.98)

    def behind(self, time: int) -> torch.Tensor:
        """Power [time, 128] of what may be heard behind somebody who speaks: a noise, others who talk, a steady hiss or rumble."""
        kind = self.rng.random()
        if self.people and kind < 0.14:
            return self.talking(time) * self.tilt()
        return self.hiss(time) * self.tilt() if kind > 0.82 else self.noise(time)

    def hiss(self, time: int) -> torch.Tensor:
        """Power [time, 128] of noise that stays as it is, from bright to dull."""
        slope = 10 ** (self.rng.uniform(-2.5, 0.3) * torch.linspace(0, 1, 128))
        return slope * (1 + self.crossing * torch.randn(time, 128)).clamp(min=0.05)

    def noise(self, time: int) -> torch.Tensor:
        """Power [time, 128] of one of the noises, tilted."""
        return 10 ** self.part(self.rng.choice(self.noises), time) * self.tilt()

    def tilt(self) -> torch.Tensor:
        """What a microphone makes of the bands [128], as factors of power."""
        return 10 ** (torch.randn(len(self.curves)) * 0.15 @ self.curves)

    def part(self, track: torch.Tensor, time: int) -> torch.Tensor:
        """`time` rows from anywhere in it, which goes round."""
        return track[(self.rng.randrange(len(track)) + torch.arange(time)) % len(track)]

    def talking(self, time: int) -> torch.Tensor:
        """Power [time, 128] of one to six people at once, nearer and farther; a crowd is among the noises."""
        power = torch.zeros(time, 128)
        for _ in range(self.rng.randint(1, 6)):
            voice = 10 ** self.part(self.rng.choice(self.rng.choice(self.people)).whole(), time)
            power += voice * (10 ** self.rng.uniform(-1.2, 0) / voice.mean().clamp(min=1e-12))
        return power

    def only_noise(self, count: int) -> list[torch.Tensor]:
        """Clips without anybody in them: noises, or next to nothing."""
        clips = []
        for _ in range(count):
            time = self.rng.randint(40, 350)
            if self.rng.random() < 0.3:
                clips.append(torch.full((time, 128), SILENCE) + torch.randn(time, 128) * 0.2)
            else:
                clips.append(self.noise(time).log10())
        return clips


def main() -> None:
    """python -m understanding.features DATA CACHE: the clips a training hears, made beforehand by all cores."""
    cache = Path(sys.argv[2])
    cache.mkdir(parents=True, exist_ok=True)
    Store(Path(sys.argv[1]), cache)


if __name__ == "__main__":
    main()
