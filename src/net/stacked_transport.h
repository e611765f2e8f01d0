// One transport on another: WebSocket over TLS. The same contract; what the lower layer gives as plain bytes
// is the upper one's wire.
//
// Costs two pointers and what the two layers hold. What passes between them goes through buffers of the
// thread. The upper layer may begin only when the lower is open, so start() starts the lower one, and
// receive() the upper.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "net/transport.h"

namespace courier::net {

class StackedTransport final : public Transport {
 public:
  StackedTransport(std::unique_ptr<Transport> lower, std::unique_ptr<Transport> upper)
      : lower_(std::move(lower)), upper_(std::move(upper)) {}

  void start(std::string& wire) override { lower_->start(wire); }
  Result<TransportState> receive(std::string_view wire, std::string& plain, std::string& reply) override;
  using Transport::send;
  Result<void> send(std::span<const std::string_view> pieces, std::string& wire) override;
  void close(CloseReason reason, std::string& wire) override;
  std::optional<TlsSession> tls() const override { return lower_->tls(); }

 private:
  std::unique_ptr<Transport> lower_, upper_;
  bool started_ = false;  // the upper one; the lower is open
};

// Over what `lower` makes, what `upper` makes.
class StackedFactory final : public TransportFactory {
 public:
  StackedFactory(std::shared_ptr<const TransportFactory> lower, std::shared_ptr<const TransportFactory> upper)
      : lower_(std::move(lower)), upper_(std::move(upper)) {}
  std::unique_ptr<Transport> accept(WallMs now) const override {
    return std::make_unique<StackedTransport>(lower_->accept(now), upper_->accept(now));
  }

 private:
  // Shared: a reload swaps one of them while others use the old.
  std::shared_ptr<const TransportFactory> lower_, upper_;
};

}  // namespace courier::net
