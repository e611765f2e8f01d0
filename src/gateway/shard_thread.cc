#include "gateway/shard_thread.h"

#include <pthread.h>

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace courier::gateway {

Result<std::unique_ptr<ShardThread>> ShardThread::open(uint32_t index, const ConnectionOptions& options,
                                                       const Siblings& siblings, WorkerPool& handshakes,
                                                       admission::Admission& admission, const Clock& clock,
                                                       Registry& registry) {
  auto loop = net::EventLoop::open();
  if (!loop) return fail(std::move(loop).error());
  return std::unique_ptr<ShardThread>(
      new ShardThread(index, options, siblings, handshakes, admission, clock, registry, *std::move(loop)));
}

ShardThread::ShardThread(uint32_t index, const ConnectionOptions& options, const Siblings& siblings,
                         WorkerPool& handshakes, admission::Admission& admission, const Clock& clock,
                         Registry& registry, std::unique_ptr<net::EventLoop> loop)
    : index_(index),
      options_(options),
      siblings_(siblings),
      handshakes_(handshakes),
      admission_(admission),
      clock_(clock),
      metrics_(registry),
      loop_(std::move(loop)),
      wheel_(clock.mono_ns()),
      scratch_(std::make_unique_for_overwrite<char[]>(kReadBytesMax)),
      ended_(clock.mono_ns()),
      mailbox_(*loop_),
      arrivals_(*loop_),
      shaken_(*loop_) {}

ShardThread::~ShardThread() {
  stop();
}

void ShardThread::start(broker::Shard& shard) {
  CHECK(shard_ == nullptr);
  shard_ = &shard;
  thread_ = std::thread([this] { run(); });
  const std::string name = "shard-" + std::to_string(index_);
  pthread_setname_np(thread_.native_handle(), name.c_str());
}

void ShardThread::stop() {
  if (!thread_.joinable()) return;
  stopping_.store(true, std::memory_order_release);
  loop_->wake();
  thread_.join();
}

Result<void> ShardThread::listen(Listener& listener, net::Listener socket) {
  auto acceptor = std::make_unique<Acceptor>(*this, listener, std::move(socket));
  if (auto started = acceptor->start(); !started) return started;
  acceptors_.push_back(std::move(acceptor));
  return {};
}

void ShardThread::run() {
  while (!stopping_.load(std::memory_order_acquire)) turn();
  acceptors_.clear();
  // Whoever is still here hears why it ends, if its socket takes it at once.
  read_mail();
  shard_->drain(SIZE_MAX);
  shard_->end_turn();
  write_outputs();
  while (!apart_.empty()) (*apart_.begin())->destroy();
  finishing_.clear();
  buried_.clear();
}

void ShardThread::turn() {
  now_ = 0;
  loop_->run_once(wait_at_most());
  const MonoNs woke = now();
  read_mail();
  go_on_with_remembered();
  wheel_.advance(woke, [](Connection& connection) { connection.on_timer(); });
  if (acceptors_stalled_) wake_acceptors();
  shard_->on_time();
  shard_->end_turn();
  write_outputs();
  finish_connections();
  ended_ = clock_.mono_ns();
  metrics_.loop_lag_seconds.observe(static_cast<double>(ended_ - woke) * 1e-9);
  turns_.fetch_add(1, std::memory_order_relaxed);
}

MonoNs ShardThread::wait_at_most() const {
  if (!remembered_.empty()) return 0;
  MonoNs due = shard_->next_due();
  if (const auto timer = wheel_.next_due()) due = std::min(due, *timer);
  if (acceptors_stalled_) {
    for (const auto& acceptor : acceptors_) due = std::min(due, acceptor->stalled_until());
  }
  if (due == INT64_MAX) return net::EventLoop::kForever;
  return std::max<MonoNs>(due - ended_, 0);
}

void ShardThread::read_mail() {
  if (mailbox_.drain(mail_)) {
    for (broker::Mail& mail : mail_) shard_->on_mail(std::move(mail));
    mail_.clear();
  }
  if (arrivals_.drain(arrived_)) {
    for (HandOver& arrival : arrived_) {
      arrival.link.release()->arrive(*this, std::move(arrival.connection));
    }
    arrived_.clear();
  }
  if (shaken_.drain(shook_)) {
    for (const std::shared_ptr<Handshake>& handshake : shook_) {
      if (handshake->connection) handshake->connection->shook();
    }
    shook_.clear();
  }
}

bool ShardThread::work_off(std::shared_ptr<Handshake> handshake) {
  return handshakes_.post([this, handshake = std::move(handshake)] {
    handshake->work();
    shaken_.post(handshake);
  });
}

void ShardThread::go_on_with_remembered() {
  going_on_.swap(remembered_);
  // By index: release() may take others out.
  for (size_t i = 0; i < going_on_.size(); ++i) {
    Connection* connection = going_on_[i];
    if (!connection) continue;
    connection->remembered_ = false;
    connection->go_on();
  }
  going_on_.clear();
}

void ShardThread::wake_acceptors() {
  acceptors_stalled_ = false;
  for (const auto& acceptor : acceptors_) {
    if (acceptor->stalled_until() <= now()) {
      acceptor->try_again();
    } else if (acceptor->stalled_until() != INT64_MAX) {
      acceptors_stalled_ = true;
    }
  }
}

std::span<const std::string_view> ShardThread::packets_of(std::string_view bytes) {
  packets_.clear();
  while (!bytes.empty()) {
    const size_t size = mqtt::encoded_packet_size(bytes);
    packets_.push_back(bytes.substr(0, size));
    bytes.remove_prefix(size);
  }
  return packets_;
}

Output* ShardThread::take_output(Connection& connection) {
  if (spare_outputs_.empty()) {
    outputs_.push_back(std::make_unique<Output>());
  } else {
    outputs_.push_back(std::move(spare_outputs_.back()));
    spare_outputs_.pop_back();
  }
  outputs_.back()->owner = &connection;
  return outputs_.back().get();
}

void ShardThread::write_outputs() {
  for (std::unique_ptr<Output>& output : outputs_) {
    if (output->owner) output->owner->write(*output);
    if (spare_outputs_.size() >= kSpareOutputsMax ||
        output->bytes.capacity() + output->wire.capacity() > kSpareOutputBytesMax) {
      continue;
    }
    output->bytes.clear();
    if (!output->wire.empty()) output->wire.clear();
    output->owner = nullptr;
    spare_outputs_.push_back(std::move(output));
  }
  outputs_.clear();
}

void ShardThread::finish_connections() {
  for (Connection* connection : finishing_) connection->finish();
  finishing_.clear();
  buried_.clear();
}

void ShardThread::remember(Connection& connection) {
  if (connection.remembered_) return;
  connection.remembered_ = true;
  remembered_.push_back(&connection);
}

void ShardThread::release(Connection& connection) {
  apart_.erase(&connection);
  if (connection.output_) {
    connection.output_->owner = nullptr;
    connection.output_ = nullptr;
  }
  if (connection.remembered_) {
    connection.remembered_ = false;
    std::erase(remembered_, &connection);
    std::replace(going_on_.begin(), going_on_.end(), &connection, static_cast<Connection*>(nullptr));
  }
}

void ShardThread::bury(Connection& connection) {
  buried_.emplace_back(&connection);
}

}  // namespace courier::gateway
