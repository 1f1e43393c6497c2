"""How English words sound, for the talker: src/reading/pronunciations.txt, which the engine and training respell texts by.

usage: voice/pronunciations.py TOKENIZER [--answers FILE]      writes that file: the words of all texts that training has, as CMUdict (in flite) says them

A sound is one or two small letters (SOUNDS), put together without blanks: enough -> inxf. So a small talker learns forty sounds,
and not how fifty thousand words are spelled. What is not in the file stays as it is written: words that are not known, and frequent
ones that are one token, as the talker takes no more than a token a frame."""

from __future__ import annotations

import ctypes as c
import random
import re
import sys
from collections import Counter
from pathlib import Path

FILE = Path(__file__).parents[2] / "src/reading/pronunciations.txt"
SOUNDS = dict(pair.split("=") for pair in """aa=o ae=a ah=x ao=aw aw=ow ax=u ay=ie eh=e er=er ey=ay ih=i iy=ee ow=oa oy=oy uh=uu uw=oo b=b ch=ch d=d
dh=dh f=f g=g hh=h jh=j k=k l=l m=m n=n ng=ng p=p r=r s=s sh=sh t=t th=th v=v w=w y=y z=z zh=zh""".split())
WORD = re.compile(r"[A-Za-z]+(?:'[A-Za-z]+)?")
LEAST = 3  # times a word is in the texts
FREQUENT = 20


def sounds_of(words: list[str]) -> dict[str, str]:
    """Words in small letters -> how they sound, by flite's lexicon and its rules for other words."""
    lib = c.CDLL("libflite.so.1", mode=c.RTLD_GLOBAL)
    lexicon = c.CDLL("libflite_cmulex.so.1", mode=c.RTLD_GLOBAL)
    for of, name, result, arguments in ((lexicon, "cmu_lex_init", c.c_void_p, []), (lib, "lex_lookup", c.c_void_p, [c.c_void_p, c.c_char_p, c.c_char_p, c.c_void_p]),
                                        (lib, "val_car", c.c_void_p, [c.c_void_p]), (lib, "val_cdr", c.c_void_p, [c.c_void_p]),
                                        (lib, "val_string", c.c_char_p, [c.c_void_p]), (lib, "delete_val", None, [c.c_void_p])):  # fmt: skip
        function = getattr(of, name)
        function.restype, function.argtypes = result, arguments
    lib.flite_init()
    cmu, out = lexicon.cmu_lex_init(), {}
    for word in words:
        at = found = lib.lex_lookup(cmu, word.encode(), None, None)
        said = []
        while at:
            said.append(SOUNDS[lib.val_string(lib.val_car(at)).decode().rstrip("012")])
            at = lib.val_cdr(at)
        if found:
            lib.delete_val(found)
        out[word] = "".join(said)
    return out


def load() -> dict[str, str]:
    return dict(line.split(" ") for line in FILE.read_text().splitlines())


def said_word(word: str, sounds: dict[str, str]) -> str:
    """As it sounds; of a possessive it is enough to know the word before it. What is not known stays."""
    lower = word.lower()
    if lower not in sounds and lower.endswith("'s") and (said := sounds.get(lower[:-2])):
        return said + ("uz" if said.endswith(("s", "z", "sh", "zh", "ch", "j")) else "s" if said.endswith(("p", "t", "k", "f", "th")) else "z")
    return sounds.get(lower, word)


def spelled_as_said(text: str, sounds: dict[str, str], r: random.Random | None = None, written: float = 0.0) -> tuple[str, list[int]]:
    """As the engine's (reading/pronunciations.h), and where each character of the text, and its end, is then; `written` of the words stay
    as they are."""
    out, places, at = "", [], 0
    for word in WORD.finditer(text):
        places += range(len(out), len(out) + word.start() - at)
        out += text[at : word.start()]
        said = word[0] if r and r.random() < written else said_word(word[0], sounds)
        places += [len(out) + min(k, len(said) - 1) for k in range(len(word[0]))]
        out += said
        at = word.end()
    return out + text[at:], [*places, *range(len(out), len(out) + len(text) - at + 1)]


def respelled(items: list[dict], written: float = 0.0) -> list[dict]:
    """Utterances of a SpeechStore with their words spelled as they sound, but for `written` of them, as some will not be known."""
    sounds, r, out = load(), random.Random(17), []
    for item in items:
        text, places = spelled_as_said(item["text"], sounds, r, written)
        out.append({**item, "text": text, "words": [[places[a], places[b], end] for a, b, end in item["words"]]})
    return out


def main() -> None:
    from tokenizers import Tokenizer

    from train import all_texts

    tokenizer = Tokenizer.from_file(sys.argv[1])
    short = lambda word, count: count >= FREQUENT and len(word) > 1 and len(tokenizer.encode(" " + word, add_special_tokens=False).ids) == 1  # noqa: E731
    answers = sys.argv[sys.argv.index("--answers") + 1] if "--answers" in sys.argv else None
    counts = Counter(word.lower() for text, _ in all_texts(answers) for word in WORD.findall(text))
    words = sorted({word for word, count in counts.items() if count >= LEAST and (len(word) > 1 or word == "i") and not short(word, count)} | set("bcdefghjklmnopqrstuvwxyz"))
    lines = sorted(f"{word} {said}\n" for word, said in sounds_of(words).items() if said and said != word)
    FILE.write_text("".join(lines))
    print(f"{FILE}: {len(lines)} of {len(counts)} words, {FILE.stat().st_size} bytes")


if __name__ == "__main__":
    main()
