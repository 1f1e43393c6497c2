#include "kernels/paged_attention_avx512.h"

#include "kernels/paged_attention_internal.h"

namespace calliope::kernels::detail {

void paged_queries_avx512bf16(const PagedCall& call, int64_t kv, int64_t begin, int64_t end) {
#if defined(__AVX512BF16__)
  if (call.layout.dtype == tensor::DType::bf16) return attend_all<tensor::DType::bf16>(call, kv, begin, end);
#endif
  paged_queries_avx512(call, kv, begin, end);
}

}  // namespace calliope::kernels::detail
