// From events to the request that carries them, as the settings say.
//
// Pure but for its making. One thread.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "http/client.h"
#include "relay/event.h"
#include "relay/settings.h"
#include "relay/text_template.h"

namespace courier::relay {

// What the events of one request have to have in common.
struct Target {
  std::string url;
  http::Headers headers;
  bool operator==(const Target&) const = default;
};
using TargetPtr = std::shared_ptr<const Target>;  // shared by all events that go to the same one

class RequestMaker {
 public:
  // Reads authorization_file. `settings` are good ones. Errors: that cannot be read.
  static Result<RequestMaker> open(const HttpSettings& settings);

  // Nothing: the event's fields make a URL that leads elsewhere ("..", as a part of its path).
  TargetPtr target(const Event& event) const;

  // Appends one event to a body that begins empty; false, and nothing is appended, if it would grow beyond
  // batch_bytes_max and is not the first.
  bool append(std::string& body, const kafka::Message& message, const Event& event) const;
  http::Request request(const Target& target, std::string body) const;
  size_t batch_events_max() const { return settings_.batch == Batch::none ? 1 : settings_.batch_events_max; }

 private:
  struct Header {
    std::string name;
    TextTemplate value;
  };
  explicit RequestMaker(const HttpSettings& settings) : settings_(settings) {}
  void append_cloudevent(std::string& body, const kafka::Message& message, const Event& event) const;

  HttpSettings settings_;
  TextTemplate url_, body_;
  std::vector<Header> headers_;
  std::string authorization_;
  TargetPtr constant_;  // where nothing is filled in
};

}  // namespace courier::relay
