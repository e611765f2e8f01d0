#include "courier/admin_client.h"

#include <curl/curl.h>
#include <signal.h>

#include <cstdlib>
#include <fstream>

#include "admin/target.h"

namespace courier::cli {
namespace {

volatile sig_atomic_t interrupt_seen = 0;

void on_signal(int) {
  interrupt_seen = 1;
}

// SIGINT and SIGTERM end what is going on while this lives; a second one ends the process.
class Interruptible {
 public:
  Interruptible() {
    struct sigaction action {};
    action.sa_handler = on_signal;
    action.sa_flags = SA_RESETHAND;
    ::sigaction(SIGINT, &action, &before_int_);
    ::sigaction(SIGTERM, &action, &before_term_);
  }
  ~Interruptible() {
    ::sigaction(SIGINT, &before_int_, nullptr);
    ::sigaction(SIGTERM, &before_term_, nullptr);
  }

 private:
  struct sigaction before_int_ {
  }, before_term_{};
};

// Read here and not by CLI11: it gives a variable to every command that knows it, also to those that were not
// called, and these would overwrite what the flag of the one that was called has said.
std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

constexpr const char* kDefaultUrl = "http://127.0.0.1:9464";
constexpr size_t kAnswerBytesMax = 256 * 1024 * 1024;
constexpr size_t kLineBytesMax = 1024 * 1024;

size_t take_body(char* data, size_t, size_t size, void* into) {
  auto& body = *static_cast<std::string*>(into);
  if (body.size() + size > kAnswerBytesMax) return 0;
  body.append(data, size);
  return size;
}

struct Lines {
  CURL* curl;
  const std::function<bool(std::string_view)>& line;
  std::string partial;
  bool enough = false;
};

size_t take_lines(char* data, size_t, size_t size, void* into) {
  auto& lines = *static_cast<Lines*>(into);
  lines.partial.append(data, size);
  long status = 0;
  curl_easy_getinfo(lines.curl, CURLINFO_RESPONSE_CODE, &status);
  if (status != 200)
    return lines.partial.size() > kLineBytesMax ? 0 : size;  // an error, to be told at the end
  size_t begin = 0;
  for (size_t end; (end = lines.partial.find('\n', begin)) != std::string::npos; begin = end + 1) {
    if (end == begin) continue;  // a sign of life
    if (!lines.line(std::string_view(lines.partial).substr(begin, end - begin))) {
      lines.enough = true;
      return 0;
    }
  }
  lines.partial.erase(0, begin);
  return lines.partial.size() > kLineBytesMax ? 0 : size;
}

int stop_when_interrupted(void*, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  return interrupt_seen;
}

}  // namespace

void AdminFlags::add_to(CLI::App& app) {
  const char* group = "Server";
  app.add_option("--admin", url, "Address of the REST API (COURIER_ADMIN_URL, or http://127.0.0.1:9464)")
      ->type_name("URL")
      ->group(group);
  CLI::Option* word = app.add_option("--token", token, "Bearer token (COURIER_ADMIN_TOKEN)")
                          ->type_name("TOKEN")
                          ->group(group);
  app.add_option("--token-file", token_file, "The token is the first line of this file that is not a comment")
      ->type_name("FILE")
      ->excludes(word)
      ->group(group);
}

tl::expected<AdminClient, int> AdminClient::open(const AdminFlags& flags, std::string command) {
  std::string token = flags.token.empty() ? variable("COURIER_ADMIN_TOKEN") : flags.token;
  if (!flags.token_file.empty()) {
    std::ifstream file(flags.token_file);
    if (!file) {
      note(command, "cannot read the token file " + flags.token_file);
      return tl::unexpected<int>(kUsage);
    }
    token.clear();
    for (std::string line; token.empty() && std::getline(file, line);) {
      line.erase(line.find_last_not_of(" \t\r") + 1);
      if (!line.starts_with('#')) token = line;
    }
  }
  for (const char c : token) {
    if (c > ' ' && c <= '~') continue;
    note(command, "the token holds characters that no token has");
    return tl::unexpected<int>(kUsage);
  }
  return AdminClient(flags, std::move(token), std::move(command));
}

AdminClient::AdminClient(const AdminFlags& flags, std::string token, std::string command)
    : curl_(curl_easy_init()),
      url_(flags.url.empty() ? variable("COURIER_ADMIN_URL") : flags.url),
      token_(std::move(token)),
      command_(std::move(command)) {
  if (url_.empty()) url_ = kDefaultUrl;
  while (url_.ends_with('/')) url_.pop_back();
}

void AdminClient::Handle::operator()(void* curl) const {
  curl_easy_cleanup(curl);
}

void AdminClient::prepare(const char* method, const std::string& path) {
  CURL* curl = curl_.get();
  curl_easy_reset(curl);
  curl_easy_setopt(curl, CURLOPT_URL, (url_ + path).c_str());
  curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
  curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L);
  curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, 10L);
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl, CURLOPT_TCP_KEEPALIVE, 1L);
  curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
  curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, stop_when_interrupted);
  if (!token_.empty()) {
    curl_easy_setopt(curl, CURLOPT_HTTPAUTH, CURLAUTH_BEARER);
    curl_easy_setopt(curl, CURLOPT_XOAUTH2_BEARER, token_.c_str());
  }
}

int AdminClient::failure(int code) const {
  auto error = static_cast<CURLcode>(code);
  // So it calls bytes that are no HTTP answer as well ("HTTP/0.9").
  if (error == CURLE_UNSUPPORTED_PROTOCOL &&
      (url_.find("://") == std::string::npos || url_.starts_with("http")))
    error = CURLE_WEIRD_SERVER_REPLY;
  switch (error) {
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_CONNECT:
      say(fmt::format(
          "cannot reach {}: {}. Is courierd running, and is this its [admin] bind? --admin names another",
          url_, curl_easy_strerror(error)));
      return kNoConnection;
    case CURLE_OPERATION_TIMEDOUT:
      say(fmt::format("{} did not answer in time", url_));
      return kTimeout;
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
      say(fmt::format("{} is no address of a REST API; they look like http://127.0.0.1:9464", url_));
      return kUsage;
    case CURLE_WEIRD_SERVER_REPLY:
      say(fmt::format(
          "what listens at {} does not speak HTTP; the REST API is at [admin] bind, not at a listener",
          url_));
      return kFailure;
    case CURLE_GOT_NOTHING:
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR:
    case CURLE_PARTIAL_FILE:
      say(fmt::format("{} hung up: {}", url_, curl_easy_strerror(error)));
      return kNoConnection;
    case CURLE_ABORTED_BY_CALLBACK:
      say("interrupted");
      return kFailure;
    default:
      say(fmt::format("{}: {}", url_, curl_easy_strerror(error)));
      return kFailure;
  }
}

int AdminClient::refusal(const Answer& answer) const {
  const auto body = nlohmann::json::parse(answer.body, nullptr, false);
  const auto text = [&](const char* field) {
    const auto value = body.is_object() ? body.find(field) : body.end();
    return body.is_object() && value != body.end() && value->is_string() ? value->get<std::string>() : "";
  };
  const std::string error = text("error"), hint = text("hint");
  if (error.empty()) {
    say(fmt::format("{} answered with status {}; is it courierd?", url_, answer.status));
    return kFailure;
  }
  if (answer.status == 401 && token_.empty()) {
    say("this needs a token: --token-file FILE, or COURIER_ADMIN_TOKEN in the environment");
    return kRefused;
  }
  // The hint of the API speaks of URLs.
  const bool no_client = answer.status == 404 && error.starts_with("there is no client");
  say(hint.empty()
          ? error
          : error + "; " + (no_client ? "client ids are case-sensitive; -M names a mountpoint" : hint));
  if (answer.status == 401 || answer.status == 403) return kRefused;
  return answer.status == 504 ? kTimeout : kFailure;
}

tl::expected<AdminClient::Answer, int> AdminClient::ask(const char* method, const std::string& path,
                                                        const std::string& body,
                                                        std::chrono::seconds timeout) {
  prepare(method, path);
  const Interruptible interruptible;
  CURL* curl = curl_.get();
  Answer answer;
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, &answer.body);
  curl_easy_setopt(curl, CURLOPT_TIMEOUT, static_cast<long>(timeout.count()));
  curl_slist* headers = nullptr;
  if (!body.empty()) {
    headers = curl_slist_append(headers, "Content-Type: application/json");
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body.c_str());
  }
  const CURLcode code = curl_easy_perform(curl);
  curl_slist_free_all(headers);
  if (code != CURLE_OK) return tl::unexpected<int>(failure(code));
  curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &answer.status);
  return answer;
}

tl::expected<nlohmann::ordered_json, int> AdminClient::ask_json(const char* method, const std::string& path,
                                                                const std::string& body,
                                                                std::chrono::seconds timeout) {
  const auto answer = ask(method, path, body, timeout);
  if (!answer) return tl::unexpected<int>(answer.error());
  if (answer->status / 100 != 2) return tl::unexpected<int>(refusal(*answer));
  auto json = nlohmann::ordered_json::parse(answer->body, nullptr, false);
  if (json.is_object()) return json;
  say(fmt::format("what {} answered is not what courierd answers", url_));
  return tl::unexpected<int>(kFailure);
}

int AdminClient::follow(const std::string& path, std::chrono::seconds timeout,
                        const std::function<bool(std::string_view)>& line) {
  prepare("GET", path);
  const Interruptible interruptible;
  CURL* curl = curl_.get();
  Lines lines{curl, line, {}, false};
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_lines);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, &lines);
  curl_easy_setopt(curl, CURLOPT_TIMEOUT, static_cast<long>(timeout.count()));
  // The server gives a sign of life every quarter of a minute.
  curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
  curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, 60L);
  const auto began = std::chrono::steady_clock::now();
  const CURLcode code = curl_easy_perform(curl);
  if (lines.enough || interrupt_seen) return kOk;
  const bool was_limited = timeout.count() > 0 && std::chrono::steady_clock::now() - began >= timeout;
  if (code == CURLE_OPERATION_TIMEDOUT && was_limited) return kTimeout;
  if (code != CURLE_OK) return failure(code);
  Answer answer;
  curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &answer.status);
  if (answer.status != 200) {
    answer.body = lines.partial;
    return refusal(answer);
  }
  say("the server ended it");
  return kNoConnection;
}

std::string path_of_client(std::string_view client_id, std::string_view suffix, std::string_view mountpoint) {
  std::string path = "/v1/clients/" + admin::percent_encode(client_id);
  path += suffix;
  if (!mountpoint.empty()) path += "?mountpoint=" + admin::percent_encode(mountpoint);
  return path;
}

}  // namespace courier::cli
