#include "kernels/paged_attention_avx512.h"

#include "kernels/paged_attention_internal.h"

namespace calliope::kernels::detail {

void paged_queries_avx512(const PagedCall& call, int64_t kv, int64_t begin, int64_t end) {
#if defined(__AVX512F__)
  return paged_queries<Avx512Ops>(call, kv, begin, end);
#else
  paged_queries_plain(call, kv, begin, end);
#endif
}

}  // namespace calliope::kernels::detail
