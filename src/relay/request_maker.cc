#include "relay/request_maker.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/file.h"
#include "base/log.h"
#include "events/catalogue/json.h"

namespace courier::relay {
namespace {

constexpr size_t kAuthorizationBytesMax = 64 * 1024;
constexpr size_t kAnswerBytesMax = 1024 * 1024;  // nobody reads it

// libcurl and servers take these for steps in the path.
bool has_dot_segment(std::string_view url) {
  url = url.substr(0, url.find_first_of("?#"));
  for (size_t slash = url.find('/'); slash != std::string_view::npos; slash = url.find('/', slash + 1)) {
    const std::string_view rest = url.substr(slash + 1);
    const std::string_view segment = rest.substr(0, rest.find('/'));
    if (segment == "." || segment == "..") return true;
  }
  return false;
}

bool same_letters(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, [](char x, char y) { return (x | 0x20) == (y | 0x20); });
}

}  // namespace

Result<RequestMaker> RequestMaker::open(const HttpSettings& settings) {
  RequestMaker maker(settings);
  auto url = TextTemplate::parse(settings.url);
  auto body = TextTemplate::parse(settings.body);
  if (!url || !body) return fail(url ? body.error() : url.error());
  maker.url_ = *std::move(url);
  maker.body_ = *std::move(body);
  bool slots = maker.url_.has_slots(), typed = false;
  const auto add = [&](std::string_view name, std::string_view text) -> Result<void> {
    text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
    auto value = TextTemplate::parse(text);
    if (!value) return fail(value.error());
    slots = slots || value->has_slots();
    typed = typed || same_letters(name, "content-type");
    maker.headers_.push_back({std::string(name), *std::move(value)});
    return {};
  };
  for (const std::string_view each : settings.headers) {
    const size_t colon = each.find(':');
    if (auto added = add(each.substr(0, colon), each.substr(colon + 1)); !added) return fail(added.error());
  }
  if (!typed) {
    const bool cloudevents = settings.batch == Batch::cloudevents;
    (void)add("content-type", cloudevents ? "application/cloudevents-batch+json" : "application/json");
  }
  if (!settings.authorization_file.empty()) {
    const auto text = read_file(settings.authorization_file, kAuthorizationBytesMax);
    if (!text) return fail(text.error().within("http.authorization_file"));
    maker.authorization_ = text->substr(0, text->find_first_of("\r\n"));
  }
  if (!slots) {
    kafka::Message nothing;
    nothing.value = R"({"id":"-","kind":"-"})";
    maker.constant_ = maker.target(*Event::read(nothing, Format::json));
  }
  return maker;
}

TargetPtr RequestMaker::target(const Event& event) const {
  if (constant_) return constant_;
  auto made = std::make_shared<Target>();
  url_.append(made->url, event, TextTemplate::Into::url);
  if (url_.has_slots() && has_dot_segment(made->url)) return nullptr;
  for (const Header& each : headers_) {
    std::string value;
    each.value.append(value, event, TextTemplate::Into::header);
    made->headers.emplace_back(each.name, std::move(value));
  }
  if (!authorization_.empty()) made->headers.emplace_back("Authorization", authorization_);
  return made;
}

bool RequestMaker::append(std::string& body, const kafka::Message& message, const Event& event) const {
  const size_t before = body.size();
  const bool list = settings_.batch != Batch::none;
  if (list) body += before == 0 ? '[' : ',';
  if (settings_.batch == Batch::cloudevents) {
    append_cloudevent(body, message, event);
  } else if (!body_.empty()) {
    body_.append(body, event, TextTemplate::Into::json);
  } else {
    event.append_json(body);
  }
  if (before == 0 || body.size() < settings_.batch_bytes_max) return true;
  body.resize(before);
  return false;
}

// Source: CloudEvents 1.0, JSON format and HTTP binding, batched.
void RequestMaker::append_cloudevent(std::string& body, const kafka::Message& message,
                                     const Event& event) const {
  using events::append_json_text;
  using events::Field;
  const std::string* source = message.header("ce_source");
  body += R"({"specversion":"1.0","id":)";
  append_json_text(body, event.text(Field::id));
  body += R"(,"source":)";
  append_json_text(body, source ? *source : "courier://courier");
  body += R"(,"type":)";
  append_json_text(body, fmt::format("courier.{}", event.text(Field::kind)));
  std::string time_ns;
  event.append_value(time_ns, Field::time_ns);
  if (!time_ns.empty()) {
    body += R"(,"time":)";
    append_json_text(body, log::iso8601(static_cast<WallMs>(std::stoull(time_ns) / kNsPerMs)));
  }
  if (const std::string_view trace = event.text(Field::traceparent); !trace.empty()) {
    body += R"(,"traceparent":)";
    append_json_text(body, trace);
  }
  body += R"(,"datacontenttype":"application/json","data":)";
  event.append_json(body);
  body += '}';
}

http::Request RequestMaker::request(const Target& target, std::string body) const {
  static constexpr const char* kMethods[] = {"POST", "PUT", "PATCH"};
  if (settings_.batch != Batch::none) body += ']';
  http::Request request{.url = target.url,
                        .method = kMethods[static_cast<size_t>(settings_.method)],
                        .headers = target.headers,
                        .body = std::move(body),
                        .timeout_ms = settings_.timeout.count(),
                        .body_bytes_max = kAnswerBytesMax,
                        .ca_file = settings_.ca_file,
                        .certificate_file = settings_.certificate_file,
                        .key_file = settings_.key_file,
                        .link_local = settings_.allow_link_local};
  return request;
}

}  // namespace courier::relay
