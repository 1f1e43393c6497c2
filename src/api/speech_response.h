#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "assistant/event.h"

namespace calliope::api {

/// Server-sent events of a speech answer. Each function returns the bytes to send.

/// speech.audio.delta: more of the packed sound.
std::string speech_delta(std::span<const uint8_t> bytes);
/// speech.audio.done: the tokens of the text and the frames of the sound, counted as tokens.
std::string speech_done(const assistant::Usage& usage);
/// A failure after the sound began: an error object, and nothing after it.
std::string speech_failed(const Error& error);

}  // namespace calliope::api
