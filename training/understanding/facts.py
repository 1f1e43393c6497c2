"""What calliope-nano knows: facts and the ways people ask for them. Small numbers are written as words, as they are spoken, those of
larger sums in figures."""

from __future__ import annotations

import itertools
import random
import re
from pathlib import Path

from understanding import knowledge
from understanding.knowledge import CAPITALS, COLOURS, LEGS, MONTHS, OPPOSITES, SOUNDS, UNITS

NUMBERS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen twenty"
).split()

DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()

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


def number_words(n: int) -> str:
    """three hundred and forty five; up to 9,999."""
    if n <= 20:
        return NUMBERS[n]
    if n < 100:
        return "twenty thirty forty fifty sixty seventy eighty ninety".split()[n // 10 - 2] + (f" {NUMBERS[n % 10]}" if n % 10 else "")
    large, rest, word = (n // 1000, n % 1000, "thousand") if n >= 1000 else (n // 100, n % 100, "hundred")
    return f"{NUMBERS[large]} {word}" + (f"{' and' if rest < 100 else ''} {number_words(rest)}" if rest else "")


def named(thing: str) -> str:
    """A thing at the beginning of a sentence."""
    return thing[0].upper() + thing[1:]


def kept(word: str) -> bool:
    """Every sixth word or thing is kept for validation."""
    return sum(map(ord, word)) % 6 == 0


def spelled(word: str) -> str:
    return f"{named(word)} is spelled {' '.join(word.upper())}."


# Words it learns to spell; those of knowledge.words() that are kept show whether it can spell others.
SPELLED = sorted({w for w in WORDS if len(w) <= 9} | {w for of in knowledge.words().values() for w in of if not kept(w) and len(w) <= 9})


def invented(rng: random.Random) -> str:
    """The beginning of a word and the end of another, so that spelling is learnt and not only the words."""
    start, end = rng.choice(SPELLED), rng.choice(SPELLED)
    word = (start[: rng.randint(1, max(1, len(start) - 1))] + end[rng.randint(0, len(end) - 1) :])[:10]
    return invented(rng) if len(word) < 3 or kept(word) else word


# Each family: (kind, wordings to train on, wordings kept for validation, items); {…} are filled from an item.
GREETING = "Hello! How can I help you?"
WHO = "I am Calliope, a small assistant that can hear, see and speak."
CAN = "I can answer small questions, name what is on a photo, read a word, and hear a digit."
THANKS = "You are welcome."
BYE = "Goodbye! See you soon."
HOW = "I am fine, thank you."
OUTSIDE = "I am sorry, I do not know that."
UNHEARD = "I am sorry, I did not hear that."  # when nobody speaks


def further_wordings() -> dict[str, list[str]]:
    """More ways to ask, by family: sections of wordings.txt."""
    out: dict[str, list[str]] = {}
    for line in Path(__file__).with_name("wordings.txt").read_text().split("\n"):
        if line.startswith("["):
            of = out.setdefault(line[1:-1], [])
        elif line:
            of.append(line)
    return out


def families() -> list[tuple[str, list[str], list[str], list[dict[str, str]]]]:
    """All families of typed questions."""
    out, further = [], further_wordings()

    def add(kind: str, train: str, held: str, items: list[dict[str, str]], first: int = 0) -> None:
        """The `first` items are a family of their own: those asked aloud."""
        train = "\n".join([train.strip(), *further.get(kind, [])])
        for name, part in ((kind, items[:first] if first else items), (f"further_{kind}", items[first:] if first else [])):
            if part:
                out.append((name, train.strip().split("\n"), held.strip().split("\n"), part))

    def about(kind: str, train: str, held: str, known: dict, answer) -> None:
        add(kind, train, held, [{"q": q, "v": str(v), "a": answer(q, v)} for q, v in known.items()])

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
Hey, what is the capital of {q}?""", [{"q": c, "a": f"The capital of {c} is {a}."} for c, a in CAPITALS.items()], knowledge.FIRST_CAPITALS)
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
Hey, what does {q} say?""", [{"q": q, "a": f"{q[0].upper()}{q[1:]} says {a}."} for q, a in SOUNDS.items()], knowledge.FIRST_SOUNDS)
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
How do you help?
What can you help with?
What are you good at?
Tell me what you can help with.
What sort of things can I ask you?
What do you help people with?""", """Can you tell me what you can do?
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
How are you today?
Hi, how are you?
Hello, how are you?
Hello! How are you doing?
Hi Calliope, how are you today?
Good morning, how are you?
Hi, how is it going?
hi how are you""", """Hey, how are you?
How do you feel today?""", [{"a": HOW}])
    add("outside", """Who won the football game yesterday?
What is the weather like on Sunday?
Write me a poem about love.
Who is the president?
What is the point of it all?
Translate this into Chinese.
How do I cook rice?
What is a share of Siemens worth?
Explain quantum physics.
Book a table for two.
Send a message to my mother.
What time is it?
Play some music.
Who wrote Hamlet?
How old is the Milky Way?
What is the speed of light?
Tell me a long story.
How do planes fly?
Where do I work?
What did I eat yesterday?
Which film should I watch?
How do I fix my car?
What is the population of Paris?
Who invented the bicycle?
Write a program that sorts a list.
What is the best phone?
Turn on the lights.
When was Napoleon born?
How far away is the moon?
Why is the grass green?
Call a taxi.
What is love?
Can you drive a car?
What is my surname?
Who painted the Sistine Chapel?
Give me a recipe for soup.
What is the news today?
Set an alarm for six.
How tall is Mont Blanc?
Which team is the best?
Do you like pizza?
What is the deepest ocean?
Order a pizza for me.
Tell me about history.
What is the square root of nine hundred?
How much money do I have?
Find a hotel in Berlin.
Who discovered America?
What is a quasar?
Sing a song.""", """Who is the queen of England?
What is the weather today?
Write an essay about dogs.
Who built the pyramids?
How do I bake bread?
Tell me the news.
When did the war end?
What is the price of gold?""", [{"a": OUTSIDE}])
    alone = {v: c for c, v in CAPITALS.items() if v not in c and list(CAPITALS.values()).count(v) == 1}
    about("capital_of", """{q} is the capital of which country?
Which country has {q} as its capital?
{q} is the capital of what country?
Of which country is {q} the capital?
Which country is {q} the capital of?
what country has the capital {q}
{q} is the capital of?
Which country's capital is {q}?
Tell me which country {q} is the capital of.
Name the country whose capital is {q}.""", """What country is {q} the capital of?
Do you know which country {q} is the capital of?""", alone, lambda q, v: f"{q} is the capital of {v}.")
    about("continent", """Which continent is {q} in?
What continent is {q} in?
On which continent is {q}?
Which continent is {q} on?
Tell me the continent of {q}.
what continent is {q} on
In which continent does {q} lie?
What part of the world is {q} in?
On what continent do I find {q}?
{q} is in which continent?""", """Can you tell me which continent {q} is in?
Which continent does {q} belong to?""", knowledge.CONTINENTS, lambda q, v: f"{named(q)} is in {v}.")
    about("currency", """What is the currency of {q}?
Which currency does {q} use?
What money do people use in {q}?
What currency do they use in {q}?
Name the currency of {q}.
what is the currency in {q}
How do people pay in {q}?
What money does {q} have?
Tell me the currency of {q}.
The currency of {q}?""", """Can you tell me the currency of {q}?
Which money is used in {q}?""", knowledge.CURRENCIES, lambda q, v: f"The currency of {q} is the {v}.")
    about("language", """Which language do people speak in {q}?
What language is spoken in {q}?
Which language is spoken in {q}?
What is the language of {q}?
what language do people speak in {q}
Name the language of {q}.
Tell me the language of {q}.
Which language does {q} speak?
What do people speak in {q}?""", """Do you know which language people speak in {q}?
Which language do they speak in {q}?""", knowledge.LANGUAGES, lambda q, v: f"People in {q} speak {v}.")
    about("young", """What is a baby {q} called?
What do you call a baby {q}?
What is a young {q} called?
Name the young of a {q}.
what is a baby {q} called
What is the name of a baby {q}?
What is the young of a {q} called?
The word for a baby {q}?
What do you call a young {q}?""", """Can you tell me what a baby {q} is called?
How do you call a baby {q}?""", knowledge.YOUNG, lambda q, v: f"A baby {q} is called {'an' if v[0] in 'aeiou' else 'a'} {v}.")
    about("home", """Where does {q} live?
What does {q} live in?
Where is the home of {q}?
What is the home of {q} called?
where does {q} live
Tell me where {q} lives.
Where do I find {q} at home?
In what does {q} live?""", """Can you tell me where {q} lives?
Do you know where {q} lives?""", knowledge.HOMES, lambda q, v: f"{named(q)} lives in {v}.")
    about("kind", """What is {q}?
What kind of thing is {q}?
What sort of thing is {q}?
Tell me what {q} is.
what is {q}
What type of thing is {q}?
What's {q}?
{q}: what is it?""", """Can you tell me what {q} is?
What is {q}, exactly?""", knowledge.KINDS, lambda q, v: f"{named(q)} is {v}.")
    about("symbol", """What is the chemical symbol of {q}?
What is the symbol of {q}?
What is the chemical symbol for {q}?
Which symbol stands for {q}?
Tell me the symbol for {q}.
what is the symbol for {q}
What letters stand for {q} in chemistry?
How do chemists write {q}?
The chemical symbol of {q}?""", """Can you tell me the chemical symbol of {q}?
Which chemical symbol does {q} have?""", knowledge.SYMBOLS, lambda q, v: f"The symbol of {q} is {v}.")
    about("sides", """How many sides does {q} have?
How many sides has {q}?
Tell me how many sides {q} has.
what number of sides does {q} have
How many corners does {q} have?
What is the number of sides of {q}?
Count the sides of {q}.""", """Do you know how many sides {q} has?
Hey, how many sides does {q} have?""", knowledge.SIDES, lambda q, v: f"{named(q)} has {NUMBERS[v]} sides.")
    about("season", """In which season is {q}?
Which season is {q} in?
What season is {q}?
What season does {q} belong to?
Tell me the season of {q}.
What season is it in {q}?
which season is {q}""", """Can you tell me which season {q} is in?
{q} is in which season?""", knowledge.SEASONS, lambda q, v: f"In the north {q} is in {v}.")
    about("month_days", """How many days does {q} have?
How many days are in {q}?
How many days are there in {q}?
Tell me how many days {q} has.
how many days has {q}
How many days make {q}?
What is the number of days in {q}?""", """Do you know how many days {q} has?
How long is {q} in days?""", knowledge.MONTH_DAYS, lambda q, v: f"{q} has {number_words(v)} days.")
    ordinals = "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth".split()
    about("month_number", """What is the {q} month?
Which month is the {q}?
What is the {q} month of the year?
Which month is the {q} of the year?
Name the {q} month.
Tell me the {q} month of the year.
what is the {q} month called""", """Can you tell me the {q} month?
Which is the {q} month of the year?""", dict(zip(ordinals, MONTHS)), lambda q, v: f"The {q} month is {v}.")
    for names, what in (("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "letter"), (knowledge.PLANETS, "planet")):
        for step, after in ((1, "after"), (-1, "before")):
            items = [{"q": n, "a": f"{names[i + step]} comes {after} {n}."} for i, n in enumerate(names) if 0 <= i + step < len(names)]
            add(f"{what}_{after}", f"""Which {what} comes {after} {{q}}?
What {what} comes {after} {{q}}?
Tell me the {what} {after} {{q}}.
Which {what} is {after} {{q}}?
what {what} is {after} {{q}}
Name the {what} {after} {{q}}.
What is the {what} {after} {{q}}?""", f"""Can you tell me which {what} comes {after} {{q}}?
Do you know the {what} {after} {{q}}?""", items)
    about("spelling", """How do you spell {q}?
Spell {q}.
How is {q} spelled?
Spell the word {q}.
Please spell {q}.
How do I spell {q}?
how do you write {q}
Tell me how to spell {q}.
What is the spelling of {q}?
Which letters are in {q}?
{q}, how is it spelled?
Can you spell {q}?""", """Could you spell {q} for me?
How would you spell {q}?""", {word: word for word in SPELLED}, lambda q, v: spelled(v))
    for step, after in ((1, "after"), (-1, "before")):
        # Small ones in words, which they are asked in too.
        said = {n: number_words(n) if n <= 20 else str(n) for n in range(1000)}
        pairs = [(shown, n) for n in range(1, 999) for shown in (str(n), number_words(n))]
        add(f"number_{after}", f"""What number comes {after} {{q}}?
Which number comes {after} {{q}}?
What comes {after} {{q}}?
Which number is {after} {{q}}?
Tell me the number {after} {{q}}.
Name the number {after} {{q}}.
what is the {'next' if step > 0 else 'last'} number {after} {{q}}
What is the number {after} {{q}}?""", f"""Can you tell me which number comes {after} {{q}}?
Do you know the number {after} {{q}}?""", [{"q": shown, "a": f"{named(said[n + step])} comes {after} {said[n]}."} for shown, n in pairs])
    about("in_words", """How do you write {q} in words?
What is {q} in words?
Write {q} in words.
{q} in words?
Write the number {q} as words.
how is {q} written in words
Put {q} into words.""", """Can you write {q} in words?
Please say {q} in words.""", {str(n): n for n in range(1000)}, lambda q, v: f"{q} in words is {number_words(v)}.")
    about("in_figures", """What is {q} in figures?
Write {q} in figures.
How do you write {q} in figures?
{q} as a number?
Write {q} as a number.
What number is {q}?
Put {q} into figures.""", """Can you write {q} in figures?
Please write {q} with digits.""", {number_words(n): n for n in range(1000)}, lambda q, v: f"{named(q)} in figures is {v}.")
    about("even", """Is {q} even or odd?
Is {q} odd or even?
Is the number {q} even or odd?
{q}: even or odd?
Tell me whether {q} is even or odd.
is {q} an even or an odd number""", """Can you tell me if {q} is even or odd?
Is {q} an odd or an even number?""", {str(n): n for n in range(1000)}, lambda q, v: f"{q} is {'odd' if v % 2 else 'even'}.")
    return out


# What people say before or after what they ask. "Hey, ..." and "Can you tell me ..." are kept for validation.
BEFORE = ["Hi, {}", "Okay, {}", "So {}", "Well, {}", "Please, {}", "Excuse me, {}", "Quick question: {}", "One more question. {}", "Oh, and {}", "Calliope, {}",
          "Hello, {}", "Now {}", "I have a question: {}", "And {}"]
AFTER = ["{}, please", "{}, Calliope", "{} Thank you.", "{} Thanks!", "{} Please tell me.", "{} I want to know."]
INDIRECT = ["Could you tell me {}?", "Would you tell me {}?", "Do you happen to know {}?", "I would like to know {}.", "I wonder {}.", "Please tell me {}.", "Say {}.",
            "Could you please say {}?", "Any idea {}?", "I forgot {}."]


# Words that keep their capital.
NAMES = {"I", *DAYS, *MONTHS, *knowledge.PLANETS, *(w for c in [*CAPITALS, *CAPITALS.values()] for w in c.split() if w[0].isupper())}


def polite(asked: str, kind: str, rng: random.Random) -> str:
    """The question with more words around it, or asked indirectly: what colour is grass -> could you tell me what colour grass is."""
    if kind == "colour" and rng.random() < 0.4 and (found := re.fullmatch(r"(What colou?r) is (.+)\?", asked)):
        return rng.choice(INDIRECT).format(f"{found[1].lower()} {found[2]} is")
    if kind.endswith("sound") and rng.random() < 0.4 and (found := re.fullmatch(r"What (sound |noise )?does (.+) (say|make)\?", asked)):
        return rng.choice(INDIRECT).format(f"what {found[1] or ''}{found[2]} {found[3]}s")
    if kind == "legs" and rng.random() < 0.4 and (found := re.fullmatch(r"How many legs does (.+) have\?", asked)):
        return rng.choice(INDIRECT).format(f"how many legs {found[1]} has")
    if kind in ("who", "how", "can") and rng.random() < 0.3 and (found := re.fullmatch(r"(Who|How|What) (are|is) (you|this|your \w+)\?", asked)):
        return rng.choice(INDIRECT).format(f"{found[1].lower()} {found[3]} {found[2]}")
    if kind in ("greeting", "bye", "thanks") or asked[-1] not in "?." or not asked[0].isalpha():
        return asked
    if rng.random() < 0.7:
        lower = asked if re.split("[ :?']", asked)[0] in NAMES else asked[0].lower() + asked[1:]
        wrapped = rng.choice(BEFORE if asked.endswith("?") else [text for text in BEFORE if text != "Please, {}"])  # nor is "Please name ..."
        return wrapped.format(asked if wrapped[:-2].rstrip().endswith((".", ":")) else lower)
    wrapped = rng.choice(AFTER)
    return wrapped.format(asked.rstrip("?.")) + asked[-1] if wrapped.startswith("{},") else wrapped.format(asked)


SUM = ["What is {q}?", "What's {q}?", "How much is {q}?", "Tell me what {q} is.", "Calculate {q}.", "{q}", "{q}?", "{q} =", "{q} = ?", "what is {q}",
       "What does {q} make?", "{q} is what?", "Work out {q}.", "{q} equals?", "What do I get for {q}?"]
HELD_SUM = ["Can you tell me what {q} is?", "Please calculate {q}.", "Hey, what is {q}?", "Do you know what {q} is?"]
# Other ways to ask, where {a} and {b} stand apart.
APART = {
    "sum": ["Add {a} and {b}.", "What is the sum of {a} and {b}?", "How much are {a} and {b} together?", "Add {b} to {a}.", "What do {a} and {b} make?"],
    "difference": ["Subtract {b} from {a}.", "Take {b} away from {a}.", "What is {a} less {b}?", "What is left of {a} when I take away {b}?"],
    "product": ["Multiply {a} by {b}.", "What is the product of {a} and {b}?", "Multiply {a} and {b}."],
}
SUM += further_wordings()["sum_whole"]
for _kind in APART:
    APART[_kind] += further_wordings()[f"{_kind}_apart"]
SIGNS = {"sum": (["+"], ["plus"]), "difference": (["-"], ["minus"]), "product": (["x", "*"], ["times", "multiplied by"])}


def kept_pair(a: int, b: int) -> bool:
    """Every twentieth pair of numbers is kept for validation, where both are too large to be learnt by heart."""
    return min(a, b) > 12 and (a * 31 + b * 17) % 20 == 3


def result(kind: str, a: int, b: int) -> str:
    """The answer: small ones in words."""
    value = a + b if kind == "sum" else a - b if kind == "difference" else a * b
    word = {"sum": "plus", "difference": "minus", "product": "times"}[kind]
    if kind != "product" and a <= 10 and b <= 10:
        return f"{NUMBERS[a].capitalize()} {word} {NUMBERS[b]} is {'minus ' if value < 0 else ''}{NUMBERS[abs(value)]}."
    return f"{a} {word} {b} is {'minus ' if value < 0 else ''}{abs(value)}."


def operands(kind: str, rng: random.Random, held_out: bool) -> tuple[int, int]:
    """Two numbers of all sizes: up to 999 each to add and subtract, and in their product."""
    size = rng.choices([1, 2, 3, 0], [0.1, 0.3, 0.4, 0.2])[0]
    sizes = [(size or rng.randint(1, 3)) - 1 for _ in range(2)]
    table = rng.random() < 0.4
    while True:
        if kind != "product":
            a, b = (rng.randint(*((0, 9), (10, 99), (100, 999))[of]) for of in sizes)
            if kind == "difference" and a < b and rng.random() < 0.85:
                a, b = b, a
        elif table:
            a, b = rng.randint(0, 12), rng.randint(0, 12)
        else:
            a = rng.randint(2, 31)
            b = rng.randint(2, 999 // a)
            if rng.random() < 0.5:
                a, b = b, a
        if kept_pair(a, b) == held_out or held_out and min(a, b) <= 12:
            return a, b


def arithmetic(rng: random.Random, held_out: bool = False) -> tuple[str, str, str]:
    """A sum, difference or product: (kind and how many digits, question, answer). held_out takes wordings and pairs of numbers training never sees."""
    kind = rng.choices(["sum", "difference", "product"], [0.45, 0.3, 0.25])[0]
    a, b = operands(kind, rng, held_out)
    left, right = str(a), str(b)
    if rng.random() < (0.4 if a <= 20 and b <= 20 else 0.15):
        left, right = number_words(a), number_words(b)
    if not held_out and rng.random() < 0.2:
        asked = rng.choice(APART[kind]).format(a=left, b=right)
    else:
        signs, words = SIGNS[kind]
        in_figures = left.isdigit() and rng.random() < 0.5
        space = "" if in_figures and rng.random() < 0.3 else " "
        whole = f"{left}{space}{rng.choice(signs if in_figures else words)}{space}{right}"
        asked = rng.choice(HELD_SUM if held_out else SUM).format(q=whole)
    if not held_out and rng.random() < 0.15:
        asked = polite(asked, "", rng)
    if not held_out and rng.random() < 0.2:
        asked = as_typed(asked, rng)
    return f"{kind}_{len(str(a * b if kind == 'product' else max(a, b)))}", asked, result(kind, a, b)


def as_typed(asked: str, rng: random.Random) -> str:
    """As people type: no capitals, nothing at the end."""
    asked = asked.lower() if rng.random() < 0.6 else asked
    return asked.rstrip("?!.") if rng.random() < 0.6 else asked


def question(rng: random.Random, held_out: bool = False) -> tuple[str, str, str]:
    """A typed question: (kind, question, answer). held_out takes the wordings training never sees."""
    if rng.random() < ARITHMETIC:
        return arithmetic(rng, held_out)
    return of_family(rng.choices(FAMILIES, cum_weights=CUMULATED)[0], rng, held_out)


def spelling(rng: random.Random, held_out: bool = False) -> tuple[str, str, str]:
    """A word to be spelled, which takes more examples than most of what it knows."""
    return of_family(next(family for family in FAMILIES if family[0] == "spelling"), rng, held_out)


def of_family(family: tuple, rng: random.Random, held_out: bool) -> tuple[str, str, str]:
    """A question of one of FAMILIES: (kind, question, answer)."""
    kind, train, held, items = family
    item = rng.choice(items)
    if kind == "spelling" and not held_out and rng.random() < 0.5:
        word = invented(rng)
        item = {"q": word, "a": spelled(word)}
    asked = rng.choice(held if held_out else train).format(**item)
    if not held_out and rng.random() < 0.3:
        asked = polite(asked, kind, rng)
    if not held_out and rng.random() < 0.25:
        asked = as_typed(asked, rng)
    return kind, asked, item["a"]


FAMILIES = families()
FIRST = """capital opposite colour sound legs unit day_after day_before month_after month_before sum greeting who can thanks bye how outside""".split()
ARITHMETIC = 0.12  # of the questions


def weights() -> list[float]:
    """Large families get more turns, but no family starves; the first ones together as many as all the others."""
    drawn = [min(90.0 if kind == "spelling" else 40.0, max(8.0, (len(items) * 10) ** 0.5)) for kind, _, _, items in FAMILIES]
    first = [kind in FIRST for kind, *_ in FAMILIES]
    total = {of: sum(w for w, f in zip(drawn, first) if f == of) for of in (True, False)}
    return [w / total[f] for w, f in zip(drawn, first)]


WEIGHTS = weights()
CUMULATED = list(itertools.accumulate(WEIGHTS))


def part(kind: str) -> str:
    """Where a kind of question() belongs: what it knew from the beginning, further knowledge, or sums."""
    return "first" if kind in FIRST else "arithmetic" if kind[-2:-1] == "_" else "further"


def plain(asked: str) -> str:
    """A question as it is compared with others: small letters, no punctuation at its end."""
    return asked.lower().rstrip("?!. =")


def known() -> set[str]:
    """Everything it is asked about what it knows, save sums."""
    return {plain(wording.format(**item)) for kind, train, held, items in FAMILIES if kind != "outside" for item in items for wording in train + held}


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


def answers() -> list[str]:
    """What the model says, for the voice: every sentence, but of what there are thousands some."""
    out = set()
    for _, _, _, items in FAMILIES:
        said = sorted({item["a"] for item in items})
        out |= set(said[:: max(1, len(said) // 250)])
    rng = random.Random(2)
    out |= {arithmetic(rng)[2] for _ in range(400)}
    out |= {photo_answer(name) for name in PHOTO_CLASSES}
    out |= {read_answer(word) for word in WORDS}
    out |= {digit_answer(digit) for digit in range(10)}
    return sorted(out)
