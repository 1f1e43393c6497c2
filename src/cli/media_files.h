#pragma once

#include <memory>
#include <string>
#include <vector>

#include "api/chat_request.h"
#include "assistant/request.h"
#include "base/result.h"

namespace calliope::cli {

/// Decodes the server's media in worker processes (media/worker.h).
std::shared_ptr<api::MediaDecoder> make_media_decoder();

/// A picture or sound file, decoded. Errors name the file.
Result<assistant::ImagePart> read_image(api::MediaDecoder& decoder, const std::string& path);
Result<assistant::SoundPart> read_sound(api::MediaDecoder& decoder, const std::string& path);

/// Writes mono samples at kSpeechSampleRate as a 16-bit WAV file. io with the path.
Result<void> write_wav(const std::string& path, const std::vector<float>& samples);

/// Whether a file of this name can be written, told before the work that is to fill it. Leaves nothing behind. io.
Result<void> check_writable(const std::string& path);

}  // namespace calliope::cli
