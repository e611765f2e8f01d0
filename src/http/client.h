// One HTTP request after another, by libcurl. For threads that may wait: never for a shard thread.
//
// Connections are kept between requests. Only http and https; a redirect is followed if the request allows
// it, and then to the same scheme only. No proxies, no cookies, no passwords in URLs, no compressed answers:
// nothing that an answer or the environment could use to make a small thing large or to send it elsewhere.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace courier::http {

using Headers = std::vector<std::pair<std::string, std::string>>;  // names in small letters, in answers

struct Request {
  std::string url;
  std::string method = "GET";
  Headers headers;
  std::string body;                     // with POST and PUT
  int64_t timeout_ms = 5'000;           // for all of it
  size_t body_bytes_max = 1024 * 1024;  // of the answer; its headers have 64 KB
  int redirects_max = 0;
  std::string ca_file;                     // whom to trust instead of the system's authorities, PEM
  std::string certificate_file, key_file;  // what to show to a server that asks for it, PEM
  // Whether it may go to an address of the link (169.254.0.0/16, fe80::/10) or to another where clouds keep
  // their metadata: to whatever the name in the URL leads.
  bool link_local = false;
};

struct Response {
  int status = 0;
  Headers headers;
  std::string body;

  // The first of that name (small letters), or nullptr.
  const std::string* header(std::string_view name) const;
};

// For logs: without what may hold a secret (the query; a user name and a password before the host), and not
// too long.
std::string without_secrets(std::string_view url);
// Whether a user name or a password stands before its host. Nothing here sends them.
bool names_user(std::string_view url);

// One thread fetches; any thread may cancel.
class Client {
 public:
  // Error: no_memory.
  static Result<std::unique_ptr<Client>> open();
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // BLOCKS, at most for the request's time. Errors: all of errc.h, with the URL in the sentence, but neither
  // its query nor the body.
  Result<Response> fetch(const Request& request);

  // The request under way ends with errc::cancelled at once, and so does every later one.
  void cancel();

 private:
  struct Handles;
  explicit Client(std::unique_ptr<Handles> handles);

  std::unique_ptr<Handles> handles_;
  std::atomic<bool> cancelled_{false};
};

}  // namespace courier::http
