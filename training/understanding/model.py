"""Batched modules of the thinker with the parameter names of transformers' Qwen3OmniMoeThinkerForConditionalGeneration.

They compute the same numbers; only the loops over chunks and pictures are batched. `export_names` gives the state as the
reference loads it.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from understanding.config import AUDIO, TEXT, VISION, embedding_table


def rotate_half(x: Tensor) -> Tensor:
    a, b = x.chunk(2, dim=-1)
    return torch.cat((-b, a), dim=-1)


def attention(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
    """Heads of q [B, H, T, D] over k and v, which several may share; mask [B or 1, 1, T or 1, T] says who may look where.

    On a CPU without the fused kernel, whose gradient takes several times as long on short rows."""
    if not torch.is_grad_enabled() or q.device.type != "cpu":
        if q.device.type != "cpu" and k.shape[1] != q.shape[1]:  # the fused kernel with a mask wants as many heads
            k, v = (x.repeat_interleave(q.shape[1] // k.shape[1], 1) for x in (k, v))
            return F.scaled_dot_product_attention(q.to(v.dtype), k.to(v.dtype), v, attn_mask=mask)
        return F.scaled_dot_product_attention(q, k, v, attn_mask=mask, enable_gqa=True)
    batch, heads, time, dim = q.shape
    groups = heads // k.shape[1]
    q = q.reshape(batch, heads // groups, groups * time, dim).to(v.dtype)
    scores = (q * dim**-0.5) @ k.to(v.dtype).transpose(2, 3)
    if mask is not None:
        scores = scores.view(batch, heads // groups, groups, time, -1).masked_fill(~mask[:, :, None], -1e4).view_as(scores)
    y = scores.softmax(-1).to(v.dtype) @ v
    return y.view(batch, heads, time, dim)


class RMSNorm(nn.Module):
    def __init__(self, size: int, eps: float = 1e-6):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x, x.shape[-1:], self.weight.to(x.dtype), self.eps)


# ---------------------------------------------------------------- sight


class PatchMerger(nn.Module):
    def __init__(self, post_shuffle: bool):
        super().__init__()
        hidden = VISION["hidden_size"] * VISION["spatial_merge_size"] ** 2
        self.hidden, self.post_shuffle = hidden, post_shuffle
        self.ln_q = nn.LayerNorm(hidden if post_shuffle else VISION["hidden_size"], eps=1e-6)
        self.mlp = nn.ModuleList([nn.Linear(hidden, hidden), nn.GELU(), nn.Linear(hidden, VISION["out_hidden_size"])])

    def forward(self, x: Tensor) -> Tensor:  # [B, P, D] -> [B, P/4, out]
        batch = x.shape[0]
        if self.post_shuffle:
            x = self.ln_q(x.reshape(batch, -1, self.hidden))
        else:
            x = self.ln_q(x).reshape(batch, -1, self.hidden)
        for layer in self.mlp:
            x = layer(x)
        return x


class VisionAttention(nn.Module):
    def __init__(self):
        super().__init__()
        size = VISION["hidden_size"]
        self.qkv = nn.Linear(size, 3 * size)
        self.proj = nn.Linear(size, size)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        batch, patches, size = x.shape
        q, k, v = self.qkv(x).view(batch, patches, 3, VISION["num_heads"], -1).permute(2, 0, 3, 1, 4)
        q, k = q * cos + rotate_half(q) * sin, k * cos + rotate_half(k) * sin
        return self.proj(attention(q, k, v).transpose(1, 2).reshape(batch, patches, size))


class VisionMLP(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear_fc1 = nn.Linear(VISION["hidden_size"], VISION["intermediate_size"])
        self.linear_fc2 = nn.Linear(VISION["intermediate_size"], VISION["hidden_size"])

    def forward(self, x: Tensor) -> Tensor:
        return self.linear_fc2(F.gelu(self.linear_fc1(x), approximate="tanh"))


class VisionBlock(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm1 = nn.LayerNorm(VISION["hidden_size"], eps=1e-6)
        self.norm2 = nn.LayerNorm(VISION["hidden_size"], eps=1e-6)
        self.attn = VisionAttention()
        self.mlp = VisionMLP()

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        x = x + self.attn(self.norm1(x), cos, sin)
        return x + self.mlp(self.norm2(x))


class PatchEmbed(nn.Module):
    """The reference's Conv3d; both frames of a photo are the same, so one linear layer gives the same sum."""

    def __init__(self):
        super().__init__()
        p, t = VISION["patch_size"], VISION["temporal_patch_size"]
        self.proj = nn.Conv3d(3, VISION["hidden_size"], (t, p, p), (t, p, p))

    def forward(self, patches: Tensor) -> Tensor:  # [B, P, 3 * p * p]
        return F.linear(patches, self.proj.weight.sum(2).flatten(1), self.proj.bias)


def merge_order(h: int, w: int) -> tuple[Tensor, Tensor]:
    """Rows and columns of the patches of an h x w grid, 2 x 2 blocks together."""
    rows, cols = torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij")
    block = (h // 2, 2, w // 2, 2)
    return rows.reshape(block).transpose(1, 2).flatten(), cols.reshape(block).transpose(1, 2).flatten()


def patchify(pixels: Tensor) -> Tensor:
    """Normalised pixels [B, 3, H, W] -> [B, P, 3 * p * p] in merge order (one frame)."""
    p = VISION["patch_size"]
    b, c, height, width = pixels.shape
    x = pixels.view(b, c, height // (2 * p), 2, p, width // (2 * p), 2, p)
    return x.permute(0, 2, 5, 3, 6, 1, 4, 7).reshape(b, -1, c * p * p)


NEAR = [(0, 1), (0, -1), (1, 0), (-1, 0)]
LOCAL_HEADS = [NEAR, NEAR, [*NEAR[:3], None], [(0, 2), (0, -2), None, None], [(1, 1), (-1, -1), (1, -1), (-1, 1)], [*NEAR[2:], None, None]]


@torch.no_grad()
def look_near(attention: VisionAttention, offsets: list[tuple[int, int] | None], strength: float = 5.0) -> None:
    """Starts each head looking at the patch so many rows and columns away, as a convolution does (cf. ConViT, 2103.10697).

    With rotary positions, constant q and k score every pair of patches by their distance alone: the biases set the peak.
    """
    heads, size = VISION["num_heads"], VISION["hidden_size"]
    dim = size // heads
    inverse = 1.0 / (10000.0 ** (torch.arange(0, dim // 2, 2).float() / (dim // 2)))
    bias = attention.qkv.bias.view(3, heads, 2, dim // 2).zero_()
    weight = attention.qkv.weight.view(3, heads, dim, size)
    for head, offset in enumerate(offsets):
        if offset is None:
            continue
        angle = torch.cat([offset[0] * inverse, offset[1] * inverse])
        bias[0, head] = strength * torch.stack([angle.cos(), angle.sin()])
        bias[1, head, 0] = strength
        weight[:2, head] *= 0.4


class VisionEncoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.patch_embed = PatchEmbed()
        self.pos_embed = nn.Embedding(VISION["num_position_embeddings"], VISION["hidden_size"])
        self.blocks = nn.ModuleList([VisionBlock() for _ in range(VISION["depth"])])
        self.merger = PatchMerger(False)
        self.merger_list = nn.ModuleList([PatchMerger(True) for _ in VISION["deepstack_visual_indexes"]])
        nn.init.normal_(self.pos_embed.weight, std=0.02)
        self.cache: dict = {}
        for block, offsets in zip(self.blocks, LOCAL_HEADS):
            look_near(block.attn, offsets)

    def positions(self, h: int, w: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        device = self.pos_embed.weight.device
        if (h, w, device) not in self.cache:
            side = int(VISION["num_position_embeddings"] ** 0.5)
            rows, cols = merge_order(h, w)
            y, x = torch.linspace(0, side - 1, h)[rows], torch.linspace(0, side - 1, w)[cols]
            y0, x0 = y.floor().long(), x.floor().long()
            y1, x1 = (y0 + 1).clamp(max=side - 1), (x0 + 1).clamp(max=side - 1)
            dy, dx = y - y0, x - x0
            index = torch.stack([y0 * side + x0, y0 * side + x1, y1 * side + x0, y1 * side + x1], 1)
            weight = torch.stack([(1 - dy) * (1 - dx), (1 - dy) * dx, dy * (1 - dx), dy * dx], 1)
            dim = VISION["hidden_size"] // VISION["num_heads"] // 2
            inverse = 1.0 / (10000.0 ** (torch.arange(0, dim, 2).float() / dim))
            angle = torch.cat([rows[:, None] * inverse, cols[:, None] * inverse], 1)
            angle = torch.cat([angle, angle], 1)
            self.cache[h, w, device] = tuple(t.to(device) for t in (index, weight, angle.cos(), angle.sin()))
        return self.cache[h, w, device]

    def forward(self, patches: Tensor, h: int, w: int, with_deepstack: bool = True) -> tuple[Tensor, list[Tensor]]:
        index, weight, cos, sin = self.positions(h, w)
        x = self.patch_embed(patches) + (self.pos_embed(index) * weight[:, :, None]).sum(1)
        deepstack = []
        for i, block in enumerate(self.blocks):
            x = block(x, cos, sin)
            if with_deepstack and i in VISION["deepstack_visual_indexes"]:
                deepstack.append(self.merger_list[len(deepstack)](x))
        return self.merger(x), deepstack


# ---------------------------------------------------------------- hearing


class AudioAttention(nn.Module):
    def __init__(self):
        super().__init__()
        size = AUDIO["d_model"]
        self.k_proj, self.v_proj, self.q_proj, self.out_proj = (nn.Linear(size, size) for _ in range(4))

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        batch, time, size = x.shape
        heads = AUDIO["encoder_attention_heads"]
        q, k, v = (p(x).view(batch, time, heads, -1).transpose(1, 2) for p in (self.q_proj, self.k_proj, self.v_proj))
        y = attention(q, k, v, mask[:, None, None, :])
        return self.out_proj(y.transpose(1, 2).reshape(batch, time, size))


class AudioLayer(nn.Module):
    def __init__(self):
        super().__init__()
        size = AUDIO["d_model"]
        self.self_attn = AudioAttention()
        self.self_attn_layer_norm = nn.LayerNorm(size)
        self.fc1, self.fc2 = nn.Linear(size, AUDIO["encoder_ffn_dim"]), nn.Linear(AUDIO["encoder_ffn_dim"], size)
        self.final_layer_norm = nn.LayerNorm(size)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        x = x + self.self_attn(self.self_attn_layer_norm(x), mask)
        return x + self.fc2(F.gelu(self.fc1(self.final_layer_norm(x))))


WINDOW = AUDIO["n_window_infer"] // 100 * 13  # tokens that see each other


def audio_tokens(frames: Tensor) -> Tensor:
    """Tokens of clips of that many mel frames (_get_feat_extract_output_lengths)."""
    rest = frames % 100
    rest = (rest - 1) // 2 + 1
    return ((rest - 1) // 2 + 1 - 1) // 2 + 1 + frames // 100 * 13


class AudioEncoder(nn.Module):
    def __init__(self):
        super().__init__()
        size, hidden = AUDIO["d_model"], AUDIO["downsample_hidden_size"]
        self.conv2d1 = nn.Conv2d(1, hidden, 3, 2, padding=1)
        self.conv2d2 = nn.Conv2d(hidden, hidden, 3, 2, padding=1)
        self.conv2d3 = nn.Conv2d(hidden, hidden, 3, 2, padding=1)
        self.conv_out = nn.Linear(hidden * (AUDIO["num_mel_bins"] // 8), size, bias=False)
        self.layers = nn.ModuleList([AudioLayer() for _ in range(AUDIO["encoder_layers"])])
        self.ln_post = nn.LayerNorm(size)
        self.proj1, self.proj2 = nn.Linear(size, size), nn.Linear(size, AUDIO["output_dim"])
        scale = torch.exp(-math.log(10000) / (size // 2 - 1) * torch.arange(size // 2).float())
        angle = torch.arange(13)[:, None] * scale[None]
        self.register_buffer("positions", torch.cat([angle.sin(), angle.cos()], 1), persistent=False)

    def first(self, x: Tensor) -> Tensor:
        """conv2d1 as a product, its channels last: on a CPU all three convolutions then take half as long."""
        if torch.is_autocast_enabled("cpu"):
            x = x.bfloat16()
        patches = F.pad(x[:, 0], (1, 1, 1, 1)).unfold(1, 3, 2).unfold(2, 3, 2).flatten(3)
        return F.linear(patches, self.conv2d1.weight.flatten(1), self.conv2d1.bias).permute(0, 3, 1, 2)

    def forward(self, mel: Tensor, frames: Tensor) -> tuple[Tensor, Tensor]:
        """mel [B, 128, T] with T a multiple of 100, frames [B] -> features [B, T/100*13, out], valid [B, ...]."""
        batch, bins, time = mel.shape
        x = mel.view(batch, bins, time // 100, 100).transpose(1, 2).reshape(-1, 1, bins, 100)
        x = F.gelu(self.first(x) if x.device.type == "cpu" else self.conv2d1(x))
        x = F.gelu(self.conv2d2(x))
        x = F.gelu(self.conv2d3(x))
        x = self.conv_out(x.permute(0, 3, 1, 2).flatten(2))
        x = x + self.positions.to(x.dtype)
        x = x.view(batch, -1, x.shape[-1])
        valid = torch.arange(x.shape[1], device=x.device) < audio_tokens(frames)[:, None]
        tokens, window = x.shape[1], WINDOW if x.shape[1] > WINDOW else x.shape[1]
        x = F.pad(x, (0, 0, 0, -tokens % window)).view(-1, window, x.shape[-1])
        seen = F.pad(valid, (0, -tokens % window)).view(-1, window)
        seen = seen | ~seen.any(1, keepdim=True)  # nobody looks at the rows of a block where nothing is valid
        for layer in self.layers:
            x = layer(x, seen)
        x = x.view(batch, -1, x.shape[-1])[:, :tokens]
        return self.proj2(F.gelu(self.proj1(self.ln_post(x)))), valid


# ---------------------------------------------------------------- thinker


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        size, dim = TEXT["hidden_size"], TEXT["head_dim"]
        self.q_proj = nn.Linear(size, TEXT["num_attention_heads"] * dim, bias=False)
        self.k_proj = nn.Linear(size, TEXT["num_key_value_heads"] * dim, bias=False)
        self.v_proj = nn.Linear(size, TEXT["num_key_value_heads"] * dim, bias=False)
        self.o_proj = nn.Linear(TEXT["num_attention_heads"] * dim, size, bias=False)
        self.q_norm, self.k_norm = RMSNorm(dim), RMSNorm(dim)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, cache: list | None, mask: Tensor | None = None) -> Tensor:
        batch, time, _ = x.shape
        dim = TEXT["head_dim"]
        q = self.q_norm(self.q_proj(x).view(batch, time, -1, dim)).transpose(1, 2)
        k = self.k_norm(self.k_proj(x).view(batch, time, -1, dim)).transpose(1, 2)
        v = self.v_proj(x).view(batch, time, -1, dim).transpose(1, 2)
        q, k = q * cos + rotate_half(q) * sin, k * cos + rotate_half(k) * sin
        causal = mask is None
        if cache is not None:
            if cache:
                k, v = torch.cat([cache[0], k], 2), torch.cat([cache[1], v], 2)
                causal = False
            cache[:] = [k, v]
        if mask is not None:
            y = attention(q, k, v, mask)
        else:
            y = F.scaled_dot_product_attention(q, k, v, is_causal=causal, enable_gqa=True)
        return self.o_proj(y.transpose(1, 2).reshape(batch, time, -1))


class MLP(nn.Module):
    def __init__(self):
        super().__init__()
        size, inner = TEXT["hidden_size"], TEXT["intermediate_size"]
        self.gate_proj, self.up_proj = nn.Linear(size, inner, bias=False), nn.Linear(size, inner, bias=False)
        self.down_proj = nn.Linear(inner, size, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class Layer(nn.Module):
    def __init__(self):
        super().__init__()
        self.self_attn, self.mlp = Attention(), MLP()
        self.input_layernorm, self.post_attention_layernorm = RMSNorm(TEXT["hidden_size"]), RMSNorm(TEXT["hidden_size"])

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, cache: list | None, mask: Tensor | None = None) -> Tensor:
        x = x + self.self_attn(self.input_layernorm(x), cos, sin, cache, mask)
        return x + self.mlp(self.post_attention_layernorm(x))


class TextModel(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed_tokens = nn.Embedding.from_pretrained(embedding_table(), freeze=True)
        self.layers = nn.ModuleList([Layer() for _ in range(TEXT["num_hidden_layers"])])
        self.norm = RMSNorm(TEXT["hidden_size"])

    def rope(self, positions: Tensor) -> tuple[Tensor, Tensor]:  # [3, B, T]
        dim = TEXT["head_dim"]
        base = TEXT["rope_parameters"]["rope_theta"]
        inverse = 1.0 / (base ** (torch.arange(0, dim, 2, device=positions.device).float() / dim))
        angle = positions[..., None].float() * inverse
        section = TEXT["rope_parameters"]["mrope_section"]
        merged = angle[0].clone()
        for axis in (1, 2):
            merged[..., axis : section[axis] * 3 : 3] = angle[axis, ..., axis : section[axis] * 3 : 3]
        merged = torch.cat([merged, merged], -1)[:, None]
        return merged.cos(), merged.sin()

    def forward(self, x: Tensor, positions: Tensor, visual: Tensor | None = None, deepstack=(), caches=None, mask: Tensor | None = None) -> Tensor:
        """x [B, T, hidden], positions [3, B, T]; `visual` [N] are the places of pictures' tokens in [B * T], to which `deepstack` [N, hidden] is added."""
        cos, sin = (t.to(x.dtype) for t in self.rope(positions))
        for i, layer in enumerate(self.layers):
            x = layer(x, cos, sin, caches[i] if caches is not None else None, mask)
            if visual is not None and i < len(deepstack):
                x = x.flatten(0, 1).index_add(0, visual, deepstack[i].to(x.dtype)).view_as(x)
        return self.norm(x)


class Thinker(nn.Module):
    def __init__(self):
        super().__init__()
        self.audio_tower, self.visual = AudioEncoder(), VisionEncoder()
        self.model = TextModel()
        self.lm_head = nn.Linear(TEXT["hidden_size"], TEXT["vocab_size"], bias=False)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=min(0.06, module.in_features**-0.5))
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
