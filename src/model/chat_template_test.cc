// Holds the template interpreter to what transformers renders (tools/reference/make_template_fixtures.py).
#include "model/chat_template.h"

#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <fstream>
#include <sstream>

#include "model/template_evaluator.h"

namespace calliope::model {
namespace {

namespace json = boost::json;

jinja::Value value_of(const json::value& value) {
  if (value.is_null()) return jinja::None();
  if (value.is_bool()) return value.get_bool();
  if (value.is_int64()) return value.get_int64();
  if (value.is_double()) return value.get_double();
  if (value.is_string()) return std::string(value.get_string());
  if (value.is_array()) {
    jinja::List list;
    for (const auto& item : value.get_array()) list.push_back(value_of(item));
    return list;
  }
  jinja::Dict dict;
  for (const auto& [key, item] : value.get_object()) dict.emplace_back(std::string(key), value_of(item));
  return dict;
}

Result<std::string> render(std::string_view source, jinja::Dict names = {}) {
  auto root = jinja::parse_template(source);
  if (!root) return std::unexpected(root.error());
  return jinja::run_template(**root, std::move(names));
}

TEST(ChatTemplateParity, TextAsTransformersRendersIt) {
  std::ifstream file(CALLIOPE_SOURCE_DIR "/tests/fixtures/tokenizer/templates.json", std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  const json::value fixture = json::parse(text.str());
  const auto& cases = fixture.at("cases").as_array();
  ASSERT_GT(cases.size(), 400u);
  int wrong = 0;
  for (const auto& one : cases) {
    const int64_t index = one.at("context").as_int64();
    const auto& context =
        index < 0 ? fixture.at("data") : fixture.at("contexts").as_array()[static_cast<size_t>(index)];
    const std::string name(one.at("template").as_string()), source(fixture.at("templates").at(name).as_string());
    const auto got = render(source, *value_of(context).dict());
    if (const auto* expected = one.as_object().if_contains("text")) {
      EXPECT_TRUE(got) << name << " with context " << index << ": " << (got ? "" : got.error().message) << "\n"
                       << source.substr(0, 400);
      EXPECT_EQ(got.value_or(""), std::string(expected->as_string())) << name << " with context " << index << "\n"
                                                                      << source.substr(0, 400);
    } else {
      EXPECT_FALSE(got) << name << " with context " << index << " should fail: " << one.at("fails").as_string() << "\n"
                        << source.substr(0, 400);
      EXPECT_TRUE(got || got.error().message.starts_with("chat template, line ")) << got.error().message;
    }
    if (testing::Test::HasFailure() && ++wrong > 20) return;
  }
}

json::value read_fixture() {
  std::ifstream file(CALLIOPE_SOURCE_DIR "/tests/fixtures/tokenizer/templates.json", std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  return json::parse(text.str());
}

std::vector<ChatMessage> messages_of(const json::value& context) {
  std::vector<ChatMessage> messages;
  for (const auto& one : context.at("messages").as_array()) {
    ChatMessage message{std::string(one.at("role").as_string()), {{"text", std::string(one.at("content").as_string())}}};
    if (const auto* calls = one.as_object().if_contains("tool_calls")) {
      for (const auto& call : calls->as_array()) {
        const auto* inner = call.as_object().if_contains("function");
        const json::value& function = inner ? *inner : call;
        const json::value& arguments = function.at("arguments");
        message.tool_calls.push_back({"", std::string(function.at("name").as_string()),
                                      arguments.is_string() ? std::string(arguments.as_string()) : json::serialize(arguments)});
      }
    }
    messages.push_back(std::move(message));
  }
  return messages;
}

// What transformers rendered, less what a tool of ours does not carry.
std::string expected_text(const json::value& fixture, std::string_view name, int64_t context) {
  for (const auto& one : fixture.at("cases").as_array()) {
    if (one.at("template").as_string() != name || one.at("context").as_int64() != context) continue;
    std::string text(one.at("text").as_string());
    const std::string_view extra = ", \"strict\": null, \"scale\": 1.5";
    if (const size_t at = text.find(extra); at != std::string::npos) text.erase(at, extra.size());
    return text;
  }
  return "no such case";
}

struct ToolCase {
  const char *source, *expected;  // our template, and the one whose text it must give
  std::vector<int64_t> contexts;
};

TEST(ChatTemplateParity, ToolsCallsAndAnswersAsTransformersRendersThem) {
  const json::value fixture = read_fixture();
  int compared = 0;
  for (const auto& one : {ToolCase{"qwen3", "qwen3", {0, 3, 4, 9, 18, 21, 22, 30, 33, 34, 60, 63, 64}},
                          ToolCase{"qwen2.5", "qwen2.5", {0, 3, 9, 18, 21, 22, 60, 63, 64}},
                          // A template that knows no tools gets what Qwen3's writes.
                          ToolCase{"nano", "qwen3", {3, 4, 9, 10, 60, 61, 63, 64}}}) {
    const auto chat = ChatTemplate::parse(std::string(fixture.at("templates").at(one.source).as_string()));
    ASSERT_TRUE(chat);
    EXPECT_EQ(chat->takes_tools(), std::string_view(one.source) != "nano");
    for (const int64_t index : one.contexts) {
      const auto& context = fixture.at("contexts").as_array()[static_cast<size_t>(index)];
      ChatContext ours{.add_generation_prompt = context.at("add_generation_prompt").as_bool()};
      if (context.at("tools").is_array()) {
        for (const auto& tool : context.at("tools").as_array()) {
          const auto& function = tool.at("function").as_object();
          const auto* description = function.if_contains("description");
          ours.tools.push_back({std::string(function.at("name").as_string()), description ? std::string(description->as_string()) : "",
                                json::serialize(function.at("parameters"))});
        }
      }
      const auto text = chat->render(messages_of(context), ours);
      ASSERT_TRUE(text) << text.error().message;
      EXPECT_EQ(*text, expected_text(fixture, one.expected, index)) << one.source << " with context " << index;
      ++compared;
    }
  }
  EXPECT_EQ(compared, 30);
}

TEST(ChatTemplate, ToolsOfATemplateThatKnowsNoneAndTheirShield) {
  const auto chat = ChatTemplate::parse("{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}");
  ASSERT_TRUE(chat);
  const ChatShield shield = [](std::string_view text) { return std::string("~").append(text); };
  const std::vector<ChatMessage> messages = {
      {"user", {{"text", "hi"}}},
      {"assistant", {{"text", "Well."}}, {{"1", "f", R"({"a":"\u003c|x|>"})"}, {"2", "g", "broken"}}},
      {"tool", {{"text", "4"}}, {}, "1"},
      {"tool", {{"text", "5"}}, {}, "2"}};
  EXPECT_EQ(*chat->render(messages, {.shield = shield}),
            "[user]hi[assistant]Well.\n<tool_call>\n{\"name\": \"~f\", \"arguments\": {\"~a\": \"~<|x|>\"}}\n</tool_call>\n"
            "<tool_call>\n{\"name\": \"~g\", \"arguments\": ~broken}\n</tool_call>"
            "[user]<tool_response>\n4\n</tool_response>\n<tool_response>\n5\n</tool_response>");
  const auto told = chat->render({{"system", {{"text", "Be kind."}}}}, {.tools = {{"f", "<|x|>", R"({"type":"object"})"}}, .shield = shield});
  EXPECT_NE(told->find("[system]Be kind.\n\n# Tools\n"), std::string::npos) << *told;
  EXPECT_NE(told->find(R"("description": "~<|x|>")"), std::string::npos) << *told;
  const auto refused = chat->render(messages, {.tools = {{"f", "", "{broken"}}});
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("parameters of the tool 'f'"), std::string::npos);
}

struct Refused {
  const char *source, *message;
  ErrorCode code = ErrorCode::invalid_argument;
};

TEST(ChatTemplate, WhatIsNotKnownIsNamedWithItsLine) {
  constexpr auto kUnsupported = ErrorCode::unsupported;
  for (const Refused& one :
       {Refused{"\n\n{% include 'x' %}", "line 3: '{% include %}' is not supported", kUnsupported},
        Refused{"\n{% call f() %}{% endcall %}", "line 2: '{% call %}'", kUnsupported},
        Refused{"{% for a in b recursive %}{% endfor %}", "line 1: 'recursive'", kUnsupported},
        Refused{"{{ f(*a) }}", "line 1: '*' arguments", kUnsupported},
        Refused{"a\n{{ 'x'\n|urlize }}", "line 3: the filter 'urlize' is not supported", kUnsupported},
        Refused{"a\n{{ x is escaped }}", "line 2: the test 'escaped' is not supported", kUnsupported},
        Refused{"{{ 'a'.encode() }}", "line 1: the string method 'encode' is not supported", kUnsupported},
        Refused{"{{ lipsum() }}", "line 1: the function 'lipsum' is not known", kUnsupported},
        Refused{"{% if true %}\n{{ nothing.here }}{% endif %}", "line 2: '.here' of 'nothing', which is undefined"},
        Refused{"\n{{ raise_exception('roles must alternate') }}", "line 2: roles must alternate"},
        Refused{"{% blah %}", "line 1: unknown statement 'blah'"},
        Refused{"{% break %}", "line 1: 'break' outside of a loop"},
        Refused{"\n{% if x %}", "line 2: a block is not closed"}, Refused{"{{ 'a }}", "line 1: a string is not closed"},
        Refused{"{{ a ! b }}", "line 1: unexpected '!'"}, Refused{"\xFF", "not UTF-8"}}) {
    const auto got = render(one.source);
    ASSERT_FALSE(got) << one.source;
    EXPECT_NE(got.error().message.find(one.message), std::string::npos) << got.error().message << " for " << one.source;
    EXPECT_EQ(got.error().code, one.code) << got.error().message;
  }
}

std::string repeated(std::string_view text, int times) {
  std::string out;
  for (int i = 0; i < times; ++i) out += text;
  return out;
}

TEST(ChatTemplate, AHostileTemplateEnds) {
  const std::string endless = repeated("{% for i in range(100000) %}", 3);
  const std::vector<std::string> hostile = {
      endless + "x" + repeated("{% endfor %}", 3),
      std::string("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}"),
      std::string("{% macro f(n) %}{{ f(n) }}{{ f(n) }}{% endmacro %}{{ f(1) }}"),
      "{% set ns = namespace(x=[]) %}{% for i in range(100000) %}{% set ns.x = [ns.x] %}{% endfor %}",
      "{% set ns = namespace(x='aaaaaaaaaa') %}{% for i in range(100) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}",
      "{% set ns = namespace(x=[1]) %}{% for i in range(60) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x }}",
      "{% set ns = namespace(x=[1]) %}{% for i in range(100) %}{% set ns.x = ns.x + ns.x %}{% endfor %}",
      "{% set ns = namespace(x='ab') %}{% for i in range(30) %}{% set ns.x = ns.x|replace('a', ns.x) %}{% endfor %}",
      "{{ 'x' * 99999999999 }}",
      "{{ [1] * 99999999 }}",
      "{{ 9 ** 99 }}",
      "{{ 9223372036854775807 + 1 }}",
      "{{ '%9999999d' % 1 }}",
      "{{ range(-9223372036854775807, 9223372036854775807) }}",
      "{{ 'a'|indent(100000) }}",
      "{{ [1]|tojson(indent=100000) }}",
      "{{ " + repeated("(", 100'000) + "1" + repeated(")", 100'000) + " }}",
      "{{ " + repeated("[", 100'000),
      "{{ " + repeated("-", 100'000) + "1 }}",
      "{{ " + repeated("not ", 100'000) + "1 }}",
      "{{ x" + repeated(" ~ x", 100'000) + " }}",
      "{{ x" + repeated(".x", 100'000) + " }}",
      "{{ x" + repeated("|upper", 100'000) + " }}",
      "{{ x" + repeated(" if x", 100'000) + " }}",
      repeated("{% if x %}", 20'000),
      "{{ {" + repeated("'a': ", 5) + " }}",
      repeated("{% for a in b %}", 5000),
      "{{ x" + repeated(" ** x", 10'000) + " }}"};
  for (const std::string& source : hostile) {
    EXPECT_FALSE(render(source)) << source.substr(0, 200);
  }
  // Namespaces that hold each other are freed; a chain of them is no recursion.
  EXPECT_TRUE(render("{% set a = namespace() %}{% set b = namespace(a=a) %}{% set a.b = b %}"));
  EXPECT_TRUE(
      render("{% set ns = namespace(x=1) %}{% for i in range(50000) %}{% set ns.x = namespace(x=ns.x) %}{% endfor %}"));
  // Long, but honest.
  EXPECT_TRUE(render(repeated("{{ 'x' }}{% if true %}y{% endif %}", 20'000)));
  EXPECT_TRUE(render("{{ x" + repeated(" ~ 'x'", 100) + " }}"));
}

TEST(ChatTemplate, MessagesOfOneTextAreStringsOthersLists) {
  const auto chat = ChatTemplate::parse(
      "{% for m in messages %}{{ m.role }}:{% if m.content is string %}{{ m.content }}{% else %}{% for p in m.content "
      "%}<{{ p.type }}{{ p.text }}>"
      "{% endfor %}{% endif %};{% endfor %}{{ tools is none }}{{ 'go' if add_generation_prompt }}");
  ASSERT_TRUE(chat) << chat.error().message;
  const std::vector<ChatMessage> messages = {{"system", {{"text", "be kind"}}},
                                             {"user", {{"image", ""}, {"text", "what?"}, {"audio", ""}}}};
  EXPECT_EQ(*chat->render(messages), "system:be kind;user:<image><textwhat?><audio>;Truego");
  EXPECT_EQ(*chat->render({}, {.add_generation_prompt = false}), "True");
}

}  // namespace
}  // namespace calliope::model
