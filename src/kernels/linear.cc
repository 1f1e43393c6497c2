#include "kernels/linear.h"

#include <algorithm>
#include <limits>
#include <vector>

#include "base/thread_pool.h"
#include "kernels/isa.h"
#include "kernels/linear_internal.h"
#include "kernels/packed_internal.h"

namespace calliope::kernels {
namespace {

void check_shapes(tensor::ConstRows x, const LinearWeight& w, tensor::Rows y) {
  CHECK(w.weight.shape.rank() == 2 && x.cols == w.in() && y.cols == w.out() && x.rows == y.rows);
  CHECK(!w.packed || (w.packed->in() == w.in() && w.packed->out() == w.out()));
  CHECK(!w.bias || w.bias.shape.elements() == w.out());
}

void add_bias(const tensor::View& bias, tensor::Rows y, int64_t first, int64_t last) {
  if (!bias) return;
  for (int64_t o = first; o < last; ++o) {
    const float value = bias.at(o);
    for (int64_t t = 0; t < y.rows; ++t) y.row(t)[o] += value;
  }
}

void linear_unpacked(tensor::ConstRows x, const LinearWeight& w, tensor::Rows y) {
  const auto slice = choose<detail::LinearSlice>(detail::linear_slice_plain, detail::linear_slice_avx2,
                                                 detail::linear_slice_avx512, detail::linear_slice_neon);
  // At least 64k multiply-adds a piece, else waking a thread costs more than it saves.
  const int64_t per_feature = std::max<int64_t>(1, x.rows * x.cols);
  const int64_t grain = std::max<int64_t>(8, (65536 / per_feature + 7) / 8 * 8);
  parallel_for((w.out() + 7) / 8, grain / 8, [&](int64_t begin, int64_t end) {
    const int64_t first = begin * 8;
    const int64_t last = std::min(end * 8, w.out());
    slice(x, w.weight, y, first, last);
    add_bias(w.bias, y, first, last);
  });
}

// Quantised rows of one x for weights of one kind, in tiles of nearly equal length.
struct Rounded {
  tensor::ConstRows x;
  tensor::DType type;
  size_t at = 0;           // words into the scratch
  int64_t first_tile = 0;  // of all
  int64_t tiles() const { return (x.rows + detail::kTileTokens - 1) / detail::kTileTokens; }
  int64_t first(int64_t tile) const { return x.rows * tile / tiles(); }
  size_t words(int64_t rows) const {
    return static_cast<size_t>(rows * x.cols / PackedLinear::kBlock * detail::kTileWords);
  }
  bool serves(const LinearTask& task) const {
    return x.data == task.x.data && x.rows == task.x.rows && x.stride == task.x.stride && x.cols == task.x.cols &&
           (type == task.w->packed->type() || detail::offset_of(type) + detail::offset_of(task.w->packed->type()) == 0);
  }
};

// Panels of one packed task.
struct Panels {
  const LinearTask* task;
  size_t rounded;
  int64_t begin;  // of all tasks' panels
};

struct Scratch {
  tensor::Tensor words;           // i32 in the place of f32
  std::vector<uint8_t> infinite;  // a bit a row, a byte a tile
  std::vector<Rounded> rounded;
  std::vector<Panels> panels;
};
static_assert(detail::kTileTokens <= 8);

// Tokens whose blocks stay in the second-level cache while panels pass by, blocks of a panel that stay in the first,
// and panels whose sums so far stay in the second.
constexpr int64_t kRowsAtOnce = 256, kBlocksAtOnce = 64, kPanelsAtOnce = 16;

// Panels [begin, end) of one task.
struct PanelRun {
  const Rounded& rounded;
  const int32_t* scratch;
  const uint8_t* infinite;  // of the rounded rows' tiles: which rows are not finite
  const PackedLinear& w;
  tensor::Rows y;
  detail::MultiplyPanel multiply = detail::packed_kernels().multiply;

  int64_t rows(int64_t tile) const { return rounded.first(tile + 1) - rounded.first(tile); }
  const int32_t* words(int64_t tile) const { return scratch + rounded.at + rounded.words(rounded.first(tile)); }
  tensor::Rows out(int64_t panel, int64_t tile) const {
    const int64_t first = panel * PackedLinear::kPanel;
    return y.slice(rounded.first(tile), rows(tile)).columns(first, std::min(PackedLinear::kPanel, w.out() - first));
  }

  // What is not finite, of inputs or weights, has no place in the kernels' integers.
  void mark_not_finite(int64_t begin, int64_t end) const {
    constexpr float kNone = std::numeric_limits<float>::quiet_NaN();
    const int64_t first = begin * PackedLinear::kPanel, last = std::min(end * PackedLinear::kPanel, w.out());
    for (int64_t tile = 0; tile < rounded.tiles(); ++tile) {
      for (uint32_t left = infinite[tile], row = 0; left; left >>= 1, ++row) {
        if (left & 1)
          std::fill(y.row(rounded.first(tile) + row) + first, y.row(rounded.first(tile) + row) + last, kNone);
      }
    }
    for (const int64_t feature : w.not_finite()) {
      if (feature < first || feature >= last) continue;
      for (int64_t t = 0; t < y.rows; ++t) y.row(t)[feature] = kNone;
    }
  }

  // A single tile reads the panels once, straight through.
  void straight(int64_t begin, int64_t end) const {
    for (int64_t panel = begin; panel < end; ++panel) {
      multiply({w, panel, 0, w.blocks(), words(0), {}, out(panel, 0), true});
    }
  }

  // Many tiles: sums of all but the last blocks lie close together, as y's rows do not.
  void blocked(int64_t begin, int64_t end) const {
    thread_local tensor::Tensor sums;
    sums.resize({kPanelsAtOnce, kRowsAtOnce, PackedLinear::kPanel});
    for (int64_t first_tile = 0; first_tile < rounded.tiles();) {
      const int64_t first_row = rounded.first(first_tile);
      int64_t last_tile = first_tile;
      while (last_tile < rounded.tiles() && rounded.first(last_tile + 1) - first_row <= kRowsAtOnce) ++last_tile;
      for (int64_t first = begin; first < end; first += kPanelsAtOnce) {
        const int64_t last = std::min(end, first + kPanelsAtOnce);
        for (int64_t block = 0; block < w.blocks(); block += kBlocksAtOnce) {
          const int64_t block_end = std::min(block + kBlocksAtOnce, w.blocks());
          for (int64_t panel = first; panel < last; ++panel) {
            const tensor::Rows held{sums.data() + (panel - first) * kRowsAtOnce * PackedLinear::kPanel, kRowsAtOnce,
                                    PackedLinear::kPanel, PackedLinear::kPanel};
            for (int64_t tile = first_tile; tile < last_tile; ++tile) {
              const tensor::Rows part = held.slice(rounded.first(tile) - first_row, rows(tile));
              multiply(
                  {w, panel, block, block_end, words(tile), part, block_end == w.blocks() ? out(panel, tile) : part});
            }
          }
        }
      }
      first_tile = last_tile;
    }
  }
};

void multiply_panels(const Panels& panels, const Rounded& rounded, const Scratch& scratch, int64_t begin, int64_t end) {
  const LinearWeight& w = *panels.task->w;
  const PanelRun run{rounded, reinterpret_cast<const int32_t*>(scratch.words.data()),
                     scratch.infinite.data() + rounded.first_tile, *w.packed, panels.task->y};
  rounded.tiles() == 1 ? run.straight(begin, end) : run.blocked(begin, end);
  run.mark_not_finite(begin, end);
  add_bias(w.bias, run.y, begin * PackedLinear::kPanel, std::min(end * PackedLinear::kPanel, w.packed->out()));
}

void round_activations(const std::vector<Rounded>& all, int32_t* words, uint8_t* infinite) {
  const auto quantize = detail::packed_kernels().quantize;
  int64_t tiles = 0, elements = 0;
  for (const Rounded& rounded : all) {
    tiles += rounded.tiles();
    elements += rounded.x.rows * rounded.x.cols;
  }
  parallel_for(tiles, std::max<int64_t>(1, 32768 * tiles / elements), [&](int64_t begin, int64_t end) {
    for (const Rounded& rounded : all) {
      const int64_t first = std::max(begin - rounded.first_tile, int64_t{0});
      const int64_t last = std::min(end - rounded.first_tile, rounded.tiles());
      for (int64_t tile = first; tile < last; ++tile) {
        const int64_t row = rounded.first(tile);
        const tensor::ConstRows rows = rounded.x.slice(row, rounded.first(tile + 1) - row);
        infinite[rounded.first_tile + tile] =
            static_cast<uint8_t>(quantize(rows, rounded.type, words + rounded.at + rounded.words(row)));
      }
    }
  });
}

void linear_packed(std::span<const LinearTask> tasks) {
  thread_local Scratch scratch;
  scratch.rounded.clear();
  scratch.panels.clear();
  size_t words = 0;
  int64_t count = 0, work = 0, tiles = 0;
  for (const LinearTask& task : tasks) {
    if (!task.w->packed || task.x.rows == 0) continue;
    const auto same = std::ranges::find_if(scratch.rounded, [&](const Rounded& r) { return r.serves(task); });
    scratch.panels.push_back({&task, static_cast<size_t>(same - scratch.rounded.begin()), count});
    if (same == scratch.rounded.end()) {
      scratch.rounded.push_back({task.x, task.w->packed->type(), words, tiles});
      tiles += scratch.rounded.back().tiles();
      words += scratch.rounded.back().words(task.x.rows);
    }
    count += task.w->packed->panels();
    work += task.w->packed->panels() * PackedLinear::kPanel * task.x.cols * task.x.rows;
  }
  if (count == 0) return;
  scratch.words.resize({static_cast<int64_t>(words)});
  scratch.infinite.resize(static_cast<size_t>(tiles));
  round_activations(scratch.rounded, reinterpret_cast<int32_t*>(scratch.words.data()), scratch.infinite.data());
  // At least a quarter of a million multiply-adds a piece, else waking a thread costs more than it saves.
  const int64_t grain = std::max<int64_t>(1, 262144 * count / work);
  const Scratch& shared = scratch;
  parallel_for(count, grain, [&shared, count](int64_t begin, int64_t end) {
    for (size_t i = 0; i < shared.panels.size(); ++i) {
      const Panels& panels = shared.panels[i];
      const int64_t last = i + 1 < shared.panels.size() ? shared.panels[i + 1].begin : count;
      const int64_t from = std::max(begin, panels.begin), to = std::min(end, last);
      if (from < to)
        multiply_panels(panels, shared.rounded[panels.rounded], shared, from - panels.begin, to - panels.begin);
    }
  });
}

}  // namespace

LinearWeight make_linear(const tensor::View& weight, const tensor::View& bias) {
  return {weight, bias, weight && PackedLinear::packs(weight.dtype) ? PackedLinear::pack(weight) : nullptr};
}

void linear(std::span<const LinearTask> tasks) {
  bool packed = false;
  for (const LinearTask& task : tasks) {
    check_shapes(task.x, *task.w, task.y);
    if (!task.w->packed) linear_unpacked(task.x, *task.w, task.y);
    packed = packed || task.w->packed;
  }
  if (packed) linear_packed(tasks);
}

void linear(tensor::ConstRows x, const LinearWeight& w, tensor::Rows y) {
  const LinearTask task{x, &w, y};
  linear({&task, 1});
}

void linear_reference(tensor::ConstRows x, const LinearWeight& w, tensor::Rows y) {
  check_shapes(x, w, y);
  for (int64_t t = 0; t < x.rows; ++t) {
    for (int64_t o = 0; o < w.out(); ++o) {
      double sum = w.bias ? w.bias.at(o) : 0.0f;
      for (int64_t i = 0; i < x.cols; ++i) sum += double(x.row(t)[i]) * w.weight.at(o * x.cols + i);
      y.row(t)[o] = static_cast<float>(sum);
    }
  }
}

}  // namespace calliope::kernels
