#include "kernels/paged_attention_avx512.h"

#include "kernels/paged_attention_internal.h"

#if defined(__AVX512F__)
namespace calliope::kernels::detail {

void paged_queries_avx512(const PagedCall& call, int64_t kv, int64_t begin, int64_t end) {
  if (call.layout.dtype == DType::bf16) return attend_all<DType::bf16>(call, kv, begin, end);
  if (call.layout.dtype == DType::q8_0) return attend_all<DType::q8_0>(call, kv, begin, end);
  attend_all<DType::f32>(call, kv, begin, end);
}

}  // namespace calliope::kernels::detail
#else
namespace calliope::kernels::detail {
void paged_queries_avx512(const PagedCall& call, int64_t kv, int64_t begin, int64_t end) {
  paged_queries_plain(call, kv, begin, end);
}
}  // namespace calliope::kernels::detail
#endif
