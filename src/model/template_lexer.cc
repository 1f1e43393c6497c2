#include "model/template_lexer.h"

#include <algorithm>
#include <cctype>

#include "base/utf8.h"
#include "model/template_text.h"

namespace calliope::model::jinja {
namespace {

constexpr size_t kMaxSource = 1 << 20;

// Every kind of line end becomes '\n'.
std::string normal_lines(std::string_view source) {
  std::string out;
  for (size_t i = 0; i < source.size(); ++i) {
    if (source[i] != '\r')
      out += source[i];
    else if (i + 1 == source.size() || source[i + 1] != '\n')
      out += '\n';
  }
  return out;
}

class Lexer {
 public:
  explicit Lexer(std::string_view source) : text_(normal_lines(source)), source_(text_) {}

  Result<std::vector<Token>> run() {
    if (source_.size() > kMaxSource)
      return fail(ErrorCode::too_large, "the chat template is over 1 MiB", "chat_template");
    if (!utf8_valid(source_))
      return fail(ErrorCode::invalid_argument, "the chat template is not UTF-8", "chat_template");
    // A template's last newline is not part of it (keep_trailing_newline is off).
    if (source_.ends_with('\n')) source_.remove_suffix(1);
    while (at_ < source_.size()) {
      const size_t open = find_open();
      push_text(open);
      if (open == source_.size()) break;
      at_ = open + 2;
      if (source_[open + 1] == '#') {
        TRY_VOID(comment());
      } else if (source_[open + 1] == '%' && raw_tag(open, "raw")) {
        TRY_VOID(raw(open));
      } else {
        TRY_VOID(inside(source_[open + 1] == '{'));
      }
    }
    tokens_.push_back({TokenKind::end, "", line_});
    return std::move(tokens_);
  }

 private:
  size_t find_open() const {
    for (size_t i = at_; i + 1 < source_.size(); ++i) {
      if (source_[i] == '{' && (source_[i + 1] == '{' || source_[i + 1] == '%' || source_[i + 1] == '#')) return i;
    }
    return source_.size();
  }

  // Text up to `open`, less what whitespace control takes from either end.
  void push_text(size_t open) {
    std::string_view text = source_.substr(at_, open - at_);
    line_ += static_cast<int>(std::count(text.begin(), text.end(), '\n'));
    if (strip_next_) {
      text = stripped(text, {}, true, false);
    } else if (trim_newline_ && text.starts_with('\n')) {
      text.remove_prefix(1);
    }
    strip_next_ = trim_newline_ = false;
    if (open < source_.size()) {
      const char control = open + 2 < source_.size() ? source_[open + 2] : ' ';
      if (control == '-') {
        text = stripped(text, {}, false, true);
      } else if (source_[open + 1] != '{' && control != '+' && blank_before(open)) {
        text = text.substr(0, text.rfind('\n') + 1);
      }
    }
    if (!text.empty()) tokens_.push_back({TokenKind::text, std::string(text), line_});
  }

  // Whether only blanks lie between the start of the line and `open`.
  bool blank_before(size_t open) const {
    const std::string_view before = source_.substr(0, open);
    const size_t kept = stripped(before, {}, false, true).size();
    return kept == 0 || before.substr(kept).find('\n') != std::string_view::npos;
  }

  // Where "{%- name -%}" at `open` ends; 0 when something else stands there.
  size_t raw_tag(size_t open, std::string_view name) const {
    size_t at = open + 2;
    const auto blanks = [&] {
      at = static_cast<size_t>(stripped(source_.substr(at), {}, true, false).data() - source_.data());
    };
    if (at < source_.size() && (source_[at] == '-' || source_[at] == '+')) ++at;
    blanks();
    if (!source_.substr(at).starts_with(name)) return 0;
    at += name.size();
    blanks();
    if (at < source_.size() && (source_[at] == '-' || source_[at] == '+')) ++at;
    return source_.substr(at).starts_with("%}") ? at + 2 : 0;
  }

  // {% raw %}: text up to {% endraw %}.
  Result<void> raw(size_t open) {
    at_ = raw_tag(open, "raw");
    strip_next_ = source_[at_ - 3] == '-';
    trim_newline_ = source_[at_ - 3] != '+';
    for (size_t close = source_.find("{%", at_); close != std::string_view::npos;
         close = source_.find("{%", close + 2)) {
      const size_t end = raw_tag(close, "endraw");
      if (end == 0) continue;
      push_text(close);
      at_ = end;
      strip_next_ = source_[at_ - 3] == '-';
      trim_newline_ = source_[at_ - 3] != '+';
      return {};
    }
    return mistake("'{% raw %}' is not closed");
  }

  std::unexpected<Error> mistake(const std::string& what) const {
    return fail(ErrorCode::invalid_argument, "chat template, line " + std::to_string(line_) + ": " + what,
                "chat_template");
  }

  Result<void> comment() {
    const size_t close = source_.find("#}", at_);
    if (close == std::string_view::npos) return mistake("a comment does not end");
    line_ += static_cast<int>(std::count(source_.begin() + static_cast<std::ptrdiff_t>(at_),
                                         source_.begin() + static_cast<std::ptrdiff_t>(close), '\n'));
    strip_next_ = close > at_ && source_[close - 1] == '-';
    trim_newline_ = close == at_ || source_[close - 1] != '+';
    at_ = close + 2;
    return {};
  }

  Result<void> inside(bool output) {
    if (at_ < source_.size() && (source_[at_] == '-' || source_[at_] == '+')) ++at_;
    tokens_.push_back({output ? TokenKind::begin_output : TokenKind::begin_block, "", line_});
    const std::string_view close = output ? "}}" : "%}";
    int depth = 0;
    while (at_ < source_.size()) {
      const char c = source_[at_];
      size_t after = at_;
      if (python_space(utf8_next(source_, after))) {
        line_ += c == '\n';
        at_ = after;
        continue;
      }
      const bool control = (c == '-' || (c == '+' && !output)) && source_.substr(at_ + 1).starts_with(close);
      if (depth == 0 && (control || source_.substr(at_).starts_with(close))) {
        strip_next_ = control && c == '-';
        trim_newline_ = !output && !control;
        at_ += close.size() + (control ? 1 : 0);
        tokens_.push_back({output ? TokenKind::end_output : TokenKind::end_block, "", line_});
        return {};
      }
      if (c == '{' || c == '(' || c == '[') ++depth;
      if (c == '}' || c == ')' || c == ']') --depth;
      if (depth < 0) return mistake(std::string("unexpected '") + c + "'");
      TRY_VOID(token(c));
    }
    return mistake(output ? "'{{' is not closed" : "'{%' is not closed");
  }

  Result<void> token(char c) {
    if (std::isalpha(static_cast<unsigned char>(c)) || c == '_') return word();
    if (std::isdigit(static_cast<unsigned char>(c))) return number();
    if (c == '"' || c == '\'') return string(c);
    for (const std::string_view symbol : {"==", "!=", "<=", ">=", "//", "**"}) {
      if (!source_.substr(at_).starts_with(symbol)) continue;
      tokens_.push_back({TokenKind::symbol, std::string(symbol), line_});
      at_ += 2;
      return {};
    }
    if (std::string_view("+-*/%~<>=|.,:()[]{}").find(c) == std::string_view::npos)
      return mistake(std::string("unexpected '") + c + "'");
    tokens_.push_back({TokenKind::symbol, std::string(1, c), line_});
    ++at_;
    return {};
  }

  Result<void> word() {
    const size_t begin = at_;
    while (at_ < source_.size() && (std::isalnum(static_cast<unsigned char>(source_[at_])) || source_[at_] == '_'))
      ++at_;
    tokens_.push_back({TokenKind::name, std::string(source_.substr(begin, at_ - begin)), line_});
    return {};
  }

  Result<void> number() {
    const auto digits = [&] {
      while (at_ < source_.size() && (std::isdigit(static_cast<unsigned char>(source_[at_])) || source_[at_] == '_'))
        ++at_;
    };
    const auto digit_at = [&](size_t at) {
      return at < source_.size() && std::isdigit(static_cast<unsigned char>(source_[at]));
    };
    const size_t begin = at_;
    // x.0.1 are two indices, not a number with a point.
    const bool after_dot = begin > 0 && source_[begin - 1] == '.';
    bool real = false;
    digits();
    if (!after_dot && at_ < source_.size() && source_[at_] == '.' && digit_at(at_ + 1)) {
      real = true;
      ++at_;
      digits();
    }
    if (!after_dot && at_ < source_.size() && (source_[at_] | 32) == 'e') {
      const size_t sign = at_ + 1 < source_.size() && (source_[at_ + 1] == '-' || source_[at_ + 1] == '+') ? 1 : 0;
      if (digit_at(at_ + 1 + sign)) {
        real = true;
        at_ += 1 + sign;
        digits();
      }
    }
    std::string text(source_.substr(begin, at_ - begin));
    std::erase(text, '_');
    if (text.size() > 18 && !real) return mistake("a number is too long");
    tokens_.push_back({real ? TokenKind::real : TokenKind::integer, std::move(text), line_});
    return {};
  }

  Result<void> string(char quote) {
    std::string text;
    for (++at_; at_ < source_.size(); ++at_) {
      char c = source_[at_];
      if (c == quote) {
        ++at_;
        tokens_.push_back({TokenKind::string, std::move(text), line_});
        return {};
      }
      line_ += c == '\n';
      if (c != '\\' || at_ + 1 >= source_.size()) {
        text += c;
        continue;
      }
      c = source_[++at_];
      const std::string_view from = "nrtabfv", to = "\n\r\t\a\b\f\v";
      if (c >= '0' && c <= '7') {
        char32_t code = static_cast<char32_t>(c - '0');
        for (int i = 0; i < 2 && at_ + 1 < source_.size() && source_[at_ + 1] >= '0' && source_[at_ + 1] <= '7'; ++i) {
          code = code * 8 + static_cast<char32_t>(source_[++at_] - '0');
        }
        utf8_append(text, code);
      } else if (c == 'u' || c == 'x' || c == 'U') {
        const size_t digits = c == 'u' ? 4 : c == 'x' ? 2 : 8;
        char32_t code = 0;
        for (size_t i = 1; i <= digits; ++i) {
          const char digit = at_ + i < source_.size() ? source_[at_ + i] : '?';
          if (!std::isxdigit(static_cast<unsigned char>(digit))) return mistake("a string has a wrong escape");
          code = code * 16 + static_cast<char32_t>(std::isdigit(static_cast<unsigned char>(digit))
                                                       ? digit - '0'
                                                       : (digit | 32) - 'a' + 10);
        }
        at_ += digits;
        if (code > 0x10FFFF) return mistake("a string has a wrong escape");
        utf8_append(text, code >= 0xD800 && code < 0xE000 ? 0xFFFD : code);
      } else if (const size_t known = from.find(c); known != std::string_view::npos) {
        text += to[known];
      } else {
        if (c != '\\' && c != '\'' && c != '"' && c != '\n') text += '\\';
        if (c != '\n') text += c;
      }
    }
    return mistake("a string is not closed");
  }

  std::string text_;
  std::string_view source_;
  size_t at_ = 0;
  int line_ = 1;
  bool strip_next_ = false, trim_newline_ = false;
  std::vector<Token> tokens_;
};

}  // namespace

Result<std::vector<Token>> lex_template(std::string_view source) { return Lexer(source).run(); }

}  // namespace calliope::model::jinja
