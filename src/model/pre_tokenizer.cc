#include "model/pre_tokenizer.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <algorithm>

#include "base/utf8.h"
#include "model/tokenizer_unicode.h"

namespace calliope::model {

namespace {

constexpr size_t kMaxPattern = 1 << 16;
constexpr uint32_t kMaxHeap_kib = 1 << 16;

}  // namespace

struct PreTokenizer::Code {
  pcre2_code* code = nullptr;
  ~Code() { pcre2_code_free(code); }
};

Result<PreTokenizer> PreTokenizer::compile(std::string_view given) {
  if (given.size() > kMaxPattern)
    return fail(ErrorCode::too_large, "the pre-tokenizer's pattern is over 64 KiB", "pre_tokenizer");
  const std::string pattern = pattern_for_pcre2(utf8_lossy(given));
  int error = 0;
  PCRE2_SIZE offset = 0;
  auto owned = std::make_shared<Code>();
  owned->code =
      pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(),
                    PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C, &error, &offset, nullptr);
  if (!owned->code) {
    PCRE2_UCHAR message[256] = {};
    pcre2_get_error_message(error, message, sizeof message);
    return fail(ErrorCode::unsupported,
                "tokenizer.json: the pre_tokenizer's pattern does not compile: " +
                    std::string(reinterpret_cast<char*>(message)),
                "pre_tokenizer");
  }
  // Without JIT support the interpreter matches, only slower.
  pcre2_jit_compile(owned->code, PCRE2_JIT_COMPLETE);
  PreTokenizer result;
  result.code_ = std::move(owned);
  return result;
}

Result<std::vector<std::string_view>> PreTokenizer::split(std::string_view text) const {
  std::vector<std::string_view> words;
  const std::unique_ptr<pcre2_match_data, void (*)(pcre2_match_data*)> data(
      pcre2_match_data_create_from_pattern(code_->code, nullptr), pcre2_match_data_free);
  const std::unique_ptr<pcre2_match_context, void (*)(pcre2_match_context*)> context(
      pcre2_match_context_create(nullptr), pcre2_match_context_free);
  const std::unique_ptr<pcre2_jit_stack, void (*)(pcre2_jit_stack*)> stack(
      pcre2_jit_stack_create(32 << 10, 16 << 20, nullptr), pcre2_jit_stack_free);
  pcre2_jit_stack_assign(context.get(), nullptr, stack.get());
  // A sane pattern takes a few steps a character; only a hostile one meets these.
  const auto steps = static_cast<uint32_t>(std::min<size_t>(1'000'000 + 64 * text.size(), UINT32_MAX));
  pcre2_set_match_limit(context.get(), steps);
  pcre2_set_depth_limit(context.get(), steps);
  pcre2_set_heap_limit(context.get(), kMaxHeap_kib);
  size_t done = 0, at = 0;
  while (at < text.size()) {
    const int found = pcre2_match(code_->code, reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), at,
                                  PCRE2_NO_UTF_CHECK, data.get(), context.get());
    if (found == PCRE2_ERROR_NOMATCH) break;
    if (found < 0) return fail(ErrorCode::invalid_argument, "this text is too repetitive to be split into words");
    const PCRE2_SIZE* range = pcre2_get_ovector_pointer(data.get());
    if (range[1] == range[0]) {
      // An empty match splits nothing: go on one character later.
      do ++at;
      while (at < text.size() && (static_cast<uint8_t>(text[at]) & 0xC0) == 0x80);
      continue;
    }
    if (range[0] > done) words.push_back(text.substr(done, range[0] - done));
    words.push_back(text.substr(range[0], range[1] - range[0]));
    done = at = range[1];
  }
  if (done < text.size()) words.push_back(text.substr(done));
  return words;
}

}  // namespace calliope::model
