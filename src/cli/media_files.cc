#include "cli/media_files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <utility>

#include "api/speech_format.h"
#include "media/worker.h"
#include "model/model.h"

namespace calliope::cli {
namespace {

constexpr size_t kFileBytes = size_t{64} << 20;

class PoolDecoder final : public api::MediaDecoder {
 public:
  Result<assistant::Image> image(std::span<const uint8_t> bytes) override {
    TRY(media::Picture picture, pool_.picture(bytes));
    return assistant::Image{picture.width, picture.height, std::move(picture.rgb)};
  }
  Result<assistant::Sound> sound(std::span<const uint8_t> bytes, std::string_view) override {
    TRY(std::vector<float> samples, pool_.sound(bytes));
    return assistant::Sound{std::move(samples)};
  }

 private:
  media::DecodePool pool_;
};

std::span<const uint8_t> bytes_of(const std::string& text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

Error in_file(Error error, const std::string& path) {
  error.message = path + ": " + error.message;
  error.field = path;
  return error;
}

std::unexpected<Error> cannot_write(const std::string& path, int error) {
  const std::string why = error == EISDIR ? "it is a folder; name a file" : error != 0 ? std::strerror(error) : "is the disk full?";
  return fail(ErrorCode::io, "cannot write " + path + ": " + why, path);
}

}  // namespace

std::shared_ptr<api::MediaDecoder> make_media_decoder() { return std::make_shared<PoolDecoder>(); }

Result<assistant::ImagePart> read_image(api::MediaDecoder& decoder, const std::string& path) {
  TRY(const std::string file, model::read_file(path, kFileBytes));
  auto image = decoder.image(bytes_of(file));
  if (!image) return std::unexpected(in_file(std::move(image).error(), path));
  return std::make_shared<const assistant::Image>(std::move(*image));
}

Result<assistant::SoundPart> read_sound(api::MediaDecoder& decoder, const std::string& path) {
  TRY(const std::string file, model::read_file(path, kFileBytes));
  auto sound = decoder.sound(bytes_of(file), "");
  if (!sound) return std::unexpected(in_file(std::move(sound).error(), path));
  return std::make_shared<const assistant::Sound>(std::move(*sound));
}

Result<void> write_wav(const std::string& path, const std::vector<float>& samples) {
  TRY(const std::vector<uint8_t> bytes, api::encode_speech(samples, api::SpeechFormat::wav));
  errno = 0;
  std::ofstream file(path, std::ios::binary);
  file.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  file.close();
  if (!file) return cannot_write(path, errno);
  return {};
}

Result<void> check_writable(const std::string& path) {
  struct stat info {};
  const bool there = ::stat(path.c_str(), &info) == 0;
  if (there && !S_ISREG(info.st_mode) && !S_ISDIR(info.st_mode)) return {};  // a device or a pipe: opening it has effects
  const int descriptor = ::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
  if (descriptor < 0) return cannot_write(path, errno);
  ::close(descriptor);
  if (!there) ::unlink(path.c_str());
  return {};
}

}  // namespace calliope::cli
