#include "engine/reading.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/check.h"
#include "engine/speech.h"
#include "reading/pronunciations.h"

namespace calliope::engine {
namespace {

// The talker always follows a user's words, which may colour how it speaks; these ask for nothing but what happens.
constexpr const char* kNeutralTurn = "Read this aloud.";
// Nobody speaks more slowly than this, so a talker that goes on longer has lost the text.
constexpr double kSlowestCharactersPerSecond = 3, kGraceSeconds = 2;

}  // namespace

Result<Reading> Reading::make(const model::Model& model, const assistant::Request& request, int64_t most_tokens) {
  if (request.read_aloud.size() > kMostBytes) {
    return fail(ErrorCode::too_large,
                "the text to read has " + std::to_string(request.read_aloud.size()) + " bytes; at most " +
                    std::to_string(kMostBytes) + " are read at once",
                "input");
  }
  Reading reading;
  reading.model_ = &model;
  reading.spoken_ = model.generation.talker_reads_words ? reading::spoken_text(request.read_aloud)
                                                        : reading::verbatim_text(request.read_aloud);
  reading.passages_ =
      reading::passages(reading.spoken_.text, static_cast<size_t>(model.generation.talker_passage_characters),
                        static_cast<size_t>(model.generation.talker_passage_sentences));
  if (reading.passages_.empty()) {
    return fail(ErrorCode::invalid_argument, "there is nothing to read: the text has no letters or digits", "input");
  }
  assistant::Request conversation{.turns = request.turns};
  if (conversation.turns.empty()) conversation.turns.push_back({assistant::Role::user, {kNeutralTurn}});
  TRY(reading.prompt_.ids, prompt_ids(model, conversation));
  const int64_t before = Speech::most_tokens(model.generation, reading.prompt_.size(), 0);
  reading.most_frames_ = std::min<int64_t>(max_frames(model.generation), most_tokens - before);
  if (reading.most_frames_ < 1) {
    return fail(ErrorCode::too_large,
                "the instructions have " + std::to_string(reading.prompt_.size()) +
                    " tokens, but the server's memory for speech holds " + std::to_string(most_tokens) +
                    "; shorten them, or start the server with a larger --kv-memory",
                "instructions");
  }
  return reading;
}

int Reading::frames_for(const reading::Passage& passage) const {
  const auto text = std::string_view(spoken_.text).substr(passage.begin, passage.end - passage.begin);
  const auto characters =
      std::ranges::count_if(text, [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; });
  const double seconds = kGraceSeconds + double(characters) / kSlowestCharactersPerSecond;
  const auto frame = static_cast<double>(model_->code2wav->samples(2) - model_->code2wav->samples(1));
  return static_cast<int>(
      std::min<double>(double(most_frames_), std::ceil(seconds * assistant::kSpeechSampleRate / frame)));
}

int64_t Reading::most_tokens() const {
  int64_t most = 0;
  for (const auto& passage : passages_) {
    most = std::max(most, Speech::most_tokens(model_->generation, prompt_.size(), frames_for(passage)));
  }
  return most;
}

Result<Reading::Text> Reading::begin(int64_t sample) {
  CHECK(more());
  const reading::Passage& passage = passages_[next_++];
  sound_ = PassageSound();
  begin_sample_ = sample;
  Text text{.most_frames = frames_for(passage)};
  const auto words = std::string_view(spoken_.text).substr(passage.begin, passage.end - passage.begin);
  said_ = model_->generation.talker_reads_sounds ? reading::spelled_as_said(words) : reading::verbatim_text(words);
  TRY(text.tokens, model_->tokenizer.encode(said_.text, false));
  model::Detokenizer detokenizer(model_->tokenizer);
  for (const int32_t token : text.tokens) text.pieces.push_back(detokenizer.push(token));
  return text;
}

std::vector<float> Reading::take(std::span<const float> samples, bool ended) {
  std::vector<float> out;
  sound_.push(samples, out);
  if (ended) sound_.finish(out);
  return out;
}

int64_t Reading::pause_samples() const {
  return std::llround(passages_[next_ - 1].pause_s * assistant::kSpeechSampleRate);
}

assistant::SpokenMark Reading::place(const assistant::SpokenMark& mark) const {
  const reading::Passage& passage = passages_[next_ - 1];
  const size_t at = std::min(passage.begin + said_.source_bytes(mark.text_bytes), passage.end);
  return {spoken_.source_bytes(at), begin_sample_ + sound_.place_of(mark.samples)};
}

size_t Reading::read_bytes() const { return spoken_.source_bytes(passages_[next_ - 1].end); }

}  // namespace calliope::engine
