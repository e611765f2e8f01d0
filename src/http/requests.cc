#include "http/requests.h"

#include <curl/curl.h>
#include <pthread.h>

#include <utility>

#include "http/errc.h"
#include "http/transfer.h"

namespace courier::http {
namespace {

// Without anything to do the thread looks up this often, which nothing depends on.
constexpr int kPollMs = 10'000;
constexpr size_t kSpareHandlesMax = 64;

}  // namespace

struct Requests::Running {
  explicit Running(Request request) : transfer(std::move(request)) {}
  Transfer transfer;
  CURL* easy = nullptr;
  Done done;
};

struct Requests::Handles {
  ~Handles() {
    for (CURL* easy : spare) ::curl_easy_cleanup(easy);
    if (multi != nullptr) ::curl_multi_cleanup(multi);
  }
  CURLM* multi = nullptr;
  std::vector<CURL*> spare;  // of the thread
};

Requests::Requests(std::unique_ptr<Handles> handles) : handles_(std::move(handles)) {
  thread_ = std::thread([this] { run(); });
}

Requests::~Requests() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  ::curl_multi_wakeup(handles_->multi);
  thread_.join();
}

Result<std::unique_ptr<Requests>> Requests::open(size_t idle_connections_max) {
  start_libcurl();
  auto handles = std::make_unique<Handles>();
  handles->multi = ::curl_multi_init();
  if (handles->multi == nullptr) return fail(errc::no_memory, "libcurl cannot be started");
  ::curl_multi_setopt(handles->multi, CURLMOPT_MAXCONNECTS, static_cast<long>(idle_connections_max));
  return std::unique_ptr<Requests>(new Requests(std::move(handles)));
}

Requests::Id Requests::send(Request request, Done done) {
  Id id = 0;
  {
    const std::lock_guard lock(mutex_);
    id = ++last_id_;
    posted_.push_back({id, std::move(request), std::move(done)});
  }
  ::curl_multi_wakeup(handles_->multi);
  return id;
}

void Requests::cancel(Id id) {
  {
    const std::lock_guard lock(mutex_);
    posted_.push_back({id, {}, nullptr});
  }
  ::curl_multi_wakeup(handles_->multi);
}

void Requests::begin(Posted posted) {
  auto running = std::make_unique<Running>(std::move(posted.request));
  running->done = std::move(posted.done);
  if (!handles_->spare.empty()) {
    running->easy = handles_->spare.back();
    handles_->spare.pop_back();
  } else {
    running->easy = ::curl_easy_init();
  }
  const auto place = running_.try_emplace(posted.id, std::move(running)).first;
  Running& one = *place->second;
  if (one.easy == nullptr) return end(place, fail(errc::no_memory, "there is no memory for a request"));
  if (auto set = one.transfer.set_up(one.easy); !set) return end(place, fail(set.error()));
  ::curl_easy_setopt(one.easy, CURLOPT_PRIVATE, &place->first);
  ::curl_multi_add_handle(handles_->multi, one.easy);
}

void Requests::end(std::unordered_map<Id, std::unique_ptr<Running>>::iterator place,
                   Result<Response> result) {
  const std::unique_ptr<Running> one = std::move(place->second);
  running_.erase(place);
  if (one->easy != nullptr) {
    ::curl_multi_remove_handle(handles_->multi, one->easy);
    if (handles_->spare.size() < kSpareHandlesMax) {
      ::curl_easy_reset(one->easy);
      handles_->spare.push_back(one->easy);
    } else {
      ::curl_easy_cleanup(one->easy);
    }
  }
  one->done(std::move(result));
}

void Requests::run() {
  ::pthread_setname_np(::pthread_self(), "http");
  for (;;) {
    std::vector<Posted> posted;
    {
      const std::lock_guard lock(mutex_);
      if (stopping_) break;
      posted.swap(posted_);
    }
    for (Posted& each : posted) {
      if (each.done) {
        begin(std::move(each));
      } else if (const auto place = running_.find(each.id); place != running_.end()) {
        end(place, place->second->transfer.cancelled());
      }
    }
    int count = 0;
    ::curl_multi_perform(handles_->multi, &count);
    int left = 0;
    while (const CURLMsg* message = ::curl_multi_info_read(handles_->multi, &left)) {
      if (message->msg != CURLMSG_DONE) continue;
      const Id* id = nullptr;
      ::curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &id);
      const CURLcode code = message->data.result;  // the message ends with its handle's removal
      const auto place = running_.find(*id);
      auto result = place->second->transfer.finish(message->easy_handle, code);
      end(place, std::move(result));
    }
    ::curl_multi_poll(handles_->multi, nullptr, 0, kPollMs, nullptr);
  }
  for (auto& [id, one] : running_) {
    ::curl_multi_remove_handle(handles_->multi, one->easy);
    ::curl_easy_cleanup(one->easy);
  }
  running_.clear();
}

}  // namespace courier::http
