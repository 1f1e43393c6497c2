"""Questions calliope-nano has no answer to: of all kinds, and such as it knows for other things."""

from __future__ import annotations

import random

from understanding import facts

COUNTRIES = """Albania Algeria Angola Armenia Bangladesh Belarus Bolivia Bulgaria Cambodia Cameroon Chad Croatia Cyprus Ecuador Estonia
Ethiopia Georgia Guatemala Haiti Honduras Israel Jamaica Jordan Kazakhstan Kuwait Laos Latvia Lebanon Libya Lithuania Luxembourg
Madagascar Malaysia Mali Malta Mongolia Nepal Nicaragua Niger Nigeria Oman Pakistan Panama Paraguay Philippines Qatar Rwanda
Senegal Serbia Singapore Slovakia Slovenia Somalia Sudan Syria Taiwan Tanzania Tunisia Uganda Uruguay Venezuela Yemen Zambia
Zimbabwe Texas California Bavaria Siberia Atlantis Narnia""".split()
THINGS = """a tomato|a carrot|gold|the moon|a potato|wood|a cherry|butter|ink|a pear|a polar bear|a rose|honey|paper|rust|a cucumber|copper|a
plum|a violin|a tractor|steel|a panda|a parrot|a violet|tea|a cloud|rice|a tulip|cheese|the ocean floor""".replace("\n", " ").split("|")
BEASTS = "a donkey|a goat|a crow|a wolf|a snake|a monkey|an elephant|a turkey|a mouse|a whale|a hen|a bear|a fox|a tiger|a crab|a snail|a beetle|a lizard|a centipede|a squirrel|an octopus|a hippo".split("|")
WORDS = """table music paper seven river window house idea coffee computer mountain pencil orange water bicycle garden school kitchen doctor
letter country picture animal butter number street winter dream engine button""".split()
PEOPLE = """the king of Spain|Albert Einstein|the pope|Marie Curie|my neighbour|the mayor of London|Shakespeare|Mozart|Cleopatra|the first man on
the moon|your boss|Charles Darwin|Isaac Newton|the prime minister|Beethoven|Gandhi|Leonardo da Vinci|my teacher|Julius Caesar|Elvis""".replace("\n", " ").split("|")
TOPICS = """football|the French revolution|black holes|photosynthesis|the stock market|climate change|chess|the Roman empire|jazz|volcanoes|DNA|
dinosaurs|inflation|gravity|the weather|electricity|the internet|yoga|politics|philosophy|batteries|nuclear power|poetry|vaccines|taxes""".replace("\n", "").split("|")
TASKS = """write an email|fix my bike|bake a cake|learn Spanish|lose weight|build a house|change a tyre|grow tomatoes|save money|tie a tie|play the
guitar|cook pasta|sleep better|repair a phone|install Linux|make pancakes|clean a carpet|draw a horse|train a dog|buy a house|get to the station|open
a bank account""".replace("\n", " ").split("|")
ORDERS = """Turn off the heating|Play a song by the Beatles|Call my brother|Open the garage|Buy some milk|Book a flight to Rome|Set a timer for ten
minutes|Send an email to my boss|Remind me to buy bread|Show me a map|Take a picture|Read my messages|Lock the door|Start the washing machine|Order a
taxi|Translate hello into Spanish|Write a story about a dragon|Make a list|Find a good restaurant|Add eggs to my list|Turn up the volume|Close the
window|Pay my bill|Record a video|Search the web|Write some code|Draw me a tree|Count to one million|Tell me a secret|Tell me a joke""".replace("\n", " ").split("|")

# (wordings, wordings kept for validation, what fills them)
KINDS = [
    (["What is the capital of {}?", "What's the capital of {}?", "Tell me the capital of {}.", "Capital of {}?", "Which city is the capital of {}?"],
     ["Can you tell me the capital of {}?", "Give me the capital of {}."], COUNTRIES),
    (["What colour is {}?", "What is the colour of {}?", "What color is {}?"], ["Which color is {}?"], THINGS),
    (["What does {} say?", "What sound does {} make?", "How many legs does {} have?"], ["Can you tell me what {} says?"], BEASTS),
    (["What is the opposite of {}?", "The opposite of {}?"], ["Can you tell me the opposite of {}?"], WORDS),
    (["Who is {}?", "Who was {}?", "When was {} born?", "Where does {} live?", "How old is {}?", "Tell me about {}."], ["What do you know about {}?", "Is {} famous?"], PEOPLE),
    (["What is {}?", "Explain {}.", "Tell me about {}.", "How does {} work?", "Why is {} important?", "Write an essay about {}."],
     ["What do you think of {}?", "Teach me something about {}."], TOPICS),
    (["How do I {}?", "How can I {}?", "Help me {}.", "What is the best way to {}?", "Teach me to {}.", "When should I {}?"], ["Can you help me {}?", "I want to {}."], TASKS),
    (["{}.", "Please {}.", "Can you {}?", "{} please."], ["Could you please {}?"], ORDERS),
    (["How far is it to {}?", "How many people live in {}?", "Who rules {}?", "Is {} a big country?", "What do people eat in {}?", "How do I get to {}?"],
     ["What language do they speak in {}?", "Is it warm in {}?"], COUNTRIES),
]


SYLLABLES = "ba be bo bra cal cor da den do dra el fa fen ga gar gi har ja ka kel lan li lo ma mar mi mon na nor o pa per qua ra ri ro sa sel sta ta ter to tri u va vel vi wa yo za zu".split()
ENDINGS = {"country": "nia land stan ria via burg ton que dor ras".split(), "word": "le ly er ing ness ful ment tion y ous".split()}


def invented(kind: str, rng: random.Random) -> str:
    """A name nobody has heard, so that it is not the few in the lists that are unknown."""
    name = "".join(rng.choice(SYLLABLES) for _ in range(rng.randint(1, 2))) + rng.choice(ENDINGS[kind])
    return name.capitalize() if kind == "country" else name


COLOURS_KNOWN = {name.split()[-1] for name in facts.COLOURS}
BEASTS_KNOWN = {name.split()[-1] for name in [*facts.SOUNDS, *facts.LEGS]}


def held(thing: str) -> bool:
    """Every sixth thing is kept for validation."""
    return sum(map(ord, thing)) % 6 == 0


def other(things: list[str], rng: random.Random) -> str:
    """Something of the same kind that is in no list."""
    if things is COUNTRIES:
        while (name := invented("country", rng)) in facts.CAPITALS or name in COUNTRIES:
            pass
        return name
    known = COLOURS_KNOWN if things is THINGS else BEASTS_KNOWN if things is BEASTS else set(facts.OPPOSITES) | set(facts.OPPOSITES.values())
    while True:
        word = invented("word", rng) if rng.random() < 0.5 else rng.choice(facts.WORDS)
        name = word if things is WORDS else f"{'an' if word[0] in 'aeiou' else 'a'} {word}"
        if word not in known and name not in things and not held(name):
            return name


def question(rng: random.Random, held_out: bool = False) -> str:
    """A question to be answered with facts.OUTSIDE; `held_out` takes wordings and things that training never sees."""
    train, kept, things = rng.choice(KINDS)
    thing = rng.choice([t for t in things if held(t) == held_out])
    if not held_out and rng.random() < 0.4 and (things is COUNTRIES or things is WORDS or things is THINGS or things is BEASTS):
        thing = other(things, rng)
    wording = rng.choice(kept if held_out else train)
    asked = wording.format(thing if wording.startswith("{}") or thing[1:2].isupper() or things is not ORDERS else thing[0].lower() + thing[1:])
    asked = asked[0].upper() + asked[1:]
    if not held_out and rng.random() < 0.25:
        asked = facts.polite(asked, "", rng)
    if not held_out and rng.random() < 0.25:  # as people type
        asked = asked.lower().rstrip("?!.")
    return asked
