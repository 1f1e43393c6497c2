#include "model/preprocessor_json.h"

#include <boost/json.hpp>
#include <cmath>

namespace calliope::model {

struct PreprocessorFields::Object {
  boost::json::object fields;
  const boost::json::value* find(std::string_view name) const {
    const boost::json::value* value = fields.if_contains(name);
    return value && !value->is_null() ? value : nullptr;
  }
};

Result<PreprocessorFields> PreprocessorFields::parse(std::string_view json, std::string_view section) {
  boost::system::error_code error;
  const boost::json::value value = boost::json::parse(json, error);
  if (error) return fail(ErrorCode::invalid_argument, "preprocessor_config.json is not JSON: " + error.message());
  if (!value.is_object()) return fail(ErrorCode::invalid_argument, "preprocessor_config.json must be an object");
  PreprocessorFields fields;
  fields.object_ = std::make_shared<const Object>(value.get_object());
  if (fields.has(section)) fields = fields.nested(section);
  return fields;
}

bool PreprocessorFields::has(std::string_view name) const { return object_->find(name) != nullptr; }

void PreprocessorFields::wrong(std::string_view name, std::string_view what) {
  if (!mistake_.empty()) return;
  field_ = name;
  mistake_ = "preprocessor_config.json: " + field_ + " must be " + std::string(what);
}

void PreprocessorFields::read(std::string_view name, int64_t& value, int64_t lowest, int64_t highest) {
  const boost::json::value* found = object_->find(name);
  if (!found) return;
  boost::system::error_code error;
  const auto number = found->to_number<int64_t>(error);
  if (error || number < lowest || number > highest) {
    return wrong(name, "a whole number from " + std::to_string(lowest) + " to " + std::to_string(highest));
  }
  value = number;
}

void PreprocessorFields::read(std::string_view name, double& value) {
  const boost::json::value* found = object_->find(name);
  if (!found) return;
  boost::system::error_code error;
  const auto number = found->to_number<double>(error);
  if (error || !std::isfinite(number)) return wrong(name, "a finite number");
  value = number;
}

void PreprocessorFields::read(std::string_view name, bool& value) {
  const boost::json::value* found = object_->find(name);
  if (!found) return;
  if (!found->is_bool()) return wrong(name, "true or false");
  value = found->get_bool();
}

void PreprocessorFields::read(std::string_view name, std::span<float> values) {
  const boost::json::value* found = object_->find(name);
  if (!found) return;
  const std::string what = "a number or " + std::to_string(values.size()) + " numbers";
  if (found->is_array() && found->get_array().size() != values.size()) return wrong(name, what);
  for (size_t i = 0; i < values.size(); ++i) {
    const boost::json::value& item = found->is_array() ? found->get_array()[i] : *found;
    boost::system::error_code error;
    const auto number = item.to_number<double>(error);
    if (error || !std::isfinite(number)) return wrong(name, what);
    values[i] = static_cast<float>(number);
  }
}

PreprocessorFields PreprocessorFields::nested(std::string_view name) const {
  PreprocessorFields fields;
  const boost::json::value* found = object_->find(name);
  const bool present = found && found->is_object();
  fields.object_ = std::make_shared<const Object>(present ? found->get_object() : boost::json::object());
  return fields;
}

Result<void> PreprocessorFields::done() const {
  if (!mistake_.empty()) return fail(ErrorCode::invalid_argument, mistake_, field_);
  return {};
}

}  // namespace calliope::model
