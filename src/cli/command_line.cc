#include "cli/command_line.h"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "cli/commands.h"
#include "cli/eval_command.h"
#include "cli/option_checks.h"
#include "cli/serve_command.h"
#include "kernels/isa.h"

namespace calliope::cli {
namespace {

constexpr int kMisused = 2;

void add_model_option(CLI::App& command, const std::string& names, std::string& model) {
  command.add_option(names, model, "Checkpoint folder or GGUF file (default: the calliope-nano that ships with the program)")
      ->type_name("MODEL");
}

void add_threads_option(CLI::App& command, int& threads) {
  command.add_option("-t,--threads", threads, "Threads to compute with (default: all cores)")
      ->check(whole_number(1, 1024))
      ->type_name("N");
}

void add_ask(CLI::App& app, AskOptions& options) {
  auto* command = app.add_subcommand("ask", "Ask once: text, pictures and sounds in; text and voice out");
  command->add_option("text", options.text, "What to ask, in quotes; may be left out when a sound asks it")
      ->type_name("");
  command->add_option("-i,--image", options.images, "Picture files (JPEG, PNG, WebP, HEIC, GIF)")
      ->check(existing_file())
      ->type_name("FILE");
  command->add_option("-a,--audio", options.sounds, "Sound files (WAV, MP3, M4A, Ogg, WebM, FLAC)")
      ->check(existing_file())
      ->type_name("FILE");
  auto* speak = command->add_option("-s,--speak", options.speak, "Answer aloud too, into this WAV file")
                    ->check(not_empty())
                    ->type_name("FILE");
  command->add_flag("--words", options.words, "With --speak: when each word has been said, in seconds, and the bytes of text so far")
      ->needs(speak);
  command->add_option("--voice", options.voice, "Voice to speak with (default: the model's own; info lists them)")
      ->needs(speak)
      ->type_name("NAME");
  command->add_option("--system", options.system, "System prompt")->type_name("TEXT");
  command->add_option("--temperature", options.temperature, "0 to 2; 0 is greedy (default: as the checkpoint says)")
      ->check(number(0, 2))
      ->type_name("X");
  command->add_option("--max-tokens", options.max_tokens, "Longest answer, in tokens")
      ->check(whole_number(1, 1 << 20))
      ->type_name("N")
      ->capture_default_str();
  command->add_flag("--times", options.times, "Print latencies afterwards");
  add_model_option(*command, "-m,--model", options.model);
  add_threads_option(*command, options.threads);
  command->footer(
      "Examples:\n"
      "  calliope ask \"What is the capital of France?\"\n"
      "  calliope ask \"What is in this photo?\" --image photo.jpg --speak answer.wav\n"
      "  calliope ask --audio question.wav --speak answer.wav\n");
}

void add_speak(CLI::App& app, SpeakOptions& options) {
  auto* command = app.add_subcommand("speak", "Read a text aloud into a sound file");
  auto* text = command->add_option("text", options.text, "What to read, in quotes; left out or '-': standard input")->type_name("");
  command->add_option("-f,--file", options.file, "Read this text file")->check(existing_file())->excludes(text)->type_name("FILE");
  command->add_option("-o,--out", options.out, "Sound file to write; '-': standard output")->required()->check(not_empty())->type_name("FILE");
  command->add_option("--format", options.format, "wav, mp3, opus, aac, flac or pcm (default: as the file's name ends, else wav)")
      ->check(one_of({"wav", "mp3", "opus", "aac", "flac", "pcm"}))
      ->type_name("NAME");
  command->add_option("--voice", options.voice, "Voice to speak with (default: the model's own; info lists them)")->check(not_empty())->type_name("NAME");
  command->add_option("--speed", options.speed, "0.25 to 4: how fast, at the same pitch")->check(number(0.25, 4))->type_name("X")->capture_default_str();
  command->add_option("--instructions", options.instructions, "What a user said before, for models whose voice follows it")->type_name("TEXT");
  command->add_option("--seed", options.seed, "Draw the same sound again")->type_name("N");
  command->add_flag("--times", options.times, "Print latencies afterwards");
  add_model_option(*command, "-m,--model", options.model);
  add_threads_option(*command, options.threads);
  command->footer(
      "Examples:\n"
      "  calliope speak \"The train leaves at 14:05.\" -o train.wav\n"
      "  calliope speak --file letter.txt -o letter.mp3 --speed 1.2\n"
      "  echo Hello | calliope speak -o - | aplay\n");
}

void add_transcribe(CLI::App& app, TranscribeOptions& options) {
  auto* command = app.add_subcommand("transcribe", "Write down what is said in sound files, a line of text for each");
  command->add_option("file", options.files, "Sound files (WAV, MP3, M4A, Ogg, WebM, FLAC)")
      ->required()
      ->check(existing_file())
      ->type_name("FILE...");
  command->add_option("--language", options.language, "Language that is spoken, for example en, where the model asks for it")
      ->check(not_empty())
      ->type_name("CODE");
  command->add_option("--prompt", options.prompt, "What it is about, where the model asks for it")->type_name("TEXT");
  command->add_option("--format", options.format, "text, json, verbose_json, srt or vtt; the last three say when what was said")
      ->check(one_of({"text", "json", "verbose_json", "srt", "vtt"}))
      ->type_name("FORMAT")
      ->capture_default_str();
  command->add_flag("--times", options.times, "Print how long each took");
  add_model_option(*command, "-m,--model", options.model);
  add_threads_option(*command, options.threads);
  command->footer(
      "Examples:\n"
      "  calliope transcribe note.m4a\n"
      "  calliope transcribe talk.mp3 --format srt > talk.srt\n");
}

void add_bench(CLI::App& app, BenchOptions& options) {
  auto* command = app.add_subcommand("bench", "Measure prefill and decode speed, or that of speech");
  add_model_option(*command, "model,-m,--model", options.model);
  command->add_option("--prompt-tokens", options.prompt_tokens, "Tokens to prefill")
      ->check(whole_number(1, 1 << 20))
      ->type_name("N")
      ->capture_default_str();
  command->add_option("--gen-tokens", options.gen_tokens, "Tokens to decode; with --speech frames to speak")
      ->check(whole_number(1, 1 << 20))
      ->type_name("N")
      ->capture_default_str();
  command->add_option("--batch", options.batch, "Sequences at once, for example 1,8 (default: 1)")
      ->delimiter(',')
      ->check(whole_number(1, 1024))
      ->type_name("N,...");
  command->add_option("--repeat", options.repeat, "Runs; the median is printed")
      ->check(whole_number(1, 100))
      ->type_name("N")
      ->capture_default_str();
  add_kv_type_option(*command, options.kv_type);
  command->add_flag("--json", options.json, "One JSON object a line");
  command->add_flag("--speech", options.speech, "Measure talker, code predictor and vocoder instead");
  add_threads_option(*command, options.threads);
}

void add_trace(CLI::App& app, TraceOptions& options) {
  auto* command =
      app.add_subcommand("trace", "Run greedily and write every intermediate tensor, to compare with transformers");
  add_model_option(*command, "model,-m,--model", options.model);
  auto* inputs = command->add_option("--inputs", options.inputs, "What the reference processor returns, as safetensors")
                     ->check(existing_file())
                     ->type_name("FILE");
  command->add_option("--request", options.request, "Or a chat-completions body, as JSON")
      ->check(existing_file())
      ->excludes(inputs)
      ->type_name("FILE");
  command->add_option("--out", options.out, "Safetensors file to write")
      ->required()
      ->check(not_empty())
      ->type_name("FILE");
  command->add_option("--max-tokens", options.max_tokens, "Tokens to generate (default: 0; with --speak 1024)")
      ->check(whole_number(0, 1 << 20))
      ->type_name("N");
  command->add_flag("--speak", options.speak, "Speak the answer: codes and waveform");
}

void add_quantize(CLI::App& app, QuantizeOptions& options) {
  auto* command = app.add_subcommand("quantize", "Write a checkpoint as one GGUF file, smaller and faster");
  command->add_option("model", options.model, "Checkpoint folder")->required()->type_name("MODEL");
  command->add_option("out", options.out, "GGUF file to write")->required()->check(not_empty())->type_name("OUT.gguf");
  command->add_option("--type", options.type, "q8_0, q4_0, f16, bf16 or f32: what matrices are stored in")
      ->required()
      ->check(one_of({"q8_0", "q4_0", "f16", "bf16", "f32"}))
      ->type_name("TYPE");
  command->add_flag("--errors", options.errors, "Print every tensor and its relative error");
  add_threads_option(*command, options.threads);
  command->footer("Example:\n  calliope quantize models/calliope-nano nano.gguf --type q8_0\n  calliope ask hi --model nano.gguf\n");
}

void add_perplexity(CLI::App& app, PerplexityOptions& options) {
  auto* command = app.add_subcommand("perplexity", "Measure how well a model foretells answers, alone or against another");
  command->add_option("text", options.text, "Lines of a question, a tab and an answer")
      ->required()
      ->check(existing_file())
      ->type_name("FILE");
  add_model_option(*command, "-m,--model", options.model);
  command->add_option("--reference", options.reference, "Checkpoint folder or GGUF file to compare with")->type_name("MODEL");
  add_kv_type_option(*command, options.kv_type);
  command->add_option("--max-tokens", options.max_tokens, "Longest greedy answer to compare")
      ->check(whole_number(1, 4096))
      ->type_name("N")
      ->capture_default_str();
  add_threads_option(*command, options.threads);
}

/// What is wrong with the arguments, and where to read more.
std::string explain(const CLI::App& app, const CLI::ParseError& error) {
  const auto chosen = app.get_subcommands();
  if (chosen.empty()) {
    const auto rest = app.remaining();
    std::string text = "calliope: " + (rest.empty() ? error.what() : "there is no command '" + rest.front() + "'") +
                       "\nThe commands are";
    for (const CLI::App* command : app.get_subcommands({})) text += " " + command->get_name();
    return text + "; calliope --help tells more.\n";
  }
  const std::string name = chosen.front()->get_name();
  std::string what = error.what();
  if (const auto rest = chosen.front()->remaining(); dynamic_cast<const CLI::ExtrasError*>(&error) && !rest.empty()) {
    what = rest.front().starts_with('-') ? "there is no option " + rest.front()
                                         : "'" + rest.front() + "' is one argument too many";
    if (name == "ask" && !rest.front().starts_with('-')) what += "; put the question in quotes";
    if (name == "speak" && !rest.front().starts_with('-')) what += "; put the text in quotes";
  }
  return "calliope " + name + ": " + what + "\ncalliope " + name + " --help tells more.\n";
}

/// What the environment asks for that cannot be done.
Result<void> check_environment() {
  TRY_VOID(kernels::check_isa_request());
  const char* pin = std::getenv("CALLIOPE_PIN");
  if (!pin || std::string_view(pin) == "on" || std::string_view(pin) == "off") return {};
  return fail(ErrorCode::invalid_argument, "CALLIOPE_PIN=" + std::string(pin) + " must be on or off", "CALLIOPE_PIN");
}

}  // namespace

int run_command_line(int argc, const char* const* argv) {
  CLI::App app{
      "Calliope: one model that hears, sees, reads and answers aloud.\n\n"
      "  calliope ask \"What is the capital of France?\"\n"
      "  calliope ask \"What is in this photo?\" --image photo.jpg --speak answer.wav\n"
      "  calliope serve                       then open http://127.0.0.1:8080\n"};
  app.name("calliope");
  app.set_version_flag("--version", std::string("calliope ") + CALLIOPE_VERSION, "Print the version and exit");
  app.set_help_flag("-h,--help", "Print this help and exit");
  app.require_subcommand(1);

  AskOptions ask;
  add_ask(app, ask);
  SpeakOptions speak;
  add_speak(app, speak);
  TranscribeOptions transcribe;
  add_transcribe(app, transcribe);
  ServeOptions serve;
  add_serve_options(*app.add_subcommand("serve", "Serve the app and the OpenAI-compatible API"), serve);
  InfoOptions info;
  add_model_option(*app.add_subcommand("info", "Show a checkpoint's parts, shapes, sizes and memory needed"),
                   "model,-m,--model", info.model);
  BenchOptions bench;
  add_bench(app, bench);
  TraceOptions trace;
  add_trace(app, trace);
  QuantizeOptions quantize;
  add_quantize(app, quantize);
  PerplexityOptions perplexity;
  add_perplexity(app, perplexity);
  EvalOptions eval;
  add_eval_options(*app.add_subcommand("eval", "Measure a model, here or at a URL, on questions with known answers"), eval);
  app.footer("calliope COMMAND --help tells more about one of them.\n");  // after the commands, which would inherit it

  if (argc < 2) {
    std::fputs(app.help().c_str(), stderr);
    return kMisused;
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);  // --help, --version
    std::fputs(explain(app, error).c_str(), stderr);
    return kMisused;
  }
  if (const auto checked = check_environment(); !checked) {
    std::fprintf(stderr, "calliope: %s\n", checked.error().message.c_str());
    return kMisused;
  }
  const std::string chosen = app.get_subcommands().front()->get_name();
  if (chosen == "ask") return run_ask(ask);
  if (chosen == "speak") return run_speak(speak);
  if (chosen == "transcribe") return run_transcribe(transcribe);
  if (chosen == "serve") return run_serve(serve);
  if (chosen == "info") return run_info(info);
  if (chosen == "bench") return run_bench(bench);
  if (chosen == "quantize") return run_quantize(quantize);
  if (chosen == "eval") return run_eval(eval);
  if (chosen == "perplexity") return run_perplexity(perplexity);
  return run_trace(trace);
}

}  // namespace calliope::cli
