// How fast the kernels are on this machine, beside what the machine can do: `calliope_kernel_bench [threads] [tokens]`.
// `calliope_kernel_bench --machine [threads]` tells only what the machine can do, as JSON.
// With one thread the clock is the thread's own, so that other programs disturb less.
#include <sys/mman.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <functional>
#include <random>
#include <vector>

#include "base/thread_pool.h"
#include "bench/peak.h"
#include "kernels/isa.h"
#include "kernels/linear.h"
#include "kernels/paged_attention.h"
#include "tensor/quant_blocks.h"

namespace {

using namespace calliope;
using kernels::LinearWeight;
using tensor::DType;
using tensor::Tensor;

double now() {
  timespec time{};
  clock_gettime(thread_count() == 1 ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

// The quickest of a few runs, seconds.
double seconds(int runs, const std::function<void()>& run) {
  double best = 1e30;
  for (int i = 0; i < runs; ++i) {
    const double start = now();
    run();
    best = std::min(best, now() - start);
  }
  return best;
}

// In huge pages, as packed weights are.
struct Memory {
  static constexpr size_t kBytes = size_t{256} << 20;
  std::byte* data = static_cast<std::byte*>(std::aligned_alloc(size_t{2} << 20, kBytes));
  Memory() {
    madvise(data, kBytes, MADV_HUGEPAGE);
    std::fill_n(data, kBytes, std::byte{1});
  }
  ~Memory() { std::free(data); }
};

double read_bandwidth(const Memory& memory) {
  return static_cast<double>(Memory::kBytes) / seconds(7, [&] {
    parallel_for(Memory::kBytes / 4096, 1, [&](int64_t begin, int64_t end) {
      bench::read_all(memory.data + begin * 4096, static_cast<size_t>(end - begin) * 4096);
    });
  });
}

// Multiply-adds a second of all threads together.
double int8_peak() {
  constexpr int64_t kSteps = 400000;
  const int64_t threads = thread_count();
  const double time = seconds(5, [&] {
    parallel_for(threads * 4, 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) bench::int8_multiply_adds(kSteps);
    });
  });
  return static_cast<double>(threads * 4 * kSteps * bench::kMultiplyAddsPerStep) / time;
}

// Enough copies of one layer that no cache holds them.
struct Layers {
  std::vector<LinearWeight> layers;
  size_t bytes = 0;

  Layers(DType type, int64_t out, int64_t in, size_t at_least) {
    std::mt19937 random(1);
    std::vector<float> values(static_cast<size_t>(out * in));
    for (float& value : values) value = static_cast<float>(random() % 2001) * 1e-5f - 0.01f;
    std::vector<std::byte> blocks(tensor::bytes_of(type, out * in));
    tensor::quantize(type, values, blocks.data());
    const tensor::View view{type, {out, in}, blocks.data()};
    while (bytes < at_least || layers.empty()) {
      layers.push_back({view, {}, kernels::PackedLinear::pack(view)});
      bytes += layers.back().packed->bytes();
    }
  }
};

Tensor random_rows(int64_t rows, int64_t cols) {
  std::mt19937 random(2);
  std::normal_distribution<float> normal;
  Tensor x({rows, cols});
  for (float& value : x.span()) value = normal(random);
  return x;
}

void bench_layer(DType type, int64_t out, int64_t in, int64_t tokens, double bandwidth, double peak) {
  const Layers many(type, out, in, size_t{160} << 20);
  const Tensor one = random_rows(1, in), batch = random_rows(8, in), x = random_rows(tokens, in);
  Tensor y({tokens, out});
  const auto pass = [&](const Tensor& rows) {
    const int64_t count = rows.shape()[0];
    for (const LinearWeight& w : many.layers) kernels::linear(rows.rows(), w, y.rows().slice(0, count));
  };
  const double alone = static_cast<double>(many.bytes) / seconds(5, [&] { pass(one); });
  const double eight = static_cast<double>(many.bytes) / seconds(3, [&] { pass(batch); });
  const double time = seconds(4, [&] { kernels::linear(x.rows(), many.layers[0], y.rows()); });
  const double rate = static_cast<double>(out * in * tokens) / time;
  std::printf("%-5s %5ld x %-5ld  1 row %5.1f GB/s (%3.0f %%)  8 rows %5.1f GB/s (%3.0f %%)  %ld rows %6.0f GOPS (%3.0f %%)\n",
              std::string(tensor::name_of(type)).c_str(), static_cast<long>(out), static_cast<long>(in), alone * 1e-9,
              100 * alone / bandwidth, eight * 1e-9, 100 * eight / bandwidth, static_cast<long>(tokens), 2e-9 * rate, 100 * rate / peak);
}

// Weights as published: multiply-adds in f32.
void bench_float(DType type, int64_t out, int64_t in, int64_t tokens) {
  const size_t bytes = tensor::bytes_of(type, out * in), copies = (size_t{160} << 20) / bytes + 1;
  const std::vector<std::byte> memory(copies * bytes, std::byte{0x3c});
  const Tensor one = random_rows(1, in), x = random_rows(tokens, in);
  Tensor y({tokens, out});
  const double alone = seconds(4, [&] {
    for (size_t i = 0; i < copies; ++i) kernels::linear(one.rows(), {{type, {out, in}, memory.data() + i * bytes}, {}}, y.rows().slice(0, 1));
  });
  const double time = seconds(4, [&] { kernels::linear(x.rows(), {{type, {out, in}, memory.data()}, {}}, y.rows()); });
  std::printf("%-5s %5ld x %-5ld  1 row %5.1f GB/s            %ld rows %6.1f GFLOPS\n", std::string(tensor::name_of(type)).c_str(),
              static_cast<long>(out), static_cast<long>(in), 1e-9 * static_cast<double>(memory.size()) / alone,
              static_cast<long>(tokens), 2e-9 * static_cast<double>(out * in * tokens) / time);
}

void bench_attention(int64_t rows, int64_t held, DType type) {
  const kernels::AttentionShape shape{.heads = 16, .kv_heads = 8, .head_dim = 128, .scale = 0.088f};
  const kernels::PageLayout layout{.tokens = 64, .layers = 1, .kv_heads = 8, .head_dim = 128, .dtype = type};
  const int64_t tokens = held + rows;
  std::vector<Tensor> memory;
  std::vector<std::byte*> pages;
  for (int64_t i = 0; i < (tokens + 63) / 64; ++i) {
    memory.emplace_back(tensor::Shape{static_cast<int64_t>(layout.page_bytes() / 4)});
    pages.push_back(reinterpret_cast<std::byte*>(memory.back().data()));
  }
  const Tensor k = random_rows(tokens, 8 * 128), q = random_rows(rows, 16 * 128);
  const kernels::PagedRows all{.rows = tokens, .held = 0, .pages = pages}, last{.rows = rows, .held = held, .pages = pages};
  kernels::store_pages(k.rows(), k.rows(), {&all, 1}, layout, 0);
  Tensor out({rows, 16 * 128});
  const double time = seconds(5, [&] { kernels::paged_attention(q.rows(), {&last, 1}, shape, layout, 0, out.rows()); });
  const double pairs = static_cast<double>(rows) * (static_cast<double>(held) + 0.5 * static_cast<double>(rows + 1));
  const double cache = 2 * 8 * 128 * static_cast<double>(tensor::size_of(type)) * static_cast<double>(tokens);
  std::printf("attention %4ld rows after %4ld, %-4s  %6.1f GFLOPS  %5.1f GB/s of cache\n", static_cast<long>(rows),
              static_cast<long>(held), std::string(tensor::name_of(type)).c_str(), 4e-9 * pairs * 16 * 128 / time, 1e-9 * cache / time);
}

}  // namespace

int main(int argc, char** argv) {
  if (kernels::best_isa() < kernels::Isa::avx512) {
    std::puts("this processor has no AVX-512 VNNI, which the peak is measured with");
    return 1;
  }
  const bool machine_only = argc > 1 && std::strcmp(argv[1], "--machine") == 0;
  if (machine_only) --argc, ++argv;
  if (argc > 1) set_thread_count(std::atoi(argv[1]));
  const int64_t tokens = argc > 2 ? std::atoi(argv[2]) : 512;
  const Memory memory;
  const double bandwidth = read_bandwidth(memory), peak = int8_peak();
  if (machine_only) {
    std::printf("{\"read_bytes_per_s\": %.4g, \"int8_ops_per_s\": %.4g}\n", bandwidth, 2 * peak);
    return 0;
  }
  std::printf("%s, %d threads: reads %.1f GB/s, int8 peak %.0f GOPS\n", std::string(kernels::name_of(kernels::active_isa())).c_str(),
              thread_count(), bandwidth * 1e-9, 2e-9 * peak);
  // q, kv, gate/up and down of Qwen3 0.6B, then 1.7B.
  constexpr int64_t kShapes[][2] = {{2048, 1024}, {3072, 1024}, {1024, 3072}, {2048, 2048}, {6144, 2048}, {2048, 6144}};
  for (const DType type : {DType::q8_0, DType::q4_0}) {
    for (const auto& shape : kShapes) bench_layer(type, shape[0], shape[1], tokens, bandwidth, peak);
  }
  for (const DType type : {DType::f32, DType::bf16}) bench_float(type, 2048, 2048, tokens);
  for (const DType type : {DType::f32, DType::bf16}) {
    bench_attention(tokens, 0, type);
    bench_attention(1, 2048, type);
  }
  std::printf("read bandwidth again: %.1f GB/s\n", read_bandwidth(memory) * 1e-9);
  return 0;
}
