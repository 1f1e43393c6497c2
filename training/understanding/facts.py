"""What calliope-nano knows: facts and the ways people ask for them. Numbers are written as words, as they are spoken."""

from __future__ import annotations

import random
import re

NUMBERS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen twenty"
).split()

CAPITALS = {
    "France": "Paris", "Germany": "Berlin", "Italy": "Rome", "Spain": "Madrid", "Portugal": "Lisbon",
    "England": "London", "Ireland": "Dublin", "Scotland": "Edinburgh", "Austria": "Vienna", "Switzerland": "Bern",
    "Belgium": "Brussels", "Holland": "Amsterdam", "Denmark": "Copenhagen", "Norway": "Oslo", "Sweden": "Stockholm",
    "Finland": "Helsinki", "Poland": "Warsaw", "Greece": "Athens", "Turkey": "Ankara", "Russia": "Moscow",
    "Hungary": "Budapest", "Romania": "Bucharest", "Ukraine": "Kyiv", "Iceland": "Reykjavik", "Egypt": "Cairo",
    "Kenya": "Nairobi", "Morocco": "Rabat", "Ghana": "Accra", "Japan": "Tokyo", "China": "Beijing",
    "India": "New Delhi", "Thailand": "Bangkok", "Vietnam": "Hanoi", "Indonesia": "Jakarta", "Australia": "Canberra",
    "Canada": "Ottawa", "Mexico": "Mexico City", "Cuba": "Havana", "Brazil": "Brasilia", "Argentina": "Buenos Aires",
    "Chile": "Santiago", "Peru": "Lima", "Colombia": "Bogota", "Iran": "Tehran", "Iraq": "Baghdad",
}
OPPOSITES = {
    "hot": "cold", "big": "small", "tall": "short", "fast": "slow", "old": "young", "happy": "sad", "light": "dark",
    "full": "empty", "open": "closed", "early": "late", "hard": "soft", "high": "low", "rich": "poor", "wet": "dry",
    "clean": "dirty", "loud": "quiet", "strong": "weak", "near": "far", "up": "down", "left": "right",
    "good": "bad", "day": "night", "first": "last", "win": "lose",
}
COLOURS = {
    "the sky": "blue", "grass": "green", "snow": "white", "a banana": "yellow", "blood": "red", "coal": "black",
    "an orange": "orange", "a lemon": "yellow", "milk": "white", "the sun": "yellow", "a strawberry": "red",
    "chocolate": "brown", "an elephant": "grey", "a frog": "green", "a flamingo": "pink", "the sea": "blue",
}
SOUNDS = {
    "a dog": "woof", "a cat": "meow", "a cow": "moo", "a duck": "quack", "a sheep": "baa", "a pig": "oink",
    "a frog": "croak", "a lion": "roar", "a bee": "buzz", "an owl": "hoot",
}
LEGS = {"a dog": 4, "a bird": 2, "a spider": 8, "an ant": 6, "a horse": 4, "a person": 2, "a cat": 4, "a fish": 0}
UNITS = {
    ("minutes", "an hour"): "sixty", ("seconds", "a minute"): "sixty", ("hours", "a day"): "twenty four",
    ("days", "a week"): "seven", ("months", "a year"): "twelve", ("weeks", "a year"): "fifty two",
    ("metres", "a kilometre"): "one thousand", ("grams", "a kilogram"): "one thousand",
    ("days", "a year"): "three hundred and sixty five", ("years", "a century"): "one hundred",
    ("letters", "the alphabet"): "twenty six", ("centimetres", "a metre"): "one hundred",
}
DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
MONTHS = "January February March April May June July August September October November December".split()

# Each family: (kind, wordings to train on, wordings kept for validation, items); {…} are filled from an item.
GREETING = "Hello! How can I help you?"
WHO = "I am Calliope, a small assistant that can hear, see and speak."
CAN = "I can answer small questions, name what is on a photo, read a word, and hear a digit."
THANKS = "You are welcome."
BYE = "Goodbye! See you soon."
HOW = "I am fine, thank you."
OUTSIDE = "I am sorry, I do not know that."
UNHEARD = "I am sorry, I did not hear that."  # when nobody speaks


def families() -> list[tuple[str, list[str], list[str], list[dict[str, str]]]]:
    """All families of typed questions."""
    out = []

    def add(kind: str, train: str, held: str, items: list[dict[str, str]]) -> None:
        out.append((kind, train.strip().split("\n"), held.strip().split("\n"), items))

    add("capital", """What is the capital of {q}?
What's the capital of {q}?
Which city is the capital of {q}?
Tell me the capital of {q}.
Name the capital of {q}.
The capital of {q}?
Do you know the capital of {q}?
What is {q}'s capital?
What is the capital city of {q}?
Please tell me the capital of {q}.
Capital of {q}?
what is the capital of {q}
{q}: what is its capital?
I want to know the capital of {q}.""", """Can you tell me the capital of {q}?
What city is the capital of {q}?
Give me the capital of {q}.
Hey, what is the capital of {q}?""", [{"q": c, "a": f"The capital of {c} is {a}."} for c, a in CAPITALS.items()])
    add("opposite", """What is the opposite of {q}?
What's the opposite of {q}?
The opposite of {q}?
Tell me the opposite of {q}.
Give me the opposite of {q}.
Which word is the opposite of {q}?
Name the opposite of {q}.
what is the opposite of {q}
Do you know the opposite of {q}?
What is the opposite of the word {q}?""", """Can you tell me the opposite of {q}?
Please name the opposite of {q}.
Hey, what is the opposite of {q}?""",
        [{"q": a, "a": f"The opposite of {a} is {b}."} for x, y in OPPOSITES.items() for a, b in ((x, y), (y, x))])
    add("colour", """What colour is {q}?
What is the colour of {q}?
Which colour is {q}?
Tell me the colour of {q}.
What color is {q}?
what colour is {q}
Do you know the colour of {q}?
What's the colour of {q}?""", """Can you tell me what colour {q} is?
Which color is {q}?
Hey, what colour is {q}?""", [{"q": q, "a": f"{q[0].upper()}{q[1:]} is {a}."} for q, a in COLOURS.items()])
    add("sound", """What sound does {q} make?
What does {q} say?
Which sound does {q} make?
Tell me the sound {q} makes.
what does {q} say
What noise does {q} make?
How does {q} sound?""", """Can you tell me what {q} says?
Hey, what does {q} say?""", [{"q": q, "a": f"{q[0].upper()}{q[1:]} says {a}."} for q, a in SOUNDS.items()])
    add("legs", """How many legs does {q} have?
How many legs has {q}?
Tell me how many legs {q} has.
What number of legs does {q} have?
how many legs does {q} have
Count the legs of {q}.""", """Do you know how many legs {q} has?
Hey, how many legs does {q} have?""",
        [{"q": q, "a": f"{q[0].upper()}{q[1:]} has {NUMBERS[n] if n else 'no'} legs."} for q, n in LEGS.items()])
    add("unit", """How many {q} are in {w}?
How many {q} are there in {w}?
How many {q} does {w} have?
Tell me how many {q} are in {w}.
how many {q} in {w}
What is the number of {q} in {w}?
How many {q} make {w}?""", """Do you know how many {q} are in {w}?
Hey, how many {q} are in {w}?""", [{"q": q, "w": w, "a": f"There are {n} {q} in {w}."} for (q, w), n in UNITS.items()])
    for names, what in ((DAYS, "day"), (MONTHS, "month")):
        for step, after in ((1, "after"), (-1, "before")):
            items = [{"q": n, "a": f"{names[(i + step) % len(names)]} comes {after} {n}."} for i, n in enumerate(names)]
            add(f"{what}_{after}", f"""Which {what} comes {after} {{q}}?
What {what} comes {after} {{q}}?
What comes {after} {{q}}?
Tell me the {what} {after} {{q}}.
Which {what} is {after} {{q}}?
what {what} is {after} {{q}}
Name the {what} {after} {{q}}.
What is the {what} {after} {{q}}?""", f"""Can you tell me which {what} comes {after} {{q}}?
Do you know the {what} {after} {{q}}?
Hey, which {what} comes {after} {{q}}?""", items)
    sums = []
    for a in range(11):
        for b in range(11):
            for word, sign, value in (("plus", "+", a + b), ("minus", "-", a - b)):
                if value >= 0:
                    answer = f"{NUMBERS[a].capitalize()} {word} {NUMBERS[b]} is {NUMBERS[value]}."
                    sums.append({"q": f"{NUMBERS[a]} {word} {NUMBERS[b]}", "a": answer})
                    sums.append({"q": f"{a} {sign} {b}", "a": answer})
                    sums.append({"q": f"{a} {word} {b}", "a": answer})
    add("sum", """What is {q}?
What's {q}?
How much is {q}?
Tell me what {q} is.
Calculate {q}.
{q}
{q}?
what is {q}
What does {q} make?
{q} is what?""", """Can you tell me what {q} is?
Please calculate {q}.
Hey, what is {q}?
Do you know what {q} is?""", sums)
    add("greeting", """Hello!
Hello.
Hi!
Hi there!
Hey!
Good morning!
Good evening!
Hello there.
hello
hi
Good afternoon!
Hello Calliope!
Hey Calliope.
Good day!""", """Hi Calliope!
hello there
Good morning Calliope!
hey there""", [{"a": GREETING}])
    add("who", """Who are you?
What are you?
What is your name?
Tell me who you are.
What's your name?
Please introduce yourself.
who are you
Your name, please?
Are you a robot?
What should I call you?
Who is this?""", """Can you tell me who you are?
Introduce yourself.
Do you have a name?
Hey, who are you?""", [{"a": WHO}])
    add("can", """What can you do?
How can you help me?
What are you able to do?
Tell me what you can do.
what can you do
What do you do?
Help
What can I ask you?
What are your skills?
How do you help?""", """Can you tell me what you can do?
What can you help me with?
Hey, what can you do?""", [{"a": CAN}])
    add("thanks", """Thank you!
Thanks!
Thank you very much.
Thanks a lot!
thank you
Many thanks.
Thanks, Calliope.
Great, thank you!
That was helpful, thanks.""", """Thank you, Calliope!
thanks a lot
Thank you so much!""", [{"a": THANKS}])
    add("bye", """Goodbye!
Bye!
See you later.
Bye bye.
Good night!
goodbye
See you soon!
I have to go now.
Goodbye Calliope.""", """Bye Calliope!
See you!
good bye""", [{"a": BYE}])
    add("how", """How are you?
How are you doing?
How do you feel?
how are you
Are you well?
How is it going?
How are you today?""", """Hey, how are you?
How do you feel today?""", [{"a": HOW}])
    add("outside", """Who won the football game yesterday?
What is the weather like tomorrow?
Write me a poem about love.
Who is the president?
What is the meaning of life?
Translate this into Chinese.
How do I cook rice?
What is the stock price of Apple?
Explain quantum physics.
Book a table for two.
Send a message to my mother.
What time is it?
Play some music.
Who wrote Hamlet?
How old is the universe?
What is the speed of light?
Tell me a long story.
How do planes fly?
Where do I live?
What did I eat yesterday?
Which film should I watch?
How do I fix my car?
What is the population of Paris?
Who invented the telephone?
Write a program that sorts a list.
What is the best phone?
Turn on the lights.
When was Napoleon born?
How far away is the moon?
Why is the sky blue?
Call a taxi.
What is love?
Can you drive a car?
What is my name?
Who painted the Mona Lisa?
Give me a recipe for soup.
What is the news today?
Set an alarm for seven.
How tall is Mount Everest?
Which team is the best?
Do you like pizza?
What is the deepest ocean?
Order a pizza for me.
Tell me about history.
What is the square root of nine hundred?
How much money do I have?
Find a hotel in Berlin.
Who discovered America?
What is a black hole?
Sing a song.""", """Who is the queen of England?
What is the weather today?
Write an essay about dogs.
Who built the pyramids?
How do I bake bread?
Tell me the news.
When did the war end?
What is the price of gold?""", [{"a": OUTSIDE}])
    return out


# What people say before or after what they ask. "Hey, ..." and "Can you tell me ..." are kept for validation.
BEFORE = ["Hi, {}", "Okay, {}", "So {}", "Well, {}", "Please, {}", "Excuse me, {}", "Quick question: {}", "One more question. {}", "Oh, and {}", "Calliope, {}",
          "Hello, {}", "Now {}", "I have a question: {}", "And {}"]
AFTER = ["{}, please", "{}, Calliope", "{} Thank you.", "{} Thanks!", "{} Please tell me.", "{} I want to know."]
INDIRECT = ["Could you tell me {}?", "Would you tell me {}?", "Do you happen to know {}?", "I would like to know {}.", "I wonder {}.", "Please tell me {}.", "Say {}.",
            "Could you please say {}?", "Any idea {}?", "I forgot {}."]


def polite(asked: str, kind: str, rng: random.Random) -> str:
    """The question with more words around it, or asked indirectly: what colour is grass -> could you tell me what colour grass is."""
    if kind == "colour" and rng.random() < 0.4 and (found := re.fullmatch(r"(What colou?r) is (.+)\?", asked)):
        return rng.choice(INDIRECT).format(f"{found[1].lower()} {found[2]} is")
    if kind == "sound" and rng.random() < 0.4 and (found := re.fullmatch(r"What (sound |noise )?does (.+) (say|make)\?", asked)):
        return rng.choice(INDIRECT).format(f"what {found[1] or ''}{found[2]} {found[3]}s")
    if kind == "legs" and rng.random() < 0.4 and (found := re.fullmatch(r"How many legs does (.+) have\?", asked)):
        return rng.choice(INDIRECT).format(f"how many legs {found[1]} has")
    if kind in ("who", "how", "can") and rng.random() < 0.3 and (found := re.fullmatch(r"(Who|How|What) (are|is) (you|this|your \w+)\?", asked)):
        return rng.choice(INDIRECT).format(f"{found[1].lower()} {found[3]} {found[2]}")
    if kind in ("greeting", "bye", "thanks") or asked[-1] not in "?." or not asked[0].isalpha():
        return asked
    if rng.random() < 0.7:
        lower = asked if asked.split()[0] in ("I", *DAYS, *MONTHS) or asked.split()[0].rstrip(":") in CAPITALS else asked[0].lower() + asked[1:]
        wrapped = rng.choice(BEFORE if asked.endswith("?") else [text for text in BEFORE if text != "Please, {}"])  # nor is "Please name ..."
        return wrapped.format(asked if wrapped[:-2].rstrip().endswith((".", ":")) else lower)
    wrapped = rng.choice(AFTER)
    return wrapped.format(asked.rstrip("?.")) + asked[-1] if wrapped.startswith("{},") else wrapped.format(asked)


def question(rng: random.Random, held_out: bool = False) -> tuple[str, str, str]:
    """A typed question: (kind, question, answer). held_out takes the wordings training never sees."""
    kind, train, held, items = rng.choices(FAMILIES, weights=WEIGHTS)[0]
    item = rng.choice(items)
    asked = rng.choice(held if held_out else train).format(**item)
    if not held_out and rng.random() < 0.3:
        asked = polite(asked, kind, rng)
    if not held_out and rng.random() < 0.25:  # as people type
        asked = asked.lower() if rng.random() < 0.6 else asked
        asked = asked.rstrip("?!.") if rng.random() < 0.6 else asked
    return kind, asked, item["a"]


FAMILIES = families()
# Large families get more turns, but no family starves.
WEIGHTS = [max(2.0, (len(items) * len(train)) ** 0.5) for _, train, _, items in FAMILIES]

PHOTO_CLASSES = "airplane automobile bird cat deer dog frog horse ship truck".split()


def photo_answer(name: str) -> str:
    """What is said about a photo of one of PHOTO_CLASSES."""
    return f"This is {'an' if name[0] in 'aeiou' else 'a'} {name}."


SYSTEM_PROMPTS = ["You are Calliope.", "You are a helpful assistant.", "You are Calliope, a helpful assistant. Answer briefly."]
PHOTO_QUESTIONS = """What is in this photo?
What is in this picture?
What do you see?
What can you see in this photo?
What is this?
Describe this photo.
What is on this image?
Name the thing in this photo.
Tell me what you see.
What does this picture show?""".split("\n")
READ_QUESTIONS = """Read the text.
What does it say?
Read this.
Which word is this?
Read the word.
What is written here?
Please read the text.
What does the sign say?""".split("\n")
DIGIT_QUESTIONS = """Which digit do you hear?
What digit is this?
Which number do you hear?
What number was said?
Which digit was spoken?
Tell me the digit.""".split("\n")


def read_answer(word: str) -> str:
    """What is said about a picture of a word."""
    return f"It says {word}."


def digit_answer(digit: int) -> str:
    """What is said about a spoken digit."""
    return f"I hear the digit {NUMBERS[digit]}."


WORDS = sorted(set("""apple bread water house green table chair music happy light night river stone cloud tiger horse
mouse plant paper phone radio train truck plane ocean beach sugar salt milk coffee tea cake pizza soup rice fish meat
fruit lemon grape peach berry honey spoon knife fork plate glass bottle bag box book pen pencil desk lamp door window
wall floor roof garden tree leaf flower grass sun moon star rain snow wind storm fire ice hot cold big small open
closed push pull stop go exit enter left right up down north south east west red blue white black yellow brown pink
one two three four five six seven eight nine ten zero hello thanks please sorry welcome danger warning caution free
sale price shop store market street road bridge park school hospital police bank hotel museum station airport bus taxi
car bike boat ship king queen child woman man boy girl baby friend mother father sister brother doctor teacher
summer winter spring autumn morning evening today monday friday sunday january april june july august city town
village country world earth space robot computer keyboard screen camera photo movie game ball sport team play win
lose run walk jump swim dance sing read write draw paint cook eat drink sleep dream love hope peace time year month
week hour minute second number letter word name story news mail code key lock safe gold silver iron wood paper cloth
shirt shoe hat coat dress ring watch clock dog cat bird cow pig sheep duck lion bear wolf fox frog snake bee ant
owl eagle shark whale zebra camel monkey rabbit turtle""".split()))


def answers() -> list[str]:
    """Every sentence the model can say, for the voice."""
    out = {item["a"] for _, _, _, items in FAMILIES for item in items}
    out |= {photo_answer(name) for name in PHOTO_CLASSES}
    out |= {read_answer(word) for word in WORDS}
    out |= {digit_answer(digit) for digit in range(10)}
    return sorted(out)
