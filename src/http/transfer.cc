#include "http/transfer.h"

#include <sys/socket.h>

#include <algorithm>
#include <mutex>

#include <fmt/format.h>

#include "http/errc.h"
#include "net/cidr.h"

namespace courier::http {
namespace {

constexpr size_t kHeaderBytesMax = 64 * 1024;

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

// Where clouds tell a machine its secrets, beside the addresses of the link: Amazon's over IPv6, Alibaba's,
// and Oracle's.
bool is_link_local(const net::SocketAddress& address) {
  static const std::vector<net::Cidr> kNetworks = [] {
    std::vector<net::Cidr> networks;
    for (const char* each :
         {"169.254.0.0/16", "fe80::/10", "fd00:ec2::254/128", "100.100.100.200/32", "192.0.0.192/32"})
      networks.push_back(*net::Cidr::parse(each));
    return networks;
  }();
  return std::any_of(kNetworks.begin(), kNetworks.end(),
                     [&](const net::Cidr& network) { return network.contains(address); });
}

}  // namespace

void start_libcurl() {
  static std::once_flag once;
  std::call_once(once, [] { ::curl_global_init(CURL_GLOBAL_DEFAULT); });
}

const std::string* Response::header(std::string_view name) const {
  const auto found =
      std::find_if(headers.begin(), headers.end(), [&](const auto& each) { return each.first == name; });
  return found == headers.end() ? nullptr : &found->second;
}

// Where "user:password@" stands, if it does: between the scheme and the host.
static std::string_view user_info(std::string_view url) {
  const size_t scheme = url.find("//");
  const std::string_view rest = scheme == std::string_view::npos ? url : url.substr(scheme + 2);
  const std::string_view authority = rest.substr(0, rest.find_first_of("/?#\\"));
  return authority.substr(0, authority.rfind('@') + 1);
}

bool names_user(std::string_view url) {
  return !user_info(url).empty();
}

std::string without_secrets(std::string_view url) {
  const std::string_view secret = user_info(url);
  url = url.substr(0, url.find('?'));
  std::string shown(url);
  if (!secret.empty()) {
    const size_t begin = static_cast<size_t>(secret.data() - url.data());
    shown.replace(begin, secret.size(), "...@");
  }
  return shown.substr(0, 256);
}

Transfer::Transfer(Request request) : request_(std::move(request)) {
  incoming_.body_bytes_max = request_.body_bytes_max;
}

Transfer::~Transfer() {
  ::curl_slist_free_all(headers_);
}

void Transfer::add_header(const std::string& line) {
  if (curl_slist* longer = ::curl_slist_append(headers_, line.c_str())) headers_ = longer;
}

// With the address that the name led to.
curl_socket_t Transfer::open_socket(void* self, curlsocktype, curl_sockaddr* address) {
  const auto to = net::SocketAddress::from_native(&address->addr, address->addrlen);
  if (is_link_local(to)) {
    static_cast<Transfer*>(self)->forbidden_ = to.host();
    return CURL_SOCKET_BAD;
  }
  return ::socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

Result<void> Transfer::set_up(CURL* easy) {
  const bool encrypted = request_.url.starts_with("https://");
  if (!encrypted && !request_.url.starts_with("http://")) {
    return fail(errc::bad_url, fmt::format("{}: it starts neither with https:// nor with http://",
                                           without_secrets(request_.url)));
  }
  ::curl_easy_reset(easy);
  for (const auto& [name, value] : request_.headers) add_header(name + ": " + value);
  add_header("Expect:");  // no second round trip before a body

  ::curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, reason_);
  ::curl_easy_setopt(easy, CURLOPT_URL, request_.url.c_str());
  ::curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
  ::curl_easy_setopt(easy, CURLOPT_REDIR_PROTOCOLS_STR, encrypted ? "https" : "http");
  ::curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, request_.redirects_max > 0 ? 1L : 0L);
  ::curl_easy_setopt(easy, CURLOPT_MAXREDIRS, static_cast<long>(request_.redirects_max));
  ::curl_easy_setopt(easy, CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
  ::curl_easy_setopt(easy, CURLOPT_PROXY, "");
  ::curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  ::curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, static_cast<long>(request_.timeout_ms));
  ::curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(request_.timeout_ms));
  ::curl_easy_setopt(easy, CURLOPT_MAXAGE_CONN, kIdleSecondsMax);
  ::curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_body);
  ::curl_easy_setopt(easy, CURLOPT_WRITEDATA, &incoming_);
  ::curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, take_header);
  ::curl_easy_setopt(easy, CURLOPT_HEADERDATA, &incoming_);
  ::curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers_);
  if (!request_.link_local) {
    ::curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, open_socket);
    ::curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, this);
  }
  if (!request_.ca_file.empty()) {
    ::curl_easy_setopt(easy, CURLOPT_CAINFO, request_.ca_file.c_str());
    ::curl_easy_setopt(easy, CURLOPT_CAPATH, nullptr);
  }
  if (!request_.certificate_file.empty()) {
    ::curl_easy_setopt(easy, CURLOPT_SSLCERT, request_.certificate_file.c_str());
    ::curl_easy_setopt(
        easy, CURLOPT_SSLKEY,
        request_.key_file.empty() ? request_.certificate_file.c_str() : request_.key_file.c_str());
  }
  if (!request_.body.empty() || request_.method == "POST") {
    ::curl_easy_setopt(easy, CURLOPT_POSTFIELDS, request_.body.data());
    ::curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request_.body.size()));
  }
  if (request_.method != "GET") ::curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request_.method.c_str());
  return {};
}

Result<Response> Transfer::finish(CURL* easy, CURLcode code) {
  ::curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, nullptr);
  if (incoming_.too_large) {
    return fail(errc::too_large, fmt::format("{}: the answer is larger than {} bytes",
                                             without_secrets(request_.url), request_.body_bytes_max));
  }
  long status = 0;
  ::curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
  if (code != CURLE_OK && !forbidden_.empty()) {
    return fail(errc::forbidden,
                fmt::format("{}: its address {} is one of the link or of a cloud's metadata, which is not "
                            "asked unless the configuration allows it (allow_link_local)",
                            without_secrets(request_.url), forbidden_));
  }
  if (code != CURLE_OK) {
    const bool elsewhere = code == CURLE_UNSUPPORTED_PROTOCOL && status >= 300 && status < 400;
    return fail(elsewhere ? errc::bad_redirect : code_of(code),
                fmt::format("{}: {}", without_secrets(request_.url),
                            elsewhere    ? "it redirects to another scheme"
                            : reason_[0] ? std::string(reason_)
                                         : std::string(::curl_easy_strerror(code))));
  }
  incoming_.response.status = static_cast<int>(status);
  return std::move(incoming_.response);
}

Failure Transfer::cancelled() const {
  return fail(errc::cancelled, fmt::format("{}: the request was cancelled", without_secrets(request_.url)));
}

}  // namespace courier::http
