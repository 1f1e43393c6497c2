#include <algorithm>
#include <boost/json.hpp>

#include "model/tokenizer.h"
#include "model/tokenizer_parts.h"
#include "model/tokenizer_unicode.h"

namespace calliope::model {
namespace {

namespace json = boost::json;

constexpr int32_t kMaxId = (1 << 22) - 1;
// What ByteLevel with use_regex splits by: GPT-2's pattern.
constexpr std::string_view kByteLevelPattern =
    R"('(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

std::unexpected<Error> bad(std::string what, ErrorCode code = ErrorCode::invalid_argument) {
  return fail(code, "tokenizer.json: " + what, "tokenizer.json");
}

std::string_view text_of(const json::object& object, std::string_view name) {
  const auto* value = object.if_contains(name);
  return value && value->is_string() ? std::string_view(value->get_string()) : std::string_view();
}

bool flag_of(const json::object& object, std::string_view name, bool otherwise) {
  const auto* value = object.if_contains(name);
  return value && value->is_bool() ? value->get_bool() : otherwise;
}

struct Reader {
  Tokenizer::Parts& parts;

  Result<void> set(int64_t id, std::string_view name, bool special) {
    if (id < 0 || id > kMaxId)
      return bad("id " + std::to_string(id) + " of token " + std::string(name) + " is out of range");
    parts.set(static_cast<int32_t>(id), name, special);
    return {};
  }

  Result<void> vocabulary(const json::object& model) {
    const auto* vocab = model.if_contains("vocab");
    if (!vocab || !vocab->is_object()) return bad("model.vocab must be an object");
    for (const auto& [token, value] : vocab->get_object()) {
      boost::system::error_code error;
      const auto id = value.to_number<int64_t>(error);
      if (error) return bad("model.vocab: token " + std::string(token) + " has no number");
      // A hostile id far beyond the number of tokens would only cost memory.
      if (id > static_cast<int64_t>(vocab->get_object().size()) + 65536)
        return bad("model.vocab has an id far beyond its size");
      TRY_VOID(set(id, token, false));
    }
    parts.find_bytes();
    return {};
  }

  Result<void> merges(const json::object& model) {
    const auto* list = model.if_contains("merges");
    if (!list || !list->is_array()) return bad("model.merges must be an array");
    uint64_t rank = 0;
    parts.bpe.merges.reserve(list->get_array().size());
    for (const auto& item : list->get_array()) {
      std::string left, right;
      if (item.is_string()) {
        const std::string_view pair(item.get_string());
        const size_t space = pair.find(' ');
        if (space == std::string_view::npos || pair.find(' ', space + 1) != std::string_view::npos) {
          return bad("model.merges: '" + std::string(pair) + "' is not two tokens with a space between");
        }
        left = pair.substr(0, space);
        right = pair.substr(space + 1);
      } else if (item.is_array() && item.get_array().size() == 2 && item.get_array()[0].is_string() &&
                 item.get_array()[1].is_string()) {
        left = std::string(item.get_array()[0].get_string());
        right = std::string(item.get_array()[1].get_string());
      } else {
        return bad("model.merges has an entry that is no pair");
      }
      if (!parts.merge(left, right, rank++)) {
        return bad("model.merges: '" + left + " " + right + "' names a token that is not in model.vocab");
      }
    }
    return {};
  }

  Result<void> model(const json::object& root) {
    const auto* value = root.if_contains("model");
    if (!value || !value->is_object()) return bad("model must be an object");
    const auto& object = value->get_object();
    const std::string_view type = text_of(object, "type");
    if (!type.empty() && type != "BPE")
      return bad("model.type is \"" + std::string(type) + "\"; only BPE is read", ErrorCode::unsupported);
    for (const char* name : {"continuing_subword_prefix", "end_of_word_suffix"}) {
      if (!text_of(object, name).empty())
        return bad(std::string("model.") + name + " is not supported", ErrorCode::unsupported);
    }
    const auto* dropout = object.if_contains("dropout");
    if (dropout && !dropout->is_null() && !(dropout->is_number() && dropout->to_number<double>() == 0)) {
      return bad("model.dropout is not supported", ErrorCode::unsupported);
    }
    TRY_VOID(vocabulary(object));
    TRY_VOID(merges(object));
    const auto& bytes = parts.bpe.byte_ids;
    if (!text_of(object, "unk_token").empty() && std::find(bytes.begin(), bytes.end(), -1) != bytes.end()) {
      return bad("model.unk_token is only supported when model.vocab has all 256 bytes", ErrorCode::unsupported);
    }
    parts.bpe.ignore_merges = flag_of(object, "ignore_merges", false);
    if (parts.bpe.ignore_merges) {
      for (size_t id = 0; id < parts.names.size(); ++id) {
        if (auto word = Tokenizer::Parts::bytes_of(parts.names[id]); word && !word->empty())
          parts.bpe.words.emplace(std::move(*word), static_cast<int32_t>(id));
      }
    }
    return {};
  }

  Result<void> normalizer(const json::value* value) {
    if (!value || value->is_null()) return {};
    if (!value->is_object()) return bad("normalizer must be an object");
    const auto& object = value->get_object();
    const std::string_view type = text_of(object, "type");
    if (type == "NFC") {
      parts.nfc = true;
      return {};
    }
    if (type != "Sequence")
      return bad("normalizer \"" + std::string(type) + "\" is not supported", ErrorCode::unsupported);
    const auto* list = object.if_contains("normalizers");
    if (!list || !list->is_array()) return bad("normalizer.normalizers must be an array");
    for (const auto& item : list->get_array()) TRY_VOID(normalizer(&item));
    return {};
  }

  // Split by one pattern, then ByteLevel; or ByteLevel alone with its own pattern.
  Result<void> pre_tokenizer(const json::value* value) {
    if (!value || !value->is_object()) return bad("pre_tokenizer must be an object", ErrorCode::unsupported);
    std::vector<const json::object*> steps;
    const auto& object = value->get_object();
    if (text_of(object, "type") == "Sequence") {
      const auto* list = object.if_contains("pretokenizers");
      if (!list || !list->is_array()) return bad("pre_tokenizer.pretokenizers must be an array");
      for (const auto& item : list->get_array()) {
        if (!item.is_object()) return bad("pre_tokenizer.pretokenizers must hold objects");
        steps.push_back(&item.get_object());
      }
    } else {
      steps.push_back(&object);
    }
    std::string pattern;
    bool byte_level = false;
    for (const json::object* step : steps) {
      const std::string_view type = text_of(*step, "type");
      if (type == "ByteLevel") {
        if (flag_of(*step, "add_prefix_space", false))
          return bad("pre_tokenizer.add_prefix_space is not supported", ErrorCode::unsupported);
        byte_level = true;
        if (flag_of(*step, "use_regex", true)) {
          if (!pattern.empty()) return bad("two patterns in pre_tokenizer are not supported", ErrorCode::unsupported);
          pattern = kByteLevelPattern;
        }
      } else if (type == "Split") {
        const auto* given = step->if_contains("pattern");
        const std::string_view regex =
            given && given->is_object() ? text_of(given->get_object(), "Regex") : std::string_view();
        if (regex.empty() || !pattern.empty() || text_of(*step, "behavior") != "Isolated" ||
            flag_of(*step, "invert", false)) {
          return bad("only one isolated Split by a Regex is supported", ErrorCode::unsupported);
        }
        pattern = regex;
      } else {
        return bad("pre_tokenizer \"" + std::string(type) + "\" is not supported", ErrorCode::unsupported);
      }
    }
    if (!byte_level || pattern.empty())
      return bad("a byte-level pre_tokenizer with a pattern is needed", ErrorCode::unsupported);
    TRY(parts.pre_tokenizer, PreTokenizer::compile(pattern));
    return {};
  }

  // The parts that would change ids or text if they were anything but ByteLevel.
  Result<void> byte_level(const json::object& root, std::string_view name, std::string_view list_name) {
    const auto* value = root.if_contains(name);
    const auto* object = value ? value->if_object() : nullptr;
    if (!object) {
      if (name == "post_processor" && (!value || value->is_null())) return {};
      return bad(std::string(name) + " must be a ByteLevel object", ErrorCode::unsupported);
    }
    const std::string_view type = text_of(*object, "type");
    const auto* list = object->if_contains(list_name);
    if (type == "Sequence" && list && list->is_array() && list->get_array().size() == 1 &&
        list->get_array()[0].is_object()) {
      if (text_of(list->get_array()[0].get_object(), "type") == "ByteLevel") return {};
    }
    if (type != "ByteLevel")
      return bad(std::string(name) + " \"" + std::string(type) + "\" is not supported", ErrorCode::unsupported);
    return {};
  }

  Result<void> added_tokens(const json::value* value) {
    if (!value || value->is_null()) return {};
    if (!value->is_array()) return bad("added_tokens must be an array");
    for (const auto& item : value->get_array()) {
      const auto* object = item.if_object();
      const auto* id = object ? object->if_contains("id") : nullptr;
      boost::system::error_code error;
      const int64_t number = id ? id->to_number<int64_t>(error) : -1;
      const std::string content(object ? text_of(*object, "content") : std::string_view());
      if (error || number < 0 || content.empty()) return bad("added_tokens has an entry without id or content");
      if (const auto known = parts.ids.find(content); known != parts.ids.end() && known->second != number) {
        return bad("added_tokens gives '" + content + "' the id " + std::to_string(number) + ", but it has the id " +
                   std::to_string(known->second) + " already");
      }
      if (number > static_cast<int64_t>(parts.names.size()) + 65536)
        return bad("added_tokens has an id far beyond the vocabulary");
      AddedToken token{static_cast<int32_t>(number),          content,
                       flag_of(*object, "special", false),    flag_of(*object, "normalized", true),
                       flag_of(*object, "lstrip", false),     flag_of(*object, "rstrip", false),
                       flag_of(*object, "single_word", false)};
      // Its name is what it is matched by, as in the reference; it is found by either.
      if (token.normalized && parts.nfc) token.content = normalize_nfc(content);
      TRY_VOID(set(number, token.content, token.special));
      parts.ids.insert_or_assign(content, static_cast<int32_t>(number));
      (token.normalized ? parts.normalized : parts.raw).add(std::move(token));
    }
    return {};
  }
};

}  // namespace

Result<Tokenizer> Tokenizer::parse(std::string_view text) {
  boost::system::error_code error;
  json::parse_options options;
  options.max_depth = 32;
  json::monotonic_resource memory;
  const json::value value = json::parse(text, error, &memory, options);
  if (error) return bad("not JSON: " + error.message());
  if (!value.is_object()) return bad("must be an object");
  auto parts = std::make_shared<Parts>();
  Reader reader{*parts};
  const auto& root = value.get_object();
  TRY_VOID(reader.model(root));
  TRY_VOID(reader.normalizer(root.if_contains("normalizer")));
  TRY_VOID(reader.pre_tokenizer(root.if_contains("pre_tokenizer")));
  TRY_VOID(reader.byte_level(root, "post_processor", "processors"));
  TRY_VOID(reader.byte_level(root, "decoder", "decoders"));
  TRY_VOID(reader.added_tokens(root.if_contains("added_tokens")));
  return of(std::move(parts));
}

}  // namespace calliope::model
