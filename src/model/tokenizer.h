#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace calliope::model {

/// Byte-level BPE as a hub tokenizer.json describes it: NFC, a regex split, byte-level merges, added tokens. Encodes
/// and decodes as the `tokenizers` library does.
class Tokenizer {
 public:
  struct Parts;
  /// Reads a tokenizer.json. invalid_argument for what is malformed, unsupported for another kind of tokenizer.
  static Result<Tokenizer> parse(std::string_view json);
  /// The tokenizer of parts put together elsewhere.
  static Tokenizer of(std::shared_ptr<const Parts> parts);

  /// Text to ids. Added tokens inside the text ("<|im_start|>") become their ids when `with_special`; else a special
  /// token's text is encoded like any other, so that a person cannot write control tokens. Bytes that are not UTF-8
  /// become U+FFFD first. invalid_argument when the split gives up on hostile text.
  Result<std::vector<int32_t>> encode(std::string_view text, bool with_special) const;

  /// Marks text so that no special token is matched inside it; encode_prompt takes the marks out again.
  std::string shield(std::string_view text) const;
  /// encode(text, true) for a prompt of which some parts went through shield().
  Result<std::vector<int32_t>> encode_prompt(std::string_view text) const;

  /// Ids to text; ids out of range are left out.
  std::string decode(std::span<const int32_t> ids, bool skip_special) const;

  /// The bytes one id stands for, which may end inside a character. Special tokens give nothing when `skip_special`.
  std::string_view bytes(int32_t id, bool skip_special) const;

  std::optional<int32_t> id_of(std::string_view token) const;
  /// Ids run from 0 to vocabulary_size() - 1.
  int64_t vocabulary_size() const;
  bool is_special(int32_t id) const;

 private:
  std::shared_ptr<const Parts> parts_;
};

/// Turns ids into text as they come; never gives part of a character.
class Detokenizer {
 public:
  explicit Detokenizer(const Tokenizer& tokenizer) : tokenizer_(tokenizer) {}
  /// The text this id completes, special tokens left out.
  std::string push(int32_t id);
  /// What is left when no more ids come.
  std::string finish();

 private:
  Tokenizer tokenizer_;
  std::string held_;
};

}  // namespace calliope::model
