"""WordNet's definitions as sentences, and long sentences of definitions and examples; none of them holds a sentence kept for validation."""

from __future__ import annotations

import random
import re

from english import HELD_OUT, WORDNET, examples, written_number_sentences

MOST_CHARACTERS = 110
JOINED = (", and ", ", and ", ", but ", "; ", ", or ", " because ", " when ", ", ", ". ")
# As one says what a word means; a definition is as often said alone.
SAID = {
    "noun": "{a}{word} is {it}|{a}{word} is {it}|it is {it}|this is {it}|there was {it}|we saw {it}|is {a}{word} {it}?",
    "verb": "to {word} is to {it}|they {it}|you can {it}|we must {it}|she wanted to {it}|do not {it}!|to {word} means to {it}",
    "adj": "{word} is what is {it}|it was {it}|something {it}",
    "adv": "{word} means {it}|they did it {it}|she spoke {word}, {it}",
}
SAID_OF_ALL = "{word} means {it}|the word {word} means {it}|{word}, {it}|{word}: {it}"


def _definitions() -> list[tuple[str, str, str]]:
    """(word, part of speech, definition) of WordNet; of each, the pieces that are letters and plain punctuation only."""
    found = []
    for part in SAID:
        for line in open(WORDNET / f"data.{part}", encoding="latin-1"):
            if line.startswith("  "):
                continue
            fields, gloss = line.split("|", 1)
            fields = fields.split()
            words = [re.sub(r"\(.*", "", w).replace("_", " ") for w in fields[4 : 4 + 2 * int(fields[3], 16) : 2]]
            words = [w for w in words if re.fullmatch(r"[A-Za-z][A-Za-z' -]+", w)]
            for piece in re.sub(r"\([^)]*\)", " ", gloss.split('"')[0]).split(";"):
                piece = re.sub(r"\s+(?=[\s,])", "", piece).strip(" \n,:.")
                if words and re.fullmatch(r"[A-Za-z][A-Za-z', -]{8,99}", piece) and piece.count(" ") >= 2:
                    found.append((words[len(found) % len(words)], part, piece))
    return found


def _defined(word: str, part: str, piece: str, r: random.Random) -> str:
    """A definition as one says it."""
    if r.random() < 0.3:
        return piece
    article = ("an " if word[0] in "aeiou" else "a ") if word.islower() and piece.startswith(("a ", "an ")) else ""
    return r.choice(f"{SAID_OF_ALL}|{SAID[part]}".split("|")).format(a=article, word=word, it=piece)


def _ended(text: str, r: random.Random) -> str:
    """Begun and ended as a sentence is, but for some."""
    if r.random() < 0.88:
        text = text[0].upper() + text[1:]
    return text if text[-1] in ".!?" else text + (r.choice("?!") if r.random() < 0.03 else "" if r.random() < 0.15 else ".")


def _letters(text: str) -> str:
    return " " + " ".join(re.findall(r"[a-z']+", text.lower())) + " "


def without_kept(texts: list[str]) -> list[str]:
    """Those that hold no sentence kept for validation or for eval_voice."""
    kept = [_letters(text) for text in examples()[1] + [said for _, said in written_number_sentences(HELD_OUT)]]
    return [text for text, letters in zip(texts, map(_letters, texts)) if not any(sentence in letters for sentence in kept)]


def definitions(count: int, seed: int = 15) -> list[str]:
    r = random.Random(seed)
    found = _definitions()
    r.shuffle(found)
    made = dict.fromkeys(_ended(_defined(*definition, r), r) for definition in found)
    return without_kept([text for text in made if len(text) <= MOST_CHARACTERS][: count + count // 20])[:count]


def long_sentences(count: int, seed: int = 16) -> list[str]:
    """Mostly of 50 characters and more: two or three examples or definitions in one, or some words of them, as long text is spoken
    in passages."""
    r = random.Random(seed)
    parts = [piece for _, _, piece in _definitions()] + examples()[0]
    r.shuffle(parts)
    parts, made = iter([text.rstrip(".!?;:, ") for text in parts]), []
    for text in parts:
        while len(text) < r.randint(50, 80):
            text = _joined(text, next(parts, "and so on"), r.choice(JOINED))
        text = _ended(text, r)
        made.append(_piece(text, r) if r.random() < 0.35 else text)
    return without_kept([text for text in made if len(text) <= MOST_CHARACTERS][: count + count // 20])[:count]


def _joined(text: str, other: str, by: str) -> str:
    first = other[0].upper() if by == ". " or re.match(r"I\b", other) else other[0].lower()
    return text + by + first + other[1:]


def _piece(text: str, r: random.Random) -> str:
    """Some words of a sentence, its beginning or its end."""
    words = text.split()
    shortest = min(5, len(words) - 1)
    cut = r.randint(shortest, max(len(words) - 4, shortest))
    return " ".join(words[:cut] if r.random() < 0.6 else words[-cut:])
