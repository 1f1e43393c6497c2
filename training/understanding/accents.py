"""English digits as people say them who learnt English later: spelled as their own languages would, and spoken by espeak-ng's voices for these.

usage: python -m understanding.accents --out FOLDER [--each N]

Writes FOLDER/accents.pt for further_voices.py: (int16 samples at 16 kHz, text, None, voice).
"""

from __future__ import annotations

import argparse
import random
from pathlib import Path

import torch

from understanding import facts, sounds

SPELLED = {
    "de": "siro wann tu sri for faif sicks sewen eht nain",
    "nl": "ziro wan toe srie for faif siks seven eet nain",
    "sv": "siro oann to tri får fajv sicks seven ejt najn",
    "nb": "siro oan to tri får faiv siks seven eit nain",
    "fr-fr": "zirau ouane tou sri faure faïve sixe sévène éte naïne",
    "es": "síro uan tu tri for faiv siks séven eit nain",
    "es-419": "síro uan tu tri for faiv siks séven eit nain",
    "it": "ziro uan tu tri for faiv sics seven eit nain",
    "pt": "zírou uan tu tri for faiv sics séven eit nain",
    "pt-br": "zírou uan tu tri for faiv sics séven eit nain",
    "ro": "zirou uan tu tri for faiv sics seven eit nain",
    "ca": "ziro uan tu tri for faiv sics seven eit nain",
    "pl": "zirou łan tu fri for fajw siks sewen ejt najn",
    "cs": "zírou uan tú srí for fajv siks sevn ejt najn",
    "sk": "zírou uan tú trí for fajv siks seven ejt najn",
    "hr": "zirou uan tu tri for fajv siks seven ejt najn",
    "hu": "zíró van tú szrí fór fájv sziksz szeven éjt nájn",
    "fi": "siro uan tuu srii foor faiv siks seven eit nain",
    "et": "siro uan tuu srii foor faiv siks seven eit nain",
    "tr": "ziro van tu sri for fayv siks seven eyt nayn",
    "lt": "zirou van tu tri for faiv siks seven eit nain",
    "ru": "зи́роу уан ту сри фор файв сикс се́вэн эйт найн",
    "uk": "зіроу уан ту срі фор файв сікс севен ейт найн",
    "bg": "зироу уан ту три фор файв сикс севен ейт найн",
    "el": "ζίρο ουάν του θρι φορ φάιβ σιξ σέβεν έιτ νάιν",
    "hi": "ज़ीरो वन टू थ्री फोर फाइव सिक्स सेवन एट नाइन",
    "ta": "ஜீரோ ஒன் டூ த்ரீ போர் பைவ் சிக்ஸ் செவன் எய்ட் நைன்",
    "bn": "জিরো ওয়ান টু থ্রি ফোর ফাইভ সিক্স সেভেন এইট নাইন",
    "id": "ziro wan tu tri for faif siks seven eit nain",
    "sw": "ziro wan tu thri foo faiv siks seven eit nain",
    "ja": "ゼロ ワン ツー スリー フォー ファイブ シックス セブン エイト ナイン",
    "ko": "제로 원 투 쓰리 포 파이브 식스 세븐 에이트 나인",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--each", type=int, default=8, help="voices of each language that say each digit")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    rng = random.Random(33)
    asked = [(facts.NUMBERS[digit], spelled, f"{language}+{rng.choice(sounds.VARIANTS)}")
             for language, words in SPELLED.items() for digit, spelled in enumerate(words.split()) for _ in range(args.each)]
    clips = [(x, text, None, f"accent {voice}") for x, (text, _, voice) in zip(sounds.speak_all([(spelled, voice) for _, spelled, voice in asked], 33), asked)]
    torch.save(clips, args.out / "accents.pt")
    print(f"{len(clips)} digits in the accents of {len(SPELLED)} languages")


if __name__ == "__main__":
    main()
