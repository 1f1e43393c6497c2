"""Writes the model card's questions as task files for `calliope eval`: JSONL beside the sounds and photos it asks about.

usage: python write_tasks.py --data DIR --out DIR [--understanding DIR] [--count 500]

Typed questions in wordings kept back, as first and as second turn; sums of numbers and spellings of words kept back; such as it cannot know; typed coffee orders; digits of the
speaker kept back; photos kept back (their draw needs PyTorch; without it they are left out, which is said); voice orders kept back,
as recorded and with a kitchen and a cafe behind them (noises.py, not those of training). With `--understanding`, the folder joint.py works in: questions and orders by
the voices kept back, answered and written down, words in fonts kept back, drawings, questions aloud about pictures, ends of turns, and sounds in which nobody speaks.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import sys
import tarfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import numpy as np  # noqa: E402

from understanding import facts, knowledge, orders, outside  # noqa: E402

HELD_SPEAKER = "yweweler"  # as understanding/sounds.py keeps back
HELD_PHOTOS = 2000  # as understanding/pictures.py


def write(folder: Path, name: str, rule: str, items: list[dict]) -> None:
    head = {"task": {"name": name, "rule": rule, "max_tokens": 192}}
    lines = [head] + [{"id": str(i), **item} for i, item in enumerate(items)]
    (folder / f"{name}.jsonl").write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))
    print(f"{name}: {len(items)}")


def archive(path: Path, what: str) -> tarfile.TarFile:
    if not path.exists():
        raise SystemExit(f"{path} is missing: give the folder with {what} by --data")
    return tarfile.open(path)


def typed(count: int) -> list[dict]:
    rng = random.Random(17)
    drawn = (facts.question(rng, held_out=True) for _ in range(count))
    return [{"text": question, "answer": answer, "group": facts.part(kind)} for kind, question, answer in drawn]


def arithmetic(count: int) -> list[dict]:
    """Sums, differences and products of numbers that are kept back where they are large."""
    rng = random.Random(27)
    drawn = (facts.arithmetic(rng, held_out=True) for _ in range(count))
    return [{"text": question, "answer": answer, "group": kind.replace("_", ", digits: ")} for kind, question, answer in drawn]


def spelling(count: int) -> list[dict]:
    """Words it never spelled."""
    rng = random.Random(28)
    words = sorted({w for of in knowledge.words().values() for w in of if facts.kept(w) and len(w) <= 9} - set(facts.SPELLED))
    wordings = next(held for kind, _, held, _ in facts.FAMILIES if kind == "spelling")
    return [{"text": rng.choice(wordings).format(q=word), "answer": facts.spelled(word)} for word in rng.sample(words, min(count, len(words)))]


def follow_up(count: int) -> list[dict]:
    rng = random.Random(18)
    items = []
    for _ in range(count):
        (_, q1, a1), (_, q2, a2) = facts.question(rng, True), facts.question(rng, True)
        items.append({"turns": [{"role": "user", "text": q1}, {"role": "assistant", "text": a1}], "text": q2, "answer": a2})
    return items


def digits(data: Path, out: Path, count: int) -> list[dict]:
    (out / "digits").mkdir(exist_ok=True)
    items = []
    with archive(data / "spoken-digits/recordings.tar.xz", "spoken-digits/recordings.tar.xz") as tar:
        for member in tar:
            name = Path(member.name).name
            if not member.isfile() or name.split("_")[1] != HELD_SPEAKER:
                continue
            (out / "digits" / name).write_bytes(tar.extractfile(member).read())
            answer = facts.digit_answer(int(name.split("_")[0]))
            items.append({"audio": f"digits/{name}", "text": "Which digit do you hear?", "answer": answer})
    return random.Random(19).sample(items, min(count, len(items)))


def photos(data: Path, out: Path, count: int) -> list[dict]:
    import torch

    (out / "photos").mkdir(exist_ok=True)
    with archive(data / "photos/cifar10-train.tar.xz", "photos/cifar10-train.tar.xz") as tar:
        files = [member for member in tar if member.isfile()]
        order = torch.randperm(len(files), generator=torch.Generator().manual_seed(7)).tolist()
        chosen = set(order[len(files) - HELD_PHOTOS :][:count])
        items = []
        for index, member in enumerate(files):
            if index not in chosen:
                continue
            name, label = f"photos/{index}.jpg", Path(member.name).parent.name
            (out / name).write_bytes(tar.extractfile(member).read())
            items.append({"image": name, "text": "What is in this photo?", "answer": facts.photo_answer(label)})
    return items


def unknown(count: int) -> list[dict]:
    rng = random.Random(20)
    return [{"text": outside.question(rng, True), "answer": facts.OUTSIDE} for _ in range(count)]


def further_unknown(count: int) -> list[dict]:
    """Of many more kinds, in wordings and about words kept back."""
    rng = random.Random(29)
    return [{"text": outside.further(rng), "answer": facts.OUTSIDE} for _ in range(count)]


def typed_orders(count: int) -> list[dict]:
    rng, items = random.Random(21), []
    for _ in range(count):
        slots = orders.draw(rng)
        items.append({"text": f"{orders.wording(slots, rng, True)} {orders.JSON_QUESTION}", "answer": json.loads(orders.as_json(slots))})
    return items


def voice_orders(data: Path, out: Path) -> tuple[list[dict], list[dict]]:
    """To be answered as JSON, and to be confirmed."""
    labels = data / "voice-orders/labels.json"
    if not labels.exists():
        raise SystemExit(f"{labels} is missing: give the folder with voice-orders/labels.json by --data")
    held = {clip: order for clip, order in sorted(json.loads(labels.read_text()).items()) if orders.held_clip(clip)}
    (out / "orders").mkdir(exist_ok=True)
    for clip in held:
        shutil.copyfile(data / "voice-orders/clips" / clip, out / "orders" / clip)
    return ([{"audio": f"orders/{clip}", "text": orders.JSON_QUESTION, "answer": order} for clip, order in held.items()],
            [{"audio": f"orders/{clip}", "answer": orders.confirmation(order["slots"])} for clip, order in held.items()])


def orders_in_noise(data: Path, out: Path) -> list[dict]:
    """The orders kept back with noises behind them that training does not know how to make."""
    import noises

    rng, items = np.random.default_rng(20), []
    labels = json.loads((data / "voice-orders/labels.json").read_text())
    clips = {name: noises.read(data / "voice-orders/clips" / name) for name in sorted(labels) if orders.held_clip(name)}
    for name, clip in clips.items():
        others = [x for other, x in clips.items() if other != name]
        for kind in ("kitchen", "cafe"):
            for decibels in (24, 18, 12, 6):
                behind = noises.kitchen(len(clip), rng) if kind == "kitchen" else noises.cafe(len(clip), others, rng)
                file = f"orders-in-noise/{Path(name).stem}-{kind}-{decibels}.wav"
                write_wav(out / file, 32767 * noises.mixed(clip, behind, decibels))
                items.append({"audio": file, "text": orders.JSON_QUESTION, "answer": labels[name], "group": f"{kind} {decibels} dB"})
    return items


def write_wav(path: Path, samples: np.ndarray) -> None:
    from scipy.io import wavfile

    path.parent.mkdir(exist_ok=True)
    wavfile.write(path, 16000, samples.astype(np.int16))


def noisy_orders(data: Path, out: Path, understanding: Path) -> list[dict]:
    """The orders kept back with kitchens and people behind them at 24 to 6 dB."""
    from understanding import noises, sounds

    rng, items = random.Random(22), []
    np.random.seed(22)
    phrases = [x for x, *_ in sounds.Sounds.load_phrases(understanding / "phrases.pt")][1500:]
    _, held = orders.load_real(data, understanding / "orders-real.pt")
    for number, (x, slots, *_) in enumerate(held):
        clean = x.astype(np.float32) / 32768
        said = orders.trimmed(x, 0).astype(np.float32) / 32768
        for kind in ("kitchen", "people"):
            for decibels in (24, 18, 12, 6):
                back = (noises.kitchen(len(x), rng) if kind == "kitchen" else noises.people(len(x), phrases, rng)).astype(np.float32)
                back *= float((said**2).mean() / max(1e-9, (back**2).mean())) ** 0.5 * 10 ** (-decibels / 20)
                name = f"orders-noisy/{number}-{kind}-{decibels}.wav"
                write_wav(out / name, ((clean + back) * 0.6).clip(-1, 1) * 32767)
                items.append({"audio": name, "text": orders.JSON_QUESTION, "answer": {"intent": "orderDrink", "slots": slots},
                              "group": f"{kind} {decibels} dB"})
    return items


def heard(data: Path, out: Path, understanding: Path) -> dict[str, list[dict]]:
    """Questions and orders by the voices kept back, and ends of turns."""
    from understanding import sounds

    tasks: dict[str, list[dict]] = {"spoken": [], "transcripts": [], "turns": [], "nobody": []}
    rng = random.Random(23)
    np.random.seed(23)
    questions = [q for q in sounds.Sounds.load_questions(understanding / "questions.pt") if q[2] in sounds.HELD_VOICES]
    for i, (x, (text, answer), _) in enumerate(questions):
        write_wav(out / f"spoken/{i}.wav", x)
        tasks["spoken"].append({"audio": f"spoken/{i}.wav", "answer": answer})
        tasks["transcripts"].append({"audio": f"spoken/{i}.wav", "text": orders.TRANSCRIBE, "answer": text[0].upper() + text[1:]})
    made = [x for x in orders.load_made(understanding / "orders-made.pt") if x[3] in sounds.HELD_VOICES]
    for i, (x, _, text, _) in enumerate(made[:150]):
        write_wav(out / f"orders-made/{i}.wav", x)
        tasks["transcripts"].append({"audio": f"orders-made/{i}.wav", "text": orders.TRANSCRIBE, "answer": text})
    _, held = orders.load_real(data, understanding / "orders-real.pt")
    clips = [(x, 0.5) for x, *_ in held] + [(x, 0.75) for x, (text, _), _ in questions if len(text.split()) >= 4][:100]
    for i, (x, last) in enumerate(clips):
        whole = np.concatenate([orders.trimmed(x, 1600), np.zeros(rng.randint(1600, 12000), np.int16)])
        for answer, y in (("yes", whole), ("no", orders.interrupted(x, rng, last))):
            write_wav(out / f"turns/{i}-{answer}.wav", y)
            tasks["turns"].append({"audio": f"turns/{i}-{answer}.wav", "text": orders.FINISHED, "choices": ["yes", "no"], "answer": answer})
    for i in range(100):
        size = rng.randint(8000, 64000)
        hiss = np.convolve(np.random.randn(size), np.ones(rng.choice([1, 3, 9, 27])), "same")
        write_wav(out / f"nobody/{i}.wav", hiss / np.abs(hiss).max() * 32767 * 10 ** -rng.uniform(0.5, 4))
        tasks["nobody"].append({"audio": f"nobody/{i}.wav", "answer": facts.UNHEARD})
    return tasks


def words(out: Path, count: int) -> list[dict]:
    from understanding import pictures

    (out / "words").mkdir(exist_ok=True)
    rng, items, fonts = random.Random(24), [], pictures.fonts(held_out=True)
    for i in range(count):
        width, height = rng.choice(list(pictures.SHAPES))
        word = rng.choice([w for w in facts.WORDS if len(w) <= width // 11])
        image, _ = pictures.draw_word(rng.choice([word, word.upper(), word.capitalize()]), rng.choice(fonts), rng, width, height)
        image.save(out / f"words/{i}.png")
        items.append({"image": f"words/{i}.png", "text": "Read the text.", "answer": facts.read_answer(word)})
    return items


def drawn(out: Path, count: int) -> list[dict]:
    """Drawings, and questions in wordings kept back."""
    from PIL import Image
    from understanding import drawings

    (out / "drawings").mkdir(exist_ok=True)
    rng, items = random.Random(25), []
    for i in range(count):
        pixels, asked = drawings.drawing(rng)
        wordings, filled, answer = rng.choice(asked)
        # As people send them: larger than what the model sees.
        Image.fromarray(pixels).resize((256, 256), Image.BICUBIC).save(out / f"drawings/{i}.png")
        kind = next(name for name in ("SHAPE", "COLOUR", "COUNT", "PLACE", "BESIDE") if getattr(drawings, name) is wordings)
        items.append({"image": f"drawings/{i}.png", "text": rng.choice(wordings[1]).format(**filled), "answer": answer, "group": kind.lower()})
    return items


def asked_aloud(out: Path, seen: list[dict], read: list[dict], count: int) -> list[dict]:
    """Questions about pictures kept back, spoken by the voices kept back."""
    from understanding import sounds

    rng, items = random.Random(26), []
    for kind, pictures, questions in (("photo", seen, facts.PHOTO_QUESTIONS), ("word", read, facts.READ_QUESTIONS)):
        for i, picture in enumerate(rng.sample(pictures, min(count, len(pictures)))):
            name = f"asked/{kind}-{i}.wav"
            write_wav(out / name, sounds.speak(rng.choice(questions), rng.choice(sorted(sounds.HELD_VOICES)), rng))
            items.append({"image": picture["image"], "audio": name, "answer": picture["answer"], "group": kind})
    return items


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--understanding", type=Path, help="the folder joint.py works in")
    parser.add_argument("--count", type=int, default=500)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    write(args.out, "typed", "exact", typed(args.count))
    write(args.out, "follow_up", "exact", follow_up(args.count // 2))
    write(args.out, "digits", "exact", digits(args.data, args.out, args.count))
    write(args.out, "arithmetic", "exact", arithmetic(args.count))
    write(args.out, "spelling", "exact", spelling(args.count // 2))
    write(args.out, "outside", "exact", unknown(args.count))
    write(args.out, "outside_further", "exact", further_unknown(args.count))
    write(args.out, "typed_orders", "json", typed_orders(args.count // 2))
    as_json, confirmed = voice_orders(args.data, args.out)
    write(args.out, "orders", "json", as_json)
    write(args.out, "orders_confirmed", "exact", confirmed)
    write(args.out, "orders_in_noise", "json", orders_in_noise(args.data, args.out))
    if args.understanding:
        write(args.out, "orders_noisy", "json", noisy_orders(args.data, args.out, args.understanding))
        for name, items in heard(args.data, args.out, args.understanding).items():
            write(args.out, name, "wer" if name == "transcripts" else "exact", items)
        read = words(args.out, args.count)
        write(args.out, "words", "exact", read)
        write(args.out, "drawings", "exact", drawn(args.out, args.count))
    try:
        seen = photos(args.data, args.out, 2 * args.count)
        write(args.out, "photos", "exact", seen)
        if args.understanding:
            write(args.out, "asked", "exact", asked_aloud(args.out, seen, read, args.count // 2))
    except ImportError:
        print("photos: left out, because PyTorch is not installed (training/requirements.txt)")


if __name__ == "__main__":
    main()
