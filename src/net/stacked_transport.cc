#include "net/stacked_transport.h"

#include <utility>

#include "net/limits.h"

namespace courier::net {

namespace {

// What passes between two layers in one call. Of the thread, and given back by each call empty.
struct Between {
  std::string up, down;

  void clear() {
    for (std::string* bytes : {&up, &down}) {
      bytes->clear();
      if (bytes->capacity() > kBetweenLayersKept) bytes->shrink_to_fit();
    }
  }
};

class Borrowed {
 public:
  Borrowed() = default;
  ~Borrowed() { between().clear(); }
  Borrowed(const Borrowed&) = delete;
  Borrowed& operator=(const Borrowed&) = delete;
  Between* operator->() { return &between(); }

 private:
  static Between& between() {
    thread_local Between the_one;
    return the_one;
  }
};

}  // namespace

Result<TransportState> StackedTransport::receive(std::string_view wire, std::string& plain,
                                                 std::string& reply) {
  Borrowed between;
  const Result<TransportState> below = lower_->receive(wire, between->up, reply);
  if (!below || *below == TransportState::opening) return below;
  if (!std::exchange(started_, true)) upper_->start(between->down);
  const Result<TransportState> above = upper_->receive(between->up, plain, between->down);
  if (!between->down.empty()) {
    if (auto sent = lower_->send(between->down, reply); !sent) return fail(sent.error());
  }
  if (!above) {
    lower_->close(CloseReason::protocol, reply);
    return above;
  }
  if (*above == TransportState::ended) lower_->close(CloseReason::normal, reply);
  return *below == TransportState::ended ? *below : *above;
}

Result<void> StackedTransport::send(std::span<const std::string_view> pieces, std::string& wire) {
  Borrowed between;
  if (auto wrapped = upper_->send(pieces, between->down); !wrapped) return wrapped;
  if (between->down.empty()) return {};
  return lower_->send(between->down, wire);
}

void StackedTransport::close(CloseReason reason, std::string& wire) {
  if (started_) {
    Borrowed between;
    upper_->close(reason, between->down);
    // If it cannot be wrapped, the connection is broken, and closing it is what was wanted.
    if (!between->down.empty()) static_cast<void>(lower_->send(between->down, wire));
  }
  lower_->close(reason, wire);
}

}  // namespace courier::net
