// TLS by OpenSSL, both sides, without a socket: records go in, records come out.
//
// What OpenSSL reads, it reads from the bytes that were given; what it writes goes to the end of the caller's
// string. It is given whole records only: for the beginning of one it would take 17 KB, here it costs what
// has come of it. An idle connection holds OpenSSL's own state, some 14 KB, and no records
// (SSL_MODE_RELEASE_BUFFERS). While the handshake lasts it is below 64 KB whatever the peer sends (limits.h).
//
// 1. Renegotiation, compression and early data are off. A client's attempt at any is an alert.
// 2. What the peer proved is known from the end of the handshake on: tls().
// 3. A peer that changes its keys more than kKeyUpdatesMax times in one receive() is closed, and no more of
// it
//    is worked off.
// 4. Goodbye is close_notify. A peer whose socket ends without has truncated what it said, which MQTT notices
//    by itself: its packets have lengths.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "net/tls/hello_guard.h"
#include "net/tls/openssl.h"
#include "net/transport.h"

namespace courier::net::tls {

class TlsTransport final : public Transport {
 public:
  // `context` owns what callbacks of `ssl` refer to. Null when there is no memory.
  static std::unique_ptr<TlsTransport> make(SSL_CTX* ssl_context, bool is_server,
                                            std::shared_ptr<const void> context);
  ~TlsTransport() override;

  void start(std::string& wire) override;
  Result<TransportState> receive(std::string_view wire, std::string& plain, std::string& reply) override;
  using Transport::send;
  Result<void> send(std::span<const std::string_view> pieces, std::string& wire) override;
  void close(CloseReason reason, std::string& wire) override;
  std::optional<TlsSession> tls() const override;

  SSL* ssl() const { return ssl_.get(); }
  // For contexts that verify: remembers whose certificate was not accepted. A callback of
  // SSL_CTX_set_verify().
  static int on_verified(int accepted, X509_STORE_CTX* store);
  // Counts changes of keys. A callback of SSL_CTX_set_msg_callback().
  static void on_message(int is_ours, int version, int type, const void* bytes, size_t size, SSL* ssl, void*);

 private:
  friend struct SpanBio;

  // What is needed until the handshake is done.
  struct Opening {
    HelloGuard guard;
    size_t bytes_in = 0;
    bool wrote = false;
    std::string refused_subject;
  };

  explicit TlsTransport(bool is_server) : opening_(std::make_unique<Opening>()), is_server_(is_server) {}
  // The bytes of one call, for as long as it lasts.
  class Call;
  // How many bytes at the front of `bytes` can be given to OpenSSL: whole records, or what it is to refuse.
  Result<size_t> ready(std::string_view bytes, std::string& reply);
  Result<TransportState> take(std::string_view records, std::string& plain, std::string& reply);
  Result<void> handshake(std::string_view record, std::string& reply);
  Result<void> on_opened();
  Error failure() const;
  Error too_large(std::string& reply) const;

  std::shared_ptr<const void> context_;  // shared: a reload swaps it for those that come later
  std::unique_ptr<Opening> opening_;
  std::unique_ptr<PeerCertificate> peer_;  // who it proved to be; null without
  std::string held_;                       // the beginning of a record
  std::string_view in_;
  std::string* out_ = nullptr;
  SslPtr ssl_;  // before what it refers to
  const bool is_server_;
  bool closed_ = false;
  uint16_t key_updates_ = 0;  // in this call of receive()
};

}  // namespace courier::net::tls
