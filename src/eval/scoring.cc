#include "eval/scoring.h"

#include <algorithm>
#include <boost/json.hpp>
#include <cctype>
#include <cmath>
#include <cstdlib>
#include <map>
#include <numeric>
#include <optional>
#include <utility>

#include "base/utf8.h"
#include "eval/pattern.h"
#include "model/template_text.h"

namespace calliope::eval {
namespace {

namespace json = boost::json;

std::string_view stripped(std::string_view text) { return model::jinja::stripped(text, std::nullopt, true, true); }

bool punctuation(unsigned char c) { return c < 0x80 && std::ispunct(c) != 0; }

std::string without_punctuation(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (!punctuation(static_cast<unsigned char>(c))) out += c;
  }
  return out;
}

std::vector<std::string> words_of(std::string_view text) { return model::jinja::split(text, std::nullopt, -1, false); }

std::optional<double> last_number(std::string_view text) {
  static const auto pattern = Pattern::compile(R"(-?\d[\d,]*(?:\.\d+)?|-?\.\d+)");
  auto found = pattern->find_all(text);
  if (found.empty()) return std::nullopt;
  std::erase(found.back(), ',');
  return std::strtod(found.back().c_str(), nullptr);
}

bool close(double a, double b) { return std::abs(a - b) <= 1e-9 * std::max({1.0, std::abs(a), std::abs(b)}); }

// Numbers by value: 1 is 1.0.
bool same_json(const json::value& a, const json::value& b) {
  if (a.is_number() && b.is_number()) return close(a.to_number<double>(), b.to_number<double>());
  if (a.is_array() && b.is_array()) {
    return std::ranges::equal(a.get_array(), b.get_array(), same_json);
  }
  if (a.is_object() && b.is_object()) {
    return a.get_object().size() == b.get_object().size() && std::ranges::all_of(a.get_object(), [&](const auto& member) {
             const auto* other = b.get_object().if_contains(member.key());
             return other && same_json(member.value(), *other);
           });
  }
  return a == b;
}

bool json_equal(std::string_view answer, std::string_view expected) {
  json::error_code error, other;
  const json::value a = json::parse(answer, error), b = json::parse(expected, other);
  return !error && !other && same_json(a, b);
}

// Whether the words stand in the text one after the other; both have single blanks between words.
bool contains_words(std::string_view text, std::string_view words) {
  for (size_t at = text.find(words); at != std::string_view::npos; at = text.find(words, at + 1)) {
    const size_t end = at + words.size();
    if ((at == 0 || text[at - 1] == ' ') && (end == text.size() || text[end] == ' ')) return true;
    if (words.empty()) break;
  }
  return false;
}

Result<bool> matches(const Metric& metric, std::string answer, std::string expected) {
  for (const std::string& source : metric.ignore) {
    TRY(const Pattern pattern, Pattern::compile(source));
    answer = pattern.without(answer);
    expected = pattern.without(expected);
  }
  if (metric.ignore_case) {
    answer = model::jinja::lower(answer);
    expected = model::jinja::lower(expected);
  }
  if (metric.ignore_punctuation) {
    answer = without_punctuation(answer);
    expected = without_punctuation(expected);
  }
  switch (metric.rule) {
    case Rule::exact: return stripped(answer) == stripped(expected);
    case Rule::loose: return loosened(answer) == loosened(expected);
    case Rule::contains: return contains_words(loosened(answer), loosened(expected));
    case Rule::number: {
      const auto a = last_number(answer), b = last_number(expected);
      return a && b && close(*a, *b);
    }
    case Rule::json: return json_equal(stripped(answer), stripped(expected));
    case Rule::regex: {
      TRY(const Pattern pattern, Pattern::compile(expected));
      return pattern.in(answer);
    }
    case Rule::wer:
    case Rule::words: return word_errors(answer, expected).errors == 0;
    case Rule::letter: return false;
  }
  return false;
}

// acc: the likeliest choice; acc_norm: the likeliest a character, as lm-evaluation-harness counts them.
int likeliest(const Item& item, const std::vector<double>& log_probabilities, bool by_length) {
  int best = -1;
  double most = 0;
  for (size_t i = 0; i < log_probabilities.size(); ++i) {
    const auto length = static_cast<double>(model::jinja::length(item.choices[i]));
    const double value = by_length ? log_probabilities[i] / std::max(1.0, length) : log_probabilities[i];
    if (best < 0 || value > most) {
      best = static_cast<int>(i);
      most = value;
    }
  }
  return best;
}

}  // namespace

Result<Rule> rule_named(const std::string& name) {
  static const std::map<std::string, Rule> rules = {{"exact", Rule::exact}, {"loose", Rule::loose}, {"contains", Rule::contains},
                                                    {"number", Rule::number}, {"json", Rule::json}, {"regex", Rule::regex}, {"wer", Rule::wer}};
  if (const auto found = rules.find(name); found != rules.end()) return found->second;
  return fail(ErrorCode::invalid_argument, "there is no rule '" + name + "': known are exact, loose, contains, number, json, regex and wer");
}

std::vector<std::string> spoken_words(std::string_view text) {
  std::string spaced;
  for (const char c : model::jinja::lower(utf8_lossy(text))) spaced += punctuation(static_cast<unsigned char>(c)) && c != '\'' ? ' ' : c;
  std::erase(spaced, '\'');
  return words_of(spaced);
}

// Levenshtein's distance, of words.
WordErrors word_errors(std::string_view answer, std::string_view expected) {
  const auto said = spoken_words(answer), wanted = spoken_words(expected);
  std::vector<int64_t> row(wanted.size() + 1);
  std::iota(row.begin(), row.end(), 0);
  for (size_t i = 0; i < said.size(); ++i) {
    int64_t diagonal = std::exchange(row[0], static_cast<int64_t>(i) + 1);
    for (size_t k = 0; k < wanted.size(); ++k) {
      const int64_t changed = diagonal + (said[i] == wanted[k] ? 0 : 1);
      diagonal = row[k + 1];
      row[k + 1] = std::min({changed, diagonal + 1, row[k] + 1});
    }
  }
  return {row.back(), static_cast<int64_t>(wanted.size())};
}

Result<WordErrors> word_errors(const Task& task, const Item& item, const Outcome& outcome) {
  TRY(const std::string text, filtered(task, outcome.text));
  std::optional<WordErrors> best;
  for (const std::string& expected : item.answers) {
    const WordErrors one = word_errors(text, expected);
    if (!best || one.errors < best->errors) best = one;
  }
  return best.value_or(WordErrors{});
}

std::string loosened(std::string_view text) {
  std::string out;
  for (const std::string& word : spoken_words(text)) {
    if (word == "a" || word == "an" || word == "the") continue;
    if (!out.empty()) out += ' ';
    out += word;
  }
  return out;
}

Result<std::string> filtered(const Task& task, std::string text) {
  for (const Filter& filter : task.filters) {
    switch (filter.kind) {
      case Filter::Kind::take_first: break;
      case Filter::Kind::strip: text = std::string(stripped(text)); break;
      case Filter::Kind::lowercase: text = model::jinja::lower(text); break;
      case Filter::Kind::uppercase: text = model::jinja::upper(text); break;
      case Filter::Kind::regex: {
        TRY(const Pattern pattern, Pattern::compile(filter.pattern));
        auto found = pattern.find_all(text);
        const auto index = filter.group < 0 ? static_cast<int64_t>(found.size()) + filter.group : filter.group;
        text = index >= 0 && index < static_cast<int64_t>(found.size()) ? std::string(stripped(found[static_cast<size_t>(index)])) : filter.fallback;
        break;
      }
    }
  }
  return text;
}

// VLMEvalKit's can_infer (vlmeval/utils/matching_util.py): a letter alone, and if there is none, a text alone. "A" may be
// an article, so in a longer answer it must be followed by a sign.
int choice_named(std::string_view answer, const std::vector<std::string>& choices) {
  std::string spaced;
  for (const char c : answer) spaced += punctuation(static_cast<unsigned char>(c)) ? ' ' : c;
  const auto words = words_of(spaced);
  int named = -1, count = 0;
  for (size_t i = 0; i < choices.size(); ++i) {
    const std::string letter(1, static_cast<char>('A' + i));
    if (std::ranges::find(words, letter) == words.end()) continue;
    if (letter == "A" && words.size() > 3 && words_of(answer).front() == "A") continue;
    named = static_cast<int>(i);
    ++count;
  }
  if (count == 1) return named;
  if (count > 1) return -1;
  const std::string lower = model::jinja::lower(answer);
  for (size_t i = 0; i < choices.size(); ++i) {
    const std::string text = model::jinja::lower(choices[i]);
    if (text.empty() || lower.find(text) == std::string::npos) continue;
    named = static_cast<int>(i);
    ++count;
  }
  return count == 1 ? named : -1;
}

Result<std::vector<bool>> score(const Task& task, const Item& item, const Outcome& outcome) {
  std::vector<bool> right;
  std::string text;
  if (outcome.log_probabilities.empty()) {
    TRY(text, filtered(task, outcome.text));
  }
  for (const Metric& metric : task.metrics) {
    if (!outcome.log_probabilities.empty()) {
      right.push_back(likeliest(item, outcome.log_probabilities, metric.name == "acc_norm") == item.right);
    } else if (metric.rule == Rule::letter || outcome.chose_letter) {
      right.push_back(choice_named(text, item.choices) == item.right);
    } else {
      bool any = false;
      for (const std::string& expected : item.answers) {
        TRY(const bool one, matches(metric, text, expected));
        any = any || one;
      }
      right.push_back(any);
    }
  }
  return right;
}

}  // namespace calliope::eval
