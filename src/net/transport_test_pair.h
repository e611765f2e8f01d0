// For tests: the two ends of a transport, and the wire between them, whose bytes come in pieces of any size.
#pragma once

#include <algorithm>
#include <memory>
#include <string>
#include <string_view>

#include "net/transport.h"

namespace courier::net {

// One end: what it gave and what it has to say.
struct TestEnd {
  std::unique_ptr<Transport> transport;
  TransportState state = TransportState::opening;
  std::string plain;
  std::string out;     // not delivered yet
  std::string sent;    // all that was delivered to the other end
  std::string failed;  // the error's label; empty while there is none
  std::string sentence = {};

  void take(std::string_view bytes) {
    if (!failed.empty() || bytes.empty()) return;
    const auto result = transport->receive(bytes, plain, out);
    if (result) {
      state = *result;
    } else {
      failed = result.error().code.message();
      sentence = result.error().message;
    }
  }
  void say(std::string_view bytes) {
    if (auto sent_ = transport->send(bytes, out); !sent_) failed = sent_.error().code.message();
  }
};

struct TestPair {
  TestEnd client, server;

  TestPair(std::unique_ptr<Transport> c, std::unique_ptr<Transport> s) {
    client.transport = std::move(c);
    server.transport = std::move(s);
    client.transport->start(client.out);
    server.transport->start(server.out);
  }

  // Until nobody has anything to say. Bytes come in pieces of `piece` at most, and are cut behind the first
  // `cut` bytes of the client's.
  void run(size_t piece = std::string::npos, size_t cut = std::string::npos) {
    while (!client.out.empty() || !server.out.empty()) {
      deliver(client, server, piece, cut);
      deliver(server, client, piece, std::string::npos);
    }
  }
  bool open() const { return client.state == TransportState::open && server.state == TransportState::open; }

 private:
  static void deliver(TestEnd& from, TestEnd& to, size_t piece, size_t cut) {
    const std::string bytes = std::move(from.out);
    from.out.clear();
    for (size_t at = 0; at < bytes.size();) {
      size_t size = std::min(piece, bytes.size() - at);
      const size_t before = from.sent.size();
      if (before < cut && before + size > cut) size = cut - before;
      to.take(std::string_view(bytes).substr(at, size));
      from.sent.append(bytes, at, size);
      at += size;
    }
  }
};

}  // namespace courier::net
