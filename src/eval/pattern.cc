#define PCRE2_CODE_UNIT_WIDTH 8
#include "eval/pattern.h"

#include <pcre2.h>

#include "base/utf8.h"

namespace calliope::eval {

Result<Pattern> Pattern::compile(const std::string& source) {
  int error = 0;
  PCRE2_SIZE at = 0;
  pcre2_code* code = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(source.data()), source.size(), PCRE2_UTF | PCRE2_UCP, &error, &at, nullptr);
  if (!code) {
    PCRE2_UCHAR message[128];
    pcre2_get_error_message(error, message, sizeof message);
    return fail(ErrorCode::invalid_argument, "the pattern '" + source + "' is wrong at character " + std::to_string(at) + ": " +
                                                 reinterpret_cast<const char*>(message));
  }
  Pattern pattern;
  pattern.code_ = std::shared_ptr<void>(code, [](void* p) { pcre2_code_free(static_cast<pcre2_code*>(p)); });
  return pattern;
}

std::vector<Pattern::Span> Pattern::spans(std::string_view raw, size_t most) const {
  const std::string text = utf8_lossy(raw);
  const auto* code = static_cast<const pcre2_code*>(code_.get());
  const std::unique_ptr<pcre2_match_data, void (*)(pcre2_match_data*)> data(pcre2_match_data_create_from_pattern(code, nullptr), pcre2_match_data_free);
  const std::unique_ptr<pcre2_match_context, void (*)(pcre2_match_context*)> context(pcre2_match_context_create(nullptr), pcre2_match_context_free);
  pcre2_set_match_limit(context.get(), 1'000'000);
  std::vector<Span> found;
  for (size_t at = 0; at <= text.size() && found.size() < most;) {
    const int count = pcre2_match(code, reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), at, 0, data.get(), context.get());
    if (count <= 0) break;
    const PCRE2_SIZE* ends = pcre2_get_ovector_pointer(data.get());
    Span span{ends[0], ends[1], text.substr(ends[0], ends[1] - ends[0])};
    for (int group = 1; group < count; ++group) {
      if (ends[2 * group] == PCRE2_UNSET || ends[2 * group] == ends[2 * group + 1]) continue;
      span.taken = text.substr(ends[2 * group], ends[2 * group + 1] - ends[2 * group]);
      break;
    }
    at = span.end;
    if (span.begin == span.end) {
      ++at;
      while (at < text.size() && (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80) ++at;
    }
    found.push_back(std::move(span));
  }
  return found;
}

std::vector<std::string> Pattern::matches(std::string_view text, size_t most) const {
  std::vector<std::string> out;
  for (auto& span : spans(text, most)) out.push_back(std::move(span.taken));
  return out;
}

std::string Pattern::without(std::string_view text) const {
  std::string out;
  size_t at = 0;
  for (const auto& span : spans(text, 10'000)) {
    out += text.substr(at, span.begin - at);
    at = span.end;
  }
  return out + std::string(text.substr(at));
}

}  // namespace calliope::eval
