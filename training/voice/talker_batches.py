"""Rows that the talker learns from, as the reference's `generate` lays them out, built with numpy many at a time."""

from __future__ import annotations

import random
from dataclasses import dataclass

import numpy as np
import torch
from tokenizers import Tokenizer

import config

PREFIX_ROWS = 9


class Text:
    """The understanding half's tokenizer and frozen token embeddings."""

    def __init__(self, tokenizer_path: str, embeddings_path: str, ids: dict):
        self.tokenizer = Tokenizer.from_file(tokenizer_path)
        table = torch.load(embeddings_path, map_location="cpu")
        if isinstance(table, dict):
            table = next(iter(table.values()))
        self.table = table.float()
        self.media = len(table)  # the id of a row of the hidden projection: constant, whatever was seen or heard
        self.im_start = self.tokenizer.token_to_id("<|im_start|>")
        self.im_end = self.tokenizer.token_to_id("<|im_end|>")
        self.tts_pad, self.tts_bos, self.tts_eos = ids["tts_pad_token_id"], ids["tts_bos_token_id"], ids["tts_eos_token_id"]
        self.newline = self.encode("\n")
        self.user, self.assistant = self.encode("user"), self.encode("assistant")
        assert len(self.newline) == len(self.user) == len(self.assistant) == 1

    def encode(self, text: str) -> list[int]:
        return self.tokenizer.encode(text, add_special_tokens=False).ids

    def user_turn(self, ids: list[int]) -> list[int]:
        """<|im_start|>user\\n...<|im_end|>\\n"""
        return [self.im_start] + self.user + self.newline + ids + [self.im_end] + self.newline

    def prompt_rows(self, user: list[int], first: int) -> list[int]:
        """Text id of every row up to and with the one that predicts the first frame."""
        head = [self.im_start] + self.assistant + self.newline
        return user + head + [self.tts_pad] * 4 + [self.tts_bos, first]

    def later_rows(self, tokens: list[int], frames: int) -> list[int]:
        """Text id that accompanies each spoken frame: the rest of the text, its end once, then padding."""
        rest = tokens[1:] + [self.tts_eos]
        return (rest + [self.tts_pad] * frames)[:frames]


def random_user_part(text: Text, questions: list[list[int]], r: random.Random) -> list[int]:
    """Rows of the user turns; mostly short ones, which cost little."""
    rows: list[int] = []
    if r.random() < 0.6:
        return text.user_turn(r.choice(questions)[: r.randint(1, 3)] if r.random() < 0.8 else [text.media] * r.randint(1, 3))
    for _ in range(1 if r.random() < 0.9 else 2):
        ids = list(r.choice(questions)) if questions and r.random() < 0.8 else []
        ids = ids[: r.randint(1, 14)] if r.random() < 0.5 else ids[:24]
        if r.random() < 0.15 or not ids:
            ids = [text.media] * r.randint(3, 30) + ids
        rows += text.user_turn(ids)
    return rows


class Examples:
    """Utterances end to end: token ids, codes [frames, groups], words as (first token, end, end in frames), and their kinds. Each begins
    with LEAD_FRAMES of silence, which belong to the first word."""

    def __init__(self, items: list[dict], codes: torch.Tensor, text: Text):
        tokens, words = [], []
        for i, encoded in zip(items, text.tokenizer.encode_batch([i["text"] for i in items], add_special_tokens=False)):
            # A token's offsets may begin with the space before it.
            starts = [sum(end <= a for _, end in encoded.offsets) for a, _, _ in i["words"]]
            ends = starts[1:] + [len(encoded.ids)]
            tokens.append(encoded.ids)
            words.append([(a, b, end + config.LEAD_FRAMES) for a, b, (_, _, end) in zip(starts, ends, i["words"])])
        self.kinds = np.array([i["kind"] for i in items])
        self.said = np.array([i["frames"] for i in items])
        self.frames = self.said + config.LEAD_FRAMES
        self.starts = np.array([i["start"] for i in items])
        self.codes = codes.numpy()
        first, number = np.unique(self.codes[self.starts], axis=0, return_counts=True)
        self.lead = np.repeat(first[number.argmax()][None], config.LEAD_FRAMES, 0)  # all begin with silence
        self.tokens, self.token_at = packed(tokens, ())
        self.words, self.word_at = packed(words, (3,))

    def of(self, i: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Token ids, codes and words of utterance `i`."""
        codes = np.concatenate([self.lead, self.codes[self.starts[i] : self.starts[i] + self.said[i]]])
        return self.tokens[self.token_at[i] : self.token_at[i + 1]], codes, self.words[self.word_at[i] : self.word_at[i + 1]]


def packed(lists: list[list], shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """All lists end to end, and where each begins."""
    parts = [np.array(x, np.int64).reshape(-1, *shape) for x in lists]
    return np.concatenate(parts or [np.zeros((0, *shape), np.int64)]), np.cumsum([0] + [len(p) for p in parts])


@dataclass
class Batch:
    """Rows [B, L], padded on the right, and the places in them, counted through the whole batch (0 .. B * L), of what else there is:
    a GPU that looked for these itself would have to be waited for."""

    ids: torch.Tensor  # [B, L] of the text
    codes: torch.Tensor  # [F, groups] of all frames
    at: torch.Tensor  # [F] rows that carry the frames
    special: torch.Tensor  # [B * PREFIX_ROWS] rows before the one that predicts the first frame, and that one
    asked: torch.Tensor  # [F + B] rows that predict a frame or the end
    target: torch.Tensor  # [F + B] its first code, or CODEBOOK_SIZE for the end
    chosen: torch.Tensor  # [N] frames that the code predictor learns from
    lowest: torch.Tensor  # [B, L], with `highest` the rows that hold the word which the frame predicted at a row belongs to
    highest: torch.Tensor

    def to(self, device) -> Batch:
        """The same as int64 on the device."""
        return Batch(*(x.to(device, non_blocking=True).long() for x in vars(self).values()))

    def pin_memory(self) -> Batch:
        """The same where a GPU can fetch it by itself; called by torch's loader."""
        return Batch(*(x.pin_memory() for x in vars(self).values()))

    def guide(self) -> torch.Tensor:
        """bool [B, L, L]: where row i is to look."""
        row = torch.arange(self.ids.shape[1], device=self.ids.device)
        return (row >= self.lowest[..., None]) & (row < self.highest[..., None])


def build(examples: Examples, picked, text: Text, questions: list[list[int]], r: random.Random, multiple: int = 1, chosen: int = 0) -> Batch:
    """The utterances `picked` after random user turns; the length is a multiple of `multiple`; `chosen` of the frames, or all where 0,
    are for the code predictor."""
    built = []
    for i in picked:
        tokens, codes, words = examples.of(i)
        prompt = text.prompt_rows(random_user_part(text, questions, r), int(tokens[0]))
        built.append((len(prompt), prompt + text.later_rows(tokens.tolist(), len(codes)), codes, words))
    length = -(-max(len(rows) for _, rows, _, _ in built) // multiple) * multiple
    shape = (len(built), length)
    ids, lowest, highest = np.zeros(shape, np.int32), np.zeros(shape, np.int16), np.zeros(shape, np.int16)
    at, special, asked, target = [], [], [], []
    for b, (prefix, rows, codes, words) in enumerate(built):
        ids[b, : len(rows)] = rows
        first = b * length + prefix
        at.append(np.arange(first, b * length + len(rows), dtype=np.int32))
        special.append(np.arange(first - PREFIX_ROWS, first, dtype=np.int32))
        asked.append(np.arange(first - 1, b * length + len(rows), dtype=np.int32))
        target.append(np.append(codes[:, 0], np.int16(config.CODEBOOK_SIZE)))  # stands for codec_eos
        ends = np.minimum(np.maximum.accumulate(words[:, 2]), len(codes))
        word = np.repeat(np.arange(len(words)), np.diff(ends, prepend=0))  # of each frame
        frame = np.arange(len(word))
        here = slice(prefix - 1, prefix - 1 + len(word))
        lowest[b, here] = prefix - 1 + words[word, 0]
        highest[b, here] = prefix - 1 + np.minimum(words[word, 1], frame + 1)
    spoken = np.concatenate([codes for _, _, codes, _ in built])
    some = np.flatnonzero(np.concatenate([np.arange(len(codes)) >= config.LEAD_FRAMES for _, _, codes, _ in built])).astype(np.int32)
    if chosen and len(some) > chosen:
        some = np.array(r.sample(some.tolist(), chosen), np.int32)
    joined = map(np.concatenate, (at, special, asked, target))
    return Batch(*map(torch.from_numpy, (ids, spoken, *joined, some, lowest, highest)))


class Batches(torch.utils.data.IterableDataset):
    """Batches of like length without end: a window is drawn by weight, sorted, then cut where a batch would have more than
    `rows` rows or `utterances` utterances."""

    def __init__(self, examples: Examples, weights, text: Text, questions, seed: int, rows: int, utterances: int, window: int, multiple: int, chosen: int):
        self.examples, self.text, self.questions, self.seed = examples, text, questions, seed
        self.shares = np.asarray(weights) / np.sum(weights)
        self.rows, self.utterances, self.window, self.multiple, self.chosen = rows, utterances, window, multiple, chosen

    def cut(self, window: np.ndarray) -> list[list[int]]:
        cut, part, longest = [], [], 0
        for i in window:
            longest = max(longest, int(self.examples.frames[i]) + 22)
            if part and (longest * (len(part) + 1) > self.rows or len(part) == self.utterances):
                cut.append(part)
                part, longest = [], int(self.examples.frames[i]) + 22
            part.append(i)
        return cut + [part]

    def __iter__(self):
        worker = torch.utils.data.get_worker_info()
        seed = self.seed + 7919 * (worker.id if worker else 0)
        rng, r = np.random.default_rng(seed), random.Random(seed)
        while True:
            window = rng.choice(len(self.shares), self.window, p=self.shares)
            window = window[np.argsort(self.examples.frames[window] + rng.uniform(-2, 2, len(window)))]
            parts = self.cut(window)
            r.shuffle(parts)
            for part in parts:
                yield build(self.examples, part, self.text, self.questions, r, self.multiple, self.chosen)
