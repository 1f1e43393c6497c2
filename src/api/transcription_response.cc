#include "api/transcription_response.h"

#include <fmt/format.h>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <cctype>
#include <cmath>

namespace calliope::api {

namespace json = boost::json;

namespace {

json::object usage_object(const assistant::Usage& usage) {
  return {
      {"type", "tokens"},
      {"input_tokens", usage.prompt_tokens},
      {"input_token_details",
       {{"text_tokens", usage.prompt_tokens - usage.prompt_audio_tokens}, {"audio_tokens", usage.prompt_audio_tokens}}},
      {"output_tokens", usage.completion_tokens},
      {"total_tokens", usage.prompt_tokens + usage.completion_tokens}};
}

double rounded(double seconds) { return std::round(seconds * 1000) / 1000; }

std::string verbose(const Transcript& transcript) {
  std::string language = transcript.language.empty() ? "unknown" : transcript.language;
  for (char& c : language) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  json::array segments;
  for (const TranscriptSegment& segment : transcript.segments) {
    segments.push_back({{"id", segments.size()},
                        {"seek", static_cast<int64_t>(segment.begin_s * 100)},  // Whisper counts frames of 10 ms
                        {"start", rounded(segment.begin_s)},
                        {"end", rounded(segment.end_s)},
                        {"text", segment.text},
                        {"temperature", rounded(transcript.temperature)}});
  }
  const json::object root{
      {"task", "transcribe"},
      {"language", language},
      {"duration", rounded(transcript.duration_s)},
      {"text", transcript.text},
      {"segments", std::move(segments)},
      {"usage", {{"type", "duration"}, {"seconds", static_cast<int64_t>(std::ceil(transcript.duration_s))}}}};
  return json::serialize(root);
}

/// hours:minutes:seconds and milliseconds.
std::string clock(double seconds, char point) {
  const auto ms = static_cast<int64_t>(std::llround(seconds * 1000));
  return fmt::format("{:02}:{:02}:{:02}{}{:03}", ms / 3'600'000, ms / 60'000 % 60, ms / 1000 % 60, point, ms % 1000);
}

/// A line of a subtitle: no line of its own may be empty, nor look like the times of another.
std::string caption(std::string_view text) {
  std::string line;
  for (const char c : text) {
    if (c == '\n' || c == '\r') {
      if (!line.ends_with(' ')) line += ' ';
    } else if (c == '>' && line.ends_with("--")) {
      line += " >";
    } else {
      line += c;
    }
  }
  return line;
}

std::string subtitles(const Transcript& transcript, bool vtt) {
  std::string out = vtt ? "WEBVTT\n\n" : "";
  size_t number = 0;
  for (const TranscriptSegment& segment : transcript.segments) {
    if (!vtt) out += fmt::format("{}\n", ++number);
    const char point = vtt ? '.' : ',';
    out += fmt::format("{} --> {}\n{}\n\n", clock(segment.begin_s, point), clock(segment.end_s, point),
                       caption(segment.text));
  }
  return out;
}

std::string event(const json::object& object) { return "data: " + json::serialize(object) + "\n\n"; }

}  // namespace

std::string write_transcript(const Transcript& transcript, TranscriptFormat format) {
  switch (format) {
    case TranscriptFormat::json:
      return json::serialize(json::object{{"text", transcript.text}, {"usage", usage_object(transcript.usage)}});
    case TranscriptFormat::text: return transcript.text + "\n";
    case TranscriptFormat::verbose_json: return verbose(transcript);
    case TranscriptFormat::srt: return subtitles(transcript, false);
    case TranscriptFormat::vtt: return subtitles(transcript, true);
  }
  return {};
}

std::string_view transcript_media_type(TranscriptFormat format) {
  const bool is_json = format == TranscriptFormat::json || format == TranscriptFormat::verbose_json;
  return is_json                           ? "application/json"
         : format == TranscriptFormat::vtt ? "text/vtt; charset=utf-8"
                                           : "text/plain; charset=utf-8";
}

namespace transcript_event {

std::string delta(std::string_view text) { return event({{"type", "transcript.text.delta"}, {"delta", text}}); }

std::string done(std::string_view text, const assistant::Usage& usage) {
  return event({{"type", "transcript.text.done"}, {"text", text}, {"usage", usage_object(usage)}}) + "data: [DONE]\n\n";
}

}  // namespace transcript_event

}  // namespace calliope::api
