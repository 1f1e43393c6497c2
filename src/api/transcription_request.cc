#include "api/transcription_request.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <utility>

#include "api/multipart.h"
#include "base/utf8.h"

namespace calliope::api {

namespace {

constexpr size_t kMostTextBytes = 16 << 10;  ///< of any field but the file
constexpr size_t kMostPromptBytes = 4 << 10;

std::unexpected<Error> invalid(std::string_view field, std::string_view what) {
  return fail(ErrorCode::invalid_argument, fmt::format("Invalid value for '{}': {}", field, what), std::string(field));
}

std::unexpected<Error> unsupported(std::string_view field, std::string_view why) {
  return fail(ErrorCode::unsupported, fmt::format("Unsupported value for '{}': {}", field, why), std::string(field));
}

/// The fields of a form by name; a list is one whose name ends in [], or that stands there several times.
class Form {
 public:
  static Result<Form> read(std::string_view content_type, std::string_view body) {
    TRY(std::vector<FormPart> parts, parse_multipart(content_type, body));
    for (FormPart& part : parts) {
      if (part.name.ends_with("[]")) part.name.resize(part.name.size() - 2);
      if (part.name == "file") continue;
      if (part.filename) continue;  // a further file
      if (part.value.size() > kMostTextBytes) {
        return fail(
            ErrorCode::too_large,
            fmt::format("Invalid value for '{}': longer than {} KiB.", utf8_lossy(part.name), kMostTextBytes >> 10),
            utf8_lossy(part.name));
      }
      if (!utf8_valid(part.value)) return invalid(utf8_lossy(part.name), "it is not UTF-8.");
    }
    return Form(std::move(parts));
  }

  /// Null when it is not there.
  Result<const FormPart*> one(std::string_view name) const {
    const FormPart* found = nullptr;
    for (const FormPart& part : parts_) {
      if (part.name != name) continue;
      if (found != nullptr) return invalid(name, "it stands in the form more than once.");
      found = &part;
    }
    return found;
  }
  /// Empty when it is not there.
  Result<std::string_view> text(std::string_view name) const {
    TRY(const FormPart* part, one(name));
    if (part == nullptr) return std::string_view();
    if (part->filename) return invalid(name, "expected a text, not a file.");
    return part->value;
  }
  std::vector<std::string_view> list(std::string_view name) const {
    std::vector<std::string_view> values;
    for (const FormPart& part : parts_) {
      if (part.name == name) values.push_back(part.value);
    }
    return values;
  }

 private:
  explicit Form(std::vector<FormPart> parts) : parts_(std::move(parts)) {}
  std::vector<FormPart> parts_;
};

Result<std::string> model_of(const Form& form, std::span<const std::string> models) {
  TRY(const std::string_view name, form.text("model"));
  if (name.empty()) return models.empty() ? std::string() : models.front();
  if (models.empty() || std::ranges::find(models, name) != models.end()) return std::string(name);
  return fail(ErrorCode::not_found,
              fmt::format("The model '{}' does not exist; this server has: {}.", name, fmt::join(models, ", ")),
              "model");
}

Result<std::string> language_of(const Form& form) {
  TRY(const std::string_view given, form.text("language"));
  std::string language;
  for (const char c : given) language.push_back(c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c);
  const bool letters = std::ranges::all_of(language, [](char c) { return c >= 'a' && c <= 'z'; });
  if (language.empty() || (letters && (language.size() == 2 || language.size() == 3))) return language;
  return invalid("language", fmt::format("'{}' is no ISO-639-1 code, such as 'en'.", given.substr(0, 32)));
}

Result<float> temperature_of(const Form& form) {
  TRY(const std::string_view text, form.text("temperature"));
  if (text.empty()) return 0.0f;
  float value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || !(value >= 0 && value <= 1)) {
    return invalid("temperature", "expected a number between 0 and 1.");
  }
  return value;
}

Result<bool> stream_of(const Form& form) {
  TRY(const std::string_view text, form.text("stream"));
  if (text.empty() || text == "false" || text == "False" || text == "0") return false;
  if (text == "true" || text == "True" || text == "1") return true;
  return invalid("stream", "expected 'true' or 'false'.");
}

/// Known fields that would change the answer in a way this server cannot give.
Result<void> refuse_what_we_cannot(const Form& form, TranscriptFormat format) {
  for (const std::string_view value : form.list("include")) {
    if (value == "logprobs") return unsupported("include", "log probabilities are not given.");
    return invalid("include", "expected 'logprobs'.");
  }
  for (const std::string_view value : form.list("timestamp_granularities")) {
    if (value == "word")
      return unsupported("timestamp_granularities", "the times of words are not known; use 'segment'.");
    if (value != "segment") return invalid("timestamp_granularities", "expected 'segment'.");
    if (format != TranscriptFormat::verbose_json)
      return invalid("timestamp_granularities", "only with response_format=verbose_json.");
  }
  TRY(const std::string_view chunking, form.text("chunking_strategy"));
  if (!chunking.empty() && chunking != "auto")
    return unsupported("chunking_strategy", "expected 'auto': where to cut is found by itself.");
  for (const char* name : {"known_speaker_names", "known_speaker_references"}) {
    if (!form.list(name).empty()) return unsupported(name, "speakers are not told apart; leave it out.");
  }
  if (!form.list("languages").empty()) return unsupported("languages", "give one language, as 'language'.");
  if (!form.list("keywords").empty()) return unsupported("keywords", "give them as 'prompt'.");
  return {};
}

/// Media errors come from below without a place: say where.
Result<assistant::SoundPart> sound_of(const Form& form, MediaDecoder& decoder) {
  TRY(const FormPart* file, form.one("file"));
  if (file == nullptr) return fail(ErrorCode::invalid_argument, "Missing required parameter: 'file'.", "file");
  if (!file->filename) return invalid("file", "expected a file: send it with a file name.");
  if (file->value.empty()) return invalid("file", "the file is empty.");
  auto sound = decoder.sound({reinterpret_cast<const uint8_t*>(file->value.data()), file->value.size()}, "");
  if (sound) return std::make_shared<const assistant::Sound>(*std::move(sound));
  Error error = std::move(sound).error();
  error.message = fmt::format("Invalid value for 'file': {}", error.message);
  error.field = "file";
  return std::unexpected(std::move(error));
}

}  // namespace

Result<TranscriptFormat> transcript_format(std::string_view name, std::string_view field) {
  static constexpr std::pair<std::string_view, TranscriptFormat> kFormats[] = {
      {"json", TranscriptFormat::json},
      {"text", TranscriptFormat::text},
      {"verbose_json", TranscriptFormat::verbose_json},
      {"srt", TranscriptFormat::srt},
      {"vtt", TranscriptFormat::vtt}};
  for (const auto& [known, format] : kFormats) {
    if (name == known) return format;
  }
  if (name == "diarized_json") return unsupported(field, "speakers are not told apart; use 'verbose_json'.");
  return invalid(field, "expected one of 'json', 'text', 'verbose_json', 'srt' or 'vtt'.");
}

Result<TranscriptionRequest> parse_transcription(std::string_view content_type, std::string_view body,
                                                 const TranscriptionContext& context) {
  TRY(const Form form, Form::read(content_type, body));
  TranscriptionRequest result;
  TRY(result.model, model_of(form, context.models));
  TRY(result.language, language_of(form));
  TRY(const std::string_view prompt, form.text("prompt"));
  if (prompt.size() > kMostPromptBytes)
    return invalid("prompt", fmt::format("longer than {} bytes.", kMostPromptBytes));
  result.prompt = prompt;
  TRY(result.temperature, temperature_of(form));
  TRY(const std::string_view format, form.text("response_format"));
  if (!format.empty()) {
    TRY(result.format, transcript_format(format, "response_format"));
  }
  TRY(result.stream, stream_of(form));
  if (result.stream && result.format != TranscriptFormat::json && result.format != TranscriptFormat::text) {
    return unsupported("response_format",
                       fmt::format("'{}' cannot be streamed; with stream=true use 'json' or 'text'.", format));
  }
  TRY_VOID(refuse_what_we_cannot(form, result.format));
  // Last, because it costs the most.
  TRY(result.sound, sound_of(form, context.decoder));
  return result;
}

}  // namespace calliope::api
