"""Sentences of plain English for the voice: WordNet's examples, lists of words and of all its lemmas, numbers, dates, times and amounts as
people say them."""

from __future__ import annotations

import itertools
import random
import re
from pathlib import Path

from texts import COLOURS, NAMES, OBJECTS, PLACES, THINGS, number_words

WORDNET = Path("/usr/share/wordnet")  # Debian's wordnet-base
PRONOUNCED = Path("/usr/share/pocketsphinx/model/en-us/cmudict-en-us.dict")  # Debian's pocketsphinx-en-us
PARTS = ("noun", "verb", "adj", "adv")
HELD_OUT = 150
MONTHS = "January February March April May June July August September October November December".split()
DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
UNITS = "meters metres kilometers kilometres miles feet inches grams kilograms pounds liters litres seconds minutes hours days weeks degrees percent dollars euros cents kilobytes megabytes gigabytes volts watts hertz".split()
_ORDINALS = {"one": "first", "two": "second", "three": "third", "five": "fifth", "eight": "eighth", "nine": "ninth", "twelve": "twelfth"}


def ordinal(n: int) -> str:
    words = number_words(n)
    head, dash, last = words.rpartition("-") if "-" in words.split()[-1] else words.rpartition(" ")
    last = _ORDINALS.get(last) or (last[:-1] + "ieth" if last.endswith("y") else last + "th")
    return head + dash + last


def year_words(year: int) -> str:
    if 2000 <= year < 2010 or year % 1000 == 0:
        return number_words(year)
    low = year % 100
    return number_words(year // 100) + " " + ("hundred" if low == 0 else f"oh {number_words(low)}" if low < 10 else number_words(low))


def time_words(hour: int, minute: int) -> str:
    said = number_words(hour)
    return said + (" o'clock" if minute == 0 else f" oh {number_words(minute)}" if minute < 10 else f" {number_words(minute)}")


def number_sentence(r: random.Random) -> str:
    """One sentence with a number, a date, a time, an amount, letters or a name in it, in words."""
    n = number_words(r.choice([r.randint(0, 20), r.randint(20, 99), r.randint(100, 999), r.randint(1000, 9999)]))
    m = number_words(r.choice([r.randint(0, 20), r.randint(20, 99)]))
    day, month, weekday, unit = ordinal(r.randint(1, 31)), r.choice(MONTHS), r.choice(DAYS), r.choice(UNITS)
    year, clock = year_words(r.choice([r.randint(1400, 1999), r.randint(1900, 2030)])), time_words(r.randint(1, 12), r.choice([0, 5, 10, 15, 20, 30, 45, r.randint(1, 59)]))
    half = r.choice(["a m", "p m", "in the morning", "in the evening"])
    name, other, place, thing = r.choice(NAMES), r.choice(NAMES), r.choice(PLACES), r.choice(THINGS + OBJECTS)
    digits = " ".join(number_words(r.randint(0, 9)) for _ in range(r.randint(3, 7)))
    letters = " ".join(r.choice("ABCDEFGHIJKLMNOPQRSTUVWXYZ") for _ in range(r.randint(2, 4)))
    return r.choice([
        f"{month} {day}, {year}.", f"It happened on {weekday}, {month} {day}.", f"On {month} {day}, {year}, {name} moved to {place}.",
        f"We meet at {clock} {half}.", f"The train to {place} leaves at {clock}.", f"It is {clock} {half}.", f"{name} was born in {year}.",
        f"It costs {n} dollars and {m} cents.", f"That is {m} {unit}.", f"The {thing} weighs {n} {unit}.", f"It is {m} point {number_words(r.randint(0, 9))} {unit} long.",
        f"{n[0].upper()}{n[1:]} plus {m} is {number_words(r.randint(0, 200))}.", f"{m[0].upper()}{m[1:]} times {number_words(r.randint(0, 20))} is {n}.", f"{n[0].upper()}{n[1:]} {unit}.",
        f"Call {digits}.", f"The code is {digits}.", f"My number is {digits}, ask for {name}.", f"{letters}.", f"It is spelled {letters}.", f"The {letters} of {place}.",
        f"Doctor {name} and Mister {other} live in {place}.", f"{name} paid {m} euros for the {thing}.", f"About {m} percent of the {thing}s are {r.choice(COLOURS)}.",
        f"Chapter {m}, page {n}.", f"The {ordinal(r.randint(1, 40))} of {month}.", f"Between {year_words(r.randint(1700, 1899))} and {year}, {n} people came to {place}.",
        f"Room {n} is on the {ordinal(r.randint(1, 20))} floor.", f"Is {name} older than {other}?", f"{weekday} at {clock}, please.", f"She ran {n} {unit} in {m} minutes.",
    ])  # fmt: skip


def synsets(part: str):
    """(words as they are written, gloss) of each of WordNet's synsets of a part of speech."""
    if not WORDNET.is_dir():
        raise SystemExit(f"{WORDNET} is missing: install the package wordnet-base")
    for line in open(WORDNET / f"data.{part}", encoding="latin-1"):
        if not line.startswith("  "):
            fields, gloss = line.split("|", 1)
            fields = fields.split()
            yield [re.sub(r"\(.*", "", w).replace("_", " ") for w in fields[4 : 4 + 2 * int(fields[3], 16) : 2]], gloss


def _examples() -> list[str]:
    """WordNet's quoted examples that are letters and plain punctuation only."""
    found: dict[str, None] = {}
    for part in PARTS:
        for _, gloss in synsets(part):
            for example in re.findall(r'"([^"]+)"', gloss):
                if re.fullmatch(r"[A-Za-z][A-Za-z' ,;:.!?-]{8,109}", example := example.strip()) and example.count(" ") >= 2:
                    found[example] = None
    return list(found)


def examples(seed: int = 5) -> tuple[list[str], list[str]]:
    """Sentences to train on, and some of six words and more that are kept for validation; begun and ended as a sentence is."""
    r = random.Random(seed)
    made: dict[str, None] = {}
    for text in _examples():
        text = text[0].upper() + text[1:] if r.random() < 0.8 else text
        made[text if text[-1] in ".!?" or r.random() < 0.15 else text.rstrip(";:,") + "."] = None
    found = list(made)
    r.shuffle(found)
    long = [text for text in found if len(text.split()) >= 6][:HELD_OUT]
    kept = set(long)
    return [text for text in found if text not in kept], long


def _lemmas() -> set[str]:
    """All of WordNet's, in small letters, with "_" for a space."""
    return {line.split()[0] for part in PARTS for line in open(WORDNET / f"index.{part}") if not line.startswith(" ")}


AROUND_LEMMAS = "The words are {}|I know {}|It is {}|They said {}|We saw {}|Not {}|The {}|Is it {}?|This is about {}|Have you heard of {}?".split("|")


def lemma_lists(rounds: int = 2, seed: int = 44) -> list[str]:
    """Every lemma of WordNet of up to three words, names with their capitals, `rounds` times, in lists of two to five."""
    written: dict[str, str] = {}
    for part in ("noun", "adj"):
        for words, _ in synsets(part):
            for word in words:
                if word != word.lower():
                    written.setdefault(word.lower(), word)
    lemmas = sorted(lemma.replace("_", " ") for lemma in _lemmas())
    lemmas = [written.get(w, w) for w in lemmas if re.fullmatch(r"[a-z][a-z' -]{1,26}", w) and w.count(" ") <= 2]
    r = random.Random(seed)
    made: list[str] = []
    for _ in range(rounds):
        left = iter(r.sample(lemmas, len(lemmas)))
        while words := list(itertools.islice(left, r.choice([2, 3, 3, 4, 4, 5]))):
            *others, last = words
            last_after = r.choice([" and ", " or ", ", and "]) + last if others else last
            text = r.choice([", ".join(words), ", ".join(words), " ".join(words), ", ".join(others) + last_after])
            text = r.choice(AROUND_LEMMAS).format(text) if r.random() < 0.2 else text
            text = text[0].upper() + text[1:] if r.random() < 0.85 else text
            made.append(text if text[-1] in ".?" or r.random() < 0.15 else text + ".")
    return made


def word_lists(count: int, seed: int = 6) -> list[str]:
    """Four words each, common and rare ones and a few names: how each is said, whatever stands around it."""
    if not PRONOUNCED.is_file():
        raise SystemExit(f"{PRONOUNCED} is missing: install the package pocketsphinx-en-us")
    pronounced = {line.split()[0] for line in open(PRONOUNCED)}
    lemmas = _lemmas()
    plain = sorted(w for w in pronounced if re.fullmatch(r"[a-z]{2,14}", w))
    stems = lambda w: {w, w.removesuffix("s"), w.removesuffix("es"), w.removesuffix("ed"), w.removesuffix("ing"), w.removesuffix("ing") + "e", w.removesuffix("d")}
    common = [w for w in plain if stems(w) & lemmas]
    names = [w for w in plain if not stems(w) & lemmas]
    r = random.Random(seed)
    r.shuffle(common)
    out, at = [], 0
    for _ in range(count):
        words = [r.choice(names).capitalize() if r.random() < 0.08 else common[(at := at + 1) % len(common)] for _ in range(4)]
        joined = ", ".join(words) if r.random() < 0.5 else " ".join(words)
        out.append(joined[0].upper() + joined[1:] + ".")
    return out


def number_sentences(count: int, seed: int) -> list[str]:
    r = random.Random(seed)
    return list(dict.fromkeys((lambda s: s[0].upper() + s[1:])(number_sentence(r)) for _ in range(count)))


def _suffixed(n: int) -> str:
    return f"{n}{'th' if 10 < n % 100 < 14 else {1: 'st', 2: 'nd', 3: 'rd'}.get(n % 10, 'th')}"


def _quantity(whole: int, fraction: str = "") -> str:
    return number_words(whole) + "".join([" point"] + [f" {number_words(int(digit))}" for digit in fraction] if fraction else [])


def _written_wordings(r: random.Random) -> list[tuple[str, str]]:
    """Sentences with numbers, dates, times, money, units, names, abbreviations as people write them, and the words that they say."""
    a, b, c = r.randint(2, 20), r.randint(21, 99), r.randint(101, 999)
    k = r.randint(2, 9) * 1000 + r.randint(1, 99) * 10
    k_written, k_said = f"{k:,}", number_words(k)
    tenth, cents = str(r.randint(1, 9)), r.randint(11, 99)
    day, month, weekday = r.randint(1, 31), r.choice(MONTHS), r.choice(DAYS)
    short = month if len(month) < 4 else month[:3] + "."
    date, date_said = f"{month} {_suffixed(day)}", f"{month} {ordinal(day)}"
    year, later = r.randint(1850, 1949), r.randint(1950, 2029)
    decade = r.randint(182, 199) * 10
    decade_said = year_words(decade)
    decade_said = decade_said[:-1] + "ies" if decade_said.endswith("y") else decade_said + "s"
    hour, minute = r.randint(1, 12), r.choice([5, 10, 15, 20, 30, 40, 45, 50, 55])
    clock, clock_said = f"{hour}:{minute:02}", time_words(hour, minute)
    evening = r.randint(13, 23)
    half, half_said = r.choice([("a.m.", "a m"), ("p.m.", "p m")])
    name, other = r.sample(NAMES, 2)
    place, far = r.sample(PLACES, 2)
    thing, colour = r.choice(OBJECTS), r.choice(COLOURS)
    things = thing + ("es" if thing.endswith(("s", "x")) else "s")
    roman, roman_said = r.choice([("IV", "fourth"), ("VI", "sixth"), ("VIII", "eighth")])
    part, part_said = r.choice([("1/2", "one half"), ("1/4", "one quarter"), ("3/4", "three quarters"), ("2/3", "two thirds")])
    told = lambda digits: " ".join(number_words(int(digit)) for digit in digits)
    phone = str(r.randint(1000, 9999))
    n = number_words
    return [
        (f"{name} bought the {colour} {thing} for ${a}.{cents} on {date}, {year}.", f"{name} bought the {colour} {thing} for {n(a)} dollars and {n(cents)} cents on {date_said}, {year_words(year)}."),
        (f"Dr. {name} can see you at {clock} {half} on {weekday}.", f"Doctor {name} can see you at {clock_said} {half_said} on {weekday}."),
        (f"From {place} to {far} it is {c} km, or about {b} miles by boat.", f"From {place} to {far} it is {n(c)} kilometers, or about {n(b)} miles by boat."),
        (f"At {hour}:00 it was {a}°C in {place}, but {b}°C in {far}.", f"At {n(hour)} o'clock it was {n(a)} degrees Celsius in {place}, but {n(b)} degrees Celsius in {far}."),
        (f"Mrs. {name} finished {_suffixed(a)} and Mr. {other} came in {_suffixed(b)}.", f"Missus {name} finished {ordinal(a)} and Mister {other} came in {ordinal(b)}."),
        (f"You can reach {name} at 555-{phone} until {hour} pm.", f"You can reach {name} at five five five, {told(phone)} until {n(hour)} p m."),
        (f"In {later}, only {b}% of all homes in {place} had a {thing}.", f"In {year_words(later)}, only {n(b)} percent of all homes in {place} had a {thing}."),
        (f"Stir {part} cup of milk into {c} g of flour and wait {a} min.", f"Stir {part_said} cup of milk into {n(c)} grams of flour and wait {n(a)} minutes."),
        (f"Flight {c} to {place} boards at {evening}:{minute:02}, gate {a}.", f"Flight {n(c)} to {place} boards at {time_words(evening, minute)}, gate {n(a)}."),
        (f"People in {place} still talk about the {decade}s.", f"People in {place} still talk about the {decade_said}."),
        (f"Take bus No. {b} and get off at {name} St. after {a} stops.", f"Take bus number {n(b)} and get off at {name} Street after {n(a)} stops."),
        (f"This USB stick holds {b} GB, e.g. {k_written} photos of {place}.", f"This U S B stick holds {n(b)} gigabytes, for example {k_said} photos of {place}."),
        (f"{name} cycled {b}.{tenth} km in {cents} minutes, {other} in only {a}.", f"{name} cycled {_quantity(b, tenth)} kilometers in {n(cents)} minutes, {other} in only {n(a)}."),
        (f"Their rent in {place} went up from ${c} to ${k_written} a month.", f"Their rent in {place} went up from {n(c)} dollars to {k_said} dollars a month."),
        (f"Prof. {name} worked in {place} from {year}-{later}.", f"Professor {name} worked in {place} from {year_words(year)} to {year_words(later)}."),
        (f"Neither King Henry {roman} nor Louis XIV ever saw a {thing} from {place}.", f"Neither King Henry the {roman_said} nor Louis the fourteenth ever saw a {thing} from {place}."),
        (f"If you take {a} + {b} and add {c}, what do you get?", f"If you take {n(a)} plus {n(b)} and add {n(c)}, what do you get?"),
        (f"Lunch with {name} is on {weekday}, {short} {day}, at {hour} {half.replace('.', '')}.", f"Lunch with {name} is on {weekday}, {month} {ordinal(day)}, at {n(hour)} {half_said}."),
        (f"The FBI sent {k_written} letters to {place} on {day} {month[:3]} {later}.", f"The F B I sent {k_said} letters to {place} on the {ordinal(day)} of {month}, {year_words(later)}."),
        (f"{name} is {b} years old, 1.{cents} m tall and weighs {a + 50} kg.", f"{name} is {n(b)} years old, {_quantity(1, str(cents))} meters tall and weighs {n(a + 50)} kilograms."),
        (f"Two {colour} {things} cost €{b} each, i.e. €{2 * b} for both.", f"Two {colour} {things} cost {n(b)} euros each, that is {n(2 * b)} euros for both."),
        (f"{name} & {other} read Chapter III and pages {a}-{b} by {weekday}.", f"{name} and {other} read Chapter three and pages {n(a)} to {n(b)} by {weekday}."),
        (f"The {_suffixed(a)} train to {far} arrives at {clock}, {minute} minutes late.", f"The {ordinal(a)} train to {far} arrives at {clock_said}, {n(minute)} minutes late."),
        (f"{place} vs. {far} ended {a} to {hour}, with {k_written} people watching.", f"{place} versus {far} ended {n(a)} to {n(hour)}, with {k_said} people watching."),
        (f"On a {a + 60} mph road, {name} St. is {hour}.{tenth} miles away.", f"On a {n(a + 60)} miles per hour road, {name} Street is {_quantity(hour, tenth)} miles away."),
    ]  # fmt: skip


def written_number_sentences(count: int, seed: int = 9) -> list[tuple[str, str]]:
    """`count` pairs (as people write it, in words), no two alike. The wordings are none of number_sentence's, and take turns."""
    r = random.Random(seed)
    turns: list[int] = []
    made: dict[str, str] = {}
    while len(made) < count:
        wordings = _written_wordings(r)
        if not turns:
            turns = r.sample(range(len(wordings)), len(wordings))
        written, said = wordings[turns.pop()]
        made[written] = said
    return list(made.items())
