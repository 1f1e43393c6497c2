#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "tensor/dtype.h"

namespace calliope::cli {

/// The checkpoint to use when none is named: $CALLIOPE_MODEL, else calliope-nano beside the program or the sources.
std::string default_model();

/// Prints what went wrong as "calliope <command>: ..." and returns the exit status of a failure.
int complain(const char* command, const Error& error);

/// What --kv-type names: "f32", "bf16" or "q8"; none for "auto", the model's own choice.
std::optional<tensor::DType> kv_type_by_name(std::string_view name);

struct AskOptions {
  std::string model;
  std::string text;
  std::vector<std::string> images;
  std::vector<std::string> sounds;
  std::string speak;  ///< WAV file to write; empty: text only
  bool words = false;  ///< say when each word was spoken
  std::string voice;
  std::string system;
  std::optional<float> temperature;  ///< none: as the checkpoint says
  int max_tokens = 512;
  int threads = 0;
  bool times = false;  ///< print latencies to stderr
};
/// Answers once, streaming the text to stdout. Returns the exit status.
int run_ask(const AskOptions& options);

struct SpeakOptions {
  std::string model;
  std::string text;  ///< empty or "-": standard input
  std::string file;  ///< to read instead
  std::string out;   ///< "-": standard output
  std::string format;  ///< empty: as the file's name ends
  std::string voice;
  double speed = 1;
  std::string instructions;  ///< a user's words that the voice follows
  std::optional<uint64_t> seed;
  int threads = 0;
  bool times = false;  ///< print latencies to stderr
};
/// Reads a text aloud into a file, as it is spoken. Returns the exit status.
int run_speak(const SpeakOptions& options);

struct TranscribeOptions {
  std::string model;
  std::vector<std::string> files;
  std::string language;
  std::string prompt;
  std::string format = "text";  ///< or json, verbose_json, srt, vtt
  int threads = 0;
  bool times = false;  ///< print how long each took to stderr
};
/// Writes down what is said in each file, to stdout. Returns the exit status: 1 when a file could not be.
int run_transcribe(const TranscribeOptions& options);

struct InfoOptions {
  std::string model;
};
/// Prints the parts of a checkpoint, their shapes and sizes, and the memory needed.
int run_info(const InfoOptions& options);

struct QuantizeOptions {
  std::string model;
  std::string out;   ///< GGUF file to write
  std::string type;  ///< q8_0, q4_0, f16, bf16 or f32
  int threads = 0;
  bool errors = false;  ///< print every tensor and what it lost
};
/// Writes a whole checkpoint to one GGUF file.
int run_quantize(const QuantizeOptions& options);

struct PerplexityOptions {
  std::string model;
  std::string text;       ///< file of lines "question<TAB>answer"
  std::string reference;  ///< model to compare with; empty: none
  std::string kv_type = "auto";  ///< of the model's keys and values; the reference's are f32
  int max_tokens = 48;    ///< longest greedy answer
  int threads = 0;
};
/// Measures how well a model foretells given answers, and where it differs from a reference.
int run_perplexity(const PerplexityOptions& options);

struct TraceOptions {
  std::string model;
  std::string inputs;   ///< safetensors file of what the reference processor returns
  std::string request;  ///< or a chat-completions body
  std::string out;
  int max_tokens = 0;
  bool speak = false;
};
/// Runs the model greedily and writes every intermediate tensor to a safetensors file.
int run_trace(const TraceOptions& options);

struct BenchOptions {
  std::string model;
  int prompt_tokens = 512;
  int gen_tokens = 64;
  std::vector<int> batch = {1};
  int threads = 0;
  int repeat = 3;
  std::string kv_type = "auto";  ///< of the thinker's keys and values
  bool json = false;
  bool speech = false;  ///< talker, code predictor and vocoder instead
};
/// Measures prefill and decode, or speech; one line per batch size.
int run_bench(const BenchOptions& options);

}  // namespace calliope::cli
