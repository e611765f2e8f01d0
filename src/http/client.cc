#include "http/client.h"

#include <curl/curl.h>

#include <algorithm>
#include <mutex>

#include <fmt/format.h>

#include "http/errc.h"

namespace courier::http {
namespace {

constexpr size_t kHeaderBytesMax = 64 * 1024;

// What one answer collects while it comes in.
struct Incoming {
  Response response;
  size_t body_bytes_max = 0;
  size_t header_bytes = 0;
  bool too_large = false;
};

size_t take_body(char* data, size_t, size_t size, void* into) {
  auto& incoming = *static_cast<Incoming*>(into);
  if (incoming.response.body.size() + size > incoming.body_bytes_max) {
    incoming.too_large = true;
    return 0;
  }
  incoming.response.body.append(data, size);
  return size;
}

std::string_view trimmed(std::string_view text) {
  const size_t begin = text.find_first_not_of(" \t\r\n");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t\r\n") - begin + 1);
}

size_t take_header(char* data, size_t, size_t size, void* into) {
  auto& incoming = *static_cast<Incoming*>(into);
  incoming.header_bytes += size;
  if (incoming.header_bytes > kHeaderBytesMax) {
    incoming.too_large = true;
    return 0;
  }
  const std::string_view line(data, size);
  if (line.starts_with("HTTP/")) {
    incoming.response.headers.clear();  // those of the redirect before it
    return size;
  }
  const size_t colon = line.find(':');
  if (colon == std::string_view::npos) return size;
  std::string name(trimmed(line.substr(0, colon)));
  std::transform(name.begin(), name.end(), name.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? c | 0x20 : c; });
  incoming.response.headers.emplace_back(std::move(name), trimmed(line.substr(colon + 1)));
  return size;
}

errc code_of(CURLcode code) {
  switch (code) {
    case CURLE_URL_MALFORMAT:
      return errc::bad_url;
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_CONNECT:
      return errc::unreachable;
    case CURLE_OPERATION_TIMEDOUT:
      return errc::timeout;
    case CURLE_TOO_MANY_REDIRECTS:
      return errc::bad_redirect;
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
      return errc::tls;
    case CURLE_FILESIZE_EXCEEDED:
      return errc::too_large;
    case CURLE_OUT_OF_MEMORY:
      return errc::no_memory;
    default:  // libcurl has a hundred; "unsupported protocol" also says that what came is no HTTP
      return errc::bad_response;
  }
}

struct HeaderList {
  ~HeaderList() { ::curl_slist_free_all(list); }
  void add(const std::string& line) {
    if (curl_slist* longer = ::curl_slist_append(list, line.c_str())) list = longer;
  }
  curl_slist* list = nullptr;
};

}  // namespace

struct Client::Handles {
  ~Handles() {
    if (easy != nullptr) ::curl_easy_cleanup(easy);
    if (multi != nullptr) ::curl_multi_cleanup(multi);
  }
  CURLM* multi = nullptr;
  CURL* easy = nullptr;
};

const std::string* Response::header(std::string_view name) const {
  const auto found =
      std::find_if(headers.begin(), headers.end(), [&](const auto& each) { return each.first == name; });
  return found == headers.end() ? nullptr : &found->second;
}

std::string without_query(std::string_view url) {
  return std::string(url.substr(0, std::min(url.find('?'), size_t{256})));
}

Client::Client(std::unique_ptr<Handles> handles) : handles_(std::move(handles)) {}
Client::~Client() = default;

Result<std::unique_ptr<Client>> Client::open() {
  static std::once_flag once;
  std::call_once(once, [] { ::curl_global_init(CURL_GLOBAL_DEFAULT); });
  auto handles = std::make_unique<Handles>();
  handles->multi = ::curl_multi_init();
  handles->easy = ::curl_easy_init();
  if (handles->multi == nullptr || handles->easy == nullptr)
    return fail(errc::no_memory, "libcurl cannot be started");
  return std::unique_ptr<Client>(new Client(std::move(handles)));
}

void Client::cancel() {
  cancelled_ = true;
  ::curl_multi_wakeup(handles_->multi);
}

Result<Response> Client::fetch(const Request& request) {
  const bool encrypted = request.url.starts_with("https://");
  if (!encrypted && !request.url.starts_with("http://")) {
    return fail(errc::bad_url, fmt::format("{}: it starts neither with https:// nor with http://",
                                           without_query(request.url)));
  }
  CURL* easy = handles_->easy;
  ::curl_easy_reset(easy);
  Incoming incoming;
  incoming.body_bytes_max = request.body_bytes_max;
  HeaderList headers;
  for (const auto& [name, value] : request.headers) headers.add(name + ": " + value);
  headers.add("Expect:");  // no second round trip before a body

  char reason[CURL_ERROR_SIZE] = "";
  ::curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, reason);
  ::curl_easy_setopt(easy, CURLOPT_URL, request.url.c_str());
  ::curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
  ::curl_easy_setopt(easy, CURLOPT_REDIR_PROTOCOLS_STR, encrypted ? "https" : "http");
  ::curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, request.redirects_max > 0 ? 1L : 0L);
  ::curl_easy_setopt(easy, CURLOPT_MAXREDIRS, static_cast<long>(request.redirects_max));
  ::curl_easy_setopt(easy, CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
  ::curl_easy_setopt(easy, CURLOPT_PROXY, "");
  ::curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  ::curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, static_cast<long>(request.timeout_ms));
  ::curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(request.timeout_ms));
  ::curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_body);
  ::curl_easy_setopt(easy, CURLOPT_WRITEDATA, &incoming);
  ::curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, take_header);
  ::curl_easy_setopt(easy, CURLOPT_HEADERDATA, &incoming);
  ::curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers.list);
  if (!request.ca_file.empty()) {
    ::curl_easy_setopt(easy, CURLOPT_CAINFO, request.ca_file.c_str());
    ::curl_easy_setopt(easy, CURLOPT_CAPATH, nullptr);
  }
  if (!request.body.empty() || request.method == "POST") {
    ::curl_easy_setopt(easy, CURLOPT_POSTFIELDS, request.body.data());
    ::curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body.size()));
  }
  if (request.method != "GET") ::curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request.method.c_str());

  ::curl_multi_add_handle(handles_->multi, easy);
  CURLcode code = CURLE_OK;
  int running = 1;
  while (running > 0 && !cancelled_) {
    if (::curl_multi_perform(handles_->multi, &running) != CURLM_OK) break;
    if (running > 0) ::curl_multi_poll(handles_->multi, nullptr, 0, 1000, nullptr);
  }
  int left = 0;
  while (const CURLMsg* message = ::curl_multi_info_read(handles_->multi, &left)) {
    if (message->msg == CURLMSG_DONE) code = message->data.result;
  }
  ::curl_multi_remove_handle(handles_->multi, easy);
  ::curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, nullptr);

  if (cancelled_)
    return fail(errc::cancelled, fmt::format("{}: the request was cancelled", without_query(request.url)));
  if (incoming.too_large) {
    return fail(errc::too_large, fmt::format("{}: the answer is larger than {} bytes",
                                             without_query(request.url), request.body_bytes_max));
  }
  long redirects = 0, status = 0;
  ::curl_easy_getinfo(easy, CURLINFO_REDIRECT_COUNT, &redirects);
  ::curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
  if (code != CURLE_OK) {
    const bool elsewhere = code == CURLE_UNSUPPORTED_PROTOCOL && status >= 300 && status < 400;
    return fail(elsewhere ? errc::bad_redirect : code_of(code),
                fmt::format("{}: {}", without_query(request.url),
                            elsewhere   ? "it redirects to another scheme"
                            : reason[0] ? std::string(reason)
                                        : std::string(::curl_easy_strerror(code))));
  }
  incoming.response.status = static_cast<int>(status);
  return std::move(incoming.response);
}

}  // namespace courier::http
