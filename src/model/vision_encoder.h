#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "base/result.h"
#include "base/steps.h"
#include "model/config.h"
#include "model/image_processor.h"
#include "model/weights.h"
#include "tensor/tensor.h"

namespace calliope::model {

/// What the thinker takes for one picture of T = grid.tokens(spatial_merge_size) tokens.
struct VisionFeatures {
  tensor::Tensor features;                ///< [T, out_hidden_size], replaces the placeholder embeddings
  std::vector<tensor::Tensor> deepstack;  ///< one [T, out_hidden_size] per entry of deepstack_visual_indexes, in layer order
};

/// Sight: Qwen3OmniMoeVisionEncoder, a vision transformer with interpolated positions, two-axis RoPE and DeepStack.
class VisionEncoder {
 public:
  /// Takes the weights thinker.visual.*, which must outlive the encoder.
  static Result<VisionEncoder> load(const Weights& weights, const VisionConfig& config);

  /// pixel_values [grid.patches(), in_channels * temporal_patch_size * patch_size^2] in merge order, as ImageProcessor
  /// gives them. invalid_argument when the shape contradicts the grid or the grid is no multiple of the merge size.
  Result<VisionFeatures> encode(tensor::ConstRows pixel_values, const ImageGrid& grid) const;

  /// The same, pausing a few times in every layer. `pixel_values` must outlive it.
  Steps<Result<VisionFeatures>> encode_steps(tensor::ConstRows pixel_values, ImageGrid grid) const;

  const VisionConfig& config() const;

 private:
  Result<void> check(tensor::ConstRows pixel_values, const ImageGrid& grid) const;
  struct Parts;
  std::shared_ptr<const Parts> parts_;
};

}  // namespace calliope::model
