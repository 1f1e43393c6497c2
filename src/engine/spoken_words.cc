#include "engine/spoken_words.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/check.h"

namespace calliope::engine {
namespace {

constexpr int64_t kBlock = assistant::kSpeechSampleRate / 100;  // 10 ms
constexpr float kQuiet = 0.03f;                                 // of the loudest block
constexpr float kSilence = 1e-3f;
constexpr int kShortestQuietBlocks = 5;  // after a word
constexpr int kPauseBlocks = 15;         // between phrases
constexpr float kLeastShare = 1e-3f;     // an unlikely word is not impossible
constexpr float kSkip = 3;               // against passing over a word, in nats; and
constexpr float kDoubt = 10;             // how much worse a path may be that still counts
constexpr int64_t kLongestDoubt = 16;    // frames
constexpr double kLettersPerBlock = 0.145, kSlowest = 0.07, kFastest = 0.25;
constexpr double kIdeographLetters = 3;

bool is_space(char c) { return c == ' ' || c == '\n' || c == '\t' || c == '\r'; }
bool is_continuation(char c) { return (static_cast<unsigned char>(c) & 0xc0) == 0x80; }
// Scripts without spaces, by the first byte of a character: kana and ideographs, but not their punctuation (U+3000 to
// U+303F).
bool is_ideograph(std::string_view text) {
  const auto first = static_cast<unsigned char>(text[0]);
  return first >= 0xe3 && first <= 0xe9 && !text.starts_with("\xe3\x80");
}
bool is_stop(std::string_view text) {
  if (text.starts_with("\xe3\x80") || text.starts_with("\xef\xbc")) return true;  // their punctuation
  return std::string_view(".,;:!?").find(text[0]) != std::string_view::npos;
}

}  // namespace

SpokenWords::SpokenWords(const Options& options) : options_(options), pace_(kLettersPerBlock) {
  CHECK(options.samples_per_frame > 0);
  paths_[0].score = 0;
}

void SpokenWords::push_text(std::string_view piece) {
  for (size_t i = 0; i < piece.size(); ++i) {
    const std::string_view rest = piece.substr(i);
    ++text_bytes_;
    if (is_space(piece[i])) {
      word_ended_ = true;
      continue;
    }
    const bool ideograph = is_ideograph(rest);
    if (std::exchange(word_ended_, false) || ideograph) words_.push_back({.first_token = tokens_});
    if (!is_continuation(piece[i])) {
      letters_ += ideograph ? kIdeographLetters : 1;
      words_.back().pause_after = is_stop(rest);
    }
    words_.back().text_end = text_bytes_;
    words_.back().letters_end = letters_;
  }
  ++tokens_;
}

void SpokenWords::skip_text(size_t bytes) {
  text_bytes_ += bytes;
  if (bytes > 0) word_ended_ = true;
}

float SpokenWords::share(size_t word, std::span<const float> tokens) const {
  if (word >= words_.size()) return 0;
  const size_t end = std::min(word + 1 < words_.size() ? words_[word + 1].first_token : tokens_, tokens.size());
  float sum = 0;
  for (size_t t = words_[word].first_token; t < end; ++t) sum += tokens[t];
  return sum;
}

void SpokenWords::go_to(size_t word, int64_t sample) {
  for (; current_ < word; ++current_) words_[current_].end = sample;
}

// Viterbi over the words from current_ on: each frame stays, goes on to the next word or, rarely, past a very short
// one.
void SpokenWords::look(std::span<const float> tokens) {
  const int64_t frame = frames_++;
  std::array<Path, kPaths> before = std::move(paths_);
  for (size_t k = 0; k < kPaths; ++k) {
    Path& path = paths_[k] = Path();
    if (current_ + k >= words_.size()) continue;
    size_t from = k;
    float best = before[k].score;
    for (size_t back = 1; back <= std::min<size_t>(k, 2); ++back) {
      const float score = before[k - back].score - (back == 2 ? kSkip : 0);
      if (score > best) best = score, from = k - back;
    }
    path = {.score = best + std::log(std::max(share(current_ + k, tokens), kLeastShare)),
            .starts = before[from].starts};
    for (; from < k; ++from) path.starts[from] = frame;
  }
  while (agreed(frame)) advance();
}

size_t SpokenWords::best_path() const {
  return static_cast<size_t>(std::ranges::max_element(paths_, {}, &Path::score) - paths_.begin());
}

// All paths that may yet turn out to be right have left the current word at the same frame, or it was left long ago.
bool SpokenWords::agreed(int64_t frame) const {
  const size_t best = best_path();
  if (best == 0) return false;
  const int64_t start = paths_[best].starts[0];
  if (frame - start >= kLongestDoubt) return true;
  for (size_t k = 0; k < kPaths; ++k) {
    if (paths_[k].score > paths_[best].score - kDoubt && (k == 0 || paths_[k].starts[0] != start)) return false;
  }
  return true;
}

// Makes the best path's next word the current one.
void SpokenWords::advance() {
  const int64_t start = paths_[best_path()].starts[0];
  go_to(current_ + 1, std::max<int64_t>(0, start * options_.samples_per_frame - options_.trimmed_samples / 2));
  for (size_t k = 0; k + 1 < kPaths; ++k) {
    paths_[k] = paths_[k + 1];
    std::ranges::rotate(paths_[k].starts, paths_[k].starts.begin() + 1);
  }
  paths_.back() = Path();
}

void SpokenWords::settle(bool said_all) {
  while (best_path() > 0) advance();
  if (said_all) go_to(words_.size(), samples_);
}

void SpokenWords::push_samples(std::span<const float> samples) {
  for (const float sample : samples) {
    block_ = std::max(block_, std::abs(sample));
    ++samples_;
    if (++block_samples_ < kBlock) continue;
    push_block(std::exchange(block_, 0.0f));
    block_samples_ = 0;
  }
}

void SpokenWords::push_block(float loudness) {
  loudest_ = std::max(loudest_, loudness);
  if (options_.attention) return blocks_.push_back(loudness);
  if (loudest_ < kSilence) return;  // it has not begun
  if (loudness < kQuiet * loudest_) {
    if (++quiet_ == kPauseBlocks) pause();
    return;
  }
  // A moment of quiet belongs to the word, a pause does not.
  const int blocks = 1 + (quiet_ < kPauseBlocks ? quiet_ : 0);
  quiet_ = 0;
  voiced_ += blocks;
  said_ += pace_ * blocks;
  while (current_ + 1 < words_.size() && words_[current_].letters_end <= said_) go_to(current_ + 1, samples_);
}

// The pause that the text has nearest to here, if there is one near enough.
void SpokenWords::pause() {
  if (voiced_ == 0) return;
  const Word* nearest = nullptr;
  for (size_t w = current_ > 0 ? current_ - 1 : 0; w < words_.size(); ++w) {
    if (!words_[w].pause_after || words_[w].letters_end <= paced_letters_) continue;
    if (!nearest || std::abs(words_[w].letters_end - said_) < std::abs(nearest->letters_end - said_))
      nearest = &words_[w];
  }
  if (!nearest || std::abs(nearest->letters_end - said_) > 4 + 0.5 * (said_ - paced_letters_)) return;
  pace_ = std::clamp((nearest->letters_end - paced_letters_) / static_cast<double>(voiced_), kSlowest, kFastest);
  said_ = paced_letters_ = nearest->letters_end;
  voiced_ = 0;
  const size_t word = static_cast<size_t>(nearest - words_.data()) + 1;
  if (word < words_.size()) go_to(word, samples_ - kPauseBlocks * kBlock);
}

// From where on it is quiet until `end`; `end` when it is not, or only for a moment.
int64_t SpokenWords::quiet_from(int64_t begin, int64_t end) const {
  int64_t block = std::min(end / kBlock, first_block_ + static_cast<int64_t>(blocks_.size()));
  while (block > std::max(first_block_, begin / kBlock) &&
         blocks_[static_cast<size_t>(block - 1 - first_block_)] < kQuiet * loudest_)
    --block;
  return end / kBlock - block >= kShortestQuietBlocks ? std::max(begin, (block + 1) * kBlock) : end;
}

std::optional<assistant::SpokenMark> SpokenWords::next(int64_t samples) {
  CHECK(samples <= samples_);
  if (told_ >= current_ || words_[told_].end > samples) return {};
  const int64_t end = words_[told_].end;
  size_t text_end = 0;
  for (; told_ < current_ && words_[told_].end <= end; ++told_) text_end = words_[told_].text_end;  // they may end together
  told_samples_ = std::max(told_samples_, options_.attention ? quiet_from(told_samples_, end) : end);
  const int64_t forget = told_samples_ / kBlock - first_block_;
  if (forget > 0) {
    blocks_.erase(blocks_.begin(), blocks_.begin() + std::min<int64_t>(forget, static_cast<int64_t>(blocks_.size())));
    first_block_ += forget;
  }
  return assistant::SpokenMark{text_end, told_samples_};
}

}  // namespace calliope::engine
