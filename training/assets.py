"""Writes what both halves share: tokenizer, frozen token embeddings, the answers and questions of the domain.

usage: python assets.py OUT_DIR
"""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path

import torch

from understanding import drawings, facts, orders, tokenizer
from understanding.config import embedding_table

QUESTIONS = 3000
ORDERS, DRAWINGS = 600, 800  # drawn; many fall together


def answers() -> list[str]:
    """What the model says: every answer to a plain question, many about orders and drawings."""
    rng = random.Random(1)
    confirmed = {orders.confirmation(orders.draw(rng)) for _ in range(ORDERS)}
    drawn = {answer for _ in range(DRAWINGS) for _, _, answer in drawings.drawing(rng)[1]}
    return facts.answers() + sorted(confirmed) + sorted(drawn)


def main() -> None:
    out = Path(sys.argv[1])
    made = tokenizer.train()
    tokenizer.write(made, out / "tokenizer")
    torch.save(embedding_table(), out / "embed_tokens.pt")
    (out / "answers.txt").write_text("\n".join(answers()) + "\n")
    rng = random.Random(0)
    questions = sorted({facts.question(rng)[1] for _ in range(QUESTIONS)})
    (out / "questions.txt").write_text("\n".join(questions) + "\n")
    ids = {"tts_pad_token_id": "<tts_pad>", "tts_bos_token_id": "<tts_text_bos>", "tts_eos_token_id": "<tts_text_eod>"}
    assets = {
        "tokenizer_path": str(out / "tokenizer" / "tokenizer.json"),
        "embeddings_path": str(out / "embed_tokens.pt"),
        "ids": {name: made.token_to_id(token) for name, token in ids.items()},
    }
    (out / "assets.json").write_text(json.dumps(assets, indent=2) + "\n")


if __name__ == "__main__":
    main()
