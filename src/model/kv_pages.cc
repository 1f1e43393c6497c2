#include "model/kv_pages.h"

#include <algorithm>
#include <cstring>
#include <new>
#include <utility>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace calliope::model {
namespace {

constexpr size_t kHuge = size_t{2} << 20;

// Pages of some megabytes lie in huge ones of the system's, where it gives them: attention then seldom waits for a page
// table.
std::align_val_t alignment_of(size_t bytes) { return std::align_val_t{bytes >= kHuge ? kHuge : 64}; }

std::byte* allocate(size_t bytes) {
  auto* data = static_cast<std::byte*>(::operator new[](bytes, alignment_of(bytes)));
#if defined(__linux__)
  if (bytes >= kHuge) madvise(data, bytes, MADV_HUGEPAGE);
#endif
  return data;
}

kernels::PageLayout layout_of(const DecoderConfig& config, const KvPages::Options& options) {
  return {.tokens = options.tokens,
          .layers = config.num_hidden_layers,
          .kv_heads = config.num_key_value_heads,
          .head_dim = config.head_dim,
          .dtype = options.dtype};
}

}  // namespace

void KvPages::Free::operator()(std::byte* data) const { ::operator delete[](data, alignment_of(bytes)); }

KvPages::KvPages(const DecoderConfig& config, const Options& options)
    : layout_(layout_of(config, options)), most_pages_(std::min(options.most_pages, kUnlimited)) {}

size_t KvPages::page_bytes(const DecoderConfig& config, const Options& options) {
  return layout_of(config, options).page_bytes();
}

int32_t KvPages::take() {
  const auto full = [&] { return free_.empty() && static_cast<int64_t>(pages_.size()) >= most_pages_; };
  if (full() && reclaim_) reclaim_();
  CHECK(!full());
  if (free_.empty()) {
    Page& page = pages_.emplace_back();
    page.bytes = {allocate(layout_.page_bytes()), Free{layout_.page_bytes()}};
    free_.reserve(pages_.capacity());
    free_.push_back(static_cast<int32_t>(pages_.size() - 1));
  }
  const int32_t page = free_.back();
  free_.pop_back();
  pages_[static_cast<size_t>(page)].holders = 1;
  return page;
}

void KvPages::release(int32_t page) {
  int& holders = pages_[static_cast<size_t>(page)].holders;
  CHECK(holders > 0);
  if (--holders == 0) free_.push_back(page);
}

DecoderState& DecoderState::operator=(DecoderState&& other) noexcept {
  std::swap(memory_, other.memory_);
  std::swap(pages_, other.pages_);
  std::swap(data_, other.data_);
  std::swap(length_, other.length_);
  return *this;
}

void DecoderState::reserve(const DecoderConfig& config, int64_t tokens) {
  if (!memory_) memory_ = std::make_shared<KvPages>(config, KvPages::Options{});
  const int64_t per_page = memory_->tokens_per_page();
  // The page that the next token goes to may be shared only by way of a truncation: it gets a copy.
  if (const int64_t half = length_ / per_page; length_ % per_page != 0 && tokens > length_ && memory_->holders(pages_[static_cast<size_t>(half)]) > 1) {
    const int32_t copy = memory_->take();
    std::memcpy(memory_->data(copy), data_[static_cast<size_t>(half)], memory_->layout().page_bytes());
    memory_->release(std::exchange(pages_[static_cast<size_t>(half)], copy));
    data_[static_cast<size_t>(half)] = memory_->data(copy);
  }
  while (static_cast<int64_t>(pages_.size()) < memory_->pages_for(tokens)) {
    pages_.push_back(memory_->take());
    data_.push_back(memory_->data(pages_.back()));
  }
}

void DecoderState::truncate(int64_t tokens) {
  length_ = std::clamp<int64_t>(tokens, 0, length_);
  const int64_t kept = memory_ ? memory_->pages_for(length_) : 0;
  while (static_cast<int64_t>(pages_.size()) > kept) {
    memory_->release(pages_.back());
    pages_.pop_back();
    data_.pop_back();
  }
}

void DecoderState::begin_with(std::span<const int32_t> pages) {
  CHECK(memory_ && pages_.empty() && length_ == 0);
  for (const int32_t page : pages) {
    memory_->share(page);
    pages_.push_back(page);
    data_.push_back(memory_->data(page));
  }
  length_ = static_cast<int64_t>(pages.size()) * memory_->tokens_per_page();
}

}  // namespace calliope::model
