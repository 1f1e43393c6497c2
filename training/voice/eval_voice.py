"""How well an independent recogniser (pocketsphinx, grammar = the answers) understands the voice.

  eval_voice.py --out DIR [--count 120] [--grammar 400]

Reports three ceilings and floors: the flite source, the codec's resynthesis of it, and the whole
talker path, for answers of the domain and for sentences whose wording was not trained.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import random
import re
import subprocess
import sys
import tempfile

import numpy as np
import soundfile
import torch
from scipy.signal import resample_poly

import config
from texts import number_words

MODEL = "/usr/share/pocketsphinx/model/en-us"


@functools.cache
def dictionary() -> dict[str, str]:
    words = {}
    for line in open(f"{MODEL}/cmudict-en-us.dict"):
        word, _, phones = line.strip().partition(" ")
        words[word] = phones
    return words


def spoken_words(text: str) -> str:
    """Lower-case words as they are said: numbers written out, punctuation gone."""
    text = re.sub(r"\d+", lambda m: " " + number_words(int(m[0])) + " ", text.replace("-", " - "))
    return " ".join(re.sub(r"[^a-z' ]+", " ", text.lower()).replace(" '", " ").replace("' ", " ").split())


def phones_of(word: str) -> str:
    out = subprocess.run(["flite", "-ps", "-t", word, "-o", "none"], capture_output=True, text=True).stdout
    return " ".join({"ax": "AH"}.get(p, p.upper()) for p in out.split() if p != "pau")


def sounds(sentence: str) -> str:
    """Its phones, so that "read" for "red" is no mistake."""
    return " ".join(dictionary().get(w) or phones_of(w) for w in sentence.split())


def recognise(waves: list[np.ndarray], sentences: list[str]) -> list[str]:
    """What pocketsphinx hears of 24 kHz waves when only `sentences` (spoken words) can be said."""
    known_phones = {p for phones in dictionary().values() for p in phones.split()}
    sayable = lambda word: bool(phones := (dictionary().get(word) or phones_of(word)).split()) and known_phones.issuperset(phones)
    sentences = sorted(s for s in set(sentences) if s and all(map(sayable, s.split())))
    with tempfile.TemporaryDirectory() as folder:
        path = lambda name: os.path.join(folder, name)
        known = dictionary()
        with open(path("words.dict"), "w") as f:
            for word in sorted({w for s in sentences for w in s.split()}):
                f.write(f"{word} {known.get(word) or phones_of(word)}\n")
                for k in range(2, 5):
                    if f"{word}({k})" in known:
                        f.write(f"{word}({k}) {known[f'{word}({k})']}\n")
        with open(path("answers.jsgf"), "w") as f:
            f.write("#JSGF V1.0;\ngrammar answers;\npublic <a> = " + "\n | ".join(sentences) + ";\n")
        with open(path("ctl"), "w") as f:
            for i, wave in enumerate(waves):
                x = resample_poly(np.concatenate([np.zeros(4800), wave, np.zeros(4800)]), 2, 3)
                soundfile.write(path(f"u{i}.wav"), np.clip(x, -1, 1), 16000, subtype="PCM_16")
                f.write(f"u{i}\n")
        subprocess.run(
            ["pocketsphinx_batch", "-adcin", "yes", "-adchdr", "44", "-cepdir", folder, "-cepext", ".wav", "-ctl", path("ctl"),
             "-hmm", f"{MODEL}/en-us", "-dict", path("words.dict"), "-jsgf", path("answers.jsgf"), "-hyp", path("hyp")],
            check=True, capture_output=True,
        )
        heard = {m[2]: m[1].strip() for m in (re.match(r"(.*) ?\((u\d+) ", line) for line in open(path("hyp"))) if m}
    return [heard.get(f"u{i}", "") for i in range(len(waves))]


def share_understood(name: str, waves, said: list[str], grammar: list[str], show: int = 0) -> float:
    heard = recognise(waves, grammar + said)
    right = [sounds(h) == sounds(s) for h, s in zip(heard, said)]
    print(f"{name}: {sum(right)} of {len(said)} understood ({100 * np.mean(right):.1f} %), {len(set(grammar + said))} sentences in the grammar", flush=True)
    for h, s in [(h, s) for h, s, ok in zip(heard, said, right) if not ok][:show]:
        print(f"    said: {s} | heard: {h}")
    return float(np.mean(right))


@torch.no_grad()
def decode(code2wav, codes: torch.Tensor) -> np.ndarray:
    if len(codes) < 2:
        return np.zeros(1920, np.float32)
    return code2wav(codes.T[None].long())[0].clamp(-1, 1).numpy()


def evaluate(store, codes, code2wav, talker=None, text=None, count: int = 120, grammar_size: int = 400, show: int = 12, kinds=None) -> dict:
    from codec import utterance
    from talker_training import generate

    figures = {}
    audio = store.audio()
    r = random.Random(5)
    everything = [i for i in store.items if len(i["text"]) < 160]
    for kind in kinds or sorted({i["kind"] for i in everything}):
        chosen = [i for i in everything if i["kind"] == kind]
        r.shuffle(chosen)
        chosen = chosen[:count]
        said = [spoken_words(i["text"]) for i in chosen]
        family = [i for i in everything if i["kind"].split("-")[0] == kind.split("-")[0]]
        grammar = [spoken_words(i["text"]) for i in r.sample(family, min(grammar_size, len(family)))]
        figures[f"{kind} source"] = share_understood(f"{kind}, flite itself", [utterance(audio, i).numpy() for i in chosen], said, grammar)
        resynthesis = [decode(code2wav, codes[i["start"] : i["start"] + i["frames"]]) for i in chosen]
        figures[f"{kind} codec"] = share_understood(f"{kind}, codec", resynthesis, said, grammar, show // 3)
        if talker is not None:
            user = text.user_turn(text.encode("Hello"))
            made = []
            for k in range(0, len(chosen), 40):
                made += generate(talker, text, user, [text.encode(i["text"]) for i in chosen[k : k + 40]])
            figures[f"{kind} talker"] = share_understood(f"{kind}, talker", [decode(code2wav, c) for c in made], said, grammar, show)
            lengths = np.array([[len(c), i["frames"]] for c, i in zip(made, chosen)])
            figures[f"{kind} stopped"] = float((lengths[:, 0] < 150).mean())
            print(f"    frames against flite: mean ratio {(lengths[:, 0] / lengths[:, 1]).mean():.2f}, stopped by itself {100 * figures[f'{kind} stopped']:.1f} %")
    return figures


def main():
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))  # optimizer.py
    from code2wav import Code2Wav
    from speech_data import SpeechStore
    from talker import Talker
    from talker_training import Text, load_ready

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", required=True, help="the folder train.py works in")
    parser.add_argument("--text-assets", help="JSON file naming tokenizer, embeddings and tts ids")
    parser.add_argument("--count", type=int, default=120)
    parser.add_argument("--grammar", type=int, default=400)
    parser.add_argument("--save", help="folder for some of the spoken answers as wav")
    parser.add_argument("--codec-only", action="store_true")
    parser.add_argument("--kinds", nargs="*")
    a = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    store = SpeechStore(os.path.join(a.out, "speech"))
    codes = torch.load(os.path.join(a.out, "codes.pt"))
    code2wav = Code2Wav(config.CODE2WAV).eval()
    code2wav.load_state_dict(torch.load(os.path.join(a.out, "code2wav.pt"))["ema"])
    talker = text = None
    if not a.codec_only:
        text = Text(**load_ready(a.text_assets))
        talker = Talker(config.TALKER).eval()
        talker.load_state_dict(torch.load(os.path.join(a.out, "talker.pt"))["ema"])
    figures = evaluate(store, codes, code2wav, talker, text, a.count, a.grammar, kinds=a.kinds)
    json.dump(figures, open(os.path.join(a.out, "figures.json"), "w"), indent=2)
    if a.save:
        os.makedirs(a.save, exist_ok=True)
        audio = store.audio()
        from codec import utterance
        for k, i in enumerate(store.items[:6]):
            soundfile.write(f"{a.save}/codec{k}.wav", decode(code2wav, codes[i["start"] : i["start"] + i["frames"]]), 24000)
            soundfile.write(f"{a.save}/source{k}.wav", utterance(audio, i).numpy(), 24000)


if __name__ == "__main__":
    main()
