// Whatever bytes tokenizer.json holds, and whatever text comes in: ids in range that decode to valid UTF-8, or an
// error.
#include <cstddef>
#include <cstdint>
#include <string>

#include "base/check.h"
#include "base/utf8.h"
#include "model/tokenizer.h"

namespace {

// A small tokenizer, so that half of the inputs are texts.
const calliope::model::Tokenizer& fixed() {
  static const auto tokenizer = [] {
    std::string vocab;
    int id = 0;
    const auto add = [&](const std::string& token) {
      vocab += (id ? ",\"" : "\"") + token + "\":" + std::to_string(id), ++id;
    };
    int next = 256;
    for (int byte = 0; byte < 256; ++byte) {
      const bool printable = (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
      std::string token;
      calliope::utf8_append(token, static_cast<char32_t>(printable ? byte : next++));
      add((token == "\"" || token == "\\" ? "\\" : "") + token);
    }
    for (const char* token : {"ab", "abc", "bc", "aa", "aaaa", "ĠĠ"}) add(token);
    const std::string json = R"({"added_tokens":[{"id":262,"content":"<|x|>","special":true,"normalized":false},
      {"id":263,"content":"<|x","lstrip":true,"rstrip":true},{"id":264,"content":"日本","single_word":true,"special":true}],
      "normalizer":{"type":"NFC"},"decoder":{"type":"ByteLevel"},"pre_tokenizer":{"type":"Sequence","pretokenizers":[{"type":"Split",
      "pattern":{"Regex":"(?i:'s|'t)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"},
      "behavior":"Isolated","invert":false},{"type":"ByteLevel","add_prefix_space":false,"use_regex":false}]},
      "model":{"type":"BPE","vocab":{)" +
                             vocab + R"(},"merges":["a b","ab c","b c","a bc",["a","a"],["aa","aa"],"Ġ Ġ"]}})";
    auto parsed = calliope::model::Tokenizer::parse(json);
    // Two forms of merges in one list are fine with us.
    CHECK(parsed.has_value());
    return std::move(*parsed);
  }();
  return tokenizer;
}

void check(const calliope::model::Tokenizer& tokenizer, const std::string& text, bool complete) {
  for (const bool special : {true, false}) {
    const auto ids = tokenizer.encode(text, special);
    if (!ids) continue;
    std::string streamed;
    calliope::model::Detokenizer detokenizer(tokenizer);
    for (const int32_t id : *ids) {
      CHECK(id >= 0 && id < tokenizer.vocabulary_size());
      CHECK(special || !tokenizer.is_special(id) || !complete);
      const std::string piece = detokenizer.push(id);
      CHECK(calliope::utf8_valid(piece));
      streamed += piece;
    }
    streamed += detokenizer.finish();
    CHECK(streamed == tokenizer.decode(*ids, true));
  }
  const auto shielded = tokenizer.encode_prompt(tokenizer.shield(text));
  if (shielded && complete) {
    for (const int32_t id : *shielded) CHECK(!tokenizer.is_special(id));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  if (!text.starts_with('{')) {
    check(fixed(), text, true);
    return 0;
  }
  const auto tokenizer = calliope::model::Tokenizer::parse(text);
  if (!tokenizer) {
    CHECK(!tokenizer.error().message.empty());
    return 0;
  }
  check(*tokenizer, text.substr(0, 2000), false);
  check(*tokenizer, "It's a  test\n\n of 123 caf\u00e9s <|im_start|> \U0001F600\u0301", false);
  return 0;
}
