#include "http/client.h"

#include <curl/curl.h>

#include "http/errc.h"
#include "http/transfer.h"

namespace courier::http {

struct Client::Handles {
  ~Handles() {
    if (easy != nullptr) ::curl_easy_cleanup(easy);
    if (multi != nullptr) ::curl_multi_cleanup(multi);
  }
  CURLM* multi = nullptr;
  CURL* easy = nullptr;
};

Client::Client(std::unique_ptr<Handles> handles) : handles_(std::move(handles)) {}
Client::~Client() = default;

Result<std::unique_ptr<Client>> Client::open() {
  start_libcurl();
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
  CURL* easy = handles_->easy;
  Transfer transfer(request);
  if (auto set = transfer.set_up(easy); !set) return fail(set.error());

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
  if (cancelled_) return transfer.cancelled();
  return transfer.finish(easy, code);
}

}  // namespace courier::http
