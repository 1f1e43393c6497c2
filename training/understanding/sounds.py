"""Spoken digits and questions: real recordings, free synthetic voices, and what rooms and telephones do to them."""

from __future__ import annotations

import functools
import io
import multiprocessing
import os
import random
import subprocess
import tarfile
from pathlib import Path

import numpy as np
import torch
from scipy.io import wavfile
from scipy.ndimage import uniform_filter1d
from scipy.signal import fftconvolve, resample_poly

from understanding import facts

RATE = 16000
HELD_SPEAKER = "yweweler"  # of the recorded digits, kept for validation
SPEAKERS = {"george", "jackson", "nicolas"}  # of the others
FLITE = ["kal16", "awb", "rms", "slt", "kal"]
ESPEAK = ["en-us", "en-gb", "en-gb-scotland", "en-gb-x-rp", "en-us+f2", "en-us+f4", "en-gb+f3", "en-us+m3", "en-gb+m5",
          "en-us+m7", "en-gb+f1", "en-029"]
# Every accent with every variant: as many different throats as there are for the digits.
DIGIT_VOICES = FLITE + [f"{accent}+{variant}" for accent in ("en-us", "en-gb", "en-gb-scotland", "en-gb-x-gbclan", "en-gb-x-gbcwmd", "en-gb-x-rp", "en-029")
                        for variant in ("m1", "m2", "m3", "m4", "m5", "m6", "m7", "m8", "f1", "f2", "f3", "f4", "f5")]
# Throats of all ages and tempers for phrases; f3 and awb stay out, they validate.
VARIANTS = """Alex Alicia Andrea Andy Annie Denis Diogo Gene Gene2 Henrique Hugo Jacky Lee Marco Mario Michael Mike Nguyen
adam anika announcer antonio aunty belinda benjamin boris caleb croak david ed edward grandma grandpa gustave iven john
kaukovalta klatt klatt2 klatt4 linda marcelo max michel miguel norbert pablo paul pedro quincy rob robert sandro shelby
steph travis victor zac m1 m2 m3 m4 m5 m6 m7 m8 f1 f2 f4 f5""".split()
ACCENTS = ["en-us", "en-gb", "en-gb-scotland", "en-gb-x-gbclan", "en-gb-x-gbcwmd", "en-gb-x-rp", "en-029"]
HELD_VOICES = {"awb", "en-gb+f3"}  # kept for validation of spoken questions
PHRASES = 6000
# How many times as many synthetic clips as usual are made, for trainings that hear each of them often.
SCALE = float(os.environ.get("CALLIOPE_SOUNDS", 1))
PROCESSES = len(os.sched_getaffinity(0))


def read_wav(data: bytes) -> np.ndarray:
    """Mono samples at 16 kHz, int16."""
    rate, x = wavfile.read(io.BytesIO(data))
    if x.ndim > 1:
        x = x.mean(1)
    x = x.astype(np.float32)
    if rate != RATE:
        divisor = np.gcd(rate, RATE)
        x = resample_poly(x, RATE // divisor, rate // divisor)
    x = x / max(1.0, float(np.abs(x).max())) * 20000
    return x.astype(np.int16)


def trim(x: np.ndarray) -> np.ndarray:
    """Without the silence at either end."""
    loud = np.flatnonzero(np.abs(x) > 600)
    return x[max(0, loud[0] - 800) : loud[-1] + 1600] if len(loud) else x


def speak(text: str, voice: str, rng: random.Random) -> np.ndarray:
    """Text spoken by a free synthesiser at a random speed and pitch."""
    out = "/tmp/calliope-speak-%d.wav" % rng.randrange(1 << 40)
    if voice in FLITE:
        command = ["flite", "-voice", voice, "--setf", f"duration_stretch={rng.uniform(0.8, 1.25):.2f}", "-t", text, "-o", out]
    else:
        command = ["espeak-ng", "-v", voice, "-s", str(rng.randint(125, 195)), "-p", str(rng.randint(25, 75)), "-w", out, text]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    data = Path(out).read_bytes()
    Path(out).unlink()
    # espeak-ng leaves the length open in the header.
    return trim(read_wav(data))


def spoken(job: tuple[str, str, str]) -> np.ndarray:
    text, voice, seed = job
    return speak(text, voice, random.Random(seed))


def speak_all(said, seed: int):
    """Yields the clip of each (text, voice), in their order, while all cores speak; the speeds and pitches follow from `seed`."""
    with multiprocessing.get_context("fork").Pool(PROCESSES) as pool:
        yield from pool.imap(spoken, ((text, voice, f"{seed} {i}") for i, (text, voice) in enumerate(said)), 16)


def spoken_questions() -> list[tuple[str, str]]:
    """Questions people say aloud, with their answers."""
    out = []
    for kind, train, _, items in facts.FAMILIES:
        if kind in ("greeting", "who", "can", "thanks", "bye", "how"):
            out += [(w, items[0]["a"]) for w in train[:6]]
        elif kind == "capital":
            out += [(train[0].format(**item), item["a"]) for item in items]
        elif kind in ("colour", "sound", "day_after", "month_after", "opposite"):
            out += [(train[0].format(**item), item["a"]) for item in items[:16]]
        elif kind == "sum":
            out += [(train[0].format(**item), item["a"]) for item in items if " plus " in item["q"] and item["q"][0].isalpha()
                    and all(facts.NUMBERS.index(n) <= 5 for n in item["q"].split(" plus "))]
    return out


@functools.lru_cache(maxsize=None)
def phones(text: str) -> tuple[str, ...]:
    """What is heard when the text is said, as flite pronounces it (ARPAbet, no pauses)."""
    said = subprocess.run(["flite", "-voice", "rms", "-ps", "-t", text, "-o", "none"], check=True, capture_output=True, text=True)
    return tuple(phone for phone in said.stdout.split() if phone != "pau")


def phrase(rng: random.Random, questions: list[str]) -> str:
    """Something to say: a question, numbers, or a few words."""
    kind = rng.random()
    if kind < 0.4:
        return rng.choice(questions)
    if kind < 0.5:
        asked = facts.question(rng)[1]
        return rng.choice(questions) if any(c in "+-0123456789" for c in asked) else asked
    if kind < 0.75:
        return " ".join(rng.choice(facts.NUMBERS[: rng.choice([10, 10, 21])]) for _ in range(rng.choice([1, 1, 1, 2, 3])))
    return " ".join(rng.choice(facts.WORDS) for _ in range(rng.randint(1, 4)))


class Sounds:
    """All clips, in memory: .digits and .questions are lists of (int16 samples, label, voice), .phrases of (int16, text, voice)."""

    def __init__(self, data: Path, cache: Path):
        digits, questions = self.load_digits(data, cache / "digits.pt"), self.load_questions(cache / "questions.pt")
        self.digits = [d for d in digits if d[2] != HELD_SPEAKER]
        self.held_digits = [d for d in digits if d[2] == HELD_SPEAKER]
        self.questions = [q for q in questions if q[2] not in HELD_VOICES]
        self.held_questions = [q for q in questions if q[2] in HELD_VOICES]
        self.phrases = self.load_phrases(cache / "phrases.pt")
        # A question is known as its answer, whoever asks it.
        answers = dict(spoken_questions())
        self.questions += [(x, (text, answers[text]), voice) for x, text, voice in self.phrases if text in answers]
        # Real voices are fewer than synthetic ones and worth more.
        self.digit_weights = [2.0 if d[2] not in DIGIT_VOICES else 1.0 for d in self.digits]

    @staticmethod
    def load_digits(data: Path, file: Path) -> list[tuple]:
        if not file.exists():
            archive = data / "spoken-digits" / "recordings.tar.xz"
            if not archive.exists():
                raise SystemExit(f"{archive} is missing: give the folder with spoken-digits/recordings.tar.xz by --data")
            digits = []
            with tarfile.open(archive) as tar:
                for member in tar:
                    if member.name.endswith(".wav"):
                        digit, speaker, _ = Path(member.name).name.split("_")
                        digits.append((trim(read_wav(tar.extractfile(member).read())), int(digit), speaker))
            wanted = [(digit, voice) for digit in range(10) for voice in DIGIT_VOICES for _ in range(round(SCALE * (6 if voice in FLITE else 2)))]
            clips = speak_all([(facts.NUMBERS[digit], voice) for digit, voice in wanted], 3)
            digits += [(x, digit, voice) for x, (digit, voice) in zip(clips, wanted)]
            torch.save(digits, file)
        return torch.load(file, weights_only=False)

    @staticmethod
    def load_questions(file: Path) -> list[tuple]:
        if not file.exists():
            rng = random.Random(4)
            wanted = []
            for text, answer in spoken_questions():
                for voice in rng.sample(FLITE, 3) + rng.sample(ESPEAK, 3):
                    wanted.append(((text, answer), voice))
            clips = speak_all([(text, voice) for (text, _), voice in wanted], 4)
            questions = [(x, label, voice) for x, (label, voice) in zip(clips, wanted)]
            torch.save(questions, file)
        return torch.load(file, weights_only=False)


    @staticmethod
    def load_phrases(file: Path) -> list[tuple]:
        if not file.exists():
            rng = random.Random(6)
            questions = [text for text, _ in spoken_questions()]
            wanted = []
            for _ in range(round(SCALE * PHRASES)):
                text = phrase(rng, questions)
                flite = rng.random() < 0.25
                voice = rng.choice([v for v in FLITE if v not in HELD_VOICES]) if flite else f"{rng.choice(ACCENTS)}+{rng.choice(VARIANTS)}"
                wanted.append((text, voice))
            made = [(x, *of) for x, of in zip(speak_all(wanted, 6), wanted) if RATE // 8 < len(x) < 6 * RATE]
            torch.save(made, file)
        return torch.load(file, weights_only=False)


def augment(x: np.ndarray, rng: random.Random) -> np.ndarray:
    """float32 in [-1, 1]: speed and pitch, bandwidth, room, noise, loudness, silence around."""
    y = x.astype(np.float32) / 32768
    factor = rng.uniform(0.82, 1.2)
    y = np.interp(np.arange(0, len(y) - 1, factor), np.arange(len(y)), y).astype(np.float32)
    if rng.random() < 0.6:  # another microphone: brighter or duller
        tilt = rng.uniform(-0.5, 0.8)
        y = np.append(y[:1], y[1:] - tilt * y[:-1]).astype(np.float32)
    if rng.random() < 0.3:  # cut off where it begins or ends
        first, last = (int(RATE * rng.uniform(0, 0.05)) for _ in range(2))
        y = y[first : len(y) - last] if len(y) > 3 * (first + last) else y
    if rng.random() < 0.5:  # telephone
        y = resample_poly(resample_poly(y, 1, 2), 2, 1).astype(np.float32)
    if rng.random() < 0.3:  # a small room
        tail = np.random.randn(2000).astype(np.float32) * np.exp(-np.arange(2000) / rng.uniform(100, 600)).astype(np.float32)
        tail[0] = rng.uniform(3, 12)
        y = fftconvolve(y, tail / np.abs(tail).max())[: len(y) + 800].astype(np.float32)
    if rng.random() < 0.6:  # some recordings have no silence around what is said
        y = np.pad(y, (int(RATE * rng.uniform(0, 0.25)), int(RATE * rng.uniform(0, 0.3))))
    y *= rng.uniform(0.08, 0.9) / max(1e-4, float(np.abs(y).max()))
    noise = np.random.randn(len(y)).astype(np.float32)
    if rng.random() < 0.5:
        noise = np.cumsum(noise) * 0.05
        noise -= uniform_filter1d(noise, 200)
    power = float((y**2).mean() / max(1e-9, (noise**2).mean())) ** 0.5
    return (y + noise.astype(np.float32) * power * 10 ** (-rng.uniform(8, 45) / 20)).clip(-1, 1).astype(np.float32)


class Mel:
    """Log-mel features as WhisperFeatureExtractor."""

    def __init__(self):
        from transformers.audio_utils import mel_filter_bank

        filters = mel_filter_bank(201, 128, 0.0, 8000.0, RATE, norm="slaney", mel_scale="slaney")
        self.filters = torch.from_numpy(filters).float()
        self.window = torch.hann_window(400)

    def __call__(self, x: np.ndarray) -> torch.Tensor:  # -> [128, frames]
        power = torch.stft(torch.from_numpy(x), 400, 160, window=self.window, return_complex=True)[:, :-1].abs() ** 2
        log = (self.filters.T @ power).clamp(min=1e-10).log10()
        return (torch.maximum(log, log.max() - 8) + 4) / 4

    @staticmethod
    def warped(mel: torch.Tensor, rng: random.Random) -> torch.Tensor:
        """As another throat would say it: formants moved (Jaitly and Hinton 2013), slower or faster, another microphone."""
        bins, frames = mel.shape
        pitch, tempo = rng.uniform(0.88, 1.14), rng.uniform(0.8, 1.25)
        for axis, positions in ((0, torch.arange(bins) * pitch), (1, torch.arange(int(frames * tempo)) / tempo)):
            positions = positions.clamp(max=mel.shape[axis] - 1.001)
            low = positions.long()
            part = (positions - low)[:, None] if axis == 0 else positions - low
            mel = mel.index_select(axis, low) * (1 - part) + mel.index_select(axis, low + 1) * part
        place = torch.linspace(0, 3.14159, bins)
        curve = sum(rng.gauss(0, 0.12) * torch.cos(k * place + rng.uniform(0, 6.28)) for k in (1, 2, 3, 5))
        mel = mel + curve[:, None]
        if rng.random() < 0.4:  # nothing above some frequency
            first = rng.randint(72, 110)
            mel[first:] = torch.minimum(mel[first:], mel.min() + rng.uniform(0, 0.3))
        return torch.maximum(mel, mel.max() - 2)

    @staticmethod
    def masked(mel: torch.Tensor, rng: random.Random) -> torch.Tensor:
        """With bands of frequencies and a stretch of time left out (SpecAugment, 1904.08779)."""
        low = mel.min()
        for _ in range(2):
            width, first = rng.randint(0, 18), rng.randint(0, 110)
            mel[first : first + width] = low
        width = rng.randint(0, max(1, mel.shape[1] // 8))
        first = rng.randint(0, mel.shape[1] - width)
        mel[:, first : first + width] = low
        return mel

    def batch(self, clips: list[np.ndarray], rng: random.Random | None = None, masks: float = 0.0) -> tuple[torch.Tensor, torch.Tensor]:
        """[B, 128, T] padded to whole seconds, and the frames of each; with an `rng` warped, and a share of them masked."""
        mels = [self(clip) for clip in clips]
        if rng:
            mels = [self.warped(mel, rng) for mel in mels]
            mels = [self.masked(mel, rng) if rng.random() < masks else mel for mel in mels]
        frames = torch.tensor([m.shape[1] for m in mels])
        longest = int((frames.max() + 99) // 100 * 100)
        return torch.stack([torch.nn.functional.pad(m, (0, longest - m.shape[1])) for m in mels]), frames
