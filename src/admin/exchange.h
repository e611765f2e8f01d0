// One request and its answer, free of HTTP's wire: what the handlers (clients.cc, backup.cc, …) work with.
//
// A handler runs on the server's thread, never blocks, and answers through Reply: at once, or later from any
// thread.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "admin/control.h"
#include "admin/target.h"
#include "base/metrics.h"

namespace courier::admin {

class LineStream;

struct Request {
  std::string method;
  std::string id;  // what stands for {id} in the route, decoded
  Query query;
  std::string body;
};

struct Response {
  unsigned status = 200;
  std::string content_type = "application/json";
  std::string body;
  std::vector<std::pair<std::string, std::string>> headers;
};

// Bytes that are not UTF-8 become U+FFFD.
Response json_response(const nlohmann::ordered_json& body, unsigned status = 200);
// {"error": …, "hint": …}; the hint is left out when it is empty.
Response error_response(unsigned status, std::string_view error, std::string_view hint = {});
// With the status that the code stands for.
Response error_response(const Error& error, std::string_view hint = {});

// Answers one request: the first answer counts, later ones do nothing. Copies answer the same request. Any
// thread, also after the server is gone.
class Reply {
 public:
  struct Way {
    std::function<void(std::function<Response()>)> send;
    std::function<bool(std::shared_ptr<LineStream>)> stream;
  };
  explicit Reply(Way way) : way_(std::make_shared<const Way>(std::move(way))) {}
  // `make` runs on the server's thread: whoever has the facts need not spend time on their JSON.
  void send(std::function<Response()> make) const { way_->send(std::move(make)); }
  void send(Response response) const {
    send([response = std::move(response)] { return response; });
  }
  // Lines as they come, until the peer goes away; then LineStream::close() is called. False: it cannot be,
  // and the server has answered why. Server's thread.
  bool stream(std::shared_ptr<LineStream> lines) const { return way_->stream(std::move(lines)); }

 private:
  std::shared_ptr<const Way> way_;
};

struct Surroundings {
  const Vitals& vitals;
  Control* control;  // null: this is no node, and nothing under /v1 is asked
  const Registry& registry;
};
using Handler = void (*)(const Surroundings&, const Request&, const Reply&);

}  // namespace courier::admin
