#include "kernels/packed_linear.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <new>

#if defined(__linux__)
#include <sys/mman.h>
#endif

#include "base/thread_pool.h"
#include "kernels/isa.h"
#include "kernels/packed_internal.h"
#include "tensor/quant_blocks.h"

namespace calliope::kernels {
namespace {

using tensor::DType;

constexpr int64_t kPanel = PackedLinear::kPanel;

// One output feature's 32 quants of a block, as they are stored.
struct Quants {
  uint8_t q[32];
};

void store_steps(std::byte* to, int64_t feature, const Quants& quants) {
  for (int64_t step = 0; step < 8; ++step) std::memcpy(to + 64 * step + 4 * feature, quants.q + 4 * step, 4);
}

void store_nibbles(std::byte* to, int64_t feature, const Quants& quants) {
  uint8_t bytes[16];
  for (int i = 0; i < 16; ++i) bytes[i] = static_cast<uint8_t>(quants.q[i] | quants.q[16 + i] << 4);
  for (int64_t pair = 0; pair < 4; ++pair) std::memcpy(to + 64 * pair + 4 * feature, bytes + 4 * pair, 4);
}

void store_half(std::byte* to, int64_t feature, uint16_t bits) { std::memcpy(to + 2 * feature, &bits, 2); }

bool is_finite(uint16_t half) { return (half & 0x7c00) != 0x7c00; }

// Q8_0 and Q4_0: whether a scale is a number other than zero. If not, the block's weights are none.
bool is_usable(uint16_t scale) { return (scale & 0x7fff) != 0 && is_finite(scale); }
constexpr uint16_t kOne = 0x3c00;

// Each gives whether the kernels get what they need of the block: false makes the feature's outputs NaN.
bool pack_q8_0(const tensor::BlockQ8_0& block, int64_t b, const detail::PanelLayout& layout, std::byte* panel,
               int64_t feature) {
  const bool usable = is_usable(block.d);
  store_half(panel + layout.scales(b), feature, usable ? block.d : kOne);
  std::byte* to = panel + layout.quants(b) + 4 * feature;
  for (int64_t step = 0; step < 8; ++step) {
    uint32_t four = 0;
    if (usable) std::memcpy(&four, block.qs + 4 * step, 4);
    four ^= 0x80808080;  // adds 128 to each
    std::memcpy(to + 64 * step, &four, 4);
  }
  return is_finite(block.d);
}

bool pack_q4_0(const tensor::BlockQ4_0& block, int64_t b, const detail::PanelLayout& layout, std::byte* panel,
               int64_t feature) {
  const bool usable = is_usable(block.d);
  store_half(panel + layout.scales(b), feature, usable ? block.d : kOne);
  std::byte* to = panel + layout.quants(b) + 4 * feature;
  constexpr uint32_t kZeros = 0x88888888;
  for (int64_t pair = 0; pair < 4; ++pair)
    std::memcpy(to + 64 * pair, usable ? static_cast<const void*>(block.qs + 4 * pair) : &kZeros, 4);
  return is_finite(block.d);
}

// Q4_K and Q5_K.
template <class Block>
bool pack_with_mins(const Block& block, int64_t group, const detail::PanelLayout& layout, std::byte* panel,
                    int64_t feature) {
  store_half(panel + layout.scales(8 * group), feature, block.d);
  store_half(panel + layout.scales(8 * group) + 32, feature, block.dmin);
  for (int g = 0; g < 8; ++g) {
    const int64_t b = 8 * group + g;
    std::byte* small = panel + layout.small_scales(b);
    small[feature] = static_cast<std::byte>(tensor::group_scale(block.scales, g));
    small[128 + feature] = static_cast<std::byte>(tensor::group_min(block.scales, g));
    Quants quants;
    for (int i = 0; i < 32; ++i) {
      const uint8_t pair = block.qs[32 * (g / 2) + i];
      quants.q[i] = static_cast<uint8_t>(g % 2 == 0 ? pair & 15 : pair >> 4);
      if constexpr (requires { block.qh; }) quants.q[i] |= static_cast<uint8_t>((block.qh[i] >> g & 1) << 4);
    }
    if constexpr (requires { block.qh; }) {
      store_steps(panel + layout.quants(b), feature, quants);
    } else {
      store_nibbles(panel + layout.quants(b), feature, quants);
    }
  }
  return true;
}

bool pack_q6_k(const tensor::BlockQ6K& block, int64_t group, const detail::PanelLayout& layout, std::byte* panel,
               int64_t feature) {
  store_half(panel + layout.scales(8 * group), feature, block.d);
  for (int g = 0; g < 8; ++g) {
    const int64_t b = 8 * group + g;
    std::byte* small = panel + layout.small_scales(b);
    small[feature] = static_cast<std::byte>(block.scales[2 * g]);
    small[16 + feature] = static_cast<std::byte>(block.scales[2 * g + 1]);
    Quants quants;
    const int half = g / 4, part = g % 4;  // elements 32 part .. of the half
    for (int i = 0; i < 32; ++i) {
      const uint8_t low = block.ql[64 * half + 32 * (part % 2) + i];
      const uint8_t high = block.qh[32 * half + i];
      quants.q[i] = static_cast<uint8_t>((part < 2 ? low & 15 : low >> 4) | (high >> 2 * part & 3) << 4);
    }
    store_steps(panel + layout.quants(b), feature, quants);
  }
  return true;
}

// Returns the features that `pack` refused.
template <class Block, class Pack>
std::vector<int64_t> pack_rows(const tensor::View& weight, const PackedLinear& packed, std::byte* data,
                               size_t panel_bytes, Pack pack) {
  const detail::PanelLayout layout{weight.dtype};
  const int64_t count = packed.in() / tensor::block_elements(weight.dtype);
  const auto* blocks = reinterpret_cast<const Block*>(weight.data);
  std::vector<uint8_t> refused(static_cast<size_t>(packed.out()));
  parallel_for(packed.panels(), 4, [&](int64_t begin, int64_t end) {
    for (int64_t p = begin; p < end; ++p) {
      std::byte* panel = data + static_cast<size_t>(p) * panel_bytes;
      const int64_t first = p * kPanel, features = std::min(kPanel, packed.out() - first);
      if (features < kPanel || packed.blocks() % layout.group_blocks() != 0) std::memset(panel, 0, panel_bytes);
      // Block by block, so that what is written stays in the cache.
      for (int64_t i = 0; i < count; ++i) {
        for (int64_t f = 0; f < features; ++f) {
          if (!pack(blocks[(first + f) * count + i], i, layout, panel, f)) refused[static_cast<size_t>(first + f)] = 1;
        }
      }
    }
  });
  std::vector<int64_t> features;
  for (int64_t f = 0; f < packed.out(); ++f) {
    if (refused[static_cast<size_t>(f)]) features.push_back(f);
  }
  return features;
}

size_t panel_bytes(DType type, int64_t in) { return detail::PanelLayout{type}.panel_bytes(in / PackedLinear::kBlock); }

// Panels of many layers lie in one piece of memory, in huge pages where the system gives them: reading then never waits
// for a page table. What is not used of the last piece takes addresses only.
struct Slab {
  static constexpr size_t kHuge = size_t{2} << 20, kUsual = size_t{64} << 20;
  explicit Slab(size_t at_least)
      : size((std::max(at_least, kUsual) + kHuge - 1) / kHuge * kHuge),
        data(static_cast<std::byte*>(std::aligned_alloc(kHuge, size))) {
    if (!data) throw std::bad_alloc();
#if defined(__linux__)
    madvise(data, size, MADV_HUGEPAGE);
#endif
  }
  ~Slab() { std::free(data); }
  Slab(const Slab&) = delete;
  Slab& operator=(const Slab&) = delete;

  size_t size, used = 0;
  std::byte* data;
};

std::shared_ptr<std::byte> allocate(size_t bytes) {
  static std::mutex mutex;
  static std::weak_ptr<Slab> last;
  std::lock_guard lock(mutex);
  std::shared_ptr<Slab> slab = last.lock();
  if (!slab || slab->size - slab->used < bytes) last = slab = std::make_shared<Slab>(bytes);
  std::byte* at = slab->data + slab->used;
  slab->used += (bytes + 63) / 64 * 64;
  return {std::move(slab), at};
}

}  // namespace

PackedLinear::PackedLinear(DType type, int64_t out, int64_t in)
    : type_(type), out_(out), in_(in), panel_bytes_(panel_bytes(type, in)), data_(allocate(bytes())) {}

size_t PackedLinear::bytes_for(DType type, int64_t out, int64_t in) {
  return static_cast<size_t>((out + kPanel - 1) / kPanel) * panel_bytes(type, in);
}

std::shared_ptr<const PackedLinear> PackedLinear::pack(const tensor::View& weight) {
  CHECK(weight && weight.shape.rank() == 2 && packs(weight.dtype));
  CHECK(weight.shape[1] % tensor::block_elements(weight.dtype) == 0);
  std::shared_ptr<PackedLinear> packed(new PackedLinear(weight.dtype, weight.shape[0], weight.shape[1]));
  std::byte* data = packed->data_.get();
  const size_t stride = packed->panel_bytes_;
  auto& refused = packed->not_finite_;
  switch (weight.dtype) {
    case DType::q8_0: refused = pack_rows<tensor::BlockQ8_0>(weight, *packed, data, stride, pack_q8_0); break;
    case DType::q4_0: refused = pack_rows<tensor::BlockQ4_0>(weight, *packed, data, stride, pack_q4_0); break;
    case DType::q4_k:
      refused = pack_rows<tensor::BlockQ4K>(weight, *packed, data, stride, pack_with_mins<tensor::BlockQ4K>);
      break;
    case DType::q5_k:
      refused = pack_rows<tensor::BlockQ5K>(weight, *packed, data, stride, pack_with_mins<tensor::BlockQ5K>);
      break;
    default: refused = pack_rows<tensor::BlockQ6K>(weight, *packed, data, stride, pack_q6_k);
  }
  return packed;
}

const detail::PackedKernels& detail::packed_kernels() {
  if (active_isa() == Isa::neondot) return kPackedNeonDot;
  return choose(kPackedPlain, kPackedAvx2, kPackedAvx512, kPackedNeon);
}

}  // namespace calliope::kernels
