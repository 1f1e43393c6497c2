#include "engine/trace.h"

#include <algorithm>
#include <cstring>
#include <optional>

#include "engine/speech.h"
#include "model/positions.h"

namespace calliope::engine {
namespace {

using tensor::ConstRows;
using tensor::DType;
using tensor::Shape;
using tensor::Tensor;
using tensor::View;

View find(const tensor::SafetensorsFile& file, const std::string& name) {
  const auto found = file.tensors().find(name);
  return found == file.tensors().end() ? View() : found->second;
}

// A tensor of whole numbers or truth values, whatever its type.
Result<std::vector<int64_t>> integers(const View& view, const std::string& name) {
  std::vector<int64_t> out(static_cast<size_t>(view.shape.elements()));
  const auto read = [&]<class T>(T value) {
    for (size_t i = 0; i < out.size(); ++i) {
      std::memcpy(&value, view.data + i * sizeof(T), sizeof(T));
      out[i] = static_cast<int64_t>(value);
    }
  };
  switch (view.dtype) {
    case DType::i64: read(int64_t{}); return out;
    case DType::i32: read(int32_t{}); return out;
    case DType::u8:
    case DType::boolean: read(uint8_t{}); return out;
    default: return fail(ErrorCode::invalid_argument, name + " must hold whole numbers (I64 or I32)", name);
  }
}

Result<Tensor> floats(const View& view, const std::string& name, int rank) {
  if (view.dtype != DType::f32 && view.dtype != DType::f16 && view.dtype != DType::bf16) {
    return fail(ErrorCode::invalid_argument, name + " must hold floating-point numbers (F32, F16 or BF16)", name);
  }
  if (view.shape.rank() != rank) {
    return fail(ErrorCode::invalid_argument,
                name + " must have " + std::to_string(rank) + " dimensions, not " + view.shape.text(), name);
  }
  Tensor out(view.shape);
  view.to_f32(out.span());
  return out;
}

Result<void> encode_images(const model::Model& model, const tensor::SafetensorsFile& inputs, EncodedMedia& media) {
  const View pixels = find(inputs, "pixel_values"), grids = find(inputs, "image_grid_thw");
  if (!pixels && !grids) return {};
  if (!pixels || !grids) {
    return fail(ErrorCode::invalid_argument, "pixel_values and image_grid_thw must come together", "image_grid_thw");
  }
  TRY(const auto numbers, integers(grids, "image_grid_thw"));
  TRY(const Tensor values, floats(pixels, "pixel_values", 2));
  if (grids.shape.rank() != 2 || grids.shape[1] != 3) {
    return fail(ErrorCode::invalid_argument, "image_grid_thw must be [pictures, 3], not " + grids.shape.text(),
                "image_grid_thw");
  }
  int64_t row = 0;
  for (size_t i = 0; i < numbers.size(); i += 3) {
    const model::ImageGrid grid{numbers[i], numbers[i + 1], numbers[i + 2]};
    constexpr int64_t kLargestSide = 1 << 16;
    const bool sane = std::min({grid.t, grid.h, grid.w}) >= 1 && std::max({grid.t, grid.h, grid.w}) <= kLargestSide;
    if (!sane || row + grid.patches() > values.shape()[0]) {
      return fail(ErrorCode::invalid_argument, "image_grid_thw asks for more patches than pixel_values has",
                  "image_grid_thw");
    }
    TRY(auto features, model.vision_encoder.encode(values.rows().slice(row, grid.patches()), grid));
    row += grid.patches();
    media.images.push_back(std::move(features));
    media.grids.push_back(grid);
  }
  if (row != values.shape()[0]) {
    return fail(ErrorCode::invalid_argument, "pixel_values has more patches than image_grid_thw asks for",
                "pixel_values");
  }
  return {};
}

Result<void> encode_sounds(const model::Model& model, const tensor::SafetensorsFile& inputs, EncodedMedia& media) {
  const View features = find(inputs, "input_features"), mask = find(inputs, "feature_attention_mask");
  if (!features) return {};
  TRY(const Tensor values, floats(features, "input_features", 3));
  const int64_t clips = values.shape()[0], mels = values.shape()[1], frames = values.shape()[2];
  std::vector<int64_t> heard(static_cast<size_t>(clips * frames), 1);
  if (mask) {
    TRY(heard, integers(mask, "feature_attention_mask"));
  }
  if (mask && mask.shape != Shape{clips, frames}) {
    return fail(ErrorCode::invalid_argument,
                "feature_attention_mask must be " + Shape{clips, frames}.text() + " as input_features, not " +
                    mask.shape.text(),
                "feature_attention_mask");
  }
  std::vector<Tensor> mel;
  for (int64_t clip = 0; clip < clips; ++clip) {
    const auto* valid = heard.data() + clip * frames;
    Tensor& out = mel.emplace_back(Shape{frames - std::count(valid, valid + frames, 0), mels});
    int64_t row = 0;
    for (int64_t t = 0; t < frames; ++t) {
      if (valid[t] == 0) continue;
      for (int64_t m = 0; m < mels; ++m) out.rows().row(row)[m] = values.data()[(clip * mels + m) * frames + t];
      ++row;
    }
  }
  std::vector<ConstRows> rows;
  for (const Tensor& clip : mel) rows.push_back(clip.rows());
  TRY(media.audio, model.audio_encoder.encode(rows));
  return {};
}

Tensor joined(const std::vector<Tensor>& parts, int64_t width) {
  int64_t rows = 0;
  for (const Tensor& part : parts) rows += part.shape()[0];
  Tensor out({rows, width});
  float* to = out.data();
  for (const Tensor& part : parts) to = std::copy_n(part.data(), part.elements(), to);
  return out;
}

void keep(Trace& trace, const std::string& name, Shape shape, std::vector<int64_t> values) {
  trace.integers[name] = {shape, std::move(values)};
}

// Greedy tokens after the prompt, as far as the model's end-of-answer token, which is kept.
std::vector<int32_t> generate(const model::Model& model, const Prompt& prompt, model::DecoderState& state,
                              int64_t most) {
  const model::DecoderConfig& config = model.thinker.config();
  const auto& eos = model.generation.eos_token_ids;
  Tensor hidden({1, config.hidden_size}), logits({1, config.vocab_size});
  std::copy_n(prompt.embeds.rows().row(prompt.size() - 1), config.hidden_size, hidden.data());
  int64_t position = model::next_position(prompt.positions);
  std::vector<int32_t> ids;
  while (static_cast<int64_t>(ids.size()) < most) {
    model.thinker.logits(hidden.rows(), logits.rows());
    const auto scores = logits.span();
    ids.push_back(static_cast<int32_t>(std::max_element(scores.begin(), scores.end()) - scores.begin()));
    if (std::find(eos.begin(), eos.end(), ids.back()) != eos.end()) break;
    model.thinker.embed({&ids.back(), 1}, hidden.rows());
    model::Positions positions;
    positions.push(position++);
    model.thinker.forward({.embeds = hidden.rows(), .positions = &positions}, state);
  }
  return ids;
}

Result<void> speak(const model::Model& model, const Prompt& prompt, const Tensor& accept_hidden,
                   const std::vector<int32_t>& ids, const std::string& voice, Trace& trace) {
  std::vector<float> rows;
  const int64_t width = accept_hidden.shape()[1];
  for (int64_t row = 0; row < prompt.size(); ++row) {
    if (!prompt.is_media(row, model.config.thinker)) continue;
    rows.insert(rows.end(), accept_hidden.rows().row(row), accept_hidden.rows().row(row) + width);
  }
  Tensor media({static_cast<int64_t>(rows.size()) / width, width});
  std::copy(rows.begin(), rows.end(), media.data());
  // As the reference: the answer's own tokens, and every frame.
  const int frames = max_frames(model.generation) + model.generation.talker_lead_frames;
  Speech speech(model, prompt, media.rows(), voice, {.greedy = true, .max_frames = frames});
  // The reference never feeds the last token to the thinker, so it is not spoken.
  for (size_t i = 0; i + 1 < ids.size(); ++i) speech.push(ids[i]);
  speech.finish_text();
  std::vector<float> waveform;
  while (!speech.done()) {
    TRY(const auto samples, speech.step());
    waveform.insert(waveform.end(), samples.begin(), samples.end());
  }
  keep(trace, "codes", {speech.frames(), model.config.talker.num_code_groups},
       {speech.codes().begin(), speech.codes().end()});
  Tensor& wave = trace.floats["waveform"] = Tensor({static_cast<int64_t>(waveform.size())});
  std::copy(waveform.begin(), waveform.end(), wave.data());
  return {};
}

}  // namespace

Result<Prompt> prompt_from_tensors(const model::Model& model, const tensor::SafetensorsFile& inputs) {
  const View view = find(inputs, "input_ids");
  if (!view) return fail(ErrorCode::invalid_argument, "there is no tensor input_ids", "input_ids");
  if (view.shape.rank() == 2 && view.shape[0] != 1) {
    return fail(ErrorCode::unsupported,
                "input_ids holds " + std::to_string(view.shape[0]) + " prompts; give one at a time", "input_ids");
  }
  TRY(const auto numbers, integers(view, "input_ids"));
  std::vector<int32_t> ids;
  for (const int64_t id : numbers) ids.push_back(static_cast<int32_t>(std::clamp<int64_t>(id, -1, INT32_MAX)));
  EncodedMedia media;
  TRY_VOID(encode_images(model, inputs, media));
  TRY_VOID(encode_sounds(model, inputs, media));
  return assemble_prompt(model, std::move(ids), std::move(media));
}

std::map<std::string, View> Trace::views() const {
  std::map<std::string, View> out;
  for (const auto& [name, tensor] : floats) out[name] = tensor.view();
  for (const auto& [name, tensor] : integers) {
    out[name] = {DType::i64, tensor.shape, reinterpret_cast<const std::byte*>(tensor.values.data())};
  }
  return out;
}

Result<Trace> trace(const model::Model& model, Prompt prompt, const TraceRequest& request) {
  if (request.speak && !model.speaks()) {
    return fail(ErrorCode::unsupported, "this model cannot speak: its checkpoint has no talker");
  }
  const model::DecoderConfig& config = model.thinker.config();
  Trace trace;
  keep(trace, "input_ids", {prompt.size()}, {prompt.ids.begin(), prompt.ids.end()});
  std::vector<int64_t> positions;
  for (const auto& axis : prompt.positions.axis) positions.insert(positions.end(), axis.begin(), axis.end());
  keep(trace, "position_ids", {3, prompt.size()}, std::move(positions));
  if (!prompt.audio_features.empty())
    trace.floats["audio_features"] = joined(prompt.audio_features, config.hidden_size);
  if (!prompt.image_features.empty())
    trace.floats["image_features"] = joined(prompt.image_features, config.hidden_size);
  std::vector<ConstRows> deepstack;
  for (size_t i = 0; i < prompt.deepstack.size(); ++i) {
    deepstack.push_back(std::as_const(trace.floats["deepstack." + std::to_string(i)] = prompt.deepstack[i]).rows());
  }

  model::DecoderState state;
  std::vector<Tensor> hidden_states;
  Tensor accept_hidden;
  model.thinker.forward({.embeds = prompt.embeds.rows(),
                         .positions = &prompt.positions,
                         .visual_rows = prompt.visual_rows,
                         .deepstack = deepstack},
                        state,
                        {.hidden_states = &hidden_states, .accept_hidden = request.speak ? &accept_hidden : nullptr});
  for (size_t i = 0; i < hidden_states.size(); ++i)
    trace.floats["hidden_states." + std::to_string(i)] = std::move(hidden_states[i]);
  Tensor& logits = trace.floats["logits"] = Tensor({prompt.size(), config.vocab_size});
  model.thinker.logits(prompt.embeds.rows(), logits.rows());

  const int64_t most = std::min<int64_t>(request.max_tokens, config.max_position_embeddings - prompt.size());
  const std::vector<int32_t> ids = generate(model, prompt, state, most);
  keep(trace, "generated_ids", {static_cast<int64_t>(ids.size())}, {ids.begin(), ids.end()});
  if (request.speak) TRY_VOID(speak(model, prompt, accept_hidden, ids, request.voice, trace));
  return trace;
}

}  // namespace calliope::engine
