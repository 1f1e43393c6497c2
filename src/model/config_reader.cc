#include "model/config_reader.h"

#include <fmt/format.h>

#include <boost/json.hpp>
#include <cmath>

namespace calliope::model {

const boost::json::value* ConfigReader::find(std::string_view name) const {
  const auto* value = object_ ? object_->if_contains(name) : nullptr;
  return value && !value->is_null() ? value : nullptr;
}

bool ConfigReader::has(std::string_view name) const { return find(name) != nullptr; }

ConfigReader ConfigReader::nested(std::string_view name) const {
  const auto* value = find(name);
  ConfigReader reader(value && value->is_object() ? &value->get_object() : nullptr, path_ + std::string(name) + ".",
                      mistake_, field_);
  if (value && !value->is_object()) ConfigReader(*this).wrong(name, "an object");
  return reader;
}

void ConfigReader::wrong(std::string_view name, std::string_view what) {
  if (!mistake_.empty()) return;
  field_ = path_ + std::string(name);
  mistake_ = "config.json: " + field_ + " must be " + std::string(what);
}

void ConfigReader::integer(std::string_view name, int64_t& value, int64_t lowest, int64_t highest) {
  const auto* found = find(name);
  if (!found) return;
  boost::system::error_code error;
  const auto number = found->to_number<int64_t>(error);
  if (error || number < lowest || number > highest) {
    return wrong(name, "a whole number from " + std::to_string(lowest) + " to " + std::to_string(highest));
  }
  value = number;
}

void ConfigReader::id(std::string_view name, int32_t& value) {
  int64_t wide = value;
  integer(name, wide, 0, (1 << 24) - 1);
  value = static_cast<int32_t>(wide);
}

void ConfigReader::number(std::string_view name, double& value, double lowest, double highest) {
  const auto* found = find(name);
  if (!found) return;
  boost::system::error_code error;
  const auto number = found->to_number<double>(error);
  if (error || !(number >= lowest && number <= highest)) {
    return wrong(name, fmt::format("a number from {} to {}", lowest, highest));
  }
  value = number;
}

void ConfigReader::number(std::string_view name, float& value, double lowest, double highest) {
  double wide = value;
  number(name, wide, lowest, highest);
  value = static_cast<float>(wide);
}

void ConfigReader::boolean(std::string_view name, bool& value) {
  const auto* found = find(name);
  if (!found) return;
  if (!found->is_bool()) return wrong(name, "true or false");
  value = found->get_bool();
}

void ConfigReader::text(std::string_view name, std::string& value) {
  const auto* found = find(name);
  if (!found) return;
  if (!found->is_string() || found->get_string().size() > 256) return wrong(name, "a short string");
  value = std::string(found->get_string());
}

void ConfigReader::integers(std::string_view name, std::vector<int64_t>& values, int64_t lowest, int64_t highest,
                            size_t most) {
  const auto* found = find(name);
  if (!found) return;
  const std::string what = "at most " + std::to_string(most) + " whole numbers from " + std::to_string(lowest) +
                           " to " + std::to_string(highest);
  if (!found->is_array() || found->get_array().size() > most) return wrong(name, what);
  std::vector<int64_t> read;
  for (const auto& item : found->get_array()) {
    boost::system::error_code error;
    const auto number = item.to_number<int64_t>(error);
    if (error || number < lowest || number > highest) return wrong(name, what);
    read.push_back(number);
  }
  values = std::move(read);
}

}  // namespace calliope::model
