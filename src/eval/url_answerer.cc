#include <curl/curl.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <deque>
#include <exception>
#include <mutex>
#include <stop_token>
#include <thread>

#include "eval/answerer.h"
#include "eval/chat_json.h"

namespace calliope::eval {
namespace {

constexpr size_t kMostReplyBytes = size_t{16} << 20;

size_t take_bytes(char* data, size_t size, size_t count, void* to) {
  auto& body = *static_cast<std::string*>(to);
  if (body.size() + size * count > kMostReplyBytes) return 0;
  body.append(data, size * count);
  return size * count;
}

struct Reply {
  long status = 0;
  long retry_after_s = 0;
  std::string body;
};

// One connection, used again and again by one thread.
class Connection {
 public:
  explicit Connection(const UrlOptions& options) : options_(options), curl_(curl_easy_init()) {
    headers_ = curl_slist_append(headers_, "Content-Type: application/json");
    if (!options.key.empty()) headers_ = curl_slist_append(headers_, ("Authorization: Bearer " + options.key).c_str());
  }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  ~Connection() {
    curl_slist_free_all(headers_);
    curl_easy_cleanup(curl_);
  }

  Result<Reply> post(const std::string& body) {
    if (!curl_) return fail(ErrorCode::internal, "libcurl does not start");
    Reply reply;
    const std::string url = options_.url + "/chat/completions";
    curl_easy_setopt(curl_, CURLOPT_URL, url.c_str());
    curl_easy_setopt(curl_, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl_, CURLOPT_HTTPHEADER, headers_);
    curl_easy_setopt(curl_, CURLOPT_POSTFIELDS, body.data());
    curl_easy_setopt(curl_, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(body.size()));
    curl_easy_setopt(curl_, CURLOPT_WRITEFUNCTION, take_bytes);
    curl_easy_setopt(curl_, CURLOPT_WRITEDATA, &reply.body);
    curl_easy_setopt(curl_, CURLOPT_CONNECTTIMEOUT, 20L);
    curl_easy_setopt(curl_, CURLOPT_TIMEOUT, 600L);
    curl_easy_setopt(curl_, CURLOPT_NOSIGNAL, 1L);
    if (const CURLcode code = curl_easy_perform(curl_); code != CURLE_OK) {
      return fail(ErrorCode::io, "cannot ask " + url + ": " + curl_easy_strerror(code));
    }
    curl_off_t wait = 0;
    curl_easy_getinfo(curl_, CURLINFO_RESPONSE_CODE, &reply.status);
    curl_easy_getinfo(curl_, CURLINFO_RETRY_AFTER, &wait);
    reply.retry_after_s = static_cast<long>(wait);
    return reply;
  }

 private:
  const UrlOptions& options_;
  CURL* curl_;
  curl_slist* headers_ = nullptr;
};

class UrlAnswerer final : public Answerer {
 public:
  explicit UrlAnswerer(UrlOptions options) : options_(std::move(options)) {
    while (options_.url.ends_with('/')) options_.url.pop_back();
    curl_global_init(CURL_GLOBAL_DEFAULT);
    for (int i = 0; i < options_.at_once; ++i) threads_.emplace_back([this](const std::stop_token& stop) { work(stop); });
  }

  void ask(const Task& task, const Item& item, Done done) override {
    const std::lock_guard lock(mutex_);
    waiting_.push_back({&task, &item, std::move(done)});
    wake_.notify_one();
  }

 private:
  struct Job {
    const Task* task;
    const Item* item;
    Done done;
  };

  void work(const std::stop_token& stop) {
    Connection connection(options_);
    while (true) {
      Job job;
      {
        std::unique_lock lock(mutex_);
        if (!wake_.wait(lock, stop, [&] { return !waiting_.empty(); })) return;
        job = std::move(waiting_.front());
        waiting_.pop_front();
      }
      try {
        job.done(answer(connection, *job.task, *job.item, stop));
      } catch (const std::exception& error) {
        job.done(fail(ErrorCode::internal, error.what()));
      }
    }
  }

  // Waits twice as long after every refusal, or as long as the server asks for.
  Result<Outcome> answer(Connection& connection, const Task& task, const Item& item, const std::stop_token& stop) const {
    TRY(const std::string body, chat_body(task, item, options_.model));
    std::chrono::milliseconds wait(options_.first_wait_ms);
    for (int attempt = 1;; ++attempt, wait *= 2) {
      auto reply = connection.post(body);
      const bool again = !reply || reply->status == 429 || reply->status >= 500;
      if (!again || attempt >= options_.most_tries || stop.stop_requested()) {
        if (!reply) return std::unexpected(std::move(reply).error());
        TRY(std::string text, chat_answer(reply->body));
        if (reply->status != 200) return fail(ErrorCode::internal, "the server answered with status " + std::to_string(reply->status));
        for (const std::string& end : task.stop) text.resize(std::min(text.find(end), text.size()));
        return Outcome{.text = std::move(text), .chose_letter = task.by_likelihood};
      }
      const auto asked = std::chrono::milliseconds(reply ? std::min(reply->retry_after_s, 120L) * 1000 : 0);
      std::mutex mutex;
      std::unique_lock lock(mutex);
      std::condition_variable_any sleeping;
      sleeping.wait_for(lock, stop, std::max(wait, asked), [] { return false; });
    }
  }

  UrlOptions options_;
  std::mutex mutex_;
  std::condition_variable_any wake_;
  std::deque<Job> waiting_;
  std::vector<std::jthread> threads_;  // last: they use everything above
};

}  // namespace

std::unique_ptr<Answerer> url_answerer(UrlOptions options) { return std::make_unique<UrlAnswerer>(std::move(options)); }

}  // namespace calliope::eval
