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

Speech::Speech(const model::Model& model, const Prompt& prompt, tensor::ConstRows media_hidden, std::string_view voice,
               const SpeechOptions& options, std::shared_ptr<model::KvPages> memory)
    : model_(model), talker_(*model.talker), options_(options), speaker_(talker_.speaker(voice)),
      state_{.decoder = memory ? model::DecoderState(std::move(memory)) : model::DecoderState()}, vocoder_(*model.code2wav),
      code_sampler_(sampler_options(model.generation.talker, options.greedy), options.seed),
      residual_sampler_(sampler_options(model.generation.code_predictor, options.greedy), options.seed + 1),
      pick_code_([this](std::span<float> logits) { return pick(code_sampler_, logits); }),
      pick_residual_([this](std::span<float> logits) { return pick(residual_sampler_, logits); }),
      frame_(static_cast<size_t>(model.config.talker.num_code_groups)) {
  code_sampler_.suppress(talker_.suppress_begin(), talker_.suppress_end(), talker_.config().codec_eos_token_id);
  const model::Config& config = model.config;
  const Segments segments = segments_of(prompt.ids, config);
  const int64_t size = config.talker.text.hidden_size;
  prompt_rows_.resize({static_cast<int64_t>(segments.user.size()) + model::Talker::kAssistantRows, size});
  project_prompt(prompt, segments.user, media_hidden);

  // Positions over user ids and the assistant's rows, which the reference calls tts_pad (talker_input_ids).
  std::vector<int32_t> ids;
  for (const int64_t row : segments.user) ids.push_back(prompt.ids[static_cast<size_t>(row)]);
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

int64_t Speech::most_tokens(const Prompt& prompt, const SpeechOptions& options) {
  return prompt.size() + model::Talker::kAssistantRows + options.max_frames;
}

// User rows: text by its embedding, media by the hidden state (_get_talker_user_parts). Rows of one kind that follow one
// another go together.
void Speech::project_prompt(const Prompt& prompt, std::span<const int64_t> user, tensor::ConstRows media_hidden) {
  const model::ThinkerConfig& config = model_.config.thinker;
  auto media_before = [&, media = int64_t{0}, at = int64_t{0}](int64_t row) mutable {
    for (; at < row; ++at) media += prompt.is_media(at, config) ? 1 : 0;
    return media;
  };
  tensor::Tensor embeds;
  for (size_t begin = 0, end = 0; begin < user.size(); begin = end) {
    const bool media = prompt.is_media(user[begin], config);
    end = begin;
    while (end < user.size() && user[end] - user[begin] == static_cast<int64_t>(end - begin) &&
           prompt.is_media(user[end], config) == media) {
      ++end;
    }
    const auto count = static_cast<int64_t>(end - begin);
    const tensor::Rows out = prompt_rows_.rows().slice(static_cast<int64_t>(begin), count);
    if (media) {
      talker_.project_hidden(media_hidden.slice(media_before(user[begin]), count), out);
      continue;
    }
    embeds.resize({count, config.text.hidden_size});
    model_.thinker.embed(std::span(prompt.ids).subspan(static_cast<size_t>(user[begin]), end - begin), embeds.rows());
    talker_.project_text(embeds.rows(), out);
  }
}

bool Speech::ready() const { return !done_ && (text_ended_ || text_.size() >= (begun_ ? 1u : 2u)); }

// The assistant rows hold the first text token: they are there once the answer has begun.
int64_t Speech::prompt_left() const {
  return prompt_rows_.shape()[0] - (begun_ ? 0 : model::Talker::kAssistantRows) - prefilled_;
}

void Speech::prefill(int64_t rows, SpeechScratch& scratch) {
  const int64_t begin = prefilled_, count = std::min(rows, prompt_left());
  if (count <= 0) return;
  model::Positions positions;
  for (int axis = 0; axis < 3; ++axis) {
    const auto from = positions_.axis[axis].begin() + begin;
    positions.axis[axis].assign(from, from + count);
  }
  talker_.prefill(prompt_rows_.rows().slice(begin, count), positions, state_, scratch.talker.decoder);
  prefilled_ += count;
}

// What is left of the user rows, then the nine rows that end with the first text token.
void Speech::begin(SpeechScratch& scratch) {
  begun_ = true;
  const int64_t rows = prompt_rows_.shape()[0] - model::Talker::kAssistantRows;
  scratch.embeds.resize({1, model_.config.thinker.text.hidden_size});
  scratch.texts.resize({1, model_.config.talker.text.hidden_size});
  model_.thinker.embed({&text_.front(), 1}, scratch.embeds.rows());
  talker_.project_text(scratch.embeds.rows(), scratch.texts.rows());
  text_.pop_front();
  talker_.assistant_rows(start_rows_.rows(), scratch.texts.rows(), speaker_,
                         prompt_rows_.rows().slice(rows, model::Talker::kAssistantRows));
  prefill(prompt_left(), scratch);
}

// tts_eos once after the last token, then tts_pad.
std::span<const float> Speech::after_text() {
  if (eos_given_) return talker_.tts_pad();
  eos_given_ = true;
  return talker_.tts_eos();
}

int32_t Speech::pick(Sampler& sampler, std::span<float> logits) {
  finite_ = finite_ && all_finite(logits);
  return finite_ ? sampler.pick(logits) : 0;
}

// False when there is no frame: an empty answer has nothing to say, and a long one ends.
bool Speech::begins_step(SpeechScratch& scratch) {
  CHECK(ready());
  outcome_ = std::span<const float>();
  if (!begun_) {
    done_ = text_.empty();
    if (done_) return false;
    begin(scratch);
  }
  done_ = frames_ >= options_.max_frames;
  if (done_) vocode();
  return !done_;
}

void Speech::step(std::span<Speech* const> speeches, SpeechScratch& s) {
  s.steps.clear();
  s.ids.clear();
  s.going.clear();
  for (Speech* speech : speeches) {
    if (!speech->begins_step(s)) continue;
    s.going.push_back(speech);
    if (!speech->text_.empty()) s.ids.push_back(speech->text_.front());
  }
  if (s.going.empty()) return;
  const model::Model& model = s.going.front()->model_;
  const auto texts = static_cast<int64_t>(s.ids.size()), width = model.config.talker.text.hidden_size;
  if (texts > 0) {
    s.embeds.resize({texts, model.config.thinker.text.hidden_size});
    s.texts.resize({texts, width});
    model.thinker.embed(s.ids, s.embeds.rows());
    model.talker->project_text(s.embeds.rows(), s.texts.rows());
  }

  int64_t next = 0;
  for (Speech* speech : s.going) {
    std::span<const float> text;
    if (speech->text_.empty()) {
      text = speech->after_text();
    } else {
      text = {s.texts.rows().row(next++), static_cast<size_t>(width)};
      speech->text_.pop_front();
    }
    s.steps.push_back({.state = &speech->state_,
                       .next_text = text,
                       .pick_code = &speech->pick_code_,
                       .pick_residual = &speech->pick_residual_,
                       .codes = speech->frame_});
  }
  model.talker->step(s.steps, s.talker);
  for (size_t i = 0; i < s.going.size(); ++i) s.going[i]->finish_step(s.steps[i].ended);
}

// The vocoder takes one frame at a time until the listener has some in hand, then up to four, for which it reads its
// weights once.
void Speech::finish_step(bool ended) {
  done_ = ended || !finite_;
  if (!finite_) {
    outcome_ = std::unexpected(not_finite("talker"));
    return;
  }
  if (!ended) {
    ++frames_;
    codes_.insert(codes_.end(), frame_.begin(), frame_.end());
  }
  if (done_ || frames_ - vocoded_frames() >= std::clamp(frames_ / 8, 1, 4)) vocode();
}

int Speech::vocoded_frames() const { return static_cast<int>(vocoder_.frames()); }

void Speech::vocode() {
  if (vocoded_frames() == frames_) return;
  outcome_ = vocoder_.step(std::span(codes_).subspan(static_cast<size_t>(vocoded_frames()) * frame_.size()));
  if (outcome_ && !all_finite(*outcome_)) outcome_ = std::unexpected(not_finite("code2wav"));
}

Result<std::span<const float>> Speech::step() {
  SpeechScratch scratch;
  Speech* self = this;
  step({&self, 1}, scratch);
  return outcome_;
}

}  // namespace calliope::engine
