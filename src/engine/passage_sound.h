#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace calliope::engine {

/// The sound of one passage with a clean start and end: silence before the first word and after the last one is cut to
/// a moment, and both ends are faded, so that passages may follow one another without a click. Pieces of any size give
/// the same samples as the whole.
class PassageSound {
 public:
  /// Appends to `out` what is final of the passage with these samples. Silence is kept back until more is heard.
  void push(std::span<const float> samples, std::vector<float>& out);
  /// The passage has ended: appends what is left of it.
  void finish(std::vector<float>& out);

  /// Of the samples pushed, those that are out or cut off at the start.
  int64_t given() const { return begin_ + out_; }
  /// Where the sample pushed at `sample` is in what came out.
  int64_t place_of(int64_t sample) const { return sample > begin_ ? sample - begin_ : 0; }

 private:
  void emit(int64_t to, std::vector<float>& out);

  std::vector<float> kept_;  // from sample begin_ + out_ on
  int64_t pushed_ = 0, begin_ = 0, out_ = 0;
  int64_t voiced_ = -1;  // the end of the last block that is not silent; -1: none yet
  float block_ = 0;      // how loud the block that has begun is
  int64_t block_samples_ = 0;
};

}  // namespace calliope::engine
