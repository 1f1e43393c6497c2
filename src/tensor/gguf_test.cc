#include "tensor/gguf.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>

#include "tensor/gguf_writer.h"

namespace calliope::tensor {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;

class Folder {
 public:
  Folder() { fs::create_directories(path_); }
  ~Folder() { fs::remove_all(path_); }
  std::string file(const std::string& name) const { return (path_ / name).string(); }

 private:
  fs::path path_ = fs::temp_directory_path() / ("calliope-gguf-" + std::to_string(::getpid()));
};

// A GGUF file put together field by field, so that any of them can lie.
struct Builder {
  std::string bytes;

  template <class T>
  Builder& number(T value) {
    bytes.append(reinterpret_cast<const char*>(&value), sizeof value);
    return *this;
  }
  Builder& text(std::string_view value) {
    number(uint64_t{value.size()});
    bytes += value;
    return *this;
  }
  Builder& header(uint64_t tensors, uint64_t values, uint32_t version = 3) {
    bytes += "GGUF";
    return number(version).number(tensors).number(values);
  }
  Builder& tensor(std::string_view name, std::vector<uint64_t> innermost_first, uint32_t type, uint64_t offset) {
    text(name).number(static_cast<uint32_t>(innermost_first.size()));
    for (const uint64_t dim : innermost_first) number(dim);
    return number(type).number(offset);
  }
  Builder& data(size_t count) {
    bytes.append((32 - bytes.size() % 32) % 32, '\0');
    bytes.append(count, '\1');
    return *this;
  }
  Result<GgufFile> parse(size_t size = std::string::npos) const {
    words.assign(bytes.size() / 8 + 1, 0);
    std::memcpy(words.data(), bytes.data(), bytes.size());
    return GgufFile::parse({reinterpret_cast<const std::byte*>(words.data()), std::min(size, bytes.size())}, "x.gguf");
  }
  std::string error() const {
    const auto file = parse();
    return file ? "it is read" : file.error().message;
  }
  mutable std::vector<uint64_t> words{};
};

constexpr uint32_t kF32 = 0, kF16 = 1, kQ3K = 11, kQ8_0 = 8;
constexpr uint32_t kU32 = 4, kText = 8, kArray = 9;

TEST(Gguf, EveryTypeThereAndBack) {
  const Folder folder;
  const GgufFields fields = {{"a.bool", true},
                             {"a.u32", uint32_t{4000000000}},
                             {"a.i32", int32_t{-5}},
                             {"a.u64", uint64_t{1} << 63},
                             {"a.i64", int64_t{-7}},
                             {"a.f32", 0.5f},
                             {"a.f64", 0.25},
                             {"a.text", std::string("über\0s", 7)},
                             {"a.texts", std::vector<std::string>{"a", "", "ccc"}},
                             {"a.integers", std::vector<int32_t>{1, -2}},
                             {"a.wide", std::vector<int64_t>{int64_t{1} << 40}},
                             {"a.numbers", std::vector<float>{1.5f}}};
  std::vector<GgufTensor> tensors;
  for (const DType type : {DType::f32, DType::f16, DType::bf16, DType::q8_0, DType::q4_0, DType::q4_k, DType::q5_k,
                           DType::q6_k, DType::i32, DType::i64}) {
    tensors.push_back({std::string(name_of(type)), type, {3, block_elements(type)}});
  }
  tensors.push_back({"empty", DType::f32, {0, 2}});
  tensors.push_back({"rank 4", DType::f16, {2, 1, 3, 5}});
  auto writer = GgufWriter::create(folder.file("x.gguf"), fields, tensors);
  ASSERT_TRUE(writer) << writer.error().message;
  EXPECT_FALSE(fs::exists(folder.file("x.gguf"))) << "before it is finished";
  for (size_t i = 0; i < tensors.size(); ++i) {
    const std::vector<std::byte> data(bytes_of(tensors[i].dtype, tensors[i].shape.elements()), static_cast<std::byte>(i + 1));
    for (size_t at = 0; at < data.size(); at += 50) {
      ASSERT_TRUE(writer->write(std::span(data).subspan(at, std::min<size_t>(50, data.size() - at))));
    }
  }
  ASSERT_TRUE(writer->finish());

  const auto file = GgufFile::open(folder.file("x.gguf"));
  ASSERT_TRUE(file) << file.error().message;
  EXPECT_EQ(file->find("a.bool")->boolean(), true);
  EXPECT_EQ(file->find("a.u32")->integer(), 4000000000);
  EXPECT_EQ(file->find("a.i32")->integer(), -5);
  EXPECT_EQ(file->find("a.u64")->integer(), std::nullopt) << "does not fit";
  EXPECT_EQ(file->find("a.u64")->number(), 0x1p63);
  EXPECT_EQ(file->find("a.i64")->number(), -7.0);
  EXPECT_EQ(file->find("a.f32")->number(), 0.5);
  EXPECT_EQ(file->find("a.f32")->integer(), std::nullopt);
  EXPECT_EQ(file->find("a.f64")->number(), 0.25);
  EXPECT_EQ(file->find("a.text")->text(), std::string_view("über\0s", 7));
  EXPECT_THAT(*file->find("a.texts")->texts(), ElementsAre("a", "", "ccc"));
  EXPECT_FALSE(file->find("a.texts")->integers());
  EXPECT_THAT(*file->find("a.integers")->integers(), ElementsAre(1, -2));
  EXPECT_THAT(*file->find("a.wide")->numbers(), ElementsAre(0x1p40));
  EXPECT_THAT(*file->find("a.numbers")->numbers(), ElementsAre(1.5));
  EXPECT_EQ(file->find("a.none"), nullptr);
  ASSERT_EQ(file->tensors().size(), tensors.size());
  for (size_t i = 0; i < tensors.size(); ++i) {
    const View view = file->tensors().at(tensors[i].name);
    EXPECT_EQ(view.dtype, tensors[i].dtype);
    EXPECT_EQ(view.shape, tensors[i].shape) << view.shape.text();
    for (size_t b = 0; b < view.bytes(); ++b) ASSERT_EQ(view.data[b], static_cast<std::byte>(i + 1));
  }
}

TEST(Gguf, AWriterThatIsNotFinishedLeavesNothing) {
  const Folder folder;
  {
    auto writer = GgufWriter::create(folder.file("x.gguf"), {}, {{"a", DType::f32, {2}}});
    ASSERT_TRUE(writer);
  }
  EXPECT_FALSE(fs::exists(folder.file("x.gguf")));
  EXPECT_FALSE(fs::exists(folder.file("x.gguf.tmp")));
  EXPECT_FALSE(GgufWriter::create(folder.file("no/such/folder.gguf"), {}, {}));
}

Builder good() {
  Builder file;
  file.header(2, 3);
  file.text("general.architecture").number(kText).text("qwen3");
  file.text("a.list").number(kArray).number(kText).number(uint64_t{2}).text("a").text("bc");
  file.text("a.nested").number(kArray).number(kArray).number(uint64_t{1}).number(kU32).number(uint64_t{2}).number(1).number(2);
  file.tensor("w", {32, 2}, kQ8_0, 0).tensor("b", {2}, kF32, 96).data(104);
  return file;
}

TEST(Gguf, Version2And3) {
  ASSERT_EQ(good().error(), "it is read");
  EXPECT_EQ(good().parse()->tensors().at("w").shape, Shape({2, 32}));
  EXPECT_FALSE(good().parse()->find("a.nested")->integers());
  EXPECT_TRUE(Builder().header(0, 0, 2).parse());
  EXPECT_THAT(Builder().header(0, 0, 1).error(), HasSubstr("version 1; versions 2 and 3 are read"));
  EXPECT_THAT(Builder().header(0, 0, 0x03000000).error(), HasSubstr("big-endian"));
  EXPECT_THAT(Builder{"GGML----------------------"}.error(), HasSubstr("does not begin with GGUF"));
}

TEST(Gguf, CutAnywhereItIsNoFile) {
  const Builder file = good();
  for (size_t size = 0; size < file.bytes.size(); ++size) {
    const auto cut = file.parse(size);
    ASSERT_FALSE(cut) << size;
    ASSERT_THAT(cut.error().message, HasSubstr("x.gguf: "));
  }
}

TEST(Gguf, LiesAreNamed) {
  constexpr uint64_t kHuge = ~uint64_t{0};
  const auto value = [](uint32_t type) { return Builder().header(0, 1).text("k").number(type); };
  const auto one = [](std::vector<uint64_t> dims, uint32_t type, uint64_t offset) {
    return Builder().header(1, 0).tensor("w", std::move(dims), type, offset).data(64).error();
  };
  EXPECT_THAT(Builder().header(kHuge, 0).error(), HasSubstr("more than the file can hold"));
  EXPECT_THAT(Builder().header(0, kHuge).error(), HasSubstr("more than the file can hold"));
  EXPECT_THAT(value(kText).number(kHuge).error(), HasSubstr("metadata k goes over the end"));
  EXPECT_THAT(value(kArray).number(kU32).number(kHuge / 4 + 2).number(1).error(), HasSubstr("metadata k goes over the end"));
  EXPECT_THAT(value(kArray).number(kText).number(kHuge).number(uint64_t{1}).error(), HasSubstr("metadata k"));
  EXPECT_THAT(value(kArray).number(uint32_t{13}).number(uint64_t{0}).error(), HasSubstr("unknown type"));
  EXPECT_THAT(value(99).number(uint64_t{0}).error(), HasSubstr("the type 99"));
  Builder deep = value(kArray);
  for (int i = 0; i < 1000; ++i) deep.number(kArray).number(uint64_t{1});
  EXPECT_THAT(deep.error(), HasSubstr("nested too deeply"));
  EXPECT_THAT(Builder().header(0, 1).number(kHuge).number(uint64_t{0}).error(), HasSubstr("metadata value 0"));
  EXPECT_THAT(Builder().header(0, 1).text("").number(kU32).number(1).number(1).error(), HasSubstr("name of 0 bytes"));
  EXPECT_THAT(Builder().header(0, 2).text("k").number(kU32).number(1).text("k").number(kU32).number(1).error(),
              HasSubstr("metadata k is given twice"));
  for (const uint32_t alignment : {0u, 1u, 4u, 24u, 1u << 30}) {
    EXPECT_THAT(Builder().header(0, 1).text("general.alignment").number(kU32).number(alignment).error(),
                HasSubstr("general.alignment must be a power of two"));
  }

  EXPECT_EQ(one({16}, kF32, 0), "it is read");
  EXPECT_THAT(one({}, kF32, 0), HasSubstr("tensor w has 0 dimensions"));
  EXPECT_THAT(one({1, 1, 1, 1, 1}, kF32, 0), HasSubstr("tensor w has 5 dimensions"));
  EXPECT_THAT(one({17}, kF32, 0), HasSubstr("tensor w lies outside the file"));
  EXPECT_THAT(one({16}, kF32, 32), HasSubstr("tensor w lies outside the file"));
  EXPECT_THAT(one({1}, kF32, kHuge - 31), HasSubstr("tensor w lies outside the file"));
  EXPECT_THAT(one({1}, kQ3K, kHuge - 31), HasSubstr("tensor w lies outside the file"));
  EXPECT_THAT(one({1}, kF32, 4), HasSubstr("multiple of general.alignment"));
  EXPECT_THAT(one({kHuge}, kF32, 0), HasSubstr("dimension out of range"));
  EXPECT_THAT(one({uint64_t{1} << 32, uint64_t{1} << 32}, kF16, 0), HasSubstr("more elements than fit"));
  EXPECT_THAT(one({uint64_t{1} << 32, uint64_t{1} << 32, 0}, kF16, 0), HasSubstr("more elements than fit"));
  EXPECT_THAT(one({uint64_t{1} << 61}, kF32, 0), HasSubstr("more elements than fit"));
  EXPECT_THAT(one({48}, kQ8_0, 0), HasSubstr("Q8_0 but its rows of 48 are no multiple of 32"));
  EXPECT_THAT(Builder().header(2, 0).tensor("w", {1}, kF32, 0).tensor("w", {1}, kF32, 32).data(64).error(),
              HasSubstr("tensor w is given twice"));
  EXPECT_THAT(Builder().header(2, 0).tensor("w", {16}, kF32, 0).tensor("v", {1}, kF32, 32).data(64).error(),
              HasSubstr("tensor v overlaps tensor w"));
}

TEST(Gguf, ATensorWithoutElementsIsNoNullView) {
  const Builder file = Builder().header(1, 0).tensor("w", {0, 3}, kF32, 0);  // its data would begin after the end
  const auto parsed = file.parse();
  ASSERT_TRUE(parsed) << parsed.error().message;
  EXPECT_TRUE(parsed->tensors().at("w"));
  EXPECT_EQ(parsed->tensors().at("w").bytes(), 0u);
}

TEST(Gguf, TypesThatAreNotReadAreNamed) {
  const Builder file = Builder().header(2, 0).tensor("w", {256}, kQ3K, 0).tensor("v", {256}, 77, 0).data(256);
  const auto parsed = file.parse();
  ASSERT_TRUE(parsed);
  EXPECT_TRUE(parsed->tensors().empty());
  EXPECT_EQ(parsed->left_out().at("w"), "Q3_K");
  EXPECT_EQ(parsed->left_out().at("v"), "type 77");
}

TEST(Gguf, FilesThatCannotBeMappedAreNamed) {
  const Folder folder;
  EXPECT_EQ(GgufFile::open(folder.file("none.gguf")).error().code, ErrorCode::not_found);
  std::ofstream(folder.file("empty.gguf"));
  EXPECT_THAT(GgufFile::open(folder.file("empty.gguf")).error().message, HasSubstr("does not begin with GGUF"));
  EXPECT_EQ(GgufFile::open(fs::temp_directory_path().string()).error().code, ErrorCode::io);
}

}  // namespace
}  // namespace calliope::tensor
