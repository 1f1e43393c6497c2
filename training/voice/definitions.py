"""WordNet's definitions as sentences, long sentences of definitions and examples, pieces of long ones; and what of all texts is too
near to a sentence kept for validation."""

from __future__ import annotations

import random
import re

import config
from english import HELD_OUT, PARTS, examples, synsets, written_number_sentences

MOST_CHARACTERS = 110
SHARED_WORDS = 7  # in a row that a text may not share with a kept sentence
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
    for part in PARTS:
        for words, gloss in synsets(part):
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


def _rows_of_words(text: str) -> set[tuple[str, ...]]:
    """All SHARED_WORDS words in a row of a text."""
    words = _letters(text).split()
    return {tuple(words[at : at + SHARED_WORDS]) for at in range(len(words) - SHARED_WORDS + 1)}


def apart_from(kept: list[str], texts: list[str]) -> list[str]:
    """Those that are no sentence of `kept`, nor one of eval_voice, share no SHARED_WORDS words in a row with one, and do not hold a
    shorter one of eval_voice."""
    tried = examples()[1] + [said for _, said in written_number_sentences(HELD_OUT)]
    whole = {_letters(text) for text in kept + tried}
    rows = set().union(*map(_rows_of_words, kept + tried))
    short = [letters for letters in map(_letters, tried) if len(letters.split()) < SHARED_WORDS]

    def apart(text: str) -> bool:
        letters = _letters(text)
        return letters not in whole and rows.isdisjoint(_rows_of_words(text)) and not any(sentence in letters for sentence in short)

    return [text for text in texts if apart(text)]


def passages(text: str, most: int = config.GENERATION["talker_passage_characters"]) -> list[str]:
    """A sentence as the engine cuts it (src/reading/passages.cc): after the last comma that leaves at most `most` characters, else
    between words."""
    found = []
    while len(text) > most:
        spaces = [at for at in range(most, most // 3, -1) if at < len(text) and text[at] == " "]
        at = next((at for at in spaces if text[at - 1] in ",;:"), spaces[0] if spaces else most)
        found.append(text[:at].strip())
        text = text[at:].strip()
    return found + [text]


def pieces(texts: list[str]) -> list[str]:
    """The passages of those that are more than one."""
    cut = [found for found in map(passages, texts) if len(found) > 1]
    return list(dict.fromkeys(piece for found in cut for piece in found if len(piece) > 5 and _letters(piece).strip()))


def definitions(count: int | None = None, seed: int = 15) -> list[str]:
    """`count` of them, or all."""
    r = random.Random(seed)
    found = _definitions()
    r.shuffle(found)
    made = dict.fromkeys(_ended(_defined(*definition, r), r) for definition in found)
    return [text for text in made if len(text) <= MOST_CHARACTERS][:count]


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
    return [text for text in made if len(text) <= MOST_CHARACTERS][:count]


def _joined(text: str, other: str, by: str) -> str:
    first = other[0].upper() if by == ". " or re.match(r"I\b", other) else other[0].lower()
    return text + by + first + other[1:]


def _piece(text: str, r: random.Random) -> str:
    """Some words of a sentence, its beginning or its end."""
    words = text.split()
    shortest = min(5, len(words) - 1)
    cut = r.randint(shortest, max(len(words) - 4, shortest))
    return " ".join(words[:cut] if r.random() < 0.6 else words[-cut:])
