#include "cli/command_line.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <tuple>
#include <vector>

#include "cli/media_files.h"

namespace calliope::cli {
namespace {

using testing::HasSubstr;
using testing::Not;

struct Outcome {
  int status = 0;
  std::string out, err;
};

Outcome run(std::vector<const char*> arguments) {
  arguments.insert(arguments.begin(), "calliope");
  testing::internal::CaptureStdout();
  testing::internal::CaptureStderr();
  Outcome outcome;
  outcome.status = run_command_line(static_cast<int>(arguments.size()), arguments.data());
  outcome.out = testing::internal::GetCapturedStdout();
  outcome.err = testing::internal::GetCapturedStderr();
  return outcome;
}

TEST(CommandLine, EveryMisuseSaysWhatToDo) {
  const struct {
    std::vector<const char*> arguments;
    const char* message;
  } cases[] = {
      {{"frob"}, "there is no command 'frob'"},
      {{"--frob"}, "there is no command '--frob'"},
      {{"ask", "what", "is"}, "'is' is one argument too many; put the question in quotes"},
      {{"ask", "hi", "--frob"}, "there is no option --frob"},
      {{"ask", "hi", "--max-tokens", "0"}, "--max-tokens: must be a whole number from 1 to 1048576, not '0'"},
      {{"ask", "hi", "--max-tokens", "3x"}, "must be a whole number"},
      {{"ask", "hi", "--max-tokens", "99999999999999999999"}, "must be a whole number"},
      {{"ask", "hi", "--max-tokens"}, "--max-tokens"},
      {{"ask", "hi", "--temperature", "nan"}, "--temperature: must be a number from 0 to 2, not 'nan'"},
      {{"ask", "hi", "--temperature", "9"}, "from 0 to 2, not '9'"},
      {{"ask", "hi", "--image", "no-such.png"}, "there is no file 'no-such.png'"},
      {{"ask", "--image", CALLIOPE_SOURCE_DIR "/LICENSE", "What is this?"}, "put it before the options"},
      {{"ask", "hi", "--audio", "/"}, "'/' is a folder"},
      {{"ask", "hi", "--speak", ""}, "--speak: must not be empty"},
      {{"ask", "hi", "--voice", "anna"}, "--voice requires --speak"},
      {{"transcribe"}, "file is required"},
      {{"transcribe", "no-such.wav"}, "there is no file 'no-such.wav'"},
      {{"transcribe", CALLIOPE_SOURCE_DIR "/LICENSE", "--format", "xml"}, "--format: must be text, json, verbose_json, srt or vtt, not 'xml'"},
      {{"serve", "--port", "99999"}, "--port: must be a whole number from 0 to 65535, not '99999'"},
      {{"serve", "--api-key", ""}, "--api-key: must not be empty"},
      {{"info", "a", "b"}, "'b' is one argument too many"},
      {{"bench", "--batch", "1,x"}, "--batch: must be a whole number from 1 to 1024, not 'x'"},
      {{"trace", "m"}, "--out is required"},
      {{"quantize", "m", "x.gguf"}, "--type is required"},
      {{"quantize", "m", "x.gguf", "--type", "q5"}, "--type: must be q8_0, q4_0, f16, bf16 or f32, not 'q5'"},
      {{"quantize", "m", "--type", "q8_0"}, "out is required"},
      {{"speak", "hi"}, "--out is required"},
      {{"speak", "hi", "-o", "x.wav", "--speed", "9"}, "--speed: must be a number from 0.25 to 4, not '9'"},
      {{"speak", "hi", "-o", "x.wav", "--format", "midi"}, "--format: must be wav, mp3, opus, aac, flac or pcm, not 'midi'"},
      {{"speak", "hi", "there", "-o", "x.wav"}, "put the text in quotes"},
      {{"perplexity", "no-such.txt"}, "there is no file 'no-such.txt'"},
  };
  for (const auto& [arguments, message] : cases) {
    const Outcome outcome = run(arguments);
    EXPECT_EQ(outcome.status, 2) << message;
    EXPECT_THAT(outcome.err, HasSubstr(message));
    EXPECT_THAT(outcome.err, HasSubstr("--help")) << message;
    EXPECT_EQ(outcome.out, "") << message;
  }
}

TEST(CommandLine, HelpIsForPeople) {
  for (const char* command : {"ask", "speak", "transcribe", "serve", "info", "bench", "trace", "quantize", "perplexity"}) {
    const Outcome outcome = run({command, "--help"});
    EXPECT_EQ(outcome.status, 0);
    EXPECT_THAT(outcome.out, HasSubstr("Usage: calliope " + std::string(command)));
    EXPECT_THAT(outcome.out, Not(HasSubstr("INT"))) << outcome.out;
    EXPECT_THAT(outcome.out, Not(HasSubstr(" in ["))) << outcome.out;
  }
  EXPECT_EQ(run({"--version"}).status, 0);
  const Outcome nothing = run({});
  EXPECT_EQ(nothing.status, 2);
  EXPECT_THAT(nothing.err, HasSubstr("Usage: calliope"));
}

TEST(CommandLine, BenchSpeaksWithSeveralSessions) {
  const char* nano = CALLIOPE_SOURCE_DIR "/models/calliope-nano";
  const auto spoken = run({"bench", nano, "--speech", "--prompt-tokens", "5", "--gen-tokens", "7", "--repeat", "1", "--batch", "1,3", "--json"});
  EXPECT_EQ(spoken.status, 0) << spoken.err;
  EXPECT_THAT(spoken.out, HasSubstr("{\"sessions\": 3, "));
  EXPECT_THAT(spoken.out, HasSubstr("\"frames\": 7, "));
  EXPECT_THAT(spoken.out, Not(HasSubstr("nan")));
  const auto refused = run({"bench", nano, "--speech", "--prompt-tokens", "8190"});
  EXPECT_NE(refused.status, 0);
  EXPECT_THAT(refused.err, HasSubstr("over the talker's context of 8192 tokens"));
}

TEST(CommandLine, SpeaksIntoAFile) {
  namespace fs = std::filesystem;
  const fs::path folder = fs::temp_directory_path() / ("calliope-speak-" + std::to_string(::getpid()));
  const fs::path nano = CALLIOPE_SOURCE_DIR "/models/calliope-nano", wav = folder / "a.wav", mp3 = folder / "a.mp3";
  fs::create_directories(folder / "mute");
  const auto spoken = run({"speak", "The capital of France is Paris.", "-m", nano.c_str(), "-o", wav.c_str()});
  ASSERT_EQ(spoken.status, 0) << spoken.err;
  std::ifstream file(wav, std::ios::binary);
  const std::string bytes(std::istreambuf_iterator<char>(file), {});
  EXPECT_GT(bytes.size(), 24000u * 2);
  EXPECT_EQ(bytes.substr(0, 4), "RIFF");
  uint32_t data = 0;
  std::memcpy(&data, bytes.data() + 40, 4);
  EXPECT_EQ(data, bytes.size() - 44);  // the header tells the size of a whole file
  ASSERT_EQ(run({"speak", "Hello.", "-m", nano.c_str(), "-o", mp3.c_str(), "--speed", "2"}).status, 0);
  EXPECT_GT(fs::file_size(mp3), 1000u);
  const auto voice = run({"speak", "hi", "-m", nano.c_str(), "-o", wav.c_str(), "--voice", "nobody"});
  EXPECT_THAT(voice.err, HasSubstr("there is no voice 'nobody'; this model has: default, calliope."));
  EXPECT_THAT(run({"speak", "hi", "-m", nano.c_str(), "-o", (folder / "a.midi").c_str()}).err, HasSubstr("name it with --format"));
  const fs::path none = folder / "none.wav";
  EXPECT_THAT(run({"speak", "...", "-m", nano.c_str(), "-o", none.c_str()}).err, HasSubstr("no letters or digits"));
  EXPECT_FALSE(fs::exists(none));

  for (const auto& entry : fs::directory_iterator(nano)) fs::create_symlink(entry.path(), folder / "mute" / entry.path().filename());
  fs::remove(folder / "mute" / "config.json");
  std::ifstream config(nano / "config.json");
  std::string json(std::istreambuf_iterator<char>(config), {});
  const std::string speaks = "\"enable_audio_output\": true";
  ASSERT_NE(json.find(speaks), std::string::npos);
  json.replace(json.find(speaks), speaks.size(), "\"enable_audio_output\": false");
  std::ofstream(folder / "mute" / "config.json") << json;
  const auto mute = run({"speak", "hi", "-m", (folder / "mute").c_str(), "-o", none.c_str()});
  EXPECT_EQ(mute.status, 1);
  EXPECT_THAT(mute.err, HasSubstr("this model has no voice"));
  fs::remove_all(folder);
}

TEST(CommandLine, AModelThatIsNotThereIsNamed) {
  for (const char* command : {"ask", "serve", "info", "bench"}) {
    std::vector<const char*> arguments = {command, "-m", "/no/such/model"};
    if (std::string(command) == "ask") arguments.push_back("hi");
    const Outcome outcome = run(arguments);
    EXPECT_EQ(outcome.status, 1);
    EXPECT_THAT(outcome.err, HasSubstr("there is no checkpoint folder /no/such/model")) << command;
  }
  EXPECT_THAT(run({"transcribe", CALLIOPE_SOURCE_DIR "/LICENSE", "-m", "/no/such/model"}).err, HasSubstr("there is no checkpoint folder"));
  EXPECT_THAT(run({"info", CALLIOPE_SOURCE_DIR "/LICENSE"}).err, HasSubstr("is a file, not a checkpoint folder"));
}

// The model does not exist either: what cannot be written is told first, before anything is loaded or computed.
TEST(CommandLine, WhatCannotBeWrittenIsToldFirst) {
  for (const char* path : {"/no/such/folder/x.wav", "/proc/x.wav"}) {
    EXPECT_THAT(run({"ask", "hi", "-m", "/no/such/model", "--speak", path}).err,
                HasSubstr(std::string("cannot write ") + path));
    EXPECT_THAT(run({"quantize", "/no/such/model", path, "--type", "q8_0"}).err, HasSubstr(std::string("cannot write ") + path));
    EXPECT_THAT(run({"trace", "/no/such/model", "--request", CALLIOPE_SOURCE_DIR "/LICENSE", "--out", path}).err,
                HasSubstr(std::string("cannot write ") + path));
  }
  EXPECT_THAT(run({"ask", "hi", "-m", "/no/such/model", "--speak", "/tmp"}).err, HasSubstr("it is a folder"));
}

TEST(CommandLine, AQuantisedModelGoesWhereAFolderGoes) {
  const std::string file = (std::filesystem::temp_directory_path() / ("calliope-cli-" + std::to_string(::getpid()) + ".gguf")).string();
  const Outcome written = run({"quantize", CALLIOPE_SOURCE_DIR "/models/calliope-nano", file.c_str(), "--type", "q8_0", "--errors"});
  ASSERT_EQ(written.status, 0) << written.err;
  EXPECT_THAT(written.out, HasSubstr("thinker.model.layers.0.mlp.down_proj.weight"));
  EXPECT_THAT(written.out, HasSubstr("tensors converted"));
  const Outcome info = run({"info", file.c_str()});
  EXPECT_THAT(info.out, HasSubstr("Q8_0"));
  EXPECT_THAT(info.out, HasSubstr("code predictor"));
  const Outcome answer = run({"ask", "What is the capital of France?", "--temperature", "0", "-m", file.c_str()});
  EXPECT_EQ(answer.status, 0) << answer.err;
  EXPECT_THAT(answer.out, HasSubstr("Paris"));
  const std::string questions = file + ".txt";
  std::ofstream(questions) << "What is the capital of France?\tThe capital of France is Paris.\n";
  const Outcome measured = run({"perplexity", questions.c_str(), "-m", file.c_str(), "--reference", CALLIOPE_SOURCE_DIR "/models/calliope-nano"});
  EXPECT_EQ(measured.status, 0) << measured.err;
  EXPECT_THAT(measured.out, HasSubstr("same greedy answer     1 of 1"));
  EXPECT_THAT(run({"perplexity", CALLIOPE_SOURCE_DIR "/LICENSE", "-m", file.c_str()}).err, HasSubstr("a tab and an answer"));
  std::filesystem::remove(file);
  std::filesystem::remove(questions);
}

TEST(CheckWritable, LeavesWhatIsThereAndNothingNew) {
  const std::string path =
      (std::filesystem::temp_directory_path() / ("calliope-writable-" + std::to_string(::getpid()))).string();
  EXPECT_TRUE(check_writable(path));
  EXPECT_FALSE(std::filesystem::exists(path));
  std::ofstream(path) << "kept";
  EXPECT_TRUE(check_writable(path));
  EXPECT_EQ(std::filesystem::file_size(path), 4u);
  std::filesystem::remove(path);
}

TEST(CommandLine, AnEnvironmentThatCannotBeHeededIsSaid) {
  for (const auto& [name, value, message] : {std::tuple{"CALLIOPE_ISA", "sse9", "names no instruction set; here it may be plain"},
                                             {"CALLIOPE_PIN", "maybe", "must be on or off"}}) {
    const char* before = std::getenv(name);
    const std::string restored = before ? before : "";
    setenv(name, value, 1);
    const Outcome outcome = run({"info"});
    EXPECT_EQ(outcome.status, 2);
    EXPECT_THAT(outcome.err, HasSubstr(std::string(name) + "=" + value + " " + message));
    before ? setenv(name, restored.c_str(), 1) : unsetenv(name);
  }
}

}  // namespace
}  // namespace calliope::cli
