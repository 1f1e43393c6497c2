#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <string>
#include <system_error>

#include "base/thread_pool.h"
#include "cli/commands.h"
#include "cli/human_bytes.h"
#include "cli/media_files.h"
#include "model/quantize.h"

namespace calliope::cli {
namespace {

using tensor::DType;

Result<DType> type_named(const std::string& name) {
  for (const DType type : {DType::f32, DType::f16, DType::bf16, DType::q8_0, DType::q4_0}) {
    std::string known(tensor::name_of(type));
    std::transform(known.begin(), known.end(), known.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? char(c + 32) : c; });
    if (name == known) return type;
  }
  return fail(ErrorCode::invalid_argument, "there is no type " + name);
}

void print_tensor(const model::QuantizedTensor& tensor) {
  std::printf("%-76s %-18s %-5s %-5s %.3e\n", tensor.name.c_str(), tensor.shape.text().c_str(),
              std::string(tensor::name_of(tensor.from)).c_str(), std::string(tensor::name_of(tensor.to)).c_str(), tensor.error);
}

Result<void> quantize(const QuantizeOptions& options) {
  TRY(const DType type, type_named(options.type));
  TRY_VOID(check_writable(options.out));
  if (options.threads > 0) set_thread_count(options.threads);
  TRY(const auto source, model::open_model_source(options.model));
  TRY(const auto report, model::quantize_model(source, type, options.out));
  int64_t parameters = 0, changed = 0, count = 0;
  double lost = 0, all = 0;
  const model::QuantizedTensor* worst = nullptr;
  for (const auto& tensor : report.tensors) {
    if (options.errors) print_tensor(tensor);
    parameters += tensor.shape.elements();
    if (tensor.from == tensor.to) continue;
    ++count;
    changed += tensor.shape.elements();
    lost += tensor.error * tensor.error * tensor.magnitude;
    all += tensor.magnitude;
    if (!worst || tensor.error > worst->error) worst = &tensor;
  }
  for (const std::string& name : report.left_out) std::printf("%s is of a type no part of the model reads: left out\n", name.c_str());
  std::error_code ignored;
  std::printf("%s: %s; %ld of %zu tensors converted, %.1f %% of the parameters\n", options.out.c_str(),
              human_bytes(double(std::filesystem::file_size(options.out, ignored))).c_str(), long(count), report.tensors.size(),
              parameters > 0 ? 100.0 * double(changed) / double(parameters) : 0.0);
  if (worst) {
    std::printf("relative error %.3e over all of them, at most %.3e (%s)\n", all > 0 ? std::sqrt(lost / all) : 0.0, worst->error,
                worst->name.c_str());
  }
  return {};
}

}  // namespace

int run_quantize(const QuantizeOptions& options) {
  if (auto done = quantize(options); !done) return complain("quantize", done.error());
  return 0;
}

}  // namespace calliope::cli
