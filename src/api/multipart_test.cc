#include "api/multipart.h"

#include <gtest/gtest.h>

namespace calliope::api {
namespace {

constexpr std::string_view kType = "multipart/form-data; boundary=xyz";

/// A part with this Content-Disposition and value, its boundary before it.
std::string part(std::string_view disposition, std::string_view value, std::string_view more_headers = {}) {
  return "--xyz\r\nContent-Disposition: " + std::string(disposition) + "\r\n" + std::string(more_headers) + "\r\n" +
         std::string(value) + "\r\n";
}
std::string named(std::string_view name, std::string_view value) {
  return part("form-data; name=\"" + std::string(name) + "\"", value);
}
const std::string kEnd = "--xyz--\r\n";

TEST(Multipart, ReadsFieldsAndFilesAsTheyAre) {
  const std::string bytes("\r\n--xy\0\xff--xyz\r\n\r\n", 18);  // nearly a boundary, and one without the line before it
  const std::string body =
      named("model", "nano") +
      part("form-data; name=\"file\"; filename=\"a \\\"b\\\" \\c.wav\"", bytes, "Content-Type: audio/wav\r\n") +
      named("empty", "") + kEnd;
  const auto parts = parse_multipart(kType, body);
  ASSERT_TRUE(parts) << parts.error().message;
  ASSERT_EQ(parts->size(), 3u);
  EXPECT_EQ((*parts)[0].name, "model");
  EXPECT_EQ((*parts)[0].value, "nano");
  EXPECT_FALSE((*parts)[0].filename);
  EXPECT_EQ((*parts)[1].filename, "a \"b\" \\c.wav");
  EXPECT_EQ((*parts)[1].value, bytes);
  EXPECT_EQ((*parts)[2].value, "");
}

TEST(Multipart, TakesEveryWayToWriteABoundary) {
  const std::string plain = named("a", "1") + kEnd;
  const std::pair<std::string, std::string> cases[] = {
      {"multipart/form-data; boundary=\"xyz\"", plain},
      {"Multipart/Form-Data;charset=utf-8 ; BOUNDARY=xyz", plain},
      {"multipart/form-data; boundary=xyz", "a preamble\r\n" + plain},
      {"multipart/form-data; boundary=xyz", "\r\n" + plain},
      {"multipart/form-data; boundary=xyz", plain + "an epilogue --xyz\r\n"},
      {"multipart/form-data; boundary=xyz", named("a", "1") + "--xyz--"},
      {"multipart/form-data; boundary=xyz", "--xyz \t\r\nContent-Disposition: form-data; name=a\r\n\r\n1\r\n--xyz--"},
      {"multipart/form-data; boundary=\"x y:z\"",
       "--x y:z\r\ncontent-disposition:form-data;name=\"a\";\r\n\r\n1\r\n--x y:z--"},
  };
  for (const auto& [type, body] : cases) {
    const auto parts = parse_multipart(type, body);
    ASSERT_TRUE(parts) << type << "\n" << body << "\n" << parts.error().message;
    ASSERT_EQ(parts->size(), 1u) << body;
    EXPECT_EQ((*parts)[0].name, "a");
    EXPECT_EQ((*parts)[0].value, "1") << body;
  }
  // A longer word after the boundary is no boundary, but content.
  const auto longer = parse_multipart(kType, named("a", "1\r\n--xyzw\r\n2") + kEnd);
  ASSERT_TRUE(longer);
  EXPECT_EQ((*longer)[0].value, "1\r\n--xyzw\r\n2");
  // No value and no line of its own before the boundary.
  const auto none = parse_multipart(kType, "--xyz\r\nContent-Disposition: form-data; name=a\r\n\r\n--xyz--");
  ASSERT_TRUE(none);
  EXPECT_EQ((*none)[0].value, "");
  EXPECT_TRUE(parse_multipart(kType, kEnd)->empty());
}

TEST(Multipart, SaysWhichPartIsWrong) {
  const std::string many_parameters = [] {
    std::string text = "form-data; name=a";
    for (int i = 0; i < 20; ++i) text += "; p" + std::to_string(i) + "=1";
    return text;
  }();
  const struct {
    std::string type, body;
    ErrorCode code;
    std::string says;
  } cases[] = {
      {"application/json", "{}", ErrorCode::unsupported, "not 'application/json'"},
      {"", "", ErrorCode::unsupported, "multipart/form-data"},
      {"multipart/form-data", named("a", "1") + kEnd, ErrorCode::invalid_argument, "needs a boundary"},
      {"multipart/form-data; boundary=", kEnd, ErrorCode::invalid_argument, "needs a boundary"},
      {"multipart/form-data; boundary=\"a\nb\"", kEnd, ErrorCode::invalid_argument, "needs a boundary"},
      {"multipart/form-data; boundary=" + std::string(71, 'x'), kEnd, ErrorCode::invalid_argument, "1 to 70"},
      {"multipart/form-data; boundary=\"xyz", kEnd, ErrorCode::unsupported, "multipart/form-data"},
      {std::string(kType), "", ErrorCode::invalid_argument, "holds no part"},
      {std::string(kType), "--other\r\n", ErrorCode::invalid_argument, "holds no part"},
      {std::string(kType), named("a", "1"), ErrorCode::invalid_argument, "part 1 ('a'): the body ends"},
      {std::string(kType), named("a", "1") + "--xyz\r\n", ErrorCode::invalid_argument,
       "part 2: the body ends among its headers"},
      {std::string(kType), "--xyz\r\nContent-Disposition: form-data; name=a\n\n1\r\n" + kEnd,
       ErrorCode::invalid_argument, "must end in CRLF"},
      {std::string(kType), "--xyz\r\n\r\n1\r\n" + kEnd, ErrorCode::invalid_argument,
       "part 1: it has no Content-Disposition"},
      {std::string(kType), "--xyz\r\nnonsense\r\n\r\n1\r\n" + kEnd, ErrorCode::invalid_argument, "'Name: value'"},
      {std::string(kType), part("attachment; name=a", "1") + kEnd, ErrorCode::invalid_argument, "form-data; name"},
      {std::string(kType), part("form-data; filename=a", "1") + kEnd, ErrorCode::invalid_argument, "names no field"},
      {std::string(kType), part("form-data; name=a; name=b", "1") + kEnd, ErrorCode::invalid_argument,
       "form-data; name"},
      {std::string(kType), part(many_parameters, "1") + kEnd, ErrorCode::invalid_argument, "form-data; name"},
      {std::string(kType), part("form-data; name=\"a", "1") + kEnd, ErrorCode::invalid_argument, "form-data; name"},
      {std::string(kType), part("form-data; name=a", "1", "Content-Disposition: form-data; name=b\r\n") + kEnd,
       ErrorCode::invalid_argument, "two Content-Disposition"},
      {std::string(kType), part("form-data; name=a", "1", "Content-Transfer-Encoding: base64\r\n") + kEnd,
       ErrorCode::unsupported, "part 1 ('a')"},
      {std::string(kType), part("form-data; name=a", "1", "X: " + std::string(9000, 'x') + "\r\n") + kEnd,
       ErrorCode::too_large, "larger than 8192 bytes"},
      {std::string(kType), named(std::string(300, 'n'), "1") + kEnd, ErrorCode::too_large, "longer than 256 bytes"},
  };
  for (const auto& bad : cases) {
    const auto parts = parse_multipart(bad.type, bad.body);
    ASSERT_FALSE(parts) << bad.type << "\n" << bad.body;
    EXPECT_EQ(parts.error().code, bad.code) << bad.body << parts.error().message;
    EXPECT_NE(parts.error().message.find(bad.says), std::string::npos) << parts.error().message;
  }
}

TEST(Multipart, BoundsTheParts) {
  std::string body;
  for (int i = 0; i < 65; ++i) body += named("n" + std::to_string(i), "x");
  const auto refused = parse_multipart(kType, body + kEnd);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::too_large);
  EXPECT_TRUE(parse_multipart(kType, body + kEnd, {.parts = 65}));
}

}  // namespace
}  // namespace calliope::api
