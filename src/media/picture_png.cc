#include <png.h>

#include <csetjmp>
#include <cstring>

#include "media/picture_formats.h"

namespace calliope::media::detail {

namespace {

// libpng's errors jump out of it, so no function that calls it holds an object with a destructor. (Its simplified
// interface would be shorter, but mixes up the rows of interlaced pictures with 16 bits a colour.)
class PngReader {
 public:
  explicit PngReader(std::span<const uint8_t> bytes) : bytes_(bytes) {
    reader_ = png_create_read_struct(PNG_LIBPNG_VER_STRING, this, on_error, [](png_structp, png_const_charp) {});
    if (reader_) info_ = png_create_info_struct(reader_);
    if (info_) png_set_read_fn(reader_, this, read);
  }
  ~PngReader() { png_destroy_read_struct(&reader_, &info_, nullptr); }
  PngReader(const PngReader&) = delete;
  PngReader& operator=(const PngReader&) = delete;

  bool read_header() {
    if (!info_ || setjmp(png_jmpbuf(reader_)) != 0) return false;
    png_read_info(reader_, info_);
    return true;
  }
  int64_t width() const { return png_get_image_width(reader_, info_); }
  int64_t height() const { return png_get_image_height(reader_, info_); }

  /// RGBA with 8 bits a colour; `rows` has a pointer for each row.
  bool read_rows(std::span<png_bytep> rows) {
    if (setjmp(png_jmpbuf(reader_)) != 0) return false;
    png_set_expand(reader_);
    png_set_scale_16(reader_);
    png_set_gray_to_rgb(reader_);
    png_set_add_alpha(reader_, 255, PNG_FILLER_AFTER);
    png_set_interlace_handling(reader_);
    png_read_update_info(reader_, info_);
    if (png_get_rowbytes(reader_, info_) != static_cast<size_t>(width()) * 4) return false;
    png_read_image(reader_, rows.data());
    return true;
  }

  const char* message() const { return message_; }

 private:
  static void read(png_structp reader, png_bytep out, size_t size) {
    auto& self = *static_cast<PngReader*>(png_get_io_ptr(reader));
    if (size > self.bytes_.size()) png_error(reader, "it is cut off");
    std::memcpy(out, self.bytes_.data(), size);
    self.bytes_ = self.bytes_.subspan(size);
  }
  [[noreturn]] static void on_error(png_structp reader, png_const_charp message) {
    auto& self = *static_cast<PngReader*>(png_get_error_ptr(reader));
    std::strncpy(self.message_, message, sizeof self.message_ - 1);
    png_longjmp(reader, 1);
  }

  std::span<const uint8_t> bytes_;
  png_structp reader_ = nullptr;
  png_infop info_ = nullptr;
  char message_[128] = {};
};

}  // namespace

Result<Picture> decode_png(std::span<const uint8_t> bytes, const DecodeLimits& limits) {
  PngReader reader(bytes);
  if (!reader.read_header()) return broken("PNG", reader.message());
  TRY_VOID(check_size(reader.width(), reader.height(), limits));
  Picture picture{static_cast<int>(reader.width()), static_cast<int>(reader.height()), {}};
  const size_t stride = size_t(picture.width) * 4;
  std::vector<uint8_t> rgba(stride * size_t(picture.height));
  std::vector<png_bytep> rows;
  for (size_t y = 0; y < size_t(picture.height); ++y) rows.push_back(rgba.data() + y * stride);
  if (!reader.read_rows(rows)) return broken("PNG", reader.message());
  flatten_alpha(rgba, picture);
  return oriented(std::move(picture), png_orientation(bytes));
}

}  // namespace calliope::media::detail
