#include <algorithm>
#include <string>

#include "reading/number_words.h"
#include "reading/rules.h"

namespace calliope::reading {
namespace {

struct Abbreviation {
  std::string_view written, said;
  enum Kind {
    dotted,   // always with its full stop, which may end the sentence too
    title,    // a name follows, so its full stop ends nothing; may stand without it
    counted,  // only with its full stop and before a digit
    plain     // without a full stop
  } kind = dotted;
};
constexpr Abbreviation kAbbreviations[] = {
    {"Dr", "Doctor", Abbreviation::title},
    {"Mr", "Mister", Abbreviation::title},
    {"Mrs", "Missus", Abbreviation::title},
    {"Ms", "Miz", Abbreviation::title},
    {"Prof", "Professor", Abbreviation::title},
    {"Capt", "Captain", Abbreviation::title},
    {"Lt", "Lieutenant", Abbreviation::title},
    {"Sgt", "Sergeant", Abbreviation::title},
    {"Gen", "General", Abbreviation::title},
    {"Gov", "Governor", Abbreviation::title},
    {"Sen", "Senator", Abbreviation::title},
    {"Rev", "Reverend", Abbreviation::title},
    {"Mt", "Mount", Abbreviation::title},
    {"Jr", "Junior"},
    {"Sr", "Senior"},
    {"Inc", "Incorporated"},
    {"Ltd", "Limited"},
    {"Corp", "Corporation"},
    {"Co", "Company"},
    {"Ave", "Avenue"},
    {"Blvd", "Boulevard"},
    {"Rd", "Road"},
    {"etc", "et cetera"},
    {"approx", "approximately"},
    {"dept", "department"},
    {"est", "established"},
    {"vs", "versus"},
    {"vs", "versus", Abbreviation::plain},
    {"No", "number", Abbreviation::counted},
    {"no", "number", Abbreviation::counted},
    {"Nos", "numbers", Abbreviation::counted},
    {"Fig", "figure", Abbreviation::counted},
    {"fig", "figure", Abbreviation::counted},
    {"Vol", "volume", Abbreviation::counted},
    {"vol", "volume", Abbreviation::counted},
    {"Ch", "chapter", Abbreviation::counted},
    {"ch", "chapter", Abbreviation::counted},
    {"Sec", "section", Abbreviation::counted},
    {"pp", "pages", Abbreviation::counted},
    {"p", "page", Abbreviation::counted},
};

// Dots between letters; what is not here is spelled.
constexpr std::pair<std::string_view, std::string_view> kDotted[] = {
    {"e.g.", "for example"}, {"i.e.", "that is"}, {"a.k.a.", "also known as"},
    {"Ph.D.", "P H D"},      {"a.m.", "a m"},     {"p.m.", "p m"},
};

// Said as a word, or in other words than their letters.
constexpr std::pair<std::string_view, std::string_view> kSaidAsWords[] = {
    {"NASA", "Nasa"},    {"NATO", "Nato"},   {"UNESCO", "Unesco"}, {"UNICEF", "Unicef"},   {"OPEC", "Opec"},
    {"AIDS", "Aids"},    {"ASCII", "askee"}, {"RAM", "ram"},       {"ROM", "rom"},         {"JSON", "jason"},
    {"JPEG", "jay peg"}, {"GIF", "gif"},     {"PIN", "pin"},       {"SIM", "sim"},         {"LASER", "laser"},
    {"RADAR", "radar"},  {"YAML", "yammel"}, {"COVID", "covid"},   {"BASIC", "basic"},     {"LAN", "lan"},
    {"ZIP", "zip"},      {"GUI", "gooey"},   {"SQL", "S Q L"},     {"IEEE", "I triple E"}, {"OK", "okay"},
    {"IKEA", "Ikea"},    {"LEGO", "Lego"},   {"SARS", "sars"},     {"FIFA", "Fifa"},       {"SWAT", "swat"},
    {"ASAP", "A S A P"}, {"FAQ", "F A Q"},   {"IOU", "I O U"},     {"AI", "A I"},          {"API", "A P I"},
    {"IOS", "I O S"},    {"URL", "U R L"},   {"UK", "U K"},        {"EU", "E U"},          {"UN", "U N"},
    {"USA", "U S A"},    {"CEO", "C E O"},   {"UFO", "U F O"},     {"DIY", "D I Y"},       {"IP", "I P"},
    {"IT", "I T"},       {"ID", "I D"},      {"UI", "U I"},        {"OS", "O S"},          {"AC", "A C"},
    {"EV", "E V"},       {"IQ", "I Q"},      {"USB", "U S B"},     {"ISBN", "I S B N"},    {"US", "U S"},
    {"AM", "A M"},       {"IBM", "I B M"},   {"EUR", "euros"},     {"USD", "dollars"},     {"GBP", "pounds"},
};

// Before a Roman numeral: as a count, or as an ordinal.
constexpr std::string_view kCounted[] = {"war",   "chapter", "part", "volume", "act",   "phase", "type",
                                         "class", "section", "book", "title",  "scene", "level"};
constexpr std::string_view kOrdered[] = {"king",    "queen",    "pope",  "henry",     "louis",   "elizabeth", "george",
                                         "charles", "edward",   "james", "william",   "philip",  "john",      "paul",
                                         "pius",    "napoleon", "peter", "catherine", "ramesses"};

bool is_vowel(char c) { return std::string_view("AEIOUYaeiouy").find(c) != std::string_view::npos; }

bool sentence_ends(std::string_view after) {
  while (!after.empty() && std::string_view("\"')").find(after[0]) != std::string_view::npos) after.remove_prefix(1);
  return after.empty() || after[0] == '\n' || (after.size() > 1 && after[0] == ' ' && is_upper(after[1]));
}

std::string spelled(std::string_view letters) {
  std::string words;
  for (const char c : letters) {
    if (!is_letter(c)) continue;
    if (!words.empty()) words += ' ';
    words += is_lower(c) ? static_cast<char>(c - 'a' + 'A') : c;
  }
  return words;
}

// e.g., U.S.A.
MaybeSaid say_dotted(std::string_view text) {
  size_t at = 0, dots = 0, letters = 0;
  while (at < text.size() && at < 24) {
    const size_t run = letters_at(text.substr(at)).size();
    if (run == 0 || run > 2 || text.substr(at + run, 1) != ".") break;
    letters += run;
    at += run + 1;
    ++dots;
  }
  const std::string_view after = text.substr(at);
  if (dots < 2 || (!after.empty() && is_word(after[0]))) return std::nullopt;
  const bool ends = sentence_ends(after);
  for (const auto& [written, said] : kDotted) {
    if (lower(text.substr(0, at)) == lower(written))
      return Said{ends && written != "e.g." && written != "i.e." ? at - 1 : at, std::string(said)};
  }
  if (letters > dots) return std::nullopt;
  const bool name =
      dots == 2 && ends && after.starts_with(' ');  // "J.K. Rowling", "the U.S. Army": more often than an end
  return Said{ends && !name ? at - 1 : at, spelled(text.substr(0, at))};
}

// The end of an address's host: letters and digits with points, a last part of known letters; its bytes, 0: none.
size_t host_at(std::string_view text, bool any) {
  static constexpr std::string_view kLast[] = {"com", "org", "net", "edu",  "gov", "io", "dev", "ai", "co", "uk",
                                               "de",  "fr",  "eu",  "info", "app", "me", "tv",  "us", "ch"};
  size_t at = 0, last = 0, parts = 0;
  while (at < text.size() && at < 253) {
    size_t run = 0;
    while (at + run < std::min<size_t>(text.size(), 253) && (is_alnum(text[at + run]) || text[at + run] == '-')) ++run;
    if (run == 0) break;
    last = at;
    at += run;
    ++parts;
    if (at + 1 >= text.size() || text[at] != '.' || !is_alnum(text[at + 1])) break;
    ++at;
  }
  const std::string_view end = text.substr(last, at - last);
  if (parts < (any ? 1 : 2) || end.empty()) return 0;
  return any || std::ranges::find(kLast, lower(end)) != std::end(kLast) ? at : 0;
}

std::string address_words(std::string_view text) {
  std::string words;
  const auto add = [&](std::string_view word) { words.append(words.empty() ? "" : " ").append(word); };
  for (size_t at = 0; at < text.size();) {
    const char c = text[at];
    if (is_letter(c)) {
      const std::string_view letters = letters_at(text.substr(at));
      const bool is_word_like = letters.size() > 3 || std::ranges::any_of(letters, is_vowel);
      add(is_word_like ? std::string(letters) : spelled(letters));
      at += letters.size();
      continue;
    }
    if (is_digit(c)) {
      const std::string_view digits = digits_at(text.substr(at));
      add(digits.size() <= 2 ? cardinal(digits) : digit_by_digit(digits));
      at += digits.size();
      continue;
    }
    static constexpr std::pair<char, std::string_view> kSigns[] = {
        {'.', "dot"},           {'/', "slash"},  {'@', "at"},   {'-', "dash"}, {'_', "underscore"},
        {'?', "question mark"}, {'=', "equals"}, {'&', "and"},  {'#', "hash"}, {'%', "percent"},
        {':', "colon"},         {'+', "plus"},   {'~', "tilde"}};
    const auto* sign = std::ranges::find(kSigns, c, &std::pair<char, std::string_view>::first);
    if (sign != std::end(kSigns)) add(sign->second);
    ++at;
  }
  return words;
}

// What is in capitals, with a plural's s.
std::string capitals(std::string_view letters, std::string_view before = {}) {
  for (const auto& [written, said] : kSaidAsWords) {
    if (letters == written) return std::string(said);
  }
  const bool has_vowel = std::ranges::any_of(letters, is_vowel);
  if (letters.size() <= 5 && !has_vowel) return spelled(letters);
  const bool shouting = before.size() > 1 && std::ranges::all_of(before, is_upper);
  if (letters.size() <= 3 && !shouting) {
    // People shout short words, too.
    static constexpr std::string_view kShouted[] = {
        "A",   "I",   "AN",  "AS",  "AT",  "BE",  "BY",  "DO",  "GO",  "HE",  "IF",  "IN",  "IS",  "ME",  "MY",
        "NO",  "OF",  "ON",  "OR",  "SO",  "TO",  "UP",  "WE",  "ALL", "AND", "ANY", "ARE", "BIG", "BUT", "CAN",
        "DAY", "DID", "FOR", "GET", "GOT", "HAD", "HAS", "HER", "HIM", "HIS", "HOT", "HOW", "ITS", "LET", "NEW",
        "NOT", "NOW", "OFF", "OLD", "ONE", "OUR", "OUT", "RED", "RUN", "SAY", "SEE", "SHE", "SIX", "TEN", "THE",
        "TOO", "TWO", "USE", "WAS", "WAY", "WHO", "WHY", "WIN", "YES", "YET", "YOU", "STOP"};
    return std::ranges::find(kShouted, letters) != std::end(kShouted) ? std::string() : spelled(letters);
  }
  return {};
}

}  // namespace

bool is_abbreviation(std::string_view word) {
  return std::ranges::any_of(
             kAbbreviations,
             [&](const Abbreviation& each) { return each.kind == Abbreviation::title && each.written == word; }) ||
         word == "St";
}

MaybeSaid say_address(const Place& place) {
  const std::string_view text = place.rest();
  size_t scheme = 0;
  for (const std::string_view begin : {"https://", "http://"}) {
    if (text.starts_with(begin)) scheme = begin.size();
  }
  if (text.substr(scheme).starts_with("www.")) scheme += 4;
  size_t at = host_at(text.substr(scheme), scheme > 0);
  // name@host
  size_t name = 0;
  while (name < text.size() && name < 64 &&
         (is_alnum(text[name]) || std::string_view("._-+").find(text[name]) != std::string_view::npos))
    ++name;
  if (scheme == 0 && text.substr(name, 1) == "@") {
    const size_t host = host_at(text.substr(name + 1), false);
    if (host > 0) return Said{name + 1 + host, address_words(text.substr(0, name + 1 + host))};
  }
  if (at == 0) return std::nullopt;
  at += scheme;
  if (text.substr(at, 1) == ":" && is_digit(place(static_cast<ptrdiff_t>(at) + 1)))
    at += 1 + digits_at(text.substr(at + 1)).size();
  if (text.substr(at, 1) == "/") {
    while (at < text.size() && at < 2048 && !is_space(text[at]) &&
           std::string_view("()<>\"'[]").find(text[at]) == std::string_view::npos && !is_foreign(text[at]))
      ++at;
    while (at > 0 && std::string_view(".,;:!?/").find(text[at - 1]) != std::string_view::npos) --at;
  } else if (!word_ends(text.substr(at))) {
    return std::nullopt;
  }
  return Said{at, address_words(text.substr(scheme, at - scheme))};
}

MaybeSaid say_abbreviation(const Place& place) {
  const std::string_view text = place.rest();
  if (auto said = say_dotted(text)) return said;
  const std::string_view word = letters_at(text.substr(0, 16));
  std::string_view after = text.substr(word.size());
  if (after.starts_with("/o") && (word == "w") && word_ends(after.substr(2))) return Said{3, "without"};
  if (word == "w" && after.starts_with("/ ")) return Said{2, "with"};
  if (word == "and" && after.starts_with("/or") && word_ends(after.substr(3))) return Said{6, "and or"};
  const bool dot = after.starts_with('.');
  if (dot) after.remove_prefix(1);
  if (!word_ends(after)) return std::nullopt;
  const char next = after.size() > 1 && after[0] == ' ' ? after[1] : '\0';
  if (word == "St" && dot)
    return Said{3, is_upper(next) && !is_upper(place.before.empty() ? '\0' : place.before[0]) ? "Saint" : "Street"};
  for (const Abbreviation& each : kAbbreviations) {
    if (word != each.written) continue;
    switch (each.kind) {
      case Abbreviation::title:
        if (is_upper(next)) return Said{word.size() + (dot ? 1 : 0), std::string(each.said)};
        break;
      case Abbreviation::counted:
        if (dot && is_digit(next)) return Said{word.size() + 1, std::string(each.said)};
        break;
      case Abbreviation::dotted: {
        if (!dot) break;
        const bool list = each.written == "vs" || each.written == "approx";
        return Said{word.size() + (sentence_ends(after) && !list ? 0 : 1), std::string(each.said)};
      }
      case Abbreviation::plain:
        if (!dot) return Said{word.size(), std::string(each.said)};
        break;
    }
  }
  return std::nullopt;
}

MaybeSaid say_roman(const Place& place) {
  static constexpr std::string_view kNumerals[] = {"",    "I",    "II",  "III",  "IV",    "V",   "VI",
                                                   "VII", "VIII", "IX",  "X",    "XI",    "XII", "XIII",
                                                   "XIV", "XV",   "XVI", "XVII", "XVIII", "XIX", "XX"};
  const std::string_view letters = letters_at(place.rest().substr(0, 8));
  if (letters.empty() || !word_ends(place.rest(letters.size())) || place.at == 0 || place(-1) != ' ')
    return std::nullopt;
  const auto* found = std::ranges::find(kNumerals, letters);
  if (found == std::end(kNumerals)) return std::nullopt;
  const std::string value = std::to_string(found - kNumerals), before = lower(place.before);
  if (before.empty() || !is_upper(place.before[0])) return std::nullopt;  // "the part I like"
  if (std::ranges::find(kCounted, before) != std::end(kCounted)) return Said{letters.size(), cardinal(value)};
  if (letters != "I" && std::ranges::find(kOrdered, before) != std::end(kOrdered))
    return Said{letters.size(), "the " + ordinal(value)};
  return std::nullopt;
}

// Letters and digits without blanks: USB, CPUs, MP3, H2O. Also words with digits in them.
MaybeSaid say_initialism(const Place& place) {
  const std::string_view text = place.rest();
  size_t end = 0;
  bool has_digit = false, has_letter_after_digit = false;
  while (end < text.size() && end < 40 && is_alnum(text[end])) {
    has_letter_after_digit = has_letter_after_digit || (has_digit && is_letter(text[end]));
    has_digit = has_digit || is_digit(text[end]);
    ++end;
  }
  const std::string_view token = text.substr(0, end);
  if (end == 40 || !word_ends(text.substr(end))) return std::nullopt;
  if (!has_digit) {
    const bool many = token.size() > 2 && token.ends_with('s') && is_upper(token[token.size() - 2]);
    const std::string_view letters = many ? token.substr(0, token.size() - 1) : token;
    if (letters.size() < 2 || !std::ranges::all_of(letters, is_upper)) return std::nullopt;
    const std::string words = capitals(letters, place.before);
    return words.empty() ? std::nullopt
                         : MaybeSaid(Said{end, words + (many ? (is_upper(words.back()) ? "'s" : "s") : "")});
  }
  std::string words;
  for (size_t at = 0; at < token.size();) {
    if (!words.empty()) words += ' ';
    if (is_digit(token[at])) {
      const std::string_view digits = digits_at(token.substr(at));
      words += digits.size() <= 2 ? cardinal(digits) : digit_by_digit(digits);
      at += digits.size();
      continue;
    }
    const std::string_view letters = letters_at(token.substr(at));
    const std::string said = std::ranges::all_of(letters, is_upper) ? capitals(letters)
                             : letters.size() <= 2                  ? spelled(letters)
                                                                    : std::string();
    words += said.empty() ? (letters.size() == 1 ? spelled(letters) : std::string(letters)) : said;
    at += letters.size();
  }
  return Said{end, words};
}

}  // namespace calliope::reading
