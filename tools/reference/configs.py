"""The sizes of the random checkpoints. Each is tiny and different from the others in what can go wrong."""

from __future__ import annotations

TALKER_SUPPRESSED = 1024  # the talker never says its last 1024 ids but codec_eos

# What a configuration does not say.
DEFAULTS = {
    "dtype": "float32", "shards": 1, "fused_experts": False, "old_rope": False, "tied": False, "head_despite_tied": False, "eos_seed": None, "min_pixels": 1024, "max_pixels": 16384,
    "thinker": dict(hidden=32, heads=4, kv_heads=2, head_dim=8, layers=3, ffn=48, vocab=330, section=[2, 1, 1], theta=1e6,
                    experts=0, top_k=2, moe_ffn=20, sparse_step=1, dense_layers=[], norm_topk=True, bias=False),
    "audio": dict(d_model=24, heads=4, layers=2, ffn=40, mels=80, channels=6, n_window=50, n_window_infer=800),
    "vision": dict(hidden=24, heads=3, depth=3, ffn=40, patch=8, merge=2, temporal=2, positions=36, deepstack=[0, 1], act="gelu_pytorch_tanh"),
    "talker": dict(hidden=24, heads=3, kv_heads=1, head_dim=8, layers=2, ffn=28, vocab=1024 + 60, section=[2, 1, 1], theta=1e6,
                   experts=4, top_k=2, moe_ffn=14, shared_ffn=18, norm_topk=False, accept=1),
    "predictor": dict(heads=2, kv_heads=1, head_dim=12, layers=2, ffn=36, vocab=56, groups=4, theta=1e6),
    "code2wav": dict(codebook=64, hidden=20, heads=2, kv_heads=2, layers=2, ffn=36, window=7, rates=[3, 2], ratios=[2, 2], dim=16, theta=1e4),
}

CONFIGS = {
    # Dense, tied, old-style rope fields, one file.
    "dense_tied": {"old_rope": True, "tied": True},
    # Every layer sparse, one expert each, many shards, bf16.
    "moe_bf16": {
        "dtype": "bfloat16", "shards": 4,
        "thinker": dict(experts=6, top_k=3, hidden=36, heads=6, kv_heads=2, head_dim=10, section=[3, 1, 1], vocab=341),
        "audio": dict(n_window_infer=100, d_model=28, heads=2, channels=5),
        "vision": dict(hidden=24, heads=2, deepstack=[0, 2], patch=6),
        "talker": dict(experts=5, top_k=1, norm_topk=True, accept=2), "predictor": dict(groups=16, vocab=33),
        "code2wav": dict(codebook=61, kv_heads=1),
    },
    # Sparse and dense layers in turn, routing weights not normalised, fused expert tensors, f16.
    "mixed_fused_f16": {
        "dtype": "float16", "fused_experts": True, "old_rope": True,
        "thinker": dict(experts=8, top_k=2, norm_topk=False, sparse_step=2, layers=4, hidden=26, heads=3, kv_heads=3, head_dim=14,
                        section=[3, 2, 2], ffn=37, moe_ffn=11),
        "audio": dict(mels=128, n_window_infer=400, channels=4), "vision": dict(deepstack=[1], act="gelu", positions=49),
        "talker": dict(hidden=30, heads=5, kv_heads=5, head_dim=6, section=[1, 1, 1], experts=3, top_k=3, moe_ffn=7, shared_ffn=9),
        "predictor": dict(groups=8, heads=3, kv_heads=3, head_dim=4, ffn=19), "code2wav": dict(hidden=30, heads=3, kv_heads=3, window=3),
    },
    # The released strides: 1920 samples a frame; eight query heads on one key head.
    "full_rate": {
        "dtype": "bfloat16",
        "thinker": dict(heads=8, kv_heads=1, head_dim=4, section=[1, 1, 0], layers=2, theta=1e4, hidden=40),
        "vision": dict(deepstack=[0, 1], patch=16, hidden=16, heads=4), "predictor": dict(groups=5, layers=1),
        "code2wav": dict(rates=[8, 5, 4, 3], dim=48, window=72, hidden=16),
    },
    # mlp_only_layers, a key head for each query head, no merging of shards, DeepStack on as many layers as there are.
    "mlp_only": {
        "dtype": "bfloat16",
        "thinker": dict(experts=4, top_k=4, dense_layers=[1], hidden=44, heads=4, kv_heads=4, head_dim=22, section=[5, 3, 3], tied=False),
        "vision": dict(deepstack=[0, 1, 2], temporal=1), "audio": dict(mels=128, n_window_infer=1200, layers=1),
        "talker": dict(hidden=20, heads=2, kv_heads=2, head_dim=16, section=[4, 2, 2], accept=3, layers=3), "predictor": dict(groups=6, layers=3, head_dim=6),
        "code2wav": dict(rates=[5], ratios=[3], dim=6, layers=3),
    },
    # No head_dim given in the thinker, biases in attention, another window, a head in the file though the config ties it.
    "biased": {
        "dtype": "float16", "old_rope": True, "tied": True, "head_despite_tied": True,
        "thinker": dict(bias=True, hidden=30, heads=3, kv_heads=1, head_dim=None, section=[3, 1, 1], ffn=23, layers=5),
        "audio": dict(n_window=52, n_window_infer=520, heads=6), "vision": dict(hidden=16, heads=2, merge=3, patch=4, positions=25, deepstack=[]),
        "talker": dict(accept=5, bias=True), "predictor": dict(groups=7, bias=True), "code2wav": dict(bias=True, ratios=[2], rates=[4, 3, 2]),
    },
    # Wide heads, one expert of many, twelve groups, two shards of f16, a codec_eos that ends one of the answers.
    "wide_heads": {
        "dtype": "float16", "shards": 2, "eos_seed": 5,
        "thinker": dict(experts=12, top_k=1, hidden=22, heads=2, kv_heads=1, head_dim=40, section=[8, 6, 6], layers=3, moe_ffn=9),
        "audio": dict(n_window=49, n_window_infer=196, d_model=34, heads=1), "vision": dict(hidden=20, heads=1, depth=4, deepstack=[1, 3]),
        "talker": dict(hidden=18, heads=1, kv_heads=1, head_dim=20, section=[4, 3, 3], experts=9, top_k=4, accept=0), "predictor": dict(groups=12, vocab=41, head_dim=8),
        "code2wav": dict(hidden=18, heads=3, kv_heads=1, window=1, ratios=[], rates=[4]),
    },
    # Fused experts in bf16, sections that leave no time frequencies apart, a talker as wide as the thinker.
    "fused_bf16": {
        "dtype": "bfloat16", "fused_experts": True, "shards": 3, "tied": True,
        "thinker": dict(experts=5, top_k=2, hidden=34, heads=5, kv_heads=5, head_dim=18, section=[3, 3, 3], dense_layers=[0, 2], layers=4),
        "vision": dict(merge=1, patch=10, deepstack=[2, 0], hidden=32, heads=2), "audio": dict(n_window=51, n_window_infer=408),
        "talker": dict(hidden=34, heads=4, kv_heads=2, head_dim=6, section=[1, 1, 1], norm_topk=True), "predictor": dict(groups=9, heads=4, kv_heads=4),
        "code2wav": dict(window=20, ratios=[2, 3], rates=[2, 2]),
    },
}


def sizes(name: str) -> dict:
    """DEFAULTS with the configuration's own values in place."""
    out = {k: dict(v) if isinstance(v, dict) else v for k, v in DEFAULTS.items()}
    for key, value in CONFIGS[name].items():
        if isinstance(value, dict):
            out[key].update(value)
        else:
            out[key] = value
    return out


def rope(theta: float, section: list[int] | None) -> dict:
    out = {"rope_type": "default", "rope_theta": theta}
    if section:
        out |= {"mrope_section": section, "interleaved": True, "mrope_interleaved": True}
    return out


def config_json(name: str, ids: dict[str, int]) -> dict:
    """The whole config.json; `ids` are the tokenizer's special tokens by their role."""
    s = sizes(name)
    t, a, v, k, p, w = (s[x] for x in ("thinker", "audio", "vision", "talker", "predictor", "code2wav"))
    tokens = {x: ids[x] for x in ("audio_token_id", "image_token_id", "video_token_id", "audio_start_token_id", "vision_start_token_id")}
    last = k["vocab"]
    text = {
        "model_type": "qwen3_omni_moe_text", "vocab_size": t["vocab"], "hidden_size": t["hidden"], "intermediate_size": t["ffn"],
        "num_hidden_layers": t["layers"], "num_attention_heads": t["heads"], "num_key_value_heads": t["kv_heads"],
        "hidden_act": "silu", "max_position_embeddings": 4096, "rms_norm_eps": 1e-6, "attention_bias": t["bias"],
        "num_experts": t["experts"], "num_experts_per_tok": t["top_k"], "moe_intermediate_size": t["moe_ffn"],
        "norm_topk_prob": t["norm_topk"], "decoder_sparse_step": t["sparse_step"], "mlp_only_layers": t["dense_layers"],
        "rope_parameters": rope(t["theta"], t["section"]), "tie_word_embeddings": s["tied"],
    }
    if t["head_dim"]:
        text["head_dim"] = t["head_dim"]
    talker_text = {
        "model_type": "qwen3_omni_moe_talker_text", "vocab_size": last, "hidden_size": k["hidden"], "intermediate_size": k["ffn"],
        "num_hidden_layers": k["layers"], "num_attention_heads": k["heads"], "num_key_value_heads": k["kv_heads"], "head_dim": k["head_dim"],
        "hidden_act": "silu", "max_position_embeddings": 4096, "rms_norm_eps": 1e-6, "attention_bias": k.get("bias", False),
        "num_experts": k["experts"], "num_experts_per_tok": k["top_k"], "moe_intermediate_size": k["moe_ffn"],
        "shared_expert_intermediate_size": k["shared_ffn"], "norm_topk_prob": k["norm_topk"], "decoder_sparse_step": 1, "mlp_only_layers": [],
        "rope_parameters": rope(k["theta"], k["section"]),
    }
    predictor = {
        "model_type": "qwen3_omni_moe_talker_code_predictor", "vocab_size": p["vocab"], "hidden_size": k["hidden"], "intermediate_size": p["ffn"],
        "num_hidden_layers": p["layers"], "num_attention_heads": p["heads"], "num_key_value_heads": p["kv_heads"], "head_dim": p["head_dim"],
        "hidden_act": "silu", "max_position_embeddings": 4096, "rms_norm_eps": 1e-6, "attention_bias": p.get("bias", False),
        "num_code_groups": p["groups"], "rope_parameters": rope(p["theta"], None),
    }
    return {
        "architectures": ["Qwen3OmniMoeForConditionalGeneration"], "model_type": "qwen3_omni_moe", "enable_audio_output": True,
        **{x: ids[x] for x in ("im_start_token_id", "im_end_token_id", "tts_pad_token_id", "tts_bos_token_id", "tts_eos_token_id",
                               "system_token_id", "user_token_id", "assistant_token_id")},
        "thinker_config": {
            "model_type": "qwen3_omni_moe_thinker", "position_id_per_seconds": 13, "user_token_id": ids["user_token_id"],
            "tie_word_embeddings": s["tied"], **tokens, "text_config": text,
            "audio_config": {
                "model_type": "qwen3_omni_moe_audio_encoder", "num_mel_bins": a["mels"], "encoder_layers": a["layers"], "num_hidden_layers": a["layers"],
                "encoder_attention_heads": a["heads"], "encoder_ffn_dim": a["ffn"], "d_model": a["d_model"], "max_source_positions": 1500,
                "n_window": a["n_window"], "n_window_infer": a["n_window_infer"], "output_dim": t["hidden"], "conv_chunksize": 500,
                "downsample_hidden_size": a["channels"], "activation_function": "gelu",
            },
            "vision_config": {
                "model_type": "qwen3_omni_moe_vision_encoder", "depth": v["depth"], "hidden_size": v["hidden"], "intermediate_size": v["ffn"],
                "num_heads": v["heads"], "in_channels": 3, "patch_size": v["patch"], "spatial_merge_size": v["merge"],
                "temporal_patch_size": v["temporal"], "out_hidden_size": t["hidden"], "num_position_embeddings": v["positions"],
                "deepstack_visual_indexes": v["deepstack"], "hidden_act": v["act"],
            },
        },
        "talker_config": {
            "model_type": "qwen3_omni_moe_talker", **tokens, "position_id_per_seconds": 13, "num_code_groups": p["groups"],
            "thinker_hidden_size": t["hidden"], "accept_hidden_layer": k["accept"], "spatial_merge_size": v["merge"],
            "codec_eos_token_id": last - 5, "codec_pad_id": last - 6, "codec_bos_id": last - 7, "codec_nothink_id": last - 8,
            "codec_think_bos_id": last - 9, "codec_think_eos_id": last - 10, "speaker_id": {"ethan": last - 11, "chelsie": last - 12},
            "text_config": talker_text, "code_predictor_config": predictor,
        },
        "code2wav_config": {
            "model_type": "qwen3_omni_moe_code2wav", "codebook_size": w["codebook"], "num_quantizers": p["groups"], "hidden_size": w["hidden"],
            "num_hidden_layers": w["layers"], "num_attention_heads": w["heads"], "num_key_value_heads": w["kv_heads"],
            "intermediate_size": w["ffn"], "sliding_window": w["window"], "max_position_embeddings": 8000, "rms_norm_eps": 1e-5,
            "attention_bias": w.get("bias", False), "upsample_rates": w["rates"], "upsampling_ratios": w["ratios"], "decoder_dim": w["dim"],
            "hidden_act": "silu", "rope_parameters": rope(w["theta"], None),
        },
    }


def old_rope_fields(config: dict) -> dict:
    """The same with rope_theta and rope_scaling, as checkpoints were published before transformers 5."""
    out = {k: old_rope_fields(v) if isinstance(v, dict) else v for k, v in config.items()}
    if parameters := out.pop("rope_parameters", None):
        out["rope_theta"] = parameters.pop("rope_theta")
        if "mrope_section" in parameters:
            out["rope_scaling"] = parameters | {"type": "default"}
    return out
