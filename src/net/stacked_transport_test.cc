#include "net/stacked_transport.h"

#include <gtest/gtest.h>

#include <cctype>
#include <string>
#include <utility>
#include <vector>

#include "net/errc.h"
#include "net/transport_test_pair.h"

namespace courier::net {
namespace {

// A layer that can be read: the first byte of its wire opens it, "!" breaks it, "." ends it; all else goes
// through in brackets, and is answered with its count when it is a digit.
class Spelled final : public Transport {
 public:
  Spelled(char mark, bool speaks_first) : mark_(mark), speaks_first_(speaks_first) {}

  void start(std::string& wire) override {
    if (speaks_first_) wire += mark_;
  }
  Result<TransportState> receive(std::string_view wire, std::string& plain, std::string& reply) override {
    for (const char c : wire) {
      if (state_ == TransportState::opening) {
        if (c != mark_) return fail(errc::refused, "not the mark");
        state_ = TransportState::open;
        if (!speaks_first_) reply += mark_;
      } else if (c == '!') {
        reply += "broken";
        return fail(errc::refused, "broken");
      } else if (c == '.') {
        state_ = TransportState::ended;
      } else {
        plain += c;
      }
    }
    return state_;
  }
  using Transport::send;
  Result<void> send(std::span<const std::string_view> pieces, std::string& wire) override {
    for (const std::string_view piece : pieces) wire += piece;
    return {};
  }
  void close(CloseReason, std::string& wire) override {
    if (state_ != TransportState::opening) wire += '.';
  }
  std::optional<TlsSession> tls() const override { return TlsSession{.version = {mark_}}; }

 private:
  const char mark_;
  const bool speaks_first_;
  TransportState state_ = TransportState::opening;
};

std::unique_ptr<Transport> stack(bool client) {
  return std::make_unique<StackedTransport>(std::make_unique<Spelled>('L', client),
                                            std::make_unique<Spelled>('U', client));
}

TEST(StackedTransport, OpensTheUpperLayerOnceTheLowerIsOpen) {
  for (const size_t piece : {size_t{1}, std::string::npos}) {
    TestPair pair(stack(true), stack(false));
    EXPECT_EQ(pair.client.out, "L");
    pair.run(piece);
    EXPECT_TRUE(pair.open());
    EXPECT_EQ(pair.client.sent, "LU");
    EXPECT_EQ(pair.server.sent, "LU");
    pair.client.say("hello");
    pair.run(piece);
    EXPECT_EQ(pair.server.plain, "hello");
  }
}

TEST(StackedTransport, IsOpenOnlyWhenBothLayersAre) {
  TestEnd end;
  end.transport = stack(false);
  end.take("L");
  EXPECT_EQ(end.state, TransportState::opening);
  EXPECT_EQ(end.out, "L");
  end.take("Uhello");
  EXPECT_EQ(end.state, TransportState::open);
  EXPECT_EQ(end.plain, "hello");
  EXPECT_EQ(end.transport->tls()->version, "L") << "the lower layer's";
}

TEST(StackedTransport, TellsThePeerWhyTheUpperLayerBrokeAndThatItWasTheLast) {
  TestEnd end;
  end.transport = stack(false);
  end.take("LU");
  end.out.clear();
  // The lower layer takes "!" for itself, so the upper one is broken by its mark's absence.
  TestEnd other;
  other.transport = stack(false);
  other.take("Lx");
  EXPECT_EQ(other.failed, make_error_code(errc::refused).message());
  EXPECT_EQ(other.out, "L.") << "goodbye of the lower layer";
  end.take("ab!");
  EXPECT_EQ(end.failed, make_error_code(errc::refused).message());
  EXPECT_EQ(end.out, "broken");
}

TEST(StackedTransport, EndsWhenTheLowerLayerDoes) {
  TestEnd end;
  end.transport = stack(false);
  end.take("LUlast.");
  EXPECT_EQ(end.plain, "last");
  EXPECT_EQ(end.state, TransportState::ended);
}

TEST(StackedTransport, SaysGoodbyeOnBothLayers) {
  TestPair pair(stack(true), stack(false));
  pair.run();
  pair.server.transport->close(CloseReason::going_away, pair.server.out);
  EXPECT_EQ(pair.server.out, "..");
}

TEST(StackedTransport, SaysGoodbyeBeforeTheUpperLayerIsOpen) {
  TestEnd end;
  end.transport = stack(false);
  end.transport->close(CloseReason::normal, end.out);
  EXPECT_EQ(end.out, "");
  TestEnd begun;
  begun.transport = stack(false);
  begun.take("L");
  begun.transport->close(CloseReason::normal, begun.out);
  EXPECT_EQ(begun.out, "L.");
}

}  // namespace
}  // namespace courier::net
