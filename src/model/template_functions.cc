// Functions a template may call, and the fields of "loop".
#include <algorithm>
#include <ctime>

#include "model/template_builtins.h"

namespace calliope::model::jinja {
namespace {

constexpr int64_t kMaxRange = 100'000;  // Jinja's sandbox has the same
constexpr size_t kMaxFields = 4096;

std::unexpected<Error> mistake(const std::string& what) { return fail(ErrorCode::invalid_argument, what); }

}  // namespace

Result<Value> range(const Arguments& arguments) {
  const size_t given = arguments.values.size();
  if (given < 1 || given > 3 ||
      !std::all_of(arguments.values.begin(), arguments.values.end(), [](const Value& v) { return v.whole(); })) {
    return mistake("'range' needs one to three whole numbers");
  }
  const int64_t begin = given == 1 ? 0 : arguments.values[0].to_int(),
                end = arguments.values[given == 1 ? 0 : 1].to_int();
  const int64_t step = given == 3 ? arguments.values[2].to_int() : 1;
  if (step == 0) return mistake("a range's step is zero");
  int64_t distance = 0;
  const bool over =
      step > 0 ? __builtin_sub_overflow(end, begin, &distance) : __builtin_sub_overflow(begin, end, &distance);
  const uint64_t pace = step > 0 ? static_cast<uint64_t>(step) : ~static_cast<uint64_t>(step) + 1;
  const uint64_t items = over || distance <= 0 ? 0 : (static_cast<uint64_t>(distance) + pace - 1) / pace;
  if (over || items > static_cast<uint64_t>(kMaxRange)) return mistake("a range is too long");
  List list;
  for (uint64_t i = 0; i < items; ++i) list.emplace_back(begin + static_cast<int64_t>(i) * step);
  return Value(std::move(list));
}

Result<Value> strftime_now(const Arguments& arguments) {
  const std::string format = arguments.get(0, "format").str();
  if (format.size() > 256) return mistake("a time's format is too long");
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  localtime_r(&now, &parts);
  char buffer[4096];
  const size_t length = format.empty() ? 0 : std::strftime(buffer, sizeof buffer, format.c_str(), &parts);
  return Value(std::string(buffer, length));
}

Result<Dict> named_fields(const Arguments& arguments) {
  Dict fields;
  if (!arguments.values.empty()) {
    if (!arguments.values[0].dict() || arguments.values.size() > 1)
      return mistake("only one dict may be given without a name");
    fields = *arguments.values[0].dict();
  }
  if (arguments.keywords.size() > kMaxFields) return mistake("too many names in one call");
  for (const auto& [name, value] : arguments.keywords) {
    const auto found =
        std::find_if(fields.begin(), fields.end(), [&](const auto& entry) { return entry.first == name; });
    if (found != fields.end())
      found->second = value;
    else
      fields.emplace_back(name, value);
  }
  return fields;
}

Dict loop_fields(const List& items, size_t i) {
  const auto at = static_cast<int64_t>(i), size = static_cast<int64_t>(items.size());
  return {{"index", at + 1},
          {"index0", at},
          {"first", i == 0},
          {"last", at + 1 == size},
          {"length", size},
          {"revindex", size - at},
          {"revindex0", size - at - 1},
          {"previtem", i > 0 ? items[i - 1] : Value()},
          {"nextitem", at + 1 < size ? items[i + 1] : Value()},
          {"depth", 1},
          {"depth0", 0}};
}

}  // namespace calliope::model::jinja
