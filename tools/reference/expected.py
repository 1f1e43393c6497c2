"""The expected tensors of one configuration."""

from __future__ import annotations

from pathlib import Path

import torch

import inputs
import reference

TOKENS = 64     # greedy ids a prompt
FRAMES = 38     # 3 s at 12.5 frames a second
MIXED = 11      # the prompt whose every tensor is kept: two pictures, a sound, text between
SPOKEN = {0: 9, 4: 20, 8: 14}  # prompt -> text tokens to speak
TALKER_ROWS, TALKER_STEPS = 23, 6


def tensor(array) -> torch.Tensor:
    return torch.from_numpy(array)


@torch.no_grad()
def hearing(model) -> dict[str, torch.Tensor]:
    """audio_encoder.<frames>[.<frames>...]: clips of noise, alone and together."""
    out = {}
    tower = model.thinker.model.audio_tower
    for clips in ([10], [99], [100], [257], [1200], [37, 250, 104], [37, 11]):
        mel = [tensor(inputs.noise(frames, frames, tower.num_mel_bins)) for frames in clips]
        features = tower(torch.cat(mel).T, feature_lens=torch.tensor(clips)).last_hidden_state
        out["audio_encoder." + ".".join(map(str, clips))] = features
    return out


@torch.no_grad()
def sight(model) -> dict[str, torch.Tensor]:
    """vision.<h>x<w>[x<t>].features and .deepstack.<i>; h and w count merged patches."""
    out = {}
    visual = model.thinker.model.visual
    merge, config = visual.spatial_merge_size, visual.config
    width = 3 * config.temporal_patch_size * config.patch_size**2
    for t, h, w in ((1, 1, 1), (1, 2, 3), (1, 7, 1), (1, 5, 6), (2, 2, 2)):
        grid = torch.tensor([[t, h * merge, w * merge]])
        seen = visual(tensor(inputs.noise(10 * h + w, int(grid.prod()), width)), grid_thw=grid)
        out[f"vision.{t}x{h}x{w}.features"] = seen.pooler_output
        for i, feature in enumerate(seen.deepstack_features):
            out[f"vision.{t}x{h}x{w}.deepstack.{i}"] = feature
    return out


@torch.no_grad()
def text(model) -> dict[str, torch.Tensor]:
    """thinker.logits: noise as embeddings, three unlike axes of positions."""
    thinker = model.thinker
    size, rows = thinker.config.text_config.hidden_size, 11
    axes = torch.stack([tensor(inputs.whole_numbers(90 + i, 50, rows)) for i in range(3)])[:, None]
    result = thinker.model.language_model(inputs_embeds=tensor(inputs.noise(93, 1, rows, size)), position_ids=axes, use_cache=False)
    return {"thinker.hidden": result.last_hidden_state[0], "thinker.logits": thinker.lm_head(result.last_hidden_state)[0]}


@torch.no_grad()
def speaking(model) -> dict[str, torch.Tensor]:
    """Talker and code predictor with codes forced: hidden [steps + 1, D], logits, residual logits [steps, groups - 1, V]."""
    talker = model.talker
    config, predictor = talker.config, talker.code_predictor
    size, groups = config.text_config.hidden_size, config.num_code_groups
    x = tensor(inputs.noise(70, 1, TALKER_ROWS, size))
    codes = tensor(inputs.whole_numbers(71, predictor.vocab_size, TALKER_STEPS, groups))
    rows = tensor(inputs.noise(72, TALKER_STEPS, size))
    hidden, logits, residual = [], [], []
    for step in range(TALKER_STEPS + 1):
        h = talker.model(inputs_embeds=x, use_cache=False).last_hidden_state[:, -1:]
        hidden.append(h[0, 0])
        logits.append(talker.codec_head(h)[0, 0])
        if step == TALKER_STEPS:
            break
        parts = [talker.model.codec_embedding(codes[step, 0])] + [predictor.model.codec_embedding[g - 1](codes[step, g]) for g in range(1, groups)]
        frame = torch.cat([h, torch.stack(parts)[None, :-1]], dim=1)
        out = predictor.model(inputs_embeds=frame, use_cache=False).last_hidden_state[0]
        residual.append(torch.stack([predictor.lm_head[g](out[g + 1]) for g in range(groups - 1)]))
        x = torch.cat([x, (torch.stack(parts).sum(0) + rows[step])[None, None]], dim=1)
    projected = {name: getattr(talker, name)(tensor(inputs.noise(73, 5, config.thinker_hidden_size))) for name in ("text_projection", "hidden_projection")}
    return {"talker.hidden": torch.stack(hidden), "talker.logits": torch.stack(logits), "predictor.logits": torch.stack(residual),
            **{f"talker.{k}": v for k, v in projected.items()}}


@torch.no_grad()
def vocoder(model) -> dict[str, torch.Tensor]:
    """code2wav.<frames>"""
    config, out = model.code2wav.config, {}
    for frames in (2, 25) if model.code2wav.total_upsample < 500 else (3,):
        codes = tensor(inputs.whole_numbers(60 + frames, config.codebook_size, frames, config.num_quantizers))
        out[f"code2wav.{frames}"] = model.code2wav(codes.T[None])[0, 0]
    return out


def prompts(model, processor: reference.Processor, turns: list[list[dict]]) -> dict[str, torch.Tensor]:
    """mixed.*, prompt_ids.<i>, generated [20, 64], margins [20, 64], speech.<i>.{generated,codes,margins,waveform.<samples>}.

    Of long waveforms every fourth sample is kept.
    """
    batches = [processor(t) for t in turns]
    out = {f"mixed.{k}": v for k, v in reference.trace(model, batches[MIXED]).items()}
    answers = [reference.greedy(model, b, TOKENS) for b in batches]
    out |= {f"prompt_ids.{i}": b["input_ids"][0] for i, b in enumerate(batches)}
    out["generated"] = torch.stack([ids for ids, _ in answers])
    out["margins"] = torch.stack([m for _, m in answers])
    for i, tokens in SPOKEN.items():
        ids, codes, margins, wave = reference.speak(model, batches[i], tokens, FRAMES, [-1], speaker="chelsie" if i else "ethan")
        assert 10 < len(codes) <= FRAMES and len(ids) == tokens
        out |= {f"speech.{i}.generated": ids, f"speech.{i}.codes": codes, f"speech.{i}.margins": margins}
        if i == 4 or len(wave) < 5000:
            out[f"speech.{i}.waveform.{len(wave)}"] = wave if len(wave) < 5000 else wave[::4]
    return out


def compute(folder: Path, turns: list[list[dict]]) -> dict[str, torch.Tensor]:
    model = reference.load(folder)
    out = hearing(model) | sight(model) | text(model) | speaking(model) | vocoder(model)
    out |= prompts(model, reference.Processor(folder), turns)
    check_variety(out)
    return {k: (v.to(torch.int32) if v.dtype == torch.int64 else v.float()).contiguous().clone() for k, v in out.items()}


def check_variety(out: dict[str, torch.Tensor]) -> None:
    """Refuses a checkpoint whose outputs would not show a mistake."""
    kinds = [len(set(ids.tolist())) for ids in out["generated"]]
    waves = [v for k, v in out.items() if ".waveform." in k]
    clipped = max(float((w.abs() >= 1).float().mean()) for w in waves)
    codes = len(set(out["speech.4.codes"].flatten().tolist()))
    print(f"  distinct ids a prompt {sorted(kinds)}, distinct codes {codes}, waveform rms {[round(float(w.square().mean().sqrt()), 3) for w in waves]},"
          f" clipped {clipped:.3f}, smallest margin {float(out['margins'].min()):.2e}")
    assert sorted(kinds)[len(kinds) // 2] > 5 and codes > 20 and clipped < 0.2
    assert all(w.square().mean() > 1e-4 for w in waves) and all(v.float().isfinite().all() for v in out.values())
