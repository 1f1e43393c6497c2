#include "kernels/activation.h"

#include <algorithm>

#include "kernels/elementwise.h"

namespace calliope::kernels {
namespace {

void relu(tensor::Rows x) {
  for (int64_t t = 0; t < x.rows; ++t) {
    for (int64_t i = 0; i < x.cols; ++i) x.row(t)[i] = std::max(0.0f, x.row(t)[i]);
  }
}

}  // namespace

std::optional<Activation> activation_by_name(std::string_view name) {
  if (name == "gelu") return gelu;
  if (name == "gelu_pytorch_tanh" || name == "gelu_new") return gelu_tanh;
  if (name == "silu" || name == "swish") return silu;
  if (name == "relu") return relu;
  return std::nullopt;
}

}  // namespace calliope::kernels
