"""How well the marks of what was spoken (SpokenMark) tell which words a listener has heard when an answer is cut off.

usage: python eval_alignment.py --calliope build/release/calliope [--model models/calliope-nano] [--answers 100] [--cuts 200]

Asks questions in wordings kept back, takes the spoken answers and their marks, and cuts them at random. The words kept are
those whose mark lies before the cut; the truth is where a forced alignment of the sound and its text by an independent
recogniser (pocketsphinx, from PyPI) has each word end. Clips that it cannot align are left out, and counted.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
import soundfile
from pocketsphinx import Decoder
from scipy.signal import resample_poly

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parent / "voice")]

from eval_speech_tools import phones_of, spoken_words  # noqa: E402
from understanding import facts  # noqa: E402

PAD = 4800  # samples at 24 kHz before and after


def ask(calliope: str, model: str, question: str, wav: str) -> tuple[bytes, list[tuple[float, int]]]:
    """The answer's text and its marks: (seconds, bytes of the text that have been said)."""
    run = subprocess.run([calliope, "ask", question, "--speak", wav, "--words", "--model", model, "--temperature", "0"], capture_output=True, check=True)
    lines = [line.split("\t") for line in run.stderr.decode().splitlines() if line.count("\t") == 2]
    return run.stdout.rstrip(b"\n"), [(float(seconds), int(count)) for seconds, count, _ in lines]


def word_ends(text: str) -> list[tuple[int, list[str]]]:
    """Of every word of the text that is spoken: where it ends, in bytes, and how it is said."""
    out, at = [], 0
    for word in text.split():
        at = text.index(word, at) + len(word)
        if said := spoken_words(word).split():
            out.append((len(text[:at].encode()), said))
    return out


def aligned(decoder: Decoder, wave: np.ndarray, words: list[tuple[int, list[str]]]) -> list[float] | None:
    """When each word has been said, in seconds; None when the recogniser does not find the text in the sound."""
    said = [part for _, parts in words for part in parts]
    for part in said:
        if decoder.lookup_word(part) is None:
            decoder.add_word(part, phones_of(part))
    samples = resample_poly(np.concatenate([np.zeros(PAD), wave, np.zeros(PAD)]), 2, 3)
    decoder.set_align_text(" ".join(said))
    decoder.start_utt()
    decoder.process_raw((samples.clip(-1, 1) * 32767).astype(np.int16).tobytes(), full_utt=True)
    decoder.end_utt()
    found = [s for s in decoder.seg() or [] if not s.word.startswith(("<", "[", "+"))]
    if [s.word.split("(")[0] for s in found] != said:
        return None
    ends, at = [], 0
    for _, parts in words:
        at += len(parts)
        ends.append((found[at - 1].end_frame + 1) / 100 - PAD / 24000)
    return ends


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calliope", required=True, help="the program")
    parser.add_argument("--model", default="models/calliope-nano")
    parser.add_argument("--answers", type=int, default=100)
    parser.add_argument("--cuts", type=int, default=200)
    parser.add_argument("--show", type=int, default=0, help="print the marks of so many answers beside the truth")
    args = parser.parse_args()
    rng = random.Random(23)
    by_kind: dict[str, dict[str, None]] = {}
    for _ in range(40 * args.answers):
        kind, question, answer = facts.question(rng, held_out=True)
        by_kind.setdefault(kind, {})[question] = None
    # Of all kinds alike, so that long sentences are among them.
    questions = [q for q in (rng.choice(list(by_kind[rng.choice(sorted(by_kind))])) for _ in range(20 * args.answers))]
    questions = list(dict.fromkeys(questions))[: args.answers]
    decoder = Decoder(lm=None, loglevel="FATAL", beam=1e-60, wbeam=1e-40, pbeam=1e-60)
    clips, failed, offsets = [], 0, []
    with tempfile.TemporaryDirectory() as folder:
        for i, question in enumerate(questions):
            text, marks = ask(args.calliope, args.model, question, f"{folder}/{i}.wav")
            wave, _ = soundfile.read(f"{folder}/{i}.wav")
            words = word_ends(text.decode())
            if not words or len(marks) == 0 or marks[-1][1] != len(text):
                raise SystemExit(f"{question!r}: the last mark does not name the whole text {text!r}: {marks}")
            ends = aligned(decoder, wave, words)
            if ends is None:
                failed += 1
                continue
            clips.append((len(wave) / 24000, words, ends, marks))
            for (end, _), truth in list(zip(words, ends))[:-1]:
                offsets.append(min(seconds for seconds, count in marks if count >= end) - truth)
            if i < args.show:
                print(text.decode(), [(round(t, 2), round(min(s for s, c in marks if c >= end), 2)) for (end, _), t in zip(words, ends)])
    errors = Counter()
    for _ in range(args.cuts):
        length, words, ends, marks = rng.choice(clips)
        cut = rng.uniform(0, length)
        kept = max([count for seconds, count in marks if seconds <= cut], default=0)
        errors[sum(end <= kept for end, _ in words) - sum(end <= cut for end in ends)] += 1
    print(f"{len(clips)} answers of {sum(len(c[1]) for c in clips)} words; {failed} more could not be aligned")
    print("mark after the word's end, ms: median %.0f, 5 %% to 95 %%: %.0f to %.0f" % tuple(1000 * np.percentile(offsets, [50, 5, 95])))
    within = {most: sum(n for error, n in errors.items() if abs(error) <= most) for most in (0, 1)}
    print(f"{args.cuts} cuts: the words kept are those heard in {within[0]} ({100 * within[0] / args.cuts:.1f} %), "
          f"within one word in {within[1]} ({100 * within[1] / args.cuts:.1f} %); kept minus heard: {dict(sorted(errors.items()))}")


if __name__ == "__main__":
    main()
