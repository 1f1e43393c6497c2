#include "tensor/safetensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>

namespace calliope::tensor {
namespace {

namespace fs = std::filesystem;

// A file's bytes, aligned to 8: the header's length, the header, data.
class Bytes {
 public:
  Bytes(std::string_view header, size_t data, uint64_t length)
      : size_(8 + header.size() + data), words_(size_ / 8 + 1) {
    auto* at = reinterpret_cast<char*>(words_.data());
    std::memcpy(at, &length, 8);
    std::copy(header.begin(), header.end(), at + 8);
    for (size_t i = 0; i < data; ++i) at[8 + header.size() + i] = static_cast<char>(i);
  }
  Bytes(std::string header, size_t data) : Bytes(padded(header), data, padded(header).size()) {}
  std::span<const std::byte> span() const { return {reinterpret_cast<const std::byte*>(words_.data()), size_}; }

 private:
  static std::string padded(std::string header) { return header.append((8 - header.size() % 8) % 8, ' '); }
  size_t size_;
  std::vector<uint64_t> words_;
};

Result<SafetensorsFile> parse(const std::string& header, size_t data) {
  return SafetensorsFile::parse(Bytes(header, data).span(), "x.safetensors");
}

class Folder {
 public:
  Folder() { fs::create_directories(path_); }
  ~Folder() { fs::remove_all(path_); }
  std::string file(const std::string& name) const { return (path_ / name).string(); }

 private:
  fs::path path_ = fs::temp_directory_path() / ("calliope-safetensors-" + std::to_string(::getpid()));
};

TEST(Safetensors, AllTypesThereAndBack) {
  const Folder folder;
  alignas(8) unsigned char data[8 * 6];
  for (size_t i = 0; i < sizeof data; ++i) data[i] = static_cast<unsigned char>(i * 37);
  std::map<std::string, View> tensors;
  for (const DType type : {DType::f32, DType::f16, DType::bf16, DType::i64, DType::i32, DType::u8, DType::boolean}) {
    // Odd counts, so that each would throw the next one's alignment off.
    tensors["a " + std::string(name_of(type))] = {type, {1, 3}, reinterpret_cast<const std::byte*>(data)};
    tensors["scalar " + std::string(name_of(type))] = {type, {}, reinterpret_cast<const std::byte*>(data)};
    tensors["empty " + std::string(name_of(type))] = {type, {2, 0, 3}, reinterpret_cast<const std::byte*>(data)};
  }
  tensors["名前 \"\\\n"] = {DType::u8, {6, 1, 1, 1, 1, 1}, reinterpret_cast<const std::byte*>(data)};
  const std::string path = folder.file("all.safetensors");
  ASSERT_TRUE(save_safetensors(path, tensors, {{"format", "pt"}, {"ключ", "значение"}}));
  const auto file = SafetensorsFile::open(path);
  ASSERT_TRUE(file) << file.error().message;
  ASSERT_EQ(file->tensors().size(), tensors.size());
  for (const auto& [name, view] : tensors) {
    const auto found = file->tensors().find(name);
    ASSERT_NE(found, file->tensors().end()) << name;
    EXPECT_EQ(found->second.dtype, view.dtype);
    EXPECT_EQ(found->second.shape, view.shape);
    EXPECT_EQ(std::memcmp(found->second.data, view.data, view.bytes()), 0) << name;
    EXPECT_TRUE(found->second) << name;
  }
  EXPECT_EQ(file->metadata().size(), 2u);
  EXPECT_EQ(file->metadata().find("ключ")->second, "значение");
  EXPECT_FALSE(fs::exists(path + ".tmp"));
}

TEST(Safetensors, CutAnywhereItIsNoFile) {
  const Folder folder;
  alignas(8) const float data[6] = {1, 2, 3, 4, 5, 6};
  const View view{DType::f32, {2, 3}, reinterpret_cast<const std::byte*>(data)};
  ASSERT_TRUE(save_safetensors(folder.file("x"), {{"a", view}, {"b", view}}));
  std::ifstream file(folder.file("x"), std::ios::binary);
  const std::string whole((std::istreambuf_iterator<char>(file)), {});
  const std::string path = folder.file("cut");
  for (size_t length = 0; length < whole.size(); ++length) {
    std::ofstream(path, std::ios::binary | std::ios::trunc) << whole.substr(0, length);
    const auto cut = SafetensorsFile::open(path);
    ASSERT_FALSE(cut) << length;
    EXPECT_EQ(cut.error().code, ErrorCode::invalid_argument);
    EXPECT_NE(cut.error().message.find(path), std::string::npos) << cut.error().message;
  }
  std::ofstream(path, std::ios::binary | std::ios::trunc) << whole << "x";
  EXPECT_FALSE(SafetensorsFile::open(path)) << "bytes that no tensor names";
}

TEST(Safetensors, WhatIsNoRegularFileIsAnError) {
  const Folder folder;
  EXPECT_EQ(SafetensorsFile::open(folder.file("none")).error().code, ErrorCode::not_found);
  EXPECT_EQ(SafetensorsFile::open(folder.file("")).error().code, ErrorCode::io);
  EXPECT_EQ(SafetensorsFile::open("/dev/null").error().code, ErrorCode::io);
  EXPECT_EQ(save_safetensors(folder.file("no/such/folder"), {}).error().code, ErrorCode::io);
}

TEST(Safetensors, TheSmallestFile) {
  EXPECT_TRUE(parse("{}", 0));
  EXPECT_TRUE(parse("{\"__metadata__\":{}}", 0));
  const auto one = parse("{\"a\":{\"data_offsets\":[0,4],\"shape\":[1],\"dtype\":\"F32\"}}", 4);
  ASSERT_TRUE(one) << one.error().message;
  EXPECT_EQ(one->tensors().size(), 1u);
  // A type this program does not know is left out, but its place is checked.
  const auto other = parse(
      R"({"a":{"dtype":"F8_E4M3","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})",
      8);
  ASSERT_TRUE(other) << other.error().message;
  EXPECT_EQ(other->tensors().size(), 1u);
  EXPECT_EQ(other->left_out().at("a"), "F8_E4M3");
}

struct Hostile {
  std::string header, message;
  size_t data = 8;
};

std::string tensor(const std::string& name, const std::string& dtype, const std::string& shape,
                   const std::string& offsets) {
  return "\"" + name + "\":{\"dtype\":\"" + dtype + "\",\"shape\":" + shape + ",\"data_offsets\":" + offsets + "}";
}

TEST(Safetensors, HostileHeadersAreNamed) {
  const std::string a = tensor("a", "F32", "[2]", "[0,8]"), max = "18446744073709551615";
  const std::vector<Hostile> cases = {
      {"", "not a JSON object"},
      {"[]", "not a JSON object"},
      {"{" + a, "not a JSON object"},
      {"{" + a + "}{}", "not a JSON object"},
      {"{\"\xFF\":1}", "not a JSON object"},
      {"{\"a\xC3\":" + a.substr(4) + "}", "not a JSON object"},
      {"{" + a + "," + a + "}", "tensor a is named twice"},
      {"{" + a + ",\"\\u0061\":" + a.substr(4) + "}", "tensor a is named twice"},
      {"{\"a\":7}", "tensor a has a number"},
      {"{\"a\":null}", "tensor a has null"},
      {"{\"a\":[]}", "tensor a has an array"},
      {"{\"a\":{}}", "tensor a lacks"},
      {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2]}}", "tensor a lacks"},
      {"{\"a\":{\"dtype\":\"F32\",\"dtype\":\"F32\"}}", "tensor a has dtype twice"},
      {"{\"a\":{\"dtype\":7}}", "tensor a has a number"},
      {"{\"a\":{\"dtype\":{}}}", "tensor a has an object"},
      {"{\"a\":{\"other\":7}}", "unknown field other"},
      {"{\"__metadata__\":7}", "a number"},
      {"{\"__metadata__\":{\"a\":7}}", "a number"},
      {"{\"__metadata__\":{\"a\":{}}}", "an object"},
      {"{" + tensor("a", "F32", "[1.5]", "[0,8]") + "}", "not whole"},
      {"{" + tensor("a", "F32", "[1e300]", "[0,8]") + "}", "not whole"},
      {"{" + tensor("a", "F32", "[-2]", "[0,8]") + "}", "negative"},
      {"{" + tensor("a", "F32", "[[2]]", "[0,8]") + "}", "an array"},
      {"{" + tensor("a", "F32", "[\"2\"]", "[0,8]") + "}", "text"},
      {"{" + tensor("a", "F32", "[1,1,1,1,1,1,2]", "[0,8]") + "}", "more than 6"},
      {"{" + tensor("a", "F32", "[" + max + "]", "[0,8]") + "}", "too large"},
      {"{" + tensor("a", "F32", "[2]", "[0]") + "}", "two data_offsets"},
      {"{" + tensor("a", "F32", "[2]", "[0,8,8]") + "}", "two data_offsets"},
      {"{" + tensor("a", "F32", "[2]", "[8,0]") + "}", "outside the file"},
      {"{" + tensor("a", "F32", "[2]", "[0,16]") + "}", "outside the file"},
      {"{" + tensor("a", "F32", "[2]", "[" + max + "," + max + "]") + "}", "outside the file"},
      {"{" + tensor("a", "F32", "[2]", "[18446744073709551616,8]") + "}", "too large"},
      {"{" + tensor("a", "F32", "[3]", "[0,8]") + "}", "contradicts"},
      {"{" + tensor("a", "F16", "[2]", "[0,8]") + "}", "contradicts"},
      {"{" + tensor("a", "F32", "[0]", "[0,8]") + "}", "contradicts"},
      // Products that come out right only modulo 2^64, or only because of the zero.
      {"{" + tensor("a", "F32", "[4611686018427387906]", "[0,8]") + "}", "contradicts"},
      {"{" + tensor("a", "F32", "[4294967296,4294967296,2]", "[0,0]") + "}", "contradicts", 0},
      {"{" + tensor("a", "F32", "[4611686018427387904,4611686018427387904,0]", "[0,0]") + "}", "contradicts", 0},
      {"{" + tensor("a", "U8", "[9223372036854775807,2,0]", "[0,0]") + "}", "contradicts", 0},
      {"{" + tensor("a", "F32", "[1]", "[0,4]") + "," + tensor("b", "F32", "[2]", "[0,8]") + "}", "overlaps"},
      {"{" + tensor("a", "F32", "[2]", "[0,8]") + "," + tensor("b", "F32", "[1]", "[4,8]") + "}", "overlaps"},
      {"{" + tensor("a", "U8", "[2]", "[0,2]") + "," + tensor("b", "U8", "[5]", "[3,8]") + "}", "gap after tensor a"},
      {"{" + tensor("a", "F32", "[1]", "[4,8]") + "}", "gap after the header"},
      {"{" + tensor("a", "F32", "[1]", "[0,4]") + "}", "4 bytes after tensor a"},
      {"{" + tensor("a", "U8", "[1]", "[0,1]") + "," + tensor("b", "F32", "[1]", "[1,5]") + "}",
       "multiple of its element", 5},
      {"{\"a\":" + std::string(100'000, '['), "an array"},
      {std::string(100'000, '['), "not a JSON object"},
      {"{\"__metadata__\":" + std::string(100'000, '{'), "not a JSON object"},
      {"{\"" + std::string(5000, 'n') + "\":{}}", "not a JSON object"},
  };
  for (const Hostile& one : cases) {
    const auto got = parse(one.header, one.data);
    ASSERT_FALSE(got) << one.header.substr(0, 200);
    EXPECT_NE(got.error().message.find(one.message), std::string::npos)
        << got.error().message << " for " << one.header.substr(0, 200);
    EXPECT_NE(got.error().message.find("x.safetensors"), std::string::npos) << got.error().message;
    EXPECT_EQ(got.error().code, ErrorCode::invalid_argument);
  }
}

TEST(Safetensors, HugeHeaderLengths) {
  for (const uint64_t length :
       {uint64_t{3}, uint64_t{9}, uint64_t{100'000'001}, uint64_t{1} << 63, ~uint64_t{0}, ~uint64_t{0} - 7}) {
    EXPECT_FALSE(SafetensorsFile::parse(Bytes("{}      ", 0, length).span(), "x")) << length;
  }
  EXPECT_TRUE(SafetensorsFile::parse(Bytes("{}      ", 0, 8).span(), "x"));
}

}  // namespace
}  // namespace calliope::tensor
