"""Finds the words of the recorded coffee orders, and when they are said: their labels tell the slots only.

usage: python -m understanding.transcribe_orders DATA_DIR/voice-orders OUT_DIR/orders-text.json [--open]

For every clip a small grammar is made whose orders have exactly its slots, and pocketsphinx finds the wording in it that fits
best. With --open a second decoding, with a grammar that leaves every slot open, shows whether the slots are heard without being
told. The file gets {clip: {"text", "score", "words": [[word, start_s, end_s], ...], "open_text", "open_gain", "carrier",
"carrier_margin", "doubtful", "why"}}; score is the mean acoustic score (log) of a frame within words, open_gain by how much the
open wording fits a frame better.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import re
from pathlib import Path

import numpy as np
import pocketsphinx
import soundfile

RATE, FRAME = 16000, 0.01
BEFORE = ("size", "roast", "numberOfShots")
EXTRAS = ("milkAmount", "sugarAmount")
# How orders begin, with weights: those first named are usual in these recordings.
CARRIERS = {8: ["can i get", "can i have", "i want", "get me", "give me", "i'd like", "make me", "may i have", "brew"],
            2: ["could i get", "could i have", "may i get", "i would like", "i'll have", "i'll take", "please make me", "let me have",
                "i need", "can i please get", "can i please have", "could you make me", "can you make me", "please get me",
                "please give me", "brew me", "just", "let me get", "i will have"]}
WORDS = {"americano": ["AH M EH R AH K AA N OW", "AH M EH R IH K AE N OW"],
         "cappuccino": ["K AE P AH CH IY N OW", "K AA P UW CH IY N OW"],
         "espresso": [], "latte": ["L AE T EY", "L AH T EY"], "mocha": ["M AA K AH", "M AO K AH"],
         "almond": ["AE L M AH N D", "AA L M AH N D"], "sweetener": ["S W IY T EH N ER"],
         "iced": ["AY S"], "ounce": ["AW N S AH Z"], "and": ["AE N", "AH N"], "brew": ["B R UW"]}


def choice(weighted: dict[str, float]) -> str:
    return "( " + " | ".join(f"/{weight}/ {text or '<NULL>'}" for text, weight in weighted.items()) + " )"


def frame_of_order(body: str, without: str | None = None) -> str:
    """A grammar: what may be said around the order itself, `without` one of the ways to begin it, but not without any."""
    carriers = {text: weight for weight, texts in CARRIERS.items() for text in texts} | {"": 2}
    carriers = {text: weight for text, weight in carriers.items() if without is None or text not in ("", without)}
    return f"""#JSGF V1.0;
grammar order;
<extra> = {body};
public <order> = {choice({"": 40, "um": 1, "uh": 1})} {choice({"": 40, "hello": 1, "hi": 1, "hey": 1})} {choice(carriers)} <extra> {choice({"": 20, "please": 2, "thanks": 1, "thank you": 1})};
"""


def article(text: str) -> str:
    """No "the", which sounds too much like "a"."""
    return choice({"an": 4, "a": 1, "": 0.5, "one": 0.2} if text[0] in "aei" else {"a": 4, "": 0.5, "one": 0.2})


def known(slots: dict[str, str]) -> str:
    """Every order of these slots."""
    drink, said = slots["coffeeDrink"], {name: value.strip() for name, value in slots.items()}
    before = [said[name] for name in BEFORE if name in slots]
    extras = [said[name] for name in EXTRAS if name in slots]
    weighted: dict[str, float] = {}
    for line in itertools.permutations(before):
        for cut in range(len(line) + 1):
            after = "".join(f" {choice({'': 4, 'with a': 1, 'and': 1, 'with': 1})} {x}" for x in line[cut:])
            weighted[f"{' '.join(line[:cut])} {drink}{after}".strip()] = 20 if cut == len(line) else 1
    body = choice({f"{article(text)} {text}": weight for text, weight in weighted.items()})
    if extras:
        lead, joint = choice({"with": 10, "and": 1, "": 1}), choice({"and": 10, "with": 2, "and with": 2, "": 1})
        body += " " + choice({f"{lead} " + f" {joint} ".join(line): 1 for line in itertools.permutations(extras)})
    return body


def anything(labels: dict) -> str:
    """The usual line of any slots, each of which may be missing."""
    values = {name: sorted({label["slots"][name].strip() for label in labels.values() if name in label["slots"]})
              for name in ("coffeeDrink", *BEFORE, *EXTRAS)}
    one_of = {name: "( " + " | ".join(v) + " )" for name, v in values.items()}
    mods = "[ " + " | ".join(one_of[name] for name in BEFORE) + " ] "
    milk, sugar = (one_of[name] for name in EXTRAS)
    return f"[ a | an ] {mods * 3} {one_of['coffeeDrink']} [ with ( {milk} [ and {sugar} ] | {sugar} [ and {milk} ] ) ]"


def recognizer(beam: float) -> pocketsphinx.Decoder:
    decoder = pocketsphinx.Decoder(samprate=RATE, cmn="batch", beam=beam, wbeam=beam, pbeam=beam, lw=5.0, bestpath=False,
                                   lm=None, loglevel="FATAL")
    for word, sounds in WORDS.items():
        have = decoder.lookup_word(word) is not None
        for number, phones in enumerate(sounds):
            decoder.add_word(f"{word}({number + 5})" if have or number else word, phones, True)
    return decoder


def prepared(x: np.ndarray, window: int = 800, margin: int = 4) -> tuple[bytes, float]:
    """The spoken part, equally loud in all clips and over a faint noise (the clips have stretches of zeros), and where it starts."""
    level = np.sqrt((x[: len(x) // window * window].reshape(-1, window) ** 2).mean(1))
    loud = np.flatnonzero(level > 0.04 * level.max())
    begin, end = max(0, loud[0] - margin) * window, (loud[-1] + 1 + margin) * window
    x = x[begin:end] / max(1e-3, float(np.abs(x).max())) * 24000
    return (x + np.random.default_rng(0).normal(0, 8, len(x))).astype(np.int16).tobytes(), begin / RATE


def heard(decoder: pocketsphinx.Decoder, grammar: str, pcm: bytes) -> tuple[list, float, int] | None:
    """Words with their times, acoustic score and frames of the whole clip; None when no order fits."""
    decoder.activate_search(grammar)
    decoder.start_utt()
    decoder.process_raw(pcm, full_utt=True)
    decoder.end_utt()
    if decoder.hyp() is None:
        return None
    # pocketsphinx scales its scores down by 1024 and hands them out as exponentials
    parts = [(s.word, s.start_frame, s.end_frame + 1, 1024 * math.log(max(s.ascore, 1e-300))) for s in decoder.seg() if s.word != "(NULL)"]
    words = [(w.split("(")[0], a, b, score) for w, a, b, score in parts if w[0] not in "<[("]
    return words, sum(p[3] for p in parts), parts[-1][2] if parts else 0


def text_of(words: list) -> str:
    return " ".join(w[0] for w in words)


def carrier_of(text: str) -> str:
    text = re.sub("^(um |uh )?(hello |hi |hey )?", "", text) + " "
    return max((c for texts in CARRIERS.values() for c in texts if text.startswith(c + " ")), key=len, default="")


def loud_gap(pcm: bytes, words: list, window: int = 400) -> float:
    """Seconds of loud sound outside the words."""
    x = np.frombuffer(pcm, np.int16).astype(np.float32)
    level = np.sqrt((x[: len(x) // window * window].reshape(-1, window) ** 2).mean(1))
    outside = np.ones(len(level), bool)
    for _, a, b, _ in words:
        outside[int(a * FRAME * RATE / window) : int(b * FRAME * RATE / window) + 2] = False
    return float((outside & (level > 0.2 * np.percentile(level, 95))).sum() * window / RATE)


def slot_words(text: str, labels: dict) -> list[str]:
    vocabulary = {w for label in labels.values() for v in label["slots"].values() for w in v.split()} - {"a", "of"}
    return sorted(w for w in text.split() if w in vocabulary)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", type=Path, metavar="DATA_DIR")
    parser.add_argument("out", type=Path, metavar="OUT_FILE")
    parser.add_argument("--open", action="store_true", help="decode with open slots too, which takes twice the time")
    parser.add_argument("--clips", type=int, default=10**6, help="only so many")
    args = parser.parse_args()
    labels = json.loads((args.data / "labels.json").read_text())
    decoder, opener, found = recognizer(1e-90), recognizer(1e-50), {}
    opener.add_jsgf_string("open", frame_of_order(anything(labels)))
    for number, (name, label) in enumerate(sorted(labels.items())[: args.clips]):
        if number % 50 == 0:
            print(number, flush=True)
        x, rate = soundfile.read(args.data / "clips" / name, dtype="float32")
        assert rate == RATE and x.ndim == 1, name
        pcm, start = prepared(x)
        body = known(label["slots"])
        decoder.add_jsgf_string("known", frame_of_order(body))
        best, free, why = heard(decoder, "known", pcm), heard(opener, "open", pcm) if args.open else None, []
        if best is None:
            found[name] = {"text": "", "score": None, "words": [], "doubtful": True, "why": ["nothing found"]}
            continue
        words, total, frames = best
        text = text_of(words)
        wanted = [w for v in label["slots"].values() for w in v.split()]
        if sorted(w for w in wanted if w not in ("a", "of")) != slot_words(text, labels) or any(v.strip() not in text for v in label["slots"].values()):
            why.append("cut off: slot words missing or twice")
        if any(b - a > 1.5 / FRAME or b - a < (3 if w in ("a", "i", "an", "of", "and") else 5) for w, a, b, _ in words):
            why.append("word too short or too long")
        # how much better this beginning fits than any other
        carrier = carrier_of(text)
        decoder.add_jsgf_string("known", frame_of_order(body, without=carrier))
        second = heard(decoder, "known", pcm)
        margin = total - second[1] if second else None
        if margin is not None and margin < 5:
            why.append(f"begins perhaps with: {carrier_of(text_of(second[0])) or 'nothing'}")
        if not carrier:
            why.append("no beginning heard")
        unheard = loud_gap(pcm, words)
        if unheard > 0.35:
            why.append(f"{unheard:.2f} s of sound without words")
        gain = None
        if free is not None:
            gain = (free[1] - total) / max(1, frames)
            if slot_words(text_of(free[0]), labels) != slot_words(text, labels):
                why.append("other slots heard")
        found[name] = {"text": text, "score": round(sum(w[3] for w in words) / max(1, sum(w[2] - w[1] for w in words)), 2),
                       "words": [[w, round(start + a * FRAME, 2), round(start + b * FRAME, 2)] for w, a, b, _ in words],
                       "open_text": text_of(free[0]) if free else "", "open_gain": None if gain is None else round(gain, 3), "carrier": carrier,
                       "carrier_margin": None if margin is None else round(margin, 1), "why": why}
    scores = np.array([f["score"] for f in found.values() if f["score"] is not None])
    poor = np.median(scores) - 2.5 * 1.48 * np.median(np.abs(scores - np.median(scores)))  # 2.5 sigma below, robustly
    for f in found.values():
        if f["score"] is not None and f["score"] < poor:
            f["why"].append("poor score")
        f["doubtful"] = bool(f["why"])
    args.out.write_text(json.dumps(found, indent=1))
    print(len(found), "clips,", sum(f["doubtful"] for f in found.values()), "doubtful; poor below", round(float(poor), 2))


if __name__ == "__main__":
    main()
