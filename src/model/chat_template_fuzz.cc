// Whatever bytes a chat template holds: a prompt, or a clear error; and it ends.
#include <cstddef>
#include <cstdint>

#include "base/check.h"
#include "base/utf8.h"
#include "model/chat_template.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  namespace model = calliope::model;
  const auto chat = model::ChatTemplate::parse({reinterpret_cast<const char*>(data), size});
  if (!chat) {
    CHECK(chat.error().message.find("chat template") != std::string::npos);
    return 0;
  }
  const std::vector<model::ChatMessage> messages = {{"system", {{"text", "Be kind. "}}},
                                                    {"user", {{"image", ""}, {"text", "H\u00e9llo\n"}, {"audio", ""}}},
                                                    {"assistant", {{"text", "<think>a</think>b"}}, {{"1", "f", "{\"a\": [1]}"}}},
                                                    {"tool", {{"text", "c"}}, {}, "1"}};
  const auto text = chat->render(messages, {.tools = {{"f", "does", ""}}});
  CHECK(text ? calliope::utf8_valid(*text) : text.error().message.starts_with("chat template, line "));
  return 0;
}
