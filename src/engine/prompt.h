#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "assistant/request.h"
#include "base/result.h"
#include "engine/media_cache.h"
#include "engine/token_mark.h"
#include "model/model.h"

namespace calliope::engine {

/// A prompt ready for prefill: ids with one placeholder a media token, embeddings with the media rows in place.
struct Prompt {
  std::vector<int32_t> ids;                                ///< [T]
  model::Positions positions;                              ///< T entries
  tensor::Tensor embeds;                                   ///< [T, D]
  std::vector<int64_t> visual_rows;                        ///< rows of image tokens
  std::vector<tensor::Tensor> deepstack;                   ///< each [visual rows, D]
  std::vector<tensor::Tensor> image_features, audio_features;
  std::vector<model::ImageGrid> user_grids;                ///< of the pictures, all in user turns
  int audio_tokens = 0;
  int image_tokens = 0;
  std::vector<TokenMark> marks;  ///< [T], to know it again; none when made from tensors
  bool whole = true;             ///< false: only as far as it is known yet

  /// Frees what only a prefill needs: embeddings and features.
  void forget_rows();
  int64_t size() const { return static_cast<int64_t>(ids.size()); }
  bool is_media(int64_t row, const model::ThinkerConfig& config) const;
};

/// What the encoders made of one request's media, in the order of the placeholders.
struct EncodedMedia {
  std::vector<tensor::Tensor> audio;
  std::vector<model::VisionFeatures> images;
  std::vector<model::ImageGrid> grids;
  bool known = false;                               ///< there are marks:
  std::vector<TokenMark> audio_marks, image_marks;  ///< of all rows of the media that have a place in the prompt
};

/// Puts features where the placeholders are. `ids` holds one placeholder per media token. invalid_argument when the
/// placeholders and the features disagree, or the prompt is longer than the model's context.
Result<Prompt> assemble_prompt(const model::Model& model, std::vector<int32_t> ids, EncodedMedia media);

/// Chat template and tokens of a request: one placeholder a medium. invalid_argument when there is nothing.
Result<std::vector<int32_t>> prompt_ids(const model::Model& model, const assistant::Request& request);

/// too_large when a prompt of so many tokens leaves no room in the model's context.
Result<void> check_room(int64_t tokens, const model::ThinkerConfig& config);

/// The whole way from a request: chat template, tokens, log-mel and patches, encoders, which leave out what `cache`
/// (may be null) knows. A live sound is taken as far as it has come. Errors as assemble_prompt, and what the media are
/// refused for.
Result<Prompt> build_prompt(const model::Model& model, const assistant::Request& request, MediaCache* cache = nullptr);

}  // namespace calliope::engine
