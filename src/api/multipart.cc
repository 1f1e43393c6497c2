#include "api/multipart.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <utility>

#include "base/utf8.h"

namespace calliope::api {

namespace {

constexpr std::string_view kCrlf = "\r\n";
constexpr size_t kMostParameters = 16;  ///< of one header

bool blank(char c) { return c == ' ' || c == '\t'; }

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && blank(text.back())) text.remove_suffix(1);
  return text;
}

std::string lower(std::string_view text) {
  std::string result(text);
  std::ranges::transform(result, result.begin(),
                         [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return result;
}

/// Characters of a token (RFC 9110, 5.6.2).
bool token_char(unsigned char c) {
  return c > 0x20 && c < 0x7F &&
         std::string_view("\"(),/:;<=>?@[\\]{}").find(static_cast<char>(c)) == std::string_view::npos;
}

/// A header's value and its parameters: `form-data; name="file"; filename="a b.wav"`.
struct HeaderValue {
  std::string kind;  ///< in lower case
  std::vector<std::pair<std::string, std::string>> parameters;

  const std::string* find(std::string_view name) const {
    const auto found = std::ranges::find(parameters, name, &std::pair<std::string, std::string>::first);
    return found == parameters.end() ? nullptr : &found->second;
  }
};

/// None when it is not well-formed, or names a parameter twice. In quotes \" is a quote and \\ a backslash; any other
/// backslash stands for itself, as browsers and curl send file names.
std::optional<HeaderValue> header_value(std::string_view text) {
  HeaderValue result;
  size_t at = std::min(text.find(';'), text.size());
  result.kind = lower(trimmed(text.substr(0, at)));
  while (at < text.size()) {
    ++at;  // the semicolon
    while (at < text.size() && blank(text[at])) ++at;
    if (at == text.size()) break;  // a semicolon at the end
    const size_t name_begin = at;
    while (at < text.size() && token_char(static_cast<unsigned char>(text[at]))) ++at;
    std::string name = lower(text.substr(name_begin, at - name_begin));
    if (name.empty() || at == text.size() || text[at] != '=') return std::nullopt;
    ++at;
    std::string value;
    if (at < text.size() && text[at] == '"') {
      bool closed = false;
      for (++at; at < text.size() && !closed; ++at) {
        const bool escape = text[at] == '\\' && at + 1 < text.size() && (text[at + 1] == '"' || text[at + 1] == '\\');
        if (text[at] == '"')
          closed = true;
        else
          value.push_back(escape ? text[++at] : text[at]);
      }
      if (!closed) return std::nullopt;
    } else {
      while (at < text.size() && text[at] != ';' && !blank(text[at])) value.push_back(text[at++]);
    }
    while (at < text.size() && blank(text[at])) ++at;
    if (at < text.size() && text[at] != ';') return std::nullopt;
    if (result.find(name) != nullptr || result.parameters.size() == kMostParameters) return std::nullopt;
    result.parameters.emplace_back(std::move(name), std::move(value));
  }
  return result;
}

/// RFC 2046, 5.1.1.
bool boundary_valid(std::string_view boundary) {
  const auto allowed = [](unsigned char c) {
    return std::isalnum(c) != 0 ||
           std::string_view("'()+_,-./:=? ").find(static_cast<char>(c)) != std::string_view::npos;
  };
  return !boundary.empty() && boundary.size() <= 70 && boundary.back() != ' ' && std::ranges::all_of(boundary, allowed);
}

Result<std::string> boundary_of(std::string_view content_type) {
  const auto type = header_value(content_type);
  if (!type || type->kind != "multipart/form-data") {
    return fail(ErrorCode::unsupported,
                fmt::format("The body must be a form with Content-Type: multipart/form-data, not '{}'.",
                            content_type.substr(0, 100)));
  }
  const std::string* boundary = type->find("boundary");
  if (boundary == nullptr || !boundary_valid(*boundary)) {
    return fail(ErrorCode::invalid_argument,
                "The Content-Type multipart/form-data needs a boundary of 1 to 70 characters: let your HTTP client "
                "write this header.");
  }
  return *boundary;
}

class Reader {
 public:
  Reader(std::string_view body, const std::string& boundary, const MultipartLimits& limits)
      : body_(body), delimiter_("\r\n--" + boundary), limits_(limits) {}

  Result<std::vector<FormPart>> read() {
    if (!first_boundary()) {
      return fail(ErrorCode::invalid_argument,
                  "The form holds no part: the boundary that Content-Type names is nowhere in the body.");
    }
    std::vector<FormPart> parts;
    while (!last_) {
      number_ = parts.size() + 1;
      name_.clear();
      if (number_ > limits_.parts)
        return fail(ErrorCode::too_large, fmt::format("The form has more than {} parts.", limits_.parts));
      FormPart part;
      TRY_VOID(headers(part));
      const size_t begin = at_;
      // An empty value's boundary begins with the CRLF that ends the headers.
      at_ -= kCrlf.size();
      if (!next_boundary()) return wrong("the body ends before the boundary that closes it; was it cut off?");
      part.value = end_ > begin ? body_.substr(begin, end_ - begin) : std::string_view();
      parts.push_back(std::move(part));
    }
    return parts;
  }

 private:
  std::unexpected<Error> wrong(std::string_view what, ErrorCode code = ErrorCode::invalid_argument) const {
    const std::string which =
        name_.empty() ? fmt::format("part {}", number_) : fmt::format("part {} ('{}')", number_, name_);
    return fail(code, fmt::format("Invalid form, {}: {}", which, what), name_);
  }

  /// The first boundary may stand at the very beginning, without a line before it.
  bool first_boundary() {
    const std::string_view bare = std::string_view(delimiter_).substr(kCrlf.size());
    if (body_.starts_with(bare) && ends_boundary(bare.size())) return true;
    return next_boundary();
  }

  /// Goes behind the next boundary; the value before it ends at end_. What only begins like one is part of a value.
  bool next_boundary() {
    for (size_t found = body_.find(delimiter_, at_); found != std::string_view::npos;
         found = body_.find(delimiter_, found + 1)) {
      if (!ends_boundary(found + delimiter_.size())) continue;
      end_ = found;
      return true;
    }
    return false;
  }

  /// Whether a boundary is over here: "--" for the last, else blanks and a line's end. Moves behind it.
  bool ends_boundary(size_t at) {
    const std::string_view rest = body_.substr(at);
    last_ = rest.starts_with("--");
    if (last_) return true;
    size_t blanks = 0;
    while (blanks < rest.size() && blanks < limits_.header_bytes && blank(rest[blanks])) ++blanks;
    if (!rest.substr(blanks).starts_with(kCrlf)) return false;
    at_ = at + blanks + kCrlf.size();
    return true;
  }

  Result<void> headers(FormPart& part) {
    bool disposed = false;
    const size_t begin = at_;
    while (true) {
      const std::string_view room =
          body_.substr(at_, limits_.header_bytes - std::min(limits_.header_bytes, at_ - begin));
      const size_t end = room.find('\n');
      if (end == std::string_view::npos) {
        if (at_ + room.size() < body_.size())
          return wrong(fmt::format("its headers are larger than {} bytes.", limits_.header_bytes),
                       ErrorCode::too_large);
        return wrong("the body ends among its headers; was it cut off?");
      }
      if (end == 0 || room[end - 1] != '\r') return wrong("its header lines must end in CRLF.");
      const std::string_view line = room.substr(0, end - 1);
      at_ += end + 1;
      if (line.empty()) break;
      TRY_VOID(header(line, part, disposed));
    }
    if (!disposed) return wrong("it has no Content-Disposition header, which must name the field.");
    return {};
  }

  Result<void> header(std::string_view line, FormPart& part, bool& disposed) {
    const size_t colon = line.find(':');
    const std::string_view field = line.substr(0, std::min(colon, line.size()));
    if (colon == std::string_view::npos || field.empty() ||
        !std::ranges::all_of(field, [](unsigned char c) { return token_char(c); })) {
      return wrong("a header line must be 'Name: value'.");
    }
    const std::string name = lower(field);
    const std::string_view value = trimmed(line.substr(colon + 1));
    if (name == "content-transfer-encoding") {
      const std::string encoding = lower(value);
      if (encoding == "binary" || encoding == "8bit" || encoding == "7bit") return {};
      return wrong("Content-Transfer-Encoding is out of use in forms; send the bytes as they are.",
                   ErrorCode::unsupported);
    }
    if (name != "content-disposition") return {};
    if (disposed) return wrong("it has two Content-Disposition headers.");
    disposed = true;
    const auto disposition = header_value(value);
    if (!disposition || disposition->kind != "form-data")
      return wrong("its Content-Disposition must be: form-data; name=\"...\"");
    const std::string* given = disposition->find("name");
    if (given == nullptr || given->empty()) return wrong("its Content-Disposition names no field.");
    const std::string* filename = disposition->find("filename");
    if (filename == nullptr) filename = disposition->find("filename*");  // against RFC 7578, but it is a file
    if (given->size() > limits_.name_bytes || (filename != nullptr && filename->size() > limits_.name_bytes)) {
      return wrong(fmt::format("its name is longer than {} bytes.", limits_.name_bytes), ErrorCode::too_large);
    }
    part.name = *given;
    name_ = utf8_lossy(given->substr(0, 64));
    if (filename != nullptr) part.filename = *filename;
    return {};
  }

  const std::string_view body_;
  const std::string delimiter_;
  const MultipartLimits& limits_;
  size_t at_ = 0;
  size_t end_ = 0;
  bool last_ = false;
  size_t number_ = 0;
  std::string name_;
};

}  // namespace

Result<std::vector<FormPart>> parse_multipart(std::string_view content_type, std::string_view body,
                                              const MultipartLimits& limits) {
  TRY(const std::string boundary, boundary_of(content_type));
  return Reader(body, boundary, limits).read();
}

}  // namespace calliope::api
