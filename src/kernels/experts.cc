#include "kernels/experts.h"

#include <algorithm>
#include <numeric>

#include "base/thread_pool.h"
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
  const LinearTask tasks[] = {{x, &w.gate_proj, scratch.gate.rows()}, {x, &w.up_proj, scratch.up.rows()}};
  linear(tasks);
  silu_mul(scratch.up.rows(), scratch.gate.rows());
  linear(scratch.gate.rows(), w.down_proj, y);
}

void experts(ConstRows x, const LinearWeight& router, const std::vector<GatedMlpWeight>& w, const Routing& routing,
             MlpScratch& scratch, Rows y) {
  CHECK(router.out() == static_cast<int64_t>(w.size()) && routing.experts_per_token <= router.out());
  if (x.rows == 0) return;
  route(x, router, routing, scratch);
  // By expert, so that each expert's weights are read once; within an expert by token.
  std::sort(scratch.choices.begin(), scratch.choices.end(), [](const auto& a, const auto& b) {
    return a.expert != b.expert ? a.expert < b.expert : a.token < b.token;
  });
  const auto chosen = static_cast<int64_t>(scratch.choices.size()), inner = w[0].gate_proj.out();
  scratch.gathered.resize({chosen, x.cols});
  scratch.gate.resize({chosen, inner});
  scratch.up.resize({chosen, inner});
  scratch.result.resize({chosen, y.cols});
  const Rows gathered = scratch.gathered.rows(), gate = scratch.gate.rows(), up = scratch.up.rows();
  const Rows result = scratch.result.rows();
  scratch.first.clear();
  scratch.second.clear();
  for (int64_t begin = 0; begin < chosen;) {
    const int64_t expert = scratch.choices[static_cast<size_t>(begin)].expert;
    int64_t end = begin;
    for (; end < chosen && scratch.choices[static_cast<size_t>(end)].expert == expert; ++end) {
      std::copy_n(x.row(scratch.choices[static_cast<size_t>(end)].token), x.cols, gathered.row(end));
    }
    const GatedMlpWeight& mlp = w[static_cast<size_t>(expert)];
    const int64_t count = end - begin;
    scratch.first.push_back({gathered.slice(begin, count), &mlp.gate_proj, gate.slice(begin, count)});
    scratch.first.push_back({gathered.slice(begin, count), &mlp.up_proj, up.slice(begin, count)});
    scratch.second.push_back({gate.slice(begin, count), &mlp.down_proj, result.slice(begin, count)});
    begin = end;
  }
  linear(scratch.first);
  silu_mul(up, gate);
  linear(scratch.second);
  parallel_for(y.cols, std::max<int64_t>(64, 16384 / chosen), [&](int64_t first, int64_t last) {
    for (int64_t t = 0; t < y.rows; ++t) std::fill_n(y.row(t) + first, last - first, 0.0f);
    for (int64_t i = 0; i < chosen; ++i) {
      const auto& choice = scratch.choices[static_cast<size_t>(i)];
      const float* from = result.row(i);
      float* to = y.row(choice.token);
      for (int64_t c = first; c < last; ++c) to[c] += choice.weight * from[c];
    }
  });
}

}  // namespace calliope::kernels
