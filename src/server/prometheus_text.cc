#include "server/prometheus_text.h"

#include <fmt/format.h>

#include <cmath>

#include "base/check.h"

namespace calliope::server {

namespace {

std::string escaped(std::string_view text, bool quotes) {
  std::string result;
  for (const char c : text) {
    if (c == '\\') {
      result += "\\\\";
    } else if (c == '\n') {
      result += "\\n";
    } else if (c == '"' && quotes) {
      result += "\\\"";
    } else {
      result.push_back(c);
    }
  }
  return result;
}

/// As short as it can be without loss.
std::string number(double value) {
  if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
  if (std::isnan(value)) return "NaN";
  return fmt::format("{}", value);
}

}  // namespace

void PrometheusText::family(std::string_view name, std::string_view type, std::string_view help) {
  name_ = name;
  text_ += fmt::format("# HELP {} {}\n# TYPE {} {}\n", name, escaped(help, false), name, type);
}

void PrometheusText::line(std::string_view suffix, std::span<const Label> labels, std::string_view bound, double value) {
  text_ += name_;
  text_ += suffix;
  std::string inside;
  for (const auto& [name, text] : labels) {
    inside += fmt::format("{}{}=\"{}\"", inside.empty() ? "" : ",", name, escaped(text, true));
  }
  if (!bound.empty()) inside += fmt::format("{}le=\"{}\"", inside.empty() ? "" : ",", bound);
  if (!inside.empty()) text_ += fmt::format("{{{}}}", inside);
  text_ += fmt::format(" {}\n", number(value));
}

void PrometheusText::sample(double value, std::span<const Label> labels) { line("", labels, "", value); }

void PrometheusText::histogram(std::span<const double> bounds, std::span<const uint64_t> counts, double sum, Labels labels) {
  CHECK(counts.size() == bounds.size() + 1);
  const std::span all(labels.begin(), labels.size());
  uint64_t below = 0;
  for (size_t i = 0; i < bounds.size(); ++i) {
    below += counts[i];
    line("_bucket", all, number(bounds[i]), static_cast<double>(below));
  }
  below += counts.back();
  line("_bucket", all, "+Inf", static_cast<double>(below));
  line("_sum", all, "", sum);
  line("_count", all, "", static_cast<double>(below));
}

}  // namespace calliope::server
