#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstring>
#include <exception>

#include "cli/commands.h"
#include "cli/serve_command.h"
#include "media/worker.h"

namespace {

using namespace calliope::cli;

void add_model_option(CLI::App& command, std::string& model) {
  command.add_option("-m,--model", model, "Checkpoint folder (default: the calliope-nano that ships with the program)");
}

void add_threads_option(CLI::App& command, int& threads) {
  command.add_option("-t,--threads", threads, "Threads to compute with (default: all cores)")->check(CLI::Range(1, 1024));
}

int run(int argc, char** argv) {
  CLI::App app{"Calliope: one model that hears, sees, reads and answers aloud.\n\n"
               "  calliope ask \"What is the capital of France?\"\n"
               "  calliope ask \"What is in this photo?\" --image photo.jpg --speak answer.wav\n"
               "  calliope serve                       then open http://127.0.0.1:8080\n"};
  app.name("calliope");
  app.set_version_flag("--version", std::string("calliope ") + CALLIOPE_VERSION);
  app.require_subcommand(1);
  app.failure_message(CLI::FailureMessage::help);

  AskOptions ask;
  auto* ask_command = app.add_subcommand("ask", "Ask once: text, pictures and sounds in; text and voice out");
  ask_command->add_option("text", ask.text, "What to ask; may be left out when a sound asks it");
  ask_command->add_option("-i,--image", ask.images, "Picture files (JPEG, PNG, WebP, HEIC, GIF)")->check(CLI::ExistingFile);
  ask_command->add_option("-a,--audio", ask.sounds, "Sound files (WAV, MP3, M4A, Ogg, WebM, FLAC)")->check(CLI::ExistingFile);
  ask_command->add_option("-s,--speak", ask.speak, "Answer aloud too, into this WAV file");
  ask_command->add_option("--voice", ask.voice, "Voice to speak with (default: the model's own)");
  ask_command->add_option("--system", ask.system, "System prompt");
  ask_command->add_option("--temperature", ask.temperature, "0 is greedy")->check(CLI::Range(0.0, 2.0));
  ask_command->add_option("--max-tokens", ask.max_tokens, "Longest answer, in tokens")->check(CLI::Range(1, 1 << 20));
  ask_command->add_flag("--times", ask.times, "Print latencies afterwards");
  add_model_option(*ask_command, ask.model);
  add_threads_option(*ask_command, ask.threads);

  ServeOptions serve;
  auto* serve_command = app.add_subcommand("serve", "Serve the app and the OpenAI-compatible API");
  add_serve_options(*serve_command, serve);

  InfoOptions info;
  auto* info_command = app.add_subcommand("info", "Show a checkpoint's parts, shapes, sizes and memory needed");
  info_command->add_option("model", info.model, "Checkpoint folder");

  BenchOptions bench;
  auto* bench_command = app.add_subcommand("bench", "Measure prefill and decode speed");
  bench_command->add_option("model", bench.model, "Checkpoint folder");
  bench_command->add_option("--prompt-tokens", bench.prompt_tokens, "Tokens to prefill")->check(CLI::Range(1, 1 << 20))->capture_default_str();
  bench_command->add_option("--gen-tokens", bench.gen_tokens, "Tokens to decode")->check(CLI::Range(1, 1 << 20))->capture_default_str();
  bench_command->add_option("--batch", bench.batch, "Sequences at once, for example 1,8")->delimiter(',')->check(CLI::Range(1, 1024));
  bench_command->add_option("--repeat", bench.repeat, "Runs; the median is printed")->check(CLI::Range(1, 100))->capture_default_str();
  bench_command->add_flag("--json", bench.json, "One JSON object a line");
  add_threads_option(*bench_command, bench.threads);

  TraceOptions trace;
  auto* trace_command = app.add_subcommand("trace", "Run greedily and write every intermediate tensor, to compare with transformers");
  trace_command->add_option("model", trace.model, "Checkpoint folder");
  auto* inputs = trace_command->add_option("--inputs", trace.inputs, "What the reference processor returns, as safetensors")->check(CLI::ExistingFile);
  trace_command->add_option("--request", trace.request, "Or a chat-completions body, as JSON")->check(CLI::ExistingFile)->excludes(inputs);
  trace_command->add_option("--out", trace.out, "Safetensors file to write")->required();
  trace_command->add_option("--max-tokens", trace.max_tokens, "Tokens to generate (default 0)")->check(CLI::Range(0, 1 << 20));
  trace_command->add_flag("--speak", trace.speak, "Speak the answer: codes and waveform");

  CLI11_PARSE(app, argc, argv);
  if (*ask_command) return run_ask(ask);
  if (*serve_command) return run_serve(serve);
  if (*info_command) return run_info(info);
  if (*bench_command) return run_bench(bench);
  return run_trace(trace);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc > 1 && std::strcmp(argv[1], "--media-worker") == 0) return calliope::media::media_worker_main();
  try {
    return run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "calliope: %s\n", error.what());
    return 1;
  }
}
