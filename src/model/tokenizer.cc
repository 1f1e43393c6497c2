#include "model/tokenizer.h"

#include <algorithm>

#include "base/utf8.h"
#include "model/tokenizer_parts.h"
#include "model/tokenizer_unicode.h"

namespace calliope::model {

namespace {

std::string without_shield(std::string_view text) {
  std::string out;
  for (size_t at = 0; at < text.size();) {
    const size_t found = std::min(text.find(kShield, at), text.size());
    out += text.substr(at, found - at);
    at = found + (found < text.size() ? kShield.size() : 0);
  }
  return out;
}

}  // namespace

std::string Tokenizer::shield(std::string_view text) const {
  // A person's own shield characters go, else they would hide what the template writes; in valid UTF-8 no rest of them
  // joins to another.
  std::string clean = without_shield(utf8_valid(text) ? std::string(text) : utf8_lossy(text));
  // Composition must not make a token that was none when the marks were set.
  if (parts_->nfc && parts_->normalized.any_special()) clean = normalize_nfc(clean);
  std::string out;
  for (size_t at = 0; at < clean.size(); ++at) {
    if (parts_->raw.special_at(clean, at) || parts_->normalized.special_at(clean, at)) out += kShield;
    out += clean[at];
  }
  return out;
}

Tokenizer Tokenizer::of(std::shared_ptr<const Parts> parts) {
  Tokenizer tokenizer;
  tokenizer.parts_ = std::move(parts);
  return tokenizer;
}

Result<std::vector<int32_t>> Tokenizer::encode(std::string_view text, bool with_special) const {
  return parts_->encode(text, with_special ? Specials::all : Specials::none);
}

Result<std::vector<int32_t>> Tokenizer::encode_prompt(std::string_view text) const {
  return parts_->encode(text, Specials::unshielded);
}

Result<std::vector<int32_t>> Tokenizer::Parts::encode(std::string_view text, Specials specials) const {
  const std::string clean = utf8_valid(text) ? std::string(text) : utf8_lossy(text);
  std::vector<int32_t> out;
  for (const Piece& outer : raw.split(clean, specials)) {
    if (outer.id >= 0) {
      out.push_back(outer.id);
      continue;
    }
    const std::string normal = nfc ? normalize_nfc(outer.text) : std::string(outer.text);
    for (const Piece& piece : normalized.split(normal, specials)) {
      if (piece.id >= 0) {
        out.push_back(piece.id);
        continue;
      }
      const std::string open = specials == Specials::unshielded ? without_shield(piece.text) : std::string(piece.text);
      TRY(const auto words, pre_tokenizer.split(open));
      for (const std::string_view word : words) bpe.encode(word, out);
    }
  }
  return out;
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

bool Tokenizer::is_special(int32_t id) const {
  return id >= 0 && id < vocabulary_size() && parts_->special[static_cast<size_t>(id)];
}

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
