// What may stand between a socket and MQTT's bytes: TLS, WebSocket, or one on the other. Plain MQTT has no
// such object.
//
//   opening --handshake done--> open --peer said goodbye--> ended
//      '-----------'--------------'--error--> broken: only to be destroyed
//
// Sans-I/O: wire bytes go in, plain bytes and wire bytes come out; no socket, no thread. The owner reads and
// writes the socket, gathers what is to go out, keeps the times and decides how much may wait for a slow
// peer. One thread at a time, any thread (a handshake may be worked off elsewhere).
//
// 1. receive() takes all it is given; what it must remember of it, it keeps. Everything is appended to
// `plain`
//    and `reply`, which may be buffers that the thread shares.
// 2. `reply` is to be sent also when receive() fails: it holds the alert, the status or the close frame that
//    tells the peer why.
// 3. An Error's code is of a bounded enum, and its message() is a word fit for a metric's label
//    ("no_shared_cipher"); the sentence is for the log. Neither holds more than 200 bytes of the peer's.
// 4. An idle open connection holds what the implementation says, and no buffers. An opening one is bounded
//    too, whatever the peer sends.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"
#include "net/tls_session.h"

namespace courier::net {

enum class TransportState : uint8_t {
  opening,  // handshaking: nothing may be sent yet
  open,
  ended,  // the peer said that no more will come; whatever comes is dropped
};

// Why we hang up, as far as the peer is told.
enum class CloseReason : uint8_t {
  normal,
  going_away,  // the node stops
  protocol,    // the peer broke the rules of what we carry
  policy,      // it may not
  too_big,
  failure,  // ours
};

class Transport {
 public:
  virtual ~Transport() = default;
  Transport(const Transport&) = delete;
  Transport& operator=(const Transport&) = delete;

  // The side that speaks first says its first words; nothing on the other side. Called once, before
  // receive().
  virtual void start(std::string& wire) { static_cast<void>(wire); }

  // What came from the socket. After an error nothing but the destructor may be called.
  virtual Result<TransportState> receive(std::string_view wire, std::string& plain, std::string& reply) = 0;

  // Wraps the pieces, one after the other. WebSocket makes a frame of each; TLS as few records of all as it
  // may. Not while opening. Does
  // nothing once close() was called.
  virtual Result<void> send(std::span<const std::string_view> pieces, std::string& wire) = 0;
  Result<void> send(std::string_view bytes, std::string& wire) { return send({&bytes, 1}, wire); }

  // Says goodbye, once, in the words of each layer. The peer's goodbye may still come: receive() goes on, and
  // gives no more plain bytes that anybody would want.
  virtual void close(CloseReason reason, std::string& wire) = 0;

  // What TLS there is in it; after opening.
  virtual std::optional<TlsSession> tls() const { return std::nullopt; }

 protected:
  Transport() = default;
};

// Makes the server's end for connections of one listener. Thread-safe. `now` is when the connection came.
class TransportFactory {
 public:
  virtual ~TransportFactory() = default;
  virtual std::unique_ptr<Transport> accept(WallMs now) const = 0;
};

}  // namespace courier::net
