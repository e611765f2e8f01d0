#include "net/tls/tls_transport.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include <openssl/err.h>

#include "base/check.h"
#include "net/kept_bytes.h"
#include "net/tls/certificate.h"
#include "net/tls/errc.h"
#include "net/tls/handshake_error.h"
#include "net/tls/limits.h"

namespace courier::net::tls {

// A BIO that reads what the caller gave and writes behind what the caller has.
struct SpanBio {
  static int read(BIO* bio, char* room, size_t size, size_t* taken) {
    BIO_clear_retry_flags(bio);
    TlsTransport& transport = *static_cast<TlsTransport*>(BIO_get_data(bio));
    const bool flooded = transport.key_updates_ > kKeyUpdatesMax;
    const std::string_view bytes = transport.in_.substr(0, flooded ? 0 : size);
    *taken = bytes.size();
    if (bytes.empty()) {
      BIO_set_retry_read(bio);
      return 0;
    }
    std::memcpy(room, bytes.data(), bytes.size());
    transport.in_.remove_prefix(bytes.size());
    return 1;
  }

  static int write(BIO* bio, const char* bytes, size_t size, size_t* written) {
    BIO_clear_retry_flags(bio);
    TlsTransport& transport = *static_cast<TlsTransport*>(BIO_get_data(bio));
    CHECK(transport.out_ != nullptr);
    if (transport.opening_ && !std::exchange(transport.opening_->wrote, true) &&
        is_hello_retry({bytes, size})) {
      transport.opening_->guard.expect_another();
    }
    transport.out_->append(bytes, size);
    *written = size;
    return 1;
  }

  static long control(BIO*, int command, long, void*) { return command == BIO_CTRL_FLUSH ? 1 : 0; }

  static BIO_METHOD* method() {
    static BIO_METHOD* const the_method = [] {
      BIO_METHOD* made = BIO_meth_new(BIO_TYPE_SOURCE_SINK | BIO_get_new_index(), "courier span");
      CHECK(made != nullptr);
      BIO_meth_set_read_ex(made, read);
      BIO_meth_set_write_ex(made, write);
      BIO_meth_set_ctrl(made, control);
      return made;
    }();
    return the_method;
  }
};

namespace {

// Of a record whose header has come.
size_t record_bytes(std::string_view record) {
  return SSL3_RT_HEADER_LENGTH +
         (size_t{static_cast<uint8_t>(record[3])} << 8 | static_cast<uint8_t>(record[4]));
}

// What stands above the peer's certificate was looked at and is not needed again: some 5 KB each.
void forget_chain(SSL* ssl) {
  for (STACK_OF(X509) * chain : {SSL_get_peer_cert_chain(ssl), SSL_get0_verified_chain(ssl)}) {
    while (X509* one = chain ? sk_X509_pop(chain) : nullptr) X509_free(one);
  }
}

// The session keeps the peer's certificate, 5 KB when parsed, and OpenSSL has no call to let it go. But it
// reads a session into one that is there: here what a connection still needs of its own, which is all but the
// certificate and the ticket.
void forget_certificate(SSL* ssl) {
  SSL_SESSION* session = SSL_get_session(ssl);
  // The one thing that the record layer needs and that cannot be carried over; hardly anybody asks for it.
  if (SSL_SESSION_get_max_fragment_length(session) != TLSEXT_max_fragment_length_DISABLED) return;
  const SessionPtr kept(SSL_SESSION_new());
  unsigned char secret[SSL_MAX_MASTER_KEY_LENGTH];
  const size_t secret_size = SSL_SESSION_get_master_key(session, secret, sizeof(secret));
  unsigned char bytes[512];
  unsigned char* end = bytes;
  const bool made = kept && SSL_SESSION_set_protocol_version(kept.get(), SSL_version(ssl)) == 1 &&
                    SSL_SESSION_set_cipher(kept.get(), SSL_get_current_cipher(ssl)) == 1 &&
                    SSL_SESSION_set1_master_key(kept.get(), secret, secret_size) == 1 &&
                    SSL_SESSION_set1_hostname(kept.get(), SSL_SESSION_get0_hostname(session)) == 1 &&
                    i2d_SSL_SESSION(kept.get(), nullptr) <= static_cast<int>(sizeof(bytes));
  if (made) {
    const int size = i2d_SSL_SESSION(kept.get(), &end);
    const unsigned char* at = bytes;
    CHECK(size > 0 && d2i_SSL_SESSION(&session, &at, size) != nullptr);
  }
  OPENSSL_cleanse(secret, sizeof(secret));
  OPENSSL_cleanse(bytes, sizeof(bytes));
}

}  // namespace

class TlsTransport::Call {
 public:
  Call(TlsTransport& transport, std::string_view in, std::string& out) : transport_(transport) {
    transport.in_ = in;
    transport.out_ = &out;
    // What other users of OpenSSL on this thread left. Clearing costs even if there is nothing.
    if (ERR_peek_error() != 0) ERR_clear_error();
  }
  ~Call() {
    transport_.in_ = {};
    transport_.out_ = nullptr;
  }
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;

 private:
  TlsTransport& transport_;
};

std::unique_ptr<TlsTransport> TlsTransport::make(SSL_CTX* ssl_context, bool is_server,
                                                 std::shared_ptr<const void> context) {
  std::unique_ptr<TlsTransport> made(new TlsTransport(is_server));
  made->context_ = std::move(context);
  made->ssl_.reset(SSL_new(ssl_context));
  BioPtr bio(BIO_new(SpanBio::method()));
  CHECK(made->ssl_ && bio);  // no memory, as a failed operator new
  BIO_set_data(bio.get(), made.get());
  BIO_set_init(bio.get(), 1);
  // One for both ways: it takes one reference for the two.
  BIO* const both = bio.release();
  SSL_set_bio(made->ssl_.get(), both, both);
  if (is_server) {
    SSL_set_accept_state(made->ssl_.get());
  } else {
    SSL_set_connect_state(made->ssl_.get());
  }
  return made;
}

TlsTransport::~TlsTransport() {
  // Mobile connections end without a word as often as not: that makes a client's ticket no worse.
  if (!opening_) SSL_set_shutdown(ssl_.get(), SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
}

int TlsTransport::on_verified(int accepted, X509_STORE_CTX* store) {
  if (accepted) return accepted;
  const auto* ssl =
      static_cast<SSL*>(X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()));
  auto& transport = *static_cast<TlsTransport*>(BIO_get_data(SSL_get_rbio(ssl)));
  X509* const certificate = X509_STORE_CTX_get_current_cert(store);
  if (transport.opening_ && certificate) {
    std::string& words = transport.opening_->refused_subject;
    words = subject(certificate).substr(0, kQuotedBytesMax);
    for (char& c : words) c = c >= ' ' && c <= '~' ? c : '?';
  }
  return accepted;
}

void TlsTransport::on_message(int is_ours, int, int type, const void* bytes, size_t size, SSL* ssl, void*) {
  if (is_ours || type != SSL3_RT_HANDSHAKE || size == 0) return;
  if (*static_cast<const unsigned char*>(bytes) != SSL3_MT_KEY_UPDATE) return;
  ++static_cast<TlsTransport*>(BIO_get_data(SSL_get_rbio(ssl)))->key_updates_;
}

void TlsTransport::start(std::string& wire) {
  if (is_server_) return;
  const Call call(*this, {}, wire);
  SSL_do_handshake(ssl_.get());
}

// --- receiving ---

Result<size_t> TlsTransport::ready(std::string_view bytes, std::string& reply) {
  constexpr uint8_t kHandshakeRecord = 22;
  if (opening_ && is_server_ && opening_->bytes_in == 0 && !bytes.empty() && bytes[0] != kHandshakeRecord) {
    return fail(not_tls_error(bytes, reply));
  }
  const size_t record_max = opening_ && is_server_ ? kOpeningRecordBytesMax : SSL3_RT_MAX_ENCRYPTED_LENGTH;
  size_t whole = 0;
  while (bytes.size() - whole >= SSL3_RT_HEADER_LENGTH) {
    const auto at = [&](size_t offset) { return static_cast<uint8_t>(bytes[whole + offset]); };
    const size_t size = size_t{at(3)} << 8 | at(4);
    // What OpenSSL refuses by its header need not come whole.
    if (at(1) != SSL3_VERSION_MAJOR || size > SSL3_RT_MAX_ENCRYPTED_LENGTH)
      return whole + SSL3_RT_HEADER_LENGTH;
    if (size > record_max) return fail(too_large(reply));
    if (bytes.size() - whole < SSL3_RT_HEADER_LENGTH + size) break;
    whole += SSL3_RT_HEADER_LENGTH + size;
    // The handshake may end with this record, and then other bounds apply.
    if (opening_) break;
  }
  return whole;
}

Result<TransportState> TlsTransport::receive(std::string_view wire, std::string& plain, std::string& reply) {
  TransportState state = opening_ ? TransportState::opening : TransportState::open;
  key_updates_ = 0;
  while (!wire.empty()) {
    const bool begun = !held_.empty();
    if (begun) {
      // First its header, then as much as that says.
      const size_t wanted =
          held_.size() < SSL3_RT_HEADER_LENGTH ? SSL3_RT_HEADER_LENGTH : record_bytes(held_);
      const std::string_view more = wire.substr(0, wanted - held_.size());
      append_kept(held_, more, wanted);
      wire.remove_prefix(more.size());
    }
    const Result<size_t> size = ready(begun ? held_ : wire, reply);
    if (!size) return fail(size.error());
    if (*size == 0) {
      if (begun) continue;
      held_ = wire;
      break;
    }
    const std::string whole = begun ? std::exchange(held_, std::string()) : std::string();
    const Result<TransportState> taken = take(begun ? whole : wire.substr(0, *size), plain, reply);
    if (!taken) return taken;
    state = *taken;
    if (!begun) wire.remove_prefix(*size);
  }
  return state;
}

Result<TransportState> TlsTransport::take(std::string_view records, std::string& plain, std::string& reply) {
  const Call call(*this, records, reply);
  if (opening_) {
    if (auto taken = handshake(records, reply); !taken) return fail(taken.error());
    if (opening_) return TransportState::opening;
  }
  char room[SSL3_RT_MAX_PLAIN_LENGTH];
  for (;;) {
    size_t bytes = 0;
    if (SSL_read_ex(ssl_.get(), room, sizeof(room), &bytes) == 1) {
      if (!closed_) plain.append(room, bytes);
      // To be told that there is no more would cost half as much again.
      if (in_.empty() && SSL_has_pending(ssl_.get()) == 0) return TransportState::open;
      continue;
    }
    switch (SSL_get_error(ssl_.get(), 0)) {
      case SSL_ERROR_WANT_READ:
        if (key_updates_ > kKeyUpdatesMax) {
          return fail(errc::key_updates, "the TLS connection failed: the peer changes its keys without end");
        }
        return TransportState::open;
      case SSL_ERROR_ZERO_RETURN:
        return TransportState::ended;
      default:
        return fail(failure());
    }
  }
}

Result<void> TlsTransport::handshake(std::string_view record, std::string& reply) {
  opening_->bytes_in += record.size();
  if (opening_->bytes_in > (is_server_ ? kHandshakeBytesMax : 2 * kServerChainBytesMax) ||
      (is_server_ && !opening_->guard.admits(record, kHelloBytesMax))) {
    return fail(too_large(reply));
  }
  const int done = SSL_do_handshake(ssl_.get());
  if (is_server_) forget_chain(ssl_.get());
  if (done == 1) {
    if (auto checked = on_opened(); !checked) return checked;
    opening_.reset();
    return {};
  }
  if (SSL_get_error(ssl_.get(), done) == SSL_ERROR_WANT_READ) return {};
  return fail(failure());
}

Error TlsTransport::too_large(std::string& reply) const {
  if (is_server_ && !opening_->wrote) reply += plain_alert(kAlertIllegalParameter);
  return {make_error_code(errc::too_large),
          std::string("the TLS handshake failed: the ") +
              (is_server_ ? "client sends more than a handshake may have (8 KB of hello, 6 of certificates, "
                            "64 in all)"
                          : "server sends more than a handshake may have (128 KB)")};
}

Error TlsTransport::failure() const {
  return connection_error(ssl_.get(), is_server_, opening_ != nullptr,
                          opening_ ? std::string_view(opening_->refused_subject) : std::string_view());
}

Result<void> TlsTransport::on_opened() {
  SSL* const ssl = ssl_.get();
  X509* const certificate = SSL_get0_peer_certificate(ssl);
  if (certificate && SSL_get_verify_result(ssl) == X509_V_OK &&
      (SSL_get_verify_mode(ssl) & SSL_VERIFY_PEER) != 0) {
    // A ticket may outlive the certificate that was shown for it. (New revocation lists end all tickets.)
    if (is_server_ && SSL_session_reused(ssl) &&
        X509_cmp_current_time(X509_get0_notAfter(certificate)) <= 0) {
      return fail(
          errc::expired_certificate,
          "the TLS handshake failed: the client's certificate has expired since its ticket was issued");
    }
    peer_ = std::make_unique<PeerCertificate>(peer_certificate(certificate));
  }
  if (is_server_) {
    // The stapled response was sent; a copy of it need not lie here.
    SSL_set_tlsext_status_ocsp_resp(ssl, nullptr, 0);
    if (certificate) forget_certificate(ssl);
  }
  return {};
}

Result<void> TlsTransport::send(std::span<const std::string_view> pieces, std::string& wire) {
  CHECK(!opening_);
  if (closed_) return {};
  std::string joined;
  std::string_view bytes;
  if (pieces.size() == 1) {
    bytes = pieces.front();
  } else {
    for (const std::string_view piece : pieces) joined.append(piece);
    bytes = joined;
  }
  if (bytes.empty()) return {};
  const Call call(*this, {}, wire);
  size_t written = 0;
  if (SSL_write_ex(ssl_.get(), bytes.data(), bytes.size(), &written) == 1 && written == bytes.size())
    return {};
  return fail(connection_error(ssl_.get(), is_server_, false, {}));
}

void TlsTransport::close(CloseReason, std::string& wire) {
  if (opening_ || std::exchange(closed_, true)) return;
  const Call call(*this, {}, wire);
  SSL_shutdown(ssl_.get());
  ERR_clear_error();
}

std::optional<TlsSession> TlsTransport::tls() const {
  if (opening_) return std::nullopt;
  TlsSession session;
  session.version = SSL_get_version(ssl_.get());
  session.cipher = SSL_get_cipher_name(ssl_.get());
  if (const char* name = SSL_get_servername(ssl_.get(), TLSEXT_NAMETYPE_host_name))
    session.server_name = name;
  const unsigned char* alpn = nullptr;
  unsigned alpn_size = 0;
  SSL_get0_alpn_selected(ssl_.get(), &alpn, &alpn_size);
  if (alpn) session.alpn.assign(reinterpret_cast<const char*>(alpn), alpn_size);
  session.resumed = SSL_session_reused(ssl_.get()) == 1;
  if (peer_) session.certificate = *peer_;
  return session;
}

}  // namespace courier::net::tls
