// Holds the include table of ARCHITECTURE.md: a room includes only the rooms it may.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <string>

namespace {

namespace fs = std::filesystem;

const std::map<std::string, std::set<std::string>> kMayInclude = {
    {"base", {}},
    {"tensor", {}},
    {"media", {}},
    {"assistant", {}},
    {"reading", {}},
    {"kernels", {"tensor"}},
    {"model", {"kernels", "tensor"}},
    {"engine", {"model", "tensor", "assistant", "reading"}},
    {"api", {"assistant", "media"}},
    {"hearing", {"assistant"}},
    {"realtime", {"hearing", "api", "assistant", "media"}},
    {"server", {"realtime", "hearing", "api", "engine", "assistant", "media"}},
    {"eval", {"api", "assistant", "media", "model"}},
    {"cli",
     {"tensor", "kernels", "model", "reading", "engine", "media", "assistant", "api", "hearing", "realtime", "server", "eval"}},
};

TEST(House, EveryIncludeIsInTheTable) {
  const fs::path source = fs::path(CALLIOPE_SOURCE_DIR) / "src";
  const std::regex include(R"re(^\s*#include "([a-z]+)/)re");
  int seen = 0;
  for (const auto& entry : fs::recursive_directory_iterator(source)) {
    const std::string extension = entry.path().extension();
    if (extension != ".h" && extension != ".cc" && extension != ".cu") continue;
    const std::string room = (*fs::relative(entry.path(), source).begin()).string();
    const auto allowed = kMayInclude.find(room);
    ASSERT_NE(allowed, kMayInclude.end()) << entry.path() << " is in a room ARCHITECTURE.md does not know";
    std::ifstream file(entry.path());
    for (std::string line; std::getline(file, line);) {
      std::smatch match;
      if (!std::regex_search(line, match, include)) continue;
      const std::string other = match[1];
      if (other == room || other == "base" || !kMayInclude.contains(other)) continue;
      ++seen;
      EXPECT_TRUE(allowed->second.contains(other))
          << entry.path() << " includes " << other << "/, which " << room << " may not";
    }
  }
  EXPECT_GT(seen, 5) << "the pattern no longer finds includes";
}

TEST(House, ThirdPartyTypesStayOutOfHeadersOfTheEngineRooms) {
  const std::regex third_party(
      R"re(^\s*#include <(boost|fmt|spdlog|nlohmann|pcre2|utf8proc|kissfft|libav|openssl|CLI)[/.])re");
  for (const char* room : {"base", "tensor", "kernels", "model", "engine", "assistant"}) {
    for (const auto& entry : fs::recursive_directory_iterator(fs::path(CALLIOPE_SOURCE_DIR) / "src" / room)) {
      if (entry.path().extension() != ".h") continue;
      std::ifstream file(entry.path());
      for (std::string line; std::getline(file, line);) {
        EXPECT_FALSE(std::regex_search(line, third_party)) << entry.path() << ": " << line;
      }
    }
  }
}

}  // namespace
