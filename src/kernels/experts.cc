#include "kernels/experts.h"

#include <algorithm>
#include <numeric>

#include "kernels/elementwise.h"

namespace calliope::kernels {
namespace {

using tensor::ConstRows;
using tensor::Rows;

// The experts of every token, by falling probability.
void route(ConstRows x, const LinearWeight& router, const Routing& routing, MlpScratch& scratch) {
  const int64_t count = router.out(), chosen = routing.experts_per_token;
  scratch.result.resize({x.rows, count});
  linear(x, router, scratch.result.rows());
  scratch.order.resize(static_cast<size_t>(count));
  scratch.choices.clear();
  for (int64_t t = 0; t < x.rows; ++t) {
    float* p = scratch.result.rows().row(t);
    softmax({p, static_cast<size_t>(count)});
    std::iota(scratch.order.begin(), scratch.order.end(), 0);
    std::partial_sort(scratch.order.begin(), scratch.order.begin() + chosen, scratch.order.end(),
                      [&](int64_t a, int64_t b) { return p[a] != p[b] ? p[a] > p[b] : a < b; });
    float sum = 0;
    for (int64_t i = 0; i < chosen; ++i) sum += p[scratch.order[static_cast<size_t>(i)]];
    for (int64_t i = 0; i < chosen; ++i) {
      const int64_t expert = scratch.order[static_cast<size_t>(i)];
      scratch.choices.push_back({t, expert, routing.normalize ? p[expert] / sum : p[expert]});
    }
  }
}

}  // namespace

void gated_mlp(ConstRows x, const GatedMlpWeight& w, MlpScratch& scratch, Rows y) {
  scratch.gate.resize({x.rows, w.gate_proj.out()});
  scratch.up.resize({x.rows, w.up_proj.out()});
  linear(x, w.gate_proj, scratch.gate.rows());
  linear(x, w.up_proj, scratch.up.rows());
  silu_mul(scratch.up.rows(), scratch.gate.rows());
  linear(scratch.gate.rows(), w.down_proj, y);
}

void experts(ConstRows x, const LinearWeight& router, const std::vector<GatedMlpWeight>& w, const Routing& routing,
             MlpScratch& scratch, Rows y) {
  CHECK(router.out() == static_cast<int64_t>(w.size()) && routing.experts_per_token <= router.out());
  route(x, router, routing, scratch);
  // By expert, so that each expert's weights are read once; within an expert by token.
  std::stable_sort(scratch.choices.begin(), scratch.choices.end(),
                   [](const auto& a, const auto& b) { return a.expert < b.expert; });
  for (int64_t t = 0; t < y.rows; ++t) std::fill_n(y.row(t), y.cols, 0.0f);
  for (size_t begin = 0; begin < scratch.choices.size();) {
    size_t end = begin;
    while (end < scratch.choices.size() && scratch.choices[end].expert == scratch.choices[begin].expert) ++end;
    const auto count = static_cast<int64_t>(end - begin);
    scratch.gathered.resize({count, x.cols});
    scratch.result.resize({count, y.cols});
    for (int64_t i = 0; i < count; ++i) {
      std::copy_n(x.row(scratch.choices[begin + static_cast<size_t>(i)].token), x.cols, scratch.gathered.rows().row(i));
    }
    gated_mlp(scratch.gathered.rows(), w[static_cast<size_t>(scratch.choices[begin].expert)], scratch, scratch.result.rows());
    for (int64_t i = 0; i < count; ++i) {
      const auto& choice = scratch.choices[begin + static_cast<size_t>(i)];
      const float* from = scratch.result.rows().row(i);
      float* to = y.row(choice.token);
      for (int64_t c = 0; c < y.cols; ++c) to[c] += choice.weight * from[c];
    }
    begin = end;
  }
}

}  // namespace calliope::kernels
