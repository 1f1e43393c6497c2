#include "model/tokenizer.h"

#include "base/utf8.h"
#include "model/tokenizer_parts.h"

namespace calliope::model {

Result<std::vector<int32_t>> Tokenizer::encode(std::string_view text, bool with_special) const {
  const std::string clean = utf8_valid(text) ? std::string(text) : utf8_lossy(text);
  std::vector<int32_t> ids;
  for (const Piece& raw : parts_->raw.split(clean, with_special)) {
    if (raw.id >= 0) {
      ids.push_back(raw.id);
      continue;
    }
    const std::string normal = parts_->nfc ? normalize_nfc(raw.text) : std::string(raw.text);
    for (const Piece& piece : parts_->normalized.split(normal, with_special)) {
      if (piece.id >= 0) {
        ids.push_back(piece.id);
        continue;
      }
      TRY(const auto words, parts_->pre_tokenizer.split(piece.text));
      for (const std::string_view word : words) parts_->bpe.encode(word, ids);
    }
  }
  return ids;
}

std::string Tokenizer::decode(std::span<const int32_t> ids, bool skip_special) const {
  std::string out;
  for (const int32_t id : ids) out += bytes(id, skip_special);
  return utf8_lossy(out);
}

std::string_view Tokenizer::bytes(int32_t id, bool skip_special) const {
  if (id < 0 || id >= vocabulary_size() || (skip_special && is_special(id))) return {};
  return parts_->bytes[static_cast<size_t>(id)];
}

std::optional<int32_t> Tokenizer::id_of(std::string_view token) const {
  const auto found = parts_->ids.find(std::string(token));
  if (found == parts_->ids.end()) return std::nullopt;
  return found->second;
}

int64_t Tokenizer::vocabulary_size() const { return static_cast<int64_t>(parts_->bytes.size()); }

bool Tokenizer::is_special(int32_t id) const { return id >= 0 && id < vocabulary_size() && parts_->special[static_cast<size_t>(id)]; }

std::string Detokenizer::push(int32_t id) {
  held_ += tokenizer_.bytes(id, true);
  const size_t whole = utf8_complete_prefix(held_);
  std::string out = utf8_lossy(std::string_view(held_).substr(0, whole));
  held_.erase(0, whole);
  return out;
}

std::string Detokenizer::finish() {
  std::string out = utf8_lossy(held_);
  held_.clear();
  return out;
}

}  // namespace calliope::model
