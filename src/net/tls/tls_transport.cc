#include "net/tls/tls_transport.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include <openssl/err.h>

#include "base/check.h"
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
    const std::string_view bytes = transport.in_.substr(0, size);
    *taken = bytes.size();
    if (bytes.empty()) {
      BIO_set_retry_read(bio);
      return 0;
    }
    if (transport.opening_ && !admitted(*transport.opening_, bytes, transport.is_server_)) return 0;
    std::memcpy(room, bytes.data(), bytes.size());
    transport.in_.remove_prefix(bytes.size());
    return 1;
  }

  static bool admitted(TlsTransport::Opening& opening, std::string_view bytes, bool is_server) {
    opening.bytes_in += bytes.size();
    opening.too_large = opening.too_large ||
                        opening.bytes_in > (is_server ? kHandshakeBytesMax : 2 * kServerChainBytesMax) ||
                        (is_server && !opening.guard.admits(bytes, kHelloBytesMax));
    return !opening.too_large;
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

class TlsTransport::Call {
 public:
  Call(TlsTransport& transport, std::string_view in, std::string& out) : transport_(transport) {
    transport.in_ = in;
    transport.out_ = &out;
    ERR_clear_error();  // what other users of OpenSSL on this thread left
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

void TlsTransport::start(std::string& wire) {
  if (is_server_) return;
  const Call call(*this, {}, wire);
  SSL_do_handshake(ssl_.get());
}

Result<TransportState> TlsTransport::receive(std::string_view wire, std::string& plain, std::string& reply) {
  const Call call(*this, wire, reply);
  if (opening_) {
    const Result<TransportState> state = handshake(reply);
    if (!state || *state == TransportState::opening) return state;
  }
  char room[SSL3_RT_MAX_PLAIN_LENGTH];
  for (;;) {
    size_t bytes = 0;
    if (SSL_read_ex(ssl_.get(), room, sizeof(room), &bytes) == 1) {
      if (!closed_) plain.append(room, bytes);
      continue;
    }
    switch (SSL_get_error(ssl_.get(), 0)) {
      case SSL_ERROR_WANT_READ:
        return TransportState::open;
      case SSL_ERROR_ZERO_RETURN:
        return TransportState::ended;
      default:
        return fail(failure(reply));
    }
  }
}

Result<TransportState> TlsTransport::handshake(std::string& reply) {
  constexpr char kHandshakeRecord = 22;
  if (is_server_ && opening_->bytes_in == 0) {
    if (in_.empty()) return TransportState::opening;
    if (in_[0] != kHandshakeRecord) return fail(not_tls_error(in_, reply));
  }
  const int done = SSL_do_handshake(ssl_.get());
  if (done == 1) {
    if (auto checked = check_opened(); !checked) return fail(checked.error());
    opening_.reset();
    return TransportState::open;
  }
  if (!opening_->too_large && SSL_get_error(ssl_.get(), done) == SSL_ERROR_WANT_READ)
    return TransportState::opening;
  return fail(failure(reply));
}

Error TlsTransport::failure(std::string& reply) {
  if (opening_ && opening_->too_large) {
    ERR_clear_error();
    if (is_server_ && !opening_->wrote) reply += plain_alert(kAlertIllegalParameter);
    return {make_error_code(errc::too_large),
            std::string("the TLS handshake failed: the ") +
                (is_server_ ? "client sends more than a handshake may have (a hello of 8 KB, 64 KB in all)"
                            : "server sends more than a handshake may have (128 KB)")};
  }
  return connection_error(ssl_.get(), is_server_, opening_ != nullptr,
                          opening_ ? std::string_view(opening_->refused_subject) : std::string_view());
}

Result<void> TlsTransport::check_opened() {
  if (!is_server_) return {};
  // The stapled response was sent; a copy of it need not lie here.
  SSL_set_tlsext_status_ocsp_resp(ssl_.get(), nullptr, 0);
  // A ticket may outlive the certificate that was shown for it. (New revocation lists end all tickets.)
  X509* const certificate = SSL_session_reused(ssl_.get()) ? SSL_get0_peer_certificate(ssl_.get()) : nullptr;
  if (certificate && X509_cmp_current_time(X509_get0_notAfter(certificate)) <= 0) {
    return fail(errc::expired_certificate,
                "the TLS handshake failed: the client's certificate has expired since its ticket was issued");
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
  X509* const certificate = SSL_get0_peer_certificate(ssl_.get());
  if (certificate && SSL_get_verify_result(ssl_.get()) == X509_V_OK &&
      (SSL_get_verify_mode(ssl_.get()) & SSL_VERIFY_PEER) != 0) {
    session.certificate = peer_certificate(certificate);
  }
  return session;
}

}  // namespace courier::net::tls
