#include "media/worker.h"

#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <thread>

#include "media/test_files.h"
#include "media/worker_sandbox.h"

namespace calliope::media {
namespace {

DecodePool::Options options() { return {.command = {CALLIOPE_MEDIA_WORKER}}; }

std::vector<uint8_t> order(std::string_view how) {
  const std::string text = "misbehave: " + std::string(how);
  return {text.begin(), text.end()};
}

Error error_of(DecodePool& pool, std::string_view how) {
  const auto picture = pool.picture(order(how));
  if (picture) return {ErrorCode::cancelled, "it was decoded"};
  return picture.error();
}

size_t open_files() {
  const std::filesystem::directory_iterator files("/proc/self/fd");
  return static_cast<size_t>(std::distance(begin(files), end(files)));
}

TEST(DecodePool, GivesWhatDecodingInProcessGives) {
  DecodePool pool(options());
  for (int i = 0; i < 3; ++i) {
    const auto file = test::bmp(33 + i, 20);
    const auto picture = pool.picture(file);
    ASSERT_TRUE(picture) << picture.error().message;
    const auto here = decode_picture(file);
    ASSERT_TRUE(here);
    EXPECT_EQ(picture->width, 33 + i);
    EXPECT_EQ(picture->rgb, here->rgb);
    const auto sound = pool.sound(test::wav(test::sine(8000, 440, 0.5), {.rate = 8000}));
    ASSERT_TRUE(sound) << sound.error().message;
    EXPECT_EQ(*sound, *decode_sound(test::wav(test::sine(8000, 440, 0.5), {.rate = 8000})));
  }
}

TEST(DecodePool, EveryFormatIsDecodedInTheSandbox) {
  DecodePool pool(options());
  size_t decoded = 0;
  for (const std::string folder : {"picture", "sound"}) {
    for (const auto& entry : std::filesystem::directory_iterator(CALLIOPE_SOURCE_DIR "/tests/fuzz_seeds/" + folder)) {
      const auto file = test::seed(folder, entry.path().filename());
      if (folder == "picture") {
        const auto picture = pool.picture(file);
        ASSERT_TRUE(picture) << entry.path() << ": " << picture.error().message;
        EXPECT_EQ(picture->rgb, decode_picture(file)->rgb) << entry.path();
      } else {
        const auto sound = pool.sound(file);
        ASSERT_TRUE(sound) << entry.path() << ": " << sound.error().message;
        EXPECT_EQ(*sound, *decode_sound(file)) << entry.path();
      }
      ++decoded;
    }
  }
  EXPECT_GE(decoded, 20u);
}

TEST(DecodePool, ErrorsOfTheDecoderComeThrough) {
  DecodePool pool(options());
  for (const std::vector<uint8_t>& file : {std::vector<uint8_t>{}, {1, 2, 3}, std::vector<uint8_t>(100, 0xff)}) {
    const auto picture = pool.picture(file);
    const auto sound = pool.sound(file);
    ASSERT_FALSE(picture);
    ASSERT_FALSE(sound);
    EXPECT_EQ(picture.error().message, decode_picture(file).error().message);
    EXPECT_EQ(sound.error().message, decode_sound(file).error().message);
  }
  DecodePool small({.limits = {.picture_bytes = 10, .sound_bytes = 10}, .command = {"/does/not/exist"}});
  EXPECT_EQ(small.picture(std::vector<uint8_t>(11)).error().code, ErrorCode::too_large);
  EXPECT_EQ(small.sound(std::vector<uint8_t>(11)).error().code, ErrorCode::too_large);
}

TEST(DecodePool, LimitsReachTheWorker) {
  DecodePool pool({.limits = {.pixels = 100, .sound_seconds = 1}, .command = {CALLIOPE_MEDIA_WORKER}});
  EXPECT_TRUE(pool.picture(test::bmp(10, 10)));
  EXPECT_EQ(pool.picture(test::bmp(10, 11)).error().code, ErrorCode::too_large);
  EXPECT_TRUE(pool.sound(test::wav(test::sine(8000, 440, 0.9), {.rate = 8000})));
  EXPECT_EQ(pool.sound(test::wav(test::sine(8000, 440, 1.1), {.rate = 8000})).error().code, ErrorCode::too_large);
}

TEST(DecodePool, ALargePictureAndALongSoundPass) {
  DecodePool pool(options());
  const auto picture = pool.picture(test::bmp(3000, 2000));
  ASSERT_TRUE(picture) << picture.error().message;
  EXPECT_EQ(picture->rgb, decode_picture(test::bmp(3000, 2000))->rgb);
  const auto sound = pool.sound(test::wav(std::vector<float>(16000 * 300, 0.25f)));
  ASSERT_TRUE(sound) << sound.error().message;
  EXPECT_EQ(sound->size(), 16000u * 300);
}

TEST(DecodePool, SurvivesEveryDecoderThatDies) {
  DecodePool pool(options());
  const size_t files = (pool.picture(test::bmp(2, 2)), open_files());
  for (const char* how : {"crash", "jump", "leave", "half", "kill the worker", "no such order"}) {
    const Error error = error_of(pool, how);
    EXPECT_EQ(error.code, ErrorCode::invalid_argument) << how;
    EXPECT_NE(error.message.find("its decoder crashed"), std::string::npos) << how << ": " << error.message;
    const auto sound = pool.sound(order(how));
    ASSERT_FALSE(sound) << how;
    EXPECT_NE(sound.error().message.find("the sound could not be decoded"), std::string::npos) << sound.error().message;
    EXPECT_TRUE(pool.picture(test::bmp(2, 2))) << "after " << how;
  }
  EXPECT_EQ(open_files(), files);
}

TEST(DecodePool, BelievesNothingADecoderSays) {
  DecodePool pool(options());
  for (const char* how : {"no magic", "negative", "huge", "mismatch", "status", "endless message"}) {
    EXPECT_NE(error_of(pool, how).message.find("its decoder crashed"), std::string::npos) << how;
  }
  for (const char* how : {"odd sound", "nan", "huge", "endless message"}) {
    const auto sound = pool.sound(order(how));
    ASSERT_FALSE(sound) << how;
    EXPECT_NE(sound.error().message.find("its decoder crashed"), std::string::npos) << how;
  }
  EXPECT_EQ(error_of(pool, "control characters").message, "a [31mb \xef\xbf\xbd");
  EXPECT_TRUE(pool.picture(order("more than asked")));
  const auto next = pool.picture(test::bmp(5, 4));
  ASSERT_TRUE(next) << "what one decoder says too much is heard by the next";
  EXPECT_EQ(next->width, 5);
}

TEST(DecodePool, EndsADecoderThatTakesTooLong) {
  DecodePool pool({.workers = 1, .deadline_ms = 200, .command = {CALLIOPE_MEDIA_WORKER}});
  const auto picture = pool.picture(order("spin"));
  ASSERT_FALSE(picture);
  EXPECT_EQ(picture.error().code, ErrorCode::invalid_argument);
  EXPECT_NE(picture.error().message.find("took too long to decode (over 0.2 s)"), std::string::npos)
      << picture.error().message;
  const auto sound = pool.sound(order("spin"));
  ASSERT_FALSE(sound);
  EXPECT_NE(sound.error().message.find("the sound took too long"), std::string::npos) << sound.error().message;
}

TEST(DecodePool, GoesOnAfterALateDecoder) {
  DecodePool pool({.workers = 1, .deadline_ms = 2500, .command = {CALLIOPE_MEDIA_WORKER}});
  EXPECT_FALSE(pool.picture(order("spin")));
  const auto picture = pool.picture(test::bmp(2, 2));
  EXPECT_TRUE(picture) << picture.error().message;
}

TEST(DecodePool, DecodersMayOnlyCompute) {
  if (detail::kSanitized) GTEST_SKIP() << "sanitizers leave no room for the filter";
  DecodePool pool(options());
  for (const char* how : {"open", "socket", "write elsewhere", "executable memory", "signal the worker", "memory"}) {
    EXPECT_EQ(error_of(pool, how).message, "refused") << how;
  }
  for (const char* how : {"run a program", "fork"}) EXPECT_NE(error_of(pool, how).message, "allowed") << how;
  EXPECT_EQ(error_of(pool, "thread").message, "allowed");
}

TEST(DecodePool, DecodersDoNotSeeTheEnvironment) {
  setenv("CALLIOPE_TEST_SECRET", "key", 1);
  DecodePool pool(options());
  EXPECT_EQ(error_of(pool, "environment").message, "refused");
}

TEST(DecodePool, ManyThreadsShareFewWorkers) {
  DecodePool pool(options());
  std::vector<std::thread> threads;
  std::atomic<int> good = 0;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 6; ++i) {
        if (i % 3 == 2) {
          good += !pool.picture(order("crash"));
          continue;
        }
        const auto picture = pool.picture(test::bmp(10 + t, 10 + i));
        good += picture && picture->width == 10 + t && picture->height == 10 + i;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(good, 48);
}

TEST(DecodePool, LeavesNoFileAndNoProcess) {
  const size_t files = open_files();
  {
    DecodePool pool(options());
    EXPECT_TRUE(pool.picture(test::bmp(2, 2)));
    EXPECT_FALSE(pool.picture(order("crash")));
  }
  EXPECT_EQ(open_files(), files);
  EXPECT_EQ(waitpid(-1, nullptr, WNOHANG), -1) << "a child is left";
}

TEST(DecodePool, WorkersEndWithTheirServer) {
  // Whoever loses its parent becomes a child of this process, which can then wait for it.
  ASSERT_EQ(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
  const pid_t server = fork();
  if (server == 0) {
    auto* pool = new DecodePool({.deadline_ms = 300, .command = {CALLIOPE_MEDIA_WORKER}});
    const bool good = pool->picture(test::bmp(2, 2)).has_value();
    std::thread([pool] { (void)pool->picture(order("spin")); }).detach();
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    _exit(good ? 7 : 8);
  }
  int status = 0;
  ASSERT_EQ(waitpid(server, &status, 0), server);
  EXPECT_EQ(WEXITSTATUS(status), 7);
  int ended = 0;
  while (waitpid(-1, nullptr, 0) > 0) ++ended;  // hangs if a worker outlives its server
  EXPECT_GE(ended, 1);
  prctl(PR_SET_CHILD_SUBREAPER, 0);
}

TEST(DecodePool, AProgramThatIsNotThereIsAnError) {
  DecodePool pool({.command = {"/does/not/exist"}});
  const auto picture = pool.picture(test::bmp(2, 2));
  ASSERT_FALSE(picture);
  EXPECT_EQ(picture.error().code, ErrorCode::io);
  EXPECT_NE(picture.error().message.find("/does/not/exist"), std::string::npos);
  DecodePool leaves({.command = {"/bin/true"}});
  EXPECT_FALSE(leaves.picture(test::bmp(2, 2)));
}

TEST(DecodePool, TheEnvironmentNamesAWorker) {
  setenv("CALLIOPE_MEDIA_WORKER", CALLIOPE_MEDIA_WORKER, 1);
  DecodePool pool;
  unsetenv("CALLIOPE_MEDIA_WORKER");
  EXPECT_TRUE(pool.picture(test::bmp(2, 2)));
}

}  // namespace
}  // namespace calliope::media
