#pragma once

#include <algorithm>
#include <cstring>

#include "tensor/tensor.h"

namespace calliope::model {

/// The past of a signal [T, C] that a causal layer still needs: its last `history` rows, followed by the rows of the
/// current step. A convolution begins with history rows of zeros; attention and the transposed convolutions with none.
class CausalRows {
 public:
  enum class Start { zeros, empty };
  CausalRows() = default;
  CausalRows(int64_t history, int64_t cols, Start start) : history_(history), cols_(cols), start_(start) { reset(); }

  void reset() {
    begin_ = 0;
    held_ = start_ == Start::zeros ? history_ : 0;
    new_ = 0;
    reserve(0);
    std::fill_n(data_.data(), held_ * cols_, 0.0f);
  }

  /// Room for the next n rows, to be written before window() is read. What was appended before becomes the past.
  tensor::Rows append(int64_t n) {
    const int64_t rows = held_ + new_, keep = std::min(history_, rows);
    begin_ += rows - keep;
    held_ = keep;
    new_ = n;
    reserve(n);
    return {data_.data() + (begin_ + held_) * cols_, n, cols_, cols_};
  }

  /// The past and the rows of the last append(), oldest first.
  tensor::ConstRows window() const { return {data_.data() + begin_ * cols_, held_ + new_, cols_, cols_}; }

  /// Rows of window() that come before the last append().
  int64_t held() const { return held_; }

 private:
  // Makes n more rows fit behind the past; moves it to the front only when the end is reached.
  void reserve(int64_t n) {
    const int64_t capacity = data_.empty() ? 0 : data_.shape()[0];
    if (!data_.empty() && begin_ + held_ + n <= capacity) return;
    const size_t bytes = static_cast<size_t>(held_ * cols_) * sizeof(float);
    if (data_.empty() || held_ + n > capacity) {
      tensor::Tensor larger({2 * history_ + 2 * n, cols_});
      if (bytes > 0 && !data_.empty()) std::memcpy(larger.data(), data_.data() + begin_ * cols_, bytes);
      data_ = std::move(larger);
    } else {
      std::memmove(data_.data(), data_.data() + begin_ * cols_, bytes);
    }
    begin_ = 0;
  }

  int64_t history_ = 0;
  int64_t cols_ = 0;
  Start start_ = Start::empty;
  int64_t begin_ = 0;  ///< first row of the past
  int64_t held_ = 0;
  int64_t new_ = 0;
  tensor::Tensor data_;
};

}  // namespace calliope::model
