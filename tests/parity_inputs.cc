#include "parity_inputs.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <boost/json.hpp>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <limits>
#include <sstream>

namespace calliope::parity {

namespace fs = std::filesystem;
using tensor::Tensor;

std::vector<uint32_t> hashed(uint32_t seed, int64_t count) {
  std::vector<uint32_t> out(static_cast<size_t>(count));
  for (size_t i = 0; i < out.size(); ++i) {
    uint32_t x = static_cast<uint32_t>(i) + seed * 0x9E3779B9u;
    x ^= x >> 16;
    x *= 0x7FEB352Du;
    x ^= x >> 15;
    x *= 0x846CA68Bu;
    out[i] = x ^ (x >> 16);
  }
  return out;
}

Tensor noise(uint32_t seed, tensor::Shape shape) {
  Tensor out(shape);
  const auto bits = hashed(seed, shape.elements());
  for (size_t i = 0; i < bits.size(); ++i) out.data()[i] = static_cast<float>(bits[i] >> 8) / float(1 << 23) - 1.0f;
  return out;
}

std::vector<int32_t> whole_numbers(uint32_t seed, uint32_t below, int64_t count) {
  std::vector<int32_t> out;
  for (const uint32_t bits : hashed(seed, count)) out.push_back(static_cast<int32_t>(bits % below));
  return out;
}

std::vector<float> sound(uint32_t seed, int64_t samples) {
  const auto bits = hashed(seed, samples);
  std::vector<float> out;
  for (int64_t i = 0; i < samples; ++i) {
    const int64_t saw = (i * (3 + seed % 7)) % 200 - 100, chirp = (i * i / (500 + seed % 11)) % 400 - 200;
    const int64_t hiss = static_cast<int64_t>(bits[static_cast<size_t>(i)] >> 22) - 512;
    out.push_back(static_cast<float>(saw * 60 + chirp * 20 + hiss) / 32768.0f);
  }
  return out;
}

assistant::Image picture(uint32_t seed, int width, int height) {
  assistant::Image image{.width = width, .height = height, .rgb = {}};
  const auto bits = hashed(seed, int64_t{3} * width * height);
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      for (int c = 0; c < 3; ++c) {
        const int slope = (x * (3 + c) + y * (5 - c) + static_cast<int>(seed) * 31) % 256 / 2;
        image.rgb.push_back(static_cast<uint8_t>(slope + static_cast<int>(bits[image.rgb.size()] >> 25)));
      }
    }
  }
  return image;
}

std::vector<assistant::Request> prompts() {
  std::ifstream file(fixture("prompts.json"));
  std::stringstream text;
  text << file.rdbuf();
  std::vector<assistant::Request> requests;
  const boost::json::value document = boost::json::parse(text.str());
  for (const auto& turns : document.as_array()) {
    assistant::Request& request = requests.emplace_back();
    for (const auto& turn : turns.as_array()) {
      const std::string role(turn.at("role").as_string());
      assistant::Turn& to = request.turns.emplace_back();
      to.role = role == "system" ? assistant::Role::system
                : role == "user" ? assistant::Role::user
                                 : assistant::Role::assistant;
      for (const auto& part : turn.at("parts").as_array()) {
        const auto number = [&](const char* name, size_t i) { return part.at(name).at(i).to_number<int>(); };
        if (part.as_object().contains("text")) {
          to.parts.emplace_back(std::string(part.at("text").as_string()));
        } else if (part.as_object().contains("image")) {
          to.parts.emplace_back(std::make_shared<const assistant::Image>(
              picture(static_cast<uint32_t>(number("image", 2)), number("image", 0), number("image", 1))));
        } else {
          to.parts.emplace_back(std::make_shared<const assistant::Sound>(
              assistant::Sound{sound(static_cast<uint32_t>(number("audio", 1)), number("audio", 0))}));
        }
      }
    }
  }
  return requests;
}

std::string fixture(const std::string& name) {
  return (fs::path(CALLIOPE_SOURCE_DIR) / "tests" / "fixtures" / name).string();
}

std::vector<std::string> configurations() {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(fixture(""))) {
    if (fs::exists(entry.path() / "expected.safetensors")) names.push_back(entry.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

namespace {

tensor::SafetensorsFile open_or_exit(const std::string& path) {
  auto file = tensor::SafetensorsFile::open(path);
  if (file) return std::move(*file);
  std::fprintf(stderr, "%s\n", file.error().message.c_str());
  std::exit(1);
}

// The largest error of each part, printed when the program ends.
struct Summary {
  std::map<std::string, std::pair<double, std::string>> worst;
  ~Summary() {
    for (const auto& [part, error] : worst) {
      std::printf("parity | %-20s | %.1e | %s\n", part.c_str(), error.first, error.second.c_str());
    }
  }
};

}  // namespace

Expected::Expected(const std::string& path) : file_(open_or_exit(path)) {}

tensor::View Expected::view(const std::string& name) const {
  const auto found = file_.tensors().find(name);
  if (found != file_.tensors().end()) return found->second;
  std::fprintf(stderr, "the fixture has no tensor %s\n", name.c_str());
  std::exit(1);
}

std::vector<float> Expected::floats(const std::string& name) const {
  const tensor::View from = view(name);
  std::vector<float> out(static_cast<size_t>(from.shape.elements()));
  from.to_f32(out);
  return out;
}

std::vector<int32_t> Expected::integers(const std::string& name) const {
  const tensor::View from = view(name);
  EXPECT_EQ(from.dtype, tensor::DType::i32) << name;
  const auto* data = reinterpret_cast<const int32_t*>(from.data);
  return {data, data + from.shape.elements()};
}

std::vector<std::string> Expected::names(const std::string& prefix) const {
  std::vector<std::string> out;
  for (const auto& [name, view] : file_.tensors()) {
    if (name.starts_with(prefix)) out.push_back(name);
  }
  return out;
}

double relative_error(std::span<const float> a, std::span<const float> b) {
  if (a.size() != b.size() || a.empty()) return std::numeric_limits<double>::infinity();
  double difference = 0, size = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    const double d = double(a[i]) - double(b[i]);
    difference += d * d;
    size += double(b[i]) * double(b[i]);
  }
  const double error = std::sqrt(difference / size);
  return std::isfinite(error) ? error : std::numeric_limits<double>::infinity();
}

void expect_near(const std::string& part, const std::string& name, std::span<const float> actual,
                 std::span<const float> expected, double most) {
  static Summary summary;
  const double error = relative_error(actual, expected);
  auto& worst = summary.worst[part];
  if (worst.second.empty() || error > worst.first) worst = {error, name};
  EXPECT_LE(error, most) << name << ": relative error " << error << " over " << actual.size() << " values, expected "
                         << expected.size();
}

}  // namespace calliope::parity
