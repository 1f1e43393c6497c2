#include "engine/kv_memory.h"

#include <unistd.h>

#include <algorithm>
#include <string>
#include <utility>

#include "base/check.h"

namespace calliope::engine {
namespace {

constexpr size_t kContexts = 16;  // of full length, that the computed budget holds at most

size_t machine_bytes() {
  const long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGE_SIZE);
  return pages > 0 && size > 0 ? static_cast<size_t>(pages) * static_cast<size_t>(size) : size_t{4} << 30;
}

size_t context_bytes(const model::DecoderConfig& config, const model::KvPages::Options& options) {
  const auto pages = (config.max_position_embeddings + options.tokens - 1) / options.tokens;
  return model::KvPages::page_bytes(config, options) * static_cast<size_t>(pages);
}

std::string mib(size_t bytes) { return std::to_string((bytes + (size_t{1} << 20) - 1) >> 20) + " MiB"; }

}  // namespace

Result<std::unique_ptr<KvMemory>> KvMemory::make(const model::Model& model, const KvOptions& options) {
  const model::DecoderConfig& thinker = model.config.thinker.text;
  const model::DecoderConfig& talker = model.config.talker.text;
  model::KvPages::Options pages{.dtype = options.dtype.value_or(model.kv_type())};
  const size_t thinker_bytes = context_bytes(thinker, pages), talker_bytes = model.speaks() ? context_bytes(talker, pages) : 0;
  auto memory = std::make_unique<KvMemory>();
  memory->bytes_ = options.bytes > 0 ? options.bytes
                                     : std::min(machine_bytes() / 4, kContexts * (thinker_bytes + talker_bytes));
  const double share = double(thinker_bytes) / double(thinker_bytes + talker_bytes);
  const auto make = [&](const model::DecoderConfig& config, double part) {
    pages.most_pages = static_cast<int64_t>(double(memory->bytes_) * part / double(model::KvPages::page_bytes(config, pages)));
    return std::make_shared<model::KvPages>(config, pages);
  };
  memory->thinker_ = make(thinker, share);
  if (model.speaks()) memory->talker_ = make(talker, 1 - share);
  if (memory->thinker_->most_pages() < 1 || (memory->talker_ && memory->talker_->most_pages() < 1)) {
    return fail(ErrorCode::too_large,
                mib(memory->bytes_) + " for keys and values (--kv-memory) hold not even " + std::to_string(pages.tokens) +
                    " tokens of this model; the longest conversation needs " + mib(thinker_bytes + talker_bytes),
                "kv-memory");
  }
  return memory;
}

KvMemory::Tokens KvMemory::pages_for(const Tokens& tokens) const {
  return {thinker_->pages_for(tokens.thinker), talker_ ? talker_->pages_for(tokens.talker) : 0};
}

std::optional<KvMemory::Claim> KvMemory::claim(const Tokens& tokens) {
  const Tokens pages = pages_for(tokens);
  if (claimed_.thinker + pages.thinker > thinker_->most_pages()) return std::nullopt;
  if (talker_ && claimed_.talker + pages.talker > talker_->most_pages()) return std::nullopt;
  claimed_.thinker += pages.thinker;
  claimed_.talker += pages.talker;
  return Claim(*this, pages);
}

KvMemory::Claim::~Claim() {
  if (!memory_) return;
  memory_->claimed_.thinker -= pages_.thinker;
  memory_->claimed_.talker -= pages_.talker;
}

void KvMemory::Claim::shrink(const Tokens& tokens) {
  const Tokens pages = memory_->pages_for(tokens);
  CHECK(pages.thinker <= pages_.thinker && pages.talker <= pages_.talker);
  memory_->claimed_.thinker -= pages_.thinker - pages.thinker;
  memory_->claimed_.talker -= pages_.talker - pages.talker;
  pages_ = pages;
}

KvMemory::Tokens KvMemory::most_tokens() const {
  return {thinker_->most_pages() * thinker_->tokens_per_page(), talker_ ? talker_->most_pages() * talker_->tokens_per_page() : 0};
}

}  // namespace calliope::engine
