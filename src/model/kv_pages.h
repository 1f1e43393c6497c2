#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <span>
#include <vector>

#include "kernels/paged_attention.h"
#include "model/config.h"

namespace calliope::model {

/// Memory for the keys and values of one decoder, in pages that sequences take and give back. Pages are counted by
/// reference, so that sequences with a common beginning can share them. Memory comes from the system when a page is first
/// needed and is kept. For one thread at a time.
class KvPages {
 public:
  static constexpr int64_t kUnlimited = std::numeric_limits<int32_t>::max();
  struct Options {
    tensor::DType dtype = tensor::DType::f32;  ///< or bf16 or q8_0 (kernels::PageLayout)
    int64_t tokens = kernels::PageLayout::kMaxTokens;
    int64_t most_pages = kUnlimited;
  };
  KvPages(const DecoderConfig& config, const Options& options);

  /// What a page of such a decoder takes.
  static size_t page_bytes(const DecoderConfig& config, const Options& options);
  /// What a token of such a decoder takes: its part of a page.
  static double token_bytes(const DecoderConfig& config, tensor::DType dtype) {
    const Options options{.dtype = dtype};
    return static_cast<double>(page_bytes(config, options)) / static_cast<double>(options.tokens);
  }

  /// A page of its own for the caller. When all are in use, asks whoever was named by on_full; there must be one then.
  int32_t take();
  /// One more holder of a page, and one less.
  void share(int32_t page) { ++pages_[static_cast<size_t>(page)].holders; }
  void release(int32_t page);
  int holders(int32_t page) const { return pages_[static_cast<size_t>(page)].holders; }
  std::byte* data(int32_t page) { return pages_[static_cast<size_t>(page)].bytes.get(); }

  /// Called when take() finds no free page: shall release() one that can be done without.
  void on_full(std::function<void()> reclaim) { reclaim_ = std::move(reclaim); }

  const kernels::PageLayout& layout() const { return layout_; }
  int64_t tokens_per_page() const { return layout_.tokens; }
  int64_t pages_for(int64_t tokens) const { return (tokens + layout_.tokens - 1) / layout_.tokens; }
  int64_t most_pages() const { return most_pages_; }
  /// Pages that someone holds.
  int64_t used_pages() const { return static_cast<int64_t>(pages_.size() - free_.size()); }

 private:
  struct Free {
    size_t bytes;
    void operator()(std::byte* data) const;
  };
  struct Page {
    std::unique_ptr<std::byte[], Free> bytes;
    int holders = 0;
  };
  kernels::PageLayout layout_;
  int64_t most_pages_;
  std::vector<Page> pages_;
  std::vector<int32_t> free_;
  std::function<void()> reclaim_;
};

/// One sequence's memory of a decoder: how many tokens it has run, and the pages with their keys and values.
class DecoderState {
 public:
  /// Takes pages from its own memory, made when first needed.
  DecoderState() = default;
  /// Takes pages from `memory`.
  explicit DecoderState(std::shared_ptr<KvPages> memory) : memory_(std::move(memory)) {}
  ~DecoderState() { reset(); }
  DecoderState(DecoderState&& other) noexcept { *this = std::move(other); }
  DecoderState& operator=(DecoderState&& other) noexcept;

  /// Tokens held.
  int64_t length() const { return length_; }
  /// Pages for `tokens` in all, those after length() for this sequence alone; keeps what is held.
  void reserve(const DecoderConfig& config, int64_t tokens);
  /// Forgets all but the first `tokens`.
  void truncate(int64_t tokens);
  void reset() { truncate(0); }

  /// Pages in order, page i holding tokens from i * tokens_per_page on.
  std::span<const int32_t> pages() const { return pages_; }
  /// Begins with whole pages that another sequence has filled. Nothing may be held yet.
  void begin_with(std::span<const int32_t> pages);

  // For Decoder: where the next `rows` tokens go, and that they have gone there.
  kernels::PagedRows next_rows(int64_t rows) const { return {.rows = rows, .held = length_, .pages = data_}; }
  void advance(int64_t rows) { length_ += rows; }
  const kernels::PageLayout& layout() const { return memory_->layout(); }

 private:
  std::shared_ptr<KvPages> memory_;
  std::vector<int32_t> pages_;
  std::vector<std::byte*> data_;  // of pages_
  int64_t length_ = 0;
};

}  // namespace calliope::model
