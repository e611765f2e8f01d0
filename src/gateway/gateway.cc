#include "gateway/gateway.h"

#include <atomic>
#include <latch>
#include <utility>

#include "base/check.h"
#include "broker/shard.h"
#include "gateway/limits.h"

namespace courier::gateway {

Gateway::Gateway(Registry& registry, const GatewayOptions& options)
    : registry_(registry),
      workers_("worker", options.workers, kWorkerTasksMax),
      handshakes_("handshake", options.threads, kHandshakesWaitingMax, kHandshakeNiceness),
      admission_(options.admission, options.bans, registry) {}

Gateway::~Gateway() {
  stop();
}

Result<std::unique_ptr<Gateway>> Gateway::open(const GatewayOptions& options, const Clock& clock,
                                               Registry& registry) {
  CHECK(options.threads > 0 && options.workers > 0);
  std::unique_ptr<Gateway> gateway(new Gateway(registry, options));
  gateway->threads_.reserve(options.threads);
  for (uint32_t i = 0; i < options.threads; ++i) {
    auto thread = ShardThread::open(i, options.connections, gateway->threads_, gateway->handshakes_,
                                    gateway->admission_, clock, registry);
    if (!thread) return fail(std::move(thread).error());
    gateway->threads_.push_back(*std::move(thread));
  }
  return gateway;
}

void Gateway::post(uint32_t shard, broker::Mail mail) {
  threads_[shard]->post(std::move(mail));
}

void Gateway::run_on_worker(std::function<void()> task) {
  // A copy, because a pool that refuses has dropped what it was given.
  if (!workers_.post(task)) task();
}

void Gateway::start(const std::function<broker::Shard&(uint32_t)>& shard) {
  CHECK(!running_);
  running_ = true;
  for (uint32_t i = 0; i < threads(); ++i) threads_[i]->start(shard(i));
}

Result<void> Gateway::listen(std::vector<ListenerOptions> wanted) {
  CHECK(running_);
  struct Opened {
    Listener* listener;
    std::vector<std::shared_ptr<net::Listener>> sockets;  // one a thread; shared because a task is copied
  };
  std::vector<Opened> opened;
  std::vector<net::SocketAddress> addresses;
  std::vector<std::unique_ptr<Listener>> listeners;
  for (ListenerOptions& options : wanted) {
    const bool spread = options.bind.is_ip();
    net::SocketAddress address = options.bind;
    if (auto free = Listener::probe(address); !free) {
      return fail(free.error().within("listener \"" + options.name + "\""));
    }
    Opened one{};
    for (uint32_t i = 0; i < (spread ? threads() : 1); ++i) {
      auto socket = net::Listener::open(address, {.reuse_port = spread});
      if (!socket) return fail(socket.error().within("listener \"" + options.name + "\""));
      address = socket->address();
      one.sockets.push_back(std::make_shared<net::Listener>(*std::move(socket)));
    }
    addresses.push_back(address);
    one.listener =
        listeners.emplace_back(std::make_unique<Listener>(std::move(options), admission_, registry_)).get();
    opened.push_back(std::move(one));
  }

  std::atomic<bool> failed{false};
  Error error{{}, {}};
  std::mutex mutex;
  size_t sockets = 0;
  for (const Opened& one : opened) sockets += one.sockets.size();
  std::latch done(static_cast<ptrdiff_t>(sockets));
  for (const Opened& one : opened) {
    for (size_t i = 0; i < one.sockets.size(); ++i) {
      ShardThread* thread = threads_[i].get();
      thread->post(
          broker::TaskMail{[&, thread, listener = one.listener, socket = one.sockets[i]](broker::Shard&) {
            if (auto started = thread->listen(*listener, std::move(*socket)); !started) {
              const std::lock_guard lock(mutex);
              failed = true;
              error = started.error();
            }
            done.count_down();
          }});
    }
  }
  done.wait();
  for (auto& listener : listeners) listeners_.push_back(std::move(listener));
  addresses_.insert(addresses_.end(), addresses.begin(), addresses.end());
  if (failed) {
    stop_listening();
    return fail(error);
  }
  return {};
}

void Gateway::use(const std::vector<ListenerOptions>& changed) {
  for (const ListenerOptions& options : changed) {
    for (const auto& listener : listeners_) {
      if (listener->options().name == options.name) listener->use(options);
    }
  }
}

void Gateway::use(const ConnectionOptions& connections) {
  for (const auto& thread : threads_) {
    thread->post(
        broker::TaskMail{[thread = thread.get(), connections](broker::Shard&) { thread->use(connections); }});
  }
}

void Gateway::stop_listening() {
  std::latch done(threads());
  for (const auto& thread : threads_) {
    thread->post(broker::TaskMail{[&done, thread = thread.get()](broker::Shard&) {
      thread->stop_listening();
      done.count_down();
    }});
  }
  done.wait();
}

void Gateway::on_every_thread(const std::function<void(broker::Shard&)>& task) {
  CHECK(running_);
  std::latch done(threads());
  for (const auto& thread : threads_) {
    thread->post(broker::TaskMail{[&](broker::Shard& shard) {
      task(shard);
      done.count_down();
    }});
  }
  done.wait();
}

size_t Gateway::drain(size_t count_per_shard) {
  std::atomic<size_t> left{0};
  on_every_thread([&](broker::Shard& shard) { left += shard.drain(count_per_shard); });
  return left;
}

size_t Gateway::connections() const {
  size_t sum = 0;
  for (const auto& listener : listeners_) sum += listener->connections();
  return sum;
}

bool Gateway::all_alive() {
  bool alive = true;
  turns_seen_.resize(threads_.size(), UINT64_MAX);
  for (size_t i = 0; i < threads_.size(); ++i) {
    const uint64_t turns = threads_[i]->turns();
    alive = alive && turns != turns_seen_[i];
    turns_seen_[i] = turns;
    // Makes a Turn of a thread that has nothing to do.
    threads_[i]->post(broker::TaskMail{[](broker::Shard&) {}});
  }
  return alive;
}

void Gateway::stop() {
  if (running_) {
    running_ = false;
    for (const auto& thread : threads_) thread->stop();
  }
  workers_.stop();
  handshakes_.stop();
}

}  // namespace courier::gateway
