"""Tools to measure speech with: what pocketsphinx hears of it and when, where its sound begins and ends, pitch (Praat), loudness
(BS.1770), and how near one sound is to another (PESQ, STOI, mel distance)."""

from __future__ import annotations

import functools
import os
import re
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import soundfile
from scipy.signal import resample_poly

from texts import number_words

MODEL = "/usr/share/pocketsphinx/model/en-us"  # Debian's pocketsphinx-en-us
HEARD_RATE = 16000
PAD_S = 0.25  # of silence around what is to be recognised
STEP_S = 0.01
QUIET_DB = -35.0  # against the loudest sample; what is below is no sound


@functools.cache
def dictionary() -> dict[str, str]:
    words = {}
    for line in open(f"{MODEL}/cmudict-en-us.dict"):
        word, _, phones = line.strip().partition(" ")
        words[word] = phones
    return words


@functools.cache
def phones_of(word: str) -> str:
    out = subprocess.run(["flite", "-ps", "-t", word, "-o", "none"], capture_output=True, text=True).stdout
    return " ".join({"ax": "AH"}.get(p, p.upper()) for p in out.split() if p != "pau")


def sounds(sentence: str) -> str:
    """Its phones, so that "read" for "red" is no mistake."""
    return " ".join(dictionary().get(w) or phones_of(w) for w in sentence.split())


def spoken_words(text: str) -> str:
    """Lower-case words as they are said: numbers written out, punctuation gone."""
    text = re.sub(r"\d+", lambda m: " " + number_words(int(m[0])) + " ", text.replace("-", " - "))
    return " ".join(re.sub(r"[^a-z' ]+", " ", text.lower()).replace(" '", " ").replace("' ", " ").split())


_ONE_SPELLING = {"mr": "mister", "mrs": "missus", "dr": "doctor", "o": "oh", "ok": "okay", "pm": "p m", "usb": "u s b", "fbi": "f b i"}


def words_of(text: str) -> list[str]:
    """Words to be compared: one spelling for those that have several."""
    words = " ".join(_ONE_SPELLING.get(word) or re.sub(r"(met|lit)re(s?)$", r"\1er\2", word) for word in spoken_words(text).split())
    return [word for part in words.split() if (word := part.strip("'"))]


@dataclass
class Heard:
    words: list[tuple[str, float, float]]  # (word, start, end in seconds)

    @property
    def text(self) -> str:
        return " ".join(word for word, _, _ in self.words)


def _recognise(waves: list[np.ndarray], rate: int, folder: str, options: list[str]) -> list[Heard]:
    """pocketsphinx with `options`, a sound at a time; Heard of no words where it hears nothing."""
    path = functools.partial(os.path.join, folder)
    with open(path("ctl"), "w") as names:
        for i, wave in enumerate(waves):
            x = np.concatenate([np.zeros(round(PAD_S * rate)), wave, np.zeros(round(PAD_S * rate))])
            x = x if rate == HEARD_RATE else resample_poly(x, HEARD_RATE, rate)
            soundfile.write(path(f"u{i}.wav"), np.clip(x, -1, 1), HEARD_RATE, subtype="PCM_16")
            names.write(f"u{i}\n")
    command = ["pocketsphinx_batch", "-adcin", "yes", "-adchdr", "44", "-cepdir", folder, "-cepext", ".wav", "-ctl", path("ctl"),
               "-hmm", f"{MODEL}/en-us", "-hyp", path("hyp"), "-hypseg", path("hypseg"), *options]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True)
    heard = [Heard([]) for _ in waves]
    for line in open(path("hypseg")):  # u0 S .. T .. A .. L .., then start, score, score, word in turn, and the last end
        name, *parts = line.split()
        parts = parts[8:]
        for at in range(0, len(parts) - 4, 4):
            word = parts[at + 3].partition("(")[0]
            if word and word[0] not in "<[+":
                start, end = (int(parts[k]) / 100 - PAD_S for k in (at, at + 4))
                heard[int(name[1:])].words.append((word, start, end))
    return heard


def transcribe(waves: list[np.ndarray], rate: int) -> list[Heard]:
    """What pocketsphinx hears with its large-vocabulary model of US English (three-gram, 130,000 words)."""

    def part(these: list[np.ndarray]) -> list[Heard]:
        with tempfile.TemporaryDirectory() as folder:
            return _recognise(these, rate, folder, ["-dict", f"{MODEL}/cmudict-en-us.dict", "-lm", f"{MODEL}/en-us.lm.bin"])

    at_once = max(1, min(os.cpu_count() or 1, len(waves) // 4))
    with ThreadPoolExecutor(at_once) as pool:
        parts = list(pool.map(part, [waves[k::at_once] for k in range(at_once)]))
    return [parts[i % at_once][i // at_once] for i in range(len(waves))]


def recognise(waves: list[np.ndarray], sentences: list[str]) -> list[str]:
    """What pocketsphinx hears of 24 kHz waves when only `sentences` (spoken words) can be said."""
    known = dictionary()
    known_phones = {p for phones in known.values() for p in phones.split()}
    sayable = lambda word: bool(phones := (known.get(word) or phones_of(word)).split()) and known_phones.issuperset(phones)
    sentences = sorted(s for s in set(sentences) if s and all(map(sayable, s.split())))
    with tempfile.TemporaryDirectory() as folder:
        words, grammar = os.path.join(folder, "words.dict"), os.path.join(folder, "answers.jsgf")
        with open(words, "w") as f:
            for word in sorted({w for s in sentences for w in s.split()}):
                f.write(f"{word} {known.get(word) or phones_of(word)}\n")
                f.writelines(f"{word}({k}) {known[f'{word}({k})']}\n" for k in range(2, 5) if f"{word}({k})" in known)
        with open(grammar, "w") as f:
            f.write("#JSGF V1.0;\ngrammar answers;\npublic <a> = " + "\n | ".join(sentences) + ";\n")
        return [heard.text for heard in _recognise(waves, 24000, folder, ["-dict", words, "-jsgf", grammar])]


def share_understood(name: str, waves, said: list[str], grammar: list[str], show: int = 0) -> float:
    heard = recognise(waves, grammar + said)
    right = [sounds(h) == sounds(s) for h, s in zip(heard, said)]
    print(f"{name}: {sum(right)} of {len(said)} understood ({100 * np.mean(right):.1f} %), {len(set(grammar + said))} sentences in the grammar", flush=True)
    for h, s in [(h, s) for h, s, ok in zip(heard, said, right) if not ok][:show]:
        print(f"    said: {s} | heard: {h}")
    return float(np.mean(right))


def _edits(wanted: list[str], got: list[str]) -> list[int]:
    """Fewest insertions, deletions and substitutions between all of `wanted` and each beginning of `got`: [len(got) + 1]."""
    row = list(range(len(got) + 1))
    for i, x in enumerate(wanted):
        after = [i + 1]
        for j, y in enumerate(got):
            after.append(min(row[j] + (x != y), row[j + 1] + 1, after[j] + 1))
        row = after
    return row


def wrong_words(said: str, heard: Heard) -> tuple[int, int]:
    """Words wrong (substituted, left out, added), and words said."""
    wanted = words_of(said)
    return _edits(wanted, words_of(heard.text))[-1], len(wanted)


def last_word_end(said: str, heard: Heard) -> float | None:
    """When the last word is over, in seconds, as the recogniser has it; None when it heard nothing.

    The phones of what was said and of what was heard are aligned; those heard after the last one said are none of the text."""
    phones, times = [], []
    for word, start, end in heard.words:
        own = (sounds(word) or "?").split()
        phones += own
        times += [start + (end - start) * (k + 1) / len(own) for k in range(len(own))]
    fewest = _edits(sounds(" ".join(words_of(said))).split(), phones)
    last = next(j for j in range(len(phones) + 1) if fewest[j] + len(phones) - j == fewest[-1])
    return times[last - 1] if last else None


def sounding(wave: np.ndarray, rate: int) -> np.ndarray:
    """Which steps of STEP_S hold sound: a sample above QUIET_DB of the loudest."""
    step = round(STEP_S * rate)
    peaks = np.abs(np.pad(wave, (0, -len(wave) % step))).reshape(-1, step).max(1)
    return peaks > max(peaks.max(initial=0) * 10 ** (QUIET_DB / 20), 1e-4)


def span(wave: np.ndarray, rate: int) -> tuple[float, float]:
    """Where the first sound begins and the last one ends, in seconds."""
    at = np.flatnonzero(sounding(wave, rate))
    return (at[0] * STEP_S, min((at[-1] + 1) * STEP_S, len(wave) / rate)) if len(at) else (0.0, 0.0)


def is_cut(wave: np.ndarray, rate: int) -> bool:
    """Whether its last 20 ms are louder than QUIET_DB of its loudest sample."""
    end = wave[-round(0.02 * rate) :]
    return bool(len(end) and np.abs(end).max() > np.abs(wave).max() * 10 ** (QUIET_DB / 20))


def pitch(waves: list[np.ndarray], rate: int) -> dict[str, float]:
    """Share of voiced ones among the steps with sound; 5th, 50th and 95th percentile of F0 in Hz and the range between, by Praat's
    autocorrelation (60 to 250 Hz) over all waves together."""
    import parselmouth

    voiced = steps = 0
    hz = []
    for wave in waves:
        found = parselmouth.Sound(wave.astype(np.float64), rate).to_pitch_ac(time_step=STEP_S, pitch_floor=60, pitch_ceiling=250)
        loud = sounding(wave, rate)
        f0 = found.selected_array["frequency"][loud[(found.xs() / STEP_S).astype(int).clip(0, len(loud) - 1)]]
        voiced, steps = voiced + (f0 > 0).sum(), steps + len(f0)
        hz.append(f0[f0 > 0])
    low, middle, high = np.percentile(np.concatenate(hz), [5, 50, 95])
    return {"voiced_share": float(voiced / steps), "f0_5_hz": float(low), "f0_50_hz": float(middle), "f0_95_hz": float(high), "f0_range_hz": float(high - low)}


def loudness(waves: list[np.ndarray], rate: int) -> dict[str, float]:
    """Integrated loudness of each wave (BS.1770, in LUFS): mean, standard deviation and range from the 5th to the 95th percentile."""
    import pyloudnorm

    meter = pyloudnorm.Meter(rate)
    each = np.array([meter.integrated_loudness(wave.astype(np.float64)) for wave in waves if len(wave) >= 0.4 * rate])
    each = each[np.isfinite(each)]
    low, high = np.percentile(each, [5, 95])
    return {"mean_lufs": float(each.mean()), "deviation_lu": float(each.std()), "spread_lu": float(high - low)}


def likeness(source: np.ndarray, made: np.ndarray, rate: int, mel: np.ndarray) -> dict[str, float]:
    """Wide-band PESQ, STOI, and the mean distance of mel bands in dB, which counts down to 60 dB below the source's loudest.

    mel [bands, 513]: filters for magnitudes of 1024 samples. Equally long sounds."""
    from pesq import pesq
    from pystoi import stoi

    a, b = resample_poly(source, HEARD_RATE, rate), resample_poly(made, HEARD_RATE, rate)
    window = np.hanning(1024)
    bands = lambda x: np.abs(np.fft.rfft(np.lib.stride_tricks.sliding_window_view(x, 1024)[::240] * window)) @ mel.T
    x, y = bands(source), bands(made)
    floor = x.max() / 1000
    decibels = 20 * np.abs(np.log10(np.maximum(x, floor)) - np.log10(np.maximum(y, floor)))
    return {"pesq": float(pesq(HEARD_RATE, a, b, "wb")), "stoi": float(stoi(a, b, HEARD_RATE)), "mel_db": float(decibels.mean())}
