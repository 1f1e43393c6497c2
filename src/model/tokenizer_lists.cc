#include "model/tokenizer_lists.h"

#include <string>

#include "model/tokenizer_parts.h"

namespace calliope::model {
namespace {

constexpr std::string_view kQwen2Pattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr size_t kMaxTokens = size_t{1} << 22;
constexpr int64_t kNormal = 1, kControl = 3, kUserDefined = 4;

std::unexpected<Error> bad(const std::string& what) {
  return fail(ErrorCode::invalid_argument, "tokenizer.ggml." + what, "tokenizer.ggml");
}

}  // namespace

Result<Tokenizer> tokenizer_from_lists(const TokenizerLists& lists) {
  if (lists.tokens.empty() || lists.tokens.size() > kMaxTokens) return bad("tokens must hold 1 to 4194304 tokens");
  if (lists.kinds.size() != lists.tokens.size()) return bad("token_type must have an entry for each of tokens");
  auto parts = std::make_shared<Tokenizer::Parts>();
  for (size_t id = 0; id < lists.tokens.size(); ++id) {
    const std::string name(lists.tokens[id]);
    if (name.empty()) return bad("tokens: token " + std::to_string(id) + " is empty");
    if (parts->ids.contains(name)) return bad("tokens: '" + name + "' is given twice");
    const int64_t kind = lists.kinds[id];
    const bool matched = kind == kControl || kind == kUserDefined, special = kind != kNormal && kind != kUserDefined;
    parts->set(static_cast<int32_t>(id), name, special);
    if (matched) parts->raw.add({static_cast<int32_t>(id), name, special, false, false, false, false});
  }
  parts->find_bytes();
  parts->bpe.merges.reserve(lists.merges.size());
  for (size_t rank = 0; rank < lists.merges.size(); ++rank) {
    const std::string_view pair = lists.merges[rank];
    const size_t space = pair.find(' ', 1);
    if (space == std::string_view::npos || !parts->merge(pair.substr(0, space), pair.substr(space + 1), rank)) {
      return bad("merges: '" + std::string(pair) + "' is not two tokens of the vocabulary with a space between");
    }
  }
  parts->nfc = true;
  TRY(parts->pre_tokenizer, PreTokenizer::compile(kQwen2Pattern));
  return Tokenizer::of(std::move(parts));
}

}  // namespace calliope::model
