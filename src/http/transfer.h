// One request on its way through one handle of libcurl: what client.h and requests.h share. Of the thread
// that drives the handle, which must not be used for anything else between set_up() and finish().
#pragma once

#include <curl/curl.h>

#include <cstddef>

#include "base/result.h"
#include "http/client.h"

namespace courier::http {

// Once in the process, before any other call.
void start_libcurl();

// What one answer collects while it comes in.
struct Incoming {
  Response response;
  size_t body_bytes_max = 0;
  size_t header_bytes = 0;
  bool too_large = false;
};

class Transfer {
 public:
  // A connection that was idle for longer is not used again.
  static constexpr long kIdleSecondsMax = 60;

  explicit Transfer(Request request);
  ~Transfer();
  Transfer(const Transfer&) = delete;
  Transfer& operator=(const Transfer&) = delete;

  // Error: bad_url.
  Result<void> set_up(CURL* easy);
  // What became of it, once libcurl said `code`.
  Result<Response> finish(CURL* easy, CURLcode code);
  Failure cancelled() const;

 private:
  void add_header(const std::string& line);
  static curl_socket_t open_socket(void* self, curlsocktype, curl_sockaddr* address);

  const Request request_;  // libcurl reads its URL and its body where they stand
  Incoming incoming_;
  curl_slist* headers_ = nullptr;
  char reason_[CURL_ERROR_SIZE] = "";
  std::string forbidden_;  // the address that it was not let to
};

}  // namespace courier::http
