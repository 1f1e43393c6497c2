#include "tensor/safetensors_header.h"

#include <boost/json/basic_parser_impl.hpp>
#include <set>

#include "tensor/tensor.h"

namespace calliope::tensor {
namespace {

namespace json = boost::json;

constexpr size_t kMaxName = 4096;
constexpr size_t kMaxMetadata = size_t{16} << 20;

// {"__metadata__": {name: text, ...}, tensor: {"dtype": text, "shape": [n, ...], "data_offsets": [n, n]}, ...}
class Handler {
 public:
  static constexpr size_t max_object_size = static_cast<size_t>(-1);
  static constexpr size_t max_array_size = static_cast<size_t>(-1);
  static constexpr size_t max_key_size = kMaxName;
  static constexpr size_t max_string_size = kMaxMetadata;

  bool on_document_begin(json::error_code&) { return true; }
  bool on_document_end(json::error_code&) { return true; }

  bool on_object_begin(json::error_code& error) {
    ++depth_;
    if (depth_ == 1) return true;
    if (depth_ == 2 && key_ == "__metadata__") return in_metadata_ = true;
    if (depth_ != 2) return wrong(error, "has an object where there should be none");
    header.entries.push_back({.name = name_});
    seen_ = {};
    return true;
  }
  bool on_object_end(size_t, json::error_code& error) {
    --depth_;
    if (depth_ == 1 && !std::exchange(in_metadata_, false) &&
        seen_ != std::set<std::string>{"dtype", "shape", "data_offsets"}) {
      return wrong(error, "lacks dtype, shape or data_offsets");
    }
    return true;
  }
  bool on_array_begin(json::error_code& error) {
    if (depth_ != 2 || in_metadata_ || in_array_ || (key_ != "shape" && key_ != "data_offsets"))
      return wrong(error, "has an array where there should be none");
    numbers_.clear();
    return in_array_ = true;
  }
  bool on_array_end(size_t, json::error_code& error) {
    in_array_ = false;
    HeaderEntry& entry = header.entries.back();
    if (key_ == "data_offsets") {
      if (numbers_.size() != 2) return wrong(error, "needs two data_offsets");
      entry.begin = numbers_[0];
      entry.end = numbers_[1];
      return true;
    }
    for (const uint64_t number : numbers_) {
      if (number > INT64_MAX) return wrong(error, "has a dimension that is too large");
      entry.shape.push_back(static_cast<int64_t>(number));
    }
    return true;
  }
  bool on_key_part(json::string_view part, size_t, json::error_code&) { return key_part_.append(part), true; }
  bool on_key(json::string_view part, size_t, json::error_code& error) {
    key_part_.append(part);
    key_ = std::exchange(key_part_, {});
    if (in_metadata_) return true;
    if (depth_ == 1) {
      name_ = key_;
      return names_.insert(key_).second || wrong(error, "is named twice");
    }
    if (key_ != "dtype" && key_ != "shape" && key_ != "data_offsets")
      return wrong(error, "has an unknown field " + key_);
    return seen_.insert(key_).second || wrong(error, "has " + key_ + " twice");
  }
  bool on_string_part(json::string_view part, size_t, json::error_code&) { return text_.append(part), true; }
  bool on_string(json::string_view part, size_t, json::error_code& error) {
    text_.append(part);
    std::string text = std::exchange(text_, {});
    if (in_metadata_) {
      header.metadata.insert_or_assign(key_, std::move(text));
      return true;
    }
    if (depth_ != 2 || key_ != "dtype" || in_array_ || text.size() > 32)
      return wrong(error, "has text where there should be none");
    header.entries.back().dtype = std::move(text);
    return true;
  }
  bool on_number_part(json::string_view, json::error_code&) { return true; }
  bool on_int64(int64_t value, json::string_view, json::error_code& error) {
    if (value < 0) return wrong(error, "has a negative number");
    return on_uint64(static_cast<uint64_t>(value), {}, error);
  }
  bool on_uint64(uint64_t value, json::string_view, json::error_code& error) {
    if (!in_array_) return wrong(error, "has a number where there should be none");
    if (numbers_.size() >= size_t(Shape::kMaxRank)) return wrong(error, "has more than 6 dimensions");
    numbers_.push_back(value);
    return true;
  }
  bool on_double(double, json::string_view, json::error_code& error) {
    return wrong(error, "has a number that is not whole or too large");
  }
  bool on_bool(bool, json::error_code& error) { return wrong(error, "has true or false where there should be none"); }
  bool on_null(json::error_code& error) { return wrong(error, "has null where there should be none"); }
  bool on_comment_part(json::string_view, json::error_code&) { return true; }
  bool on_comment(json::string_view, json::error_code&) { return true; }

  Header header;
  std::string mistake;
  std::string name() const { return name_; }

 private:
  bool wrong(json::error_code& error, const std::string& what) {
    mistake = what;
    error = json::error::syntax;
    return false;
  }

  int depth_ = 0;
  bool in_metadata_ = false, in_array_ = false;
  std::string key_, key_part_, text_, name_;
  std::vector<uint64_t> numbers_;
  std::set<std::string> names_, seen_;
};

}  // namespace

Result<Header> parse_safetensors_header(std::string_view text, const std::string& where) {
  // Padding, which the parser would take for more JSON.
  while (text.ends_with(' ') || text.ends_with('\0')) text.remove_suffix(1);
  json::parse_options options;
  options.max_depth = 8;
  json::basic_parser<Handler> parser(options);
  json::error_code error;
  const size_t read = text.starts_with('{') ? parser.write_some(false, text.data(), text.size(), error) : 0;
  Handler& handler = parser.handler();
  if (!handler.mistake.empty()) {
    const std::string tensor = handler.name().empty() ? "the header" : "tensor " + handler.name();
    return fail(ErrorCode::invalid_argument, where + ": " + tensor + " " + handler.mistake, handler.name());
  }
  if (error || read != text.size() || !parser.done()) {
    return fail(ErrorCode::invalid_argument, where + ": the header is not a JSON object; is this a safetensors file?");
  }
  return std::move(handler.header);
}

}  // namespace calliope::tensor
