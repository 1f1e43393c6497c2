#pragma once

#include <cstdint>
#include <vector>

#include "kernels/linear.h"
#include "tensor/tensor.h"

namespace calliope::kernels {

/// Weights of one gated MLP: gate and up [F, D], down [D, F].
struct GatedMlpWeight {
  LinearWeight gate_proj, up_proj, down_proj;
};

/// Buffers of gated_mlp and experts, kept by the caller so that a step allocates nothing.
struct MlpScratch {
  tensor::Tensor gate, up, gathered, result;
  struct Choice {
    int64_t token;
    int64_t expert;
    float weight;
  };
  std::vector<Choice> choices;
  std::vector<int64_t> order;
  std::vector<LinearTask> first, second;  // of all experts: gate and up, then down
};

/// y = down(silu(gate(x)) * up(x)). x, y [T, D].
void gated_mlp(tensor::ConstRows x, const GatedMlpWeight& w, MlpScratch& scratch, tensor::Rows y);

/// How a mixture of experts chooses.
struct Routing {
  int64_t experts_per_token = 1;
  bool normalize = true;  ///< the chosen probabilities are divided by their sum
};

/// y = sum over each token's experts of probability * expert(x). router [E, D], x, y [T, D]. Probabilities are the
/// softmax over all experts; among equals the lower index wins.
void experts(tensor::ConstRows x, const LinearWeight& router, const std::vector<GatedMlpWeight>& w, const Routing& routing,
             MlpScratch& scratch, tensor::Rows y);

}  // namespace calliope::kernels
