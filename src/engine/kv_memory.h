#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <utility>

#include "base/result.h"
#include "model/kv_pages.h"
#include "model/model.h"

namespace calliope::engine {

struct KvOptions {
  size_t bytes = 0;  ///< for all sessions' keys and values; 0: a quarter of the machine's memory, at most 16 full contexts
  std::optional<tensor::DType> dtype = {};  ///< f32, or bf16 or q8_0: less memory, rounded keys and values; none: Model::kv_type()
};

/// The memory of all sessions' keys and values: one budget, divided between thinker and talker as their longest sequences
/// are. A session claims what it may need at most before it begins, so that none that has begun ever lacks memory.
class KvMemory {
 public:
  /// too_large when the budget does not hold a page.
  static Result<std::unique_ptr<KvMemory>> make(const model::Model& model, const KvOptions& options);

  /// Tokens of each decoder; talker 0 for an answer without speech.
  struct Tokens {
    int64_t thinker = 0, talker = 0;
  };

  /// What one session may use, until it is destroyed.
  class Claim {
   public:
    Claim(KvMemory& memory, const Tokens& pages) : memory_(&memory), pages_(pages) {}
    Claim(Claim&& other) noexcept : memory_(std::exchange(other.memory_, nullptr)), pages_(other.pages_) {}
    Claim& operator=(Claim&&) = delete;
    ~Claim();
    /// Gives back what is not needed any more: `tokens` may not be more than was claimed.
    void shrink(const Tokens& tokens);

   private:
    KvMemory* memory_;
    Tokens pages_;
  };
  /// None when others have claimed too much of it for now.
  std::optional<Claim> claim(const Tokens& tokens);

  /// The longest sequences that fit when there is one session alone.
  Tokens most_tokens() const;
  size_t bytes() const { return bytes_; }
  /// Pages that sessions have claimed.
  const Tokens& claimed_pages() const { return claimed_; }

  const std::shared_ptr<model::KvPages>& thinker() const { return thinker_; }
  const std::shared_ptr<model::KvPages>& talker() const { return talker_; }  ///< null when the model does not speak

 private:
  Tokens pages_for(const Tokens& tokens) const;

  size_t bytes_ = 0;
  std::shared_ptr<model::KvPages> thinker_, talker_;
  Tokens claimed_;  // pages
};

}  // namespace calliope::engine
