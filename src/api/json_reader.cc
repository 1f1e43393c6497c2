#include "api/json_reader.h"

#include <fmt/format.h>

#include <boost/json/serialize.hpp>
#include <boost/json/stream_parser.hpp>
#include <cmath>

namespace calliope::api {

namespace json = boost::json;

namespace {

std::string_view kind_name(const json::value& value) {
  switch (value.kind()) {
    case json::kind::null: return "null";
    case json::kind::bool_: return "a boolean";
    case json::kind::int64:
    case json::kind::uint64: return "an integer";
    case json::kind::double_: return "a decimal number";
    case json::kind::string: return "a string";
    case json::kind::array: return "an array";
    case json::kind::object: return "an object";
  }
  return "something else";
}

/// The line and column of a byte, both from 1.
std::string position(std::string_view bytes, size_t offset) {
  size_t line = 1, column = 1;
  for (size_t i = 0; i < offset && i < bytes.size(); ++i) {
    if (bytes[i] == '\n') {
      ++line;
      column = 1;
    } else {
      ++column;
    }
  }
  return fmt::format("line {}, column {}", line, column);
}

}  // namespace

JsonReader JsonReader::member(std::string_view key) const {
  std::string path = path_.empty() ? std::string(key) : fmt::format("{}.{}", path_, key);
  const json::value* found = is_object() ? value_->get_object().if_contains(key) : nullptr;
  return JsonReader(found, std::move(path));
}

JsonReader JsonReader::element(size_t index) const {
  return JsonReader(&value_->get_array()[index], fmt::format("{}[{}]", path_, index));
}

size_t JsonReader::size() const { return is_array() ? value_->get_array().size() : 0; }

std::vector<std::string> JsonReader::keys() const {
  std::vector<std::string> names;
  if (is_object()) {
    for (const auto& member : value_->get_object()) names.emplace_back(member.key());
  }
  return names;
}

std::string JsonReader::serialized() const { return value_ == nullptr ? std::string() : json::serialize(*value_); }

Result<std::string_view> JsonReader::string() const {
  if (missing()) return std::unexpected(missing_error());
  if (!is_string()) return std::unexpected(type_error("a string"));
  const json::string& text = value_->get_string();
  return std::string_view(text.data(), text.size());
}

Result<bool> JsonReader::boolean() const {
  if (missing()) return std::unexpected(missing_error());
  if (!value_->is_bool()) return std::unexpected(type_error("a boolean"));
  return value_->get_bool();
}

Result<double> JsonReader::number(double low, double high) const {
  if (missing()) return std::unexpected(missing_error());
  if (!value_->is_number()) return std::unexpected(type_error("a number"));
  const double number = value_->to_number<double>();
  if (!(number >= low && number <= high)) {
    return std::unexpected(
        value_error(fmt::format("expected a number between {} and {}, but got {}.", low, high, number)));
  }
  return number;
}

Result<int64_t> JsonReader::integer(int64_t low, int64_t high) const {
  if (missing()) return std::unexpected(missing_error());
  const auto out_of_range = [&] {
    return std::unexpected(value_error(fmt::format("expected an integer between {} and {}.", low, high)));
  };
  int64_t integer = 0;
  if (value_->is_int64()) {
    integer = value_->get_int64();
  } else if (value_->is_uint64()) {
    return out_of_range();  // Boost.JSON keeps only what int64 cannot hold as uint64
  } else if (value_->is_double()) {
    const double number = value_->get_double();
    if (number != std::floor(number)) return std::unexpected(type_error("an integer"));
    if (!(std::abs(number) < 9.0e18)) return out_of_range();
    integer = static_cast<int64_t>(number);
  } else {
    return std::unexpected(type_error("an integer"));
  }
  if (integer < low || integer > high) return out_of_range();
  return integer;
}

Result<void> JsonReader::object() const {
  if (missing()) return std::unexpected(missing_error());
  if (!is_object()) return std::unexpected(type_error("an object"));
  return {};
}

Result<void> JsonReader::filled_array() const {
  if (missing()) return std::unexpected(missing_error());
  if (!is_array()) return std::unexpected(type_error("an array"));
  if (size() == 0) return std::unexpected(value_error("expected an array with at least one element."));
  return {};
}

Error JsonReader::missing_error() const {
  return {ErrorCode::invalid_argument, fmt::format("Missing required parameter: '{}'.", path_), path_};
}

Error JsonReader::type_error(std::string_view expected) const {
  const std::string_view got = value_ == nullptr ? "nothing" : kind_name(*value_);
  if (path_.empty())
    return {ErrorCode::invalid_argument, fmt::format("The body must be {}, but it is {}.", expected, got)};
  return {ErrorCode::invalid_argument,
          fmt::format("Invalid type for '{}': expected {}, but got {} instead.", path_, expected, got), path_};
}

Error JsonReader::value_error(std::string_view what) const {
  return {ErrorCode::invalid_argument, fmt::format("Invalid value for '{}': {}", path_, what), path_};
}

Result<json::value> parse_json(std::string_view bytes) {
  json::parse_options options;
  options.max_depth = 32;
  json::stream_parser parser(json::storage_ptr(), options);
  json::error_code error;
  const size_t used = parser.write_some(bytes.data(), bytes.size(), error);
  if (!error && used < bytes.size()) {
    for (size_t i = used; i < bytes.size(); ++i) {
      if (std::string_view(" \t\r\n").find(bytes[i]) == std::string_view::npos) {
        return fail(ErrorCode::invalid_argument,
                    fmt::format("The body is not valid JSON: more text after its end at {}.", position(bytes, i)));
      }
    }
  }
  if (!error) parser.finish(error);
  if (error) {
    if (bytes.find_first_not_of(" \t\r\n") == std::string_view::npos) {
      return fail(ErrorCode::invalid_argument, "The body is empty: send a JSON object.");
    }
    return fail(ErrorCode::invalid_argument,
                fmt::format("The body is not valid JSON: {} at {}.", error.message(), position(bytes, used)));
  }
  return parser.release();
}

}  // namespace calliope::api
