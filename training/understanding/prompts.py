"""Conversations as token ids, with several questions about the same sound or picture in one row."""

from __future__ import annotations

import functools
from dataclasses import dataclass, fields
from pathlib import Path

import torch
from tokenizers import Tokenizer


@dataclass
class Turn:
    question: str
    answer: str


@dataclass
class Batch:
    """ids [B, T], positions [3, B, T]; branches [B, T]: 0 is seen by all that follows, others by themselves only; None where nothing
    branches. Of the N tokens that are to be said: wanted [N], the place before each in [B * T], answers [N], weights [N] and of [N],
    the row. sounds and pictures: the places of their pads in [B * T]. All is known before a GPU begins, which then never waits."""

    ids: torch.Tensor
    positions: torch.Tensor
    branches: torch.Tensor | None
    wanted: torch.Tensor
    answers: torch.Tensor
    weights: torch.Tensor
    of: torch.Tensor
    sounds: torch.Tensor
    pictures: torch.Tensor

    def each(self, change) -> Batch:
        return Batch(*(x if x is None else change(x) for x in (getattr(self, f.name) for f in fields(self))))

    def pin_memory(self) -> Batch:
        return self.each(torch.Tensor.pin_memory)

    def to(self, device: str) -> Batch:
        return self.each(lambda x: x.to(device, non_blocking=True))

    def mask(self) -> torch.Tensor:
        """Who may look where [B, 1, T, T], or [1, 1, T, T] where nothing branches."""
        length = self.ids.shape[1]
        before = torch.ones(1, 1, length, length, dtype=torch.bool, device=self.ids.device).tril()
        if self.branches is None:
            return before
        of = self.branches
        return before & ((of[:, None, :] == 0) | (of[:, None, :] == of[:, :, None]))[:, None]


class Row:
    """A conversation as it grows."""

    def __init__(self):
        self.ids: list[int] = []
        self.positions: list[tuple[int, int, int]] = []
        self.labels: list[int] = []
        self.weights: list[float] = []
        self.branches: list[int] = []
        self.next = self.branch = 0

    def add(self, tokens: list[int], learn: bool = False, positions: list[tuple[int, int, int]] | None = None) -> None:
        """Tokens one after the other, or where `positions` say; of long answers every token weighs less."""
        self.ids += tokens
        self.labels += tokens if learn else [-100] * len(tokens)
        self.weights += [max(1, len(tokens)) ** -0.5 if learn else 0.0] * len(tokens)
        self.branches += [self.branch] * len(tokens)
        self.positions += positions or [(self.next + i,) * 3 for i in range(len(tokens))]
        self.next = max([self.next, *(max(p) + 1 for p in self.positions[len(self.positions) - len(tokens) :])])


class Prompts:
    """Token ids of the chat template."""

    def __init__(self, folder: Path):
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.id = {t: self.tokenizer.token_to_id(t) for t in (
            "<|im_start|>", "<|im_end|>", "<|image_pad|>", "<|audio_pad|>", "<|vision_start|>", "<|vision_end|>",
            "<|audio_start|>", "<|audio_end|>", "<|endoftext|>")}

    @functools.lru_cache(maxsize=20000)
    def encode(self, text: str) -> list[int]:
        return self.tokenizer.encode(text, add_special_tokens=False).ids

    def media(self, row: Row, image: tuple[int, int] | None, audio: int, sound_first: bool = False) -> None:
        """The places of a picture of so many merged rows and columns, and of so many tokens of sound."""
        sound = [self.id["<|audio_start|>"]] + [self.id["<|audio_pad|>"]] * audio + [self.id["<|audio_end|>"]] if audio else []
        if sound_first:
            row.add(sound)
        if image:
            row.add([self.id["<|vision_start|>"]])
            h, w = image
            start = row.next
            row.add([self.id["<|image_pad|>"]] * (h * w), False, [(start, start + y, start + x) for y in range(h) for x in range(w)])
            row.add([self.id["<|vision_end|>"]])
        if not sound_first:
            row.add(sound)

    def answer(self, row: Row, answer: str) -> None:
        row.add(self.encode("<|im_end|>\n<|im_start|>assistant\n"))
        row.add(self.encode(answer) + [self.id["<|im_end|>"]], True)

    def turn(self, row: Row, turn: Turn) -> None:
        row.add(self.encode("<|im_start|>user\n") + self.encode(turn.question))
        self.answer(row, turn.answer)
        row.add(self.encode("\n"))

    def row(self, asked: list[list[Turn]], image: tuple[int, int] | None = None, audio: int = 0, media_first: bool = True,
            sound_first: bool = False, before: tuple[Turn, ...] = (), system: str = "") -> Row:
        """One conversation, or several that share their beginning: each of `asked` is what follows the picture or sound.
        Where the question comes before the picture or sound there is only the first of them."""
        row = Row()
        if system:
            row.add(self.encode(f"<|im_start|>system\n{system}<|im_end|>\n"))
        for turn in before:
            self.turn(row, turn)
        row.add(self.encode("<|im_start|>user\n"))
        if media_first:
            self.media(row, image, audio, sound_first)
        start = row.next
        for branch, (first, *more) in enumerate(asked if media_first else asked[:1], 1):
            row.next, row.branch = start, branch
            row.add(self.encode(first.question))
            if not media_first:
                self.media(row, image, audio, sound_first)
            self.answer(row, first.answer)
            for turn in more:
                row.add(self.encode("\n"))
                self.turn(row, turn)
        return row

    def batch(self, rows: list[Row]) -> Batch:
        longest = max(len(row.ids) for row in rows)

        def padded(lists: list[list], value) -> torch.Tensor:
            return torch.tensor([x + [value] * (longest - len(x)) for x in lists])

        ids, labels = padded([row.ids for row in rows], self.id["<|endoftext|>"]), padded([row.labels for row in rows], -100)
        branches = padded([row.branches for row in rows], 0) if any(row.branch > 1 for row in rows) else None
        of, at = (labels[:, 1:] != -100).nonzero().T
        places = lambda pad: (ids == self.id[pad]).flatten().nonzero()[:, 0]  # noqa: E731
        return Batch(ids, padded([row.positions for row in rows], (0, 0, 0)).permute(2, 0, 1), branches, of * longest + at, labels[of, at + 1],
                     padded([row.weights for row in rows], 0.0)[of, at + 1], of, places("<|audio_pad|>"), places("<|image_pad|>"))
