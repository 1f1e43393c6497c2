#pragma once

#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace calliope::server {

/// Writes metrics in Prometheus' text format, version 0.0.4: families one after the other, each with its samples.
class PrometheusText {
 public:
  static constexpr std::string_view kContentType = "text/plain; version=0.0.4; charset=utf-8";
  using Label = std::pair<std::string_view, std::string_view>;
  using Labels = std::initializer_list<Label>;

  /// Begins a family. `type` is counter, gauge or histogram; the name of a counter ends in _total.
  void family(std::string_view name, std::string_view type, std::string_view help);
  /// One sample of the family begun last.
  void sample(double value, Labels labels = {}) { sample(value, std::span(labels.begin(), labels.size())); }
  void sample(double value, std::span<const Label> labels);
  /// A histogram of the family begun last. `counts` are not cumulative and have one more than `bounds`.
  void histogram(std::span<const double> bounds, std::span<const uint64_t> counts, double sum, Labels labels = {});

  /// A family of one sample.
  void single(std::string_view name, std::string_view type, std::string_view help, double value) {
    family(name, type, help);
    sample(value);
  }
  std::string take() { return std::move(text_); }

 private:
  void line(std::string_view suffix, std::span<const Label> labels, std::string_view bound, double value);

  std::string text_;
  std::string name_;
};

}  // namespace calliope::server
