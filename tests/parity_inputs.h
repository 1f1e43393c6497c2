#pragma once

#include <cmath>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "assistant/request.h"
#include "tensor/safetensors.h"
#include "tensor/tensor.h"

namespace calliope::parity {

/// Inputs computed from a seed, bit for bit as tools/reference/inputs.py computes them.
std::vector<uint32_t> hashed(uint32_t seed, int64_t count);
/// In [-1, 1).
tensor::Tensor noise(uint32_t seed, tensor::Shape shape);
/// In [0, below).
std::vector<int32_t> whole_numbers(uint32_t seed, uint32_t below, int64_t count);
/// 16 kHz samples.
std::vector<float> sound(uint32_t seed, int64_t samples);
assistant::Image picture(uint32_t seed, int width, int height);
/// tests/fixtures/prompts.json
std::vector<assistant::Request> prompts();

/// tests/fixtures/<name>
std::string fixture(const std::string& name);
/// The configurations with a checkpoint under tests/fixtures, sorted.
std::vector<std::string> configurations();

/// A file of expected tensors. Asking for a name it has not ends the test program with that name.
class Expected {
 public:
  explicit Expected(const std::string& path);
  bool has(const std::string& name) const { return file_.tensors().contains(name); }
  tensor::Shape shape(const std::string& name) const { return view(name).shape; }
  std::vector<float> floats(const std::string& name) const;
  std::vector<int32_t> integers(const std::string& name) const;
  /// Names that begin so.
  std::vector<std::string> names(const std::string& prefix) const;

 private:
  tensor::View view(const std::string& name) const;
  tensor::SafetensorsFile file_;
};

/// |a - b| / |b|; infinite for unlike lengths or values that are no numbers.
double relative_error(std::span<const float> a, std::span<const float> b);

/// Fails the test when the error is above `most`, naming the tensor; remembers the largest for the summary.
void expect_near(const std::string& part, const std::string& name, std::span<const float> actual,
                 std::span<const float> expected, double most);

}  // namespace calliope::parity
