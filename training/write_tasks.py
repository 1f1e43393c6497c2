"""Writes the model card's questions as task files for `calliope eval`: JSONL beside the sounds and photos it asks about.

usage: python write_tasks.py --data DIR --out DIR [--count 500]

Typed questions in wordings kept back, as first and as second turn; digits of the speaker kept back; photos kept back (their
draw needs PyTorch; without it they are left out, which is said); and all voice orders, to be answered as JSON.
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

from understanding import facts  # noqa: E402

HELD_SPEAKER = "yweweler"  # as understanding/sounds.py keeps back
HELD_PHOTOS = 2000  # as understanding/pictures.py


def write(folder: Path, name: str, rule: str, items: list[dict]) -> None:
    head = {"task": {"name": name, "rule": rule, "max_tokens": 128}}
    lines = [head] + [{"id": str(i), **item} for i, item in enumerate(items)]
    (folder / f"{name}.jsonl").write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))
    print(f"{name}: {len(items)}")


def archive(path: Path, what: str) -> tarfile.TarFile:
    if not path.exists():
        raise SystemExit(f"{path} is missing: give the folder with {what} by --data")
    return tarfile.open(path)


def typed(count: int) -> list[dict]:
    rng = random.Random(17)
    drawn = (facts.question(rng, held_out=True)[1:] for _ in range(count))
    return [{"text": question, "answer": answer} for question, answer in drawn]


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


def orders(data: Path, out: Path) -> list[dict]:
    labels = data / "voice-orders/labels.json"
    if not labels.exists():
        raise SystemExit(f"{labels} is missing: give the folder with voice-orders/labels.json by --data")
    shutil.copytree(data / "voice-orders/clips", out / "orders", dirs_exist_ok=True)
    question = "What is the order? Answer as JSON."
    return [{"audio": f"orders/{clip}", "text": question, "answer": order} for clip, order in sorted(json.loads(labels.read_text()).items())]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--count", type=int, default=500)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    write(args.out, "typed", "exact", typed(args.count))
    write(args.out, "follow_up", "exact", follow_up(args.count // 2))
    write(args.out, "digits", "exact", digits(args.data, args.out, args.count))
    write(args.out, "orders", "json", orders(args.data, args.out))
    try:
        write(args.out, "photos", "exact", photos(args.data, args.out, 2 * args.count))
    except ImportError:
        print("photos: left out, because PyTorch is not installed (training/requirements.txt)")


if __name__ == "__main__":
    main()
