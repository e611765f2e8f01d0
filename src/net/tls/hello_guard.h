// Sees to it that a ClientHello announces no more than we want to hold.
//
// OpenSSL makes room for a handshake message as soon as its four-byte header has come, and for a ClientHello
// that may be 128 KB: nine bytes from a stranger would cost 170 KB until the connect timeout. So the records
// that begin a handshake are followed here, in plain sight, until the hello has been seen (and the second
// one, if ours was a HelloRetryRequest). All other messages OpenSSL bounds well. Pure. RFC 8446, sections 4
// and 5.1.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace courier::net::tls {

class HelloGuard {
 public:
  // What came next, in any pieces. False once a hello is larger than `hello_bytes_max`.
  bool admits(std::string_view bytes, size_t hello_bytes_max);
  // We asked for a second hello.
  void expect_another() { hellos_left_ = 1; }

 private:
  bool message_bytes(std::string_view bytes, size_t hello_bytes_max);

  uint8_t header_[5] = {};  // of the record
  uint8_t header_size_ = 0;
  uint8_t message_[4] = {};  // its header
  uint8_t message_size_ = 0;
  uint8_t hellos_left_ = 1;
  bool in_cipher_ = false;  // what follows cannot be read
  uint16_t record_left_ = 0;
  uint32_t message_left_ = 0;
};

// Whether these bytes of ours begin with a HelloRetryRequest.
bool is_hello_retry(std::string_view record);

}  // namespace courier::net::tls
