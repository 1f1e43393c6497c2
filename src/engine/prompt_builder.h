#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "assistant/request.h"
#include "base/result.h"
#include "base/steps.h"
#include "engine/media_cache.h"
#include "engine/prompt.h"
#include "engine/sound_encoder.h"
#include "model/model.h"

namespace calliope::engine {

/// What a request's prompt may become.
struct PromptLimits {
  int64_t live_seconds = 120;   ///< of a sound that is still being recorded
  int64_t tokens = INT64_MAX;   ///< that there is memory for; a live sound is kept shorter for it
};

/// The way from a request to its prompt, in small steps: chat template and tokens at once, then the encoders piece by piece.
/// With a live sound there are prompts before the last: what comes before the sound, then with every block of it that is
/// encoded. A later prompt need not begin as an earlier one did: their marks tell how far it does.
class PromptBuilder {
 public:
  /// Both must outlive it; `cache` may be null.
  PromptBuilder(const model::Model& model, MediaCache* cache) : model_(model), cache_(cache) {}

  /// Chat template and tokens. Errors as assemble_prompt; and what a picture or sound is refused for.
  Result<void> begin(const assistant::Request& request, const PromptLimits& limits);
  /// Tokens the prompt has at most.
  int64_t most_tokens() const { return most_tokens_; }

  /// Listens, then does one piece of the encoders' work; false: there is nothing to do, until more of a live sound comes.
  /// too_large when a live sound becomes longer than the limit.
  Result<bool> step();
  /// A live sound has not ended.
  bool listening() const { return live_ && !live_->ended(); }
  /// The last step() made a longer or another prompt().
  bool changed() const { return changes() != taken_; }
  /// As far as it is known; Prompt::whole tells. step() must have nothing to do.
  Result<Prompt> prompt();

 private:
  struct Picture {
    assistant::ImagePart image;
    ContentHash hash;
    model::ImageGrid grid;
    model::VisionFeatures features;
    std::optional<Steps<Result<model::VisionFeatures>>> encoding;
    bool asked = false, done = false;
  };
  Result<void> add(const assistant::Turn& turn);
  Result<void> count_tokens(const PromptLimits& limits);
  Result<void> step_picture(Picture& picture);
  void pad_sounds();
  int64_t changes() const;

  const model::Model& model_;
  MediaCache* cache_;
  std::vector<int32_t> ids_;  // one placeholder a medium
  std::vector<Picture> pictures_;
  std::vector<std::unique_ptr<SoundEncoder>> sounds_;
  SoundEncoder* live_ = nullptr;
  int64_t most_tokens_ = 0, most_live_samples_ = 0;
  int64_t taken_ = -1;
};

}  // namespace calliope::engine
