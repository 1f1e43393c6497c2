#include "engine/speech.h"

#include <algorithm>

#include "model/positions.h"

namespace calliope::engine {
namespace {

SamplerOptions sampler_options(const model::DrawDefaults& draw, bool greedy) {
  const bool sample = draw.do_sample && !greedy;
  return {.temperature = sample ? draw.temperature : 0.0f,
          .top_k = sample ? draw.top_k : 0,
          .top_p = sample ? draw.top_p : 1.0f,
          .repetition_penalty = draw.repetition_penalty};
}

// Rows [begin, end) of the prompt that belong to user turns, and where the last assistant turn starts.
struct Segments {
  std::vector<int64_t> user;
  int64_t assistant = -1;
};

Segments segments_of(const std::vector<int32_t>& ids, const model::Config& config) {
  Segments segments;
  int32_t role = ids.size() > 1 ? ids[1] : -1;
  for (size_t i = 0; i < ids.size(); ++i) {
    if (ids[i] == config.im_start_token_id) {
      role = i + 1 < ids.size() ? ids[i + 1] : ids[i];
      if (role == config.assistant_token_id) segments.assistant = static_cast<int64_t>(i);
    }
    if (role == config.user_token_id) segments.user.push_back(static_cast<int64_t>(i));
  }
  return segments;
}

}  // namespace

Speech::Speech(const model::Model& model, const Prompt& prompt, const tensor::Tensor& media_hidden, std::string_view voice,
               const SpeechOptions& options)
    : model_(model), talker_(*model.talker), options_(options), speaker_(talker_.speaker(voice)), vocoder_(*model.code2wav),
      code_sampler_(sampler_options(model.generation.talker, options.greedy), options.seed),
      residual_sampler_(sampler_options(model.generation.code_predictor, options.greedy), options.seed + 1),
      frame_(static_cast<size_t>(model.config.talker.num_code_groups)) {
  code_sampler_.suppress(talker_.suppress_begin(), talker_.suppress_end(), talker_.config().codec_eos_token_id);
  const model::Config& config = model.config;
  const Segments segments = segments_of(prompt.ids, config);
  const int64_t size = config.talker.text.hidden_size, rows = static_cast<int64_t>(segments.user.size());

  // User rows: text by its embedding, media by the hidden state (_get_talker_user_parts).
  prompt_rows_.resize({rows + model::Talker::kAssistantRows, size});
  tensor::Tensor embed({1, config.thinker.text.hidden_size});
  std::vector<int32_t> ids;
  int64_t media = 0, at = 0;
  size_t next = 0;
  for (int64_t row = 0; row < prompt.size(); ++row) {
    const bool is_media = prompt.is_media(row, config.thinker);
    const bool user = next < segments.user.size() && segments.user[next] == row;
    if (user) {
      ++next;
      ids.push_back(prompt.ids[static_cast<size_t>(row)]);
      const tensor::Rows out = prompt_rows_.rows().slice(at++, 1);
      if (is_media) {
        talker_.project_hidden(media_hidden.rows().slice(media, 1), out);
      } else {
        model.thinker.embed({&ids.back(), 1}, embed.rows());
        talker_.project_text(embed.rows(), out);
      }
    }
    if (is_media) ++media;
  }
  // Positions over user ids and the assistant's rows, which the reference calls tts_pad (talker_input_ids).
  ids.insert(ids.end(), static_cast<size_t>(model::Talker::kAssistantRows), config.tts_pad_token_id);
  auto positions = model::rope_positions(ids, prompt.user_grids, config.thinker);
  if (positions) {
    positions_ = std::move(*positions);
  } else {
    for (size_t i = 0; i < ids.size(); ++i) positions_.push(static_cast<int64_t>(i));
  }
  start_rows_.resize({3, size});
  tensor::Tensor start({3, config.thinker.text.hidden_size});
  const int64_t first = std::clamp<int64_t>(segments.assistant, 0, std::max<int64_t>(0, prompt.size() - 3));
  if (prompt.size() >= first + 3) {
    model.thinker.embed(std::span(prompt.ids).subspan(static_cast<size_t>(first), 3), start.rows());
  }
  talker_.project_text(start.rows(), start_rows_.rows());
}

void Speech::push(int32_t token) {
  tensor::Tensor embed({1, model_.config.thinker.text.hidden_size});
  std::vector<float> row(static_cast<size_t>(model_.config.talker.text.hidden_size));
  model_.thinker.embed({&token, 1}, embed.rows());
  const auto size = static_cast<int64_t>(row.size());
  talker_.project_text(embed.rows(), {row.data(), 1, size, size});
  text_.push_back(std::move(row));
}

bool Speech::ready() const { return !done_ && (text_ended_ || text_.size() >= (begun_ ? 1u : 2u)); }

// Prefill: user rows, then the nine rows that end with the first text token.
void Speech::begin() {
  begun_ = true;
  const int64_t rows = prompt_rows_.shape()[0] - model::Talker::kAssistantRows;
  const auto size = static_cast<int64_t>(text_.front().size());
  talker_.assistant_rows(start_rows_.rows(), {text_.front().data(), 1, size, size}, speaker_,
                         prompt_rows_.rows().slice(rows, model::Talker::kAssistantRows));
  text_.pop_front();
  talker_.prefill(prompt_rows_.rows(), positions_, state_);
}

// The next token's row, tts_eos once after the last, then tts_pad.
std::span<const float> Speech::next_text() {
  if (!text_.empty()) {
    row_ = std::move(text_.front());
    text_.pop_front();
    return row_;
  }
  if (!eos_given_) {
    eos_given_ = true;
    return talker_.tts_eos();
  }
  return talker_.tts_pad();
}

Result<std::span<const float>> Speech::step() {
  CHECK(ready());
  if (!begun_) {
    if (text_.empty()) {
      done_ = true;  // an empty answer has nothing to say
      return std::span<const float>();
    }
    begin();
  }
  bool finite = true;
  const auto pick = [&](Sampler& sampler, std::span<float> logits) {
    finite = finite && all_finite(logits);
    return finite ? sampler.pick(logits) : 0;
  };
  const bool more = frames_ < options_.max_frames &&
                    talker_.step(next_text(), [&](std::span<float> logits) { return pick(code_sampler_, logits); },
                                 [&](std::span<float> logits) { return pick(residual_sampler_, logits); }, state_, frame_);
  if (!finite) return std::unexpected(not_finite("talker"));
  if (!more) {
    done_ = true;
    return std::span<const float>();
  }
  ++frames_;
  codes_.insert(codes_.end(), frame_.begin(), frame_.end());
  TRY(const std::span<const float> samples, vocoder_.step(frame_));
  if (!all_finite(samples)) return std::unexpected(not_finite("code2wav"));
  return samples;
}

}  // namespace calliope::engine
