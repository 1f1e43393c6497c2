#pragma once

#include "kernels/conv.h"

namespace calliope::kernels::detail {

/// Part of conv(): windows [row_begin, row_end) and panels [panel_begin, panel_end).
struct ConvRange {
  int64_t row_begin = 0;
  int64_t row_end = 0;
  int64_t panel_begin = 0;
  int64_t panel_end = 0;
};

using ConvSlice = void (*)(const Windows& x, const PackedWeight& w, tensor::Rows y, const ConvRange& range);
void conv_slice_plain(const Windows& x, const PackedWeight& w, tensor::Rows y, const ConvRange& range);
void conv_slice_avx2(const Windows& x, const PackedWeight& w, tensor::Rows y, const ConvRange& range);
void conv_slice_avx512(const Windows& x, const PackedWeight& w, tensor::Rows y, const ConvRange& range);
void conv_slice_neon(const Windows& x, const PackedWeight& w, tensor::Rows y, const ConvRange& range);

}  // namespace calliope::kernels::detail
