#include "api/realtime_input.h"

#include "api/realtime_fields.h"

namespace calliope::api::realtime {

Result<TurnDetection> parse_turn_detection(const JsonReader& field, const TurnDetection& before) {
  using Kind = TurnDetection::Kind;
  if (field.missing()) return TurnDetection{.kind = Kind::none};  // null turns it off
  TRY_VOID(field.object());
  TurnDetection result = before.kind == Kind::none ? TurnDetection{} : before;
  const JsonReader type = field.member("type");
  if (!type.missing()) {
    TRY(const std::string_view name, type.string());
    if (name == "none") return TurnDetection{.kind = Kind::none};
    if (name != "server_vad" && name != "semantic_vad") {
      return std::unexpected(
          type.value_error("expected 'server_vad' or 'semantic_vad', or null instead of the object."));
    }
    const Kind kind = name == "server_vad" ? Kind::server_vad : Kind::semantic_vad;
    if (kind != result.kind) result = {.kind = kind};
  }
  if (const auto threshold = field.member("threshold"); !threshold.missing()) {
    TRY(result.threshold, threshold.number(0, 1));
  }
  TRY_VOID(read_ms(field.member("prefix_padding_ms"), result.prefix_padding_ms, 0, 5'000));
  TRY_VOID(read_ms(field.member("silence_duration_ms"), result.silence_duration_ms, 0, 10'000));
  if (const auto idle = field.member("idle_timeout_ms"); idle.is_null()) {
    result.idle_timeout_ms.reset();
  } else if (!idle.missing()) {
    TRY(const int64_t value, idle.integer(5'000, 30'000));
    result.idle_timeout_ms = static_cast<int>(value);
  }
  if (const auto eagerness = field.member("eagerness"); !eagerness.missing()) {
    using Eagerness = TurnDetection::Eagerness;
    TRY(const std::string_view name, eagerness.string());
    if (name == "auto") {
      result.eagerness = Eagerness::automatic;
    } else if (name == "low") {
      result.eagerness = Eagerness::low;
    } else if (name == "medium") {
      result.eagerness = Eagerness::medium;
    } else if (name == "high") {
      result.eagerness = Eagerness::high;
    } else {
      return std::unexpected(eagerness.value_error("expected one of 'auto', 'low', 'medium' or 'high'."));
    }
  }
  TRY_VOID(read_flag(field.member("create_response"), result.create_response));
  TRY_VOID(read_flag(field.member("interrupt_response"), result.interrupt_response));
  return result;
}

Result<std::optional<Transcription>> parse_transcription(const JsonReader& field) {
  if (field.missing()) return std::nullopt;
  TRY_VOID(field.object());
  Transcription result;
  TRY(result.model, text(field.member("model"), 256));
  TRY(result.language, text(field.member("language"), 64));
  TRY(result.prompt, text(field.member("prompt"), 4096));
  return result;
}

Result<std::string> parse_noise_reduction(const JsonReader& field) {
  if (field.missing()) return std::string();
  TRY_VOID(field.object());
  const JsonReader type = field.member("type");
  TRY(const std::string_view name, type.string());
  if (name != "near_field" && name != "far_field") {
    return std::unexpected(type.value_error("expected 'near_field' or 'far_field'."));
  }
  return std::string(name);
}

}  // namespace calliope::api::realtime
