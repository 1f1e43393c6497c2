#include <algorithm>
#include <array>
#include <utility>

#include "reading/number_words.h"
#include "reading/rules.h"

namespace calliope::reading {
namespace {

using Pair = std::pair<std::string_view, std::string_view>;

struct Unit {
  std::string_view sign, one, many;
};
// Longer signs before shorter ones that begin alike.
constexpr Unit kUnits[] = {
    {"km/h", "kilometre per hour", "kilometres per hour"},
    {"m/s", "metre per second", "metres per second"},
    {"km²", "square kilometre", "square kilometres"},
    {"m²", "square metre", "square metres"},
    {"m³", "cubic metre", "cubic metres"},
    {"kWh", "kilowatt hour", "kilowatt hours"},
    {"MHz", "megahertz", "megahertz"},
    {"GHz", "gigahertz", "gigahertz"},
    {"kHz", "kilohertz", "kilohertz"},
    {"Hz", "hertz", "hertz"},
    {"mph", "mile per hour", "miles per hour"},
    {"km", "kilometre", "kilometres"},
    {"cm", "centimetre", "centimetres"},
    {"mm", "millimetre", "millimetres"},
    {"kg", "kilogram", "kilograms"},
    {"mg", "milligram", "milligrams"},
    {"ml", "millilitre", "millilitres"},
    {"mL", "millilitre", "millilitres"},
    {"ms", "millisecond", "milliseconds"},
    {"kB", "kilobyte", "kilobytes"},
    {"KB", "kilobyte", "kilobytes"},
    {"MB", "megabyte", "megabytes"},
    {"GB", "gigabyte", "gigabytes"},
    {"TB", "terabyte", "terabytes"},
    {"kW", "kilowatt", "kilowatts"},
    {"MW", "megawatt", "megawatts"},
    {"ft", "foot", "feet"},
    {"lbs", "pound", "pounds"},
    {"lb", "pound", "pounds"},
    {"oz", "ounce", "ounces"},
    {"hrs", "hour", "hours"},
    {"hr", "hour", "hours"},
    {"mins", "minute", "minutes"},
    {"min", "minute", "minutes"},
    {"secs", "second", "seconds"},
    {"sec", "second", "seconds"},
    {"m", "metre", "metres"},
    {"g", "gram", "grams"},
    {"l", "litre", "litres"},
    {"L", "litre", "litres"},
    {"h", "hour", "hours"},
    {"s", "second", "seconds"},
    {"W", "watt", "watts"},
    {"V", "volt", "volts"},
    {"°C", "degree Celsius", "degrees Celsius"},
    {"°F", "degree Fahrenheit", "degrees Fahrenheit"},
    {"°", "degree", "degrees"},
    {"%", "percent", "percent"},
    {"€", "euro", "euros"},
    {"£", "pound", "pounds"},
    {"¢", "cent", "cents"},
    {"USD", "dollar", "dollars"},
    {"EUR", "euro", "euros"},
    {"GBP", "pound", "pounds"},
};

struct Currency {
  std::string_view sign, one, many, small_one, small_many;
};
constexpr Currency kCurrencies[] = {
    {"US$", "dollar", "dollars", "cent", "cents"},
    {"$", "dollar", "dollars", "cent", "cents"},
    {"£", "pound", "pounds", "penny", "pence"},
    {"€", "euro", "euros", "cent", "cents"},
    {"¥", "yen", "yen", "", ""},
    {"₹", "rupee", "rupees", "paisa", "paise"},
};

constexpr Pair kScales[] = {{"thousand", "thousand"}, {"million", "million"}, {"billion", "billion"},
                            {"trillion", "trillion"}, {"bn", "billion"},      {"mn", "million"},
                            {"K", "thousand"},        {"k", "thousand"},      {"M", "million"},
                            {"m", "million"},         {"B", "billion"},       {"T", "trillion"}};

// "-" or U+2212; its bytes, 0: none.
size_t minus_at(std::string_view text) { return text.starts_with('-') ? 1 : text.starts_with("\u2212") ? 3 : 0; }
// "-" or U+2013 between two numbers.
size_t dash_at(std::string_view text) { return text.starts_with('-') ? 1 : text.starts_with("\u2013") ? 3 : 0; }

bool is_one(const Number& number) { return number.whole == "1" && number.fraction.empty(); }

// The unit after a number, with at most one blank between.
const Unit* unit_at(std::string_view text, size_t& bytes) {
  const size_t blank = text.starts_with(' ') ? 1 : text.starts_with("\u00a0") ? 2 : 0;
  const std::string_view rest = text.substr(blank);
  for (const Unit& unit : kUnits) {
    if (!rest.starts_with(unit.sign)) continue;
    const std::string_view after = rest.substr(unit.sign.size());
    if (is_letter(unit.sign.back()) && !word_ends(after)) continue;
    if (unit.sign.back() == '%' || !after.starts_with('\'')) return bytes = blank + unit.sign.size(), &unit;
  }
  return nullptr;
}

// The four digits may be a year: "in 1984", "2026".
bool is_year(const Number& number, std::string_view before) {
  if (number.whole.size() != 4 || number.grouped || !number.fraction.empty()) return false;
  if (number.whole >= "1100" && number.whole <= "1999") return true;
  static constexpr std::string_view kBefore[] = {
      "in",     "since",  "by",     "until",  "till",   "before", "after", "from", "to",    "year", "of",     "during",
      "around", "spring", "summer", "autumn", "winter", "fall",   "and",   "late", "early", "mid",  "between"};
  const bool may_be =
      (number.whole >= "1000" && number.whole < "1100") || (number.whole >= "2000" && number.whole <= "2099");
  return may_be && std::ranges::find(kBefore, lower(before)) != std::end(kBefore);
}

std::string spoken(const Number& number, std::string_view before) {
  return is_year(number, before) ? year(number.whole) : quantity(number);
}

// What is reckoned out there is no year: "233 plus 884 is 1117".
bool is_result(const Place& place) {
  const std::string before = lower(place.before);
  if (before != "is" && before != "equals" && before != "makes") return false;
  constexpr size_t kNear = 40;
  const size_t from = place.at > kNear ? place.at - kNear : 0;
  std::string_view near = place.text.substr(from, place.at - from);
  near.remove_prefix(near.find_last_of(".!?\n") + 1);  // of the same sentence; none: 0
  return std::ranges::any_of(std::array{" plus ", " minus ", " times ", " divided by ", " + ", " * "},
                             [&](const char* sign) { return near.find(sign) != std::string_view::npos; });
}

// What has more than one point, as versions and addresses do.
MaybeSaid say_dotted(std::string_view text) {
  size_t at = 0, parts = 0;
  std::string words;
  while (at < text.size() && is_digit(text[at]) && parts <= 8) {
    const std::string_view digits = digits_at(text.substr(at));
    if (!words.empty()) words += " point ";
    words += cardinal(digits);
    at += digits.size();
    ++parts;
    if (at + 1 < text.size() && text[at] == '.' && is_digit(text[at + 1]))
      ++at;
    else
      break;
  }
  if (parts < 3 || parts > 8) return std::nullopt;
  return Said{at, words};
}

// 1/2, 3/4, 24/7; not dates.
MaybeSaid say_slashed(std::string_view text) {
  const std::string_view above = digits_at(text);
  if (above.size() > 3 || text.substr(above.size(), 1) != "/") return std::nullopt;
  const std::string_view below = digits_at(text.substr(above.size() + 1));
  const std::string_view after = text.substr(above.size() + 1 + below.size());
  if (below.empty() || below.size() > 3 || after.starts_with('/') || !word_ends(after)) return std::nullopt;
  const size_t bytes = above.size() + 1 + below.size();
  if (above == "24" && below == "7") return Said{bytes, "twenty-four seven"};
  if (std::string words = fraction(above, below); !words.empty()) return Said{bytes, words};
  return Said{bytes, cardinal(above) + " over " + cardinal(below)};
}

// st, nd, rd, th; s after decades; x and k.
MaybeSaid say_suffixed(const Number& number, std::string_view after, std::string_view before) {
  const std::string_view letters = letters_at(after);
  if (!word_ends(after.substr(letters.size())) && letters != "x") return std::nullopt;
  const std::string small = lower(letters);
  if (number.fraction.empty() && (small == "st" || small == "nd" || small == "rd" || small == "th"))
    return Said{number.bytes + 2, ordinal(number.whole)};
  if (letters == "s" && number.fraction.empty() && number.whole.ends_with('0') &&
      (number.whole.size() == 2 || number.whole.size() == 4)) {
    const bool is_decade = number.whole.size() == 2 || number.whole >= "1100";
    if (is_decade)
      return Said{number.bytes + 1, plural(number.whole.size() == 2 ? cardinal(number.whole) : year(number.whole))};
  }
  if (letters == "k" || letters == "K") return Said{number.bytes + 1, quantity(number) + " thousand"};
  if (letters != "x") return std::nullopt;
  if (is_digit(after.size() > 1 ? after[1] : '\0')) return Said{number.bytes + 1, spoken(number, before) + " by"};
  if (word_ends(after.substr(1))) return Said{number.bytes + 1, quantity(number) + " times"};
  return std::nullopt;
}

MaybeSaid say_plain(const Place& place) {
  const std::string_view text = place.rest();
  const auto number = number_at(text);
  if (!number) return std::nullopt;
  const std::string_view after = text.substr(number->bytes);
  if (auto said = say_suffixed(*number, after, place.before)) return said;
  size_t bytes = 0;
  if (const Unit* unit = unit_at(after, bytes))
    return Said{number->bytes + bytes, quantity(*number) + " " + std::string(is_one(*number) ? unit->one : unit->many)};
  // 1 1/2
  if (after.starts_with(' ') && after.size() > 1 && is_digit(after[1]) && number->whole.size() < 4) {
    if (const auto part = say_slashed(after.substr(1)); part && part->words.find(" over ") == std::string::npos)
      return Said{number->bytes + 1 + part->bytes, quantity(*number) + " and " + part->words};
  }
  // 10-20
  if (const size_t dash = dash_at(after); dash > 0) {
    const auto to = number_at(after.substr(dash));
    const std::string_view beyond = after.substr(to ? dash + to->bytes : 0);
    if (to && !beyond.starts_with('-') && (word_ends(beyond) || unit_at(beyond, bytes)))
      return Said{number->bytes + dash, spoken(*number, place.before) + " to"};
  }
  return Said{number->bytes, is_result(place) ? quantity(*number) : spoken(*number, place.before)};
}

// Groups of digits as they are told on the phone.
std::string told(std::string_view digits_and_signs) {
  std::string words;
  bool group_ends = false;
  for (const char c : digits_and_signs) {
    if (c == '+') {
      words += "plus";
    } else if (!is_digit(c)) {
      group_ends = group_ends || !words.empty();
    } else {
      if (std::exchange(group_ends, false) && words != "plus") words += ',';
      if (!words.empty()) words += ' ';
      words += cardinal(std::string_view(&c, 1));
    }
  }
  return words;
}

// One of these shapes, where d stands for a digit; its bytes, 0: none.
size_t phone_shape(std::string_view text) {
  static constexpr std::string_view kShapes[] = {"(ddd) ddd-dddd",   "(ddd)ddd-dddd", "d-ddd-ddd-dddd",
                                                 "d (ddd) ddd-dddd", "ddd-ddd-dddd",  "ddd.ddd.dddd",
                                                 "ddd ddd dddd",     "ddd-dddd"};
  for (const std::string_view shape : kShapes) {
    if (text.size() < shape.size()) continue;
    const bool fits = std::ranges::equal(shape, text.substr(0, shape.size()),
                                         [](char s, char c) { return s == 'd' ? is_digit(c) : s == c; });
    const std::string_view after = text.substr(shape.size());
    if (fits && word_ends(after) && !(after.size() > 1 && (after[0] == '-' || after[0] == '.') && is_digit(after[1])))
      return shape.size();
  }
  return 0;
}

}  // namespace

std::string_view digits_at(std::string_view text) {
  return text.substr(0, static_cast<size_t>(std::ranges::find_if_not(text, is_digit) - text.begin()));
}
std::string_view letters_at(std::string_view text) {
  return text.substr(0, static_cast<size_t>(std::ranges::find_if_not(text, is_letter) - text.begin()));
}
std::string lower(std::string_view text) {
  std::string small(text);
  for (char& c : small) c = is_upper(c) ? static_cast<char>(c - 'A' + 'a') : c;
  return small;
}

std::optional<Number> number_at(std::string_view text) {
  Number number;
  const std::string_view first = digits_at(text);
  if (first.empty()) return std::nullopt;
  number.whole = first;
  number.bytes = first.size();
  if (first.size() <= 3 && first[0] != '0') {
    while (text.substr(number.bytes, 1) == "," && digits_at(text.substr(number.bytes + 1, 4)).size() == 3) {
      number.whole += text.substr(number.bytes + 1, 3);
      number.bytes += 4;
      number.grouped = true;
    }
  }
  if (text.substr(number.bytes, 1) == ".") {
    number.fraction = digits_at(text.substr(number.bytes + 1));
    if (!number.fraction.empty()) number.bytes += 1 + number.fraction.size();
  }
  return number;
}

std::string quantity(const Number& number) {
  return number.fraction.empty() ? cardinal(number.whole)
                                 : cardinal(number.whole) + " point " + digit_by_digit(number.fraction);
}

MaybeSaid say_number(const Place& place) {
  const std::string_view text = place.rest();
  const char previous = place.at > 0 ? place(-1) : ' ';
  // A sign belongs to the number when nothing is before it.
  if (const size_t sign = minus_at(text); sign > 0) {
    if (is_word(previous) || previous == ')' || previous == '-' || sign >= text.size()) return std::nullopt;
    const Place number{place.text, place.at + sign, ""};
    if (!is_digit(number())) return std::nullopt;
    if (auto said = say_plain(number)) return Said{sign + said->bytes, "minus " + said->words};
    return std::nullopt;
  }
  if (text.starts_with('.') && !is_word(previous) && previous != '.' && is_digit(place(1))) {
    const std::string_view digits = digits_at(text.substr(1));
    const Place rest{place.text, place.at + 1 + digits.size(), ""};
    size_t bytes = 0;
    const Unit* unit = unit_at(rest.rest(), bytes);
    return Said{1 + digits.size() + bytes,
                "point " + digit_by_digit(digits) + (unit ? " " + std::string(unit->many) : "")};
  }
  if (!is_digit(place())) return std::nullopt;
  if (auto said = say_dotted(text)) return said;
  if (auto said = say_slashed(text)) return said;
  return say_plain(place);
}

MaybeSaid say_money(const Place& place) {
  std::string_view text = place.rest();
  const char previous = place.at > 0 ? place(-1) : ' ';
  size_t sign = is_word(previous) || previous == ')' ? 0 : minus_at(text);
  for (const Currency& currency : kCurrencies) {
    if (!text.substr(sign).starts_with(currency.sign)) continue;
    size_t at = sign + currency.sign.size();
    std::string minus = sign > 0 ? "minus " : "";
    if (const size_t inner = minus_at(text.substr(at)); inner > 0 && sign == 0) minus = "minus ", at += inner;
    const auto number = number_at(text.substr(at));
    if (!number) continue;
    at += number->bytes;
    const std::string_view after = text.substr(at), near = after.starts_with(' ') ? after.substr(1) : after;
    for (const auto& [scale, name] : kScales) {
      const bool word = scale.size() > 2;
      const std::string_view where = word ? near : after;
      if (!where.starts_with(scale) || !word_ends(where.substr(scale.size()))) continue;
      at = static_cast<size_t>(where.data() - text.data()) + scale.size();
      return Said{at, minus + quantity(*number) + " " + std::string(name) + " " + std::string(currency.many)};
    }
    const bool small = number->fraction.size() == 2 && !currency.small_one.empty();
    if (!small)
      return Said{at, minus + quantity(*number) + " " + std::string(is_one(*number) ? currency.one : currency.many)};
    std::string words =
        cardinal(number->whole) + " " + std::string(number->whole == "1" ? currency.one : currency.many);
    const std::string cents = number->fraction[0] == '0' ? number->fraction.substr(1) : number->fraction;
    const std::string part =
        cardinal(cents) + " " + std::string(cents == "1" ? currency.small_one : currency.small_many);
    if (cents != "0") words = number->whole == "0" ? part : words + " and " + part;
    return Said{at, minus + words};
  }
  return std::nullopt;
}

MaybeSaid say_phone(const Place& place) {
  const std::string_view text = place.rest();
  if (const size_t bytes = phone_shape(text); bytes > 0) return Said{bytes, told(text.substr(0, bytes))};
  if (!text.starts_with('+') || !is_digit(place(1))) return std::nullopt;
  size_t at = 1, digits = 0, end = 0, groups = 0;
  for (; at < text.size() && at < 30; ++at) {
    const char c = text[at];
    if (is_digit(c)) {
      if (!is_digit(text[at - 1])) ++groups;
      ++digits;
      end = at + 1;
    } else if (std::string_view(" -().").find(c) == std::string_view::npos ||
               (!is_digit(text[at - 1]) && c == text[at - 1])) {
      break;
    }
  }
  if (digits < 8 || digits > 15 || groups < 2 || !word_ends(text.substr(end))) return std::nullopt;
  return Said{end, told(text.substr(0, end))};
}

}  // namespace calliope::reading
