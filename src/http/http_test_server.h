// For tests: an HTTP server on a port of its own that answers what the test says, with TLS or without.
//
// One thread, one connection at a time, one request each.
#pragma once

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/check.h"

namespace courier::http::test {

// A whole answer, for a body.
inline std::string answer(std::string_view body, std::string_view headers = "",
                          std::string_view status = "200 OK") {
  return fmt::format("HTTP/1.1 {}\r\nContent-Length: {}\r\nConnection: close\r\n{}\r\n{}", status,
                     body.size(), headers, body);
}

class Server {
 public:
  // Gets the request as it came (head and body), on the server's thread; returns the bytes to send.
  using Handler = std::function<std::string(const std::string& request)>;
  enum class Tls : uint8_t {
    off,
    on,
    mutual,  // the client must show the server's own certificate
  };

  explicit Server(Handler handler, Tls tls = Tls::off) : handler_(std::move(handler)) {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = ::htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    CHECK(::bind(listener_, reinterpret_cast<sockaddr*>(&address), size) == 0 &&
          ::listen(listener_, 64) == 0);
    CHECK(::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) == 0);
    port_ = ::ntohs(address.sin_port);
    CHECK(::pipe2(stop_, O_CLOEXEC) == 0);
    if (tls != Tls::off) set_up_tls(tls);
    thread_ = std::thread([this] { run(); });
  }
  ~Server() {
    stop();
    if (context_ != nullptr) ::SSL_CTX_free(context_);
  }
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // Nobody answers at url() from then on.
  void stop() {
    if (!thread_.joinable()) return;
    ::close(stop_[1]);
    thread_.join();
    ::close(stop_[0]);
    ::close(listener_);
  }
  std::string url(std::string_view path = "/") const {
    return fmt::format("{}://127.0.0.1:{}{}", context_ != nullptr ? "https" : "http", port_, path);
  }
  int requests() const { return requests_; }
  std::string certificate_pem() const { return certificate_pem_; }
  std::string key_pem() const { return key_pem_; }

 private:
  void set_up_tls(Tls tls) {
    EVP_PKEY* key = ::EVP_EC_gen("P-256");
    X509* certificate = ::X509_new();
    ::X509_set_version(certificate, 2);
    ::ASN1_INTEGER_set(::X509_get_serialNumber(certificate), 1);
    ::X509_gmtime_adj(::X509_getm_notBefore(certificate), -3600);
    ::X509_gmtime_adj(::X509_getm_notAfter(certificate), 3600);
    ::X509_set_pubkey(certificate, key);
    X509_NAME* name = ::X509_get_subject_name(certificate);
    ::X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, reinterpret_cast<const unsigned char*>("test"), -1,
                                 -1, 0);
    ::X509_set_issuer_name(certificate, name);
    X509_EXTENSION* names = ::X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, "IP:127.0.0.1");
    ::X509_add_ext(certificate, names, -1);
    ::X509_EXTENSION_free(names);
    CHECK(::X509_sign(certificate, key, ::EVP_sha256()) > 0);
    context_ = ::SSL_CTX_new(::TLS_server_method());
    CHECK(::SSL_CTX_use_certificate(context_, certificate) == 1 &&
          ::SSL_CTX_use_PrivateKey(context_, key) == 1);
    BIO* text = ::BIO_new(::BIO_s_mem());
    CHECK(::PEM_write_bio_X509(text, certificate) == 1);
    char* data = nullptr;
    const long size = ::BIO_get_mem_data(text, &data);
    certificate_pem_.assign(data, static_cast<size_t>(size));
    ::BIO_free(text);
    text = ::BIO_new(::BIO_s_mem());
    CHECK(::PEM_write_bio_PrivateKey(text, key, nullptr, nullptr, 0, nullptr, nullptr) == 1);
    const long key_size = ::BIO_get_mem_data(text, &data);
    key_pem_.assign(data, static_cast<size_t>(key_size));
    ::BIO_free(text);
    if (tls == Tls::mutual) {
      ::SSL_CTX_set_verify(context_, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
      CHECK(::X509_STORE_add_cert(::SSL_CTX_get_cert_store(context_), certificate) == 1);
    }
    ::X509_free(certificate);
    ::EVP_PKEY_free(key);
  }

  void run() {
    for (;;) {
      pollfd fds[] = {{listener_, POLLIN, 0}, {stop_[0], POLLIN, 0}};
      if (::poll(fds, 2, -1) < 0) continue;
      if (fds[1].revents != 0) return;
      const int socket = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      if (socket < 0) continue;
      serve(socket);
      ::close(socket);
    }
  }

  void serve(int socket) {
    SSL* ssl = nullptr;
    if (context_ != nullptr) {
      ssl = ::SSL_new(context_);
      ::SSL_set_fd(ssl, socket);
      if (::SSL_accept(ssl) != 1) {
        ::SSL_free(ssl);
        ::ERR_clear_error();
        return;
      }
    }
    const auto receive = [&](char* to, size_t size) {
      return ssl != nullptr ? static_cast<ssize_t>(::SSL_read(ssl, to, static_cast<int>(size)))
                            : ::recv(socket, to, size, 0);
    };
    std::string request;
    char buffer[4096];
    size_t whole = std::string::npos;
    while (request.size() < whole) {
      const ssize_t n = receive(buffer, sizeof(buffer));
      if (n <= 0) break;
      request.append(buffer, static_cast<size_t>(n));
      const size_t head = request.find("\r\n\r\n");
      if (head == std::string::npos) continue;
      const size_t length = request.find("Content-Length: ");
      whole = head + 4 + (length < head ? std::stoul(request.substr(length + 16)) : 0);
    }
    ++requests_;
    const std::string out = handler_(request);
    for (size_t at = 0; at < out.size();) {
      const ssize_t n = ssl != nullptr ? ::SSL_write(ssl, out.data() + at, static_cast<int>(out.size() - at))
                                       : ::send(socket, out.data() + at, out.size() - at, MSG_NOSIGNAL);
      if (n <= 0) break;
      at += static_cast<size_t>(n);
    }
    if (ssl != nullptr) {
      ::SSL_shutdown(ssl);
      ::SSL_free(ssl);
    }
  }

  const Handler handler_;
  int listener_ = -1, stop_[2] = {-1, -1};
  uint16_t port_ = 0;
  SSL_CTX* context_ = nullptr;
  std::string certificate_pem_, key_pem_;
  std::atomic<int> requests_{0};
  std::thread thread_;
};

}  // namespace courier::http::test
