"""Sentences made of phrases with numbers, dates, times, amounts, units, names and abbreviations, in words as the engine writes them out."""

from __future__ import annotations

import random
import re

from english import DAYS, MONTHS, ordinal, time_words, year_words
from texts import ADJECTIVES, ANIMALS, COLOURS, NAMES, OBJECTS, PLACES, THINGS, VERBS, number_words

UNITS = [kind.split(", ") for kind in (
    "metres, kilometres, centimetres, millimetres, miles, feet, inches, yards, meters, kilometers, square metres, cubic metres, square kilometres, light years",
    "grams, kilograms, milligrams, pounds, ounces, tons, litres, millilitres, liters, gallons, cups, spoons",
    "seconds, milliseconds, minutes, hours, days, weeks, months, years",
    "kilobytes, megabytes, gigabytes, terabytes, volts, watts, kilowatts, megawatts, kilowatt hours, hertz, kilohertz, megahertz, gigahertz, degrees, "
    "degrees Celsius, degrees Fahrenheit, calories, pages, people, pieces, steps",
    "kilometres per hour, miles per hour, metres per second, kilometers per hour",
)]  # fmt: skip
CURRENCIES = (("dollars", "cents"), ("euros", "cents"), ("pounds", "pence"), ("yen", ""), ("rupees", "paise"))
TITLES = "Doctor Mister Missus Miz Professor Captain Lieutenant Sergeant General Governor Senator Reverend".split()
SURNAMES = (
    "Smith Jones Brown Taylor Wilson Davies Evans Thomas Johnson Roberts Walker Wright Robinson Thompson White Hughes Edwards Green Hall Wood "
    "Harris Lewis Martin Jackson Clarke Clark Turner Hill Cooper Morris Moore Miller Anderson Garcia Martinez Lee Young King Scott Baker Nelson "
    "Carter Mitchell Perez Phillips Campbell Parker Collins Stewart Murphy Kelly Bell Ward Cox Gray Hughes Watson Brooks Bennett Reed Cook"
).split()
FIRST_NAMES = NAMES + (
    "John Peter Michael James Robert William Richard Thomas Charles Daniel Matthew Mark Andrew Susan Karen Lisa Linda Barbara Elizabeth Jennifer "
    "Maria Margaret Sarah Laura Helen Julia Alice Lucy Sophie Olivia Emily Hannah Simon Martin Alan George Edward Philip Louis Steven Kevin Brian"
).split()
TOWNS = PLACES + (
    "Amsterdam Barcelona Boston Chicago Dallas Denver Geneva Hamburg Houston Istanbul Jakarta Johannesburg Karachi Lagos Liverpool Manchester "
    "Manila Marseille Melbourne Miami Milan Montreal Mumbai Munich Naples Philadelphia Phoenix Prague Seattle Seoul Shanghai Singapore Sydney "
    "Toronto Vancouver Venice Zurich California Texas Florida Alaska Iceland Israel Indonesia Thailand Vietnam Nigeria Colombia Venezuela "
    "Ukraine Romania Bulgaria Croatia Malaysia Pakistan Morocco Algeria Ethiopia Wales"
).split()
SHORT_FORMS = ("U S A,U K,E U,U N,F B I,C I A,B B C,U S B,P D F,C E O,T V,P C,D N A,C D,D V D,G P S,A P I,U R L,A I,I D,P H D,I Q,H T M L,S M S,A T M,L E D,"
               "V I P,D I Y,F A Q,I B M,I T,Nasa,Nato,Unesco,ram,okay,S Q L,C P U,G P U,N B A,M P").split(",")  # fmt: skip
COUNTED = "chapter page part volume room gate platform section figure bus line number lesson question unit track channel floor".split()
MANY = {"mouse": "mice", "sheep": "sheep", "knife": "knives", "wolf": "wolves", "deer": "deer", "fish": "fish"}


class Phrases:
    """What stands in the braces of a wording, each time another one."""

    def __init__(self, r: random.Random):
        self.r = r

    def __getitem__(self, name: str) -> str:
        return getattr(self, name)()

    def number(self) -> str:
        if self.r.random() < 0.06:
            return f"{number_words(self.r.randint(1, 999))} {self.r.choice(['thousand', 'million', 'billion'])}"
        least, most = self.r.choice([(0, 20), (21, 99), (21, 99), (100, 999), (100, 999), (1000, 9999)])
        return number_words(self.r.randint(least, most))

    def small(self) -> str:
        return number_words(self.r.choice([self.r.randint(2, 20), self.r.randint(21, 99)]))

    def decimal(self) -> str:
        whole = self.r.choice([0, self.r.randint(1, 99), self.r.randint(1, 999)])
        return f"{number_words(whole)} point " + " ".join(number_words(self.r.randint(0, 9)) for _ in range(self.r.choice([1, 1, 2])))

    def part(self) -> str:
        return self.r.choice("one half,one third,two thirds,one quarter,three quarters,one fifth,two fifths,five eighths,one tenth,one and a half".split(","))

    def nth(self) -> str:
        return ordinal(self.r.choice([self.r.randint(1, 31), self.r.randint(1, 99)]))

    def year(self) -> str:
        return year_words(self.r.choice([self.r.randint(1000, 1899), self.r.randint(1850, 1999), self.r.randint(1950, 1999), self.r.randint(2000, 2040)]))

    def decade(self) -> str:
        words = year_words(10 * self.r.randint(170, 199))
        return words[:-1] + "ies" if words.endswith("y") else words + "s"

    def date(self) -> str:
        month, day = self.month(), ordinal(self.r.randint(1, 31))
        date = self.r.choice([f"{month} {day}", f"{month} {day}", f"the {day} of {month}", f"{self.weekday()}, {month} {day}"])
        return date + (f", {self.year()}" if self.r.random() < 0.4 else "")

    def time(self) -> str:
        r = self.r
        clock = time_words(r.choice([r.randint(1, 12), r.randint(1, 12), r.randint(0, 23)]), r.choice([0, 5 * r.randint(1, 11), r.randint(1, 59)]))
        if r.random() < 0.15:
            return r.choice(["half past", "a quarter past", "a quarter to", "ten to"]) + " " + number_words(r.randint(1, 12))
        return clock.removesuffix(" o'clock") + r.choice([" a m", " p m"]) if r.random() < 0.35 else clock

    def money(self) -> str:
        r = self.r
        whole, piece = r.choice(CURRENCIES[:3] if r.random() < 0.85 else CURRENCIES[3:])
        return f"{self.number()} {whole}" + (f" and {number_words(r.randint(2, 99))} {piece}" if piece and r.random() < 0.45 else "")

    def amount(self) -> str:
        return f"{self.r.choice([self.number, self.small, self.decimal])()} {self.unit()}"

    def unit(self) -> str:
        return self.r.choice(self.r.choice(UNITS))

    def percent(self) -> str:
        return f"{self.r.choice([self.small, self.small, self.decimal])()} percent"

    def digits(self) -> str:
        r = self.r
        one = lambda n: " ".join("oh" if r.random() < 0.03 else number_words(r.randint(0, 9)) for _ in range(n))
        return r.choice([one(r.randint(3, 6)), f"{one(3)}, {one(4)}", f"{one(3)}, {one(3)}, {one(4)}"])

    def letters(self) -> str:
        return " ".join(self.r.choice("ABCDEFGHIJKLMNOPQRSTUVWXYZ") for _ in range(self.r.randint(2, 5)))

    def short(self) -> str:
        return self.r.choice(SHORT_FORMS)

    def first(self) -> str:
        return self.r.choice(FIRST_NAMES)

    def name(self) -> str:
        r = self.r
        first, surname, title = self.first(), r.choice(SURNAMES), r.choice(TITLES)
        return r.choice([first, first, f"{first} {surname}", f"{title} {surname}", f"{title} {first}"])

    def place(self) -> str:
        return self.r.choice(TOWNS) if self.r.random() < 0.9 else self.r.choice(["Mount ", "Lake ", "Port ", "New "]) + self.r.choice(SURNAMES)

    def street(self) -> str:
        return f"{self.r.choice(SURNAMES + FIRST_NAMES)} {self.r.choice(['Street', 'Street', 'Avenue', 'Road', 'Boulevard', 'Square'])}"

    def firm(self) -> str:
        return f"{self.r.choice(SURNAMES)} {self.r.choice(['Incorporated', 'Limited', 'Company', 'Corporation', 'and Company', 'and Sons'])}"

    def counted(self) -> str:
        return f"{self.r.choice(COUNTED)} {self.small() if self.r.random() < 0.8 else self.number()}"

    def month(self) -> str:
        return self.r.choice(MONTHS)

    def weekday(self) -> str:
        return self.r.choice(DAYS)

    def sum(self) -> str:
        sign = self.r.choice(["plus", "minus", "times", "divided by"])
        return f"{self.number()} {sign} {self.small()}"

    def thing(self) -> str:
        return self.r.choice(THINGS[:30] + OBJECTS + ANIMALS)

    def things(self) -> str:
        thing = self.r.choice(OBJECTS + ANIMALS)
        return MANY.get(thing, thing + ("es" if thing.endswith(("s", "x", "ch", "sh")) else "s"))

    def colour(self) -> str:
        return self.r.choice(COLOURS)

    def quality(self) -> str:
        return self.r.choice(ADJECTIVES)

    def verb(self) -> str:
        return self.r.choice(VERBS)


WORDINGS = """
The meeting starts at {time} and ends at {time}.|Wake me at {time} on {weekday}, please.|The shop opens at {time} and closes at {time}.|It is {time} in {place} and {time} in {place}.
{name} arrived on {date}, at {time}.|The letter of {date} came from {place}.|Since {date} nobody has seen {name}.|Until {year} the {thing} stood in {place}.|She was born on {date}.|He died in {year} in {place}.
From {year} until {year} {name} lived in {place}.|The {thing} was built in {year} and rebuilt in {year}.|The war of {year} lasted {amount}.|{name} remembers the {decade} well.|In the {decade} a {thing} cost {money}.
The whole bill comes to {money}.|{name} owes {name} {money}.|We sold {number} {things} for {money}.|A {quality} {thing} for only {money}!|You have {money} left, and {money} on the other card.|Prices rose by {percent} in {year}.
A ticket to {place} is {money}, or {money} in {month}.|They earned {money} last {month}.|{firm} lost {money} in {year}.|{firm} was founded in {year} by {name}.|{name} of {firm} lives on {street}.
The {thing} is {amount} long and {amount} wide.|It is {amount} from here to {place}.|The recipe needs {amount} of sugar and {amount} of water.|Add {part} of the {thing}, then {amount} more.|The wind blows at {amount}.
The river is {amount} deep.|Mount {place} is {amount} high.|A {thing} of {amount} needs {amount}.|The file has {amount}.|It was {amount} this morning and {amount} at noon.|The battery holds {amount}, {percent} of what it was.
{percent} of the people in {place} own a {thing}.|Only {percent} agreed, {percent} did not.|It is {percent} likely to rain on {weekday}.|There is a chance of {percent}.|{part} of the {things} are {colour}.
{number} {things} and {number} {things}.|{number}, {number}, {number}.|{small}, {small}, {small}, {small}.|The number is {number}.|There were {number} of them in {place}.|I counted {number} {colour} {things} in {amount}.|{number} or {number}?
What is {sum}?|{sum} equals {number}.|{sum} is not {number}.|The result of {sum} is {decimal}.|Pi is about {decimal}.|The average is {decimal}, the median {decimal}.|A score of {small} to {small}.|The vote was {number} to {number}.
Please call {digits} and ask for {name}.|The phone number of {name} is {digits}.|Dial {digits}.|The pin is {digits}.|My code was {digits}, not {digits}.|The order {digits} was sent on {date}.
You spell it {letters}.|The plate says {letters} {small}.|{letters}, then {letters}.|{short} stands for something else.|The {short} in {place} said no.|A {short} and a {short}.|{name} works for the {short}.|Send the {short} to {name} by {time}.
{name} is {small} years old, {name} is {small}.|{name} came {nth} and {name} came {nth}.|The {nth} of {month} is a {weekday}.|It was the {nth} time in {amount}.|The {nth} {thing} was {quality}.|On the {nth} day it rained.
{name}, {name} and {name} went to {place}.|{name} wrote to {name} from {place}.|{name} lives at {small} {street}.|Turn left into {street}, then right into {street}.|Is {name} from {place}?|Ask {name} about {counted}.|Where is {street}?
See {counted} and {counted}.|The answer is in {counted}.|Go to {counted} at {time}.|The train to {place} leaves from {counted}.|Open {counted}, please.|{counted}.|King {first} the {nth} ruled {place} for {amount}.
Queen {first} the {nth}.|World War {small}.|Version {decimal} came out in {month}.|The {short} has {number} members, for example {place} and {place}.|{place}, that is the {nth} city of {place}.
A {thing} weighs {amount}, a {thing} {amount}.|{name} ran {amount} in {amount}.|We waited {amount} for {name}.|In {amount} it will be {time}.|Heat it to {amount} for {amount}.|Come back in {small} minutes.|Set a timer for {amount}.
{weekday}, {date}.|{date}.|{time}.|{money}.|{amount}.|{place} and {place}, {place} and {place}.|from {weekday} to {weekday}|between {date} and {date}|at {time} on {date}|about {amount} of {thing}|and {money} for {name}
more than {number} {things}|to {place} in {amount}|less than {amount}, or {percent}|for {money} and {amount}|by {name} in {year}|as of {date}, et cetera|at {amount} or {amount}|versus {number} in {year}|{number} et cetera.
The {quality} {colour} {thing} was made in {place} in {year}.|Do you {verb} the {nth} {thing} or the {nth}?|I {verb} {number} {things} every {weekday}.|{name} can {verb} {small} {things} at {time}.
""".replace("\n", "|").strip("|").split("|")  # fmt: skip
NAMED = ("King", "Queen", "Mount", "World", "I ")


def figure_sentences(count: int, seed: int = 14) -> list[str]:
    """`count` of them, no two alike; every fourth is two with a word between them."""
    r = random.Random(seed)
    phrases = Phrases(r)
    made: dict[str, None] = {}
    while len(made) < count:
        text = r.choice(WORDINGS).format_map(phrases)
        if len(text) < 60 and r.random() < 0.25:
            wording = r.choice(WORDINGS)
            other = (wording if wording.startswith(NAMED) else wording[0].lower() + wording[1:]).format_map(phrases)
            text = text.rstrip(".!?") + r.choice([", and ", ", but ", ", or ", "; ", ", "]) + other
        text = re.sub(r"\b([Aa]) (?=[aeio]|umb)", r"\1n ", text)
        if len(text) <= 110:
            made[text[0].upper() + text[1:] if text[-1] in ".!?" or r.random() < 0.3 else text] = None
    return list(made)
