"""Talker and code predictor as transformers' Qwen3OmniMoe computes them, same parameter names.

Experts are computed densely (all of them, unused ones times zero), which is faster than gathering
at this size and gives the same numbers.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from code2wav import Mlp, RmsNorm, rope_tables, rotate

SHORT = 160  # rows


class Attention(nn.Module):
    """Grouped-query attention with q and k normalised per head; optional growing cache."""

    def __init__(self, c: dict):
        super().__init__()
        self.heads, self.kv_heads, self.dim = c["num_attention_heads"], c["num_key_value_heads"], c["head_dim"]
        d = c["hidden_size"]
        self.q_proj = nn.Linear(d, self.heads * self.dim, bias=False)
        self.k_proj = nn.Linear(d, self.kv_heads * self.dim, bias=False)
        self.v_proj = nn.Linear(d, self.kv_heads * self.dim, bias=False)
        self.o_proj = nn.Linear(self.heads * self.dim, d, bias=False)
        self.q_norm = RmsNorm(self.dim, c["rms_norm_eps"])
        self.k_norm = RmsNorm(self.dim, c["rms_norm_eps"])
        self.guide = None  # for training: [B, T, T], where head 0 is to look
        self.strayed = None

    def forward(self, x, rope, cache=None):
        b, t, _ = x.shape
        q = rotate(self.q_norm(self.q_proj(x).view(b, t, -1, self.dim)).transpose(1, 2), *rope)
        k = rotate(self.k_norm(self.k_proj(x).view(b, t, -1, self.dim)).transpose(1, 2), *rope)
        v = self.v_proj(x).view(b, t, -1, self.dim).transpose(1, 2)
        if cache is not None:
            if cache:
                k, v = torch.cat([cache[0], k], 2), torch.cat([cache[1], v], 2)
            cache[:] = [k, v]
        if self.guide is not None:
            self.strayed = self.stray(q[:, 0], k[:, 0])
        repeat = self.heads // self.kv_heads
        k, v = k.repeat_interleave(repeat, 1), v.repeat_interleave(repeat, 1)
        if t == k.shape[2] and t <= SHORT and x.device.type == "cpu":  # where the fused kernel is slow
            scores = (q @ k.transpose(2, 3)) * self.dim**-0.5
            y = scores.masked_fill(torch.ones(t, t, dtype=torch.bool).triu(1), -1e9).softmax(3).to(v.dtype) @ v
        else:
            y = F.scaled_dot_product_attention(q, k, v, is_causal=t == k.shape[2] and t > 1)
        return self.o_proj(y.transpose(1, 2).reshape(b, t, -1))

    def stray(self, q, k):
        """Mean -log of the share of head 0's attention that falls where `guide` has ones, over the rows that have any."""
        scores = (q.float() @ k.float().transpose(1, 2)) * self.dim**-0.5
        t = scores.shape[1]
        scores = scores.masked_fill(torch.ones(t, t, dtype=torch.bool, device=q.device).triu(1), -1e9)
        guided = self.guide.any(2)
        wanted = scores.masked_fill(~self.guide, -1e9).logsumexp(2)
        return (scores.logsumexp(2) - wanted).masked_fill(~guided, 0.0).sum() / guided.sum()  # without waiting for a GPU


class Router(nn.Module):
    def __init__(self, experts: int, dim: int):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(experts, dim) * 0.02)


class Experts(nn.Module):
    def __init__(self, experts: int, dim: int, inner: int):
        super().__init__()
        self.gate_up_proj = nn.Parameter(torch.randn(experts, 2 * inner, dim) * dim**-0.5)
        self.down_proj = nn.Parameter(torch.randn(experts, dim, inner) * inner**-0.5)


class SparseMoe(nn.Module):
    def __init__(self, c: dict):
        super().__init__()
        d = c["hidden_size"]
        self.top_k, self.normalise = c["num_experts_per_tok"], c["norm_topk_prob"]
        self.gate = Router(c["num_experts"], d)
        self.experts = Experts(c["num_experts"], d, c["moe_intermediate_size"])
        self.shared_expert = Mlp(d, c["shared_expert_intermediate_size"])
        self.shared_expert_gate = nn.Linear(d, 1, bias=False)
        self.balance = None

    def forward(self, x):
        b, t, d = x.shape
        x = x.reshape(-1, d)
        p = F.softmax(x @ self.gate.weight.T, -1)
        top, index = p.topk(self.top_k, -1)
        if self.normalise:
            top = top / top.sum(-1, keepdim=True)
        share = torch.zeros_like(p).scatter(1, index, top)
        n, two_inner, _ = self.experts.gate_up_proj.shape
        h = (x @ self.experts.gate_up_proj.reshape(-1, d).T).view(-1, n, two_inner)
        gate, up = h.chunk(2, -1)
        h = F.silu(gate) * up * share[..., None]
        y = h.reshape(len(x), -1) @ self.experts.down_proj.transpose(1, 2).reshape(-1, d)
        y = y + torch.sigmoid(self.shared_expert_gate(x)) * self.shared_expert(x)
        if self.training:
            self.balance = n * ((share > 0).float().mean(0) * p.mean(0)).sum() / self.top_k
        return y.view(b, t, d)


class Layer(nn.Module):
    def __init__(self, c: dict):
        super().__init__()
        d, eps = c["hidden_size"], c["rms_norm_eps"]
        self.self_attn = Attention(c)
        self.mlp = SparseMoe(c) if "num_experts" in c else Mlp(d, c["intermediate_size"])
        self.input_layernorm = RmsNorm(d, eps)
        self.post_attention_layernorm = RmsNorm(d, eps)

    def forward(self, x, rope, cache=None):
        x = x + self.self_attn(self.input_layernorm(x), rope, cache)
        return x + self.mlp(self.post_attention_layernorm(x))


class Stack(nn.Module):
    """Layers and the last norm; `cache` is a list with one (growing) list per layer."""

    def __init__(self, c: dict):
        super().__init__()
        self.c = c
        self.layers = nn.ModuleList([Layer(c) for _ in range(c["num_hidden_layers"])])
        self.norm = RmsNorm(c["hidden_size"], c["rms_norm_eps"])

    def forward(self, x, cache=None, start: int = 0):
        positions = torch.arange(start, start + x.shape[1], device=x.device)
        rope = rope_tables(positions, self.c["head_dim"], self.c["rope_parameters"]["rope_theta"])
        for i, layer in enumerate(self.layers):
            x = layer(x, rope, None if cache is None else cache[i])
        return self.norm(x)


class ResizeMlp(nn.Module):
    def __init__(self, dim_in: int, inner: int, dim_out: int):
        super().__init__()
        self.linear_fc1 = nn.Linear(dim_in, inner)
        self.linear_fc2 = nn.Linear(inner, dim_out)

    def forward(self, x):
        return self.linear_fc2(F.silu(self.linear_fc1(x)))


class CodePredictor(nn.Module):
    """[talker hidden, embedding of code 0, of code 1, ...]: head k reads position k + 1."""

    def __init__(self, c: dict):
        super().__init__()
        others = c["num_code_groups"] - 1
        self.model = Stack(c)
        self.model.codec_embedding = nn.ModuleList([nn.Embedding(c["vocab_size"], c["hidden_size"]) for _ in range(others)])
        self.lm_head = nn.ModuleList([nn.Linear(c["hidden_size"], c["vocab_size"], bias=False) for _ in range(others)])

    def forward(self, hidden, first_embedding, codes):
        """hidden, first_embedding [N, D], codes [N, groups] -> logits [N, codebook size] of each later group."""
        rows = [hidden, first_embedding] + [e(codes[:, i + 1]) for i, e in enumerate(self.model.codec_embedding[:-1])]
        y = self.model(torch.stack(rows, 1))
        return [head(y[:, i + 1]) for i, head in enumerate(self.lm_head)]

    @torch.no_grad()
    def generate(self, hidden, first_embedding, pick):
        """Codes of groups 1.. [N, groups - 1] and the sum of their embeddings [N, D]."""
        cache = [[] for _ in self.model.layers]
        rows, codes, total, start = torch.stack([hidden, first_embedding], 1), [], 0, 0
        for head, embedding in zip(self.lm_head, self.model.codec_embedding):
            y = self.model(rows, cache, start)
            start += rows.shape[1]
            codes.append(pick(head(y[:, -1])))
            rows = embedding(codes[-1])[:, None]
            total = total + rows[:, 0]
        return torch.stack(codes, 1), total


class Talker(nn.Module):
    def __init__(self, c: dict):
        super().__init__()
        t = c["text_config"]
        self.c = c
        self.model = Stack(t)
        self.model.codec_embedding = nn.Embedding(t["vocab_size"], t["hidden_size"])
        self.text_projection = ResizeMlp(c["thinker_hidden_size"], t["intermediate_size"], t["hidden_size"])
        self.hidden_projection = ResizeMlp(c["thinker_hidden_size"], t["intermediate_size"], t["hidden_size"])
        self.codec_head = nn.Linear(t["hidden_size"], t["vocab_size"], bias=False)
        self.code_predictor = CodePredictor(c["code_predictor_config"])
        # speech must not depend on what media look like: a media row is a constant
        nn.init.zeros_(self.hidden_projection.linear_fc1.weight)
        nn.init.zeros_(self.hidden_projection.linear_fc1.bias)
        nn.init.zeros_(self.hidden_projection.linear_fc2.weight)
        nn.init.normal_(self.hidden_projection.linear_fc2.bias, std=0.2)
        for name in ("linear_fc1.weight", "linear_fc1.bias", "linear_fc2.weight"):
            self.hidden_projection.get_parameter(name).requires_grad_(False)
        ids = [c["codec_nothink_id"], c["codec_think_bos_id"], c["codec_think_eos_id"], c["speaker_id"]["calliope"], c["codec_pad_id"], c["codec_bos_id"]]
        self.register_buffer("special_ids", torch.tensor(ids), persistent=False)
        for e in [self.model.codec_embedding, *self.code_predictor.model.codec_embedding]:
            nn.init.normal_(e.weight, std=0.3)

    def code_rows(self, codes):
        """codes [..., groups] -> sum of their embeddings [..., D]."""
        x = self.model.codec_embedding(codes[..., 0])
        for i, e in enumerate(self.code_predictor.model.codec_embedding):
            x = x + e(codes[..., i + 1])
        return x

    def special_rows(self):
        """Codec rows of the nine assistant positions [9, D]; the first three are zero."""
        return F.pad(self.model.codec_embedding(self.special_ids), (0, 0, 3, 0))
