#include "engine/tool_calls.h"

#include <algorithm>
#include <boost/json.hpp>
#include <random>

namespace calliope::engine {
namespace {

namespace json = boost::json;

constexpr std::string_view kBlanks = " \t\r\n";

std::string new_call_id() {
  static constexpr std::string_view kLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
  std::random_device random;
  std::string id = "call_";
  for (int i = 0; i < 24; ++i) id += kLetters[random() % kLetters.size()];
  return id;
}

std::optional<json::value> parsed(std::string_view text) {
  json::error_code error;
  json::value value = json::parse(text, error);
  if (error) return std::nullopt;
  return value;
}

// The end of the JSON value that begins at `at` in valid JSON.
size_t value_end(std::string_view text, size_t at) {
  int depth = 0;
  bool in_string = false;
  for (; at < text.size(); ++at) {
    const char c = text[at];
    if (in_string) {
      if (c == '\\') ++at;
      else if (c == '"') in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{' || c == '[') {
      ++depth;
    } else if (c == '}' || c == ']') {
      if (depth-- == 0) return at;
    } else if (c == ',' && depth == 0) {
      return at;
    }
  }
  return at;
}

// A member of the object that `text` is, as it is written there: numbers keep their spelling.
std::string_view member_text(std::string_view text, std::string_view name) {
  std::string_view found;
  size_t at = text.find('{') + 1;
  while (true) {
    at = text.find('"', at);
    if (at == std::string_view::npos) return found;
    size_t end = at + 1;
    while (text[end] != '"') end += text[end] == '\\' ? 2 : 1;
    const std::string_view key = text.substr(at + 1, end - at - 1);
    const size_t begin = text.find_first_not_of(kBlanks, text.find(':', end) + 1);
    at = value_end(text, begin);
    if (key == name) found = text.substr(begin, at - begin);
  }
}

std::string_view without_blanks(std::string_view text) {
  const size_t begin = text.find_first_not_of(kBlanks);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlanks) + 1 - begin);
}

}  // namespace

std::optional<assistant::ToolCall> parse_tool_call(std::string_view body, const std::vector<std::string>& names) {
  const auto value = parsed(body);
  const auto* object = value ? value->if_object() : nullptr;
  const auto* name = object ? object->if_contains("name") : nullptr;
  if (!name || !name->is_string()) return std::nullopt;
  assistant::ToolCall call{.name = std::string(name->get_string()), .arguments = "{}"};
  if (std::ranges::find(names, call.name) == names.end()) return std::nullopt;
  for (const char* key : {"arguments", "parameters"}) {
    const auto* arguments = object->if_contains(key);
    if (!arguments) continue;
    if (arguments->is_object()) {
      call.arguments = without_blanks(member_text(body, key));
      if (call.arguments.empty()) return std::nullopt;  // the key is written with escapes
    } else if (arguments->is_string() && parsed(arguments->get_string()).value_or(nullptr).is_object()) {
      call.arguments = without_blanks(std::string_view(arguments->get_string()));
    } else {
      return std::nullopt;
    }
    break;
  }
  call.id = new_call_id();
  return call;
}

std::vector<ToolCallReader::Piece> ToolCallReader::push(std::string_view text) {
  held_ += text;
  std::vector<Piece> pieces;
  read(pieces);
  return pieces;
}

void ToolCallReader::read(std::vector<Piece>& pieces) {
  while (in_block_ ? read_block(pieces) : read_text(pieces)) {
  }
}

void ToolCallReader::take(std::vector<Piece>& pieces, size_t bytes, bool aloud) {
  if (bytes == 0) return;
  if (!aloud) silent_.push_back({.begin = decided_, .end = decided_ + bytes, .told = true});
  auto* last = pieces.empty() ? nullptr : std::get_if<std::string>(&pieces.back());
  if (last) *last += held_.substr(0, bytes);
  else pieces.emplace_back(held_.substr(0, bytes));
  held_.erase(0, bytes);
  decided_ += bytes;
}

// True when a block begins.
bool ToolCallReader::read_text(std::vector<Piece>& pieces) {
  const size_t open = held_.find(kOpen);
  size_t end = std::min(open, held_.size());
  if (open == std::string::npos) {
    for (size_t length = std::min(kOpen.size() - 1, held_.size()); length > 0; --length) {
      if (!std::string_view(held_).ends_with(kOpen.substr(0, length))) continue;
      end -= length;
      break;
    }
  }
  const size_t last = std::string_view(held_).substr(0, end).find_last_not_of(kBlanks);
  take(pieces, last == std::string_view::npos ? 0 : last + 1, true);
  if (open == std::string::npos) return false;
  const size_t blanks = held_.find(kOpen);
  silent_.push_back({.begin = decided_, .end = decided_ + blanks});
  held_.erase(0, blanks);
  decided_ += blanks;
  in_block_ = true;
  in_string_ = escaped_ = false;
  scanned_ = kOpen.size();
  return true;
}

// True when the block has ended.
bool ToolCallReader::read_block(std::vector<Piece>& pieces) {
  const std::string_view block = held_;
  for (; scanned_ < block.size(); ++scanned_) {
    const char c = block[scanned_];
    if (in_string_) {
      if (escaped_) escaped_ = false;
      else if (c == '\\') escaped_ = true;
      else if (c == '"') in_string_ = false;
    } else if (c == '"') {
      in_string_ = true;
    } else if (c == '<') {
      const std::string_view rest = block.substr(scanned_);
      if (rest.starts_with(kClose)) {
        end_block(pieces, scanned_ + kClose.size(), std::string(block.substr(kOpen.size(), scanned_ - kOpen.size())));
        return true;
      }
      if (kClose.starts_with(rest)) return false;  // more must come
    }
  }
  return false;
}

void ToolCallReader::end_block(std::vector<Piece>& pieces, size_t bytes, std::string_view body) {
  in_block_ = false;
  auto call = parse_tool_call(body, names_);
  if (!call) return take(pieces, bytes, false);
  ++calls_;
  silent_.push_back({.begin = decided_, .end = decided_ + bytes});
  held_.erase(0, bytes);
  decided_ += bytes;
  pieces.emplace_back(std::move(*call));
}

std::vector<ToolCallReader::Piece> ToolCallReader::finish() {
  std::vector<Piece> pieces;
  if (in_block_) end_block(pieces, held_.size(), std::string(std::string_view(held_).substr(kOpen.size())));
  if (calls_ > 0 && without_blanks(held_).empty()) {
    silent_.push_back({.begin = decided_, .end = decided_ + held_.size()});
    decided_ += std::exchange(held_, {}).size();
  } else {
    take(pieces, held_.size(), true);
  }
  return pieces;
}

ToolCallReader::Said ToolCallReader::said(size_t begin, size_t end) const {
  if (end > decided_) return Said::later;
  for (const auto& [from, to, told] : silent_) {
    if ((begin < to && end > from) || (begin == end && from < begin && begin < to)) return Said::silently;
  }
  return Said::aloud;
}

size_t ToolCallReader::told(size_t begin, size_t end) const {
  size_t bytes = end - begin;
  for (const Range& range : silent_) {
    const size_t from = std::max(begin, range.begin), to = std::min(end, range.end);
    if (!range.told && from < to) bytes -= to - from;
  }
  return bytes;
}

}  // namespace calliope::engine
