#include <algorithm>
#include <cmath>
#include <string>

#include "kernels/add_scaled.h"
#include "kernels/attention.h"
#include "kernels/elementwise.h"
#include "kernels/norm.h"
#include "kernels/rope.h"
#include "kernels/snake_beta.h"
#include "model/causal_rows.h"
#include "model/code2wav_parts.h"

namespace calliope::model {

using namespace code2wav;
using tensor::ConstRows;
using tensor::Rows;
using tensor::Tensor;

namespace {

constexpr float kConvNextEps = 1e-6f;

void snake(ConstRows x, const Snake& w, Rows y) { kernels::snake_beta(x, w.rate, w.scale, y); }

void copy_rows(ConstRows from, Rows to) {
  for (int64_t t = 0; t < from.rows; ++t) std::copy_n(from.row(t), from.cols, to.row(t));
}

// The rows of a tensor under another width: [T, n * width] -> [T * n, width].
Rows split(Rows x, int64_t width) { return {x.data, x.rows * x.cols / width, width, width}; }

Rows sized(Tensor& tensor, int64_t rows, int64_t cols) {
  tensor.resize({rows, cols});
  return {tensor.data(), rows, cols, cols};
}

}  // namespace

// All that one step hands to the next, in the order in which a step needs it: nothing a reset could forget.
struct Code2WavStream::State {
  const Code2Wav::Parts& model;
  int64_t frames = 0;
  std::vector<CausalRows> pasts;
  // During a step: the next past, and the stream's rows in the batch.
  size_t next_past = 0;
  int64_t first = 0, rows = 0;

  explicit State(const Code2Wav::Parts& parts);
  void reset();
  CausalRows& past() { return pasts[next_past++]; }
  Rows of(Rows all) const { return all.slice(first, rows); }
};

Code2WavStream::State::State(const Code2Wav::Parts& parts) : model(parts) {
  using enum CausalRows::Start;
  const Code2WavConfig& c = parts.config;
  for (size_t i = 0; i < 2 * parts.layers.size(); ++i) {  // keys and values
    pasts.emplace_back(c.sliding_window - 1, c.num_key_value_heads * c.head_dim, empty);
  }
  for (size_t i = 0; i < parts.upsample.size(); ++i) pasts.emplace_back(kKernel - 1, c.hidden_size, zeros);
  pasts.emplace_back(kKernel - 1, c.hidden_size, zeros);
  int64_t channels = c.decoder_dim;
  for (const DecoderBlock& block : parts.blocks) {
    pasts.emplace_back(1, channels, empty);
    channels = block.out;
    for (const ResidualUnit& unit : block.units) pasts.emplace_back((kKernel - 1) * unit.dilation, channels, zeros);
  }
  pasts.emplace_back(kKernel - 1, channels, zeros);
}

void Code2WavStream::State::reset() {
  frames = 0;
  for (CausalRows& past : pasts) past.reset();
}

// One step of several streams: their rows follow one another wherever rows do not look at each other, and what does look
// back is done stream by stream.
struct Code2WavStream::Pass {
  const Code2Wav::Parts& model;
  std::span<Code2WavStep> steps;
  Code2WavScratch& s;

  void run(std::span<float> samples);
  Rows embed();
  void rotary(Rows x);
  void transformer_layer(const TransformerLayer& w, Rows x);
  Rows upsample_stage(const Upsample& w, ConstRows x);
  Rows decoder_block(const DecoderBlock& w, Rows x);
  void convolve(int64_t taps, int64_t dilation, const PackedWeight& w, Rows y);

  // body(stream) for each, with its rows where they lie when every one has `times` as many as before.
  template <class Body>
  void each(int64_t times, Body body) {
    int64_t first = 0;
    for (Code2WavStep& step : steps) {
      State& stream = *step.stream->state_;
      stream.rows *= times;
      stream.first = first;
      first += stream.rows;
      body(stream);
    }
  }
  template <class Body>
  void each(Body body) { each(1, body); }
};

// `samples` has room for what the frames can give at most.
void Code2WavStream::Pass::run(std::span<float> samples) {
  const Code2WavConfig& c = model.config;
  Rows x = embed();  // [T, D], the mean of the groups' embeddings
  rotary(x);
  for (const TransformerLayer& layer : model.layers) transformer_layer(layer, x);
  kernels::rms_norm(x, model.norm, c.rms_norm_eps, x);
  each([](State& stream) { stream.frames += stream.rows; });

  for (const Upsample& stage : model.upsample) x = upsample_stage(stage, x);  // [T * factor, D]
  each([&](State& stream) { copy_rows(stream.of(x), stream.pasts[stream.next_past].append(stream.rows)); });
  x = sized(s.hidden, x.rows, c.decoder_dim);
  convolve(kKernel, 1, model.conv_in, x);
  for (const DecoderBlock& block : model.blocks) x = decoder_block(block, x);  // [T * rate, C / 2]

  each([&](State& stream) { snake(stream.of(x), model.act_out, stream.pasts[stream.next_past].append(stream.rows)); });
  CHECK(x.rows <= std::ssize(samples));
  const Rows wave{samples.data(), x.rows, 1, 1};
  convolve(kKernel, 1, model.conv_out, wave);
  for (float& sample : samples.first(static_cast<size_t>(x.rows))) sample = std::clamp(sample, -1.0f, 1.0f);
  for (Code2WavStep& step : steps) {
    const State& stream = *step.stream->state_;
    CHECK(stream.next_past == stream.pasts.size());
    step.samples = samples.subspan(static_cast<size_t>(stream.first), static_cast<size_t>(stream.rows));
  }
}

// y = the convolution of every stream's next past, whose rows have been appended.
void Code2WavStream::Pass::convolve(int64_t taps, int64_t dilation, const PackedWeight& w, Rows y) {
  s.convolutions.clear();
  each([&](State& stream) {
    s.convolutions.push_back({kernels::causal_windows(stream.past().window(), taps, dilation), stream.of(y)});
  });
  kernels::conv(s.convolutions, w);
}

Rows Code2WavStream::Pass::embed() {
  const Code2WavConfig& c = model.config;
  const int64_t groups = c.num_quantizers;
  int64_t rows = 0;
  for (Code2WavStep& step : steps) {
    State& stream = *step.stream->state_;
    stream.next_past = 0;
    stream.rows = static_cast<int64_t>(step.codes.size()) / groups;
    rows += stream.rows;
  }
  const Rows x = sized(s.hidden, rows, c.hidden_size);
  int64_t t = 0;
  for (const Code2WavStep& step : steps) {
    for (auto codes = step.codes; !codes.empty(); codes = codes.subspan(static_cast<size_t>(groups)), ++t) {
      std::fill_n(x.row(t), x.cols, 0.0f);
      for (int64_t group = 0; group < groups; ++group) {
        const View row = model.code_embedding.row(group * c.codebook_size + codes[static_cast<size_t>(group)]);
        for (int64_t i = 0; i < x.cols; ++i) x.row(t)[i] += row.at(i);
      }
      for (int64_t i = 0; i < x.cols; ++i) x.row(t)[i] /= static_cast<float>(groups);
    }
  }
  return x;
}

// Angles of every stream's next positions, and the keys each of them sees: itself and sliding_window - 1 before it.
void Code2WavStream::Pass::rotary(Rows x) {
  const auto half = static_cast<int64_t>(model.frequencies.size());
  const int64_t window = model.config.sliding_window;
  const Rows cosine = sized(s.cosine, x.rows, half), sine = sized(s.sine, x.rows, half);
  s.ranges.clear();
  each([&](State& stream) {
    const int64_t held = std::min(stream.frames, window - 1);
    for (int64_t t = 0; t < stream.rows; ++t) {
      for (int64_t i = 0; i < half; ++i) {
        const float angle = static_cast<float>(stream.frames + t) * model.frequencies[static_cast<size_t>(i)];
        cosine.row(stream.first + t)[i] = std::cos(angle);
        sine.row(stream.first + t)[i] = std::sin(angle);
      }
      s.ranges.push_back({std::max<int64_t>(0, held + t - (window - 1)), held + t + 1});
    }
  });
}

void Code2WavStream::Pass::transformer_layer(const TransformerLayer& w, Rows x) {
  const Code2WavConfig& c = model.config;
  const int64_t rows = x.rows, width = c.num_attention_heads * c.head_dim, kv_width = c.num_key_value_heads * c.head_dim;
  const Rows h = sized(s.normed, rows, c.hidden_size), b = sized(s.branch, rows, c.hidden_size);
  const Rows q = sized(s.query, rows, width), k = sized(s.keys, rows, kv_width), v = sized(s.values, rows, kv_width);

  kernels::rms_norm(x, w.input_layernorm, c.rms_norm_eps, h);  // [T, D]
  // q [T, heads * head_dim]; k, v [T, kv_heads * head_dim]
  const kernels::LinearTask projections[] = {{h, &w.q_proj, q}, {h, &w.k_proj, k}, {h, &w.v_proj, v}};
  kernels::linear(projections);
  kernels::rope(q, c.head_dim, s.cosine.rows(), s.sine.rows());
  kernels::rope(k, c.head_dim, s.cosine.rows(), s.sine.rows());
  const kernels::AttentionShape shape{.heads = c.num_attention_heads,
                                      .kv_heads = c.num_key_value_heads,
                                      .head_dim = c.head_dim,
                                      .scale = 1.0f / std::sqrt(static_cast<float>(c.head_dim))};
  const Rows a = sized(s.gate, rows, width);
  each([&](State& stream) {
    if (stream.rows == 0) return void(stream.next_past += 2);
    CausalRows &keys = stream.past(), &values = stream.past();
    copy_rows(stream.of(k), keys.append(stream.rows));
    copy_rows(stream.of(v), values.append(stream.rows));
    const auto ranges = std::span(s.ranges).subspan(static_cast<size_t>(stream.first), static_cast<size_t>(stream.rows));
    kernels::attention(stream.of(q), keys.window(), values.window(), shape, ranges, stream.of(a));
  });
  kernels::linear(a, w.o_proj, b);
  kernels::add_scaled(b, w.self_attn_layer_scale, x);

  kernels::rms_norm(x, w.post_attention_layernorm, c.rms_norm_eps, h);
  const Rows g = sized(s.gate, rows, c.intermediate_size), u = sized(s.up, rows, c.intermediate_size);
  const kernels::LinearTask inner[] = {{h, &w.gate_proj, g}, {h, &w.up_proj, u}};
  kernels::linear(inner);
  kernels::silu_mul(u, g);
  kernels::linear(g, w.down_proj, b);
  kernels::add_scaled(b, w.mlp_layer_scale, x);
}

// [T, D] -> [T * factor, D]: a transposed convolution without overlap, then a ConvNeXt block.
Rows Code2WavStream::Pass::upsample_stage(const Upsample& w, ConstRows x) {
  const int64_t rows = x.rows * w.factor, width = x.cols;
  const Rows wider = sized(s.unit, x.rows, w.factor * width);
  kernels::conv(kernels::causal_windows(x, 1, 1), w.transposed, wider);
  const Rows in = split(wider, width);
  const Rows h = sized(s.normed, rows, width), wide = sized(s.gate, rows, 4 * width), b = sized(s.branch, rows, width);
  each(w.factor, [&](State& stream) {
    CausalRows& dwconv = stream.past();
    copy_rows(stream.of(in), dwconv.append(stream.rows));
    kernels::depthwise_conv1d(dwconv.window(), w.convnext.dwconv, stream.of(h));
  });
  kernels::layer_norm(h, w.convnext.norm_weight, w.convnext.norm_bias, kConvNextEps, h);
  kernels::linear(h, w.convnext.pwconv1, wide);
  kernels::gelu(wide);
  kernels::linear(wide, w.convnext.pwconv2, b);
  const Rows y = sized(s.hidden, rows, width);
  copy_rows(in, y);
  kernels::add_scaled(b, w.convnext.gamma, y);
  return y;
}

// [T, C] -> [T * rate, C / 2], the very first row of a stream giving nothing: each block of `rate` outputs needs the
// rows before and after it, and the reference trims what either would give alone.
Rows Code2WavStream::Pass::decoder_block(const DecoderBlock& w, Rows x) {
  int64_t rows = 0;
  each([&](State& stream) {
    CausalRows& pair = stream.pasts[stream.next_past];
    snake(stream.of(x), w.act, pair.append(stream.rows));
    stream.rows = kernels::causal_windows(pair.window(), 2, 1).rows;
    rows += stream.rows;
  });
  const Rows blocks_of_rate = sized(s.hidden, rows, w.rate * w.out);
  convolve(2, 1, w.transposed, blocks_of_rate);
  each(w.rate, [](State&) {});
  const Rows y = split(blocks_of_rate, w.out);
  const Rows h = sized(s.unit, y.rows, w.out), b = sized(s.branch, y.rows, w.out);
  for (const ResidualUnit& u : w.units) {
    each([&](State& stream) { snake(stream.of(y), u.act1, stream.pasts[stream.next_past].append(stream.rows)); });
    convolve(kKernel, u.dilation, u.conv1, h);
    snake(h, u.act2, h);
    kernels::conv(kernels::causal_windows(h, 1, 1), u.conv2, b);
    kernels::add(b, y);
  }
  return y;
}

Code2WavStream::Code2WavStream(const Code2Wav& model)
    : model_(model), state_(std::make_unique<State>(*model_.parts_)) {}
Code2WavStream::~Code2WavStream() = default;
Code2WavStream::Code2WavStream(Code2WavStream&&) noexcept = default;
Code2WavStream& Code2WavStream::operator=(Code2WavStream&&) noexcept = default;

Result<void> Code2WavStream::step(std::span<Code2WavStep> steps, Code2WavScratch& scratch) {
  if (steps.empty()) return {};
  const Code2WavStream& one = *steps.front().stream;
  const Code2WavConfig& c = one.model_.config();
  for (const Code2WavStep& step : steps) {
    CHECK(step.stream->model_.parts_ == one.model_.parts_);
    if (step.codes.size() % static_cast<size_t>(c.num_quantizers) != 0) {
      return fail(ErrorCode::invalid_argument, "codes must come in frames of " + std::to_string(c.num_quantizers),
                  "codes");
    }
    for (const int32_t code : step.codes) {
      if (code >= 0 && code < c.codebook_size) continue;
      return fail(ErrorCode::invalid_argument,
                  "code " + std::to_string(code) + " is not below " + std::to_string(c.codebook_size), "codes");
    }
  }
  int64_t per_frame = 1, frames = 0;
  for (const int64_t ratio : c.upsampling_ratios) per_frame *= ratio;
  for (const int64_t rate : c.upsample_rates) per_frame *= rate;
  const auto frames_of = [&](const Code2WavStep& step) { return std::ssize(step.codes) / c.num_quantizers; };
  for (const Code2WavStep& step : steps) frames += frames_of(step);
  scratch.samples.resize({frames * per_frame});
  std::span<float> room = scratch.samples.span();
  for (size_t begin = 0, end = 0; begin < steps.size(); begin = end) {
    int64_t together = 0;
    do together += frames_of(steps[end++]);
    while (end < steps.size() && together + frames_of(steps[end]) <= kFramesAtOnce);
    Pass{*one.model_.parts_, steps.subspan(begin, end - begin), scratch}.run(room);
    room = room.subspan(static_cast<size_t>(together * per_frame));
  }
  return {};
}

Result<std::span<const float>> Code2WavStream::step(std::span<const int32_t> codes) {
  if (!scratch_) scratch_ = std::make_unique<Code2WavScratch>();
  Code2WavStep one{.stream = this, .codes = codes, .samples = {}};
  TRY_VOID(step({&one, 1}, *scratch_));
  return one.samples;
}

void Code2WavStream::reset() { state_->reset(); }

int64_t Code2WavStream::frames() const { return state_->frames; }

}  // namespace calliope::model
