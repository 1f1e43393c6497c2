#include "model/template_lexer.h"

#include <algorithm>
#include <cctype>

#include "base/utf8.h"

namespace calliope::model::jinja {
namespace {

constexpr size_t kMaxSource = 1 << 20;

bool space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

class Lexer {
 public:
  explicit Lexer(std::string_view source) : source_(source) {}

  Result<std::vector<Token>> run() {
    if (source_.size() > kMaxSource) return fail(ErrorCode::too_large, "the chat template is over 1 MiB", "chat_template");
    // A template's last newline is not part of it (keep_trailing_newline is off).
    if (source_.ends_with('\n')) source_.remove_suffix(1);
    while (at_ < source_.size()) {
      const size_t open = find_open();
      push_text(open);
      if (open == source_.size()) break;
      at_ = open + 2;
      if (source_[open + 1] == '#') {
        TRY_VOID(comment());
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
      while (!text.empty() && space(text.front())) text.remove_prefix(1);
    } else if (trim_newline_ && text.starts_with('\n')) {
      text.remove_prefix(1);
    }
    strip_next_ = trim_newline_ = false;
    if (open < source_.size()) {
      const char kind = source_[open + 1], control = open + 2 < source_.size() ? source_[open + 2] : ' ';
      if (control == '-') {
        while (!text.empty() && space(text.back())) text.remove_suffix(1);
      } else if (kind != '{' && control != '+') {
        size_t keep = text.size();
        while (keep > 0 && (text[keep - 1] == ' ' || text[keep - 1] == '\t')) --keep;
        const bool line_start = keep > 0 ? text[keep - 1] == '\n' : open == 0 || at_line_start(open);
        if (line_start) text = text.substr(0, keep);
      }
    }
    if (!text.empty()) tokens_.push_back({TokenKind::text, std::string(text), line_});
  }

  // Whether only blanks lie between the start of the line and `open`, looking at the source itself.
  bool at_line_start(size_t open) const {
    size_t i = open;
    while (i > 0 && (source_[i - 1] == ' ' || source_[i - 1] == '\t')) --i;
    return i == 0 || source_[i - 1] == '\n';
  }

  std::unexpected<Error> mistake(const std::string& what) const {
    return fail(ErrorCode::invalid_argument, "chat template, line " + std::to_string(line_) + ": " + what, "chat_template");
  }

  Result<void> comment() {
    const size_t close = source_.find("#}", at_);
    if (close == std::string_view::npos) return mistake("a comment does not end");
    line_ += static_cast<int>(std::count(source_.begin() + static_cast<std::ptrdiff_t>(at_), source_.begin() + static_cast<std::ptrdiff_t>(close), '\n'));
    strip_next_ = source_[close - 1] == '-';
    trim_newline_ = true;
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
      if (space(c)) {
        line_ += c == '\n';
        ++at_;
        continue;
      }
      const bool dash = c == '-' && source_.substr(at_ + 1).starts_with(close);
      if (dash || (source_.substr(at_).starts_with(close) && (depth == 0 || !output))) {
        strip_next_ = dash;
        trim_newline_ = !output;
        at_ += close.size() + (dash ? 1 : 0);
        tokens_.push_back({output ? TokenKind::end_output : TokenKind::end_block, "", line_});
        return {};
      }
      if (c == '{') ++depth;
      if (c == '}') --depth;
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
    if (std::string_view("+-*/%~<>=|.,:()[]{}").find(c) == std::string_view::npos) return mistake(std::string("unexpected '") + c + "'");
    tokens_.push_back({TokenKind::symbol, std::string(1, c), line_});
    ++at_;
    return {};
  }

  Result<void> word() {
    const size_t begin = at_;
    while (at_ < source_.size() && (std::isalnum(static_cast<unsigned char>(source_[at_])) || source_[at_] == '_')) ++at_;
    tokens_.push_back({TokenKind::name, std::string(source_.substr(begin, at_ - begin)), line_});
    return {};
  }

  Result<void> number() {
    const size_t begin = at_;
    bool real = false;
    while (at_ < source_.size()) {
      const bool point = source_[at_] == '.' && !real && at_ + 1 < source_.size() && std::isdigit(static_cast<unsigned char>(source_[at_ + 1]));
      if (!std::isdigit(static_cast<unsigned char>(source_[at_])) && !point) break;
      real = real || point;
      ++at_;
    }
    if (at_ - begin > 18) return mistake("a number is too long");
    tokens_.push_back({real ? TokenKind::real : TokenKind::integer, std::string(source_.substr(begin, at_ - begin)), line_});
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
      const std::string_view from = "nrt0abfv", to("\n\r\t\0\a\b\f\v", 8);
      if (c == 'u' || c == 'x') {
        const size_t digits = c == 'u' ? 4 : 2;
        char32_t code = 0;
        for (size_t i = 1; i <= digits; ++i) {
          const char digit = at_ + i < source_.size() ? source_[at_ + i] : '?';
          if (!std::isxdigit(static_cast<unsigned char>(digit))) return mistake("a string has a wrong escape");
          code = code * 16 + static_cast<char32_t>(std::isdigit(static_cast<unsigned char>(digit)) ? digit - '0' : (digit | 32) - 'a' + 10);
        }
        at_ += digits;
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

  std::string_view source_;
  size_t at_ = 0;
  int line_ = 1;
  bool strip_next_ = false, trim_newline_ = false;
  std::vector<Token> tokens_;
};

}  // namespace

Result<std::vector<Token>> lex_template(std::string_view source) { return Lexer(source).run(); }

}  // namespace calliope::model::jinja
