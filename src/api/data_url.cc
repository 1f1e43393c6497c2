#include "api/data_url.h"

#include "media/base64.h"

namespace calliope::api {

namespace {

std::string lower(std::string_view text) {
  std::string result(text);
  for (char& c : result) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return result;
}

}  // namespace

Result<DataUrl> parse_data_url(std::string_view url) {
  const std::string scheme = lower(url.substr(0, 8));
  if (scheme.starts_with("http://") || scheme.starts_with("https://")) {
    return fail(ErrorCode::unsupported,
                "this server fetches nothing from the network; send the file itself as a data: URL.");
  }
  if (!scheme.starts_with("data:")) {
    return fail(ErrorCode::invalid_argument, "expected a data: URL, such as data:image/png;base64,iVBORw0...");
  }
  const size_t comma = url.substr(0, 1024).find(',');
  if (comma == std::string_view::npos)
    return fail(ErrorCode::invalid_argument, "the data: URL has no comma before its data.");
  const std::string head = lower(url.substr(5, comma - 5));
  if (!head.ends_with(";base64"))
    return fail(ErrorCode::invalid_argument, "the data: URL must be base64: data:image/png;base64,...");
  DataUrl result;
  result.mime = head.substr(0, head.find(';'));
  if (result.mime.empty()) result.mime = "application/octet-stream";
  TRY(result.bytes, media::decode_base64(url.substr(comma + 1)));
  if (result.bytes.empty()) return fail(ErrorCode::invalid_argument, "the data: URL holds no data.");
  return result;
}

}  // namespace calliope::api
