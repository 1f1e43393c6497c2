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
  EXPECT_EQ(*chat->render(messages, true), "system:be kind;user:<image><textwhat?><audio>;Truego");
  EXPECT_EQ(*chat->render({}, false), "True");
}

}  // namespace
}  // namespace calliope::model
