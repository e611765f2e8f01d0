#include "cluster/etcd/watcher.h"

#include <utility>

#include "base/log.h"
#include "cluster/etcd/keys.h"

namespace courier::cluster::etcd {

Watcher::Watcher(Client& client, std::string prefix, bool deletions, Callbacks callbacks)
    : client_(client), prefix_(std::move(prefix)), deletions_(deletions), callbacks_(std::move(callbacks)) {}

Watcher::~Watcher() {
  stop();
}

void Watcher::start(int64_t revision) {
  stop();
  running_ = true;
  paused_ = false;
  next_ = revision;
  open();
  look();
}

void Watcher::stop() {
  running_ = false;
  if (stream_) stream_->close();
  stream_.reset();
  client_.engine().cancel(std::exchange(look_timer_, 0));
  client_.engine().cancel(std::exchange(open_timer_, 0));
}

void Watcher::pause(bool paused) {
  if (paused_ == paused) return;
  paused_ = paused;
  heard_ns_ = boot_ns();
  asked_ns_ = 0;
  if (stream_) stream_->pause(paused);
}

void Watcher::open() {
  open_timer_ = 0;
  heard_ns_ = boot_ns();
  asked_ns_ = 0;
  stream_ = open_watch(client_, {[this](api::WatchResponse& response) { on_message(response); },
                                 [this](Error error) { on_end(error); }});
  stream_->pause(paused_);
  api::WatchRequest request;
  api::WatchCreateRequest& create = *request.mutable_create_request();
  create.set_key(prefix_);
  create.set_range_end(end_of(prefix_));
  create.set_start_revision(next_);
  create.set_progress_notify(true);
  if (!deletions_) create.add_filters(api::WatchCreateRequest::NODELETE);
  stream_->send(std::move(request));
}

void Watcher::reopen_later() {
  if (stream_) stream_->close();
  stream_.reset();
  if (open_timer_ == 0) open_timer_ = client_.engine().after(kRetryMs, [this] { open(); });
}

void Watcher::on_message(api::WatchResponse& response) {
  heard_ns_ = boot_ns();
  asked_ns_ = 0;
  if (response.canceled()) {
    if (response.compact_revision() > 0) {
      stop();
      return callbacks_.on_compacted();
    }
    static log::Limit limit{{.per_second = 1}};
    log::warn(limit, "etcd ended a watch; it is opened again", {{"reason", response.cancel_reason()}});
    // Also what it says to a token that it does not know any more.
    if (response.cancel_reason().find("permission denied") != std::string::npos) client_.forget_token();
    client_.suspect(stream_->endpoint());
    return reopen_later();
  }
  if (response.events_size() == 0) return;
  next_ = response.events(response.events_size() - 1).kv().mod_revision() + 1;
  callbacks_.on_events(response);
}

void Watcher::on_end(const Error& error) {
  log::debug("a watch of etcd's ended; it is opened again", {{"reason", error.message}});
  if (error.code == make_error_code(errc::refused)) client_.forget_token();
  stream_.reset();
  reopen_later();
}

void Watcher::look() {
  look_timer_ = client_.engine().after(kWatchQuietMs, [this] { look(); });
  if (!stream_ || paused_) return;
  const MonoNs now = boot_ns();
  if (asked_ns_ != 0 && now - asked_ns_ >= kWatchAnswerMs * kNsPerMs) {
    client_.suspect(stream_->endpoint());
    return reopen_later();
  }
  if (asked_ns_ != 0 || now - heard_ns_ < kWatchQuietMs * kNsPerMs) return;
  asked_ns_ = now;
  api::WatchRequest request;
  (void)request.mutable_progress_request();
  stream_->send(std::move(request));
}

}  // namespace courier::cluster::etcd
