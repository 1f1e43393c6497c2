#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "assistant/event.h"

namespace calliope::engine {

/// Which words of an answer have been said by which sample, found while it is spoken.
///
/// With attention (generation_config.json's talker_alignment_heads) a word ends where the talker first looks at a later
/// one, or where it has become quiet before that. Without, every letter is taken to last as long as any other; a pause
/// that is heard where the text has a comma or a stop puts that right, and the pace with it.
class SpokenWords {
 public:
  struct Options {
    bool attention = false;
    int64_t samples_per_frame = 0;
    int64_t trimmed_samples = 0;  ///< that any number of frames has fewer, half of them at its start
  };
  explicit SpokenWords(const Options& options);

  /// The text that the answer's next token gives; may be empty.
  void push_text(std::string_view piece);
  /// Bytes of the text that are shown and not said.
  void skip_text(size_t bytes);
  /// How the row that the next frame comes from looks at the tokens so far: shares that sum to 1.
  void look(std::span<const float> tokens);
  /// More of the sound, in order.
  void push_samples(std::span<const float> samples);
  /// No more sound comes: what was still in doubt is taken for the likeliest. `said_all`: every word was said.
  void settle(bool said_all);

  /// The next word that was said within the first `samples`, of those so far, with numbers that rise. The last word of
  /// the text is not among them before settle(true): only the end of the sound ends it.
  std::optional<assistant::SpokenMark> next(int64_t samples);

 private:
  struct Word {
    size_t first_token = 0;
    size_t text_end = 0;       // bytes, without the space after it
    double letters_end = 0;    // letters up to its end
    bool pause_after = false;  // a comma or a stop
    int64_t end = 0;           // sample; known of words before current_
  };
  float share(size_t word, std::span<const float> tokens) const;
  size_t best_path() const;
  bool agreed(int64_t frame) const;
  void advance();
  void go_to(size_t word, int64_t sample);
  void push_block(float loudness);
  void pause();
  int64_t quiet_from(int64_t begin, int64_t end) const;

  Options options_;
  std::vector<Word> words_;
  size_t tokens_ = 0, text_bytes_ = 0;
  double letters_ = 0;
  bool word_ended_ = true;
  size_t current_ = 0, told_ = 0;  // the word being said; words that next() gave
  int64_t frames_ = 0, samples_ = 0, told_samples_ = 0;
  // With attention: the best way to be at word current_ + k by now, and the frames where the words after current_
  // began.
  static constexpr size_t kPaths = 6;
  struct Path {
    float score = -std::numeric_limits<float>::infinity();
    std::array<int64_t, kPaths> starts = {};
  };
  std::array<Path, kPaths> paths_;
  // How loud every kBlock samples are, from block first_block_ on.
  std::vector<float> blocks_;
  int64_t first_block_ = 0;
  float block_ = 0, loudest_ = 0;
  int64_t block_samples_ = 0;
  // Without attention: letters said, and how fast.
  double said_ = 0, pace_;
  double paced_letters_ = 0;  // said at the last pause
  int64_t voiced_ = 0;        // blocks since then
  int quiet_ = 0;             // blocks in a row
};

}  // namespace calliope::engine
