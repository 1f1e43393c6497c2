"""Coffee orders: what can be ordered, how people say it, and the two ways they are answered."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import torch

from understanding import sounds

DRINKS = ["mocha", "iced mocha", "cappuccino", "drip coffee", "americano", "house coffee", "iced coffee", "coffee", "espresso", "latte"]
CHOICES = {"size": ["twelve ounce", "small", "sixteen ounce", "large", "twenty ounce", "eight ounce", "medium"],
           "roast": ["dark roast", "light roast", "medium roast"],
           "numberOfShots": ["single shot", "double shot", "triple shot"]}
MILKS = ["cream", "almond milk", "milk", "soy milk", "whole milk", "skim milk"]
SUGARS = ["brown sugar", "sugar", "sweetener"]
AMOUNTS = ["some", "a bit of", "a little bit of", "a lot of", "lots of"]
CARRIERS = """Can I get
Can I have
Can I have
Can I get
Could I get
May I have
May I get
Make me
Make me
Get me
Give me
I want
I'd like
I would like
I'll have
I'll take
Please make me
Let me have
I need
Could you make me
Hello, can I have
Hi, I'd like
Brew me
Brew
Get me
I want
May I have
One
Just
""".split("\n")
HELD_CARRIERS = ["Could I have", "Please get me", "Can you make me", "Hi, can I get", "I will have"]
ENDS = ["", "", "", "", "", " please", " thanks", ", please"]
TYPED_SHARE = 0.3  # of the orders that are typed, those in lower case and without a stop

JSON_QUESTION = "What is the order? Answer as JSON."
TRANSCRIBE = "Transcribe the speech."
TRANSCRIBE_WORDINGS = [TRANSCRIBE, TRANSCRIBE, TRANSCRIBE, "Transcribe.", "What did I say?", "Write down what you hear.", "Write what was said.",
                       "Transcribe the audio into text.", "Transcribe the audio into text."]
FINISHED = "Has the person finished speaking? Answer yes or no."
FINISHED_WORDINGS = [(FINISHED, "yes", "no"), ("Has the speaker finished speaking, so that it is time to answer? Answer Yes or No.", "Yes", "No")]


FILLERS = ["um", "uh", "erm", "hmm", "umm", "uhm"]
HANGING = set("""a an the with and of some lots lot bit little one can could i get have may me make please hi hello want like
would need let i'd i'll dark light medium small large eight twelve sixteen twenty ounce single double triple shot roast iced
almond soy whole skim brown drip house""".split())  # words an order does not end on


def unfinished(text: str, rng: random.Random) -> str:
    """The beginning of an order or a question, left hanging; empty when there is none."""
    words = text.rstrip("?.!").split()
    ends = [i for i in range(2, len(words)) if words[i - 1].lower().strip(",") in HANGING]
    if not ends:
        ends = list(range(2, len(words) - 1))
    return " ".join(words[: rng.choice(ends)]).rstrip(",") if ends else ""


def held_clip(name: str) -> bool:
    """Every seventh recording validates; who speaks is not known, so the split is by file."""
    return sum(map(ord, name)) % 7 == 0


def draw(rng: random.Random) -> dict[str, str]:
    """The slots of an order, as often filled as people fill them; values as in labels.json, whose milk and sugar without an
    amount begin with a space."""
    slots = {"coffeeDrink": rng.choice(DRINKS)}
    for name, values in CHOICES.items():
        if rng.random() < 0.5:
            slots[name] = rng.choice(values)
    for name, kinds in (("milkAmount", MILKS), ("sugarAmount", SUGARS)):
        if rng.random() < 0.48:
            slots[name] = f"{rng.choice(AMOUNTS) if rng.random() < 0.45 else ''} {rng.choice(kinds)}"
    return slots


def article(word: str, rng: random.Random) -> str:
    return rng.choice(["an" if word[0] in "aeiou" or word.startswith("eight") else "a"] * 8 + ["one"])


def wording(slots: dict[str, str], rng: random.Random, held: bool = False) -> str:
    """A sentence that orders it."""
    before = [slots[name] for name in CHOICES if name in slots]
    rng.shuffle(before)
    after = ""
    if before and rng.random() < 0.08:
        after = ", " + before.pop()
    what = " ".join([*before, slots["coffeeDrink"]])
    carrier = rng.choice(HELD_CARRIERS if held else CARRIERS)
    if carrier not in ("One", ""):
        what = f"{article(what, rng)} {what}"
    extras = [slots[name].strip() for name in ("milkAmount", "sugarAmount") if name in slots]
    rng.shuffle(extras)
    joined = rng.choice([" and ", " and ", " and ", " and with ", " with "]).join(extras)
    text = f"{carrier} {what}{after}{' with ' + joined if extras else ''}".strip()
    text = text[0].upper() + text[1:] + rng.choice(ENDS)
    return text + ("?" if text.startswith(("Can", "Could", "May", "Hello, can", "Hi, can")) else ".")


def as_json(slots: dict[str, str]) -> str:
    """One object, with no spaces between its parts."""
    return json.dumps({"intent": "orderDrink", "slots": dict(sorted(slots.items()))}, separators=(",", ":"))


def confirmation(slots: dict[str, str]) -> str:
    """The order in words."""
    words = ["one", *(slots[name] for name in CHOICES if name in slots), slots["coffeeDrink"]]
    extras = [slots[name].strip() for name in ("milkAmount", "sugarAmount") if name in slots]
    return f"Okay, {' '.join(words)}{' with ' + ' and '.join(extras) if extras else ''}."


def load_real(data: Path, file: Path) -> tuple[list, list]:
    """Recorded orders to train on and those kept back: (int16 samples, slots, None, "person")."""
    if not file.exists():
        import soundfile

        folder = data / "voice-orders"
        if not (folder / "labels.json").exists():
            raise SystemExit(f"{folder}/labels.json is missing: give the folder with voice-orders by --data")
        clips = ([], [])
        for name, label in sorted(json.loads((folder / "labels.json").read_text()).items()):
            samples, rate = soundfile.read(folder / "clips" / name, dtype="float32")
            if rate != sounds.RATE or samples.ndim != 1:
                raise SystemExit(f"{name}: {sounds.RATE} Hz mono is expected")
            x = (samples / max(0.02, float(np.abs(samples).max())) * 20000).astype(np.int16)
            clips[held_clip(name)].append((x, label["slots"], None, "person"))
        torch.save(clips, file)
    return torch.load(file, weights_only=False)


def load_made(file: Path, count: int = 4000) -> list[tuple]:
    """Orders by synthetic voices: (int16 samples, slots, text, voice)."""
    if not file.exists():
        rng, wanted = random.Random(8), []
        for i in range(round(sounds.SCALE * count)):
            held = i % 20 == 0
            slots = draw(rng)
            text = wording(slots, rng, held)
            if held:
                voice = rng.choice(sorted(sounds.HELD_VOICES))
            elif rng.random() < 0.3:
                voice = rng.choice([v for v in sounds.FLITE if v not in sounds.HELD_VOICES])
            else:
                voice = f"{rng.choice(sounds.ACCENTS)}+{rng.choice(sounds.VARIANTS)}"
            wanted.append((slots, text, voice))
        clips = sounds.speak_all([(text, voice) for _, text, voice in wanted], 8)
        made = [(x, *of) for x, of in zip(clips, wanted) if sounds.RATE < len(x) < 8 * sounds.RATE or of[2] in sounds.HELD_VOICES]
        torch.save(made, file)
    return torch.load(file, weights_only=False)


def load_fillers(file: Path) -> list[np.ndarray]:
    """Um and uh."""
    if not file.exists():
        voices = [v for v in sounds.FLITE if v not in sounds.HELD_VOICES] + [f"en-us+{v}" for v in sounds.VARIANTS[::3]]
        made = sounds.speak_all([(text, voice) for text in FILLERS for voice in voices], 9)
        torch.save([x for x in made if len(x) > 1600], file)
    return torch.load(file, weights_only=False)


def load_hanging(file: Path, count: int = 1200) -> list[np.ndarray]:
    """Orders and questions that nobody finishes."""
    if not file.exists():
        rng, wanted = random.Random(10), []
        questions = [text for text, _ in sounds.spoken_questions()]
        while len(wanted) < sounds.SCALE * count:
            text = wording(draw(rng), rng) if rng.random() < 0.6 else rng.choice(questions)
            if text := unfinished(text, rng):
                wanted.append((text, f"{rng.choice(sounds.ACCENTS)}+{rng.choice(sounds.VARIANTS)}"))
        torch.save(list(sounds.speak_all(wanted, 10)), file)
    return torch.load(file, weights_only=False)


def quieter_than(x: np.ndarray, window: int = 800) -> np.ndarray:
    """Loudness of windows of 50 ms, against the loudest."""
    count = max(1, len(x) // window)
    level = np.sqrt((x[: count * window].astype(np.float32).reshape(count, -1) ** 2).mean(1))
    return level / max(1e-6, float(level.max()))


def trimmed(x: np.ndarray, margin: int = 2400) -> np.ndarray:
    """Without the silence at either end, whatever the noise floor is."""
    level = quieter_than(x)
    loud = np.flatnonzero(level > max(0.06, 2.5 * float(np.percentile(level, 10))))
    if len(loud) == 0:
        return x
    return x[max(0, loud[0] * 800 - margin) : (loud[-1] + 1) * 800 + margin]


def interrupted(x: np.ndarray, rng: random.Random, last: float, um: np.ndarray | None = None) -> np.ndarray:
    """The beginning of a sentence: cut between 0.2 and `last` of it, where it is quiet near there, then `um` or silence."""
    x = trimmed(x, 800)
    level = quieter_than(x)
    at = rng.uniform(0.2, last) * len(level)
    near = [i for i in range(len(level)) if abs(i - at) <= 4 and i >= 3] or [max(1, int(at))]
    cut = min(near, key=lambda i: level[i])
    head = x[: (cut + 1) * 800].astype(np.float32)
    head[-400:] *= np.linspace(1, 0, min(400, len(head)), dtype=np.float32)[-len(head[-400:]) :]
    parts = [head]
    if um is not None:
        loudness = float(np.abs(head).max()) / max(1.0, float(np.abs(um).max()))
        parts += [np.zeros(rng.randint(0, 4000), np.float32), um.astype(np.float32) * loudness * rng.uniform(0.6, 1)]
    parts.append(np.zeros(rng.randint(1600, 12000), np.float32))
    return np.concatenate(parts).astype(np.int16)
