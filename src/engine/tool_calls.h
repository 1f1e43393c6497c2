#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "assistant/request.h"

namespace calliope::engine {

/// Tells calls from text in what a model writes, piece by piece. A call is
/// <tool_call>{"name": "...", "arguments": {...}}</tool_call> with the name of one of the tools; arguments may also be left
/// out, or be an object inside a string; the end tag may be missing at the end of the answer. Whatever else stands in such
/// tags is text as it was written. Blanks before a call and between calls are dropped.
class ToolCallReader {
 public:
  static constexpr std::string_view kOpen = "<tool_call>", kClose = "</tool_call>";

  explicit ToolCallReader(std::vector<std::string> names) : names_(std::move(names)) {}

  using Piece = std::variant<std::string, assistant::ToolCall>;
  /// Adds what was written; returns what is certain now, in order. What may be the beginning of a call is held back.
  std::vector<Piece> push(std::string_view text);
  /// What was held back, when the answer ends.
  std::vector<Piece> finish();

  int calls() const { return calls_; }
  /// Whether it is known what bytes [begin, end) of all that was written are, and if they are to be said aloud: calls,
  /// broken ones too, are not.
  enum class Said { later, aloud, silently };
  Said said(size_t begin, size_t end) const;
  /// How many of bytes [begin, end) of all that was written are given as text: calls and the blanks around them are not.
  size_t told(size_t begin, size_t end) const;

 private:
  void read(std::vector<Piece>& pieces);
  bool read_text(std::vector<Piece>& pieces);
  bool read_block(std::vector<Piece>& pieces);
  void take(std::vector<Piece>& pieces, size_t bytes, bool aloud);
  void end_block(std::vector<Piece>& pieces, size_t bytes, std::string_view body);

  std::vector<std::string> names_;
  std::string held_;       // what is not decided yet
  size_t decided_ = 0;     // bytes before held_
  bool in_block_ = false;  // held_ begins with kOpen
  size_t scanned_ = 0;     // of the block
  bool in_string_ = false, escaped_ = false;
  int calls_ = 0;
  struct Range {
    size_t begin = 0, end = 0;
    bool told = false;
  };
  std::vector<Range> silent_;  // rising
};

/// The call that the text between the tags is; none when it is no call of one of `names`.
std::optional<assistant::ToolCall> parse_tool_call(std::string_view body, const std::vector<std::string>& names);

}  // namespace calliope::engine
