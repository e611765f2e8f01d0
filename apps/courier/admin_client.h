// The HTTP client of the commands that talk to a running node's REST side, over libcurl.
//
// One request at a time, on the caller's thread. Redirects are not followed: the token is for one server.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>
#include <tl/expected.hpp>

#include "courier/command.h"

namespace courier::cli {

struct AdminFlags {
  std::string url, token, token_file;  // as given; empty: see AdminClient::open()
  void add_to(CLI::App& app);
};
inline constexpr const char* kAdminHelp =
    "The address is that of [admin] bind in courierd's configuration, the token one of its tokens or of its\n"
    "token_file. Better than --token, which others see while this runs: COURIER_ADMIN_TOKEN or --token-file.";

class AdminClient {
 public:
  // What no flag says comes from COURIER_ADMIN_URL and COURIER_ADMIN_TOKEN. `command` is who speaks in notes
  // on stderr: "client ls". Notes, and an exit code, when the flags are wrong.
  static tl::expected<AdminClient, int> open(const AdminFlags& flags, std::string command);

  struct Answer {
    long status = 0;
    std::string body;
  };
  // `body`: sent as JSON when it is not empty. Notes, and the exit code, when there is no answer.
  tl::expected<Answer, int> ask(const char* method, const std::string& path, const std::string& body = {},
                                std::chrono::seconds timeout = std::chrono::seconds(20));
  // The answer's JSON. Whatever is not 2xx becomes a note with the server's error and hint, and an exit code.
  tl::expected<nlohmann::ordered_json, int> ask_json(const char* method, const std::string& path,
                                                     const std::string& body = {},
                                                     std::chrono::seconds timeout = std::chrono::seconds(20));
  // Gives each line that comes to `line` until it returns false, the server ends it, `timeout` (0: none) has
  // passed or SIGINT or SIGTERM arrives. Exit codes: kOk when `line` or a signal ended it, kTimeout.
  int follow(const std::string& path, std::chrono::seconds timeout,
             const std::function<bool(std::string_view)>& line);

  void say(std::string_view text) const { note(command_, text); }

 private:
  struct Handle {
    void operator()(void* curl) const;
  };
  AdminClient(const AdminFlags& flags, std::string token, std::string command);
  void prepare(const char* method, const std::string& path);
  // Notes why a request failed (a CURLcode) and returns the exit code.
  int failure(int code) const;
  // The same for an answer that is no success.
  int refusal(const Answer& answer) const;

  std::unique_ptr<void, Handle> curl_;
  std::string url_, token_, command_;
};

// For paths: everything that is not a letter, digit or one of "-._~" as %XX, and dots alone too.
std::string path_of_client(std::string_view client_id, std::string_view suffix, std::string_view mountpoint);

}  // namespace courier::cli
