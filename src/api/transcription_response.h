#pragma once

#include <span>
#include <string>
#include <string_view>

#include "api/transcription_request.h"
#include "assistant/event.h"
#include "base/result.h"

namespace calliope::api {

/// What was said from one second to another.
struct TranscriptSegment {
  double begin_s = 0;
  double end_s = 0;
  std::string text;
};

/// A whole transcript.
struct Transcript {
  std::string text;
  std::vector<TranscriptSegment> segments = {};
  double duration_s = 0;      ///< of the sound
  std::string language = {};  ///< its English name; empty: nobody said
  float temperature = 0;      ///< it was drawn with
  assistant::Usage usage = {};
};

/// The transcript as `format` has it.
std::string write_transcript(const Transcript& transcript, TranscriptFormat format);
/// The media type of that.
std::string_view transcript_media_type(TranscriptFormat format);

/// Server-sent events of a transcript that is streamed. Each function returns the bytes to send.
namespace transcript_event {
std::string delta(std::string_view text);
/// The whole text again, what it cost, and [DONE].
std::string done(std::string_view text, const assistant::Usage& usage);
}  // namespace transcript_event

}  // namespace calliope::api
