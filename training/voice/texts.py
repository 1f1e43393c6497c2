"""Sentences to be spoken: the domain's answers (one a line in a file) and sentences made here.

The made ones widen the vocabulary so that known words in unseen sentences are spoken well.
"""

from __future__ import annotations

import random
import re

COLOURS = "red blue green yellow orange purple black white brown grey pink".split()
SHAPES = "circle square triangle star rectangle oval diamond heart cross hexagon".split()
ANIMALS = (
    "cat dog bird horse cow sheep pig duck fish frog mouse rabbit lion tiger bear elephant monkey "
    "fox wolf deer goat hen snake bee spider turtle whale shark penguin owl eagle"
).split()
OBJECTS = (
    "apple banana orange lemon pear cup bottle book chair table lamp clock phone computer keyboard "
    "car bus train truck boat ship airplane bicycle motorcycle house tree flower door window bridge "
    "road ball hat shoe coat shirt bag box key pen pencil paper knife fork spoon plate bowl bread "
    "cheese egg cake pizza bed sofa mirror television camera umbrella guitar piano drum"
).split()
PLACES = (
    "France Germany Italy Spain Portugal Greece Poland Sweden Norway Finland Denmark Ireland England "
    "Scotland Russia China Japan India Egypt Kenya Canada Mexico Brazil Argentina Chile Peru Cuba "
    "Turkey Austria Hungary Belgium Switzerland Australia Paris Berlin Rome Madrid Lisbon Athens "
    "Warsaw Stockholm Oslo Helsinki Copenhagen Dublin London Edinburgh Moscow Beijing Tokyo Delhi "
    "Cairo Nairobi Ottawa Lima Santiago Havana Ankara Vienna Budapest Brussels Bern Canberra"
).split()
NAMES = (
    "Anna Ben Clara David Emma Frank Grace Henry Iris Jack Kate Leo Mary Nina Oscar Paul Rosa Sam "
    "Tom Victor Wendy Calliope"
).split()
VERBS = "see hear read know like want need find make take give open close start stop play".split()
ADJECTIVES = (
    "big small long short old new good bad hot cold warm fast slow high low light dark open closed "
    "full empty happy sad clean dirty soft hard loud quiet bright deep wide strong weak right left"
).split()
THINGS = (
    "water fire air earth sun moon star sky rain snow wind cloud river sea ocean lake mountain "
    "island forest field city street school shop kitchen garden park station hospital doctor teacher "
    "student child man woman boy girl friend family mother father brother sister king queen music "
    "song word letter number question answer picture photo sound voice day night morning evening "
    "week month year hour minute second spring summer autumn winter monday tuesday wednesday thursday "
    "friday saturday sunday january february march april may june july august september october "
    "november december head hand foot eye ear nose mouth heart"
).split()
ONES = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen".split()
TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()


def number_words(n: int) -> str:
    """English words for 0..9999."""
    if n < 20:
        return ONES[n]
    if n < 100:
        return TENS[n // 10 - 2] + ("-" + ONES[n % 10] if n % 10 else "")
    if n < 1000:
        return ONES[n // 100] + " hundred" + (" " + number_words(n % 100) if n % 100 else "")
    return number_words(n // 1000) + " thousand" + (" " + number_words(n % 1000) if n % 1000 else "")


def in_words(text: str) -> str:
    """Numbers in words, as the engine has them before the talker."""
    plain = lambda digits: len(digits) <= 4 and str(int(digits)) == digits  # noqa: E731
    return re.sub(r"\d+", lambda found: number_words(int(found[0])) if plain(found[0]) else " ".join(ONES[int(d)] for d in found[0]), text)


def made_sentence(r: random.Random) -> str:
    c, s, a, o = r.choice(COLOURS), r.choice(SHAPES), r.choice(ANIMALS), r.choice(OBJECTS)
    p, n, v, j, t = r.choice(PLACES), r.choice(NAMES), r.choice(VERBS), r.choice(ADJECTIVES), r.choice(THINGS)
    t2, c2, s2, p2, j2 = r.choice(THINGS), r.choice(COLOURS), r.choice(SHAPES), r.choice(PLACES), r.choice(ADJECTIVES)
    x, y = r.randint(0, 20), r.randint(0, 20)
    m = r.choice([r.randint(0, 9), r.randint(10, 99), r.randint(100, 999), r.randint(1000, 3000)])
    num = str if r.random() < 0.6 else number_words
    digits = " ".join(str(r.randint(0, 9)) if r.random() < 0.5 else ONES[r.randint(0, 9)] for _ in range(r.randint(1, 6)))
    return r.choice(
        [
            f"The {t} is {j}.",
            f"The capital of {p} is {p2}.",
            f"{p} is in {p2}.",
            f"{num(x)} plus {num(y)} is {num(x + y)}.",
            f"{num(x)} times {num(y)} is {num(x * y)}.",
            f"{num(x + y)} minus {num(y)} is {num(x)}.",
            f"The answer is {num(m)}.",
            f"{num(m)}.",
            f"{digits}.",
            f"You said {digits}.",
            f"I heard the number {num(x)}.",
            f"The opposite of {j} is {j2}.",
            f"I see a {c} {s}.",
            f"There is a {c} {s} and a {c2} {s2}.",
            f"The {s} is {c}.",
            f"There are {num(r.randint(2, 12))} {c} {s}s.",
            f"This is a {a}.",
            f"It is a {o}.",
            f"I think this is a {j} {o}.",
            f"The picture shows a {a} and a {o}.",
            f"The word is {r.choice([t, o, a, c, j])}.",
            f"It says {r.choice([t, o, a, c, j])}.",
            f"{r.choice([t, o, a, c, j]).capitalize()} {r.choice([t, o, a, c, j])} {r.choice([t, o, a, c, j])}.",
            f"Hello {n}, how are you today?",
            f"My name is {n}.",
            f"{n} and {r.choice(NAMES)} {v} the {o}.",
            f"I can {v} and {r.choice(VERBS)} the {t}.",
            f"Yes, the {o} is {c}.",
            f"No, it is not a {a}, it is a {r.choice(ANIMALS)}.",
            f"The {t} of the {t2} is {j} and {j2}.",
            f"Do you {v} the {j} {a}?",
            f"I do not {v} that {t}.",
            f"Please {v} the {c} {o} in the {t}.",
            f"A {a} is bigger than a {r.choice(ANIMALS)}.",
            f"{p} has a {j} {t}.",
            f"There are {num(m)} {t}s in a {t2}.",
            f"You're welcome, {n}!",
            f"That's a {j} {t}.",
        ]
    )


def made_sentences(count: int, seed: int = 1) -> list[str]:
    r = random.Random(seed)
    seen: dict[str, None] = {}
    while len(seen) < count:
        s = made_sentence(r)
        seen[s[0].upper() + s[1:]] = None
    return list(seen)


def word_sentences(answers: list[str], seed: int = 2) -> list[str]:
    """Short sentences around every word of the answers, so that no word is known from one wording alone."""
    r = random.Random(seed)
    words = sorted({w.strip(".,!?") for a in answers for w in a.split()} - {""})
    lower = [w for w in words if w[0].islower()] or words
    made: dict[str, None] = {}
    for w in words:
        a, b = r.choice(lower), r.choice(lower)
        wordings = [
            f"The word is {w}.",
            f"You said {w}.",
            f"{w[0].upper()}{w[1:]}.",
            f"I can read {w} and {a}.",
            f"{a[0].upper()}{a[1:]}, {w}, {b}.",
            f"Not {a}, but {w}.",
            f"It is {w}.",
            f"{w[0].upper()}{w[1:]} is {a}.",
        ]
        made.update(dict.fromkeys(wordings[:3] + r.sample(wordings[3:], 2)))
    extra = COLOURS + SHAPES + ANIMALS + OBJECTS + ADJECTIVES + [t for t in THINGS if t not in words]
    for w in sorted(set(extra) | set(ONES) | set(TENS)):
        made[f"It says {w}."] = None
        made[r.choice([f"This is a {w}.", f"The opposite of {w} is {r.choice(ADJECTIVES)}.", f"The {w} is {r.choice(COLOURS)}."])] = None
    for p in PLACES:
        made[f"The capital of {p} is {r.choice(PLACES)}."] = None
    known = set(answers)
    return [s for s in made if s not in known]
