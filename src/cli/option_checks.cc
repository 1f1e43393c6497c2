#include "cli/option_checks.h"

#include <charconv>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

namespace calliope::cli {
namespace {

// 0.5 as "0.5" and 2.0 as "2".
std::string short_number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%g", value);
  return text;
}

template <class Number>
bool in_range(const std::string& text, Number low, Number high) {
  Number value{};
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, value);
  return error == std::errc() && rest == end && value >= low && value <= high;  // false for NaN
}

}  // namespace

CLI::Validator whole_number(int64_t low, int64_t high) {
  return CLI::Validator(
      [low, high](std::string& text) {
        if (in_range(text, low, high)) return std::string();
        return "must be a whole number from " + std::to_string(low) + " to " + std::to_string(high) + ", not '" + text +
               "'";
      },
      "");
}

CLI::Validator number(double low, double high) {
  return CLI::Validator(
      [low, high](std::string& text) {
        if (in_range(text, low, high)) return std::string();
        return "must be a number from " + short_number(low) + " to " + short_number(high) + ", not '" + text + "'";
      },
      "");
}

CLI::Validator existing_file() {
  return CLI::Validator(
      [](std::string& path) {
        std::error_code error;
        if (std::filesystem::is_directory(path, error)) return "'" + path + "' is a folder; name a file";
        if (std::filesystem::exists(path, error)) return std::string();
        const bool words = path.find(' ') != std::string::npos;
        return "there is no file '" + path + "'" +
               (words ? "; if this is the question, put it before the options" : "");
      },
      "");
}

CLI::Validator one_of(std::vector<std::string> words) {
  return CLI::Validator(
      [words = std::move(words)](std::string& text) {
        std::string list;
        for (const std::string& word : words) {
          if (text == word) return std::string();
          list += (list.empty() ? "" : &word == &words.back() ? " or " : ", ") + word;
        }
        return "must be " + list + ", not '" + text + "'";
      },
      "");
}

CLI::Validator not_empty() {
  return CLI::Validator([](std::string& text) { return std::string(text.empty() ? "must not be empty" : ""); }, "");
}

void add_kv_type_option(CLI::App& command, std::string& type) {
  command
      .add_option("--kv-type", type,
                  "Type of keys and values: f32, bf16 for twice as many in the same memory, q8 for 3.7 times, or auto: bf16 beside quantised weights, else f32")
      ->check(one_of({"auto", "f32", "bf16", "q8"}))
      ->capture_default_str()
      ->type_name("TYPE");
}

}  // namespace calliope::cli
