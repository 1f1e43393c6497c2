#include "reading/number_words.h"

#include <array>
#include <cstdint>
#include <utility>

namespace calliope::reading {
namespace {

constexpr std::array<std::string_view, 20> kOnes = {
    "zero", "one",    "two",    "three",    "four",     "five",    "six",     "seven",     "eight",    "nine",
    "ten",  "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"};
constexpr std::array<std::string_view, 10> kTens = {"",      "",      "twenty",  "thirty", "forty",
                                                    "fifty", "sixty", "seventy", "eighty", "ninety"};
constexpr size_t kMostDigits = 15;

std::string below_hundred(uint64_t n) {
  if (n < 20) return std::string(kOnes[n]);
  std::string words(kTens[n / 10]);
  if (n % 10 != 0) words.append("-").append(kOnes[n % 10]);
  return words;
}

std::string below_thousand(uint64_t n) {
  if (n < 100) return below_hundred(n);
  std::string words = std::string(kOnes[n / 100]) + " hundred";
  if (n % 100 != 0) words.append(" ").append(below_hundred(n % 100));
  return words;
}

uint64_t value_of(std::string_view digits) {
  uint64_t value = 0;
  for (const char digit : digits) value = value * 10 + static_cast<uint64_t>(digit - '0');
  return value;
}

std::string cardinal_of(uint64_t n) {
  if (n == 0) return "zero";
  std::string words;
  for (const auto& [size, name] : {std::pair<uint64_t, std::string_view>{1'000'000'000'000, " trillion"},
                                   {1'000'000'000, " billion"},
                                   {1'000'000, " million"},
                                   {1'000, " thousand"},
                                   {1, ""}}) {
    const uint64_t count = n / size;
    n %= size;
    if (count == 0) continue;
    if (!words.empty()) words += ' ';
    words += below_thousand(count);
    words += name;
  }
  return words;
}

bool one_by_one(std::string_view digits) {
  return digits.size() > kMostDigits || (digits.size() > 1 && digits[0] == '0');
}

}  // namespace

std::string cardinal(std::string_view digits) {
  return one_by_one(digits) ? digit_by_digit(digits) : cardinal_of(value_of(digits));
}

std::string digit_by_digit(std::string_view digits) {
  std::string words;
  for (const char digit : digits) {
    if (!words.empty()) words += ' ';
    words += kOnes[static_cast<size_t>(digit - '0')];
  }
  return words;
}

std::string ordinal(std::string_view digits) {
  std::string words = cardinal(digits);
  const size_t last = words.find_last_of(" -") + 1;  // npos + 1 is 0
  const std::string word = words.substr(last);
  words.erase(last);
  static constexpr std::pair<std::string_view, std::string_view> kIrregular[] = {
      {"one", "first"},    {"two", "second"}, {"three", "third"},   {"five", "fifth"},
      {"eight", "eighth"}, {"nine", "ninth"}, {"twelve", "twelfth"}};
  for (const auto& [from, to] : kIrregular) {
    if (word == from) return words.append(to);
  }
  if (word.ends_with('y')) return words + word.substr(0, word.size() - 1) + "ieth";
  return words + word + "th";
}

std::string year(std::string_view digits) {
  const uint64_t century = value_of(digits.substr(0, 2)), rest = value_of(digits.substr(2));
  if (digits[0] == '0' || (century % 10 == 0 && rest < 10)) return cardinal(digits);  // 2005, 1003
  if (rest == 0) return below_hundred(century) + " hundred";
  return below_hundred(century) + " " + minutes(digits.substr(2));
}

std::string minutes(std::string_view digits) {
  const uint64_t value = value_of(digits);
  std::string words(value < 10 ? "oh " : "");
  return words.append(below_hundred(value));
}

std::string plural(std::string words) {
  if (words.ends_with('y') && words.size() > 1 &&
      std::string_view("aeiou").find(words[words.size() - 2]) == std::string_view::npos)
    return words.substr(0, words.size() - 1) + "ies";
  if (words.ends_with('x') || words.ends_with('s') || words.ends_with("ch")) return words + "es";
  return words + "s";
}

std::string fraction(std::string_view numerator, std::string_view denominator) {
  if (numerator.empty() || numerator.size() > 2 || denominator.empty() || denominator.size() > 3) return {};
  const uint64_t above = value_of(numerator), below = value_of(denominator);
  const bool usual = (below >= 2 && below <= 10) || below == 12 || below == 16 || below == 20 || below == 100;
  if (!usual || above == 0 || above >= below || numerator[0] == '0' || denominator[0] == '0') return {};
  const std::string part = below == 2 ? "half" : below == 4 ? "quarter" : ordinal(denominator);
  return cardinal(numerator) + " " + (above == 1 ? part : plural(part));
}

}  // namespace calliope::reading
