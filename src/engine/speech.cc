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

// Which rows of the prompt belong to user turns, and where the last assistant turn starts.
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

SpokenWords::Options words_options(const model::Model& model) {
  const int64_t one = model.code2wav->samples(1), two = model.code2wav->samples(2), frame = two - one;
  return {.attention = !model.generation.talker_alignment_heads.empty(), .samples_per_frame = frame, .trimmed_samples = frame - one};
}

}  // namespace

Speech::Speech(const model::Model& model, const Prompt& prompt, tensor::ConstRows media_hidden, std::string_view voice,
               const SpeechOptions& options, std::shared_ptr<model::KvPages> memory)
    : model_(model), talker_(*model.talker), media_hidden_(media_hidden), options_(options), speaker_(talker_.speaker(voice)),
      state_{.decoder = memory ? model::DecoderState(std::move(memory)) : model::DecoderState()}, vocoder_(*model.code2wav),
      code_sampler_(sampler_options(model.generation.talker, options.greedy), options.seed),
      residual_sampler_(sampler_options(model.generation.code_predictor, options.greedy), options.seed + 1),
      pick_code_([this](std::span<float> logits) { return pick(code_sampler_, logits); }),
      pick_residual_([this](std::span<float> logits) { return pick(residual_sampler_, logits); }),
      frame_(static_cast<size_t>(model.config.talker.num_code_groups)), words_(words_options(model)), lead_left_(options.lead_frames) {
  state_.gaze.heads = model.generation.talker_alignment_heads;
  code_sampler_.suppress(talker_.suppress_begin(), talker_.suppress_end(), talker_.config().codec_eos_token_id);
  const model::Config& config = model.config;
  const Segments segments = segments_of(prompt.ids, config);
  const int64_t size = config.talker.text.hidden_size;
  // Positions over user ids and the assistant's rows, which the reference calls tts_pad (talker_input_ids).
  std::vector<int32_t> ids;
  int64_t at = 0, media = 0;
  for (const int64_t row : segments.user) {
    for (; at < row; ++at) media += prompt.is_media(at, config.thinker) ? 1 : 0;
    ids.push_back(prompt.ids[static_cast<size_t>(row)]);
    user_rows_.push_back({ids.back(), prompt.is_media(row, config.thinker) ? media : -1});
  }
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

int64_t Speech::most_tokens(const model::GenerationConfig& generation, int64_t prompt_tokens, int64_t max_frames) {
  return prompt_tokens + model::Talker::kAssistantRows + generation.talker_lead_frames + max_frames;
}

bool Speech::ready() const { return !done_ && (text_ended_ || text_.size() >= (begun_ ? 1u : 2u)); }

int64_t Speech::prompt_left() const { return static_cast<int64_t>(user_rows_.size()) - prefilled_; }

// User rows: text by its embedding, media by the hidden state (_get_talker_user_parts). Rows of one kind that follow one
// another go together.
void Speech::project_user_rows(std::span<const UserRow> rows, SpeechScratch& scratch, tensor::Rows out) const {
  for (size_t begin = 0, end = 0; begin < rows.size(); begin = end) {
    const bool media = rows[begin].media >= 0;
    scratch.ids.clear();
    while (end < rows.size() && (media ? rows[end].media == rows[begin].media + static_cast<int64_t>(end - begin) : rows[end].media < 0)) {
      scratch.ids.push_back(rows[end++].id);
    }
    const auto count = static_cast<int64_t>(end - begin);
    const tensor::Rows to = out.slice(static_cast<int64_t>(begin), count);
    if (media) {
      talker_.project_hidden(media_hidden_.slice(rows[begin].media, count), to);
      continue;
    }
    scratch.embeds.resize({count, model_.config.thinker.text.hidden_size});
    model_.thinker.embed(scratch.ids, scratch.embeds.rows());
    talker_.project_text(scratch.embeds.rows(), to);
  }
}

void Speech::prefill(int64_t most, SpeechScratch& scratch) {
  const int64_t count = std::min(most, prompt_left());
  if (count <= 0) return;
  scratch.rows.resize({count, model_.config.talker.text.hidden_size});
  project_user_rows(std::span(user_rows_).subspan(static_cast<size_t>(prefilled_), static_cast<size_t>(count)), scratch, scratch.rows.rows());
  run_prompt_rows(scratch.rows.rows(), scratch);
}

// Rows that follow those which are run, at their positions.
void Speech::run_prompt_rows(tensor::Rows rows, SpeechScratch& scratch) {
  model::Positions positions;
  for (int axis = 0; axis < 3; ++axis) {
    const auto from = positions_.axis[axis].begin() + prefilled_;
    positions.axis[axis].assign(from, from + rows.rows);
  }
  talker_.prefill(rows, positions, state_, scratch.talker.decoder);
  prefilled_ += rows.rows;
}

// What is left of the user rows, then the nine rows that end with the first text token.
void Speech::begin(SpeechScratch& scratch) {
  begun_ = true;
  prefill(prompt_left(), scratch);
  const int64_t width = model_.config.talker.text.hidden_size;
  scratch.embeds.resize({1, model_.config.thinker.text.hidden_size});
  scratch.texts.resize({1, width});
  scratch.rows.resize({model::Talker::kAssistantRows, width});
  model_.thinker.embed({&text_.front(), 1}, scratch.embeds.rows());
  talker_.project_text(scratch.embeds.rows(), scratch.texts.rows());
  text_.pop_front();
  watch_text(1);
  talker_.assistant_rows(start_rows_.rows(), scratch.texts.rows(), speaker_, scratch.rows.rows());
  run_prompt_rows(scratch.rows.rows(), scratch);
}

// The last of the assistant's rows holds the first token of the text, and every frame's row one more.
void Speech::watch_text(int64_t tokens) {
  given_ += tokens;
  state_.gaze.begin = static_cast<int64_t>(user_rows_.size()) + model::Talker::kAssistantRows - 1;
  state_.gaze.end = state_.gaze.begin + given_;
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
  return !done_;
}

void Speech::step(std::span<Speech* const> speeches, SpeechScratch& s) {
  s.steps.clear();
  s.going.clear();
  for (Speech* speech : speeches) {
    if (speech->begins_step(s)) s.going.push_back(speech);
  }
  if (s.going.empty()) return vocode(speeches, s);
  s.ids.clear();
  for (const Speech* speech : s.going) {
    if (!speech->text_.empty()) s.ids.push_back(speech->text_.front());
  }
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
    int64_t given = 0;
    if (speech->text_.empty()) {
      text = speech->after_text();
    } else {
      text = {s.texts.rows().row(next++), static_cast<size_t>(width)};
      speech->text_.pop_front();
      given = 1;
    }
    if (!speech->state_.gaze.heads.empty() && speech->lead_left_ == 0) speech->words_.look(speech->state_.gaze.weights);
    speech->watch_text(given);
    s.steps.push_back({.state = &speech->state_,
                       .next_text = text,
                       .pick_code = &speech->pick_code_,
                       .pick_residual = &speech->pick_residual_,
                       .codes = speech->frame_});
  }
  model.talker->step(s.steps, s.talker);
  for (size_t i = 0; i < s.going.size(); ++i) s.going[i]->finish_step(s.steps[i].ended);
  vocode(speeches, s);
}

void Speech::finish_step(bool ended) {
  done_ = ended || !finite_;
  if (!finite_) {
    outcome_ = std::unexpected(not_finite("talker"));
    return;
  }
  if (lead_left_ > 0) {
    --lead_left_;
  } else if (!ended) {
    ++frames_;
    codes_.insert(codes_.end(), frame_.begin(), frame_.end());
  }
}

int Speech::vocoded_frames() const { return static_cast<int>(vocoder_.frames()); }

// The vocoder takes one frame at a time until the listener has some in hand, then up to four, for which it reads its
// weights once.
bool Speech::wants_vocoding() const {
  const int waiting = frames_ - vocoded_frames();
  return outcome_ && waiting > 0 && (done_ || waiting >= std::clamp(frames_ / 8, 1, 4));
}

// All answers whose turn it is in one pass.
void Speech::vocode(std::span<Speech* const> speeches, SpeechScratch& s) {
  s.frames.clear();
  s.vocoding.clear();
  for (Speech* speech : speeches) {
    if (!speech->wants_vocoding()) continue;
    const auto codes = std::span(speech->codes_).subspan(static_cast<size_t>(speech->vocoded_frames()) * speech->frame_.size());
    s.frames.push_back({.stream = &speech->vocoder_, .codes = codes, .samples = {}});
    s.vocoding.push_back(speech);
  }
  const auto spoken = model::Code2WavStream::step(s.frames, s.vocoder);
  for (size_t i = 0; i < s.vocoding.size(); ++i) {
    Result<std::span<const float>>& outcome = s.vocoding[i]->outcome_;
    if (!spoken) {
      outcome = std::unexpected(spoken.error());
    } else if (!all_finite(s.frames[i].samples)) {
      outcome = std::unexpected(not_finite("code2wav"));
    } else {
      outcome = s.frames[i].samples;
      s.vocoding[i]->words_.push_samples(s.frames[i].samples);
    }
  }
}

Result<std::span<const float>> Speech::step() {
  if (!scratch_) scratch_ = std::make_unique<SpeechScratch>();
  Speech* self = this;
  step({&self, 1}, *scratch_);
  return outcome_;
}

}  // namespace calliope::engine
