// In by the side entrance: the HTTP side without a token, or by a path that is more than it says.
#include <gtest/gtest.h>

#include <fmt/format.h>

#include "red_team/attempt.h"

namespace courier::scenario::red_team {
namespace {

constexpr char kToken[] = "a-token-of-many-letters";

class Admin : public testing::Test {
 protected:
  void SetUp() override { COURIER_ONLY(); }
  // Stands in [admin], which is the last table of the configuration.
  Broker broker{{.toml = fmt::format("tokens = [\"{}\"]\n", kToken)}};

  std::string answer_to_bytes(const std::string& bytes) {
    Client http = Client::open(broker.admin_port());
    http.send(bytes);
    const std::string answer = http.read_to_end();
    if (!answer.starts_with("HTTP/1.1 ")) return answer.empty() ? "closed" : "not HTTP: " + answer;
    size_t answers = 0;
    for (size_t at = 0; (at = answer.find("HTTP/1.1 ", at)) != std::string::npos; ++at) ++answers;
    return "HTTP " + answer.substr(9, 3) + (answers > 1 ? " AND ANOTHER ANSWER" : "");
  }
  std::string answer_to_request(const std::string& line, const std::string& headers = {},
                                const std::string& body = {}) {
    return answer_to_bytes(line + " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n" + headers + "\r\n" +
                           body);
  }
  std::function<std::string(Version)> asks(std::string line, std::string headers = {},
                                           std::string body = {}) {
    return [=, this](Version) { return answer_to_request(line, headers, body); };
  }
  static std::string bearer(std::string_view token) {
    return fmt::format("Authorization: Bearer {}\r\n", token);
  }
};

}  // namespace

TEST_F(Admin, OpensToNobodyWithoutAToken) {
  ASSERT_EQ(answer_to_request("GET /v1/clients", bearer(kToken)), "HTTP 200") << "the honest get in";
  const std::vector<std::string> why = {"a REST request without a valid token was refused", "peer=127.0.0.1"};
  const std::vector<std::string> odd = {"refused", "peer=127.0.0.1"};
  refuse(
      broker,
      {
          {"without a token", asks("GET /v1/clients"), "HTTP 401", "", why},
          {"with another token", asks("GET /v1/clients", bearer("a-token-of-many-lettess")), "HTTP 401", "",
           why},
          {"with the beginning of a token", asks("GET /v1/clients", bearer("a-token")), "HTTP 401", "", why},
          {"with a token and more", asks("GET /v1/clients", bearer(std::string(kToken) + "x")), "HTTP 401",
           "", why},
          {"with an empty token", asks("GET /v1/clients", bearer("")), "HTTP 401", "", why},
          {"with a token as a password",
           asks("GET /v1/clients", "Authorization: Basic YS10b2tlbi1vZi1tYW55LWxldHRlcnM=\r\n"), "HTTP 401",
           "", why},
          {"with a token in the query", asks(fmt::format("GET /v1/clients?token={}", kToken)), "HTTP 401", "",
           why},
          {"with two tokens", asks("GET /v1/clients", bearer("guess") + bearer(kToken)), "HTTP 401", "", why},
          {"through an open path", asks("GET /metrics/../v1/clients"), "HTTP 404", "", odd},
          {"through an encoded path", asks("GET /%76%31/clients"), "HTTP 401", "", why},
          {"through a path with two slashes", asks("GET //v1/clients"), "HTTP 404", "", odd},
          {"through an absolute address", asks("GET http://localhost/v1/clients"), "HTTP 400", "", odd},
          {"to a file", asks("GET /../../../etc/passwd"), "HTTP 404", "", odd},
          {"to a file, encoded", asks("GET /..%2f..%2fetc%2fpasswd"), "HTTP 404", "", odd},
          {"to a file below the API", asks("GET /v1/../../etc/passwd"), "HTTP 401", "", why},
          {"to a client by a path as its id", asks("DELETE /v1/clients/..%2f..%2fnode"), "HTTP 401", "", why},
          {"to a backup anywhere", asks("POST /v1/backup", "Content-Length: 16\r\n", "{\"to\":\"/tmp/x\"}\n"),
           "HTTP 401", "", why},
          {"by a header that names another path",
           asks("GET /v1/node", "X-Original-URL: /metrics\r\nX-Forwarded-For: 127.0.0.1\r\n"), "HTTP 401", "",
           why},
          {"by another method", asks("PUT /v1/clients"), "HTTP 401", "", why},
          {"by TRACE", asks("TRACE /metrics", bearer("x")), "HTTP 405", "", odd},
          {"with a second request in the body of the first",
           asks("GET /metrics", "Content-Length: 0\r\nContent-Length: 45\r\n",
                "GET /v1/clients HTTP/1.1\r\nHost: localhost\r\n\r\n"),
           "HTTP 400", "", odd},
          {"with a length and chunks",
           asks("POST /v1/backup", "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
                "0\r\n\r\nGET /v1/node\r\n"),
           "HTTP 400", "", odd},
          {"with a header of 100,000 bytes",
           asks("GET /v1/clients", "X: " + std::string(100'000, 'x') + "\r\n"), "HTTP 431", "", odd},
          {"with MQTT",
           [&](Version version) {
             return answer_to_bytes(connect_packet({.version = version, .client_id = "red"}));
           },
           "HTTP 400", "", odd},
      });
}

// With a token, too, a path is a path.
TEST_F(Admin, LeavesNoFilesLyingAbout) {
  for (const char* path :
       {"/v1/../../../etc/passwd", "/v1/clients/../../etc/passwd", "/v1/%2e%2e/%2e%2e/etc/passwd",
        "/v1/clients/%00", "/v1/clients/..%2f..%2fetc%2fpasswd"}) {
    const std::string answer = answer_to_request(fmt::format("GET {}", path), bearer(kToken));
    EXPECT_TRUE(answer == "HTTP 404" || answer == "HTTP 400") << path << ": " << answer;
  }
}

}  // namespace courier::scenario::red_team
